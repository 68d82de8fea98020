//! How far a path to an endpoint goes: name, connection, TLS, HTTP; each address for itself.
//!
//! Checks share this so that a broken path has one root cause: the stage at which it breaks.

use std::net::SocketAddr;

use futures::future::{join, try_join_all};

use super::{Cause, Finding};
use crate::host::network::{
    Connect, Connected, Failure, Handshake, HttpGet, HttpReply, Resolve, Resolved, Response,
    TlsHandshake,
};
use crate::host::{Host, Unknown};
use crate::install::Endpoint;

/// How far the way to an endpoint goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Its name leads nowhere.
    NoName(Resolved),
    /// One way for each of its addresses, sorted; there is at least one.
    Ways(Vec<Way>),
}

/// How far the way to one address goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Where it leads.
    pub address: SocketAddr,
    /// How far it goes.
    pub stage: Stage,
}

/// The last stage of a way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// No connection.
    Connection(Failure),
    /// A connection, but no TLS where TLS is spoken.
    Tls(Failure),
    /// A connection (and TLS, where it is spoken), but no HTTP response.
    Http(Failure),
    /// A response.
    Answered(Response),
}

impl Way {
    /// The response, if it came so far.
    pub fn response(&self) -> Option<&Response> {
        match &self.stage {
            Stage::Answered(response) => Some(response),
            Stage::Connection(_) | Stage::Tls(_) | Stage::Http(_) => None,
        }
    }
}

/// Goes the way to `path` at an endpoint, over all of its addresses at once.
pub async fn reach(host: &Host, endpoint: &Endpoint, path: &str) -> Result<Reach, Unknown> {
    let url = endpoint.url(path);
    reach_by(host, endpoint, |address| host.ask(HttpGet::new(url.clone(), address))).await
}

/// The same with another last stage than a plain GET. It is asked before anything is known of the
/// server's certificate, and so must hold no secret.
pub async fn reach_by<F>(
    host: &Host,
    endpoint: &Endpoint,
    last: impl Fn(SocketAddr) -> F,
) -> Result<Reach, Unknown>
where
    F: Future<Output = Result<HttpReply, Unknown>>,
{
    let resolved = host.ask(Resolve { host: endpoint.host.clone() }).await?;
    let addresses: Vec<_> = resolved.addresses().collect();
    if addresses.is_empty() {
        return Ok(Reach::NoName(resolved));
    }
    let ways = addresses.into_iter().map(|address| {
        let address = SocketAddr::new(address, endpoint.port);
        let last = &last;
        async move {
            let stage = stage(host, endpoint, address, || last(address)).await?;
            Ok(Way { address, stage })
        }
    });
    Ok(Reach::Ways(try_join_all(ways).await?))
}

async fn stage<F>(
    host: &Host,
    endpoint: &Endpoint,
    address: SocketAddr,
    last: impl FnOnce() -> F,
) -> Result<Stage, Unknown>
where
    F: Future<Output = Result<HttpReply, Unknown>>,
{
    if let Connected::Failed(failure) = host.ask(Connect { address }).await? {
        return Ok(Stage::Connection(failure));
    }
    let handshake = async {
        if !endpoint.https {
            return Ok(None);
        }
        let name = endpoint.host.clone();
        Ok(match host.ask(TlsHandshake { address, name }).await? {
            Handshake::Shown { .. } => None,
            Handshake::Failed(failure) => Some(failure),
        })
    };
    // Both at once, so that a slow server is waited for once. Where there is no TLS, nothing that
    // became of the request matters.
    let (handshake, reply) = join(handshake, last()).await;
    if let Some(failure) = handshake? {
        return Ok(Stage::Tls(failure));
    }
    Ok(match reply? {
        HttpReply::Answered(response) => Stage::Answered(response),
        HttpReply::Failed(failure) => Stage::Http(failure),
    })
}

/// The certificates that an endpoint shows, by address; empty where none can be reached.
pub async fn chains(
    host: &Host,
    endpoint: &Endpoint,
) -> Result<Vec<(SocketAddr, Vec<Vec<u8>>)>, Unknown> {
    let resolved = host.ask(Resolve { host: endpoint.host.clone() }).await?;
    let shown = resolved.addresses().map(|address| async move {
        let address = SocketAddr::new(address, endpoint.port);
        if host.ask(Connect { address }).await? != Connected::Accepted {
            return Ok(None);
        }
        let name = endpoint.host.clone();
        let handshake = host.ask(TlsHandshake { address, name }).await?;
        Ok(handshake.chain().map(|chain| (address, chain.to_vec())))
    });
    Ok(try_join_all(shown).await?.into_iter().flatten().collect())
}

impl Finding {
    /// Says that a dead name, address or service explains this finding on `endpoint`.
    #[must_use]
    pub fn on_way_to(self, endpoint: &Endpoint) -> Self {
        self.follows(Cause::Name(endpoint.host.clone())).follows(Cause::Service(endpoint.socket()))
    }
}
