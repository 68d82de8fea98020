//! What speaks at an address: TLS, plain HTTP, or TLS of another age.

use std::net::SocketAddr;

use futures::future::try_join_all;

use crate::checks::shell::word;
use crate::checks::tls::server::Who;
use crate::checks::{Cause, Finding, docs};
use crate::host::network::{
    Connect, Connected, Failure, Handshake, HttpGet, HttpReply, Resolve, TlsHandshake,
};
use crate::host::{Host, Unknown};
use crate::install::{Endpoint, Source, Sourced};

/// What an address did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// It accepts no connection.
    Dead(Failure),
    /// It shows certificates.
    Tls,
    /// No handshake came about.
    Refused(Failure),
    /// It speaks HTTP without TLS.
    Plain,
}

impl Look {
    /// Whether it says something of the server.
    pub(super) fn is_told(&self) -> bool {
        !matches!(self, Self::Dead(_))
    }
}

/// Looks at every address of an endpoint. An endpoint without TLS is looked at for the reverse.
pub(super) async fn look(
    host: &Host,
    endpoint: &Endpoint,
) -> Result<Vec<(SocketAddr, Look)>, Unknown> {
    let resolved = host.ask(Resolve { host: endpoint.host.clone() }).await?;
    let looks = resolved.addresses().map(|address| async move {
        let address = SocketAddr::new(address, endpoint.port);
        Ok((address, one(host, endpoint, address).await?))
    });
    try_join_all(looks).await
}

async fn one(host: &Host, endpoint: &Endpoint, address: SocketAddr) -> Result<Look, Unknown> {
    if let Connected::Failed(failure) = host.ask(Connect { address }).await? {
        return Ok(Look::Dead(failure));
    }
    let name = endpoint.host.clone();
    let failure = match host.ask(TlsHandshake { address, name }).await? {
        Handshake::Shown { .. } => return Ok(Look::Tls),
        Handshake::Failed(failure) => failure,
    };
    if !endpoint.https {
        return Ok(Look::Plain);
    }
    // A silent server is not asked twice.
    if matches!(failure, Failure::Foreign(_) | Failure::Reset) {
        let plain = Endpoint { https: false, ..endpoint.clone() };
        let get = HttpGet::new(plain.url("/"), address);
        if let HttpReply::Answered(response) = host.ask(get).await?
            // nginx answers plain HTTP on its TLS port with this status and these words.
            && response.status != 400
        {
            return Ok(Look::Plain);
        }
    }
    Ok(Look::Refused(failure))
}

/// Where a port does not speak what its URL says.
pub(super) fn judge(
    who: Who,
    url: &Sourced<Endpoint>,
    looks: &[(SocketAddr, Look)],
) -> Option<Finding> {
    let scene = Scene { who, endpoint: &url.value, source: &url.source };
    let (address, look) = looks.iter().find(|(_, look)| scene.is_wrong(look))?;
    let finding = match look {
        Look::Plain => scene.plain_http(*address),
        Look::Tls => scene.tls_on_http(*address),
        Look::Refused(failure) => scene.refused(*address, failure),
        Look::Dead(_) => return None,
    };
    Some(finding.evidence(url.source.evidence(scene.setting(), &url.value)).docs(docs::SSL_TROUBLE))
}

struct Scene<'a> {
    who: Who,
    endpoint: &'a Endpoint,
    source: &'a Source,
}

