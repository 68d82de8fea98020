//! Does Docker trust a registry without verifying it?

mod containerd;
mod entries;
mod mirrors;
mod place;
mod podman;

use std::net::IpAddr;

use self::entries::judge_entry;
use self::mirrors::judge_mirror;
pub(super) use self::place::change;
use crate::checks::{Stop, Verdict, check};
use crate::host::{Host, Unknown};
use crate::install::docker::Settings;
use crate::install::{self, Endpoint};

check! {
    /// Docker, podman and containerd verify every registry that is not this host itself, and no
    /// mirror of Docker's leads to the internet.
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
    /// Where podman, skopeo, buildah or CRI-O is installed: `insecure = true` in
    /// `/etc/containers/registries.conf` and in the files of `registries.conf.d`, and in those below
    /// `.config/containers` of every account. The last entry for a prefix counts, and of several
    /// prefixes the longest.
    ///
    /// Of containerd: `skip_verify` in the `hosts.toml` of each registry, in the folders that
    /// `config_path` names, and the older `insecure_skip_verify` in `/etc/containerd/config.toml`.
    ///
    /// ## How to fix it
    ///
    /// Let Docker trust the registry's certificate (`gldoctor explain trust/docker`), take the entry
    /// out of `daemon.json`, and run `systemctl reload docker`. A flag is taken out of the file that
    /// the finding names; then Docker has to be restarted.
    "trust/docker-insecure": "no registry is trusted blindly"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let has_docker = install::docker::sign(host).await?.is_some();
    let programs = install::podman::programs(host).await?;
    let mut verdict = Verdict::default();
    let containerd = verdict.told("containerd's settings", containerd_of(host).await).flatten();
    if !has_docker && programs.is_empty() && containerd.is_none() && verdict.untold.is_empty() {
        return Err(Stop::not_applicable("no Docker, podman or containerd is set up on this host"));
    }
    let (mut listed, mut mirrors, mut settings) = (Vec::new(), Vec::new(), Vec::new());
    if has_docker {
        let daemon = verdict.told("Docker's settings", install::docker::settings(host).await);
        listed.extend(daemon.iter().flat_map(Settings::insecure_registries));
        mirrors.extend(daemon.iter().flat_map(Settings::registry_mirrors));
    }
    if !programs.is_empty() {
        let told = verdict.told("registries.conf", install::podman::settings(host).await);
        let (told, unread) = told.unwrap_or_default();
        settings.extend(told);
        for why in unread {
            verdict.untold("registries.conf", why);
        }
    }
    let containerd = containerd.filter(containerd::Told::skips);
    let is_any_insecure = settings.iter().any(|it| !it.insecure().is_empty());
    if !listed.is_empty() || is_any_insecure || containerd.is_some() {
        let known = known(host, &mut verdict).await;
        verdict.add(listed.iter().filter_map(|entry| judge_entry(entry, &known)));
        for settings in &settings {
            verdict.add(podman::judge(settings, &programs, &known));
        }
        verdict.add(containerd.iter().flat_map(|told| told.judge(&known)));
    }
    for mirror in &mirrors {
        let addresses = match Endpoint::parse(&mirror.value) {
            Ok(endpoint) => addresses(host, &endpoint.host, &mut verdict).await,
            Err(_) => Vec::new(),
        };
        verdict.add(judge_mirror(mirror, &addresses));
    }
    Ok(verdict)
}

/// What containerd is told; `None` where it is not set up.
async fn containerd_of(host: &Host) -> Result<Option<containerd::Told>, Unknown> {
    match install::containerd::is_set_up(host).await {
        Ok(true) => {
            let registries = install::containerd::registries(host).await?;
            Ok(Some(containerd::told(host, registries).await?))
        }
        // Recordings from before this was asked.
        Ok(false) | Err(Unknown::NotRecorded) => Ok(None),
        Err(why) => Err(why),
    }
}

/// The registries in use, with all that entries are held against.
async fn known(host: &Host, verdict: &mut Verdict) -> Vec<Registry> {
    let registries = verdict.told("the registry's address", registries(host).await);
    let mut known = Vec::new();
    for registry in registries.unwrap_or_default() {
        known.push(Registry::known(host, registry, verdict).await);
    }
    known
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
