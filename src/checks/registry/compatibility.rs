//! Do the registry's settings fit its clients, its host, and the program itself?

mod refused;
#[cfg(test)]
mod tests;
mod unfit;

use super::startup::{Configured, heed_settings};
use crate::checks::{Finding, Stop, Verdict, check, docs};
use crate::host::Host;
use crate::host::files::File;
use crate::host::version::RegistryVersion;
use crate::install::registry::{self, Config, ConfigFile};
use crate::install::{Endpoint, Kind, Sourced, kind, nginx};

check! {
    /// The registry's settings are ones that it reads, and fit its clients.
    ///
    /// ## Why it matters
    ///
    /// The registry refuses its whole file for one value of the wrong type (`"true"` in quotes, a
    /// word in place of a list) and does not start; a running one goes on until its next restart,
    /// so that the fault shows weeks later. Keys that it does not know it ignores without a word,
    /// however important they were meant to be. And some settings cannot work with GitLab or in an
    /// offline network: certificates from Let's Encrypt, a cache of a registry on the internet, a
    /// prefix before `/v2/`.
    ///
    /// ## What is looked at
    ///
    /// Every setting in `config.yml` of the registry on this host, with the environment variables
    /// that override it, except those that another check is about: `auth` (`registry/issuer` and
    /// `registry/signing-key`), `notifications`, the storage driver, read-only mode, deletes and
    /// purging (`registry/garbage-collection`). Nothing secret is shown, only whether it is set.
    ///
    /// ## How to fix it
    ///
    /// With the Linux package `gitlab-ctl reconfigure` writes the file anew. With a registry of
    /// your own, mend the line and restart it; `docker-registry serve FILE` says at once whether it
    /// reads a file.
    "registry/compatibility": "settings fit the clients"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let mut verdict = Verdict::default();
    heed_settings(host, &mut verdict).await;
    let off = registry::is_switched_off(host).await;
    let found = registry::config_file(host).await?.filter(|found| !(off && found.generated));
    let Some(ConfigFile { path, file, generated }) = found else {
        verdict.add(unfit::before_reconfigure(host).await?);
        return if verdict.findings.is_empty() {
            Err(Stop::not_applicable("no registry is configured on this host"))
        } else {
            Ok(verdict)
        };
    };
    match file {
        File::Read(yml) => {
            let config = Config { path, yml, generated };
            let configured = Configured::of(host, &config).await;
            verdict.add(refused::judge(&configured));
            let matters = generated && config.yml.compatibility_schema1_enabled.is_some();
            let version = if matters {
                verdict.told("the registry's version", host.ask(RegistryVersion).await).flatten()
            } else {
                None
            };
            let nodes = nodes(host, &config).await;
            verdict.add(unfit::judge(&configured, version.as_deref(), nodes.as_ref()));
        }
        other => {
            let obstacle = other.obstacle().unwrap_or_default();
            let message = format!("{obstacle}: the registry does not start");
            let finding = Finding::error("unreadable", path.as_str(), message);
            let by_package = generated && kind(host).await? == Some(Kind::LinuxPackage);
            let finding = if by_package {
                let commands = ["sudo gitlab-ctl reconfigure", "sudo gitlab-ctl restart registry"];
                finding.remedy("Let reconfigure write the file again.", commands)
            } else {
                let edit = format!("sudoedit {}", crate::checks::shell::word(path.as_str()));
                let commands = [edit, "sudo systemctl restart docker-registry".to_owned()];
                finding.remedy("Mend the line.", commands)
            };
            verdict.add([finding.docs(docs::REGISTRY)]);
        }
    }
    Ok(verdict)
}

/// The nodes of a registry that nginx in front of it shares requests out among. They count only
/// beside a secret that is not set.
async fn nodes(host: &Host, config: &Config) -> Option<Sourced<String>> {
    let http = &config.yml.http;
    if http.secret.as_ref().is_some_and(|secret| secret.value.set) {
        return None;
    }
    let endpoint = Endpoint::listening(&http.addr.as_ref()?.value.to_string())?;
    nginx::nodes_behind(host, endpoint.port).await.ok().flatten()
}
