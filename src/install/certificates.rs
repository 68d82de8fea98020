//! Which certificate belongs to which private key on this host.

pub(super) mod own_nginx;
mod web_servers;

use camino::{Utf8Path, Utf8PathBuf};

use self::web_servers::default_path;
use super::gitlab::{configured_url, found, generated};
use super::{Endpoint, Sourced, rails_root, registry, settings};
use crate::host::files::FileFacts;
use crate::host::{Host, Unknown};
use crate::parse::setting::{Located, Scalar};

pub use self::web_servers::password_file;

/// Where the Linux package looks for certificates that nobody named.
pub const SSL_FOLDER: &str = "/etc/gitlab/ssl";

/// A certificate file and the file of its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Who shows the certificate, or signs with the key.
    pub user: User,
    /// The certificate, leaf first.
    pub certificate: Sourced<Utf8PathBuf>,
    /// The private key.
    pub key: Sourced<Utf8PathBuf>,
}

/// Who uses a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum User {
    /// nginx, for GitLab.
    GitlabNginx,
    /// nginx, for the registry.
    RegistryNginx,
    /// nginx, for another service of GitLab.
    OtherNginx,
    /// The registry itself, without nginx.
    Registry,
    /// GitLab signs tokens with the key; the registry trusts the certificate.
    Tokens,
}

impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::GitlabNginx => "GitLab's nginx",
            Self::RegistryNginx => "the registry's nginx",
            Self::OtherNginx => "nginx for another service",
            Self::Registry => "the registry itself",
            Self::Tokens => "the token pair",
        })
    }
}

/// Every pair that is in use on this host, as far as `gitlab.rb` and the generated files tell.
pub async fn pairs(host: &Host) -> Result<Vec<Pair>, Unknown> {
    let mut pairs = web_servers::pairs(host).await?;
    pairs.extend(registry_pair(host).await?);
    pairs.extend(token_pair(host).await?);
    Ok(pairs)
}

/// The certificate that an endpoint shows and its key, as files of this host, if the endpoint is
/// served from here: what is configured for it, or what lies under its name where certificates
/// lie. Always with an existing certificate.
pub async fn shown_by(host: &Host, endpoint: &Endpoint) -> Result<Option<Pair>, Unknown> {
    let is = |url: Option<Sourced<Endpoint>>| url.is_some_and(|url| url.value.is_server(endpoint));
    let user = match () {
        () if is(configured_url(host).await?) => Some(User::GitlabNginx),
        () if is(registry::configured(host).await?) => Some(User::RegistryNginx),
        () => None,
    };
    let pairs = pairs(host).await?;
    let configured = pairs.into_iter().find(|pair| Some(pair.user) == user);
    // A balancer or another node speaks TLS for it: what lies here under its name is not shown.
    if configured.is_none() && user.is_some() && settings(host).await?.is_some() {
        return Ok(None);
    }
    let pair = configured.unwrap_or_else(|| Pair {
        user: user.unwrap_or(User::OtherNginx),
        certificate: default_path(endpoint, &endpoint.host, "crt"),
        key: default_path(endpoint, &endpoint.host, "key"),
    });
    let exists = host.ask(FileFacts::of(pair.certificate.value.clone())).await?.is_some();
    Ok(exists.then_some(pair))
}

/// A registry that speaks TLS itself.
async fn registry_pair(host: &Host) -> Result<Option<Pair>, Unknown> {
    let Some(config) = registry::config(host).await? else { return Ok(None) };
    let http = &config.yml.http;
    let (Some(certificate), Some(key)) = (&http.tls_certificate, &http.tls_key) else {
        return Ok(None);
    };
    let path = |it: &Located<Scalar>| Sourced {
        value: from_root(&it.value.to_string()),
        source: found(&config.path, it),
    };
    Ok(Some(Pair { user: User::Registry, certificate: path(certificate), key: path(key) }))
}

/// The token pair, where this host has both halves: GitLab's signing key and the registry's bundle.
async fn token_pair(host: &Host) -> Result<Option<Pair>, Unknown> {
    let Some(config) = registry::in_use(host).await? else { return Ok(None) };
    let Some((rails_path, rails)) = generated(host).await? else { return Ok(None) };
    let (Some(bundle), Some(key)) = (&config.yml.auth.token_rootcertbundle, &rails.registry.key)
    else {
        return Ok(None);
    };
    // Rails starts in its own folder.
    let folder = rails_root(host).await?.map_or_else(|| "/".into(), |root| root.value);
    Ok(Some(Pair {
        user: User::Tokens,
        certificate: Sourced {
            value: from_root(&bundle.value.to_string()),
            source: found(&config.path, bundle),
        },
        key: Sourced { value: folder.join(key.value.to_string()), source: found(&rails_path, key) },
    }))
}

/// A path of the registry. Services start in the root folder unless they are told otherwise.
fn from_root(path: &str) -> Utf8PathBuf {
    Utf8Path::new("/").join(path)
}
