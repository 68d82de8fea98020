//! Question: which certificates does this system trust, as a Go program reads its stores?

use std::collections::BTreeSet;
use std::io::Read as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::open::{Opened, open};
use super::trust_file::TrustFile;
use super::{Directory, Format, Listing};
use crate::host::spelling::base64_list;
use crate::host::{Machine, Question, Scope, Unknown};
use crate::trust::Der;

/// The files that Go tries; the first that can be read is the bundle (crypto/x509,
/// `root_linux.go`).
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The folders of which Go reads every file, besides the bundle.
const FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// All that is read at most; a usual store has a quarter of a megabyte, twice.
const BUDGET: u64 = 64 << 20;

/// Asks for the certificates that the system trusts.
#[derive(Debug, Serialize)]
pub struct SystemTrust;

/// What the system trusts: each certificate once, with the file that it was first read from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedFiles {
    /// The files that hold certificates of their own, the bundle first, then sorted.
    pub files: Vec<TrustedFile>,
    /// Files that gldoctor has no right to read, and why. A daemon that runs as root may have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<(Utf8PathBuf, Unknown)>,
}

/// One file of the system's store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedFile {
    /// Absolute.
    pub path: Utf8PathBuf,
    /// Its certificates, without those of the files before it.
    #[serde(with = "base64_list")]
    pub certificates: Vec<Der>,
}

impl Question for SystemTrust {
    type Answer = TrustedFiles;

    const KIND: &'static str = "system-trust";

    fn label(&self) -> String {
        "the system's trusted certificates".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<TrustedFiles, Unknown> {
        let scope = machine.scope().clone();
        machine.off_thread(move || collect(&scope)).await
    }
}

fn collect(scope: &Scope) -> Result<TrustedFiles, Unknown> {
    let mut store =
        Collection { scope, seen: BTreeSet::new(), budget: BUDGET, found: TrustedFiles::default() };
    for path in BUNDLES {
        if store.add(Utf8Path::new(path))? {
            break;
        }
    }
    for folder in FOLDERS {
        let listing = Directory::list(scope, Utf8Path::new(folder))?;
        if let Listing::Entries { entries, .. } = listing {
            for entry in entries {
                store.add(&Utf8Path::new(folder).join(&entry.name))?;
            }
        }
    }
    Ok(store.found)
}

struct Collection<'a> {
    scope: &'a Scope,
    seen: BTreeSet<Der>,
    budget: u64,
    found: TrustedFiles,
}

impl Collection<'_> {
    /// Adds what a file has that those before it have not; whether it could be read.
    fn add(&mut self, path: &Utf8Path) -> Result<bool, Unknown> {
        // Go skips what it cannot read, and so does this.
        let (handle, size) = match open(self.scope, path) {
            Ok(Opened::File { handle, size }) => (handle, size),
            Ok(Opened::Missing | Opened::NotAFile(_)) => return Ok(false),
            Err(why) => {
                if matches!(why, Unknown::Denied(_)) {
                    self.found.unread.push((path.to_owned(), why));
                }
                return Ok(false);
            }
        };
        self.budget = self
            .budget
            .checked_sub(size)
            .filter(|_| size <= TrustFile::LIMIT)
            .ok_or_else(|| {
                Unknown::Unreadable(format!("{path}: the system's store is larger than any store"))
            })?;
        let mut content = Vec::new();
        if handle.take(size).read_to_end(&mut content).is_err() {
            return Ok(false);
        }
        let mut certificates = TrustFile::of(&content).for_go();
        certificates.retain(|der| self.seen.insert(der.clone()));
        if !certificates.is_empty() {
            self.found.files.push(TrustedFile { path: path.to_owned(), certificates });
        }
        Ok(true)
    }
}
