//! The walk through exports: one folder open per level, each entry looked at as it comes.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::fs::Metadata;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat};

use super::{Access, AccessCount, Chunks, ExportOddity, ExportTree, Exports, Levels, REGISTRIES};
use super::{Role, Volume};
use crate::host::files::open::{is_missing, place, refusal, resolve};
use crate::host::files::walk::{Leash, real};
use crate::host::files::{Kind, Unread};
use crate::host::{Scope, Unknown};

/// Folders below the level of chunks are followed so deep; nobody nests exports deeper.
const MAX_DEPTH: usize = 32;

/// How many folders that are no registry id are told apart, and how many permissions: far more
/// than an installation has.
const KEPT: usize = 64;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Walks below `folder`.
pub(super) fn walk(
    scope: &Scope,
    folder: &Utf8Path,
    levels: Levels,
    leash: &Leash,
) -> Result<Exports, Unknown> {
    let found = real(scope, folder).and_then(|place| Ok((std::fs::metadata(&place)?, place)));
    let (metadata, place) = match found {
        Err(error) if is_missing(&error) => return Ok(Exports::Missing),
        Err(error) => return Err(refusal(folder, &error)),
        Ok((metadata, _)) if !metadata.is_dir() => {
            return Ok(Exports::NotADirectory(Kind::from(&metadata)));
        }
        Ok(found) => found,
    };
    let handle = openat(CWD, &place, FOLDER, Mode::empty())
        .map_err(|error| refusal(folder, &error.into()))?;
    let mut walk = Walk {
        scope,
        top: folder,
        leash,
        levels,
        tree: ExportTree { place: installed(scope, folder), ..ExportTree::default() },
        access: BTreeMap::new(),
        here: Chunks::default(),
        silent: false,
    };
    walk.parents();
    let name = Utf8PathBuf::new();
    walk.access(Some(Role::Folder), &name, &Seen::from(&metadata), &place);
    walk.folder(&Folder { handle, place, name, level: Level::Top, depth: 0 });
    leash.hold()?;
    let mut tree = walk.tree;
    let counts = walk.access.into_iter();
    tree.access =
        counts.map(|(access, (count, first))| AccessCount { access, count, first }).collect();
    Ok(Exports::Walked(Box::new(tree)))
}

/// The path without links, as the installation itself spells it.
fn installed(scope: &Scope, path: &Utf8Path) -> Utf8PathBuf {
    let resolved = if scope.is_plain() { path.canonicalize_utf8() } else { resolve(scope, path) };
    resolved.unwrap_or_else(|_| path.to_owned())
}

/// What the entries of a folder are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// `v1`, `v2`.
    Top,
    /// Registry ids.
    Registries,
    /// Sequences.
    Sequences,
    /// Chunks of the sequence, where the folder's name is a number.
    Chunks(Option<u64>),
    /// Whatever lies deeper.
    Deeper,
    /// Below `v1`.
    V1,
}

/// What `stat` tells that matters here.
struct Seen {
    kind: FileType,
    size: u64,
    uid: u32,
    gid: u32,
    mode: u32,
}

struct Walk<'a> {
    scope: &'a Scope,
    top: &'a Utf8Path,
    leash: &'a Leash,
    levels: Levels,
    tree: ExportTree,
    access: BTreeMap<Access, (u64, String)>,
    /// The registry that is being walked.
    here: Chunks,
    /// It is none, so that nobody has to read it.
    silent: bool,
}

/// A folder that is being walked.
struct Folder {
    handle: OwnedFd,
    /// Where it really lies.
    place: PathBuf,
    /// Relative to the top.
    name: Utf8PathBuf,
    level: Level,
    depth: usize,
}

