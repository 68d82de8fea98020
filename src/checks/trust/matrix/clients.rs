//! The clients on this host, and what each is given to trust an endpoint.

use std::fmt::Display;

use camino::{Utf8Path, Utf8PathBuf};

use crate::host::files::{
    Directory, File, FileFacts, ReadFile, SystemTrust, TrustFile, TrustedFiles,
};
use crate::host::{Host, Unknown};
use crate::install::runner::Home;
use crate::install::{self, Endpoint, authorities};
use crate::parse::hosts_toml::HostsToml;
use crate::trust::{Client, Der};

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
    pub(in crate::checks::trust) client: Client,
    pub(in crate::checks::trust) files: Vec<(Utf8PathBuf, Vec<Der>)>,
    /// Why it verifies nothing there, if it does not.
    pub(in crate::checks::trust) unverified: Option<String>,
}

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
}

/// The clients that are on this host. git and curl may be anywhere.
pub(in crate::checks::trust) async fn present(host: &Host) -> Result<Vec<Who>, Unknown> {
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
    Ok(found.into_iter().filter(|(_, is_here)| *is_here).map(|(who, _)| who).collect())
}

/// What a client is given for an endpoint.
pub(in crate::checks::trust) async fn equip(
    host: &Host,
    who: Who,
    endpoint: &Endpoint,
) -> Result<Equipped, Unknown> {
    let go = |files| Equipped { client: Client::Go, files, unverified: None };
    Ok(match who {
        Who::Docker => {
            let registry = registry_for(host, endpoint).await?;
            docker(host, &registry).await?
        }
        Who::Podman => {
            let registry = registry_for(host, endpoint).await?;
            podman(host, &registry).await?
        }
        Who::Containerd => containerd(host, endpoint).await?,
        Who::Runner => go(runner_files(host, endpoint).await?),
        Who::Curl => {
            Equipped { client: Client::Curl, files: bundle(host).await?, unverified: None }
        }
        Who::Rails => {
            Equipped { client: Client::Ruby, files: embedded(host, true).await?, unverified: None }
        }
        Who::Registry => {
            // SSL_CERT_DIR takes the place of the system's folders, not of its bundle.
            let system = host.ask(SystemTrust).await?;
            let mut files = of_system(&system);
            files.retain(|(path, _)| BUNDLES.contains(&path.as_str()));
            files.extend(embedded(host, false).await?);
            go(files)
        }
    })
}

/// Docker, for all that a registry leads it to.
pub(super) async fn docker(host: &Host, registry: &Endpoint) -> Result<Equipped, Unknown> {
    let name = install::docker::image_prefix(host, registry).await?;
    let folder = Utf8Path::new(install::docker::CERTS_D).join(name);
    let mut files = crt_files(host, &folder).await?;
    files.extend(of_system(&install::go_store(host, install::DOCKER_UNIT).await?));
    let unverified = install::docker::unverified(host, registry).await?.map(in_words);
    Ok(Equipped { client: Client::Go, files, unverified })
}

/// podman and skopeo, for all that a registry leads them to.
pub(super) async fn podman(host: &Host, registry: &Endpoint) -> Result<Equipped, Unknown> {
    let name = install::docker::image_prefix(host, registry).await?;
    let files = with_system(host, podman_files(host, &name).await?).await?;
    Ok(Equipped { client: Client::Go, files, unverified: None })
}

/// A registry that reads the system's store and nothing else.
pub(super) async fn own_registry(host: &Host) -> Result<Equipped, Unknown> {
    let files = with_system(host, Vec::new()).await?;
    Ok(Equipped { client: Client::Go, files, unverified: None })
}

fn in_words(why: impl Display) -> String {
    why.to_string()
}

/// GitLab is reached with the folder of the registry for which it issues tokens.
async fn registry_for(host: &Host, endpoint: &Endpoint) -> Result<Endpoint, Unknown> {
    let gitlab = install::gitlab::external_url(host).await?;
    let registry = install::registry::external(host).await?;
    Ok(match (gitlab, registry) {
        (Some(gitlab), Some(registry)) if gitlab.value.is_server(endpoint) => registry.value,
        _ => endpoint.clone(),
    })
}

/// podman takes the first folder that exists.
async fn podman_files(host: &Host, name: &str) -> Result<Vec<(Utf8PathBuf, Vec<Der>)>, Unknown> {
    for place in ["/etc/containers/certs.d", install::docker::CERTS_D] {
        let folder = Utf8Path::new(place).join(name);
        if host.ask(FileFacts::of(folder.clone())).await?.is_some() {
            return crt_files(host, &folder).await;
        }
    }
    Ok(Vec::new())
}

