//! Random mixtures of the certificates of `fixtures/trust_cases`, and of hierarchies that are made
//! on the spot, judged here and by the real libraries. The certificates share names and keys, so
//! mixing makes paths of every kind.
//!
//! Needs `go` (1.26; or the path to it in `GLDOCTOR_GO`) and `openssl` (3.x); what is missing is
//! skipped, loudly. `GLDOCTOR_DIFFERENTIAL` is the number of mixtures, instead of a few.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "it is a test"
)]

#[path = "trust/hierarchy.rs"]
mod hierarchy;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use data_encoding::BASE64;
use gldoctor::trust::{Client, Store, Verdict, judge};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

fn pem(der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[derive(Deserialize)]
struct Case {
    name: String,
    chain: Vec<String>,
    store: String,
}

/// One mixture.
struct Mixture {
    chain: Vec<Vec<u8>>,
    store: Vec<Vec<u8>>,
    name: String,
    at: Timestamp,
    /// How its certificates were made, if that is not in the fixtures.
    made: Option<String>,
}

impl Mixture {
    fn store_text(&self) -> String {
        self.store.iter().map(|der| pem(der)).collect()
    }

    fn judge(&self, client: Client) -> Verdict {
        let mut store = Store::new(client);
        store.add_file("store.pem", self.store_text().as_bytes());
        judge(&store, &self.chain, &self.name, self.at)
    }

    /// Enough to look into a disagreement by hand.
    fn describe(&self) -> String {
        if let Some(made) = &self.made {
            return format!("{} at {}\n  {made}", self.name, self.at);
        }
        let subjects = |list: &[Vec<u8>]| {
            let facts = list.iter().map(|der| {
                gldoctor::parse::certificate::Certificate::from_der(der)
                    .map_or_else(|why| why, |facts| format!("{} #{}", facts.subject, facts.serial))
            });
            facts.collect::<Vec<_>>().join(" | ")
        };
        let (chain, store) = (subjects(&self.chain), subjects(&self.store));
        format!("{} at {}\n  sent: {chain}\n  store: {store}", self.name, self.at)
    }
}

/// xorshift: the same mixtures in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 20).unwrap() % sides.max(1)
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.roll(list.len())]
    }
}

fn mixtures(count: usize) -> Vec<Mixture> {
    let files = [
        include_str!("../fixtures/trust_cases/tls_trust.json"),
        include_str!("../fixtures/trust_cases/tls_clients.json"),
    ];
    let cases: Vec<Case> =
        files.iter().flat_map(|json| serde_json::from_str::<Vec<Case>>(json).unwrap()).collect();
    let mut authorities: Vec<Vec<u8>> = Vec::new();
    for case in &cases {
        let sent = case.chain.iter().skip(1).map(|text| BASE64.decode(text.as_bytes()).unwrap());
        let stored = gldoctor::trust::store::read(
            Client::OpenSsl,
            &BASE64.decode(case.store.as_bytes()).unwrap(),
        );
        authorities.extend(sent.chain(stored.certificates));
    }
    authorities.sort();
    authorities.dedup();
    let times: Vec<Timestamp> = [
        "2024-06-01T00:00:00Z",
        "2026-11-22T12:00:00Z",
        "2026-11-22T12:00:00Z",
        "2027-06-01T00:00:00Z",
    ]
    .iter()
    .map(|text| text.parse().unwrap())
    .collect();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut made = Vec::with_capacity(count);
    while made.len() < count {
        let case = dice.pick(&cases);
        let mut chain: Vec<Vec<u8>> =
            case.chain.iter().map(|text| BASE64.decode(text.as_bytes()).unwrap()).collect();
        let mut store = gldoctor::trust::store::read(
            Client::OpenSsl,
            &BASE64.decode(case.store.as_bytes()).unwrap(),
        )
        .certificates;
        // Most stay close to a case that means something.
        if dice.roll(3) == 0 && chain.len() > 1 {
            let at = 1 + dice.roll(chain.len() - 1);
            chain.remove(at);
        }
        for _ in 0..dice.roll(4) {
            let at = 1 + dice.roll(chain.len());
            chain.insert(at.min(chain.len()), dice.pick(&authorities).clone());
        }
        for _ in 0..dice.roll(4) {
            let at = dice.roll(store.len() + 1);
            store.insert(at, dice.pick(&authorities).clone());
        }
        if dice.roll(8) == 0 && !store.is_empty() {
            let at = dice.roll(store.len());
            store.remove(at);
        }
        if store.is_empty() {
            continue;
        }
        let name = if dice.roll(8) == 0 { &dice.pick(&cases).name } else { &case.name };
        let (name, at) = (name.clone(), *dice.pick(&times));
        made.push(Mixture { chain, store, name, at, made: None });
    }
    made
}

