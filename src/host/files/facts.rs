//! Question: what is known of a file without opening it.

use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::locate::{link_text, locate};
use super::open::{is_missing, refusal};
use crate::host::system::Accounts;
use crate::host::{Machine, Question, Scope, Unknown};

/// Asks for kind, size, owner, mode and time of a file; links are followed.
#[derive(Debug, Serialize)]
pub struct FileFacts {
    /// Absolute.
    pub path: Utf8PathBuf,
}

/// What `stat` tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What it is.
    pub kind: Kind,
    /// In bytes.
    pub size: u64,
    /// Permission bits, such as `0o600`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// The owner's name in the installation's own `/etc/passwd`.
    pub owner: Option<String>,
    /// The group's name in the installation's own `/etc/group`.
    pub group: Option<String>,
    /// Last change of the content.
    pub modified: Timestamp,
    /// Where the path itself is a symbolic link: what it says.
    pub link: Option<String>,
    /// Whether an access control list decides what others than the owner may do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub acl: bool,
}

impl FileFacts {
    /// The facts of the file at `path`.
    pub fn of(path: impl Into<Utf8PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Question for FileFacts {
    /// `None` where nothing is, or a link leads nowhere.
    type Answer = Option<Facts>;

    const KIND: &'static str = "file-facts";

    fn label(&self) -> String {
        // Not `file`: what it says has no part in the verdict.
        format!("stat {}", self.path)
    }

    async fn look(&self, machine: &Machine) -> Result<Option<Facts>, Unknown> {
        let (scope, path) = (machine.scope().clone(), self.path.clone());
        let accounts = machine.accounts();
        machine
            .off_thread(move || {
                facts(&scope, &path, accounts.get_or_init(|| Accounts::read(&scope)))
            })
            .await
    }
}

/// Whether there is an access control list. Where others may read, one can only forbid, which
/// nobody does here.
fn has_list(found: &std::fs::File, mode: u32) -> bool {
    mode & 0o004 == 0 && mode & 0o070 != 0 && {
        let place = format!("/proc/self/fd/{}", found.as_raw_fd());
        let size = rustix::fs::getxattr(place, "system.posix_acl_access", &mut [0u8; 0][..]);
        size.is_ok_and(|size| size > 0)
    }
}

fn facts(scope: &Scope, path: &Utf8Path, accounts: &Accounts) -> Result<Option<Facts>, Unknown> {
    let found = locate(scope, path).and_then(|found| Ok((found.metadata()?, found)));
    let (metadata, found) = match found {
        Ok(found) => found,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(refusal(path, &error)),
    };
    Ok(Some(Facts {
        kind: Kind::from(&metadata),
        size: metadata.len(),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        owner: accounts.user(metadata.uid()),
        group: accounts.group(metadata.gid()),
        modified: Timestamp::new(metadata.mtime(), 0).unwrap_or(Timestamp::UNIX_EPOCH),
        link: link_text(scope, path),
        acl: has_list(&found, metadata.mode()),
    }))
}
