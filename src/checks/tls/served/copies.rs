//! The third certificate: the copy that a client was given, which a renewal leaves behind.

use jiff::Timestamp;

use crate::checks::shell::word;
use crate::checks::tls::server::{Server, Who};
use crate::checks::tls::trusted::{TrustedFile, Truster};
use crate::checks::tls::words::identified;
use crate::checks::words::listed;
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

/// A copy of what a server, or its CA, showed before.
struct Old<'a> {
    server: &'a Server,
    file: &'a TrustedFile,
    /// What is in the file.
    copy: Certificate,
    /// What is shown.
    leaf: Certificate,
    /// The last certificate that is shown.
    top: Certificate,
}

/// Who reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Docker,
    Runner,
    System,
}

impl Copies<'_> {
    /// Copies of certificates that a server, or its CA, showed before, those of one certificate in
    /// one finding. They are wrong only where nothing else makes the client accept what is shown.
    pub(super) fn judge(&self, servers: &[Server]) -> Vec<Finding> {
        let mut groups: Vec<Vec<Old<'_>>> = Vec::new();
        for old in servers.iter().flat_map(|server| self.old(server)) {
            let same = groups.iter_mut().find(|group| {
                group.iter().any(|other| other.leaf.fingerprint == old.leaf.fingerprint)
            });
            match same {
                Some(group) if group.iter().any(|other| other.file.path == old.file.path) => {}
                Some(group) => group.push(old),
                None => groups.push(vec![old]),
            }
        }
        groups.iter().filter_map(|group| finding(group)).collect()
    }

    /// Whether a client here refuses what a server shows, since it was given what is in the server's
    /// file: it is the server that lags behind.
    pub(super) fn await_file(&self, server: &Server, shown: &[Der]) -> bool {
        Reader::ALL.iter().any(|reader| {
            let files = self.given(*reader, server);
            !files.is_empty()
                && !self.accepts(&files, shown, server)
                && self.accept_file(&files, server)
        })
    }

    fn old<'a>(&'a self, server: &'a Server) -> Vec<Old<'a>> {
        let mut found = Vec::new();
        for chain in server.chains() {
            let Some(Ok(leaf)) = chain.first().map(|der| Certificate::from_der(der)) else {
                continue;
            };
            let top = chain.last().and_then(|der| Certificate::from_der(der).ok());
            let top = top.unwrap_or_else(|| leaf.clone());
            for reader in Reader::ALL {
                let files = self.given(reader, server);
                if files.is_empty()
                    || self.accepts(&files, chain, server)
                    || self.accept_file(&files, server)
                {
                    continue;
                }
                let mut old =
                    files.iter().filter_map(|file| Some((*file, outdated(file, &leaf, &top)?)));
                found.extend(old.next().map(|(file, copy)| Old {
                    server,
                    file,
                    copy,
                    leaf: leaf.clone(),
                    top: top.clone(),
                }));
            }
        }
        found
    }

    /// The files that somebody reads for a server.
    fn given(&self, reader: Reader, server: &Server) -> Vec<&TrustedFile> {
        let files = self.trusted.iter();
        files.filter(|file| Reader::of(&file.by, server) == Some(reader)).collect()
    }

    fn accept_file(&self, files: &[&TrustedFile], server: &Server) -> bool {
        server.files.iter().any(|file| self.accepts(files, &file.chain, server))
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

impl Reader {
    const ALL: [Self; 3] = [Self::Docker, Self::Runner, Self::System];

    /// Who reads a file for a server: Docker reads the registry's own folder alone, and the runner
    /// talks to GitLab.
    fn of(by: &Truster, server: &Server) -> Option<Self> {
        match by {
            Truster::Docker(name) if *name == server.endpoint.authority() => Some(Self::Docker),
            Truster::Runner if server.who == Who::Gitlab => Some(Self::Runner),
            Truster::System => Some(Self::System),
            Truster::Docker(_) | Truster::Runner | Truster::Gitlab => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Docker => "Docker",
            Self::Runner => "the runner",
            Self::System => "all that trusts the system's store",
        }
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

/// What is said of the old copies of one certificate.
fn finding(group: &[Old<'_>]) -> Option<Finding> {
    let first = group.first()?;
    let Old { server, leaf, top, .. } = first;
    let mut readers: Vec<&str> = Vec::new();
    for old in group {
        let name = Reader::of(&old.file.by, old.server).map_or("a client", Reader::name);
        if !readers.contains(&name) {
            readers.push(name);
        }
    }
    let readers = listed(&readers);
    let (message, advice) = if leaf.self_issued {
        let message = format!(
            "this is not the certificate that {} shows now, but another one of the same name, so \
             that what is shown is refused by {readers}",
            server.endpoint,
        );
        let advice = format!(
            "Replace the copy, and compare its fingerprint with the server's: sha256 {}.",
            leaf.fingerprint
        );
        (message, advice)
    } else {
        let message = format!(
            "this CA has the name of the one that issued the certificate of {}, but not its key: \
             it was made anew, and what is shown is refused by {readers}",
            server.endpoint
        );
        (message, format!("Put the current certificate of '{}' into the file.", top.issuer))
    };
    let mut finding = Finding::error("old-copy", first.file.path.as_str(), message)
        .explains(Cause::Certificate(leaf.fingerprint.clone()));
    for old in group {
        let place = Evidence::new("in the file", identified(&old.copy));
        finding = finding.evidence(place.at(old.file.path.as_str(), None));
    }
    let mut commands: Vec<String> = group.iter().map(Old::replace).collect();
    let apply = group.iter().filter_map(|old| old.file.by.apply(&old.file.path)).map(str::to_owned);
    commands.extend(apply);
    commands.dedup();
    Some(finding.seen("shown", identified(leaf)).remedy(advice, commands).docs(docs::SSL))
}

impl Old<'_> {
    /// The command that puts the current certificate in its place.
    fn replace(&self) -> String {
        let Self { server, leaf, .. } = self;
        let to = word(self.file.path.as_str());
        if !leaf.self_issued {
            return format!("sudoedit {to}");
        }
        let is_shown = |der: &Der| Certificate::from_der(der).is_ok_and(|it| it == *leaf);
        let source = server.files.iter().find(|file| file.chain.first().is_some_and(is_shown));
        match source {
            Some(source) => format!("sudo cp {} {to}", word(source.path.as_str())),
            None => format!(
                "openssl s_client -connect {} -servername {} </dev/null 2>/dev/null | openssl x509 \
                 | sudo tee {to} >/dev/null",
                word(&server.endpoint.socket()),
                word(&server.endpoint.host)
            ),
        }
    }
}
