//! The container registry: its addresses, its configuration, its storage.

use std::net::IpAddr;

use camino::{Utf8Path, Utf8PathBuf};

use super::gitlab::{found, generated, port, scalar};
use super::{Endpoint, Sourced, Written, settings};
use crate::host::files::{File, RegistryConfig};
use crate::host::request::Requested;
use crate::host::{Host, Unknown};
use crate::parse::registry_yml::RegistryYml;
use crate::parse::setting::{Located, Scalar};

/// Where the Linux package keeps the registry's generated files.
const PACKAGE_FOLDER: &str = "/var/opt/gitlab/registry";

/// Where the Linux package keeps the registry's environment.
const PACKAGE_ENVIRONMENT: &str = "/opt/gitlab/etc/registry/env";

/// Where Debian's docker-registry, and guides for a registry of one's own, keep it.
const OWN_CONFIG: &str = "/etc/docker/registry/config.yml";

/// The storage folder of the Linux package.
const PACKAGE_STORAGE: &str = "/var/opt/gitlab/gitlab-rails/shared/registry";

/// The storage folder of a registry that is told none.
const OWN_STORAGE: &str = "/var/lib/registry";

/// The configuration that the registry of this host runs with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its file.
    pub path: Utf8PathBuf,
    /// What it says, with the environment applied.
    pub yml: RegistryYml,
    /// Whether the Linux package wrote it.
    pub generated: bool,
}

/// Where the registry keeps its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In a folder: the root directory of the `filesystem` driver.
    Filesystem(Sourced<Utf8PathBuf>),
    /// Elsewhere: the driver's name, and its bucket or container where it has one.
    Other {
        /// The driver's name, such as `s3`.
        driver: Sourced<String>,
        /// The bucket or container.
        bucket: Option<String>,
        /// The folder inside it.
        root: Option<String>,
    },
}

/// The configuration that the registry of this host runs with; `None` if there is no registry
/// here, or it was never configured.
pub async fn config(host: &Host) -> Result<Option<Config>, Unknown> {
    let Some(ConfigFile { path, file, generated }) = config_file(host).await? else {
        return Ok(None);
    };
    Ok(file.or_unknown(&path)?.map(|yml| Config { path, yml, generated }))
}

/// The same, unless `gitlab.rb` switches the registry of this host off. Its files stay behind then,
/// and nobody reads them.
pub async fn in_use(host: &Host) -> Result<Option<Config>, Unknown> {
    let config = config(host).await?;
    let off = is_switched_off(host).await;
    Ok(config.filter(|config| !(off && config.generated)))
}

/// Whether `gitlab.rb` says that no registry runs here.
pub async fn is_switched_off(host: &Host) -> bool {
    let Ok(Some(settings)) = settings(host).await else { return false };
    matches!(settings.flag(&["registry", "enable"]), Written::Known(flag) if !flag.value)
}

/// The file itself, whatever stands in its place.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// Where it is.
    pub path: Utf8PathBuf,
    /// What it is; never missing.
    pub file: File<RegistryYml>,
    /// Whether the Linux package wrote it.
    pub generated: bool,
}

/// The file that the registry of this host reads; `None` if there is none.
pub async fn config_file(host: &Host) -> Result<Option<ConfigFile>, Unknown> {
    let folder = package_folder(host).await;
    let candidates =
        [(folder.join("config.yml"), Some(PACKAGE_ENVIRONMENT.into())), (OWN_CONFIG.into(), None)];
    for (path, environment) in candidates {
        let generated = environment.is_some();
        match host.ask(RegistryConfig { path: path.clone(), environment }).await? {
            File::Missing => {}
            file => return Ok(Some(ConfigFile { path, file, generated })),
        }
    }
    Ok(None)
}

/// `registry['dir']`, or the package's own folder where that is not told.
async fn package_folder(host: &Host) -> Utf8PathBuf {
    let written = settings(host).await.ok().flatten().map(|it| it.text(&["registry", "dir"]));
    match written {
        Some(Written::Known(folder)) => folder.value.into(),
        _ => PACKAGE_FOLDER.into(),
    }
}

/// The address under which Docker reaches the registry: `--registry-url`, what is written in
/// `gitlab.rb`, or else what Rails runs with. `None` where no registry is offered.
pub async fn external(host: &Host) -> Result<Option<Sourced<Endpoint>>, Unknown> {
    let request = host.ask(Requested).await?;
    if let Some(url) = request.registry_url {
        let endpoint = Endpoint::parse(&url).map_err(Unknown::Unreadable)?;
        return Ok(Some(Sourced::flag(endpoint, "--registry-url")));
    }
    configured(host).await
}

