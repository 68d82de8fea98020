//! What the clients on this host say of a chain of certificates that is shown on the way to a
//! registry, to its token server, or to its object store.

use super::matrix::clients::{Equipped, Known, Present, Who, present, system_alone};
use super::shown::{shown, source};
use crate::checks::Stop;
use crate::host::system::Now;
use crate::host::{Host, Unknown};
use crate::install::Endpoint;
use crate::trust::{Der, Verdict, judge};

/// A client on this host and what it says.
pub(in crate::checks) struct Said {
    /// The client's name.
    pub(in crate::checks) client: &'static str,
    /// Its verdict, or why its files could not be read.
    pub(in crate::checks) verdict: Result<Verdict, Unknown>,
    /// Whether it verifies certificates there at all.
    pub(in crate::checks) verifies: bool,
}

/// What every client on this host says of a chain that `name` shows, with what it trusts for
/// `registry`; always in the same order.
pub(in crate::checks) async fn said(
    host: &Host,
    registry: &Endpoint,
    name: &str,
    chain: &[Der],
) -> Result<Vec<Said>, Stop> {
    let (now, known) = (host.ask(Now).await?, Known::on(host).await?);
    let mut all = Vec::new();
    for client in present(host).await? {
        let (verdict, verifies) = match client.equip(host, &known, registry).await {
            Ok(Equipped { store, unverified }) => {
                (Ok(judge(&store, chain, name, now)), unverified.is_none())
            }
            Err(why) => (Err(why), true),
        };
        all.push(Said { client: client.who.name(), verdict, verifies });
    }
    Ok(all)
}

/// Why a chain that an endpoint shows may be believed here: a client that accepts it, or the
/// endpoint's own file on this host. `None` where nothing vouches for it.
pub(in crate::checks) async fn voucher(
    host: &Host,
    registry: &Endpoint,
    endpoint: &Endpoint,
    chain: &[Der],
) -> Result<Option<String>, Stop> {
    let mut untold = None;
    for given in [registry, endpoint] {
        for said in said(host, given, &endpoint.host, chain).await? {
            match said.verdict {
                Ok(verdict) if verdict.accepted => return Ok(Some(said.client.to_owned())),
                Ok(_) => {}
                Err(why) => untold = Some(why),
            }
        }
    }
    let own = source(host, endpoint).await?;
    let is_own = |own: &Vec<Der>| !own.is_empty() && own.first() == chain.first();
    let own = own.filter(|own| is_own(&own.chain));
    match (own, untold) {
        (Some(own), _) => Ok(Some(own.pair.certificate.value.to_string())),
        (None, Some(why)) => Err(why.into()),
        (None, None) => Ok(None),
    }
}

/// Who asks an object store.
pub(in crate::checks) enum Asker<'a> {
    /// The registry of the Linux package.
    PackageRegistry,
    /// Another registry, which reads the system's store.
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

/// Who of them refuses what an object store shows. One that verifies nothing refuses nothing.
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
    for (client, Equipped { store, unverified }) in equipped(host, asker).await? {
        if unverified.is_some() {
            continue;
        }
        refusals.extend(chains.iter().filter_map(|shown| {
            let error = judge(&store, &shown.chain, &endpoint.host, at).error?;
            Some(Refusal { client, error, place: shown.place.clone() })
        }));
    }
    Ok(refusals)
}

async fn equipped(host: &Host, asker: Asker<'_>) -> Result<Vec<(&'static str, Equipped)>, Unknown> {
    let registry = Who::Registry;
    let clients = match asker {
        Asker::PackageRegistry => {
            return Ok(vec![(registry.name(), Present::of(host, registry).await.alone()?)]);
        }
        Asker::OwnRegistry => return Ok(vec![(registry.name(), system_alone(host).await?)]),
        Asker::Clients(of) => of,
    };
    let known = Known::on(host).await?;
    let mut equipped = Vec::new();
    for client in present(host).await? {
        if matches!(client.who, Who::Docker | Who::Podman) {
            equipped.push((client.who.name(), client.equip(host, &known, clients).await?));
        }
    }
    Ok(equipped)
}
