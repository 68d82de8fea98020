//! When garbage was last collected, and whether that is as the schedule has it.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::{SignedDuration, Timestamp};

use super::evidence::{described, started, subject};
use super::period::longest_gap;
use crate::checks::shell::word;
use crate::checks::{Evidence, Finding, Verdict};
use crate::host::files::{
    Collector, FileFacts, GarbageOutput, GarbageRun, GarbageRuns, GarbageTraces, Output, Reach,
    Start, Traces,
};
use crate::host::system::{Now, System};
use crate::host::{Host, Unknown};

/// What is said to be untold.
pub(super) const WHAT: &str = "when garbage was last collected";

/// A collection may wait for the machine, for anacron's delay, or for another hour of its day.
const SLACK: SignedDuration = SignedDuration::from_hours(24);

/// A log that was written long after its last line was copied without its times; one that has no
/// line for as long tells nothing of today.
const STALE: SignedDuration = SignedDuration::from_hours(48);

/// Between the start of a collection and its first output.
const MOMENT: SignedDuration = SignedDuration::from_secs(60);

/// More collections than anybody schedules.
const MAX_RUNS: usize = 16;

/// What is known of the collections that a schedule has.
pub(super) struct LastRuns<'a> {
    pub(super) looks: Vec<Look<'a>>,
    /// Empty where they cannot be told.
    pub(super) traces: Traces,
    /// Until when absence is known where no log tells: now, or on a disk its last line.
    pub(super) until: Option<Timestamp>,
    /// The unit under which cron runs.
    pub(super) cron: &'static str,
    /// What an administrator types to collect garbage once.
    pub(super) by_hand: String,
}

/// A scheduled collection, and what it has left behind.
pub(super) struct Look<'a> {
    pub(super) run: &'a GarbageRun,
    /// When its crontab was written.
    pub(super) written: Option<Timestamp>,
    /// When systemd last started its timer.
    pub(super) stamp: Option<Timestamp>,
    /// What stands where its output goes, and where its errors do.
    pub(super) outputs: Vec<(&'a Utf8Path, Output)>,
}

/// A time in which a collection would have left a trace.
struct Silence {
    since: Timestamp,
    until: Timestamp,
    told_by: Vec<Evidence>,
    /// A clause: what shows that there was none.
    how: String,
    /// What tells why.
    commands: Vec<String>,
}

/// The last collections, whether a schedule or somebody has started them.
pub(super) async fn traces(host: &Host, runs: &GarbageRuns) -> Result<Traces, Unknown> {
    let real = runs.runs.iter().filter(|run| !run.dry_run);
    let scripts = real.filter_map(|run| match run.schedule.as_deref() {
        Some(folder) if folder.starts_with("cron.") => Some(Utf8Path::new("/etc").join(folder)),
        _ => run.script.clone(),
    });
    host.ask(GarbageTraces { scripts: scripts.collect::<BTreeSet<Utf8PathBuf>>() }).await
}

impl<'a> LastRuns<'a> {
    pub(super) async fn of(
        host: &Host,
        verdict: &mut Verdict,
        runs: &'a GarbageRuns,
        traces: Traces,
        by_hand: String,
    ) -> Self {
        let system = host.ask(System).await.ok();
        let is_running = system.as_ref().is_some_and(|system| system.running);
        let until = if is_running {
            host.ask(Now).await.ok()
        } else {
            traces.logs.iter().map(|log| log.to).max()
        };
        let is_debian = system.is_none_or(|system| {
            let mut ids = system.os_id.iter().chain(&system.os_like);
            !ids.any(|id| matches!(id.as_str(), "rhel" | "fedora" | "centos" | "amzn" | "ol"))
        });
        let cron = if is_debian { "cron" } else { "crond" };
        let mut looks = Vec::new();
        for run in runs.runs.iter().filter(|run| !run.dry_run && run.idle.is_none()).take(MAX_RUNS)
        {
            looks.push(Look::at(host, verdict, run).await);
        }
        Self { looks, traces, until, cron, by_hand }
    }

