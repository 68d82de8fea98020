//! Is the registry's debug server healthy, and does nobody else reach it?

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::examined::describe;
use super::keeper::{Keeper, quoted};
use crate::checks::reach::{Reach, Way, reach};
use crate::checks::{Cause, Finding, Severity, Stop, Verdict, check, docs};
use crate::host::network::{Body, Connect, Connected, HttpGet, HttpReply, Resolve, Response};
use crate::host::version::RegistryVersion;
use crate::host::{Host, Unknown};
use crate::install::registry::Config;
use crate::install::{self, Endpoint, Source, Sourced};
use crate::parse::setting::Scalar;

check! {
    /// The registry's debug server reports health, and only to this host.
    ///
    /// ## Why it matters
    ///
    /// The debug server knows why the registry is unhealthy: while it reports a failing component,
    /// the registry answers every request with 503. It also hands out profiles of the registry's
    /// memory and the headers of its notification endpoints, secrets included, to whoever can
    /// reach its port. It knows no password.
    ///
    /// ## What is looked at
    ///
    /// `http.debug.addr` in the registry's configuration, one `GET /debug/health` at that address,
    /// and one at the address under which users reach the registry. From another computer (with
    /// `--registry-url`) the documented port 5001 is tried there. Nothing else is ever fetched.
    ///
    /// ## How to fix it
    ///
    /// Set `registry['debug_addr'] = "localhost:5001"` in `/etc/gitlab/gitlab.rb` and run
    /// `gitlab-ctl reconfigure`. Mend the component that the report names, usually the storage.
    "registry/debug-server": "the debug server is healthy and private"
}

const HEALTH: &str = "/debug/health";

/// The port that the documentation gives the debug server.
const DOCUMENTED_PORT: u16 = 5001;

/// As much of an error text as a report needs, and as many of them.
const MAX_TEXT: usize = 300;
const MAX_COMPONENTS: usize = 10;

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let config = install::registry::config(host).await?;
    let Some(address) = install::registry::debug_address(host).await? else {
        return from_another_computer(host, config.is_none()).await;
    };
    let debug = Debug { address, keeper: Keeper::of(host).await, registry: registry(host).await };
    let Some(listening) = Endpoint::listening(&debug.address.value) else {
        return Ok(Verdict { findings: vec![debug.unreadable()], ..Verdict::default() });
    };
    let mut verdict = Verdict::default();
    let version = verdict.told("version of the registry", host.ask(RegistryVersion).await);
    let profiles = profiles(config.as_ref(), version.flatten().as_deref());
    let private = verdict.told("who can reach it", is_private(host, &listening.host).await);
    if private == Some(false) {
        verdict.add([debug.bound_widely(&listening.host, profiles)]);
    }
    let near = Endpoint {
        host: install::registry::reachable_from_here(&listening.host),
        https: config.as_ref().is_some_and(speaks_tls),
        ..listening.clone()
    };
    match reach(host, &near, HEALTH).await {
        // What the file says is judged all the same; if that is fine, nothing has been seen of
        // the server itself, so the check does not pass.
        Err(Unknown::LeftOut(why)) if verdict.findings.is_empty() => {
            return Err(Stop::NotApplicable(why));
        }
        health => {
            let reached = verdict.told("health report", health);
            verdict.add(reached.and_then(|reached| debug.unhealthy(&near, &reached)));
        }
    }
    // Listening on every interface has been told already, with the same mend.
    if private != Some(false) {
        let outside = reached_from_outside(host, near.https, listening.port).await;
        let outside = verdict.told("the port seen from outside", outside).flatten();
        verdict.add(outside.map(|(url, address)| debug.reachable(url, address)));
    }
    Ok(verdict)
}

/// The registry's own address as `host:port`, which this server speaks for.
async fn registry(host: &Host) -> Option<String> {
    let internal = install::registry::internal(host).await.ok().flatten();
    internal.map(|endpoint| endpoint.value.socket())
}

/// Without a registry here nothing is known of its debug server, but a public one is seen.
async fn from_another_computer(host: &Host, is_elsewhere: bool) -> Result<Verdict, Stop> {
    let here = "no debug server is configured";
    let external = install::registry::external(host).await?;
    let Some(external) = external.filter(|it| is_elsewhere && matches!(it.source, Source::Flag(_)))
    else {
        return Err(Stop::not_applicable(here));
    };
    let socket = Endpoint { port: DOCUMENTED_PORT, ..external.value.clone() }.socket();
    match reached_from_outside(host, false, DOCUMENTED_PORT).await? {
        Some((url, address)) => {
            let address_text = Sourced { value: socket, source: external.source };
            let debug = Debug { address: address_text, keeper: Keeper::Elsewhere, registry: None };
            Ok(Verdict { findings: vec![debug.reachable(url, address)], ..Verdict::default() })
        }
        None => Err(Stop::NotApplicable(format!("{here} here, and none answers at {socket}"))),
    }
}

/// Whether only this host can connect to what listens on `host`.
async fn is_private(host: &Host, listening: &str) -> Result<bool, Unknown> {
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    if let Ok(address) = listening.parse() {
        return Ok(is_loopback(address));
    }
    match listening {
        "localhost" => Ok(true),
        "" | "*" => Ok(false),
        name => {
            // A name that leads nowhere is told where the server is asked for its health.
            let resolved = host.ask(Resolve { host: name.to_owned() }).await?;
            Ok(resolved.addresses().all(is_loopback))
        }
    }
}

/// Whether the debug server hands out profiles of the registry's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Profiles {
    Shown,
    Hidden,
    /// The version is not known.
    Perhaps,
}

