//! GitLab Runner on this host: its configuration, and how it runs.

use camino::{Utf8Path, Utf8PathBuf};

use crate::host::files::{FileFacts, ReadFile};
use crate::host::{Host, Unknown};
use crate::parse::runner_toml::RunnerToml;

/// Where a runner that runs as root is configured.
const CONFIG: &str = "/etc/gitlab-runner/config.toml";

/// Where the documentation lets a runner in a container find its configuration on the host.
const CONFIG_OF_CONTAINER: &str = "/srv/gitlab-runner/config/config.toml";

/// Where packages and the documentation put the program.
const PROGRAMS: [&str; 2] = ["/usr/bin/gitlab-runner", "/usr/local/bin/gitlab-runner"];

/// What `gitlab-runner install` leaves behind, wherever the program lies.
const SERVICES: [&str; 2] =
    ["/etc/systemd/system/gitlab-runner.service", "/etc/init.d/gitlab-runner"];

/// The start script of the container image.
const ENTRYPOINT: &str = "/entrypoint";

/// A runner's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its file.
    pub path: Utf8PathBuf,
    /// What it says.
    pub toml: RunnerToml,
}

/// How a runner runs, which decides what it trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// As a program of this system.
    System,
    /// In a container of its own image on this system; the image's files are not seen.
    Image,
    /// This system is the inside of the runner's container image.
    InsideImage,
}

impl Config {
    /// A path that the runner knows, as a path of this host.
    pub fn on_host(&self, path: Utf8PathBuf) -> Utf8PathBuf {
        if self.path != CONFIG_OF_CONTAINER {
            return path;
        }
        let inside = Utf8Path::new(CONFIG).parent().and_then(|it| path.strip_prefix(it).ok());
        match (inside, self.path.parent()) {
            (Some(inside), Some(outside)) => outside.join(inside),
            _ => path,
        }
    }

    /// The folder of certificates beside it.
    pub fn certs(&self) -> Utf8PathBuf {
        self.path.parent().unwrap_or(Utf8Path::new("/")).join("certs")
    }
}

/// The configuration of the runner on this host; `None` if there is none.
pub async fn config(host: &Host) -> Result<Option<Config>, Unknown> {
    for path in [CONFIG, CONFIG_OF_CONTAINER] {
        let file = host.ask(ReadFile::<RunnerToml>::at(path)).await?;
        if let Some(toml) = file.or_unknown(path)? {
            return Ok(Some(Config { path: path.into(), toml }));
        }
    }
    Ok(None)
}

/// The runner's program on this host, as a package installs it; `None` where the runner runs in a
/// container of its own image, which holds the program.
pub async fn program(host: &Host) -> Result<Option<&'static str>, Unknown> {
    first(host, &PROGRAMS).await
}

/// How the runner with this configuration runs.
pub async fn home(host: &Host, config: &Config) -> Result<Home, Unknown> {
    if config.path == CONFIG_OF_CONTAINER {
        return Ok(Home::Image);
    }
    let program = program(host).await?;
    if program.is_some() && host.ask(FileFacts::of(ENTRYPOINT)).await?.is_some() {
        return Ok(Home::InsideImage);
    }
    let service = first(host, &SERVICES).await?;
    Ok(if program.or(service).is_some() { Home::System } else { Home::Image })
}

async fn first(host: &Host, paths: &[&'static str]) -> Result<Option<&'static str>, Unknown> {
    for path in paths {
        if host.ask(FileFacts::of(*path)).await?.is_some() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
