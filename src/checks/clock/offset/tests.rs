//! The judge at its boundaries.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::*;
use crate::checks::clock::hearing::Server;
use crate::host::network::{Failure, NtpReply, Resolved};
use crate::install::Source;
use crate::install::clock::TimeServer;
use crate::parse::ntp_packet::{Header, NoTime, Stray, Timing};

const SECOND: i64 = 1_000_000;

fn limits() -> Limits {
    Limits::new(1000, 5000)
}

fn header() -> Header {
    Header {
        leap: 0,
        version: 4,
        mode: 4,
        stratum: 2,
        reference: "10.0.0.9".to_owned(),
        reference_age_s: Some(60),
        root_delay_us: 0,
        root_dispersion_us: 0,
        precision_us: 0,
    }
}

/// A reply of a server whose clock is `offset_us` later than this one.
fn time(offset_us: i64) -> NtpReply {
    NtpReply::Time { header: header(), timing: Timing { offset_us, round_trip_us: 0 } }
}

fn vague(offset_us: i64, round_trip_us: u64, root_dispersion_us: u64) -> NtpReply {
    let header = Header { root_dispersion_us, ..header() };
    NtpReply::Time { header, timing: Timing { offset_us, round_trip_us } }
}

fn no_time(why: NoTime) -> NtpReply {
    NtpReply::NoTime { header: header(), why }
}

fn named(host: &str, client: &str) -> TimeServer {
    let source = Source::File { path: "/etc/chrony/chrony.conf".into(), line: Some(1) };
    TimeServer { host: host.to_owned(), port: 123, client: client.to_owned(), source }
}

fn server(host: &str) -> Server {
    servers(vec![named(host, "chrony")]).remove(0)
}

fn heard_at(host: &str, replies: Vec<NtpReply>) -> Heard {
    let address = |i| SocketAddr::from(([10, 0, 0, i], 123));
    let replies: Vec<_> = (1..).zip(replies).map(|(i, reply)| (address(i), Ok(reply))).collect();
    let addresses: BTreeSet<_> = replies.iter().map(|(address, _)| address.ip()).collect();
    Heard { server: server(host), resolved: Ok(Resolved::Addresses(addresses)), replies }
}

fn heard(host: &str, reply: NtpReply) -> Heard {
    heard_at(host, vec![reply])
}

fn unresolved(host: &str) -> Heard {
    let resolved = Ok(Resolved::NotFound("no such name".to_owned()));
    Heard { server: server(host), resolved, replies: Vec::new() }
}

/// What was found, as `severity code subject`, and how many parts are untold.
fn told(heard: &[Heard]) -> (Vec<String>, usize) {
    let verdict = judge(heard, limits());
    let mut findings: Vec<_> = verdict
        .findings
        .iter()
        .map(|found| format!("{:?} {} {}", found.severity, found.code, found.subject))
        .collect();
    findings.sort();
    (findings, verdict.untold.len())
}

fn one(reply: NtpReply) -> (Vec<String>, usize) {
    told(&[heard("ntp1", reply)])
}

fn found(text: &str) -> (Vec<String>, usize) {
    (vec![text.to_owned()], 0)
}

fn nothing() -> (Vec<String>, usize) {
    (Vec::new(), 0)
}

fn untold() -> (Vec<String>, usize) {
    (Vec::new(), 1)
}

#[test]
fn severity_follows_the_offset_either_way() {
    for sign in [1, -1] {
        assert_eq!(one(time(0)), nothing());
        assert_eq!(one(time(sign * (SECOND - 1))), nothing());
        assert_eq!(one(time(sign * SECOND)), found("Warning offset ntp1:123"));
        assert_eq!(one(time(sign * (5 * SECOND - 1))), found("Warning offset ntp1:123"));
        assert_eq!(one(time(sign * 5 * SECOND)), found("Error offset ntp1:123"));
    }
    assert_eq!(one(time(i64::MIN)), found("Error offset ntp1:123"));
}

#[test]
fn only_what_lies_beyond_the_margin_is_certain() {
    // 0.9 s of margin, from a slow round trip.
    let slow = |offset_us| vague(offset_us, 1_800_000, 0);
    assert_eq!(one(slow(99_999)), nothing());
    assert_eq!(one(slow(100_000)), untold());
    assert_eq!(one(slow(1_899_999)), untold());
    assert_eq!(one(slow(1_900_000)), found("Warning offset ntp1:123"));
    assert_eq!(one(slow(5_899_999)), found("Warning offset ntp1:123"));
    assert_eq!(one(slow(5_900_000)), found("Error offset ntp1:123"));
}

