//! `clock/offset` against real time servers (chronyd) and against stand-ins that lie in every way
//! a real one cannot be made to. All of it on loopback, on free ports, without root.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail, and look itself"
)]

use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gldoctor::host::network::{Failure, NtpQuery, NtpReply};
use gldoctor::host::request::Request;
use gldoctor::host::{Host, Machine, Scope};
use gldoctor::parse::ntp_packet::{NoTime, Stray};
use serde_json::Value;
use tempfile::TempDir;

type Packet = Vec<u8>;

/// A time server of our own. It stops when dropped.
struct StandIn {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Answers the request of each number, from 0, with these packets.
    fn replying(answer: impl Fn(usize, &[u8; 48]) -> Vec<Packet> + Send + 'static) -> Self {
        Self::start(move |socket, client, number, request, _| {
            for packet in answer(number, request) {
                socket.send_to(&packet, client).ok();
            }
        })
    }

    /// Replies once to each request, with a good packet that was changed.
    fn changing(change: impl Fn(&mut Packet) + Send + 'static) -> Self {
        Self::replying(move |_, request| {
            let mut packet = good(request, 0);
            change(&mut packet);
            vec![packet]
        })
    }

    fn start(
        serve: impl Fn(&UdpSocket, SocketAddr, usize, &[u8; 48], &AtomicBool) + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let address = socket.local_addr().unwrap();
        let (requests, stopped) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (counter, stop) = (Arc::clone(&requests), Arc::clone(&stopped));
        let thread = thread::spawn(move || {
            let mut packet = [0; 512];
            while !stop.load(Ordering::SeqCst) {
                let Ok((length, client)) = socket.recv_from(&mut packet) else { continue };
                let Some(request) = packet[..length].first_chunk() else { continue };
                serve(&socket, client, counter.fetch_add(1, Ordering::SeqCst), request, &stop);
            }
        });
        Self { address, requests, stopped, thread: Some(thread) }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// What a sound server says whose clock is `ahead_s` seconds ahead.
fn good(request: &[u8; 48], ahead_s: i64) -> Packet {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seconds = (now.as_secs() + 2_208_988_800).wrapping_add_signed(ahead_s);
    let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
    let stamp = (seconds << 32) | fraction;
    let mut packet = vec![0; 48];
    packet[..4].copy_from_slice(&[0x24, 2, 6, 0xec]);
    packet[12..16].copy_from_slice(&[192, 0, 2, 1]);
    packet[24..32].copy_from_slice(&request[40..48]);
    for at in [16, 32, 40] {
        packet[at..at + 8].copy_from_slice(&stamp.to_be_bytes());
    }
    packet
}

/// The answer to the question itself.
fn ask(address: SocketAddr, patience: Duration) -> NtpReply {
    let host = Host::live(Machine::new(Scope::live(), Request::default(), patience));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(host.ask(NtpQuery { address })).unwrap()
}

/// The offset of a server that tells the time, in microseconds.
#[track_caller]
fn offset_us(address: SocketAddr) -> i64 {
    match ask(address, Duration::from_secs(9)) {
        NtpReply::Time { timing, .. } => timing.offset_us,
        other => panic!("{other:?}"),
    }
}

/// The check as the built program reports it, with its exit code. What this machine has configured
/// must not matter, so its files are out of sight.
fn check(servers: &[SocketAddr]) -> (Value, i32) {
    let empty = TempDir::new().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_gldoctor"));
    program.args(["run", "--only", "clock/offset", "--format", "json", "--timeout", "2s"]);
    program.arg("--root").arg(empty.path()).arg("--network");
    for server in servers {
        program.args(["--ntp", &server.to_string()]);
    }
    let output = program.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&output.stderr)));
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == "clock/offset").unwrap();
    (check.clone(), output.status.code().unwrap())
}

fn status(servers: &[SocketAddr]) -> String {
    check(servers).0["status"].as_str().unwrap().to_owned()
}

/// The status and the exit code for one server.
#[track_caller]
fn expect(server: SocketAddr, status: &str, exit_code: i32) -> Value {
    let (check, code) = check(&[server]);
    assert_eq!((check["status"].as_str().unwrap(), code), (status, exit_code), "{check:#}");
    check
}

/// A server that proves nothing: the question says why, and the check does not pass.
#[track_caller]
fn proves_nothing(standin: &StandIn, expected: &NoTime) {
    match ask(standin.address, Duration::from_secs(2)) {
        NtpReply::NoTime { why, .. } => assert_eq!(why, *expected),
        other => panic!("{other:?}"),
    }
    expect(standin.address, "unknown", 3);
}

