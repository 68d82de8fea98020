//! Which certificate belongs to which private key on this host.

use camino::Utf8PathBuf;

use super::gitlab::{external_url, found, generated};
use super::{Endpoint, Sourced, Written, registry, settings};
use crate::host::files::FileFacts;
use crate::host::{Host, Unknown};
use crate::parse::setting::{Located, Scalar};

/// Where the Linux package looks for certificates that nobody named.
const SSL_FOLDER: &str = "/etc/gitlab/ssl";

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

/// A web server of the Linux package: the setting of its address, and the sections in which its
/// certificate may be named (from 19.2 on the longer ones).
struct WebServer {
    user: User,
    url: &'static str,
    sections: &'static [&'static [&'static str]],
}

const WEB_SERVERS: [WebServer; 4] = [
    WebServer {
        user: User::GitlabNginx,
        url: "external_url",
        sections: &[&["gitlab_rails", "nginx"], &["nginx"]],
    },
    WebServer {
        user: User::RegistryNginx,
        url: "registry_external_url",
        sections: &[&["registry", "nginx"], &["registry_nginx"]],
    },
    WebServer {
        user: User::OtherNginx,
        url: "pages_external_url",
        sections: &[&["gitlab_pages", "nginx"], &["pages_nginx"]],
    },
    WebServer {
        user: User::OtherNginx,
        url: "gitlab_kas_external_url",
        sections: &[&["gitlab_kas", "nginx"], &["gitlab_kas_nginx"]],
    },
];

/// Every pair that is in use on this host, as far as `gitlab.rb` and the generated files tell.
pub async fn pairs(host: &Host) -> Result<Vec<Pair>, Unknown> {
    let mut pairs = web_server_pairs(host).await?;
    pairs.extend(registry_pair(host).await?);
    pairs.extend(token_pair(host).await?);
    Ok(pairs)
}

/// The certificate file on this host that an endpoint shows, if the endpoint is served from here:
/// the file that is configured for it, or one under its name where certificates lie.
pub async fn shown_by(
    host: &Host,
    endpoint: &Endpoint,
) -> Result<Option<Sourced<Utf8PathBuf>>, Unknown> {
    let is = |url: Option<Sourced<Endpoint>>| url.is_some_and(|url| url.value == *endpoint);
    let user = match () {
        () if is(external_url(host).await?) => Some(User::GitlabNginx),
        () if is(registry::external(host).await?) => Some(User::RegistryNginx),
        () => None,
    };
    let pairs = pairs(host).await?;
    let configured = pairs.into_iter().find(|pair| Some(pair.user) == user);
    let path = match configured {
        Some(pair) => pair.certificate,
        None => default_path(endpoint, "crt"),
    };
    let exists = host.ask(FileFacts::of(path.value.clone())).await?.is_some();
    Ok(exists.then_some(path))
}

async fn web_server_pairs(host: &Host) -> Result<Vec<Pair>, Unknown> {
    let Some(settings) = settings(host).await? else { return Ok(Vec::new()) };
    let mut pairs = Vec::new();
    if is_off(&settings, &["nginx", "enable"]) {
        return Ok(pairs);
    }
    for server in &WEB_SERVERS {
        let url = match server.url {
            "external_url" => external_url(host).await?,
            "registry_external_url" => registry::external(host).await?,
            other => settings.url(&[other]).told()?,
        };
        let Some(url) = url.filter(|url| url.value.https) else { continue };
        let off =
            |key| server.sections.iter().any(|it| is_off(&settings, &[it, &[key][..]].concat()));
        // A balancer in front speaks TLS in nginx' stead.
        if off("enable") || off("listen_https") {
            continue;
        }
        let path = |key: &str, ending: &str| -> Result<Sourced<Utf8PathBuf>, Unknown> {
            for section in server.sections {
                if let Some(path) = settings.text(&[section, &[key][..]].concat()).told()? {
                    return Ok(path.map(Utf8PathBuf::from));
                }
            }
            Ok(default_path(&url.value, ending))
        };
        pairs.push(Pair {
            user: server.user,
            certificate: path("ssl_certificate", "crt")?,
            key: path("ssl_certificate_key", "key")?,
        });
    }
    Ok(pairs)
}

fn is_off(settings: &super::Settings, path: &[&str]) -> bool {
    matches!(settings.flag(path), Written::Known(flag) if !flag.value)
}

/// The port never enters the name of the file.
fn default_path(url: &Endpoint, ending: &str) -> Sourced<Utf8PathBuf> {
    let path = Utf8PathBuf::from(SSL_FOLDER).join(format!("{}.{ending}", url.host));
    Sourced::default(path, &format!("the default for {url}"))
}

/// A registry that speaks TLS itself.
async fn registry_pair(host: &Host) -> Result<Option<Pair>, Unknown> {
    let Some(config) = registry::config(host).await? else { return Ok(None) };
    let http = &config.yml.http;
    let (Some(certificate), Some(key)) = (&http.tls_certificate, &http.tls_key) else {
        return Ok(None);
    };
    let path = |it: &Located<Scalar>| Sourced {
        value: it.value.to_string().into(),
        source: found(&config.path, it),
    };
    Ok(Some(Pair { user: User::Registry, certificate: path(certificate), key: path(key) }))
}

/// The token pair, where this host has both halves: GitLab's signing key and the registry's bundle.
async fn token_pair(host: &Host) -> Result<Option<Pair>, Unknown> {
    let Some(config) = registry::config(host).await? else { return Ok(None) };
    let Some((rails_path, rails)) = generated(host).await? else { return Ok(None) };
    let (Some(bundle), Some(key)) = (&config.yml.auth.token_rootcertbundle, &rails.registry.key)
    else {
        return Ok(None);
    };
    Ok(Some(Pair {
        user: User::Tokens,
        certificate: Sourced {
            value: bundle.value.to_string().into(),
            source: found(&config.path, bundle),
        },
        key: Sourced { value: key.value.to_string().into(), source: found(&rails_path, key) },
    }))
}
