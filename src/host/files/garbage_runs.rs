//! Question: when is the registry's garbage collected?
//!
//! Crontabs and scripts hold passwords and tokens, so nothing of a line is kept but what is asked
//! of it.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::crontabs::{files_in, for_each_crontab, for_each_text, names, text};
use super::garbage_command::{Collector, Command, Idle, Outputs, command, guards, outputs};
use super::locate::locate;
use super::unit_files;
use super::walk::Unread;
use crate::host::{Machine, Question, Scope, Unknown};

/// Folders of scripts that run at a time of their name.
const FOLDERS: [&str; 4] =
    ["/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly"];

/// Where an administrator puts units of their own.
const UNITS: &str = "/etc/systemd/system";

/// Where systemd leaves the times of timers with `Persistent=`.
const STAMPS: &str = "/var/lib/systemd/timers";

/// Where programs lie, rather than scripts that somebody wrote.
const PROGRAMS: [&str; 6] = ["/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/lib/", "/dev/"];

/// What stands before the file that `tee` writes.
const TEE: [&str; 3] = ["tee", "-a", "--append"];

/// More targets than a system has.
const MAX_WISHES: usize = 256;

/// More commands than anybody schedules: every one is judged, and may be told.
const MAX_RUNS: usize = 256;

/// More scripts than crontabs call.
const MAX_SCRIPTS: usize = 64;

/// Asks for what cron and systemd's timers are told to run on the registry's garbage.
#[derive(Debug, Serialize)]
pub struct GarbageSchedule;

/// The commands that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GarbageRuns {
    /// Sorted by file and line. Of too many the first, and `unread` names the file of the next.
    pub runs: Vec<GarbageRun>,
    /// What could not be read.
    pub unread: BTreeSet<Unread>,
}

/// One command that collects garbage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GarbageRun {
    /// The crontab, script or unit in which it stands or is called.
    pub path: Utf8PathBuf,
    /// From 1.
    pub line: u32,
    /// The script in which it stands, if a crontab calls one.
    pub script: Option<Utf8PathBuf>,
    /// `5 4 * * 0`, `@weekly`, the folder's name, or the timer's.
    pub schedule: Option<String>,
    /// The timer's `OnCalendar=`; the first of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// The file whose time tells when systemd last started the timer, if it keeps that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Utf8PathBuf>,
    /// Which program collects.
    pub collector: Collector,
    /// Whether something before it stops the registry or makes it read-only.
    pub guarded: bool,
    /// `-m`: manifests without a tag go, too.
    pub delete_untagged: bool,
    /// `-d`: nothing is deleted.
    pub dry_run: bool,
    /// The file to which its output is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Utf8PathBuf>,
    /// The file to which its errors are sent, where that is said by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<Utf8PathBuf>,
    /// Why it is never run, or fails whenever it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Idle>,
}

impl Command {
    /// The command in its place.
    fn at(self, path: &Utf8Path, line: u32, schedule: Option<String>) -> GarbageRun {
        let Self { collector, guarded, delete_untagged, dry_run, outputs } = self;
        GarbageRun {
            path: path.to_owned(),
            line,
            script: None,
            schedule,
            calendar: None,
            stamp: None,
            collector,
            guarded,
            delete_untagged,
            dry_run,
            output: outputs.output,
            errors: outputs.errors,
            idle: None,
        }
    }
}

impl Question for GarbageSchedule {
    type Answer = GarbageRuns;

    const KIND: &'static str = "garbage-schedule";

