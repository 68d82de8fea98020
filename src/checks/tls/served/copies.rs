//! The third certificate: the copy that a client was given, which a renewal leaves behind.

use jiff::Timestamp;

use crate::checks::shell::word;
use crate::checks::tls::server::{Server, Who};
use crate::checks::tls::trusted::{TrustedFile, Truster};
use crate::checks::tls::words::summary;
use crate::checks::{Cause, Evidence, Finding, docs};
use crate::host::files::TrustedFiles;
use crate::parse::certificate::Certificate;
use crate::trust::{Client, Der, Store, judge};

/// What clients on this host were given.
pub(super) struct Copies<'a> {
    pub(super) trusted: &'a [TrustedFile],
    pub(super) system: &'a TrustedFiles,
    pub(super) now: Timestamp,
}

impl Copies<'_> {
    /// Copies of certificates that a server, or its CA, showed before. They are wrong only where
    /// nothing else makes the client accept what is shown now.
    pub(super) fn judge(&self, server: &Server) -> Vec<Finding> {
        let mut findings = Vec::new();
        for chain in server.chains() {
            let Some(Ok(leaf)) = chain.first().map(|der| Certificate::from_der(der)) else {
                continue;
            };
            let top = chain.last().and_then(|der| Certificate::from_der(der).ok());
            let top = top.unwrap_or_else(|| leaf.clone());
            let given: Vec<_> =
                self.trusted.iter().filter(|file| concerns(&file.by, server)).collect();
            for by in [true, false] {
                let files: Vec<_> =
                    given.iter().copied().filter(|file| is_docker(&file.by) == by).collect();
                if files.is_empty() || self.accepts(&files, chain, server) {
                    continue;
                }
                let old = files.iter().find_map(|file| Some((*file, outdated(file, &leaf, &top)?)));
                findings.extend(old.map(|(file, old)| finding(server, file, &old, &leaf, &top)));
            }
        }
        findings
    }

    fn accepts(&self, files: &[&TrustedFile], chain: &[Der], server: &Server) -> bool {
        let mut store = Store::new(Client::Go);
        for file in files {
            store.add_certificates(file.path.as_str(), &file.certificates);
        }
        for file in &self.system.files {
            store.add_certificates(file.path.as_str(), &file.certificates);
        }
        let verdict = judge(&store, chain, &server.endpoint.host, self.now);
        // Names and dates are the matter of other checks.
        let unknown = |code: &str| matches!(code, "unknown-authority" | "wrong-signature");
        verdict.accepted || !verdict.faults.iter().any(|fault| unknown(&fault.code))
    }
}

fn is_docker(by: &Truster) -> bool {
    matches!(by, Truster::Docker(_))
}

fn reader(by: &Truster) -> &'static str {
    if is_docker(by) { "Docker" } else { "the runner" }
}

/// Docker reads the registry's own folder alone, and the runner talks to GitLab.
fn concerns(by: &Truster, server: &Server) -> bool {
    match by {
        Truster::Docker(name) => *name == server.endpoint.authority(),
        Truster::Runner => server.who == Who::Gitlab,
        Truster::Gitlab | Truster::System => false,
    }
}

/// A certificate in the file that goes by the name of the one that is needed, and is another.
fn outdated(file: &TrustedFile, leaf: &Certificate, top: &Certificate) -> Option<Certificate> {
    let needed = if leaf.self_issued { &leaf.subject } else { &top.issuer };
    let read = file.certificates.iter().filter_map(|der| Certificate::from_der(der).ok());
    read.into_iter().find(|copy| {
        copy.subject == *needed && copy.fingerprint != leaf.fingerprint && copy.self_issued
    })
}

fn finding(
    server: &Server,
    file: &TrustedFile,
    old: &Certificate,
    leaf: &Certificate,
    top: &Certificate,
) -> Finding {
    let path = file.path.as_str();
    let to = word(path);
    let (message, advice, commands) = if leaf.self_issued {
        let message = format!(
            "this is not the certificate that {} shows now, but another one of the same name: {} \
             does not accept the one that is shown",
            server.endpoint,
            reader(&file.by)
        );
        let source = server.files.iter().find(|file| {
            file.chain.first().and_then(|der| Certificate::from_der(der).ok()).as_ref()
                == Some(leaf)
        });
        let copy = match source {
            Some(source) => format!("sudo cp {} {to}", word(source.path.as_str())),
            None => format!(
                "openssl s_client -connect {} -servername {} </dev/null 2>/dev/null | openssl x509 \
                 | sudo tee {to} >/dev/null",
                word(&server.endpoint.socket()),
                word(&server.endpoint.host)
            ),
        };
        let advice = format!(
            "Replace the copy, and compare its fingerprint with the server's: sha256 {}.",
            leaf.fingerprint
        );
        (message, advice, vec![copy])
    } else {
        let message = format!(
            "this CA has the name of the one that issued the certificate of {}, but not its key: \
             it was made anew",
            server.endpoint
        );
        let advice = format!("Put the current certificate of '{}' into the file.", top.issuer);
        (message, advice, vec![format!("sudoedit {to}")])
    };
    Finding::error("old-copy", path, message)
        .evidence(Evidence::new("in the file", summary(old)).at(path, None))
        .seen("shown", summary(leaf))
        .remedy(advice, commands)
        .docs(docs::SSL)
        .explains(Cause::Certificate(leaf.fingerprint.clone()))
}