/// Distribution shows them always, GitLab's registry from 4.0 on only if it is told to.
fn profiles(config: Option<&Config>, version: Option<&str>) -> Profiles {
    let major = |version: &str| version.trim_start_matches('v').split('.').next()?.parse().ok();
    match (config, version.and_then(major)) {
        (Some(config), _) if !config.generated => Profiles::Shown,
        (_, Some(0..4)) => Profiles::Shown,
        (Some(config), Some(_)) => {
            let told = config.yml.http.debug_pprof_enabled.as_ref();
            let shown = told.and_then(|it| it.value.as_bool()) == Some(true);
            if shown { Profiles::Shown } else { Profiles::Hidden }
        }
        (None, Some(4_u32..)) => Profiles::Hidden,
        (_, None) => Profiles::Perhaps,
    }
}

fn speaks_tls(config: &Config) -> bool {
    let told = config.yml.http.debug_tls_enabled.as_ref();
    told.map(|it| &it.value).and_then(Scalar::as_bool) == Some(true)
}

/// What a debug server says of its registry.
#[derive(Debug, PartialEq, Eq)]
enum Health<'a> {
    Good,
    /// Each failing component with the error that the registry got.
    Failing(Vec<(&'a str, &'a str)>),
}

/// `None` if this is no answer of a debug server: it says `{}`, or 503 with a text for each
/// failing component.
fn health(response: &Response) -> Option<Health<'_>> {
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

/// Whether the debug port answers at the address that users know, as a published container port
/// or a forwarding rule makes it: the URL and the address.
async fn reached_from_outside(
    host: &Host,
    https: bool,
    port: u16,
) -> Result<Option<(String, SocketAddr)>, Unknown> {
    let Some(external) = install::registry::external(host).await? else { return Ok(None) };
    let host_name = external.value.host;
    let resolved = host.ask(Resolve { host: host_name.clone() }).await?;
    let url = Endpoint { https, host: host_name, port, path: String::new() }.url(HEALTH);
    let addresses: Vec<_> =
        resolved.addresses().filter(|address| !address.to_canonical().is_loopback()).collect();
    let looks = addresses.into_iter().map(async |address| {
        let address = SocketAddr::new(address, port);
        if host.ask(Connect { address }).await? != Connected::Accepted {
            return Ok(None);
        }
        Ok(match host.ask(HttpGet::new(&url, address)).await? {
            HttpReply::Answered(response) => health(&response).map(|_| address),
            HttpReply::Failed(_) => None,
        })
    });
    let found = futures::future::try_join_all(looks).await?.into_iter().flatten().next();
    Ok(found.map(|address| (url, address)))
}

/// A debug server, as its findings need it.
struct Debug {
    /// Where it listens, as written.
    address: Sourced<String>,
    keeper: Keeper,
    /// The registry that it speaks for, as `host:port`.
    registry: Option<String>,
}

impl Debug {
    fn placed(&self, finding: Finding) -> Finding {
        finding.evidence(self.address.evidence("http.debug.addr")).docs(docs::REGISTRY_DEBUG)
    }

    /// What to write, and how to put it into effect.
    fn rewritten(&self, finding: Finding, why: &str) -> Finding {
        self.keeper.configure(
            finding,
            why,
            "registry['debug_addr'] = \"localhost:5001\"",
            "http.debug.addr: localhost:5001",
        )
    }

    fn unreadable(&self) -> Finding {
        let written = &self.address.value;
        let message = format!("'{written}' is no listening address: the registry does not start");
        let finding = self.placed(Finding::error("address-unreadable", written, message));
        self.rewritten(finding, "give the debug server an address and a port")
    }

    /// Listening on more than loopback hands profiles, and secrets, to the network.
    fn bound_widely(&self, host: &str, profiles: Profiles) -> Finding {
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

    fn unhealthy(&self, near: &Endpoint, reached: &Reach) -> Option<Finding> {
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
            [format!("curl -ks {}", quoted(&near.url(HEALTH))), self.keeper.log().to_owned()],
        )
    }

    fn reachable(&self, url: String, address: SocketAddr) -> Finding {
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

    use super::super::answers::tests::response;
    use super::*;
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

    fn config(generated: bool, pprof: &str) -> Config {
        let yml =
            format!("http: {{debug: {{addr: 'localhost:5001', pprof: {{enabled: {pprof}}}}}}}");
        let yml = crate::parse::registry_yml::read(yml.as_bytes()).unwrap();
        Config { path: "/config.yml".into(), yml, generated }
    }

    #[test]
    fn profiles_depend_on_the_version_and_on_the_setting() {
        let of = |config: &Config, version| profiles(Some(config), version);
        let (package, own) = (config(true, "false"), config(false, "false"));
        assert_eq!(of(&package, Some("v3.92.0-gitlab")), Profiles::Shown);
        assert_eq!(of(&package, Some("v4.19.0-gitlab")), Profiles::Hidden);
        assert_eq!(of(&config(true, "true"), Some("v4.19.0-gitlab")), Profiles::Shown);
        assert_eq!(of(&package, None), Profiles::Perhaps);
        assert_eq!(of(&own, None), Profiles::Shown);
        assert_eq!(profiles(None, None), Profiles::Perhaps);
        assert_eq!(debug().bound_widely("", Profiles::Shown).severity, Severity::Error);
        assert_eq!(debug().bound_widely("", Profiles::Hidden).severity, Severity::Warning);
    }

    #[tokio::test]
    async fn only_loopback_is_private() {
        let nobody = Host::recorded(<_>::default());
        for private in ["localhost", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(is_private(&nobody, private).await, Ok(true), "{private}");
        }
        for public in ["", "*", "0.0.0.0", "::", "10.0.0.5"] {
            assert_eq!(is_private(&nobody, public).await, Ok(false), "{public}");
        }
        assert!(is_private(&nobody, "registry.test").await.is_err());
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