    /// Judges every collection that is scheduled; notes where nothing can be told.
    pub(super) fn judge(&self, verdict: &mut Verdict) {
        let mut told = BTreeSet::new();
        for finding in self.looks.iter().filter_map(|look| self.failed(look)) {
            // Several lines may write into one file.
            if told.insert(finding.subject.clone()) {
                verdict.add([finding]);
            }
        }
        let mut silent = false;
        for look in &self.looks {
            let Some(days) = longest_gap(look.run) else { continue };
            match self.overdue(look, days) {
                Some(finding) => verdict.add([finding]),
                None => silent |= look.is_crons() && !self.is_in_time(look, days),
            }
        }
        // Where garbage is collected in time, no log that is closed can tell otherwise.
        let is_crons = |path: &str| !path.contains("auth.log") && !path.contains("secure");
        let mut unread = self.traces.unread.iter().filter(|it| is_crons(&it.path));
        if let Some(unread) = unread.next().filter(|_| silent) {
            verdict.untold(WHAT, unread.why.clone());
        }
    }

    /// Whether there is a trace younger than the schedule's longest gap.
    fn is_in_time(&self, look: &Look<'_>, days: u32) -> bool {
        let last = self.last(look).zip(self.until);
        last.is_some_and(|(last, until)| until.duration_since(last) <= period(days))
    }

    /// The last trace of a collection.
    fn last(&self, look: &Look<'_>) -> Option<Timestamp> {
        let start = last_start(&self.traces).map(|start| start.at);
        // What is empty may have been made so by rotation.
        let written = look.outputs.iter().filter(|_| !self.is_copied());
        let written = written.filter(|(_, output)| output.size > 0);
        start.max(look.stamp).max(written.map(|(_, output)| output.modified).max())
    }

    /// Whether the times of files are those of a copy.
    fn is_copied(&self) -> bool {
        let newest = self.traces.logs.iter().max_by_key(|log| log.to);
        newest.is_some_and(|log| log.modified.duration_since(log.to) > STALE)
    }

    /// None was started for longer than the schedule has it.
    fn overdue(&self, look: &Look<'_>, days: u32) -> Option<Finding> {
        let run = look.run;
        let last = self.last(look);
        let is_long = |silence: &Silence| {
            let since = last.map_or(silence.since, |last| last.max(silence.since));
            silence.until.duration_since(since) > period(days)
        };
        let silences = [self.timer(look), self.log(look), self.output(look)];
        let silence = silences.into_iter().flatten().find(is_long)?;
        let every = match days {
            1 => "every day".to_owned(),
            days => format!("at least every {days} days"),
        };
        let message = match last {
            Some(last) => format!(
                "garbage is to be collected {every}, but the last start was on {}: {}",
                last.strftime("%F"),
                silence.how
            ),
            None => format!("garbage is to be collected {every}, but {}", silence.how),
        };
        let finding = described(Finding::warning("overdue", subject(run), message), run);
        let start = last_start(&self.traces).map(started);
        let evidence = start.into_iter().chain(silence.told_by);
        let finding = evidence.fold(finding, Finding::evidence);
        let commands = silence.commands.into_iter().chain([self.by_hand.clone()]);
        Some(finding.remedy(
            "Find out why it is not started, and collect once by hand at a quiet hour: the \
             registry is down meanwhile.",
            commands,
        ))
    }

    /// systemd keeps the time at which it last started a timer that is persistent.
    fn timer(&self, look: &Look<'_>) -> Option<Silence> {
        // Whoever changes the timer lets it catch up at once, so it does not matter when that was.
        let since = look.stamp?;
        let evidence = Evidence::new("the timer last ran", since);
        let stamp = look.run.stamp.iter();
        let evidence = stamp.fold(evidence, |it, stamp| it.at(stamp.as_str(), None));
        let how = "systemd has not started its timer since".to_owned();
        let commands = vec![format!("systemctl list-timers --all {}", word(schedule(look.run)))];
        Some(Silence { since, until: self.until?, told_by: vec![evidence], how, commands })
    }

    /// cron writes down whatever it starts.
    fn log(&self, look: &Look<'_>) -> Option<Silence> {
        if !look.is_crons() {
            return None;
        }
        let stale =
            |until: Timestamp| self.until.is_none_or(|now| now.duration_since(until) > STALE);
        let logs = self.traces.logs.iter().filter(|log| log.of_cron);
        let logs = logs.map(|log| (log, self.reach(log))).filter(|(_, until)| !stale(*until));
        let (log, until) = logs.min_by_key(|(log, _)| log.from)?;
        // A crontab that was written yesterday tells nothing of the week before.
        let written = look.written.filter(|_| !self.is_copied());
        let since = written.map_or(log.from, |written| written.max(log.from));
        let told_by = vec![
            Evidence::new("cron's log", format!("from {} to {until}", log.from))
                .at(log.path.as_str(), None),
        ];
        let days = until.duration_since(since).as_hours() / 24;
        let how = match last_start(&self.traces) {
            Some(_) => "cron's log shows none since".to_owned(),
            None => format!("cron's log shows no start in {days} days"),
        };
        let mut commands = self.cron_status();
        commands.push(format!("sudo grep -ai cron {} | tail -n 20", word(log.path.as_str())));
        Some(Silence { since, until, told_by, how, commands })
    }

