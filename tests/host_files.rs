//! No path leads out of the root folder or blocks, whatever a hostile disk image, a container's
//! volume or a configuration file says. The files here are what such a tree may hold.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use gldoctor::host::files::{
    Directory, Facts, File, FileFacts, Format, Kind, Listing, ReadFile, RegistryConfig,
};
use gldoctor::host::request::Request;
use gldoctor::host::system::System;
use gldoctor::host::version::InstalledVersion;
use gldoctor::host::{Host, Machine, MapRule, Question, Scope, Unknown};
use gldoctor::parse::Malformed;
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// A format that shows what was read.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Text(String);

impl Format for Text {
    const KIND: &'static str = "test-text";
    const LIMIT: u64 = 1 << 20;

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        Ok(Self(String::from_utf8_lossy(content).into_owned()))
    }
}

/// A root folder, a folder for a volume, and a folder that nobody may see.
struct Tree {
    folder: TempDir,
}

impl Tree {
    fn new() -> Self {
        let tree = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["root/etc/gitlab", "volume", "outside"] {
            fs::create_dir_all(tree.at(folder)).unwrap();
        }
        fs::write(tree.at("root/etc/gitlab/a"), "inside").unwrap();
        fs::write(tree.at("root/etc/shadow"), "the root's own").unwrap();
        fs::write(tree.at("volume/v"), "volume").unwrap();
        fs::write(tree.at("outside/secret"), "SECRET").unwrap();
        tree
    }

    fn at(&self, path: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().canonicalize_utf8().unwrap().join(path)
    }

    fn link(&self, from: &str, target: impl AsRef<std::path::Path>) {
        symlink(target, self.at(from)).unwrap();
    }

    /// The root folder, with these folders mapped to places in the tree.
    fn root(&self, maps: &[(&str, &str)]) -> Host {
        self.host(Some(self.at("root")), maps)
    }

    fn host(&self, root: Option<Utf8PathBuf>, maps: &[(&str, &str)]) -> Host {
        let map = |(from, to): &(&str, &str)| MapRule { from: (*from).into(), to: self.at(to) };
        let scope = Scope { root, maps: maps.iter().map(map).collect(), ..Scope::live() };
        Host::live(Machine::new(scope, Request::default(), Duration::from_secs(30)))
    }
}

fn ask<Q: Question>(host: &Host, question: Q) -> Result<Q::Answer, Unknown> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(host.ask(question));
    runtime.shutdown_background();
    answer
}

fn read(host: &Host, path: &str) -> Result<File<Text>, Unknown> {
    ask(host, ReadFile::<Text>::at(path))
}

/// What a file says, or in a word why not.
fn said(host: &Host, path: &str) -> String {
    match read(host, path) {
        Ok(File::Read(Text(text))) => text,
        Ok(File::Missing) => "missing".to_owned(),
        Ok(File::NotAFile(kind)) => kind.to_string(),
        Ok(other) => other.obstacle().unwrap(),
        Err(unknown) => unknown.to_string(),
    }
}

fn facts(host: &Host, path: &str) -> Option<Facts> {
    ask(host, FileFacts::of(path)).unwrap()
}

fn names(host: &Host, path: &str) -> Vec<String> {
    ask(host, Directory::at(path)).unwrap().names().map(str::to_owned).collect()
}

#[test]
fn links_stay_in_the_root() {
    let tree = Tree::new();
    tree.link("root/etc/absolute", "/etc/gitlab/a");
    tree.link("root/etc/relative", "gitlab/../gitlab/./a");
    tree.link("root/etc/climbing", "../../../../../../../../etc/shadow");
    tree.link("root/etc/outside", tree.at("outside/secret"));
    tree.link("root/etc/folder", tree.at("outside"));
    tree.link("root/etc/up", "..");
    tree.link("root/etc/chain", "/etc/up/etc/absolute");
    let host = tree.root(&[]);
    for (path, text) in [
        ("/etc/absolute", "inside"),
        ("/etc/relative", "inside"),
        ("/etc/chain", "inside"),
        ("/etc/up/../../../etc/gitlab/a", "inside"),
        ("/etc/climbing", "the root's own"),
        ("/etc/outside", "missing"),
        ("/etc/folder/secret", "missing"),
        ("/../../outside/secret", "missing"),
        ("/etc/up/../../outside/secret", "missing"),
    ] {
        assert_eq!(said(&host, path), text, "{path}");
    }
    assert_eq!(facts(&host, "/etc/outside"), None);
    assert_eq!(facts(&host, "/etc/folder"), None);
    assert_eq!(facts(&host, "/etc/absolute").unwrap().link.unwrap(), "/etc/gitlab/a");
    assert_eq!(ask(&host, Directory::at("/etc/folder")), Ok(Listing::Missing));
    assert_eq!(names(&host, "/etc/up"), ["etc"]);
}

