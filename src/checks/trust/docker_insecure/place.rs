//! How a setting of the daemon is changed where it stands.

use camino::Utf8Path;

use crate::checks::shell::word;
use crate::checks::{Evidence, Finding, docs};
use crate::install::docker::{Entry, Place};

/// What lets Docker know a list without one of its entries.
pub(crate) struct Change {
    /// What to do, as a clause that begins with a verb.
    pub(crate) clause: String,
    /// The commands for it.
    pub(crate) commands: Vec<String>,
}

/// How an entry is taken out.
pub(crate) fn change(entry: &Entry) -> Change {
    const RESTART: &str = "sudo systemctl restart docker";
    let edit = |path: &Utf8Path| format!("sudoedit {}", word(path.as_str()));
    let reload = || "sudo systemctl daemon-reload".to_owned();
    let (clause, commands) = match &entry.place {
        Place::File { path, .. } => (
            "take the entry out, and let Docker read the file again, which stops no container",
            vec![edit(path), "sudo systemctl reload docker".to_owned()],
        ),
        Place::Command { path, pending, .. } => {
            // Variables are read at each start, units only when systemd is told.
            let is_unit = matches!(path.extension(), Some("service" | "conf"));
            let mut commands = vec![edit(path)];
            commands.extend(is_unit.then(reload));
            if *pending {
                ("take the flag out before Docker is started anew", commands)
            } else {
                commands.push(RESTART.to_owned());
                ("take the flag out, and restart Docker, which stops running containers", commands)
            }
        }
        Place::Process { .. } => (
            "restart Docker, which stops running containers (no file of its unit gives it the flag)",
            vec![reload(), RESTART.to_owned()],
        ),
    };
    Change { clause: clause.to_owned(), commands }
}

/// The entry, as it stands.
pub(super) fn evidence(entry: &Entry) -> Evidence {
    let told = Evidence::new(entry.list, &entry.value);
    match &entry.place {
        Place::File { path, line } | Place::Command { path, line, .. } => {
            told.at(path.as_str(), *line)
        }
        Place::Process { pid } => Evidence::new(format!("dockerd, process {pid}"), written(entry)),
    }
}

fn written(entry: &Entry) -> String {
    format!("{} {}", entry.list, entry.value)
}

/// What is told of an entry that the daemon was not started with.
pub(super) fn later(entry: &Entry, message: &str) -> String {
    if entry.is_in_effect() {
        message.to_owned()
    } else {
        format!("{message} (from Docker's next start on: it runs without this flag)")
    }
}

/// An entry that makes the daemon refuse to start, in its words.
pub(super) fn refused(entry: &Entry, words: String, advice: &str) -> Finding {
    let subject = match &entry.place {
        Place::File { path, .. } | Place::Command { path, .. } => path.as_str(),
        Place::Process { .. } => "dockerd",
    };
    let message = format!("Docker refuses to start with '{}' in {}", entry.value, entry.list);
    let commands = change(entry).commands.into_iter().take(1);
    Finding::error("entry-refused", subject, message)
        .evidence(evidence(entry))
        .seen("Docker says", words)
        .docs(docs::REGISTRY_SELF_SIGNED)
        .remedy(advice, commands)
}
