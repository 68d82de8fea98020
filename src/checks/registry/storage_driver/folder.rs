//! Folders and files that the registry needs: there, and open to the accounts that use them.

use camino::{Utf8Path, Utf8PathBuf};

use super::subject::Subject;
use crate::checks::access::{ALL, ENTER, READ, may, tells_owners};
use crate::checks::shell::word;
use crate::checks::{Evidence, Finding, Severity, Verdict};
use crate::host::account::{Account, AccountOf};
use crate::host::files::{Facts, FileFacts, Kind};
use crate::host::system::System;
use crate::host::{Host, Unknown};
use crate::install::accounts::{self, Service};
use crate::install::storage::Program;
use crate::parse::registry_yml::Driver;
use crate::parse::setting::Scalar;

/// Where a registry keeps its images that is told no folder.
const DEFAULT_ROOT: &str = "/var/lib/registry";

/// Below the root, as far as the registry makes the folders once and for all.
const INSIDE: [&str; 5] = [
    "docker",
    "docker/registry",
    "docker/registry/v2",
    "docker/registry/v2/blobs",
    "docker/registry/v2/repositories",
];

/// An account that uses the storage.
struct User {
    name: String,
    account: Account,
    /// How bad it is when it cannot.
    severity: Severity,
    /// What fails then.
    fails: &'static str,
}

pub(super) async fn look(
    host: &Host,
    subject: &Subject<'_>,
    driver: &Driver,
    verdict: &mut Verdict,
) {
    let told = driver.get("rootdirectory").cloned();
    let root = told.unwrap_or_else(|| driver.located(Scalar::Text(DEFAULT_ROOT.to_owned())));
    let path = Utf8PathBuf::from(root.value.to_string());
    let place = subject.shown(&["filesystem", "rootdirectory"], &root);
    if !path.is_absolute() {
        let message = format!(
            "'{path}' is no absolute path: where images go depends on where the registry is started"
        );
        let finding =
            subject.finding(Severity::Warning, "relative-folder", message).evidence(place);
        verdict.add([subject.write(
            finding,
            "write the whole path",
            &["filesystem", "rootdirectory"],
            "'/PATH'",
        )]);
        return;
    }
    let facts = match host.ask(FileFacts::of(&path)).await {
        Ok(facts) => facts,
        Err(why) => return verdict.untold(path.as_str(), why),
    };
    match facts {
        // The first reconfigure makes it.
        None if subject.settings.written_only => {}
        None => match may_be_elsewhere(host, &path).await {
            Ok(false) => {
                verdict.add([missing(subject, &path, &Owner::of_package(host).await, place)]);
            }
            Ok(true) => {
                let why = format!("{path} is not among these files; is a disk not mounted?");
                verdict.untold("the folder of the images", Unknown::Unreadable(why));
            }
            Err(why) => verdict.untold(path.as_str(), why),
        },
        Some(facts) if facts.kind != Kind::Directory => {
            let owner = Owner::of_package(host).await;
            verdict.add([not_a_folder(subject, &path, &facts, &owner, place)]);
        }
        Some(_) => access(host, subject, &path, place, verdict).await,
    }
}

/// Whose the folder is in the Linux package.
struct Owner {
    account: String,
    group: String,
}

impl Owner {
    async fn of_package(host: &Host) -> Self {
        Self {
            account: accounts::name(host, Service::Registry).await,
            group: accounts::gitlab_group(host).await,
        }
    }

    /// The command that makes it, quoted already.
    fn makes(&self, folder: &str) -> String {
        let (account, group) = (word(&self.account), word(&self.group));
        format!("sudo install -d -o {account} -g {group} -m 770 {folder}")
    }
}

fn about(path: &Utf8Path, finding: Finding) -> Finding {
    Finding { subject: path.to_string(), ..finding }
}

/// Whether the files are a part of a system only, without the place of the images.
async fn may_be_elsewhere(host: &Host, path: &Utf8Path) -> Result<bool, Unknown> {
    let above = path.parent().unwrap_or(path);
    Ok(!host.ask(System).await?.running && host.ask(FileFacts::of(above)).await?.is_none())
}

fn missing(subject: &Subject<'_>, path: &Utf8Path, owner: &Owner, place: Evidence) -> Finding {
    let message = "the folder of the images does not exist";
    let finding = about(path, subject.finding(Severity::Error, "folder-missing", message));
    let finding = finding.evidence(place);
    let advice = "Mount the disk that holds the images. If there are none yet, make the folder.";
    let folder = word(path.as_str());
    let make = match subject.settings.program {
        Program::Gitlab(_) => owner.makes(&folder),
        Program::Debian => {
            format!("sudo install -d -o docker-registry -g docker-registry -m 750 {folder}")
        }
        Program::Unknown => format!("sudo mkdir -p {folder}"),
    };
    finding.remedy(advice, ["findmnt".to_owned(), make])
}

