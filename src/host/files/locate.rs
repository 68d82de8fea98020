//! Where a path leads: symbolic links are followed as the installation itself would follow them,
//! and never out of the root folder.
//!
//! The walk goes from folder to folder by handle, so nobody who changes the tree meanwhile can
//! lead it astray. What it yields is a handle to the thing itself, which is not opened yet:
//! looking at a pipe, a socket or a device this way does nothing to it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File as Handle;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::host::Scope;

/// As many as the kernel follows before it says ELOOP.
const MAX_LINKS: usize = 40;

/// More steps than any honest path takes; links that are long and go up and down could make
/// millions of them.
const MAX_STEPS: usize = 20_000;

/// A handle that only points: it needs no right to read, and opening it has no effect.
const POINT: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// What stands at a path, links followed.
pub(in crate::host) fn locate(scope: &Scope, path: &Utf8Path) -> io::Result<Handle> {
    refuse_impossible(path)?;
    if scope.is_plain() {
        return Ok(Handle::from(fs::open(path.as_str(), POINT, Mode::empty())?));
    }
    let walk = Walk::to_the_end(scope, path)?;
    walk.here.map(Handle::from).ok_or_else(|| Errno::NOENT.into())
}

/// The same path without symbolic links, as the installation spells it.
pub(in crate::host) fn resolve(scope: &Scope, path: &Utf8Path) -> io::Result<Utf8PathBuf> {
    refuse_impossible(path)?;
    let done = Walk::to_the_end(scope, path)?.done;
    let not_text = |_| io::Error::other("a symbolic link leads through a name that is not UTF-8");
    Utf8PathBuf::try_from(done).map_err(not_text)
}

/// Where a path leads on this machine, as a trusted folder and a path below it.
pub(in crate::host) fn place(
    scope: &Scope,
    path: &Utf8Path,
) -> io::Result<(Utf8PathBuf, Utf8PathBuf)> {
    if scope.is_plain() {
        refuse_impossible(path)?;
        return Ok(("/".into(), path.strip_prefix("/").unwrap_or(path).to_owned()));
    }
    let resolved = resolve(scope, path)?;
    let (base, rest) = scope.place(resolved.as_std_path());
    let rest = Utf8PathBuf::try_from(rest.to_owned()).map_err(io::Error::other)?;
    Ok((base.to_owned(), rest))
}

/// What the path itself says where it is a symbolic link.
pub(super) fn link_text(scope: &Scope, path: &Utf8Path) -> Option<String> {
    let (folder, name) = (path.parent()?, path.file_name()?);
    let folder = locate(scope, folder).ok()?;
    let target = fs::readlinkat(folder, name, Vec::new()).ok()?;
    Some(target.to_string_lossy().into_owned())
}

/// Paths come from configuration files, so they may be anything.
fn refuse_impossible(path: &Utf8Path) -> io::Result<()> {
    if path.as_str().contains('\0') {
        // No file can have such a name.
        return Err(Errno::NOENT.into());
    }
    if !path.is_absolute() {
        return Err(io::Error::other("not an absolute path, so nobody can tell where it leads"));
    }
    Ok(())
}

/// A walk along a path.
struct Walk<'a> {
    scope: &'a Scope,
    /// How far it has come: absolute, as the installation spells it, without links.
    done: PathBuf,
    /// What stands there; `None` where the path only leads to a mapped folder.
    here: Option<OwnedFd>,
    ahead: VecDeque<OsString>,
    links: usize,
    steps: usize,
    /// A link inside a mapped folder has been followed. What it means outside the mapped folders
    /// lies in a container that cannot be seen from here.
    confined: bool,
}

impl<'a> Walk<'a> {
    fn to_the_end(scope: &'a Scope, path: &Utf8Path) -> io::Result<Self> {
        let mut walk = Self {
            scope,
            done: "/".into(),
            here: None,
            ahead: parts(path.as_str().as_ref()).collect(),
            links: 0,
            steps: 0,
            confined: false,
        };
        walk.here = walk.reopened()?;
        while let Some(part) = walk.ahead.pop_front() {
            walk.step(&part)?;
        }
        Ok(walk)
    }

