//! The walk on real trees, as the running system sees them and below another root.

use std::fs;
use std::os::unix::fs::symlink;

use camino::{Utf8Path, Utf8PathBuf};

use super::tree::walk;
use super::{NameOddity, OddEntry, TagListing, TagOddity, TagTree};
use crate::host::files::Kind;
use crate::host::files::walk::Leash;
use crate::host::{MapRule, Scope, Unknown};

const REPOSITORIES: &str = "/storage/docker/registry/v2/repositories";

struct Storage {
    folder: tempfile::TempDir,
}

impl Storage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(&REPOSITORIES[1..])).unwrap();
        Self { folder }
    }

    fn root(&self) -> Utf8PathBuf {
        Utf8PathBuf::try_from(self.folder.path().to_owned()).unwrap()
    }

    /// A path below the folder of repositories.
    fn at(&self, path: &str) -> Utf8PathBuf {
        self.root().join(&REPOSITORIES[1..]).join(path)
    }

    fn folder(&self, path: &str) -> &Self {
        fs::create_dir_all(self.at(path)).unwrap();
        self
    }

    fn file(&self, path: &str, content: &str) -> &Self {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn link(&self, path: &str, target: impl AsRef<Utf8Path>) -> &Self {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target.as_ref(), path).unwrap();
        self
    }

    fn tag(&self, repository: &str, tag: &str) -> &Self {
        self.folder(&format!("{repository}/_layers/sha256"))
            .folder(&format!("{repository}/_uploads"))
            .file(&format!("{repository}/_manifests/tags/{tag}/index/sha256/a/link"), "sha256:a")
            .file(&format!("{repository}/_manifests/tags/{tag}/current/link"), "sha256:a")
    }

    /// As `gldoctor run --root` sees it.
    fn below_root(&self) -> TagTree {
        let scope = Scope { root: Some(self.root()), ..Scope::live() };
        tree(walk(&scope, REPOSITORIES.into(), &Leash::default()))
    }

    /// As the running system sees it.
    fn live(&self) -> TagTree {
        tree(walk(&Scope::live(), &self.at(""), &Leash::default()))
    }
}

fn tree(listing: Result<TagListing, Unknown>) -> TagTree {
    match listing {
        Ok(TagListing::Walked(tree)) => tree,
        other => panic!("no tree: {other:?}"),
    }
}

fn odd(tree: &TagTree) -> Vec<(TagOddity, &str)> {
    let all = tree.odd.iter();
    all.flat_map(|(oddity, sample)| sample.first.iter().map(|it| (*oddity, it.path.as_str())))
        .collect()
}

#[test]
fn healthy_tags_are_only_counted() {
    let storage = Storage::new();
    storage.tag("group/app", "v1").tag("group/app", "v2").tag("group/app/part", "_").tag("a", "b");
    // A repository whose last tag went, with and without the folder of tags.
    storage.folder("old/_manifests/tags").folder("older/_manifests/revisions");
    let tree = storage.live();
    assert_eq!((tree.repositories, tree.tags), (5, 4));
    assert_eq!(odd(&tree), []);
    assert_eq!(tree, storage.below_root());
}

