//! The trust matrix: which client on this host accepts which endpoint, through which file, and why
//! others refuse.

mod clients;

use jiff::Timestamp;
use serde::Serialize;

use self::clients::{Equipped, Who};
use super::shown::{Shown, shown};
use crate::checks::Stop;
use crate::host::system::Now;
use crate::host::{Host, Unknown};
use crate::install::{self, Endpoint};
use crate::trust::{Store, judge};

/// Endpoints and clients.
#[derive(Debug, Serialize)]
pub struct Matrix {
    /// The version of this format.
    pub version: u8,
    /// When it was judged.
    pub at: Timestamp,
    /// One row for each chain of certificates that an endpoint shows.
    pub rows: Vec<Row>,
}

/// One endpoint, with one of its chains.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its URL.
    pub endpoint: String,
    /// Where its certificates were seen; `None` where there are none.
    pub seen: Option<String>,
    /// Why there are none.
    pub obstacle: Option<String>,
    /// What each client says, in the order of the columns.
    pub clients: Vec<Cell>,
}

/// What one client says of one chain.
#[derive(Debug, Serialize)]
pub struct Cell {
    /// The client.
    pub client: &'static str,
    /// Whether it accepts; `None` where that cannot be told.
    pub accepted: Option<bool>,
    /// The file whose certificate decided.
    pub through: Option<String>,
    /// The client's own words, if it refuses.
    pub error: Option<String>,
    /// The rule and the certificate, or why it cannot be told.
    pub why: String,
}

/// Judges endpoints, or those that are configured here if none is given.
pub async fn matrix(host: &Host, endpoints: &[Endpoint]) -> Result<Matrix, Unknown> {
    let configured;
    let endpoints = if endpoints.is_empty() {
        configured = install_endpoints(host).await?;
        &configured
    } else {
        endpoints
    };
    let clients = clients::present(host).await?;
    let at = host.ask(Now).await?;
    let mut rows = Vec::new();
    for endpoint in endpoints {
        let (chains, obstacle) = match shown(host, endpoint).await {
            Ok(chains) if chains.is_empty() => (chains, Some("it shows no certificate".to_owned())),
            Ok(chains) => (chains, None),
            Err(Stop::NotApplicable(why)) => (Vec::new(), Some(why)),
            Err(Stop::Unknown(why)) => (Vec::new(), Some(why.to_string())),
        };
        if obstacle.is_some() {
            let endpoint = endpoint.to_string();
            rows.push(Row { endpoint, seen: None, obstacle, clients: Vec::new() });
        }
        for shown in &chains {
            let mut cells = Vec::new();
            for who in &clients {
                cells.push(cell(host, *who, endpoint, shown, at).await);
            }
            rows.push(Row {
                endpoint: endpoint.to_string(),
                seen: Some(shown.place.clone()),
                obstacle: None,
                clients: cells,
            });
        }
    }
    Ok(Matrix { version: 1, at, rows })
}

/// The https endpoints that this host knows: GitLab, the registry, and those of its runners.
async fn install_endpoints(host: &Host) -> Result<Vec<Endpoint>, Unknown> {
    let mut endpoints = Vec::new();
    let gitlab = install::gitlab::external_url(host).await?.map(|url| url.value);
    let registry = install::registry::external(host).await?.map(|url| url.value);
    endpoints.extend(gitlab);
    match registry {
        Some(registry) => endpoints.push(registry),
        None => {
            let folders = install::docker::registry_folders(host).await?;
            let endpoint = |name: &str| Endpoint::parse(&format!("https://{name}")).ok();
            endpoints.extend(folders.iter().filter_map(|folder| endpoint(&folder.name)));
        }
    }
    if let Some(config) = install::runner::config(host).await? {
        let urls = config.toml.runners.iter().filter_map(|runner| runner.url.as_ref());
        endpoints.extend(urls.filter_map(|url| Endpoint::parse(&url.value).ok()));
    }
    let mut distinct: Vec<Endpoint> = Vec::new();
    for endpoint in endpoints.into_iter().filter(|it| it.https).map(|it| it.server()) {
        if !distinct.contains(&endpoint) {
            distinct.push(endpoint);
        }
    }
    Ok(distinct)
}

async fn cell(host: &Host, who: Who, endpoint: &Endpoint, shown: &Shown, at: Timestamp) -> Cell {
    let untold =
        |why: String| Cell { client: who.name(), accepted: None, through: None, error: None, why };
    let equipped = match clients::equip(host, who, endpoint).await {
        Ok(equipped) => equipped,
        Err(why) => return untold(why.to_string()),
    };
    let Equipped { client, files, unverified } = equipped;
    if let Some(why) = unverified {
        return untold(format!("it verifies nothing there, because {why}"));
    }
    let mut store = Store::new(client);
    for (path, certificates) in &files {
        store.add_certificates(path.as_str(), certificates);
    }
    let verdict = judge(&store, &shown.chain, &endpoint.host, at);
    Cell {
        client: who.name(),
        accepted: Some(verdict.accepted),
        through: verdict.decided_by,
        error: verdict.error,
        why: verdict.why,
    }
}

impl Matrix {
    /// Whether any client refuses any endpoint.
    pub fn has_refusal(&self) -> bool {
        self.cells().any(|cell| cell.accepted == Some(false))
    }

    /// Whether something could not be told, or there is nothing to tell.
    pub fn is_incomplete(&self) -> bool {
        self.rows.is_empty()
            || self.rows.iter().any(|row| row.obstacle.is_some())
            || self.cells().any(|cell| cell.accepted.is_none())
    }

    fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.rows.iter().flat_map(|row| &row.clients)
    }
}
