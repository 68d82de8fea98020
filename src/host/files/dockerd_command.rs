//! Question: which flags is Docker's daemon given?

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::Directory;
use super::open::{Opened, open, text};
use super::unit_files::{self, LIMIT};
use crate::host::{Machine, Question, Scope, Unknown};
use crate::parse::dockerd::{Flag, flags};
use crate::parse::unit::{self, Assignment};

/// Docker's unit.
const UNIT: &str = "docker.service";

/// What starts Docker where systemd does not.
const INIT_SCRIPT: &str = "/etc/init.d/docker";

/// The files that the start scripts of Debian and of Alpine read, and their variable for flags.
const INIT_FILES: [&str; 2] = ["/etc/default/docker", "/etc/conf.d/docker"];
const INIT_VARIABLE: &str = "DOCKER_OPTS";

/// Where systemd is told to start Docker; a system that has this does not use the script.
const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";

/// Where the daemon leaves its process number. A daemon in a container has a file of its own there,
/// so that it is not taken for this host's.
const PID_FILE: &str = "/var/run/docker.pid";

/// More words than any command line of dockerd has. Variables may be named many times.
const MAX_WORDS: usize = 4096;

/// Longer than any word of it.
const MAX_WORD: usize = 4096;

/// As much of the running daemon's command line as is read.
const MAX_COMMAND: u64 = 1 << 20;

/// Asks for the flags of dockerd: those that its unit or its start script gives it, and those of
/// the daemon that runs.
#[derive(Debug, Serialize)]
pub struct DockerdCommand;

/// How dockerd is started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dockerd {
    /// The flags that files give it.
    pub written: Vec<WrittenFlag>,
    /// The daemon that runs; `None` if none does, or if that cannot be seen.
    pub running: Option<RunningDockerd>,
}

/// A flag in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenFlag {
    /// Its long name, without dashes.
    pub name: String,
    /// Its value, scrubbed, for flags that gldoctor has a use for.
    pub value: Option<String>,
    /// The unit, the drop-in, or the file of variables.
    pub path: Utf8PathBuf,
    /// The line in it.
    pub line: Option<u32>,
}

/// The running daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningDockerd {
    /// Its process number.
    pub pid: u32,
    /// Its flags by long name, with their values as in [`WrittenFlag`].
    pub flags: Vec<(String, Option<String>)>,
}

impl Question for DockerdCommand {
    type Answer = Dockerd;

    const KIND: &'static str = "dockerd-command";

    fn label(&self) -> String {
        "flags of dockerd".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<Dockerd, Unknown> {
        let scope = machine.scope().clone();
        machine
            .off_thread(move || Ok(Dockerd { written: written(&scope)?, running: running(&scope) }))
            .await
    }
}

/// Where a word stands.
type Place = (Utf8PathBuf, Option<u32>);

/// The flags that files give the daemon.
fn written(scope: &Scope) -> Result<Vec<WrittenFlag>, Unknown> {
    let files = unit_files::read(scope, UNIT)?;
    let mut command = Command::default();
    for (path, text) in &files.texts {
        command.add(path, unit::service(text));
    }
    for path in std::mem::take(&mut command.files) {
        if let Some(text) = text(scope, &path, LIMIT)? {
            command.add_variables(&path, &text);
        }
    }
    let words = if files.has_unit || !command.words.is_empty() {
        command.expanded()
    } else {
        words_of_script(scope)?
    };
    Ok(flags(&words).into_iter().map(WrittenFlag::from).collect())
}

/// The flags where systemd does not start the daemon.
fn words_of_script(scope: &Scope) -> Result<Vec<(String, Place)>, Unknown> {
    let is_wanted = Directory::list(scope, WANTS.into())?.names().any(|name| name == UNIT);
    let has_script = matches!(open(scope, INIT_SCRIPT.into())?, Opened::File { .. });
    let mut command = Command::default();
    if is_wanted || !has_script {
        return Ok(Vec::new());
    }
    for path in INIT_FILES {
        if let Some(text) = text(scope, path.into(), LIMIT)? {
            command.add_variables(path.into(), &text);
        }
    }
    command.words.push((format!("${INIT_VARIABLE}"), (INIT_SCRIPT.into(), None)));
    Ok(command.expanded())
}

/// A command line as it is put together.
#[derive(Default)]
struct Command {
    words: Vec<(String, Place)>,
    variables: BTreeMap<String, (String, Place)>,
    /// The files of variables, which outweigh those in units.
    files: Vec<Utf8PathBuf>,
}

impl Command {
    /// Adds what a unit or a drop-in sets.
    fn add(&mut self, path: &Utf8Path, assignments: Vec<Assignment>) {
        for Assignment { key, value, words } in assignments {
            let words = words.into_iter().map(|it| (it.value, (path.to_owned(), it.line)));
            match (key.as_str(), value.as_str()) {
                // systemd takes no second one for such a unit, unless an empty one comes first; so
                // the last is what somebody wants to be started.
                ("ExecStart", _) => self.words = words.collect(),
                ("Environment", "") => self.variables.clear(),
                ("Environment", _) => {
                    for (word, place) in words {
                        if let Some((name, value)) = word.split_once('=') {
                            self.variables.insert(name.to_owned(), (value.to_owned(), place));
                        }
                    }
                }
                ("EnvironmentFile", "") => self.files.clear(),
                ("EnvironmentFile", value) => {
                    let path = Utf8Path::new(value.strip_prefix('-').unwrap_or(value));
                    self.files.extend(Some(path.to_owned()).filter(|path| path.is_absolute()));
                }
                _ => {}
            }
        }
    }

