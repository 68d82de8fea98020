//! The object store behind `regionendpoint`: is it there, and is it one?

use std::net::SocketAddr;

use super::numbers::{self, is_on};
use super::s3::{is_amazon, uses_path_style};
use super::subject::Subject;
use crate::checks::reach::{Reach, Stage, Way, reach};
use crate::checks::shell::word;
use crate::checks::trust::{Asker, refusals};
use crate::checks::{Cause, Finding, Severity, Verdict};
use crate::host::network::{Body, HttpGet, HttpReply, Resolve, Resolved, Response};
use crate::host::{Host, Unknown};
use crate::install::storage::Program;
use crate::install::{self, Endpoint};
use crate::parse::registry_yml::Driver;

/// Where a store answers in one of its own ways: with a list of buckets, or a refusal in XML.
const PATH: &str = "/";

/// The address of a store of one's own, as the registry takes it; `None` for a cloud.
pub(in crate::checks::registry) fn endpoint(driver: &Driver) -> Option<Endpoint> {
    let text = driver.text("regionendpoint").filter(|it| !it.is_empty())?;
    if is_amazon(driver) {
        return None;
    }
    let url = if text.contains("://") {
        text
    } else {
        let scheme = if is_on(driver, "secure", true) { "https" } else { "http" };
        format!("{scheme}://{text}")
    };
    Endpoint::parse(&url).ok().map(|endpoint| endpoint.server())
}

pub(super) async fn look(
    host: &Host,
    subject: &Subject<'_>,
    driver: &Driver,
    verdict: &mut Verdict,
) {
    let Some(setting) = driver.get("regionendpoint") else { return };
    let path = [driver.name.as_str(), "regionendpoint"];
    let Some(endpoint) = endpoint(driver) else {
        let text = setting.value.to_string();
        if !is_amazon(driver) && Endpoint::parse(&text).is_err() && text.contains("://") {
            let message = format!("'{text}' is no URL of a store");
            let finding = subject.finding(Severity::Error, "endpoint-malformed", message);
            let finding = finding.evidence(subject.shown(&path, setting));
            verdict.add([subject.write(finding, "write its URL", &path, "'https://STORE:9000'")]);
        }
        return;
    };
    let store = Store { subject, driver, endpoint };
    // A loopback address in the files of another system is not this system's.
    let hidden = install::registry::out_of_reach(host, &store.endpoint).await;
    let looked = match hidden {
        Some(why) => Err(Unknown::LeftOut(why)),
        None => store.look(host).await,
    };
    match looked {
        // The settings themselves have been judged all the same.
        Err(Unknown::LeftOut(_)) => {
            let place = subject.shown(&path, setting);
            verdict.add(store.host_style_unseen().map(|finding| finding.evidence(place)));
        }
        looked => {
            let found = verdict.told(&store.endpoint.to_string(), looked);
            let place = subject.shown(&path, setting);
            verdict.add(found.flatten().map(|finding| finding.evidence(place)));
        }
    }
}

/// A store, and who uses it.
struct Store<'a> {
    subject: &'a Subject<'a>,
    driver: &'a Driver,
    endpoint: Endpoint,
}

