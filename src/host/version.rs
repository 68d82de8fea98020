//! Questions about versions of what is installed.

use std::io::Read as _;

use serde::Serialize;

use super::files::open::{Opened, open, refusal};
use super::{Machine, Question, Scope, Unknown};

/// Asks for the version of GitLab, such as `17.11.7`.
#[derive(Debug, Serialize)]
pub struct InstalledVersion;

/// Asks for the version of the registry that the Linux package runs, such as `v4.19.0-gitlab`.
#[derive(Debug, Serialize)]
pub struct RegistryVersion;

impl Question for InstalledVersion {
    type Answer = Option<String>;

    const KIND: &'static str = "gitlab-version";

    fn label(&self) -> String {
        "file /opt/gitlab/version-manifest.txt".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<Option<String>, Unknown> {
        let scope = machine.scope().clone();
        machine
            .off_thread(move || {
                // The first line: `gitlab-ee 17.11.7`.
                let manifest = first_line(&scope, "/opt/gitlab/version-manifest.txt")?;
                let version = manifest.and_then(|line| Some(line.split_once(' ')?.1.to_owned()));
                match version {
                    Some(version) => Ok(Some(version)),
                    None => first_line(&scope, "/home/git/gitlab/VERSION"),
                }
            })
            .await
    }
}

impl Question for RegistryVersion {
    type Answer = Option<String>;

    const KIND: &'static str = "registry-version";

    fn label(&self) -> String {
        "file /var/opt/gitlab/registry/VERSION".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<Option<String>, Unknown> {
        let scope = machine.scope().clone();
        machine
            .off_thread(move || {
                // What `registry --version` prints: program, module path, version.
                let line = first_line(&scope, "/var/opt/gitlab/registry/VERSION")?;
                Ok(line.and_then(|line| line.split_whitespace().last().map(str::to_owned)))
            })
            .await
    }
}

/// The first line of a version file; longer ones than any version are cut.
fn first_line(scope: &Scope, path: &str) -> Result<Option<String>, Unknown> {
    let Opened::File { handle, .. } = open(scope, path.into())? else { return Ok(None) };
    let mut content = Vec::new();
    let read = handle.take(200).read_to_end(&mut content);
    read.map_err(|error| refusal(path.into(), &error))?;
    let text = String::from_utf8_lossy(&content);
    Ok(text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()))
}
