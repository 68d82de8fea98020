//! Is space reclaimed that deleted images held?

mod deletes;
mod evidence;
mod last_run;
mod metadata;
mod period;
mod purging;
mod schedule;
#[cfg(test)]
mod tests;

use self::last_run::{LastRuns, last_start};
use self::metadata::Metadata;
use self::schedule::Schedule;
use super::startup::{Configured, heed_settings};
use crate::checks::{Finding, Stop, Verdict, check, docs};
use crate::host::files::{GarbageSchedule, Traces};
use crate::host::version::RegistryVersion;
use crate::host::{Host, Unknown};
use crate::install::{GITLAB_RB, registry, settings, spelled};

check! {
    /// What nobody needs any more leaves the registry's storage, and nothing else does.
    ///
    /// ## Why it matters
    ///
    /// Deleting a tag frees no space: the layers stay until garbage is collected. Without the
    /// metadata database GitLab does not do that by itself; an administrator has to schedule
    /// `gitlab-ctl registry-garbage-collect`, which stops the registry meanwhile. The bare command
    /// `registry garbage-collect` does not stop it, and whatever somebody pushes while it runs can
    /// be destroyed. Where deletes are switched off, GitLab's cleanup policies and its buttons to
    /// delete images fail. Interrupted uploads are purged by the registry itself.
    ///
    /// ## What is looked at
    ///
    /// `storage.delete`, `storage.maintenance`, `database` and `gc` in the registry's `config.yml`;
    /// the lock files by which it knows where its metadata is; and everything that cron and
    /// systemd's timers of this host are told to run, for both commands, scripts that a crontab
    /// calls included. Nothing of a crontab is kept but the time, the command, its flags, and the
    /// file to which it writes.
    ///
    /// When garbage was last collected is told by the logs of cron and sudo in `/var/log` (`syslog`,
    /// `cron`, `cron.log`, `messages`, `auth.log` and `secure`, the rotated ones included), by the
    /// time at which systemd last started a timer with `Persistent=`, and by the end of the file to
    /// which a crontab's line writes. A collection is overdue where one of them reaches back further
    /// than the longest gap of the schedule, and further than its crontab was written, and shows
    /// none in that time. Where the journal is the only log, or what root types in a shell of its
    /// own is the only collection, the last one leaves no trace here, and nothing is said of it.
    ///
    /// ## How to fix it
    ///
    /// Leave `storage.delete.enabled` at true, and put `gitlab-ctl registry-garbage-collect` into
    /// `/etc/cron.d/registry-garbage-collect` for a quiet hour of the week. To collect without
    /// stopping the registry, make it read-only first. Where a collection is overdue, see whether
    /// cron runs, and whether it complains of the crontab in its log.
    "registry/garbage-collection": "space is reclaimed"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let Some(config) = registry::in_use(host).await? else {
        let mut verdict = Verdict::default();
        verdict.add(before_reconfigure(host).await?);
        return if verdict.findings.is_empty() {
            Err(Stop::not_applicable("no registry is configured on this host"))
        } else {
            Ok(verdict)
        };
    };
    let mut verdict = Verdict::default();
    heed_settings(host, &mut verdict).await;
    let configured = Configured::of(host, &config).await;
    verdict.add(deletes::judge(&configured));
    verdict.add(purging::judge(&configured));
    let metadata = Metadata::of(host, &mut verdict, &config).await;
    verdict.add(metadata.judge(&configured));
    let runs = verdict.told("crontabs and timers", host.ask(GarbageSchedule).await);
    let Some(runs) = runs else { return Ok(verdict) };
    for unread in &runs.unread {
        verdict.untold("crontabs and timers", unread.why.clone());
    }
    let version = if runs.runs.iter().any(|run| run.delete_untagged) {
        verdict.told("the registry's version", host.ask(RegistryVersion).await).flatten()
    } else {
        None
    };
    // The registry refuses to do it beside the database.
    let is_judged = metadata.in_database() == Some(false);
    let traces =
        if is_judged { last_run::traces(host, &runs).await } else { Ok(Traces::default()) };
    let last = traces.as_ref().ok().and_then(last_start);
    let schedule =
        Schedule { configured: &configured, metadata: &metadata, runs: &runs, version, last };
    verdict.add(schedule.judge());
    // Where nothing is scheduled, nothing hinges on the logs.
    if is_judged && runs.runs.iter().any(|run| !run.dry_run) {
        let traces = verdict.told(last_run::WHAT, traces).unwrap_or_default();
        let by_hand = schedule::by_hand(&configured);
        let last_runs = LastRuns::of(host, &mut verdict, &runs, traces, by_hand).await;
        last_runs.judge(&mut verdict);
    }
    Ok(verdict)
}

/// What `gitlab.rb` will make of a registry that has no configuration yet.
async fn before_reconfigure(host: &Host) -> Result<Option<Finding>, Unknown> {
    let Some(settings) = settings(host).await? else { return Ok(None) };
    let mut written = None;
    for name in
        [&["registry", "storage_delete_enabled"][..], &["registry", "storage", "delete", "enabled"]]
    {
        let flag = settings.flag(name).told()?.filter(|flag| !flag.value);
        written = written.or(flag.map(|flag| (spelled(name), flag)));
    }
    let Some((name, flag)) = written else { return Ok(None) };
    let message = "deletes are switched off: after reconfigure, GitLab's cleanup policies and \
                   deletions of images fail";
    let finding = Finding::warning("deletes-disabled", flag.source.to_string(), message)
        .evidence(flag.evidence(name))
        .remedy(
            "Take the setting out: deletes are on by default.",
            [format!("sudoedit {GITLAB_RB}"), "sudo gitlab-ctl reconfigure".to_owned()],
        )
        .docs(docs::REGISTRY_GC);
    Ok(Some(finding))
}
