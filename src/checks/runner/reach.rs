//! Does the runner reach GitLab, and do its jobs?

mod address;
mod container;

use self::address::{Address, addresses};
use crate::checks::path::{self, Looked};
use crate::checks::trust::runner::{refusal, refused};
use crate::checks::{Finding, Stop, Verdict, check, docs};
use crate::host::{Host, Unknown};
use crate::install;
use crate::install::runner::Config;

check! {
    /// The runner reaches GitLab at every address that it is told, and so do its jobs.
    ///
    /// ## Why it matters
    ///
    /// A runner that does not reach GitLab asks for no jobs, and pipelines stay pending without a
    /// word of why. One that reaches it, but whose containers do not, lets every job fail at its
    /// first step: `Could not resolve host`.
    ///
    /// ## What is looked at
    ///
    /// `url` and `clone_url` of each `[[runners]]` entry in the runner's `config.toml`; on a
    /// computer without a runner the address after `--url`, as a runner there would be told it.
    /// Each is tried in stages: its name, a connection to every address, a TLS handshake, and one
    /// `GET` of GitLab's API without a token, which GitLab refuses in words of its own. Whether the
    /// runner accepts the certificate is judged as `trust/runner` does.
    ///
    /// Containers do not read this host's `/etc/hosts`. Where that file knows a name and the
    /// executor is docker, the name servers that containers ask are asked for it.
    ///
    /// ## How to fix it
    ///
    /// Mend the first stage that fails. Where only containers fail, enter the name in DNS, or add
    /// `extra_hosts = ["gitlab.internal:10.0.0.5"]` to `[runners.docker]` in
    /// `/etc/gitlab-runner/config.toml`. The runner reads that file anew by itself.
    "runner/reach": "the runner reaches GitLab"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let mut verdict = Verdict::default();
    let config = install::runner::config(host).await?;
    let addresses = addresses(host, config.as_ref(), &mut verdict).await?;
    if addresses.is_empty() {
        if !verdict.findings.is_empty() {
            return Ok(verdict);
        }
        return Err(Stop::not_applicable(match &config {
            None => "no runner is configured on this host",
            Some(config) if config.toml.runners.is_empty() => {
                "config.toml has no [[runners]] entry: no runner is registered"
            }
            Some(_) => "no entry in config.toml has a url",
        }));
    }
    let looks = addresses.iter().map(|address| path::look(host, &address.gitlab));
    let seen = futures::future::join_all(looks).await;
    for (address, seen) in addresses.iter().zip(seen) {
        if let Err(Unknown::LeftOut(why)) = seen {
            // What is wrong as it is written stays wrong.
            return if verdict.findings.is_empty() {
                Err(Stop::NotApplicable(why))
            } else {
                Ok(verdict)
            };
        }
        let what = address.gitlab.endpoint.to_string();
        let Some(looked) = verdict.told(&what, seen) else { continue };
        let broken = path::judge(&address.gitlab, &looked);
        let refused = untrusted(host, config.as_ref(), address, &looked).await;
        let refused = verdict.told(&format!("trust in {what}"), refused).flatten();
        let broken =
            broken.map(|finding| address.with_runners(finding).on_way_to(&address.gitlab.endpoint));
        verdict.add(broken.into_iter().chain(refused));
        if let Some(config) = &config {
            container::judge(host, config, address, &looked, &mut verdict).await;
        }
    }
    Ok(verdict)
}

/// GitLab answers, but the runner does not believe that it is GitLab. `trust/runner` tells why,
/// and how to mend it.
async fn untrusted(
    host: &Host,
    config: Option<&Config>,
    address: &Address<'_>,
    looked: &Looked,
) -> Result<Option<Finding>, Unknown> {
    let endpoint = &address.gitlab.endpoint;
    let (good, _) = looked.split(&address.gitlab);
    let Some(config) = config.filter(|_| address.is_api && endpoint.https && !good.is_empty())
    else {
        return Ok(None);
    };
    let refusal = match refusal(host, config, endpoint).await {
        Ok(refusal) => refusal,
        Err(Stop::Unknown(why)) => return Err(why),
        Err(Stop::NotApplicable(_)) => None,
    };
    Ok(refusal.map(|refusal| {
        let message = "GitLab answers, but the runner refuses its certificate: it gets no jobs";
        let finding = Finding::error("certificate-refused", endpoint.to_string(), message);
        let words = refusal.evidence.into_iter().filter(|it| it.what == "the runner says");
        let finding = words.fold(finding, Finding::evidence).follows(refused(endpoint));
        address
            .with_runners(finding)
            .remedy(refusal.remedy.advice, refusal.remedy.commands)
            .docs(docs::RUNNER_TLS)
    }))
}
