//! Do GitLab and the registry name the same issuer, service and realm?

mod judge;
mod realm;
#[cfg(test)]
mod tests;

use self::judge::judge;
use super::startup::{Configured, heed_settings};
use crate::checks::{Finding, Stop, Verdict, check};
use crate::host::{Host, Unknown};
use crate::install::tokens::{self, Signer};
use crate::install::{Endpoint, GITLAB_RB, Sourced, Written, gitlab, registry, settings};

check! {
    /// GitLab and its registry name the same issuer and service, and the registry sends clients to
    /// GitLab for their tokens.
    ///
    /// ## Why it matters
    ///
    /// A token says who issued it and for which service. The registry compares both with its own
    /// settings, letter by letter, and refuses the token if they differ: `docker login` then fails
    /// with "unauthorized", and only the registry's log says why ("token from untrusted issuer",
    /// "token intended for another audience"). Where to get a token the registry tells every client
    /// as `realm`; a realm on another host, port or path than GitLab's ends in an error there. And
    /// a registry without `auth` lets everybody pull and push everything.
    ///
    /// ## What is looked at
    ///
    /// `auth.token` in the registry's `config.yml` with the environment variables that override it,
    /// `issuer` in Rails' `gitlab.yml`, and GitLab's own address. The realm has to be that address
    /// with `/jwt/auth` behind it, the path of a relative URL included. Where reconfigure has not
    /// written the files yet, `gitlab.rb` is looked at.
    ///
    /// ## How to fix it
    ///
    /// With the Linux package set `gitlab_rails['registry_issuer']`, or nothing, and
    /// `registry['token_realm']`, or nothing; then `gitlab-ctl reconfigure`. With a registry of your
    /// own write `service: container_registry`, GitLab's issuer and `https://HOST/jwt/auth`.
    "registry/issuer": "both sides name the same issuer and service"
}

/// Both sides of a token.
struct Scene<'a> {
    configured: Configured<'a>,
    signer: Option<&'a Signer>,
    /// The address that users know GitLab by.
    gitlab: Option<Sourced<Endpoint>>,
    /// `registry['token_realm']`.
    told_realm: Option<Sourced<Endpoint>>,
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let mut verdict = Verdict::default();
    heed_settings(host, &mut verdict).await;
    let config = verdict.told("the registry's configuration", registry::in_use(host).await);
    let signer = verdict.told("GitLab's settings for the registry", tokens::signer(host).await);
    let signer = signer.flatten();
    let Some(config) = config.flatten() else {
        if !verdict.untold.is_empty() {
            return Ok(verdict);
        }
        verdict.add(verdict_of_settings(host).await?);
        return if verdict.findings.is_empty() { Err(alone(signer.as_ref())) } else { Ok(verdict) };
    };
    let configured = Configured::of(host, &config).await;
    let gitlab = verdict.told("GitLab's address", gitlab::configured_url(host).await).flatten();
    let told_realm = told_realm(host).await;
    let scene = Scene { configured, signer: signer.as_ref(), gitlab, told_realm };
    verdict.add(judge(&scene));
    Ok(verdict)
}

/// Only GitLab's half is here, or none.
fn alone(signer: Option<&Signer>) -> Stop {
    match signer.and_then(|signer| signer.issuer.as_ref()) {
        Some(issuer) => Stop::NotApplicable(format!(
            "only GitLab is on this host: it issues tokens as '{}'",
            issuer.value
        )),
        None => Stop::not_applicable("no registry is configured on this host"),
    }
}

/// `registry['token_realm']`, if somebody has set it on purpose.
async fn told_realm(host: &Host) -> Option<Sourced<Endpoint>> {
    let settings = settings(host).await.ok().flatten()?;
    match settings.url(&["registry", "token_realm"]) {
        Written::Known(realm) => Some(realm),
        Written::Unset | Written::Untold(_) => None,
    }
}

/// What `gitlab.rb` sets for the two sides before reconfigure has written anything.
async fn verdict_of_settings(host: &Host) -> Result<Option<Finding>, Unknown> {
    let Some(settings) = settings(host).await? else { return Ok(None) };
    let rails = settings.text(&["gitlab_rails", "registry_issuer"]).told()?;
    for name in ["issuer", "token_issuer"] {
        if let Some(own) = settings.text(&["registry", name]).told()? {
            return Ok(judge::written(GITLAB_RB, name, &own, rails.as_ref()));
        }
    }
    let (realm, gitlab) =
        (settings.url(&["registry", "token_realm"]).told()?, gitlab::configured_url(host).await?);
    let (Some(realm), Some(gitlab)) = (realm, gitlab) else { return Ok(None) };
    Ok(realm::written(GITLAB_RB, &realm, &gitlab))
}
