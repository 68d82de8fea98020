//! A recording tells what the run told: `report(replay(record(run))) == report(run)`.

use serde_json::Value;

use crate::gitlab::REGISTRY_URL;
use crate::lab::Lab;
use crate::node::Node;
use crate::site::Site;

#[test]
fn a_replay_tells_what_the_run_told() {
    let Some((site, running)) = Site::start(|_| ()) else { return };
    // A healthy installation from both sides, then one with several kinds of trouble.
    same_report(&site.lab, &site.lab.server, &[]);
    same_report(&site.lab, &site.lab.client, &["--registry-url", REGISTRY_URL]);
    running.registry.stop();
    site.lab.server.filter(crate::gitlab::REGISTRY_PORT);
    same_report(&site.lab, &site.lab.server, &["--ntp", "127.0.0.1:9"]);
    same_report(&site.lab, &site.lab.client, &["--registry-url", REGISTRY_URL]);
    same_report(&site.lab, &site.lab.client, &["--registry-url", "https://no-such-name.internal"]);
}

/// Bundles what gldoctor sees on a node, and compares the report in the bundle with the analysis
/// of the bundle elsewhere.
#[track_caller]
fn same_report(lab: &Lab, node: &Node, arguments: &[&str]) {
    let file = lab.dir().join("bundle.tar.gz");
    let file = file.to_str().unwrap();
    let bundle = ["bundle", "--quiet", "--timeout", "1s", "-o", file];
    let bundled = node.gldoctor(&[&bundle[..], arguments].concat());
    let told = node.must("tar", &["-xzOf", file, "gldoctor-bundle/report.json"]);
    let mut told: Value = serde_json::from_str(&told).unwrap();
    // On the other node nothing of this one can be looked at again.
    let replayed = lab.client.gldoctor(&["analyze", file, "--format", "json"]);
    let mut again = replayed.json();
    assert_eq!(bundled.code, replayed.code, "{replayed}");
    forget_how_it_was_looked_at(&mut told);
    forget_how_it_was_looked_at(&mut again);
    assert_eq!(told, again);
}

/// What may differ: how long things took, and whether it was the machine or a recording.
fn forget_how_it_was_looked_at(report: &mut Value) {
    report["duration_ms"] = 0.into();
    report["host"]["source"] = "any".into();
    for check in report["checks"].as_array_mut().unwrap() {
        check["duration_ms"] = 0.into();
    }
}
