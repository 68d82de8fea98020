//! Facts of one certificate, for everything but the verdict on it.
//!
//! Reading is tolerant: whatever some client in the field can read is read here too. Which client
//! accepts what is the business of [`crate::trust`], which works on the same fields.

use std::net::IpAddr;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use serde::{Deserialize, Serialize};

use self::extensions::{GeneralName, PathLength, general, oid, purpose};
use self::fields::Fields;
use self::key::Key;
use self::name::{Attribute, COMMON_NAME};
use self::signature::Outcome;
use self::signing::Signing;
use super::der;
use super::key::libtrust::id_of_digest;

pub(crate) mod elliptic;
pub(crate) mod extensions;
pub(crate) mod fields;
pub(crate) mod key;
pub(crate) mod name;
pub(crate) mod signature;
pub(crate) mod signing;

/// What a certificate says, without any judgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are facts, not states")]
pub struct Certificate {
    /// The subject, as `CN=host, O=Example`; empty if it has no attributes.
    pub subject: String,
    /// The issuer, written alike.
    pub issuer: String,
    /// The serial number in lower-case hexadecimal digits, two for each byte.
    pub serial: String,
    /// Whether the serial number is negative.
    pub negative_serial: bool,
    /// 1, 2 or 3.
    pub version: u64,
    /// The first moment of validity; none if it is written in a way no client reads.
    pub not_before: Option<Timestamp>,
    /// The last moment of validity; none if it is written in a way no client reads. Certificates
    /// "without end" have the last moment that can be told.
    pub not_after: Option<Timestamp>,
    /// DNS names among the subject's alternative names, in their order.
    pub dns_names: Vec<String>,
    /// IP addresses among the subject's alternative names, in their order.
    pub ip_addresses: Vec<IpAddr>,
    /// Common names of the subject, in their order.
    pub common_names: Vec<String>,
    /// Whether there are alternative names of any kind, be it an empty list.
    pub has_alternative_names: bool,
    /// Whether basicConstraints say that this is a CA.
    pub is_ca: bool,
    /// How many CAs may stand between this one and a leaf, if that is limited.
    pub path_length: Option<u64>,
    /// Whether subject and issuer are the same name, byte for byte.
    pub self_issued: bool,
    /// Whether its own key verifies its signature.
    pub self_signed: bool,
    /// SHA-256 of the whole certificate, in lower-case hexadecimal digits.
    pub fingerprint: String,
    /// SHA-256 of the `SubjectPublicKeyInfo`, in lower-case hexadecimal digits. Two certificates
    /// of one key have the same, and so has the private key's public half.
    pub key_fingerprint: String,
    /// The ID by which a token's signature names this key (libtrust).
    pub key_id: String,
    /// The key's algorithm or curve: `RSA`, `P-256`, `Ed25519`.
    pub key_algorithm: String,
    /// The key's size in bits; 0 where it is not known.
    pub key_bits: u32,
    /// `SHA256-RSA`, `ECDSA-SHA384`, `Ed25519`; `unknown` for what nobody uses.
    pub signature_algorithm: String,
    /// keyUsage by the names of RFC 5280; none if there is no such extension.
    pub key_usages: Option<Vec<String>>,
    /// extendedKeyUsage by the names of RFC 5280, or dotted; none if there is no such extension.
    pub purposes: Option<Vec<String>>,
    /// subjectKeyIdentifier, in lower-case hexadecimal digits.
    pub subject_key_id: Option<String>,
    /// The key identifier within authorityKeyIdentifier, in lower-case hexadecimal digits.
    pub authority_key_id: Option<String>,
}

impl Certificate {
    /// Reads one certificate from DER. Bytes behind it are not looked at.
    ///
    /// The error says which part cannot be read, and holds nothing of the content.
    pub fn from_der(bytes: &[u8]) -> Result<Self, String> {
        let (fields, _) = Fields::read(bytes)?;
        Ok(Self::from(&fields))
    }
}

/// The number under which OpenSSL looks for a certificate in a folder of hash links, from its
/// subject: `openssl x509 -subject_hash` prints it in eight hexadecimal digits. `None` if the bytes
/// are no certificate.
pub fn subject_hash(der: &[u8]) -> Option<u32> {
    let (fields, _) = Fields::read(der).ok()?;
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &fields.subject.canonical());
    hash.as_ref().first_chunk().map(|first| u32::from_le_bytes(*first))
}

