//! A run that is stopped before its end still reports, and says that it is not the whole.

use std::io::Read as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::program::{Command, Ran};

/// A server that takes a connection, tells so, and never answers.
fn silent_server() -> (String, std::sync::mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, hear) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut connection in listener.incoming().flatten() {
            // Something was asked: the run is in the middle of it.
            if connection.read(&mut [0; 16]).is_ok_and(|read| read > 0) && tell.send(()).is_err() {
                return;
            }
            kept.push(connection);
        }
    });
    (url, hear)
}

fn expect_partial(ran: &Ran, why: &str) {
    assert!(!ran.timed_out, "{why}: it goes on");
    assert!(ran.stderr.is_empty(), "{why}: {}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["complete"], false, "{why}");
    assert!(matches!(ran.code, Some(1 | 3)), "{why}: {ran:?}");
    assert_eq!(report["summary"]["exit_code"], ran.code.unwrap(), "{why}");
    let checks = report["checks"].as_array().unwrap();
    let cut = checks.iter().find(|check| check["id"] == "registry/api").unwrap();
    assert_eq!(cut["status"], "unknown", "{why}");
    assert!(cut["reason"].as_str().unwrap().contains(why), "{cut}");
    assert!(!report["host"]["name"].as_str().unwrap().is_empty());
}

#[test]
fn an_interrupted_run_reports_what_it_saw() {
    for signal in [Signal::INT, Signal::TERM] {
        let (url, asked) = silent_server();
        let run = Command::new(&[
            "run",
            "--format=json",
            "--timeout=5m",
            "--deadline=10m",
            "--registry-url",
            &url,
        ]);
        let running = run.start().unwrap();
        asked.recv_timeout(Duration::from_secs(30)).unwrap();
        running.signal(signal);
        expect_partial(&running.wait(), "it was interrupted");
    }
}

#[test]
fn a_deadline_ends_the_run_in_time() {
    let (url, _asked) = silent_server();
    let started = Instant::now();
    let ran = Command::new(&[
        "run",
        "--format=json",
        "--timeout=5m",
        "--deadline=1s",
        "--registry-url",
        &url,
    ])
    .run();
    assert!(started.elapsed() < Duration::from_secs(20), "a deadline of 1 s");
    expect_partial(&ran, "its deadline of 1 s was over");
}