    fn step(&mut self, part: &OsStr) -> io::Result<()> {
        self.count()?;
        if part == "." || part == ".." {
            self.must_be_folder()?;
            if part == ".." && self.done.pop() {
                self.here = self.reopened()?;
            }
            return Ok(());
        }
        let next = self.done.join(part);
        if let Some(folder) = self.scope.mapped_at(&next) {
            self.here = Some(fs::open(folder.as_str(), POINT, Mode::empty())?);
            self.done = next;
        } else if self.leads_to_map(&next) {
            self.here = None;
            self.done = next;
        } else {
            self.enter(part, next)?;
        }
        Ok(())
    }

    /// One step by name: into a folder, to a file, or along a link.
    fn enter(&mut self, part: &OsStr, next: PathBuf) -> io::Result<()> {
        if self.confined && !self.scope.is_mapped(&next) {
            return Err(io::Error::other(format!(
                "a symbolic link leads to {}, which no --map covers",
                next.display()
            )));
        }
        let here = self.here.as_ref().ok_or(Errno::NOENT)?;
        let found = fs::openat(here, part, POINT | OFlags::NOFOLLOW, Mode::empty())?;
        if kind_of(&found)? != FileType::Symlink {
            self.here = Some(found);
            self.done = next;
            return Ok(());
        }
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = OsString::from_vec(fs::readlinkat(&found, "", Vec::new())?.into_bytes());
        self.confined |= self.scope.root.is_none() && self.scope.is_mapped(&next);
        if target.as_bytes().starts_with(b"/") {
            self.done = "/".into();
            self.here = self.reopened()?;
        }
        for part in parts(&target).rev() {
            self.ahead.push_front(part);
        }
        Ok(())
    }

    /// The handle of `done`, found anew from its trusted folder. Nothing on the way is followed:
    /// `done` holds no links, and a link that stands there by now ends the walk.
    fn reopened(&mut self) -> io::Result<Option<OwnedFd>> {
        let (base, rest) = self.scope.place(&self.done);
        let mut here = fs::open(base.as_str(), POINT, Mode::empty())?;
        for part in &rest.to_owned() {
            self.count()?;
            match fs::openat(&here, part, POINT | OFlags::NOFOLLOW, Mode::empty()) {
                Err(Errno::NOENT) if self.scope.leads_to_map(&self.done) => return Ok(None),
                found => here = found?,
            }
        }
        Ok(Some(here))
    }

    /// Whether the way ahead goes through `next` into a mapped folder, so that `next` need not be
    /// there. Otherwise it is a folder like any other, and may be a link.
    fn leads_to_map(&self, next: &Path) -> bool {
        self.scope.leads_to_map(next) && {
            let spelled: PathBuf = std::iter::once(next.as_os_str())
                .chain(self.ahead.iter().map(OsString::as_os_str))
                .collect();
            self.scope.is_mapped(&spelled)
        }
    }

    fn must_be_folder(&self) -> io::Result<()> {
        match &self.here {
            Some(here) if kind_of(here)? != FileType::Directory => Err(Errno::NOTDIR.into()),
            _ => Ok(()),
        }
    }

    fn count(&mut self) -> io::Result<()> {
        self.steps += 1;
        if self.steps > MAX_STEPS { Err(Errno::LOOP.into()) } else { Ok(()) }
    }
}

fn kind_of(found: &OwnedFd) -> io::Result<FileType> {
    let status = fs::statat(found, "", AtFlags::EMPTY_PATH)?;
    Ok(FileType::from_raw_mode(status.st_mode))
}

/// The names in a path. One that ends in a slash must be a folder, which a last `.` says.
fn parts(path: &OsStr) -> impl DoubleEndedIterator<Item = OsString> + use<> {
    let bytes = path.as_bytes();
    let mut parts: Vec<OsString> = bytes
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty())
        .map(|part| OsStr::from_bytes(part).to_owned())
        .collect();
    if bytes.ends_with(b"/") {
        parts.push(".".into());
    }
    parts.into_iter()
}

#[test]
fn a_path_is_split_as_the_kernel_splits_it() {
    let split = |path: &str| -> Vec<_> { parts(path.as_ref()).collect() };
    assert_eq!(split("//a/./b"), ["a", ".", "b"]);
    assert_eq!(split("/a/../b/"), ["a", "..", "b", "."]);
    assert_eq!(split(""), Vec::<OsString>::new());
}
