//! Does GitLab sign with the key that the registry trusts?

mod judge;
mod mend;
mod scene;
#[cfg(test)]
mod tests;

use self::judge::judge;
use self::scene::{Half, Scene};
use super::startup::heed_settings;
use crate::checks::{Stop, Verdict, check};
use crate::host::Host;
use crate::install::registry;
use crate::install::tokens::signer;

check! {
    /// GitLab signs with the key that the registry trusts.
    ///
    /// ## Why it matters
    ///
    /// GitLab gives every Docker client a token that it has signed with its key; the registry
    /// accepts the token if its `rootcertbundle` holds a certificate of that very key. If not,
    /// every `docker login`, push and pull ends in "unauthorized" or "authentication required",
    /// and only the registry's log says "token signed by untrusted key with ID". A registry that
    /// cannot read the bundle does not start. Without its key GitLab cannot delete images or
    /// projects either. The two halves come from `gitlab-secrets.json`: they part when it is
    /// restored, or differs between nodes, or when one half was put in by hand.
    ///
    /// ## What is looked at
    ///
    /// `auth.token.rootcertbundle` in the registry's `config.yml`, and `registry.key` in Rails'
    /// `gitlab.yml`, with both files. Every certificate in the bundle counts, which is how keys
    /// are exchanged without a break. Keys are told by their IDs in libtrust form, as tokens and
    /// the registry's log name them; nothing of a private key is shown or recorded but fingerprints
    /// of its public half. The key has to be RSA in the clear, and readable for the account of
    /// GitLab and nobody else; modes of the folders above it count. Dates do not matter here: an
    /// expired certificate still holds its key. A registry of Distribution 3 names keys otherwise
    /// and needs `auth.token.jwks` as well.
    ///
    /// Where only one half is on a host, its key IDs are told, to be held against the other's.
    ///
    /// ## How to fix it
    ///
    /// With the Linux package `gitlab-ctl reconfigure` writes both halves; copy
    /// `/etc/gitlab/gitlab-secrets.json` to all nodes first. With a registry of your own, make a
    /// certificate of GitLab's key, put it into the bundle and restart the registry.
    "registry/signing-key": "GitLab signs with the key that the registry trusts"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let mut verdict = Verdict::default();
    heed_settings(host, &mut verdict).await;
    let config = verdict.told("the registry's configuration", registry::in_use(host).await);
    let config = config.flatten();
    let signer = verdict.told("GitLab's settings for the registry", signer(host).await).flatten();
    if config.is_none() && signer.is_none() {
        if verdict.untold.is_empty() {
            return Err(Stop::not_applicable("no registry, and no GitLab with one, on this host"));
        }
        return Ok(verdict);
    }
    let scene = Scene::of(host, &mut verdict, config.as_ref(), signer.as_ref()).await;
    let judged = judge(&scene);
    verdict.add(judged.findings);
    verdict.untold.extend(judged.untold);
    if !verdict.findings.is_empty() || !verdict.untold.is_empty() {
        return Ok(verdict);
    }
    match (&scene.registry, &scene.gitlab) {
        (Half::Here(_), Half::Here(_)) => Ok(verdict),
        (Half::Elsewhere, _) if config.is_some() => Err(Stop::not_applicable(
            "the registry of this host does not ask for tokens: see registry/issuer",
        )),
        _ => Err(Stop::NotApplicable(scene.alone())),
    }
}
