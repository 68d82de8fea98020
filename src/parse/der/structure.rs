//! What a DER document is, told from the types of its fields: labels and file names lie.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    BIT_STRING, CONTEXT_0, Element, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE,
    UTC_TIME,
};

/// The content of a PKCS#7 `SignedData` (1.2.840.113549.1.7.2): the `.p7b` with a chain in it.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// What all `ContentInfo` types begin with (1.2.840.113549.1.7).
const PKCS7: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07];

/// Windows and Java write these two in BER with indefinite lengths. Told by how they begin.
const PKCS12_BER: &[u8] = &[0x30, 0x80, 0x02, 0x01, 0x03, 0x30, 0x80, 0x06];
const PKCS7_BER: &[u8] = &[0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07];

/// The kinds of documents that end up where a certificate or a key should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Structure {
    /// X.509.
    Certificate,
    /// A signing request (PKCS#10).
    CertificateRequest,
    /// A revocation list (X.509).
    RevocationList,
    /// `SubjectPublicKeyInfo`.
    PublicKey,
    /// `RSAPublicKey` (PKCS#1): modulus and exponent alone.
    RsaPublicKey,
    /// `PKCS#8`, `PKCS#1`, `SEC 1` or OpenSSL's DSA form, not encrypted.
    PrivateKey,
    /// PKCS#8, encrypted.
    EncryptedPrivateKey,
    /// A `.p12` or `.pfx` archive.
    Pkcs12,
    /// A `.p7b` with certificates.
    Pkcs7,
    /// Nothing of these.
    Unknown,
}

impl Structure {
    /// What `der` is, which has to be complete unless it is PKCS#7 or PKCS#12.
    pub fn of(der: &[u8]) -> Self {
        if der.starts_with(PKCS12_BER) {
            return Self::Pkcs12;
        }
        if der.starts_with(PKCS7_BER) {
            return Self::Pkcs7;
        }
        Element::only_sequence(der).map_or(Self::Unknown, of_fields)
    }
}

impl Structure {
    /// Whether this is a private key, encrypted or not. Archives may hold one as well.
    pub fn is_private_key(self) -> bool {
        matches!(self, Self::PrivateKey | Self::EncryptedPrivateKey)
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "a certificate",
            Self::CertificateRequest => "a certificate signing request",
            Self::RevocationList => "a certificate revocation list",
            Self::PublicKey | Self::RsaPublicKey => "a public key",
            Self::PrivateKey => "a private key",
            Self::EncryptedPrivateKey => "an encrypted private key",
            Self::Pkcs12 => "a PKCS#12 archive",
            Self::Pkcs7 => "a PKCS#7 certificate bundle",
            Self::Unknown => "unknown data",
        })
    }
}

fn of_fields(fields: Reader<'_>) -> Structure {
    let Some((tags, count)) = first_tags(fields) else { return Structure::Unknown };
    match &tags[..count] {
        [SEQUENCE, SEQUENCE, BIT_STRING] => of_signed(fields),
        [SEQUENCE, BIT_STRING] => Structure::PublicKey,
        [SEQUENCE, OCTET_STRING] => Structure::EncryptedPrivateKey,
        [INTEGER, INTEGER] => Structure::RsaPublicKey,
        // PKCS#8, SEC 1, and PKCS#1 or DSA in this order. A version above 1 is no key.
        [INTEGER, SEQUENCE, OCTET_STRING, ..]
        | [INTEGER, OCTET_STRING, ..]
        | [INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, ..]
            if version(fields).is_some_and(|version| version <= 1) =>
        {
            Structure::PrivateKey
        }
        [INTEGER, SEQUENCE, ..] if version(fields) == Some(3) && holds_content_info(fields) => {
            Structure::Pkcs12
        }
        [OID, CONTEXT_0] if is_signed_data(fields) => Structure::Pkcs7,
        _ => Structure::Unknown,
    }
}

/// The tags of the first ten fields, which tell all structures apart, and how many there are.
fn first_tags(mut fields: Reader<'_>) -> Option<([u8; 10], usize)> {
    let mut tags = [0; 10];
    let mut count = 0;
    while !fields.is_empty() && count < tags.len() {
        // Zeros are what is left of a file after a crash, not a field.
        tags[count] = fields.element().ok().map(|field| field.tag).filter(|tag| *tag != 0)?;
        count += 1;
    }
    Some((tags, count))
}

/// Certificates, requests and revocation lists are all a body, an algorithm and a signature.
fn of_signed(mut fields: Reader<'_>) -> Structure {
    let Some((tags, count)) = fields.sequence().ok().and_then(first_tags) else {
        return Structure::Unknown;
    };
    match &tags[..count] {
        [CONTEXT_0, INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, ..]
        // Version 1 has no version field.
        | [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, ..] => Structure::Certificate,
        [INTEGER, SEQUENCE, SEQUENCE] | [INTEGER, SEQUENCE, SEQUENCE, CONTEXT_0] => {
            Structure::CertificateRequest
        }
        [INTEGER, SEQUENCE, SEQUENCE, UTC_TIME | GENERALIZED_TIME, ..]
        | [SEQUENCE, SEQUENCE, UTC_TIME | GENERALIZED_TIME, ..] => Structure::RevocationList,
        _ => Structure::Unknown,
    }
}

fn version(mut fields: Reader<'_>) -> Option<u8> {
    fields.small().ok()
}

fn holds_content_info(mut fields: Reader<'_>) -> bool {
    fields.element().is_ok()
        && fields
            .sequence()
            .and_then(|mut content| content.expect(OID))
            .is_ok_and(|oid| oid.content.starts_with(PKCS7))
}

fn is_signed_data(mut fields: Reader<'_>) -> bool {
    fields.expect(OID).is_ok_and(|oid| oid.content == SIGNED_DATA)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::wrap;
    use super::*;

    fn fields(tags: &[(u8, &[u8])]) -> Vec<u8> {
        let parts: Vec<Vec<u8>> =
            tags.iter().map(|(tag, content)| wrap(*tag, &[content])).collect();
        wrap(SEQUENCE, &parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    #[test]
    fn a_version_tells_a_key_from_an_archive() {
        let oid = wrap(OID, &[PKCS7, &[1]]);
        let with = |version: u8| {
            Structure::of(&fields(&[(INTEGER, &[version]), (SEQUENCE, &oid), (OCTET_STRING, &[])]))
        };
        assert_eq!(with(0), Structure::PrivateKey);
        assert_eq!(with(3), Structure::Pkcs12);
        assert_eq!(with(4), Structure::Unknown);
    }

    #[test]
    fn zeros_are_no_field() {
        let key: [(u8, &[u8]); 3] = [(INTEGER, &[0]), (SEQUENCE, &[]), (OCTET_STRING, &[])];
        assert_eq!(Structure::of(&fields(&key)), Structure::PrivateKey);
        let with_zeros = [&key[..], &[(0, &[])]].concat();
        assert_eq!(Structure::of(&fields(&with_zeros)), Structure::Unknown);
    }

    #[test]
    fn indefinite_lengths_of_archives_are_known() {
        assert_eq!(Structure::of(PKCS12_BER), Structure::Pkcs12);
        assert_eq!(Structure::of(PKCS7_BER), Structure::Pkcs7);
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            Structure::of(&bytes);
            Structure::of(&wrap(SEQUENCE, &[&bytes]));
        }
    }
}
