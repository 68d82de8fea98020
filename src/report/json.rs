//! The report for programs: version 1, frozen in `schema/report.v1.json`.

use super::Report;

pub(super) fn write(report: &Report) -> String {
    // A report is plain data with string keys: it always serializes.
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    text
}