#[test]
fn everything_that_only_looks_like_a_tag_is_found() {
    let storage = Storage::new();
    storage.tag("g/a", "v1").tag("g/a", "v 2").tag("g/a", "index").tag("g/a", "moved");
    storage.file("g/a/_manifests/tags/.DS_Store", "12345").file("g/a/_manifests/tags/empty", "");
    storage.folder("g/a/_manifests/tags/ghost").folder("g/a/_manifests/tags/ ");
    storage
        .folder("g/a/_manifests/tags/half/index/sha256")
        .file("g/a/_manifests/tags/odd/current", "");
    storage.file("g/a/_manifests/tags/blank/current/link", "");
    storage.link("g/a/_manifests/tags/dead", "nowhere").link("g/a/_manifests/tags/round", "round");
    storage.link("g/a/_manifests/tags/alias", "v1");
    storage.file("g/b/_manifests", "").file("g/c/_manifests/tags", "").file("g/d/_uploads", "");
    storage.file("g/e", "").file("g/README", "").file("g/.keep", "").file("g/notes", "text");
    let tree = storage.live();
    let expected = [
        (TagOddity::StrayFile, "g/a/_manifests/tags/.DS_Store"),
        (TagOddity::StrayFile, "g/a/_manifests/tags/empty"),
        (TagOddity::InvalidName, "g/a/_manifests/tags/ "),
        (TagOddity::InvalidName, "g/a/_manifests/tags/v 2"),
        (TagOddity::EmptyFolder, "g/a/_manifests/tags/ghost"),
        (TagOddity::NoLink, "g/a/_manifests/tags/half"),
        (TagOddity::NoLink, "g/a/_manifests/tags/odd"),
        (TagOddity::EmptyLink, "g/a/_manifests/tags/blank"),
        (TagOddity::DeadLink, "g/a/_manifests/tags/dead"),
        (TagOddity::DeadLink, "g/a/_manifests/tags/round"),
        (TagOddity::FileForFolder, "g/b/_manifests"),
        (TagOddity::FileForFolder, "g/c/_manifests/tags"),
        (TagOddity::FileForFolder, "g/d/_uploads"),
        (TagOddity::Placeholder, "g/e"),
    ];
    assert_eq!(odd(&tree), expected);
    assert_eq!((tree.repositories, tree.tags), (2, 14));
    let store = OddEntry { path: "g/a/_manifests/tags/.DS_Store".to_owned(), size: Some(5) };
    assert_eq!(tree.odd[&TagOddity::StrayFile].first.first(), Some(&store));
    assert_eq!(tree, storage.below_root());
}

#[test]
fn links_are_followed_as_the_registry_does_and_circles_end() {
    let storage = Storage::new();
    storage.tag("g/a", "v1");
    // Two ways back into the tree, one into itself, and one to a folder that contains the tree.
    storage.link("g/again", ".").link("g/a/twin", "../a").link("self", "self").link("up", "../..");
    fs::create_dir_all(storage.root().join("disk/app/_manifests/tags/ghost")).unwrap();
    symlink("/nowhere", storage.root().join("disk/dead")).unwrap();
    symlink("..", storage.root().join("disk/app/parent")).unwrap();
    storage.link("g/far", "../../../../../../disk").link("h/far", "../../../../../../disk/app");
    let tree = storage.live();
    assert_eq!((tree.repositories, tree.tags), (2, 2));
    assert_eq!(odd(&tree), [(TagOddity::EmptyFolder, "g/far/app/_manifests/tags/ghost")]);
    let unread: Vec<_> = tree.unread.first.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(unread, [storage.at("self")]);
    assert_eq!(tree.odd, storage.below_root().odd);
}

#[test]
fn repositories_with_odd_names_are_found() {
    let storage = Storage::new();
    storage.tag("g/good", "v1").tag("Group/app", "v1").tag("g/app-", "v1").tag("a--b/c", "v1");
    storage.tag("_old/app", "v 2").tag("g/_x/_y/app", "v1").folder("_empty/nothing");
    // No repositories, so nobody asks for them.
    storage.folder("lost+found").folder(".Trash/x").file("_notes", "").file("_old/README", "");
    // A copy that broke off, and a repository whose tags are gone.
    storage.folder("g/half/_manifests/tags/v1/current").folder("g/gone/_manifests/tags");
    // What a push left that broke off.
    storage.folder("g/Pushed/_layers/sha256").folder("g/pushed/_layers").folder("g/UP/_uploads");
    let tree = storage.live();
    let names = tree.names.clone().unwrap();
    let odd: Vec<_> = names
        .odd
        .iter()
        .flat_map(|(oddity, sample)| sample.first.iter().map(|it| (*oddity, it.as_str())))
        .collect();
    let expected = [
        (NameOddity::Refused, "Group/app"),
        (NameOddity::Refused, "g/Pushed"),
        (NameOddity::Refused, "g/app-"),
        (NameOddity::Hidden, "_old/app"),
        (NameOddity::Hidden, "g/_x/_y/app"),
        (NameOddity::NoLayers, "g/half"),
        (NameOddity::DoubleDash, "a--b/c"),
    ];
    assert_eq!(odd, expected);
    assert_eq!(names.longest, "g/_x/_y/app");
    // What the registry does not look into is not listed, so it holds no tags.
    assert_eq!((tree.repositories, tree.tags), (6, 5));
    assert!(tree.odd.values().all(|sample| sample.count == 1), "{:?}", tree.odd);
    assert_eq!(tree, storage.below_root());
}

