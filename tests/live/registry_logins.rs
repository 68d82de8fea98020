//! `registry/signing-key` and `registry/issuer`: a real client has to be able to log in, or not, as
//! they say.

use crate::gitlab::{self, REGISTRY_NAME};
use crate::lab::HOST;
use crate::node::Node;
use crate::registry_settings::{
    ALL, BUNDLE, CRONTAB, ISSUER, KEY, KEY_CHECK, KEY_PAIR, RSA, WEEKLY, expired, pair,
};
use crate::site::{CONFIG, Report, Site};

/// A healthy site with garbage collection, whose registry can be started anew.
fn site() -> Option<(Site, gitlab::Running)> {
    Site::start(|lab| {
        lab.server.write(CRONTAB, WEEKLY);
        lab.server.write(&format!("{KEY}.good"), lab.server.read(KEY));
        lab.server.write(&format!("{BUNDLE}.good"), lab.server.read(BUNDLE));
        lab.server.write(&format!("{CONFIG}.good"), lab.server.read(CONFIG));
    })
}

/// Plants one fault after another, and lets a real client try to log in.
struct Trial {
    site: Site,
    running: Option<gitlab::Running>,
}

/// One fault, and what has to be said of it.
struct Fault<'a> {
    /// The check that is about it, and what that says.
    check: &'a str,
    expected: &'a [&'a str],
    /// What the registry's log says when it refuses the client's token; `None` if the client can
    /// log in.
    log: Option<&'a str>,
    /// The case as which it is kept.
    case: &'a str,
}

impl Trial {
    /// `edit` makes the fault. gldoctor tells it, and nothing else, and the client has to agree.
    #[track_caller]
    fn run(&mut self, fault: &Fault<'_>, edit: impl FnOnce(&Node)) -> Report {
        let server = &self.site.lab.server;
        edit(server);
        let gitlab::Running { nginx, registry, rails } = self.running.take().unwrap();
        registry.stop();
        // It takes in its key when it starts.
        drop(rails);
        let registry = gitlab::start_registry(server);
        let rails = gitlab::start_rails(server, crate::rails::Tokens::default());
        let report = Report::on(&format!("{ALL},{KEY_PAIR}"), server, &[]);
        for check in ALL.split(',') {
            let expected = if check == fault.check { fault.expected } else { &[] };
            assert_eq!(report.codes(check), expected, "{check}: {}", report.ran);
        }
        // The same two files, the same fault, one root.
        for [.., caused_by] in report.findings(KEY_PAIR) {
            assert_eq!(caused_by, KEY_CHECK, "{}", report.ran);
        }
        self.site.record_from_inside(fault.check, fault.case);
        let client = self.site.client(REGISTRY_NAME);
        let said = registry.log();
        match fault.log {
            None => assert!(client.succeeded(), "{}: {client}\n{said}", fault.case),
            Some(words) => {
                assert!(!client.succeeded(), "{}: {client}", fault.case);
                assert!(said.contains(words), "{}: {said}", fault.case);
            }
        }
        self.running = Some(gitlab::Running { nginx, registry, rails });
        for path in [KEY, BUNDLE, CONFIG] {
            server.must("sh", &["-c", &format!("cat {path}.good > {path}")]);
        }
        report
    }
}

fn key_fault<'a>(case: &'a str, expected: &'a [&'a str], log: Option<&'a str>) -> Fault<'a> {
    Fault { check: KEY_CHECK, expected, log, case }
}

fn name_fault<'a>(case: &'a str, expected: &'a [&'a str], log: Option<&'a str>) -> Fault<'a> {
    Fault { check: ISSUER, expected, log, case }
}

#[test]
fn a_login_succeeds_exactly_where_the_halves_agree() {
    let Some((site, running)) = site() else { return };
    let dir = site.lab.dir().to_owned();
    let tls = site.lab.server.read(&format!("/etc/gitlab/ssl/{HOST}.crt"));
    let (other_key, other) = pair(&dir, &RSA);
    let mut trial = Trial { site, running: Some(running) };
    let untrusted = Some("token signed by untrusted key with ID");
    let mismatch = ["error key-mismatch"];

    trial.run(&key_fault("healthy", &[], None), |_| ());
    trial.run(&key_fault("near-miss-old-and-new", &[], None), |node| {
        node.edit(BUNDLE, |own| format!("{other}{own}"));
    });
    let notice = ["notice certificate-expired"];
    trial.run(&key_fault("faulty-expired-but-harmless", &notice, None), |node| {
        let expired = expired(node);
        node.edit(BUNDLE, |_| expired);
    });
    let report = trial.run(&key_fault("faulty-another-pair", &mismatch, untrusted), |node| {
        node.edit(KEY, |_| other_key);
    });
    // The registry names the key as gldoctor does.
    assert_eq!(report.evidence(KEY_CHECK, "ID of GitLab's key").len(), 1);
    let report = trial.run(&key_fault("faulty-tls-certificate", &mismatch, untrusted), |node| {
        node.edit(BUNDLE, |_| tls);
    });
    let [finding] = report.check(KEY_CHECK)["findings"].as_array().unwrap().as_slice() else {
        panic!("{}", report.ran)
    };
    let message = finding["message"].as_str().unwrap();
    assert!(message.contains("the TLS certificate of GitLab's nginx"), "{message}");
}

#[test]
fn a_login_succeeds_exactly_where_the_names_agree() {
    let Some((site, running)) = site() else { return };
    let mut trial = Trial { site, running: Some(running) };
    let config = |old: &'static str, new: &'static str| {
        move |node: &Node| node.edit(CONFIG, |text| text.replace(old, new))
    };
    trial.run(&name_fault("healthy", &[], None), |_| ());
    trial.run(
        &name_fault("near-miss-port-written", &[], None),
        config(".internal/jwt/auth", ".internal:443/jwt/auth"),
    );
    trial.run(
        &name_fault(
            "faulty-issuer",
            &["error issuer-differs"],
            Some("token from untrusted issuer"),
        ),
        config("omnibus-gitlab-issuer", "gitlab-issuer"),
    );
    // GitLab issues no token for it at all.
    let audience = Some("");
    trial.run(
        &name_fault("faulty-service", &["error service-differs"], audience),
        config("service: container_registry", "service: registry"),
    );
    for (case, code, old, new) in [
        ("faulty-realm-port", "error realm-port", ".internal/jwt/auth", ".internal:8443/jwt/auth"),
        ("faulty-realm-path", "error realm-path", "/jwt/auth", "/gitlab/jwt/auth"),
        ("faulty-realm-host", "error realm-host", "//my-host.", "//old-host."),
        ("faulty-realm-not-url", "error realm-not-url", "https://my-host.internal/jwt", "/jwt"),
        ("faulty-autoredirect", "error autoredirect", "autoredirect: false", "autoredirect: true"),
    ] {
        trial.run(&name_fault(case, &[code], Some("")), config(old, new));
    }
}

#[test]
fn an_open_registry_asks_nobody() {
    let Some((site, running)) = site() else { return };
    let mut trial = Trial { site, running: Some(running) };
    let open = Fault {
        check: ISSUER,
        expected: &["error auth-absent"],
        log: None,
        case: "faulty-no-auth",
    };
    let section = |node: &Node| {
        node.edit(CONFIG, |text| {
            let (before, rest) = text.split_once("auth:\n").unwrap();
            let (_, behind) = rest.split_once("validation:").unwrap();
            format!("{before}validation:{behind}")
        });
    };
    trial.run(&open, section);
}