impl Walk<'_> {
    /// The folders on the way, which have to be entered too. Another root's own folder stands for
    /// `/`, but its permissions are those of wherever it happens to lie.
    fn parents(&mut self) {
        let path = self.tree.place.clone();
        for parent in path.ancestors().skip(1) {
            if parent.as_str() == "/" && !self.scope.is_plain() {
                continue;
            }
            let Ok((base, rest)) = place(self.scope, parent) else { continue };
            let place = base.join(rest);
            if let Ok(metadata) = std::fs::metadata(&place) {
                let access = access(Role::Parent, &Seen::from(&metadata), place.as_std_path());
                self.count(access, parent.to_string());
            }
        }
    }

    fn folder(&mut self, folder: &Folder) {
        let entries = match Dir::read_from(&folder.handle) {
            Ok(entries) => entries,
            Err(error) => return self.unread(&folder.name, &error.into()),
        };
        for entry in entries {
            if self.leash.is_cut() {
                return;
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.unread(&folder.name, &error.into()),
            };
            let own = entry.file_name();
            if matches!(own.to_bytes(), b"." | b"..") {
                continue;
            }
            let name = folder.name.join(own.to_string_lossy().as_ref());
            match self.entry(folder, own, &name) {
                // What was deleted since the folder was read, and links that lead nowhere.
                Err(error) if !is_missing(&error) => self.unread(&name, &error),
                _ => {}
            }
        }
    }

    fn entry(&mut self, folder: &Folder, own: &CStr, name: &Utf8Path) -> io::Result<()> {
        let stat = statat(&folder.handle, own, AtFlags::SYMLINK_NOFOLLOW)?;
        let mut place = folder.place.join(OsStr::from_bytes(own.to_bytes()));
        let mut seen = Seen::from(&stat);
        if seen.kind == FileType::Symlink {
            // Ruby's glob goes through links on the levels that it reads.
            if matches!(folder.level, Level::Deeper | Level::V1) {
                return Ok(());
            }
            place = real(self.scope, &self.top.join(name))?;
            seen = Seen::from(&std::fs::metadata(&place)?);
        }
        if seen.kind != FileType::Directory {
            self.file(&seen, name, &place, folder.level);
            return Ok(());
        }
        let Some(level) = self.below(name, folder.level) else { return Ok(()) };
        if folder.depth >= MAX_DEPTH {
            return Err(io::Error::other(format!("nested more than {MAX_DEPTH} folders deep")));
        }
        let known = folder.level != Level::Registries || is_registry(name);
        self.silent |= !known;
        self.access(Role::of(level), name, &seen, &place);
        // The place holds no link, so this cannot be led elsewhere.
        let handle = openat(CWD, &place, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
        let depth = folder.depth + 1;
        let before = self.here.volume.files;
        self.folder(&Folder { handle, place, name: name.to_owned(), level, depth });
        self.here.sequences += u64::from(self.here.volume.files > before && level.is_sequence());
        self.silent &= known;
        match folder.level {
            Level::Registries => self.registry(name.file_name().unwrap_or_default(), known),
            Level::Top if self.levels == Levels::Flat => self.registry("", true),
            _ => {}
        }
        Ok(())
    }

    /// What the entries of a folder are that lies on this level; `None` if they do not matter.
    fn below(&mut self, name: &Utf8Path, level: Level) -> Option<Level> {
        let own = name.file_name().unwrap_or_default();
        match level {
            Level::Top => match own {
                "v1" => Some(Level::V1),
                "v2" => {
                    self.tree.has_v2 = true;
                    Some(match self.levels {
                        Levels::ByRegistry => Level::Registries,
                        Levels::Flat => Level::Sequences,
                    })
                }
                _ => {
                    let belongs = match self.levels {
                        Levels::ByRegistry => {
                            REGISTRIES.iter().any(|(id, purl)| own == *id || own == *purl)
                        }
                        Levels::Flat => number(own).is_some(),
                    };
                    let oddity =
                        if belongs { ExportOddity::NoVersion } else { ExportOddity::OtherFolder };
                    self.odd(oddity, name);
                    None
                }
            },
            Level::Registries => Some(Level::Sequences),
            Level::Sequences => Some(Level::Chunks(number(own))),
            Level::Chunks(_) | Level::Deeper => Some(Level::Deeper),
            Level::V1 => Some(Level::V1),
        }
    }

    /// Files away what was found in a registry's folder.
    fn registry(&mut self, id: &str, known: bool) {
        let found = std::mem::take(&mut self.here);
        if !known {
            self.tree.unknown.insert(id.to_owned(), found);
            // The smallest are kept, so that the answer does not depend on the order of the walk.
            if self.tree.unknown.len() > KEPT {
                self.tree.unknown.pop_last();
            }
        } else if found.volume.files > 0 {
            self.tree.registries.insert(id.to_owned(), found);
        }
    }

    fn file(&mut self, seen: &Seen, name: &Utf8Path, place: &Path, level: Level) {
        self.tree.files += 1;
        if level == Level::V1 {
            self.tree.v1.add(seen.size);
            return;
        }
        let own = name.file_name().unwrap_or_default();
        let Some(stem) = own.strip_suffix(".ndjson").filter(|_| !own.starts_with('.')) else {
            if let Some(oddity) = passed_over(own, level) {
                self.odd(oddity, name);
            }
            return;
        };
        match (level, number(stem)) {
            (Level::Chunks(Some(sequence)), Some(_)) if seen.kind == FileType::RegularFile => {
                self.here.add(sequence, seen.size);
                self.access(Some(Role::Chunk), name, seen, place);
            }
            (Level::Chunks(Some(_)), _) => self.odd(ExportOddity::NotAChunk, name),
            (Level::Chunks(None), _) => self.odd(ExportOddity::NotASequence, name),
            (Level::Deeper, _) => self.odd(ExportOddity::TooDeep, name),
            _ => self.odd(ExportOddity::TooShallow, name),
        }
    }

    fn odd(&mut self, oddity: ExportOddity, name: &Utf8Path) {
        self.tree.odd.entry(oddity).or_default().add(name.to_string());
    }

    fn unread(&mut self, name: &Utf8Path, error: &io::Error) {
        let path = self.top.join(name);
        let why = refusal(&path, error);
        self.tree.unread.add(Unread { path: path.into_string(), why });
    }

    /// Notes who may read what GitLab has to read.
    fn access(&mut self, role: Option<Role>, name: &Utf8Path, seen: &Seen, place: &Path) {
        if let Some(role) = role.filter(|_| !self.silent) {
            let path = if name.as_str().is_empty() { self.top.into() } else { self.top.join(name) };
            self.count(access(role, seen, place), path.into_string());
        }
    }

    fn count(&mut self, access: Access, path: String) {
        if let Some((count, first)) = self.access.get_mut(&access) {
            *count += 1;
            if path < *first {
                *first = path;
            }
            return;
        }
        self.access.insert(access, (1, path));
        if self.access.len() > KEPT {
            self.access.pop_last();
        }
    }
}

