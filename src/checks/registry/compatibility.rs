//! Do the registry's settings fit its clients, its host, and the program itself?

mod refused;
#[cfg(test)]
mod tests;
mod unfit;

use super::startup::Configured;
use crate::checks::{Finding, Stop, Verdict, check, docs};
use crate::host::Host;
use crate::host::files::File;
use crate::host::version::RegistryVersion;
use crate::install::registry::{self, Config, ConfigFile};
use crate::install::{Kind, kind};

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
    let Some(ConfigFile { path, file, generated }) = registry::config_file(host).await? else {
        return Err(Stop::not_applicable("no registry is configured on this host"));
    };
    let mut verdict = Verdict::default();
    match file {
        File::Read(yml) => {
            let config = Config { path, yml, generated };
            let configured = Configured::of(host, &config).await;
            let version = verdict.told("the registry's version", host.ask(RegistryVersion).await);
            verdict.add(refused::judge(&configured));
            let version = version.flatten().filter(|_| generated);
            verdict.add(unfit::judge(&configured, version.as_deref()));
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
