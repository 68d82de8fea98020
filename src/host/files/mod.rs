//! Questions about files and folders.

mod crontabs;
mod directory;
mod dockerd_command;
mod facts;
mod formats;
mod garbage_command;
mod garbage_output;
mod garbage_runs;
mod garbage_traces;
mod gitlab_rb;
mod hosts_entry;
mod locate;
mod metadata_crontabs;
mod metadata_tree;
pub(in crate::host) mod open;
mod podman_homes;
mod read;
mod registry_config;
mod registry_log;
mod registry_tags;
mod sample;
mod service_trust;
mod system_trust;
mod trust_file;
mod unit_files;
mod unit_variables;
mod walk;

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::Unknown;
use crate::parse::Malformed;

pub use directory::{Directory, Entry, Listing};
pub use dockerd_command::{Dockerd, DockerdCommand, RunningDockerd, WrittenFlag};
pub use facts::{Facts, FileFacts};
pub use formats::{ChronyConf, NtpdConf};
pub use garbage_command::{Collector, Idle};
pub use garbage_output::{GarbageOutput, Output};
pub use garbage_runs::{GarbageRun, GarbageRuns, GarbageSchedule};
pub use garbage_traces::{GarbageTraces, Reach, Start, Starter, Traces};
pub use gitlab_rb::GitlabRb;
pub use hosts_entry::{Entry as HostsLines, HOSTS, HostsEntry};
pub use metadata_crontabs::{CronLine, CronMentions, MetadataCrontabs, RailsVariable};
pub use metadata_tree::{
    Access, AccessCount, Chunks, ExportOddity, ExportTree, Exports, Levels, MetadataTree,
    REGISTRIES, Role, Volume,
};
pub use podman_homes::{PodmanHome, PodmanHomes};
pub use read::{Format, ReadFile};
pub use registry_config::RegistryConfig;
pub use registry_log::RegistryLog;
pub use registry_tags::{
    NameOddity, OddEntry, RegistryTags, RepositoryNames, TagListing, TagOddity, TagTree,
};
pub use sample::Sample;
pub use service_trust::ServiceTrust;
pub use system_trust::{Bundle, SystemTrust, TrustedFile, TrustedFiles, Variable};
pub use trust_file::{Reading, TrustFile};
pub use walk::Unread;

/// What stands where a file was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum File<T> {
    /// Nothing, or a symbolic link that leads nowhere.
    Missing,
    /// Something that is not a regular file.
    NotAFile(Kind),
    /// A regular file that gldoctor does not read because of its size in bytes.
    TooLarge(u64),
    /// A regular file that cannot be understood.
    Malformed(Malformed),
    /// A regular file and what it says.
    Read(T),
}

/// The kinds of directory entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
    /// A character or block device.
    Device,
}

impl<T> File<T> {
    /// The content, where there is some.
    pub fn read(&self) -> Option<&T> {
        match self {
            Self::Read(content) => Some(content),
            _ => None,
        }
    }

    /// What stands in the way of reading, in words; `None` if the file was read or is missing.
    pub fn obstacle(&self) -> Option<String> {
        match self {
            Self::Missing | Self::Read(_) => None,
            Self::NotAFile(kind) => Some(format!("it is {kind}, not a file")),
            Self::TooLarge(size) => Some(format!("it is too large to be one ({size} bytes)")),
            Self::Malformed(Malformed { line: Some(line), message }) => {
                Some(format!("line {line}: {message}"))
            }
            Self::Malformed(Malformed { line: None, message }) => Some(message.clone()),
        }
    }

    /// What the file says; `None` where it is missing. What stands in the way of reading leaves it
    /// unknown.
    pub fn or_unknown(self, path: impl Display) -> Result<Option<T>, Unknown> {
        match self {
            Self::Missing => Ok(None),
            Self::Read(content) => Ok(Some(content)),
            other => Err(other.unknown(path)),
        }
    }

    /// Why nothing is known of what the file says, if something stands in the way.
    pub fn unknown(&self, path: impl Display) -> Unknown {
        Unknown::Unreadable(format!("{path}: {}", self.obstacle().unwrap_or_default()))
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File => "a file",
            Self::Directory => "a folder",
            Self::Link => "a symbolic link",
            Self::Fifo => "a named pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
        })
    }
}
