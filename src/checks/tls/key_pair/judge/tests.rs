use super::super::sample::{Sample, file, pem, used_by};
use super::*;
use crate::checks::{Cause, Severity};
use crate::install::certificates::User;

/// The findings on a pair of files, everything else being as it should.
fn judged(user: User, certificate: File<PemFile>, key: File<PemFile>) -> Verdict {
    judged_with(user, certificate, key, Passphrase::NotTold, Nearby::default())
}

fn judged_with(
    user: User,
    certificate: File<PemFile>,
    key: File<PemFile>,
    passphrase: Passphrase,
    nearby: Nearby,
) -> Verdict {
    let usage = &used_by(user);
    let files = [certificate, key];
    let [certificate, key] = files.each_ref().map(Some);
    judge(&Scene { usage, certificate, key, passphrase, is_open_to_all: true, nearby })
}

fn codes(verdict: &Verdict) -> Vec<&'static str> {
    assert!(verdict.untold.is_empty());
    verdict.findings.iter().map(|finding| finding.code).collect()
}

fn of(text: impl AsRef<[u8]>) -> File<PemFile> {
    File::Read(file(text))
}

#[test]
fn every_kind_of_key_fits_its_certificate_and_no_other() {
    let samples =
        || [Sample::rsa(1), Sample::rsa(2), Sample::ec(1), Sample::ec(2), Sample::ed25519()];
    for (i, certificate) in samples().iter().enumerate() {
        for (j, key) in samples().iter().enumerate() {
            for user in [User::GitlabNginx, User::Registry] {
                let verdict = judged(user, of(certificate.certificate_pem()), of(key.key_pem()));
                let expected = if i == j { &[][..] } else { &["key-mismatch"] };
                assert_eq!(codes(&verdict), expected, "{i} {j}");
            }
        }
    }
}

#[test]
fn a_key_of_another_kind_does_not_stop_nginx() {
    let message = |user, key: Sample| {
        let verdict = judged(user, of(Sample::rsa(1).certificate_pem()), of(key.key_pem()));
        verdict.findings[0].message.clone()
    };
    assert!(
        message(User::GitlabNginx, Sample::rsa(2)).ends_with("nginx neither starts nor reloads")
    );
    assert!(message(User::GitlabNginx, Sample::ec(1)).ends_with("every TLS handshake fails"));
    assert!(message(User::Registry, Sample::ec(1)).ends_with("the registry does not start"));
}

#[test]
fn moduli_are_shown_for_rsa_and_public_keys_for_all_others() {
    let commands = |certificate: Sample, key: Sample| {
        let (certificate, key) = (of(certificate.certificate_pem()), of(key.key_pem()));
        judged(User::GitlabNginx, certificate, key).findings.remove(0).remedy.commands
    };
    assert!(
        commands(Sample::rsa(1), Sample::rsa(2))[1].contains("openssl rsa -noout -modulus -in")
    );
    assert!(commands(Sample::rsa(1), Sample::ec(2))[1].contains("openssl pkey -in"));
    assert!(commands(Sample::ec(1), Sample::ec(2))[0].contains("openssl x509 -noout -pubkey"));
}

#[test]
fn a_server_takes_the_first_certificate_and_the_registry_trusts_all() {
    let (root, leaf) = (Sample::rsa(1), Sample::rsa(2));
    let wrong = format!("{}{}", root.certificate_pem(), leaf.certificate_pem());
    let right = format!("{}{}", leaf.certificate_pem(), root.certificate_pem());
    let codes = |user, chain: &str| codes(&judged(user, of(chain), of(leaf.key_pem())));
    assert_eq!(codes(User::GitlabNginx, &wrong), ["leaf-not-first"]);
    assert_eq!(codes(User::GitlabNginx, &right), [""; 0]);
    assert_eq!(codes(User::Registry, &wrong), ["leaf-not-first"]);
    assert_eq!(codes(User::Tokens, &wrong), [""; 0]);
    let verdict = judged(User::GitlabNginx, of(&wrong), of(leaf.key_pem()));
    let lines = root.certificate_pem().lines().count();
    let first = format!("sudo sed -n '{},{}p' ", lines + 1, 2 * lines);
    assert!(verdict.findings[0].remedy.commands[0].starts_with(&first));
    // What the other checks say of the first certificate follows from its place.
    assert!(matches!(verdict.findings[0].explains[..], [Cause::Order(_)]));
}

