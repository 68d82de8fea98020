//! `clock/gitaly` against time servers as Praefect and Gitaly would ask them.

use crate::clock::{self, Clock};
use crate::lab::{CHRONYD, FAKETIME, Lab, SERVER};
use crate::node::Node;
use crate::site::{Report, record};
use crate::standin::ntp::{Answer, NtpStandin};

const GITALY: &str = "clock/gitaly";

/// A Praefect node by its services, as older guides have it.
const PRAEFECT: &str =
    "praefect['enable'] = true\ngitaly['enable'] = false\npuma['enable'] = false\n";

/// What is found on a node with this `gitlab.rb`, as `severity code`; the status where that is
/// nothing.
fn found(node: &Node, rb: &str) -> Vec<String> {
    node.write("/etc/gitlab/gitlab.rb", rb);
    let report = Report::on(GITALY, node, &[]);
    match report.codes(GITALY) {
        found if found.is_empty() => vec![report.status(GITALY).to_owned()],
        found => found,
    }
}

fn asking(host: &str) -> String {
    format!("{PRAEFECT}praefect['env'] = {{ 'NTP_HOST' => '{host}' }}\n")
}

#[test]
fn the_default_is_told_where_somebody_asks_and_never_asked() {
    let Some(lab) = Lab::start(&[]) else { return };
    let node = &lab.client;
    let pool = NtpStandin::start(lab.server.udp(SERVER, 123), Answer::Silence);
    node.edit("/etc/hosts", |hosts| format!("{hosts}{SERVER} pool.ntp.org\n"));
    let report = Report::on(GITALY, node, &[]);
    assert_eq!(report.status(GITALY), "not_applicable", "{}", report.ran);

    assert_eq!(found(node, PRAEFECT), ["notice default-pool"]);
    record(&lab, node, &[], GITALY, "faulty-default-left");
    assert_eq!(found(node, "roles ['praefect_role']\n"), ["notice default-pool"]);
    assert_eq!(found(node, "roles ['gitaly_role']\n"), ["notice default-pool"]);
    let gitaly = "gitaly['enable'] = true\npuma['enable'] = false\n";
    assert_eq!(found(node, gitaly), ["notice default-pool"]);
    let both =
        "roles ['gitaly_role', 'praefect_role']\ngitaly['env'] = { 'NTP_HOST' => '10.77.0.1' }\n";
    assert_eq!(found(node, both), ["warning unreachable", "notice default-pool"]);
    // All of GitLab on one host: there is no cluster.
    assert_eq!(found(node, "external_url 'https://git.test'\n"), ["not_applicable"]);
    assert_eq!(found(node, "gitaly['enable'] = true\n"), ["not_applicable"]);
    assert_eq!(found(node, "praefect['enable'] = false\n"), ["not_applicable"]);
    assert_eq!(
        found(node, "roles ['application_role']\npuma['enable'] = false\n"),
        ["not_applicable"]
    );
    assert_eq!(pool.questions(), 1, "only for the server that is written there");
    // Whoever writes the pool's name means it.
    assert_eq!(found(node, &asking("pool.ntp.org")), ["warning unreachable"]);
    assert_eq!(pool.questions(), 2);
    record(&lab, node, &[], GITALY, "faulty-unreachable");
}

#[test]
fn a_version_that_asks_nobody_has_no_such_trouble() {
    let Some(lab) = Lab::start(&[]) else { return };
    let node = &lab.client;
    let version = |text: &str| {
        node.write("/opt/gitlab/version-manifest.txt", format!("gitlab-ee {text}\n"));
    };
    version("19.0.1");
    assert_eq!(found(node, PRAEFECT), ["not_applicable"]);
    version("17.5.2");
    assert_eq!(found(node, PRAEFECT), ["notice default-pool"]);
}

#[test]
fn the_named_server_has_to_tell_the_time() {
    let Some(lab) = Lab::start(&[CHRONYD, FAKETIME]) else { return };
    let node = &lab.client;
    for (last, clock, expected, case) in [
        (11, Clock::Right, "passed", "healthy"),
        // Praefect tolerates a minute; the rest is clock/offset's.
        (12, Clock::Ahead(30), "passed", "near-miss-within-a-minute"),
        (13, Clock::Ahead(90), "warning drift", "faulty-drift"),
        (14, Clock::Unsynchronized, "warning no-time", "faulty-unsynchronised"),
    ] {
        let address = format!("10.77.0.{last}");
        lab.server.must("ip", &["address", "add", &format!("{address}/24"), "dev", "lab0"]);
        let _chronyd = clock::start_chronyd(&lab.server, &address, clock);
        assert_eq!(found(node, &asking(&address)), [expected]);
        record(&lab, node, &[], GITALY, case);
    }
    let own = format!("{}praefect['env']['DRIFT_THRESHOLD'] = '5m'\n", asking("10.77.0.13"));
    assert_eq!(found(node, &own), ["warning unreachable"]);
    assert_eq!(found(node, &asking("10.77.0.99")), ["warning unreachable"]);
    assert_eq!(found(node, &asking("no-such-name.internal")), ["warning unreachable"]);
    let drawn = format!("{PRAEFECT}praefect['env'] = {{ 'NTP_HOST' => ENV['TIME'] }}\n");
    assert_eq!(found(node, &drawn), ["unknown"]);
    record(&lab, node, &[], GITALY, "cannot-look-computed");
}

#[test]
fn one_dead_server_is_one_story() {
    let Some(lab) = Lab::start(&[]) else { return };
    lab.client.write("/etc/gitlab/gitlab.rb", asking(SERVER));
    let report = Report::on("clock/gitaly,clock/offset", &lab.client, &[]);
    assert_eq!(
        report.findings(GITALY),
        [["warning", "unreachable", "10.77.0.1:123", "clock/offset"]],
        "{}",
        report.ran
    );
    // From files alone what is written cannot be tried, and what is not is told all the same.
    let root = || Report::on(GITALY, &lab.client, &["--root", "/"]);
    assert_eq!(root().status(GITALY), "not_applicable");
    let both = format!(
        "{}roles ['gitaly_role']\n",
        asking(SERVER).replace("gitaly['enable'] = false\n", "")
    );
    lab.client.write("/etc/gitlab/gitlab.rb", both);
    assert_eq!(root().codes(GITALY), ["notice default-pool"]);
}
