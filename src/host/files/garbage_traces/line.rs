//! What cron, anacron and sudo write of what they start.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::Starter;
use crate::host::files::garbage_command::command;
use crate::parse::syslog::Line;

/// Programs that start what stands behind them. A line of another, such as `grep`, only speaks of
/// the command.
const LAUNCHERS: [&str; 19] = [
    "bash",
    "chroot",
    "dash",
    "docker",
    "env",
    "ionice",
    "kubectl",
    "nerdctl",
    "nice",
    "nohup",
    "podman",
    "screen",
    "setsid",
    "sh",
    "systemd-inhibit",
    "systemd-run",
    "time",
    "timeout",
    "tmux",
];

/// What a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// cron started something else.
    Cron,
    /// A collection was started.
    Start { by: Starter, delete_untagged: bool, dry_run: bool },
}

/// What a line tells of cron and of collections.
pub(super) fn told(line: &Line<'_>, scripts: &BTreeSet<Utf8PathBuf>) -> Option<Told> {
    let program = line.program();
    let program = program.rsplit_once('/').map_or(program, |(_, name)| name);
    match program {
        "CRON" | "CROND" | "cron" | "crond" => by_cron(line.message, scripts),
        "anacron" => {
            let folder = line.message.strip_prefix("Job `")?.strip_suffix("' started")?;
            Some(in_folder(&format!("/etc/{folder}"), scripts))
        }
        "run-parts" => {
            let folder = format!("{}{}", line.tag, line.message);
            let (_, folder) = folder.split_once('(')?;
            let (folder, rest) = folder.split_once(')')?;
            rest.contains("starting ").then(|| in_folder(folder, scripts))
        }
        "sudo" => by_sudo(line.message, scripts),
        _ => None,
    }
}

/// `(root) CMD (gitlab-ctl registry-garbage-collect)`.
fn by_cron(message: &str, scripts: &BTreeSet<Utf8PathBuf>) -> Option<Told> {
    let (user, line) = message.split_once(" CMD (")?;
    if !user.starts_with('(') {
        return None;
    }
    let line = line.strip_suffix(')').unwrap_or(line);
    Some(start(Starter::Cron, line, scripts).unwrap_or(Told::Cron))
}

/// `bob : TTY=pts/0 ; PWD=/root ; USER=root ; COMMAND=/usr/bin/gitlab-ctl registry-garbage-collect`.
/// What sudo refuses has the reason before the first of these fields.
fn by_sudo(message: &str, scripts: &BTreeSet<Utf8PathBuf>) -> Option<Told> {
    let (head, line) = message.split_once(" ; COMMAND=")?;
    let (_user, fields) = head.split_once(" : ")?;
    let is_field = |field: &str| field.split_once('=').is_some_and(|(name, _)| is_name(name));
    if !fields.split(" ; ").all(is_field) {
        return None;
    }
    let mut words = line.split_whitespace();
    let first = Utf8Path::new(words.next()?);
    let name = first.file_name()?;
    let starts = matches!(name, "gitlab-ctl" | "registry" | "docker-registry")
        || scripts.contains(first)
        || LAUNCHERS.contains(&name);
    if starts { start(Starter::Sudo, line, scripts) } else { None }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The collection in what was started.
fn start(by: Starter, line: &str, scripts: &BTreeSet<Utf8PathBuf>) -> Option<Told> {
    if let Some(found) = command(line, false) {
        let asks = line.split_whitespace().any(|word| matches!(word, "-h" | "--help"));
        let (delete_untagged, dry_run) = (found.delete_untagged, found.dry_run);
        return (!asks).then_some(Told::Start { by, delete_untagged, dry_run });
    }
    let mut words = line.split(|c: char| c.is_whitespace() || "\"'=`();&|".contains(c));
    let is_called =
        words.any(|word| word.starts_with('/') && scripts.contains(Utf8Path::new(word)));
    is_called.then_some(Told::Start { by, delete_untagged: false, dry_run: false })
}

fn in_folder(folder: &str, scripts: &BTreeSet<Utf8PathBuf>) -> Told {
    if scripts.contains(Utf8Path::new(folder)) {
        Told::Start { by: Starter::Cron, delete_untagged: false, dry_run: false }
    } else {
        Told::Cron
    }
}
