//! `gldoctor trust --chain`: the verdicts of four clients on files alone.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may fail and may run")]

use std::path::PathBuf;
use std::process::{Command, Output};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

const HOST: &str = "git.example.test";

/// A folder with a root, a certificate that it issued, and one made by the guide's recipe.
struct Files {
    dir: TempDir,
}

impl Files {
    fn new() -> Self {
        let this = Self { dir: tempfile::tempdir().unwrap() };
        let root_key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::default();
        root.distinguished_name.push(DnType::CommonName, "Test Root");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_pem = root.self_signed(&root_key).unwrap().pem();
        let issuer = Issuer::new(root, root_key);
        let mut leaf = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, HOST);
        leaf.not_after = rcgen::date_time_ymd(2090, 1, 1);
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        let mut by_guide = CertificateParams::default();
        by_guide.distinguished_name = rcgen::DistinguishedName::new();
        by_guide.distinguished_name.push(DnType::CommonName, HOST);
        by_guide.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let by_guide = by_guide.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        this.write("root.crt", root_pem.as_bytes());
        this.write("leaf.crt", leaf.pem().as_bytes());
        this.write("leaf.der", leaf.der());
        this.write("guide.crt", by_guide.as_bytes());
        this.write("empty.crt", b"");
        this
    }

    fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs the command in the folder.
    fn trust(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_gldoctor"))
            .arg("trust")
            .args(arguments)
            .current_dir(self.dir.path())
            .env_remove("GLDOCTOR_AT")
            .output()
            .unwrap()
    }

    /// What each client says, as `client: accepted`, with the exit code.
    fn verdicts(&self, arguments: &[&str]) -> (Vec<(String, bool)>, i32) {
        let output = self.trust(arguments);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let verdicts = answer["verdicts"].as_array().unwrap().iter();
        let verdicts = verdicts.map(|verdict| {
            let accepted = verdict["accepted"].as_bool().unwrap();
            assert_eq!(verdict["error"].is_null(), accepted);
            assert!(!verdict["why"].as_str().unwrap().is_empty());
            (verdict["client"].as_str().unwrap().to_owned(), accepted)
        });
        (verdicts.collect(), output.status.code().unwrap())
    }
}

fn all(accept: bool) -> Vec<(String, bool)> {
    ["go", "openssl", "curl", "ruby"].map(|client| (client.to_owned(), accept)).to_vec()
}

#[test]
fn the_answer_has_the_promised_shape() {
    let files = Files::new();
    let at = "2026-01-02T03:04:05Z";
    let store = ["--store", "root.crt", "--store", "guide.crt"];
    let arguments = [&["--chain", "leaf.crt", "--name", HOST, "--at", at][..], &store].concat();
    let output = files.trust(&arguments);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["version"], 1);
    assert_eq!(answer["name"], HOST);
    assert_eq!(answer["at"], at);
    let keys: Vec<_> = answer["verdicts"][0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["accepted", "client", "error", "why"]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn all_accept_a_sound_chain_in_either_form() {
    let files = Files::new();
    for chain in ["leaf.crt", "leaf.der"] {
        let arguments = ["--chain", chain, "--store", "root.crt", "--name", HOST];
        assert_eq!(files.verdicts(&arguments), (all(true), 0), "{chain}");
    }
}

#[test]
fn one_refusal_is_exit_code_1() {
    let files = Files::new();
    let guide = ["--chain", "guide.crt", "--store", "guide.crt", "--name", HOST];
    let (verdicts, code) = files.verdicts(&guide);
    // Only Go insists on a subjectAltName here.
    let refusing: Vec<_> = verdicts.iter().filter(|it| !it.1).map(|it| it.0.as_str()).collect();
    assert_eq!((refusing, code), (vec!["go"], 1));
    let answer: Value = serde_json::from_slice(&files.trust(&guide).stdout).unwrap();
    let error = answer["verdicts"][0]["error"].as_str().unwrap();
    assert!(error.contains("x509: certificate relies on legacy Common Name field"), "{error}");
    let stranger = ["--chain", "leaf.crt", "--store", "guide.crt", "--name", HOST];
    assert_eq!(files.verdicts(&stranger), (all(false), 1));
}

#[test]
fn a_store_without_a_certificate_is_a_refusal() {
    let files = Files::new();
    let arguments = ["--chain", "leaf.crt", "--store", "empty.crt", "--name", HOST];
    assert_eq!(files.verdicts(&arguments), (all(false), 1));
}

#[test]
fn the_time_counts() {
    let files = Files::new();
    let arguments = ["--chain", "leaf.crt", "--store", "root.crt", "--name", HOST];
    let late = [&arguments[..], &["--at", "2091-01-01T00:00:00Z"]].concat();
    assert_eq!(files.verdicts(&late), (all(false), 1));
}

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_is_wrong() {
    let files = Files::new();
    let sound = ["--chain", "leaf.crt", "--store", "root.crt", "--name", HOST];
    let with = |place: usize, value: &'static str| {
        let mut arguments = sound;
        arguments[place] = value;
        arguments.to_vec()
    };
    for (arguments, said) in [
        (sound[..4].to_vec(), "--name"),
        ([&sound[..2], &sound[4..]].concat(), "--store"),
        (with(1, "absent.crt"), "absent.crt"),
        (with(3, "absent.crt"), "absent.crt"),
        (with(3, "."), "."),
        (with(1, "empty.crt"), "no certificate"),
        (with(5, ""), "--name"),
        ([&sound[..], &["--at", "soon"]].concat(), "--at"),
    ] {
        let output = files.trust(&arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(said), "{arguments:?}: {errors}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn without_a_chain_the_configured_endpoints_are_judged() {
    let files = Files::new();
    let put = |path: &str, from: &str| {
        let to = files.path("root").join(path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(files.path(from), to).unwrap();
    };
    files.write("gitlab.rb", format!("external_url 'https://{HOST}'\n").as_bytes());
    put("etc/gitlab/gitlab.rb", "gitlab.rb");
    put(&format!("etc/gitlab/ssl/{HOST}.crt"), "leaf.crt");
    put(&format!("etc/docker/certs.d/{HOST}/ca.crt"), "root.crt");
    put("opt/gitlab/embedded/ssl/certs/cacert.pem", "guide.crt");
    let output = files.trust(&["--root", "root", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = &answer["rows"][0];
    assert_eq!(row["endpoint"], format!("https://{HOST}"));
    let accepted = |cell: &Value| (cell["client"].clone(), cell["accepted"].clone());
    let cells: Vec<_> = row["clients"].as_array().unwrap().iter().map(accepted).collect();
    let expected = [("Docker", true), ("git/curl", false), ("Rails", false)];
    assert_eq!(cells, expected.map(|(client, accepts)| (client.into(), accepts.into())));
    let table = files.trust(&["--root", "root"]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("Docker: accepts: the path ends in the root"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}

#[test]
fn nothing_to_judge_is_no_success() {
    let files = Files::new();
    std::fs::create_dir(files.path("root")).unwrap();
    assert_eq!(files.trust(&["--root", "root"]).status.code(), Some(3));
    assert_eq!(files.trust(&["http://host"]).status.code(), Some(2));
}