fn count(few: usize) -> usize {
    let asked = std::env::var("GLDOCTOR_DIFFERENTIAL").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(few)
}

/// Agreement on nothing but refusals would prove little.
fn tell_accepted(which: &str, count: usize) {
    println!("{which}: {count} accepted");
}

fn report(which: &str, compared: usize, wrong: &[String]) {
    println!("{which}: {}/{compared} agree", compared - wrong.len());
    let shown: Vec<&str> = wrong.iter().take(20).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), shown.join("\n"));
}

/// Builds `client.go` with the Go at hand.
fn go_client(folder: &Path) -> Option<PathBuf> {
    let go = std::env::var("GLDOCTOR_GO").unwrap_or_else(|_| "go".to_owned());
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/trust/client.go");
    let binary = folder.join("client");
    let built = Command::new(&go)
        .args(["build", "-o"])
        .arg(&binary)
        .arg(source)
        .env("GOTOOLCHAIN", "local")
        .current_dir(folder)
        .status();
    match built {
        Ok(status) if status.success() => Some(binary),
        _ => {
            eprintln!("SKIPPED: no working Go at {go} (set GLDOCTOR_GO)");
            None
        }
    }
}

fn compare_with_go(which: &str, mixtures: &[Mixture], in_same_words: bool) {
    let folder = tempfile::tempdir().unwrap();
    let Some(binary) = go_client(folder.path()) else { return };
    let questions: String = mixtures
        .iter()
        .map(|mixture| {
            let chain: Vec<String> = mixture.chain.iter().map(|der| BASE64.encode(der)).collect();
            let store = BASE64.encode(mixture.store_text().as_bytes());
            let at = mixture.at.to_string();
            json!({"name": mixture.name, "at": at, "chain": chain, "store": store}).to_string()
                + "\n"
        })
        .collect();
    let Some(answers) = answers(&mut Command::new(binary), questions) else { return };
    assert_eq!(answers.len(), mixtures.len());
    let mut wrong = Vec::new();
    for (mixture, answer) in mixtures.iter().zip(&answers) {
        let verdict = mixture.judge(Client::Go);
        let said = verdict.error.unwrap_or_else(|| "OK".to_owned()).replace('\n', " ");
        // The kind of the leaf's key comes up in the handshake, which the Go side leaves out.
        let kind = *answer == "OK" && said.contains("unsupported type of public key");
        // Which part of a damaged certificate is found first does not matter.
        let damage = "tls: failed to parse certificate from server: ";
        let parse = said.starts_with(damage) && answer.starts_with(damage) && !in_same_words;
        if said != *answer && !kind && !parse {
            wrong.push(format!("{}\n  Go:   {answer}\n  here: {said}", mixture.describe()));
        }
    }
    tell_accepted(which, answers.iter().filter(|answer| *answer == "OK").count());
    report(which, mixtures.len(), &wrong);
}

#[test]
fn go_says_the_same_in_the_same_words() {
    compare_with_go("Go", &mixtures(count(2000)), true);
}

#[test]
fn go_says_the_same_of_hierarchies() {
    compare_with_go("Go, hierarchies", &hierarchy::mixtures(count(1000)), true);
}

#[test]
fn openssl_says_the_same_of_hierarchies() {
    compare_with_openssl(Client::OpenSsl, &hierarchy::mixtures(count(100)), true);
}

#[test]
fn openssl_with_partial_chains_says_the_same_of_hierarchies() {
    compare_with_openssl(Client::Curl, &hierarchy::mixtures(count(100)), false);
}

#[test]
fn go_finds_the_same_damage() {
    compare_with_go("Go, damaged", &damaged(count(2000)), false);
}