impl From<&Fields> for Certificate {
    fn from(fields: &Fields) -> Self {
        let names =
            fields.decoded(oid::SUBJECT_ALT_NAME, extensions::general_names).unwrap_or_default();
        let basic = fields.decoded(oid::BASIC_CONSTRAINTS, extensions::basic_constraints);
        let key = Key::of(fields);
        let signing = Signing::of(fields);
        let key_digest = digest(&SHA256, &fields.key_info);
        Self {
            subject: fields.subject.display(),
            issuer: fields.issuer.display(),
            serial: HEXLOWER.encode(&fields.serial),
            negative_serial: fields.serial.first().is_some_and(|first| first & 0x80 != 0),
            version: fields.version,
            not_before: fields.not_before.moment().map(|moment| moment.instant),
            not_after: fields.not_after.moment().map(|moment| moment.instant),
            dns_names: names.iter().filter_map(dns_name).collect(),
            ip_addresses: names.iter().filter_map(ip_address).collect(),
            common_names: fields.subject.all(COMMON_NAME).filter_map(Attribute::text).collect(),
            has_alternative_names: fields.extension(oid::SUBJECT_ALT_NAME).is_some(),
            is_ca: basic.is_some_and(|basic| basic.is_ca),
            path_length: match basic.map(|basic| basic.path_length) {
                Some(PathLength::Most(most)) => Some(most),
                _ => None,
            },
            self_issued: fields.subject.raw == fields.issuer.raw,
            self_signed: fields.subject.raw == fields.issuer.raw
                && signature::check(&key, signing, &fields.signed, &fields.signature)
                    == Outcome::Good,
            fingerprint: HEXLOWER.encode(digest(&SHA256, &fields.der).as_ref()),
            key_fingerprint: HEXLOWER.encode(key_digest.as_ref()),
            key_id: id_of_digest(key_digest.as_ref()),
            key_algorithm: key.algorithm().to_owned(),
            key_bits: u32::try_from(key.bits()).unwrap_or(u32::MAX),
            signature_algorithm: signing.name(),
            key_usages: fields.decoded(oid::KEY_USAGE, extensions::key_usage).map(usage_names),
            purposes: fields
                .decoded(oid::EXTENDED_KEY_USAGE, extensions::purposes)
                .map(|purposes| purposes.iter().map(|oid| purpose_name(oid)).collect()),
            subject_key_id: fields
                .decoded(oid::SUBJECT_KEY_ID, extensions::subject_key_id)
                .map(|id| HEXLOWER.encode(&id)),
            authority_key_id: fields
                .decoded(oid::AUTHORITY_KEY_ID, extensions::authority_key_id)
                .and_then(|authority| authority.key_id)
                .map(|id| HEXLOWER.encode(&id)),
        }
    }
}

fn dns_name(name: &GeneralName) -> Option<String> {
    (name.tag == general::DNS).then(|| String::from_utf8_lossy(&name.value).into_owned())
}

fn ip_address(name: &GeneralName) -> Option<IpAddr> {
    if name.tag != general::IP {
        return None;
    }
    let four = || <[u8; 4]>::try_from(name.value.as_slice()).map(IpAddr::from);
    let sixteen = || <[u8; 16]>::try_from(name.value.as_slice()).map(IpAddr::from);
    four().or_else(|_| sixteen()).ok()
}

fn usage_names(bits: u16) -> Vec<String> {
    const NAMES: [&str; 9] = [
        "digitalSignature",
        "nonRepudiation",
        "keyEncipherment",
        "dataEncipherment",
        "keyAgreement",
        "keyCertSign",
        "cRLSign",
        "encipherOnly",
        "decipherOnly",
    ];
    let set = NAMES.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
    set.map(|(_, &name)| name.to_owned()).collect()
}

fn purpose_name(oid: &[u8]) -> String {
    let name = match oid {
        purpose::ANY => "anyExtendedKeyUsage",
        purpose::SERVER_AUTH => "serverAuth",
        purpose::CLIENT_AUTH => "clientAuth",
        purpose::CODE_SIGNING => "codeSigning",
        purpose::EMAIL_PROTECTION => "emailProtection",
        purpose::TIME_STAMPING => "timeStamping",
        purpose::OCSP_SIGNING => "OCSPSigning",
        other => return der::dotted(other),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_a_leaf() {
        let names = ["git.example.test".to_owned(), "10.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let facts = Certificate::from_der(made.cert.der()).unwrap();
        assert_eq!(facts.dns_names, ["git.example.test"]);
        assert_eq!(facts.ip_addresses, [IpAddr::from([10, 0, 0, 1])]);
        assert_eq!((facts.key_algorithm.as_str(), facts.key_bits), ("P-256", 256));
        assert_eq!(facts.signature_algorithm, "ECDSA-SHA256");
        assert!(facts.self_issued && facts.self_signed && !facts.is_ca);
        assert!(facts.has_alternative_names);
    }

    #[test]
    fn subjects_are_hashed_as_openssl_hashes_them() {
        let root = include_bytes!("../host/files/trust_file/root.pem");
        let file = crate::parse::pem::read(root);
        let root = file.certificates().next().unwrap();
        // `openssl x509 -noout -subject_hash`.
        assert_eq!(subject_hash(root.as_ref()), Some(0x6e6f_7766));
        assert_eq!(subject_hash(b"secret"), None);
    }

    #[test]
    fn errors_name_the_part_and_not_the_bytes() {
        let error = Certificate::from_der(b"secret").unwrap_err();
        assert_eq!(error, "the certificate is cut short or none");
    }
}