/// The same without `--registry-url`: the address that this host's own files name.
pub async fn configured(host: &Host) -> Result<Option<Sourced<Endpoint>>, Unknown> {
    let written = match settings(host).await {
        Ok(Some(settings)) => settings.url(&["registry_external_url"]).told(),
        Ok(None) => Ok(None),
        Err(unknown) => Err(unknown),
    };
    match written {
        Ok(Some(endpoint)) => Ok(Some(endpoint)),
        // What nobody can tell from gitlab.rb, reconfigure may have written out.
        untold => match generated(host).await {
            Ok(Some((path, yml))) => {
                in_rails(&path, &yml.registry).map_or(untold, |it| Ok(Some(it)))
            }
            Ok(None) => untold,
            Err(unknown) => untold.and(Err(unknown)),
        },
    }
}

/// The registry that Rails offers to users.
fn in_rails(
    path: &Utf8PathBuf,
    registry: &crate::parse::gitlab_yml::Registry,
) -> Option<Sourced<Endpoint>> {
    let enabled = scalar(registry.enabled.as_ref()).and_then(Scalar::as_bool) == Some(true);
    let host = registry.host.as_ref().filter(|_| enabled)?;
    // Rails does not know the scheme; without a port it is https, as users are told.
    let endpoint = Endpoint {
        https: port(registry.port.as_ref()) != Some(80),
        host: host.value.to_string().to_ascii_lowercase(),
        port: port(registry.port.as_ref()).unwrap_or(443),
        path: String::new(),
    };
    Some(Sourced::file(endpoint, path, host.line))
}

/// The registry's own address behind nginx, as the registry is told it; `None` where no registry
/// runs on this host, or its address cannot be asked: see [`listening`].
pub async fn internal(host: &Host) -> Result<Option<Sourced<Endpoint>>, Unknown> {
    let Some(config) = config(host).await? else { return Ok(None) };
    let Some(address) = listening_of(&config) else { return Ok(None) };
    let https = config.yml.http.tls_certificate.is_some();
    Ok(Endpoint::listening(&address.value).map(|endpoint| {
        let host = reachable_from_here(&endpoint.host);
        Sourced { value: Endpoint { https, host, ..endpoint }, source: address.source }
    }))
}

/// `http.addr` as it is written; `None` where there is no registry here, or it listens on a socket
/// of the file system.
pub async fn listening(host: &Host) -> Result<Option<Sourced<String>>, Unknown> {
    Ok(config(host).await?.as_ref().and_then(listening_of))
}

fn listening_of(config: &Config) -> Option<Sourced<String>> {
    let address = config.yml.http.addr.as_ref().filter(|_| is_tcp(config))?;
    let value = address.value.to_string();
    Some(Sourced { value, source: found(&config.path, address) })
}

/// The Unix socket on which the registry of this host listens instead, as `unix:/path`.
pub async fn unix_socket(host: &Host) -> Result<Option<String>, Unknown> {
    let Some(config) = config(host).await? else { return Ok(None) };
    let address = config.yml.http.addr.as_ref().filter(|_| !is_tcp(&config));
    Ok(address.map(|address| format!("{UNIX}{}", address.value)))
}

/// What stands before the path of a socket, in nginx as well.
const UNIX: &str = "unix:";

/// Nothing is TCP, too.
fn is_tcp(config: &Config) -> bool {
    config.yml.http.net.as_ref().is_none_or(|net| {
        let net = net.value.to_string();
        net.is_empty() || net.starts_with("tcp")
    })
}

/// The address under which GitLab itself asks the registry, for tags and for cleaning up: what
/// Rails runs with, or else what `gitlab.rb` says. `None` where it is not written, or GitLab here
/// offers no registry.
pub async fn api_url(host: &Host) -> Result<Option<Sourced<Endpoint>>, Unknown> {
    if let Some((path, yml)) = generated(host).await? {
        let enabled = scalar(yml.registry.enabled.as_ref()).and_then(Scalar::as_bool);
        let Some(url) = yml.registry.api_url.as_ref().filter(|_| enabled == Some(true)) else {
            return Ok(None);
        };
        let endpoint = Endpoint::parse(&url.value.to_string()).map_err(Unknown::Unreadable)?;
        return Ok(Some(Sourced::file(endpoint, path, url.line)));
    }
    let Some(settings) = settings(host).await? else { return Ok(None) };
    match settings.flag(&["gitlab_rails", "registry_enabled"]).told()? {
        Some(enabled) if !enabled.value => Ok(None),
        _ => settings.url(&["gitlab_rails", "registry_api_url"]).told(),
    }
}

