//! Who can get at a file: its own mode, and those of all folders above it.

use camino::{Utf8Path, Utf8PathBuf};

use crate::host::account::Account;
use crate::host::files::{Facts, FileFacts};
use crate::host::{Host, Unknown};

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
            Self::Read => 0o4,
            Self::Write => 0o2,
        }
    }
}

impl Chain {
    /// Whether an account that is neither owner nor in any group can.
    pub(in crate::checks) fn open_to_all(&self, wish: Wish) -> bool {
        self.end.as_ref().is_some_and(|facts| facts.mode & wish.bit() != 0)
            && self.above.iter().all(|(_, facts)| facts.mode & 0o1 != 0)
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

    /// What keeps an account from reading; `None` if it can. The nearest obstacle last.
    pub(in crate::checks) fn obstacle(
        &self,
        path: &Utf8Path,
        account: &Account,
    ) -> Option<Utf8PathBuf> {
        let outside_in = self.above.iter().rev();
        let mut closed = outside_in.filter(|(_, facts)| !allows(facts, account, 0o1));
        if let Some((folder, _)) = closed.next() {
            return Some(folder.clone());
        }
        let end = self.end.as_ref()?;
        (!allows(end, account, 0o4)).then(|| path.to_owned())
    }
}

/// The first class that fits an account decides (POSIX).
fn allows(facts: &Facts, account: &Account, bit: u32) -> bool {
    let shift = match () {
        () if account.uid == 0 => return true,
        () if facts.uid == account.uid => 6,
        () if account.gids.contains(&facts.gid) => 3,
        () => 0,
    };
    facts.mode & (bit << shift) != 0
}

#[test]
fn links_are_resolved_from_their_folder() {
    assert_eq!(normal(Utf8Path::new("/etc/gitlab/ssl/../../x/./y.key")), "/etc/x/y.key");
}
