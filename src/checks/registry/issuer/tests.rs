use super::Scene;
use super::judge::{judge, written};
use crate::checks::registry::startup::{Configured, config, told};
use crate::checks::{Cause, Finding};
use crate::install::registry::Config;
use crate::install::tokens::Signer;
use crate::install::{Endpoint, Source, Sourced};
use crate::parse::registry_yml::{Variables, read_with};

fn signer(issuer: Option<&str>) -> Signer {
    let path = "/var/opt/gitlab/gitlab-rails/etc/gitlab.yml";
    Signer {
        key: None,
        issuer: issuer.map(|issuer| Sourced::file(issuer.to_owned(), path, Some(9))),
        settings: Source::File { path: path.into(), line: Some(2) },
        account: "git".to_owned(),
    }
}

fn url(url: &str) -> Sourced<Endpoint> {
    Sourced::file(Endpoint::parse(url).unwrap(), "/etc/gitlab/gitlab.rb", Some(1))
}

struct Case {
    gitlab: Option<&'static str>,
    /// Whether GitLab is on the host, and the issuer it is told.
    is_here: bool,
    issuer: Option<&'static str>,
    told_realm: Option<&'static str>,
}

const CASE: Case = Case {
    gitlab: Some("https://git.test"),
    is_here: true,
    issuer: Some("gitlab"),
    told_realm: None,
};

fn judged(case: &Case, auth: &str) -> Vec<Finding> {
    let config = config(&format!("auth: {auth}\n"), true);
    let signer = case.is_here.then(|| signer(case.issuer));
    judge(&Scene {
        configured: Configured::sample(&config),
        signer: signer.as_ref(),
        gitlab: case.gitlab.map(url),
        told_realm: case.told_realm.map(url),
    })
}

fn token(options: &str) -> String {
    format!("{{token: {{{options}, rootcertbundle: /x}}}}")
}

fn full(realm: &str) -> String {
    token(&format!("realm: '{realm}', service: container_registry, issuer: gitlab"))
}

#[test]
fn what_agrees_is_no_finding() {
    assert_eq!(judged(&CASE, &full("https://git.test/jwt/auth")), []);
    // What the package writes where external_url ends in a slash, and what nobody sees.
    assert_eq!(judged(&CASE, &full("https://GIT.test:443//jwt/auth")), []);
    let below = Case { gitlab: Some("https://git.test/gitlab/"), ..CASE };
    assert_eq!(judged(&below, &full("https://git.test/gitlab/jwt/auth")), []);
    let plain = Case { gitlab: Some("http://git.test:8080"), ..CASE };
    assert_eq!(judged(&plain, &full("http://git.test:8080/jwt/auth")), []);
    // GitLab on another host.
    let apart = Case { gitlab: None, is_here: false, ..CASE };
    assert_eq!(judged(&apart, &full("https://other.test/jwt/auth")), []);
    let text = full("https://git.test/jwt/auth").replace("/x", "/x, autoredirect: false");
    assert_eq!(judged(&CASE, &text), []);
}

#[test]
fn what_a_variable_says_is_mended_there() {
    let good = "realm: 'https://git.test/jwt/auth', service: container_registry, issuer: gitlab";
    for (variable, value) in [
        ("REGISTRY_AUTH_TOKEN_ISSUER", "other"),
        ("REGISTRY_AUTH_TOKEN_SERVICE", "other"),
        ("REGISTRY_AUTH_TOKEN_REALM", "https://other.test/jwt/auth"),
        ("REGISTRY_AUTH_TOKEN_AUTOREDIRECT", "true"),
        ("REGISTRY_AUTH", "htpasswd"),
    ] {
        let yml = format!("auth: {}\n", token(good));
        let values = [(variable.to_owned(), value.to_owned())].into();
        let variables = Variables { values, ..Variables::default() };
        let yml = read_with(yml.as_bytes(), &variables).unwrap();
        let config = Config { yml, ..config("", true) };
        let signer = signer(CASE.issuer);
        let findings = judge(&Scene {
            configured: Configured::sample(&config),
            signer: Some(&signer),
            gitlab: CASE.gitlab.map(url),
            told_realm: None,
        });
        let advice = &findings[0].remedy.advice;
        assert!(advice.starts_with(&format!("Take {variable} out of registry['env']")), "{advice}");
        assert_eq!(findings.len(), 1, "{variable}");
    }
}

