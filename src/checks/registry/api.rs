//! Does the registry answer, from outside and from inside, and is it the registry that answers?

use std::collections::BTreeSet;

use crate::checks::reach::{Reach, Stage, Way, reach};
use crate::checks::{Cause, Evidence, Finding, Severity, Stop, Verdict, check, docs};
use crate::host::Host;
use crate::host::environment::ProxyVariables;
use crate::host::network::{Body, Failure, Resolved, Response};
use crate::install::{self, Endpoint, Sourced};

check! {
    /// The registry answers on `/v2/`, for users and for GitLab itself.
    ///
    /// ## Why it matters
    ///
    /// `docker login`, push and pull start with `GET /v2/`. When that fails, clients show errors
    /// that name neither the stage nor the cause: a timeout, `404 page not found`, `invalid
    /// character '<'`, `server gave HTTP response to HTTPS client`.
    ///
    /// ## What is looked at
    ///
    /// The address in `registry_external_url` (or `--registry-url`) and the registry's own address
    /// behind nginx. Each is tried in stages: its name, a connection to every address of that
    /// name, a TLS handshake, and one `GET /v2/` without credentials. What answers is told by its
    /// status, its `Docker-Distribution-Api-Version` header and its body.
    ///
    /// ## How to fix it
    ///
    /// Mend the first stage that fails; the later ones follow from it. A name: DNS or `/etc/hosts`.
    /// A refused connection: `gitlab-ctl status registry nginx`. A page of GitLab instead of the
    /// registry: `registry_external_url` in `/etc/gitlab/gitlab.rb` and `gitlab-ctl reconfigure`.
    "registry/api": "the registry answers on /v2/"
}

/// The path that every registry answers.
const PATH: &str = "/v2/";

/// The header that only a registry sends.
const VERSION_HEADER: &str = "docker-distribution-api-version";

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let external = install::registry::external(host).await?;
    let internal = install::registry::internal(host).await?;
    if external.is_none() && internal.is_none() {
        return Err(Stop::not_applicable("no registry is configured on this host"));
    }
    let mut verdict = Verdict::default();
    let (outside, inside) = futures::join!(look(host, &external), look(host, &internal));
    for (endpoint, reached, side) in
        [(&external, outside, Side::External), (&internal, inside, Side::Internal)]
    {
        let (Some(endpoint), Some(reached)) = (endpoint, reached) else { continue };
        let reached = reached?;
        verdict.add(judge(endpoint, &reached, side));
    }
    if let Some(endpoint) = &external {
        let proxies = host.ask(ProxyVariables).await?;
        if let Some((name, proxy)) = proxies.for_url(endpoint.value.https, &endpoint.value.host) {
            verdict.add([in_the_way(&endpoint.value, name, proxy)]);
        }
    }
    Ok(verdict)
}

async fn look(
    host: &Host,
    endpoint: &Option<Sourced<Endpoint>>,
) -> Option<Result<Reach, crate::host::Unknown>> {
    match endpoint {
        Some(endpoint) => Some(reach(host, &endpoint.value, PATH).await),
        None => None,
    }
}

/// From where an address is used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// By Docker, through nginx.
    External,
    /// By nginx and GitLab, the registry itself.
    Internal,
}

impl Side {
    fn setting(self) -> &'static str {
        match self {
            Self::External => "registry_external_url",
            Self::Internal => "registry['registry_http_addr']",
        }
    }
}

fn judge(endpoint: &Sourced<Endpoint>, reached: &Reach, side: Side) -> Vec<Finding> {
    let ways = match reached {
        Reach::NoName(resolved) => return vec![no_name(endpoint, resolved, side)],
        Reach::Ways(ways) => ways,
    };
    let (good, bad): (Vec<&Way>, Vec<&Way>) =
        ways.iter().partition(|way| way.response().is_some_and(is_registry));
    let Some(first_bad) = bad.first() else {
        return header_lost(endpoint, &good).into_iter().collect();
    };
    if !good.is_empty() {
        return vec![differing(endpoint, &good, &bad)];
    }
    // The way that came farthest tells most: its fault is the one to mend.
    let farthest = bad.iter().max_by_key(|way| depth(&way.stage)).unwrap_or(first_bad);
    let others = bad.iter().filter(|way| way.address != farthest.address);
    let finding = broken(endpoint, farthest, side);
    vec![others.fold(finding, |finding, way| {
        finding.seen(format!("at {}", way.address), describe(&way.stage))
    })]
}