fn access(role: Role, seen: &Seen, place: &Path) -> Access {
    let acl = seen.may_have_list() && {
        let size = rustix::fs::getxattr(place, "system.posix_acl_access", &mut [0u8; 0][..]);
        size.is_ok_and(|size| size > 0)
    };
    Access { role, uid: seen.uid, gid: seen.gid, mode: seen.mode, acl }
}

impl Role {
    /// What GitLab has to do with a folder whose entries are on this level.
    fn of(level: Level) -> Option<Self> {
        (!matches!(level, Level::V1 | Level::Deeper)).then_some(Self::Folder)
    }
}

impl Level {
    fn is_sequence(self) -> bool {
        matches!(self, Self::Chunks(Some(_)))
    }
}

impl Seen {
    /// Where others may read, a list can only forbid, which nobody does here.
    fn may_have_list(&self) -> bool {
        self.mode & 0o004 == 0 && self.mode & 0o070 != 0
    }
}

impl From<&Metadata> for Seen {
    fn from(metadata: &Metadata) -> Self {
        Self {
            kind: FileType::from_raw_mode(metadata.mode()),
            size: metadata.len(),
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: metadata.mode() & 0o777,
        }
    }
}

impl From<&Stat> for Seen {
    fn from(stat: &Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            uid: stat.st_uid,
            gid: stat.st_gid,
            mode: stat.st_mode & 0o777,
        }
    }
}

impl Volume {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Chunks {
    /// One more chunk; the chunks of a sequence come one after another.
    fn add(&mut self, sequence: u64, bytes: u64) {
        self.oldest = if self.volume.files == 0 { sequence } else { self.oldest.min(sequence) };
        self.newest = self.newest.max(sequence);
        self.volume.add(bytes);
    }
}

/// A file without the ending `.ndjson`; `None` if it harms and helps nobody.
fn passed_over(name: &str, level: Level) -> Option<ExportOddity> {
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let archive = ends(&[".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2", ".zip"]);
    if level == Level::Top {
        return archive.then_some(ExportOddity::Archive);
    }
    if is_unfinished(name) {
        return Some(ExportOddity::Unfinished);
    }
    if ends(&[".ndjson.gz", ".ndjson.bz2", ".ndjson.xz", ".ndjson.zst", ".ndjson.zip"]) {
        return Some(ExportOddity::Compressed);
    }
    (!name.starts_with('.')).then_some(ExportOddity::OtherEnding)
}

/// Names that gsutil, rsync, curl and wget give to what they have not finished.
fn is_unfinished(name: &str) -> bool {
    let hidden_copy = name.strip_prefix('.').is_some_and(|rest| rest.contains(".ndjson."));
    hidden_copy || [".gstmp", ".part", ".tmp"].iter().any(|ending| name.ends_with(ending))
}

fn is_registry(name: &Utf8Path) -> bool {
    REGISTRIES.iter().any(|(id, _)| name.file_name() == Some(*id))
}

/// A decimal number, padded or not.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}
