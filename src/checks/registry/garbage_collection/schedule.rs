//! When garbage is collected, and whether that is safe.

use super::super::keeper::Keeper;
use super::super::startup::Configured;
use super::evidence::{described, place, started, subject};
use super::metadata::Metadata;
use super::period::times_a_day;
use crate::checks::shell::word;
use crate::checks::{Finding, Severity, docs};
use crate::host::files::{Collector, GarbageRun, GarbageRuns, Idle, Start};
use crate::host::version::major;
use crate::parse::setting::Scalar;

/// The file that the documentation names.
const CRONTAB: &str = "/etc/cron.d/registry-garbage-collect";

/// What is run, and on which registry.
pub(super) struct Schedule<'a> {
    pub(super) configured: &'a Configured<'a>,
    pub(super) metadata: &'a Metadata,
    pub(super) runs: &'a GarbageRuns,
    /// Of the registry that the Linux package runs.
    pub(super) version: Option<String>,
    /// The last collection that is known of.
    pub(super) last: Option<&'a Start>,
}

impl Schedule<'_> {
    pub(super) fn judge(&self) -> Vec<Finding> {
        let in_database = self.metadata.in_database();
        let mut findings = Vec::new();
        for run in self.runs.runs.iter().filter(|run| !run.dry_run) {
            if in_database == Some(true) {
                findings.push(refused(run));
                continue;
            }
            if let Some(idle) = &run.idle {
                findings.push(self.idle(run, idle));
                continue;
            }
            findings.extend(self.writable(run));
            findings.extend(too_often(run));
            findings.extend(self.multi_arch(run));
        }
        let is_real = self.runs.runs.iter().any(|run| !run.dry_run);
        if !is_real && in_database == Some(false) && self.runs.unread.is_empty() {
            findings.push(self.none());
        }
        findings
    }

    /// Nothing on this host collects garbage.
    fn none(&self) -> Finding {
        let message = match self.runs.runs.first() {
            Some(_) => "garbage is only looked for (--dry-run): deleted images keep their space",
            None => {
                "no crontab or timer of this host collects the registry's garbage: deleted images \
                 keep their space"
            }
        };
        let subject = self.configured.config.path.as_str();
        let finding = Finding::notice("no-schedule", subject, message).docs(docs::REGISTRY_GC);
        let seen = self.runs.runs.iter().map(place).chain(self.last.map(started));
        let finding = seen.fold(finding, Finding::evidence);
        finding.remedy(
            "Let it be collected at a quiet hour of the week; the registry is down meanwhile.",
            [format!("echo '{}' | sudo tee {CRONTAB}", self.weekly())],
        )
    }

    /// Somebody wrote it down, and yet it is not run.
    fn idle(&self, run: &GarbageRun, idle: &Idle) -> Finding {
        let (severity, why) = match idle {
            Idle::NoUser => (
                Severity::Warning,
                "the line names no user before the command, so cron does not run it".to_owned(),
            ),
            Idle::NotRoot(user) => (
                Severity::Warning,
                format!("the line runs as '{user}', and gitlab-ctl works for root only"),
            ),
            Idle::NotExecutable => {
                (Severity::Notice, "cron runs executable files only, and this is none".to_owned())
            }
        };
        let message = format!("garbage is never collected: {why}");
        let finding =
            described(Finding::new(severity, "schedule-idle", subject(run), message), run);
        let file = word(run.path.as_str());
        match idle {
            Idle::NotExecutable => {
                finding.remedy("Make it executable.", [format!("sudo chmod +x {file}")])
            }
            Idle::NoUser | Idle::NotRoot(_) => finding.remedy(
                "Let root run it.",
                [format!("sudoedit {file}"), format!("# {}", self.weekly())],
            ),
        }
    }

    /// The line for a crontab of the system.
    fn weekly(&self) -> String {
        match self.configured.keeper {
            Keeper::Package | Keeper::Elsewhere => {
                "5 4 * * 0 root /opt/gitlab/bin/gitlab-ctl registry-garbage-collect".to_owned()
            }
            Keeper::Systemd => format!("5 4 * * 0 root {}", stopped(self.configured, "")),
        }
    }

    /// Whatever is pushed meanwhile may be deleted.
    fn writable(&self, run: &GarbageRun) -> Option<Finding> {
        let readonly = self.configured.config.yml.storage.readonly_enabled.as_ref();
        let is_readonly = readonly.is_some_and(|it| it.value == Scalar::Bool(true));
        if run.collector == Collector::GitlabCtl || run.guarded || is_readonly {
            return None;
        }
        let message = "garbage is collected while the registry runs and takes pushes: layers that \
                       arrive meanwhile are deleted, and their images are broken";
        let finding = Finding::warning("writable-collection", subject(run), message);
        let stop = match self.configured.keeper {
            Keeper::Package | Keeper::Elsewhere => {
                "Run gitlab-ctl registry-garbage-collect in its stead, which stops the registry \
                 meanwhile."
            }
            Keeper::Systemd => "Stop the registry before, and start it again behind.",
        };
        Some(described(finding, run).remedy(
            stop,
            [format!("sudoedit {}", word(file(run))), format!("# {}", self.weekly())],
        ))
    }

    /// Old registries take the parts of a multi-platform image for untagged.
    fn multi_arch(&self, run: &GarbageRun) -> Option<Finding> {
        if !run.delete_untagged || !self.is_old() {
            return None;
        }
        let message = "-m deletes untagged manifests, and this registry counts the platforms of \
                       a multi-platform image among them";
        let finding = Finding::notice("deletes-platforms", subject(run), message);
        Some(described(finding, run).remedy(
            "Leave -m out if images for several platforms are pushed.",
            [format!("sudoedit {}", word(file(run)))],
        ))
    }

    /// Distribution up to 2.8, and GitLab's own registry up to 2.
    fn is_old(&self) -> bool {
        let config = self.configured.config;
        if !config.generated {
            return config.yml.distribution_3_keys.is_empty();
        }
        self.version.as_deref().and_then(major).is_some_and(|major| major < 3)
    }
}

