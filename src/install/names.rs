//! How names are resolved on this host.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Sourced;
use crate::host::files::{File, HOSTS, HostsEntry, ReadFile};
use crate::host::network::Resolve;
use crate::host::{Host, Unknown};
use crate::parse::resolver::Hosts;
use crate::parse::setting::Located;

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

/// Those of these texts that are addresses.
pub fn addresses<'a>(texts: impl Iterator<Item = &'a Located<String>>) -> Vec<IpAddr> {
    texts.filter_map(|text| text.value.parse().ok()).collect()
}
