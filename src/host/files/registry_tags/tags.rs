//! The tags of one repository, read as they come: a repository can have a million of them.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use camino::Utf8Path;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::fs::{fstat, openat, openat2, statat};
use rustix::io::Errno;

use super::{TagOddity, TagTree};
use crate::host::files::open::{is_missing, refusal};
use crate::host::files::walk::{Leash, real};
use crate::host::files::{Kind, Unread};
use crate::host::{Scope, Unknown};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What is at `current/link` of a tag.
enum Link {
    Missing,
    Empty,
    Filled,
}

/// Where tags are looked for.
pub(super) struct Tags<'a> {
    pub(super) scope: &'a Scope,
    pub(super) top: &'a Utf8Path,
    pub(super) leash: &'a Leash,
}

impl Tags<'_> {
    /// The tags in the folder that the registry knows as `name` and that really lies at `place`.
    pub(super) fn of(&self, name: &Utf8Path, place: &Path) -> TagTree {
        let mut tree = TagTree { repositories: 1, ..TagTree::default() };
        match openat(CWD, place, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(folder) => self.list(name, &folder, &mut tree),
            // A repository whose last tag went need not have the folder.
            Err(Errno::NOENT) => {}
            Err(Errno::LOOP | Errno::NOTDIR) => self.not_a_folder(name, &mut tree),
            Err(error) => self.unread(name, &error.into(), &mut tree),
        }
        tree
    }

    /// A link in place of the folder is as good as the folder; a file is not.
    fn not_a_folder(&self, name: &Utf8Path, tree: &mut TagTree) {
        let opened = real(self.scope, &self.top.join(name)).and_then(|place| {
            let metadata = std::fs::metadata(&place)?;
            if metadata.is_dir() {
                return Ok(Ok(openat(CWD, &place, FOLDER, Mode::empty())?));
            }
            Ok(Err(metadata.len()))
        });
        match opened {
            Ok(Ok(folder)) => self.list(name, &folder, tree),
            Ok(Err(size)) => tree.note(TagOddity::FileForFolder, name.to_string(), Some(size)),
            Err(error) if is_missing(&error) => {
                tree.note(TagOddity::FileForFolder, name.to_string(), None);
            }
            Err(error) => self.unread(name, &error, tree),
        }
    }

    fn list(&self, name: &Utf8Path, folder: &OwnedFd, tree: &mut TagTree) {
        let entries = match Dir::read_from(folder) {
            Ok(entries) => entries,
            Err(error) => return self.unread(name, &error.into(), tree),
        };
        for entry in entries {
            if self.leash.is_cut() {
                return;
            }
            match entry {
                Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Ok(entry) => {
                    tree.tags += 1;
                    self.tag(name, folder, entry.file_name(), entry.file_type(), tree);
                }
                Err(error) => return self.unread(name, &error.into(), tree),
            }
        }
    }

    fn tag(
        &self,
        name: &Utf8Path,
        folder: &OwnedFd,
        tag: &CStr,
        kind: FileType,
        tree: &mut TagTree,
    ) {
        let path = name.join(tag.to_string_lossy().as_ref());
        let odd = match kind {
            FileType::Directory => self.folder(&path, folder, tag),
            FileType::Symlink => self.link(&path, tag),
            // Some file systems do not tell kinds in their listings.
            _ => match statat(folder, tag, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Directory => self.folder(&path, folder, tag),
                    FileType::Symlink => self.link(&path, tag),
                    _ => Ok(Some((TagOddity::StrayFile, u64::try_from(stat.st_size).ok()))),
                },
                Err(error) => Err(error.into()),
            },
        };
        match odd {
            Ok(None) => {}
            Ok(Some((oddity, size))) => tree.note(oddity, path.into_string(), size),
            // Deleted since the folder was read.
            Err(error) if is_missing(&error) => tree.tags -= 1,
            Err(error) => self.unread(&path, &error, tree),
        }
    }

    /// What is wrong with a folder among the tags.
    fn folder(
        &self,
        path: &Utf8Path,
        folder: &OwnedFd,
        tag: &CStr,
    ) -> std::io::Result<Option<(TagOddity, Option<u64>)>> {
        if !is_tag_name(tag.to_bytes()) {
            return Ok(Some((TagOddity::InvalidName, None)));
        }
        Ok(match self.current_link(path, folder, tag)? {
            Link::Filled => None,
            Link::Empty => Some((TagOddity::EmptyLink, Some(0))),
            Link::Missing => {
                let own = openat(folder, tag, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
                let mut entries = Dir::read_from(&own)?.filter_map(Result::ok);
                let empty =
                    entries.all(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."));
                Some((if empty { TagOddity::EmptyFolder } else { TagOddity::NoLink }, None))
            }
        })
    }

    /// What is wrong with a link among the tags; the registry follows it.
    fn link(
        &self,
        path: &Utf8Path,
        tag: &CStr,
    ) -> std::io::Result<Option<(TagOddity, Option<u64>)>> {
        let found = real(self.scope, &self.top.join(path)).and_then(std::fs::metadata);
        Ok(match found {
            Ok(metadata) if !metadata.is_dir() => {
                Some((TagOddity::StrayFile, Some(metadata.len())))
            }
            Ok(_) if !is_tag_name(tag.to_bytes()) => Some((TagOddity::InvalidName, None)),
            Ok(_) => match self.follow(path)? {
                Link::Filled => None,
                Link::Empty => Some((TagOddity::EmptyLink, Some(0))),
                Link::Missing => Some((TagOddity::NoLink, None)),
            },
            Err(error) if is_missing(&error) || is_circle(&error) => {
                Some((TagOddity::DeadLink, None))
            }
            Err(error) => return Err(error),
        })
    }

    /// Looks at `current/link` by one call where no link is in the way, as it should be.
    fn current_link(&self, path: &Utf8Path, folder: &OwnedFd, tag: &CStr) -> std::io::Result<Link> {
        let below = [tag.to_bytes(), b"/current/link"].concat();
        let stat = if self.scope.is_plain() {
            statat(folder, &*below, AtFlags::empty())
        } else {
            stat_beneath(folder, &below)
        };
        match stat {
            Ok(stat) => Ok(read(FileType::from_raw_mode(stat.st_mode), stat.st_size == 0)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(Link::Missing),
            // A link on the way, or a kernel that does not know the call.
            Err(Errno::LOOP | Errno::NOSYS | Errno::PERM) => self.follow(path),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks at `current/link` of the tag at `path` the slow way, through links.
    fn follow(&self, path: &Utf8Path) -> std::io::Result<Link> {
        let link = self.top.join(path).join("current/link");
        match real(self.scope, &link).and_then(std::fs::metadata) {
            Ok(metadata) if Kind::from(&metadata) == Kind::File => {
                Ok(read(FileType::RegularFile, metadata.len() == 0))
            }
            Ok(_) => Ok(Link::Missing),
            Err(error) if is_missing(&error) || is_circle(&error) => Ok(Link::Missing),
            Err(error) => Err(error),
        }
    }

    fn unread(&self, name: &Utf8Path, error: &std::io::Error, tree: &mut TagTree) {
        let path = self.top.join(name);
        let why: Unknown = refusal(&path, error);
        tree.unread.add(Unread { path: path.into_string(), why });
    }
}

/// Without following a link, which could lead out of the root.
fn stat_beneath(folder: impl AsFd, below: &[u8]) -> rustix::io::Result<Stat> {
    let guards = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    fstat(openat2(folder, below, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), guards)?)
}

fn read(kind: FileType, empty: bool) -> Link {
    match (kind, empty) {
        (FileType::RegularFile, true) => Link::Empty,
        (FileType::RegularFile, false) => Link::Filled,
        _ => Link::Missing,
    }
}

fn is_circle(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`: the tags that clients can ask for.
fn is_tag_name(name: &[u8]) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.len() <= 128
        && name.first().is_some_and(word)
        && name.iter().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

#[test]
fn tag_names_are_those_of_the_specification() {
    let longest = "a".repeat(128);
    for good in ["v1", "_", "latest", "1.0-rc_1", "A", &longest] {
        assert!(is_tag_name(good.as_bytes()), "{good}");
    }
    let long = "a".repeat(129);
    for bad in ["", " ", "v 2", ".DS_Store", "._v1", "-x", "lost+found", "\u{e9}", &long] {
        assert!(!is_tag_name(bad.as_bytes()), "{bad}");
    }
}
