//! `report` tells. A report is plain data, the same for every format; each format is one file
//! with one function.

mod human;
mod json;
mod matrix;
mod short;
mod text;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::checks::{self, Evidence, Outcome, Remedy, Severity, Stop, Verdict};
use crate::host::Unknown;

pub use human::{Style, Symbols};
pub use matrix::matrix_text;
pub(crate) use text::{plain, plain_lines};

/// What a run found: version 1 of the format that scripts rely on. `schema/report.v1.json` is
/// generated from these types.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// The version of this format: 1.
    pub version: u32,
    /// What made the report.
    pub tool: Tool,
    /// What was examined.
    pub host: HostInfo,
    /// When the run began, by the clock of the machine that was looked at.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub started_at: Timestamp,
    /// How long the run took, in milliseconds; 0 for an analysis of a recording.
    pub duration_ms: u64,
    /// False only where the run was cut short (deadline, interrupt).
    pub complete: bool,
    /// The whole in numbers.
    pub summary: Summary,
    /// Each check, in the order of the catalogue.
    pub checks: Vec<CheckReport>,
}

/// What made a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tool {
    /// `gldoctor`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What was examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostInfo {
    /// The host's own name.
    pub name: String,
    /// What it serves as: `gitlab`, `registry`, `runner`, `docker`.
    pub roles: Vec<String>,
    /// How it was looked at.
    pub source: Source,
    /// The version of GitLab that is installed, where it is.
    pub gitlab_version: Option<String>,
}

/// How a host was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The running system.
    Live,
    /// A root folder (`--root`).
    Root,
    /// A recording.
    Bundle,
}

/// The whole in numbers. Checks are counted, not findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    /// The worst check's.
    pub status: Overall,
    /// What `gldoctor` exits with.
    pub exit_code: u8,
    /// Checks whose title holds.
    pub passed: usize,
    /// Checks whose worst finding is a notice.
    pub notices: usize,
    /// Checks whose worst finding is a warning.
    pub warnings: usize,
    /// Checks whose worst finding is an error.
    pub errors: usize,
    /// Checks that found nothing but could not look everywhere.
    pub unknown: usize,
    /// Checks whose subject is not on this host, or that the user left out.
    pub not_applicable: usize,
    /// Findings that the user has waived.
    pub waived: usize,
}

/// The status of a whole run. Later is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Overall {
    /// Every check that applies passed.
    Ok,
    /// Something is worth knowing.
    Notice,
    /// Something could not be told.
    Unknown,
    /// Something will break, or is unsafe.
    Warning,
    /// Users are affected.
    Error,
}

/// What became of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckReport {
    /// `group/name`.
    pub id: String,
    /// A clause that is true when all is well.
    pub title: String,
    /// Its worst finding's severity, or why there is none.
    pub status: Status,
    /// Why it is unknown or not applicable; for a check with findings, what it could not see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Everything that its verdict rests on.
    pub looked_at: Vec<String>,
    /// Worst first.
    pub findings: Vec<FindingReport>,
}

/// The status of one check. Later is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its subject is not here, or the user left it out.
    NotApplicable,
    /// It looked, and its title holds.
    Passed,
    /// Worth knowing.
    Notice,
    /// It could not look everywhere, and found nothing where it could.
    Unknown,
    /// Will break, or is unsafe.
    Warning,
    /// Users are affected.
    Error,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FindingReport {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name for scripts.
    pub code: String,
    /// The file, URL or name that it is about.
    pub subject: String,
    /// What is wrong.
    pub message: String,
    /// What was seen.
    pub evidence: Vec<Evidence>,
    /// What to do.
    pub remedy: Remedy,
    /// The documentation that it rests on.
    pub docs: String,
    /// The ID of the check whose finding explains this one, if any.
    pub caused_by: Option<String>,
    /// Why the user has waived it, if they have.
    pub waived: Option<String>,
}

/// What a report says besides its checks.
pub struct Preamble {
    /// What was examined.
    pub host: HostInfo,
    /// When the run began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// From which severity on findings make the exit code 1.
    pub fail_on: Severity,
}

/// The formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For an administrator at 3 a.m.
    Human,
    /// A line for each finding.
    Short,
    /// For programs.
    Json,
}

