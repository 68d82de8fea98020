use super::judge::judge;
use super::scene::{Gitlab, Half, Held, Obstacle, Registry, Scene};
use crate::checks::registry::keeper::Keeper;
use crate::checks::registry::startup::told;
use crate::checks::tls::key_pair::sample::{Sample, file, pem};
use crate::checks::{Cause, Finding};
use crate::host::files::{Facts, File, Kind};
use crate::install::{Source, Sourced};
use crate::parse::jwks::Jwks;
use crate::parse::pem::PemFile;

const BUNDLE: &str = "/etc/registry/bundle.crt";
const KEY: &str = "/etc/gitlab/token.key";

fn held(path: &str, found: File<PemFile>) -> Held {
    let path = Sourced::file(path.into(), "/config.yml", Some(3));
    Held { path, file: Some(found), obstacle: None, open_to_all: None, by_package: false }
}

fn facts() -> Facts {
    Facts {
        kind: Kind::File,
        size: 1,
        mode: 0o644,
        uid: 0,
        gid: 0,
        owner: None,
        group: None,
        modified: jiff::Timestamp::UNIX_EPOCH,
        link: None,
        acl: false,
    }
}

fn registry(bundle: Option<Held>) -> Registry {
    Registry {
        config: "/config.yml".into(),
        socket: Some("127.0.0.1:5000".to_owned()),
        bundle,
        jwks: None,
        third: None,
    }
}

fn gitlab(key: Option<Held>) -> Gitlab {
    let path = "/home/git/gitlab/config/gitlab.yml".into();
    Gitlab { settings: Source::File { path, line: Some(5) }, key, account: "git".to_owned() }
}

fn scene(registry: Registry, gitlab: Gitlab) -> Scene {
    Scene {
        registry: Half::Here(registry),
        gitlab: Half::Here(gitlab),
        keeper: Keeper::Systemd,
        now: None,
        mistake: None,
        lone_setting: None,
    }
}

