//! The variables that units of systemd set for a service.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::open::text;
use super::system_trust::Variable;
use super::unit_files;
use crate::host::{Scope, Unknown};
use crate::parse::unit::Environment;

/// The variables that are set at last: by the unit, its drop-ins by name, and the files that they
/// name. None where there is no such unit.
pub(super) fn set_by_unit(
    scope: &Scope,
    unit: &str,
    is_wanted: fn(&str) -> bool,
) -> Result<Vec<Variable>, Unknown> {
    let mut found = Found::default();
    for (path, text) in unit_files::read(scope, unit)?.texts {
        found.add(&path, Environment::of_unit(&text, is_wanted));
    }
    for path in std::mem::take(&mut found.files) {
        if let Some(text) = text(scope, &path, unit_files::LIMIT)? {
            found.add(&path, Environment::of_file(&text, is_wanted));
        }
    }
    Ok(found.variables.into_values().collect())
}

#[derive(Default)]
struct Found {
    variables: BTreeMap<String, Variable>,
    files: Vec<Utf8PathBuf>,
}

impl Found {
    fn add(&mut self, path: &Utf8Path, read: Environment) {
        if read.emptied {
            self.variables.clear();
        }
        for (name, it) in read.variables {
            let (value, line) = (it.value, it.line);
            let variable = Variable { name: name.clone(), value, path: path.to_owned(), line };
            self.variables.insert(name, variable);
        }
        let files = read.files.into_iter().map(Utf8PathBuf::from);
        self.files.extend(files.filter(|path| path.is_absolute()));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What is told of an installation that has these files.
    pub(in crate::host::files) fn in_tree<T>(
        files: &[(&str, &str)],
        look: impl FnOnce(&Scope) -> T,
    ) -> T {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let root = Utf8PathBuf::from_path_buf(root.path().to_owned()).unwrap();
        look(&Scope { root: Some(root), ..Scope::live() })
    }

    fn set(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let is_wanted = |name: &str| name.starts_with("SSL_CERT_");
        let found = in_tree(files, |scope| set_by_unit(scope, "docker.service", is_wanted));
        found.unwrap().into_iter().map(|it| (it.name, it.value)).collect()
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
