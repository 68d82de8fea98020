//! What is said of a certificate, held against another reader of certificates: x509-parser.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "it is a test")]

use std::collections::BTreeSet;
use std::net::IpAddr;

use data_encoding::HEXLOWER;
use gldoctor::parse::certificate::Certificate;
use gldoctor::parse::pem;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use x509_parser::asn1_rs::Error;
use x509_parser::error::X509Error;
use x509_parser::nom;
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::*;
use x509_parser::public_key::PublicKey;

#[derive(Deserialize)]
struct Case {
    chain: Vec<String>,
    store: String,
}

/// Every certificate of the cases, once.
fn certificates() -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    for json in [
        include_str!("../fixtures/trust_cases/tls_trust.json"),
        include_str!("../fixtures/trust_cases/tls_clients.json"),
    ] {
        let cases: Vec<Case> = serde_json::from_str(json).expect("the cases are JSON");
        for case in cases {
            all.extend(
                case.chain
                    .iter()
                    .map(|text| data_encoding::BASE64.decode(text.as_bytes()).unwrap()),
            );
            let store = pem::read(&data_encoding::BASE64.decode(case.store.as_bytes()).unwrap());
            all.extend(store.certificates().map(|der| der.as_ref().to_vec()));
        }
    }
    all
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
}

/// The last moment that can be told stands for later ones.
fn moment(time: ASN1Time) -> Timestamp {
    Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
}

/// The name and its common names, unless it has strings that x509-parser does not decode: those
/// in UTF-16 or UTF-32, or in Latin-1.
fn name(name: &X509Name<'_>) -> Option<(String, Vec<String>)> {
    if name.iter_attributes().any(|attribute| attribute.as_str().is_err()) {
        return None;
    }
    let common_names = name.iter_common_name().filter_map(|name| name.as_str().ok());
    let text = name.to_string().replace("Email=", "emailAddress=").replace(" + ", ", ");
    Some((text, common_names.map(str::to_owned).collect()))
}

fn set(flags: &[(bool, &str)]) -> Vec<String> {
    flags.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| (*name).to_owned()).collect()
}

fn usages(usage: KeyUsage) -> Vec<String> {
    set(&[
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ])
}

fn purposes(purposes: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let mut names = set(&[
        (purposes.any, "anyExtendedKeyUsage"),
        (purposes.server_auth, "serverAuth"),
        (purposes.client_auth, "clientAuth"),
        (purposes.code_signing, "codeSigning"),
        (purposes.email_protection, "emailProtection"),
        (purposes.time_stamping, "timeStamping"),
        (purposes.ocsp_signing, "OCSPSigning"),
    ]);
    names.extend(purposes.other.iter().map(Oid::to_id_string));
    names
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// The key's algorithm and size, as far as x509-parser knows them.
fn key(info: &SubjectPublicKeyInfo<'_>) -> Option<(String, usize)> {
    let key = info.parsed().ok()?;
    if info.algorithm.algorithm.to_id_string() == "1.2.840.113549.1.1.1" {
        return Some(("RSA".to_owned(), key.key_size()));
    }
    let PublicKey::EC(_) = key else { return None };
    let curve = info.algorithm.parameters.as_ref()?.as_oid().ok()?;
    Some(match curve.to_id_string().as_str() {
        "1.2.840.10045.3.1.7" => ("P-256".to_owned(), key.key_size()),
        "1.3.132.0.34" => ("P-384".to_owned(), key.key_size()),
        // x509-parser counts whole bytes.
        "1.3.132.0.35" => ("P-521".to_owned(), key.key_size() - 7),
        _ => return None,
    })
}

fn signature_algorithm(dotted: &str) -> Option<&'static str> {
    Some(match dotted {
        "1.2.840.113549.1.1.5" => "SHA1-RSA",
        "1.2.840.113549.1.1.11" => "SHA256-RSA",
        "1.2.840.113549.1.1.12" => "SHA384-RSA",
        "1.2.840.113549.1.1.13" => "SHA512-RSA",
        "1.2.840.10045.4.3.2" => "ECDSA-SHA256",
        "1.2.840.10045.4.3.3" => "ECDSA-SHA384",
        "1.2.840.10045.4.3.4" => "ECDSA-SHA512",
        "1.3.101.112" => "Ed25519",
        _ => return None,
    })
}

/// Whether it signed itself, if x509-parser can tell: it lacks algorithms, and RSA keys below
/// 2048 bits.
fn self_signed(theirs: &X509Certificate<'_>) -> Option<bool> {
    let is_small = key(theirs.public_key()).is_some_and(|key| key.0 == "RSA" && key.1 < 2048);
    match theirs.verify_signature(None) {
        Err(X509Error::SignatureUnsupportedAlgorithm) => None,
        Err(_) if is_small => None,
        result => Some(result.is_ok() && theirs.subject().as_raw() == theirs.issuer().as_raw()),
    }
}

