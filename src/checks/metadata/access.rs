//! May GitLab's account read the exports?

use camino::Utf8Path;

use super::words::DataType;
use crate::checks::access::{ENTER, LIST, READ, may};
use crate::checks::shell::word;
use crate::checks::{Evidence, Finding, Verdict, docs};
use crate::host::Unknown;
use crate::host::account::Account;
use crate::host::files::{Access, AccessCount, ExportTree, Role};

/// Whether an account may do with an entry what it has to; `None` where what is not known would
/// decide.
fn reads(account: Option<&Account>, access: &Access) -> Option<bool> {
    let needed = match access.role {
        Role::Parent => ENTER,
        Role::Folder => LIST,
        Role::Chunk => READ,
    };
    let has = |shift: u32| (access.mode >> shift) & needed == needed;
    if has(0) && has(3) && has(6) {
        // With all three saying the same, it does not matter who asks.
        return Some(true);
    }
    may(account?, access, needed)
}

/// GitLab's account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) name: &'a str,
    /// `None` where it is not known, or the owners of the files are not those of the server.
    pub(super) account: Option<&'a Account>,
}

/// Whether GitLab's account may read all of a tree.
pub(super) fn judge(
    data: DataType,
    folder: &Utf8Path,
    tree: &ExportTree,
    reader: Reader<'_>,
) -> Verdict {
    let mut verdict = Verdict::default();
    let judged = |wanted: Option<bool>| {
        tree.access
            .iter()
            .filter(move |it| reads(reader.account, &it.access) == wanted)
            .collect::<Vec<_>>()
    };
    let refused = judged(Some(false));
    if !refused.is_empty() {
        verdict.add([finding(data, folder, reader.name, &refused)]);
    }
    if let Some(first) = judged(None).first() {
        let why = format!(
            "{}: neither its permissions nor the accounts of this system decide it",
            first.first
        );
        let what = format!("whether {} may read {}", reader.name, data.name());
        verdict.untold(what, Unknown::Unreadable(why));
    }
    verdict
}

fn finding(data: DataType, folder: &Utf8Path, name: &str, refused: &[&AccessCount]) -> Finding {
    let message = format!(
        "{name} may not read all of it, and the first thing that GitLab cannot read ends \
                   every run of the synchronisation"
    );
    let mut finding =
        Finding::error("unreadable", folder.as_str(), message).docs(docs::OFFLINE_METADATA);
    let mut commands = Vec::new();
    for entry in refused {
        let Access { role, uid, gid, mode, .. } = entry.access;
        let what = match (role, entry.count) {
            (Role::Chunk, 1) => "1 file".to_owned(),
            (Role::Chunk, many) => format!("{many} files"),
            (_, 1) => "1 folder".to_owned(),
            (_, many) => format!("{many} folders"),
        };
        let permissions = format!("mode {mode:04o}, owner {uid}, group {gid}");
        finding = finding.evidence(Evidence::new(what, permissions).at(&entry.first, None));
        commands.push(match role {
            Role::Parent => format!("sudo chmod a+x {}", word(&entry.first)),
            Role::Folder | Role::Chunk => format!("sudo chmod -R a+rX {}", word(folder.as_str())),
        });
    }
    commands.sort();
    commands.dedup();
    let name = data.name();
    finding.remedy(format!("Let everybody read the {name}; they are public data."), commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git() -> Account {
        Account { uid: 998, gids: [998].into() }
    }

    fn reader(account: Option<&Account>) -> Reader<'_> {
        Reader { name: "gitlab", account }
    }

    fn access(role: Role, uid: u32, gid: u32, mode: u32) -> Access {
        Access { role, uid, gid, mode, acl: false }
    }

    #[test]
    fn the_nearest_bits_decide() {
        let cases = [
            (access(Role::Chunk, 0, 0, 0o644), Some(true)),
            (access(Role::Chunk, 0, 0, 0o640), Some(false)),
            (access(Role::Chunk, 0, 998, 0o640), Some(true)),
            (access(Role::Chunk, 998, 0, 0o400), Some(true)),
            (access(Role::Chunk, 998, 998, 0o044), Some(false)),
            (access(Role::Folder, 0, 0, 0o755), Some(true)),
            (access(Role::Folder, 0, 0, 0o754), Some(false)),
            (access(Role::Parent, 0, 0, 0o711), Some(true)),
            (access(Role::Parent, 0, 0, 0o700), Some(false)),
            (Access { acl: true, ..access(Role::Chunk, 0, 0, 0o640) }, None),
        ];
        for (access, expected) in cases {
            assert_eq!(reads(Some(&git()), &access), expected, "{access:?}");
        }
        assert_eq!(reads(None, &access(Role::Chunk, 0, 0, 0o644)), Some(true));
        assert_eq!(reads(None, &access(Role::Chunk, 0, 0, 0o640)), None);
    }

    #[test]
    fn each_refusal_has_its_mend() {
        let count =
            |access, count, first: &str| AccessCount { access, count, first: first.to_owned() };
        let tree = ExportTree {
            access: vec![
                count(access(Role::Parent, 0, 0, 0o700), 1, "/opt/gitlab"),
                count(access(Role::Folder, 0, 0, 0o755), 9, "/rails/licenses"),
                count(access(Role::Chunk, 0, 0, 0o600), 7, "/rails/licenses/v2/maven/1/0.ndjson"),
            ],
            ..ExportTree::default()
        };
        let verdict =
            judge(DataType::Licenses, "/rails/licenses".into(), &tree, reader(Some(&git())));
        assert_eq!(verdict.untold, []);
        let found = &verdict.findings[0];
        assert!(found.message.starts_with("gitlab may not read"), "{}", found.message);
        assert_eq!(found.evidence.len(), 2);
        assert_eq!(found.evidence[1].value, "mode 0600, owner 0, group 0");
        let mends = ["sudo chmod -R a+rX /rails/licenses", "sudo chmod a+x /opt/gitlab"];
        assert_eq!(found.remedy.commands, mends);
        let verdict = judge(DataType::Licenses, "/rails/licenses".into(), &tree, reader(None));
        assert_eq!((verdict.findings.len(), verdict.untold.len()), (0, 1));
    }
}
