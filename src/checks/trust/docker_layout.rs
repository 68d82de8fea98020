//! Do the folders of `certs.d` name the registries in use?

mod contents;
mod name;

use camino::Utf8PathBuf;

use self::contents::{UNREAD, judge_contents};
use self::name::Names;
use super::docker::accepted_without_folder;
use crate::checks::reach::{Reach, reach};
use crate::checks::{Finding, Severity, Stop, Verdict, check};
use crate::host::files::{Directory, Entry, Kind, Listing, PodmanHome};
use crate::host::network::Response;
use crate::host::system::System;
use crate::host::{Host, Unknown};
use crate::install::docker::CERTS_D;
use crate::install::{self, Endpoint};

check! {
    /// The folders in Docker's `certs.d` are named after the registries in use, and their files
    /// have endings that Docker reads.
    ///
    /// ## Why it matters
    ///
    /// Docker looks for a folder with exactly the host and port that stand in the image name, and
    /// says nothing when there is none. The offline guide itself makes a folder for port 5000, on
    /// which the registry listens behind nginx and which no image name carries.
    ///
    /// ## What is looked at
    ///
    /// The names in `/etc/docker/certs.d`, in `/etc/containers/certs.d` (podman, skopeo) and in
    /// `.config/containers/certs.d` of every account, and in the folders that `config_path` in
    /// containerd's `config.toml` names, or else `/etc/containerd/certs.d`; the names of the files
    /// in them, the registry's address, and whether a registry answers where a folder of another
    /// name points.
    ///
    /// ## How to fix it
    ///
    /// Rename the folder to the host and port of your image names, and the certificate in it to
    /// `ca.crt`. Docker reads the folder at each request: nothing has to be restarted.
    "trust/docker-layout": "certs.d folders name the registries in use"
}

/// A folder in which clients look for certificates by registry.
struct Place {
    folder: Utf8PathBuf,
    /// Who looks there.
    client: String,
    /// Whether containerd's own rules hold.
    containerd: bool,
    /// Where else the same client looks.
    also: Vec<Utf8PathBuf>,
}

/// podman's folder for everybody.
const CONTAINERS: &str = "/etc/containers/certs.d";

impl Place {
    fn docker() -> Self {
        let client = "Docker".to_owned();
        Self { folder: CERTS_D.into(), client, containerd: false, also: Vec::new() }
    }

    /// podman's, everybody's or that of a user.
    fn podman(user: Option<&PodmanHome>) -> Self {
        let (folder, client, also) = match user {
            None => (CONTAINERS.into(), "podman".to_owned(), vec![CERTS_D.into()]),
            Some(PodmanHome { user, folder }) => (
                folder.join("certs.d"),
                format!("podman of {user}"),
                vec![CONTAINERS.into(), CERTS_D.into()],
            ),
        };
        Self { folder, client, containerd: false, also }
    }

    fn containerd(folder: Utf8PathBuf, also: Vec<Utf8PathBuf>) -> Self {
        Self { folder, client: "containerd".to_owned(), containerd: true, also }
    }
}

/// The folders in which clients on this host look.
async fn places(host: &Host) -> Result<Vec<Place>, Unknown> {
    let mut places = vec![Place::docker(), Place::podman(None)];
    let homes = install::podman::homes(host).await?;
    places.extend(homes.iter().map(|home| Place::podman(Some(home))));
    let folders = install::containerd::registries(host).await?.folders;
    let own = folders.iter().filter(|folder| *folder != CERTS_D);
    places.extend(own.map(|folder| Place::containerd(folder.clone(), folders.clone())));
    Ok(places)
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let mut verdict = Verdict::default();
    let mut seen = 0;
    let mut facts = None;
    let places = places(host).await?;
    for place in &places {
        let listing = host.ask(Directory::at(place.folder.clone())).await;
        let what = format!("the folders of {}", place.client);
        let Some(listing) = verdict.told(&what, listing) else {
            continue;
        };
        if listing.entries().is_empty() {
            continue;
        }
        seen += 1;
        if facts.is_none() {
            facts = Some(Facts::of(host, &places).await?);
        }
        let Some(facts) = &facts else { continue };
        let bare = facts.has_bare_folder(host, place).await;
        let names = Names::new(place, facts, &listing, bare);
        // How many were told to take the registry's name.
        let mut told = 0;
        for entry in listing.entries() {
            let in_use = facts.is_registry(host, &entry.name, names.suspects(entry)).await;
            if entry.kind == Kind::File {
                let judged = names.judge(entry, &[], told).filter(|_| !in_use);
                told += usize::from(judged.is_some());
                verdict.add(judged);
                continue;
            }
            let path = format!("{}/{}", place.folder, entry.name);
            let files = host.ask(Directory::at(path.clone())).await;
            let files = verdict.told(&what, files);
            let inside: Vec<_> = files.iter().flat_map(Listing::names).collect();
            let judged = names.judge(entry, &inside, told).filter(|_| !in_use);
            told += usize::from(judged.is_some());
            verdict.add(judged);
            let contents = judge_contents(place, &path, &inside);
            verdict.add(contents.into_iter().map(|it| facts.weighed(place, &entry.name, it)));
        }
    }
    if seen == 0 && verdict.untold.is_empty() {
        return Err(Stop::not_applicable(format!("there is no folder in {CERTS_D}")));
    }
    Ok(verdict)
}

