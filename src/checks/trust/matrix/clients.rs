//! The clients on this host, and what each is given to trust an endpoint.

use std::fmt::Display;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use crate::checks::trust::system::links::is_hash_link;
use crate::host::files::{
    Directory, File, FileFacts, ReadFile, SystemTrust, TrustFile, TrustedFiles,
};
use crate::host::{Host, Unknown};
use crate::install::runner::Home;
use crate::install::{self, Endpoint, authorities};
use crate::parse::hosts_toml::HostsToml;
use crate::trust::{Client, Der, Store};

/// What the programs of the Linux package trust.
const EMBEDDED: &str = "/opt/gitlab/embedded/ssl/certs";

/// Where containerd looks, by registry.
const CONTAINERD: &str = "/etc/containerd/certs.d";

/// The bundles of distributions, as curl is built to read one of them.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// A client, as a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checks::trust) enum Who {
    Docker,
    Podman,
    Containerd,
    Runner,
    Curl,
    Rails,
    Registry,
}

/// What a client is given for an endpoint.
pub(in crate::checks::trust) struct Equipped {
    pub(in crate::checks::trust) store: Arc<Store>,
    /// Why it verifies nothing there, if it does not.
    pub(in crate::checks::trust) unverified: Option<String>,
}

/// A client on this host, and what it trusts wherever it connects to, read once for all endpoints.
pub(in crate::checks::trust) struct Present {
    pub(in crate::checks::trust) who: Who,
    everywhere: Result<Arc<Store>, Unknown>,
    /// All the servers that it connects to; `None` where it may connect to any.
    servers: Option<Vec<Endpoint>>,
}

/// The addresses that decide which folder of certificates is read.
pub(in crate::checks::trust) struct Known {
    gitlab: Option<Endpoint>,
    registry: Option<Endpoint>,
    /// What image names of the registry start with.
    prefix: Option<String>,
}

/// A file of certificates.
type Given = (Utf8PathBuf, Vec<Der>);

impl Who {
    pub(in crate::checks::trust) fn name(self) -> &'static str {
        match self {
            Self::Docker => "Docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::Runner => "runner",
            Self::Curl => "git/curl",
            Self::Rails => "Rails",
            Self::Registry => "registry",
        }
    }

    fn client(self) -> Client {
        match self {
            Self::Curl => Client::Curl,
            Self::Rails => Client::Ruby,
            _ => Client::Go,
        }
    }
}

/// The clients that are on this host. git and curl may be anywhere.
pub(in crate::checks::trust) async fn present(host: &Host) -> Result<Vec<Present>, Unknown> {
    let any = async |paths: &[&str]| {
        for path in paths {
            if host.ask(FileFacts::of(*path)).await?.is_some() {
                return Ok(true);
            }
        }
        Ok::<_, Unknown>(false)
    };
    let package = any(&[EMBEDDED]).await?;
    let found = [
        (Who::Docker, install::docker::sign(host).await?.is_some()),
        (Who::Podman, any(&["/usr/bin/podman", "/usr/bin/skopeo"]).await?),
        (Who::Containerd, any(&[CONTAINERD]).await?),
        (Who::Runner, install::runner::config(host).await?.is_some()),
        (Who::Curl, true),
        (Who::Rails, package),
        (Who::Registry, package && install::registry::config(host).await?.is_some()),
    ];
    let mut clients = Vec::new();
    for who in found.into_iter().filter(|(_, is_here)| *is_here).map(|(who, _)| who) {
        clients.push(Present::of(host, who).await);
    }
    Ok(clients)
}

/// What a program in Go is given that reads the system's store and nothing else.
pub(in crate::checks::trust) async fn system_alone(host: &Host) -> Result<Equipped, Unknown> {
    let files = of_system(&host.ask(SystemTrust).await?);
    Ok(Equipped { store: store(Client::Go, &files), unverified: None })
}

fn store(client: Client, files: &[Given]) -> Arc<Store> {
    let mut store = Store::new(client);
    for (path, certificates) in files {
        store.add_certificates(path.as_str(), certificates);
    }
    Arc::new(store)
}

/// What a client trusts wherever it connects to.
async fn everywhere(host: &Host, who: Who) -> Result<Vec<Given>, Unknown> {
    let system = async || Ok::<_, Unknown>(of_system(&host.ask(SystemTrust).await?));
    Ok(match who {
        Who::Docker => of_system(&install::go_store(host, install::DOCKER_UNIT).await?),
        Who::Podman | Who::Containerd => system().await?,
        Who::Runner => system_of_runner(host).await?,
        Who::Curl => bundle(host).await?,
        Who::Rails => embedded(host, true).await?,
        Who::Registry => {
            // SSL_CERT_DIR takes the place of the system's folders, not of its bundle.
            let mut files = system().await?;
            files.retain(|(path, _)| BUNDLES.contains(&path.as_str()));
            files.extend(embedded(host, false).await?);
            files
        }
    })
}

