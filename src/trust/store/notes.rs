//! What a client does not see in a file of certificates, in plain words.

use crate::parse::der;
use crate::trust::cert::Cert;
use crate::trust::pem;
use crate::trust::profile::Library;

/// Something in a file that keeps a client from reading it, or part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// A name for it that stays the same: `byte-order-mark`, `glued-markers`, `not-pem`.
    pub code: &'static str,
    /// The sentence, to follow "the file": "starts with a byte order mark, so …".
    pub text: String,
}

/// A sentence that is always the same.
pub(super) fn note(code: &'static str, text: &str) -> Note {
    Note { code, text: text.to_owned() }
}

/// What a block is that is no certificate to every client.
pub(super) fn label_note(label: &str) -> Option<Note> {
    let (code, text) = match label {
        "TRUSTED CERTIFICATE" => (
            "trusted-label",
            "has a certificate labelled TRUSTED CERTIFICATE, which only OpenSSL reads",
        ),
        "X509 CERTIFICATE" => {
            ("x509-label", "has a certificate labelled X509 CERTIFICATE, which Go passes over")
        }
        "PKCS7" | "CMS" => ("pkcs7", "is a PKCS#7 bundle, which no client reads as a store"),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
            ("request", "has a certificate request, not a certificate")
        }
        "X509 CRL" => ("crl", "has a revocation list, which is no certificate"),
        label if label.ends_with("PRIVATE KEY") => {
            ("private-key", "has a private key, which does not belong in a trust store")
        }
        _ => return None,
    };
    Some(note(code, text))
}

/// The code of a note on a block that is broken for no reason that has a name.
pub(super) const BROKEN: &str = "broken-block";

/// Why PEM blocks may be invisible, judged by the text around them. `seen` blocks were visible.
pub(super) fn text_notes(bytes: &[u8], seen: usize, unseen: &str) -> Vec<Note> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    let say = |code, text: String| Note { code, text };
    if bytes.is_empty() {
        return vec![note("empty", "is empty")];
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return vec![note(
            "utf-16",
            "is UTF-16 text, as some editors on Windows write it; no client reads that",
        )];
    }
    let mut notes = Vec::new();
    let lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    let markers = lines.iter().filter(|line| pem::find(line, BEGIN).is_some()).count();
    if markers == 0 {
        notes.push(no_pem(bytes));
        return notes;
    }
    if seen >= markers && !has_glued(&lines) {
        return notes;
    }
    if bytes.starts_with(b"\xef\xbb\xbf-----BEGIN ") && unseen.starts_with("Go") {
        notes.push(say(
            "byte-order-mark",
            format!("starts with a byte order mark, so {unseen} its first certificate"),
        ));
    }
    let indented = |line: &[u8]| {
        matches!(line.first(), Some(b' ' | b'\t')) && line.trim_ascii_start().starts_with(BEGIN)
    };
    if lines.iter().any(|line| indented(line)) {
        notes.push(say(
            "indented",
            format!("has indented PEM lines, as if pasted from YAML, so {unseen} them"),
        ));
    }
    if has_glued(&lines) {
        notes.push(say(
            "glued-markers",
            format!("has an END and a BEGIN marker on one line, so {unseen} the certificates around them"),
        ));
    }
    if bytes.contains(&0) {
        notes.push(note("nul-bytes", "has NUL bytes within"));
    }
    if notes.is_empty() {
        notes.push(say(BROKEN, format!("has a PEM block that is broken, so {unseen} it")));
    }
    notes
}

fn has_glued(lines: &[&[u8]]) -> bool {
    lines.iter().any(|line| pem::find(line, b"----------BEGIN ").is_some())
}

/// What a file without any PEM marker is.
fn no_pem(bytes: &[u8]) -> Note {
    let start = bytes.trim_ascii_start();
    let head: Vec<u8> = start.iter().take(512).map(u8::to_ascii_lowercase).collect();
    let is = |text: &[u8]| pem::find(&head, text).is_some();
    if bytes.first() == Some(&der::SEQUENCE) && Cert::read(bytes, Library::OpenSsl).is_ok() {
        return note(
            "der",
            "is a certificate in DER, not in PEM, which no client reads as a store",
        );
    }
    if bytes.first() == Some(&der::SEQUENCE) {
        return note("binary", "is binary (PKCS#12, PKCS#7 or the like), not PEM");
    }
    if is(b"<html") || is(b"<!doctype") || is(b"<?xml") {
        return note("html", "is a web page, not a certificate");
    }
    note("not-pem", "has no PEM block at all")
}
