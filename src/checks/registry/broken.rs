//! What is wrong where the way to the registry ends, and how to mend it: one function a stage.

use super::answers::{Answerer, VERSION_HEADER};
use super::examined::{Examined, PATH, Side};
use super::keeper::Keeper;
use crate::checks::reach::{Stage, Way};
use crate::checks::shell::word;
use crate::checks::{Cause, Evidence, Finding, docs};
use crate::host::network::{Body, Failure, Resolved, Response};
use crate::install::Endpoint;

/// What a server speaks that does not speak what the URL says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    /// HTTP without TLS, and a registry answers.
    PlainRegistry,
    /// HTTP without TLS.
    PlainHttp,
    /// TLS.
    Tls,
}

/// The name of the registry's host leads nowhere.
pub(super) fn no_name(examined: &Examined, resolved: &Resolved) -> Finding {
    let host = &examined.endpoint.host;
    let finding = match resolved {
        Resolved::Silent(seconds) => examined.error(
            "resolver-silent",
            format!("no name server told of '{host}' within {seconds} s"),
        ),
        resolved if resolved.is_undecided() => examined.error(
            "resolver-silent",
            format!("'{host}' is not in /etc/hosts, and no name server gives an answer"),
        ),
        _ => examined.error("name-unresolved", format!("'{host}' does not resolve")),
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
    examined.dead(finding).explains(Cause::Name(host.clone())).docs(docs::REGISTRY)
}

/// Every way is broken; this one came farthest.
pub(super) fn broken(examined: &Examined, way: &Way, spoken: Option<Spoken>) -> Finding {
    let finding = match &way.stage {
        Stage::Connection(failure) => unconnected(examined, way, failure),
        Stage::Tls(failure) => no_tls(examined, way, failure, spoken),
        Stage::Http(failure) => no_http(examined, way, failure, spoken),
        Stage::Answered(response) => strange(examined, response),
    };
    examined.dead(finding.seen("address", way.address))
}

fn unconnected(examined: &Examined, way: &Way, failure: &Failure) -> Finding {
    let port = examined.endpoint.port;
    let internal = examined.side == Side::Internal;
    match failure {
        Failure::Refused if internal => {
            let message = "the registry does not listen here: it is down, or has another address";
            let finding = examined.keeper.start(examined.error("refused", message));
            finding.follows(Cause::Startup(examined.endpoint.socket()))
        }
        Failure::Refused => nobody_listens(examined, port),
        Failure::Silent(seconds) => {
            let within = if *seconds == 0 { String::new() } else { format!(" within {seconds} s") };
            let message = format!(
                "no answer from port {port}{within}: a firewall drops the packets, or the host is \
                 down"
            );
            let_through(examined, examined.error("silent", message))
        }
        Failure::Unreachable => {
            let message = format!(
                "port {port} cannot be reached: a firewall rejects the packets, or the host is down"
            );
            let_through(examined, examined.error("unreachable", message))
        }
        Failure::NoRoute => {
            examined.error("no-route", "this host has no route to the registry's address").remedy(
                format!("Give this host a route to {}.", way.address.ip()),
                [format!("ip route get {}", way.address.ip())],
            )
        }
        Failure::Reset | Failure::Foreign(_) => {
            let message = format!("no connection to port {port}: {failure}");
            let_through(examined, examined.error("broken-off", message))
        }
    }
}

fn nobody_listens(examined: &Examined, port: u16) -> Finding {
    let finding = examined.error(
        "refused",
        format!("port {port} refuses connections: nothing listens there, or a firewall rejects"),
    );
    let listening = format!("sudo ss -ltnp 'sport = :{port}'");
    match examined.keeper {
        Keeper::Package => finding.remedy(
            format!("Start nginx; if it runs, let it listen on port {port}."),
            ["sudo gitlab-ctl status nginx", &listening, "sudo gitlab-ctl reconfigure"],
        ),
        Keeper::Systemd => finding.remedy(
            format!("Let the registry, or the proxy in front of it, listen on port {port}."),
            [&listening, "systemctl status docker-registry"],
        ),
        Keeper::Elsewhere => finding.remedy(
            examined.keeper.advice("see whether nginx runs and listens on this port"),
            ["sudo gitlab-ctl status nginx", &listening],
        ),
    }
}

fn let_through(examined: &Examined, finding: Finding) -> Finding {
    let (host, port) = (&examined.endpoint.host, examined.endpoint.port);
    finding.remedy(
        format!("See whether {host} is up; let the firewalls on the way pass TCP port {port}."),
        [format!("ping -c 3 {}", word(host)), examined.curl()],
    )
}

fn no_tls(examined: &Examined, way: &Way, failure: &Failure, spoken: Option<Spoken>) -> Finding {
    let port = examined.endpoint.port;
    if matches!(spoken, Some(Spoken::PlainRegistry | Spoken::PlainHttp)) {
        return plain(examined, spoken == Some(Spoken::PlainRegistry));
    }
    let finding = match failure {
        failure if failure.is_no_tls() => examined
            .error("no-tls", format!("port {port} does not speak TLS, but the URL says https")),
        Failure::Silent(_) => examined
            .error("tls-silent", format!("port {port} accepts connections but never shakes hands")),
        _ => examined.error("tls-failed", format!("no TLS handshake on port {port}")),
    };
    finding.seen("handshake", failure).remedy(
        examined.keeper.advice("find out what listens there, and why it does not talk"),
        [
            format!("sudo ss -ltnp 'sport = :{port}'"),
            format!(
                "openssl s_client -connect {} -servername {} </dev/null",
                word(&way.address.to_string()),
                word(&examined.endpoint.host)
            ),
        ],
    )
}

fn plain(examined: &Examined, is_registry: bool) -> Finding {
    let who = if is_registry { "the registry" } else { "the server" };
    let port = examined.endpoint.port;
    let message = format!("{who} on port {port} speaks plain HTTP, but the URL says https");
    let finding = examined.error("plain-http", message);
    match examined.keeper {
        Keeper::Systemd => finding.remedy(
            "Put a proxy with TLS in front of the registry, or give it http.tls.certificate and \
             http.tls.key, and restart it.",
            ["sudoedit /etc/docker/registry/config.yml", "sudo systemctl restart docker-registry"],
        ),
        keeper => finding.remedy(
            keeper.advice(
                "let registry_external_url name the port that nginx serves with TLS (it is not \
                 the registry's own), and reconfigure",
            ),
            ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
        ),
    }
}

fn no_http(examined: &Examined, way: &Way, failure: &Failure, spoken: Option<Spoken>) -> Finding {
    if spoken == Some(Spoken::Tls) {
        return tls_port(examined);
    }
    let code = if matches!(failure, Failure::Silent(_)) { "http-silent" } else { "no-http" };
    let message =
        format!("something listens on port {} but gives no HTTP answer", way.address.port());
    let finding = examined.error(code, message).seen("seen", failure);
    match (&examined.side, examined.keeper) {
        (Side::Internal, keeper @ (Keeper::Package | Keeper::Systemd)) => finding.remedy(
            "See whether it is the registry that listens there, and what its log says.",
            [format!("sudo ss -ltnp 'sport = :{}'", way.address.port()), keeper.log().to_owned()],
        ),
        _ => finding.remedy(
            examined.keeper.advice("find out what listens there"),
            [format!("sudo ss -ltnp 'sport = :{}'", way.address.port()), examined.curl()],
        ),
    }
}

fn tls_port(examined: &Examined) -> Finding {
    let finding = examined.error("http-to-tls-port", "this port speaks TLS, but the URL says http");
    let right = Endpoint { https: true, ..examined.endpoint.clone() }.to_string();
    examined.rewritten(finding, &right, Some(&right))
}

/// An answer, but not of a registry that works.
fn strange(examined: &Examined, response: &Response) -> Finding {
    let status = response.status;
    let answerer = Answerer::of(response);
    let finding = match &answerer {
        Answerer::UnhealthyRegistry => unhealthy(examined),
        Answerer::RegistryError(status, code) => {
            refused_by_registry(examined, *status, code.as_deref())
        }
        Answerer::Proxy(status) => proxy(examined, *status),
        Answerer::Gitlab => gitlab(examined),
        Answerer::TlsPort => tls_port(examined),
        Answerer::Redirect(location) => redirect(examined, status, location),
        Answerer::OtherChallenge(challenge) => examined
            .error(
                "foreign-challenge",
                "something in front of the registry asks for a login of its own",
            )
            .seen("WWW-Authenticate", challenge)
            .remedy(
                "Let the proxy in front guard /v2/ with nothing but the registry's own login.",
                [examined.curl()],
            ),
        Answerer::NoChallenge => examined
            .error(
                "challenge-lost",
                "answers 401 without the header WWW-Authenticate: clients cannot log in",
            )
            .remedy(
                "Let the proxy in front pass WWW-Authenticate and Docker-Distribution-Api-Version.",
                [examined.curl()],
            ),
        Answerer::Registry | Answerer::Other => other(examined, response),
    };
    signs(response).into_iter().fold(finding, Finding::evidence)
}

fn unhealthy(examined: &Examined) -> Finding {
    let finding = examined.error(
        "unhealthy",
        "the registry answers 503: its own health check fails, so it refuses everything",
    );
    let keeper = examined.keeper;
    examined.because_of_registry(finding.remedy(
        keeper.advice(
            "mend what the registry needs, usually its storage: its debug server and its log name it",
        ),
        [keeper.log()],
    ))
}

fn refused_by_registry(examined: &Examined, status: u16, code: Option<&str>) -> Finding {
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    let message = format!("the registry answers {status}{code} on {PATH}");
    let finding = examined.error("registry-error", message);
    if status == 404 {
        return finding.remedy(
            format!(
                "Look for http.prefix in the registry's config.yml: clients ask for {PATH} only."
            ),
            [examined.curl()],
        );
    }
    finding.remedy(
        examined.keeper.advice("look for the reason in the registry's log"),
        [examined.keeper.log()],
    )
}

fn proxy(examined: &Examined, status: u16) -> Finding {
    let what = match status {
        502 => "the web server in front answers 502: it reaches no registry behind it",
        504 => {
            "the web server in front answers 504: the registry behind it does not answer in time"
        }
        _ => "a web server in front answers 503 in place of the registry",
    };
    let finding = examined.error("registry-down", what);
    examined.because_of_registry(examined.keeper.start(finding))
}

fn gitlab(examined: &Examined) -> Finding {
    let finding =
        examined.error("gitlab-answers", "GitLab's web pages answer here in place of the registry");
    examined.rewritten(finding, "a port or a name that GitLab itself does not use", None)
}

fn redirect(examined: &Examined, status: u16, location: &str) -> Finding {
    let url = examined.endpoint.url(PATH);
    let target = location.split(['?', '#']).next().unwrap_or_default();
    let message = format!("answers {status} and sends clients to {}", cut(location));
    if target == url || target == PATH {
        return examined
            .error("redirect-loop", format!("{message}, which is this address again"))
            .remedy(
                "Take the redirect out of the server in front, or let it lead to the registry.",
                [examined.curl()],
            );
    }
    match target.strip_suffix(PATH) {
        // Clients follow it, and perhaps find the registry. Nobody named that address, so it is
        // not looked at.
        Some(right) if right.starts_with("http") => {
            let finding = examined.warning("redirected", message);
            examined.rewritten(finding, &cut(right), Some(&cut(right)))
        }
        _ => {
            let finding = examined.error("redirected", format!("{message}, as no registry does"));
            examined.rewritten(finding, "that of the registry itself", None)
        }
    }
}

fn other(examined: &Examined, response: &Response) -> Finding {
    let what = match &response.body {
        Body::Html { .. } => "a web page",
        _ => "an answer",
    };
    let status = response.status;
    let message = format!("{what} comes back with status {status}, but not from a registry");
    let finding = examined.error("not-a-registry", message);
    let advice = examined.keeper.advice("see which server answers for this name and port");
    let listening = format!("sudo ss -ltnp 'sport = :{}'", examined.endpoint.port);
    match examined.keeper {
        Keeper::Package => finding.remedy(
            advice,
            [
                listening,
                "sudo grep -rnE 'listen |server_name ' /var/opt/gitlab/nginx/conf".to_owned(),
                examined.curl(),
            ],
        ),
        Keeper::Systemd | Keeper::Elsewhere => finding.remedy(advice, [listening, examined.curl()]),
    }
}

/// By what the answerer was known.
fn signs(response: &Response) -> Vec<Evidence> {
    let fields = ["server", "via", "content-type"].into_iter();
    let present = fields.filter_map(|name| Some(Evidence::new(name, cut(response.field(name)?))));
    let version = response.field(VERSION_HEADER).unwrap_or("missing");
    let mut signs = vec![
        Evidence::new("status", response.status),
        Evidence::new("Docker-Distribution-Api-Version", cut(version)),
    ];
    signs.extend(present);
    signs.extend(match &response.body {
        Body::Html { title: Some(title) } => Some(Evidence::new("page title", cut(title))),
        Body::Text(text) => text.lines().next().map(|line| Evidence::new("body", cut(line))),
        Body::TooLarge => Some(Evidence::new("body", "longer than any answer of a registry")),
        Body::Binary => Some(Evidence::new("body", "not a text")),
        Body::Unfinished => Some(Evidence::new("body", "breaks off, or never ends")),
        _ => None,
    });
    signs
}

/// As much of a foreign text as a report needs.
fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}
