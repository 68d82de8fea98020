//! Certificates that somebody put on this host by hand, for one client or another: what one client
//! lacks often lies where another one looks.

use camino::{Utf8Path, Utf8PathBuf};
use futures::future::join_all;

use super::docker;
use crate::host::Host;
use crate::host::files::{Directory, File, Kind, ReadFile, TrustFile};

/// Where an administrator puts certificates for the system's store, by distribution.
pub const DROP_INS: [&str; 3] = [
    "/usr/local/share/ca-certificates",
    "/etc/pki/ca-trust/source/anchors",
    "/etc/pki/trust/anchors",
];

/// Where clients other than Docker look, and where GitLab's own certificates lie.
const OTHERS: [&str; 4] = [
    "/etc/gitlab/trusted-certs",
    "/etc/gitlab-runner/certs",
    "/srv/gitlab-runner/config/certs",
    "/etc/gitlab/ssl",
];

/// More than anybody puts into one folder by hand.
const MOST: usize = 64;

/// A file with certificates.
pub type Found = (Utf8PathBuf, TrustFile);

/// The files from which the system's store is filled, besides the public roots. What cannot be
/// looked at is not there: this serves better advice, not verdicts.
pub async fn added_to_system(host: &Host) -> Vec<Found> {
    let mut files = Vec::new();
    for folder in DROP_INS {
        files.extend(files_in(host, Utf8Path::new(folder)).await);
    }
    read(host, files).await
}

/// Every file where certificates of authorities use to lie on hosts of GitLab, its runners and
/// Docker. What cannot be looked at is not there.
pub async fn everywhere(host: &Host) -> Vec<Found> {
    let mut files = Vec::new();
    for folder in docker::registry_folders(host).await.unwrap_or_default() {
        files.extend(files_in(host, &folder.path).await);
    }
    for folder in DROP_INS.into_iter().chain(OTHERS) {
        files.extend(files_in(host, Utf8Path::new(folder)).await);
    }
    read(host, files).await
}

async fn files_in(host: &Host, folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let Ok(listing) = host.ask(Directory::at(folder)).await else { return Vec::new() };
    let entries = listing.entries().iter();
    let files = entries.filter(|entry| matches!(entry.kind, Kind::File | Kind::Link));
    let files = files.filter(|entry| may_hold_certificates(&entry.name));
    files.take(MOST).map(|entry| folder.join(&entry.name)).collect()
}

fn may_hold_certificates(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".crt", ".pem", ".cer", ".cert", ".der"].iter().any(|ending| name.ends_with(ending))
}

async fn read(host: &Host, paths: Vec<Utf8PathBuf>) -> Vec<Found> {
    let read = paths.into_iter().map(async |path| {
        match host.ask(ReadFile::<TrustFile>::at(path.clone())).await {
            Ok(File::Read(file)) => Some((path, file)),
            _ => None,
        }
    });
    join_all(read).await.into_iter().flatten().collect()
}
