//! Certificates that somebody gave to the clients on this host to trust.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

use crate::checks::Verdict;
use crate::host::files::{Directory, File, Kind, ReadFile, TrustFile};
use crate::host::{Host, Unknown};
use crate::install;
use crate::install::authorities::DROP_INS;
use crate::trust::Der;

/// Where GitLab's own programs look.
const GITLAB_STORE: &str = "/etc/gitlab/trusted-certs";

/// Where the runner looks, by the host of GitLab's URL.
const RUNNER_CERTS: &str = "/etc/gitlab-runner/certs";

/// More files than anybody puts into one such folder by hand.
const MOST: usize = 64;

/// More certificates than this in one file are a bundle of public roots, of which nobody needs
/// every one.
const BUNDLE: usize = 8;

/// More than any bundle has; what lies behind is not looked at.
const MOST_CERTIFICATES: usize = 512;

/// Who is to trust the certificates in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Truster {
    /// Docker, for the registry of this name.
    Docker(String),
    /// GitLab Runner.
    Runner,
    /// GitLab.
    Gitlab,
    /// Every program that uses the system's store.
    System,
}

/// A file of certificates to trust.
#[derive(Debug, Clone)]
pub(super) struct TrustedFile {
    pub(super) path: Utf8PathBuf,
    pub(super) by: Truster,
    /// What at least one library reads from it.
    pub(super) certificates: Vec<Der>,
}

/// All such files. What cannot be looked at is noted in the verdict.
pub(super) async fn trusted(host: &Host, verdict: &mut Verdict) -> Vec<TrustedFile> {
    let mut places: Vec<(Truster, Utf8PathBuf)> = Vec::new();
    let folders = install::docker::registry_folders(host).await;
    for folder in verdict.told("Docker's certs.d", folders).unwrap_or_default() {
        let files = files_in(host, &folder.path, &[".crt"]).await;
        let files = verdict.told(folder.path.as_str(), files).unwrap_or_default();
        places.extend(files.into_iter().map(|path| (Truster::Docker(folder.name.clone()), path)));
    }
    let runner = verdict.told("the runner's configuration", named_by_runner(host).await);
    places.extend(runner.unwrap_or_default().into_iter().map(|path| (Truster::Runner, path)));
    let general = [
        (Truster::Runner, RUNNER_CERTS, &[".crt"][..]),
        (Truster::Gitlab, GITLAB_STORE, &[".crt", ".pem", ".cer"]),
    ];
    let system = DROP_INS.map(|folder| (Truster::System, folder, &[".crt", ".pem", ".cer"][..]));
    for (by, folder, endings) in general.into_iter().chain(system) {
        let files = files_in(host, Utf8Path::new(folder), endings).await;
        let files = verdict.told(folder, files).unwrap_or_default();
        places.extend(files.into_iter().map(|path| (by.clone(), path)));
    }
    let mut trusted: Vec<TrustedFile> = Vec::new();
    for (by, path) in places {
        let is_known = |file: &TrustedFile| file.path == path && file.by == by;
        if trusted.iter().any(is_known) {
            continue;
        }
        let file = host.ask(ReadFile::<TrustFile>::at(path.clone())).await;
        if let Some(File::Read(mut file)) = verdict.told(path.as_str(), file) {
            file.certificates.truncate(MOST_CERTIFICATES);
            trusted.push(TrustedFile { path, by, certificates: file.certificates });
        }
    }
    trusted
}

/// `tls-ca-file` of every `[[runners]]` entry.
async fn named_by_runner(host: &Host) -> Result<Vec<Utf8PathBuf>, Unknown> {
    let Some(config) = install::runner::config(host).await? else { return Ok(Vec::new()) };
    let runners = config.toml.runners.into_iter();
    let named = runners.filter_map(|runner| Some(Utf8PathBuf::from(runner.tls_ca_file?.value)));
    // The runner takes a relative one from the folder that it was started in, which nobody knows.
    Ok(named.filter(|path| path.is_absolute()).collect())
}

async fn files_in(
    host: &Host,
    folder: &Utf8Path,
    endings: &[&str],
) -> Result<Vec<Utf8PathBuf>, Unknown> {
    let listing = host.ask(Directory::at(folder)).await?;
    let entries = listing.entries().iter();
    let files = entries.filter(|entry| matches!(entry.kind, Kind::File | Kind::Link));
    let fits = |name: &str| endings.iter().any(|ending| name.ends_with(ending));
    let files = files.filter(|entry| fits(&entry.name)).take(MOST);
    Ok(files.map(|entry| folder.join(&entry.name)).collect())
}

impl TrustedFile {
    /// Whether the file serves one server alone, so that somebody needs what is in it.
    pub(super) fn is_dedicated(&self) -> bool {
        matches!(self.by, Truster::Docker(_) | Truster::Runner) && self.certificates.len() <= BUNDLE
    }
}

impl Truster {
    /// The command by which a change of a file takes effect, where one is needed.
    pub(super) fn apply(&self, path: &Utf8Path) -> Option<&'static str> {
        match self {
            Self::Docker(_) | Self::Runner => None,
            Self::Gitlab => Some("sudo gitlab-ctl reconfigure"),
            Self::System if path.starts_with("/etc/pki/ca-trust") => Some("sudo update-ca-trust"),
            // Without the flag, links to a file that was replaced are left as they are.
            Self::System => Some("sudo update-ca-certificates --fresh"),
        }
    }
}

impl fmt::Display for Truster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Docker(registry) => write!(f, "Docker, for {registry}"),
            Self::Runner => f.write_str("the runner"),
            Self::Gitlab => f.write_str("GitLab"),
            Self::System => f.write_str("this system's store"),
        }
    }
}