/// Leaves with a byte or two changed, sent with their chain. The signature is wrong then, and what
/// Go says shows how far it has read.
fn damaged(count: usize) -> Vec<Mixture> {
    let mut dice = Dice(0x1234_5678_9abc_def1);
    let mut sound = mixtures(count);
    for mixture in &mut sound {
        let leaf = &mut mixture.chain[0];
        for _ in 0..=dice.roll(2) {
            let at = dice.roll(leaf.len());
            match dice.roll(3) {
                0 => leaf[at] ^= 1 << dice.roll(8),
                1 => leaf[at] = u8::try_from(dice.roll(256)).unwrap(),
                _ => leaf[at] = *dice.pick(&[0x00, 0x01, 0x02, 0x04, 0x30, 0x82, 0x80, 0xff]),
            }
        }
    }
    sound
}

/// A name, plausible or not, out of labels that each client has its own opinion about.
fn odd_name(dice: &mut Dice, labels: &[&str]) -> String {
    let count = 1 + dice.roll(4);
    let parts: Vec<&str> = (0..count).map(|_| *dice.pick(labels)).collect();
    parts.join(".") + if dice.roll(10) == 0 { "." } else { "" }
}

/// Self-signed certificates, each with a host to compare it with. Many almost match.
fn named(count: usize) -> Vec<(Vec<u8>, String)> {
    const PATTERNS: &[&str] = &[
        "*", "git", "git", "lab", "lab", "g*", "*t", "g*t", "git*", "GIT", "xn--a", "xn--*", "-a",
        "a-", "g_t", "*-t", "**", "1", "*1", "test",
    ];
    const HOSTS: &[&str] =
        &["git", "git", "lab", "lab", "gt", "GIT", "xn--a", "-a", "a-", "g_t", "g-t", "1", "test"];
    let key = rcgen::KeyPair::generate().unwrap();
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let made = (0..count).map(|_| {
        let host = odd_name(&mut dice, HOSTS);
        let mut name = || match dice.roll(4) {
            0 => host.clone(),
            1 => host.split_once('.').map_or("*".to_owned(), |(_, rest)| format!("*.{rest}")),
            2 => {
                let rest = host.split_once('.').map_or("", |(_, rest)| rest);
                format!("{}.{rest}", dice.pick(PATTERNS))
            }
            _ => odd_name(&mut dice, PATTERNS),
        };
        let (listed, common) = (name(), name());
        let listed = if dice.roll(3) > 0 { vec![listed] } else { Vec::new() };
        let mut params = rcgen::CertificateParams::new(listed).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, common);
        (params.self_signed(&key).unwrap().der().to_vec(), host)
    });
    made.collect()
}

fn matches(client: Client, der: &[u8], host: &str) -> bool {
    let mut store = Store::new(client);
    store.add_certificates("store.pem", &[der.to_vec()]);
    let verdict = judge(&store, &[der.to_vec()], host, "2026-11-22T12:00:00Z".parse().unwrap());
    let names = ["name-mismatch", "common-name-only"];
    !verdict.faults.iter().any(|fault| names.contains(&fault.code.as_str()))
}

/// Runs a program that answers each line of its input with one line.
fn answers(command: &mut Command, questions: String) -> Option<Vec<String>> {
    let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut process) = process else {
        eprintln!("SKIPPED: no {}", command.get_program().display());
        return None;
    };
    let mut stdin = process.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(questions.as_bytes()));
    let output = process.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

#[test]
fn names_match_as_in_ruby() {
    let pairs = named(count(1000));
    let questions: Vec<String> =
        pairs.iter().map(|(der, host)| format!("{} {host}\n", BASE64.encode(der))).collect();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/trust/names.rb");
    let Some(said) = answers(Command::new("ruby").arg(script), questions.concat()) else { return };
    assert_eq!(said.len(), pairs.len());
    let wrong: Vec<String> = pairs
        .iter()
        .zip(&said)
        .filter(|((der, host), said)| matches(Client::Ruby, der, host) != (*said == "yes"))
        .map(|((der, host), said)| format!("{host}: {said}\n{}", pem(der)))
        .collect();
    report("Ruby's names", pairs.len(), &wrong);
}

