//! What there is to say of the mode and owner of a key.

use camino::Utf8Path;

use crate::checks::access::{Chain, Wish};
use crate::checks::shell::word;
use crate::checks::{Cause, Finding, docs};
use crate::host::account::Account;
use crate::host::files::{Facts, Kind};
use crate::install::certificates::{Pair, User};
use crate::install::files::described;

/// Debian's group for programs that may read private keys; it has no members but those.
const KEY_GROUP: &str = "ssl-cert";

/// Under which account the files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reader {
    /// As nginx, which gives its rights up only afterwards.
    Root,
    /// As this one.
    Account { name: String, account: Account },
    /// Nobody knows.
    Unknown,
}

/// A key and who uses it.
pub(super) struct Subject<'a> {
    pub(super) pair: &'a Pair,
    pub(super) reader: Reader,
}

/// Judges a key, and the certificate beside it. What is missing is the matter of `tls/key-pair`.
pub(super) fn judge(
    subject: &Subject<'_>,
    key: &Chain,
    certificate: Option<&Chain>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(facts) = &key.end {
        findings.extend(subject.exposed(key, facts).or_else(|| subject.owned(facts)));
        findings.extend(subject.unreadable(&subject.pair.key.value, key));
    }
    if let Some(beside) = certificate
        && beside.end.is_some()
    {
        findings.extend(subject.replaceable(beside));
        findings.extend(subject.unreadable(&subject.pair.certificate.value, beside));
    }
    findings
}

impl Subject<'_> {
    fn key(&self) -> &Utf8Path {
        &self.pair.key.value
    }

    /// Others than the server can read or replace the key.
    fn exposed(&self, key: &Chain, facts: &Facts) -> Option<Finding> {
        let error = |code, message: &str| Finding::error(code, self.key().as_str(), message);
        let finding = if key.open_to_all(Wish::Read) {
            error("key-exposed", "every account of this host can read this private key")
        } else if key.open_to_all(Wish::Write) {
            error("key-writable", "every account of this host can replace this private key")
        } else if key.open_to_group(Wish::Read) && !self.is_own_group(facts) {
            let group = facts.group.clone().unwrap_or_else(|| facts.gid.to_string());
            let message = format!("the members of the group '{group}' can read this private key");
            Finding::warning("key-open-to-group", self.key().as_str(), message)
        } else {
            return None;
        };
        let advice = "Let only the server read the key. Others could have copied it: have a new \
                      key and certificate made as well.";
        Some(self.described(finding, facts).remedy(advice, self.close()))
    }

    /// Somebody else owns it, and can let everybody read it.
    fn owned(&self, facts: &Facts) -> Option<Finding> {
        let fine = match &self.reader {
            Reader::Root => facts.uid == 0,
            Reader::Account { account, .. } => facts.uid == 0 || facts.uid == account.uid,
            Reader::Unknown => true,
        };
        let owner = facts.owner.clone().unwrap_or_else(|| format!("user id {}", facts.uid));
        let message = format!("this private key belongs to {owner}, who can read and replace it");
        let finding = Finding::warning("wrong-owner", self.key().as_str(), message);
        (!fine).then(|| {
            self.described(finding, facts)
                .remedy("Give the key to its server's account.", self.close())
        })
    }

    /// The server itself cannot read a file.
    fn unreadable(&self, path: &Utf8Path, chain: &Chain) -> Option<Finding> {
        let Reader::Account { name, account } = &self.reader else { return None };
        let obstacle = chain.obstacle(path, account)?;
        let facts = chain.end.as_ref()?;
        let by = if obstacle == path { String::new() } else { format!(" because of {obstacle}") };
        let message = format!(
            "the registry runs as '{name}', which cannot read this file{by}: it does not start"
        );
        let file = word(path.as_str());
        let commands = if obstacle == path {
            vec![format!("sudo chgrp {} {file}", word(name)), format!("sudo chmod 640 {file}")]
        } else {
            vec![format!("sudo chmod o+x {}", word(obstacle.as_str()))]
        };
        let finding = Finding::error("unreadable", path.as_str(), message);
        Some(
            self.described(finding, facts).remedy(format!("Let '{name}' read the file."), commands),
        )
    }

    /// Anybody can put another certificate in the place of this one.
    fn replaceable(&self, certificate: &Chain) -> Option<Finding> {
        let facts = certificate.end.as_ref()?;
        let path = self.pair.certificate.value.as_str();
        let message = "every account of this host can write to this certificate's file";
        certificate.open_to_all(Wish::Write).then(|| {
            let finding = Finding::warning("certificate-writable", path, message);
            self.described(finding, facts)
                .remedy("Let only root write to it.", [format!("sudo chmod 644 {}", word(path))])
        })
    }

    /// Root's own group, the group of the server's account, or the one that is made for keys.
    fn is_own_group(&self, facts: &Facts) -> bool {
        facts.gid == 0
            || facts.group.as_deref() == Some(KEY_GROUP)
            || match &self.reader {
                Reader::Account { account, .. } => account.gids.contains(&facts.gid),
                Reader::Root => false,
                Reader::Unknown => true,
            }
    }

    fn close(&self) -> Vec<String> {
        let path = word(self.key().as_str());
        match &self.reader {
            Reader::Account { name, .. } => {
                vec![
                    format!("sudo chown root:{} {path}", word(name)),
                    format!("sudo chmod 640 {path}"),
                ]
            }
            Reader::Root | Reader::Unknown => {
                vec![format!("sudo chown root:root {path}"), format!("sudo chmod 600 {path}")]
            }
        }
    }

    fn described(&self, finding: Finding, facts: &Facts) -> Finding {
        let finding =
            finding.seen("mode and owner", described(facts)).seen("used by", self.pair.user);
        finding.docs(if self.pair.user == User::Registry { docs::REGISTRY } else { docs::SSL })
    }
}

