//! Does Docker trust a registry without verifying it?

mod entries;
mod mirrors;

use std::net::IpAddr;

use self::entries::judge_entry;
use self::mirrors::judge_mirror;
use crate::checks::{Evidence, Finding, Stop, Verdict, check, docs};
use crate::host::{Host, Unknown};
use crate::install::docker::DAEMON_JSON;
use crate::install::{self, Endpoint};

check! {
    /// Docker verifies every registry that is not this host itself, and no mirror leads to the
    /// internet.
    ///
    /// ## Why it matters
    ///
    /// For a registry in `insecure-registries`, Docker verifies no certificate, and falls back to
    /// plain HTTP: whoever sits on the way reads passwords and replaces images. The entry also
    /// hides every fault of the certificate from this host, while all others meet it. A mirror on
    /// the internet, on a site without internet, lets each pull of a Docker Hub image wait.
    ///
    /// ## What is looked at
    ///
    /// `insecure-registries` and `registry-mirrors` in `/etc/docker/daemon.json`, held against the
    /// registry's address, and the addresses that its name resolves to. Entries for this host
    /// itself (`127.0.0.0/8`, `::1`, `localhost`) are Docker's own default. Flags on dockerd's
    /// command line are not looked at.
    ///
    /// ## How to fix it
    ///
    /// Let Docker trust the registry's certificate (`gldoctor explain trust/docker`), take the entry
    /// out of `daemon.json`, and run `systemctl reload docker`.
    "trust/docker-insecure": "Docker trusts no registry blindly"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    if install::docker::sign(host).await?.is_none() {
        return Err(Stop::not_applicable("no Docker daemon is on this host"));
    }
    // Without the file Docker has its defaults, which list this host alone.
    let Some(json) = install::docker::daemon_json(host).await? else {
        return Ok(Verdict::default());
    };
    let mut verdict = Verdict::default();
    let listed = &json.value.insecure_registries;
    if !listed.is_empty() {
        let registries = registries(host).await;
        let registries = verdict.told("the registry's address", registries).unwrap_or_default();
        let mut known = Vec::new();
        for registry in registries {
            known.push(Registry::known(host, registry, &mut verdict).await);
        }
        verdict.add(listed.iter().filter_map(|entry| judge_entry(entry, &known)));
    }
    for mirror in &json.value.registry_mirrors {
        let addresses = match Endpoint::parse(&mirror.value) {
            Ok(endpoint) => addresses(host, &endpoint.host, &mut verdict).await,
            Err(_) => Vec::new(),
        };
        verdict.add(judge_mirror(mirror, &addresses));
    }
    Ok(verdict)
}

/// A registry in use, as Docker compares it with the entries.
struct Registry {
    endpoint: Endpoint,
    /// What its image names start with.
    prefix: String,
    /// What its name resolves to, as far as that can be told.
    addresses: Vec<IpAddr>,
}

impl Registry {
    async fn known(host: &Host, endpoint: Endpoint, verdict: &mut Verdict) -> Self {
        let prefix = install::docker::image_prefix(host, &endpoint).await;
        let addresses = addresses(host, &endpoint.host, verdict).await;
        Self { prefix: prefix.unwrap_or_else(|_| endpoint.authority()), endpoint, addresses }
    }
}

/// The configured registry, or on a host that knows no GitLab those that somebody made a folder
/// for.
async fn registries(host: &Host) -> Result<Vec<Endpoint>, Unknown> {
    if let Some(registry) = install::registry::external(host).await? {
        return Ok(vec![registry.value]);
    }
    let folders = install::docker::registry_folders(host).await?;
    let endpoint = |name: &str| Endpoint::parse(&format!("https://{name}")).ok();
    Ok(folders.iter().filter_map(|folder| endpoint(&folder.name)).collect())
}

async fn addresses(host: &Host, name: &str, verdict: &mut Verdict) -> Vec<IpAddr> {
    let known = install::names::addresses_of(host, name).await;
    let known = verdict.told(&format!("the addresses of {name}"), known);
    known.into_iter().flatten().map(|(address, _)| address).collect()
}

/// An entry that makes the daemon refuse to start.
fn refused(key: &str, value: &str, line: Option<u32>, words: String) -> Finding {
    Finding::error(
        "entry-refused",
        DAEMON_JSON,
        format!("Docker refuses to start with '{value}' in {key}"),
    )
    .evidence(Evidence::new(key, value).at(DAEMON_JSON, line))
    .seen("Docker says", words)
    .docs(docs::REGISTRY_SELF_SIGNED)
}

/// The commands that end with Docker knowing the changed file.
fn edit() -> [String; 2] {
    [format!("sudoedit {DAEMON_JSON}"), "sudo systemctl reload docker".to_owned()]
}
