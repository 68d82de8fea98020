//! `gldoctor trust`: who accepts a chain of certificates.

use std::io::Read as _;

use anyhow::{Context as _, bail, ensure};
use camino::Utf8Path;
use jiff::Timestamp;
use serde::Serialize;

use super::args::{ShowFormat, TrustArgs};
use super::output::{print, width};
use super::runner::{block_on, machine};
use crate::checks::trust::matrix;
use crate::host::Host;
use crate::install::Endpoint;
use crate::report::matrix_text;
use crate::trust::{Client, Der, Store, judge, store};

/// The largest file that is read: as large as the largest store that a check reads.
const LIMIT: u64 = 64 << 20;

/// The exit code where a client refuses.
const REFUSED: u8 = 1;

/// The exit code where nobody refuses, but something could not be told.
const UNTOLD: u8 = 3;

/// What each client says of a chain; the shape that scripts rely on.
#[derive(Serialize)]
struct Answer<'a> {
    version: u8,
    name: &'a str,
    at: Timestamp,
    verdicts: Vec<ClientVerdict>,
}

#[derive(Serialize)]
struct ClientVerdict {
    client: &'static str,
    accepted: bool,
    /// The client's own words, if it refuses.
    error: Option<String>,
    why: String,
}

pub(super) fn trust(args: &TrustArgs) -> anyhow::Result<u8> {
    match &args.chain {
        Some(chain) => files_alone(args, chain),
        None if args.name.is_some() || !args.store.is_empty() => bail!("--chain FILE is missing"),
        None => on_this_host(args),
    }
}

/// The table of endpoints and clients.
fn on_this_host(args: &TrustArgs) -> anyhow::Result<u8> {
    let endpoint = |text: &String| {
        let url = if text.contains("://") { text.clone() } else { format!("https://{text}") };
        match Endpoint::parse(&url) {
            Ok(endpoint) if endpoint.https => Ok(endpoint.server()),
            Ok(_) => bail!("'{text}': without https there is no certificate"),
            Err(why) => bail!("'{text}': {why}"),
        }
    };
    let endpoints: Vec<_> = args.endpoints.iter().map(endpoint).collect::<anyhow::Result<_>>()?;
    let host = Host::live(machine(&args.look)?);
    let matrix = block_on(matrix(&host, &endpoints))?.map_err(anyhow::Error::msg)?;
    print(&match args.format {
        ShowFormat::Human => matrix_text(&matrix, width()),
        ShowFormat::Json => serde_json::to_string_pretty(&matrix)? + "\n",
    })?;
    Ok(match (matrix.has_refusal(), matrix.is_incomplete()) {
        (true, _) => REFUSED,
        (false, true) => UNTOLD,
        (false, false) => 0,
    })
}

/// What every client would say, judged by files and nothing else.
fn files_alone(args: &TrustArgs, chain: &Utf8Path) -> anyhow::Result<u8> {
    let name = args.name.as_deref().context("--name HOST is missing")?;
    let host = name.trim_matches(['[', ']']);
    ensure!(!host.is_empty(), "--name is empty");
    refuse_address(name)?;
    ensure!(!args.store.is_empty(), "--store FILE is missing (an empty file stands for no trust)");
    let chain = served(chain)?;
    let stores: Vec<_> = args
        .store
        .iter()
        .map(|path| read(path).map(|content| (path, content)))
        .collect::<anyhow::Result<_>>()?;
    let at = args.look.at.unwrap_or_else(now);
    let verdict = |client: Client| {
        let mut store = Store::new(client);
        for (path, content) in &stores {
            store.add_file(path.as_str(), content);
        }
        let verdict = judge(&store, &chain, host, at);
        ClientVerdict {
            client: client.name(),
            accepted: verdict.accepted,
            error: verdict.error,
            why: verdict.why,
        }
    };
    let verdicts: Vec<_> = Client::ALL.into_iter().map(verdict).collect();
    let refused = verdicts.iter().any(|verdict| !verdict.accepted);
    let answer = Answer { version: 1, name, at, verdicts };
    print(&(serde_json::to_string_pretty(&answer)? + "\n"))?;
    Ok(if refused { REFUSED } else { 0 })
}

/// No certificate is made out to a URL or a port: whoever gives one means the host in it, and would
/// take the refusal for one of the certificate.
fn refuse_address(name: &str) -> anyhow::Result<()> {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit());
    let is_with_port = match name.rsplit_once(':') {
        Some((host, port)) => is_port(port) && (!host.contains(':') || host.ends_with(']')),
        None => false,
    };
    ensure!(!name.contains("://"), "--name {name}: the host alone, without the URL around it");
    ensure!(!is_with_port, "--name {name}: the host alone, without the port");
    Ok(())
}

/// The chain in a file: PEM as it is served, or one certificate in DER.
fn served(path: &Utf8Path) -> anyhow::Result<Vec<Der>> {
    const SEQUENCE: u8 = 0x30;
    let content = read(path)?;
    let chain = store::served(&content);
    if chain.is_empty() && content.first() == Some(&SEQUENCE) {
        return Ok(vec![content]);
    }
    ensure!(!chain.is_empty(), "{path}: no certificate in it");
    Ok(chain)
}

#[expect(clippy::disallowed_methods, reason = "the user's own file is no evidence")]
fn read(path: &Utf8Path) -> anyhow::Result<Vec<u8>> {
    let file = std::fs::File::open(path).with_context(|| path.to_string())?;
    let mut content = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut content).with_context(|| path.to_string())?;
    ensure!(content.len() as u64 <= LIMIT, "{path}: larger than any store");
    Ok(content)
}

/// The clock of this machine, in whole seconds.
#[expect(clippy::disallowed_methods, reason = "files alone are judged, no host is asked")]
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::new(now.as_second(), 0).unwrap_or(now)
}

#[test]
fn a_name_is_neither_a_url_nor_followed_by_a_port() {
    for right in ["my-host.internal", "10.0.0.1", "fd00::1", "[fd00::1]", "*.x", "host."] {
        assert!(refuse_address(right).is_ok(), "{right}");
    }
    for wrong in ["https://my-host.internal", "my-host.internal:5050", "[fd00::1]:5050"] {
        assert!(refuse_address(wrong).is_err(), "{wrong}");
    }
}
