//! What a file is if it is not PEM.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::base64;
use super::super::der::{Der, Element, Fault, Structure};
use super::super::key::{self, Key};

/// What kind of file it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Nothing but blanks, or not even those.
    Empty,
    /// Text with at least one `BEGIN` line, however odd.
    Pem,
    /// One certificate in DER.
    DerCertificate {
        /// The document.
        der: Der,
    },
    /// One private key in DER that needs no passphrase.
    DerKey {
        /// What is known about it.
        key: Key,
    },
    /// One encrypted private key in DER.
    DerEncryptedKey,
    /// A `.p12` or `.pfx` archive.
    Pkcs12,
    /// A `.p7b` bundle in DER. In PEM, it is a block.
    Pkcs7,
    /// Another document in DER, or a private key that is malformed.
    DerOther {
        /// What kind of document.
        holds: Structure,
    },
    /// The beginning of a DER document.
    DerCutShort,
    /// A Java keystore in one of the two formats of old (JKS, JCEKS). New ones are PKCS#12.
    JavaKeystore,
    /// Text in UTF-16, as from Windows' editors and shells.
    Utf16,
    /// PEM in which line ends are written as `\n`, as from JSON or an environment variable. No
    /// program reads its blocks.
    LiteralNewlines,
    /// A PEM file, encoded in Base64 as a whole, as in a Kubernetes secret.
    Base64OfPem,
    /// Base64 without `BEGIN` and `END` lines.
    Base64Only {
        /// What kind of document it encodes.
        holds: Structure,
    },
    /// A web page, often a proxy's error or sign-in page saved by a download.
    Html,
    /// A private key in the format of `PuTTY`.
    PuttyKey,
    /// A public key in OpenSSH's format.
    SshPublicKey,
    /// Other text.
    Text,
    /// Other bytes.
    Binary,
}

impl Shape {
    /// Whether the whole file is a private key in a form other than PEM.
    pub fn is_private_key(&self) -> bool {
        match self {
            Self::DerKey { .. } | Self::DerEncryptedKey | Self::PuttyKey => true,
            Self::DerOther { holds } | Self::Base64Only { holds } => holds.is_private_key(),
            _ => false,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty file"),
            Self::Pem => f.write_str("a PEM file"),
            Self::DerCertificate { .. } => f.write_str("a certificate in DER"),
            Self::DerKey { key } => write!(f, "a private key in DER ({})", key.algorithm),
            Self::DerEncryptedKey => f.write_str("an encrypted private key in DER"),
            Self::Pkcs12 => f.write_str("a PKCS#12 archive"),
            Self::Pkcs7 => f.write_str("a PKCS#7 certificate bundle in DER"),
            Self::DerOther { holds } => write!(f, "{holds} in DER"),
            Self::DerCutShort => f.write_str("a DER document that is cut short"),
            Self::JavaKeystore => f.write_str("a Java keystore"),
            Self::Utf16 => f.write_str("text in UTF-16"),
            Self::LiteralNewlines => f.write_str(r"a PEM file with its line ends written as \n"),
            Self::Base64OfPem => f.write_str("a PEM file encoded in Base64"),
            Self::Base64Only { holds } => write!(f, "{holds} in Base64 without BEGIN and END"),
            Self::Html => f.write_str("a web page"),
            Self::PuttyKey => f.write_str("a private key in PuTTY format"),
            Self::SshPublicKey => f.write_str("a public key in OpenSSH format"),
            Self::Text => f.write_str("text without any BEGIN line"),
            Self::Binary => f.write_str("binary data of an unknown kind"),
        }
    }
}

/// The kinds that are told without a search for `BEGIN`, which would mislead in all of them.
pub(super) fn before_pem(bytes: &[u8]) -> Option<Shape> {
    if is_utf16(bytes) {
        return Some(Shape::Utf16);
    }
    if let [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] = bytes {
        return Some(Shape::JavaKeystore);
    }
    if without_bom(bytes).trim_ascii().is_empty() {
        return Some(Shape::Empty);
    }
    of_der(bytes)
}

/// The kinds of text and bytes that have no `BEGIN` line.
pub(super) fn without_pem(bytes: &[u8]) -> Shape {
    let text = without_bom(bytes).trim_ascii();
    if is_html(text) {
        return Shape::Html;
    }
    if text.starts_with(b"PuTTY-User-Key-File-") {
        return Shape::PuttyKey;
    }
    if [&b"ssh-"[..], b"ecdsa-sha2-", b"sk-ssh-"].iter().any(|name| text.starts_with(name)) {
        return Shape::SshPublicKey;
    }
    of_base64(text).unwrap_or_else(|| if is_text(text) { Shape::Text } else { Shape::Binary })
}

fn of_der(bytes: &[u8]) -> Option<Shape> {
    Some(match Structure::of(bytes) {
        Structure::Certificate => Shape::DerCertificate { der: Der::copy(bytes) },
        holds @ Structure::PrivateKey => {
            key::of_private(bytes).map_or(Shape::DerOther { holds }, |key| Shape::DerKey { key })
        }
        Structure::EncryptedPrivateKey => Shape::DerEncryptedKey,
        Structure::Pkcs12 => Shape::Pkcs12,
        Structure::Pkcs7 => Shape::Pkcs7,
        Structure::Unknown => {
            // A text may begin with a zero, which is the byte of a SEQUENCE, but not with one of
            // these lengths.
            let is_long = matches!(bytes, [0x30, 0x81..=0x83, ..]);
            let is_short = matches!(Element::only(bytes), Err(Fault::CutShort));
            return (is_long && is_short).then_some(Shape::DerCutShort);
        }
        holds => Shape::DerOther { holds },
    })
}

fn of_base64(text: &[u8]) -> Option<Shape> {
    let decoded = base64::decode(std::iter::once(text))?;
    if decoded.as_ref().starts_with(b"-----BEGIN ") {
        return Some(Shape::Base64OfPem);
    }
    match Structure::of(decoded.as_ref()) {
        Structure::Unknown => None,
        holds => Some(Shape::Base64Only { holds }),
    }
}

fn is_utf16(bytes: &[u8]) -> bool {
    // Without a mark, the five dashes tell: PEM has nothing but ASCII.
    [&b"\xff\xfe"[..], b"\xfe\xff", b"-\0-\0-\0-\0", b"\0-\0-\0-\0-"]
        .iter()
        .any(|start| bytes.starts_with(start))
}

fn is_html(text: &[u8]) -> bool {
    let head = text[..text.len().min(1024)].to_ascii_lowercase();
    let has = |needle: &[u8]| head.windows(needle.len()).any(|window| window == needle);
    head.first() == Some(&b'<') && (has(b"<html") || has(b"<!doctype html") || has(b"<head"))
}

fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0)
}

fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}
