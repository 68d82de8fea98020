//! Trust stores: files as each client reads them.
//!
//! A file that is right for one client is empty to another one, and none of them says so where
//! users look. So reading answers three things: the certificates that the client's library takes
//! from the file, the error if it refuses the file as a whole, and notes in plain words on
//! everything in the file that this client does not see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cert::{Cert, Settings};
use super::pem::{self, Block, OpenSsl};
use super::profile::{Library, NOTHING_FOUND, Profile};
use super::{Client, Der};
use crate::parse::der::{self, Fault, Lengths, Reader};

/// One file of a store, as one client reads it.
#[derive(Clone, Debug, Default)]
pub struct StoreFile {
    /// The certificates that the client takes from it, in their order.
    pub certificates: Vec<Der>,
    /// The library's error, if it refuses the whole file.
    pub refusal: Option<String>,
    /// What the client does not see in it and why, in plain words. Never content of the file.
    pub notes: Vec<Note>,
    read: Vec<Cert>,
}

/// Something in a file that keeps a client from reading it, or part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// A name for it that stays the same: `byte-order-mark`, `glued-markers`, `not-pem`.
    pub code: &'static str,
    /// The sentence, to follow "the file": "starts with a byte order mark, so …".
    pub text: String,
}

/// All certificates that a client trusts, and which file each of them came from.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    files: Vec<String>,
    anchors: Vec<(Cert, usize)>,
    by_subject: BTreeMap<Vec<u8>, Vec<usize>>,
    by_der: BTreeMap<Vec<u8>, usize>,
    /// What it holds besides, behind all that is added to it.
    base: Option<Arc<Store>>,
    /// Files that were refused: name, error, reason.
    refused: Vec<(String, String, String)>,
}

/// Reads one file as the client's library does.
pub fn read(client: Client, bytes: &[u8]) -> StoreFile {
    match Profile::of(client).library {
        Library::Go => read_go(bytes),
        Library::OpenSsl => read_openssl(bytes),
    }
}

/// The certificates of a PEM text that stands for what a server sends, leaf first. They are taken
/// as they are: whether anybody can read them is part of the verdict.
pub fn served(bytes: &[u8]) -> Vec<Der> {
    let mut reader = OpenSsl::new(bytes);
    let mut blocks = Vec::new();
    let read = loop {
        match reader.next() {
            Ok(Some(block)) => blocks.push(block),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    // Go's reader passes over what is broken.
    let blocks = if read { blocks } else { pem::go(bytes) };
    let certificates = blocks.into_iter().filter(|block| block.label.ends_with("CERTIFICATE"));
    certificates.map(|block| block.bytes).collect()
}

impl Store {
    /// An empty store for a client: it trusts nothing.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            files: Vec::new(),
            anchors: Vec::new(),
            by_subject: BTreeMap::new(),
            by_der: BTreeMap::new(),
            base: None,
            refused: Vec::new(),
        }
    }

    /// A store that holds what another one of its client holds, read once for many, behind what is
    /// added to it.
    pub fn on(base: &Arc<Self>) -> Self {
        Self { base: Some(Arc::clone(base)), ..Self::new(base.client) }
    }

    /// Whose store it is.
    pub fn client(&self) -> Client {
        self.client
    }

    /// How many certificates it holds.
    pub fn len(&self) -> usize {
        let behind = |base: &Arc<Self>| {
            base.len() - base.by_der.keys().filter(|der| self.by_der.contains_key(*der)).count()
        };
        self.anchors.len() + self.base.as_ref().map_or(0, behind)
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty() && self.base.as_ref().is_none_or(|base| base.is_empty())
    }

    /// Adds what the client reads from a file, and answers what that was.
    pub fn add_file(&mut self, name: &str, bytes: &[u8]) -> StoreFile {
        let file = read(self.client, bytes);
        if let Some(refusal) = &file.refusal {
            let why = file.notes.first().map_or_else(|| refusal.clone(), |note| note.text.clone());
            self.refused.push((name.to_owned(), refusal.clone(), why));
        }
        self.add_all(name, file.read.clone());
        file
    }

    /// Adds certificates that are already taken from their file, as those of a directory of
    /// hash links. What the client's library cannot read is left out.
    pub fn add_certificates(&mut self, name: &str, certificates: &[Der]) {
        let library = Profile::of(self.client).library;
        let read = certificates.iter().filter_map(|der| Cert::read(der, library).ok()).collect();
        self.add_all(name, read);
    }

    fn add_all(&mut self, name: &str, certs: Vec<Cert>) {
        let file = self.files.len();
        self.files.push(name.to_owned());
        for cert in certs {
            let index = self.anchors.len();
            // Both libraries drop what they have already.
            if self.by_der.contains_key(&cert.fields.der) {
                continue;
            }
            self.by_der.insert(cert.fields.der.clone(), index);
            self.by_subject.entry(cert.subject.clone()).or_default().push(index);
            self.anchors.push((cert, file));
        }
    }

    /// The refusal that leaves the client without any certificate.
    pub(super) fn refusal(&self) -> Option<&(String, String, String)> {
        let in_base = || self.base.as_ref()?.refused.first();
        self.refused.first().or_else(in_base).filter(|_| self.is_empty())
    }

    /// The certificates with a subject in the client's comparable form, in their order.
    pub(super) fn with_subject(&self, subject: &[u8]) -> Vec<&Cert> {
        let indices = self.by_subject.get(subject).map(Vec::as_slice).unwrap_or_default();
        let own = indices.iter().filter_map(|&index| Some(&self.anchors.get(index)?.0));
        let behind = self.base.iter().flat_map(|base| base.with_subject(subject));
        own.chain(behind.filter(|cert| !self.by_der.contains_key(&cert.fields.der))).collect()
    }

    /// The same certificate, if it is in the store.
    pub(super) fn twin(&self, cert: &Cert) -> Option<&Cert> {
        self.anchor(cert).map(|(cert, _)| cert)
    }

    /// The file that a certificate of the store came from.
    pub(super) fn file_of(&self, cert: &Cert) -> Option<&str> {
        self.anchor(cert).map(|(_, file)| file)
    }

    fn anchor(&self, cert: &Cert) -> Option<(&Cert, &str)> {
        let Some(index) = self.by_der.get(&cert.fields.der) else {
            return self.base.as_ref()?.anchor(cert);
        };
        let (cert, file) = self.anchors.get(*index)?;
        Some((cert, self.files.get(*file)?))
    }
}

