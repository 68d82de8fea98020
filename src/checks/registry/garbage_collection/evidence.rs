//! How a collection that is scheduled, or one that was started, stands in a finding.

use crate::checks::{Evidence, Finding, docs};
use crate::host::files::{Collector, GarbageRun, Start, Starter};

/// Says when a scheduled collection runs, and where that is written.
pub(super) fn described(finding: Finding, run: &GarbageRun) -> Finding {
    let finding = match &run.schedule {
        Some(schedule) => finding.seen("runs at", schedule),
        None => finding,
    };
    finding.evidence(place(run)).docs(docs::REGISTRY_GC)
}

/// The line that schedules a collection.
pub(super) fn subject(run: &GarbageRun) -> String {
    format!("{}:{}", run.path, run.line)
}

/// The command of a scheduled collection, with its flags.
pub(super) fn place(run: &GarbageRun) -> Evidence {
    let command = match run.collector {
        Collector::GitlabCtl => "gitlab-ctl registry-garbage-collect",
        Collector::Registry => "registry garbage-collect",
    };
    let flags = [(run.delete_untagged, " -m"), (run.dry_run, " -d")];
    let flags: String = flags.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag).collect();
    let evidence = Evidence::new("runs", format!("{command}{flags}"));
    match &run.script {
        Some(script) => evidence.at(script.as_str(), None),
        None => evidence.at(run.path.as_str(), Some(run.line)),
    }
}

/// A collection that was started, as evidence.
pub(super) fn started(start: &Start) -> Evidence {
    let by = match start.by {
        Starter::Cron => "by cron",
        Starter::Sudo => "by hand",
    };
    let flag = if start.delete_untagged { ", with -m" } else { "" };
    Evidence::new("last start", format!("{}, {by}{flag}", start.at))
        .at(start.path.as_str(), start.line)
}