#[test]
fn circles_and_long_ways_end() {
    let tree = Tree::new();
    tree.link("root/etc/self", "self");
    tree.link("root/etc/one", "/etc/two");
    tree.link("root/etc/two", "one");
    tree.link("root/etc/0", "gitlab/a");
    for i in 1..50 {
        tree.link(&format!("root/etc/{i}"), (i - 1).to_string());
    }
    // Each link goes down and up a thousand times.
    for i in 0..40 {
        let path = format!("{}wide{}", "gitlab/../".repeat(400), i + 1);
        tree.link(&format!("root/etc/wide{i}"), path);
    }
    let host = tree.root(&[]);
    for path in ["/etc/self", "/etc/one", "/etc/self/x", "/etc/49", "/etc/wide0"] {
        let told = said(&host, path);
        assert!(told.ends_with("its symbolic links lead in a circle"), "{told}");
    }
    assert_eq!(said(&host, "/etc/39"), "inside", "40 links are what the kernel follows");
    assert_eq!(said(&tree.host(None, &[]), tree.at("root/etc/39").as_str()), "inside");
}

/// Under a root a path means what it means to the kernel.
#[test]
fn odd_paths_are_read_as_the_kernel_reads_them() {
    let tree = Tree::new();
    tree.link("root/etc/dangling", "nowhere");
    tree.link("root/etc/slash", "gitlab/a/");
    tree.link("root/etc/folder", "gitlab/");
    let not_text = OsStr::from_bytes(b"caf\xe9");
    fs::write(tree.at("root/etc").as_std_path().join(not_text), "latin").unwrap();
    tree.link("root/etc/latin", not_text);
    let (long_name, long_path) = ("x".repeat(300), "/x".repeat(3000));
    for path in [
        "/etc/gitlab/a",
        "//etc//gitlab/./a",
        "/etc/gitlab/a/",
        "/etc/gitlab/a/.",
        "/etc/gitlab/a/..",
        "/etc/gitlab/a/../a",
        "/etc/gitlab/a/b",
        "/etc/gitlab/none/../a",
        "/etc/gitlab/",
        "/etc/folder/a",
        "/etc/dangling",
        "/etc/dangling/x",
        "/etc/slash",
        "/etc/latin",
        "/etc/gitlab\0/a",
        &format!("/etc/{long_name}"),
        &long_path,
    ] {
        let plain = said(&tree.host(None, &[]), &format!("{}{path}", tree.at("root")));
        assert_eq!(said(&tree.root(&[]), path), plain, "{path}");
        let facts = ask(&tree.root(&[]), FileFacts::of(path)).unwrap();
        assert_eq!(facts.is_none(), plain == "missing", "{path}");
    }
    for host in [tree.root(&[]), tree.host(None, &[])] {
        assert_eq!(said(&host, "/etc/gitlab\0x"), "missing");
        assert!(said(&host, "etc/gitlab/a").contains("not an absolute path"));
        assert!(said(&host, "").contains("an empty path"));
        assert!(ask(&host, FileFacts::of("")).is_err());
        assert!(ask(&host, Directory::at("etc")).is_err());
    }
}

#[test]
fn what_is_no_file_is_named_and_left_alone() {
    let tree = Tree::new();
    let node = |path: &str, kind, device| {
        mknodat(CWD, tree.at(path).as_std_path(), kind, Mode::RUSR, device)
    };
    node("root/etc/pipe", FileType::Fifo, 0).unwrap();
    let _socket = UnixListener::bind(tree.at("root/etc/socket")).unwrap();
    tree.link("root/etc/to-pipe", "pipe");
    let zero = node("root/etc/zero", FileType::CharacterDevice, rustix::fs::makedev(1, 5));
    for host in [tree.root(&[]), tree.host(None, &[("/etc", "root/etc")])] {
        assert_eq!(said(&host, "/etc/gitlab"), "a folder");
        assert_eq!(said(&host, "/etc/pipe"), "a named pipe");
        assert_eq!(said(&host, "/etc/to-pipe"), "a named pipe");
        assert_eq!(said(&host, "/etc/pipe/x"), "missing");
        assert_eq!(said(&host, "/etc/socket"), "a socket");
        assert_eq!(facts(&host, "/etc/pipe").unwrap().kind, Kind::Fifo);
        let listing = ask(&host, Directory::at("/etc/pipe"));
        assert_eq!(listing, Ok(Listing::NotADirectory(Kind::Fifo)));
        match zero {
            Ok(()) => assert_eq!(said(&host, "/etc/zero"), "a device"),
            Err(error) => eprintln!("SKIPPED: no device can be made here: {error}"),
        }
    }
    assert_eq!(said(&tree.host(None, &[]), "/dev/zero"), "a device");
}