#[test]
fn nothing_outside_the_root_is_looked_at() {
    let outside = Storage::new();
    outside.tag("x", "v1").folder("x/_manifests/tags/ghost");
    let storage = Storage::new();
    storage.tag("g/a", "v1").link("g/x", outside.at("x"));
    storage.link("g/b/_manifests", outside.at("x/_manifests"));
    storage.link("g/c/_manifests/tags", outside.at("x/_manifests/tags"));
    storage.link("g/d/_manifests/tags/v1", outside.at("x/_manifests/tags/v1"));
    storage.link("g/e/_manifests/tags/v1/current", outside.at("x/_manifests/tags/v1/current"));
    let expected = [
        (TagOddity::NoLink, "g/e/_manifests/tags/v1"),
        (TagOddity::DeadLink, "g/d/_manifests/tags/v1"),
        (TagOddity::FileForFolder, "g/b/_manifests"),
        (TagOddity::FileForFolder, "g/c/_manifests/tags"),
    ];
    assert_eq!(odd(&storage.below_root()), expected);
    // The running system has no such border, and there the links lead to sound tags.
    let live = storage.live();
    assert!(odd(&live).iter().all(|(oddity, _)| *oddity == TagOddity::EmptyFolder), "{live:?}");
}

#[test]
fn absolute_links_start_at_the_root() {
    let storage = Storage::new();
    storage.tag("g/a", "v1").folder("g/a/_manifests/tags/ghost");
    fs::rename(storage.root().join("storage"), storage.root().join("disk")).unwrap();
    symlink("/disk", storage.root().join("storage")).unwrap();
    assert_eq!(odd(&storage.below_root()), [(TagOddity::EmptyFolder, "g/a/_manifests/tags/ghost")]);
}

#[test]
fn a_mapped_storage_is_found() {
    let storage = Storage::new();
    storage.tag("g/a", "v1");
    let to = storage.root().join("storage");
    let scope = Scope { maps: vec![MapRule { from: "/data".into(), to }], ..Scope::live() };
    let top = "/data/docker/registry/v2/repositories";
    assert_eq!(tree(walk(&scope, top.into(), &Leash::default())).tags, 1);
}

#[test]
fn what_is_no_folder_is_told_apart() {
    let storage = Storage::new();
    storage.file("file", "");
    let look = |path: &str| walk(&Scope::live(), &storage.at(path), &Leash::default());
    assert_eq!(look("nothing"), Ok(TagListing::Missing));
    assert_eq!(look("file/below"), Ok(TagListing::Missing));
    assert_eq!(look("file"), Ok(TagListing::NotADirectory(Kind::File)));
}

#[test]
fn names_that_are_no_text_are_found() {
    use std::os::unix::ffi::OsStrExt as _;
    let storage = Storage::new();
    storage.folder("g/_manifests/tags");
    let name = std::ffi::OsStr::from_bytes(b"v\xff");
    fs::create_dir(storage.at("g/_manifests/tags").as_std_path().join(name)).unwrap();
    let tree = storage.live();
    assert_eq!(odd(&tree), [(TagOddity::InvalidName, "g/_manifests/tags/v\u{fffd}")]);
}

#[test]
fn a_walk_on_a_cut_leash_has_no_answer() {
    let storage = Storage::new();
    storage.tag("g/a", "v1");
    let leash = Leash::default();
    leash.cut();
    assert!(walk(&Scope::live(), &storage.at(""), &leash).is_err());
}
