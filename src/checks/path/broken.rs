//! What is wrong where the way to a service ends, and how to mend it: one function a stage.

use super::{Service, Spoken, stranger};
use crate::checks::reach::{Stage, Way};
use crate::checks::shell::word;
use crate::checks::{Cause, Finding};
use crate::host::network::{Failure, Resolved};

/// The name of the service's host leads nowhere.
pub(super) fn no_name(service: &dyn Service, resolved: &Resolved) -> Finding {
    let host = &service.endpoint().host;
    let finding = match resolved {
        Resolved::Silent(seconds) => service.error(
            "resolver-silent",
            format!("no name server told of '{host}' within {seconds} s"),
        ),
        resolved if resolved.is_undecided() => service.error(
            "resolver-silent",
            format!("'{host}' is not in /etc/hosts, and no name server gives an answer"),
        ),
        _ => service.error("name-unresolved", format!("'{host}' does not resolve")),
    };
    let finding = match resolved {
        Resolved::NotFound(words) => finding.seen("resolver", words),
        Resolved::Silent(_) | Resolved::Addresses(_) => finding,
    };
    let look = format!("getent ahosts {}", word(host));
    let finding = if resolved.is_undecided() {
        finding.remedy(
            format!(
                "Let /etc/resolv.conf name a server that answers, or enter {host} in /etc/hosts."
            ),
            ["cat /etc/resolv.conf".to_owned(), look],
        )
    } else {
        finding.remedy(
            format!("Enter {host} in the DNS of this site, or in /etc/hosts of every client."),
            [look],
        )
    };
    service.dead(finding).explains(Cause::Name(host.clone())).docs(service.docs())
}

/// Every way is broken; this one came farthest.
pub(super) fn broken(service: &dyn Service, way: &Way, spoken: Option<Spoken>) -> Finding {
    let finding = match &way.stage {
        Stage::Connection(failure) => unconnected(service, way, failure),
        Stage::Tls(failure) => no_tls(service, way, failure, spoken),
        Stage::Http(failure) => no_http(service, way, failure, spoken),
        Stage::Answered(response) => stranger::answers(service, response),
    };
    service.dead(finding.seen("address", way.address))
}

fn unconnected(service: &dyn Service, way: &Way, failure: &Failure) -> Finding {
    let port = service.endpoint().port;
    match failure {
        Failure::Refused => service.refused().unwrap_or_else(|| refused(service)),
        Failure::Silent(seconds) => {
            let within = if *seconds == 0 { String::new() } else { format!(" within {seconds} s") };
            let message = format!(
                "no answer from port {port}{within}: a firewall drops the packets, or the host is \
                 down"
            );
            let_through(service, service.error("silent", message))
        }
        Failure::Unreachable => {
            let message = format!(
                "port {port} cannot be reached: a firewall rejects the packets, or the host is down"
            );
            let_through(service, service.error("unreachable", message))
        }
        Failure::NoRoute => {
            let message = format!("this host has no route to {}'s address", service.words().the);
            service.error("no-route", message).remedy(
                format!("Give this host a route to {}.", way.address.ip()),
                [format!("ip route get {}", way.address.ip())],
            )
        }
        Failure::Reset | Failure::Foreign(_) => {
            let message = format!("no connection to port {port}: {failure}");
            let_through(service, service.error("broken-off", message))
        }
    }
}

fn refused(service: &dyn Service) -> Finding {
    if service.is_inner() {
        let the = service.words().the;
        let message = format!("{the} does not listen here: it is down, or has another address");
        let finding = service.start(service.error("refused", message));
        return finding.follows(Cause::Startup(service.endpoint().socket()));
    }
    let message = format!(
        "port {} refuses connections: nothing listens there, or a firewall rejects",
        service.endpoint().port
    );
    service.listen(service.error("refused", message))
}

fn let_through(service: &dyn Service, finding: Finding) -> Finding {
    let (host, port) = (&service.endpoint().host, service.endpoint().port);
    finding.remedy(
        format!("See whether {host} is up; let the firewalls on the way pass TCP port {port}."),
        [format!("ping -c 3 {}", word(host)), service.curl()],
    )
}

fn no_tls(service: &dyn Service, way: &Way, failure: &Failure, spoken: Option<Spoken>) -> Finding {
    let port = service.endpoint().port;
    if matches!(spoken, Some(Spoken::PlainService | Spoken::PlainHttp)) {
        let who = match spoken {
            Some(Spoken::PlainService) => service.words().the,
            _ => "the server",
        };
        let message = format!("{who} on port {port} speaks plain HTTP, but the URL says https");
        return service.encrypt(service.error("plain-http", message));
    }
    let finding = match failure {
        failure if failure.is_no_tls() => service
            .error("no-tls", format!("port {port} does not speak TLS, but the URL says https")),
        Failure::Silent(_) => service
            .error("tls-silent", format!("port {port} accepts connections but never shakes hands")),
        _ => service.error("tls-failed", format!("no TLS handshake on port {port}")),
    };
    finding.seen("handshake", failure).remedy(
        service.advice("find out what listens there, and why it does not talk"),
        [
            format!("sudo ss -ltnp 'sport = :{port}'"),
            format!(
                "openssl s_client -connect {} -servername {} </dev/null",
                word(&way.address.to_string()),
                word(&service.endpoint().host)
            ),
        ],
    )
}

fn no_http(service: &dyn Service, way: &Way, failure: &Failure, spoken: Option<Spoken>) -> Finding {
    if spoken == Some(Spoken::Tls) {
        return stranger::tls_port(service);
    }
    let port = way.address.port();
    let (code, message) = match failure {
        failure if failure.is_tls_broken_off() => (
            "tls-broken-off",
            format!(
                "port {port} shows a certificate, but then ends TLS: it may want one of clients"
            ),
        ),
        Failure::Silent(_) => {
            ("http-silent", format!("something listens on port {port} but gives no HTTP answer"))
        }
        _ => ("no-http", format!("something listens on port {port} but gives no HTTP answer")),
    };
    let finding = service.error(code, message).seen("seen", failure);
    let listening = format!("sudo ss -ltnp 'sport = :{}'", way.address.port());
    match service.log().filter(|_| service.is_inner()) {
        Some(log) => finding.remedy(
            format!(
                "See whether it is {} that listens there, and what its log says.",
                service.words().the
            ),
            [listening, log.to_owned()],
        ),
        None => finding
            .remedy(service.advice("find out what listens there"), [listening, service.curl()]),
    }
}