#[test]
fn a_volume_shows_itself_and_nothing_of_this_machine() {
    let tree = Tree::new();
    tree.link("volume/inside", "/etc/gitlab/v");
    tree.link("volume/relative", "./v");
    tree.link("volume/other", "/var/opt/gitlab/a");
    tree.link("volume/passwd", "/etc/passwd");
    tree.link("volume/zero", "/dev/zero");
    tree.link("volume/climbing", "../passwd");
    tree.link("volume/far", "../../../../../../etc/passwd");
    tree.link("volume/folder", "/etc");
    let maps = [("/etc/gitlab", "volume"), ("/var/opt/gitlab", "root/etc/gitlab")];
    let host = tree.host(None, &maps);
    for path in ["v", "inside", "relative", "../gitlab/v", "../../etc/gitlab/inside"] {
        assert_eq!(said(&host, &format!("/etc/gitlab/{path}")), "volume", "{path}");
    }
    assert_eq!(said(&host, "/etc/gitlab/other"), "inside", "another volume is seen");
    for path in ["passwd", "zero", "climbing", "far", "folder/passwd"] {
        let path = format!("/etc/gitlab/{path}");
        let told = said(&host, &path);
        assert!(told.contains("which no --map covers"), "{path}: {told}");
        assert!(ask(&host, FileFacts::of(path)).is_err());
    }
    assert!(facts(&host, "/etc/passwd").is_some(), "what is not mapped lies on this machine");
    assert_eq!(facts(&host, "/etc/gitlab").unwrap().kind, Kind::Directory);
}

#[test]
fn a_volume_over_a_root_belongs_to_it() {
    let tree = Tree::new();
    tree.link("volume/shadow", "/etc/shadow");
    tree.link("volume/outside", tree.at("outside/secret"));
    // The root has no /var/opt, and its /srv leads out of it.
    tree.link("root/srv", tree.at("outside"));
    tree.link("root/data", "/srv/gitlab");
    let maps = [("/var/opt/gitlab", "volume"), ("/srv/gitlab", "volume"), ("/etc/one", "volume/v")];
    let host = tree.root(&maps);
    for (path, text) in [
        ("/var/opt/gitlab/v", "volume"),
        ("/var/opt/gitlab/../gitlab/v", "volume"),
        ("/srv/gitlab/v", "volume"),
        ("/data/v", "volume"),
        ("/var/opt/gitlab/shadow", "the root's own"),
        ("/var/opt/gitlab/outside", "missing"),
        ("/srv/secret", "missing"),
        ("/srv/gitlab/../secret", "missing"),
        ("/var/opt/other", "missing"),
        ("/etc/one", "volume"),
        ("/etc/one/x", "missing"),
        ("/etc/gitlab/a", "inside"),
    ] {
        assert_eq!(said(&host, path), text, "{path}");
    }
    assert_eq!(facts(&host, "/srv/secret"), None);
    assert_eq!(ask(&host, Directory::at("/srv")), Ok(Listing::Missing));
}

/// Somebody who may write into the tree exchanges a folder for a link while it is walked.
#[test]
fn no_exchange_of_folders_leads_out() {
    let tree = Tree::new();
    fs::create_dir(tree.at("root/swap")).unwrap();
    fs::write(tree.at("root/swap/secret"), "inside").unwrap();
    // Listing it would yield two names.
    fs::write(tree.at("outside/other"), "SECRETS").unwrap();
    fs::write(tree.at("outside/secret"), "SECRETS").unwrap();
    tree.link("root/link", tree.at("outside"));
    let host = || tree.root(&[]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (one, other) = (tree.at("root/swap"), tree.at("root/link"));
            while !over.load(Ordering::Relaxed) {
                let (one, other) = (one.as_std_path(), other.as_std_path());
                renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let seen: Vec<_> = (0..500)
            .map(|_| {
                let listing = ask(&host(), Directory::at("/swap"));
                let facts = ask(&host(), FileFacts::of("/swap/secret"));
                (said(&host(), "/swap/secret"), listing.map(|it| it.entries().len()), facts)
            })
            .collect();
        over.store(true, Ordering::Relaxed);
        for (said, entries, facts) in seen {
            assert!(["inside", "missing"].contains(&said.as_str()), "{said}");
            assert!(entries.is_ok_and(|entries| entries <= 1));
            assert!(facts.unwrap().is_none_or(|facts| facts.size == 6));
        }
    });
}

