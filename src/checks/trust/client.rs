//! A client written in Go: what it is told to trust, and what it says of a chain.

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use super::shown::{Shown, Source};
use crate::host::files::{TrustFile, TrustedFiles};
use crate::install::Endpoint;
use crate::install::authorities::Found;
use crate::parse::certificate::Certificate;
use crate::trust::{Anchor, Client, Der, Store, Verdict, judge};

/// A client written in Go, and what it is told to trust.
pub(super) struct GoClient<'a> {
    /// As messages call it: `Docker`, `the runner`.
    pub(super) name: &'a str,
    /// What the system trusts, if the client sees the system's store.
    pub(super) system: Option<&'a TrustedFiles>,
    /// The files that it is given for this endpoint, in order.
    pub(super) files: Vec<(Utf8PathBuf, TrustFile)>,
    /// Where an administrator would put a certificate for it.
    pub(super) target: Target,
}

/// Where a client takes certificates from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// From every file in this folder that ends in `.crt`.
    Folder(Utf8PathBuf),
    /// From this one file.
    File(Utf8PathBuf),
}

/// An endpoint as a client sees it.
pub(super) struct Seen<'a> {
    /// The endpoint.
    pub(super) endpoint: &'a Endpoint,
    /// The certificates.
    pub(super) shown: &'a Shown,
    /// The files on this host from which they come, if they come from this host.
    pub(super) source: Option<&'a Source>,
    /// When it is judged.
    pub(super) now: Timestamp,
}

/// Why a client does not know the issuer of a chain that a certificate at hand would vouch for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lack {
    /// It stands in one of the client's own files, in a form that Go does not read.
    Unread(Unread),
    /// It lies in a file that the client does not look at.
    Elsewhere(Utf8PathBuf),
    /// The server sends it along, as the certificate with this number, from 1.
    SentAlong(usize),
    /// The client trusts the root, but an intermediate certificate that lies in this file is not
    /// sent by the server.
    NotSent(Intermediates),
    /// Nobody here has it.
    Nowhere,
}

/// Certificates in a file that a server should send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Intermediates {
    pub(super) path: Utf8PathBuf,
    /// The numbers of them, from 1, if the file holds others as well.
    pub(super) among: Option<Vec<usize>>,
}

/// A file of which Go does not see everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) path: Utf8PathBuf,
    /// A stable code for the reason.
    pub(super) code: String,
    /// A sentence to follow the path.
    pub(super) text: String,
    /// How many certificates stand in it.
    pub(super) count: usize,
    /// Whether it is certain that the client would accept if it saw all of the file.
    pub(super) proven: bool,
}

/// As many files as are tried for what a client lacks: each takes a verdict, which decides no more
/// than the words of a mend.
const MOST_NEARBY: usize = 64;

