//! The repositories of a storage, as its folders name them.

use camino::Utf8Path;
use futures::try_join;

use super::{LONGEST, SHOWN};
use crate::checks::shell::word;
use crate::checks::{Finding, Severity, Stop, Verdict, docs};
use crate::host::files::{
    FileFacts, NameOddity, RegistryTags, RepositoryNames, Sample, TagListing, TagTree,
};
use crate::host::{Host, Unknown};
use crate::install::registry::{Storage, external, storage};
use crate::install::storage::{TagStore, storage_settings, tag_store};
use crate::install::{Endpoint, Source};

/// What came of looking into the storage.
#[derive(Debug)]
pub(super) enum Stored {
    /// The verdict on its folders, and what they are called.
    Walked(Verdict, RepositoryNames),
    /// The images lie where gldoctor cannot list them, with this driver.
    Elsewhere(String),
}

/// Looks at the names of the registry's repositories, where they lie in folders.
pub(super) async fn look(host: &Host) -> Result<Stored, Stop> {
    let root = match storage(host).await? {
        None => return Err(Stop::not_applicable("there is no registry on this host")),
        Some(Storage::Filesystem(root)) => root,
        Some(Storage::Other { driver, .. }) if driver.value == "inmemory" => {
            return Err(Stop::not_applicable("the registry keeps its images in memory only"));
        }
        Some(Storage::Other { driver, .. }) => return Ok(Stored::Elsewhere(driver.value)),
    };
    let registry = root.value.join("docker/registry");
    if let Some(why) = in_database(host, &registry).await? {
        return Err(Stop::NotApplicable(why));
    }
    let top = registry.join("v2/repositories");
    let tree = match host.ask(RegistryTags::of(&top)).await? {
        TagListing::Missing if host.ask(FileFacts::of(&root.value)).await?.is_none() => {
            if storage_settings(host).await?.is_some_and(|it| it.written_only) {
                let why = "the first reconfigure makes the folder of the images";
                return Err(Stop::not_applicable(why));
            }
            let why = format!("{} does not exist; is a disk not mounted?", root.value);
            return Err(Unknown::Unreadable(why).into());
        }
        TagListing::Missing => {
            let why = format!("nothing was ever pushed: {top} does not exist");
            return Err(Stop::NotApplicable(why));
        }
        TagListing::NotADirectory(kind) => {
            return Err(Unknown::Unreadable(format!("{top}: it is {kind}")).into());
        }
        TagListing::Walked(tree) => tree,
    };
    let mut verdict = Verdict::default();
    let external = external(host).await;
    let external = verdict.told("the registry's own name", external).flatten();
    judge(&top, &tree, external.map(|it| it.value).as_ref(), &mut verdict)?;
    Ok(Stored::Walked(verdict, tree.names.unwrap_or_default()))
}

/// Why the folders mean nothing, if so.
async fn in_database(host: &Host, registry: &Utf8Path) -> Result<Option<String>, Unknown> {
    let source: Source = match tag_store(host).await? {
        TagStore::Storage => return locked(host, registry).await,
        TagStore::Database(source) => source,
        TagStore::LockFile(source) => {
            let files = registry.join("lockfiles/filesystem-in-use");
            let (locked, in_files) =
                try_join!(locked(host, registry), host.ask(FileFacts::of(&files)))?;
            if locked.is_some() || in_files.is_some() {
                return Ok(locked);
            }
            // Before the first push there is nothing in either place.
            if host.ask(FileFacts::of(registry.join("v2/repositories"))).await?.is_none() {
                return Ok(None);
            }
            return Err(Unknown::Unreadable(format!(
                "database.enabled is 'prefer' ({source}), and no lock file in \
                 {registry}/lockfiles tells whether the repositories are in the metadata database"
            )));
        }
    };
    Ok(Some(format!("the repositories are in the metadata database (database.enabled, {source})")))
}

async fn locked(host: &Host, registry: &Utf8Path) -> Result<Option<String>, Unknown> {
    let lock = registry.join("lockfiles/database-in-use");
    let locked = host.ask(FileFacts::of(&lock)).await?.is_some();
    Ok(locked.then(|| format!("the repositories are in the metadata database ({lock} exists)")))
}

