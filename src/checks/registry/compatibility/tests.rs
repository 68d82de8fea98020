use super::{refused, unfit};
use crate::checks::registry::startup::{Configured, config, told};
use crate::checks::{Cause, Finding};
use crate::install::Sourced;

/// A file with nothing to say about it.
const SOUND: &str = "version: 0.1\nhttp: {addr: ':5000', secret: 9f86d081884c7d65}\n";

fn judged(yml: &str, generated: bool, version: Option<&str>) -> Vec<Finding> {
    let config = config(yml, generated);
    let configured = Configured::sample(&config);
    let mut findings = refused::judge(&configured);
    findings.extend(unfit::judge(&configured, version, None));
    findings
}

#[test]
fn a_sound_file_is_no_finding() {
    for yml in [
        SOUND.to_owned(),
        SOUND.replace("0.1", "'0.1'"),
        SOUND.replace("':5000'", "'[::1]:5000'"),
        SOUND.replace("':5000'", "'registry.test:5000'"),
        format!(
            "{SOUND}log: {{level: INFO, formatter: logstash}}\nhealth: {{}}\nx-base: {{a: b}}\n"
        ),
        format!("{SOUND}proxy: {{}}\ncompatibility: {{schema1: {{enabled: false}}}}\n"),
        SOUND.replace("addr: ':5000'", "addr: /run/registry.sock, net: unix"),
        SOUND.replace("addr:", "prefix: /, relativeurls: true, http2: {disabled: true}, addr:"),
        SOUND.replace("addr:", "tls: {minimumtls: x, certificate: '', letsencrypt: }, addr:"),
        SOUND.replace("addr:", "tls: {certificate: /a, key: /b, letsencrypt: {email: a}}, addr:"),
    ] {
        assert_eq!(told(&judged(&yml, false, None)), [""; 0], "{yml}");
    }
}

#[test]
fn what_stops_the_registry_is_an_error() {
    let http = |more: &str| SOUND.replace("addr: ':5000'", more);
    for (yml, code) in [
        (SOUND.replace("0.1", "0.2"), "version"),
        (SOUND.replace("version: 0.1\n", ""), "version"),
        (http("headers: {X-A: nosniff}"), "mistyped"),
        (http("relativeurls: 'true'"), "mistyped"),
        (format!("{SOUND}health: true\n"), "mistyped"),
        (format!("{SOUND}redis: 'localhost:6379'\n"), "mistyped"),
        (format!("{SOUND}storage: {{filesystem: {{}}, cache: inmemory}}\n"), "mistyped"),
        (format!("{SOUND}log: {{level: verbose}}\n"), "unknown-value"),
        (format!("{SOUND}loglevel: verbose\n"), "unknown-value"),
        (format!("{SOUND}log: {{formatter: xml}}\n"), "unknown-value"),
        (http("tls: {certificate: /a, key: /b, minimumtls: tls9}"), "unknown-value"),
        (http("net: foo"), "unknown-value"),
        (http("tls: {certificate: /a}"), "tls-key-unset"),
        (http("addr: 5000"), "address-without-port"),
        (http("addr: 'http://127.0.0.1:5000'"), "address-unreadable"),
        (http("addr: '::1:5000'"), "address-unreadable"),
    ] {
        let findings = judged(&yml, false, None);
        assert_eq!(told(&findings), [format!("error {code}")], "{yml}");
        let startup = Cause::Startup("127.0.0.1:5000".to_owned());
        assert_eq!(findings[0].explains, [startup], "{yml}");
        assert!(findings[0].message.ends_with("the registry does not start"), "{yml}");
    }
}

#[test]
fn what_others_are_about_is_left_to_them() {
    let yml = format!(
        "{SOUND}storage: {{filesystem: {{}}, delete: true, maintenance: 5}}\nauth: {{token: 5}}\n"
    );
    assert_eq!(told(&judged(&yml, false, None)), [""; 0]);
}

#[test]
fn what_does_not_fit_is_told() {
    let http = |more: &str| SOUND.replace("addr: ':5000'", more);
    for (yml, expected) in [
        (http("tls: {letsencrypt: {cachefile: /a}}"), "error lets-encrypt"),
        (http("prefix: /registry/"), "error prefix"),
        (
            format!("{SOUND}proxy: {{remoteurl: 'https://registry-1.docker.io'}}\n"),
            "error pull-through",
        ),
        (format!("{SOUND}compatibility: {{schema1: {{enabled: true}}}}\n"), "notice schema1"),
        (http("tls: {certificate: /a, key: /b}, http2: {disabled: true}"), "notice http2-off"),
        (SOUND.replace(", secret: 9f86d081884c7d65", ""), "notice secret-unset"),
        (SOUND.replace("9f86d081884c7d65", "''"), "notice secret-unset"),
        (format!("{SOUND}maintenance: {{}}\n"), "notice unknown-key"),
    ] {
        assert_eq!(told(&judged(&yml, false, None)), [expected], "{yml}");
    }
}

#[test]
fn schema1_is_told_by_the_version_that_reads_it() {
    let yml = format!("{SOUND}compatibility: {{schema1: {{enabled: true}}}}\n");
    let message = |version| judged(&yml, true, version)[0].message.clone();
    assert!(message(Some("v4.19.0-gitlab")).contains("which this registry ignores"));
    assert!(message(Some("v2.13.1-gitlab")).contains("are taken"));
    assert!(message(None).contains("are taken"));
}

#[test]
fn a_shared_storage_is_named_beside_an_unset_secret() {
    let yml = "version: 0.1\nstorage: {s3: {bucket: a}}\n";
    assert!(judged(yml, false, None)[0].message.contains("several nodes can share"));
}

#[test]
fn an_unset_secret_breaks_uploads_with_several_nodes() {
    let config = config("version: 0.1\nhttp: {addr: ':5000'}\n", false);
    let nodes = "10.0.0.1:5000, 10.0.0.2:5000".to_owned();
    let nodes = Sourced::file(nodes, "/etc/nginx/conf.d/registry.conf", Some(1));
    let findings = unfit::judge(&Configured::sample(&config), None, Some(&nodes));
    assert_eq!(told(&findings), ["warning secret-unset"]);
}
