//! What the formats for people share: words, wrapping, and text made safe for a terminal.

use super::Report;
use crate::checks::Severity;

/// The word for a severity.
pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Notice => "notice",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// The one line that says it all.
pub(super) fn summary(report: &Report) -> String {
    let summary = &report.summary;
    let counted = [
        (summary.errors, "with errors"),
        (summary.warnings, "with warnings"),
        (summary.notices, "with notices"),
        (summary.unknown, "unknown"),
        (summary.passed, "passed"),
        (summary.not_applicable, "not applicable"),
    ];
    let parts: Vec<_> = counted
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    format!("{} checks: {}", report.checks.len(), parts.join(", "))
}

/// Text from outside on one line, without characters that could steer a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

/// The same for text of several lines.
pub(crate) fn plain_lines(text: &str) -> String {
    text.chars().map(|c| if c != '\n' && steers(c) { ' ' } else { c }).collect()
}

/// Whether a terminal would act upon this character, or show text in another order because of it,
/// and with that something else than is written.
pub(super) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Breaks text into lines of at most `width` characters between words; a longer word stands on a
/// line of its own.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in plain(text).split_whitespace() {
        let last = lines.last_mut();
        match last {
            Some(line) if line.is_empty() => word.clone_into(line),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[test]
fn wrapping_keeps_every_word_and_the_width() {
    assert_eq!(wrap("one two three", 7), ["one two", "three"]);
    assert_eq!(wrap("a averylongword b", 5), ["a", "averylongword", "b"]);
    assert_eq!(wrap("", 5), [""]);
}

#[test]
fn nothing_from_outside_steers_the_terminal() {
    assert_eq!(plain("a\x1b[31mb\r\nc\u{202e}d"), "a [31mb  c d");
    assert_eq!(plain_lines("a\u{9b}31m\r\nb"), "a 31m \nb");
}
