//! Where the registry keeps its metadata, on which it depends who collects garbage.

use super::super::startup::Configured;
use crate::checks::shell::word;
use crate::checks::{Finding, Verdict, docs};
use crate::host::files::FileFacts;
use crate::host::{Host, Unknown};
use crate::install::registry::{self, Config, Storage};
use crate::parse::setting::{Located, Scalar, Setting};

/// The folder of the lock files, below the storage's root.
const LOCKS: &str = "docker/registry/lockfiles";

/// What the settings and the lock files say.
pub(super) struct Metadata {
    /// What `database.enabled` says.
    told: Told,
    /// The lock files, where they can be seen; their folder.
    locks: Option<(String, Locks)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Database,
    Files,
    /// The database, unless there is metadata in files already.
    Prefer,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Locks {
    database: bool,
    files: bool,
}

impl Metadata {
    pub(super) async fn of(host: &Host, verdict: &mut Verdict, config: &Config) -> Self {
        let locks = verdict.told("the storage's lock files", locks(host).await).flatten();
        Self { told: told(config), locks }
    }

    /// Whether the database holds the metadata, so that the registry collects garbage by itself;
    /// `None` where that depends on what is not seen.
    pub(super) fn in_database(&self) -> Option<bool> {
        match self.told {
            Told::Database => Some(true),
            Told::Files => Some(false),
            Told::Prefer => match self.locks.as_ref()?.1 {
                Locks { database: true, files: false } => Some(true),
                Locks { database: false, files: true } => Some(false),
                _ => None,
            },
        }
    }

    pub(super) fn judge(&self, configured: &Configured<'_>) -> Vec<Finding> {
        let mut findings: Vec<_> = self.contradiction(configured).into_iter().collect();
        if self.in_database() == Some(true) {
            findings.extend(switched_off(configured));
        }
        findings
    }

    /// What the lock files say against each other, or against the settings.
    fn contradiction(&self, configured: &Configured<'_>) -> Option<Finding> {
        let (folder, locks) = self.locks.as_ref()?;
        let (code, message) = match (locks, self.told) {
            (Locks { database: true, files: true }, _) => (
                "locks-contradict",
                "both lock files are there, as an interrupted import leaves them: one says that \
                 the metadata is in the database, the other that it is in files",
            ),
            (Locks { database: true, files: false }, Told::Files) => (
                "database-not-enabled",
                "a lock file says that the metadata is in the database, which is switched off: \
                 newer images are missing, and garbage cannot be collected",
            ),
            (Locks { database: false, files: true }, Told::Database) => (
                "files-not-imported",
                "a lock file says that the metadata is in files, but the database is switched on: \
                 images that were not imported are missing",
            ),
            _ => return None,
        };
        let enabled = configured.config.yml.database.enabled.as_ref();
        let finding = Finding::warning(code, folder.as_str(), message)
            .seen("database-in-use", yes_or_no(locks.database))
            .seen("filesystem-in-use", yes_or_no(locks.files))
            .docs(docs::REGISTRY_GC);
        let finding = match enabled {
            Some(it) => finding.evidence(configured.setting(it).evidence("database.enabled")),
            None => finding.seen("database.enabled", "not set"),
        };
        Some(finding.remedy(
            "Find out which one is right before anything is deleted: the database has \
             repositories if the import came to its end. Then set database.enabled accordingly \
             and remove the wrong lock file.",
            [
                format!("sudo ls -l {}", word(folder)),
                "sudo gitlab-ctl registry-database status".to_owned(),
            ],
        ))
    }
}

fn yes_or_no(is_there: bool) -> &'static str {
    if is_there { "there" } else { "not there" }
}

fn told(config: &Config) -> Told {
    match config.yml.database.enabled.as_ref().map(|it| &it.value) {
        Some(Scalar::Bool(true)) => Told::Database,
        Some(Scalar::Text(text)) if text == "true" => Told::Database,
        Some(Scalar::Text(text)) if text == "prefer" => Told::Prefer,
        _ => Told::Files,
    }
}

/// The lock files of a storage in a folder of this host.
async fn locks(host: &Host) -> Result<Option<(String, Locks)>, Unknown> {
    let Some(Storage::Filesystem(root)) = registry::storage(host).await? else { return Ok(None) };
    let folder = root.value.join(LOCKS);
    let is_there =
        async |name: &str| Ok(host.ask(FileFacts::of(folder.join(name))).await?.is_some());
    let locks = Locks {
        database: is_there("database-in-use").await?,
        files: is_there("filesystem-in-use").await?,
    };
    Ok(Some((folder.into_string(), locks)))
}

/// The registry's own collector does not run.
fn switched_off(configured: &Configured<'_>) -> Option<Finding> {
    let yml = &configured.config.yml;
    let is_on = |it: &&Located<Scalar>| it.value == Scalar::Bool(true);
    let settings: [(&str, &Setting); 3] = [
        ("gc.disabled", &yml.gc_disabled),
        ("gc.blobs.disabled", &yml.gc_blobs_disabled),
        ("gc.manifests.disabled", &yml.gc_manifests_disabled),
    ];
    let (name, it) =
        settings.into_iter().find_map(|(name, it)| Some((name, it.as_ref().filter(is_on)?)))?;
    let message = format!(
        "{name} is true: with the metadata database nothing else collects garbage, so the storage \
         only grows"
    );
    let finding = Finding::warning("online-collection-off", configured.subject(it.line), message)
        .evidence(configured.setting(it).evidence(name))
        .docs(docs::REGISTRY_GC);
    let rb = "registry['gc'] without 'disabled' => true";
    let yml = format!("{name}: false");
    let why = "let the registry collect its garbage";
    Some(configured.mend(finding, Some(it), why, Some(rb), &yml))
}

/// What the settings say together with lock files for database and files.
#[cfg(test)]
pub(super) fn sample(config: &Config, locks: Option<(bool, bool)>) -> Metadata {
    let folder = format!("/var/lib/registry/{LOCKS}");
    let locks = locks.map(|(database, files)| (folder, Locks { database, files }));
    Metadata { told: told(config), locks }
}
