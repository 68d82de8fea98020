//! Does the registry answer, from outside and from inside, and is it the registry that answers?

use super::addresses::addresses;
use super::examined::{Examined, Side};
use crate::checks::path::{self, Looked, Service as _, VERSION_HEADER, is_versioned};
use crate::checks::reach::Way;
use crate::checks::{Finding, Severity, Stop, Verdict, check, docs};
use crate::host::environment::ProxyVariables;
use crate::host::network::Body;
use crate::host::{Host, Unknown};
use crate::install::{self, Endpoint};

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
    /// The address in `registry_external_url` (or `--registry-url`), the registry's own address
    /// behind nginx, and the one at which GitLab itself asks the registry for tags and for cleaning
    /// up (`gitlab_rails['registry_api_url']`), where that is another. Each is tried in stages: its name, a connection to every address of that
    /// name, a TLS handshake, and one `GET /v2/` without credentials. What answers is told by its
    /// status, its `Docker-Distribution-Api-Version` header and its body. No redirect is followed,
    /// no proxy is used, and certificates are not judged here: the `tls` and `trust` checks do.
    ///
    /// ## How to fix it
    ///
    /// Mend the first stage that fails; the later ones follow from it. A name: DNS or `/etc/hosts`.
    /// A refused connection: `gitlab-ctl status nginx`. A bad gateway: `gitlab-ctl status registry`
    /// and its log. A page of GitLab instead of the registry: `registry_external_url` in
    /// `/etc/gitlab/gitlab.rb` and `gitlab-ctl reconfigure`.
    "registry/api": "the registry answers on /v2/"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let mut verdict = Verdict::default();
    let examined = addresses(host, &mut verdict).await?;
    let looks = examined.iter().map(|examined| path::look(host, examined));
    let seen = futures::future::join_all(looks).await;
    for (examined, seen) in examined.iter().zip(seen) {
        if let Err(Unknown::LeftOut(why)) = seen {
            // What is wrong as it is written stays wrong.
            return if verdict.findings.is_empty() {
                Err(Stop::NotApplicable(why))
            } else {
                Ok(verdict)
            };
        }
        if let Some(looked) = verdict.told(&examined.endpoint.to_string(), seen) {
            let gitlab = install::gitlab::external_url(host).await.ok().flatten();
            let gitlab = gitlab.map(|it| it.value.server());
            let finding = judge(examined, &looked);
            verdict.add(finding.map(|it| sent_to_gitlab(it, examined, &looked, gitlab.as_ref())));
        }
        if matches!(examined.side, Side::External(_)) {
            let proxies = verdict.told("proxy variables", host.ask(ProxyVariables).await);
            verdict.add(proxies.and_then(|proxies| in_the_way(&examined.endpoint, &proxies)));
        }
    }
    Ok(verdict)
}

fn judge(examined: &Examined, looked: &Looked) -> Option<Finding> {
    let (good, _) = looked.split(examined);
    imperfect(examined, &good).or_else(|| path::judge(examined, looked))
}

/// A redirect may lead to the registry after all, but not one to GitLab's own web server.
fn sent_to_gitlab(
    finding: Finding,
    examined: &Examined,
    looked: &Looked,
    gitlab: Option<&Endpoint>,
) -> Finding {
    let (_, bad) = looked.split(examined);
    let is_gitlab = |way: &&Way| {
        let location = way.response().and_then(|response| response.field("location"));
        let target = location.and_then(|it| Endpoint::parse(it).ok());
        target.is_some_and(|target| {
            gitlab.is_some_and(|it| it.is_server(&target)) && !examined.endpoint.is_server(&target)
        })
    };
    if finding.code != "redirected" || !bad.iter().any(is_gitlab) {
        return finding;
    }
    let message = format!("{}, which is GitLab and no registry", finding.message);
    Finding { severity: Severity::Error, message, ..finding }
}

/// The registry answers, but something on the way changes the answer.
fn imperfect(examined: &Examined, good: &[&Way]) -> Option<Finding> {
    good.iter().find_map(|way| {
        let response = way.response()?;
        let finding = if !is_versioned(response) {
            let message = "the registry answers, but without its header \
                           Docker-Distribution-Api-Version: old clients may take it for another server";
            examined.warning("version-header-lost", message.to_owned())
        } else if matches!(response.body, Body::Unfinished | Body::TooLarge) {
            let message = "the registry answers, but its answer never ends or breaks off";
            examined.warning("answer-unfinished", message.to_owned())
        } else {
            return None;
        };
        let finding = finding.seen("address", way.address).seen("status", response.status).seen(
            "Docker-Distribution-Api-Version",
            response.field(VERSION_HEADER).unwrap_or("missing"),
        );
        Some(finding.remedy(
            "Let the proxy in front pass what the registry answers, with all of its headers.",
            [examined.curl()],
        ))
    })
}

