//! What the clients on this host say of a chain of certificates that is shown on the way to a
//! registry.

use super::matrix::clients::{Equipped, equip, present};
use super::shown::source;
use crate::checks::Stop;
use crate::host::Host;
use crate::host::system::Now;
use crate::install::Endpoint;
use crate::trust::{Der, Store, Verdict, judge};

/// A client on this host and what it says.
pub(in crate::checks) struct Said {
    /// The client's name.
    pub(in crate::checks) client: &'static str,
    /// Its verdict.
    pub(in crate::checks) verdict: Verdict,
    /// Whether it verifies certificates there at all.
    pub(in crate::checks) verifies: bool,
}

/// What every client on this host says of a chain that `name` shows, with what it trusts for
/// `registry`. Clients whose files cannot be read say nothing.
pub(in crate::checks) async fn said(
    host: &Host,
    registry: &Endpoint,
    name: &str,
    chain: &[Der],
) -> Result<Vec<Said>, Stop> {
    let now = host.ask(Now).await?;
    let mut all = Vec::new();
    for who in present(host).await? {
        let Ok(Equipped { client, files, unverified }) = equip(host, who, registry).await else {
            continue;
        };
        let mut store = Store::new(client);
        for (path, certificates) in &files {
            store.add_certificates(path.as_str(), certificates);
        }
        let verdict = judge(&store, chain, name, now);
        all.push(Said { client: who.name(), verdict, verifies: unverified.is_none() });
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
    for given in [registry, endpoint] {
        let said = said(host, given, &endpoint.host, chain).await?;
        if let Some(accepts) = said.iter().find(|said| said.verdict.accepted) {
            return Ok(Some(accepts.client.to_owned()));
        }
    }
    let own = source(host, endpoint).await?;
    let is_own = |own: &Vec<Der>| !own.is_empty() && own.first() == chain.first();
    Ok(own.filter(|own| is_own(&own.chain)).map(|own| own.pair.certificate.value.to_string()))
}
