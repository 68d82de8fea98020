//! Question: does a service find its trusted certificates elsewhere than the system does?

use serde::Serialize;

use super::system_trust::{BUNDLES, FOLDERS, TrustedFiles, Variable, collect};
use super::unit_variables::set_by_unit;
use crate::host::{Machine, Question, Scope, Unknown};

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

/// What the unit sets. An empty value is none (crypto/x509, `loadSystemRoots`).
fn variables(scope: &Scope, unit: &str) -> Result<Vec<Variable>, Unknown> {
    let is_wanted = |name: &str| matches!(name, "SSL_CERT_FILE" | "SSL_CERT_DIR");
    let found = set_by_unit(scope, unit, is_wanted)?;
    Ok(found.into_iter().filter(|variable| !variable.value.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files::unit_variables::tests::in_tree;

    fn set(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let found = in_tree(files, |scope| variables(scope, "docker.service")).unwrap();
        found.into_iter().map(|it| (it.name, it.value)).collect()
    }

    #[test]
    fn an_empty_value_is_none() {
        let unit = "usr/lib/systemd/system/docker.service";
        let line = |value: &str| format!("[Service]\nEnvironment=SSL_CERT_FILE={value} A=b\n");
        assert!(set(&[(unit, &line(""))]).is_empty());
        assert_eq!(set(&[(unit, &line("/0"))]), [("SSL_CERT_FILE".to_owned(), "/0".to_owned())]);
    }
}
