//! Does the registry know under which address clients reach it?

mod proxy;
mod settings;
#[cfg(test)]
mod tests;

use super::keeper::Keeper;
use crate::checks::{Evidence, Stop, Verdict, check};
use crate::host::{Host, Unknown};
use crate::install::front::fronts;
use crate::install::{self, Endpoint, Source};

check! {
    /// The registry knows the address under which clients reach it.
    ///
    /// ## Why it matters
    ///
    /// A push begins with a request to which the registry answers with a whole URL for the layer.
    /// It makes that URL of what the proxy in front tells it. When the scheme, the host or the port
    /// in it is wrong, logins and pulls work, but every push hangs, loops or ends with `server gave
    /// HTTP response to HTTPS client` or `blob upload unknown`.
    ///
    /// ## What is looked at
    ///
    /// `http.host`, `http.relativeurls` and `auth.token.autoredirect` in the registry's
    /// configuration with the environment variables that override it; and the servers of nginx (the
    /// Linux package's, or one of your own) that pass requests on to it: `X-Forwarded-Proto`,
    /// `X-Forwarded-Host` and `Host`, as they are inherited and included, and
    /// `client_max_body_size`. Before the first reconfigure, `registry_nginx` in `gitlab.rb`.
    ///
    /// All of that is read from files. No upload is begun to try it: that would take a token and
    /// leave traces in the storage. A proxy on another host is not seen.
    ///
    /// ## How to fix it
    ///
    /// Let every proxy on the way pass on `Host $http_host` and the scheme that clients use:
    /// `X-Forwarded-Proto https`. Behind a balancer that ends TLS, set both in
    /// `registry_nginx['proxy_set_headers']`. Take `http.host` out of the registry's configuration,
    /// and let `client_max_body_size` be 0.
    "registry/proxy-headers": "the registry knows its outside address"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let config = install::registry::config(host).await?;
    let external = install::registry::configured(host).await?;
    if config.is_none() && external.is_none() {
        return Err(Stop::not_applicable("no registry is configured on this host"));
    }
    let keeper = Keeper::of(host).await;
    let gitlab = install::kind(host).await?.is_some();
    let public = external.as_ref().map(|it| Public { endpoint: &it.value, source: &it.source });
    let mut verdict = Verdict::default();
    let mut direct = false;
    if let Some(config) = &config {
        verdict.add(settings::judge(config, public.as_ref(), keeper, gitlab));
        direct = config.yml.http.tls_certificate.is_some();
    }
    let fronts = fronts(host).await?;
    for front in &fronts {
        verdict.add(proxy::judge(front, config.as_ref(), public.as_ref()));
        if front.unclear {
            let why = "it includes a file that cannot be read, so what it sets is not known";
            let place = format!("{}, line {}", front.path, front.line);
            verdict.untold(place, Unknown::Unreadable(why.to_owned()));
        }
    }
    if fronts.is_empty() && !direct {
        match install::settings(host).await? {
            Some(settings) if external.is_some() && config.is_none() => {
                verdict.add(settings::written(&settings, public.as_ref()));
            }
            _ if verdict.findings.is_empty() => {
                let why = "no nginx on this host passes requests on to the registry";
                return Err(Stop::not_applicable(why));
            }
            _ => {}
        }
    }
    Ok(verdict)
}

/// The address under which clients reach the registry.
pub(super) struct Public<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) source: &'a Source,
}

impl Public<'_> {
    fn evidence(&self) -> Evidence {
        self.source.evidence("address for clients", self.endpoint)
    }

    /// Whether `https://host:port` is this address.
    fn is(&self, other: &Endpoint) -> bool {
        self.endpoint.is_server(other)
    }
}