/// Why nobody can reach from here what listens on an address of its own system, if so.
pub async fn out_of_reach(host: &Host, listening: &Endpoint) -> Option<String> {
    let address = listening.host.parse::<IpAddr>();
    let loopback = listening.host == "localhost" || address.is_ok_and(|it| it.is_loopback());
    // A recording that does not say it was made where the files are at home.
    let elsewhere = host.ask(Requested).await.is_ok_and(|it| it.elsewhere);
    (loopback && elsewhere).then(|| {
        let socket = listening.socket();
        format!("{socket} is a loopback address of the system that the files belong to")
    })
}

/// "Every interface" is reached over loopback from the same host.
pub fn reachable_from_here(listening: &str) -> String {
    match listening {
        "" | "0.0.0.0" | "*" => "127.0.0.1".to_owned(),
        "::" => "::1".to_owned(),
        other => other.to_owned(),
    }
}

/// The debug server's address as it was written; `None` where there is none. What the registry
/// runs with counts; only without it does `gitlab.rb`.
pub async fn debug_address(host: &Host) -> Result<Option<Sourced<String>>, Unknown> {
    let address = match config(host).await? {
        Some(config) => config.yml.http.debug_addr.as_ref().map(|address| Sourced {
            value: address.value.to_string(),
            source: found(&config.path, address),
        }),
        None => match settings(host).await? {
            Some(settings) => settings.text(&["registry", "debug_addr"]).told()?,
            None => None,
        },
    };
    // The registry takes an empty address for none.
    Ok(address.filter(|address| !address.value.is_empty()))
}

/// Where the registry of this host keeps its images; `None` if there is no registry here.
pub async fn storage(host: &Host) -> Result<Option<Storage>, Unknown> {
    let Some(config) = config(host).await? else { return written_storage(host).await };
    let Some(driver) = config.yml.storage.drivers.first() else { return Ok(None) };
    let parameter = |name: &str| driver.parameters.get(name);
    let text = |name: &str| parameter(name).map(|it| it.value.to_string());
    if driver.name == "filesystem" {
        return Ok(Some(Storage::Filesystem(folder(&config.path, parameter("rootdirectory")))));
    }
    let name = driver.located(driver.name.clone());
    Ok(Some(Storage::Other {
        driver: Sourced { source: found(&config.path, &name), value: name.value },
        bucket: text("bucket").or_else(|| text("container")),
        root: text("rootdirectory"),
    }))
}

/// The server that the registry of this host sends its clients to for a token: GitLab, where the
/// registry belongs to one.
pub async fn token_server(host: &Host) -> Result<Option<Sourced<Endpoint>>, Unknown> {
    let Some(config) = config(host).await? else { return Ok(None) };
    let Some(realm) = &config.yml.auth.token_realm else { return Ok(None) };
    let Ok(endpoint) = Endpoint::parse(&realm.value.to_string()) else { return Ok(None) };
    Ok(Some(Sourced { value: endpoint.server(), source: found(&config.path, realm) }))
}

/// The S3 endpoint that the registry of this host is told; `None` where it keeps its images
/// elsewhere, or at a place that no setting names.
pub async fn s3_endpoint(host: &Host) -> Result<Option<Sourced<Endpoint>>, Unknown> {
    let Some(config) = config(host).await? else { return Ok(None) };
    let mut drivers = config.yml.storage.drivers.iter();
    let driver = drivers.find(|driver| matches!(driver.name.as_str(), "s3" | "s3_v2" | "s3aws"));
    let parameter = |name: &str| driver.and_then(|driver| driver.parameters.get(name));
    let Some(written) = parameter("regionendpoint") else { return Ok(None) };
    let text = written.value.to_string();
    let url = if text.contains("://") {
        text
    } else {
        // The SDK puts the scheme before a bare name, by `secure`.
        let secure = parameter("secure").and_then(|it| it.value.as_bool()).unwrap_or(true);
        format!("{}://{text}", if secure { "https" } else { "http" })
    };
    let Ok(endpoint) = Endpoint::parse(&url) else { return Ok(None) };
    Ok(Some(Sourced { value: endpoint, source: found(&config.path, written) }))
}