#[test]
fn a_reply_with_nothing_to_go_by_is_unknown() {
    let kiss = |code: [u8; 4]| {
        StandIn::changing(move |packet| {
            packet[0] |= 0xc0;
            packet[1] = 0;
            packet[12..16].copy_from_slice(&code);
        })
    };
    for code in ["RATE", "DENY", "RSTR"] {
        let bytes = code.as_bytes().try_into().unwrap();
        proves_nothing(&kiss(bytes), &NoTime::Kiss(code.to_owned()));
    }
    proves_nothing(&kiss(*b"INIT"), &NoTime::Unsynchronised);
    proves_nothing(&kiss([0; 4]), &NoTime::Unsynchronised);
    proves_nothing(&StandIn::changing(|packet| packet[1] = 0), &NoTime::Unsynchronised);
    proves_nothing(&StandIn::changing(|packet| packet[1] = 16), &NoTime::Unsynchronised);
    proves_nothing(&StandIn::changing(|packet| packet[0] |= 0xc0), &NoTime::Unsynchronised);
    proves_nothing(&StandIn::changing(|packet| packet[1] = 99), &NoTime::Stratum);
    proves_nothing(&StandIn::changing(|packet| packet[0] = 0x25), &NoTime::Mode);
    proves_nothing(&StandIn::changing(|packet| packet[0] = 0x3c), &NoTime::Version);
    proves_nothing(&StandIn::changing(|packet| packet[40..48].fill(0)), &NoTime::Stamps);
    proves_nothing(&StandIn::changing(|packet| packet[32..40].fill(0)), &NoTime::Stamps);
    proves_nothing(&StandIn::changing(|packet| packet[9] = 16), &NoTime::Distance);
}

#[test]
fn packets_that_answer_nothing_are_no_reply() {
    let strays = |standin: &StandIn| match ask(standin.address, Duration::from_secs(1)) {
        NtpReply::Strays { first, .. } => first,
        other => panic!("{other:?}"),
    };
    let wrong_origin = StandIn::changing(|packet| packet[24] ^= 1);
    assert_eq!(strays(&wrong_origin), Stray::WrongOrigin);
    expect(wrong_origin.address, "unknown", 3);
    let short = StandIn::changing(|packet| packet.truncate(47));
    assert_eq!(strays(&short), Stray::Short(47));
    expect(short.address, "unknown", 3);
    let mirror = StandIn::replying(|_, request| vec![request.to_vec()]);
    assert_eq!(strays(&mirror), Stray::WrongOrigin);
}

#[test]
fn a_right_reply_is_found_among_wrong_ones() {
    let standin = StandIn::replying(|_, request| {
        let forged = |i: u8| {
            let mut packet = good(request, 3600);
            packet[31] ^= i;
            packet
        };
        let mut packets: Vec<_> = (1..100).map(forged).collect();
        packets.extend([vec![0; 3], good(request, 0), good(request, 3600)]);
        packets
    });
    assert!(offset_us(standin.address).abs() < 500_000);
    expect(standin.address, "passed", 0);
}