#[test]
fn a_server_that_doubts_itself_can_agree_but_not_accuse() {
    let doubtful = |offset_us| vague(offset_us, 0, 10_000_000);
    let notice = "Notice inexact-server ntp1:123".to_owned();
    assert_eq!(one(doubtful(3000)), (vec![notice.clone()], 0));
    assert_eq!(one(doubtful(6 * SECOND)), (vec![notice.clone()], 1));
    let error = "Error offset ntp1:123".to_owned();
    assert_eq!(one(doubtful(92 * SECOND)), (vec![error, notice], 0));
    assert_eq!(one(vague(0, 0, 999_999)), nothing());
}

#[test]
fn the_message_says_which_way_and_how_exactly() {
    let heard = [heard("ntp1", vague(-92_000_000, 10_000, 3000))];
    let finding = judge(&heard, limits()).findings.remove(0);
    assert_eq!(finding.message, "the clock is 92.0 s ahead of ntp1 (+-0.008 s)");
    assert_eq!(finding.explains, [Cause::Clock]);
    assert_eq!(finding.evidence[0].path.as_deref(), Some("/etc/chrony/chrony.conf"));
    assert!(finding.remedy.commands.contains(&"sudo chronyc makestep".to_owned()));
}

#[test]
fn a_wrong_clock_is_one_finding_however_many_servers_see_it() {
    let far = |host| heard(host, time(92 * SECOND));
    let all = [far("ntp1"), far("ntp2"), far("ntp3")];
    assert_eq!(told(&all), found("Error offset ntp1:123"));
    assert_eq!(judge(&all, limits()).findings[0].evidence.len(), 4);
}

#[test]
fn the_majority_is_believed() {
    let all =
        [heard("ntp1", time(0)), heard("ntp2", time(-90 * SECOND)), heard("ntp3", time(1000))];
    assert_eq!(told(&all), found("Warning server-outvoted ntp2:123"));
    let message = &judge(&all, limits()).findings[0].message;
    assert_eq!(
        message,
        "the time server ntp2 (10.0.0.1) is 90.0 s behind the majority, 2 of 3 servers (+-0.000 s)"
    );
}

#[test]
fn servers_that_disagree_are_not_held_against_the_clock() {
    let all = [heard("ntp1", time(0)), heard("ntp2", time(90 * SECOND))];
    assert_eq!(told(&all), found("Warning servers-disagree ntp2:123"));
    let message = &judge(&all, limits()).findings[0].message;
    assert!(message.contains("ntp2 (10.0.0.1) is 90.0 s ahead of ntp1 (10.0.0.1)"), "{message}");

    // A clock that agrees with neither is wrong, whoever is right.
    let all = [heard("ntp1", time(-30 * SECOND)), heard("ntp2", time(90 * SECOND))];
    let expected = ["Error offset ntp1:123", "Warning servers-disagree ntp2:123"];
    assert_eq!(told(&all), (expected.map(str::to_owned).to_vec(), 0));
}

#[test]
fn a_vague_server_does_not_lead_the_majority() {
    let all = [
        heard("ntp1", vague(0, 0, 15_000_000)),
        heard("ntp2", time(8 * SECOND)),
        heard("ntp3", time(8 * SECOND)),
    ];
    let expected = ["Error offset ntp2:123", "Notice inexact-server ntp1:123"];
    assert_eq!(told(&all), (expected.map(str::to_owned).to_vec(), 0));
}

#[test]
fn replies_that_prove_nothing_leave_the_check_unknown() {
    for why in [
        NoTime::Kiss("RATE".to_owned()),
        NoTime::Unsynchronised,
        NoTime::Mode,
        NoTime::Version,
        NoTime::Stratum,
        NoTime::Stamps,
        NoTime::Distance,
    ] {
        assert_eq!(one(no_time(why.clone())), untold(), "{why:?}");
        let beside = [heard("ntp1", time(0)), heard("ntp2", no_time(why))];
        assert_eq!(told(&beside), found("Notice useless-reply ntp2:123"));
    }
    let strays = NtpReply::Strays { count: 3, first: Stray::WrongOrigin };
    assert_eq!(one(strays), untold());
}