/// Judges a key that no server on this host uses.
pub(super) fn judge_spare(path: &Utf8Path, key: &Chain) -> Option<Finding> {
    let facts = key.end.as_ref().filter(|facts| facts.kind == Kind::File)?;
    let message = "every account of this host can read this private key, which no server here uses";
    let file = word(path.as_str());
    key.open_to_all(Wish::Read).then(|| {
        Finding::warning("key-exposed", path.as_str(), message)
            .seen("mode and owner", described(facts))
            .remedy(
                "Let only root read the key, or remove it. If it is to be used, have a new one \
                 made: others could have copied it.",
                [format!("sudo chown root:root {file}"), format!("sudo chmod 600 {file}")],
            )
            .docs(docs::SSL)
    })
}

/// Judges a folder of keys, which is for one account alone; `expected` if it ought to be there.
pub(super) fn judge_folder(
    path: &Utf8Path,
    chain: &Chain,
    reader: &Reader,
    expected: bool,
) -> Option<Finding> {
    let quoted = word(path.as_str());
    let Some(facts) = &chain.end else {
        return expected.then(|| {
            Finding::error(
                "missing-folder",
                path.as_str(),
                "this folder does not exist, and certificates are looked for in it",
            )
            .remedy(
                "Make the folder, and put certificate and key into it.",
                [format!("sudo mkdir -m 755 {quoted}")],
            )
            .docs(docs::SSL)
            .explains(Cause::File(path.to_string()))
        });
    };
    let seen = |finding: Finding| finding.seen("mode and owner", described(facts)).docs(docs::SSL);
    if facts.kind != Kind::Directory {
        let message = format!("this is {}, and certificates are looked for in it", facts.kind);
        let finding = Finding::error("not-a-folder", path.as_str(), message);
        let aside = format!("sudo mv {quoted} {}", word(&format!("{path}.old")));
        return Some(
            seen(finding).remedy(
                "Put a folder in its place.",
                [aside, format!("sudo mkdir -m 755 {quoted}")],
            ),
        );
    }
    let close =
        || vec![format!("sudo chown root:root {quoted}"), format!("sudo chmod 755 {quoted}")];
    // A sticky folder lets nobody take away what is not theirs.
    if chain.open_to_all(Wish::Write) && facts.mode & 0o1000 == 0 {
        let message = "every account of this host can put other files into this folder of keys";
        let finding = Finding::error("folder-writable", path.as_str(), message);
        return Some(seen(finding).remedy("Let only root write to it.", close()));
    }
    // A server's own folder may be its own, as /var/opt/gitlab/registry is the registry's.
    let own = match reader {
        Reader::Account { account, .. } => Some(account),
        Reader::Root | Reader::Unknown => None,
    };
    let is_own_group = own.is_some_and(|account| account.gids.contains(&facts.gid));
    if chain.open_to_group(Wish::Write) && facts.gid != 0 && !is_own_group {
        let group = facts.group.clone().unwrap_or_else(|| facts.gid.to_string());
        let message = format!("the group '{group}' can put other files into this folder of keys");
        let finding = Finding::warning("folder-writable", path.as_str(), message);
        return Some(seen(finding).remedy("Let only root write to it.", close()));
    }
    if facts.uid != 0 && own.is_none_or(|account| account.uid != facts.uid) {
        let owner = facts.owner.clone().unwrap_or_else(|| format!("user id {}", facts.uid));
        let message = format!("this folder of keys belongs to {owner}, who can replace them");
        let finding = Finding::warning("wrong-owner", path.as_str(), message);
        return Some(seen(finding).remedy("Give the folder to root.", close()));
    }
    if facts.mode & 0o100 == 0 {
        let message =
            "its own owner may not enter this folder: only a root with all capabilities gets in";
        let finding = Finding::warning("not-traversable", path.as_str(), message);
        return Some(seen(finding).remedy("Let root enter it.", close()));
    }
    None
}

#[cfg(test)]
mod tests;
