//! `clock/offset` against time servers that lie in every way a real one cannot be made to, and
//! against chronyd, whose own client has to agree.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clock::{self, Clock};
use crate::lab::{CHRONYD, FAKETIME, Lab, SERVER};
use crate::site::Report;
use crate::standin::ntp::{Answer, NtpStandin};

pub(crate) const OFFSET: &str = "clock/offset";

/// The check as gldoctor reports it, with the exit code. What this machine has configured must not
/// matter, so its files are out of sight.
fn check(servers: &[SocketAddr]) -> (Value, i32) {
    let empty = tempfile::TempDir::new().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_gldoctor"));
    program.args(["run", "--only", OFFSET, "--format", "json", "--timeout", "2s"]);
    program.arg("--root").arg(empty.path()).arg("--network");
    for server in servers {
        program.args(["--ntp", &server.to_string()]);
    }
    let output = program.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&output.stderr)));
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == OFFSET).unwrap();
    (check.clone(), output.status.code().unwrap())
}

/// The findings on some servers, as `severity code`.
fn findings(servers: &[&NtpStandin]) -> Vec<String> {
    let addresses: Vec<_> = servers.iter().map(|server| server.address()).collect();
    let (check, _) = check(&addresses);
    let found = check["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    found.map(|it| format!("{} {}", text(&it["severity"]), text(&it["code"]))).collect()
}

/// The status, the exit code and the reason for one server.
#[track_caller]
fn expect(server: SocketAddr, status: &str, exit_code: i32) -> String {
    let (check, code) = check(&[server]);
    assert_eq!((check["status"].as_str().unwrap(), code), (status, exit_code), "{check:#}");
    check["reason"].as_str().unwrap_or_default().to_owned()
}

/// A server whose answer proves nothing: the check says why, and does not pass.
#[track_caller]
fn proves_nothing(answer: Answer, why: &str) {
    let standin = NtpStandin::on_loopback(answer);
    let reason = expect(standin.address(), "unknown", 3);
    assert!(reason.contains(why), "{answer:?}: {reason}");
}

#[test]
fn a_reply_with_nothing_to_go_by_is_unknown() {
    proves_nothing(Answer::KissOfDeath(b"RATE"), "kiss of death RATE: it was asked too often");
    proves_nothing(Answer::KissOfDeath(b"DENY"), "kiss of death DENY: it denies access from here");
    proves_nothing(Answer::KissOfDeath(b"RSTR"), "kiss of death RSTR: it denies access from here");
    let unsynchronised = "does not know the time itself";
    proves_nothing(Answer::KissOfDeath(b"INIT"), unsynchronised);
    proves_nothing(Answer::StratumZero, unsynchronised);
    proves_nothing(Answer::Stratum16, unsynchronised);
    proves_nothing(Answer::Unsynchronized, unsynchronised);
    proves_nothing(Answer::Changed(|packet| packet[1] = 99), "stratum 99, which does not exist");
    proves_nothing(Answer::Changed(|packet| packet[0] = 0x25), "mode 5, which is not a server's");
    proves_nothing(Answer::Changed(|packet| packet[0] = 0x3c), "version 7 of NTP to version 4");
    let stamps = "are missing or contradict each other";
    proves_nothing(Answer::Changed(|packet| packet[40..48].fill(0)), stamps);
    proves_nothing(Answer::Changed(|packet| packet[32..40].fill(0)), stamps);
    proves_nothing(Answer::Changed(|packet| packet[9] = 16), "may be off by 16 s or more");
}

#[test]
fn packets_that_answer_nothing_are_no_reply() {
    proves_nothing(Answer::WrongOrigin, "does not repeat the time stamp of the request");
    proves_nothing(Answer::Mirror, "does not repeat the time stamp of the request");
    proves_nothing(Answer::Short, "is 20 bytes long, which is too short");
}

#[test]
fn a_right_reply_is_found_among_wrong_ones() {
    // Later replies to the same request are duplicates, whatever they say.
    for answer in [Answer::AmongWrongOnes, Answer::Duplicates] {
        let standin = NtpStandin::on_loopback(answer);
        expect(standin.address(), "passed", 0);
    }
}

#[test]
fn a_flood_of_garbage_ends() {
    let standin = NtpStandin::on_loopback(Answer::Flood);
    let started = Instant::now();
    let reason = expect(standin.address(), "unknown", 3);
    assert!(reason.contains(" packets from ") && reason.contains("none a reply"), "{reason}");
    assert!(started.elapsed() < Duration::from_secs(6));
}

#[test]
fn a_reply_from_elsewhere_is_not_heard() {
    for other in ["127.0.0.1:0", "127.0.0.2:0"] {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let other = Some(UdpSocket::bind(other).unwrap());
        let standin = NtpStandin::with_other_port(server, other, Answer::OtherPort);
        let reason = expect(standin.address(), "warning", 3);
        assert!(reason.contains("nothing answers"), "{reason}");
    }
}

#[test]
fn silence_and_refusal_are_answers() {
    let silent = NtpStandin::on_loopback(Answer::Silence);
    assert_eq!(findings(&[&silent]), ["warning silent-server"]);
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (check, code) = check(&[closed]);
    assert_eq!(code, 3);
    let message = check["findings"][0]["message"].as_str().unwrap();
    assert_eq!(message, format!("nothing listens at {closed} (UDP)"));
    // Beside one that tells the time it is worth knowing, no more.
    let good = NtpStandin::on_loopback(Answer::Time(0));
    assert_eq!(findings(&[&good, &silent]), ["notice silent-server"]);
    let useless = NtpStandin::on_loopback(Answer::KissOfDeath(b"DENY"));
    assert_eq!(findings(&[&good, &useless]), ["notice useless-reply"]);
}

#[test]
fn a_good_server_is_asked_once_and_a_lost_request_again() {
    for (answer, questions) in
        [(Answer::Time(0), 1), (Answer::FirstLost, 2), (Answer::FirstLate, 2)]
    {
        let standin = NtpStandin::on_loopback(answer);
        let server = standin.address();
        let empty = tempfile::TempDir::new().unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_gldoctor"));
        program.args(["run", "--only", OFFSET, "--timeout", "9s", "--network"]);
        program.arg("--root").arg(empty.path()).args(["--ntp", &server.to_string()]);
        assert_eq!(program.output().unwrap().status.code(), Some(0), "{answer:?}");
        assert_eq!(standin.questions(), questions, "{answer:?}");
    }
}

#[test]
fn one_liar_does_not_make_the_clock_wrong() {
    let ahead = |seconds: i64| NtpStandin::on_loopback(Answer::Time(seconds * 1000));
    let (right, same, liar) = (ahead(0), ahead(0), ahead(300));
    assert_eq!(findings(&[&right, &same, &liar]), ["warning server-outvoted"]);
    assert_eq!(findings(&[&right, &liar]), ["warning servers-disagree"]);
    assert_eq!(findings(&[&ahead(-60), &ahead(-60)]), ["error offset"]);
}

#[test]
fn chronyd_and_gldoctor_see_the_same_offset() {
    let Some(lab) = Lab::start(&[CHRONYD, FAKETIME]) else { return };
    for (last, clock, expected) in [
        (11, Clock::Right, &[][..]),
        (12, Clock::Ahead(90), &["error offset"]),
        (13, Clock::Ahead(-3), &["warning offset"]),
        (14, Clock::Unsynchronized, &[]),
    ] {
        let address = format!("10.77.0.{last}");
        lab.server.must("ip", &["address", "add", &format!("{address}/24"), "dev", "lab0"]);
        let _chronyd = clock::start_chronyd(&lab.server, &address, clock);
        let report = Report::on(OFFSET, &lab.client, &["--ntp", &address]);
        assert_eq!(report.codes(OFFSET), expected, "{}", report.ran);
        let by_chronyd = clock::offset_by_chronyd(&lab.client, &address);
        match clock {
            Clock::Right => {
                assert_eq!(report.status(OFFSET), "passed", "{}", report.ran);
                assert!(by_chronyd.unwrap().abs() < 0.5);
            }
            Clock::Ahead(seconds) => {
                assert!((by_chronyd.unwrap() - f64::from(seconds)).abs() < 0.5);
                let way = if seconds > 0 { "behind" } else { "ahead of" };
                let message = report.check(OFFSET)["findings"][0]["message"].as_str().unwrap();
                assert!(message.contains(&format!(" s {way} {address}")), "{message}");
            }
            Clock::Unsynchronized => {
                assert_eq!((report.status(OFFSET), by_chronyd), ("unknown", None));
                let reason = report.check(OFFSET)["reason"].as_str().unwrap();
                assert!(reason.contains("does not know the time itself"), "{reason}");
            }
        }
    }
}

#[test]
fn a_default_that_nobody_wrote_is_not_asked() {
    let Some(lab) = Lab::start(&[]) else { return };
    let (client, server) = (&lab.client, &lab.server);
    let asked = NtpStandin::start(server.udp(SERVER, 123), Answer::Time(0));
    client.edit("/etc/hosts", |hosts| format!("{hosts}{SERVER} 0.debian.pool.ntp.org\n"));
    client.write("/etc/os-release", "ID=debian\n");
    client.write("/etc/systemd/timesyncd.conf", "[Time]\n#NTP=\n");
    let report = Report::on(OFFSET, client, &[]);
    assert_eq!(report.codes(OFFSET), ["notice public-default"], "{}", report.ran);
    assert_eq!(asked.questions(), 0);
    assert_eq!(
        report.commands(OFFSET),
        ["sudoedit /etc/systemd/timesyncd.conf", "sudo systemctl restart systemd-timesyncd"]
    );
    // Once it is written, it is meant.
    client.write("/etc/systemd/timesyncd.conf", "[Time]\nNTP=0.debian.pool.ntp.org\n");
    let report = Report::on(OFFSET, client, &[]);
    assert_eq!((report.status(OFFSET), asked.questions()), ("passed", 1), "{}", report.ran);
}

#[test]
fn a_gitlab_rb_that_is_out_of_reach_hides_only_itself() {
    let Some(lab) = Lab::start(&[]) else { return };
    let _good = NtpStandin::start(lab.server.udp(SERVER, 123), Answer::Time(0));
    lab.client.write("/etc/chrony/chrony.conf", format!("server {SERVER} iburst\n"));
    lab.client.write("/etc/gitlab/gitlab.rb", "external_url 'https://git.test'\n");
    lab.client.must("chmod", &["600", "/etc/gitlab/gitlab.rb"]);
    let gldoctor = env!("CARGO_BIN_EXE_gldoctor");
    let as_nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", gldoctor];
    let run = ["run", "--only", OFFSET, "--format", "json"];
    let ran = lab.client.run("setpriv", &[&as_nobody[..], &run].concat());
    let report = ran.json();
    let check = report["checks"].as_array().unwrap().iter().find(|it| it["id"] == OFFSET).unwrap();
    assert_eq!(check["status"], "unknown", "{ran}");
    let reason = check["reason"].as_str().unwrap();
    assert!(reason.contains("NTP_HOST in gitlab.rb: /etc/gitlab/gitlab.rb: "), "{reason}");
    // The server was asked all the same.
    let looked_at = check["looked_at"].as_array().unwrap();
    assert!(looked_at.iter().any(|it| *it == format!("time server {SERVER}:123")), "{ran}");
}