#[test]
fn a_dead_server_is_a_warning_unless_another_tells_the_time() {
    for failure in [Failure::Silent(9), Failure::Refused, Failure::Unreachable] {
        let dead = || heard("ntp1", NtpReply::Failed(failure.clone()));
        let alone = (vec!["Warning silent-server ntp1:123".to_owned()], 1);
        assert_eq!(told(&[dead()]), alone);
        let beside = [dead(), heard("ntp2", time(0))];
        assert_eq!(told(&beside), found("Notice silent-server ntp1:123"));
    }
    let message = |heard: Heard| judge(&[heard], limits()).findings.remove(0).message;
    let silent = heard("ntp1", NtpReply::Failed(Failure::Silent(9)));
    assert_eq!(message(silent), "nothing answers at ntp1:123 (UDP) within 9 s");
    assert_eq!(message(unresolved("ntp1")), "the time server ntp1 does not resolve");
}

#[test]
fn public_names_that_do_not_resolve_are_one_finding() {
    let names = ["0.pool.ntp.org", "1.pool.ntp.org", "ntp.ubuntu.com"];
    let all = names.map(unresolved);
    let expected = (vec!["Warning public-default 0.pool.ntp.org:123".to_owned()], 3);
    assert_eq!(told(&all), expected);
    assert_eq!(judge(&all, limits()).findings[0].evidence.len(), 3);
    let beside = [unresolved("pool.ntp.org"), heard("ntp1", time(0))];
    assert_eq!(told(&beside), found("Notice public-default pool.ntp.org:123"));
}

#[test]
fn one_address_that_answers_is_enough_for_a_name() {
    let dead = NtpReply::Failed(Failure::Unreachable);
    assert_eq!(told(&[heard_at("ntp1", vec![dead, time(0)])]), nothing());
}

#[test]
fn a_look_that_failed_is_told() {
    let denied = || Unknown::Denied("no".to_owned());
    let resolved = Heard { server: server("ntp1"), resolved: Err(denied()), replies: Vec::new() };
    assert_eq!(told(&[resolved]), untold());
    let address = SocketAddr::from(([10, 0, 0, 1], 123));
    let mut asked = heard("ntp1", time(0));
    asked.replies = vec![(address, Err(denied()))];
    assert_eq!(told(&[asked, heard("ntp2", time(0))]), untold());
}

#[test]
fn a_server_that_several_files_name_is_asked_once() {
    let all = vec![named("NTP1.", "chrony"), named("ntp1", "gitlab.rb"), named("ntp2", "ntpd")];
    let servers = servers(all);
    assert_eq!(servers.len(), 2);
    assert_eq!(servers[0].named.len(), 2);
    assert_eq!(servers[0].endpoint(), "ntp1:123");
}

#[test]
fn a_remedy_fits_the_client_and_never_pastes_a_strange_name() {
    let commands = |host: &str, client: &str| {
        let servers = servers(vec![named(host, client)]);
        remedies::step(&[&servers[0]]).commands.join("; ")
    };
    assert!(commands("ntp1", "chrony").starts_with("sudo chronyc makestep"));
    assert!(
        commands("ntp1", "systemd-timesyncd")
            .starts_with("sudo systemctl restart systemd-timesyncd")
    );
    assert!(commands("ntp1", "ntpd").contains("ntpd -gq"));
    assert_eq!(commands("ntp1", "--ntp"), "sudo chronyd -q 'server ntp1 port 123 iburst'");
    assert_eq!(commands("ntp1'; reboot '", "--ntp"), "");
}

#[tokio::test]
async fn without_leave_to_use_the_network_the_check_does_not_apply() {
    use crate::host::request::Request;
    use crate::host::{Machine, Scope};

    let scope = Scope { network: Err("files only".to_owned()), ..Scope::live() };
    let ntp = vec!["127.0.0.1".to_owned()];
    let request = Request { ntp, ..Request::default() };
    let host = Host::live(Machine::new(scope, request, std::time::Duration::from_secs(1)));
    assert_eq!(run(&host).await.unwrap_err(), Stop::not_applicable("files only"));
}
