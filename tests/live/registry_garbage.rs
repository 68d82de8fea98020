//! `registry/garbage-collection`: when garbage was last collected, by lines as cron and sudo write
//! them, and by what the real registry says when it collects.

use crate::gitlab::Gitlab;
use crate::lab::{HOST, Lab, REGISTRY};
use crate::node::Node;
use crate::pki;
use crate::site::{CONFIG, Report, record};

const GARBAGE: &str = "registry/garbage-collection";
const CRONTAB: &str = "/etc/cron.d/registry-garbage-collect";
const OUTPUT: &str = "/var/log/registry-gc.log";
const COLLECT: &str = "gitlab-ctl registry-garbage-collect";

/// Where the storage of the installation lies.
const STORAGE: &str = "/var/opt/gitlab/gitlab-rails/shared/registry";

/// Writes a log with a line of another job for every day, and one more line.
fn log(node: &Node, path: &str, days: u32, more: Option<(u32, &str)>) {
    let (at, line) = more.unwrap_or((0, ""));
    let script = format!(
        "cat /dev/null > {path}\n\
         for day in $(seq {days} -1 0); do\n\
         stamp=$(date -d \"$day days ago\" '+%b %e %H:%M:%S')\n\
         echo \"$stamp gitlab CRON[17]: (root) CMD (   cd / && run-parts --report /etc/cron.hourly)\" >> {path}\n\
         [ -z '{line}' ] || [ $day != {at} ] || echo \"$stamp gitlab {line}\" >> {path}\n\
         done"
    );
    node.must("sh", &["-c", &script]);
}

#[test]
fn the_last_collection_is_told() {
    let Some(lab) = Lab::start(&[REGISTRY]) else { return };
    let certificate = pki::self_signed(lab.dir(), HOST);
    let _gitlab = Gitlab::install(&lab, &certificate);
    let server = &lab.server;
    server.must("sh", &["-c", "rm -rf /var/log/* && mkdir -p /var/log"]);
    let told = |case: &str, expected: &[&str]| {
        let report = Report::on(GARBAGE, server, &[]);
        assert_eq!(report.codes(GARBAGE), expected, "{case}: {}", report.ran);
        record(&lab, server, &[], GARBAGE, case);
    };
    server.write(CRONTAB, format!("5 4 * * 0 root {COLLECT} >> {OUTPUT} 2>&1\n"));
    server.must("touch", &["-d", "90 days ago", CRONTAB]);

    log(server, "/var/log/syslog", 40, None);
    told("faulty-never-run", &["warning overdue"]);
    let started = format!("CRON[7]: (root) CMD ({COLLECT} >> {OUTPUT} 2>&1)");
    log(server, "/var/log/syslog", 40, Some((20, &started)));
    told("faulty-overdue", &["warning overdue"]);
    log(server, "/var/log/syslog", 40, Some((3, &started)));
    told("near-miss-run-in-time", &[]);
    log(server, "/var/log/syslog", 5, None);
    told("near-miss-log-too-short", &[]);
    // Somebody did it.
    log(server, "/var/log/syslog", 40, None);
    let sudo = format!("bob : TTY=pts/0 ; PWD=/root ; USER=root ; COMMAND=/usr/bin/{COLLECT}");
    log(server, "/var/log/auth.log", 40, Some((3, &format!("sudo:      {sudo}"))));
    told("near-miss-run-by-hand", &[]);
    let refused = sudo.replace(" : TTY", " : command not allowed ; TTY");
    log(server, "/var/log/auth.log", 40, Some((3, &format!("sudo:      {refused}"))));
    told("faulty-refused-by-sudo", &["warning overdue"]);
    server.must("rm", &["/var/log/syslog", "/var/log/auth.log"]);

    // What the registry itself says, where cron leaves no trace.
    let collect = format!("{REGISTRY} garbage-collect {CONFIG} >> {OUTPUT} 2>&1");
    let bad = format!("{STORAGE}/docker/registry/v2/repositories/apps/web-");
    server
        .must("mkdir", &["-p", &format!("{bad}/_layers"), &format!("{bad}/_manifests/revisions")]);
    let ran = server.run("sh", &["-c", &collect]);
    assert!(!ran.succeeded(), "{ran}");
    told("faulty-last-run-failed", &["warning last-run-failed"]);
    server.must("rm", &["-r", &bad]);
    server.must("sh", &["-c", &collect]);
    told("near-miss-failed-before", &[]);
    server.must("touch", &["-d", "20 days ago", OUTPUT]);
    told("faulty-nothing-written", &["warning overdue"]);

    // Nothing is scheduled, and somebody collects by hand.
    server.must("rm", &[CRONTAB]);
    log(server, "/var/log/auth.log", 40, Some((3, &format!("sudo:      {sudo} -m"))));
    told("faulty-by-hand-only", &["notice no-schedule"]);
}
