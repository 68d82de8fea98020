//! Question: which numbers does an account have?

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::files::open::text;
use super::{Machine, Question, Unknown};

/// The largest account file that is read, in bytes; an offline site has few accounts.
const MAX_TEXT: u64 = 16 << 20;

/// Asks for an account of the installation's own `/etc/passwd` and `/etc/group`.
#[derive(Debug, Serialize)]
pub struct AccountOf {
    name: String,
}

/// An account's numbers, by which the system decides what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its user id.
    pub uid: u32,
    /// The ids of its own group and of those that it was added to.
    pub gids: BTreeSet<u32>,
}

impl AccountOf {
    /// The account with this name.
    pub fn name(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

impl Question for AccountOf {
    /// `None` where no such account is in the files; a directory service may know it all the same.
    type Answer = Option<Account>;

    const KIND: &'static str = "account";

    fn label(&self) -> String {
        format!("account {}", self.name)
    }

    async fn look(&self, machine: &Machine) -> Result<Option<Account>, Unknown> {
        let (scope, name) = (machine.scope().clone(), self.name.clone());
        let read = move || {
            let passwd = text(&scope, "/etc/passwd".into(), MAX_TEXT)?.unwrap_or_default();
            let group = text(&scope, "/etc/group".into(), MAX_TEXT)?.unwrap_or_default();
            Ok(account(&name, &passwd, &group))
        };
        machine.off_thread(read).await
    }
}

/// The first line with a name counts, as for `getpwnam`.
fn account(name: &str, passwd: &str, group: &str) -> Option<Account> {
    let (uid, gid) = passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.splitn(5, ':').collect();
        let [own, _, uid, gid, ..] = fields[..] else { return None };
        (own == name).then(|| Some((uid.parse().ok()?, gid.parse().ok()?))).flatten()
    })?;
    let added = group.lines().filter_map(|line| {
        let fields: Vec<_> = line.splitn(4, ':').collect();
        let [_, _, gid, members] = fields[..] else { return None };
        members.split(',').any(|member| member.trim() == name).then(|| gid.parse().ok())?
    });
    Some(Account { uid, gids: added.chain([gid]).collect() })
}

#[test]
fn an_account_has_its_own_group_and_those_that_list_it() {
    let passwd = "root:x:0:0::/:/bin/sh\n\nbad\ngit:x:998:997::/var/opt/gitlab:/bin/sh\n";
    let group = "git:x:997:\nssl:x:110:postgres,git\nother:x:111:gitlab\nbad:x\n";
    let git = Account { uid: 998, gids: [110, 997].into() };
    assert_eq!(account("git", passwd, group), Some(git));
    assert_eq!(account("nobody", passwd, group), None);
    assert_eq!(account("bad", passwd, group), None);
}
