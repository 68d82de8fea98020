//! `registry/read-only` against a real registry, to which skopeo pushes or cannot.

use crate::gitlab::REGISTRY_NAME;
use crate::site::{CONFIG, Report};
use crate::token::{READ_ONLY, TOKEN, start};

#[test]
fn read_only_mode_is_seen_in_the_process_and_in_the_files() {
    let Some((site, mut running)) = start(|_| ()) else { return };
    let server = &site.lab.server;
    let deletes = r#""delete":{"enabled":true}"#;
    let on = r#""delete":{"enabled":true},"maintenance":{"readonly":{"enabled":true}}"#;
    let push = || {
        let from = format!("docker://{REGISTRY_NAME}/group/demo-app:1.0");
        let to = format!("docker://{REGISTRY_NAME}/group/copy:1.0");
        let trust = ["--src-cert-dir", "/etc/lab-trusted", "--dest-cert-dir", "/etc/lab-trusted"];
        let copy = ["copy", "--insecure-policy"];
        site.lab.client.run("skopeo", &[&copy[..], &trust, &[&from, &to]].concat())
    };
    let codes = |report: &Report| report.codes(READ_ONLY).join(",");
    site.client_logs_in(true);
    assert!(push().succeeded());
    // Written, but not in effect.
    server.edit(CONFIG, |text| text.replace(deletes, on));
    let report = site.on_server(&[]);
    assert_eq!(codes(&report), "warning read-only-at-restart", "{}", report.ran);
    running = site.restart(running);
    for report in [site.on_server(&[]), site.with_login()] {
        assert_eq!(codes(&report), "warning read-only", "{}", report.ran);
        assert_eq!(report.status(TOKEN), "passed");
    }
    let refused = push();
    assert!(!refused.succeeded(), "{refused}");
    site.record(server, &[], READ_ONLY, "faulty-left-on");
    let report = site.on_server(&["--offline-files-only"]);
    assert_eq!(codes(&report), "warning read-only", "{}", report.ran);
    // While garbage is collected, it has to be so.
    let collects = "exec -a registry perl -e 'sleep 60' garbage-collect";
    let all = "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -qx 'garbage-collec[t]'";
    let is_there = || server.run("sh", &["-c", all]).succeeded();
    let collector = server.serve("bash", &["-c", collects], is_there);
    let report = site.on_server(&[]);
    assert_eq!(codes(&report), "notice read-only", "{}", report.ran);
    collector.stop();
    // Off again in the file, but not in the process.
    server.edit(CONFIG, |text| text.replace(on, deletes));
    let report = site.on_server(&[]);
    assert_eq!(codes(&report), "error read-only-in-effect", "{}", report.ran);
    assert!(!push().succeeded());
    site.record(server, &[], READ_ONLY, "faulty-not-restarted");
    running = site.restart(running);
    assert_eq!(site.on_server(&[]).status(READ_ONLY), "passed");
    assert!(push().succeeded());
    site.record(server, &[], READ_ONLY, "near-miss-off-again");
    drop(running);
}
