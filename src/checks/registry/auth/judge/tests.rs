use super::*;
use crate::checks::Cause;
use crate::install::Source;

fn endpoint(url: &str) -> Endpoint {
    Endpoint::parse(url).unwrap()
}

fn judged(gitlab: &str, wanted: Option<&str>, status: u16, lines: &[&str]) -> Vec<Finding> {
    let registry = endpoint("https://git.test:5050");
    let gitlab = Sourced::default(endpoint(gitlab), "a test");
    let wanted = wanted.map(|url| Sourced {
        value: endpoint(url),
        source: Source::File { path: "/etc/gitlab/gitlab.rb".into(), line: Some(3) },
    });
    let address = "10.0.0.1:5050".parse().unwrap();
    let case = Case {
        place: Place::Heard { endpoint: &registry, address },
        gitlab: Some(&gitlab),
        config: None,
        wanted: wanted.as_ref(),
        has_rails: true,
        keeper: Keeper::Package,
    };
    case.judge(status, lines)
}

fn codes_for(gitlab: &str, wanted: Option<&str>, status: u16, lines: &[&str]) -> Vec<String> {
    let short = |it: Finding| format!("{:?} {}", it.severity, it.code).to_lowercase();
    judged(gitlab, wanted, status, lines).into_iter().map(short).collect()
}

fn codes(lines: &[&str]) -> Vec<String> {
    codes_for("https://git.test", None, 401, lines)
}

fn challenge(realm: &str) -> String {
    format!(r#"Bearer realm="{realm}",service="container_registry""#)
}

#[test]
fn the_challenge_of_gitlab_s_registry_is_no_finding() {
    let none: [&str; 0] = [];
    assert_eq!(codes(&[&challenge("https://git.test/jwt/auth")]), none);
    assert_eq!(codes(&[&challenge("https://git.test:443//jwt/auth")]), none);
    assert_eq!(codes(&["Negotiate", &challenge("https://git.test/jwt/auth")]), none);
    let below = challenge("https://git.test/gitlab/jwt/auth");
    assert_eq!(codes_for("https://git.test/gitlab", None, 401, &[&below]), none);
}

#[test]
fn whoever_needs_no_token_is_an_error() {
    assert_eq!(codes_for("https://git.test", None, 200, &[]), ["error open"]);
}

#[test]
fn docker_has_to_understand_the_challenge() {
    assert_eq!(codes(&[]), ["error challenge-missing"]);
    assert_eq!(codes(&["Basic realm=\"x\""]), ["error not-bearer"]);
    let good = challenge("https://git.test/jwt/auth");
    assert_eq!(codes(&[&format!("Negotiate, {good}")]), ["error challenge-hidden"]);
    let space = good.replace(',', " ");
    assert_eq!(codes(&[&space]), ["error challenge-malformed"]);
    let unquoted = r#"Bearer realm=https://git.test/jwt/auth,service="container_registry""#;
    assert_eq!(codes(&[unquoted]), ["error challenge-malformed"]);
}

#[test]
fn the_realm_has_to_be_gitlab_s() {
    let realm = |realm: &str| codes(&[&challenge(realm)]);
    assert_eq!(codes(&["Bearer service=container_registry"]), ["error realm-missing"]);
    assert_eq!(realm("git.test/jwt/auth"), ["error realm-malformed"]);
    assert_eq!(realm("https://git.test/jwt"), ["error realm-path"]);
    assert_eq!(realm("https://git.test/gitlab/jwt/auth"), ["error realm-path"]);
    assert_eq!(realm("https://git.test/auth/token"), ["error autoredirect"]);
    assert_eq!(realm("http://git.test/jwt/auth"), ["error realm-http"]);
    assert_eq!(realm("https://git.test:8443/jwt/auth"), ["error realm-elsewhere"]);
    assert_eq!(realm("https://other.test/jwt/auth"), ["error realm-elsewhere"]);
    let other = challenge("https://other.test/jwt/auth");
    let wanted = Some("https://other.test");
    assert_eq!(codes_for("https://git.test", wanted, 401, &[&other]), ["warning realm-elsewhere"]);
    let plain = challenge("http://git.test/jwt/auth");
    assert_eq!(codes_for("http://git.test", None, 401, &[&plain]), ["warning realm-http"]);
}

#[test]
fn the_service_has_to_be_the_one_that_gitlab_knows() {
    let realm = "Bearer realm=\"https://git.test/jwt/auth\"";
    assert_eq!(codes(&[realm]), ["error service-missing"]);
    assert_eq!(codes(&[&format!("{realm},service=docker")]), ["error wrong-service"]);
}

#[test]
fn a_configuration_stands_for_the_answer() {
    let read = |text: &str| {
        let yml = crate::parse::registry_yml::read(text.as_bytes()).unwrap();
        written(&Config { path: "/config.yml".into(), yml, generated: true })
    };
    assert_eq!(read("version: 0.1").0, 200);
    let token = "auth: {token: {realm: 'https://git.test/jwt/auth', service: a}}";
    assert_eq!(
        read(token),
        (401, vec![r#"Bearer realm="https://git.test/jwt/auth",service="a""#.to_owned()])
    );
    let redirects = read("auth: {token: {realm: x, autoredirect: true}}");
    assert!(redirects.1[0].contains(AUTOREDIRECT));
    assert_eq!(read("auth: {htpasswd: {realm: x}}").1, ["Basic realm=\"registry\""]);
}

#[test]
fn seen_from_outside_a_wrong_realm_explains_what_is_wrong_there() {
    for (realm, astray) in [
        ("https://old.test/jwt/auth", "old.test:443"),
        ("http://git.test/jwt/auth", "git.test:80"),
        ("https://git.test/jwt", "git.test:443/jwt"),
    ] {
        let found = judged("https://git.test", None, 401, &[&challenge(realm)]);
        assert_eq!(found[0].explains, [Cause::Astray(astray.to_owned())], "{realm}");
    }
}