fn both(bundle: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Scene {
    let bundle = held(BUNDLE, File::Read(file(bundle)));
    scene(registry(Some(bundle)), gitlab(Some(held(KEY, File::Read(file(key))))))
}

fn codes(scene: &Scene) -> Vec<String> {
    told(&judge(scene).findings)
}

fn only(scene: &Scene) -> Finding {
    let mut findings = judge(scene).findings;
    assert_eq!(findings.len(), 1, "{:?}", told(&findings));
    findings.remove(0)
}

#[test]
fn any_certificate_of_the_key_will_do() {
    let (own, other) = (Sample::rsa(1), Sample::rsa(2));
    assert_eq!(codes(&both(own.certificate_pem(), own.key_pem())), [""; 0]);
    // Old and new, while keys are exchanged; Windows line ends; another kind of key.
    let several =
        other.certificate_pem() + &Sample::ec(3).certificate_pem() + &own.certificate_pem();
    assert_eq!(codes(&both(&several, own.key_pem())), [""; 0]);
    assert_eq!(codes(&both(several.replace('\n', "\r\n"), own.key_pem())), [""; 0]);
    assert_eq!(codes(&both(own.certificate_pem(), &own.pkcs8)), [""; 0]);
}

#[test]
fn another_key_is_told_with_both_ids() {
    let (own, other) = (Sample::rsa(1), Sample::rsa(2));
    let mut scene = both(other.certificate_pem(), own.key_pem());
    scene.mistake = Some("the TLS certificate of GitLab's nginx".to_owned());
    let finding = only(&scene);
    assert_eq!(told(std::slice::from_ref(&finding)), ["error key-mismatch"]);
    assert!(finding.message.contains("holds the TLS certificate of GitLab's nginx"));
    assert_eq!(finding.subject, KEY);
    assert_eq!(finding.explains, [Cause::Tokens, Cause::File(KEY.to_owned())]);
    let id = |sample: &Sample| crate::parse::key::libtrust_id(&sample.spki);
    let ids: Vec<_> = finding.evidence.iter().filter(|it| it.what.starts_with("ID")).collect();
    assert_eq!([&ids[0].value, &ids[1].value], [&id(&own), &id(&other)]);
}

#[test]
fn a_bundle_without_certificates_stops_the_registry() {
    let (own, ed25519) = (Sample::rsa(1), Sample::ed25519());
    let mut cases = vec![
        (held(BUNDLE, File::Missing), "bundle-missing"),
        (held(BUNDLE, File::NotAFile(Kind::Directory)), "bundle-unusable"),
    ];
    let texts: [Vec<u8>; 6] = [
        Vec::new(),
        own.certificate.clone(),
        b"no certificate".to_vec(),
        ed25519.certificate_pem().into_bytes(),
        (own.certificate_pem() + &ed25519.certificate_pem()).into_bytes(),
        pem("TRUSTED CERTIFICATE", &own.certificate).into_bytes(),
    ];
    cases.extend(texts.iter().map(|it| (held(BUNDLE, File::Read(file(it))), "bundle-unusable")));
    for (bundle, code) in cases {
        let key = held(KEY, File::Read(file(own.key_pem())));
        let finding = only(&scene(registry(Some(bundle)), gitlab(Some(key))));
        assert_eq!(finding.code, code, "{}", finding.message);
        let startup = Cause::Startup("127.0.0.1:5000".to_owned());
        assert!(finding.explains.contains(&startup), "{}", finding.message);
    }
}

#[test]
fn a_key_that_gitlab_cannot_use_means_no_tokens() {
    let own = Sample::rsa(1);
    for key in [
        Sample::ec(2).key_pem(),
        Sample::ed25519().key_pem(),
        own.certificate_pem(),
        pem("PUBLIC KEY", &own.spki),
        pem("ENCRYPTED PRIVATE KEY", &own.pkcs8),
        String::new(),
    ] {
        let finding = only(&both(own.certificate_pem(), &key));
        assert_eq!(told(std::slice::from_ref(&finding)), ["error key-unusable"], "{key}");
        assert!(finding.explains.contains(&Cause::Tokens), "{key}");
    }
    let missing = held(KEY, File::Missing);
    let bundle = held(BUNDLE, File::Read(file(own.certificate_pem())));
    assert_eq!(codes(&scene(registry(Some(bundle)), gitlab(Some(missing)))), ["error key-missing"]);
    let bundle = held(BUNDLE, File::Read(file(own.certificate_pem())));
    assert_eq!(codes(&scene(registry(Some(bundle)), gitlab(None))), ["error key-unset"]);
}

#[test]
fn closed_files_are_told_with_what_is_closed() {
    let own = Sample::rsa(1);
    let obstacle = |account: &str, at: &str| {
        Some(Obstacle { account: account.to_owned(), at: at.into(), facts: facts() })
    };
    let mut key = held(KEY, File::Read(file(own.key_pem())));
    key.obstacle = obstacle("git", "/etc/gitlab");
    let mut bundle = held(BUNDLE, File::Read(file(own.certificate_pem())));
    bundle.obstacle = obstacle("registry", BUNDLE);
    let findings = judge(&scene(registry(Some(bundle)), gitlab(Some(key)))).findings;
    assert_eq!(told(&findings), ["error bundle-unreadable", "error key-unreadable"]);
    assert!(findings[0].remedy.commands[0].contains("chown registry:"));
    assert!(findings[1].remedy.commands[0].contains("setfacl -m u:git:x /etc/gitlab"));
}

#[test]
fn a_key_among_the_certificates_is_bad_where_others_can_read_it() {
    let own = Sample::rsa(1);
    let text = own.key_pem() + &own.certificate_pem();
    assert_eq!(codes(&both(&text, own.key_pem())), ["notice key-in-bundle"]);
    let mut bundle = held(BUNDLE, File::Read(file(&text)));
    bundle.open_to_all = Some(facts());
    let key = held(KEY, File::Read(file(own.key_pem())));
    assert_eq!(codes(&scene(registry(Some(bundle)), gitlab(Some(key)))), ["error key-exposed"]);
}

#[test]
fn dates_matter_to_nobody() {
    let (own, other) = (Sample::rsa(1), Sample::rsa(2));
    // The samples are valid for one moment in 2026.
    let mut scene = both(other.certificate_pem() + &own.certificate_pem(), own.key_pem());
    scene.now = Some("2030-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(codes(&scene), ["notice certificate-expired"]);
    scene.now = Some("2020-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(codes(&scene), [""; 0]);
}

#[test]
fn distribution_3_wants_a_list_of_keys() {
    let own = Sample::rsa(1);
    let third = || Some(Sourced::file("tags".to_owned(), "/config.yml", Some(9)));
    let mut scene = both(own.certificate_pem(), own.key_pem());
    let Half::Here(registry) = &mut scene.registry else { return };
    registry.third = third();
    assert_eq!(codes(&scene), ["error jwks-unset"]);
    let listed = |scene: &mut Scene, file: File<Jwks>| {
        let Half::Here(registry) = &mut scene.registry else { return };
        registry.jwks = Some((Sourced::file("/jwks.json".into(), "/config.yml", None), Some(file)));
    };
    let id = crate::parse::key::libtrust_id(&own.spki);
    listed(&mut scene, File::Read(Jwks { key_ids: vec![id], unnamed: 0 }));
    assert_eq!(codes(&scene), [""; 0]);
    listed(&mut scene, File::Read(Jwks::default()));
    assert_eq!(codes(&scene), ["error key-not-listed"]);
    listed(&mut scene, File::Missing);
    assert_eq!(codes(&scene), ["error jwks-unusable"]);
    // Ed25519 is fine there, and so is no bundle at all.
    let Half::Here(registry) = &mut scene.registry else { return };
    registry.bundle = None;
    assert_eq!(codes(&scene), ["error jwks-unusable"]);
}

#[test]
fn one_half_tells_its_key() {
    let own = Sample::rsa(1);
    let id = crate::parse::key::libtrust_id(&own.spki);
    let mut scene = both(own.certificate_pem(), own.key_pem());
    scene.gitlab = Half::Elsewhere;
    assert!(judge(&scene).findings.is_empty());
    assert!(scene.alone().ends_with(&id), "{}", scene.alone());
    let mut scene = both(own.certificate_pem(), own.key_pem());
    scene.registry = Half::Elsewhere;
    assert!(judge(&scene).findings.is_empty());
    assert!(scene.alone().ends_with(&id), "{}", scene.alone());
}
