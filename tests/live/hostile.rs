//! Servers that stall, lie or never stop talking: each has to become a finding in clear words,
//! within the timeout and in bounded memory.

use std::fmt::Write as _;
use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::lab::{HOST, Lab, SERVER};
use crate::pki::{self, Certificate};
use crate::site::API;
use crate::standin::tcp::{Fault, TcpStandin};

/// The memory in KiB that gldoctor may map: plenty for its threads, far too little to keep what an
/// endless answer sends in a second.
const MEMORY: &str = "1000000";

/// What gldoctor may take, with a timeout of one second, on a machine that is busy with other
/// tests. A look that hangs would take until its deadline of two minutes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, the name of its fault, and the codes that describe what it does, one of which is to
/// be found.
type Case = (&'static str, Fault, &'static [&'static str]);

const PAUSE: Duration = Duration::from_secs(1);

/// Text that lives as long as the test.
fn text(text: impl Into<Vec<u8>>) -> &'static [u8] {
    Vec::leak(text.into())
}

fn response(head: &str, body: &[u8]) -> &'static [u8] {
    text([format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body].concat())
}

/// 20 MB of zeros in some 20 kB.
fn gzip_bomb() -> Vec<u8> {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..20 {
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
    }
    bomb.finish().unwrap()
}

/// What a server can do to a client that speaks HTTP to it, with or without TLS.
fn http_faults() -> Vec<Case> {
    let bomb = gzip_bomb();
    let head = format!("200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}", bomb.len());
    let mut challenges = "401 Unauthorized".to_owned();
    for number in 0..100 {
        write!(challenges, "\r\nWWW-Authenticate: Basic realm=\"{number}\"").unwrap();
    }
    let huge = format!("200 OK\r\nX-Huge: {}", "x".repeat(4 << 20));
    let deep = "[".repeat(120) + &"]".repeat(120);
    vec![
        ("silent", Fault::Silent, &["http-silent"]),
        // Over TLS it comes in the middle of the handshake.
        ("reset", Fault::Reset, &["no-http", "tls-failed"]),
        ("hangup", Fault::Hangup, &["no-http"]),
        ("drip", Fault::Drips(b"HTTP/1.1 200 OK\r\n\r\n", PAUSE), &["http-silent"]),
        ("endless headers", Fault::EndlessHeaders, &["no-http", "http-silent"]),
        ("endless body", Fault::EndlessBody, &["not-a-registry"]),
        ("another protocol", Fault::Says(b"220 mail.internal ESMTP\r\n"), &["no-http"]),
        ("gzip bomb", Fault::Says(response(&head, &bomb)), &["not-a-registry"]),
        (
            "short body",
            Fault::Says(response("404 Not Found\r\nContent-Length: 1000", b"short")),
            &["not-a-registry"],
        ),
        (
            "nonsensical length",
            Fault::Says(response("200 OK\r\nContent-Length: -1", b"")),
            &["no-http"],
        ),
        (
            "redirect loop",
            Fault::Says(response("302 Found\r\nLocation: /v2/", b"")),
            &["redirect-loop"],
        ),
        ("hundred challenges", Fault::Says(response(&challenges, b"")), &["foreign-challenge"]),
        ("huge header", Fault::Says(response(&huge, b"")), &["no-http"]),
        ("deep JSON", Fault::Says(response("200 OK", deep.as_bytes())), &["not-a-registry"]),
        ("binary", Fault::Says(response("200 OK", b"\x00\xff\xfe\x1b[2J")), &["not-a-registry"]),
    ]
}

/// What a server can do to a client that wants TLS.
fn tls_faults() -> Vec<Case> {
    vec![
        ("silent", Fault::Silent, &["tls-silent"]),
        ("stalled handshake", Fault::StalledHandshake, &["tls-silent"]),
        ("reset", Fault::Reset, &["tls-failed"]),
        ("hangup", Fault::Hangup, &["tls-failed"]),
        ("another protocol", Fault::Says(b"SSH-2.0-lab\r\n"), &["no-tls"]),
        ("plain HTTP", Fault::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), &["plain-http"]),
        ("drip", Fault::Drips(b"\x16\x03\x03\x00\x7a\x02\x00", PAUSE), &["tls-silent"]),
        ("alert", Fault::Says(b"\x15\x03\x03\x00\x02\x02\x28"), &["tls-failed"]),
        ("endless", Fault::EndlessHeaders, &["plain-http", "no-tls"]),
    ]
}

/// Who is misbehaving: the check that is about it, the flags that name it behind its URL, and the
/// codes that are others than the registry's.
struct Role {
    check: &'static str,
    flag: &'static str,
    more: &'static [&'static str],
    names: &'static [(&'static str, &'static str)],
}

