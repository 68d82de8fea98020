//! The walk on real trees.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use camino::Utf8PathBuf;

use super::walk::walk;
use super::{Chunks, ExportOddity, ExportTree, Exports, Levels, Role, Volume};
use crate::host::Scope;
use crate::host::files::Kind;
use crate::host::files::walk::Leash;

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.at("licenses")).unwrap();
        for file in files {
            let path = folder.at("licenses").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}\n").unwrap();
        }
        folder
    }

    fn at(&self, path: &str) -> Utf8PathBuf {
        Utf8PathBuf::try_from(self.0.path().join(path)).unwrap()
    }

    fn look(&self, levels: Levels) -> ExportTree {
        let live = walk(&Scope::live(), &self.at("licenses"), levels, &Leash::default());
        tree(live.unwrap())
    }

    fn look_below_root(&self) -> ExportTree {
        let scope = Scope { root: Some(self.at("")), ..Scope::live() };
        tree(walk(&scope, "/licenses".into(), Levels::ByRegistry, &Leash::default()).unwrap())
    }
}

fn tree(exports: Exports) -> ExportTree {
    match exports {
        Exports::Walked(tree) => *tree,
        other => panic!("no tree: {other:?}"),
    }
}

fn odd(tree: &ExportTree) -> Vec<(ExportOddity, &str)> {
    let all = tree.odd.iter();
    all.flat_map(|(oddity, sample)| sample.first.iter().map(|it| (*oddity, it.as_str()))).collect()
}

#[test]
fn what_gitlab_reads_adds_up() {
    let folder = Folder::with(&[
        "LICENSE",
        "v2/maven/1700000000/0.ndjson",
        "v2/maven/1700000000/10.ndjson",
        "v2/maven/1694703741/00000001.ndjson",
        "v2/rubygem/1700000000/0.ndjson",
    ]);
    let tree = folder.look(Levels::ByRegistry);
    assert!(tree.has_v2);
    assert_eq!(tree.files, 5);
    assert_eq!(odd(&tree), []);
    let maven = Chunks {
        sequences: 2,
        oldest: 1_694_703_741,
        newest: 1_700_000_000,
        volume: Volume { files: 3, bytes: 9 },
    };
    assert_eq!(tree.registries["maven"], maven);
    assert_eq!(tree.registries.len(), 2);
    assert_eq!(tree.registries, folder.look_below_root().registries);
}

#[test]
fn enrichment_has_no_registries() {
    let folder = Folder::with(&["v2/1700000000/0.ndjson", "v2/maven/1700000000/0.ndjson"]);
    let tree = folder.look(Levels::Flat);
    assert_eq!(tree.registries[""].volume.files, 1);
    assert_eq!(odd(&tree), [(ExportOddity::TooDeep, "v2/maven/1700000000/0.ndjson")]);
}

#[test]
fn what_gitlab_passes_over_is_told_apart() {
    let folder = Folder::with(&[
        "0.ndjson",
        "all.tar.gz",
        "maven/1/0.ndjson",
        "package_metadata_db/v2/npm/1/0.ndjson",
        "v1/maven/1/0.csv",
        "v2/gem/1/0.ndjson",
        "v2/maven/1/.0.ndjson.aB3xYz",
        "v2/maven/1/.DS_Store",
        "v2/maven/1/0.json",
        "v2/maven/1/0.ndjson.gz",
        "v2/maven/1/0.ndjson_.gstmp",
        "v2/maven/1/a.ndjson",
        "v2/maven/full/1/0.ndjson",
        "v2/maven/latest/0.ndjson",
        "v2/maven/x.ndjson",
    ]);
    let tree = folder.look(Levels::ByRegistry);
    let expected = [
        (ExportOddity::TooShallow, "0.ndjson"),
        (ExportOddity::TooShallow, "v2/maven/x.ndjson"),
        (ExportOddity::TooDeep, "v2/maven/full/1/0.ndjson"),
        (ExportOddity::NotASequence, "v2/maven/latest/0.ndjson"),
        (ExportOddity::NotAChunk, "v2/maven/1/a.ndjson"),
        (ExportOddity::Compressed, "v2/maven/1/0.ndjson.gz"),
        (ExportOddity::OtherEnding, "v2/maven/1/0.json"),
        (ExportOddity::Unfinished, "v2/maven/1/.0.ndjson.aB3xYz"),
        (ExportOddity::Unfinished, "v2/maven/1/0.ndjson_.gstmp"),
        (ExportOddity::Archive, "all.tar.gz"),
        (ExportOddity::NoVersion, "maven"),
        (ExportOddity::OtherFolder, "package_metadata_db"),
    ];
    assert_eq!(odd(&tree), expected);
    assert_eq!(tree.unknown["gem"].volume.files, 1);
    assert_eq!(tree.v1.files, 1);
    assert!(tree.registries.is_empty());
    assert_eq!(odd(&tree), odd(&folder.look_below_root()));
}

