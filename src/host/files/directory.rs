//! Question: what a folder holds.

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::Kind;
use super::open::{is_missing, place, refusal};
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
    let read = place(scope, path).and_then(|(base, rest)| {
        let full = base.join(rest);
        match Kind::from(&std::fs::metadata(&full)?) {
            Kind::Directory => entries(&full),
            other => Ok(Listing::NotADirectory(other)),
        }
    });
    match read {
        Err(error) if is_missing(&error) => Ok(Listing::Missing),
        Err(error) => Err(refusal(path, &error)),
        Ok(listing) => Ok(listing),
    }
}

fn entries(folder: &Utf8Path) -> std::io::Result<Listing> {
    let mut entries = Vec::new();
    let mut cut_off = false;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entries.len() == MAX_ENTRIES {
            cut_off = true;
            break;
        }
        let kind = Kind::from(&entry.metadata()?);
        entries.push(Entry { name: entry.file_name().to_string_lossy().into_owned(), kind });
    }
    entries.sort();
    Ok(Listing::Entries { entries, cut_off })
}
