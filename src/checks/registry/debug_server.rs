//! Is the registry's debug server healthy, and does nobody else reach it?

use std::net::{IpAddr, SocketAddr};

use crate::checks::reach::{Reach, Stage, Way, reach};
use crate::checks::{Cause, Finding, Severity, Stop, Verdict, check, docs};
use crate::host::network::{Body, Connect, Connected, HttpGet, HttpReply, Resolve, Response};
use crate::host::version::RegistryVersion;
use crate::host::{Host, Unknown};
use crate::install::{self, Endpoint, Sourced};

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
    /// and whether the same port accepts connections at the address under which users reach the
    /// registry. Nothing else is ever fetched from it.
    ///
    /// ## How to fix it
    ///
    /// Set `registry['debug_addr'] = "localhost:5001"` in `/etc/gitlab/gitlab.rb` and run
    /// `gitlab-ctl reconfigure`. Mend the component that the report names, usually the storage.
    "registry/debug-server": "the debug server is healthy and private"
}

const HEALTH: &str = "/debug/health";

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let Some(address) = install::registry::debug_address(host).await? else {
        return Err(Stop::not_applicable("no debug server is configured"));
    };
    let Some(listening) = Endpoint::listening(&address.value) else {
        return Ok(Verdict { findings: vec![unreadable(&address)], ..Verdict::default() });
    };
    let mut verdict = Verdict::default();
    let version = verdict.told("version of the registry", host.ask(RegistryVersion).await);
    verdict.add(bound_widely(&address, &listening.host, version.flatten().as_deref()));

    let near = Endpoint {
        host: install::registry::reachable_from_here(&listening.host),
        ..listening.clone()
    };
    let health = match reach(host, &near, HEALTH).await {
        // What the file says is judged all the same; if that is fine, nothing has been seen of
        // the server itself, so the check does not pass.
        Err(Unknown::LeftOut(why)) if verdict.findings.is_empty() => {
            return Err(Stop::NotApplicable(why));
        }
        health => health,
    };
    if let Some(reached) = verdict.told("health report", health) {
        verdict.add(unhealthy(&address, &near, &reached));
    }
    let outside = reached_from_outside(host, listening.port).await;
    if let Some(Some(finding)) = verdict.told("the port seen from outside", outside) {
        // Listening on every interface has been told already, with the same mend.
        if verdict.findings.iter().all(|other| other.code != "bound-widely") {
            verdict.add([finding]);
        }
    }
    Ok(verdict)
}

fn unreadable(address: &Sourced<String>) -> Finding {
    let finding = Finding::error(
        "address-unreadable",
        &address.value,
        format!("'{}' is no listening address: the registry does not start", address.value),
    );
    rewritten(finding.evidence(address.evidence("http.debug.addr"))).docs(docs::REGISTRY_DEBUG)
}

/// What to write, and how to put it into effect.
fn rewritten(finding: Finding) -> Finding {
    finding.remedy(
        "Write registry['debug_addr'] = \"localhost:5001\" in gitlab.rb and reconfigure.",
        ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
    )
}

/// Listening on more than loopback hands profiles, and secrets, to the network.
fn bound_widely(address: &Sourced<String>, host: &str, version: Option<&str>) -> Option<Finding> {
    let loopback = host == "localhost" || host.parse().is_ok_and(|it: IpAddr| it.is_loopback());
    if loopback {
        return None;
    }
    let interface = match host {
        "" | "0.0.0.0" | "::" | "*" => "every interface".to_owned(),
        host => format!("'{host}', which is not loopback"),
    };
    // From 4.0 on the registry hands out profiles only if it is told to.
    let profiles = version.is_none_or(|version| !is_from_4_0(version));
    let severity = if profiles { Severity::Error } else { Severity::Warning };
    let leak = if profiles { "memory profiles and secrets" } else { "secrets" };
    let finding = Finding::new(
        severity,
        "bound-widely",
        &address.value,
        format!("the debug server listens on {interface}: whoever reaches it can read {leak}"),
    );
    Some(
        rewritten(finding.evidence(address.evidence("http.debug.addr"))).docs(docs::REGISTRY_DEBUG),
    )
}