const REGISTRY: Role = Role { check: API, flag: "--registry-url", more: &[], names: &[] };

/// In place of GitLab, for a registry that nobody serves: the realm is the one that GitLab has.
const REALM: Role = Role {
    check: "registry/token",
    flag: "--url",
    more: &["--registry-url", "https://my-host.internal:6999"],
    names: &[("not-a-registry", "not-gitlab"), ("redirect-loop", "redirected")],
};

/// The same as the runner and its jobs meet it.
const RUNNER: Role = Role { check: "runner/reach", flag: "--url", more: &[], names: REALM.names };

#[test]
fn hostile_http_servers_are_described() {
    let Some(lab) = Lab::start(&[]) else { return };
    examine(&lab, &REGISTRY, "http", &http_faults(), TcpStandin::plain);
}

#[test]
fn hostile_servers_at_the_runners_url_are_described() {
    let Some(lab) = Lab::start(&[]) else { return };
    examine(&lab, &RUNNER, "http", &http_faults(), TcpStandin::plain);
}

#[test]
fn hostile_servers_in_place_of_gitlab_are_described() {
    let Some(lab) = Lab::start(&[]) else { return };
    let certificate: Certificate = pki::self_signed(lab.dir(), HOST);
    examine(&lab, &REALM, "https", &http_faults(), |listener, fault| {
        TcpStandin::tls(listener, &certificate, fault)
    });
}

#[test]
fn hostile_tls_servers_in_place_of_gitlab_are_described() {
    let Some(lab) = Lab::start(&[]) else { return };
    examine(&lab, &REALM, "https", &tls_faults(), TcpStandin::plain);
}

#[test]
fn hostile_servers_behind_tls_are_described() {
    let Some(lab) = Lab::start(&[]) else { return };
    let certificate: Certificate = pki::self_signed(lab.dir(), HOST);
    examine(&lab, &REGISTRY, "https", &http_faults(), |listener, fault| {
        TcpStandin::tls(listener, &certificate, fault)
    });
}

#[test]
fn hostile_tls_servers_are_described() {
    let Some(lab) = Lab::start(&[]) else { return };
    examine(&lab, &REGISTRY, "https", &tls_faults(), TcpStandin::plain);
}

/// Runs gldoctor against each server, all at once.
fn examine(
    lab: &Lab,
    role: &Role,
    scheme: &str,
    cases: &[Case],
    start: impl Fn(std::net::TcpListener, Fault) -> TcpStandin,
) {
    let ports = 7000..;
    let standins: Vec<_> = cases
        .iter()
        .zip(ports)
        .map(|((_, fault, _), port)| (port, start(lab.server.listen(SERVER, port), *fault)))
        .collect();
    thread::scope(|scope| {
        for ((name, _, codes), (port, _)) in cases.iter().zip(&standins) {
            let url = format!("{scheme}://{HOST}:{port}");
            scope.spawn(move || describes(lab, role, name, &url, codes));
        }
    });
}

fn describes(lab: &Lab, role: &Role, name: &str, url: &str, codes: &[&str]) {
    let Role { check: only, flag, more, names } = *role;
    let gldoctor = env!("CARGO_BIN_EXE_gldoctor");
    let limited = format!("ulimit -v {MEMORY} && exec \"$0\" \"$@\"");
    let run = ["run", "--only", only, "--timeout", "1s", "--format", "json"];
    let since = Instant::now();
    let arguments = [&["-c", &limited, gldoctor][..], &run, &[flag, url], more].concat();
    let ran = lab.client.run("sh", &arguments);
    assert!(since.elapsed() < PATIENCE, "{name}");
    assert_eq!(ran.code, Some(1), "{name}: {ran}");
    let report = ran.json();
    let check = report["checks"].as_array().unwrap().iter().find(|check| check["id"] == only);
    let findings = check.unwrap()["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{name}: {ran}");
    let code = findings[0]["code"].as_str().unwrap();
    // By its name for the registry.
    let known = names.iter().find(|it| it.1 == code).map_or(code, |it| it.0);
    assert!(codes.contains(&known), "{name}: {code}\n{ran}");
    // What a terminal or a reader could not bear does not come through.
    let size = ran.stdout.len();
    assert!(size < 20_000, "{name}: a report of {size} bytes");
    let human = ["run", "--only", only, "--timeout", "1s", flag, url];
    let told = lab.client.gldoctor(&[&human[..], more].concat()).stdout;
    assert!(!told.contains('\x1b'), "{name}: {told}");
    assert!(told.lines().count() < 40, "{name}: {told}");
}
