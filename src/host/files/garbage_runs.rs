//! Question: when is the registry's garbage collected?
//!
//! Crontabs and scripts hold passwords and tokens, so nothing of a line is kept but what is asked
//! of it.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::crontabs::{files_in, for_each_crontab, for_each_text, names, text};
use super::locate::locate;
use super::walk::Unread;
use crate::host::{Machine, Question, Scope, Unknown};

/// Folders of scripts that run at a time of their name.
const FOLDERS: [&str; 4] =
    ["/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly"];

/// Where an administrator puts units of their own.
const UNITS: &str = "/etc/systemd/system";

/// Where programs lie, rather than scripts that somebody wrote.
const PROGRAMS: [&str; 6] = ["/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/lib/", "/dev/"];

/// More targets than a system has.
const MAX_WISHES: usize = 256;

/// More scripts than crontabs call.
const MAX_SCRIPTS: usize = 64;

/// Asks for what cron and systemd's timers are told to run on the registry's garbage.
#[derive(Debug, Serialize)]
pub struct GarbageSchedule;

/// The commands that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GarbageRuns {
    /// Sorted by file and line.
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
    /// Which program collects.
    pub collector: Collector,
    /// Whether something before it stops the registry or makes it read-only.
    pub guarded: bool,
    /// `-m`: manifests without a tag go, too.
    pub delete_untagged: bool,
    /// `-d`: nothing is deleted.
    pub dry_run: bool,
    /// Why it is never run, or fails whenever it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Idle>,
}

/// Why a command that is written somewhere does nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Idle {
    /// A line of the system's crontabs has the user between the time and the command, and this one
    /// has none.
    NoUser,
    /// It runs as this user, and the command needs root.
    NotRoot(String),
    /// A script in a folder of cron's that may not be executed.
    NotExecutable,
}

/// The programs that collect garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Collector {
    /// `gitlab-ctl registry-garbage-collect`, which stops the registry meanwhile.
    GitlabCtl,
    /// `registry garbage-collect`, which does not.
    Registry,
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

