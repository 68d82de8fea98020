//! Question: what stands where the registry looks for tags, on a filesystem storage?
//!
//! The registry lists as a tag whatever it finds in `_manifests/tags/` of a repository, and
//! validates nothing. So an answer counts what is a tag and keeps what only looks like one.

mod names;
mod tags;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::{Kind, Sample, Unread};
use crate::host::{Machine, Question, Unknown};

/// Asks for the tags of all repositories of a storage.
#[derive(Debug, Serialize)]
pub struct RegistryTags {
    /// The folder `docker/registry/v2/repositories` of the storage, absolute.
    repositories: Utf8PathBuf,
}

/// What stands where the repositories were looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TagListing {
    /// Nothing, or a link that leads nowhere.
    Missing,
    /// Something else than a folder.
    NotADirectory(Kind),
    /// A folder, and all that is below it.
    Walked(TagTree),
}

/// The tags and the repositories of a storage. Two walks of an unchanged tree are equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagTree {
    /// Folders that hold a `_manifests`.
    pub repositories: u64,
    /// Everything that the registry lists as a tag.
    pub tags: u64,
    /// What is no tag, by what is wrong with it.
    pub odd: BTreeMap<TagOddity, Sample<OddEntry>>,
    /// What could not be looked at.
    pub unread: Sample<Unread>,
    /// What the repositories are called; older recordings do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<RepositoryNames>,
}

/// What the repositories of a storage are called, as far as it matters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryNames {
    /// Paths of repositories, relative to the folder of repositories, by what is odd about them.
    pub odd: BTreeMap<NameOddity, Sample<String>>,
    /// The longest path; of equally long ones the first. Empty where there is no repository.
    pub longest: String,
}

/// What can be odd about a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameOddity {
    /// A part of its path is nothing that a client can name.
    Refused,
    /// A part of its path starts with `_`: the registry does not look into such a folder.
    Hidden,
    /// It has tags, but no folder `_layers`.
    NoLayers,
    /// A part of its path holds more than one dash in a row, which is a good name all the same.
    DoubleDash,
}

/// What can be wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TagOddity {
    /// Among the tags: something that is not a folder.
    StrayFile,
    /// Among the tags: a folder with a name that no client can ask for.
    InvalidName,
    /// Among the tags: a folder with nothing in it.
    EmptyFolder,
    /// Among the tags: a folder without `current/link`, but not empty.
    NoLink,
    /// A tag whose `current/link` has no content.
    EmptyLink,
    /// Among the tags: a symbolic link that leads nowhere.
    DeadLink,
    /// A file in place of `_manifests`, `_manifests/tags`, `_layers` or `_uploads`.
    FileForFolder,
    /// An empty file in place of a group or a repository.
    Placeholder,
}

/// An entry that is no tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OddEntry {
    /// Relative to the folder of repositories; bytes that are not UTF-8 are shown as U+FFFD.
    pub path: String,
    /// In bytes, of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

impl RegistryTags {
    /// The tags below `repositories`, the folder `docker/registry/v2/repositories` of a storage.
    pub fn of(repositories: impl Into<Utf8PathBuf>) -> Self {
        Self { repositories: repositories.into() }
    }
}

impl Question for RegistryTags {
    type Answer = TagListing;

    const KIND: &'static str = "registry-tags";

    fn label(&self) -> String {
        format!("tags below {}", self.repositories)
    }

    async fn look(&self, machine: &Machine) -> Result<TagListing, Unknown> {
        let top = self.repositories.clone();
        machine.walk(move |scope, leash| tree::walk(scope, &top, leash)).await
    }
}

impl TagTree {
    fn note(&mut self, oddity: TagOddity, path: String, size: Option<u64>) {
        self.odd.entry(oddity).or_default().add(OddEntry { path, size });
    }

    fn name(&mut self, repository: &str, oddities: impl IntoIterator<Item = NameOddity>) {
        let names = self.names.get_or_insert_default();
        for oddity in oddities {
            names.odd.entry(oddity).or_default().add(repository.to_owned());
        }
        let order = |name: &str| (name.len(), std::cmp::Reverse(name.to_owned()));
        if order(repository) > order(&names.longest) {
            repository.clone_into(&mut names.longest);
        }
    }

    fn merge(&mut self, other: Self) {
        self.repositories += other.repositories;
        self.tags += other.tags;
        for (oddity, sample) in other.odd {
            self.odd.entry(oddity).or_default().merge(sample);
        }
        self.unread.merge(other.unread);
        let Some(other) = other.names else { return };
        let longest = other.longest;
        for (oddity, sample) in other.odd {
            self.names.get_or_insert_default().odd.entry(oddity).or_default().merge(sample);
        }
        self.name(&longest, []);
    }
}