/// A registry sends its version header; behind a proxy that drops it, a Bearer challenge for
/// GitLab's service is as good a sign.
fn is_registry(response: &Response) -> bool {
    let challenged = response.all("www-authenticate").any(|it| it.contains("container_registry"));
    let says_so = response.field(VERSION_HEADER).is_some_and(|it| it.contains("registry/2.0"));
    matches!(response.status, 200 | 401) && (says_so || challenged)
}

fn depth(stage: &Stage) -> usize {
    match stage {
        Stage::Connection(_) => 0,
        Stage::Tls(_) => 1,
        Stage::Http(_) => 2,
        Stage::Answered(_) => 3,
    }
}

fn describe(stage: &Stage) -> String {
    match stage {
        Stage::Connection(failure) => failure.to_string(),
        Stage::Tls(failure) => format!("no TLS: {failure}"),
        Stage::Http(failure) => format!("no HTTP: {failure}"),
        Stage::Answered(response) => format!("HTTP {}", response.status),
    }
}

fn no_name(endpoint: &Sourced<Endpoint>, resolved: &Resolved, side: Side) -> Finding {
    let host = &endpoint.value.host;
    let message = match resolved {
        Resolved::Silent(seconds) => {
            format!("no name server answered for '{host}' within {seconds} s")
        }
        Resolved::NotFound(_) | Resolved::Addresses(_) => format!("'{host}' does not resolve"),
    };
    let words = match resolved {
        Resolved::NotFound(words) => Some(Evidence::new("resolver", words)),
        Resolved::Silent(_) | Resolved::Addresses(_) => None,
    };
    let finding = Finding::error("name-unresolved", endpoint.value.to_string(), message)
        .evidence(endpoint.evidence(side.setting()))
        .remedy(
            format!("Enter {host} in the DNS of this site, or in /etc/hosts of every client."),
            [format!("getent hosts {host}")],
        )
        .docs(docs::REGISTRY)
        .explains(Cause::Name(host.clone()))
        .explains(Cause::Service(endpoint.value.socket()));
    words.into_iter().fold(finding, Finding::evidence)
}

/// Some addresses work and others do not: clients take either.
fn differing(endpoint: &Sourced<Endpoint>, good: &[&Way], bad: &[&Way]) -> Finding {
    let families = |ways: &[&Way]| -> BTreeSet<_> {
        ways.iter().map(|way| if way.address.is_ipv6() { "IPv6" } else { "IPv4" }).collect()
    };
    let (works, fails) = (families(good), families(bad));
    let what = if works.is_disjoint(&fails) {
        let join = |set: BTreeSet<&str>| set.into_iter().collect::<Vec<_>>().join(" and ");
        format!("answers over {} but not over {}", join(works), join(fails))
    } else {
        format!("answers at {} of its {} addresses only", good.len(), good.len() + bad.len())
    };
    let message = format!("{what}: clients that try a bad address first wait, or fail");
    let finding = Finding::warning("addresses-differ", endpoint.value.to_string(), message)
        .remedy(
            format!(
                "Take the dead addresses of {} out of DNS and /etc/hosts, or let nginx listen on \
                 them (nginx['listen_addresses'] and registry_nginx['listen_addresses']).",
                endpoint.value.host
            ),
            [format!("getent ahosts {}", endpoint.value.host)],
        )
        .docs(docs::REGISTRY);
    let finding = good.iter().fold(finding, |finding, way| {
        finding.seen(format!("at {}", way.address), describe(&way.stage))
    });
    bad.iter().fold(finding, |finding, way| {
        finding.seen(format!("at {}", way.address), describe(&way.stage))
    })
}

fn broken(endpoint: &Sourced<Endpoint>, way: &Way, side: Side) -> Finding {
    let finding = match &way.stage {
        Stage::Connection(failure) => unconnected(endpoint, way, failure, side),
        Stage::Tls(failure) => no_tls(endpoint, way, failure),
        Stage::Http(failure) => no_http(endpoint, way, failure),
        Stage::Answered(response) => strange(endpoint, response, side),
    };
    finding
        .evidence(endpoint.evidence(side.setting()))
        .seen("address", way.address)
        .explains(Cause::Service(endpoint.value.socket()))
        .docs(docs::REGISTRY_TROUBLE)
}

