//! Ghosts among the tags: what is listed and has no name or no image.

use camino::{Utf8Path, Utf8PathBuf};
use futures::try_join;

use super::object_store;
use crate::checks::shell::word;
use crate::checks::{Evidence, Finding, Severity, Stop, Verdict, check, docs};
use crate::host::files::{
    FileFacts, OddEntry, RegistryTags, Sample, TagListing, TagOddity, TagTree,
};
use crate::host::{Host, Unknown};
use crate::install::registry::{Storage, storage};
use crate::install::storage::{TagStore, storage_settings, tag_store};
use crate::install::{Source, Sourced};

check! {
    /// No tag of the registry is without a name or without an image.
    ///
    /// ## Why it matters
    ///
    /// The registry takes everything that stands in the folder `_manifests/tags/` of a repository
    /// for a tag and lists it. What has no name, a name that no client can ask for, or no image
    /// behind it shows up in GitLab as a tag that can neither be pulled nor deleted; cleanup
    /// policies and copies of the repository fail on it, and so does garbage collection with `-m`.
    ///
    /// ## What is looked at
    ///
    /// The repositories of a registry that keeps its images in a folder. Found are files among the
    /// tags (`.DS_Store`, what a copy left behind), names that are no tags (`lost+found`, `v 2`),
    /// empty folders, tags without `current/link` or with an empty one, links that lead nowhere,
    /// and files where the registry needs a folder. That is what AWS `DataSync`, the "create folder"
    /// of an object browser or a broken copy leave behind once the storage is brought to a disk.
    ///
    /// In an object store, a tag without a name comes from an empty object whose key ends in
    /// `/_manifests/tags/`, with the slash. The documentation speaks of the key of the repository's
    /// own folder; that one does no harm, and deleting it does not help. Object stores are not
    /// listed by this version: the check is then unknown and tells the command to look.
    ///
    /// Where the registry keeps its tags in the metadata database (`database.enabled` is true, or
    /// the file `docker/registry/lockfiles/database-in-use` exists), the folders mean nothing, and
    /// the check does not apply. With `prefer` the lock files alone tell; without one the check is
    /// unknown.
    ///
    /// ## How to fix it
    ///
    /// Remove exactly the entries that are named, and nothing recursively above them. A tag that
    /// lost its image is whole again as soon as it is pushed anew. In an object store, delete
    /// exactly the key `.../_manifests/tags/`, never with `--recursive`: that would delete every
    /// tag of the repository.
    "storage/empty-tags": "no tag has an empty name"
}

/// How many entries of a kind a finding names.
const SHOWN: usize = 5;

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let root = match storage(host).await? {
        None => return Err(Stop::not_applicable("there is no registry on this host")),
        Some(Storage::Filesystem(root)) => root,
        Some(Storage::Other { driver, bucket, root }) => {
            return Err(elsewhere(&driver.value, bucket.as_deref(), root.as_deref()));
        }
    };
    let registry = root.value.join("docker/registry");
    let store = tag_store(host).await?;
    if let TagStore::Database(source) = &store {
        return Err(Stop::not_applicable(format!(
            "the tags are in the metadata database (database.enabled, {source})"
        )));
    }
    let top = registry.join("v2/repositories");
    let lock = |name: &str| registry.join("lockfiles").join(name);
    let (database, files) = (lock("database-in-use"), lock("filesystem-in-use"));
    let (in_database, in_files) =
        try_join!(host.ask(FileFacts::of(&database)), host.ask(FileFacts::of(&files)))?;
    match (in_database.is_some(), in_files.is_some()) {
        (true, true) => return Ok(contradiction(&root, &database, &files)),
        (true, false) => {
            let why = format!("the tags are in the metadata database ({database} exists)");
            return Err(Stop::not_applicable(why));
        }
        (false, true) => {}
        (false, false) => {
            // Before the first push there are tags in neither place.
            if let TagStore::LockFile(source) = store
                && host.ask(FileFacts::of(&top)).await?.is_some()
            {
                return Err(no_lock_file(&source, &registry).into());
            }
        }
    }
    match host.ask(RegistryTags::of(&top)).await? {
        TagListing::Missing if host.ask(FileFacts::of(&root.value)).await?.is_none() => {
            if storage_settings(host).await?.is_some_and(|it| it.written_only) {
                let why = "the first reconfigure makes the folder of the images";
                return Err(Stop::not_applicable(why));
            }
            let why = format!("{} does not exist; is a disk not mounted?", root.value);
            Err(Unknown::Unreadable(why).into())
        }
        TagListing::Missing => {
            Err(Stop::not_applicable(format!("nothing was ever pushed: {top} does not exist")))
        }
        TagListing::NotADirectory(kind) => {
            let message = format!("it is {kind}, and the registry needs a folder there");
            let finding = Finding::error("file-for-folder", top.as_str(), message)
                .evidence(root.evidence("storage folder"))
                .remedy("Move it away; the registry makes the folder.", [move_away(&top)])
                .docs(docs::REGISTRY_EMPTY_TAGS);
            Ok(Verdict { findings: vec![finding], ..Verdict::default() })
        }
        TagListing::Walked(tree) => Ok(judge(&top, &tree)),
    }
}