impl Store<'_> {
    async fn look(&self, host: &Host) -> Result<Option<Finding>, Unknown> {
        let ways = match reach(host, &self.endpoint, PATH).await? {
            Reach::NoName(resolved) => return Ok(Some(self.no_name(&resolved))),
            Reach::Ways(ways) => ways,
        };
        let answered = ways.iter().find_map(|way| Some((way.address, way.response()?)));
        let Some((address, response)) = answered else {
            let Some(way) = ways.first() else { return Ok(None) };
            return self.no_answer(host, way).await.map(Some);
        };
        if let Some(finding) = self.not_a_store(response) {
            return Ok(Some(finding));
        }
        if let Some(finding) = self.refused(host).await? {
            return Ok(Some(finding));
        }
        if let Some(finding) = self.host_style(host).await? {
            return Ok(Some(finding));
        }
        self.no_bucket(host, address).await
    }

    fn error(&self, code: &'static str, message: impl Into<String>) -> Finding {
        let mut finding = self.subject.finding(Severity::Error, code, message);
        finding.subject = self.endpoint.to_string();
        match &self.subject.service {
            // The registry runs on, but its health check fails.
            Some(service) => finding.explains(Cause::Health(service.clone())),
            None => finding,
        }
    }

    fn curl(&self) -> String {
        format!("curl -ksi --max-time 10 {}", word(&self.endpoint.url(PATH)))
    }

    fn no_name(&self, resolved: &Resolved) -> Finding {
        let name = &self.endpoint.host;
        let undecided = resolved.is_undecided();
        let finding = if undecided {
            self.error(
                "store-resolver-silent",
                format!("no name server tells where the object store '{name}' is"),
            )
        } else {
            self.error(
                "store-name-unresolved",
                format!("the object store's name '{name}' does not resolve"),
            )
        };
        let finding = match resolved {
            Resolved::NotFound(words) => finding.seen("resolver", words),
            Resolved::Silent(_) | Resolved::Addresses(_) => finding,
        };
        let look = format!("getent ahosts {}", word(name));
        let finding = finding.explains(Cause::Name(name.clone()));
        if undecided {
            return finding.remedy(
                format!("Let /etc/resolv.conf name a server that answers, or enter {name} in /etc/hosts."),
                ["cat /etc/resolv.conf".to_owned(), look],
            );
        }
        finding
            .remedy(format!("Enter {name} in the DNS of this site, or in /etc/hosts here."), [look])
    }

    async fn no_answer(&self, host: &Host, way: &Way) -> Result<Finding, Unknown> {
        let finding = match &way.stage {
            Stage::Connection(failure) => self
                .error(
                    "store-unreachable",
                    "the object store cannot be reached: the registry answers 503",
                )
                .seen(format!("at {}", way.address), failure),
            Stage::Tls(failure) => {
                if self.speaks_plainly(host, way.address).await? {
                    return Ok(self.other_scheme("store-plain-http", "plain HTTP", false));
                }
                self.error("store-no-tls", "the object store does not shake hands for TLS")
                    .seen(format!("at {}", way.address), failure)
            }
            Stage::Http(failure) => self
                .error("store-silent", "the object store gives no HTTP answer")
                .seen(format!("at {}", way.address), failure),
            Stage::Answered(_) => self.error("store-silent", "the object store gives no answer"),
        };
        let socket = self.endpoint.socket();
        Ok(finding.explains(Cause::Service(socket.clone())).remedy(
            format!(
                "See whether the object store runs and listens on {socket}, and what is between."
            ),
            [self.curl()],
        ))
    }

    async fn speaks_plainly(&self, host: &Host, address: SocketAddr) -> Result<bool, Unknown> {
        let plain = Endpoint { https: false, ..self.endpoint.clone() };
        let reply = host.ask(HttpGet::new(plain.url(PATH), address)).await?;
        Ok(matches!(reply, HttpReply::Answered(response) if !is_tls_port(&response)))
    }

    fn other_scheme(&self, code: &'static str, speaks: &str, https: bool) -> Finding {
        let right = Endpoint { https, ..self.endpoint.clone() };
        let path = [self.driver.name.as_str(), "regionendpoint"];
        let message =
            format!("the object store speaks {speaks} there, and the registry something else");
        let finding = self.error(code, message);
        let finding = match self.driver.get("secure") {
            Some(secure) => {
                finding.evidence(self.subject.shown(&[&self.driver.name, "secure"], secure))
            }
            None => finding,
        };
        self.subject.write(
            finding,
            "the scheme has to be the store's",
            &path,
            &format!("'{right}'"),
        )
    }

    /// Every store answers a request without a signature with XML; a page or the registry's own
    /// words are another server's.
    fn not_a_store(&self, response: &Response) -> Option<Finding> {
        if is_tls_port(response) {
            return Some(self.other_scheme("store-speaks-tls", "TLS", true));
        }
        let what = match &response.body {
            Body::Html { title } => format!(
                "a web page{}",
                title.as_deref().map(|it| format!(" ('{it}')")).unwrap_or_default()
            ),
            _ if response.field("docker-distribution-api-version").is_some() => {
                "a registry".to_owned()
            }
            _ if response.status == 502 || response.status == 503 || response.status == 504 => {
                format!("a proxy or a store that is not ready (HTTP {})", response.status)
            }
            _ => return None,
        };
        let finding = self
            .error("not-a-store", format!("{what} answers there in place of an object store"))
            .seen("status", response.status)
            .seen("server", response.field("server").unwrap_or("not told"));
        let path = [self.driver.name.as_str(), "regionendpoint"];
        Some(self.subject.write(
            finding,
            "name the port of the store's S3 interface, not of its console",
            &path,
            "'https://STORE:9000'",
        ))
    }

    /// The registry verifies the store's certificate with what it trusts.
    async fn refused(&self, host: &Host) -> Result<Option<Finding>, Unknown> {
        if !self.endpoint.https || is_on(self.driver, "skipverify", false) {
            return Ok(None);
        }
        let package = matches!(self.subject.settings.program, Program::Gitlab(_));
        let asker = if package { Asker::PackageRegistry } else { Asker::OwnRegistry };
        let refused = refusals(host, &self.endpoint, asker).await?.into_iter().next();
        Ok(refused.map(|refusal| {
            let finding = self
                .error(
                    "store-not-trusted",
                    "the registry does not accept the object store's certificate",
                )
                .seen("the registry says", refusal.error)
                .seen("certificates", refusal.place)
                .follows(Cause::Clock);
            if package {
                return finding.remedy(
                    "Put the CA that issued it into GitLab's trusted certificates.",
                    [
                        "sudo cp CA.crt /etc/gitlab/trusted-certs/".to_owned(),
                        "sudo gitlab-ctl reconfigure".to_owned(),
                        "sudo gitlab-ctl restart registry".to_owned(),
                    ],
                );
            }
            finding.remedy(
                "Let this system trust the CA that issued it.",
                [
                    "sudo cp CA.crt /usr/local/share/ca-certificates/",
                    "sudo update-ca-certificates",
                    "sudo systemctl restart docker-registry",
                ],
            )
        }))
    }

    /// Without path style the bucket is a part of the host's name.
    async fn host_style(&self, host: &Host) -> Result<Option<Finding>, Unknown> {
        let program = self.subject.settings.program;
        let Some(bucket) =
            self.driver.text("bucket").filter(|_| !uses_path_style(program, self.driver))
        else {
            return Ok(None);
        };
        let name = format!("{bucket}.{}", self.endpoint.host);
        let resolved = host.ask(Resolve { host: name.clone() }).await?;
        if resolved.addresses().next().is_some() && !self.endpoint.is_address() {
            return Ok(None);
        }
        let message =
            format!("pathstyle is off, so the registry asks '{name}', which does not resolve");
        Ok(Some(self.take_the_path(self.error("host-style", message))))
    }

    /// The same where no name may be looked up: an address has none in front of it, and most
    /// stores of one's own have none either.
    fn host_style_unseen(&self) -> Option<Finding> {
        let told = self.driver.get("pathstyle")?;
        let bucket = self.driver.text("bucket")?;
        if uses_path_style(self.subject.settings.program, self.driver)
            || numbers::switch(&told.value) != Some(false)
        {
            return None;
        }
        let name = format!("{bucket}.{}", self.endpoint.host);
        let finding = if self.endpoint.is_address() {
            let message =
                format!("pathstyle is off, so the registry asks '{name}', which is no name");
            self.error("host-style", message)
        } else {
            let message = format!(
                "pathstyle is off, so the registry asks '{name}', which most stores of one's own \
                 do not have"
            );
            let found = self.subject.finding(Severity::Warning, "host-style", message);
            Finding { subject: self.endpoint.to_string(), ..found }
        };
        Some(self.take_the_path(finding))
    }

    fn take_the_path(&self, finding: Finding) -> Finding {
        let path = [self.driver.name.as_str(), "pathstyle"];
        let finding = match self.driver.get("pathstyle") {
            Some(set) => finding.evidence(self.subject.shown(&path, set)),
            None => finding,
        };
        let why = "stores of one's own take the bucket in the path";
        self.subject.write(finding, why, &path, "true")
    }

    /// Some stores tell anybody that a bucket is not there.
    async fn no_bucket(
        &self,
        host: &Host,
        address: SocketAddr,
    ) -> Result<Option<Finding>, Unknown> {
        let Some(bucket) = self.driver.text("bucket").filter(|it| is_bucket(it)) else {
            return Ok(None);
        };
        let url = self.endpoint.url(&format!("/{bucket}"));
        let HttpReply::Answered(response) = host.ask(HttpGet::new(url, address)).await? else {
            return Ok(None);
        };
        let missing = matches!(&response.body, Body::Text(text) if text.contains("<Code>NoSuchBucket</Code>"));
        Ok(missing.then(|| {
            let path = [self.driver.name.as_str(), "bucket"];
            let finding =
                self.error("no-such-bucket", format!("the object store has no bucket '{bucket}'"));
            let finding =
                finding.seen("the store says", format!("{} NoSuchBucket", response.status));
            self.subject.write(
                finding,
                "make the bucket in the store, or name the one that holds the images",
                &path,
                "'NAME'",
            )
        }))
    }
}

/// Whether it goes into a URL as it stands.
fn is_bucket(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.is_empty() && name.len() <= 255 && name.chars().all(plain)
}

/// What a TLS port says to plain HTTP: Go's words and nginx'.
fn is_tls_port(response: &Response) -> bool {
    response.status == 400
        && match &response.body {
            Body::Text(text) => text.contains("HTTP request to an HTTPS server"),
            Body::Html { title } => title
                .as_deref()
                .is_some_and(|it| it.contains("HTTP request was sent to HTTPS port")),
            _ => false,
        }
}