fn folder(path: &Utf8Path, root: Option<&Located<Scalar>>) -> Sourced<Utf8PathBuf> {
    match root {
        Some(root) => {
            Sourced { value: root.value.to_string().into(), source: found(&path.to_owned(), root) }
        }
        None => Sourced::default(OWN_STORAGE.into(), "the registry's own default"),
    }
}

/// Without a configuration of the registry: what `gitlab.rb` would make of it, if the registry is
/// to run here.
pub(super) async fn written_storage(host: &Host) -> Result<Option<Storage>, Unknown> {
    let Some(settings) = settings(host).await? else { return Ok(None) };
    let offered = settings.url(&["registry_external_url"]).told()?.is_some();
    let enabled = match settings.flag(&["registry", "enable"]).told()? {
        Some(flag) => flag.value,
        None => offered,
    };
    if !enabled {
        return Ok(None);
    }
    let path = settings.text(&["gitlab_rails", "registry_path"]).told()?;
    let path = path.map(|path| path.map(Utf8PathBuf::from));
    let default = Sourced::default(PACKAGE_STORAGE.into(), "the Linux package's default");
    Ok(Some(Storage::Filesystem(path.unwrap_or(default))))
}

#[test]
fn an_empty_address_is_no_debug_server() {
    let recorded = |address: &str| {
        let text = serde_json::json!({ "version": 1, "looks": [
            { "kind": "gitlab-rb", "ask": { "path": "/etc/gitlab/gitlab.rb" },
              "reply": { "answer": "missing" } },
            { "kind": "registry-config",
              "ask": { "path": "/var/opt/gitlab/registry/config.yml",
                       "environment": PACKAGE_ENVIRONMENT },
              "reply": { "answer": { "read": { "http": {
                  "debug_addr": { "value": { "text": address } } } } } } }
        ] });
        let recording = crate::host::Recording::parse(text.to_string().as_bytes()).unwrap();
        let host = Host::recorded(recording.looks);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(debug_address(&host)).unwrap().map(|it| it.value)
    };
    assert_eq!(recorded("localhost:5001").as_deref(), Some("localhost:5001"));
    assert_eq!(recorded(""), None);
}

#[test]
fn files_of_a_registry_that_is_switched_off_are_nobodys() {
    let used = |enable: &str| {
        let rb = format!("registry['enable'] = {enable}\n");
        let files = crate::parse::gitlab_rb::Files::from([(
            "/etc/gitlab/gitlab.rb".into(),
            Some(rb.into_bytes()),
        )]);
        let settings = crate::parse::gitlab_rb::evaluate("/etc/gitlab/gitlab.rb".into(), &files);
        let text = serde_json::json!({ "version": 1, "looks": [
            { "kind": "gitlab-rb", "ask": { "path": "/etc/gitlab/gitlab.rb" },
              "reply": { "answer": { "read": settings } } },
            { "kind": "registry-config",
              "ask": { "path": "/var/opt/gitlab/registry/config.yml",
                       "environment": PACKAGE_ENVIRONMENT },
              "reply": { "answer": { "read": {} } } }
        ] });
        let recording = crate::host::Recording::parse(text.to_string().as_bytes()).unwrap();
        let host = Host::recorded(recording.looks);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(in_use(&host)).unwrap().is_some()
    };
    assert!(used("true") && !used("false"));
}

#[test]
fn a_socket_of_the_file_system_is_no_address() {
    let listens = |http: &str| {
        let yml = format!("http: {http}");
        let yml = crate::parse::registry_yml::read(yml.as_bytes()).unwrap();
        let config = Config { path: OWN_CONFIG.into(), yml, generated: false };
        (listening_of(&config).map(|it| it.value), is_tcp(&config))
    };
    assert_eq!(listens("{addr: /run/registry.sock, net: unix}"), (None, false));
    assert_eq!(listens("{addr: ':5000', net: ''}"), (Some(":5000".to_owned()), true));
    assert_eq!(listens("{addr: ':5000', net: tcp}"), (Some(":5000".to_owned()), true));
    assert_eq!(listens("{addr: ':5000'}"), (Some(":5000".to_owned()), true));
}