/// What the folders are held against.
struct Facts {
    registry: Option<Endpoint>,
    /// What image names of the registry start with.
    right: Option<String>,
    /// The names that this host or its GitLab goes by, in lower case.
    own: Vec<String>,
    /// The port on which the registry listens, in plain HTTP, behind nginx.
    inner: Option<u16>,
    /// Whether Docker accepts the registry without any folder; `None` if that cannot be seen.
    accepted: Option<bool>,
    /// The places in which the registry's folder lies.
    holding: Vec<Utf8PathBuf>,
}

impl Facts {
    async fn of(host: &Host, places: &[Place]) -> Result<Self, Unknown> {
        let registry = install::registry::external(host).await?.map(|it| it.value);
        let (right, accepted) = match &registry {
            Some(registry) => (
                Some(install::docker::image_prefix(host, registry).await?),
                accepted_without_folder(host, registry).await.unwrap_or(None),
            ),
            None => (None, None),
        };
        let mut holding = Vec::new();
        for place in places {
            let is =
                |entry: &Entry| Some(&entry.name) == right.as_ref() && entry.kind != Kind::File;
            let listing = host.ask(Directory::at(place.folder.clone())).await;
            if listing.is_ok_and(|it| it.entries().iter().any(is)) {
                holding.push(place.folder.clone());
            }
        }
        Ok(Self {
            own: own_names(host, registry.as_ref()).await?,
            inner: inner_port(host, registry.as_ref()).await?,
            holding,
            registry,
            right,
            accepted,
        })
    }

    /// Whether the registry's folder is there, but nothing is in it.
    async fn has_bare_folder(&self, host: &Host, place: &Place) -> bool {
        let Some(right) = &self.right else { return false };
        let listing = host.ask(Directory::at(format!("{}/{right}", place.folder))).await;
        listing
            .is_ok_and(|it| matches!(&it, Listing::Entries { entries, .. } if entries.is_empty()))
    }

    /// A certificate that nobody reads is what Docker refuses the registry for, unless the store of
    /// the operating system carries the trust.
    fn weighed(&self, place: &Place, folder: &str, finding: Finding) -> Finding {
        let needed = place.client == "Docker"
            && self.right.as_deref() == Some(folder)
            && self.accepted != Some(true);
        if needed && finding.code == UNREAD {
            Finding { severity: Severity::Error, ..finding }
        } else {
            finding
        }
    }

    /// Whether a registry answers where a folder that is suspected of a wrong name points: then
    /// it is that one's, whatever else is known.
    async fn is_registry(&self, host: &Host, name: &str, suspected: bool) -> bool {
        let Some(endpoint) = Endpoint::parse(&format!("https://{name}")).ok() else { return false };
        // An address may be spelled in several ways, and the right registry answers to all.
        let right = self.registry.as_ref().is_some_and(|it| it.is_server(&endpoint));
        if !suspected || right {
            return false;
        }
        match reach(host, &endpoint, "/v2/").await {
            Ok(Reach::Ways(ways)) => {
                ways.iter().filter_map(|way| way.response()).any(speaks_for_a_registry)
            }
            Ok(Reach::NoName(_)) | Err(_) => false,
        }
    }
}

fn speaks_for_a_registry(response: &Response) -> bool {
    response.field("docker-distribution-api-version").is_some()
        || response.all("www-authenticate").any(|it| it.contains("service=\""))
}

/// The names that this host goes by: its own, GitLab's and the registry's.
async fn own_names(host: &Host, registry: Option<&Endpoint>) -> Result<Vec<String>, Unknown> {
    let mut names = vec![host.ask(System).await?.name.to_ascii_lowercase()];
    names.extend(install::gitlab::external_url(host).await?.map(|url| url.value.host));
    names.extend(registry.map(|registry| registry.host.clone()));
    names.extend(gitlab_of_runners(host).await);
    names.sort();
    names.dedup();
    Ok(names)
}

/// On a host that knows GitLab only through its runners. What cannot be read is no name here.
async fn gitlab_of_runners(host: &Host) -> Vec<String> {
    let Ok(Some(config)) = install::runner::config(host).await else { return Vec::new() };
    let urls = config.toml.runners.iter().filter_map(|runner| runner.url.as_ref());
    urls.filter_map(|url| Endpoint::parse(&url.value).ok()).map(|url| url.host).collect()
}

/// The port of the registry behind nginx: as it is configured here, or on a host without any
/// registry the one that it has unless somebody changes it.
async fn inner_port(host: &Host, registry: Option<&Endpoint>) -> Result<Option<u16>, Unknown> {
    const USUAL: u16 = 5000;
    let inner = install::registry::internal(host).await?.map(|it| it.value);
    let port = match inner {
        // It speaks TLS itself, so that is where clients reach it.
        Some(inner) if inner.https => return Ok(None),
        Some(inner) => inner.port,
        None => USUAL,
    };
    Ok(Some(port).filter(|port| registry.is_none_or(|registry| registry.port != *port)))
}