#[test]
fn names_match_as_in_openssl() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leaf.pem");
    let pairs = named(count(100));
    let mut wrong = Vec::new();
    for (der, host) in &pairs {
        std::fs::write(&path, pem(der)).unwrap();
        let arguments = ["x509", "-noout", "-checkhost", host.as_str(), "-in"];
        let Ok(output) = Command::new("openssl").args(arguments).arg(&path).output() else {
            eprintln!("SKIPPED: no openssl");
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout).contains("does match");
        if matches(Client::OpenSsl, der, host) != said {
            wrong.push(format!("{host}: {said}\n{}", pem(der)));
        }
    }
    report("OpenSSL's names", pairs.len(), &wrong);
}

/// What `openssl verify` says first: the number of an error, or 0. None if it cannot load the
/// files at all.
fn openssl(mixture: &Mixture, folder: &Path, partial: bool) -> Option<u32> {
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let store = write("store.pem", mixture.store_text());
    let leaf = write("leaf.pem", pem(&mixture.chain[0]));
    // The peer's whole chain is what a TLS client hands over, leaf included.
    let sent = write("sent.pem", mixture.chain.iter().map(|der| pem(der)).collect());
    let mut command = Command::new("openssl");
    command.args(["verify", "-no-CApath", "-no-CAstore", "-auth_level", "2"]);
    command.args(["-purpose", "sslserver", "-attime", &mixture.at.as_second().to_string()]);
    command.arg("-CAfile").arg(store).arg("-untrusted").arg(sent);
    if partial {
        command.arg("-partial_chain");
    } else {
        let is_ip = mixture.name.parse::<std::net::IpAddr>().is_ok();
        command.args([if is_ip { "-verify_ip" } else { "-verify_hostname" }, &mixture.name]);
    }
    let output = command.arg(leaf).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Some(0);
    }
    let number = text.split("\nerror ").nth(1).or_else(|| text.strip_prefix("error "));
    number.and_then(|rest| rest.split(' ').next()).and_then(|n| n.parse().ok())
}

fn compare_with_openssl(client: Client, mixtures: &[Mixture], by_number: bool) {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("SKIPPED: no openssl");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let partial = client == Client::Curl;
    let (mut compared, mut accepted, mut wrong) = (0, 0, Vec::new());
    for mixture in mixtures {
        let Some(answer) = openssl(mixture, folder.path(), partial) else { continue };
        accepted += usize::from(answer == 0);
        let verdict = mixture.judge(client);
        // The command reads certificates from PEM blocks, which hides what ends a handshake.
        let unread = |error: &str| error.contains("ASN1 lib") || error.contains("cert length");
        if verdict.error.as_deref().is_some_and(unread) {
            continue;
        }
        let mut faults = verdict.faults.iter();
        // With partial chains the name is curl's own business, and comes last.
        let first = faults.find(|fault| !partial || fault.code != "name-mismatch");
        let number = first.map_or(0, |fault| {
            let found = fault.error.split("num=").nth(1).and_then(|rest| rest.split(':').next());
            found.and_then(|number| number.parse::<u32>().ok()).unwrap_or(u32::MAX)
        });
        compared += 1;
        let same = if by_number { number == answer } else { (number > 0) == (answer > 0) };
        if !same {
            let said = verdict.error.as_deref().unwrap_or("OK");
            wrong.push(format!(
                "{}\n  OpenSSL: {answer}\n  here:    {said} ({})",
                mixture.describe(),
                verdict.why
            ));
        }
    }
    tell_accepted(client.name(), accepted);
    report(client.name(), compared, &wrong);
}

#[test]
fn openssl_says_the_same_by_the_same_number() {
    compare_with_openssl(Client::OpenSsl, &mixtures(count(100)), true);
}

#[test]
fn openssl_refuses_the_same_damage() {
    // OpenSSL reads more than DER in places, so that it may come to another complaint.
    compare_with_openssl(Client::OpenSsl, &damaged(count(100)), false);
}

#[test]
fn openssl_with_partial_chains_accepts_what_curl_does() {
    compare_with_openssl(Client::Curl, &mixtures(count(100)), false);
}
