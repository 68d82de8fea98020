//! What is shown against what is in the file.

use jiff::Timestamp;

use super::copies::Copies;
use crate::checks::shell::word;
use crate::checks::tls::server::{ChainFile, Server, Shown};
use crate::checks::tls::words::identified;
use crate::checks::{Cause, Evidence, Finding, docs};
use crate::parse::certificate::Certificate;
use crate::trust::{Client, Der, Store, judge as verdict};

/// At most one finding for each chain that is shown.
pub(super) fn judge(server: &Server, copies: &Copies<'_>, now: Timestamp) -> Vec<Finding> {
    let Some(file) = server.files.first() else { return Vec::new() };
    let strange = server.shown.iter().filter(|shown| is_strange(server, shown.chain.first()));
    strange
        .filter_map(|shown| {
            let is_awaited = copies.await_file(server, &shown.chain);
            judge_one(server, file, shown, is_awaited, now)
        })
        .collect()
}

/// Whether no file of this host holds what is shown, though there are some.
pub(super) fn is_strange(server: &Server, leaf: Option<&Der>) -> bool {
    !server.files.is_empty() && server.files.iter().all(|file| file.chain.first() != leaf)
}

/// `is_awaited` says that clients refuse what is shown, and would accept what is in the file.
fn judge_one(
    server: &Server,
    file: &ChainFile,
    shown: &Shown,
    is_awaited: bool,
    now: Timestamp,
) -> Option<Finding> {
    let (old, new) = (shown.chain.first()?, file.chain.first()?);
    let (Ok(shown_facts), Ok(file_facts)) =
        (Certificate::from_der(old), Certificate::from_der(new))
    else {
        return None;
    };
    let host = &server.endpoint.host;
    let finding = if !is_for(old, host) && is_for(new, host) {
        other_certificate(server, file)
    } else if is_renewal(&shown_facts, &file_facts) {
        let is_over = shown_facts.not_after.is_some_and(|end| end <= now);
        not_reloaded(server, file, is_over || is_awaited)
    } else {
        not_from_file(server, file)
    };
    let finding = finding
        .seen("shown", identified(&shown_facts))
        .seen("at", shown.places())
        .evidence(
            Evidence::new("in the file", identified(&file_facts)).at(file.path.as_str(), None),
        )
        .docs(docs::SSL);
    Some(finding.explains(Cause::Certificate(shown_facts.fingerprint)))
}

fn other_certificate(server: &Server, file: &ChainFile) -> Finding {
    let (host, port) = (&server.endpoint.host, server.endpoint.port);
    let message = format!(
        "it shows a certificate for another name than {host}, not the one in {}",
        file.path
    );
    let advice = format!(
        "Another server answers on port {port}: one whose server_name is {host} is missing, or \
         comes second, or the name leads to another host. Find out which, and let nginx read its \
         configuration again."
    );
    let commands = [
        format!("getent ahosts {}", word(host)),
        format!("sudo ss -ltnp 'sport = :{port}'"),
        file.reload.to_owned(),
    ];
    Finding::error("other-certificate", server.endpoint.to_string(), message)
        .remedy(advice, commands)
        .explains(Cause::File(file.path.to_string()))
}

/// `is_felt` says that clients refuse what is shown.
fn not_reloaded(server: &Server, file: &ChainFile, is_felt: bool) -> Finding {
    let message = format!(
        "the certificate in {} is newer than the one that is shown: the server has not read it yet",
        file.path
    );
    let make = if is_felt { Finding::error } else { Finding::warning };
    make("not-reloaded", server.endpoint.to_string(), message)
        .remedy("Let the server read its certificate again.", [file.reload])
        .explains(Cause::File(file.path.to_string()))
}

fn not_from_file(server: &Server, file: &ChainFile) -> Finding {
    let message = format!("it shows another certificate than the one in {}", file.path);
    Finding::notice("not-from-file", server.endpoint.to_string(), message).remedy(
        "If a balancer or another host shows its own certificate there, all is well. If not, let \
         the server read the file again and see whether the right one is shown then.",
        [file.reload],
    )
}

/// The same names, made later.
fn is_renewal(shown: &Certificate, file: &Certificate) -> bool {
    file.not_before > shown.not_before
        || (file.not_before == shown.not_before && file.not_after > shown.not_after)
}

/// Whether curl, which is content with a common name, would take it for this host.
fn is_for(leaf: &Der, host: &str) -> bool {
    let mut store = Store::new(Client::Curl);
    store.add_certificates("the certificate", std::slice::from_ref(leaf));
    let verdict = verdict(&store, std::slice::from_ref(leaf), host, Timestamp::UNIX_EPOCH);
    verdict.faults.iter().all(|fault| fault.code != "name-mismatch")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Severity;
    use crate::checks::tls::server::Who;
    use crate::host::files::TrustedFiles;
    use crate::install::{Endpoint, Source};

    fn made(name: &str, from: i32, to: i32) -> Der {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn found(shown: &Der, file: &Der) -> Vec<(Severity, &'static str)> {
        let shown =
            Shown { chain: vec![shown.clone()], addresses: vec!["10.0.0.1:443".parse().unwrap()] };
        let file = ChainFile {
            path: "/etc/gitlab/ssl/a.test.crt".into(),
            key: "/etc/gitlab/ssl/a.test.key".into(),
            chain: vec![file.clone()],
            reload: "sudo gitlab-ctl hup nginx",
        };
        let server = Server {
            who: Who::Gitlab,
            endpoint: Endpoint::parse("https://a.test").unwrap(),
            is_in_use: true,
            source: Source::Flag("--url".to_owned()),
            files: vec![file],
            shown: vec![shown],
        };
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let system = TrustedFiles::default();
        let findings = judge(&server, &Copies { trusted: &[], system: &system, now }, now);
        findings.into_iter().map(|finding| (finding.severity, finding.code)).collect()
    }

    #[test]
    fn what_is_shown_is_compared_with_the_file() {
        let current = made("a.test", 2026, 2028);
        let running_out = made("a.test", 2025, 2027);
        let over = made("a.test", 2024, 2025);
        let foreign = made("b.test", 2026, 2028);
        assert_eq!(found(&current, &current), []);
        assert_eq!(found(&running_out, &current), [(Severity::Warning, "not-reloaded")]);
        assert_eq!(found(&over, &current), [(Severity::Error, "not-reloaded")]);
        assert_eq!(found(&foreign, &current), [(Severity::Error, "other-certificate")]);
        assert_eq!(found(&current, &over), [(Severity::Notice, "not-from-file")]);
    }
}
