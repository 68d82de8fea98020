//! The variables that units of systemd set for a service.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::Directory;
use super::open::text;
use super::system_trust::Variable;
use crate::host::{Scope, Unknown};
use crate::parse::unit::Assignments;

/// Where units lie, the weightiest first (systemd.unit(5)).
const FOLDERS_OF_UNITS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Units are a few hundred bytes.
const LIMIT: u64 = 1 << 20;

/// The variables that are set at last: by the unit, its drop-ins by name, and the files that they
/// name. None where there is no such unit.
pub(super) fn set_by_unit(
    scope: &Scope,
    unit: &str,
    is_wanted: fn(&str) -> bool,
) -> Result<Vec<Variable>, Unknown> {
    let mut found = Found::default();
    for folder in FOLDERS_OF_UNITS {
        let path = Utf8Path::new(folder).join(unit);
        if let Some(text) = text(scope, &path, LIMIT)? {
            found.add(&path, Assignments::of_unit(&text, is_wanted));
            break;
        }
    }
    for path in drop_ins(scope, unit)? {
        if let Some(text) = text(scope, &path, LIMIT)? {
            found.add(&path, Assignments::of_unit(&text, is_wanted));
        }
    }
    for path in std::mem::take(&mut found.environment_files) {
        if let Some(text) = text(scope, &path, LIMIT)? {
            found.add(&path, Assignments::of_environment_file(&text, is_wanted));
        }
    }
    Ok(found.variables.into_values().collect())
}

/// Those that count, by name.
fn drop_ins(scope: &Scope, unit: &str) -> Result<Vec<Utf8PathBuf>, Unknown> {
    let mut drop_ins = BTreeMap::new();
    for folder in FOLDERS_OF_UNITS {
        let folder = Utf8Path::new(folder).join(format!("{unit}.d"));
        let listing = Directory::list(scope, &folder)?;
        for name in listing.names().filter(|name| name.ends_with(".conf")) {
            drop_ins.entry(name.to_owned()).or_insert_with(|| folder.join(name));
        }
    }
    Ok(drop_ins.into_values().collect())
}

#[derive(Default)]
struct Found {
    variables: BTreeMap<String, Variable>,
    environment_files: Vec<Utf8PathBuf>,
}

impl Found {
    fn add(&mut self, path: &Utf8Path, read: Assignments) {
        if read.emptied {
            self.variables.clear();
        }
        for (name, it) in read.variables {
            let (value, line) = (it.value, it.line);
            let variable = Variable { name: name.clone(), value, path: path.to_owned(), line };
            self.variables.insert(name, variable);
        }
        let files = read.environment_files.into_iter().map(Utf8PathBuf::from);
        self.environment_files.extend(files.filter(|path| path.is_absolute()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let root = Utf8PathBuf::from_path_buf(root.path().to_owned()).unwrap();
        let scope = Scope { root: Some(root), ..Scope::live() };
        let is_wanted = |name: &str| name.starts_with("SSL_CERT_");
        let found = set_by_unit(&scope, "docker.service", is_wanted).unwrap();
        found.into_iter().map(|it| (it.name, it.value)).collect()
    }

    const UNIT: &str = "usr/lib/systemd/system/docker.service";
    const DROP_IN: &str = "etc/systemd/system/docker.service.d";

    #[test]
    fn what_is_set_last_counts() {
        assert!(set(&[(UNIT, "[Service]\nExecStart=/usr/bin/dockerd\n")]).is_empty());
        let line = |value: &str| format!("[Service]\nEnvironment=SSL_CERT_FILE={value}\n");
        let (a, b) = (format!("{DROP_IN}/a.conf"), format!("{DROP_IN}/b.conf"));
        let file = |value: &str| vec![("SSL_CERT_FILE".to_owned(), value.to_owned())];
        assert_eq!(set(&[(UNIT, &line("/0")), (&b, &line("/2")), (&a, &line("/1"))]), file("/2"));
        assert!(set(&[(&a, &line("/1")), (&b, "[Service]\nEnvironment=\n")]).is_empty());
        let named = format!("{}EnvironmentFile=-/etc/default/docker\n", line("/0"));
        let files = [(UNIT, &*named), ("etc/default/docker", "SSL_CERT_FILE=/3\nX=y\n")];
        assert_eq!(set(&files), file("/3"));
    }

    #[test]
    fn a_drop_in_of_the_administrator_hides_one_of_the_same_name() {
        let line = |value: &str| format!("[Service]\nEnvironment=SSL_CERT_DIR={value}\n");
        let theirs = "usr/lib/systemd/system/docker.service.d/a.conf";
        let (own, theirs) =
            ((format!("{DROP_IN}/a.conf"), line("/own")), (theirs, line("/theirs")));
        let found = set(&[(&own.0, &own.1), (theirs.0, &theirs.1)]);
        assert_eq!(found, [("SSL_CERT_DIR".to_owned(), "/own".to_owned())]);
    }
}
