//! Question: what a folder holds.

use std::collections::BinaryHeap;
use std::ffi::CStr;
use std::fs::File as Handle;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::locate::locate;
use super::open::{is_missing, refusal};
use crate::host::{Machine, Question, Scope, Unknown};

/// More entries than any folder of configuration has; a fuller one is cut off and says so.
const MAX_ENTRIES: usize = 10_000;

/// Asks for the entries of a folder, not of those below it.
#[derive(Debug, Serialize)]
pub struct Directory {
    /// Absolute.
    pub path: Utf8PathBuf,
}

/// What stands where a folder was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listing {
    /// Nothing, or a link that leads nowhere.
    Missing,
    /// Something else.
    NotADirectory(Kind),
    /// A folder.
    Entries {
        /// Sorted by name. Two looks at an unchanged folder are equal.
        entries: Vec<Entry>,
        /// There are more than gldoctor counts.
        cut_off: bool,
    },
}

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// The name; bytes that are not UTF-8 are shown as U+FFFD.
    pub name: String,
    /// The kind of the entry itself; links are not followed.
    pub kind: Kind,
}

impl Directory {
    /// The entries of the folder at `path`.
    pub fn at(path: impl Into<Utf8PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The entries of a folder, for questions that look at several.
    pub(in crate::host) fn list(scope: &Scope, path: &Utf8Path) -> Result<Listing, Unknown> {
        list(scope, path)
    }
}

impl Listing {
    /// The entries; none where there is no folder.
    pub fn entries(&self) -> &[Entry] {
        match self {
            Self::Entries { entries, .. } => entries,
            Self::Missing | Self::NotADirectory(_) => &[],
        }
    }

    /// The names of the entries, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries().iter().map(|entry| entry.name.as_str())
    }
}

impl Question for Directory {
    type Answer = Listing;

    const KIND: &'static str = "directory";

    fn label(&self) -> String {
        format!("folder {}", self.path)
    }

    async fn look(&self, machine: &Machine) -> Result<Listing, Unknown> {
        let (scope, path) = (machine.scope().clone(), self.path.clone());
        machine.off_thread(move || list(&scope, &path)).await
    }
}

fn list(scope: &Scope, path: &Utf8Path) -> Result<Listing, Unknown> {
    let read = locate(scope, path).and_then(|found| match Kind::from(&found.metadata()?) {
        Kind::Directory => entries(&found),
        other => Ok(Listing::NotADirectory(other)),
    });
    match read {
        Err(error) if is_missing(&error) => Ok(Listing::Missing),
        Err(error) => Err(refusal(path, &error)),
        Ok(listing) => Ok(listing),
    }
}

/// The first entries by name. A folder of millions is read to its end, for the system lists it in
/// no order, but no more of it is kept.
fn entries(folder: &Handle) -> io::Result<Listing> {
    let mut first = BinaryHeap::new();
    let mut cut_off = false;
    for_each_entry(folder, |name, kind| {
        first.push(Entry { name: name.to_string_lossy().into_owned(), kind });
        if first.len() > MAX_ENTRIES {
            cut_off = true;
            first.pop();
        }
        Ok(())
    })?;
    Ok(Listing::Entries { entries: first.into_sorted_vec(), cut_off })
}

/// Every entry of a folder, in no order, without those that vanish meanwhile.
pub(super) fn for_each_entry(
    folder: &Handle,
    mut each: impl FnMut(&CStr, Kind) -> io::Result<()>,
) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = openat(folder, ".", flags, Mode::empty())?;
    for entry in Dir::new(readable)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems tell the kind only when asked for it.
            FileType::Unknown => match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                status => FileType::from_raw_mode(status?.st_mode),
            },
            known => known,
        };
        each(name, kind.into())?;
    }
    Ok(())
}
