use super::*;
use crate::checks::tls::server::{ChainFile, Shown, Who};
use crate::checks::tls::sightings::sightings;
use crate::checks::tls::trusted::{TrustedFile, Truster};
use crate::install::{Endpoint, Source};
use crate::trust::Der;

/// The chain of a server, and a client's file.
#[derive(Default)]
struct Site {
    shown: Vec<Der>,
    file: Vec<Der>,
    trusted: Vec<(Truster, Vec<Der>)>,
}

/// A certificate that is valid for these days of November 2026; the time of all tests is the
/// beginning of the 15th.
fn made(name: &str, from: u8, to: u8) -> Der {
    let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 11, from);
    params.not_after = rcgen::date_time_ymd(2026, 11, to);
    params.serial_number = Some(7.into());
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

impl Site {
    fn judge(&self) -> Vec<Finding> {
        let file = |chain: &Vec<Der>| ChainFile {
            path: "/etc/gitlab/ssl/a.test.crt".into(),
            key: "/etc/gitlab/ssl/a.test.key".into(),
            chain: chain.clone(),
            reload: "sudo gitlab-ctl hup nginx",
        };
        let files = Some(&self.file).filter(|chain| !chain.is_empty()).map(file);
        let shown =
            Shown { chain: self.shown.clone(), addresses: vec!["10.0.0.1:443".parse().unwrap()] };
        let server = Server {
            who: Who::Gitlab,
            endpoint: Endpoint::parse("https://a.test").unwrap(),
            is_in_use: true,
            source: Source::Flag("--url".to_owned()),
            files: files.into_iter().collect(),
            shown: Some(shown).filter(|shown| !shown.chain.is_empty()).into_iter().collect(),
        };
        let trusted: Vec<_> = self
            .trusted
            .iter()
            .enumerate()
            .map(|(number, (by, certificates))| TrustedFile {
                path: format!("/certs/{number}.crt").into(),
                by: by.clone(),
                certificates: certificates.clone(),
            })
            .collect();
        let servers = [server];
        let seen = sightings(&servers, &[], &trusted);
        let now = "2026-11-15T00:00:00Z".parse().unwrap();
        let margin = Margin::days(3);
        Scene { servers: &servers, seen: &seen, now, margin }.judge()
    }

    fn found(&self) -> Vec<(Severity, &'static str, String)> {
        let findings = self.judge().into_iter();
        findings.map(|finding| (finding.severity, finding.code, finding.subject)).collect()
    }
}

fn shown(chain: &[Der]) -> Vec<(Severity, &'static str)> {
    let site = Site { shown: chain.to_vec(), ..Site::default() };
    site.judge().into_iter().map(|finding| (finding.severity, finding.code)).collect()
}

#[test]
fn severity_follows_the_time_left() {
    use Severity::{Error, Warning};
    assert_eq!(shown(&[made("a", 1, 18)]), []);
    assert_eq!(shown(&[made("a", 1, 17)]), [(Warning, "expiring")]);
    assert_eq!(shown(&[made("a", 1, 15)]), [(Error, "expired")]);
    assert_eq!(shown(&[made("a", 15, 25)]), []);
    assert_eq!(shown(&[made("a", 16, 25)]), [(Error, "not-yet-valid")]);
    // Each element of the chain counts.
    let chain = [made("a", 1, 25), made("b", 1, 10)];
    assert_eq!(shown(&chain), [(Error, "expired")]);
}

#[test]
fn a_certificate_in_many_places_is_told_once() {
    let old = made("a", 1, 10);
    let site = Site {
        shown: vec![old.clone()],
        file: vec![old.clone()],
        trusted: vec![(Truster::Runner, vec![old.clone()]), (Truster::System, vec![old])],
    };
    let findings = site.judge();
    assert_eq!(findings.len(), 1);
    let places: Vec<_> = findings[0].evidence.iter().filter_map(|it| it.path.as_deref()).collect();
    assert_eq!(places, ["/etc/gitlab/ssl/a.test.crt", "/certs/0.crt", "/certs/1.crt"]);
    assert!(findings[0].explains.iter().any(|cause| matches!(cause, Cause::Certificate(_))));
}

#[test]
fn an_old_copy_that_nobody_needs_is_a_notice() {
    let (old, new) = (made("CA", 1, 10), made("CA", 1, 25));
    let site = |by: Truster, with: &[&Der]| {
        let certificates = with.iter().map(|it| (*it).clone()).collect();
        Site { trusted: vec![(by, certificates)], ..Site::default() }.found()
    };
    let path = || "/certs/0.crt".to_owned();
    assert_eq!(site(Truster::Runner, &[&old]), [(Severity::Error, "expired", path())]);
    assert_eq!(site(Truster::Runner, &[&old, &new]), [(Severity::Notice, "expired", path())]);
    // Nothing that is seen here rests on it.
    assert_eq!(site(Truster::System, &[&old]), [(Severity::Notice, "expired", path())]);
    // One that is prepared for a change is none of our business.
    let next = made("CA", 20, 25);
    assert_eq!(site(Truster::System, &[&next]), []);
}

#[test]
fn the_clock_is_suspected_where_that_is_likelier() {
    let says = |chain: &[Der]| {
        let findings = Site { shown: chain.to_vec(), ..Site::default() }.judge();
        findings.iter().all(|finding| finding.evidence.iter().any(|it| it.what == "the clock"))
    };
    assert!(says(&[made("a", 16, 25)]));
    assert!(!says(&[made("a", 20, 25)]));
    assert!(says(&[made("a", 20, 25), made("b", 20, 25)]));
    assert!(!says(&[made("a", 20, 25), made("b", 1, 25)]));
}

#[test]
fn an_old_certificate_in_memory_follows_from_the_file_that_was_not_read() {
    let (old, new) = (made("a", 1, 10), made("a", 11, 25));
    let findings = Site { shown: vec![old], file: vec![new], ..Site::default() }.judge();
    assert_eq!(findings.len(), 1);
    let file = Cause::File("/etc/gitlab/ssl/a.test.crt".to_owned());
    assert!(findings[0].follows.contains(&file));
}
