//! The report for programs: version 1, frozen in `schema/report.v1.json`.

use std::fmt::Write as _;

use super::Report;
use super::text::steers;

pub(super) fn write(report: &Report) -> String {
    // A report is plain data with string keys: it always serializes.
    let mut text = escaped(&serde_json::to_string_pretty(report).unwrap_or_default());
    text.push('\n');
    text
}

/// JSON need not escape everything that a terminal would act upon, and people do look at it in
/// one. Such characters stand within strings only, so the document stays what it is.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && steers(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[test]
fn json_steers_no_terminal_and_says_the_same() {
    let text = "a\u{1b}[31m\u{9b}31m\u{7f}\u{202e}\n\u{e9}";
    let json = serde_json::to_string_pretty(&[text]).unwrap();
    let safe = escaped(&json);
    assert!(!safe.chars().any(|c| c != '\n' && steers(c)), "{safe}");
    assert_eq!(serde_json::from_str::<[String; 1]>(&safe).unwrap(), [text]);
}
