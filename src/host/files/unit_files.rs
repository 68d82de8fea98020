//! A unit of systemd and its drop-ins, as they lie in the folders for them.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::open::{Opened, open, text};
use super::{Directory, Kind};
use crate::host::{Scope, Unknown};

/// Where units lie, the weightiest first (systemd.unit(5)).
const FOLDERS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Units are a few hundred bytes.
pub(super) const LIMIT: u64 = 1 << 20;

/// The files that make up a unit.
#[derive(Debug, Default)]
pub(super) struct UnitFiles {
    /// Whether the unit itself is there. Only part of a system may be at hand, such as its `/etc`.
    pub(super) has_unit: bool,
    /// The unit and its drop-ins, each with its text, in the order in which they count. Nothing
    /// where the unit is masked: systemd starts no such unit.
    pub(super) texts: Vec<(Utf8PathBuf, String)>,
}

/// Reads a unit such as `docker.service`.
pub(super) fn read(scope: &Scope, unit: &str) -> Result<UnitFiles, Unknown> {
    let mut files = UnitFiles::default();
    for folder in FOLDERS {
        let path = Utf8Path::new(folder).join(unit);
        // A link to /dev/null, or an empty file, hides what lies in the folders below.
        let content = match open(scope, &path)? {
            Opened::Missing if !is_link(scope, folder.into(), unit)? => continue,
            Opened::Missing | Opened::NotAFile(_) => None,
            Opened::File { .. } => text(scope, &path, LIMIT)?.filter(|text| !text.is_empty()),
        };
        files.has_unit = true;
        let Some(content) = content else { return Ok(files) };
        files.texts.push((path, content));
        break;
    }
    let mut drop_ins = BTreeMap::new();
    for folder in FOLDERS {
        let folder = Utf8Path::new(folder).join(format!("{unit}.d"));
        let listing = Directory::list(scope, &folder)?;
        for name in listing.names().filter(|name| name.ends_with(".conf")) {
            drop_ins.entry(name.to_owned()).or_insert_with(|| folder.join(name));
        }
    }
    for path in drop_ins.into_values() {
        if let Some(content) = text(scope, &path, LIMIT)? {
            files.texts.push((path, content));
        }
    }
    Ok(files)
}

/// Whether a link lies there. Below another root folder its /dev/null may be missing.
fn is_link(scope: &Scope, folder: &Utf8Path, name: &str) -> Result<bool, Unknown> {
    let listing = Directory::list(scope, folder)?;
    Ok(listing.entries().iter().any(|entry| entry.name == name && entry.kind == Kind::Link))
}
