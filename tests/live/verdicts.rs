//! Every trap of the trust and tls checks in one table: what nginx shows, what the client is given
//! to trust, and whether curl, git, OpenSSL and skopeo say what gldoctor says of the same files.

use std::fmt::Write as _;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, SanType};
use serde_json::Value;

use crate::gitlab::{Gitlab, REGISTRY_NAME, REGISTRY_URL, Running};
use crate::lab::{HOST, Lab, NGINX, REGISTRY, SKOPEO};
use crate::pki::{self, Authority, Certificate, in_der, utf16};
use crate::rails::{PASSWORD, USER};

const STORE: &str = "/run/store.crt";
const CHAIN: &str = "/run/chain.crt";

/// Who accepts: Go (skopeo), OpenSSL and curl.
type Accept = [bool; 3];

const ALL: Accept = [true; 3];
const NONE: Accept = [false; 3];

/// What a client is given, and who accepts then.
struct Given {
    what: &'static str,
    store: Vec<u8>,
    accept: Accept,
    /// Whether a git that was built with GnuTLS, as Debian's is, says otherwise than curl with
    /// OpenSSL.
    gnutls: bool,
}

fn given(what: &'static str, store: impl Into<Vec<u8>>, accept: Accept) -> Given {
    Given { what, store: store.into(), accept, gnutls: false }
}

impl Given {
    fn otherwise_with_gnutls(self) -> Self {
        Self { gnutls: true, ..self }
    }
}

struct Scene {
    running: Running,
    lab: Lab,
    git_has_gnutls: bool,
    /// What differs, case by case.
    wrong: String,
    compared: usize,
}

impl Scene {
    fn start() -> Option<Self> {
        let lab = Lab::start(&[NGINX, REGISTRY, SKOPEO, "curl", "git", "openssl"])?;
        let running = Gitlab::install(&lab, &pki::self_signed(lab.dir(), HOST)).start(&lab);
        let libraries = "ldd $(git --exec-path)/git-remote-https";
        let libraries = lab.client.run("sh", &["-c", libraries]).stdout;
        // What Debian trusts on its own is nobody's matter here.
        lab.client.must("sh", &["-c", "rm -rf /etc/ssl/certs && mkdir /etc/ssl/certs"]);
        let git_has_gnutls = libraries.contains("libcurl-gnutls");
        Some(Self { running, lab, git_has_gnutls, wrong: String::new(), compared: 0 })
    }

    /// Lets nginx show a chain, and compares what is said of it with each store.
    fn compare(&mut self, shown: &Certificate, cases: &[Given]) {
        let file = format!("/etc/gitlab/ssl/{HOST}");
        self.lab.server.write(&format!("{file}.crt"), shown.pem());
        self.lab.server.write(&format!("{file}.key"), shown.key_pem());
        self.running.nginx.signal("HUP");
        self.settle(shown);
        self.lab.client.write(CHAIN, shown.pem());
        for case in cases {
            self.lab.client.write(STORE, &case.store);
            let ca = format!("/etc/docker/certs.d/{REGISTRY_NAME}/ca.crt");
            self.lab.client.write(&ca, &case.store);
            let real = self.real();
            let ours = self.ours();
            self.compared += 1;
            if (real, ours) != (case.accept, case.accept) {
                let _ = writeln!(
                    self.wrong,
                    "{}: clients {real:?}, gldoctor {ours:?}, expected {:?}",
                    case.what, case.accept
                );
            }
            let git = self.git();
            let as_curl = git == case.accept[2];
            if as_curl == (self.git_has_gnutls && case.gnutls) {
                let _ = writeln!(self.wrong, "{}: git {git}", case.what);
            }
        }
    }