fn unconnected(endpoint: &Sourced<Endpoint>, way: &Way, failure: &Failure, side: Side) -> Finding {
    let (code, meaning) = match failure {
        Failure::Refused => ("refused", "nothing listens there"),
        Failure::Silent(_) => ("silent", "a firewall drops the packets, or the host is down"),
        Failure::Unreachable => ("unreachable", "no route leads there from here"),
        Failure::Reset | Failure::Foreign(_) => ("broken-off", "the peer breaks it off"),
    };
    let message = format!("no connection to port {}: {meaning}", endpoint.value.port);
    let finding = Finding::error(code, endpoint.value.to_string(), message).seen("seen", failure);
    match (failure, side) {
        (Failure::Refused, Side::Internal) => finding.remedy(
            "Start the registry; if it does not stay up, its log says why.",
            ["gitlab-ctl status registry", "gitlab-ctl tail registry"],
        ),
        (Failure::Refused, Side::External) => finding.remedy(
            format!("Let nginx listen on port {}.", endpoint.value.port),
            [
                "gitlab-ctl status nginx registry".to_owned(),
                format!("ss -ltnp 'sport = :{}'", endpoint.value.port),
                "gitlab-ctl reconfigure".to_owned(),
            ],
        ),
        _ => finding.remedy(
            format!("Open the way to {} in the firewalls between.", way.address),
            [format!("curl -v --connect-timeout 5 telnet://{}", way.address)],
        ),
    }
}

fn no_tls(endpoint: &Sourced<Endpoint>, way: &Way, failure: &Failure) -> Finding {
    let url = endpoint.value.to_string();
    let port = endpoint.value.port;
    let finding = match failure {
        Failure::Foreign(words) if words.contains("does not speak TLS") => Finding::error(
            "plain-http",
            url,
            format!("port {port} does not speak TLS, although the URL says https"),
        ),
        Failure::Silent(_) => {
            Finding::error("tls-silent", url, format!("port {port} accepts but never shakes hands"))
        }
        _ => Finding::error("tls-failed", url, format!("no TLS handshake on port {port}")),
    };
    finding.seen("handshake", failure).remedy(
        "Let nginx serve this port with TLS, or name the port that does in registry_external_url.",
        [format!("openssl s_client -connect {} -servername {}", way.address, endpoint.value.host)],
    )
}

fn no_http(endpoint: &Sourced<Endpoint>, way: &Way, failure: &Failure) -> Finding {
    let code = if matches!(failure, Failure::Silent(_)) { "http-silent" } else { "no-http" };
    Finding::error(
        code,
        endpoint.value.to_string(),
        format!("something listens on port {} but gives no HTTP answer", endpoint.value.port),
    )
    .seen("answer", failure)
    .remedy(
        "Find out what listens there.",
        [
            format!("ss -ltnp 'sport = :{}'", way.address.port()),
            format!("curl -kv {}", endpoint.value.url(PATH)),
        ],
    )
}

/// An answer that is not the registry's, by what gave it.
fn strange(endpoint: &Sourced<Endpoint>, response: &Response, side: Side) -> Finding {
    let url = endpoint.value.to_string();
    let status = response.status;
    let location = response.field("location").unwrap_or_default();
    let is_page = matches!(response.body, Body::Html { .. });
    let finding = match status {
        503 if says_unavailable(response) => Finding::error(
            "unhealthy",
            &url,
            "the registry answers 503: its own health check fails, so it refuses everything",
        )
        .remedy(
            "Ask the debug server which component is unhealthy, then read the registry's log.",
            ["gitlab-ctl tail registry"],
        ),
        502..=504 => Finding::error(
            "registry-down",
            &url,
            format!("the web server in front answers {status}: no registry answers behind it"),
        )
        .remedy(
            "Start the registry; if it does not stay up, its log says why.",
            ["gitlab-ctl status registry", "gitlab-ctl start registry", "gitlab-ctl tail registry"],
        ),
        400 if says_plain_http(response) => Finding::error(
            "http-to-tls-port",
            &url,
            "this port speaks TLS, although the URL says http",
        )
        .remedy(
            format!("Write https in {} and reconfigure.", side.setting()),
            ["gitlab-ctl reconfigure"],
        ),
        300..=399 if location.contains("/users/sign_in") => gitlab_answers(&url),
        300..=399 => Finding::error(
            "redirected",
            &url,
            format!("answers {status} with a redirect to {location}, which no registry does"),
        )
        .remedy(
            "Let registry_external_url name the address at which the registry itself answers.",
            ["gitlab-ctl reconfigure"],
        ),
        _ if is_gitlab(response) => gitlab_answers(&url),
        401 => Finding::error(
            "challenge-lost",
            &url,
            "answers 401, but neither header of a registry came along: a proxy drops them, or \
             something else guards this port",
        )
        .remedy(
            "Let the proxy in front pass WWW-Authenticate and Docker-Distribution-Api-Version.",
            [format!("curl -ksi {}", endpoint.value.url(PATH))],
        ),
        _ => {
            let what = if is_page { "a web page" } else { "an answer" };
            Finding::error(
                "not-a-registry",
                &url,
                format!("{what} with status {status} came, but no registry gave it"),
            )
            .remedy(
                "Look which server block of nginx answers for this name and port.",
                [
                    "gitlab-ctl status registry nginx".to_owned(),
                    format!("curl -ksi {}", endpoint.value.url(PATH)),
                ],
            )
        }
    };
    with_signs(finding.seen("status", status), response)
}

