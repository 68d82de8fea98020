//! Question: does a service find its trusted certificates elsewhere than the system does?

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::open::text;
use super::system_trust::{BUNDLES, FOLDERS, TrustedFiles, Variable, collect};
use super::unit_files;
use crate::host::{Machine, Question, Scope, Unknown};
use crate::parse::setting::Located;
use crate::parse::unit::TrustVariables;

/// Asks for the certificates that a service trusts where its unit sets `SSL_CERT_FILE` or
/// `SSL_CERT_DIR`, which take the place of the system's files, or folders, for programs in Go.
#[derive(Debug, Serialize)]
pub struct ServiceTrust {
    /// The unit, such as `docker.service`.
    pub unit: String,
}

impl Question for ServiceTrust {
    /// `None` where it is set nothing, and so trusts what the system trusts.
    type Answer = Option<TrustedFiles>;

    const KIND: &'static str = "service-trust";

    fn label(&self) -> String {
        format!("certificates that {} trusts", self.unit)
    }

    async fn look(&self, machine: &Machine) -> Result<Option<TrustedFiles>, Unknown> {
        let (scope, unit) = (machine.scope().clone(), self.unit.clone());
        machine.off_thread(move || look(&scope, &unit)).await
    }
}

fn look(scope: &Scope, unit: &str) -> Result<Option<TrustedFiles>, Unknown> {
    let variables = variables(scope, unit)?;
    if variables.is_empty() {
        return Ok(None);
    }
    let value = |name| variables.iter().find(|it| it.name == name).map(|it| it.value.as_str());
    let bundles = value("SSL_CERT_FILE").map_or(BUNDLES.to_vec(), |file| vec![file]);
    let folders = value("SSL_CERT_DIR").map_or(FOLDERS.to_vec(), |list| list.split(':').collect());
    let trusted = collect(scope, &bundles, &folders)?;
    Ok(Some(TrustedFiles { variables, ..trusted }))
}

/// The variables that are set at last: by the unit, its drop-ins by name, and the files that they
/// name. An empty value is none (crypto/x509, `loadSystemRoots`).
fn variables(scope: &Scope, unit: &str) -> Result<Vec<Variable>, Unknown> {
    let mut found = Found::default();
    for (path, text) in unit_files::read(scope, unit)?.texts {
        found.add(&path, TrustVariables::of_unit(&text));
    }
    for path in std::mem::take(&mut found.environment_files) {
        if let Some(text) = text(scope, &path, unit_files::LIMIT)? {
            found.add(&path, TrustVariables::of_environment_file(&text));
        }
    }
    let both = [found.file, found.folders].into_iter().flatten();
    Ok(both.filter(|variable| !variable.value.is_empty()).collect())
}

#[derive(Default)]
struct Found {
    file: Option<Variable>,
    folders: Option<Variable>,
    environment_files: Vec<Utf8PathBuf>,
}

impl Found {
    fn add(&mut self, path: &Utf8Path, read: TrustVariables) {
        if read.emptied {
            (self.file, self.folders) = (None, None);
        }
        let variable = |name: &str, it: Located<String>| Variable {
            name: name.to_owned(),
            value: it.value,
            path: path.to_owned(),
            line: it.line,
        };
        self.file = read.file.map(|it| variable("SSL_CERT_FILE", it)).or(self.file.take());
        self.folders = read.folders.map(|it| variable("SSL_CERT_DIR", it)).or(self.folders.take());
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
        let found = variables(&scope, "docker.service").unwrap();
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
