//! Does Docker trust a registry without verifying it?

mod entries;
mod mirrors;
mod place;

use std::net::IpAddr;

use self::entries::judge_entry;
use self::mirrors::judge_mirror;
pub(super) use self::place::change;
use crate::checks::{Stop, Verdict, check};
use crate::host::{Host, Unknown};
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
    /// `insecure-registries` and `registry-mirrors` in `/etc/docker/daemon.json`, and the flags
    /// `--insecure-registry` and `--registry-mirror` that dockerd is given: by `docker.service`, its
    /// drop-ins and the files of variables that they name, or on the command line of the daemon that
    /// runs. They are held against the registry's address, and the addresses that its name resolves
    /// to. Entries for this host itself (`127.0.0.0/8`, `::1`, `localhost`) are Docker's own default.
    ///
    /// ## How to fix it
    ///
    /// Let Docker trust the registry's certificate (`gldoctor explain trust/docker`), take the entry
    /// out of `daemon.json`, and run `systemctl reload docker`. A flag is taken out of the file that
    /// the finding names; then Docker has to be restarted.
    "trust/docker-insecure": "Docker trusts no registry blindly"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    if install::docker::sign(host).await?.is_none() {
        return Err(Stop::not_applicable("no Docker daemon is on this host"));
    }
    let settings = install::docker::settings(host).await?;
    let mut verdict = Verdict::default();
    let listed = settings.insecure_registries();
    if !listed.is_empty() {
        let registries = registries(host).await;
        let registries = verdict.told("the registry's address", registries).unwrap_or_default();
        let mut known = Vec::new();
        for registry in registries {
            known.push(Registry::known(host, registry, &mut verdict).await);
        }
        verdict.add(listed.iter().filter_map(|entry| judge_entry(entry, &known)));
    }
    for mirror in &settings.registry_mirrors() {
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
