//! How names are resolved on this host, and by containers on it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Sourced;
use super::docker;
use crate::host::files::{File, HostsEntry, ReadFile};
use crate::host::network::Resolve;
use crate::host::{Host, Unknown};
use crate::parse::resolver::{Hosts, ResolvConf};
use crate::parse::setting::Located;

/// Names that this host knows without asking anybody.
const HOSTS: &str = "/etc/hosts";

/// Whom this host asks; after systemd's own server, whom that asks. Docker reads the two likewise.
const RESOLV_CONF: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// The addresses that `/etc/hosts` has for a name, in the order of its lines.
pub async fn in_hosts(host: &Host, name: &str) -> Result<Vec<Sourced<IpAddr>>, Unknown> {
    let hosts = match host.ask(ReadFile::<Hosts>::at(HOSTS)).await? {
        File::Read(hosts) => hosts,
        File::Missing | File::NotAFile(_) => return Ok(Vec::new()),
        other => return Err(other.unknown(HOSTS)),
    };
    let found = hosts.names.get(&name.to_ascii_lowercase()).into_iter().flatten();
    Ok(found.map(|it| Sourced::file(it.value, HOSTS, it.line)).collect())
}

/// The addresses of a name: what the resolver says, or where that is not asked, what `/etc/hosts`
/// has for it, with the line.
///
/// # Errors
///
/// What kept the resolver from being asked, if `/etc/hosts` does not know the name either.
pub async fn addresses_of(
    host: &Host,
    name: &str,
) -> Result<BTreeMap<IpAddr, Option<u32>>, Unknown> {
    let name = name.to_owned();
    match host.ask(Resolve { host: name.clone() }).await {
        Ok(resolved) => Ok(resolved.addresses().map(|address| (address, None)).collect()),
        Err(Unknown::LeftOut(why)) => {
            let entry = host.ask(HostsEntry { name }).await.unwrap_or_default();
            if entry.0.is_empty() {
                return Err(Unknown::LeftOut(why));
            }
            Ok(entry.0.into_iter().map(|(address, line)| (address, Some(line))).collect())
        }
        Err(unknown) => Err(unknown),
    }
}

/// The name servers that containers of this host's Docker ask, unless they are told others; `None`
/// where no file tells.
pub async fn servers_of_containers(host: &Host) -> Result<Option<Vec<IpAddr>>, Unknown> {
    let told = docker::settings(host).await?.dns();
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

/// Those of these texts that are addresses.
pub fn addresses<'a>(texts: impl Iterator<Item = &'a Located<String>>) -> Vec<IpAddr> {
    texts.filter_map(|text| text.value.parse().ok()).collect()
}