#[test]
fn the_first_key_has_to_be_the_right_one() {
    let (own, other) = (Sample::rsa(1), Sample::rsa(2));
    let codes = |keys: [&Sample; 2]| {
        let keys = keys.map(Sample::key_pem).concat();
        let verdict = judged(User::GitlabNginx, of(own.certificate_pem()), of(keys));
        (codes(&verdict), verdict.findings[0].severity)
    };
    assert_eq!(codes([&own, &other]), (vec!["several-keys"], Severity::Notice));
    assert_eq!(codes([&other, &own]), (vec!["key-mismatch"], Severity::Error));
}

#[test]
fn missing_files_are_told_once() {
    let sample = Sample::rsa(1);
    for user in [User::GitlabNginx, User::Registry, User::Tokens] {
        assert_eq!(codes(&judged(user, File::Missing, File::Missing)), ["missing"]);
        assert_eq!(codes(&judged(user, of(sample.certificate_pem()), File::Missing)), ["missing"]);
        assert_eq!(codes(&judged(user, File::Missing, of(sample.key_pem()))), ["missing"]);
    }
    let unreadable = judged(User::GitlabNginx, File::Missing, of(""));
    assert_eq!(codes(&unreadable), ["empty", "missing"]);
}

#[test]
fn a_pair_under_another_name_is_pointed_out() {
    let sample = Sample::rsa(1);
    let nearby = Nearby::of(vec![
        ("/etc/gitlab/ssl/other.example.test.crt", file(sample.certificate_pem())),
        ("/etc/gitlab/ssl/other.example.test.key", file(sample.key_pem())),
    ]);
    let verdict =
        judged_with(User::GitlabNginx, File::Missing, File::Missing, Passphrase::NotTold, nearby);
    let advice = &verdict.findings[0].remedy.advice;
    assert!(advice.contains("other.example.test or git.example.test"), "{advice}");
    let alone = judged(User::GitlabNginx, File::Missing, File::Missing);
    let commands = alone.findings[0].remedy.commands.join("\n");
    assert!(commands.contains("-addext subjectAltName=DNS:git.example.test"), "{commands}");
}

#[test]
fn the_file_that_fits_is_found() {
    let (own, other) = (Sample::rsa(1), Sample::rsa(2));
    let nearby = || Nearby::of(vec![("/etc/gitlab/ssl/old.key", file(own.key_pem()))]);
    for key in [of(other.key_pem()), File::Missing] {
        let certificate = of(own.certificate_pem());
        let verdict =
            judged_with(User::GitlabNginx, certificate, key, Passphrase::NotTold, nearby());
        let commands = &verdict.findings[0].remedy.commands;
        let copy = "sudo cp -p /etc/gitlab/ssl/old.key /etc/gitlab/ssl/git.example.test.key";
        assert!(commands.iter().any(|command| command == copy), "{commands:?}");
    }
}

#[test]
fn a_link_that_leads_nowhere_is_no_file_to_be_made() {
    let link = "/etc/gitlab/ssl/git.example.test.crt";
    let nearby = Nearby::of(Vec::new()).with_link(link);
    let key = of(Sample::rsa(1).key_pem());
    let verdict = judged_with(User::GitlabNginx, File::Missing, key, Passphrase::NotTold, nearby);
    let finding = &verdict.findings[0];
    assert!(finding.message.contains("a link that leads nowhere"), "{}", finding.message);
    let commands = finding.remedy.commands.join("\n");
    assert!(!commands.contains("openssl"), "{commands}");
}

#[test]
fn a_key_whose_certificate_is_missing_is_kept() {
    let key = of(Sample::rsa(1).key_pem());
    let verdict = judged(User::GitlabNginx, File::Missing, key);
    let commands = verdict.findings[0].remedy.commands.join("\n");
    assert!(commands.contains("-key /etc/gitlab/ssl/git.example.test.key"), "{commands}");
    assert!(!commands.contains("-newkey") && !commands.contains("-keyout"), "{commands}");
}

#[test]
fn nothing_is_copied_over_a_file_unless_something_came_of_it() {
    let sample = Sample::rsa(1);
    let header = "KEY-----\nProc-Type: 4,ENCRYPTED\n\n";
    let key = of(pem("RSA PRIVATE KEY", &sample.old).replacen("KEY-----\n", header, 1));
    let (certificate, nearby) = (of(sample.certificate_pem()), Nearby::of(Vec::new()));
    let verdict = judged_with(User::GitlabNginx, certificate, key, Passphrase::NotTold, nearby);
    let commands = &verdict.findings[0].remedy.commands;
    let copies = commands.iter().filter(|it| it.contains("sudo cp "));
    for copy in copies.clone() {
        assert!(copy.contains("&& sudo grep -q BEGIN") && copy.contains("&& sudo cp"), "{copy}");
    }
    assert_eq!(copies.count(), 1);
}