    /// Adds what a file of variables sets.
    fn add_variables(&mut self, path: &Utf8Path, text: &str) {
        for (name, value) in unit::environment_file(text) {
            self.variables.insert(name, (value.value, (path.to_owned(), value.line)));
        }
    }

    /// The words after systemd has put in the variables: a word that is `$NAME` becomes as many as
    /// its value has, `${NAME}` stays within its word.
    fn expanded(&self) -> Vec<(String, Place)> {
        let mut expanded = Vec::new();
        for (word, place) in &self.words {
            match word.strip_prefix('$').filter(|name| !name.starts_with(['{', '$'])) {
                Some(name) => {
                    if let Some((value, place)) = self.variables.get(name) {
                        let words = unit::words(value).into_iter();
                        expanded.extend(words.map(|(_, word)| (word, place.clone())));
                    }
                }
                None => expanded.push((self.replaced(word), place.clone())),
            }
            if expanded.len() > MAX_WORDS {
                break;
            }
        }
        expanded
    }

    fn replaced(&self, word: &str) -> String {
        let mut replaced = String::new();
        let mut rest = word;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else { break };
            replaced.push_str(before);
            replaced.extend(self.variables.get(name).map(|(value, _)| value.as_str()));
            rest = after;
            if replaced.len() > MAX_WORD {
                return replaced;
            }
        }
        replaced.push_str(rest);
        replaced
    }
}

impl From<Flag<Place>> for WrittenFlag {
    fn from(flag: Flag<Place>) -> Self {
        let (path, line) = flag.place;
        Self { name: flag.name, value: flag.value, path, line }
    }
}

/// The daemon that runs; whatever keeps it from being seen, it cannot be told from none.
fn running(scope: &Scope) -> Option<RunningDockerd> {
    if !scope.is_running() {
        return None;
    }
    let pid = text(scope, PID_FILE.into(), LIMIT).ok()??.trim().parse().ok()?;
    let command = command_line(pid)?;
    let words: Vec<_> = command
        .split(|byte| *byte == 0)
        .map(|word| (String::from_utf8_lossy(word).into_owned(), ()))
        .collect();
    let program = words.first()?.0.rsplit('/').next().unwrap_or_default();
    // The number may have passed on to another process.
    if !program.starts_with("dockerd") {
        return None;
    }
    let flags = flags(&words).into_iter().map(|flag| (flag.name, flag.value));
    Some(RunningDockerd { pid, flags: flags.collect() })
}

