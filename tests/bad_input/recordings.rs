//! `gldoctor analyze` on what is no recording, or a hostile one.

use std::fs;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use crate::installation::Installation;
use crate::program::{Command, Ran};

fn analyze(file: &str) -> Ran {
    Command::new(&["analyze", file]).run()
}

/// Usage errors are a sentence that names the file, and nothing else.
fn expect_refused(file: &str, why: &str) {
    let ran = analyze(file);
    assert!(!ran.timed_out, "{file}: hangs");
    assert_eq!(ran.code, Some(2), "{file}: {}", ran.stderr);
    assert_eq!(ran.stdout, "", "{file}");
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(why), "{}", ran.stderr);
    assert!(ran.stderr.contains(file) && ran.stderr.lines().count() == 1, "{}", ran.stderr);
    assert!(!ran.stderr.trim_end().contains(char::is_control), "{:?}", ran.stderr);
    assert!(ran.memory < 600 << 10, "{file}: takes {} KiB", ran.memory);
}

fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o600);
    archive.append_data(&mut header, name, content).unwrap();
    archive.into_inner().unwrap().finish().unwrap()
}

/// An archive whose one file promises 1 TB, all zeros.
fn bomb() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("recording.json").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(header.as_bytes()).unwrap();
    let zeros = vec![0; 1 << 20];
    (0..300).for_each(|_| packed.write_all(&zeros).unwrap());
    packed.finish().unwrap()
}

#[test]
fn what_is_no_recording_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let given = |name: &str, content: &[u8], why: &str| {
        fs::write(at(name), content).unwrap();
        expect_refused(&at(name), why);
    };
    let healthy = archive("gldoctor-bundle/recording.json", br#"{"version":1,"looks":[]}"#);

    expect_refused(&at("missing"), "No such file");
    expect_refused(folder.path().to_str().unwrap(), "not a regular file");
    mknodat(CWD, at("pipe").as_str(), FileType::Fifo, Mode::from(0o600), 0).unwrap();
    expect_refused(&at("pipe"), "not a regular file");
    expect_refused("/dev/zero", "not a regular file");
    given("empty", b"", "not a recording of gldoctor");
    given("garbage", &[7, 0, 255, 27, 91, 51], "not a recording of gldoctor");
    given("half", &healthy[..healthy.len() / 2], "damaged archive");
    given("gzip-of-text", &healthy[..10], "damaged archive");
    given("foreign", &archive("a/b", b"x"), "without a recording");
    given("bomb", &bomb(), "larger than any");
    given("deep", "[".repeat(1 << 20).as_bytes(), "not a recording of gldoctor");
    given("later", br#"{"version":2,"looks":[]}"#, "version 2");
    given("typed", br#"{"version":1,"looks":{}}"#, "damaged recording");
    given(
        "reply",
        br#"{"version":1,"looks":[{"kind":"now","ask":null,"reply":{"\u001b[2J":1}}]}"#,
        "unknown variant",
    );
    let sparse = fs::File::create(at("sparse")).unwrap();
    sparse.set_len(10 << 30).unwrap();
    expect_refused(&at("sparse"), "larger than any");
    let deep = format!(
        r#"{{"version":1,"looks":[{{"kind":"x","ask":null,"reply":{{"answer":{}"#,
        "[".repeat(1 << 20)
    );
    given("deep-answer", deep.as_bytes(), "recording");
}

/// Names in an archive are compared and never written to.
#[test]
fn an_archive_is_read_in_memory_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut header = tar::Header::new_gnu();
    let name = b"../../escaped/recording.json";
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    let recording = br#"{"version":1,"looks":[{"kind":"now","ask":null,"reply":{"answer":"2026-01-01T00:00:00Z"}}]}"#;
    header.set_size(recording.len() as u64);
    header.set_cksum();
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    archive.append(&header, &recording[..]).unwrap();
    let file = folder.path().join("a/b/bundle.tar.gz");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, archive.into_inner().unwrap().finish().unwrap()).unwrap();
    let ran = analyze(file.to_str().unwrap());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
}

/// Every text of the recording steers the terminal; no output may hold it raw.
#[test]
fn a_hostile_recording_does_not_steer_the_terminal() {
    let installation = Installation::demo();
    let recorded = installation.folder().join("recording.json");
    installation.command("bundle", &["-q", "-o", recorded.as_str()]).run();
    let mut recording: Value = serde_json::from_slice(&fs::read(&recorded).unwrap()).unwrap();
    let mut untold = recording.clone();
    for look in recording["looks"].as_array_mut().unwrap() {
        if look["kind"] != "now" && look["kind"] != "request" {
            spoil(&mut look["reply"]);
        }
    }
    for look in untold["looks"].as_array_mut().unwrap() {
        if look["kind"] != "now" {
            look["reply"] = json!({ "unknown": { "denied": HOSTILE } });
        }
    }
    for recording in [recording, untold] {
        fs::write(&recorded, recording.to_string()).unwrap();
        for more in [
            &["--format=human"][..],
            &["--format=human", "-v"],
            &["--format=short"],
            &["--format=json"],
        ] {
            let ran = Command::new(&[&["analyze", recorded.as_str()], more].concat()).run();
            assert!(matches!(ran.code, Some(0 | 1 | 3)), "{more:?}: {ran:?}");
            let steers =
                |c: &char| *c != '\n' && (c.is_control() || matches!(c, '\u{202e}' | '\u{2066}'));
            let text = ran.stdout + &ran.stderr;
            assert_eq!(text.chars().find(steers), None, "{more:?}: {text}");
            assert!(text.contains("steered"), "{more:?} shows none of it: {text}");
        }
    }
}

const HOSTILE: &str = "\u{1b}[2Jsteered\u{9b}31m\u{7}\r\u{202e}\u{2066}\n\u{1b}]0;x\u{7}";

/// Puts the hostile text behind every text, as far as the answer stays one.
fn spoil(value: &mut Value) {
    match value {
        Value::String(text) if text.contains([' ', '.', '/']) || text.len() > 3 => {
            text.push_str(HOSTILE);
        }
        Value::Array(list) => list.iter_mut().for_each(spoil),
        Value::Object(map) => map.iter_mut().for_each(|(_, value)| spoil(value)),
        _ => {}
    }
}
