//! Question: which certificates does this system trust, as a Go program reads its stores, and as
//! OpenSSL reads the bundle among them?

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
pub(super) const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The folders of which Go reads every file, besides the bundle.
pub(super) const FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

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
    /// What put other files, or folders, in the place of the system's own for a service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    /// What else is to be said of the bundle; `None` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
}

/// The one file with all certificates that curl and OpenSSL read, and Go before all others. What Go
/// takes from it stands in the first of the [`TrustedFiles`]; here is only what differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Absolute.
    pub path: Utf8PathBuf,
    /// OpenSSL's error, if it refuses the whole file.
    pub refusal: Option<String>,
    /// Certificates that Go takes and OpenSSL does not, though it reads the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "base64_list")]
    pub only_go: Vec<Der>,
    /// Certificates that OpenSSL takes and Go does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "base64_list")]
    pub only_openssl: Vec<Der>,
    /// Whether a private key lies in it, which everybody can read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private_key: bool,
}

impl TrustedFiles {
    /// The certificates that OpenSSL takes from the bundle.
    pub fn for_openssl(&self) -> Vec<Der> {
        let Some(bundle) = self.bundle.as_ref().filter(|bundle| bundle.refusal.is_none()) else {
            return Vec::new();
        };
        let file = self.files.iter().find(|file| file.path == bundle.path);
        let for_go = file.into_iter().flat_map(|file| &file.certificates);
        let only_go: BTreeSet<&Der> = bundle.only_go.iter().collect();
        let both = for_go.filter(|der| !only_go.contains(der));
        both.chain(&bundle.only_openssl).cloned().collect()
    }
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

/// A variable of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name, such as `SSL_CERT_FILE`.
    pub name: String,
    /// What it is set to. Of one that may be secret no answer holds it.
    pub value: String,
    /// Where it is set, absolute.
    pub path: Utf8PathBuf,
    /// From 1.
    pub line: Option<u32>,
}

impl Question for SystemTrust {
    type Answer = TrustedFiles;

    const KIND: &'static str = "system-trust";

    fn label(&self) -> String {
        "the system's trusted certificates".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<TrustedFiles, Unknown> {
        let scope = machine.scope().clone();
        machine.off_thread(move || collect(&scope, &BUNDLES, &FOLDERS)).await
    }
}

/// All that Go takes from the first of `bundles` that can be read, and from every file of
/// `folders`.
pub(super) fn collect(
    scope: &Scope,
    bundles: &[&str],
    folders: &[&str],
) -> Result<TrustedFiles, Unknown> {
    let mut store =
        Collection { scope, seen: BTreeSet::new(), budget: BUDGET, found: TrustedFiles::default() };
    for path in bundles.iter().map(Utf8Path::new) {
        if let Some(file) = store.add(path)? {
            store.found.bundle = Some(Bundle::of(path, &file));
            break;
        }
    }
    for folder in folders {
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
    /// Adds what a file has that those before it have not; `None` if it cannot be read.
    fn add(&mut self, path: &Utf8Path) -> Result<Option<TrustFile>, Unknown> {
        // Go skips what it cannot read, and so does this.
        let (handle, size) = match open(self.scope, path) {
            Ok(Opened::File { handle, size }) => (handle, size),
            Ok(Opened::Missing | Opened::NotAFile(_)) => return Ok(None),
            Err(why) => {
                if matches!(why, Unknown::Denied(_)) {
                    self.found.unread.push((path.to_owned(), why));
                }
                return Ok(None);
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
            return Ok(None);
        }
        let file = TrustFile::of(&content);
        let mut certificates = file.for_go();
        certificates.retain(|der| self.seen.insert(der.clone()));
        if !certificates.is_empty() {
            self.found.files.push(TrustedFile { path: path.to_owned(), certificates });
        }
        Ok(Some(file))
    }
}

impl Bundle {
    fn of(path: &Utf8Path, file: &TrustFile) -> Self {
        let numbers = |taken: &[usize], others: &[usize]| -> Vec<Der> {
            let others: BTreeSet<_> = others.iter().collect();
            let alone = taken.iter().filter(|number| !others.contains(number));
            alone.filter_map(|number| file.certificates.get(*number).cloned()).collect()
        };
        let (go, openssl) = (&file.go.taken, &file.openssl.taken);
        let refusal = file.openssl.refusal.clone();
        Self {
            path: path.to_owned(),
            only_go: if refusal.is_none() { numbers(go, openssl) } else { Vec::new() },
            refusal,
            only_openssl: numbers(openssl, go),
            private_key: file.private_key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = include_str!("trust_file/root.pem");

    fn read(content: &str) -> TrustedFiles {
        let file = TrustFile::of(content.as_bytes());
        let path = Utf8Path::new("/b");
        TrustedFiles {
            files: vec![TrustedFile { path: path.to_owned(), certificates: file.for_go() }],
            bundle: Some(Bundle::of(path, &file)),
            ..TrustedFiles::default()
        }
    }

    #[test]
    fn both_readings_of_a_bundle_are_kept() {
        let go = |it: &TrustedFiles| it.files[0].certificates.len();
        let plain = read(ROOT);
        assert_eq!((go(&plain), plain.for_openssl().len()), (1, 1));
        let labelled = read(&ROOT.replace(" CERT", " X509 CERT"));
        assert_eq!((go(&labelled), labelled.for_openssl().len()), (0, 1));
        let broken = read(&format!("{ROOT}-----BEGIN CERTIFICATE-----\n"));
        assert_eq!((go(&broken), broken.for_openssl().len()), (1, 0));
        assert!(broken.bundle.unwrap().refusal.is_some());
        let key = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        assert!(read(&format!("{ROOT}{key}")).bundle.unwrap().private_key);
        assert!(!plain.bundle.unwrap().private_key);
    }
}
