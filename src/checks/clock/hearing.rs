//! What every time server said.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures::future::join_all;

use crate::host::network::{NtpQuery, NtpReply, Resolve, Resolved};
use crate::host::{Host, Unknown};
use crate::install::clock::TimeServer;

/// How many addresses of one name are asked: more than any client follows of a pool.
const MAX_ADDRESSES: usize = 8;

/// A time server, however many files name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    /// Who names it, at least one.
    pub(super) named: Vec<TimeServer>,
}

/// What became of asking one server.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) server: Server,
    pub(super) resolved: Result<Resolved, Unknown>,
    /// For each of its addresses.
    pub(super) replies: Vec<(SocketAddr, Result<NtpReply, Unknown>)>,
}

impl Server {
    /// As in `ntp1` or `ntp1:11123`.
    pub(super) fn name(&self) -> String {
        if self.port == 123 { self.host.clone() } else { self.endpoint() }
    }

    /// As in `ntp1:123` or `[fd00::1]:123`.
    pub(super) fn endpoint(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// The servers, each once, sorted by name.
pub(super) fn servers(named: Vec<TimeServer>) -> Vec<Server> {
    let mut servers: BTreeMap<(String, u16), Vec<TimeServer>> = BTreeMap::new();
    for server in named {
        let key = (server.host.trim_end_matches('.').to_ascii_lowercase(), server.port);
        servers.entry(key).or_default().push(server);
    }
    let servers = servers.into_iter();
    servers.map(|((host, port), named)| Server { host, port, named }).collect()
}

/// Asks all of them at once. What the user left out is left out for every server.
pub(super) async fn hear(host: &Host, servers: Vec<Server>) -> Result<Vec<Heard>, Unknown> {
    join_all(servers.into_iter().map(|server| hear_one(host, server))).await.into_iter().collect()
}

async fn hear_one(host: &Host, server: Server) -> Result<Heard, Unknown> {
    let resolved = wanted(host.ask(Resolve { host: server.host.clone() }).await)?;
    let found = resolved.as_ref().ok().into_iter().flat_map(Resolved::addresses);
    let asked = found.take(MAX_ADDRESSES).map(|address| async move {
        let address = SocketAddr::new(address, server.port);
        Ok((address, wanted(host.ask(NtpQuery { address }).await)?))
    });
    let replies = join_all(asked).await.into_iter().collect::<Result<_, Unknown>>()?;
    Ok(Heard { server, resolved, replies })
}

/// Sets apart what the user did not want from what went wrong.
fn wanted<T>(answer: Result<T, Unknown>) -> Result<Result<T, Unknown>, Unknown> {
    match answer {
        Err(Unknown::LeftOut(why)) => Err(Unknown::LeftOut(why)),
        answer => Ok(answer),
    }
}