#[test]
fn nginx_may_be_told_the_passphrase() {
    let sample = Sample::rsa(1);
    let key = pem("RSA PRIVATE KEY", &sample.old).replacen(
        "KEY-----\n",
        "KEY-----\nProc-Type: 4,ENCRYPTED\n\n",
        1,
    );
    let with = |user, passphrase| {
        let (certificate, key) = (of(sample.certificate_pem()), of(&key));
        judged_with(user, certificate, key, passphrase, Nearby::default())
    };
    let file = || "/etc/gitlab/ssl/pass".to_owned();
    assert_eq!(codes(&with(User::GitlabNginx, Passphrase::NotTold)), ["encrypted"]);
    assert_eq!(codes(&with(User::GitlabNginx, Passphrase::Missing(file()))), ["encrypted"]);
    assert_eq!(codes(&with(User::GitlabNginx, Passphrase::Told)), [""; 0]);
    let unknown = with(User::GitlabNginx, Passphrase::Unknown(Unknown::NotRecorded));
    assert_eq!((unknown.findings.len(), unknown.untold.len()), (0, 1));
    assert_eq!(codes(&with(User::Registry, Passphrase::NotTold)), ["encrypted"]);
}

#[test]
fn swapped_files_are_one_mistake() {
    let sample = Sample::rsa(1);
    let verdict = judged(User::GitlabNginx, of(sample.key_pem()), of(sample.certificate_pem()));
    assert_eq!(codes(&verdict), ["swapped"]);
    let commands = verdict.findings[0].remedy.commands.join("\n");
    assert!(commands.contains("sudo mv /etc/gitlab/ssl/git.example.test.key "), "{commands}");
    let twice = judged(User::GitlabNginx, of(sample.key_pem()), of(sample.key_pem()));
    assert_eq!(codes(&twice), ["swapped"]);
    let commands = twice.findings[0].remedy.commands.join("\n");
    assert!(!commands.contains("sudo mv"), "{commands}");
}

#[test]
fn a_key_in_the_file_of_the_certificate_leaks() {
    let sample = Sample::rsa(1);
    let both = format!("{}{}", sample.certificate_pem(), sample.key_pem());
    let verdict = judged(User::GitlabNginx, of(&both), of(sample.key_pem()));
    assert_eq!(codes(&verdict), ["key-exposed"]);
    let take_out = |verdict: &Verdict| verdict.findings[0].remedy.commands.len();
    assert_eq!(take_out(&verdict), 1);
    // The only copy of a key is not thrown away.
    let verdict = judged(User::GitlabNginx, of(&both), of(Sample::rsa(2).key_pem()));
    assert_eq!(codes(&verdict), ["key-exposed", "key-mismatch"]);
    assert_eq!(take_out(&verdict), 3);
    // One file for both has to hold the key.
    let mut usage = used_by(User::GitlabNginx);
    usage.key.value = usage.certificate.value.clone();
    let both = of(&both);
    let scene = Scene {
        usage: &usage,
        certificate: Some(&both),
        key: Some(&both),
        passphrase: Passphrase::NotTold,
        is_open_to_all: true,
        nearby: Nearby::default(),
    };
    assert_eq!(codes(&judge(&scene)), [""; 0]);
}

#[test]
fn a_key_without_its_public_half_is_unknown_not_wrong() {
    let key = pem("EC PRIVATE KEY", &Sample::ec_without_point(1));
    let verdict = judged(User::GitlabNginx, of(Sample::ec(1).certificate_pem()), of(key));
    assert_eq!((verdict.findings.len(), verdict.untold.len()), (0, 1));
}

#[test]
fn one_half_is_judged_without_the_other() {
    let usage = used_by(User::GitlabNginx);
    let certificate = of("");
    let scene = Scene {
        usage: &usage,
        certificate: Some(&certificate),
        key: None,
        passphrase: Passphrase::NotTold,
        is_open_to_all: false,
        nearby: Nearby::default(),
    };
    assert_eq!(codes(&judge(&scene)), ["empty"]);
    // Nothing is said of a file that nobody could look at.
    let missing = Scene { certificate: Some(&File::Missing), ..scene };
    let message = &judge(&missing).findings[0].message;
    assert!(message.starts_with("the certificate does not exist: "), "{message}");
}

#[test]
fn only_a_regular_file_is_a_file() {
    let folder = File::NotAFile(crate::host::files::Kind::Directory);
    let verdict = judged(User::GitlabNginx, folder, of(Sample::rsa(1).key_pem()));
    assert_eq!(codes(&verdict), ["not-a-file"]);
}
