//! What signs the registry's tokens, and what trusts them: the halves on which GitLab and its
//! registry have to agree.

use camino::{Utf8Path, Utf8PathBuf};

use super::accounts::{self, Service};
use super::gitlab::{found, generated, scalar};
use super::registry::{self, Config};
use super::{Endpoint, Kind, Settings, Source, Sourced, kind, rails_root, settings};
use crate::host::files::FileFacts;
use crate::host::{Host, Unknown};
use crate::parse::gitlab_yml::Registry;
use crate::parse::setting::{Located, Scalar};

/// Where the Linux package writes the key with which GitLab signs.
pub const PACKAGE_KEY: &str = "/var/opt/gitlab/gitlab-rails/etc/gitlab-registry.key";

/// Where the Linux package writes the certificate that the registry trusts.
pub const PACKAGE_BUNDLE: &str = "/var/opt/gitlab/registry/gitlab-registry.crt";

/// The service for which GitLab issues a registry's tokens (`Auth::ContainerRegistryAuthenticationService`).
pub const SERVICE: &str = "container_registry";

/// The path at which GitLab issues tokens.
pub const PATH: &str = "/jwt/auth";

/// The issuer of the Linux package, unless it is told another.
pub const PACKAGE_ISSUER: &str = "omnibus-gitlab-issuer";

/// GitLab's half: who signs.
#[derive(Debug, Clone)]
pub struct Signer {
    /// The private key; `None` where Rails is told none.
    pub key: Option<Sourced<Utf8PathBuf>>,
    /// The name under which tokens are issued; `None` where Rails is told none.
    pub issuer: Option<Sourced<String>>,
    /// Where Rails has its settings for the registry.
    pub settings: Source,
    /// The account under which Rails runs.
    pub account: String,
}

/// GitLab's half of this host; `None` where no GitLab runs here, or one that uses no registry.
pub async fn signer(host: &Host) -> Result<Option<Signer>, Unknown> {
    let account = accounts::name(host, Service::Gitlab).await;
    let Some((path, yml)) = generated(host).await? else {
        return written(host, account).await;
    };
    if !is_on(&yml.registry) {
        return Ok(None);
    }
    // Rails starts in its own folder.
    let folder = rails_root(host).await?.map_or_else(|| "/".into(), |root| root.value);
    let key = yml.registry.key.as_ref().map(|key| Sourced {
        value: folder.join(key.value.to_string()),
        source: found(&path, key),
    });
    let issuer = yml
        .registry
        .issuer
        .as_ref()
        .map(|it| Sourced { value: it.value.to_string(), source: found(&path, it) });
    let settings = Source::File { line: yml.registry.line, path };
    Ok(Some(Signer { key, issuer, settings, account }))
}

/// Ruby takes all but `false` and nothing for true.
fn is_on(registry: &Registry) -> bool {
    scalar(registry.enabled.as_ref()).is_some_and(|it| *it != Scalar::Bool(false))
}

/// What `gitlab.rb` would make of it, where the generated file is not there but the key is. Without
/// either, nothing runs here that could sign.
async fn written(host: &Host, account: String) -> Result<Option<Signer>, Unknown> {
    let (Some(settings), Some(Kind::LinuxPackage)) = (settings(host).await?, kind(host).await?)
    else {
        return Ok(None);
    };
    let key = settings.text(&["gitlab_rails", "registry_key_path"]).told()?;
    let key = key.map(|key| key.map(Utf8PathBuf::from));
    let key = key.unwrap_or_else(|| Sourced::default(PACKAGE_KEY.into(), "the package's default"));
    if host.ask(FileFacts::of(key.value.clone())).await?.is_none() {
        return Ok(None);
    }
    let issuer = written_issuer(&settings)?;
    Ok(Some(Signer {
        settings: issuer.source.clone(),
        key: Some(key),
        issuer: Some(issuer),
        account,
    }))
}

fn written_issuer(settings: &Settings) -> Result<Sourced<String>, Unknown> {
    let issuer = settings.text(&["gitlab_rails", "registry_issuer"]).told()?;
    let default = || Sourced::default(PACKAGE_ISSUER.to_owned(), "the package's default");
    Ok(issuer.unwrap_or_else(default))
}

/// The file with the certificates that the registry trusts; `None` where it is told none.
pub fn bundle(config: &Config) -> Option<Sourced<Utf8PathBuf>> {
    config.yml.auth.token_rootcertbundle.as_ref().map(|it| in_config(config, it))
}

/// Where the registry of this host sends clients for a token, as it is told; `None` where there is
/// no such registry, or it is told nothing that is a URL.
pub async fn configured_realm(host: &Host) -> Result<Option<Sourced<Endpoint>>, Unknown> {
    let Some(Config { path, yml, .. }) = registry::config(host).await? else { return Ok(None) };
    let Some(realm) = &yml.auth.token_realm else { return Ok(None) };
    let endpoint = Endpoint::parse(&realm.value.to_string()).ok();
    Ok(endpoint.map(|value| Sourced { value, source: found(&path, realm) }))
}

/// The file with the public keys that a registry of Distribution 3 trusts.
pub fn jwks(config: &Config) -> Option<Sourced<Utf8PathBuf>> {
    config.yml.auth.token_jwks.as_ref().map(|it| in_config(config, it))
}

/// A path of the registry. Services start in the root folder unless they are told otherwise.
fn in_config(config: &Config, path: &Located<Scalar>) -> Sourced<Utf8PathBuf> {
    Sourced {
        value: Utf8Path::new("/").join(path.value.to_string()),
        source: found(&config.path, path),
    }
}

/// The account under which the registry of this host runs, where that is known: the Linux package
/// says so.
pub async fn registry_account(host: &Host, config: &Config) -> Option<String> {
    if config.generated { Some(accounts::name(host, Service::Registry).await) } else { None }
}

/// Where a setting of the registry stands.
pub fn place(config: &Config, line: Option<u32>) -> Source {
    Source::File { path: config.path.clone(), line }
}

/// A setting of the registry with its place.
pub fn setting(config: &Config, it: &Located<Scalar>) -> Sourced<String> {
    Sourced { value: it.value.to_string(), source: found(&config.path, it) }
}

/// The registry's own address, under which its start-up is known to others.
pub async fn registry_socket(host: &Host) -> Option<String> {
    let internal = registry::internal(host).await.ok().flatten()?;
    Some(internal.value.socket())
}
