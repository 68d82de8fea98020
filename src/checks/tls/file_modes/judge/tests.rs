use std::collections::BTreeSet;

use camino::Utf8PathBuf;

use super::*;
use crate::checks::Severity::{Error, Warning};
use crate::install::Sourced;

const FOLDER: &str = "/etc/gitlab/ssl";

fn facts(kind: Kind, mode: u32, uid: u32, gid: u32) -> Facts {
    Facts {
        kind,
        size: 1704,
        mode,
        uid,
        gid,
        owner: None,
        group: (gid == 998).then(|| "git".to_owned()),
        modified: jiff::Timestamp::UNIX_EPOCH,
        link: None,
        acl: false,
    }
}

/// A file below folders of these modes, all of root.
fn file(mode: u32, uid: u32, gid: u32, folders: &[u32]) -> Chain {
    let above =
        folders.iter().map(|mode| (Utf8PathBuf::from(FOLDER), facts(Kind::Directory, *mode, 0, 0)));
    Chain { end: Some(facts(Kind::File, mode, uid, gid)), above: above.collect() }
}

fn judged(user: User, reader: Reader, key: &Chain) -> Vec<(crate::checks::Severity, &'static str)> {
    let path = |name: &str| Sourced::default(Utf8PathBuf::from(FOLDER).join(name), "the default");
    let pair = Pair { user, certificate: path("a.crt"), key: path("a.key") };
    let findings = judge(&Subject { pair: &pair, reader }, key, None);
    findings.into_iter().map(|finding| (finding.severity, finding.code)).collect()
}

fn nginx(
    mode: u32,
    uid: u32,
    gid: u32,
    folders: &[u32],
) -> Vec<(crate::checks::Severity, &'static str)> {
    judged(User::GitlabNginx, Reader::Root, &file(mode, uid, gid, folders))
}

#[test]
fn a_key_is_private_if_its_mode_or_a_folder_above_says_so() {
    let open = &[0o755, 0o755];
    assert_eq!(nginx(0o600, 0, 0, open), []);
    assert_eq!(nginx(0o400, 0, 0, open), []);
    assert_eq!(nginx(0o644, 0, 0, open), [(Error, "key-exposed")]);
    assert_eq!(nginx(0o644, 0, 0, &[0o700, 0o755]), []);
    assert_eq!(nginx(0o644, 0, 0, &[0o755, 0o700]), []);
    assert_eq!(nginx(0o602, 0, 0, open), [(Error, "key-writable")]);
}

#[test]
fn a_key_that_nobody_uses_is_a_secret_too() {
    let spare = |mode| {
        let found =
            judge_spare(Utf8Path::new("/etc/gitlab/ssl/b.key"), &file(mode, 0, 0, &[0o755]));
        found.map(|finding| (finding.severity, finding.code))
    };
    assert_eq!(spare(0o644), Some((Warning, "key-exposed")));
    assert_eq!(spare(0o600), None);
}

#[test]
fn a_group_counts_unless_it_is_roots_or_made_for_keys() {
    let open = &[0o755, 0o755];
    assert_eq!(nginx(0o640, 0, 0, open), []);
    assert_eq!(nginx(0o640, 0, 998, open), [(Warning, "key-open-to-group")]);
    assert_eq!(nginx(0o640, 0, 998, &[0o700, 0o755]), []);
    // A folder of another group lets the group through only if it lets everybody through.
    assert_eq!(nginx(0o640, 0, 998, &[0o710, 0o755]), []);
}

#[test]
fn the_owner_can_always_read() {
    assert_eq!(nginx(0o600, 998, 0, &[0o755]), [(Warning, "wrong-owner")]);
}

#[test]
fn a_registry_has_to_read_its_own_files() {
    let account = Account { uid: 994, gids: BTreeSet::from([994]) };
    let reader = || Reader::Account { name: "registry".to_owned(), account: account.clone() };
    let found = |key: &Chain| judged(User::Registry, reader(), key);
    assert_eq!(found(&file(0o640, 0, 994, &[0o755])), []);
    assert_eq!(found(&file(0o600, 994, 994, &[0o755])), []);
    assert_eq!(found(&file(0o600, 0, 0, &[0o755])), [(Error, "unreadable")]);
    assert_eq!(found(&file(0o640, 0, 994, &[0o700])), [(Error, "unreadable")]);
}

#[test]
fn the_folder_has_to_be_one() {
    let folder = |end: Option<Facts>| {
        let above = vec![(Utf8PathBuf::from("/etc"), facts(Kind::Directory, 0o755, 0, 0))];
        let found = judge_folder(Utf8Path::new(FOLDER), &Chain { end, above }, &Reader::Root, true);
        found.map(|finding| (finding.severity, finding.code))
    };
    let of = |mode, uid| folder(Some(facts(Kind::Directory, mode, uid, 0)));
    assert_eq!(of(0o755, 0), None);
    assert_eq!(of(0o700, 0), None);
    assert_eq!(of(0o777, 0), Some((Error, "folder-writable")));
    assert_eq!(of(0o755, 1000), Some((Warning, "wrong-owner")));
    assert_eq!(of(0o644, 0), Some((Warning, "not-traversable")));
    assert_eq!(folder(None), Some((Error, "missing-folder")));
    let file = facts(Kind::File, 0o644, 0, 0);
    assert_eq!(folder(Some(file)), Some((Error, "not-a-folder")));
}

#[test]
fn a_servers_own_folder_may_be_its_own() {
    let folder = Utf8Path::new("/var/opt/gitlab/registry");
    let judged = |uid, gid, reader: &Reader| {
        let end = Some(facts(Kind::Directory, 0o2770, uid, gid));
        let found = judge_folder(folder, &Chain { end, above: Vec::new() }, reader, false);
        found.map(|finding| (finding.severity, finding.code))
    };
    let account = Account { uid: 994, gids: BTreeSet::from([994]) };
    let registry = Reader::Account { name: "registry".to_owned(), account };
    assert_eq!(judged(994, 994, &registry), None);
    assert_eq!(judged(0, 994, &registry), None);
    assert_eq!(judged(994, 998, &registry), Some((Warning, "folder-writable")));
    assert_eq!(judged(998, 994, &registry), Some((Warning, "wrong-owner")));
    assert_eq!(judged(994, 994, &Reader::Root), Some((Warning, "folder-writable")));
}
