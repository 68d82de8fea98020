//! Keys and certificates for tests: well formed, and made of numbers that sign nothing.

use camino::Utf8PathBuf;

use super::usage::{Usage, usages};
use crate::install::Sourced;
use crate::install::certificates::{Pair, User};
use crate::parse::base64;
use crate::parse::der::{
    BIT_STRING, CONTEXT_0, CONTEXT_1, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, wrap,
    wrap_unsigned,
};
use crate::parse::pem::{PemFile, read};

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
pub(in crate::checks) const SECP256K1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x0a];
const ED448: &[u8] = &[0x2b, 0x65, 0x71];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    wrap(SEQUENCE, parts)
}

fn oid(oid: &[u8]) -> Vec<u8> {
    wrap(OID, &[oid])
}

fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    sequence(&[algorithm, &wrap(BIT_STRING, &[&[0], key])])
}

fn pkcs8(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    sequence(&[&wrap_unsigned(&[0]), algorithm, &wrap(OCTET_STRING, &[key])])
}

/// Both halves, in DER.
pub(in crate::checks) struct Sample {
    /// PKCS#8.
    pub(in crate::checks) pkcs8: Vec<u8>,
    /// PKCS#1 or SEC 1, where there is such a form.
    pub(in crate::checks) old: Vec<u8>,
    pub(in crate::checks) certificate: Vec<u8>,
    pub(in crate::checks) spki: Vec<u8>,
}

impl Sample {
    fn new(algorithm: &[u8], private: &[u8], public: &[u8]) -> Self {
        let spki = spki(algorithm, public);
        let certificate = certificate(&spki);
        Self { pkcs8: pkcs8(algorithm, private), old: private.to_vec(), certificate, spki }
    }

    pub(in crate::checks) fn rsa(seed: u8) -> Self {
        Self::of_modulus(RSA, seed)
    }

    pub(in crate::checks) fn rsa_pss(seed: u8) -> Self {
        Self::of_modulus(RSA_PSS, seed)
    }

    fn of_modulus(algorithm: &[u8], seed: u8) -> Self {
        let modulus = wrap_unsigned(&[&[0xc0][..], &[seed; 255]].concat());
        let exponent = wrap_unsigned(&[1, 0, 1]);
        let secret = wrap_unsigned(&[7]).repeat(6);
        let private = sequence(&[&wrap_unsigned(&[0]), &modulus, &exponent, &secret]);
        let algorithm = sequence(&[&oid(algorithm), &wrap(NULL, &[])]);
        Self::new(&algorithm, &private, &sequence(&[&modulus, &exponent]))
    }

    pub(in crate::checks) fn ec(seed: u8) -> Self {
        Self::on_curve(P256, seed)
    }

    pub(in crate::checks) fn on_curve(curve: &[u8], seed: u8) -> Self {
        let point = [&[4][..], &[seed; 64]].concat();
        let private = sequence(&[
            &wrap(INTEGER, &[&[1]]),
            &wrap(OCTET_STRING, &[&[seed; 32]]),
            &wrap(CONTEXT_0, &[&oid(curve)]),
            &wrap(CONTEXT_1, &[&wrap(BIT_STRING, &[&[0], &point])]),
        ]);
        Self::new(&sequence(&[&oid(EC), &oid(curve)]), &private, &point)
    }

    /// An EC key whose file lacks the point.
    pub(in crate::checks) fn ec_without_point(seed: u8) -> Vec<u8> {
        sequence(&[
            &wrap(INTEGER, &[&[1]]),
            &wrap(OCTET_STRING, &[&[seed; 32]]),
            &wrap(CONTEXT_0, &[&oid(P256)]),
        ])
    }

    pub(in crate::checks) fn ed25519() -> Self {
        // The public half has to be the one that follows from the seed (RFC 8032, 7.1, test 1).
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec,
            0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03,
            0x1c, 0xae, 0x7f, 0x60,
        ];
        let public = [
            0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64,
            0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68,
            0xf7, 0x07, 0x51, 0x1a,
        ];
        Self::new(&sequence(&[&oid(ED25519)]), &wrap(OCTET_STRING, &[&seed]), &public)
    }

    pub(in crate::checks) fn ed448() -> Self {
        Self::new(&sequence(&[&oid(ED448)]), &wrap(OCTET_STRING, &[&[5; 57]]), &[6; 57])
    }

    pub(in crate::checks) fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.pkcs8)
    }

    pub(in crate::checks) fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }
}

fn certificate(spki: &[u8]) -> Vec<u8> {
    let algorithm = sequence(&[&oid(RSA), &wrap(NULL, &[])]);
    let nothing = sequence(&[]);
    let serial = wrap_unsigned(&[1]);
    let version = wrap(CONTEXT_0, &[&wrap_unsigned(&[2])]);
    let time = wrap(0x17, &[b"260101000000Z"]);
    let validity = sequence(&[&time, &time]);
    let body = [&version, &serial, &algorithm, &nothing, &validity, &nothing, spki].map(|it| it);
    sequence(&[&sequence(&body), &algorithm, &wrap(BIT_STRING, &[&[0, 1]])])
}

pub(in crate::checks) fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub(in crate::checks) fn file(text: impl AsRef<[u8]>) -> PemFile {
    read(text.as_ref())
}

/// The usage of a pair at two usual paths.
pub(in crate::checks::tls::key_pair) fn used_by(user: User) -> Usage {
    let path = |ending: &str| {
        let path = Utf8PathBuf::from(format!("/etc/gitlab/ssl/git.example.test.{ending}"));
        Sourced::default(path, "the default for https://git.example.test")
    };
    let pair = Pair { user, certificate: path("crt"), key: path("key") };
    let mut usage = usages([pair]).remove(0);
    usage.hosts = vec!["git.example.test".to_owned()];
    usage
}
