//! Where cron looks, for the questions about what it is told to run.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::open::{self, is_missing, place, refusal};
use super::walk::Unread;
use crate::host::{Scope, Unknown};

/// The largest crontab that is read, in bytes.
const MAX_TEXT: u64 = 1 << 20;

/// More crontabs than a host has accounts and packages with one.
const MAX_FILES: usize = 1000;

/// The folders in which cron looks: Debian's and Red Hat's spool, and the system's.
const FOLDERS: [&str; 3] = ["/etc/cron.d", "/var/spool/cron", "/var/spool/cron/crontabs"];

/// Calls `each` with the path and the text of every crontab, sorted by path. What could not be
/// read is in the answer.
pub(super) fn for_each_crontab(
    scope: &Scope,
    each: impl FnMut(&Utf8Path, &str),
) -> BTreeSet<Unread> {
    let mut unread = BTreeSet::new();
    let mut paths = BTreeSet::from([Utf8PathBuf::from("/etc/crontab")]);
    for folder in FOLDERS {
        paths.extend(files_in(scope, folder.into(), &mut unread));
    }
    for_each_text(scope, paths, &mut unread, each);
    unread
}

/// Calls `each` with every text among `paths` that is there.
pub(super) fn for_each_text(
    scope: &Scope,
    paths: impl IntoIterator<Item = Utf8PathBuf>,
    unread: &mut BTreeSet<Unread>,
    mut each: impl FnMut(&Utf8Path, &str),
) {
    for path in paths {
        match text(scope, &path) {
            Ok(Some(text)) => each(&path, &text),
            Ok(None) => {}
            Err(why) => {
                unread.insert(Unread { path: path.to_string(), why });
            }
        }
    }
}

/// What cron would take for a file of its own; it passes over names with a dot or a tilde.
pub(super) fn files_in(
    scope: &Scope,
    folder: &Utf8Path,
    unread: &mut BTreeSet<Unread>,
) -> Vec<Utf8PathBuf> {
    let taken = |name: &str| !name.contains(['.', '~', '#']);
    match names(scope, folder) {
        Ok(names) => names.into_iter().filter(|it| taken(it)).map(|it| folder.join(it)).collect(),
        Err(error) if is_missing(&error) => Vec::new(),
        Err(error) => {
            let why = refusal(folder, &error);
            unread.insert(Unread { path: folder.to_string(), why });
            Vec::new()
        }
    }
}

/// The names in a folder.
pub(super) fn names(scope: &Scope, folder: &Utf8Path) -> std::io::Result<Vec<String>> {
    let (base, rest) = place(scope, folder)?;
    let entries = std::fs::read_dir(base.join(rest))?.take(MAX_FILES);
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

/// The text of a file that cron reads or runs; `None` where there is no file.
pub(super) fn text(scope: &Scope, path: &Utf8Path) -> Result<Option<String>, Unknown> {
    open::text(scope, path, MAX_TEXT)
}
