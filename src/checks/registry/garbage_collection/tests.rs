use super::metadata::{Metadata, sample};
use super::schedule::Schedule;
use super::{deletes, purging};
use crate::checks::registry::startup::{Configured, config, told};
use crate::checks::{Cause, Finding};
use crate::host::Unknown;
use crate::host::files::{Collector, GarbageRun, GarbageRuns, Idle, Unread};

fn of<T: IntoIterator<Item = Finding>>(
    yml: &str,
    judge: impl Fn(&Configured<'_>) -> T,
) -> Vec<Finding> {
    let config = config(yml, false);
    judge(&Configured::sample(&config)).into_iter().collect()
}

#[test]
fn deletes_have_to_be_switched_on_with_the_word() {
    for (storage, expected) in [
        ("{filesystem: , delete: {enabled: true}}", None),
        ("{filesystem: , delete: {enabled: yes}}", None),
        ("{filesystem: }", Some("warning deletes-disabled")),
        ("filesystem", Some("warning deletes-disabled")),
        ("{filesystem: , delete: {enabled: false}}", Some("warning deletes-disabled")),
        ("{filesystem: , delete: {enabled: 'true'}}", Some("warning deletes-disabled")),
        ("{filesystem: , delete: true}", Some("error delete-not-mapping")),
    ] {
        let findings = of(&format!("storage: {storage}"), deletes::judge);
        assert_eq!(told(&findings), Vec::from_iter(expected), "{storage}");
    }
    let cache = "storage: {filesystem: }\nproxy: {remoteurl: 'https://a.test'}";
    assert_eq!(told(&of(cache, deletes::judge)), [""; 0]);
}

#[test]
fn purging_is_all_or_nothing() {
    let full = "{enabled: true, age: 168h, interval: 24h, dryrun: false}";
    let without = |key: &str| full.replace(key, &format!("x{key}"));
    for (purging, expected) in [
        (full.to_owned(), None),
        ("{enabled: false}".to_owned(), Some("notice purging-off")),
        (String::new(), Some("error purging-incomplete")),
        ("{}".to_owned(), Some("error purging-incomplete")),
        ("true".to_owned(), Some("error purging-incomplete")),
        ("{enabled: 'false'}".to_owned(), Some("error purging-incomplete")),
        (without("age"), Some("error purging-incomplete")),
        (without("interval"), Some("error purging-incomplete")),
        (without("dryrun"), Some("error purging-incomplete")),
        (full.replace("168h", "168"), Some("error purging-incomplete")),
        (full.replace("168h", "7d"), Some("error purging-incomplete")),
        (full.replace("dryrun: false", "dryrun: 'no'"), Some("error purging-incomplete")),
        (full.replace("dryrun: false", "dryrun: true"), Some("notice purging-dry")),
    ] {
        let yml = format!("storage:\n  filesystem:\n  maintenance: {{uploadpurging: {purging}}}\n");
        let findings = of(&yml, purging::judge);
        assert_eq!(told(&findings), Vec::from_iter(expected), "{purging}");
        for finding in &findings {
            let startup = Cause::Startup("127.0.0.1:5000".to_owned());
            let stops = finding.explains.contains(&startup);
            assert_eq!(stops, expected.is_some_and(|it| it.starts_with("error")), "{purging}");
        }
    }
    assert_eq!(of("storage: {filesystem: }", purging::judge), []);
    let both =
        format!("storage: {{maintenance: {{uploadpurging: {full}, readonly: {{enabled: true}}}}}}");
    assert_eq!(told(&of(&both, purging::judge)), ["notice purging-while-read-only"]);
}

pub(super) fn run(collector: Collector) -> GarbageRun {
    GarbageRun {
        path: "/etc/cron.d/gc".into(),
        line: 3,
        script: None,
        schedule: Some("5 4 * * 0".to_owned()),
        calendar: None,
        stamp: None,
        collector,
        guarded: false,
        delete_untagged: false,
        dry_run: false,
        output: None,
        errors: None,
        idle: None,
    }
}

struct Case {
    yml: &'static str,
    generated: bool,
    locks: Option<(bool, bool)>,
    runs: Vec<GarbageRun>,
    unread: bool,
}

impl Case {
    fn new(runs: Vec<GarbageRun>) -> Self {
        Self { yml: "storage: {filesystem: }", generated: true, locks: None, runs, unread: false }
    }

    fn judged(self) -> Vec<String> {
        let config = config(self.yml, self.generated);
        let configured = Configured::sample(&config);
        let metadata: Metadata = sample(&config, self.locks);
        let why = Unknown::Denied("closed".to_owned());
        let unread = self.unread.then(|| Unread { path: "/x".to_owned(), why });
        let runs = GarbageRuns { runs: self.runs, unread: unread.into_iter().collect() };
        let version = Some("v2.9.0-gitlab".to_owned());
        let schedule = Schedule {
            configured: &configured,
            metadata: &metadata,
            runs: &runs,
            version,
            last: None,
        };
        let mut findings = metadata.judge(&configured);
        findings.extend(schedule.judge());
        told(&findings)
    }
}

#[test]
fn a_weekly_run_that_stops_the_registry_is_right() {
    use Collector::{GitlabCtl, Registry};
    assert_eq!(Case::new(vec![run(GitlabCtl)]).judged(), [""; 0]);
    let guarded = GarbageRun { guarded: true, ..run(Registry) };
    assert_eq!(Case::new(vec![guarded]).judged(), [""; 0]);
    let readonly = "storage: {maintenance: {readonly: {enabled: true}}}";
    let case = Case { yml: readonly, ..Case::new(vec![run(Registry)]) };
    assert_eq!(case.judged(), [""; 0]);
}

#[test]
fn runs_at_unsafe_settings_are_told() {
    use Collector::{GitlabCtl, Registry};
    assert_eq!(Case::new(vec![run(Registry)]).judged(), ["warning writable-collection"]);
    let often = GarbageRun { schedule: Some("* 4 * * 0".to_owned()), ..run(GitlabCtl) };
    assert_eq!(Case::new(vec![often]).judged(), ["warning too-often"]);
    let untagged = || GarbageRun { delete_untagged: true, ..run(GitlabCtl) };
    assert_eq!(Case::new(vec![untagged()]).judged(), ["notice deletes-platforms"]);
    let third = "storage: {filesystem: }\ntags: {maxtags: 5}";
    let case = Case { yml: third, generated: false, ..Case::new(vec![untagged()]) };
    assert_eq!(case.judged(), [""; 0]);
}

#[test]
fn nothing_scheduled_is_worth_knowing_where_all_was_seen() {
    assert_eq!(Case::new(Vec::new()).judged(), ["notice no-schedule"]);
    assert_eq!(Case { unread: true, ..Case::new(Vec::new()) }.judged(), [""; 0]);
    let dry = GarbageRun { dry_run: true, ..run(Collector::Registry) };
    assert_eq!(Case::new(vec![dry]).judged(), ["notice no-schedule"]);
}

#[test]
fn what_is_written_down_and_never_run_is_told_instead() {
    for (idle, severity) in [
        (Idle::NoUser, "warning"),
        (Idle::NotRoot("git".to_owned()), "warning"),
        (Idle::NotExecutable, "notice"),
    ] {
        let idle = GarbageRun { idle: Some(idle), ..run(Collector::GitlabCtl) };
        assert_eq!(Case::new(vec![idle]).judged(), [format!("{severity} schedule-idle")]);
    }
}

#[test]
fn with_the_database_the_registry_collects_by_itself() {
    let case = |yml| Case { yml, ..Case::new(Vec::new()) };
    assert_eq!(case("database: {enabled: true}").judged(), [""; 0]);
    assert_eq!(case("database: {enabled: 'true'}").judged(), [""; 0]);
    // Which of the two it is cannot be told.
    assert_eq!(case("database: {enabled: prefer}").judged(), [""; 0]);
    for off in ["disabled: true", "blobs: {disabled: true}", "manifests: {disabled: true}"] {
        let yml = format!("database: {{enabled: true}}\ngc: {{{off}}}").leak();
        assert_eq!(case(yml).judged(), ["warning online-collection-off"], "{off}");
    }
    assert_eq!(
        case("database: {enabled: false}\ngc: {disabled: true}").judged(),
        ["notice no-schedule"]
    );
    let case =
        Case { yml: "database: {enabled: true}", ..Case::new(vec![run(Collector::GitlabCtl)]) };
    assert_eq!(case.judged(), ["warning offline-refused"]);
}

#[test]
fn lock_files_are_held_against_the_settings() {
    let case = |yml, database, files| {
        Case { yml, locks: Some((database, files)), ..Case::new(Vec::new()) }.judged()
    };
    let (on, off, prefer) =
        ("database: {enabled: true}", "storage: {filesystem: }", "database: {enabled: prefer}");
    assert_eq!(case(on, true, false), [""; 0]);
    assert_eq!(case(on, false, false), [""; 0]);
    assert_eq!(case(off, false, true), ["notice no-schedule"]);
    assert_eq!(case(prefer, true, false), [""; 0]);
    assert_eq!(case(prefer, false, true), ["notice no-schedule"]);
    assert_eq!(case(on, false, true), ["warning files-not-imported"]);
    assert_eq!(case(off, true, false)[0], "warning database-not-enabled");
    assert_eq!(case(on, true, true), ["warning locks-contradict"]);
    assert_eq!(case(prefer, true, true), ["warning locks-contradict"]);
}