    fn label(&self) -> String {
        "crontabs and timers".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<GarbageRuns, Unknown> {
        let scope = machine.scope().clone();
        machine.off_thread(move || Ok(look(&scope))).await
    }
}

/// A crontab's line that calls a script.
struct Call {
    script: Utf8PathBuf,
    path: Utf8PathBuf,
    line: u32,
    schedule: Option<String>,
    outputs: Outputs,
}

fn look(scope: &Scope) -> GarbageRuns {
    let mut runs = Vec::new();
    let mut called = Vec::new();
    let mut unread = for_each_crontab(scope, |path, text| {
        for (line, text) in lines(text) {
            match command(text, false) {
                Some(command) if runs.len() <= MAX_RUNS => {
                    let idle = command.idle(path, text);
                    runs.push(GarbageRun { idle, ..command.at(path, line, schedule(text)) });
                }
                None if called.len() < MAX_SCRIPTS => {
                    called.extend(scripts(text).map(|script| Call {
                        script,
                        path: path.to_owned(),
                        line,
                        schedule: schedule(text),
                        outputs: outputs(text),
                    }));
                }
                _ => {}
            }
        }
    });
    for Call { script, path, line, schedule, outputs } in called.into_iter().take(MAX_SCRIPTS) {
        // Whatever a crontab calls may be closed, or anything else than a script.
        if let Ok(Some(text)) = text(scope, &script)
            && let Some((_, mut command)) = first(&text)
        {
            command.outputs = command.outputs.or(outputs);
            let script = Some(script);
            runs.push(GarbageRun { script, ..command.at(&path, line, schedule) });
        }
    }
    for folder in FOLDERS {
        let paths = files_in(scope, folder.into(), &mut unread);
        let name = folder.trim_start_matches("/etc/").to_owned();
        for_each_text(scope, paths, &mut unread, |path, text| {
            let idle = (!is_executable(scope, path)).then_some(Idle::NotExecutable);
            let found = first(text).map(|(line, it)| it.at(path, line, Some(name.clone())));
            runs.extend(found.map(|run| GarbageRun { idle, ..run }));
        });
    }
    runs.extend(timers(scope, &mut unread));
    runs.sort();
    if let Some(next) = runs.get(MAX_RUNS) {
        let why = format!("more than {MAX_RUNS} commands collect the registry's garbage");
        unread.insert(Unread { path: next.path.to_string(), why: Unknown::Unreadable(why) });
    }
    runs.truncate(MAX_RUNS);
    GarbageRuns { runs, unread }
}

/// Services of the administrator's own that an enabled timer starts: the one that it names, or
/// else the one that is called like it.
fn timers(scope: &Scope, unread: &mut BTreeSet<Unread>) -> Vec<GarbageRun> {
    let folder = Utf8Path::new(UNITS);
    let names: BTreeSet<_> = names(scope, folder).unwrap_or_default().into_iter().collect();
    let enabled = enabled(scope, folder, &names);
    let timers = names.iter().filter(|name| enabled.contains(*name));
    let mut runs = Vec::new();
    for (timer, stem) in timers.filter_map(|name| Some((name, name.strip_suffix(".timer")?))) {
        let mut service = format!("{stem}.service");
        let text = match unit_files::read(scope, timer) {
            Ok(files) => files.texts.into_iter().map(|(_, text)| text + "\n").collect::<String>(),
            Err(why) => {
                unread.insert(Unread { path: folder.join(timer).into_string(), why });
                continue;
            }
        };
        // A unit's name has no slash in it, so nothing else is looked into.
        if let Some(unit) = values(&text, "Unit=").last().filter(|unit| !unit.contains('/')) {
            unit.clone_into(&mut service);
        }
        let when = calendar(&text);
        let is_on = |value: &str| matches!(value, "1" | "yes" | "y" | "true" | "t" | "on");
        let persistent = values(&text, "Persistent=").last().is_some_and(is_on);
        let stamp = persistent.then(|| Utf8Path::new(STAMPS).join(format!("stamp-{timer}")));
        for_each_text(scope, [folder.join(&service)], unread, |path, text| {
            let found = first(text);
            runs.extend(found.map(|(line, it)| GarbageRun {
                calendar: when.clone(),
                stamp: stamp.clone(),
                ..it.at(path, line, Some(timer.clone()))
            }));
        });
    }
    runs
}

/// The first time of a timer's calendar, in the characters that times are written in.
fn calendar(timer: &str) -> Option<String> {
    let mut events = Vec::new();
    for event in values(timer, "OnCalendar=") {
        // An empty one takes back what stands above it.
        if event.is_empty() {
            events.clear();
        } else {
            events.push(event);
        }
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "*/,.:~ -".contains(c);
    let first = *events.first()?;
    (first.len() <= 64 && first.chars().all(fits)).then(|| first.to_owned())
}

/// What a unit sets a key to, in the order of its lines.
fn values<'a>(unit: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    lines(unit).filter_map(move |(_, line)| Some(line.trim().strip_prefix(key)?.trim()))
}

/// The units that something wants, as `systemctl enable` leaves it: links in folders that end in
/// `.wants` or `.requires`.
fn enabled(scope: &Scope, folder: &Utf8Path, units: &BTreeSet<String>) -> BTreeSet<String> {
    let is_wish = |name: &&String| name.ends_with(".wants") || name.ends_with(".requires");
    let wishes = units.iter().filter(is_wish).take(MAX_WISHES);
    wishes.flat_map(|name| names(scope, &folder.join(name)).unwrap_or_default()).collect()
}

fn is_executable(scope: &Scope, path: &Utf8Path) -> bool {
    let found = locate(scope, path).and_then(|found| found.metadata());
    found.map_or(true, |metadata| metadata.mode() & 0o111 != 0)
}

/// Lines that are no comments, from 1.
fn lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    (1..).zip(text.lines()).filter(|(_, text)| !text.trim_start().starts_with('#'))
}

