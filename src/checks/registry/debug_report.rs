//! What a debug server says, and what is wrong with it.

use std::net::SocketAddr;

use serde_json::Value;

use super::keeper::Keeper;
use crate::checks::path::{describe, sign};
use crate::checks::reach::{Reach, Way};
use crate::checks::shell::word;
use crate::checks::{Cause, Evidence, Finding, Severity, docs};
use crate::host::network::{Body, Response};
use crate::install::{Endpoint, Source, Sourced};

/// Where it reports health. Nothing else is ever asked of it.
pub(super) const HEALTH: &str = "/debug/health";

/// As much of an error text as a report needs, and as many of them.
const MAX_TEXT: usize = 300;
const MAX_COMPONENTS: usize = 10;

/// Whether the debug server hands out profiles of the registry's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profiles {
    Shown,
    Hidden,
    /// The version is not known.
    Perhaps,
}

/// What a debug server says of its registry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Health<'a> {
    Good,
    /// Each failing component with the error that the registry got.
    Failing(Vec<(&'a str, &'a str)>),
}

/// `None` if this is no answer of a debug server: it says `{}`, or 503 with a text for each
/// failing component.
pub(super) fn health(response: &Response) -> Option<Health<'_>> {
    let Body::Json(Value::Object(report)) = &response.body else { return None };
    match response.status {
        200 if report.is_empty() => Some(Health::Good),
        503 if !report.is_empty() => {
            let texts = report.iter().map(|(name, text)| Some((name.as_str(), text.as_str()?)));
            texts.collect::<Option<_>>().map(Health::Failing)
        }
        _ => None,
    }
}

/// A debug server, as its findings need it.
pub(super) struct Debug {
    /// Where it listens, as written.
    pub(super) address: Sourced<String>,
    /// Which commands mend it.
    pub(super) keeper: Keeper,
    /// The registry that it speaks for, as `host:port`.
    pub(super) registry: Option<String>,
}

impl Debug {
    fn placed(&self, finding: Finding) -> Finding {
        finding.evidence(self.address.evidence("http.debug.addr")).docs(docs::REGISTRY_DEBUG)
    }

    /// What to write, and how to put it into effect.
    fn rewritten(&self, finding: Finding, why: &str) -> Finding {
        // What stands in the environment outranks both files.
        if let Some(variable) = self.variable() {
            let change = format!(
                "{why}: change {variable} in registry['env'] in /etc/gitlab/gitlab.rb, which \
                 outranks registry['debug_addr'], and reconfigure"
            );
            return finding.remedy(
                self.keeper.advice(&change),
                ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
            );
        }
        self.keeper.configure(
            finding,
            why,
            "registry['debug_addr'] = \"localhost:5001\"",
            "http.debug.addr: localhost:5001",
        )
    }

    /// The environment variable that gives the address, if one does.
    fn variable(&self) -> Option<&str> {
        self.address.source.variable()
    }

    pub(super) fn unreadable(&self) -> Finding {
        let written = &self.address.value;
        let message = format!("'{written}' is no listening address: the registry does not start");
        let finding = self.placed(Finding::error("address-unreadable", written, message));
        self.rewritten(finding, "give the debug server an address and a port")
    }

    /// The registry itself has the port.
    pub(super) fn address_taken(&self, registry: &Sourced<String>) -> Finding {
        let written = &self.address.value;
        let message = "the debug server is to listen where the registry itself does: the registry \
                       does not start";
        let finding = self
            .placed(Finding::error("address-taken", written, message))
            .evidence(registry.evidence("http.addr"));
        let words = format!("listen tcp {}: bind: address already in use", registry.value);
        let finding = finding.seen("the registry says", words);
        let finding = match &self.registry {
            Some(socket) => finding.explains(Cause::Startup(socket.clone())),
            None => finding,
        };
        self.rewritten(finding, "give the debug server a port of its own")
    }

