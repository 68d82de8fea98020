//! Who can get at a file: its own mode, and those of all folders above it.

use camino::{Utf8Path, Utf8PathBuf};

use crate::host::account::Account;
use crate::host::files::{Access, Facts, FileFacts};
use crate::host::request::Requested;
use crate::host::system::System;
use crate::host::{Host, Unknown};

/// To go through a folder.
pub(in crate::checks) const ENTER: u32 = 0o1;

/// To read a file.
pub(in crate::checks) const READ: u32 = 0o4;

/// To enter and list a folder.
pub(in crate::checks) const LIST: u32 = 0o5;

/// To enter and list a folder, and to make or remove what is in it.
pub(in crate::checks) const ALL: u32 = 0o7;

/// What decides who may do something with a file or a folder.
#[derive(Debug, Clone, Copy)]
pub(in crate::checks) struct Permissions {
    uid: u32,
    gid: u32,
    mode: u32,
    /// Whether an access control list decides for others than the owner.
    acl: bool,
}

/// A file and the folders that lead to it.
#[derive(Debug, Clone)]
pub(in crate::checks) struct Chain {
    /// What is at the end; `None` where nothing is.
    pub(in crate::checks) end: Option<Facts>,
    /// Every folder above, the nearest first.
    pub(in crate::checks) above: Vec<(Utf8PathBuf, Facts)>,
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checks) enum Wish {
    Read,
    Write,
}

/// Whether the owners of files are the server's own. An ordinary user who unpacks an archive owns
/// all of it, and a container has accounts of its own.
pub(in crate::checks) async fn tells_owners(host: &Host) -> Result<bool, Unknown> {
    let system = host.ask(System).await?;
    if system.running {
        return Ok(!host.ask(Requested).await?.elsewhere);
    }
    Ok(system.uid == 0)
}

/// Looks at a file, following one link, and at the folders that really hold it.
pub(in crate::checks) async fn chain(host: &Host, path: &Utf8Path) -> Result<Chain, Unknown> {
    let end = host.ask(FileFacts::of(path)).await?;
    let target = end.as_ref().and_then(|facts| facts.link.as_ref());
    let real = match (target, path.parent()) {
        (Some(target), Some(folder)) => normal(&folder.join(target)),
        _ => path.to_owned(),
    };
    let mut above = Vec::new();
    for folder in real.ancestors().skip(1) {
        if let Some(facts) = host.ask(FileFacts::of(folder)).await? {
            above.push((folder.to_owned(), facts));
        }
    }
    Ok(Chain { end, above })
}

/// A path without `..`; the folders between are taken as they are spelled.
fn normal(path: &Utf8Path) -> Utf8PathBuf {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.as_str().split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    format!("/{}", parts.join("/")).into()
}

impl Wish {
    fn bit(self) -> u32 {
        match self {
            Self::Read => READ,
            Self::Write => 0o2,
        }
    }
}

impl Chain {
    /// Whether an account that is neither owner nor in any group can.
    pub(in crate::checks) fn open_to_all(&self, wish: Wish) -> bool {
        self.end.as_ref().is_some_and(|facts| facts.mode & wish.bit() != 0)
            && self.above.iter().all(|(_, facts)| facts.mode & ENTER != 0)
    }

    /// Whether the members of the file's group can. Folders of another group let them through as
    /// they let everybody through.
    pub(in crate::checks) fn open_to_group(&self, wish: Wish) -> bool {
        let Some(end) = &self.end else { return false };
        let passes = |facts: &Facts| {
            let bit = if facts.gid == end.gid { 0o10 } else { 0o1 };
            facts.mode & bit != 0
        };
        end.mode & (wish.bit() << 3) != 0 && self.above.iter().all(|(_, facts)| passes(facts))
    }

    /// Whether the file and all folders above it belong to one account.
    pub(in crate::checks) fn is_of_one_owner(&self) -> bool {
        let Some(end) = &self.end else { return false };
        self.above.iter().all(|(_, facts)| facts.uid == end.uid)
    }

    /// What keeps an account from reading; `None` if it can, or an access control list decides it.
    /// The nearest obstacle last.
    pub(in crate::checks) fn obstacle(
        &self,
        path: &Utf8Path,
        account: &Account,
    ) -> Option<Utf8PathBuf> {
        let outside_in = self.above.iter().rev();
        let refuses = |facts: &Facts, needed| may(account, facts, needed) == Some(false);
        let mut closed = outside_in.filter(|(_, facts)| refuses(facts, ENTER));
        if let Some((folder, _)) = closed.next() {
            return Some(folder.clone());
        }
        let end = self.end.as_ref()?;
        refuses(end, READ).then(|| path.to_owned())
    }
}

impl From<&Facts> for Permissions {
    fn from(&Facts { uid, gid, mode, acl, .. }: &Facts) -> Self {
        Self { uid, gid, mode, acl }
    }
}

impl From<&Access> for Permissions {
    fn from(&Access { uid, gid, mode, acl, .. }: &Access) -> Self {
        Self { uid, gid, mode, acl }
    }
}

/// Whether an account may do all that is needed; `None` where an access control list decides. The
/// first class that fits the account counts (POSIX).
pub(in crate::checks) fn may(
    account: &Account,
    permissions: impl Into<Permissions>,
    needed: u32,
) -> Option<bool> {
    let Permissions { uid, gid, mode, acl } = permissions.into();
    let has = |shift: u32| (mode >> shift) & needed == needed;
    match () {
        () if account.uid == 0 => Some(true),
        () if account.uid == uid => Some(has(6)),
        () if acl => None,
        () if account.gids.contains(&gid) => Some(has(3)),
        () => Some(has(0)),
    }
}

#[test]
fn the_nearest_bits_decide() {
    let account = Account { uid: 993, gids: [993].into() };
    for (uid, gid, mode, acl, expected) in [
        (993, 998, 0o770, false, Some(true)),
        (0, 993, 0o770, false, Some(true)),
        (0, 0, 0o777, false, Some(true)),
        (0, 0, 0o755, false, Some(false)),
        (993, 0, 0o077, true, Some(false)),
        (0, 0, 0o750, true, None),
    ] {
        let permissions = Permissions { uid, gid, mode, acl };
        assert_eq!(may(&account, permissions, ALL), expected, "{permissions:?}");
    }
}

#[test]
fn links_are_resolved_from_their_folder() {
    assert_eq!(normal(Utf8Path::new("/etc/gitlab/ssl/../../x/./y.key")), "/etc/x/y.key");
}
