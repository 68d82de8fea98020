//! The whole examination from an administrator's own computer, which holds no file of GitLab's.

use serde_json::Value;

use crate::gitlab::{REGISTRY_PORT, REGISTRY_URL};
use crate::lab::{HOST, SERVER};
use crate::node::Ran;
use crate::site::{API, CONFIG, Report, Site};

const URL: &str = "https://my-host.internal";
const REACH: &str = "runner/reach";
const NOTIFICATIONS: &str = "registry/notifications";

/// Every check there is.
fn run(site: &Site, url: &str, registry: &str) -> Ran {
    let run = ["run", "--url", url, "--registry-url", registry, "--timeout", "10s"];
    site.lab.client.gldoctor(&[&run[..], &["--format", "json"]].concat())
}

/// The statuses of all checks, by ID.
fn statuses(ran: &Ran) -> Vec<(String, String)> {
    let report = ran.json();
    let checks = report["checks"].as_array().unwrap().iter();
    let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    checks.map(|check| (text(check, "id"), text(check, "status"))).collect()
}

/// All findings as `check severity code`.
fn findings(ran: &Ran) -> Vec<String> {
    let mut told = Vec::new();
    for check in ran.json()["checks"].as_array().unwrap() {
        for finding in check["findings"].as_array().unwrap() {
            let [severity, code] = ["severity", "code"].map(|key| finding[key].as_str().unwrap());
            told.push(format!("{} {severity} {code}", check["id"].as_str().unwrap()));
            // What is to be typed makes sense on another computer, or says where it belongs.
            let advice = finding["remedy"]["advice"].as_str().unwrap();
            let commands = finding["remedy"]["commands"].as_array().unwrap();
            let gitlab = |command: &Value| command.as_str().unwrap().contains("gitlab-ctl");
            if commands.iter().any(gitlab) {
                assert!(advice.contains("'s host"), "{finding}");
            }
        }
    }
    told
}

#[test]
fn every_check_works_without_any_file_of_gitlab() {
    let Some((site, running)) = Site::start(|_| ()) else { return };
    let pem = site.lab.server.read(&format!("/etc/gitlab/ssl/{HOST}.crt"));
    site.lab.client.trust_system_wide("lab", pem);

    let ran = run(&site, URL, REGISTRY_URL);
    assert_eq!((ran.code, findings(&ran)), (Some(0), Vec::new()), "{ran}");
    let passed = ["tls/names", "tls/validity", "tls/served", "trust/matrix", API, REACH];
    for (id, status) in statuses(&ran) {
        let expected = if passed.contains(&id.as_str()) { "passed" } else { &status };
        assert_eq!(status, expected, "{id}: {ran}");
        assert!(["passed", "not_applicable"].contains(&status.as_str()), "{id}: {ran}");
    }
    // Each side alone.
    for (flag, url, check) in [("--url", URL, REACH), ("--registry-url", REGISTRY_URL, API)] {
        let report = Report::on(check, &site.lab.client, &[flag, url]);
        assert_eq!(report.status(check), "passed", "{}", report.ran);
        assert!(report.ran.stdout.contains(url), "{}", report.ran);
    }

    // Mixed up, and with the wrong scheme.
    let ran = run(&site, REGISTRY_URL, URL);
    let told = findings(&ran);
    assert!(told.contains(&"registry/api error not-a-registry".to_owned()), "{ran}");
    assert!(told.contains(&"runner/reach error registry-answers".to_owned()), "{ran}");
    let ran = run(&site, "http://my-host.internal:443", REGISTRY_URL);
    assert!(findings(&ran).contains(&"runner/reach error http-to-tls-port".to_owned()), "{ran}");
    assert!(ran.stdout.contains("gldoctor run --url https://my-host.internal"), "{ran}");

    drop(running.rails);
    running.registry.stop();
    let ran = run(&site, URL, REGISTRY_URL);
    assert_eq!(
        findings(&ran),
        [
            "registry/api error registry-down",
            "registry/token error gitlab-down",
            "runner/reach error gitlab-down"
        ],
        "{ran}"
    );
    site.lab.server.filter(REGISTRY_PORT);
    site.lab.server.filter(443);
    let ran = run(&site, URL, REGISTRY_URL);
    let silent = ["registry/api", "registry/token", "runner/reach"];
    assert_eq!(findings(&ran), silent.map(|id| format!("{id} error silent")), "{ran}");
}

