//! `registry/debug-server` against real servers.

use serde_json::json;

use crate::http::{HttpServer, Response};
use crate::lab::SERVER;
use crate::site::{API, CONFIG, DEBUG, Site};

#[test]
fn a_debug_server_on_every_interface_is_seen_from_both_sides() {
    let wide = |text: &str| text.replace("localhost:5001", "0.0.0.0:5001");
    let Some((site, _running)) = Site::start(|lab| lab.server.edit(CONFIG, wide)) else { return };
    let report = site.seen_from_inside();
    // The installed registry is one of those that show profiles only if told to.
    assert_eq!(report.codes(DEBUG), ["warning bound-widely"], "{}", report.ran);
    site.record_from_inside(DEBUG, "faulty-bound-widely");
    let report = site.seen_from_outside();
    assert_eq!(report.codes(DEBUG), ["error reachable-from-outside"], "{}", report.ran);
    site.record_from_outside(DEBUG, "faulty-reachable-from-outside");
}

#[test]
fn a_debug_server_that_others_cannot_reach_is_none_of_theirs() {
    let Some((site, _running)) = Site::start(|_| ()) else { return };
    let report = site.seen_from_outside();
    assert_eq!(report.status(DEBUG), "not_applicable", "{}", report.ran);
    // Somebody forwards the port.
    let _forwarded =
        HttpServer::tcp(site.lab.server.listen(SERVER, 5001), |_| Response::json(200, &json!({})));
    let report = site.seen_from_inside();
    assert_eq!(report.codes(DEBUG), ["error reachable-from-outside"], "{}", report.ran);
    assert_eq!(site.seen_from_outside().codes(DEBUG), ["error reachable-from-outside"]);
}

#[test]
fn what_is_written_but_not_in_effect_does_not_answer() {
    let Some((site, _running)) = Site::start(|_| ()) else { return };
    let server = &site.lab.server;
    server.edit(CONFIG, |text| text.replace("localhost:5001", "localhost:5002"));
    let report = site.seen_from_inside();
    assert_eq!(report.codes(DEBUG), ["warning not-answering"], "{}", report.ran);
    site.record_from_inside(DEBUG, "faulty-not-answering");

    // A health report, but another program's.
    let _other = HttpServer::tcp(server.listen("127.0.0.1", 5002), |_| {
        Response::json(200, &json!({ "status": "UP" }))
    });
    let report = site.seen_from_inside();
    assert_eq!(report.codes(DEBUG), ["warning not-a-debug-server"], "{}", report.ran);
    site.record_from_inside(DEBUG, "faulty-other-software");
}

#[test]
fn one_address_of_localhost_is_enough() {
    let Some((site, _running)) = Site::start(|lab| {
        lab.server.edit("/etc/hosts", |hosts| format!("{hosts}::1 localhost\n"));
        // As the package wrote it up to GitLab 15.1.
        lab.server.edit(CONFIG, |text| text.replace("127.0.0.1:5000", "localhost:5000"));
    }) else {
        return;
    };
    let report = site.seen_from_inside();
    for (check, refused) in [(API, "[::1]:5000"), (DEBUG, "[::1]:5001")] {
        assert_eq!(report.status(check), "passed", "{}", report.ran);
        let looked_at = report.check(check)["looked_at"].to_string();
        assert!(looked_at.contains(refused), "{looked_at}");
    }
    site.record_from_inside(API, "near-miss-one-address-of-localhost");
    site.record_from_inside(DEBUG, "near-miss-one-address-of-localhost");
}