/// The facts that x509-parser gives, in the place of those in `ours`; the rest stays.
fn seen_by_the_other(theirs: &X509Certificate<'_>, ours: &Certificate) -> Certificate {
    let mut facts = ours.clone();
    if let Some(subject) = name(theirs.subject()) {
        (facts.subject, facts.common_names) = subject;
    }
    if let Some((issuer, _)) = name(theirs.issuer()) {
        facts.issuer = issuer;
    }
    facts.serial = HEXLOWER.encode(theirs.raw_serial());
    facts.negative_serial = theirs.raw_serial().first().is_some_and(|first| *first >= 0x80);
    facts.version = u64::from(theirs.version().0) + 1;
    // Where a time is written as no client reads it, x509-parser reads it nevertheless.
    let validity = theirs.validity();
    facts.not_before = facts.not_before.map(|_| moment(validity.not_before));
    facts.not_after = facts.not_after.map(|_| moment(validity.not_after));
    facts.self_issued = theirs.subject().as_raw() == theirs.issuer().as_raw();
    facts.self_signed = self_signed(theirs).unwrap_or(facts.self_signed);
    facts.fingerprint = sha256(theirs.as_raw());
    facts.key_fingerprint = sha256(theirs.public_key().raw);
    if let Some((algorithm, bits)) = key(theirs.public_key()) {
        (facts.key_algorithm, facts.key_bits) = (algorithm, u32::try_from(bits).unwrap());
    }
    let signature = theirs.signature_algorithm.algorithm.to_id_string();
    if let Some(name) = signature_algorithm(&signature) {
        name.clone_into(&mut facts.signature_algorithm);
    }
    take_extensions(theirs, &mut facts);
    facts
}

fn take_extensions(theirs: &X509Certificate<'_>, facts: &mut Certificate) {
    (facts.dns_names, facts.ip_addresses) = (Vec::new(), Vec::new());
    let basic = (facts.is_ca, facts.path_length);
    (facts.is_ca, facts.path_length, facts.has_alternative_names) = (false, None, false);
    (facts.key_usages, facts.purposes) = (None, None);
    (facts.subject_key_id, facts.authority_key_id) = (None, None);
    let mut seen = BTreeSet::new();
    for extension in theirs.extensions() {
        // The first of one kind is the one that counts.
        if !seen.insert(extension.oid.to_id_string()) {
            continue;
        }
        facts.has_alternative_names |= extension.oid.to_id_string() == "2.5.29.17";
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                for name in &names.general_names {
                    match name {
                        GeneralName::DNSName(name) => facts.dns_names.push((*name).to_owned()),
                        GeneralName::IPAddress(bytes) => facts.ip_addresses.extend(address(bytes)),
                        _ => {}
                    }
                }
            }
            ParsedExtension::BasicConstraints(basic) => {
                facts.is_ca = basic.ca;
                facts.path_length = basic.path_len_constraint.map(u64::from);
            }
            ParsedExtension::KeyUsage(usage) => facts.key_usages = Some(usages(*usage)),
            ParsedExtension::ExtendedKeyUsage(usage) => facts.purposes = Some(purposes(usage)),
            ParsedExtension::SubjectKeyIdentifier(id) => {
                facts.subject_key_id = Some(HEXLOWER.encode(id.0));
            }
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                facts.authority_key_id = id.key_identifier.as_ref().map(|id| HEXLOWER.encode(id.0));
            }
            // The path lengths of x509-parser have 32 bits.
            ParsedExtension::ParseError { error: nom::Err::Error(Error::InvalidLength) }
                if extension.oid.to_id_string() == "2.5.29.19" =>
            {
                (facts.is_ca, facts.path_length) = basic;
            }
            _ => {}
        }
    }
}

/// Reads a certificate with both; false if neither can.
fn agree(der: &[u8]) -> bool {
    let (Ok(mut ours), Ok((_, theirs))) =
        (Certificate::from_der(der), X509Certificate::from_der(der))
    else {
        assert!(Certificate::from_der(der).is_err() && X509Certificate::from_der(der).is_err());
        return false;
    };
    let mut theirs = seen_by_the_other(&theirs, &ours);
    // x509-parser does not keep the order of purposes.
    for purposes in [&mut ours.purposes, &mut theirs.purposes].into_iter().flatten() {
        purposes.sort();
    }
    assert_eq!(ours, theirs);
    true
}

#[test]
fn certificates_of_the_cases_say_the_same_to_both_readers() {
    let certificates = certificates();
    let read = certificates.iter().filter(|der| agree(der)).count();
    // One of them is cut short.
    assert_eq!(read, certificates.len() - 1);
    assert!(read > 400, "{read}");
}

#[test]
fn new_certificates_say_the_same_to_both_readers() {
    let algorithms =
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
    let authorities = [
        IsCa::NoCa,
        IsCa::ExplicitNoCa,
        IsCa::Ca(BasicConstraints::Unconstrained),
        IsCa::Ca(BasicConstraints::Constrained(3)),
    ];
    for algorithm in algorithms {
        for is_ca in authorities {
            let mut params = CertificateParams::new(vec!["*.example.test".to_owned()]).unwrap();
            params.subject_alt_names.push(SanType::IpAddress("2001:db8::1".parse().unwrap()));
            params.distinguished_name.push(DnType::OrganizationName, "Müller & Söhne");
            params.distinguished_name.push(DnType::CountryName, "DE");
            params.is_ca = is_ca;
            params.key_usages = vec![KeyUsagePurpose::CrlSign, KeyUsagePurpose::DecipherOnly];
            params.extended_key_usages =
                vec![ExtendedKeyUsagePurpose::TimeStamping, ExtendedKeyUsagePurpose::ServerAuth];
            params.not_after = rcgen::date_time_ymd(2050, 2, 28);
            let key = KeyPair::generate_for(algorithm).unwrap();
            let issued = params.self_signed(&key).unwrap();
            assert!(agree(issued.der()));
        }
    }
}
