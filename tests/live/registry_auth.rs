//! `registry/auth`: what a registry says of its tokens, as clients read it.

use serde_json::json;

use crate::gitlab::REGISTRY_NAME;
use crate::http::Response;
use crate::lab::{HOST, Lab};
use crate::site::{CONFIG, NGINX_CONF, Report, changeable};
use crate::token::{AUTH, FLOW, FROM_OUTSIDE, TOKEN, start};

#[test]
fn challenges_are_read_as_docker_reads_them() {
    let in_its_place = |lab: &Lab| {
        lab.server.edit(NGINX_CONF, |text| text.replace("127.0.0.1:5000", "127.0.0.1:8181"));
    };
    let Some((site, _running)) = start(in_its_place) else { return };
    let (_server, answer) = changeable(&site);
    let refusal = json!({ "errors": [{ "code": "UNAUTHORIZED" }] });
    let challenge = |lines: &[&str]| {
        let version = ("Docker-Distribution-Api-Version", "registry/2.0");
        let response = Response::json(401, &refusal).with(version.0, version.1);
        lines.iter().fold(response, |response, line| response.with("WWW-Authenticate", line))
    };
    let judged = || Report::on(AUTH, &site.lab.client, &FROM_OUTSIDE);
    let realm = format!("realm=\"https://{HOST}/jwt/auth\"");
    let service = "service=\"container_registry\"";
    let good = format!("Bearer {realm},{service}");

    let harmless = [
        vec![good.clone()],
        vec!["Negotiate".to_owned(), good.clone()],
        vec![format!("bearer {realm} , {service}, scope=\"repository:a:pull,push\"")],
        vec![good.replace("Bearer realm", "BEARER Realm")],
    ];
    for lines in harmless {
        answer(challenge(&lines.iter().map(String::as_str).collect::<Vec<_>>()));
        let report = judged();
        assert_eq!(report.status(AUTH), "passed", "{lines:?}: {}", report.ran);
    }
    site.record_from_outside(AUTH, "near-miss-spelling");
    let faulty = [
        (vec![], "challenge-missing"),
        (vec!["Basic realm=\"x\"".to_owned()], "not-bearer"),
        (vec![format!("Bearer {service}")], "realm-missing"),
        (vec![format!("Bearer {realm}")], "service-missing"),
        (vec![format!("Negotiate, {good}")], "challenge-hidden"),
        (vec![format!("Bearer {realm} {service}")], "challenge-malformed"),
        (vec![format!("Bearer realm=https://{HOST}/jwt/auth,{service}")], "challenge-malformed"),
    ];
    for (lines, code) in faulty {
        answer(challenge(&lines.iter().map(String::as_str).collect::<Vec<_>>()));
        let report = judged();
        assert_eq!(report.codes(AUTH), [format!("error {code}")], "{lines:?}: {}", report.ran);
        site.client_logs_in(false);
        site.record_from_outside(AUTH, &format!("faulty-{code}"));
    }
}

#[test]
fn a_registry_without_authentication_is_open() {
    let Some((site, running)) = start(|_| ()) else { return };
    let server = &site.lab.server;
    server.edit(CONFIG, |text| {
        let (before, after) = text.split_once("auth:\n").unwrap();
        let (_, after) = after.split_once("validation:").unwrap();
        format!("{before}validation:{after}")
    });
    let running = site.restart(running);
    for report in [site.on_server(&[]), Report::on(FLOW, &site.lab.client, &FROM_OUTSIDE)] {
        assert_eq!(report.codes(AUTH), ["error open"], "{}", report.ran);
        assert_eq!(report.status(TOKEN), "not_applicable", "{}", report.ran);
    }
    let report = site.on_server(&["--offline-files-only"]);
    assert_eq!(report.codes(AUTH), ["error open"], "{}", report.ran);
    site.record(server, &[], AUTH, "faulty-open");
    // Anybody may: skopeo without a login.
    let image = format!("docker://{REGISTRY_NAME}/group/demo-app:1.0");
    let trust = ["--cert-dir", "/etc/lab-trusted"];
    let inspect = ["inspect", "--no-creds", trust[0], trust[1], &image];
    assert!(site.lab.client.run("skopeo", &inspect).succeeded());
    drop(running);
}
