//! A line for each finding and for each check that could not look: for grep, and for logs.

use std::fmt::Write as _;

use super::text::plain;
use super::{Report, Status};

pub(super) fn write(report: &Report) -> String {
    let mut out = String::new();
    for check in &report.checks {
        for finding in &check.findings {
            let severity = super::text::severity(finding.severity);
            let cause = finding.caused_by.as_ref().map(|id| format!(" (because of {id})"));
            line(
                &mut out,
                severity,
                &check.id,
                &format!("{}: {}{}", finding.subject, finding.message, cause.unwrap_or_default()),
            );
        }
        if let (Some(reason), false) = (&check.reason, check.status == Status::NotApplicable) {
            line(&mut out, "unknown", &check.id, reason);
        }
    }
    let _ = writeln!(out, "{}", super::text::summary(report));
    out
}

fn line(out: &mut String, status: &str, id: &str, text: &str) {
    let _ = writeln!(out, "{status:<8}{id}: {}", plain(text));
}
