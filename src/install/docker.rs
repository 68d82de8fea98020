//! Docker on this host: its configuration, and which registries it is told to trust how.

use camino::Utf8PathBuf;

use super::Sourced;
use crate::host::files::{Directory, File, FileFacts, Kind, Listing, ReadFile};
use crate::host::{Host, Unknown};
use crate::parse::docker_json::DaemonJson;

/// Where the daemon reads its configuration.
pub const DAEMON_JSON: &str = "/etc/docker/daemon.json";

/// Where the daemon looks for the certificates of registries, by `host[:port]`.
pub const CERTS_D: &str = "/etc/docker/certs.d";

/// Signs that a Docker daemon is, or was, on this host.
const SIGNS: [&str; 5] =
    ["/usr/bin/dockerd", "/usr/local/bin/dockerd", "/var/run/docker.sock", CERTS_D, DAEMON_JSON];

/// A folder of `certs.d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryFolder {
    /// `host[:port]`, as the folder is called.
    pub name: String,
    /// Absolute.
    pub path: Utf8PathBuf,
}

/// Whether Docker is on this host; `None` if no sign of it is, otherwise the first sign.
pub async fn sign(host: &Host) -> Result<Option<&'static str>, Unknown> {
    for sign in SIGNS {
        if host.ask(FileFacts::of(sign)).await?.is_some() {
            return Ok(Some(sign));
        }
    }
    Ok(None)
}

/// The daemon's configuration file; `None` where there is none, which is usual.
pub async fn daemon_json(host: &Host) -> Result<Option<Sourced<DaemonJson>>, Unknown> {
    match host.ask(ReadFile::<DaemonJson>::at(DAEMON_JSON)).await? {
        File::Missing => Ok(None),
        File::Read(json) => Ok(Some(Sourced::file(json, DAEMON_JSON, None))),
        other => {
            let obstacle = other.obstacle().unwrap_or_default();
            Err(Unknown::Unreadable(format!("{DAEMON_JSON}: {obstacle}")))
        }
    }
}

/// The folders of `certs.d`, sorted.
pub async fn registry_folders(host: &Host) -> Result<Vec<RegistryFolder>, Unknown> {
    let listing = host.ask(Directory::at(CERTS_D)).await?;
    let folder = |name: &str| RegistryFolder {
        name: name.to_owned(),
        path: Utf8PathBuf::from(CERTS_D).join(name),
    };
    Ok(match listing {
        Listing::Entries { entries, .. } => entries
            .iter()
            .filter(|entry| matches!(entry.kind, Kind::Directory | Kind::Link))
            .map(|entry| folder(&entry.name))
            .collect(),
        Listing::Missing | Listing::NotADirectory(_) => Vec::new(),
    })
}
