use super::*;
use crate::checks::registry::garbage_collection::tests::run;
use crate::checks::registry::startup::told;
use crate::host::files::{Starter, Unread};

/// A moment in November 2026, or before it.
fn day(day: i64) -> Timestamp {
    let first: Timestamp = "2026-11-01T04:05:00Z".parse().unwrap();
    first.checked_add(SignedDuration::from_hours(24 * (day - 1))).unwrap()
}

fn log(path: &str, from: i64, to: i64) -> Reach {
    let of_cron = !path.contains("auth") && !path.contains("messages");
    Reach { path: path.into(), from: day(from), to: day(to), modified: day(to), of_cron }
}

fn start(at: i64, by: Starter) -> Start {
    let path = "/var/log/syslog.1".into();
    Start { at: day(at), by, delete_untagged: false, dry_run: false, path, line: Some(7) }
}

fn output(modified: i64, failure: Option<&str>) -> Output {
    Output { modified: day(modified), size: 9, failure: failure.map(str::to_owned) }
}

/// A weekly run on the 22nd, whose crontab is old.
struct Case {
    run: GarbageRun,
    written: Option<i64>,
    stamp: Option<i64>,
    outputs: Vec<(&'static str, Output)>,
    traces: Traces,
    until: Option<i64>,
}

impl Case {
    fn new(logs: Vec<Reach>, starts: Vec<Start>) -> Self {
        Self {
            run: run(Collector::GitlabCtl),
            written: Some(-300),
            stamp: None,
            outputs: Vec::new(),
            traces: Traces { logs, starts, ..Traces::default() },
            until: Some(22),
        }
    }

    /// Until the 22nd from that day on.
    fn from(from: i64, starts: Vec<Start>) -> Self {
        Self::new(vec![log("/var/log/syslog", from, 22)], starts)
    }

    fn every(mut self, schedule: &str) -> Self {
        self.run.schedule = Some(schedule.to_owned());
        self
    }

    fn verdict(mut self) -> Verdict {
        if let Some((path, _)) = self.outputs.first() {
            self.run.output.get_or_insert_with(|| (*path).into());
        }
        let outputs = self.outputs.iter();
        let look = Look {
            run: &self.run,
            written: self.written.map(day),
            stamp: self.stamp.map(day),
            outputs: outputs.map(|(path, it)| (Utf8Path::new(path), it.clone())).collect(),
        };
        let by_hand = "sudo gitlab-ctl registry-garbage-collect".to_owned();
        let (looks, until) = (vec![look], self.until.map(day));
        let runs = LastRuns { looks, traces: self.traces, until, cron: "cron", by_hand };
        let mut verdict = Verdict::default();
        runs.judge(&mut verdict);
        verdict
    }