fn look(scope: &Scope) -> GarbageRuns {
    let mut runs = Vec::new();
    let mut called = Vec::new();
    let mut unread = for_each_crontab(scope, |path, text| {
        for (line, text) in lines(text) {
            match command(text, false) {
                Some(command) => {
                    let idle = command.idle(path, text);
                    runs.push(GarbageRun { idle, ..command.at(path, line, schedule(text)) });
                }
                None => called.extend(
                    scripts(text).map(|script| (script, path.to_owned(), line, schedule(text))),
                ),
            }
        }
    });
    for (script, path, line, schedule) in called.into_iter().take(MAX_SCRIPTS) {
        // Whatever a crontab calls may be closed, or anything else than a script.
        if let Ok(Some(text)) = text(scope, &script)
            && let Some((_, command)) = first(&text)
        {
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
        for_each_text(scope, [folder.join(timer)], unread, |_, text| {
            let units = lines(text).filter_map(|(_, line)| line.trim().strip_prefix("Unit="));
            // A unit's name has no slash in it, so nothing else is looked into.
            if let Some(unit) = units.last().filter(|unit| !unit.contains('/')) {
                unit.clone_into(&mut service);
            }
        });
        for_each_text(scope, [folder.join(&service)], unread, |path, text| {
            let found = first(text);
            runs.extend(found.map(|(line, it)| it.at(path, line, Some(timer.clone()))));
        });
    }
    runs
}

/// The units that something wants, as `systemctl enable` leaves it: links in folders that end in
/// `.wants` or `.requires`.
fn enabled(scope: &Scope, folder: &Utf8Path, units: &BTreeSet<String>) -> BTreeSet<String> {
    let is_wish = |name: &&String| name.ends_with(".wants") || name.ends_with(".requires");
    let wishes = units.iter().filter(is_wish).take(MAX_WISHES);
    wishes.flat_map(|name| names(scope, &folder.join(name)).unwrap_or_default()).collect()
}

/// What a line says of its command.
struct Command {
    collector: Collector,
    guarded: bool,
    delete_untagged: bool,
    dry_run: bool,
}

impl Command {
    fn at(self, path: &Utf8Path, line: u32, schedule: Option<String>) -> GarbageRun {
        let Self { collector, guarded, delete_untagged, dry_run } = self;
        let path = path.to_owned();
        GarbageRun {
            path,
            line,
            script: None,
            schedule,
            collector,
            guarded,
            delete_untagged,
            dry_run,
            idle: None,
        }
    }

    /// What keeps cron from running a line of a crontab, or the command from working.
    fn idle(&self, path: &Utf8Path, line: &str) -> Option<Idle> {
        let mut words = line.split_whitespace();
        let times = if line.trim_start().starts_with('@') { 1 } else { 5 };
        let next = words.nth(times)?;
        let user = match path.parent().filter(|folder| folder.starts_with("/var/spool/cron")) {
            Some(_) => path.file_name()?,
            // No name of an account has a slash in it.
            None if next.contains('/') || matches!(next, "gitlab-ctl" | "sudo") => {
                return Some(Idle::NoUser);
            }
            None => next,
        };
        let by_root =
            matches!(user, "root" | "0") || line.split_whitespace().any(|it| it == "sudo");
        let needs_root = self.collector == Collector::GitlabCtl;
        let is_name = user.len() <= 32
            && user.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        (needs_root && !by_root && is_name).then(|| Idle::NotRoot(user.to_owned()))
    }
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

/// The command in a line, if there is one.
fn command(line: &str, guarded: bool) -> Option<Command> {
    let words = || line.split(|c: char| c.is_whitespace() || "\"'=`()".contains(c));
    let by_ctl = |word: &str| word == "registry-garbage-collect";
    let at = words().position(|word| by_ctl(word) || word == "garbage-collect")?;
    let collector = if words().nth(at).is_some_and(by_ctl) {
        Collector::GitlabCtl
    } else if line.contains("registry") {
        Collector::Registry
    } else {
        // Others have a command of that name as well.
        return None;
    };
    let before: Vec<_> = words().take(at).collect();
    let mut command = Command {
        collector,
        guarded: guarded || guards(&before.join(" ")),
        delete_untagged: false,
        dry_run: false,
    };
    let ends = |word: &&str| !word.starts_with([';', '&', '|', '>']);
    for word in words().skip(at + 1).take_while(ends) {
        let short = word.strip_prefix('-').filter(|rest| rest.chars().all(|c| "mdh".contains(c)));
        let has = |flag| short.is_some_and(|flags| flags.contains(flag));
        command.delete_untagged |= has('m') || word == "--delete-untagged";
        command.dry_run |= has('d') || word == "--dry-run";
    }
    Some(command)
}

/// Whether a line stops the registry, or makes it read-only.
fn guards(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let mut words = line.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| matches!(word, "stop" | "down" | "readonly" | "kill"))
        || line.contains("read-only")
        || line.contains("scale ")
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

/// The scripts that a line calls by their paths.
fn scripts(line: &str) -> impl Iterator<Item = Utf8PathBuf> {
    let words = line.split_whitespace().skip(1).filter(|word| word.starts_with('/'));
    let paths = words.map(|word| word.trim_end_matches([';', '&']));
    let written = paths.filter(|path| !PROGRAMS.iter().any(|folder| path.starts_with(folder)));
    written.take(2).map(Utf8PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    /// Collector, guarded, untagged, dry.
    fn read(line: &str) -> Option<(Collector, bool, bool, bool)> {
        command(line, false).map(|it| (it.collector, it.guarded, it.delete_untagged, it.dry_run))
    }

    #[test]
    fn commands_are_told_by_program_and_flags() {
        use Collector::{GitlabCtl, Registry};
        let yml = "/var/opt/gitlab/registry/config.yml";
        for (line, expected) in [
            (
                "5 4 * * 0  root gitlab-ctl registry-garbage-collect",
                (GitlabCtl, false, false, false),
            ),
            (
                "@weekly /opt/gitlab/bin/gitlab-ctl registry-garbage-collect -m",
                (GitlabCtl, false, true, false),
            ),
            (
                &format!("1 2 * * * root /opt/gitlab/embedded/bin/registry garbage-collect {yml}"),
                (Registry, false, false, false),
            ),
            (
                &format!("1 2 * * * root registry garbage-collect -m -d {yml} > /x -m"),
                (Registry, false, true, true),
            ),
            (
                &format!("registry garbage-collect --delete-untagged=true {yml}"),
                (Registry, false, true, false),
            ),
            (
                "systemctl stop docker-registry && docker-registry garbage-collect c.yml",
                (Registry, true, false, false),
            ),
            (
                "1 * * * * root docker exec registry bin/registry garbage-collect /c.yml; docker stop x",
                (Registry, false, false, false),
            ),
            ("sh -c 'gitlab-ctl registry-garbage-collect'", (GitlabCtl, false, false, false)),
        ] {
            assert_eq!(read(line), Some(expected), "{line}");
        }
        for other in ["1 2 * * * root restic garbage-collect", "x registry-garbage-collector", ""] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn lines_that_do_nothing_are_known() {
        let ctl = "gitlab-ctl registry-garbage-collect";
        let idle = |path: &str, line: &str| command(line, false).unwrap().idle(path.into(), line);
        for good in [
            format!("5 4 * * 0 root {ctl}"),
            format!("@weekly root {ctl}"),
            format!("5 4 * * 0 git sudo {ctl}"),
            "5 4 * * 0 registry /opt/gitlab/embedded/bin/registry garbage-collect c.yml".to_owned(),
        ] {
            assert_eq!(idle("/etc/cron.d/gc", &good), None, "{good}");
        }
        let own = format!("5 4 * * 0 /opt/gitlab/bin/{ctl}");
        assert_eq!(idle("/var/spool/cron/crontabs/root", &own), None);
        assert_eq!(idle("/var/spool/cron/git", &own), Some(Idle::NotRoot("git".to_owned())));
        let git = format!("5 4 * * 0 git /opt/gitlab/bin/{ctl}");
        assert_eq!(idle("/etc/crontab", &git), Some(Idle::NotRoot("git".to_owned())));
        for bad in [own, format!("@weekly {ctl}"), format!("5 4 * * 0 sudo {ctl}")] {
            assert_eq!(idle("/etc/cron.d/gc", &bad), Some(Idle::NoUser), "{bad}");
        }
    }

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
        write("etc/crontab", "1 2 3 4 5 root /opt/gc.sh token=hush\n");
        write("opt/gc.sh", "gitlab-ctl stop registry\nregistry garbage-collect c.yml\n");
        write("etc/cron.weekly/registry", "#!/bin/sh\nregistry garbage-collect c.yml\n");
        write("etc/systemd/system/gc.timer", "");
        write("etc/systemd/system/timers.target.wants/gc.timer", "");
        // Nobody enabled this one.
        write("etc/systemd/system/off.timer", "");
        write("etc/systemd/system/off.service", "ExecStart=registry garbage-collect c\n");
        // This one starts a service of another name.
        write("etc/systemd/system/night.timer", "[Timer]\nUnit=sweep.service\n");
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
        assert!(!serde_json::to_string(&found).unwrap().contains("hush"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|(registry |garbage-collect|[-@*/ ;&'\"#a-z0-9\\n]){0,40}") {
            for (_, line) in lines(&text) {
                let idle = command(line, false).map(|it| it.idle("/etc/crontab".into(), line));
                let _ = (idle, schedule(line), scripts(line).count());
            }
            let _ = first(&text);
        }
    }
}
