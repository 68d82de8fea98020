//! One file of certificates, as each client reads it.

use std::collections::BTreeSet;

use super::notes::{BROKEN, Note, label_note, note, text_notes};
use crate::parse::der::{self, Fault, Lengths, Reader};
use crate::trust::cert::{Cert, Settings};
use crate::trust::pem::{self, Block, OpenSsl};
use crate::trust::profile::{Library, NOTHING_FOUND, Profile};
use crate::trust::{Client, Der};

/// One file of a store, as one client reads it.
#[derive(Clone, Debug, Default)]
pub struct StoreFile {
    /// The certificates that the client takes from it, in their order.
    pub certificates: Vec<Der>,
    /// The library's error, if it refuses the whole file.
    pub refusal: Option<String>,
    /// What the client does not see in it and why, in plain words. Never content of the file.
    pub notes: Vec<Note>,
    pub(super) read: Vec<Cert>,
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
}
