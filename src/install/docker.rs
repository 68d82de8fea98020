//! Docker on this host: its configuration, and which registries it is told to trust how.

mod settings;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use camino::Utf8PathBuf;

use super::names::addresses_of;
use super::{Endpoint, Written};
use crate::host::files::{Directory, File, FileFacts, HOSTS, Kind, ReadFile};
use crate::host::request::Requested;
use crate::host::{Host, Unknown};
use crate::parse::network;
use crate::parse::resolver::ResolvConf;

pub use settings::{Entry, Place, Settings, settings};

/// Where the daemon looks for the certificates of registries, by `host[:port]`.
pub const CERTS_D: &str = "/etc/docker/certs.d";

/// Where the daemon leaves its process number when it starts.
pub const PID_FILE: &str = "/var/run/docker.pid";

/// Whom this host asks; after systemd's own server, whom that asks. Docker reads the two likewise.
const RESOLV_CONF: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// Signs that a Docker daemon is, or was, on this host.
const SIGNS: [&str; 6] = [
    "/usr/bin/dockerd",
    "/usr/sbin/dockerd",
    "/usr/local/bin/dockerd",
    "/var/run/docker.sock",
    CERTS_D,
    "/etc/docker/daemon.json",
];

/// A folder of `certs.d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryFolder {
    /// `host[:port]`, as the folder is called.
    pub name: String,
    /// Absolute.
    pub path: Utf8PathBuf,
}

/// Why the daemon verifies no certificate of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unverified {
    /// Its name resolves to a loopback address, among others perhaps.
    Loopback {
        /// The address.
        address: IpAddr,
        /// The line of `/etc/hosts` that says so, where that was asked instead of the resolver.
        line: Option<u32>,
    },
    /// It is listed as insecure, or a network with its address is.
    Listed(Entry),
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

/// The folders of `certs.d`, sorted.
pub async fn registry_folders(host: &Host) -> Result<Vec<RegistryFolder>, Unknown> {
    let listing = host.ask(Directory::at(CERTS_D)).await?;
    let folders = listing.entries().iter();
    let folders = folders.filter(|entry| matches!(entry.kind, Kind::Directory | Kind::Link));
    let folder = |name: &String| RegistryFolder {
        name: name.clone(),
        path: Utf8PathBuf::from(CERTS_D).join(name),
    };
    Ok(folders.map(|entry| folder(&entry.name)).collect())
}

/// What image names of a registry start with, and so what its folder is called: the host and port
/// as GitLab shows them, in the case in which they were written.
pub async fn image_prefix(host: &Host, registry: &Endpoint) -> Result<String, Unknown> {
    let flag = host.ask(Requested).await?.registry_url;
    let written = match flag {
        Some(url) => Some(url),
        None => match super::settings(host).await?.map(|it| it.text(&["registry_external_url"])) {
            Some(Written::Known(text)) => Some(text.value),
            _ => None,
        },
    };
    let usual = registry.authority();
    let written = written.as_deref().and_then(authority_of).unwrap_or_default();
    let port = if registry.https { ":443" } else { ":80" };
    let written = written.strip_suffix(port).unwrap_or(written);
    Ok(if usual.eq_ignore_ascii_case(written) { written.to_owned() } else { usual })
}

/// `host:port` in a URL, as it stands there.
fn authority_of(url: &str) -> Option<&str> {
    let (_, rest) = url.trim().split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

/// Whether and why the daemon trusts a registry blindly (`isSecureIndex` in Docker's sources: an
/// entry that is the registry's name, or a network with one of its addresses; `127.0.0.0/8` and
/// `::1` are always among them).
pub async fn unverified(host: &Host, registry: &Endpoint) -> Result<Option<Unverified>, Unknown> {
    let addresses = addresses(host, registry).await?;
    if let Some((address, line)) = addresses.iter().find(|(address, _)| address.is_loopback()) {
        return Ok(Some(Unverified::Loopback { address: *address, line: *line }));
    }
    let listed = settings(host).await?.insecure_registries();
    let is_it = |entry: &Entry| {
        let name = without_scheme(&entry.value);
        let covers = |address: &IpAddr| network::contains(name, *address);
        entry.is_in_effect() && (name == registry.authority() || addresses.keys().any(covers))
    };
    Ok(listed.into_iter().find(is_it).map(Unverified::Listed))
}

/// The addresses of a registry. Without the network those that it has by itself or that
/// `/etc/hosts` gives it, with the line.
async fn addresses(
    host: &Host,
    registry: &Endpoint,
) -> Result<BTreeMap<IpAddr, Option<u32>>, Unknown> {
    match addresses_of(host, &registry.host).await {
        // Where even that cannot be seen, names alone can be compared: to take a registry for
        // verified is to judge it as for all other clients.
        Err(Unknown::LeftOut(_)) => Ok(BTreeMap::new()),
        told => told,
    }
}

/// The name servers that containers of this host's Docker ask, unless they are told others; `None`
/// where no file tells.
pub async fn servers_of_containers(host: &Host) -> Result<Option<Vec<IpAddr>>, Unknown> {
    let told = settings(host).await?.dns();
    let told: Vec<IpAddr> = told.iter().filter_map(|it| it.value.parse().ok()).collect();
    if !told.is_empty() {
        return Ok(Some(told));
    }
    let mut none = None;
    for path in RESOLV_CONF {
        let File::Read(read) = host.ask(ReadFile::<ResolvConf>::at(path)).await? else { continue };
        none = Some(Vec::new());
        // A container is not where a server on loopback listens.
        let servers = read.servers.iter().map(|server| server.value);
        let servers: Vec<_> = servers.filter(|it| !it.to_canonical().is_loopback()).collect();
        if !servers.is_empty() {
            return Ok(Some(servers));
        }
    }
    Ok(none)
}

/// An entry of `insecure-registries` as Docker takes it: without a scheme, which it warns of in
/// its log (`loadInsecureRegistries`).
pub fn without_scheme(entry: &str) -> &str {
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = entry.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    rest.unwrap_or(entry)
}

/// The reason, to follow "because".
impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback { address, line: None } => {
                write!(f, "its name resolves to the loopback address {address} here")
            }
            Self::Loopback { address, line: Some(line) } => {
                write!(f, "its name has the loopback address {address} here ({HOSTS}:{line})")
            }
            Self::Listed(entry) => {
                write!(f, "{} ({})", entry, entry.place)
            }
        }
    }
}