    fn told(self) -> Vec<String> {
        let verdict = self.verdict();
        let untold = verdict.untold.iter().map(|(what, _)| format!("untold {what}"));
        told(&verdict.findings).into_iter().chain(untold).collect()
    }
}

const OVERDUE: [&str; 1] = ["warning overdue"];

#[test]
fn a_schedule_that_nobody_heeds_is_told() {
    use Starter::{Cron, Sudo};
    assert_eq!(Case::from(1, vec![]).told(), OVERDUE);
    assert_eq!(Case::from(1, vec![start(8, Cron)]).told(), OVERDUE);
    assert_eq!(Case::from(-90, vec![start(-10, Sudo)]).told(), OVERDUE);
    assert_eq!(Case::from(19, vec![]).every("5 4 * * *").told(), OVERDUE);
    assert_eq!(Case::from(-20, vec![]).every("@monthly").told(), OVERDUE);
    // A crontab that is younger than its log.
    let case = Case { written: Some(10), ..Case::from(-90, vec![]) };
    assert_eq!(case.told(), OVERDUE);
}

#[test]
fn what_was_collected_in_time_or_cannot_be_known_is_no_fault() {
    use Starter::{Cron, Sudo};
    for case in [
        Case::from(-90, vec![start(15, Cron)]),
        Case::from(-90, vec![start(18, Sudo)]),
        // The machine may have been off for some hours.
        Case::from(-90, vec![start(14, Cron)]),
        Case::from(15, vec![]),
        Case::from(1, vec![]).every("@monthly"),
        Case::from(1, vec![]).every("@reboot"),
        Case::from(1, vec![]).every("nonsense"),
        Case::new(vec![], vec![]),
        Case { written: Some(20), ..Case::from(-90, vec![]) },
        // Nothing of cron is in there, or nothing of this month.
        Case::new(vec![log("/var/log/messages", -90, 22)], vec![]),
        Case::new(vec![log("/var/log/syslog", -90, 5)], vec![]),
        Case { until: None, ..Case::from(-90, vec![]) },
    ] {
        assert_eq!(case.told(), [""; 0]);
    }
    let mut dry = Case::from(-90, vec![start(18, Cron)]);
    dry.traces.starts[0].dry_run = true;
    assert_eq!(dry.told(), OVERDUE);
}

#[test]
fn a_log_of_crons_own_ends_where_others_do() {
    let logs = |to| vec![log("/var/log/cron", -30, 8), log("/var/log/messages", 5, to)];
    assert_eq!(Case::new(logs(22), vec![start(8, Starter::Cron)]).told(), OVERDUE);
    // The machine was off since.
    let case = Case { until: Some(8), ..Case::new(logs(8), vec![start(8, Starter::Cron)]) };
    assert_eq!(case.told(), [""; 0]);
    // Between the two nothing is known.
    let logs = vec![log("/var/log/cron", -30, 8), log("/var/log/messages", 15, 22)];
    assert_eq!(Case::new(logs, vec![start(8, Starter::Cron)]).told(), [""; 0]);
}

#[test]
fn the_times_of_a_copy_tell_nothing() {
    let copied = |written| {
        let mut case = Case { written: Some(written), ..Case::from(-90, vec![]) };
        case.traces.logs[0].modified = day(300);
        case
    };
    assert_eq!(copied(300).told(), OVERDUE);
    let case = Case { outputs: vec![("/var/log/gc", output(300, None))], ..copied(300) };
    assert_eq!(case.told(), OVERDUE);
}

#[test]
fn a_closed_log_is_told_only_where_something_hinges_on_it() {
    let closed = |path: &str, mut case: Case| {
        let why = Unknown::Denied("closed".to_owned());
        case.traces.unread = BTreeSet::from([Unread { path: path.to_owned(), why }]);
        case.told()
    };
    let untold = ["untold when garbage was last collected"];
    assert_eq!(closed("/var/log/syslog", Case::new(vec![], vec![])), untold);
    assert_eq!(closed("/var/log/syslog", Case::from(20, vec![])), untold);
    let in_time = Case::from(20, vec![start(20, Starter::Cron)]);
    assert_eq!(closed("/var/log/cron", in_time), [""; 0]);
    for sudo in ["/var/log/auth.log", "/var/log/secure.1"] {
        assert_eq!(closed(sudo, Case::new(vec![], vec![])), [""; 0], "{sudo}");
    }
    assert_eq!(closed("/var/log/cron", Case::from(1, vec![])), OVERDUE);
    assert_eq!(closed("/var/log/cron", Case::new(vec![], vec![]).every("@reboot")), [""; 0]);
}

#[test]
fn timers_are_judged_by_their_stamps() {
    let timer = |stamp| {
        let mut case = Case { stamp, ..Case::from(-90, vec![]) }.every("gc.timer");
        case.run.calendar = Some("Sun 04:05".to_owned());
        case
    };
    assert_eq!(timer(Some(8)).told(), OVERDUE);
    assert_eq!(timer(Some(15)).told(), [""; 0]);
    // One without Persistent= has none, and cron's log has nothing to do with it.
    assert_eq!(timer(None).told(), [""; 0]);
    assert_eq!(Case { until: None, ..timer(Some(8)) }.told(), [""; 0]);
    let finding = timer(Some(8)).verdict().findings.remove(0);
    assert_eq!(finding.remedy.commands[0], "systemctl list-timers --all gc.timer");
}

#[test]
fn outputs_are_traces() {
    let written = |on, failure| Case {
        outputs: vec![("/var/log/gc.log", output(on, failure))],
        ..Case::new(vec![], vec![])
    };
    assert_eq!(written(8, None).told(), OVERDUE);
    assert_eq!(written(15, None).told(), [""; 0]);
    let later = |case| Case { traces: Case::from(20, vec![]).traces, ..case };
    assert_eq!(later(written(20, None)).told(), [""; 0]);
    // The registry itself can be told to be quiet.
    let mut quiet = written(8, None);
    quiet.run.collector = Collector::Registry;
    assert_eq!(quiet.told(), [""; 0]);
    // Rotation leaves an empty file.
    let mut empty = Case { traces: Case::from(1, vec![]).traces, ..written(20, None) };
    empty.outputs[0].1.size = 0;
    assert_eq!(empty.told(), OVERDUE);
}

#[test]
fn a_last_run_that_failed_is_told_with_its_reason() {
    let failed = |starts| Case {
        outputs: vec![("/var/log/gc.log", output(15, Some("failed to mark: x")))],
        ..Case::from(-90, starts)
    };
    for starts in [vec![], vec![start(15, Starter::Cron)]] {
        let finding = failed(starts).verdict().findings.remove(0);
        assert_eq!(
            (finding.code, finding.subject.as_str()),
            ("last-run-failed", "/var/log/gc.log")
        );
        assert_eq!(finding.message, "the last garbage collection failed: failed to mark: x");
    }
    // The next one had nothing to say.
    assert_eq!(failed(vec![start(20, Starter::Cron)]).told(), [""; 0]);
}
