//! Which certificates an endpoint shows, or would show.

use std::net::SocketAddr;

use crate::checks::Stop;
use crate::checks::reach::chains;
use crate::host::files::{File, ReadFile, TrustFile};
use crate::host::{Host, Unknown};
use crate::install::{self, Endpoint};
use crate::trust::Der;

/// A chain of certificates, and where it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// Leaf first.
    pub(super) chain: Vec<Der>,
    /// `served at 10.0.0.1:443`, or the file.
    pub(super) place: String,
    /// Whether it came over the network from loopback, where Docker verifies nothing.
    pub(super) loopback: bool,
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
    Ok(on_disk(host, endpoint).await?.into_iter().collect())
}

fn distinct(chains: Vec<(SocketAddr, Vec<Der>)>) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    for (address, chain) in chains {
        let loopback = address.ip().is_loopback();
        match shown.iter_mut().find(|other| other.chain == chain) {
            Some(same) => same.loopback &= loopback,
            None => shown.push(Shown { chain, place: format!("served at {address}"), loopback }),
        }
    }
    shown
}

async fn on_disk(host: &Host, endpoint: &Endpoint) -> Result<Option<Shown>, Unknown> {
    let Some(path) = install::certificates::shown_by(host, endpoint).await? else {
        return Ok(None);
    };
    // nginx reads the file with OpenSSL and sends every certificate in it, in order.
    let file = match host.ask(ReadFile::<TrustFile>::at(path.value.clone())).await? {
        File::Read(file) => file,
        File::Missing | File::NotAFile(_) | File::TooLarge(_) | File::Malformed(_) => {
            return Ok(None);
        }
    };
    let taken = file.openssl.taken.iter();
    let chain: Vec<_> = taken.filter_map(|&at| file.certificates.get(at).cloned()).collect();
    let place = path.value.to_string();
    Ok((!chain.is_empty()).then_some(Shown { chain, place, loopback: false }))
}