#[test]
fn a_flood_of_garbage_ends() {
    let standin = StandIn::start(|socket, client, _, _, stopped| {
        while !stopped.load(Ordering::SeqCst) {
            // It fails when the client is gone, which is no reason to stop.
            socket.send_to(&[0xff; 48], client).ok();
        }
    });
    let started = Instant::now();
    let reply = ask(standin.address, Duration::from_secs(3));
    assert!(matches!(reply, NtpReply::Strays { count, .. } if count > 100), "{reply:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_reply_from_elsewhere_is_not_heard() {
    for other in ["127.0.0.1:0", "127.0.0.2:0"] {
        let other = UdpSocket::bind(other).unwrap();
        let standin = StandIn::start(move |_, client, _, request, _| {
            other.send_to(&good(request, 0), client).ok();
        });
        let reply = ask(standin.address, Duration::from_secs(1));
        assert!(matches!(reply, NtpReply::Failed(Failure::Silent(_))), "{reply:?}");
        expect(standin.address, "warning", 3);
    }
}

#[test]
fn silence_and_refusal_are_answers() {
    let silent = StandIn::replying(|_, _| Vec::new());
    let reply = ask(silent.address, Duration::from_secs(1));
    assert!(matches!(reply, NtpReply::Failed(Failure::Silent(_))), "{reply:?}");

    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(ask(closed, Duration::from_secs(2)), NtpReply::Failed(Failure::Refused));
    let check = expect(closed, "warning", 3);
    let message = check["findings"][0]["message"].as_str().unwrap();
    assert_eq!(message, format!("nothing listens at {closed} (UDP)"));
    let good = StandIn::changing(|_| {});
    assert_eq!(status(&[closed, good.address]), "notice");
}

#[test]
fn a_good_server_is_asked_once_and_a_lost_request_again() {
    let standin = StandIn::changing(|_| {});
    offset_us(standin.address);
    assert_eq!(standin.requests.load(Ordering::SeqCst), 1);
    let lossy = StandIn::replying(|number, request| match number {
        0 => Vec::new(),
        _ => vec![good(request, 0)],
    });
    offset_us(lossy.address);
    assert_eq!(lossy.requests.load(Ordering::SeqCst), 2);
}

#[test]
fn the_fastest_of_several_replies_counts() {
    let slow_at_first = StandIn::start(|socket, client, number, request, _| {
        let reply = good(request, 0);
        if number == 0 {
            thread::sleep(Duration::from_millis(1500));
        }
        socket.send_to(&reply, client).ok();
    });
    match ask(slow_at_first.address, Duration::from_secs(9)) {
        NtpReply::Time { timing, .. } => assert!(timing.round_trip_us < 1_500_000, "{timing:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_liar_does_not_make_the_clock_wrong() {
    let ahead = |seconds| StandIn::replying(move |_, request| vec![good(request, seconds)]);
    let codes = |servers: &[&StandIn]| {
        let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
        let (check, _) = check(&addresses);
        let findings = check["findings"].as_array().unwrap();
        let codes = findings.iter().map(|found| found["code"].as_str().unwrap().to_owned());
        codes.collect::<Vec<_>>()
    };
    let (right, same, liar) = (ahead(0), ahead(0), ahead(300));
    assert_eq!(codes(&[&right, &same, &liar]), ["server-outvoted"]);
    assert_eq!(codes(&[&right, &liar]), ["servers-disagree"]);
    assert_eq!(codes(&[&ahead(-60), &ahead(-60)]), ["offset"]);
}

/// A real time server. It dies with this value, or with the test.
struct Chronyd {
    process: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Chronyd {
    /// `None`, and a word on standard error, where chronyd or faketime is not installed.
    fn start(settings: &str, shift: Option<&str>) -> Option<Self> {
        let library =
            format!("/usr/lib/{}-linux-gnu/faketime/libfaketime.so.1", std::env::consts::ARCH);
        if !Path::new("/usr/sbin/chronyd").exists() || !Path::new(&library).exists() {
            assert!(std::env::var_os("CI").is_none(), "chronyd or faketime is not installed");
            // Not eprintln!, which the test harness would swallow.
            let mut stderr = std::io::stderr();
            writeln!(stderr, "SKIPPED: chronyd or faketime is not installed").unwrap();
            return None;
        }
        let dir = TempDir::new().unwrap();
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let at = dir.path().display();
        let text = format!(
            "port {}\nbindaddress 127.0.0.1\ncmdport 0\nbindcmdaddress {at}/sock\n\
             pidfile {at}/pid\nallow 127.0.0.0/8\n{settings}\n",
            address.port()
        );
        std::fs::write(dir.path().join("conf"), text).unwrap();
        // -x: it never touches the clock.
        let mut chronyd = Command::new("setpriv");
        chronyd.args(["--pdeathsig", "KILL", "/usr/sbin/chronyd"]);
        chronyd.args(["-x", "-d", "-U", "-u", &user(), "-f"]).arg(dir.path().join("conf"));
        chronyd.stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(shift) = shift {
            chronyd.env("LD_PRELOAD", library).env("FAKETIME", shift);
        }
        let started = Self { process: chronyd.spawn().unwrap(), address, _dir: dir };
        // It answers, even unsynchronised, as soon as it listens.
        for _ in 0..200 {
            if ask(address, Duration::from_secs(1)) != NtpReply::Failed(Failure::Refused) {
                return Some(started);
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("chronyd did not start");
    }
}

impl Drop for Chronyd {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// This user's name: chronyd must not change away from it.
fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn chronyd_with_the_same_time_passes() {
    let Some(chronyd) = Chronyd::start("local stratum 8", None) else { return };
    expect(chronyd.address, "passed", 0);
    match ask(chronyd.address, Duration::from_secs(9)) {
        NtpReply::Time { header, timing } => {
            assert_eq!((header.stratum, header.reference.as_str()), (8, "127.127.1.1"));
            assert!(timing.offset_us.abs() < 100_000, "{timing:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn chronyd_with_another_time_is_found() {
    for (shift, seconds, status, exit_code, words) in [
        ("+90s", 90, "error", 1, " s behind 127.0.0.1:"),
        ("-3s", -3, "warning", 0, " s ahead of 127.0.0.1:"),
    ] {
        let Some(chronyd) = Chronyd::start("local stratum 8", Some(shift)) else { return };
        let offset_us = offset_us(chronyd.address);
        assert!((offset_us - seconds * 1_000_000).abs() < 100_000, "{offset_us}");
        let check = expect(chronyd.address, status, exit_code);
        let message = check["findings"][0]["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn chronyd_that_is_not_synchronised_is_unknown() {
    let Some(chronyd) = Chronyd::start("", None) else { return };
    match ask(chronyd.address, Duration::from_secs(2)) {
        NtpReply::NoTime { header, why } => {
            assert_eq!((header.leap, header.stratum), (3, 0));
            assert_eq!((header.reference.as_str(), why), ("0.0.0.0", NoTime::Unsynchronised));
        }
        other => panic!("{other:?}"),
    }
    let check = expect(chronyd.address, "unknown", 3);
    let reason = check["reason"].as_str().unwrap();
    assert!(reason.contains("does not know the time itself"), "{reason}");
}
