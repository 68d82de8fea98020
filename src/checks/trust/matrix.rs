//! The trust matrix: which client on this host accepts which endpoint, through which file, and why
//! others refuse.

pub(super) mod clients;

use futures::future::join_all;
use jiff::Timestamp;
use serde::Serialize;

use self::clients::{Equipped, Known, Present, Who};
use super::runner::refused as refused_by_runner;
use super::shown::{Shown, shown};
use super::system::by_system;
use crate::checks::{Cause, Finding, Stop, Verdict, check, docs};
use crate::host::system::Now;
use crate::host::{Host, Unknown};
use crate::install::{self, Endpoint};
use crate::parse::certificate::Certificate;
use crate::trust::judge;

check! {
    /// Every client on this host comes to the same verdict on each endpoint.
    ///
    /// ## Why it matters
    ///
    /// Docker, the runner, git and GitLab's own programs read different stores by different rules.
    /// "It works with curl" proves nothing for Docker, and a certificate that only some of them
    /// accept fails where nobody looked.
    ///
    /// ## What is looked at
    ///
    /// The certificates of GitLab, the registry and the runners' servers, and for every client that
    /// is on this host the files that it trusts. `gldoctor trust` prints the whole table.
    ///
    /// ## How to fix it
    ///
    /// Give the clients that refuse the file that the others accept through: the checks
    /// `trust/docker`, `trust/runner` and `trust/system` say where each reads it.
    "trust/matrix": "every client of every endpoint agrees"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let matrix = matrix(host, &[]).await?;
    if matrix.rows.iter().all(|row| row.obstacle.is_some()) {
        return Err(Stop::not_applicable("no certificate of an endpoint can be seen from here"));
    }
    let mut verdict = Verdict::default();
    verdict.add(matrix.rows.iter().filter_map(disagreement));
    for row in &matrix.rows {
        for cell in row.of_its_clients().filter(|cell| cell.is_untold()) {
            let why = Unknown::Unreadable(cell.why.clone());
            verdict.untold(format!("what {} says of {}", cell.client, row.endpoint), why);
        }
    }
    Ok(verdict)
}

/// Some clients refuse, or all of them. What that breaks, the check of the refusing client says.
fn disagreement(row: &Row) -> Option<Finding> {
    let who = |accepts: bool| -> Vec<&str> {
        let cells = row.of_its_clients().filter(|cell| cell.accepted == Some(accepts));
        cells.map(|cell| cell.client).collect()
    };
    let (accept, refuse) = (who(true), who(false));
    let (code, message) = match (accept.join(", "), refuse.join(", ")) {
        (_, refuse) if refuse.is_empty() => return None,
        (accept, refuse) if accept.is_empty() => {
            ("all-refuse", format!("its certificate is refused by every client here: {refuse}"))
        }
        (accept, refuse) => (
            "clients-disagree",
            format!("its certificate is accepted by {accept}, but refused by {refuse}"),
        ),
    };
    let finding = Finding::notice(code, &row.endpoint, message).docs(docs::SSL_TROUBLE);
    let finding = row.of_its_clients().fold(finding, |finding, cell| {
        let verdict = match cell.accepted {
            Some(true) => "accepts",
            Some(false) => "refuses",
            None => "cannot be told",
        };
        finding.seen(cell.client, format!("{verdict}: {}", cell.why))
    });
    let finding = match &row.leaf {
        Some(leaf) => finding
            .follows(Cause::Certificate(leaf.clone()))
            .follows(Cause::Authority(leaf.clone())),
        None => finding,
    };
    let finding = row.told_elsewhere().into_iter().fold(finding, Finding::follows);
    Some(finding.remedy("Look at the whole table.", ["gldoctor trust"]))
}

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
    /// The SHA-256 of its own certificate.
    #[serde(skip)]
    pub(crate) leaf: Option<String>,
    /// The endpoint itself.
    #[serde(skip)]
    pub(crate) server: Endpoint,
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
    /// Whether it verifies this endpoint at all; if not, there is no verdict to tell.
    pub verifies: bool,
    /// Whether its settings let it connect there at all. Where not, it is told what it would say,
    /// and nothing is wrong with that.
    #[serde(skip)]
    pub(crate) connects: bool,
}

/// What all cells have in common.
struct Ground {
    clients: Vec<Present>,
    known: Known,
    at: Timestamp,
}

/// Judges endpoints, or those that are configured here if none is given.
pub async fn matrix(host: &Host, endpoints: &[Endpoint]) -> Result<Matrix, Unknown> {
    let configured;
    let endpoints = if endpoints.is_empty() {
        configured = configured_endpoints(host).await?;
        &configured
    } else {
        endpoints
    };
    let ground = Ground {
        clients: clients::present(host).await?,
        known: Known::on(host).await?,
        at: host.ask(Now).await?,
    };
    // All endpoints at once: the table costs the slowest of them, not their sum.
    let rows = endpoints.iter().map(|endpoint| rows(host, endpoint, &ground));
    let rows = join_all(rows).await.into_iter().flatten().collect();
    Ok(Matrix { version: 1, at: ground.at, rows })
}