#[test]
fn large_files_are_not_read_and_false_sizes_do_not_matter() {
    let tree = Tree::new();
    let sparse = fs::File::create(tree.at("root/etc/sparse")).unwrap();
    sparse.set_len(10 << 30).unwrap();
    fs::write(tree.at("root/etc/limit"), vec![b'x'; 1 << 20]).unwrap();
    fs::write(tree.at("root/etc/above"), vec![b'x'; (1 << 20) + 1]).unwrap();
    let host = tree.root(&[]);
    assert_eq!(read(&host, "/etc/sparse"), Ok(File::TooLarge(10 << 30)));
    assert_eq!(read(&host, "/etc/above"), Ok(File::TooLarge((1 << 20) + 1)));
    assert_eq!(said(&host, "/etc/limit").len(), 1 << 20);
    // The kernel's own files have no size.
    let own = tree.host(None, &[]);
    assert!(said(&own, "/proc/self/status").contains("VmRSS"));
}

#[test]
fn of_a_huge_folder_the_first_names_are_kept() {
    let tree = Tree::new();
    let folder = tree.at("root/many");
    fs::create_dir(&folder).unwrap();
    let mut all: Vec<_> = (0..10_050).map(|i| format!("{:x}", i * 7919 % 65_536)).collect();
    for name in &all {
        fs::write(folder.join(name), "").unwrap();
    }
    all.sort();
    all.truncate(10_000);
    let listing = ask(&tree.root(&[]), Directory::at("/many")).unwrap();
    assert!(matches!(listing, Listing::Entries { cut_off: true, .. }));
    assert!(listing.names().eq(all.iter().map(String::as_str)));
}

#[test]
fn names_of_the_system_are_short_and_versions_are_versions() {
    let tree = Tree::new();
    fs::write(tree.at("root/etc/hostname"), "h".repeat(100_000)).unwrap();
    fs::write(tree.at("root/etc/os-release"), format!("ID={}\n", "u".repeat(100_000))).unwrap();
    fs::create_dir_all(tree.at("root/opt/gitlab")).unwrap();
    fs::write(tree.at("root/opt/gitlab/version-manifest.txt"), "password hunter2\n").unwrap();
    let host = tree.root(&[]);
    let system = ask(&host, System).unwrap();
    assert_eq!((system.name.len(), system.os_id.unwrap().len()), (253, 253));
    let version = ask(&host, InstalledVersion).unwrap_err().to_string();
    assert!(version.contains("holds no version") && !version.contains("hunter2"), "{version}");
}

#[test]
fn accounts_beyond_the_limit_get_no_wrong_name() {
    let tree = Tree::new();
    let mut passwd = String::from("owner:x:0:0::/:/bin/sh\n");
    while passwd.len() < 2 << 20 {
        passwd.push_str("filler:x:4000000000:4000000000::/nowhere:/bin/false\n");
    }
    fs::write(tree.at("root/etc/passwd"), passwd).unwrap();
    let file = facts(&tree.root(&[]), "/etc/gitlab/a").unwrap();
    let is_root = file.uid == 0;
    assert_eq!(file.owner.as_deref(), is_root.then_some("owner"));
}

#[test]
fn the_registrys_variables_are_counted_out() {
    let tree = Tree::new();
    fs::write(tree.at("root/etc/config.yml"), "version: 0.1\nstorage:\n  inmemory: {}\n").unwrap();
    fs::create_dir(tree.at("root/etc/env")).unwrap();
    let question =
        || RegistryConfig { path: "/etc/config.yml".into(), environment: Some("/etc/env".into()) };
    let variable = |i: i32| fs::write(tree.at(&format!("root/etc/env/REGISTRY_X{i}")), "x");
    variable(0).unwrap();
    assert!(matches!(ask(&tree.root(&[]), question()), Ok(File::Read(_))));
    (1..=1000).for_each(|i| variable(i).unwrap());
    let told = ask(&tree.root(&[]), question()).unwrap_err().to_string();
    assert!(told.contains("more variables than any registry has"), "{told}");
}
