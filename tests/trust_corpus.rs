//! Chains that nobody here made, with the verdicts of real clients (see the corpus's README).
#![expect(clippy::expect_used, clippy::print_stderr, reason = "it is a test")]
#![expect(clippy::disallowed_methods, reason = "a test reads its own files")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use gldoctor::trust::{Client, Store, judge, store};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    id: String,
    leaf: String,
    intermediates: Vec<String>,
    roots: Vec<String>,
    peer_name: PeerName,
    validation_time: String,
    expected_go: String,
    go_error: Option<String>,
    openssl_verify: Verified,
    expected_curl: String,
    expected_ruby: String,
    ambiguous: bool,
}

/// What `openssl verify` says, OpenSSL's own host name check included. (`expected_openssl` is what
/// curl and Ruby agree on, and both of them have host name checks of their own.)
#[derive(Deserialize)]
struct Verified {
    verdict: String,
}

#[derive(Deserialize)]
struct PeerName {
    value: String,
}

fn corpus() -> Option<Vec<Case>> {
    let folder = std::env::var_os("GLDOCTOR_CORPUS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"),
        PathBuf::from,
    );
    let path = folder.join("pki/limbo.json");
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("SKIPPED: no corpus at {} (set GLDOCTOR_CORPUS)", path.display());
        return None;
    };
    Some(serde_json::from_slice(&bytes).expect("the corpus is JSON"))
}

/// Everything that disagrees, and what was compared.
#[derive(Default)]
struct Score {
    compared: usize,
    wrong: Vec<String>,
    worded: usize,
    other_words: Vec<String>,
}

#[test]
fn every_client_agrees_with_its_observed_verdicts() {
    let Some(cases) = corpus() else { return };
    let mut scores: BTreeMap<Client, Score> = BTreeMap::new();
    for case in cases.iter().filter(|case| !case.ambiguous) {
        let chain = store::served((case.leaf.clone() + &case.intermediates.concat()).as_bytes());
        let at = case.validation_time.parse().unwrap();
        for client in Client::ALL {
            let mut store = Store::new(client);
            store.add_file("roots.pem", case.roots.concat().as_bytes());
            let verdict = judge(&store, &chain, &case.peer_name.value, at);
            let (expected, words) = match client {
                Client::Go => (&case.expected_go, &case.go_error),
                Client::OpenSsl => (&case.openssl_verify.verdict, &None),
                Client::Curl => (&case.expected_curl, &None),
                Client::Ruby => (&case.expected_ruby, &None),
            };
            let entry = scores.entry(client).or_default();
            entry.compared += 1;
            let error = verdict.error.as_deref().unwrap_or_default();
            if verdict.accepted != (expected == "SUCCESS") {
                entry.wrong.push(format!(
                    "{}: {expected}, but {:?} ({})",
                    case.id, verdict.error, verdict.why
                ));
            } else if let Some(words) = words.as_deref().filter(|words| !words.is_empty()) {
                entry.worded += 1;
                if !error.contains(words) {
                    entry.other_words.push(format!("{}:\n   {words}\n   {error}", case.id));
                }
            }
        }
    }
    for (client, score) in &scores {
        let right = score.compared - score.wrong.len();
        let same = score.worded - score.other_words.len();
        println!(
            "{}: {right}/{} verdicts, {same}/{} in the same words",
            client.name(),
            score.compared,
            score.worded
        );
        for line in score.wrong.iter().chain(&score.other_words) {
            println!("  {line}");
        }
    }
    assert!(scores.values().all(|score| score.wrong.is_empty()), "see above");
}

#[test]
fn stores_of_the_corpus_can_be_read() {
    let Some(cases) = corpus() else { return };
    for case in &cases {
        for client in Client::ALL {
            let _ = store::read(client, case.roots.concat().as_bytes());
        }
    }
}