/// The registry decides at its first start, and leaves a lock file.
fn no_lock_file(source: &Source, registry: &Utf8Path) -> Unknown {
    Unknown::Unreadable(format!(
        "database.enabled is 'prefer' ({source}), and neither lock file in {registry}/lockfiles \
         tells whether the tags are in the metadata database or in the storage"
    ))
}

fn elsewhere(driver: &str, bucket: Option<&str>, root: Option<&str>) -> Stop {
    if driver == "inmemory" {
        return Stop::not_applicable("the registry keeps its images in memory only");
    }
    object_store::untold(driver, bucket, root).into()
}

/// Both lock files: nobody can say where the tags are.
fn contradiction(root: &Sourced<Utf8PathBuf>, database: &Utf8Path, files: &Utf8Path) -> Verdict {
    let mut verdict = Verdict::default();
    let folder = database.parent().unwrap_or(database);
    let finding = Finding::warning(
        "both-lock-files",
        folder.as_str(),
        "one lock file says that the tags are in the metadata database, the other that they are \
         in the storage; versions that enforce the lock files do not start with both",
    )
    .evidence(
        Evidence::new("tags are in the database", "database-in-use").at(database.as_str(), None),
    )
    .evidence(
        Evidence::new("tags are in the storage", "filesystem-in-use").at(files.as_str(), None),
    )
    .evidence(root.evidence("storage folder"))
    .remedy(
        "See whether the registry's configuration has its database enabled, and move the lock \
         file that is wrong out of the folder.",
        [format!("sudo ls -l {}", word(folder.as_str()))],
    )
    .docs(docs::REGISTRY);
    verdict.add([finding]);
    let why = "two lock files contradict each other, so where the tags are cannot be told";
    verdict.untold("tags", Unknown::Unreadable(why.to_owned()));
    verdict
}

/// What the walk found below `top`.
fn judge(top: &Utf8Path, tree: &TagTree) -> Verdict {
    let mut verdict = Verdict::default();
    verdict.add(tree.odd.iter().map(|(oddity, sample)| finding(top, *oddity, sample)));
    verdict.unread("tags", &tree.unread);
    verdict
}

/// What there is to say of one kind of ghost.
struct Words {
    severity: Severity,
    code: &'static str,
    /// After "1 file " or "3 files ".
    what: (&'static str, &'static str),
    advice: &'static str,
    /// The command that takes exactly one entry away, with PATH in place of the entry.
    command: &'static str,
    /// The tests of `find` that list all of the kind.
    all: &'static str,
}

/// What has content is not deleted but moved, under a new name where one is taken.
const MOVE_OUT: &str = "sudo mv --backup=numbered -- PATH /var/tmp/";

/// Where no tags are, so that `find` need not go there.
const PRUNED: &str = r"\( -name _layers -o -name _uploads -o -name revisions \) -prune -o";