impl Present {
    /// A client, whether or not it is on this host.
    pub(in crate::checks::trust) async fn of(host: &Host, who: Who) -> Self {
        let everywhere = everywhere(host, who).await;
        let servers = match who {
            Who::Runner => servers_of_runner(host).await,
            _ => None,
        };
        Self { who, everywhere: everywhere.map(|files| store(who.client(), &files)), servers }
    }

    /// Whether the client ever connects there, as far as its settings tell.
    pub(in crate::checks::trust) fn connects_to(&self, endpoint: &Endpoint) -> bool {
        let is_one = |servers: &Vec<Endpoint>| servers.iter().any(|it| it.is_server(endpoint));
        self.servers.as_ref().is_none_or(is_one)
    }

    /// What the client is given wherever it connects to.
    pub(in crate::checks::trust) fn alone(self) -> Result<Equipped, Unknown> {
        Ok(Equipped { store: self.everywhere?, unverified: None })
    }

    /// What the client is given for an endpoint.
    pub(in crate::checks::trust) async fn equip(
        &self,
        host: &Host,
        known: &Known,
        endpoint: &Endpoint,
    ) -> Result<Equipped, Unknown> {
        let (files, unverified) = match self.who {
            Who::Docker => {
                let (registry, name) = known.registry_for(endpoint);
                let folder = Utf8Path::new(install::docker::CERTS_D).join(name);
                let unverified = install::docker::unverified(host, registry).await?;
                (crt_files(host, &folder).await?, unverified.map(in_words))
            }
            Who::Podman => {
                let (_, name) = known.registry_for(endpoint);
                (podman_files(host, &name).await?, None)
            }
            Who::Containerd => containerd(host, endpoint).await?,
            Who::Runner => (runner_files(host, endpoint).await?, None),
            Who::Curl | Who::Rails | Who::Registry => (Vec::new(), None),
        };
        let everywhere = self.everywhere.clone()?;
        if files.is_empty() {
            return Ok(Equipped { store: everywhere, unverified });
        }
        let mut store = Store::on(&everywhere);
        for (path, certificates) in &files {
            store.add_certificates(path.as_str(), certificates);
        }
        Ok(Equipped { store: Arc::new(store), unverified })
    }
}

impl Known {
    pub(in crate::checks::trust) async fn on(host: &Host) -> Result<Self, Unknown> {
        let gitlab = install::gitlab::external_url(host).await?.map(|url| url.value);
        let registry = install::registry::external(host).await?.map(|url| url.value);
        let prefix = match &registry {
            Some(registry) => Some(install::docker::image_prefix(host, registry).await?),
            None => None,
        };
        Ok(Self { gitlab, registry, prefix })
    }

    /// The registry with whose folder an endpoint is verified, and the name of that. GitLab is
    /// reached with the folder of the registry for which it issues tokens.
    fn registry_for<'a>(&'a self, endpoint: &'a Endpoint) -> (&'a Endpoint, String) {
        let is_gitlab = self.gitlab.as_ref().is_some_and(|gitlab| gitlab.is_server(endpoint));
        match (&self.registry, &self.prefix) {
            (Some(registry), Some(prefix)) if is_gitlab || registry == endpoint => {
                (registry, prefix.clone())
            }
            _ => (endpoint, endpoint.authority()),
        }
    }
}

fn in_words(why: impl Display) -> String {
    why.to_string()
}

/// podman takes the first folder that exists.
async fn podman_files(host: &Host, name: &str) -> Result<Vec<Given>, Unknown> {
    for place in ["/etc/containers/certs.d", install::docker::CERTS_D] {
        let folder = Utf8Path::new(place).join(name);
        if host.ask(FileFacts::of(folder.clone())).await?.is_some() {
            return crt_files(host, &folder).await;
        }
    }
    Ok(Vec::new())
}