fn not_a_folder(
    subject: &Subject<'_>,
    path: &Utf8Path,
    facts: &Facts,
    owner: &Owner,
    place: Evidence,
) -> Finding {
    let message = format!("it is {}, and images need a folder", facts.kind);
    let finding = about(path, subject.finding(Severity::Error, "not-a-folder", message));
    let finding = finding.evidence(place);
    let (from, to) = (word(path.as_str()), word(&format!("{path}.moved-away")));
    finding.remedy(
        "Move it away and make a folder in its place.",
        [format!("sudo mv -T -- {from} {to}"), owner.makes(&from)],
    )
}

/// Whether the accounts may go there and write.
async fn access(
    host: &Host,
    subject: &Subject<'_>,
    root: &Utf8Path,
    place: Evidence,
    verdict: &mut Verdict,
) {
    let users = match users(host, subject).await {
        Ok(users) => users,
        Err(why) => return verdict.untold("accounts that use the folder", why),
    };
    if users.is_empty() {
        return;
    }
    let above: Vec<_> = root.ancestors().skip(1).map(|it| (it.to_owned(), ENTER)).collect();
    let inside = INSIDE.iter().map(|name| (root.join(name), ALL));
    let paths = above.into_iter().rev().chain([(root.to_owned(), ALL)]).chain(inside);
    let running = match host.ask(System).await {
        Ok(system) => system.running,
        Err(why) => return verdict.untold("owners of the folder", why),
    };
    let mut folders = Vec::new();
    for (path, needed) in paths {
        match host.ask(FileFacts::of(&path)).await {
            Ok(Some(facts)) => folders.push((path, facts, needed)),
            Ok(None) => {}
            Err(why) => verdict.untold(path.as_str(), why),
        }
    }
    // Files that were unpacked without their owners are all of the one who unpacked them.
    let first = folders.first().map(|(_, facts, _)| facts.uid);
    if !running && folders.iter().all(|(_, facts, _)| Some(facts.uid) == first) {
        return;
    }
    let mut told = None;
    for user in users {
        // GitLab's backup reads and replaces the folder, not what the registry makes inside it.
        let own = folders.iter().filter(|(path, ..)| {
            user.severity == Severity::Error || !path.starts_with(root) || path == root
        });
        match first_obstacle(&user.account, own) {
            Obstacle::None => {}
            Obstacle::Unclear(path) => {
                let why =
                    format!("{path}: has an access control list, which gldoctor does not read");
                verdict
                    .untold(format!("whether {} may use it", user.name), Unknown::Unreadable(why));
            }
            // What keeps the registry out is mended for both.
            Obstacle::Refused(path, _) if told == Some(path) => {}
            Obstacle::Refused(path, facts) => {
                told = Some(path);
                let owner = Owner::of_package(host).await;
                verdict.add([refused(subject, root, &user, &owner, path, facts, place.clone())]);
            }
        }
    }
}

/// The accounts that use the storage, as far as they are in the system's files.
async fn users(host: &Host, subject: &Subject<'_>) -> Result<Vec<User>, Unknown> {
    if !tells_owners(host).await? {
        return Ok(Vec::new());
    }
    let (registry, git) = match subject.settings.program {
        Program::Gitlab(_) => {
            let registry = accounts::name(host, Service::Registry).await;
            (registry, Some(accounts::name(host, Service::Gitlab).await))
        }
        Program::Debian => ("docker-registry".to_owned(), None),
        // Whose it is nobody can tell.
        Program::Unknown => return Ok(Vec::new()),
    };
    let mut users = Vec::new();
    if let Some(account) = host.ask(AccountOf::name(&registry)).await? {
        let fails = "every push fails";
        users.push(User { name: registry, account, severity: Severity::Error, fails });
    }
    if let Some(name) = git
        && let Some(account) = host.ask(AccountOf::name(&name)).await?
    {
        let fails = "GitLab's backup of the registry fails";
        users.push(User { name, account, severity: Severity::Warning, fails });
    }
    Ok(users)
}

enum Obstacle<'a> {
    None,
    Unclear(&'a Utf8Path),
    Refused(&'a Utf8Path, &'a Facts),
}

