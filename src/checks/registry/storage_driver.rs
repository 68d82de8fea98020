//! Can the registry work with the storage it is told to use?

mod endpoint;
mod folder;
mod numbers;
mod other_drivers;
mod s3;
mod sections;
mod subject;

pub(super) use self::endpoint::endpoint;
pub(super) use self::s3::is_amazon;
pub(super) use self::subject::Subject;
use super::keeper::Keeper;
use crate::checks::{Finding, Stop, Verdict, check};
use crate::host::Host;
use crate::install::{self, storage::storage_settings};
use crate::parse::registry_yml::Driver;

check! {
    /// The registry can work with its storage settings.
    ///
    /// ## Why it matters
    ///
    /// The registry refuses to start with many wrong storage settings, and says so in its log
    /// only. Others let it start and fail later: at the first push, at a big layer, at the next
    /// update, or at the backup.
    ///
    /// ## What is looked at
    ///
    /// The section `storage` of the registry's configuration with the environment variables that
    /// override it, or `registry['storage']` in `gitlab.rb` before the first reconfigure: the
    /// driver, its parameters and their limits in the version that is installed, as far as that is
    /// known. For a folder: whether it is there and whether the accounts `registry` (or
    /// `docker-registry`) and `git` may use it, by owner, group and mode.
    ///
    /// For an S3-compatible store of one's own (`regionendpoint`): its name, a connection, a TLS
    /// handshake judged as the registry judges it, and one request without a signature, which
    /// every such store answers. Clouds are not asked anything, credentials are never used or
    /// shown, and nothing is written.
    ///
    /// ## How to fix it
    ///
    /// Mend `registry['storage']` in `/etc/gitlab/gitlab.rb` and run `gitlab-ctl reconfigure`, or
    /// the section `storage` in the `config.yml` of a registry of your own and restart it.
    "registry/storage-driver": "the storage settings can work"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let Some(settings) = storage_settings(host).await? else {
        return Err(Stop::not_applicable("there is no registry on this host"));
    };
    let internal = install::registry::internal(host).await?;
    let subject = Subject {
        settings: &settings,
        keeper: Keeper::of(host).await,
        service: internal.map(|it| it.value.socket()),
    };
    let mut verdict = Verdict::default();
    verdict.add(sections::judge(&subject));
    // Of several nobody can tell which one is meant, and of one without parameters what it would do.
    let wrong =
        |driver: &Driver| settings.storage.not_mappings.iter().any(|it| it.value == driver.name);
    if let [driver] = &settings.storage.drivers[..]
        && !wrong(driver)
    {
        verdict.add(judge(&subject, driver));
        match driver.name.as_str() {
            "filesystem" => folder::look(host, &subject, driver, &mut verdict).await,
            "gcs" => folder::look_at_key_file(host, &subject, driver, &mut verdict).await,
            name if s3::is_s3(name) => endpoint::look(host, &subject, driver, &mut verdict).await,
            _ => {}
        }
    }
    Ok(verdict)
}

/// What the parameters of a driver say by themselves.
fn judge(subject: &Subject<'_>, driver: &Driver) -> Vec<Finding> {
    if let Some(unknown) = sections::unknown_driver(subject, driver) {
        return vec![unknown];
    }
    match driver.name.as_str() {
        "filesystem" => numbers::judge(subject, driver, numbers::FILESYSTEM),
        "inmemory" => vec![other_drivers::in_memory(subject, driver)],
        "gcs" => other_drivers::gcs(subject, driver),
        "azure" | "azure_v2" => other_drivers::azure(subject, driver),
        name if s3::is_s3(name) => s3::judge(subject, driver),
        _ => Vec::new(),
    }
}

#[cfg(test)]
pub(super) mod tests;