#[expect(clippy::disallowed_methods, reason = "this is a look")]
fn command_line(pid: u32) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let file = std::fs::File::open(format!("/proc/{pid}/cmdline")).ok()?;
    let mut command = Vec::new();
    file.take(MAX_COMMAND).read_to_end(&mut command).ok()?;
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every flag as `name=value path:line`.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            match content.strip_prefix("-> ") {
                Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
                None => std::fs::write(path, content).unwrap(),
            }
        }
        let root = Utf8PathBuf::from_path_buf(root.path().to_owned()).unwrap();
        let scope = Scope { root: Some(root), ..Scope::live() };
        let line = |flag: WrittenFlag| {
            let value = flag.value.unwrap_or_default();
            format!("{}={value} {}:{}", flag.name, flag.path, flag.line.unwrap_or_default())
        };
        written(&scope).unwrap().into_iter().map(line).collect()
    }

    const OWN: &str = "lib/systemd/system/docker.service";
    const DEBIAN: &str = "[Unit]\nDescription=Docker\n[Service]\n\
        EnvironmentFile=-/etc/default/docker\nExecStart=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS\n";
    const CE: &str = "[Service]\nExecStart=/usr/bin/dockerd -H fd://\n";
    const DEFAULT: &str = "etc/default/docker";
    const OPTIONS: &str = "# x\nDOCKER_OPTS=\"--insecure-registry git.test:5050\"\n";

    #[test]
    fn variables_count_where_the_unit_names_them() {
        let host = format!("host=fd:// /{OWN}:5");
        let registry = "insecure-registry=git.test:5050 /etc/default/docker:2".to_owned();
        assert_eq!(found(&[(OWN, DEBIAN), (DEFAULT, OPTIONS)]), [host, registry]);
        // Docker's own packages read no such file.
        assert_eq!(found(&[(OWN, CE), (DEFAULT, OPTIONS)]), [format!("host=fd:// /{OWN}:2")]);
        let unused = "[Service]\nEnvironment=\"DOCKER_OPTS=--insecure-registry git.test:5050\"\n";
        let drop_in = "etc/systemd/system/docker.service.d/a.conf";
        assert_eq!(found(&[(OWN, CE), (drop_in, unused)]).len(), 1);
        let used = "insecure-registry=git.test:5050 /etc/systemd/system/docker.service.d/a.conf:2";
        assert_eq!(found(&[(OWN, DEBIAN), (drop_in, unused)])[1], used);
        assert_eq!(found(&[(OWN, DEBIAN), (DEFAULT, "#DOCKER_OPTS=\"--dns 8.8.8.8\"\n")]).len(), 1);
    }

    #[test]
    fn within_a_word_a_variable_stays_one() {
        let unit = "[Service]\nEnvironment=R=git.test P=5050\n\
                    ExecStart=-/usr/bin/dockerd --insecure-registry=${R}:${P} $NONE ${NONE} --x\n";
        let line = format!("insecure-registry=git.test:5050 /{OWN}:3");
        assert_eq!(found(&[(OWN, unit)]), [line, format!("x= /{OWN}:3")]);
    }

    #[test]
    fn the_last_command_counts() {
        let folder = "etc/systemd/system/docker.service.d";
        let (a, b) = (format!("{folder}/a.conf"), format!("{folder}/b.conf"));
        let set =
            |flag: &str| format!("[Service]\nExecStart=\nExecStart=/usr/bin/dockerd {flag}\n");
        let (first, second) = (set("--insecure-registry a"), set("--insecure-registry b"));
        assert_eq!(
            found(&[(OWN, CE), (&b, &second), (&a, &first)]),
            [format!("insecure-registry=b /{b}:3")]
        );
        // Neither a folder of the same name nor another ending is a drop-in.
        let off = format!("{folder}/z.conf.disabled");
        assert_eq!(found(&[(OWN, CE), (&off, &first)]), [format!("host=fd:// /{OWN}:2")]);
        let whole = "etc/systemd/system/docker.service";
        let copy = "[Service]\nExecStart=/usr/bin/dockerd --insecure-registry c\n";
        assert_eq!(
            found(&[(OWN, CE), (whole, copy)]),
            ["insecure-registry=c /etc/systemd/system/docker.service:2"]
        );
    }

    #[test]
    fn a_masked_unit_starts_nothing() {
        let masked = ("etc/systemd/system/docker.service", "-> /dev/null");
        assert!(found(&[(OWN, DEBIAN), (DEFAULT, OPTIONS), masked]).is_empty());
    }

    #[test]
    fn without_a_unit_the_start_script_reads_its_file() {
        assert!(found(&[(DEFAULT, OPTIONS)]).is_empty());
        let script = ("etc/init.d/docker", "#!/bin/sh\n");
        assert_eq!(found(&[(DEFAULT, OPTIONS), script]).len(), 1);
        let wants = "etc/systemd/system/multi-user.target.wants/docker.service";
        let wanted = (wants, "-> /lib/systemd/system/docker.service");
        assert!(found(&[(DEFAULT, OPTIONS), script, wanted]).is_empty());
    }

    #[test]
    fn variables_that_multiply_cost_little() {
        let many = "$A ${A}".repeat(20_000);
        let unit =
            format!("[Service]\nEnvironment=\"A={}\"\nExecStart=/d {many}\n", "x ".repeat(9_000));
        found(&[(OWN, &unit)]);
    }
}