fn words(oddity: TagOddity) -> Words {
    match oddity {
        TagOddity::StrayFile => Words {
            severity: Severity::Error,
            code: "file-among-tags",
            what: (
                "file stands among the tags: it is listed as a tag, cannot be pulled, and breaks \
                 garbage collection with -m",
                "files stand among the tags: each is listed as a tag, cannot be pulled, and \
                 breaks garbage collection with -m",
            ),
            advice: "Remove the files; no image is in them.",
            command: "sudo rm -- PATH",
            all: "-path '*/_manifests/tags/*' -prune ! -xtype d ! -xtype l -print",
        },
        TagOddity::InvalidName => Words {
            severity: Severity::Error,
            code: "invalid-name",
            what: (
                "tag has a name that no client can ask for: it is listed, can neither be pulled \
                 nor deleted, and can break garbage collection with -m",
                "tags have names that no client can ask for: they are listed, can neither be \
                 pulled nor deleted, and can break garbage collection with -m",
            ),
            advice: "Move them out of the storage. An image behind them stays in the registry \
                     under its other tags and its digest.",
            command: MOVE_OUT,
            all: "-path '*/_manifests/tags/*' -prune -xtype d -regextype posix-extended \
                  ! -regex '.*/[A-Za-z0-9_][A-Za-z0-9._-]{0,127}' -print",
        },
        TagOddity::EmptyFolder => Words {
            severity: Severity::Error,
            code: "empty-folder",
            what: (
                "empty folder stands among the tags: it is listed as a tag that has no image",
                "empty folders stand among the tags: each is listed as a tag that has no image",
            ),
            advice: "Remove the folders; rmdir refuses where something is in them.",
            command: "sudo rmdir -- PATH",
            all: "-path '*/_manifests/tags/*' -prune -type d -empty -print",
        },
        TagOddity::NoLink => Words {
            severity: Severity::Error,
            code: "no-link",
            what: (
                "tag has no current/link: it is listed but has no image",
                "tags have no current/link: they are listed but have no image",
            ),
            advice: "Push the tag again, which makes it whole, or move its folder out of the \
                     storage. The digests below index/ tell what it pointed to.",
            command: MOVE_OUT,
            all: "-path '*/_manifests/tags/*' -prune -type d ! -empty \
                  ! -exec test -e '{}/current/link' ';' -print",
        },
        TagOddity::EmptyLink => Words {
            severity: Severity::Error,
            code: "empty-link",
            what: (
                "tag has an empty current/link: the registry answers 500 for it, and garbage \
                 collection with -m breaks on it",
                "tags have an empty current/link: the registry answers 500 for them, and garbage \
                 collection with -m breaks on them",
            ),
            advice: "Push the tag again, which makes it whole, or move its folder out of the \
                     storage. The digests below index/ tell what it pointed to.",
            command: MOVE_OUT,
            all: "-path '*/_manifests/tags/*/current/link' -empty -print",
        },
        TagOddity::DeadLink => Words {
            severity: Severity::Error,
            code: "dead-link",
            what: (
                "symbolic link among the tags leads nowhere: it is listed as a tag that has no \
                 image and cannot be pushed",
                "symbolic links among the tags lead nowhere: each is listed as a tag that has no \
                 image and cannot be pushed",
            ),
            advice: "Remove the links.",
            command: "sudo rm -- PATH",
            all: "-path '*/_manifests/tags/*' -prune -xtype l -print",
        },
        TagOddity::FileForFolder => Words {
            severity: Severity::Error,
            code: "file-for-folder",
            what: (
                "file stands where the registry needs a folder: listing the repository's tags or \
                 pushing to it ends in error 500",
                "files stand where the registry needs a folder: listing the repositories' tags or \
                 pushing to them ends in error 500",
            ),
            advice: "Remove the files; the registry makes the folders at the next push.",
            command: "sudo rm -- PATH",
            all: "-type f \\( -name _manifests -o -name _layers -o -name _uploads \
                  -o -path '*/_manifests/tags' \\) -print",
        },
        TagOddity::Placeholder => Words {
            severity: Severity::Warning,
            code: "placeholder",
            what: (
                "empty file stands where a group or a repository would be: a push to this name \
                 ends in error 500",
                "empty files stand where groups or repositories would be: a push to such a name \
                 ends in error 500",
            ),
            advice: "Remove the files; nothing is in them.",
            command: "sudo rm -- PATH",
            all: "-name '_*' -prune -o -type f -empty -print",
        },
    }
}