/// `v4.19.0-gitlab` and later; Distribution's own 3.x counts as older.
fn is_from_4_0(version: &str) -> bool {
    let major = version.trim_start_matches('v').split('.').next();
    major.and_then(|major| major.parse().ok()).is_some_and(|major: u32| major >= 4)
}

fn unhealthy(address: &Sourced<String>, near: &Endpoint, reached: &Reach) -> Option<Finding> {
    let ways = match reached {
        Reach::Ways(ways) => ways,
        Reach::NoName(_) => return Some(silent(address, near, "its name does not resolve")),
    };
    // `localhost` has two addresses and the server listens on one of them.
    if let Some(response) = ways.iter().find_map(Way::response) {
        return judge_health(address, near, response);
    }
    let failure = ways.iter().map(|way| match &way.stage {
        Stage::Connection(failure) | Stage::Tls(failure) | Stage::Http(failure) => {
            failure.to_string()
        }
        Stage::Answered(response) => format!("HTTP {}", response.status),
    });
    Some(silent(address, near, &failure.last().unwrap_or_default()))
}

fn silent(address: &Sourced<String>, near: &Endpoint, failure: &str) -> Finding {
    Finding::warning(
        "not-answering",
        near.url(HEALTH),
        "the debug server is configured but does not answer",
    )
    .evidence(address.evidence("http.debug.addr"))
    .seen("seen", failure)
    .remedy(
        "Restart the registry; if it does not stay up, its log says why.",
        ["gitlab-ctl restart registry", "gitlab-ctl tail registry"],
    )
    .docs(docs::REGISTRY_DEBUG)
}

fn judge_health(
    address: &Sourced<String>,
    near: &Endpoint,
    response: &Response,
) -> Option<Finding> {
    let url = near.url(HEALTH);
    match (&response.body, response.status) {
        (Body::Json(report), 200) if report.as_object().is_some_and(serde_json::Map::is_empty) => {
            None
        }
        (Body::Json(report), 503 | 200) if report.is_object() => {
            Some(components(address, url, near, report))
        }
        (_, status) => Some(
            Finding::warning(
                "not-a-debug-server",
                url,
                format!("something else answers at this address, with status {status}"),
            )
            .evidence(address.evidence("http.debug.addr"))
            .remedy(
                "Find out what listens there, and give the debug server a port of its own.",
                [format!("ss -ltnp 'sport = :{}'", near.port)],
            )
            .docs(docs::REGISTRY_DEBUG),
        ),
    }
}

/// The registry names each failing component with the error that it got.
fn components(
    address: &Sourced<String>,
    url: String,
    near: &Endpoint,
    report: &serde_json::Value,
) -> Finding {
    let failing: Vec<_> = report.as_object().into_iter().flatten().collect();
    let names: Vec<_> = failing.iter().map(|(name, _)| name.as_str()).collect();
    let finding = Finding::error(
        "unhealthy",
        url,
        format!("the registry is unhealthy ({}): it refuses every request", names.join(", ")),
    )
    .evidence(address.evidence("http.debug.addr"))
    .explains(Cause::Service(near.socket()));
    let finding = failing.iter().fold(finding, |finding, (name, text)| {
        finding.seen(name.as_str(), text.as_str().unwrap_or("no reason given"))
    });
    finding
        .remedy(
            "Mend the component that is named; the registry recovers by itself within seconds.",
            [format!("curl -s {}", near.url(HEALTH)), "gitlab-ctl tail registry".to_owned()],
        )
        .docs(docs::REGISTRY_DEBUG)
}

