//! The judge, service by service.

use super::*;
use crate::host::network::{ChronyReply, Failure, NtpReply};
use crate::install::Source;
use crate::parse::chrony_packet::Tracking;
use crate::parse::ntp_packet::{Header, NoTime, Timing};

const NOW_S: i64 = 1_790_000_000;

fn server() -> TimeServer {
    let source = Source::File { path: "/etc/chrony/chrony.conf".into(), line: Some(1) };
    TimeServer { host: "NTP1".to_owned(), port: 123, client: "chrony".to_owned(), source }
}

fn judge(name: &'static str, servers: Vec<TimeServer>) -> Judge {
    let now = Timestamp::from_second(NOW_S).unwrap();
    Judge { name, process: name, installed: None, servers, now }
}

fn tracking() -> Tracking {
    Tracking {
        synchronised: true,
        local: false,
        reference: "10.0.0.1".to_owned(),
        stratum: 3,
        updated_s: Some(NOW_S - 60),
        behind_us: 12,
        distance_us: 1000,
    }
}

/// The code of what was found; `untold` where it cannot be told.
fn code((finding, untold): service::Judged) -> &'static str {
    match (finding, untold) {
        (Some(finding), None) => finding.code,
        (None, Some(_)) => "untold",
        (None, None) => "",
        (Some(_), Some(_)) => "both",
    }
}

fn chrony(change: impl FnOnce(&mut Tracking)) -> &'static str {
    let mut tracking = tracking();
    change(&mut tracking);
    code(judge("chrony", vec![server()]).chrony(ChronyReply::Tracking(tracking)))
}

#[test]
fn chronyd_is_judged_by_its_own_words() {
    assert_eq!(chrony(|_| {}), "");
    assert_eq!(chrony(|it| it.synchronised = false), "unsynchronised");
    assert_eq!(chrony(|it| it.local = true), "own-clock");
    assert_eq!(chrony(|it| it.updated_s = Some(NOW_S - STALE_S)), "");
    assert_eq!(chrony(|it| it.updated_s = Some(NOW_S - STALE_S - 1)), "stale");
    assert_eq!(chrony(|it| it.updated_s = Some(NOW_S + 1_000_000)), "");
    assert_eq!(chrony(|it| it.updated_s = Some(i64::MIN)), "");
    assert_eq!(chrony(|it| it.updated_s = None), "");
    assert_eq!(chrony(|it| it.behind_us = -999_999), "");
    assert_eq!(chrony(|it| it.behind_us = -1_000_000), "correcting");
    let silent = ChronyReply::Failed(Failure::Refused);
    assert_eq!(code(judge("chrony", Vec::new()).chrony(silent)), "untold");
    assert_eq!(code(judge("chrony", Vec::new()).chrony(ChronyReply::Nothing(Some(2)))), "untold");
}

#[test]
fn a_time_server_without_a_reference_may_follow_itself() {
    let local = Tracking { local: true, ..tracking() };
    assert_eq!(code(judge("chrony", Vec::new()).chrony(ChronyReply::Tracking(local))), "");
}

#[test]
fn ntpd_is_judged_by_its_reply() {
    let header = |reference: &str, age| Header {
        leap: 0,
        version: 4,
        mode: 4,
        stratum: 3,
        reference: reference.to_owned(),
        reference_age_s: Some(age),
        root_delay_us: 0,
        root_dispersion_us: 0,
        precision_us: 1,
    };
    let timing = Timing { offset_us: 0, round_trip_us: 100 };
    let time = |reference, age| NtpReply::Time { header: header(reference, age), timing };
    let judged = |reply| code(judge("ntpd", vec![server()]).ntpd(reply));
    assert_eq!(judged(time("10.0.0.1", 60)), "");
    assert_eq!(judged(time("10.0.0.1", STALE_S + 1)), "stale");
    assert_eq!(judged(time("LOCL", 60)), "own-clock");
    let why = NoTime::Unsynchronised;
    assert_eq!(judged(NtpReply::NoTime { header: header("INIT", 0), why }), "unsynchronised");
    let why = NoTime::Kiss("DENY".to_owned());
    assert_eq!(judged(NtpReply::NoTime { header: header("DENY", 0), why }), "untold");
    assert_eq!(judged(NtpReply::Failed(Failure::Refused)), "untold");
}

#[test]
fn timesyncd_is_judged_by_its_file() {
    let judged = |told| code(judge("systemd-timesyncd", Vec::new()).timesyncd(told));
    let at = |seconds| Timesyncd::Told(Some(Timestamp::from_second(seconds).unwrap()));
    assert_eq!(judged(at(NOW_S - 2000)), "");
    assert_eq!(judged(at(NOW_S - STALE_S - 1)), "stale");
    assert_eq!(judged(Timesyncd::Told(None)), "unsynchronised");
    assert_eq!(judged(Timesyncd::Mute), "untold");
}

#[test]
fn what_dead_servers_bring_about_follows_from_them() {
    let unsynchronised = Tracking { synchronised: false, ..tracking() };
    let (finding, _) =
        judge("chrony", vec![server()]).chrony(ChronyReply::Tracking(unsynchronised));
    let finding = finding.unwrap();
    assert_eq!(finding.follows, [Cause::TimeServer("ntp1:123".to_owned())]);
    assert_eq!(finding.explains, [Cause::TimeService]);
    // A cause has to lie deeper than what it explains.
    assert!(finding.follows[0] < finding.explains[0] && Cause::TimeService < Cause::Clock);
}

fn running(services: &[&str]) -> Running {
    let services = services.iter().map(|name| ((*name).to_owned(), 1)).collect();
    Running { services, contained: false, at: Timestamp::UNIX_EPOCH }
}

#[test]
fn two_services_fight_and_helpers_do_not() {
    let fights = |services: &[&str]| {
        let rivals: Vec<_> = rivals(&running(services)).collect();
        fighting(&rivals).map(|finding| finding.message)
    };
    let message = fights(&["chronyd", "systemd-timesyn"]).unwrap();
    assert_eq!(message, "2 time services set this clock: chrony, systemd-timesyncd");
    assert_eq!(fights(&["chronyd", "phc2sys", "vmtoolsd"]), None);
    assert_eq!(fights(&["ntpd"]), None);
    assert_eq!(fights(&[]), None);
}

#[test]
fn the_remedy_fits_the_system() {
    let system = |id: &str, like: &[&str]| SystemFacts {
        name: "gitlab".to_owned(),
        os: None,
        os_id: Some(id.to_owned()),
        os_like: like.iter().map(|it| (*it).to_owned()).collect(),
        running: true,
        uid: 0,
    };
    let commands = |installed: &[TimeService], system| {
        let finding = nothing_runs(installed, &system);
        (finding.code, finding.remedy.commands.first().cloned().unwrap_or_default())
    };
    let apt = ("none-installed", "sudo apt-get install chrony".to_owned());
    assert_eq!(commands(&[], system("linuxmint", &["ubuntu", "debian"])), apt);
    let dnf = ("none-installed", "sudo dnf install chrony".to_owned());
    assert_eq!(commands(&[], system("rocky", &["rhel", "centos", "fedora"])), dnf);
    assert_eq!(commands(&[], system("plan9", &[])).1, "");
    let chrony = TimeService { name: "chrony", unit: "chronyd", configuration: None };
    let start = ("stopped", "sudo systemctl enable --now chronyd".to_owned());
    assert_eq!(commands(&[chrony], system("rocky", &[])), start);
}