impl GoClient<'_> {
    /// The client's verdict.
    pub(super) fn judge(&self, seen: &Seen<'_>) -> Verdict {
        self.judge_with(seen, "", &[])
    }

    /// What its verdict would be, were it given these certificates as well.
    pub(super) fn judge_with(&self, seen: &Seen<'_>, name: &str, more: &[Der]) -> Verdict {
        let mut store = self.store();
        store.add_certificates(name, more);
        judge(&store, &seen.shown.chain, &seen.endpoint.host, seen.now)
    }

    /// Whether it would still accept if it were given roots alone: then what it accepts through
    /// is only the shortest of several ways, and the end of that one does no harm.
    pub(super) fn accepts_through_root(&self, seen: &Seen<'_>) -> bool {
        self.accepts_if_sent(seen, &[])
    }

    /// Whether it would accept through its roots alone if the server sent these as well.
    fn accepts_if_sent(&self, seen: &Seen<'_>, more: &[Der]) -> bool {
        let is_root = |der: &Der| Certificate::from_der(der).is_ok_and(|it| it.self_issued);
        let mut store = Store::new(Client::Go);
        for (path, file) in &self.files {
            let roots: Vec<Der> = file.for_go().into_iter().filter(is_root).collect();
            store.add_certificates(path.as_str(), &roots);
        }
        self.add_system(&mut store);
        let chain = [&seen.shown.chain[..], more].concat();
        let verdict = judge(&store, &chain, &seen.endpoint.host, seen.now);
        verdict.anchor == Some(Anchor::Root)
    }

    /// All that it trusts.
    fn store(&self) -> Store {
        let mut store = Store::new(Client::Go);
        for (path, file) in &self.files {
            store.add_certificates(path.as_str(), &file.for_go());
        }
        self.add_system(&mut store);
        store
    }

    fn add_system(&self, store: &mut Store) {
        for file in self.system.into_iter().flat_map(|system| &system.files) {
            store.add_certificates(file.path.as_str(), &file.certificates);
        }
    }

    /// What stands between the client and a certificate that would make it accept, or accept for
    /// good.
    pub(super) fn lack(&self, seen: &Seen<'_>, nearby: &[Found]) -> Lack {
        let unread: Vec<_> = self.files.iter().filter_map(|it| self.unread(seen, it)).collect();
        if let Some(proven) = unread.iter().find(|unread| unread.proven) {
            return Lack::Unread(proven.clone());
        }
        let nearby = &nearby[..nearby.len().min(MOST_NEARBY)];
        // A server's own file is not somebody else's: it is what the client sees already.
        let source = seen.source.map(|source| &source.pair.certificate.value);
        let own = |path: &Utf8PathBuf| {
            self.files.iter().any(|(own, _)| own == path) || source == Some(path)
        };
        let not_sent = nearby.iter().find(|(_, file)| self.lasts_if_sent(seen, &file.for_go()));
        if let Some((path, file)) = not_sent {
            return Lack::NotSent(Intermediates::in_file(path, &file.for_go()));
        }
        let other = nearby.iter().find(|(path, file)| {
            !own(path) && !file.private_key && self.lasts(seen, &file.for_go())
        });
        if let Some((path, _)) = other {
            return Lack::Elsewhere(path.clone());
        }
        // A leaf that vouches for itself is no authority that somebody sent along.
        let top = seen.shown.chain.len();
        let last = seen.shown.chain.last().filter(|_| top > 1);
        if last.is_some_and(|last| self.lasts(seen, std::slice::from_ref(last))) {
            return Lack::SentAlong(top);
        }
        // A file without anything for Go is the likelier cause than one with something odd.
        self.useless(seen).map_or(Lack::Nowhere, Lack::Unread)
    }

    /// Whether the client would accept with these certificates, and not only until the next
    /// renewal. Its own files are left out: a copy of the leaf in them would decide for itself.
    fn lasts(&self, seen: &Seen<'_>, more: &[Der]) -> bool {
        let mut store = Store::new(Client::Go);
        self.add_system(&mut store);
        store.add_certificates("", more);
        let verdict = judge(&store, &seen.shown.chain, &seen.endpoint.host, seen.now);
        let self_issued = || {
            let leaf = seen.shown.chain.first();
            leaf.and_then(|der| Certificate::from_der(der).ok()).is_some_and(|it| it.self_issued)
        };
        verdict.accepted
            && match verdict.anchor {
                Some(Anchor::Root) => true,
                Some(Anchor::Leaf) => self_issued(),
                Some(Anchor::Intermediate) | None => false,
            }
    }

    /// Whether the client would accept if the server sent these certificates along.
    fn lasts_if_sent(&self, seen: &Seen<'_>, more: &[Der]) -> bool {
        // A server's file would bring its own leaf along.
        let is_authority = |der: &Der| Certificate::from_der(der).is_ok_and(|it| it.is_ca);
        if !more.iter().all(is_authority) {
            return false;
        }
        self.accepts_if_sent(seen, more)
    }

    /// A file from which Go takes nothing, where it takes nothing from any other either: somebody
    /// meant to give the client a certificate.
    pub(super) fn useless(&self, seen: &Seen<'_>) -> Option<Unread> {
        if self.files.iter().any(|(_, file)| !file.go.taken.is_empty()) {
            return None;
        }
        self.files.iter().find_map(|file| self.unread(seen, file))
    }

    fn unread(&self, seen: &Seen<'_>, (path, file): &(Utf8PathBuf, TrustFile)) -> Option<Unread> {
        // A key beside the certificates, or a list of revoked ones, hides none of them.
        let harmless = ["private-key", "crl"];
        let mut notes = file.go.notes.iter();
        let (code, text) = notes.find(|(code, _)| !harmless.contains(&code.as_str()))?;
        let all: Vec<Der> = file.all().cloned().collect();
        Some(Unread {
            path: path.clone(),
            code: code.clone(),
            text: text.clone(),
            count: all.len(),
            proven: self.judge_with(seen, path.as_str(), &all).accepted,
        })
    }
}

impl Intermediates {
    fn in_file(path: &Utf8Path, certificates: &[Der]) -> Self {
        let is_root = |der: &Der| Certificate::from_der(der).is_ok_and(|it| it.self_issued);
        let numbers = (1..).zip(certificates).filter(|(_, der)| !is_root(der));
        let numbers: Vec<_> = numbers.map(|(number, _)| number).collect();
        let among = (numbers.len() < certificates.len()).then_some(numbers);
        Self { path: path.to_owned(), among }
    }
}

/// Whether the client refuses because it does not know an issuer, or has only an older one of the
/// same name; not because of what the certificate itself is like.
pub(super) fn is_about_authority(verdict: &Verdict) -> bool {
    // Go's words for all of these; other clients are told by the code.
    let words = "x509: certificate signed by unknown authority";
    let codes = ["unknown-authority", "incomplete-store"];
    verdict.error.as_ref().is_some_and(|error| error.contains(words))
        || verdict.faults.first().is_some_and(|fault| codes.contains(&fault.code.as_str()))
}