fn finding(top: &Utf8Path, oddity: TagOddity, sample: &Sample<OddEntry>) -> Finding {
    let words = words(oddity);
    let what = if sample.count == 1 { words.what.0 } else { words.what.1 };
    let message = format!("{} {what}", sample.count);
    let mut finding = Finding::new(words.severity, words.code, top.as_str(), message)
        .docs(docs::REGISTRY_EMPTY_TAGS);
    let mut commands = Vec::new();
    for entry in sample.first.iter().take(SHOWN) {
        finding = finding.evidence(evidence(entry));
        commands.push(command(words.command, &top.join(&entry.path)));
    }
    let more = sample.count.saturating_sub(SHOWN as u64);
    if more > 0 {
        finding = finding.seen("not shown", format!("{more} more"));
        commands.push(format!("sudo find {} {PRUNED} {}", word(top.as_str()), words.all));
    }
    commands.dedup();
    finding.remedy(words.advice, commands)
}

/// The repository and what is wrong in it, as readers know them.
fn evidence(entry: &OddEntry) -> Evidence {
    let size = entry.size.map(|size| format!(", {size} bytes")).unwrap_or_default();
    match entry.path.split_once("/_manifests/tags/") {
        Some((repository, tag)) => Evidence::new(repository, format!("'{tag}'{size}")),
        None => Evidence::new("file", format!("{}{size}", entry.path)),
    }
}

/// A command on exactly this entry. A name that is no text cannot be written in one: there the
/// listing shows how the shell spells it.
fn command(template: &str, path: &Utf8Path) -> String {
    match path.parent() {
        Some(folder) if path.as_str().contains('\u{fffd}') => {
            format!("sudo ls -lAb -- {}", word(folder.as_str()))
        }
        _ => template.replacen("PATH", &word(path.as_str()), 1),
    }
}

