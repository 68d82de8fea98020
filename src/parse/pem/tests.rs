use proptest::prelude::*;
use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::*;
use crate::parse::key::{Algorithm, Curve, Format};

/// A certificate and its private key, both in PEM.
fn pair() -> (String, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([]).unwrap();
    // Some versions write CRLF.
    (cert.pem().replace('\r', ""), signing_key.serialize_pem().replace('\r', ""))
}

fn kinds(file: &PemFile) -> Vec<QuirkKind> {
    file.quirks.iter().map(|quirk| quirk.kind).collect()
}

/// Both are read as the one certificate, with these quirks and no others.
fn expect_certificate(text: impl AsRef<[u8]>, quirks: &[QuirkKind]) -> PemFile {
    let file = read(text.as_ref());
    assert!(matches!(file.blocks[..], [Block { body: Body::Certificate { .. }, .. }]), "{file:?}");
    assert_eq!(kinds(&file), quirks);
    file
}

#[test]
fn a_certificate_and_its_key_are_one_key() {
    let (certificate, key) = pair();
    let file = read(format!("{certificate}{key}").as_bytes());
    assert_eq!(file.shape, Shape::Pem);
    assert_eq!(file.quirks, []);
    let of_certificate = key::of_certificate(file.certificates().next().unwrap().as_ref()).unwrap();
    let private = file.private_keys().next().unwrap();
    assert_eq!(private.format, Format::Pkcs8);
    assert_eq!(private.algorithm, Algorithm::Ec { curve: Curve::P256, explicit: false });
    assert_eq!(private.public.as_ref(), Some(&of_certificate));
    assert!(file.has_private_key());
    assert!(!read(certificate.as_bytes()).has_private_key());
    assert!(!of_certificate.is_same_key_as(&key::of_certificate(&der_of(&pair().0)).unwrap()));
}

fn der_of(certificate: &str) -> Vec<u8> {
    read(certificate.as_bytes()).certificates().next().unwrap().as_ref().to_vec()
}

#[test]
fn lines_are_counted_from_one() {
    let (certificate, key) = pair();
    let file = read(format!("\n\n{certificate}\n{key}").as_bytes());
    let lines = certificate.lines().count();
    assert_eq!((file.blocks[0].line, file.blocks[0].last_line), (3, 2 + lines));
    assert_eq!(file.blocks[1].line, lines + 4);
}

#[test]
fn every_quirk_is_named_where_it_is() {
    let (pem, _) = pair();
    let last = pem.lines().count();
    let marked = |from: &str, to: &str| pem.replacen(from, to, 1);
    expect_certificate(&pem, &[]);
    expect_certificate(format!("\u{feff}{pem}"), &[QuirkKind::Bom]);
    expect_certificate(pem.replace('\n', "\r\n"), &[QuirkKind::Crlf]);
    expect_certificate(pem.replace('\n', "\r"), &[QuirkKind::CrOnly]);
    let file = expect_certificate(pem.trim_end(), &[QuirkKind::NoFinalNewline]);
    assert_eq!(file.quirks[0].line, last);
    expect_certificate(format!("subject=x\n{pem}"), &[QuirkKind::TextBefore]);
    let file = expect_certificate(format!("{pem}x\n"), &[QuirkKind::TextAfter]);
    assert_eq!(file.quirks[0].line, last + 1);
    expect_certificate(pem.replace('\n', "  \n"), &[]);
    expect_certificate(marked("-----BEGIN", "  -----BEGIN"), &[QuirkKind::Indented]);
    expect_certificate(marked("-----BEGIN", "\"-----BEGIN"), &[QuirkKind::MarkerNotAlone]);
    let file = expect_certificate(
        pem.trim_end().replace('\n', " "),
        &[QuirkKind::NoFinalNewline, QuirkKind::MarkerNotAlone],
    );
    assert_eq!(file.quirks_of(&file.blocks[0]).count(), 2);
    for dashes in ["----", "------", "---"] {
        expect_certificate(pem.replace("-----", dashes), &[QuirkKind::MarkerDashes]);
    }
    expect_certificate(
        pem.replace("CERTIFICATE-----", "CERTIFICATE -----"),
        &[QuirkKind::MarkerDashes],
    );
    expect_certificate(marked("-\n", "-\nName: value\n value\n\n"), &[QuirkKind::Headers]);
    let file = expect_certificate(marked("-\n", "-\n\n"), &[]);
    assert_eq!(file.blocks[0].last_line, last + 1);
    let second = pem.lines().nth(1).unwrap();
    expect_certificate(marked(second, &format!("{second}\n\n")), &[QuirkKind::BlankLine]);
    expect_certificate(marked("-----END", "\n-----END"), &[QuirkKind::BlankLine]);
    let prose = "# begins with -----BEGIN CERTIFICATE----- and so on\n";
    expect_certificate(format!("{prose}{pem}"), &[QuirkKind::MarkerNotAlone]);
}