/// Go takes blocks with the one right label and no headers, if they parse, and is silent on all
/// else (`AppendCertsFromPEM`).
fn read_go(bytes: &[u8]) -> StoreFile {
    let mut file = StoreFile::default();
    let mut notes = BTreeSet::new();
    let blocks = pem::go(bytes);
    for block in &blocks {
        if block.label != "CERTIFICATE" {
            notes.extend(label_note(&block.label));
        } else if !block.headers.is_empty() {
            notes.insert(note("headers", "has a block with header lines, which Go passes over"));
        } else {
            match Cert::read(&block.bytes, Library::Go) {
                Ok(cert) => {
                    file.certificates.push(block.bytes.clone());
                    file.read.push(cert);
                }
                Err(unread) => {
                    let text = format!(
                        "has a certificate that Go passes over: {} ({})",
                        unread.why, unread.words
                    );
                    notes.insert(Note { code: "unreadable-certificate", text });
                }
            }
        }
    }
    notes.extend(text_notes(bytes, blocks.len(), "Go does not see"));
    file.notes = notes.into_iter().collect();
    file
}

fn note(code: &'static str, text: &str) -> Note {
    Note { code, text: text.to_owned() }
}

fn label_note(label: &str) -> Option<Note> {
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

/// OpenSSL takes three labels. One block that is broken, even one that it would not use, and it
/// refuses the file (`PEM_X509_INFO_read_bio`, `X509_load_cert_crl_file`).
fn read_openssl(bytes: &[u8]) -> StoreFile {
    let mut file = StoreFile::default();
    let mut notes = BTreeSet::new();
    let mut reader = OpenSsl::new(bytes);
    let mut blocks = 0;
    let refusal = loop {
        let block = match reader.next() {
            Ok(Some(block)) => block,
            Ok(None) => break None,
            Err(refusal) => {
                notes.insert(note(BROKEN, "has a broken PEM block, so OpenSSL refuses all of it"));
                break Some(refusal.words().to_owned());
            }
        };
        blocks += 1;
        match take(&block) {
            Ok(Some(cert)) => {
                file.certificates.push(cert.fields.der.clone());
                file.read.push(cert);
            }
            Ok(None) => notes.extend(label_note(&block.label)),
            Err(why) => {
                let text = format!(
                    "has a block that cannot be read ({why}), so OpenSSL refuses all of it"
                );
                notes.insert(Note { code: "unreadable-certificate", text });
                break Some("ASN1 lib".to_owned());
            }
        }
    };
    file.refusal = refusal.or_else(|| file.read.is_empty().then(|| NOTHING_FOUND.to_owned()));
    if file.refusal.is_some() {
        file.certificates.clear();
        file.read.clear();
        let explained = !notes.is_empty();
        let around = text_notes(bytes, blocks, "OpenSSL does not see");
        notes.extend(around.into_iter().filter(|note| !explained || note.code != BROKEN));
    }
    file.notes = notes.into_iter().collect();
    file
}

/// The certificate of a block; none if the block is of another, intact kind.
fn take(block: &Block) -> Result<Option<Cert>, String> {
    let plain = matches!(block.label.as_str(), "CERTIFICATE" | "X509 CERTIFICATE");
    let trusted = block.label == "TRUSTED CERTIFICATE";
    let has_headers = !block.headers.trim().is_empty();
    if plain || trusted {
        if has_headers {
            return Err("header lines".to_owned());
        }
        let (mut cert, after) =
            Cert::read_first(&block.bytes, Library::OpenSsl).map_err(|unread| unread.why)?;
        if trusted && !after.is_empty() {
            cert.settings = Some(settings(after).map_err(|_| "malformed trust settings")?);
        }
        return Ok(Some(cert));
    }
    let encrypted = has_headers || block.label == "ENCRYPTED PRIVATE KEY";
    if block.label.contains("PRIVATE KEY") && !encrypted && !whole_sequence(&block.bytes) {
        return Err("a broken private key".to_owned());
    }
    if block.label == "X509 CRL" && !whole_sequence(&block.bytes) {
        return Err("a broken revocation list".to_owned());
    }
    Ok(None)
}

/// A sequence that is complete, and so is everything right in it.
fn whole_sequence(bytes: &[u8]) -> bool {
    let Ok(mut inside) = Reader::new(bytes, Lengths::Padded).sequence() else { return false };
    let mut count = 0;
    while inside.element().is_ok() {
        count += 1;
    }
    count > 1 && inside.is_empty()
}

/// What follows the certificate in a TRUSTED CERTIFICATE block (`X509_CERT_AUX`).
fn settings(after: &[u8]) -> Result<Settings, Fault> {
    let mut fields = Reader::new(after, Lengths::Padded).sequence()?;
    let trusted = match fields.optional(der::SEQUENCE)? {
        Some(list) => Some(identifiers(fields.inside(list))?),
        None => None,
    };
    let rejected = match fields.optional(der::CONTEXT_0)? {
        Some(list) => identifiers(fields.inside(list))?,
        None => Vec::new(),
    };
    Ok(Settings { trusted, rejected })
}

fn identifiers(mut reader: Reader<'_>) -> Result<Vec<Vec<u8>>, Fault> {
    let mut list = Vec::new();
    while !reader.is_empty() {
        list.push(reader.oid()?.to_vec());
    }
    Ok(list)
}

/// The code of a note on a block that is broken for no reason that has a name.
const BROKEN: &str = "broken-block";

/// Why PEM blocks may be invisible, judged by the text around them. `seen` blocks were visible.
fn text_notes(bytes: &[u8], seen: usize, unseen: &str) -> Vec<Note> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn pem() -> String {
        let params = CertificateParams::new(vec!["git.test".to_owned()]).unwrap();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[track_caller]
    fn check(text: &[u8], go: (usize, &[&str]), openssl: (usize, &[&str])) {
        for (client, (count, codes)) in [(Client::Go, go), (Client::OpenSsl, openssl)] {
            let file = read(client, text);
            let found: Vec<&str> = file.notes.iter().map(|note| note.code).collect();
            assert_eq!(file.certificates.len(), count, "{client:?}");
            assert_eq!(found, codes, "{client:?}");
            assert_eq!(file.refusal.is_some(), client == Client::OpenSsl && count == 0);
        }
    }

    #[test]
    fn sound_files_have_no_notes() {
        let pem = pem();
        check(pem.as_bytes(), (1, &[]), (1, &[]));
        check(pem.replace('\n', "\r\n").as_bytes(), (1, &[]), (1, &[]));
        check(format!("text\n{pem}more text\n{pem}").as_bytes(), (2, &[]), (2, &[]));
    }

    #[test]
    fn notes_say_what_a_client_does_not_see() {
        let pem = pem();
        let marked = format!("\u{feff}{pem}{pem}");
        check(marked.as_bytes(), (1, &["byte-order-mark"]), (2, &[]));
        let glued = format!("{}{pem}", pem.trim_end());
        check(glued.as_bytes(), (0, &["glued-markers"]), (0, &["broken-block", "glued-markers"]));
        let indented = format!("  {}", pem.replace('\n', "\n  "));
        check(indented.as_bytes(), (0, &["indented"]), (0, &["indented"]));
        let trusted = pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE");
        check(trusted.as_bytes(), (0, &["trusted-label"]), (1, &[]));
        let request = pem.replace("CERTIFICATE", "CERTIFICATE REQUEST");
        check(request.as_bytes(), (0, &["request"]), (0, &["request"]));
        let key = format!("{}{pem}", KeyPair::generate().unwrap().serialize_pem());
        check(key.as_bytes(), (1, &["private-key"]), (1, &["private-key"]));
        let broken = pem.replacen("MI", "!!", 1) + &pem;
        check(broken.as_bytes(), (1, &["broken-block"]), (0, &["broken-block"]));
    }

    #[test]
    fn files_that_are_no_pem_are_named() {
        let der = pem::go(pem().as_bytes())[0].bytes.clone();
        check(&der, (0, &["der"]), (0, &["der"]));
        check(b"", (0, &["empty"]), (0, &["empty"]));
        check(b"\n", (0, &["not-pem"]), (0, &["not-pem"]));
        check(b"<!DOCTYPE html>\n<title>404", (0, &["html"]), (0, &["html"]));
        check(&[0x30, 0x03, 0x02, 0x01, 0x03], (0, &["binary"]), (0, &["binary"]));
        let wide: Vec<u8> =
            [0xfeff].into_iter().chain(pem().encode_utf16()).flat_map(u16::to_le_bytes).collect();
        check(&wide, (0, &["utf-16"]), (0, &["utf-16"]));
    }

    #[test]
    fn a_sentence_says_which_client_loses_what() {
        let file = read(Client::Go, format!("\u{feff}{}", pem()).as_bytes());
        let text = "starts with a byte order mark, so Go does not see its first certificate";
        assert_eq!(file.notes[0].text, text);
    }

    #[test]
    fn served_certificates_are_taken_as_they_are() {
        let rubbish = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n";
        let key = KeyPair::generate().unwrap().serialize_pem();
        let text = format!("\u{feff}{}{key}{rubbish}", pem());
        assert_eq!(served(text.as_bytes()).len(), 2);
        assert_eq!(served(text.as_bytes())[1], [0, 1, 2]);
        assert_eq!(served(format!("{}{rubbish}", rubbish.replace("AA", "!!")).as_bytes()).len(), 1);
    }

    #[test]
    fn what_is_shared_lies_behind_what_is_added() {
        let (shared, own) = (pem(), pem());
        let mut base = Store::new(Client::Go);
        base.add_file("shared.crt", shared.as_bytes());
        let mut store = Store::on(&Arc::new(base));
        store.add_file("own.crt", format!("{own}{shared}").as_bytes());
        assert_eq!(store.len(), 2);
        let cert =
            |text: &str| Cert::read(&pem::go(text.as_bytes())[0].bytes, Library::Go).unwrap();
        assert_eq!(store.file_of(&cert(&own)), Some("own.crt"));
        assert_eq!(store.file_of(&cert(&shared)), Some("own.crt"));
        assert!(store.twin(&cert(&pem())).is_none());
        // Both have rcgen's own subject.
        assert_eq!(store.with_subject(&cert(&own).subject).len(), 2);
    }

    #[test]
    fn each_certificate_counts_once_and_knows_its_file() {
        let pem = pem();
        let mut store = Store::new(Client::Go);
        store.add_file("first.crt", pem.as_bytes());
        store.add_file("second.crt", pem.as_bytes());
        assert_eq!(store.len(), 1);
        let cert = store.anchors[0].0.clone();
        assert_eq!(store.file_of(&cert), Some("first.crt"));
    }
}