/// A row for each chain that an endpoint shows, or one that says why there is none.
async fn rows(host: &Host, endpoint: &Endpoint, ground: &Ground) -> Vec<Row> {
    let obstacle = match shown(host, endpoint).await {
        Ok(chains) if chains.is_empty() => "it shows no certificate".to_owned(),
        Ok(chains) => {
            let rows = chains.iter().map(|shown| row(host, endpoint, shown, ground));
            return join_all(rows).await;
        }
        Err(Stop::NotApplicable(why)) => why,
        Err(Stop::Unknown(why)) => why.to_string(),
    };
    vec![Row {
        endpoint: endpoint.to_string(),
        seen: None,
        obstacle: Some(obstacle),
        clients: Vec::new(),
        leaf: None,
        server: endpoint.clone(),
    }]
}

async fn row(host: &Host, endpoint: &Endpoint, shown: &Shown, ground: &Ground) -> Row {
    let leaf = shown.chain.first().and_then(|der| Certificate::from_der(der).ok());
    let cells = ground.clients.iter().map(|client| cell(host, client, endpoint, shown, ground));
    Row {
        endpoint: endpoint.to_string(),
        seen: Some(shown.place.clone()),
        obstacle: None,
        clients: join_all(cells).await,
        leaf: leaf.map(|leaf| leaf.fingerprint),
        server: endpoint.clone(),
    }
}

/// The https endpoints that this host knows: GitLab, the registry, and those of its runners.
async fn configured_endpoints(host: &Host) -> Result<Vec<Endpoint>, Unknown> {
    let mut endpoints = Vec::new();
    let gitlab = install::gitlab::external_url(host).await?.map(|url| url.value);
    let registry = install::registry::external(host).await?.map(|url| url.value);
    endpoints.extend(gitlab);
    if let Some(registry) = registry {
        endpoints.push(registry);
    } else {
        let folders = install::docker::registry_folders(host).await?;
        let endpoint = |name: &str| Endpoint::parse(&format!("https://{name}")).ok();
        endpoints.extend(folders.iter().filter_map(|folder| endpoint(&folder.name)));
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

async fn cell(
    host: &Host,
    client: &Present,
    endpoint: &Endpoint,
    shown: &Shown,
    ground: &Ground,
) -> Cell {
    let connects = client.connects_to(endpoint);
    let untold = |verifies: bool, why: String| Cell {
        client: client.who.name(),
        accepted: None,
        through: None,
        error: None,
        why,
        verifies,
        connects,
    };
    let Equipped { store, unverified } = match client.equip(host, &ground.known, endpoint).await {
        Ok(equipped) => equipped,
        Err(why) => return untold(true, why.to_string()),
    };
    if let Some(why) = unverified {
        return untold(false, format!("it verifies nothing there, because {why}"));
    }
    let verdict = judge(&store, &shown.chain, &endpoint.host, ground.at);
    Cell {
        client: client.who.name(),
        accepted: Some(verdict.accepted),
        through: verdict.decided_by,
        error: verdict.error,
        why: verdict.why,
        verifies: true,
        connects,
    }
}

impl Row {
    /// What those say that have to do with the endpoint.
    fn of_its_clients(&self) -> impl Iterator<Item = &Cell> {
        self.clients.iter().filter(|cell| cell.connects)
    }

    /// What explains the refusals here, where other checks tell every one of them.
    fn told_elsewhere(&self) -> Vec<Cause> {
        let refusing = self.of_its_clients().filter(|cell| cell.accepted == Some(false));
        let cause = |cell: &Cell| match cell.client {
            it if it == Who::Curl.name() => Some(by_system(&self.server)),
            it if it == Who::Runner.name() => Some(refused_by_runner(&self.server)),
            _ => None,
        };
        refusing.map(cause).collect::<Option<_>>().unwrap_or_default()
    }
}

impl Cell {
    /// Whether there is a verdict that could not be told.
    fn is_untold(&self) -> bool {
        self.accepted.is_none() && self.verifies
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
            || self.cells().any(Cell::is_untold)
    }

    fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.rows.iter().flat_map(|row| &row.clients)
    }
}

#[test]
fn refusals_that_other_checks_tell_have_their_cause_there() {
    let server = Endpoint::parse("https://git.test:5050").ok();
    let row = |refusing: &[Who]| {
        let cell = |who: Who, accepted| Cell {
            client: who.name(),
            accepted: Some(accepted),
            through: None,
            error: None,
            why: String::new(),
            verifies: true,
            connects: true,
        };
        let refusing = refusing.iter().map(|who| cell(*who, false));
        Row {
            endpoint: String::new(),
            seen: None,
            obstacle: None,
            clients: refusing.chain([cell(Who::Registry, true)]).collect(),
            leaf: None,
            server: server.clone().unwrap(),
        }
    };
    let causes = |refusing: &[Who]| row(refusing).told_elsewhere();
    assert_eq!(causes(&[Who::Curl]), [by_system(&row(&[]).server)]);
    assert_eq!(causes(&[Who::Curl, Who::Runner]).len(), 2);
    assert!(causes(&[Who::Curl, Who::Rails]).is_empty(), "nobody else tells of the second");
}
