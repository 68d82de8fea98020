//! Hostile and enormous input: every answer comes, and comes soon.
#![expect(clippy::unwrap_used, reason = "it is a test")]

use std::time::{Duration, Instant};

use gldoctor::trust::{Client, Der, Store, Verdict, judge, store};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, GeneralSubtree, IsCa, Issuer, KeyPair,
    NameConstraints, SerialNumber,
};

/// Generous: tests run unoptimized, and next to others.
const LONG: Duration = Duration::from_mins(1);

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn params(name: &str, names: Vec<String>) -> CertificateParams {
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name, Vec::new());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn all(chain: &[Der], store: &str, name: &str) -> Vec<Verdict> {
    let judged = Client::ALL.map(|client| {
        let mut roots = Store::new(client);
        roots.add_file("store.pem", store.as_bytes());
        let start = Instant::now();
        let verdict = judge(&roots, chain, name, now());
        assert!(start.elapsed() < LONG, "{client:?} took {:?}", start.elapsed());
        verdict
    });
    judged.into()
}

/// `count` CAs of one name and key, all different.
fn crowd(key: &KeyPair, count: u64) -> Vec<rcgen::Certificate> {
    let made = (1..=count).map(|serial| {
        let mut params = authority("Crowd");
        params.serial_number = Some(SerialNumber::from(serial));
        params.self_signed(key).unwrap()
    });
    made.collect()
}

#[test]
fn a_store_of_ten_thousand_certificates() {
    let key = KeyPair::generate().unwrap();
    let store: String = crowd(&key, 10_000).iter().map(rcgen::Certificate::pem).collect();
    let own = params("git.test", vec!["git.test".to_owned()]);
    let leaf = own.signed_by(&KeyPair::generate().unwrap(), &Issuer::new(authority("Crowd"), &key));
    let chain = [leaf.unwrap().der().to_vec()];
    for client in Client::ALL {
        let start = Instant::now();
        assert_eq!(store::read(client, store.as_bytes()).certificates.len(), 10_000);
        assert!(start.elapsed() < LONG, "{client:?} took {:?}", start.elapsed());
    }
    assert!(all(&chain, &store, "git.test").iter().all(|verdict| verdict.accepted));
}

#[test]
fn a_chain_of_issuers_that_issue_each_other() {
    let key = KeyPair::generate().unwrap();
    let other = KeyPair::generate().unwrap();
    let own = params("git.test", vec!["git.test".to_owned()]);
    let leaf = own.signed_by(&KeyPair::generate().unwrap(), &Issuer::new(authority("Crowd"), &key));
    let mut chain = vec![leaf.unwrap().der().to_vec()];
    chain.extend(crowd(&key, 500).iter().map(|cert| cert.der().to_vec()));
    let unrelated = authority("Other").self_signed(&other).unwrap().pem();
    assert!(all(&chain, &unrelated, "git.test").iter().all(|verdict| !verdict.accepted));
}

#[test]
fn a_megabyte_of_names_under_many_constraints() {
    let key = KeyPair::generate().unwrap();
    let mut root = authority("Root");
    let subtrees = |count: usize| {
        (0..count).map(|index| GeneralSubtree::DnsName(format!("x{index}.lab.test"))).collect()
    };
    root.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("lab.test".to_owned())],
        excluded_subtrees: subtrees(20_000),
    });
    let store = root.self_signed(&key).unwrap().pem();
    let names = (0..50_000).map(|index| format!("host{index}.lab.test")).collect();
    let leaf = params("git", names)
        .signed_by(&KeyPair::generate().unwrap(), &Issuer::new(root, &key))
        .unwrap();
    let verdicts = all(&[leaf.der().to_vec()], &store, "host49999.lab.test");
    // OpenSSL gives up on so many comparisons; Go 1.26 does not.
    let accepted: Vec<bool> = verdicts.iter().map(|verdict| verdict.accepted).collect();
    assert_eq!(accepted, [true, false, false, false]);
}

#[test]
fn files_that_are_no_certificates_at_all() {
    let marker = "-----BEGIN CERTIFICATE-----\n";
    let texts = [
        marker.repeat(100_000),
        format!("{}\n", "-----END CERTIFICATE-----\n".repeat(100_000)),
        "\n".repeat(4_000_000),
        "A".repeat(4_000_000),
        format!("{marker}{}", ":\n".repeat(1_000_000)),
    ];
    for text in &texts {
        for client in Client::ALL {
            let start = Instant::now();
            let file = store::read(client, text.as_bytes());
            assert!(file.certificates.is_empty() && !file.notes.is_empty(), "{client:?}");
            assert!(start.elapsed() < LONG, "{client:?} took {:?}", start.elapsed());
        }
    }
}
