//! Proxies as people set them up, and what is said of them.

use super::*;
use crate::checks::{Finding, Severity};
use crate::install::Endpoint;
use crate::install::front::Front;
use crate::install::front::tests::{HEALTHY, found, found_before_socket};

/// What is said of a location with these directives, below a server that listens so.
fn judged(listen: &str, directives: &str, url: Option<&str>) -> Vec<(Severity, &'static str)> {
    let text = format!(
        "server {{ listen {listen}; client_max_body_size 0;
           location / {{ proxy_pass http://127.0.0.1:5000; {directives} }} }}"
    );
    let endpoint = url.map(|url| Endpoint::parse(url).unwrap());
    let source = Source::Flag("a test".to_owned());
    let public = endpoint.as_ref().map(|endpoint| Public { endpoint, source: &source });
    let [front] = <[Front; 1]>::try_from(found(&text)).unwrap();
    let findings: Vec<Finding> = proxy::judge(&front, None, public.as_ref());
    findings.iter().map(|finding| (finding.severity, finding.code)).collect()
}

fn headers(headers: &[(&str, &str)]) -> String {
    let line = |(name, value): &(&str, &str)| format!("proxy_set_header {name} {value};");
    headers.iter().map(line).collect::<Vec<_>>().join(" ")
}

const URL: Option<&str> = Some("https://registry.test:5050");

#[test]
fn nginx_calls_a_unix_socket_localhost() {
    let text = "server { listen 443 ssl; location / { client_max_body_size 0;
                proxy_set_header X-Forwarded-Proto https;
                proxy_pass http://unix:/run/registry.sock; } }";
    let [front] = <[Front; 1]>::try_from(found_before_socket(text)).unwrap();
    let findings = proxy::judge(&front, None, None);
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(finding.code, "host-missing");
    assert!(finding.message.contains("sends pushes to https://localhost "), "{}", finding.message);
}

#[test]
fn good_proxies_pass() {
    let proto = ("X-Forwarded-Proto", "$scheme");
    for (listen, directives, url) in [
        ("5050 ssl", HEALTHY.to_owned(), URL),
        ("5050 ssl", headers(&[("Host", "$http_host"), proto]), URL),
        (
            "5050 ssl",
            headers(&[("Host", "$http_host"), proto, ("Authorization", "$http_authorization")]),
            URL,
        ),
        ("5050 ssl", headers(&[("Host", "$host:$server_port"), proto]), URL),
        ("5050 ssl", headers(&[("Host", "registry.test:5050"), proto]), URL),
        ("5050 ssl", headers(&[("X-Forwarded-Host", "$http_host"), proto]), URL),
        // Usual ports are not written.
        ("443 ssl", headers(&[("Host", "$host"), proto]), Some("https://registry.test")),
        // Behind another proxy that ends TLS.
        ("80", HEALTHY.to_owned(), URL),
        (
            "80",
            headers(&[("Host", "$http_host"), ("X-Forwarded-Proto", "$http_x_forwarded_proto")]),
            URL,
        ),
        ("80", headers(&[("Host", "$http_host"), ("X-Forwarded-Proto", "$mapped")]), URL),
        ("80", headers(&[("Host", "$http_host")]), Some("http://registry.test")),
        ("5050 ssl", HEALTHY.to_owned(), None),
    ] {
        assert_eq!(judged(listen, &directives, url), [], "{listen} {directives}");
    }
}

#[test]
fn what_misleads_the_registry_is_an_error() {
    let (host, https) = (("Host", "$http_host"), ("X-Forwarded-Proto", "https"));
    for (listen, set, code) in [
        ("5050 ssl", vec![host], "proto-missing"),
        ("5050 ssl", vec![host, https, ("Authorization", "''")], "authorization-dropped"),
        ("5050 ssl", vec![host, https, ("authorization", "'Basic x'")], "authorization-replaced"),
        ("5050 ssl", vec![host, ("X-Forwarded-Ssl", "on")], "proto-missing"),
        ("5050 ssl", vec![host, ("X-Forwarded-Proto", "$http_x_forwarded_proto")], "proto-missing"),
        ("5050 ssl", vec![host, ("X-Forwarded-Proto", "''")], "proto-missing"),
        ("80", vec![host, ("X-Forwarded-Proto", "$scheme")], "proto-overwritten"),
        ("5050 ssl", vec![host, ("X-Forwarded-Proto", "http")], "proto-wrong"),
        ("5050 ssl", vec![("Host", "$host"), https], "port-dropped"),
        ("5050 ssl", vec![("Host", "$server_name"), https], "port-dropped"),
        ("5050 ssl", vec![host, ("X-Forwarded-Host", "$host"), https], "port-dropped"),
        ("5050 ssl", vec![https], "host-missing"),
        ("5050 ssl", vec![("Host", "$proxy_host"), https], "host-missing"),
        ("5050 ssl", vec![("Host", "registry.test"), https], "host-wrong"),
        ("80", vec![("Host", "$host:$server_port"), https], "port-wrong"),
    ] {
        let found = judged(listen, &headers(&set), URL);
        assert_eq!(found, [(Severity::Error, code)], "{listen} {set:?}");
    }
}

#[test]
fn limits_are_told_by_what_they_stop() {
    let limited = |limit: &str| judged("5050 ssl", &format!("{HEALTHY} {limit}"), URL);
    assert_eq!(limited("client_max_body_size 0;"), []);
    assert_eq!(limited("client_max_body_size 250m;"), [(Severity::Error, "body-limit")]);
    assert_eq!(limited("client_max_body_size 20g;"), [(Severity::Notice, "body-limit")]);
}

#[test]
fn the_registrys_own_settings_win() {
    let judged = |http: &str| {
        let yml = format!("http: {http}\nauth: {{token: {{autoredirect: true}}}}");
        let yml = crate::parse::registry_yml::read(yml.as_bytes()).unwrap();
        let config = install::registry::Config { path: "/config.yml".into(), yml, generated: true };
        let endpoint = Endpoint::parse("https://registry.test:5050").unwrap();
        let source = Source::Flag("a test".to_owned());
        let public = Public { endpoint: &endpoint, source: &source };
        let front = "server { listen 5050 ssl; client_max_body_size 0;
            location / { proxy_pass http://127.0.0.1:5000; } }";
        let [front] = <[Front; 1]>::try_from(found(front)).unwrap();
        let own = settings::judge(&config, Some(&public), Keeper::Package, true);
        let front = proxy::judge(&front, Some(&config), Some(&public));
        own.into_iter().chain(front).map(|finding| finding.code).collect::<Vec<_>>()
    };
    assert_eq!(judged("{relativeurls: true}"), ["autoredirect"]);
    assert_eq!(judged("{host: 'https://registry.test:5050'}"), ["autoredirect"]);
    assert_eq!(judged("{host: 'https://registry.test'}"), ["host-differs", "autoredirect"]);
    assert_eq!(
        judged("{host: 'registry.test:5050'}"),
        ["host-ignored", "autoredirect", "proto-missing", "host-missing"]
    );
}
