//! Question: which package metadata exports lie in a folder, and what else?
//!
//! GitLab reads `v2/<registry id>/<sequence>/<chunk>.ndjson`, exactly so deep, and passes over
//! everything else in silence. So an answer adds up what GitLab reads and keeps a sample of what
//! it passes over. Names alone decide; no file is opened.

#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::{Kind, Sample, Unread};
use crate::host::{Machine, Question, Unknown};

/// The folders that GitLab reads below `v2`, each with the name that the package type has in
/// GitLab's settings, in its log and in package URLs.
pub const REGISTRIES: [(&str, &str); 17] = [
    ("apk", "apk"),
    ("cargo", "cargo"),
    ("cbl-mariner", "cbl-mariner"),
    ("conan", "conan"),
    ("conda", "conda"),
    ("deb", "deb"),
    ("go", "golang"),
    ("maven", "maven"),
    ("npm", "npm"),
    ("nuget", "nuget"),
    ("packagist", "composer"),
    ("pub", "pub"),
    ("pypi", "pypi"),
    ("rpm", "rpm"),
    ("rubygem", "gem"),
    ("swift", "swift"),
    ("wolfi", "wolfi"),
];

/// Asks for the exports in one data type's folder.
#[derive(Debug, Serialize)]
pub struct MetadataTree {
    /// Such as `vendor/package_metadata/licenses` of the Rails root, absolute.
    folder: Utf8PathBuf,
    levels: Levels,
}

/// How deep the exports of a data type lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Levels {
    /// `v2/<registry id>/<sequence>/<chunk>.ndjson`
    ByRegistry,
    /// `v2/<sequence>/<chunk>.ndjson`
    Flat,
}

/// What stands where exports were looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exports {
    /// Nothing, or a link that leads nowhere.
    Missing,
    /// Something else than a folder.
    NotADirectory(Kind),
    /// A folder, and all that is below it.
    Walked(Box<ExportTree>),
}

/// The content of one data type's folder. Two walks of an unchanged tree are equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportTree {
    /// Where the folder lies once all links are followed.
    pub place: Utf8PathBuf,
    /// Whether there is a folder `v2`.
    pub has_v2: bool,
    /// All files, whatever they are.
    pub files: u64,
    /// What GitLab reads, by registry id; under an empty name where the levels are flat.
    pub registries: BTreeMap<String, Chunks>,
    /// The same in folders that are no registry id; only the first of them by name.
    pub unknown: BTreeMap<String, Chunks>,
    /// Files in the folder `v1`, which nothing reads.
    pub v1: Volume,
    /// What GitLab passes over.
    pub odd: BTreeMap<ExportOddity, Sample<String>>,
    /// Who may read what: every combination that occurs, sorted.
    pub access: Vec<AccessCount>,
    /// What could not be looked at.
    pub unread: Sample<Unread>,
}

/// The exports of one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunks {
    /// Folders named by a sequence that hold at least one chunk.
    pub sequences: u64,
    /// The first sequence, a Unix time in seconds.
    pub oldest: u64,
    /// The last sequence.
    pub newest: u64,
    /// The chunks.
    pub volume: Volume,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Number of files.
    pub files: u64,
    /// Their sizes, added up.
    pub bytes: u64,
}

/// Why GitLab passes over an entry. Paths are relative to the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportOddity {
    /// An `.ndjson` file above the level of chunks.
    TooShallow,
    /// An `.ndjson` file below the level of chunks.
    TooDeep,
    /// An `.ndjson` file in a folder whose name is no number.
    NotASequence,
    /// An `.ndjson` file whose own name is no number.
    NotAChunk,
    /// A chunk that is still compressed.
    Compressed,
    /// A file with another ending.
    OtherEnding,
    /// The temporary file of a copy that is under way or was broken off.
    Unfinished,
    /// An archive beside `v2`.
    Archive,
    /// Beside `v2`: a folder that belongs into it.
    NoVersion,
    /// Beside `v2`: another folder.
    OtherFolder,
}

/// Who may read an entry: its permissions, without links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Access {
    /// Whether it has to be entered and listed, or only entered, or read.
    pub role: Role,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Permission bits, such as `0o644`.
    pub mode: u32,
    /// Whether an access control list says more than the permission bits. Looked for only where
    /// it can matter: where others may not read and the group may do something.
    pub acl: bool,
}

/// What GitLab has to do with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A folder on the way: to be entered.
    Parent,
    /// A folder of the exports: to be entered and listed.
    Folder,
    /// A chunk: to be read.
    Chunk,
}

/// How many entries have the same permissions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessCount {
    /// The permissions.
    pub access: Access,
    /// How many.
    pub count: u64,
    /// The first of them by name, absolute.
    pub first: String,
}

impl MetadataTree {
    /// The exports in `folder`.
    pub fn of(folder: impl Into<Utf8PathBuf>, levels: Levels) -> Self {
        Self { folder: folder.into(), levels }
    }
}

impl Exports {
    /// The tree, where there is one.
    pub fn tree(&self) -> Option<&ExportTree> {
        match self {
            Self::Walked(tree) => Some(tree),
            Self::Missing | Self::NotADirectory(_) => None,
        }
    }
}

impl ExportTree {
    /// How much of it GitLab reads.
    pub fn read_by_gitlab(&self) -> Volume {
        self.registries.values().fold(Volume::default(), |sum, chunks| Volume {
            files: sum.files + chunks.volume.files,
            bytes: sum.bytes.saturating_add(chunks.volume.bytes),
        })
    }
}

impl Question for MetadataTree {
    type Answer = Exports;

    const KIND: &'static str = "metadata-tree";

    fn label(&self) -> String {
        format!("exports below {}", self.folder)
    }

    async fn look(&self, machine: &Machine) -> Result<Exports, Unknown> {
        let (folder, levels) = (self.folder.clone(), self.levels);
        machine.walk(move |scope, leash| walk::walk(scope, &folder, levels, leash)).await
    }
}