#[test]
fn glued_files_keep_their_certificates() {
    let (one, two) = (pair().0, pair().0);
    let file = read(format!("{}{two}", one.trim_end()).as_bytes());
    assert_eq!(file.certificates().count(), 2);
    assert_eq!(kinds(&file), [QuirkKind::GluedMarkers]);
    // The quirk concerns both blocks.
    assert!(file.blocks.iter().all(|block| file.quirks_of(block).count() == 1));
    let file = read(format!("{one}x\n{two}").as_bytes());
    assert_eq!(kinds(&file), [QuirkKind::TextBetween]);
}

#[test]
fn a_quirk_is_reported_once_in_each_block() {
    let (pem, _) = pair();
    let indented = pem.replace("-----B", " -----B").replace("-----E", " -----E");
    let file = read(indented.repeat(3).as_bytes());
    assert_eq!(kinds(&file), [QuirkKind::Indented; 3]);
}

#[test]
fn what_is_lost_is_named() {
    let (pem, key) = pair();
    let lines: Vec<&str> = pem.lines().collect();
    let body_of = |text: String| read(text.as_bytes()).blocks.first().unwrap().body.clone();
    let missing = |missing| Body::Truncated { missing };
    let broken = |why| Body::Broken { why };
    assert_eq!(body_of(lines[..lines.len() - 1].join("\n")), missing(Missing::EndMarker));
    assert_eq!(body_of(format!("{}\n{key}", lines[..3].join("\n"))), missing(Missing::EndMarker));
    let without = |line: &str| pem.replace(&format!("{line}\n"), "");
    assert_eq!(body_of(without(lines[2])), missing(Missing::Data));
    assert_eq!(body_of(pem.replace(lines[2], "(cut)")), broken(Broken::Base64));
    assert_eq!(body_of(pem.replace(lines[1], &lines[1][1..])), broken(Broken::Base64));
    assert_eq!(body_of(pem.replace("END C", "END X")), broken(Broken::Labels));
    let empty = format!("{}\n{}\n", lines[0], lines[lines.len() - 1]);
    assert_eq!(body_of(empty), broken(Broken::Empty));
    let file = read(pem.split_once('\n').unwrap().1.as_bytes());
    assert_eq!((file.shape.clone(), kinds(&file)), (Shape::Text, vec![QuirkKind::EndWithoutBegin]));
}

#[test]
fn labels_are_not_believed() {
    let (certificate, key) = pair();
    let swapped = read(key.replace("PRIVATE KEY", "CERTIFICATE").as_bytes());
    let holds = |structure| Body::Broken { why: Broken::Holds(structure) };
    assert_eq!(swapped.blocks[0].body, holds(Structure::PrivateKey));
    assert!(swapped.has_private_key());
    assert_eq!(swapped.certificates().count(), 0);
    let swapped = read(certificate.replace("CERTIFICATE", "PRIVATE KEY").as_bytes());
    assert_eq!(swapped.blocks[0].body, holds(Structure::Certificate));
    let mislabelled = read(key.replace("PRIVATE KEY", "RSA PRIVATE KEY").as_bytes());
    assert!(mislabelled.blocks[0].is_mislabelled());
    assert!(!read(key.as_bytes()).blocks[0].is_mislabelled());
}

#[test]
fn an_unknown_label_is_not_repeated() {
    let file = read(b"-----BEGIN HUNTER2-----\nAAAA\n-----END HUNTER2-----\n");
    assert_eq!(file.blocks[0].label, Block::UNKNOWN_LABEL);
    assert_eq!(file.blocks[0].body, Body::Other);
    assert!(!format!("{file:?}").contains("HUNTER2"));
}