fn first_obstacle<'a>(
    account: &Account,
    folders: impl Iterator<Item = &'a (Utf8PathBuf, Facts, u32)>,
) -> Obstacle<'a> {
    for (path, facts, needed) in folders {
        match may(account, facts, *needed) {
            Some(true) => {}
            Some(false) => return Obstacle::Refused(path, facts),
            None => return Obstacle::Unclear(path),
        }
    }
    Obstacle::None
}

fn refused(
    subject: &Subject<'_>,
    root: &Utf8Path,
    user: &User,
    owner_of_package: &Owner,
    path: &Utf8Path,
    facts: &Facts,
    place: Evidence,
) -> Finding {
    let name = &user.name;
    let above = !path.starts_with(root);
    let message = if above {
        format!("{name} may not go through it to the images: {}", user.fails)
    } else {
        format!("{name} may not write to it: {}", user.fails)
    };
    let code =
        if user.severity == Severity::Error { "folder-refused" } else { "folder-refused-to-git" };
    let owner = facts.owner.clone().unwrap_or_else(|| facts.uid.to_string());
    let group = facts.group.clone().unwrap_or_else(|| facts.gid.to_string());
    let permissions = format!("mode {:04o}, owner {owner}, group {group}", facts.mode);
    let finding = about(path, subject.finding(user.severity, code, message))
        .seen("permissions", permissions)
        .evidence(place);
    let folder = word(root.as_str());
    if above {
        return finding.remedy(
            "Let everybody go through the folder; nobody can list it by that.",
            [format!("sudo chmod a+x {}", word(path.as_str()))],
        );
    }
    match subject.settings.program {
        Program::Gitlab(_) => {
            let Owner { account, group } = owner_of_package;
            let owner = word(&format!("{account}:{group}"));
            finding.remedy(
                "Give the folder and what is in it back to the registry, as reconfigure leaves it.",
                [format!("sudo chown -R {owner} {folder}"), format!("sudo chmod 770 {folder}")],
            )
        }
        _ => finding.remedy(
            "Give the folder and what is in it to the registry.",
            [
                format!("sudo chown -R {} {folder}", word(name)),
                format!("sudo chmod u+rwx {folder}"),
            ],
        ),
    }
}

/// Google's key file: there, and readable.
pub(super) async fn look_at_key_file(
    host: &Host,
    subject: &Subject<'_>,
    driver: &Driver,
    verdict: &mut Verdict,
) {
    let Some(setting) = driver.get("keyfile") else { return };
    let path = Utf8PathBuf::from(setting.value.to_string());
    let place = subject.shown(&["gcs", "keyfile"], setting);
    let facts = match host.ask(FileFacts::of(&path)).await {
        Ok(facts) => facts,
        Err(why) => return verdict.untold(path.as_str(), why),
    };
    let Some(facts) = facts else {
        return verdict.add([key_file_missing(subject, &path, place)]);
    };
    let users = match users(host, subject).await {
        Ok(users) => users,
        Err(why) => return verdict.untold("accounts that read the key file", why),
    };
    let Some(user) = users.into_iter().find(|user| user.severity == Severity::Error) else {
        return;
    };
    if may(&user.account, &facts, READ) == Some(false) {
        verdict.add([key_file_refused(subject, &path, &user.name, &facts, place)]);
    }
}

fn key_file_missing(subject: &Subject<'_>, path: &Utf8Path, place: Evidence) -> Finding {
    let message = format!("the key file {path} does not exist: the registry does not start");
    let words = format!("open {path}: no such file or directory");
    subject.write(
        subject.startup("key-file-missing", message, words).evidence(place),
        "put the service account's key there, or name its place",
        &["gcs", "keyfile"],
        "'/PATH'",
    )
}

fn key_file_refused(
    subject: &Subject<'_>,
    path: &Utf8Path,
    account: &str,
    facts: &Facts,
    place: Evidence,
) -> Finding {
    let message =
        format!("{account} may not read the key file {path}: the registry does not start");
    let words = format!("open {path}: permission denied");
    let permissions = format!("mode {:04o}, owner {}, group {}", facts.mode, facts.uid, facts.gid);
    let file = word(path.as_str());
    subject
        .startup("key-file-refused", message, words)
        .evidence(Evidence::new("permissions", permissions).at(path.as_str(), None))
        .evidence(place)
        .remedy(
            "Give the file to the registry's account, and to nobody else.",
            [format!("sudo chown {} {file}", word(account)), format!("sudo chmod 400 {file}")],
        )
}