    /// Listening on more than loopback hands profiles, and secrets, to the network.
    pub(super) fn bound_widely(&self, host: &str, profiles: Profiles) -> Finding {
        let interface = match host {
            "" | "0.0.0.0" | "::" | "*" => "every interface".to_owned(),
            host => format!("{host}, which is not loopback"),
        };
        let (severity, leak) = match profiles {
            Profiles::Shown => (Severity::Error, "profiles of its memory, and secrets in them"),
            Profiles::Hidden => (Severity::Warning, "the registry's inner state"),
            Profiles::Perhaps => (
                Severity::Warning,
                "the registry's inner state, and before registry 4.0 profiles of its memory",
            ),
        };
        let message =
            format!("the debug server listens on {interface}: who reaches it can read {leak}");
        let finding = Finding::new(severity, "bound-widely", &self.address.value, message);
        self.rewritten(self.placed(finding), "let it listen on loopback only")
    }

    pub(super) fn unhealthy(&self, near: &Endpoint, reached: &Reach) -> Option<Finding> {
        let ways = match reached {
            Reach::Ways(ways) => ways,
            Reach::NoName(_) => {
                return Some(self.silent(near, &[], "its name does not resolve"));
            }
        };
        // `localhost` has two addresses and the server listens on one of them.
        let responses: Vec<_> = ways.iter().filter_map(Way::response).collect();
        let reports: Vec<_> = responses.iter().filter_map(|response| health(response)).collect();
        if reports.contains(&Health::Good) {
            return None;
        }
        match (reports.into_iter().next(), responses.first()) {
            (Some(Health::Failing(components)), _) => Some(self.components(near, &components)),
            (_, Some(response)) => Some(self.foreign(near, response)),
            (_, None) => Some(self.silent(near, ways, "it is configured")),
        }
    }

    fn silent(&self, near: &Endpoint, ways: &[Way], why: &str) -> Finding {
        let message = format!("the debug server does not answer, although {why}");
        let message = if ways.is_empty() {
            format!("the debug server does not answer: {why}")
        } else {
            message
        };
        let finding = self
            .placed(Finding::warning("not-answering", near.url(HEALTH), message))
            .explains(Cause::Service(near.socket()));
        let finding = ways.iter().fold(finding, |finding, way| {
            finding.seen(format!("at {}", way.address), describe(&way.stage))
        });
        let finding = match &self.registry {
            Some(registry) => finding.follows(Cause::Backend(registry.clone())),
            None => finding,
        };
        self.keeper.restart(finding)
    }

    fn foreign(&self, near: &Endpoint, response: &Response) -> Finding {
        let message = "something else answers here, so the debug server cannot listen";
        let finding = self
            .placed(Finding::warning("not-a-debug-server", near.url(HEALTH), message))
            .seen("status", response.status);
        let fields = ["server", "content-type"].into_iter();
        let finding = fields.fold(finding, |finding, name| match response.field(name) {
            Some(value) => finding.seen(name, value.chars().take(120).collect::<String>()),
            None => finding,
        });
        let known_by = sign(response).map(|sign| Evidence::new("known by", sign));
        let finding = known_by.into_iter().fold(finding, Finding::evidence);
        finding.remedy(
            "Find out what listens there, and give the debug server a port of its own.",
            [format!("sudo ss -ltnp 'sport = :{}'", near.port)],
        )
    }

    /// The registry names each failing component with the error that it got.
    fn components(&self, near: &Endpoint, components: &[(&str, &str)]) -> Finding {
        let names: Vec<_> =
            components.iter().take(MAX_COMPONENTS).map(|(name, _)| shortened(name)).collect();
        let message =
            format!("the registry refuses every request: {} is unhealthy", names.join(", "));
        let finding = self
            .placed(Finding::error("unhealthy", near.url(HEALTH), message))
            .explains(Cause::Service(near.socket()));
        let finding = match &self.registry {
            Some(registry) => finding.explains(Cause::Health(registry.clone())),
            None => finding,
        };
        let shown = components.iter().take(MAX_COMPONENTS);
        let finding = shown
            .fold(finding, |finding, (name, text)| finding.seen(shortened(name), shortened(text)));
        finding.remedy(
            "Mend what is named; the registry notices within seconds, without a restart.",
            [format!("curl -ks {}", word(&near.url(HEALTH))), self.keeper.log().to_owned()],
        )
    }