#[test]
fn each_difference_has_its_code() {
    let good = "realm: 'https://git.test/jwt/auth', service: container_registry, issuer: gitlab";
    for (auth, expected) in [
        (String::new(), "error auth-absent"),
        ("none".to_owned(), "error auth-absent"),
        ("{htpasswd: {realm: x, path: /x}}".to_owned(), "error auth-not-token"),
        ("{oidc: {}}".to_owned(), "error auth-unknown"),
        ("{silly: {}, token: {}}".to_owned(), "error auth-several"),
        (token(&good.replace("issuer: gitlab", "a: b")), "error option-missing"),
        (token(&good.replace("issuer: gitlab", "issuer: 5")), "error option-not-text"),
        (token(&good.replace("realm:", "reallm:")), "error option-missing"),
        (token(&good.replace("service:", "servise:")), "error option-missing"),
        (token(&good.replace("issuer: gitlab", "issuer: other")), "error issuer-differs"),
        (token(&good.replace("issuer: gitlab", "issuer: ''")), "error issuer-differs"),
        (token(&good.replace("issuer: gitlab", "issuer: Gitlab")), "error issuer-differs"),
        (token(&good.replace("container_registry", "registry")), "error service-differs"),
        (token(&format!("{good}, autoredirect: true")), "error autoredirect"),
        (token(&format!("{good}, autoredirect: 'yes'")), "error option-not-flag"),
        (full("/jwt/auth"), "error realm-not-url"),
        (full("https://old.test/jwt/auth"), "error realm-host"),
        (full("http://git.test/jwt/auth"), "error realm-scheme"),
        (full("https://git.test:8443/jwt/auth"), "error realm-port"),
        (full("https://git.test/gitlab/jwt/auth"), "error realm-path"),
        (full("https://git.test"), "error realm-path"),
        (full("https://git.test/auth/token"), "error realm-path"),
    ] {
        let findings = judged(&CASE, &auth);
        assert_eq!(told(&findings), [expected], "{auth}");
        let refuses = findings[0].explains.contains(&Cause::Tokens);
        assert_eq!(refuses, !expected.ends_with("absent"), "{auth}");
        assert!(!findings[0].remedy.commands.is_empty(), "{auth}");
    }
}

#[test]
fn a_relative_url_belongs_into_the_realm() {
    let below = Case { gitlab: Some("https://git.test/gitlab"), ..CASE };
    let findings = judged(&below, &full("https://git.test/jwt/auth"));
    assert_eq!(told(&findings), ["error realm-path"]);
    assert!(findings[0].message.contains("/gitlab/jwt/auth"), "{}", findings[0].message);
}

#[test]
fn a_realm_that_was_set_on_purpose_is_only_a_warning() {
    let case = Case { told_realm: Some("https://inner.test"), ..CASE };
    assert_eq!(told(&judged(&case, &full("https://inner.test/jwt/auth"))), ["warning realm-host"]);
    assert_eq!(told(&judged(&case, &full("https://old.test/jwt/auth"))), ["error realm-host"]);
    // On a node of the registry's own external_url need not be GitLab's address.
    let apart = Case { is_here: false, ..case };
    assert_eq!(told(&judged(&apart, &full("https://inner.test/jwt/auth"))), ["notice realm-host"]);
    assert_eq!(told(&judged(&apart, &full("https://old.test/jwt/auth"))), ["error realm-host"]);
}

#[test]
fn what_is_wrong_at_a_wrong_realm_comes_of_that() {
    let astray = |realm: &str| {
        let found = judged(&CASE, &full(realm));
        let astray = |cause: &Cause| match cause {
            Cause::Astray(socket) => Some(socket.clone()),
            _ => None,
        };
        found[0].explains.iter().find_map(astray)
    };
    assert_eq!(astray("https://old.test/jwt/auth").as_deref(), Some("old.test:443"));
    assert_eq!(astray("https://git.test:8443/jwt/auth").as_deref(), Some("git.test:8443"));
    // GitLab itself may be down as well.
    let path = astray("https://git.test/auth/token");
    assert_eq!(path.as_deref(), Some("git.test:443/auth/token"));
}

#[test]
fn a_gitlab_without_an_issuer_is_refused() {
    let case = Case { issuer: None, ..CASE };
    let findings = judged(&case, &full("https://git.test/jwt/auth"));
    assert_eq!(told(&findings), ["error issuer-differs"]);
    assert!(findings[0].message.contains("is told no issuer"));
}

#[test]
fn what_keeps_the_registry_from_starting_says_so() {
    let findings = judged(&CASE, &token("realm: 'https://git.test/jwt/auth', issuer: gitlab"));
    assert_eq!(told(&findings), ["error option-missing"]);
    assert!(findings[0].explains.contains(&Cause::Startup("127.0.0.1:5000".to_owned())));
}

#[test]
fn settings_that_are_yet_to_be_written_are_compared() {
    let at = |issuer: &str| Sourced::file(issuer.to_owned(), "/etc/gitlab/gitlab.rb", Some(3));
    let judged = |own: &str, rails: Option<&str>| {
        written("/etc/gitlab/gitlab.rb", "issuer", &at(own), rails.map(at).as_ref()).is_some()
    };
    assert!(!judged("omnibus-gitlab-issuer", None));
    assert!(!judged("a", Some("a")));
    assert!(judged("a", Some("b")) && judged("a", None));
}