fn judge(
    top: &Utf8Path,
    tree: &TagTree,
    registry: Option<&Endpoint>,
    verdict: &mut Verdict,
) -> Result<(), Unknown> {
    let names = tree.names.as_ref().ok_or(Unknown::NotRecorded)?;
    verdict.add(names.odd.iter().map(|(oddity, sample)| finding(top, *oddity, sample)));
    verdict.add(too_long(top, &names.longest, registry));
    verdict.unread("names", &tree.unread);
    Ok(())
}

/// What there is to say of one kind of oddity.
struct Words {
    severity: Severity,
    code: &'static str,
    /// After "1 repository " or "3 repositories ".
    what: (&'static str, &'static str),
    advice: &'static str,
    /// What to do with PATH, the repository's folder.
    command: &'static str,
}

fn words(oddity: NameOddity) -> Words {
    match oddity {
        NameOddity::Refused => Words {
            severity: Severity::Error,
            code: "name-refused",
            what: (
                "has a name that no client can ask for: it can neither be pushed nor pulled, and \
                 garbage collection can break off at it",
                "have names that no client can ask for: they can neither be pushed nor pulled, \
                 and garbage collection can break off at them",
            ),
            advice: "Give the project a path of small letters, digits and single dots, dashes or \
                     underscores between them, and push its images anew. Then move the old folder \
                     out of the storage.",
            command: "sudo mv --backup=numbered -- PATH /var/tmp/",
        },
        NameOddity::Hidden => Words {
            severity: Severity::Error,
            code: "name-hidden",
            what: (
                "lies below a folder that starts with '_', where the registry does not look: \
                 garbage collection deletes its layers without a word",
                "lie below folders that start with '_', where the registry does not look: garbage \
                 collection deletes their layers without a word",
            ),
            advice: "Run no garbage collection. Give the folder a name without the leading '_', \
                     or move it out of the storage if nobody needs its images.",
            command: "sudo ls -lA -- PATH",
        },
        NameOddity::NoLayers => Words {
            severity: Severity::Error,
            code: "layers-lost",
            what: (
                "has tags but no folder _layers, as after a copy that broke off: pulls fail, and \
                 garbage collection breaks off at it or deletes its layers without a word",
                "have tags but no folder _layers, as after a copy that broke off: pulls fail, and \
                 garbage collection breaks off at them or deletes their layers without a word",
            ),
            advice: "Run no garbage collection. Copy the folder _layers from where the images came \
                     from, or push the images again.",
            command: "sudo ls -lA -- PATH",
        },
        NameOddity::DoubleDash => Words {
            severity: Severity::Notice,
            code: "double-dash",
            what: (
                "has several dashes in a row in its name: clients and the registry take it, \
                 although GitLab's guide lists it as a bad one",
                "have several dashes in a row in their names: clients and the registry take them, \
                 although GitLab's guide lists them as bad ones",
            ),
            advice: "There is nothing to mend. Other programs may refuse the name; if one does, \
                     rename the project.",
            command: "",
        },
    }
}

fn finding(top: &Utf8Path, oddity: NameOddity, sample: &Sample<String>) -> Finding {
    let words = words(oddity);
    let (noun, what) = if sample.count == 1 {
        ("repository", words.what.0)
    } else {
        ("repositories", words.what.1)
    };
    let message = format!("{} {noun} {what}", sample.count);
    let mut finding =
        Finding::new(words.severity, words.code, top.as_str(), message).docs(docs::REGISTRY_NAMES);
    let mut commands = Vec::new();
    for repository in sample.first.iter().take(SHOWN) {
        finding = finding.seen("repository", repository);
        // A name that is no text cannot be written in a command.
        if !words.command.is_empty() && !repository.contains('\u{fffd}') {
            let path = word(top.join(repository).as_str());
            commands.push(words.command.replacen("PATH", &path, 1));
        }
    }
    let more = sample.count.saturating_sub(SHOWN as u64);
    if more > 0 {
        finding = finding.seen("not shown", format!("{more} more"));
    }
    finding.remedy(words.advice, commands)
}