/// By what signs the answer was told.
fn with_signs(finding: Finding, response: &Response) -> Finding {
    let header = response.field(VERSION_HEADER).unwrap_or("missing");
    let finding = finding.seen("Docker-Distribution-Api-Version", header);
    let fields = ["server", "via", "content-type"].into_iter();
    let present = fields.filter_map(|name| Some((name, response.field(name)?)));
    let finding = present.fold(finding, |finding, (name, value)| finding.seen(name, value));
    match &response.body {
        Body::Html { title: Some(title) } => finding.seen("page title", title),
        Body::Text(text) => finding.seen("body", text.lines().next().unwrap_or_default()),
        _ => finding,
    }
}

fn gitlab_answers(url: &str) -> Finding {
    Finding::error(
        "gitlab-answers",
        url,
        "GitLab's web pages answer here instead of the registry: the two share this address",
    )
    .remedy(
        "Give the registry a port or a name of its own in registry_external_url, and reconfigure.",
        ["gitlab-ctl reconfigure"],
    )
}

fn is_gitlab(response: &Response) -> bool {
    let titled = match &response.body {
        Body::Html { title: Some(title) } => title.contains("GitLab"),
        _ => false,
    };
    titled || response.field("x-gitlab-meta").is_some()
}

fn says_unavailable(response: &Response) -> bool {
    match &response.body {
        Body::Json(json) => json.pointer("/errors/0/code").is_some_and(|it| it == "UNAVAILABLE"),
        _ => false,
    }
}

/// Go and nginx each have words for HTTP on a TLS port.
fn says_plain_http(response: &Response) -> bool {
    match &response.body {
        Body::Html { title: Some(title) } => title.contains("plain HTTP request"),
        Body::Text(text) => text.contains("HTTP request to an HTTPS server"),
        _ => false,
    }
}

/// Everything works, but a proxy takes the version header away: old clients go by it.
fn header_lost(endpoint: &Sourced<Endpoint>, good: &[&Way]) -> Option<Finding> {
    let without = |way: &&&Way| {
        way.response().is_some_and(|response| response.field(VERSION_HEADER).is_none())
    };
    let way = good.iter().find(without)?;
    Some(
        Finding::warning(
            "version-header-lost",
            endpoint.value.to_string(),
            "the registry answers, but its header Docker-Distribution-Api-Version does not arrive",
        )
        .seen("address", way.address)
        .remedy(
            "Let the proxy in front pass the header Docker-Distribution-Api-Version.",
            [format!("curl -ksi {}", endpoint.value.url(PATH))],
        )
        .docs(docs::REGISTRY_TROUBLE),
    )
}

