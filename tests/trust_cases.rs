//! Situations with the verdicts that real clients were seen to give, one row each. The
//! certificates come from `tests/trust/generate.py`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "it is a test")]

use std::collections::BTreeMap;

use data_encoding::BASE64;
use gldoctor::trust::{Client, Store, judge};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    id: String,
    what: String,
    name: String,
    at: String,
    /// By client: `OK`, `no`, a code of Go's error (`G1` …), a number of OpenSSL's, or `file`.
    expected: BTreeMap<String, String>,
    chain: Vec<String>,
    store: String,
}

/// What Go's error has to say for each code.
const GO: &[(&str, &str)] = &[
    ("G1", "certificate relies on legacy Common Name field, use SANs instead"),
    ("G2", "certificate is valid for "),
    ("G3", "certificate is not valid for any names, but wanted to match "),
    ("G4", "because it doesn't contain any IP SANs"),
    ("G5", "certificate signed by unknown authority"),
    ("G5p", "parent certificate cannot sign this kind of certificate"),
    ("G5r", "verification "),
    ("G5s", "cannot verify signature: insecure algorithm "),
    ("G6", "certificate has expired or is not yet valid: current time "),
    ("G7", "is not authorized to sign for this name: "),
    ("G8", "certificate specifies an incompatible key usage"),
    ("G9", "too many intermediates for path length constraint"),
    ("G10", "unhandled critical extension"),
    ("GP", "tls: failed to parse certificate from server: "),
    ("no", ""),
];

/// Whether an error is what the code stands for.
fn says(client: Client, error: &str, code: &str) -> bool {
    match (client, code) {
        (Client::Go, code) => {
            let text = GO.iter().find(|(name, _)| *name == code).expect("a code of the table");
            let hinted = error.contains("possibly because of");
            error.contains(text.1)
                && (code.len() < 3 || !code.starts_with("G5") || hinted)
                && (code != "G5" || !hinted)
        }
        (_, "file") => {
            error.contains("no certificate or crl found")
                || error.contains("bad ")
                || error.contains("lib")
        }
        (_, "no") => true,
        (_, number) => error.contains(&format!("num={number}:")),
    }
}

fn check(json: &str) {
    let cases: Vec<Case> = serde_json::from_str(json).expect("the cases are JSON");
    let mut wrong = Vec::new();
    for case in &cases {
        let chain: Vec<Vec<u8>> =
            case.chain.iter().map(|text| BASE64.decode(text.as_bytes()).unwrap()).collect();
        for client in Client::ALL {
            let mut store = Store::new(client);
            store.add_file("ca.crt", &BASE64.decode(case.store.as_bytes()).unwrap());
            let verdict = judge(&store, &chain, &case.name, case.at.parse().unwrap());
            let expected = &case.expected[client.name()];
            let right = match &verdict.error {
                None => verdict.accepted && expected == "OK",
                Some(error) => {
                    !verdict.accepted && expected != "OK" && says(client, error, expected)
                }
            };
            if !right {
                let seen = verdict.error.unwrap_or_else(|| "OK".to_owned());
                wrong.push(format!(
                    "{} {}, {client:?}: {expected}, but {seen}\n      {}",
                    case.id, case.what, verdict.why
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_sites_have_is_judged_as_clients_judge_it() {
    check(include_str!("../fixtures/trust_cases/tls_trust.json"));
}

#[test]
fn finer_rules_are_kept_as_clients_keep_them() {
    check(include_str!("../fixtures/trust_cases/tls_clients.json"));
}