#[test]
fn the_name_in_the_handshake_decides_who_answers() {
    let Some((site, running)) = Site::start(|lab| {
        // As for names: another server comes first, and a third port knows one name alone.
        let conf = "/var/opt/gitlab/nginx/conf/gitlab-registry.conf";
        let pair = format!(
            "ssl_certificate /etc/gitlab/ssl/{HOST}.crt; \
             ssl_certificate_key /etc/gitlab/ssl/{HOST}.key;"
        );
        lab.server.edit(conf, |registry| {
            format!(
                "server {{ listen *:4567 ssl; server_name other.internal; {pair} \
                 root /usr/share/nginx/html; }}\n\
                 server {{ listen *:4569 ssl default_server; ssl_reject_handshake on; }}\n\
                 server {{ listen *:4569 ssl; server_name {HOST}; {pair} \
                 location / {{ proxy_pass http://127.0.0.1:5000; }} }}\n{registry}"
            )
        });
    }) else {
        return;
    };
    let about = |url: &str| site.about(url);
    assert_eq!(about(REGISTRY_URL).status(API), "passed");
    assert_eq!(about(&format!("https://{HOST}:4569")).status(API), "passed");
    // By its address it is another server: nginx has no place /v2/ in its welcome page.
    let report = about(&format!("https://{SERVER}:4567"));
    assert_eq!(report.codes(API), ["error not-a-registry"], "{}", report.ran);
    assert_eq!(report.evidence(API, "known by"), ["nginx's own page for a place that it has not"]);
    let report = about(&format!("https://{SERVER}:4569"));
    assert_eq!(report.codes(API), ["error tls-failed"], "{}", report.ran);
    drop(running);
    // A server that wants a certificate of its clients shows its own, and then ends TLS.
    let port = ["4570", "-cert", "/etc/gitlab/ssl/my-host.internal.crt", "-key"];
    let wants = ["/etc/gitlab/ssl/my-host.internal.key", "-Verify", "1", "-verify_return_error"];
    let server = &site.lab.server;
    let arguments = [&["s_server", "-quiet", "-accept"], &port[..], &wants].concat();
    let _strict = server.serve("openssl", &arguments, || server.listens(4570));
    let report = about(&format!("https://{HOST}:4570"));
    assert_eq!(report.codes(API), ["error tls-broken-off"], "{}", report.ran);
}

#[test]
fn one_dead_gitlab_is_one_story() {
    let Some((site, running)) = Site::start(|_| ()) else { return };
    let server = &site.lab.server;
    let events = format!("{URL}/api/v4/container_registry_event/events");
    let hook = format!("{{name: geo, url: '{events}', headers: {{Authorization: [x]}}}}");
    server.edit(CONFIG, |text| format!("{text}\nnotifications: {{endpoints: [{hook}]}}\n"));
    let runner =
        format!("[[runners]]\n  name = \"lab\"\n  url = \"{URL}\"\n  executor = \"shell\"\n");
    server.write("/etc/gitlab-runner/config.toml", runner);
    let pem = server.read(&format!("/etc/gitlab/ssl/{HOST}.crt"));
    server.write(&format!("/etc/gitlab-runner/certs/{HOST}.crt"), pem);
    let both = || Report::patiently(&format!("{NOTIFICATIONS},{REACH}"), server, &[]);
    let report = both();
    assert_eq!(report.status(NOTIFICATIONS), "passed", "{}", report.ran);
    assert_eq!(report.status(REACH), "passed", "{}", report.ran);
    drop(running.rails);
    for code in ["gitlab-down", "refused"] {
        let report = both();
        assert_eq!(report.findings(NOTIFICATIONS), [["error", code, URL, ""]], "{}", report.ran);
        let follows = [["error", code, URL, NOTIFICATIONS]];
        assert_eq!(report.findings(REACH), follows, "{}", report.ran);
        assert!(report.commands(REACH).contains(&"sudo gitlab-ctl status") || code == "refused");
        running.nginx.signal("TERM");
        let since = std::time::Instant::now();
        while server.listens(443) {
            assert!(since.elapsed().as_secs() < 20);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
