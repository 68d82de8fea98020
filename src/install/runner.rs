//! GitLab Runner on this host: its configuration, and how it was installed.

use camino::Utf8PathBuf;

use crate::host::files::{File, FileFacts, ReadFile};
use crate::host::{Host, Unknown};
use crate::parse::runner_toml::RunnerToml;

/// Where a runner that runs as root is configured.
const CONFIG: &str = "/etc/gitlab-runner/config.toml";

/// Where packages and the documentation put the program.
const PROGRAMS: [&str; 2] = ["/usr/bin/gitlab-runner", "/usr/local/bin/gitlab-runner"];

/// A runner's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its file.
    pub path: Utf8PathBuf,
    /// What it says.
    pub toml: RunnerToml,
}

/// The configuration of the runner on this host; `None` if there is none.
pub async fn config(host: &Host) -> Result<Option<Config>, Unknown> {
    match host.ask(ReadFile::<RunnerToml>::at(CONFIG)).await? {
        File::Missing => Ok(None),
        File::Read(toml) => Ok(Some(Config { path: CONFIG.into(), toml })),
        other => {
            let obstacle = other.obstacle().unwrap_or_default();
            Err(Unknown::Unreadable(format!("{CONFIG}: {obstacle}")))
        }
    }
}

/// The runner's program on this host, as a package installs it; `None` where the runner runs in a
/// container of its own image, which holds the program.
pub async fn program(host: &Host) -> Result<Option<&'static str>, Unknown> {
    for path in PROGRAMS {
        if host.ask(FileFacts::of(path)).await?.is_some() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
