//! What the clients on this host say of a chain of certificates that is shown on the way to a
//! registry.

use super::matrix::clients::{Equipped, equip, present};
use super::shown::source;
use crate::checks::Stop;
use crate::host::system::Now;
use crate::host::{Host, Unknown};
use crate::install::Endpoint;
use crate::trust::{Der, Store, Verdict, judge};

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
    let now = host.ask(Now).await?;
    let mut all = Vec::new();
    for who in present(host).await? {
        let (verdict, verifies) = match equip(host, who, registry).await {
            Ok(Equipped { client, files, unverified }) => {
                let mut store = Store::new(client);
                for (path, certificates) in &files {
                    store.add_certificates(path.as_str(), certificates);
                }
                (Ok(judge(&store, chain, name, now)), unverified.is_none())
            }
            Err(why) => (Err(why), true),
        };
        all.push(Said { client: who.name(), verdict, verifies });
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