/// containerd takes the first folder that exists, and in it `hosts.toml` rather than `*.crt`.
async fn containerd(
    host: &Host,
    endpoint: &Endpoint,
) -> Result<(Vec<Given>, Option<String>), Unknown> {
    let name = endpoint.authority();
    let escaped = format!("{}_", name.replace(':', "_"));
    for name in [escaped, name, "_default".to_owned()] {
        let folder = Utf8Path::new(CONTAINERD).join(name);
        if host.ask(FileFacts::of(folder.clone())).await?.is_none() {
            continue;
        }
        let path = folder.join("hosts.toml");
        let (files, skips) = match host.ask(ReadFile::<HostsToml>::at(path.clone())).await? {
            File::Missing => (crt_files(host, &folder).await?, false),
            File::Read(toml) => {
                let url = endpoint.to_string();
                let own =
                    toml.hosts.iter().find(|it| it.host == url || it.host == endpoint.authority());
                let settings = own.map_or(&toml.top, |own| &own.settings);
                let mut files = Vec::new();
                for ca in &settings.ca {
                    files.extend(one(host, &folder.join(&ca.value)).await?);
                }
                (files, settings.skip_verify.as_ref().is_some_and(|skip| skip.value))
            }
            other => return Err(other.unknown(&path)),
        };
        let unverified = skips.then(|| format!("{path} sets skip_verify"));
        return Ok((files, unverified));
    }
    Ok((Vec::new(), None))
}

async fn runner_files(host: &Host, endpoint: &Endpoint) -> Result<Vec<Given>, Unknown> {
    let Some(config) = install::runner::config(host).await? else { return Ok(Vec::new()) };
    let file = crate::checks::trust::runner::file_for(&config, endpoint);
    let mut files = one(host, &file).await?;
    if install::runner::home(host, &config).await? != Home::System {
        files.extend(one(host, &config.certs().join("ca.crt")).await?);
    }
    Ok(files)
}

/// The runner talks to GitLab and lets git clone from there. Images are Docker's business.
async fn servers_of_runner(host: &Host) -> Option<Vec<Endpoint>> {
    let config = install::runner::config(host).await.ok().flatten()?;
    let urls = config.toml.runners.iter().flat_map(|it| [it.url.as_ref(), it.clone_url.as_ref()]);
    Some(urls.flatten().filter_map(|url| Endpoint::parse(&url.value).ok()).collect())
}

/// What the system that the runner runs on trusts.
async fn system_of_runner(host: &Host) -> Result<Vec<Given>, Unknown> {
    let Some(config) = install::runner::config(host).await? else { return Ok(Vec::new()) };
    let home = install::runner::home(host, &config).await?;
    if home == Home::System {
        return Ok(of_system(&install::go_store(host, install::RUNNER_UNIT).await?));
    }
    let mut system = of_system(&host.ask(SystemTrust).await?);
    if home == Home::Image {
        let added = authorities::added_to_system(host).await;
        for (_, certificates) in &mut system {
            certificates
                .retain(|der| !added.iter().any(|(_, file)| file.all().any(|it| it == der)));
        }
    }
    Ok(system)
}

/// The bundle that curl reads.
async fn bundle(host: &Host) -> Result<Vec<Given>, Unknown> {
    for path in BUNDLES {
        if let File::Read(file) = host.ask(ReadFile::<TrustFile>::at(path)).await? {
            return Ok(vec![(path.into(), file.for_openssl())]);
        }
    }
    Ok(Vec::new())
}

/// What lies in the package's own folder: OpenSSL looks only at `cacert.pem` and hash links, Go at
/// every file.
async fn embedded(host: &Host, openssl: bool) -> Result<Vec<Given>, Unknown> {
    let folder = Utf8Path::new(EMBEDDED);
    let listing = host.ask(Directory::at(folder)).await?;
    let mut files = Vec::new();
    let seen = |name: &&str| !openssl || *name == "cacert.pem" || is_hash_link(name);
    for name in listing.names().filter(seen) {
        let path = folder.join(name);
        if let File::Read(file) = host.ask(ReadFile::<TrustFile>::at(path.clone())).await? {
            files.push((path, if openssl { file.for_openssl() } else { file.for_go() }));
        }
    }
    Ok(files)
}

/// The `*.crt` files of a folder, as Go reads them.
async fn crt_files(host: &Host, folder: &Utf8Path) -> Result<Vec<Given>, Unknown> {
    let listing = host.ask(Directory::at(folder)).await?;
    let mut files = Vec::new();
    for name in listing.names().filter(|name| name.strip_suffix(".crt").is_some()) {
        files.extend(one(host, &folder.join(name)).await?);
    }
    Ok(files)
}

/// A file as Go reads it, if it is there.
async fn one(host: &Host, path: &Utf8Path) -> Result<Vec<Given>, Unknown> {
    let file = host.ask(ReadFile::<TrustFile>::at(path)).await?;
    Ok(file.read().map(|file| (path.to_owned(), file.for_go())).into_iter().collect())
}

fn of_system(system: &TrustedFiles) -> Vec<Given> {
    system.files.iter().map(|file| (file.path.clone(), file.certificates.clone())).collect()
}