/// gldoctor asks the registry directly; clients started from this environment would not.
fn in_the_way(endpoint: &Endpoint, variable: &str, proxy: &str) -> Finding {
    Finding::new(
        Severity::Notice,
        "proxy-variable",
        endpoint.to_string(),
        format!("the environment sends clients started from here through the proxy {proxy}"),
    )
    .seen(variable, proxy)
    .remedy(
        format!("Add {} to NO_PROXY.", endpoint.host),
        [format!("export NO_PROXY=\"${{NO_PROXY:+$NO_PROXY,}}{}\"", endpoint.host)],
    )
    .docs(docs::REGISTRY_TROUBLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Sourced<Endpoint> {
        let endpoint = Endpoint::parse("https://registry.example.test:5050").unwrap();
        Sourced::default(endpoint, "a test")
    }

    fn response(status: u16, fields: &[(&str, &str)], body: Body) -> Response {
        let fields =
            fields.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]));
        Response { status, fields: fields.collect(), body }
    }

    fn way(address: &str, stage: Stage) -> Way {
        Way { address: address.parse().unwrap(), stage }
    }

    fn healthy() -> Stage {
        let challenge = r#"Bearer realm="https://g/jwt/auth",service="container_registry""#;
        let fields = [(VERSION_HEADER, "registry/2.0"), ("www-authenticate", challenge)];
        Stage::Answered(response(401, &fields, Body::Json(serde_json::json!({"errors": []}))))
    }

    fn code_of(stage: Stage) -> &'static str {
        let reached = Reach::Ways(vec![way("10.0.0.1:5050", stage)]);
        judge(&endpoint(), &reached, Side::External)[0].code
    }

    #[test]
    fn a_challenge_or_an_open_registry_is_an_answer() {
        let reached = Reach::Ways(vec![way("10.0.0.1:5050", healthy())]);
        assert!(judge(&endpoint(), &reached, Side::External).is_empty());
        let open = response(200, &[(VERSION_HEADER, "registry/2.0")], Body::Empty);
        let reached = Reach::Ways(vec![way("10.0.0.1:5050", Stage::Answered(open))]);
        assert!(judge(&endpoint(), &reached, Side::External).is_empty());
    }

    #[test]
    fn each_stage_has_its_own_code() {
        assert_eq!(code_of(Stage::Connection(Failure::Refused)), "refused");
        assert_eq!(code_of(Stage::Connection(Failure::Silent(10))), "silent");
        let foreign = Failure::Foreign("it does not speak TLS".to_owned());
        assert_eq!(code_of(Stage::Tls(foreign)), "plain-http");
        assert_eq!(code_of(Stage::Http(Failure::Reset)), "no-http");
        assert_eq!(code_of(Stage::Http(Failure::Silent(10))), "http-silent");
    }

    #[test]
    fn who_answers_is_told_by_its_signs() {
        let page = |title: &str| Body::Html { title: Some(title.to_owned()) };
        let answered = |status, fields: &[(&str, &str)], body| {
            code_of(Stage::Answered(response(status, fields, body)))
        };
        assert_eq!(answered(502, &[("server", "nginx")], page("502 Bad Gateway")), "registry-down");
        let unavailable = serde_json::json!({"errors": [{"code": "UNAVAILABLE"}]});
        assert_eq!(answered(503, &[], Body::Json(unavailable)), "unhealthy");
        assert_eq!(answered(503, &[], page("503")), "registry-down");
        let sign_in = [("location", "https://git.example.test/users/sign_in")];
        assert_eq!(answered(302, &sign_in, Body::Empty), "gitlab-answers");
        assert_eq!(answered(404, &[], page("Page not found · GitLab")), "gitlab-answers");
        assert_eq!(answered(404, &[], page("404 Not Found")), "not-a-registry");
        assert_eq!(answered(301, &[("location", "https://x/v2/")], Body::Empty), "redirected");
        assert_eq!(answered(401, &[], Body::Empty), "challenge-lost");
        let words = "400 The plain HTTP request was sent to HTTPS port";
        assert_eq!(answered(400, &[], page(words)), "http-to-tls-port");
    }

    #[test]
    fn a_dead_second_address_is_a_warning() {
        let dead = Stage::Connection(Failure::Refused);
        let reached =
            Reach::Ways(vec![way("10.0.0.1:5050", healthy()), way("[fd00::1]:5050", dead)]);
        let findings = judge(&endpoint(), &reached, Side::External);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].severity, Severity::Warning);
        assert!(findings[0].message.contains("over IPv4 but not over IPv6"));
    }

    #[test]
    fn a_dead_name_explains_what_lies_behind_it() {
        let reached = Reach::NoName(Resolved::NotFound("Name or service not known".to_owned()));
        let findings = judge(&endpoint(), &reached, Side::External);
        assert_eq!(findings[0].code, "name-unresolved");
        assert!(findings[0].explains.contains(&Cause::Name("registry.example.test".to_owned())));
    }
}
