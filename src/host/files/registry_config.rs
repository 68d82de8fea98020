//! Question: what is the registry told?

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::directory::for_each_entry;
use super::open::{Opened, is_missing, locate, open, refusal};
use super::unit_variables::set_by_unit;
use super::{File, Format};
use crate::host::{Machine, Question, Scope, Unknown};
use crate::parse::Malformed;
use crate::parse::registry_yml::{RegistryYml, Variables, read, read_with};

/// Asks for the registry's configuration file together with the environment variables that
/// override it. Both are read in one look because the values of the variables may be secret:
/// what they change is known only once they are applied.
#[derive(Debug, Serialize)]
pub struct RegistryConfig {
    /// `config.yml`, absolute.
    pub path: Utf8PathBuf,
    /// The folder with one file for each environment variable, as the Linux package lays it out.
    /// Without it systemd runs the registry, and its unit tells them.
    pub environment: Option<Utf8PathBuf>,
}

/// The unit of a registry that systemd runs.
const UNIT: &str = "docker-registry.service";

/// The longest value that an environment file can hold for `chpst`.
const MAX_VALUE: u64 = 64 << 10;

/// More variables than anybody sets.
const MAX_VARIABLES: usize = 1000;

impl Format for RegistryYml {
    const KIND: &'static str = "registry-yml";

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        read(content)
    }
}

impl Question for RegistryConfig {
    type Answer = File<RegistryYml>;

    const KIND: &'static str = "registry-config";

    fn label(&self) -> String {
        format!("file {}", self.path)
    }

    async fn look(&self, machine: &Machine) -> Result<File<RegistryYml>, Unknown> {
        let scope = machine.scope().clone();
        let folder = self.environment.clone();
        let variables = machine
            .off_thread(move || match folder {
                // GitLab's registry.
                Some(folder) => environment(&scope, &folder)
                    .map(|values| Variables { values, reach_into_lists: true }),
                None => of_unit(&scope),
            })
            .await?;
        machine
            .read(&self.path, RegistryYml::LIMIT, move |content| read_with(content, &variables))
            .await
    }
}

/// The variables that the unit sets. Of which version the registry is stays open, and so whether
/// it would let them reach into lists.
fn of_unit(scope: &Scope) -> Result<Variables, Unknown> {
    let found = set_by_unit(scope, UNIT, is_of_registry)?;
    let values = found.into_iter().take(MAX_VARIABLES).map(|it| (it.name, it.value)).collect();
    Ok(Variables { values, reach_into_lists: false })
}

/// Others have no bearing on its configuration.
fn is_of_registry(name: &str) -> bool {
    name.starts_with("REGISTRY_")
}

/// `NAME` → first line, as `chpst -e` reads such a folder.
fn environment(scope: &Scope, folder: &Utf8Path) -> Result<BTreeMap<String, String>, Unknown> {
    let mut names = BTreeSet::new();
    let listed = locate(scope, folder).and_then(|found| {
        for_each_entry(&found, |name, _| {
            if let Some(name) = name.to_str().ok().filter(|name| is_of_registry(name)) {
                names.insert(name.to_owned());
            }
            if names.len() > MAX_VARIABLES {
                return Err(io::Error::other("more variables than any registry has"));
            }
            Ok(())
        })
    });
    match listed {
        Err(error) if is_missing(&error) => return Ok(BTreeMap::new()),
        listed => listed.map_err(|error| refusal(folder, &error))?,
    }
    let mut variables = BTreeMap::new();
    for name in names {
        let path = folder.join(&name);
        if let Opened::File { handle, .. } = open(scope, &path)? {
            let mut content = Vec::new();
            let read = handle.take(MAX_VALUE).read_to_end(&mut content);
            read.map_err(|error| refusal(&path, &error))?;
            // An empty file takes the variable away.
            if content.is_empty() {
                continue;
            }
            let text = String::from_utf8_lossy(&content);
            variables.insert(name, text.lines().next().unwrap_or_default().to_owned());
        }
    }
    Ok(variables)
}