/// Clients count the registry's own name in.
fn too_long(top: &Utf8Path, longest: &str, registry: Option<&Endpoint>) -> Option<Finding> {
    let authority = registry?.authority();
    let length = authority.len() + 1 + longest.len();
    if longest.is_empty() || length <= LONGEST {
        return None;
    }
    let message = format!(
        "a repository's name has {length} characters with the registry's own, and clients take \
         {LONGEST}: it can be neither pushed nor pulled"
    );
    let finding = Finding::error("name-too-long", top.as_str(), message);
    Some(
        finding
            .seen("repository", longest)
            .seen("registry", authority)
            .remedy::<String>("Give the project, or a group above it, a shorter path.", [])
            .docs(docs::REGISTRY_NAMES),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: &str = "/data/docker/registry/v2/repositories";

    fn judged(odd: &[(NameOddity, &[&str])], longest: &str) -> Verdict {
        let sample = |names: &[&str]| Sample {
            count: names.len() as u64,
            first: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let odd = odd.iter().map(|(oddity, names)| (*oddity, sample(names))).collect();
        let names = Some(RepositoryNames { odd, longest: longest.to_owned() });
        let registry = Endpoint::parse("https://registry.test:5050").unwrap();
        let mut verdict = Verdict::default();
        let tree = TagTree { names, ..TagTree::default() };
        judge(TOP.into(), &tree, Some(&registry), &mut verdict).unwrap();
        verdict
    }

    #[test]
    fn each_oddity_has_its_words_and_commands() {
        let verdict = judged(
            &[
                (NameOddity::Refused, &["Group/it's"]),
                (NameOddity::Hidden, &["_trash/a", "_trash/b"]),
                (NameOddity::DoubleDash, &["a--b"]),
            ],
            "_trash/b",
        );
        let [refused, hidden, dash] = &verdict.findings[..] else { panic!("{verdict:?}") };
        assert_eq!((refused.severity, refused.code), (Severity::Error, "name-refused"));
        let path = format!(r"sudo mv --backup=numbered -- '{TOP}/Group/it'\''s' /var/tmp/");
        assert_eq!(refused.remedy.commands, [path]);
        assert!(hidden.message.starts_with("2 repositories lie below"), "{}", hidden.message);
        assert_eq!((dash.severity, dash.remedy.commands.len()), (Severity::Notice, 0));
    }

    #[test]
    fn the_registrys_name_counts() {
        let own = "registry.test:5050/".len();
        let longest = |length: usize| judged(&[], &"a".repeat(length)).findings;
        assert_eq!(longest(LONGEST - own), []);
        assert_eq!(longest(LONGEST - own + 1)[0].code, "name-too-long");
        assert_eq!(longest(0), []);
    }

    #[test]
    fn a_recording_that_does_not_tell_names_is_unknown() {
        let mut verdict = Verdict::default();
        let judged = judge(TOP.into(), &TagTree::default(), None, &mut verdict);
        assert_eq!(judged, Err(Unknown::NotRecorded));
    }
}

#[test]
fn an_empty_storage_is_no_riddle() {
    let text = include_str!(
        "../../../../fixtures/registry/repository-names/cannot-look-no-lock-file.json"
    );
    let registry = "/var/opt/gitlab/gitlab-rails/shared/registry/docker/registry";
    let found = |lines: String| {
        let host = Host::recorded(crate::host::Recording::parse(lines.as_bytes()).unwrap().looks);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(in_database(&host, registry.into()))
    };
    assert!(matches!(found(text.to_owned()), Err(Unknown::Unreadable(_))));
    // Before the first push nobody can tell which of the two it will be, and nobody need.
    let path = format!("\"{registry}/v2/repositories\"");
    let nothing = |line: &str| {
        let found = format!(
            "{{\"kind\":\"file-facts\",\"ask\":{{\"path\":{path}}},\"reply\":{{\"answer\":null}}}},"
        );
        if line.contains(&path) { found } else { line.to_owned() }
    };
    let lines: Vec<_> = text.lines().map(nothing).collect();
    assert_eq!(found(lines.join("\n")), Ok(None));
}
