//! Who accepts the certificates of the registry's object store: the registry itself, and the clients
//! that it sends there.

use super::clients::{self, Equipped, Who};
use crate::checks::Stop;
use crate::checks::trust::shown::shown;
use crate::host::system::Now;
use crate::host::{Host, Unknown};
use crate::install::Endpoint;
use crate::trust::{Store, judge};

/// Who asks the object store.
pub(in crate::checks) enum Asker<'a> {
    /// The registry of the Linux package.
    PackageRegistry,
    /// Another registry.
    OwnRegistry,
    /// The clients on this host, sent there by this registry.
    Clients(&'a Endpoint),
}

/// A client that does not accept.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::checks) struct Refusal {
    /// Its name.
    pub(in crate::checks) client: &'static str,
    /// Its own words.
    pub(in crate::checks) error: String,
    /// Where the certificates were seen.
    pub(in crate::checks) place: String,
}

/// Which of them refuse what an endpoint shows. One that verifies nothing refuses nothing.
pub(in crate::checks) async fn refusals(
    host: &Host,
    endpoint: &Endpoint,
    asker: Asker<'_>,
) -> Result<Vec<Refusal>, Unknown> {
    let chains = match shown(host, endpoint).await {
        Ok(chains) => chains,
        Err(Stop::NotApplicable(_)) => return Ok(Vec::new()),
        Err(Stop::Unknown(unknown)) => return Err(unknown),
    };
    if chains.is_empty() {
        return Ok(Vec::new());
    }
    let at = host.ask(Now).await?;
    let mut refusals = Vec::new();
    for (name, Equipped { client, files, unverified }) in equipped(host, endpoint, asker).await? {
        if unverified.is_some() {
            continue;
        }
        let mut store = Store::new(client);
        for (path, certificates) in &files {
            store.add_certificates(path.as_str(), certificates);
        }
        refusals.extend(chains.iter().filter_map(|shown| {
            let error = judge(&store, &shown.chain, &endpoint.host, at).error?;
            Some(Refusal { client: name, error, place: shown.place.clone() })
        }));
    }
    Ok(refusals)
}

async fn equipped(
    host: &Host,
    endpoint: &Endpoint,
    asker: Asker<'_>,
) -> Result<Vec<(&'static str, Equipped)>, Unknown> {
    Ok(match asker {
        Asker::PackageRegistry => {
            vec![(Who::Registry.name(), clients::equip(host, Who::Registry, endpoint).await?)]
        }
        Asker::OwnRegistry => vec![(Who::Registry.name(), clients::own_registry(host).await?)],
        Asker::Clients(registry) => {
            let mut equipped = Vec::new();
            for who in clients::present(host).await? {
                match who {
                    Who::Docker => {
                        equipped.push((who.name(), clients::docker(host, registry).await?));
                    }
                    Who::Podman => {
                        equipped.push((who.name(), clients::podman(host, registry).await?));
                    }
                    _ => {}
                }
            }
            equipped
        }
    })
}
