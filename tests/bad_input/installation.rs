//! A copy of the demo installation that can be harmed and mended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use tempfile::TempDir;

use crate::harm::Harm;
use crate::program::{Command, Ran};

/// The length of a file that nobody wrote by hand.
const HUGE: u64 = 200 << 20;

/// As the demo's files are dated.
const AT: &str = "--at=2026-11-01T00:00:00Z";

/// Files of a megabyte each, on a machine busy with other tests: what an answer says must not depend
/// on how long it took. A look that hangs is found all the same: by the program that does not end.
const UNHURRIED: &str = "--timeout=90s";

pub(crate) struct Installation {
    folder: TempDir,
}

/// Puts a file back.
#[must_use]
pub(crate) struct Undo {
    path: Utf8PathBuf,
    /// Where the file waits; `None` if there was none.
    kept: Option<Utf8PathBuf>,
}

impl Installation {
    pub(crate) fn demo() -> Self {
        let installation = Self { folder: tempfile::tempdir().unwrap() };
        // Another account must come as far as the files whose owner keeps it out.
        fs::set_permissions(installation.folder(), fs::Permissions::from_mode(0o755)).unwrap();
        let demo = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo");
        copy(demo.as_std_path(), installation.root().as_std_path());
        fs::create_dir(installation.folder().join("kept")).unwrap();
        installation
    }

    pub(crate) fn folder(&self) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().canonicalize_utf8().unwrap()
    }

    pub(crate) fn root(&self) -> Utf8PathBuf {
        self.folder().join("root")
    }

    pub(crate) fn command(&self, name: &str, more: &[&str]) -> Command {
        let root = self.root();
        Command::new(&[&[name, "--root", root.as_str(), AT, UNHURRIED], more].concat())
    }

    pub(crate) fn run(&self) -> Ran {
        self.command("run", &["--format", "json"]).run()
    }

    /// As an account that owns nothing; `None`, and a word about it, where that cannot be done.
    pub(crate) fn run_as_nobody(&self) -> Option<Ran> {
        self.command("run", &["--format", "json"]).into_nobodys().map(Command::run)
    }

    /// The absolute paths that the program asks for, whether or not they are there, and whether it
    /// wants to know what they say, through which question.
    pub(crate) fn asked_for(&self) -> BTreeMap<String, Option<String>> {
        let file = self.folder().join("asked.json");
        self.command("bundle", &["-q", "-o", file.as_str()]).run();
        let recording: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let mut paths = BTreeMap::new();
        for look in recording["looks"].as_array().unwrap() {
            let kind = look["kind"].as_str().unwrap();
            let reads = !matches!(kind, "file-facts" | "directory");
            let fields = look["ask"].as_object().into_iter().flatten();
            let texts = fields.filter_map(|(_, value)| value.as_str());
            for path in texts.filter(|it| it.starts_with('/') && *it != "/") {
                let known = paths.entry(path.to_owned()).or_insert(None);
                *known = known.take().or_else(|| reads.then(|| kind.to_owned()));
            }
        }
        // Questions without a path name their files only to readers of a report.
        let report: Value = serde_json::from_str(&self.run().stdout).unwrap();
        for check in report["checks"].as_array().unwrap() {
            for look in check["looked_at"].as_array().unwrap() {
                let Some(path) = look.as_str().unwrap().strip_prefix("file ") else { continue };
                paths.entry(path.to_owned()).or_insert_with(|| Some(path.to_owned()));
            }
        }
        paths
    }

    /// Every file of the installation.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        let mut files = BTreeSet::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir_utf8().unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path().to_owned());
                } else {
                    let path = entry.path().strip_prefix(self.root()).unwrap();
                    files.insert(format!("/{path}"));
                }
            }
        }
        files
    }

    /// Puts something else in the place of a path; `None` where that is no harm.
    pub(crate) fn harm(&self, path: &str, harm: Harm) -> Option<Undo> {
        let there = self.root().join(path.trim_start_matches('/'));
        // Only what is there can be kept from others, and a link has no permissions of its own.
        if harm == Harm::Unreadable && there.symlink_metadata().map_or(true, |it| it.is_symlink()) {
            return None;
        }
        let undo = self.put_aside(path)?;
        let kept = undo.kept.as_deref();
        match harm {
            Harm::Missing => {}
            Harm::Folder => fs::create_dir(&there).unwrap(),
            Harm::Pipe => {
                mknodat(CWD, there.as_std_path(), FileType::Fifo, Mode::from(0o644), 0).unwrap();
            }
            Harm::Socket => {
                // The path may be longer than a socket's address can be.
                let short = self.folder().join("s");
                UnixListener::bind(&short).unwrap();
                fs::rename(short, &there).unwrap();
            }
            Harm::Circle => symlink(there.file_name().unwrap(), &there).unwrap(),
            Harm::Dangling => symlink("/nowhere/at/all", &there).unwrap(),
            Harm::Outside => {
                symlink(kept.unwrap_or(Utf8Path::new("/etc/shadow")), &there).unwrap();
            }
            Harm::Huge => fs::hard_link(self.huge(), &there).unwrap(),
            Harm::Unreadable => {
                copy(kept.unwrap().as_std_path(), there.as_std_path());
                fs::set_permissions(&there, fs::Permissions::from_mode(0o000)).unwrap();
            }
            content => {
                let healthy = kept.and_then(|kept| fs::read(kept).ok()).unwrap_or_default();
                fs::write(&there, content.content(&healthy).unwrap()).unwrap();
            }
        }
        Some(undo)
    }

    /// Puts a link in the place of a path.
    pub(crate) fn link(&self, path: &str, target: &str) -> Undo {
        let undo = self.put_aside(path).unwrap();
        symlink(target, &undo.path).unwrap();
        undo
    }

    /// Leaves a path free; `None` where something above it is harmed already.
    fn put_aside(&self, path: &str) -> Option<Undo> {
        let path = self.root().join(path.trim_start_matches('/'));
        let kept = path.symlink_metadata().is_ok().then(|| {
            let count = fs::read_dir(self.folder().join("kept")).unwrap().count();
            self.folder().join("kept").join(count.to_string())
        });
        match &kept {
            Some(kept) => fs::rename(&path, kept).unwrap(),
            None => fs::create_dir_all(path.parent()?).ok()?,
        }
        Some(Undo { path, kept })
    }

    fn huge(&self) -> Utf8PathBuf {
        let path = self.folder().join("huge");
        if !path.exists() {
            let mut file = fs::File::create(&path).unwrap();
            file.write_all(&vec![b'a'; 1 << 20]).unwrap();
            // The rest is a hole that reads as zeros: no line ends in it either.
            file.set_len(HUGE).unwrap();
        }
        path
    }
}

impl Undo {
    pub(crate) fn restore(self) {
        match self.path.symlink_metadata() {
            Ok(there) if there.is_dir() => {
                fs::set_permissions(&self.path, fs::Permissions::from_mode(0o755)).unwrap();
                fs::remove_dir_all(&self.path).unwrap();
            }
            Ok(_) => fs::remove_file(&self.path).unwrap(),
            Err(_) => {}
        }
        if let Some(kept) = self.kept {
            fs::rename(kept, &self.path).unwrap();
        }
    }
}

/// Copies a file or a tree, links as links.
fn copy(from: &Path, to: &Path) {
    let kind = from.symlink_metadata().unwrap().file_type();
    if kind.is_symlink() {
        symlink(fs::read_link(from).unwrap(), to).unwrap();
    } else if kind.is_dir() {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}
