//! containerd on this host: where it looks for the settings of registries.

use camino::{Utf8Path, Utf8PathBuf};

use super::Sourced;
use super::docker::CERTS_D;
use crate::host::files::{Directory, FileFacts, ReadFile};
use crate::host::{Host, Unknown};
use crate::parse::containerd_toml::ContainerdToml;

/// Its configuration.
const CONFIG: &str = "/etc/containerd/config.toml";

/// The folder that everybody's example names.
const USUAL: &str = "/etc/containerd/certs.d";

/// nerdctl, which looks into two folders unless it is told otherwise.
const NERDCTL: [&str; 2] = ["/usr/local/bin/nerdctl", "/usr/bin/nerdctl"];

/// What containerd on this host is told of registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registries {
    /// The folders with one folder for each registry, in the order in which they are looked at.
    pub folders: Vec<Utf8PathBuf>,
    /// Registries that the old setting in `config.toml` leaves unverified.
    pub skipped: Vec<Sourced<String>>,
}

/// What containerd is told; where nothing names a folder, it is the usual one.
pub async fn registries(host: &Host) -> Result<Registries, Unknown> {
    let mut folders = Vec::new();
    let mut skipped = Vec::new();
    for (path, toml) in configs(host).await? {
        if toml.cri_disabled {
            (folders, skipped) = (Vec::new(), Vec::new());
            break;
        }
        // Files that are imported come later, and outweigh.
        if let Some(list) = toml.config_path {
            folders = list.value.split(':').map(Utf8PathBuf::from).collect();
            folders.retain(|folder| folder.is_absolute());
        }
        skipped.extend(toml.skips.into_iter().map(|it| Sourced::file(it.value, &path, it.line)));
    }
    if !folders.is_empty() {
        skipped.clear();
    }
    for program in NERDCTL {
        if exists(host, program).await? {
            folders.extend([USUAL.into(), CERTS_D.into()]);
            break;
        }
    }
    if folders.is_empty() {
        folders.push(USUAL.into());
    }
    let mut distinct: Vec<Utf8PathBuf> = Vec::new();
    for folder in folders {
        if !distinct.contains(&folder) {
            distinct.push(folder);
        }
    }
    Ok(Registries { folders: distinct, skipped })
}

/// Whether containerd, or somebody for it, has such a folder on this host.
pub async fn is_set_up(host: &Host) -> Result<bool, Unknown> {
    let registries = registries(host).await?;
    // Docker's own folder is no sign of containerd.
    for folder in registries.folders.iter().filter(|folder| *folder != CERTS_D) {
        if host.ask(FileFacts::of(folder.clone())).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(!registries.skipped.is_empty())
}

/// The configuration, and the files that it imports, one level deep.
async fn configs(host: &Host) -> Result<Vec<(Utf8PathBuf, ContainerdToml)>, Unknown> {
    let Some(main) = config(host, CONFIG.into()).await? else { return Ok(Vec::new()) };
    let mut paths = Vec::new();
    for import in &main.imports {
        let path = Utf8Path::new("/etc/containerd").join(&import.value);
        match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) if name.starts_with('*') => {
                let ending = name.trim_start_matches('*');
                let listing = host.ask(Directory::at(folder)).await?;
                let fitting = listing.names().filter(|name| name.ends_with(ending));
                paths.extend(fitting.map(|name| folder.join(name)));
            }
            _ => paths.push(path),
        }
    }
    let mut all = vec![(Utf8PathBuf::from(CONFIG), main)];
    for path in paths {
        if let Some(toml) = config(host, path.clone()).await? {
            all.push((path, toml));
        }
    }
    Ok(all)
}

async fn config(host: &Host, path: Utf8PathBuf) -> Result<Option<ContainerdToml>, Unknown> {
    match host.ask(ReadFile::<ContainerdToml>::at(path.clone())).await {
        // Recordings from before this was asked.
        Err(Unknown::NotRecorded) => Ok(None),
        told => told?.or_unknown(&path),
    }
}

async fn exists(host: &Host, path: &str) -> Result<bool, Unknown> {
    match host.ask(FileFacts::of(path)).await {
        Err(Unknown::NotRecorded) => Ok(false),
        told => Ok(told?.is_some()),
    }
}