/// containerd takes the first folder that exists, and in it `hosts.toml` rather than `*.crt`.
async fn containerd(host: &Host, endpoint: &Endpoint) -> Result<Equipped, Unknown> {
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
            other => {
                let why = other.obstacle().unwrap_or_default();
                return Err(Unknown::Unreadable(format!("{path}: {why}")));
            }
        };
        let unverified = skips.then(|| format!("{path} sets skip_verify"));
        let files = with_system(host, files).await?;
        return Ok(Equipped { client: Client::Go, files, unverified });
    }
    let files = with_system(host, Vec::new()).await?;
    Ok(Equipped { client: Client::Go, files, unverified: None })
}

async fn runner_files(
    host: &Host,
    endpoint: &Endpoint,
) -> Result<Vec<(Utf8PathBuf, Vec<Der>)>, Unknown> {
    let Some(config) = install::runner::config(host).await? else { return Ok(Vec::new()) };
    let file = crate::checks::trust::runner::file_for(&config, endpoint);
    let mut files = one(host, &file).await?;
    let home = install::runner::home(host, &config).await?;
    if home != Home::System {
        files.extend(one(host, &config.certs().join("ca.crt")).await?);
    }
    let system = match home {
        Home::System => install::go_store(host, install::RUNNER_UNIT).await?,
        Home::Image | Home::InsideImage => host.ask(SystemTrust).await?,
    };
    let mut system = of_system(&system);
    if home == Home::Image {
        let added = authorities::added_to_system(host).await;
        for (_, certificates) in &mut system {
            certificates
                .retain(|der| !added.iter().any(|(_, file)| file.all().any(|it| it == der)));
        }
    }
    files.extend(system);
    Ok(files)
}

/// The bundle that curl reads.
async fn bundle(host: &Host) -> Result<Vec<(Utf8PathBuf, Vec<Der>)>, Unknown> {
    for path in BUNDLES {
        if let File::Read(file) = host.ask(ReadFile::<TrustFile>::at(path)).await? {
            return Ok(vec![(path.into(), file.for_openssl())]);
        }
    }
    Ok(Vec::new())
}

/// What lies in the package's own folder: OpenSSL looks only at `cacert.pem` and hash links, Go at
/// every file.
async fn embedded(host: &Host, openssl: bool) -> Result<Vec<(Utf8PathBuf, Vec<Der>)>, Unknown> {
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

/// `1fe2a121.0`
fn is_hash_link(name: &str) -> bool {
    name.split_once('.').is_some_and(|(hash, number)| {
        hash.len() == 8
            && hash.bytes().all(|it| it.is_ascii_hexdigit())
            && !number.is_empty()
            && number.bytes().all(|it| it.is_ascii_digit())
    })
}

/// The `*.crt` files of a folder, as Go reads them.
async fn crt_files(
    host: &Host,
    folder: &Utf8Path,
) -> Result<Vec<(Utf8PathBuf, Vec<Der>)>, Unknown> {
    let listing = host.ask(Directory::at(folder)).await?;
    let mut files = Vec::new();
    for name in listing.names().filter(|name| name.strip_suffix(".crt").is_some()) {
        files.extend(one(host, &folder.join(name)).await?);
    }
    Ok(files)
}

/// A file as Go reads it, if it is there.
async fn one(host: &Host, path: &Utf8Path) -> Result<Vec<(Utf8PathBuf, Vec<Der>)>, Unknown> {
    let file = host.ask(ReadFile::<TrustFile>::at(path)).await?;
    Ok(file.read().map(|file| (path.to_owned(), file.for_go())).into_iter().collect())
}

async fn with_system(
    host: &Host,
    mut files: Vec<(Utf8PathBuf, Vec<Der>)>,
) -> Result<Vec<(Utf8PathBuf, Vec<Der>)>, Unknown> {
    files.extend(of_system(&host.ask(SystemTrust).await?));
    Ok(files)
}

fn of_system(system: &TrustedFiles) -> Vec<(Utf8PathBuf, Vec<Der>)> {
    system.files.iter().map(|file| (file.path.clone(), file.certificates.clone())).collect()
}

#[test]
fn hash_links_have_eight_digits_and_a_number() {
    assert!(is_hash_link("1fe2a121.0") && is_hash_link("00000000.12"));
    assert!(!is_hash_link("cacert.pem") && !is_hash_link("1fe2a121.") && !is_hash_link("1fe2a121"));
}