/// The first command in a script; what stands above it may stop the registry.
fn first(text: &str) -> Option<(u32, Command)> {
    let mut guarded = false;
    for (line, text) in lines(text) {
        if let Some(command) = command(text, guarded) {
            return Some((line, command));
        }
        guarded |= guards(text);
    }
    None
}

/// The five fields before the command, or the word that stands for them.
fn schedule(line: &str) -> Option<String> {
    let words: Vec<_> = line.split_whitespace().take(5).collect();
    let first = words.first()?;
    if let Some(word) = first.strip_prefix('@') {
        let is_word = word.len() <= 16 && word.chars().all(|c| c.is_ascii_alphabetic());
        return is_word.then(|| (*first).to_owned());
    }
    let fits = |word: &str| {
        word.len() <= 64 && word.chars().all(|c| c.is_ascii_alphanumeric() || "*/,-".contains(c))
    };
    (words.len() == 5 && words.iter().all(|word| fits(word))).then(|| words.join(" "))
}

/// The scripts that a line calls by their paths. Not the files to which it sends what they write,
/// in which the command may be quoted.
fn scripts(line: &str) -> impl Iterator<Item = Utf8PathBuf> {
    let mut is_target = false;
    let words = line.split_whitespace().skip(1).filter(move |word| {
        let was_target =
            std::mem::replace(&mut is_target, word.ends_with('>') || TEE.contains(word));
        !was_target && word.starts_with('/')
    });
    let paths = words.map(|word| word.trim_end_matches([';', '&']));
    let written = paths.filter(|path| !PROGRAMS.iter().any(|folder| path.starts_with(folder)));
    written.take(2).map(Utf8PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_kept_and_nothing_else() {
        assert_eq!(schedule("5 4 * * 0 root x").as_deref(), Some("5 4 * * 0"));
        assert_eq!(schedule("@weekly x").as_deref(), Some("@weekly"));
        for none in ["MAILTO=secret a b c d", "@pass:word x", "", "1 2"] {
            assert_eq!(schedule(none), None, "{none}");
        }
    }

    #[test]
    fn crontabs_scripts_and_timers_are_looked_through() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("etc/cron.d/gc", "# x\n5 4 * * 0 root gitlab-ctl registry-garbage-collect\n");
        write("etc/cron.d/other", "1 2 3 4 5 root /opt/other.sh > /var/log/gc.log\n");
        write("etc/crontab", "1 2 3 4 5 root /opt/gc.sh token=hush >>/var/log/gc.log\n");
        write("var/log/gc.log", "registry garbage-collect\n");
        write("opt/gc.sh", "gitlab-ctl stop registry\nregistry garbage-collect c.yml\n");
        write("etc/cron.weekly/registry", "#!/bin/sh\nregistry garbage-collect c.yml\n");
        write("etc/systemd/system/gc.timer", "[Timer]\nOnCalendar=\nOnCalendar=Sun 04:05\n");
        write("etc/systemd/system/timers.target.wants/gc.timer", "");
        // Nobody enabled this one.
        write("etc/systemd/system/off.timer", "");
        write("etc/systemd/system/off.service", "ExecStart=registry garbage-collect c\n");
        // This one starts a service of another name.
        let timer = "[Timer]\nUnit=sweep.service\nOnCalendar=daily\nPersistent=true\n";
        write("etc/systemd/system/night.timer", timer);
        let drop_in = "[Timer]\nOnCalendar=\nOnCalendar=monthly";
        write("etc/systemd/system/night.timer.d/override.conf", drop_in);
        write("etc/systemd/system/timers.target.wants/night.timer", "");
        write("etc/systemd/system/sweep.service", "ExecStart=registry garbage-collect c\n");
        write(
            "etc/systemd/system/gc.service",
            "[Service]\nExecStart=/x/registry garbage-collect c\n",
        );
        write("etc/systemd/system/idle.service", "ExecStart=registry garbage-collect c\n");
        let root = Utf8PathBuf::try_from(folder.path().to_owned()).unwrap();
        let found = look(&Scope { root: Some(root), ..Scope::live() });
        let seen: Vec<_> = found
            .runs
            .iter()
            .map(|run| (run.path.as_str(), run.line, run.guarded, run.schedule.as_deref().unwrap()))
            .collect();
        assert_eq!(
            seen,
            [
                ("/etc/cron.d/gc", 2, false, "5 4 * * 0"),
                ("/etc/cron.weekly/registry", 2, false, "cron.weekly"),
                ("/etc/crontab", 1, true, "1 2 3 4 5"),
                ("/etc/systemd/system/gc.service", 2, false, "gc.timer"),
                ("/etc/systemd/system/sweep.service", 1, false, "night.timer"),
            ]
        );
        assert_eq!(found.runs[2].script.as_deref(), Some(Utf8Path::new("/opt/gc.sh")));
        assert_eq!(found.runs[2].output.as_deref(), Some(Utf8Path::new("/var/log/gc.log")));
        assert_eq!(found.runs[3].calendar.as_deref(), Some("Sun 04:05"));
        assert_eq!(found.runs[4].calendar.as_deref(), Some("monthly"));
        let stamp = "/var/lib/systemd/timers/stamp-night.timer";
        assert_eq!(found.runs[3].stamp, None);
        assert_eq!(found.runs[4].stamp.as_deref(), Some(Utf8Path::new(stamp)));
        assert!(!serde_json::to_string(&found).unwrap().contains("hush"));
    }

    #[test]
    fn of_too_many_commands_the_first_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let cron = folder.path().join("etc/cron.d");
        fs::create_dir_all(&cron).unwrap();
        for file in ["a", "b"] {
            let line = "1 2 3 4 5 root registry garbage-collect c\n";
            fs::write(cron.join(file), line.repeat(MAX_RUNS)).unwrap();
        }
        let root = Utf8PathBuf::try_from(folder.path().to_owned()).unwrap();
        let found = look(&Scope { root: Some(root), ..Scope::live() });
        assert_eq!((found.runs.len(), found.unread.len()), (MAX_RUNS, 1));
        assert_eq!(found.unread.first().unwrap().path, "/etc/cron.d/b");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|(registry |garbage-collect|[-@*/ ;&'\"#a-z0-9\\n]){0,40}") {
            for (_, line) in lines(&text) {
                let idle = command(line, false).map(|it| it.idle("/etc/crontab".into(), line));
                let _ = (idle, schedule(line), scripts(line).count());
            }
            let _ = (first(&text), calendar(&text));
        }
    }
}
