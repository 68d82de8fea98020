//! Which certificates an endpoint shows, or would show, and from which files they come.

use std::net::SocketAddr;

use crate::checks::reach::chains;
use crate::checks::{Finding, Stop};
use crate::host::files::{File, ReadFile, TrustFile};
use crate::host::{Host, Unknown};
use crate::install::certificates::{Pair, shown_by};
use crate::install::{self, Endpoint};
use crate::trust::Der;

/// A chain of certificates, and where it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// Leaf first.
    pub(super) chain: Vec<Der>,
    /// `served at 10.0.0.1:443`, or the file.
    pub(super) place: String,
    /// Whether a server showed it.
    pub(super) served: bool,
}

impl Shown {
    /// Says what may explain a refusal besides the certificate. A server that showed it is neither
    /// dead nor nameless, whatever it answers afterwards.
    pub(super) fn on_way_to(&self, endpoint: &Endpoint, refusal: Finding) -> Finding {
        if self.served { refusal } else { refusal.on_way_to(endpoint) }
    }
}

/// Where the certificates of an endpoint come from, if it is served from this host.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The files.
    pub(super) pair: Pair,
    /// The chain in the certificate's file, as a server would send it.
    pub(super) chain: Vec<Der>,
    /// The hosts of all endpoints that show this file, the endpoint's own first.
    pub(super) hosts: Vec<String>,
}

/// The distinct chains that an endpoint shows. Where it shows none, or the network is left out,
/// the chain in the file that nginx would show on this host.
pub(super) async fn shown(host: &Host, endpoint: &Endpoint) -> Result<Vec<Shown>, Stop> {
    let served = match chains(host, endpoint).await {
        Ok(chains) => distinct(chains),
        Err(Unknown::LeftOut(_)) => Vec::new(),
        Err(unknown) => return Err(unknown.into()),
    };
    if !served.is_empty() {
        return Ok(served);
    }
    let source = source(host, endpoint).await?.filter(|source| !source.chain.is_empty());
    let on_disk = source.map(|source| Shown {
        place: source.pair.certificate.value.to_string(),
        chain: source.chain,
        served: false,
    });
    Ok(on_disk.into_iter().collect())
}

fn distinct(chains: Vec<(SocketAddr, Vec<Der>)>) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    for (address, chain) in chains {
        match shown.iter_mut().find(|other| other.chain == chain) {
            Some(same) => same.place = format!("{}, {address}", same.place),
            None => {
                shown.push(Shown { chain, place: format!("served at {address}"), served: true });
            }
        }
    }
    shown
}

/// The files from which an endpoint's certificates come; `None` if it is served elsewhere.
pub(super) async fn source(host: &Host, endpoint: &Endpoint) -> Result<Option<Source>, Unknown> {
    let Some(pair) = shown_by(host, endpoint).await? else { return Ok(None) };
    let path = &pair.certificate.value;
    // nginx reads the file with OpenSSL and sends every certificate in it, in order.
    let chain = match host.ask(ReadFile::<TrustFile>::at(path.clone())).await? {
        File::Read(file) => file.for_openssl(),
        _ => Vec::new(),
    };
    let mut hosts = vec![endpoint.host.clone()];
    let gitlab = install::gitlab::external_url(host).await?;
    let registry = install::registry::external(host).await?;
    for other in [gitlab, registry].into_iter().flatten().map(|url| url.value) {
        let same = shown_by(host, &other).await?.is_some_and(|it| it.certificate.value == *path);
        if same && !hosts.contains(&other.host) {
            hosts.push(other.host);
        }
    }
    Ok(Some(Source { pair, chain, hosts }))
}

#[test]
fn equal_chains_are_one() {
    let at = |last: u8| SocketAddr::from(([10, 0, 0, last], 443));
    let chains = vec![(at(1), vec![vec![1]]), (at(2), vec![vec![2]]), (at(3), vec![vec![1]])];
    let shown = distinct(chains);
    assert_eq!(shown.len(), 2);
    assert_eq!(shown[0].place, "served at 10.0.0.1:443, 10.0.0.3:443");
}