    /// Waits until nginx shows all of the chain, and no worker from before the reload is left that
    /// shows another.
    fn settle(&self, shown: &Certificate) {
        let blocks = |text: &str| -> Vec<String> {
            let blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1);
            blocks.filter_map(|it| Some(it.split_once("-----END")?.0.trim().to_owned())).collect()
        };
        let expected = blocks(&shown.pem());
        let show = format!("openssl s_client -connect {REGISTRY_NAME} -showcerts </dev/null");
        let mut in_a_row = 0;
        for _ in 0..200 {
            let seen = blocks(&self.lab.client.run("sh", &["-c", &show]).stdout);
            in_a_row = if seen == expected { in_a_row + 1 } else { 0 };
            if in_a_row == 3 {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("nginx shows another certificate");
    }

    fn real(&self) -> Accept {
        let run = |program, arguments: &[&str]| self.lab.client.run(program, arguments).succeeded();
        let s_client = format!(
            "openssl s_client -connect {REGISTRY_NAME} -servername {HOST} -CAfile {STORE} \
             -no-CApath -no-CAstore -verify_return_error -verify_hostname {HOST} </dev/null"
        );
        [
            run("skopeo", &["login", "-u", USER, "-p", PASSWORD, REGISTRY_NAME]),
            run("sh", &["-c", &s_client]),
            run("curl", &["-sS", "-o", "/dev/null", "--cacert", STORE, REGISTRY_URL]),
        ]
    }

    /// Whether git comes as far as the server's answer, which is no repository.
    fn git(&self) -> bool {
        let setting = format!("http.sslCAInfo={STORE}");
        let ran = self.lab.client.run("git", &["-c", &setting, "ls-remote", REGISTRY_URL]);
        !ran.stderr.contains("certificate") && !ran.stderr.contains("CAfile")
    }

    fn ours(&self) -> Accept {
        let files = ["trust", "--chain", CHAIN, "--store", STORE, "--name", HOST];
        let said = self.lab.client.gldoctor(&[&files[..], &["--format", "json"]].concat()).json();
        let accepted = |client: &str| {
            let mut verdicts = said["verdicts"].as_array().unwrap().iter();
            verdicts.find(|it| it["client"] == client).unwrap()["accepted"] == Value::Bool(true)
        };
        ["go", "openssl", "curl"].map(accepted)
    }

    fn done(self, least: usize) {
        println!("{} cases with skopeo, OpenSSL, curl and git", self.compared);
        assert!(self.wrong.is_empty(), "\n{}", self.wrong);
        assert!(self.compared >= least);
    }
}

/// The certificate of a case, without what is sent along.
fn leaf_of(certificate: &Certificate) -> String {
    let pem = certificate.pem();
    pem.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap().to_owned()
}

#[test]
fn stores_are_read_as_every_client_reads_them() {
    let Some(mut scene) = Scene::start() else { return };
    let root = Authority::root("Lab Root");
    let issuing = root.subordinate("Lab Issuing");
    let chain = issuing.issue(scene.lab.dir(), &[HOST]);
    let other = Authority::root("Other Root");
    let (pem, other) = (root.pem(), other.pem());
    let key = chain.key_pem();
    let broken = other.replacen("MI", "!!", 1);
    let open = [false, true, true];
    scene.compare(
        &chain,
        &[
            given("the root", pem, ALL),
            given("another root", other, NONE),
            given("another root and the right one", format!("{other}{pem}"), ALL),
            given("the intermediate alone", issuing.pem(), [true, false, true]),
            given("the leaf alone", leaf_of(&chain), [true, false, true]).otherwise_with_gnutls(),
            given("line ends of Windows", pem.replace('\n', "\r\n"), ALL),
            given("no last line end", pem.trim_end(), ALL),
            given("text before it", format!("Certificate:\n    Data:\n{pem}"), ALL),
            given("a private key before it", format!("{key}{pem}"), ALL),
            given("DER", in_der(pem), NONE),
            given("a byte order mark", format!("\u{feff}{pem}"), open),
            given("UTF-16", utf16(pem), NONE),
            given("indented", format!("  {}", pem.replace('\n', "\n  ")), NONE)
                .otherwise_with_gnutls(),
            given("glued markers", format!("{}{pem}", other.trim_end()), NONE)
                .otherwise_with_gnutls(),
            given("a broken block first", format!("{broken}{pem}"), [true, false, false])
                .otherwise_with_gnutls(),
            given("labelled X509", pem.replace(" CERT", " X509 CERT"), open),
            given("labelled TRUSTED", pem.replace(" CERT", " TRUSTED CERT"), open)
                .otherwise_with_gnutls(),
            given("a web page", "<!DOCTYPE html>\n<title>404</title>\n", NONE),
            given("nothing", "", NONE),
        ],
    );
    scene.done(19);
}

#[test]
fn chains_are_judged_as_every_client_judges_them() {
    let Some(mut scene) = Scene::start() else { return };
    let dir = scene.lab.dir().to_owned();
    let dir = dir.as_path();
    let root = Authority::root("Lab Root");
    let issuing = root.subordinate("Lab Issuing");
    let chain = issuing.issue(dir, &[HOST]);
    let root_alone = |accept| [given("the root", root.pem(), accept)];
    let named = |what: &'static str, accept| [Given { what, ..given("", root.pem(), accept) }];

    // What is sent.
    let leaf = chain.first_only(dir);
    scene.compare(&leaf, &named("the intermediate is not sent", NONE));
    let parts = chain.pem();
    let with = |more: &str| Certificate::of(dir, &format!("{parts}{more}"), &chain.key_pem());
    scene.compare(&with(root.pem()), &named("the root is sent along", ALL));
    scene.compare(&with(Authority::root("Other").pem()), &named("another root is sent along", ALL));
    let upper = issuing.subordinate("Lab Lower").issue(dir, &[HOST]);
    let pem = upper.pem();
    let blocks: Vec<_> = pem.split_inclusive("-----END CERTIFICATE-----\n").collect();
    let disordered = format!("{}{}{}", blocks[0], blocks[2], blocks[1]);
    let disordered = Certificate::of(dir, &disordered, &upper.key_pem());
    scene.compare(&disordered, &named("in the wrong order", ALL));

    // The server's certificate.
    let issue = |change: &dyn Fn(&mut CertificateParams)| {
        let mut parameters = pki::server(&[HOST]);
        change(&mut parameters);
        issuing.issue_from(dir, &parameters)
    };
    let year = |year| rcgen::date_time_ymd(year, 1, 1);
    scene.compare(
        &issue(&|it| (it.not_before, it.not_after) = (year(2020), year(2021))),
        &named("expired", NONE),
    );
    scene.compare(
        &issue(&|it| (it.not_before, it.not_after) = (year(2090), year(2095))),
        &named("not yet valid", NONE),
    );
    scene.compare(&issuing.issue(dir, &["other.internal"]), &named("another name", NONE));
    scene.compare(
        &issuing.issue(dir, &["other.internal", HOST]),
        &named("another name and the right one", ALL),
    );
    scene.compare(
        &issuing.issue(dir, &["*.internal"]),
        &[Given { accept: [true, false, false], ..root_alone(ALL).into_iter().next().unwrap() }],
    );
    scene.compare(&issuing.issue(dir, &["MY-HOST.Internal"]), &named("in capitals", ALL));
    let address =
        issue(&|it| it.subject_alt_names = vec![SanType::IpAddress([10, 0, 0, 1].into())]);
    let by_common_name = [false, true, false];
    scene.compare(&address, &named("an address alone", by_common_name));
    let nameless = issue(&|it| it.subject_alt_names = Vec::new());
    scene.compare(&nameless, &named("no alternative name", [false, true, true]));
    let client = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let client = issue(&|it| it.extended_key_usages = client.clone());
    let [case] = named("for clients", NONE);
    scene.compare(&client, &[case.otherwise_with_gnutls()]);
    let any = issue(&|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]);
    let [case] = named("for any purpose", [true, false, false]);
    scene.compare(&any, &[case.otherwise_with_gnutls()]);
    let authority = issue(&|it| it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    scene.compare(&authority, &named("a CA's", ALL));

    // The authorities.
    let under = |change: &dyn Fn(&mut CertificateParams)| root.subordinate_from("Odd", change);
    let over = under(&|it| (it.not_before, it.not_after) = (year(2020), year(2021)));
    scene.compare(&over.issue(dir, &[HOST]), &named("an expired intermediate", NONE));
    let no_ca = under(&|it| it.is_ca = IsCa::ExplicitNoCa);
    scene.compare(&no_ca.issue(dir, &[HOST]), &named("an intermediate that is no CA", NONE));
    let tight = under(&|it| it.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let below = tight.subordinate("Below").issue(dir, &[HOST]);
    scene.compare(&below, &named("a path that is too long", NONE));
    let elsewhere = rcgen::NameConstraints {
        permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("example.org".to_owned())],
        excluded_subtrees: Vec::new(),
    };
    let barred = under(&|it| it.name_constraints = Some(elsewhere.clone()));
    scene.compare(&barred.issue(dir, &[HOST]), &named("a constraint on names", NONE));
    scene.done(19);
}

#[test]
fn self_signed_certificates_are_judged_as_every_client_judges_them() {
    let Some(mut scene) = Scene::start() else { return };
    let dir = scene.lab.dir().to_owned();
    let dir: &Path = dir.as_path();
    let guide = pki::by_the_guide(dir, HOST);
    scene.compare(&guide, &[given("the guide's", guide.pem(), [false, true, true])]);
    let (old, new) = (pki::self_signed(dir, HOST), pki::self_signed(dir, HOST));
    scene.compare(
        &new,
        &[
            given("a copy", new.pem(), ALL),
            given("an old copy", old.pem(), NONE),
            given("old and new", format!("{}{}", old.pem(), new.pem()), ALL),
        ],
    );
    let wrong = pki::self_signed(dir, "other.internal");
    scene.compare(&wrong, &[given("another's name", wrong.pem(), NONE)]);
    scene.done(5);
}