    /// Until when cron's log would have lines if cron had started something: where cron has a log
    /// of its own, those of others show that lines are still written.
    fn reach(&self, log: &Reach) -> Timestamp {
        let follows = |it: &&Reach| it.from <= log.to && it.to > log.to;
        self.traces.logs.iter().filter(follows).map(|it| it.to).max().unwrap_or(log.to)
    }

    /// `gitlab-ctl` always writes something.
    fn output(&self, look: &Look<'_>) -> Option<Silence> {
        let (path, output) = look.outputs.first()?;
        let is_output = look.run.output.as_deref() == Some(*path);
        if !is_output || self.is_copied() || look.run.collector != Collector::GitlabCtl {
            return None;
        }
        let since = look.written.map_or(output.modified, |written| written.max(output.modified));
        let evidence = Evidence::new("last output", output.modified).at(path.as_str(), None);
        let how = "nothing has been written where its output goes since".to_owned();
        let commands = if look.is_timers() { Vec::new() } else { self.cron_status() };
        Some(Silence { since, until: self.until?, told_by: vec![evidence], how, commands })
    }

    /// How an administrator sees whether cron runs.
    fn cron_status(&self) -> Vec<String> {
        vec![format!("systemctl status {}", self.cron)]
    }

    /// The last one said that it failed.
    fn failed(&self, look: &Look<'_>) -> Option<Finding> {
        let run = look.run;
        let (path, output) = look.outputs.iter().find(|(_, output)| output.failure.is_some())?;
        let reason = output.failure.as_deref()?;
        let later = |at: Timestamp| at.duration_since(output.modified) > MOMENT;
        // One that was started later has said nothing, as Distribution does with --quiet.
        let outlived = !self.is_copied() && last_start(&self.traces).is_some_and(|it| later(it.at));
        if outlived {
            return None;
        }
        let message = match reason.strip_prefix("failed to garbage collect") {
            Some(rest) => format!("the last garbage collection failed{rest}"),
            None => format!("the last garbage collection failed: {reason}"),
        };
        let finding = Finding::warning("last-run-failed", path.as_str(), message);
        let written = Evidence::new("last output", output.modified).at(path.as_str(), None);
        let finding = described(finding, run);
        let finding = if self.is_copied() { finding } else { finding.evidence(written) };
        Some(finding.remedy(
            "Mend what it complains of, and collect once by hand at a quiet hour: the registry is \
             down meanwhile.",
            [format!("sudo tail -n 50 {}", word(path.as_str())), self.by_hand.clone()],
        ))
    }
}

impl<'a> Look<'a> {
    async fn at(host: &Host, verdict: &mut Verdict, run: &'a GarbageRun) -> Self {
        let modified = async |path: &Utf8Path| {
            let facts = host.ask(FileFacts::of(path)).await.ok().flatten();
            facts.map(|facts| facts.modified)
        };
        let mut look =
            Self { run, written: modified(&run.path).await, stamp: None, outputs: Vec::new() };
        if let Some(stamp) = &run.stamp {
            look.stamp = modified(stamp).await;
        }
        for path in run.output.iter().chain(&run.errors) {
            let said = host.ask(GarbageOutput { path: path.clone() }).await;
            let said = verdict.told("what the last garbage collection said", said).flatten();
            look.outputs.extend(said.map(|said| (path.as_path(), said)));
        }
        look
    }

    fn is_timers(&self) -> bool {
        schedule(self.run).ends_with(".timer")
    }

    fn is_crons(&self) -> bool {
        !self.is_timers()
    }
}

/// The longest time from one collection to the next.
fn period(days: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(days)) + SLACK
}

fn schedule(run: &GarbageRun) -> &str {
    run.schedule.as_deref().unwrap_or_default()
}

/// The last collection that was no dry run.
pub(super) fn last_start(traces: &Traces) -> Option<&Start> {
    traces.starts.iter().filter(|start| !start.dry_run).max_by_key(|start| start.at)
}

#[cfg(test)]
mod tests;