impl Report {
    /// Tells what became of the checks.
    pub fn new(preamble: Preamble, outcomes: &[Outcome]) -> Self {
        let causes = checks::explain(outcomes);
        let checks: Vec<_> = outcomes
            .iter()
            .zip(causes)
            .map(|(outcome, causes)| CheckReport::new(outcome, causes))
            .collect();
        Self {
            version: 1,
            tool: Tool {
                name: env!("CARGO_PKG_NAME").to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            host: preamble.host,
            started_at: preamble.started_at,
            duration_ms: millis(preamble.duration),
            complete: !outcomes.iter().any(Outcome::was_cut_short),
            summary: Summary::of(&checks, preamble.fail_on),
            checks,
        }
    }

    /// The report in a format, ending with a line break.
    pub fn render(&self, format: Format, style: &Style) -> String {
        match format {
            Format::Human => human::write(self, style),
            Format::Short => short::write(self),
            Format::Json => json::write(self),
        }
    }
}

impl CheckReport {
    fn new(outcome: &Outcome, causes: Vec<Option<&'static str>>) -> Self {
        let findings: Vec<_> = outcome
            .findings()
            .iter()
            .zip(causes)
            .map(|(finding, cause)| FindingReport {
                severity: finding.severity,
                code: finding.code.to_owned(),
                subject: finding.subject.clone(),
                message: finding.message.clone(),
                evidence: finding.evidence.clone(),
                remedy: finding.remedy.clone(),
                docs: finding.docs.to_owned(),
                caused_by: cause.map(str::to_owned),
                waived: None,
            })
            .collect();
        let (status, reason) = match &outcome.result {
            Err(Stop::NotApplicable(why)) => (Status::NotApplicable, Some(why.clone())),
            Err(Stop::Unknown(why)) => (Status::Unknown, Some(why.to_string())),
            Ok(verdict) => judge(verdict),
        };
        Self {
            id: outcome.check.id.to_owned(),
            title: outcome.check.title.to_owned(),
            status,
            reason,
            duration_ms: millis(outcome.duration),
            looked_at: outcome.looked_at.clone(),
            findings,
        }
    }

    /// Whether something that was wanted could not be seen.
    fn is_incomplete(&self) -> bool {
        self.status != Status::NotApplicable && self.reason.is_some()
    }
}

fn judge(verdict: &Verdict) -> (Status, Option<String>) {
    let told = |(what, why): &(String, Unknown)| format!("{what}: {why}");
    let untold: Vec<_> = verdict.untold.iter().map(told).collect();
    let worst = verdict.findings.iter().map(|finding| finding.severity).max();
    let status = match worst {
        Some(severity) => severity.into(),
        None if untold.is_empty() => Status::Passed,
        None => Status::Unknown,
    };
    (status, (!untold.is_empty()).then(|| untold.join("; ")))
}

impl Summary {
    fn of(checks: &[CheckReport], fail_on: Severity) -> Self {
        let count = |status| checks.iter().filter(|check| check.status == status).count();
        let worst = checks.iter().map(|check| check.status).max().unwrap_or(Status::NotApplicable);
        let failed = checks
            .iter()
            .flat_map(|check| &check.findings)
            .any(|finding| finding.severity >= fail_on && finding.waived.is_none());
        let exit_code = match failed {
            true => 1,
            false if checks.iter().any(CheckReport::is_incomplete) => 3,
            false => 0,
        };
        let findings = checks.iter().flat_map(|check| &check.findings);
        Self {
            status: worst.into(),
            exit_code,
            passed: count(Status::Passed),
            notices: count(Status::Notice),
            warnings: count(Status::Warning),
            errors: count(Status::Error),
            unknown: count(Status::Unknown),
            not_applicable: count(Status::NotApplicable),
            waived: findings.filter(|finding| finding.waived.is_some()).count(),
        }
    }
}

impl From<Severity> for Status {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Notice => Self::Notice,
            Severity::Warning => Self::Warning,
            Severity::Error => Self::Error,
        }
    }
}

impl From<Status> for Overall {
    fn from(status: Status) -> Self {
        match status {
            Status::NotApplicable | Status::Passed => Self::Ok,
            Status::Notice => Self::Notice,
            Status::Unknown => Self::Unknown,
            Status::Warning => Self::Warning,
            Status::Error => Self::Error,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
