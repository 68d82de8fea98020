//! The support bundle: a recording, its reports and a manifest, in one `.tar.gz`.
//!
//! It is safe to attach to a ticket: the recording holds answers, and no answer type has a field
//! in which a secret fits.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::Serialize;

use crate::host::Recording;
use crate::report::{Format, Report, Style};

/// The folder inside the archive.
const FOLDER: &str = "gldoctor-bundle";

/// The largest recording that is read, so that a small hostile archive cannot fill the memory.
/// Real ones hold a few megabytes, most of them certificates.
const MAX_RECORDING: u64 = 128 << 20;

const TOO_LARGE: &str = "its recording is larger than any that gldoctor makes";

/// What the reader of a ticket should know.
const REDACTION: &str = "This bundle holds answers, not files. Private keys appear as type, size, \
    mode and public-key fingerprint; passwords, tokens and other secret settings only as set or \
    unset. It names hosts, addresses, file paths and account names of the installation.";

#[derive(Serialize)]
struct Manifest<'a> {
    version: u32,
    tool: String,
    created_at: Timestamp,
    host: &'a str,
    redaction: &'a str,
    sha256: BTreeMap<&'a str, String>,
}

/// Packs a bundle. Equal evidence gives equal bytes.
pub fn pack(recording: &Recording, report: &Report) -> std::io::Result<Vec<u8>> {
    let files = [
        ("recording.json", recording.to_text()),
        ("report.json", report.render(Format::Json, &Style::default())),
        ("report.txt", report.render(Format::Human, &Style { verbose: true, ..Style::default() })),
    ];
    let manifest = Manifest {
        version: 1,
        tool: format!("{} {}", report.tool.name, report.tool.version),
        created_at: report.started_at,
        host: &report.host.name,
        redaction: REDACTION,
        sha256: files.iter().map(|(name, text)| (*name, sha256(text.as_bytes()))).collect(),
    };
    let manifest = serde_json::to_string_pretty(&manifest)? + "\n";
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    append(&mut archive, "manifest.json", &manifest, report.started_at)?;
    for (name, text) in &files {
        append(&mut archive, name, text, report.started_at)?;
    }
    archive.into_inner()?.finish()
}

fn append(
    archive: &mut tar::Builder<impl std::io::Write>,
    name: &str,
    text: &str,
    at: Timestamp,
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(at.as_second()).unwrap_or_default());
    archive.append_data(&mut header, format!("{FOLDER}/{name}"), text.as_bytes())
}

/// Reads the recording out of a bundle, or a recording that lies alone; the error is a sentence
/// for the user.
pub fn open(content: &[u8]) -> Result<Recording, String> {
    if content.starts_with(&[0x1f, 0x8b]) {
        Recording::parse(&unpack(content)?)
    } else if content.len() as u64 > MAX_RECORDING {
        Err(TOO_LARGE.to_owned())
    } else {
        Recording::parse(content)
    }
}

fn unpack(content: &[u8]) -> Result<Vec<u8>, String> {
    // Not in tar's words: where a file is no archive, they quote from it.
    let damaged = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "a damaged archive: it is cut short".to_owned(),
        _ => "a damaged archive, or not a bundle of gldoctor".to_owned(),
    };
    let limited = GzDecoder::new(content).take(2 * MAX_RECORDING);
    let mut archive = tar::Archive::new(limited);
    for entry in archive.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?;
        if !path.ends_with("recording.json") {
            continue;
        }
        // The reader yields exactly as many bytes as the header promises, or fails.
        if entry.size() > MAX_RECORDING {
            return Err(TOO_LARGE.to_owned());
        }
        let mut recording = Vec::new();
        entry.take(MAX_RECORDING).read_to_end(&mut recording).map_err(damaged)?;
        return Ok(recording);
    }
    Err("an archive without a recording of gldoctor".to_owned())
}

fn sha256(content: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, content);
    data_encoding::HEXLOWER.encode(digest.as_ref())
}

#[test]
fn what_is_no_bundle_is_not_quoted() {
    use std::io::Write as _;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all("password: hunter2\n".repeat(100).as_bytes()).unwrap();
    let error = open(&gzip.finish().unwrap()).unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
}