    pub(super) fn reachable(&self, url: String, address: SocketAddr) -> Finding {
        let message = "the debug server answers at the address that users know: it tells them the \
                       registry's inner state, secrets included";
        let finding = Finding::error("reachable-from-outside", url, message)
            .docs(docs::REGISTRY_DEBUG)
            .seen("address", address);
        match self.address.source {
            Source::Flag(_) => self.rewritten(finding, "let it listen on loopback only"),
            _ => finding.evidence(self.address.evidence("http.debug.addr")).remedy(
                format!(
                    "It listens on loopback only, so something forwards port {} to it: take that \
                     away.",
                    address.port()
                ),
                [
                    format!("sudo ss -ltnp 'sport = :{}'", address.port()),
                    "sudo iptables -t nat -S".to_owned(),
                ],
            ),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::path::tests::response;
    use crate::checks::reach::Stage;
    use crate::host::network::Failure;

    fn debug() -> Debug {
        let path = "/var/opt/gitlab/registry/config.yml";
        Debug {
            address: Sourced::file("localhost:5001".to_owned(), path, Some(20)),
            keeper: Keeper::Package,
            registry: Some("127.0.0.1:5000".to_owned()),
        }
    }

    fn near() -> Endpoint {
        Endpoint::listening("localhost:5001").unwrap()
    }

    fn way(address: &str, stage: Stage) -> Way {
        Way { address: address.parse().unwrap(), stage }
    }

    fn answered(status: u16, body: Body) -> Stage {
        Stage::Answered(response(status, &[], body))
    }

    fn code(ways: Vec<Way>) -> Option<&'static str> {
        debug().unhealthy(&near(), &Reach::Ways(ways)).map(|finding| finding.code)
    }

    fn code_of(status: u16, body: Body) -> Option<&'static str> {
        code(vec![way("127.0.0.1:5001", answered(status, body))])
    }

    #[test]
    fn a_leak_of_profiles_is_an_error() {
        let severity = |profiles| debug().bound_widely("", profiles).severity;
        assert_eq!(severity(Profiles::Shown), Severity::Error);
        assert_eq!(severity(Profiles::Hidden), Severity::Warning);
        assert_eq!(severity(Profiles::Perhaps), Severity::Warning);
    }

    #[test]
    fn health_is_an_empty_report() {
        assert_eq!(code_of(200, Body::Json(json!({}))), None);
        let failing = json!({ "storagedriver_s3": "NoSuchBucket" });
        assert_eq!(code_of(503, Body::Json(failing.clone())), Some("unhealthy"));
        // Others have health reports, too.
        assert_eq!(code_of(200, Body::Json(failing)), Some("not-a-debug-server"));
        let other = json!({ "errors": [{ "code": "UNAVAILABLE" }] });
        assert_eq!(code_of(503, Body::Json(other)), Some("not-a-debug-server"));
        assert_eq!(code_of(404, Body::Text("404".into())), Some("not-a-debug-server"));
        assert_eq!(code_of(200, Body::Html { title: None }), Some("not-a-debug-server"));
    }

    #[test]
    fn one_of_two_addresses_of_localhost_is_enough() {
        let refused = || way("[::1]:5001", Stage::Connection(Failure::Refused));
        let good = || way("127.0.0.1:5001", answered(200, Body::Json(json!({}))));
        assert_eq!(code(vec![good(), refused()]), None);
        let other = || way("[::1]:5001", answered(404, Body::Empty));
        assert_eq!(code(vec![other(), good()]), None);
        assert_eq!(code(vec![refused()]), Some("not-answering"));
    }

    #[test]
    fn an_unhealthy_component_explains_what_the_registry_answers() {
        let failing = Body::Json(json!({ "storagedriver_filesystem": "permission denied" }));
        let ways = vec![way("127.0.0.1:5001", answered(503, failing))];
        let finding = debug().unhealthy(&near(), &Reach::Ways(ways)).unwrap();
        assert!(finding.explains.contains(&Cause::Health("127.0.0.1:5000".to_owned())));
        assert_eq!(finding.evidence[1].value, "permission denied");
    }
}