fn move_away(path: &Utf8Path) -> String {
    format!("sudo mv -- {} {}", word(path.as_str()), word(&format!("{path}.moved-away")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files::Unread;

    const TOP: &str = "/data/docker/registry/v2/repositories";

    fn tree(oddity: TagOddity, paths: &[&str], count: u64) -> TagTree {
        let first =
            paths.iter().map(|path| OddEntry { path: (*path).to_owned(), size: Some(0) }).collect();
        let odd = [(oddity, Sample { count, first })].into();
        TagTree { repositories: 1, tags: 9, odd, ..TagTree::default() }
    }

    fn judged(oddity: TagOddity, paths: &[&str], count: u64) -> Finding {
        let verdict = judge(TOP.into(), &tree(oddity, paths, count));
        assert!(verdict.untold.is_empty());
        let [finding] = <[Finding; 1]>::try_from(verdict.findings).unwrap();
        finding
    }

    #[test]
    fn a_clean_tree_passes() {
        let verdict =
            judge(TOP.into(), &TagTree { repositories: 3, tags: 9, ..TagTree::default() });
        assert!(verdict.findings.is_empty() && verdict.untold.is_empty());
    }

    #[test]
    fn one_ghost_is_named_with_its_removal() {
        let found = judged(TagOddity::StrayFile, &["g/app/_manifests/tags/.DS_Store"], 1);
        assert_eq!((found.severity, found.code), (Severity::Error, "file-among-tags"));
        assert!(found.message.starts_with("1 file stands"), "{}", found.message);
        assert_eq!(found.evidence, [Evidence::new("g/app", "'.DS_Store', 0 bytes")]);
        assert_eq!(
            found.remedy.commands,
            [format!("sudo rm -- {TOP}/g/app/_manifests/tags/.DS_Store")]
        );
    }

    #[test]
    fn many_ghosts_are_counted_and_a_command_lists_them() {
        let paths: Vec<_> = (0..9).map(|n| format!("g/app/_manifests/tags/{n}")).collect();
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        let found = judged(TagOddity::EmptyFolder, &paths, 1234);
        assert!(found.message.starts_with("1234 empty folders"), "{}", found.message);
        assert_eq!(found.evidence.last(), Some(&Evidence::new("not shown", "1229 more")));
        assert!(found.remedy.commands[5].starts_with("sudo find /data/"), "{:?}", found.remedy);
    }

    #[test]
    fn every_kind_has_a_command_on_exactly_its_entry() {
        let all = [
            TagOddity::StrayFile,
            TagOddity::InvalidName,
            TagOddity::EmptyFolder,
            TagOddity::NoLink,
            TagOddity::EmptyLink,
            TagOddity::DeadLink,
            TagOddity::FileForFolder,
            TagOddity::Placeholder,
        ];
        for oddity in all {
            let found = judged(oddity, &["g/app/_manifests/tags/x"], 1);
            let [command] = <[String; 1]>::try_from(found.remedy.commands).unwrap();
            let path = format!("{TOP}/g/app/_manifests/tags/x");
            let known = ["sudo rm -- ", "sudo rmdir -- ", "sudo mv --backup=numbered -- "];
            assert!(known.iter().any(|start| command.starts_with(&format!("{start}{path}"))));
        }
    }

    #[test]
    fn odd_names_are_quoted_and_what_is_no_text_is_not_pasted() {
        let found = judged(
            TagOddity::EmptyFolder,
            &["g/a/_manifests/tags/ ", "g/a/_manifests/tags/v\u{fffd}"],
            2,
        );
        let tags = format!("{TOP}/g/a/_manifests/tags");
        assert_eq!(
            found.remedy.commands,
            [format!("sudo rmdir -- '{tags}/ '"), format!("sudo ls -lAb -- {tags}")]
        );
    }

    #[test]
    fn what_could_not_be_read_is_untold() {
        let why = Unknown::Denied("no".to_owned());
        let unread = Unread { path: format!("{TOP}/g"), why: why.clone() };
        let unread = Sample { count: 3, first: [unread].into() };
        let verdict = judge(TOP.into(), &TagTree { unread, ..TagTree::default() });
        assert_eq!(verdict.untold, [("tags in 3 folders, the first of them".to_owned(), why)]);
    }

    #[test]
    fn two_lock_files_are_a_warning_and_tell_no_tags() {
        let root = Sourced::default("/data".into(), "the default");
        let verdict = contradiction(
            &root,
            "/data/l/database-in-use".into(),
            "/data/l/filesystem-in-use".into(),
        );
        assert_eq!(verdict.findings[0].severity, Severity::Warning);
        assert_eq!(verdict.findings[0].subject, "/data/l");
        assert_eq!(verdict.untold.len(), 1);
    }

    #[test]
    fn images_in_memory_have_no_storage() {
        assert!(matches!(elsewhere("inmemory", None, None), Stop::NotApplicable(_)));
        assert!(matches!(elsewhere("s3", None, None), Stop::Unknown(Unknown::Unreadable(_))));
    }

    #[test]
    fn an_empty_storage_is_no_riddle() {
        let text = include_str!(
            "../../../fixtures/registry/repository-names/cannot-look-no-lock-file.json"
        );
        let root = "/var/opt/gitlab/gitlab-rails/shared/registry";
        let top = format!("{root}/docker/registry/v2/repositories");
        let stop = |lines: &str| {
            let recording = crate::host::Recording::parse(lines.as_bytes()).unwrap();
            let host = Host::recorded(recording.looks);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(run(&host)).unwrap_err()
        };
        assert!(matches!(stop(text), Stop::Unknown(Unknown::Unreadable(_))));
        // Before the first push: the folder of the images is there, and nothing in it.
        let found = text.lines().find(|line| line.contains(&format!("\"{top}\""))).unwrap();
        let empty = format!(
            "{}\n{{\"kind\":\"file-facts\",\"ask\":{{\"path\":\"{top}\"}},\"reply\":{{\"answer\":null}}}},\n\
             {{\"kind\":\"registry-tags\",\"ask\":{{\"repositories\":\"{top}\"}},\"reply\":{{\"answer\":\"missing\"}}}},",
            found.replace(&top, root)
        );
        assert!(matches!(stop(&text.replace(found, &empty)), Stop::NotApplicable(_)));
    }
}