/// gldoctor asks the registry directly; clients started from this environment would not.
fn in_the_way(endpoint: &Endpoint, proxies: &crate::host::environment::Proxies) -> Option<Finding> {
    let (variable, proxy) = proxies.for_url(endpoint.https, &endpoint.host)?;
    let message = format!(
        "clients started from this environment ask the proxy {proxy} for it; gldoctor did not"
    );
    let finding = Finding::new(Severity::Notice, "proxy-variable", endpoint.to_string(), message);
    Some(
        finding
            .seen(variable, proxy)
            .remedy(
                format!("Add {} to NO_PROXY wherever this variable is set.", endpoint.host),
                [format!("export NO_PROXY=\"${{NO_PROXY:+$NO_PROXY,}}{}\"", endpoint.host)],
            )
            .docs(docs::REGISTRY_TROUBLE),
    )
}

#[cfg(test)]
mod tests {
    use super::super::examined::PATH;
    use super::super::keeper::Keeper;
    use super::*;
    use crate::checks::Cause;
    use crate::checks::path::Spoken;
    use crate::checks::path::tests::response;
    use crate::checks::reach::{Reach, Stage};
    use crate::host::network::{Failure, Resolved};
    use crate::install::Sourced;

    fn examined(side: Side) -> Examined {
        let endpoint = match side {
            Side::External(_) => Endpoint::parse("https://registry.test:5050/v2/"),
            Side::Internal => Endpoint::parse("http://127.0.0.1:5000"),
            Side::Api(_) => Endpoint::parse("http://127.0.0.1:5005"),
        };
        Examined::new(Sourced::default(endpoint.unwrap(), "a test"), side, Keeper::Package)
    }

    fn external() -> Examined {
        examined(Side::External(Some("127.0.0.1:5000".to_owned())))
    }

    fn way(address: &str, stage: Stage) -> Way {
        Way { address: address.parse().unwrap(), stage }
    }

    fn answered(status: u16, fields: &[(&str, &str)]) -> Stage {
        Stage::Answered(response(status, fields, Body::Empty))
    }

    fn healthy() -> Stage {
        answered(401, &[(VERSION_HEADER, "registry/2.0")])
    }

    fn judged(examined: &Examined, ways: Vec<Way>) -> Option<Finding> {
        judge(examined, &Looked { reached: Reach::Ways(ways), spoken: None })
    }

