//! What Docker's daemon is told, in its file and on its command line.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

use crate::host::files::{Dockerd, DockerdCommand, File, ReadFile};
use crate::host::{Host, Unknown};
use crate::parse::docker_json::DaemonJson;
use crate::parse::setting::Located;

/// Where the daemon reads its configuration, unless a flag names another file.
const DAEMON_JSON: &str = "/etc/docker/daemon.json";

/// The daemon's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The configuration file, which need not exist.
    pub file: Utf8PathBuf,
    /// What it says.
    json: DaemonJson,
    command: Dockerd,
}

/// An entry of one of the daemon's lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was written.
    pub value: String,
    /// How the list is called there: `insecure-registries` or `--insecure-registry`.
    pub list: &'static str,
    /// Where it stands.
    pub place: Place,
}

/// Where the daemon is told something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In its configuration file, which it reads again when it is asked to.
    File {
        /// Absolute.
        path: Utf8PathBuf,
        /// From 1.
        line: Option<u32>,
    },
    /// In a file that gives it flags: its unit, a drop-in, or a file of variables.
    Command {
        /// Absolute.
        path: Utf8PathBuf,
        /// From 1.
        line: Option<u32>,
        /// Whether the daemon that runs was started without the flag.
        pending: bool,
    },
    /// On the command line of the running daemon; no file that starts it has the flag.
    Process {
        /// Its process number.
        pid: u32,
    },
}

/// The daemon's settings on this host.
///
/// # Errors
///
/// Where its configuration file or what starts it cannot be read.
pub async fn settings(host: &Host) -> Result<Settings, Unknown> {
    let command = match host.ask(DockerdCommand).await {
        // Recordings from before this question was asked are not worth less than they were.
        Err(Unknown::NotRecorded) => Dockerd::default(),
        told => told?,
    };
    let named = in_effect(&command, "config-file").pop();
    let file = named.map_or(DAEMON_JSON.into(), |path| Utf8Path::new("/").join(path));
    let json = match host.ask(ReadFile::<DaemonJson>::at(file.clone())).await? {
        // Without the file the daemon has its defaults.
        File::Missing => DaemonJson::default(),
        File::Read(json) => json,
        other => {
            let obstacle = other.obstacle().unwrap_or_default();
            return Err(Unknown::Unreadable(format!("{file}: {obstacle}")));
        }
    };
    Ok(Settings { file, json, command })
}

/// The values of a flag, as the daemon has them that runs, or else as the next one will.
fn in_effect(command: &Dockerd, name: &str) -> Vec<String> {
    if let Some(running) = &command.running {
        let values = running.flags.iter().filter(|(flag, _)| flag == name);
        return values.filter_map(|(_, value)| value.clone()).collect();
    }
    let values = command.written.iter().filter(|flag| flag.name == name);
    values.filter_map(|flag| flag.value.clone()).collect()
}

impl Settings {
    /// The registries that are not verified.
    pub fn insecure_registries(&self) -> Vec<Entry> {
        let keys = ["insecure-registries", "--insecure-registry"];
        self.list(keys, &self.json.insecure_registries)
    }

    /// The mirrors of Docker Hub.
    pub fn registry_mirrors(&self) -> Vec<Entry> {
        self.list(["registry-mirrors", "--registry-mirror"], &self.json.registry_mirrors)
    }

    /// The name servers of containers.
    pub fn dns(&self) -> Vec<Entry> {
        self.list(["dns", "--dns"], &self.json.dns)
    }

    /// A list with its two names. Where the file and the command line both have it, the daemon
    /// refuses to start, and either may be what was meant.
    fn list(&self, names: [&'static str; 2], in_file: &[Located<String>]) -> Vec<Entry> {
        let [key, flag] = names;
        let place = |line| Place::File { path: self.file.clone(), line };
        let of_file = |it: &Located<String>| Entry {
            value: it.value.clone(),
            list: key,
            place: place(it.line),
        };
        in_file.iter().map(of_file).chain(self.flags(flag)).collect()
    }

    fn flags(&self, flag: &'static str) -> Vec<Entry> {
        let name = flag.trim_start_matches('-');
        let running = self.command.running.as_ref();
        let active = in_effect(&self.command, name);
        let mut entries = Vec::new();
        for written in self.command.written.iter().filter(|it| it.name == name) {
            let Some(value) = written.value.clone() else { continue };
            let pending = running.is_some() && !active.contains(&value);
            let place = Place::Command { path: written.path.clone(), line: written.line, pending };
            entries.push(Entry { value, list: flag, place });
        }
        for (value, pid) in active.into_iter().zip(running.into_iter().map(|it| it.pid).cycle()) {
            if !entries.iter().any(|entry| entry.value == value) {
                entries.push(Entry { value, list: flag, place: Place::Process { pid } });
            }
        }
        entries
    }
}

impl Entry {
    /// Whether the daemon that runs knows of it.
    pub fn is_in_effect(&self) -> bool {
        !matches!(self.place, Place::Command { pending: true, .. })
    }
}

/// A clause, such as `insecure-registries holds NAME`.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, list, place } = self;
        match place {
            Place::File { .. } => write!(f, "{list} holds {value}"),
            Place::Command { .. } | Place::Process { .. } => {
                write!(f, "dockerd has the flag {list} {value}")
            }
        }
    }
}

/// `path:line`, or the process.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: Some(line) }
            | Self::Command { path, line: Some(line), .. } => write!(f, "{path}:{line}"),
            Self::File { path, line: None } | Self::Command { path, line: None, .. } => {
                write!(f, "{path}")
            }
            Self::Process { pid } => write!(f, "command line of process {pid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files::{RunningDockerd, WrittenFlag};

    fn told(written: &[&str], running: Option<&[&str]>) -> Vec<String> {
        let name = || "insecure-registry".to_owned();
        let written = written.iter().map(|value| WrittenFlag {
            name: name(),
            value: Some((*value).to_owned()),
            path: "/u".into(),
            line: Some(3),
        });
        let running = running.map(|values| RunningDockerd {
            pid: 7,
            flags: values.iter().map(|value| (name(), Some((*value).to_owned()))).collect(),
        });
        let command = Dockerd { written: written.collect(), running };
        let json = DaemonJson {
            insecure_registries: vec![Located::at(2, "j".to_owned())],
            ..DaemonJson::default()
        };
        let settings = Settings { file: DAEMON_JSON.into(), json, command };
        let line = |it: &Entry| format!("{} {} {}", it.value, it.place, it.is_in_effect());
        settings.insecure_registries().iter().skip(1).map(line).collect()
    }

    #[test]
    fn the_running_daemon_decides_what_is_in_effect() {
        assert_eq!(told(&["a"], None), ["a /u:3 true"]);
        assert_eq!(told(&["a"], Some(&["a"])), ["a /u:3 true"]);
        assert_eq!(told(&["a"], Some(&[])), ["a /u:3 false"]);
        assert_eq!(told(&[], Some(&["a"])), ["a command line of process 7 true"]);
    }
}