/// What an administrator types to collect garbage once.
pub(super) fn by_hand(configured: &Configured<'_>) -> String {
    match configured.keeper {
        Keeper::Package | Keeper::Elsewhere => {
            "sudo gitlab-ctl registry-garbage-collect".to_owned()
        }
        Keeper::Systemd => stopped(configured, "sudo "),
    }
}

/// A collection for which Debian's registry is stopped meanwhile.
fn stopped(configured: &Configured<'_>, sudo: &str) -> String {
    let config = word(configured.config.path.as_str());
    format!(
        "{sudo}systemctl stop docker-registry; {sudo}docker-registry garbage-collect {config}; \
         {sudo}systemctl start docker-registry"
    )
}

/// A crontab with a star in the wrong field.
fn too_often(run: &GarbageRun) -> Option<Finding> {
    let times = times_a_day(run.schedule.as_deref()?)?;
    if times < 2 {
        return None;
    }
    let down = if run.collector == Collector::GitlabCtl || run.guarded {
        "and the registry is down each time"
    } else {
        "whether the last run has ended or not"
    };
    let message = format!("garbage is collected {times} times on a day, {down}");
    let finding = Finding::warning("too-often", subject(run), message);
    Some(described(finding, run).remedy(
        "Write one minute and one hour, such as 5 4 * * 0 for Sundays at 4:05.",
        [format!("sudoedit {}", word(run.path.as_str()))],
    ))
}

/// The command does not run beside the database.
fn refused(run: &GarbageRun) -> Finding {
    let message = "the metadata is in the database, so this command is refused; the registry \
                       collects garbage by itself";
    let finding = Finding::warning("offline-refused", subject(run), message);
    described(finding, run).remedy("Take the line out.", [format!("sudoedit {}", word(file(run)))])
}

/// Where the command itself is written.
fn file(run: &GarbageRun) -> &str {
    run.script.as_ref().unwrap_or(&run.path).as_str()
}
