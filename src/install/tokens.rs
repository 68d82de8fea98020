//! GitLab as the issuer of the registry's tokens: with which key, under which name, for which
//! service.

use camino::Utf8PathBuf;

use super::gitlab::{found, generated};
use super::registry::{Config, config};
use super::{Endpoint, Sourced, rails_root};
use crate::host::{Host, Unknown};

/// The service for which GitLab issues a registry's tokens (`Auth::ContainerRegistryAuthenticationService`).
pub const SERVICE: &str = "container_registry";

/// The path at which GitLab issues tokens.
pub const PATH: &str = "/jwt/auth";

/// What GitLab on this host signs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Its key, absolute.
    pub key: Sourced<Utf8PathBuf>,
    /// Its name in tokens; without one Rails leaves it out.
    pub issuer: Option<Sourced<String>>,
}

/// What GitLab on this host signs with, by the settings that Rails runs with; `None` where there
/// are none.
pub async fn signer(host: &Host) -> Result<Option<Signer>, Unknown> {
    let Some((path, rails)) = generated(host).await? else { return Ok(None) };
    let Some(key) = &rails.registry.key else { return Ok(None) };
    // Rails starts in its own folder.
    let folder = rails_root(host).await?.map_or_else(|| "/".into(), |root| root.value);
    let issuer = rails.registry.issuer.as_ref();
    Ok(Some(Signer {
        key: Sourced { value: folder.join(key.value.to_string()), source: found(&path, key) },
        issuer: issuer.map(|issuer| Sourced {
            value: issuer.value.to_string(),
            source: found(&path, issuer),
        }),
    }))
}

/// Where the registry of this host sends clients for a token, as it is told; `None` where there is
/// no such registry, or it is told nothing that is a URL.
pub async fn configured_realm(host: &Host) -> Result<Option<Sourced<Endpoint>>, Unknown> {
    let Some(Config { path, yml, .. }) = config(host).await? else { return Ok(None) };
    let Some(realm) = &yml.auth.token_realm else { return Ok(None) };
    let endpoint = Endpoint::parse(&realm.value.to_string()).ok();
    Ok(endpoint.map(|value| Sourced { value, source: found(&path, realm) }))
}
