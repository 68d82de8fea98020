//! Question: when was a garbage collection of the registry started, by the logs of cron and sudo?
//!
//! Both write every command down, whoever's it is and whatever stands in it, so nothing of a line is
//! kept but its time, its place, and the flags of a collection.

mod line;
mod log;

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use self::log::{Read, Seen, read};
use super::crontabs::names;
use super::open::{Opened, open};
use super::walk::{Leash, Unread};
use crate::host::{Machine, Question, Scope, Unknown};

/// Where the logs lie.
const FOLDER: &str = "/var/log";

/// The logs into which cron writes, on Debian and Red Hat, before those into which sudo does.
const LOGS: [&str; 6] = ["cron", "cron.log", "syslog", "messages", "auth.log", "secure"];

/// As much text of one log as is read, the rotated files included: some hundred thousand lines.
const MAX_TEXT: u64 = 48 << 20;

/// More rotated files than anybody keeps of one log.
const MAX_FILES: usize = 100;

/// The largest file of a time zone.
const MAX_ZONE: u64 = 64 << 10;

/// Between two files of a log that follow upon each other.
const GAP: SignedDuration = SignedDuration::from_hours(100 * 24);

/// Asks for the last collections that the logs of cron and sudo have.
#[derive(Debug, Serialize)]
pub struct GarbageTraces {
    /// What is run beside the commands themselves: scripts, and folders of scripts, by their paths.
    pub scripts: BTreeSet<Utf8PathBuf>,
}

/// What the logs have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    /// The logs that are there and hold lines, sorted by path.
    pub logs: Vec<Reach>,
    /// The last of each kind, sorted by time.
    pub starts: Vec<Start>,
    /// Logs that could not be read.
    pub unread: BTreeSet<Unread>,
}

/// How far a log reaches without a hole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The newest of its files that holds a line.
    pub path: Utf8PathBuf,
    /// The time of its first line, in the oldest of its files.
    pub from: Timestamp,
    /// The time of its last line.
    pub to: Timestamp,
    /// When the file with the last line was written.
    pub modified: Timestamp,
    /// Whether cron writes into it what it starts.
    pub of_cron: bool,
}

/// One collection that was started.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Start {
    /// By the log.
    pub at: Timestamp,
    /// Who started it.
    pub by: Starter,
    /// `-m`: manifests without a tag went, too.
    pub delete_untagged: bool,
    /// `-d`: nothing was deleted.
    pub dry_run: bool,
    /// The log's file.
    pub path: Utf8PathBuf,
    /// From 1; `None` where only the end of the file was read.
    pub line: Option<u32>,
}

/// Who starts a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Starter {
    /// cron, or anacron.
    Cron,
    /// Somebody, with sudo.
    Sudo,
}

impl Question for GarbageTraces {
    type Answer = Traces;

    const KIND: &'static str = "garbage-traces";

    fn label(&self) -> String {
        "logs of cron and sudo".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<Traces, Unknown> {
        let scripts = self.scripts.clone();
        machine.walk(move |scope, leash| look(scope, &scripts, leash)).await
    }
}

/// The last collection of each kind.
type Kinds = BTreeMap<(Starter, bool), Start>;

/// Keeps a collection if it is the last of its kind.
fn keep(starts: &mut Kinds, start: Start) {
    let kind = (start.by, start.dry_run);
    if starts.get(&kind).is_none_or(|last| *last < start) {
        starts.insert(kind, start);
    }
}

fn look(scope: &Scope, scripts: &BTreeSet<Utf8PathBuf>, leash: &Leash) -> Result<Traces, Unknown> {
    let mut traces = Traces::default();
    let mut starts = Kinds::new();
    let zone = zone(scope);
    let names = names(scope, FOLDER.into()).unwrap_or_default();
    for log in LOGS {
        let mut reach: Option<Reach> = None;
        let mut budget = MAX_TEXT;
        for path in files(log, &names) {
            leash.hold()?;
            let seen = match read(scope, &path, &Read { zone: &zone, scripts, leash }, &mut budget)
            {
                Ok(Some(seen)) => seen,
                // Rotation may leave nothing behind, until the first line comes.
                Ok(None) if path.as_str() == format!("{FOLDER}/{log}") => continue,
                Ok(None) => break,
                Err(why) => {
                    traces.unread.insert(Unread { path: path.into_string(), why });
                    break;
                }
            };
            let goes_on = extend(&mut reach, &path, &seen);
            seen.starts.into_values().for_each(|start| keep(&mut starts, start));
            if !goes_on || budget == 0 {
                break;
            }
        }
        traces.logs.extend(reach);
    }
    leash.hold()?;
    traces.logs.sort_by(|a, b| a.path.cmp(&b.path));
    traces.starts = starts.into_values().collect();
    traces.starts.sort();
    Ok(traces)
}

/// Adds the next older file; says whether one that is older still can follow without a hole.
fn extend(reach: &mut Option<Reach>, path: &Utf8Path, seen: &Seen) -> bool {
    let Some((from, to)) = seen.span else { return seen.is_whole };
    match reach {
        // Its end is missing, so nothing reaches from it to now.
        _ if seen.is_cut => return false,
        None => {
            let modified = seen.modified;
            let path = path.to_owned();
            *reach = Some(Reach { path, from, to, modified, of_cron: seen.of_cron });
        }
        Some(reach) => {
            let gap = reach.from.duration_since(to);
            if gap > GAP || gap < -SignedDuration::from_hours(48) {
                return false;
            }
            reach.from = reach.from.min(from);
            reach.of_cron |= seen.of_cron;
        }
    }
    seen.is_whole
}

/// The files of a log from the newest to the oldest, as logrotate names them, up to the first that
/// is missing or packed in a way that is not read.
fn files(log: &str, names: &[String]) -> Vec<Utf8PathBuf> {
    let mut files = vec![log.to_owned()];
    let has = |name: &str| names.iter().any(|it| it == name);
    for number in 1..=MAX_FILES {
        let plain = format!("{log}.{number}");
        let packed = format!("{plain}.gz");
        match () {
            () if has(&plain) => files.push(plain),
            () if has(&packed) => files.push(packed),
            () => break,
        }
    }
    let dated = |name: &&String| {
        let date = name.strip_prefix(log).and_then(|rest| rest.strip_prefix('-'));
        date.is_some_and(|date| date.starts_with(|c: char| c.is_ascii_digit()))
    };
    let mut dated: Vec<_> = names.iter().filter(dated).cloned().collect();
    dated.sort_by(|a, b| b.cmp(a));
    let is_read =
        |name: &String| name.ends_with(".gz") || name.ends_with(|c: char| c.is_ascii_digit());
    files.extend(dated.into_iter().take_while(is_read).take(MAX_FILES));
    files.into_iter().map(|name| Utf8Path::new(FOLDER).join(name)).collect()
}

/// The zone of the installation's clock, or UTC.
fn zone(scope: &Scope) -> TimeZone {
    use std::io::Read as _;
    let mut content = Vec::new();
    let read = match open(scope, "/etc/localtime".into()) {
        Ok(Opened::File { handle, .. }) => handle.take(MAX_ZONE).read_to_end(&mut content).is_ok(),
        _ => false,
    };
    let zone = TimeZone::tzif("localtime", &content).ok().filter(|_| read);
    zone.unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests;