#[test]
fn links_are_read_through_but_not_out_of_the_root() {
    let outside = Folder::with(&["v2/npm/1/0.ndjson"]);
    let folder = Folder::with(&["v2/maven/1/0.ndjson"]);
    symlink(outside.at("licenses/v2/npm"), folder.at("licenses/v2/npm")).unwrap();
    symlink("maven", folder.at("licenses/v2/pypi")).unwrap();
    symlink("..", folder.at("licenses/v2/maven/2")).unwrap();
    let ids = |tree: &ExportTree| tree.registries.keys().cloned().collect::<Vec<_>>();
    assert_eq!(ids(&folder.look(Levels::ByRegistry)), ["maven", "npm", "pypi"]);
    assert_eq!(ids(&folder.look_below_root()), ["maven", "pypi"]);
}

#[test]
fn a_linked_folder_is_known_by_its_real_place() {
    let folder = Folder::with(&["v2/maven/1/0.ndjson"]);
    fs::rename(folder.at("licenses"), folder.at("data")).unwrap();
    symlink("/data", folder.at("licenses")).unwrap();
    assert_eq!(folder.look_below_root().place, "/data");
}

#[test]
fn permissions_are_counted_per_kind() {
    let folder = Folder::with(&["v2/maven/1/0.ndjson", "v2/maven/1/1.ndjson", "v2/lost+found/x"]);
    let set = |path: &str, mode| {
        fs::set_permissions(folder.at(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    for path in ["licenses", "licenses/v2", "licenses/v2/maven", "licenses/v2/maven/1"] {
        set(path, 0o755);
    }
    set("licenses/v2/lost+found", 0o700);
    set("licenses/v2/maven/1/0.ndjson", 0o644);
    set("licenses/v2/maven/1/1.ndjson", 0o600);
    let tree = folder.look(Levels::ByRegistry);
    let below: Vec<_> = tree
        .access
        .iter()
        .filter(|it| it.access.role != Role::Parent)
        .map(|it| (it.access.role, it.access.mode, it.count))
        .collect();
    assert_eq!(below, [(Role::Folder, 0o755, 4), (Role::Chunk, 0o600, 1), (Role::Chunk, 0o644, 1)]);
    assert!(tree.access.iter().any(|it| it.first == "/" && it.access.role == Role::Parent));
}

#[test]
fn only_the_first_unknown_folders_are_kept() {
    let names: Vec<_> = (100..300).map(|n| format!("v2/x{n}/1/0.ndjson")).collect();
    let folder = Folder::with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let tree = folder.look(Levels::ByRegistry);
    assert!(tree.unknown.keys().eq(&(100..164).map(|n| format!("x{n}")).collect::<Vec<_>>()));
}

#[test]
fn what_is_no_folder_is_told_apart() {
    let folder = Folder::with(&["file"]);
    let look = |path: &str| {
        walk(&Scope::live(), &folder.at(path), Levels::ByRegistry, &Leash::default()).unwrap()
    };
    assert_eq!(look("nothing"), Exports::Missing);
    assert_eq!(look("licenses/file"), Exports::NotADirectory(Kind::File));
}

#[test]
fn a_walk_on_a_cut_leash_has_no_answer() {
    let folder = Folder::with(&["v2/maven/1/0.ndjson"]);
    let leash = Leash::default();
    leash.cut();
    assert!(walk(&Scope::live(), &folder.at("licenses"), Levels::ByRegistry, &leash).is_err());
}