#[test]
fn files_that_are_not_pem_are_told_apart() {
    let (certificate, key) = pair();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let bare: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
    let shape = |bytes: &[u8]| read(bytes).shape;
    assert_eq!(shape(b""), Shape::Empty);
    assert_eq!(shape(b"\xef\xbb\xbf \r\n"), Shape::Empty);
    assert_eq!(shape(&utf16(&certificate)), Shape::Utf16);
    assert_eq!(shape(&utf16(&format!("\u{feff}{key}"))), Shape::Utf16);
    assert_eq!(shape(certificate.replace('\n', r"\n").as_bytes()), Shape::LiteralNewlines);
    assert_eq!(shape(certificate.replace('\n', r"\r\n").as_bytes()), Shape::LiteralNewlines);
    assert_eq!(shape(b"\n<!DOCTYPE HTML>\n<html><body>403"), Shape::Html);
    assert_eq!(shape(bare.as_bytes()), Shape::Base64Only { holds: Structure::Certificate });
    assert_eq!(shape(base64::encode(key.as_bytes()).as_bytes()), Shape::Base64OfPem);
    assert_eq!(shape(b"PuTTY-User-Key-File-3: ssh-rsa\n"), Shape::PuttyKey);
    assert_eq!(shape(b"ssh-ed25519 AAAA me@host\n"), Shape::SshPublicKey);
    assert_eq!(shape(b"0123456789"), Shape::Text);
    assert_eq!(shape(b"\xfe\xed\xfe\xed\0\0\0\x02"), Shape::JavaKeystore);
    assert_eq!(shape(&[0, 1, 2]), Shape::Binary);
    let der = der_of(&certificate);
    assert_eq!(shape(&der), Shape::DerCertificate { der: Der::copy(&der) });
    assert_eq!(read(&der).certificates().count(), 1);
    assert_eq!(shape(&der[..der.len() - 1]), Shape::DerCutShort);
}

#[test]
fn a_key_with_literal_newlines_is_still_a_secret() {
    let file = read(pair().1.replace('\n', r"\n").as_bytes());
    assert_eq!(file.shape, Shape::LiteralNewlines);
    assert!(file.has_private_key());
}

#[test]
fn openssh_and_encrypted_keys_are_named() {
    let block = |label: &str, text: &str| {
        let text = format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
        read(text.as_bytes()).blocks[0].body.clone()
    };
    assert_eq!(block("OPENSSH PRIVATE KEY", "AAAA"), Body::OpenSshKey);
    let headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA";
    let encrypted = |how| Body::EncryptedKey { how };
    assert_eq!(block("RSA PRIVATE KEY", headers), encrypted(Encryption::Headers));
    assert_eq!(block("PGP MESSAGE", "Version: 1\n\nAAAA\n=AAAA"), Body::Other);
    assert_eq!(block("DH PARAMETERS", "MAA="), Body::DhParams);
}

#[test]
fn ten_thousand_certificates_and_long_lines_are_read_in_one_pass() {
    let pem = pair().0;
    let many = pem.repeat(10_000);
    assert_eq!(read(many.as_bytes()).certificates().count(), 10_000);
    // One line, in which every dash might begin a marker.
    for line in ["-----BEGIN ", "---------", "-----BEGIN A-----", "-----END ", "- ", "BEGIN "] {
        read(line.repeat(1_000_000 / line.len()).as_bytes());
    }
    read("-----BEGIN A-----\n-\n".repeat(50_000).as_bytes());
    read(format!("-----BEGIN CERTIFICATE-----\n{}", "A".repeat(1_000_000)).as_bytes());
}

#[test]
fn facts_survive_a_bundle() {
    let (certificate, key) = pair();
    for text in [format!("x\n{certificate}{key}"), String::new(), "<html>".to_owned()] {
        let file = read(text.as_bytes());
        let json = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<PemFile>(&json).unwrap(), file);
    }
    // A certificate is Base64 in one piece, so that a reader of a bundle can decode it.
    let json = serde_json::to_string(&read(certificate.as_bytes())).unwrap();
    let bare: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
    assert!(json.contains(&format!(r#"{{"certificate":{{"der":"{bare}"}}}}"#)), "{json}");
}

proptest! {
    #[test]
    fn never_panics(bytes: Vec<u8>) {
        read(&bytes);
    }

    #[test]
    fn never_panics_on_pieces_of_pem(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "-----", "-", "BEGIN ", "END ", "CERTIFICATE", "PRIVATE KEY", "\n", "\r", " ", ":",
            "Proc-Type: 4,ENCRYPTED\n", "MIIB", "MAA=", "=", "\\n", "\u{feff}", "x",
        ]), 0..40),
    ) {
        read(pieces.concat().as_bytes());
    }

    #[test]
    fn a_changed_byte_never_panics(position in 0_usize..2000, value: u8) {
        let (certificate, key) = pair();
        let mut bytes = format!("{certificate}{key}").into_bytes();
        let length = bytes.len();
        bytes[position % length] = value;
        read(&bytes);
    }
}