/// Whether the debug port answers at the address that users know, as a published container port
/// or a forwarding rule makes it.
async fn reached_from_outside(host: &Host, port: u16) -> Result<Option<Finding>, Unknown> {
    let Some(external) = install::registry::external(host).await? else { return Ok(None) };
    let resolved = host.ask(Resolve { host: external.value.host.clone() }).await?;
    for address in resolved.addresses().filter(|address| !address.is_loopback()) {
        let address = SocketAddr::new(address, port);
        if host.ask(Connect { address }).await? != Connected::Accepted {
            continue;
        }
        let near = Endpoint { https: false, port, ..external.value.clone() };
        let url = Endpoint { path: String::new(), ..near }.url(HEALTH);
        if let HttpReply::Answered(response) = host.ask(HttpGet::new(&url, address)).await?
            && matches!(response.body, Body::Json(_))
        {
            return Ok(Some(reachable(url, address)));
        }
    }
    Ok(None)
}

fn reachable(url: String, address: SocketAddr) -> Finding {
    Finding::error(
        "reachable-from-outside",
        url,
        "the debug server answers at the address that users know: it shows secrets to them",
    )
    .seen("address", address)
    .remedy(
        format!("Close port {} to everyone but this host.", address.port()),
        [format!("ss -ltnp 'sport = :{}'", address.port())],
    )
    .docs(docs::REGISTRY_DEBUG)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::host::network::Failure;

    fn address(text: &str) -> Sourced<String> {
        Sourced::file(text.to_owned(), "/var/opt/gitlab/registry/config.yml", Some(20))
    }

    fn severity(host: &str, version: Option<&str>) -> Option<Severity> {
        bound_widely(&address("x"), host, version).map(|finding| finding.severity)
    }

    #[test]
    fn only_loopback_is_private() {
        for private in ["localhost", "127.0.0.1", "127.8.8.8", "::1"] {
            assert_eq!(severity(private, None), None);
        }
        for public in ["", "0.0.0.0", "::", "10.0.0.5", "registry.example.test"] {
            assert_eq!(severity(public, Some("v3.92.0-gitlab")), Some(Severity::Error));
            assert_eq!(severity(public, Some("v4.19.0-gitlab")), Some(Severity::Warning));
        }
        assert_eq!(severity("", None), Some(Severity::Error));
    }

    fn health(status: u16, body: Body) -> Option<&'static str> {
        let near = Endpoint::listening("127.0.0.1:5001").unwrap();
        let response = Response { status, fields: BTreeMap::new(), body };
        judge_health(&address("localhost:5001"), &near, &response).map(|finding| finding.code)
    }

    #[test]
    fn health_is_an_empty_report() {
        assert_eq!(health(200, Body::Json(serde_json::json!({}))), None);
        let failing = serde_json::json!({"storagedriver_s3": "NoSuchBucket"});
        assert_eq!(health(503, Body::Json(failing)), Some("unhealthy"));
        assert_eq!(
            health(404, Body::Text("404 page not found".into())),
            Some("not-a-debug-server")
        );
        assert_eq!(health(200, Body::Html { title: None }), Some("not-a-debug-server"));
    }

    #[test]
    fn one_of_two_addresses_of_localhost_is_enough() {
        let near = Endpoint::listening("localhost:5001").unwrap();
        let way = |address: &str, stage| Way { address: address.parse().unwrap(), stage };
        let answer = Response {
            status: 200,
            fields: BTreeMap::new(),
            body: Body::Json(serde_json::json!({})),
        };
        let refused = way("[::1]:5001", Stage::Connection(Failure::Refused));
        let good = way("127.0.0.1:5001", Stage::Answered(answer));
        let both = Reach::Ways(vec![good, refused.clone()]);
        assert_eq!(unhealthy(&address("localhost:5001"), &near, &both), None);
        let dead = Reach::Ways(vec![refused]);
        let finding = unhealthy(&address("localhost:5001"), &near, &dead).unwrap();
        assert_eq!(finding.code, "not-answering");
    }
}
