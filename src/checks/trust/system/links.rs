//! Folders in which OpenSSL looks for a certificate by the hash of its subject.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::View;
use super::added::Held;
use crate::checks::trust::mend::split;
use crate::checks::{Finding, docs};
use crate::host::files::{Directory, File, FileFacts, Listing, ReadFile, TrustFile};
use crate::host::{Host, Unknown};
use crate::parse::certificate::subject_hash;
use crate::trust::Der;

/// The folder of hash links that OpenSSL looks at on Debian.
const FOLDER: &str = "/etc/ssl/certs";

/// Where OpenSSL finds the whole bundle first, if its packager put a link there.
const WHOLE: [&str; 2] = ["/usr/lib/ssl/cert.pem", "/etc/ssl/cert.pem"];

/// As many certificates of one subject as OpenSSL is followed to.
const MOST: u32 = 32;

/// A folder of hash links.
pub(in crate::checks::trust) struct Links<'a> {
    pub(in crate::checks::trust) folder: &'a Utf8Path,
    pub(in crate::checks::trust) names: BTreeSet<&'a str>,
}

impl<'a> Links<'a> {
    pub(in crate::checks::trust) fn new(folder: &'a Utf8Path, listing: &'a Listing) -> Self {
        Self { folder, names: listing.names().collect() }
    }

    /// The first link for certificates with the same subject, wherever it leads.
    pub(in crate::checks::trust) fn first_of_subject(&self, der: &Der) -> Option<Utf8PathBuf> {
        let name = format!("{:08x}.0", subject_hash(der)?);
        self.names.contains(name.as_str()).then(|| self.folder.join(name))
    }

    /// The link by which OpenSSL finds a certificate, as it counts them: from 0, up to the first
    /// that is missing.
    pub(in crate::checks::trust) async fn to(
        &self,
        host: &Host,
        der: &Der,
    ) -> Result<Option<Utf8PathBuf>, Unknown> {
        let Some(hash) = subject_hash(der) else { return Ok(None) };
        for number in 0..MOST {
            let name = format!("{hash:08x}.{number}");
            if !self.names.contains(name.as_str()) {
                break;
            }
            let path = self.folder.join(name);
            if let File::Read(file) = host.ask(ReadFile::<TrustFile>::at(path.clone())).await?
                && file.for_openssl().contains(der)
            {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

/// A name such as `1a2b3c4d.0`, or `1a2b3c4d.r0` for a list of revoked certificates.
pub(in crate::checks::trust) fn is_hash_link(name: &str) -> bool {
    let Some((hash, number)) = name.split_once('.') else { return false };
    let number = number.strip_prefix('r').unwrap_or(number);
    hash.len() == 8
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Certificates that are in the bundle, but that OpenSSL does not find because it goes by links.
pub(super) async fn missing(host: &Host, view: &View<'_>) -> Result<Vec<Finding>, Unknown> {
    let held = Held::new(view.family, view.system);
    let files = view.added.iter().filter_map(|added| Some((&added.path, added.file.as_ref()?)));
    let files: Vec<_> = files
        .filter(|(path, _)| path.extension() == Some("crt"))
        .filter(|(_, file)| file.all().next().is_some() && held.holds(file))
        .collect();
    if !view.family.copies_files() || files.is_empty() {
        return Ok(Vec::new());
    }
    for path in WHOLE {
        if host.ask(FileFacts::of(path)).await?.is_some() {
            return Ok(Vec::new());
        }
    }
    let listing = host.ask(Directory::at(FOLDER)).await?;
    let links = Links::new(Utf8Path::new(FOLDER), &listing);
    let mut findings = Vec::new();
    for (path, file) in files {
        for der in file.all() {
            if links.to(host, der).await?.is_none() {
                findings.push(not_linked(view, path, file));
                break;
            }
        }
    }
    Ok(findings)
}

fn not_linked(view: &View<'_>, path: &Utf8Path, file: &TrustFile) -> Finding {
    let count = file.all().count();
    let affected = "openssl, Python and Ruby do not find it there";
    if count > 1 {
        return Finding::warning(
            "several-certificates",
            path.as_str(),
            format!(
                "it holds {count} certificates, for which update-ca-certificates makes no hash links \
                 in {FOLDER}: {affected}, only curl, git and programs written in Go do"
            ),
        )
        .docs(docs::SSL)
        .remedy(
            "Put each certificate into a file of its own.",
            split(path).into_iter().chain([view.family.command().to_owned()]),
        );
    }
    Finding::warning(
        "stale-hash-link",
        path.as_str(),
        format!(
            "its certificate is in the bundle, but no hash link in {FOLDER} leads to it, as after a \
             file was replaced under its old name: {affected}"
        ),
    )
    .docs(docs::SSL)
    .remedy("Let all links be made anew.", [view.family.command()])
}

#[test]
fn hash_links_are_known_by_their_names() {
    for name in ["1a2b3c4d.0", "1a2b3c4d.12", "1a2b3c4d.r0"] {
        assert!(is_hash_link(name), "{name}");
    }
    for name in ["1a2b3c4d.crt", "1a2b3c4.0", "1a2b3c4g.0", "1a2b3c4d.", "1a2b3c4d"] {
        assert!(!is_hash_link(name), "{name}");
    }
}