    fn code_of(stage: Stage, spoken: Option<Spoken>) -> &'static str {
        let reached = Reach::Ways(vec![way("10.0.0.1:5050", stage)]);
        judge(&external(), &Looked { reached, spoken }).unwrap().code
    }

    #[test]
    fn a_path_in_the_url_is_none_of_the_registry() {
        assert_eq!(external().endpoint.url(PATH), "https://registry.test:5050/v2/");
    }

    #[test]
    fn a_registry_that_answers_is_no_finding() {
        assert_eq!(judged(&external(), vec![way("10.0.0.1:5050", healthy())]), None);
        let open = answered(200, &[(VERSION_HEADER, "registry/2.0")]);
        assert_eq!(judged(&external(), vec![way("10.0.0.1:5050", open)]), None);
    }

    #[test]
    fn a_redirect_to_gitlab_leads_to_no_registry() {
        let redirect = answered(301, &[("location", "https://git.test/v2/")]);
        let looked =
            Looked { reached: Reach::Ways(vec![way("10.0.0.1:5050", redirect)]), spoken: None };
        let severity = |gitlab: &str| {
            let finding = judge(&external(), &looked).unwrap();
            let gitlab = Endpoint::parse(gitlab).unwrap();
            sent_to_gitlab(finding, &external(), &looked, Some(&gitlab)).severity
        };
        assert_eq!(severity("https://git.test"), Severity::Error);
        assert_eq!(severity("https://other.test"), Severity::Warning);
    }

    #[test]
    fn each_stage_has_its_own_code() {
        let foreign = || Failure::Foreign("x".to_owned());
        assert_eq!(code_of(Stage::Connection(Failure::Refused), None), "refused");
        assert_eq!(code_of(Stage::Connection(Failure::Silent(10)), None), "silent");
        assert_eq!(code_of(Stage::Connection(Failure::Unreachable), None), "unreachable");
        assert_eq!(code_of(Stage::Connection(Failure::NoRoute), None), "no-route");
        assert_eq!(code_of(Stage::Tls(foreign()), Some(Spoken::PlainHttp)), "plain-http");
        assert_eq!(code_of(Stage::Tls(foreign()), None), "tls-failed");
        assert_eq!(code_of(Stage::Tls(Failure::Silent(10)), None), "tls-silent");
        assert_eq!(code_of(Stage::Http(Failure::Reset), None), "no-http");
        assert_eq!(code_of(Stage::Http(Failure::Reset), Some(Spoken::Tls)), "http-to-tls-port");
        assert_eq!(code_of(Stage::Http(Failure::Silent(10)), None), "http-silent");
        assert_eq!(code_of(answered(404, &[]), None), "not-a-registry");
        assert_eq!(code_of(answered(401, &[]), None), "challenge-lost");
    }

    #[test]
    fn redirects_are_judged_by_where_they_lead() {
        let code = |location: &str| {
            let stage = answered(302, &[("location", location)]);
            judged(&external(), vec![way("10.0.0.1:5050", stage)]).map(|it| (it.code, it.severity))
        };
        let loop_ = Some(("redirect-loop", Severity::Error));
        assert_eq!(code("https://registry.test:5050/v2/"), loop_);
        assert_eq!(code("/v2/"), loop_);
        assert_eq!(code("https://other.test/v2/"), Some(("redirected", Severity::Warning)));
        assert_eq!(code("https://sso.test/login"), Some(("redirected", Severity::Error)));
        assert_eq!(code("/users/sign_in"), Some(("gitlab-answers", Severity::Error)));
    }

    #[test]
    fn one_dead_address_of_two_is_a_warning_for_users_and_nothing_inside() {
        let ways = |bad| vec![way("10.0.0.1:5050", healthy()), way("[fd00::1]:5050", bad)];
        let refused = || Stage::Connection(Failure::Refused);
        let finding = judged(&external(), ways(refused())).unwrap();
        assert_eq!((finding.code, finding.severity), ("addresses-differ", Severity::Warning));
        assert!(finding.message.starts_with("answers over IPv4 but not over IPv6"));
        assert_eq!(judged(&examined(Side::Internal), ways(refused())), None);
        // Nobody falls back from a server that answers.
        let finding = judged(&external(), ways(answered(404, &[]))).unwrap();
        assert_eq!((finding.code, finding.severity), ("addresses-differ", Severity::Error));
        let finding = judged(&external(), ways(Stage::Connection(Failure::NoRoute))).unwrap();
        assert_eq!((finding.code, finding.severity), ("address-untried", Severity::Notice));
    }

    #[test]
    fn the_inner_address_explains_a_bad_gateway() {
        let bad = judged(&external(), vec![way("10.0.0.1:5050", answered(502, &[]))]).unwrap();
        let dead = Stage::Connection(Failure::Refused);
        let inner = judged(&examined(Side::Internal), vec![way("127.0.0.1:5000", dead)]).unwrap();
        let backend = Cause::Backend("127.0.0.1:5000".to_owned());
        assert!(inner.explains.contains(&backend));
        assert!(bad.follows.contains(&backend));
        assert!(bad.explains.iter().all(|own| backend < *own));
    }

    #[test]
    fn a_wrong_address_in_gitlab_is_told_by_where_the_registry_listens() {
        let dead = || vec![way("127.0.0.1:5005", Stage::Connection(Failure::Refused))];
        let own = Some("127.0.0.1:5000".to_owned());
        let finding = judged(&examined(Side::Api(own)), dead()).unwrap();
        assert_eq!((finding.code, finding.severity), ("refused", Severity::Error));
        assert!(finding.message.contains("it listens at 127.0.0.1:5000"), "{}", finding.message);
        assert!(finding.remedy.advice.contains("registry_api_url"), "{}", finding.remedy.advice);
        let finding = judged(&examined(Side::Api(None)), dead()).unwrap();
        assert!(finding.message.contains("does not listen here"), "{}", finding.message);
    }

    #[test]
    fn a_dead_name_explains_what_lies_behind_it() {
        let no_name = |words: &str| {
            let reached = Reach::NoName(Resolved::NotFound(words.to_owned()));
            judge(&external(), &Looked { reached, spoken: None }).unwrap()
        };
        let finding = no_name("Name or service not known");
        assert_eq!(finding.code, "name-unresolved");
        assert!(finding.explains.contains(&Cause::Name("registry.test".to_owned())));
        assert_eq!(no_name("Temporary failure in name resolution").code, "resolver-silent");
    }

    #[test]
    fn what_a_proxy_changes_is_a_warning() {
        let challenge = r#"Bearer realm="https://g/jwt/auth",service="container_registry""#;
        let stage = answered(401, &[("www-authenticate", challenge)]);
        let finding = judged(&external(), vec![way("10.0.0.1:5050", stage)]).unwrap();
        assert_eq!((finding.code, finding.severity), ("version-header-lost", Severity::Warning));
        let endless = response(401, &[(VERSION_HEADER, "registry/2.0")], Body::Unfinished);
        let stage = Stage::Answered(endless);
        let finding = judged(&external(), vec![way("10.0.0.1:5050", stage)]).unwrap();
        assert_eq!(finding.code, "answer-unfinished");
    }
}