impl Scene<'_> {
    fn is_wrong(&self, look: &Look) -> bool {
        match look {
            Look::Dead(_) => false,
            Look::Tls => !self.endpoint.https,
            Look::Plain | Look::Refused(_) => self.endpoint.https,
        }
    }

    fn setting(&self) -> &'static str {
        match self.who {
            Who::Gitlab => "external_url",
            Who::Registry => "registry_external_url",
        }
    }

    fn error(&self, code: &'static str, message: String, address: SocketAddr) -> Finding {
        let finding = Finding::error(code, self.endpoint.to_string(), message);
        let finding =
            finding.seen("address", address).follows(Cause::Name(self.endpoint.host.clone()));
        let service = Cause::Service(self.endpoint.socket());
        match self.who {
            // Nobody else goes the way to GitLab's own page.
            Who::Gitlab => finding.explains(service),
            // registry/api goes the same way and tells the same fault first.
            Who::Registry => finding.follows(service),
        }
    }

    fn plain_http(&self, address: SocketAddr) -> Finding {
        let port = self.endpoint.port;
        let message = format!("port {port} speaks plain HTTP, but the URL says https");
        let finding = self.error("plain-http", message, address);
        let section = match self.who {
            Who::Gitlab => "nginx",
            Who::Registry => "registry_nginx",
        };
        finding.remedy(
            format!(
                "Let nginx serve this port with TLS: in gitlab.rb, {} has to be https and \
                 {section}['listen_https'] must not be false, unless a balancer in front speaks \
                 TLS; then that has to listen on this port.",
                self.setting()
            ),
            [
                "sudoedit /etc/gitlab/gitlab.rb".to_owned(),
                "sudo gitlab-ctl reconfigure".to_owned(),
                format!("sudo ss -ltnp 'sport = :{port}'"),
            ],
        )
    }

    fn tls_on_http(&self, address: SocketAddr) -> Finding {
        let right = Endpoint { https: true, ..self.endpoint.clone() };
        let message = format!("port {} speaks TLS, but the URL says http", self.endpoint.port);
        let finding = self.error("tls-on-http-port", message, address);
        match self.source {
            Source::Flag(flag) => finding.remedy(
                format!("Give {flag} {right}."),
                [format!("gldoctor run {flag} {}", word(&right.to_string()))],
            ),
            _ => finding.remedy(
                format!("Let {} be {right}, and reconfigure.", self.setting()),
                ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
            ),
        }
    }

    fn refused(&self, address: SocketAddr, failure: &Failure) -> Finding {
        let port = self.endpoint.port;
        let name = word(&self.endpoint.host);
        let words = failure.to_string();
        if is_about_version(&words) {
            let message = format!(
                "port {port} speaks no TLS of version 1.2 or later: Docker, Git and browsers refuse it"
            );
            return self.error("old-protocol", message, address).seen("handshake", words).remedy(
                "Let the server speak TLS 1.2 and 1.3. In gitlab.rb: nginx['ssl_protocols'] = \
                 \"TLSv1.2 TLSv1.3\" (and registry_nginx), or take the line out.",
                [
                    format!(
                        "openssl s_client -tls1_1 -connect {address} -servername {name} </dev/null"
                    ),
                    "sudoedit /etc/gitlab/gitlab.rb".to_owned(),
                    "sudo gitlab-ctl reconfigure".to_owned(),
                ],
            );
        }
        let (code, message) = if failure.is_no_tls() {
            ("no-tls", format!("port {port} does not speak TLS, but the URL says https"))
        } else if matches!(failure, Failure::Silent(_)) {
            ("tls-silent", format!("port {port} accepts connections but never shakes hands"))
        } else {
            ("handshake-failed", format!("no TLS handshake comes about on port {port}"))
        };
        self.error(code, message, address).seen("handshake", words).remedy(
            "See what listens there, and what nginx' error log says of the handshake.",
            [
                format!("openssl s_client -connect {address} -servername {name} </dev/null"),
                format!("sudo ss -ltnp 'sport = :{port}'"),
                "sudo tail -n 20 /var/log/gitlab/nginx/error.log".to_owned(),
            ],
        )
    }
}

/// The alert of a server that knows older versions only, as rustls tells it, and rustls' own words
/// for an answer in an older version.
fn is_about_version(words: &str) -> bool {
    ["ProtocolVersion", "Tls12NotOffered", "ServerTlsVersion", "TLS version", "protocol version"]
        .iter()
        .any(|sign| words.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(url: &str, look: Look) -> Option<&'static str> {
        let url = Sourced::flag(Endpoint::parse(url).unwrap(), "--url");
        let address = "10.0.0.1:443".parse().unwrap();
        judge(Who::Gitlab, &url, &[(address, look)]).map(|finding| finding.code)
    }

    #[test]
    fn a_port_has_to_speak_what_its_url_says() {
        let (http, https) = ("http://a.test:443", "https://a.test");
        assert_eq!(found(https, Look::Tls), None);
        assert_eq!(found(http, Look::Plain), None);
        assert_eq!(found(https, Look::Plain), Some("plain-http"));
        assert_eq!(found(http, Look::Tls), Some("tls-on-http-port"));
        assert_eq!(found(https, Look::Dead(Failure::Refused)), None);
        let refused = |words: &str| Look::Refused(Failure::Foreign(words.to_owned()));
        assert_eq!(
            found(https, refused("received fatal alert: ProtocolVersion")),
            Some("old-protocol")
        );
        assert_eq!(found(https, refused("received fatal alert: X")), Some("handshake-failed"));
        assert_eq!(found(https, Look::Refused(Failure::Silent(3))), Some("tls-silent"));
    }
}
