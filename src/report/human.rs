//! The report for an administrator at 3 a.m. on an 80-column console: problems last and in full,
//! root causes first among them, and the next command to type at the very end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style as Ansi};

use super::text::{plain, severity, summary, wrap};
use super::{CheckReport, FindingReport, Report, Source, Status};
use crate::checks::Severity;

/// How the text looks.
#[derive(Debug, Clone)]
pub struct Style {
    /// Columns to fill.
    pub width: usize,
    /// Whether symbols beyond ASCII can be shown.
    pub symbols: Symbols,
    /// Whether every pass and every check that does not apply is listed.
    pub verbose: bool,
    /// Whether only problems are told.
    pub quiet: bool,
    /// Whether colours are used; they are never the only sign.
    pub color: bool,
}

/// The few symbols of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symbols {
    /// `✓ ✗ ! ·`
    Unicode,
    /// `+ x ! .`
    Ascii,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: 80, symbols: Symbols::Unicode, verbose: false, quiet: false, color: false }
    }
}

pub(super) fn write(report: &Report, style: &Style) -> String {
    let mut page = Page { out: String::new(), style };
    if !style.quiet {
        page.heading(report);
        page.passes(report);
        page.not_applicable(report);
    }
    page.unknown(report);
    page.problems(report);
    page.closing(report);
    page.out
}

struct Page<'a> {
    out: String,
    style: &'a Style,
}

/// A finding with the check that it belongs to.
type Problem<'a> = (&'a CheckReport, &'a FindingReport);

impl Page<'_> {
    fn heading(&mut self, report: &Report) {
        let host = &report.host;
        let version = host.gitlab_version.as_ref().map(|version| format!(", GitLab {version}"));
        let source = match host.source {
            Source::Live => "",
            Source::Root => ", its files (--root)",
            Source::Bundle => ", from a recording",
        };
        let roles = match host.roles.as_slice() {
            [] => "nothing of GitLab found".to_owned(),
            roles => roles.join(", "),
        };
        let title = format!(
            "gldoctor {}: {} ({roles}{}{source})",
            report.tool.version,
            plain(&host.name),
            version.unwrap_or_default()
        );
        self.wrapped("", "  ", &title);
        self.line("");
    }

    /// One line a group; each check by name with `-v`.
    fn passes(&mut self, report: &Report) {
        for (group, checks) in by_group(report, |check| check.status == Status::Passed) {
            let sign = self.paint(self.sign(Sign::Passed), AnsiColor::Green);
            if self.style.verbose {
                for check in checks {
                    self.line(&format!("{sign} {}: {}", check.id, check.title));
                    self.looked_at(check);
                }
            } else {
                let names: Vec<_> = checks.iter().map(|check| name(check)).collect();
                self.hanging(&format!("{sign} {group:<9}"), 11, &names.join(", "));
            }
        }
    }

    /// Counted and named, by reason.
    fn not_applicable(&mut self, report: &Report) {
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for check in report.checks.iter().filter(|check| check.status == Status::NotApplicable) {
            reasons.entry(check.reason.as_deref().unwrap_or_default()).or_default().push(&check.id);
        }
        for (reason, ids) in reasons {
            let sign = self.sign(Sign::NotApplicable);
            let text = format!("not applicable ({reason}): {}", ids.join(", "));
            self.hanging(&format!("{sign} "), 2, &text);
        }
    }

    fn unknown(&mut self, report: &Report) {
        let untold = report.checks.iter().filter(|check| check.is_incomplete());
        let untold: Vec<_> = untold.collect();
        if untold.is_empty() {
            return;
        }
        self.gap();
        let sign = self.paint(self.sign(Sign::Unknown), AnsiColor::Cyan);
        let mut refused: BTreeMap<&str, Refused> = BTreeMap::new();
        for check in untold {
            let reason = check.reason.as_deref().unwrap_or_default();
            match refusals(reason) {
                Some((how, paths)) if !self.style.verbose => {
                    let refused = refused.entry(how).or_default();
                    refused.paths.extend(paths);
                    refused.checks.push(check);
                }
                _ => {
                    let text = format!("could not tell {}: {reason}", check.id);
                    self.hanging(&format!("{sign} "), 2, &text);
                }
            }
        }
        for (how, refused) in refused {
            let text = match refused.checks.as_slice() {
                [check] => {
                    let reason = check.reason.as_deref().unwrap_or_default();
                    format!("could not tell {}: {reason}", check.id)
                }
                checks => {
                    let ids: Vec<_> = checks.iter().map(|check| check.id.as_str()).collect();
                    let paths: Vec<_> = refused.paths.into_iter().collect();
                    format!("could not tell {}: {}: {how}", ids.join(", "), paths.join(", "))
                }
            };
            self.hanging(&format!("{sign} "), 2, &text);
        }
    }

    /// Least bad first, so that the worst stands where the eye rests; among equals, what explains
    /// others comes first.
    fn problems(&mut self, report: &Report) {
        let problems = report
            .checks
            .iter()
            .flat_map(|check| check.findings.iter().map(move |finding| (check, finding)));
        let (mut roots, followers): (Vec<Problem>, Vec<Problem>) =
            problems.partition(|(_, finding)| finding.caused_by.is_none());
        let explained_by = |(check, finding): &Problem| -> Vec<Problem> {
            let tells = is_first(check, finding);
            let of = |follower: &&Problem| tells && root_of(report, follower.1) == Some(&check.id);
            followers.iter().filter(of).copied().collect()
        };
        roots.sort_by_key(|root| (root.1.severity, explained_by(root).is_empty()));
        for root in &roots {
            self.problem(root.0, root.1);
            self.explained(&explained_by(root));
        }
    }

    /// What a verdict rests on, with `-v`.
    fn looked_at(&mut self, check: &CheckReport) {
        if self.style.verbose && !check.looked_at.is_empty() {
            let looks = format!("looked at: {}", check.looked_at.join("; "));
            self.wrapped("    ", "      ", &looks);
        }
    }

    fn problem(&mut self, check: &CheckReport, finding: &FindingReport) {
        self.gap();
        let (sign, color) = match finding.severity {
            Severity::Notice => (Sign::Notice, AnsiColor::Blue),
            Severity::Warning => (Sign::Warning, AnsiColor::Yellow),
            Severity::Error => (Sign::Error, AnsiColor::Red),
        };
        let word = severity(finding.severity).to_uppercase();
        let label = self.paint(&format!("{} {word}", self.sign(sign)), color);
        let id = self.bold(&check.id);
        self.line(&format!("{label}  {id}  {}", finding.code));
        self.wrapped("  ", "  ", &format!("{}: {}", finding.subject, finding.message));
        for evidence in &finding.evidence {
            let place = match (&evidence.path, evidence.line) {
                (Some(path), Some(line)) => format!("  ({path}:{line})"),
                (Some(path), None) => format!("  ({path})"),
                _ => String::new(),
            };
            self.wrapped(
                "    ",
                "      ",
                &format!("{}: {}{place}", evidence.what, evidence.value),
            );
        }
        if is_first(check, finding) {
            self.looked_at(check);
        }
        self.remedy(finding);
    }

    fn remedy(&mut self, finding: &FindingReport) {
        if !finding.remedy.advice.is_empty() {
            let arrow = if self.style.symbols == Symbols::Unicode { "→" } else { "->" };
            self.wrapped(&format!("  {arrow} "), "    ", &finding.remedy.advice);
        }
        for command in &finding.remedy.commands {
            // A command is never wrapped: it is there to be pasted.
            for line in command.lines() {
                let line = self.bold(&plain(line));
                self.line(&format!("      {line}"));
            }
        }
        if !finding.docs.is_empty() {
            self.line(&format!("    {}", finding.docs));
        }
    }

    fn explained(&mut self, followers: &[Problem]) {
        match followers.len() {
            0 => return,
            1 => self.line("  explains 1 other:"),
            many => self.line(&format!("  explains {many} others:")),
        }
        for (check, finding) in followers {
            let text = format!("{}: {}: {}", check.id, finding.subject, finding.message);
            self.wrapped("    - ", "      ", &text);
        }
    }

    fn closing(&mut self, report: &Report) {
        self.gap();
        let cut = if report.complete { "" } else { " (cut short: not everything was looked at)" };
        let line = self.bold(&format!("{}{cut}", summary(report)));
        self.line(&line);
        // What another check explains is not where to begin.
        let is_root = |finding: &FindingReport| finding.caused_by.is_none();
        let worst = report.checks.iter().filter(|check| check.findings.iter().any(is_root));
        // The first of the worst: max_by_key would take the last.
        let worst = worst.rev().max_by_key(|check| check.status);
        if let Some(check) = worst {
            self.line(&format!("Next: gldoctor explain {}", check.id));
        }
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{}", text.trim_end());
    }

    fn gap(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// Text that fills the width, the first line behind `first` and the others behind `rest`.
    fn wrapped(&mut self, first: &str, rest: &str, text: &str) {
        let indent = rest.chars().count();
        let lines = wrap(text, self.style.width.saturating_sub(indent).max(20));
        for (i, line) in lines.iter().enumerate() {
            self.line(&format!("{}{line}", if i == 0 { first } else { rest }));
        }
    }

    /// The same behind a label that may hold colours, and that is `indent` columns wide.
    fn hanging(&mut self, label: &str, indent: usize, text: &str) {
        self.wrapped(label, &" ".repeat(indent), text);
    }

    fn sign(&self, sign: Sign) -> &'static str {
        let (unicode, ascii) = match sign {
            Sign::Passed => ("✓", "+"),
            Sign::NotApplicable => ("·", "."),
            Sign::Unknown => ("?", "?"),
            Sign::Notice => ("i", "i"),
            Sign::Warning => ("!", "!"),
            Sign::Error => ("✗", "x"),
        };
        if self.style.symbols == Symbols::Unicode { unicode } else { ascii }
    }

    fn paint(&self, text: &str, color: AnsiColor) -> String {
        self.styled(text, color.on_default().bold())
    }

    fn bold(&self, text: &str) -> String {
        self.styled(text, Ansi::new().bold())
    }

    fn styled(&self, text: &str, style: Ansi) -> String {
        if self.style.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

#[derive(Clone, Copy)]
enum Sign {
    Passed,
    NotApplicable,
    Unknown,
    Notice,
    Warning,
    Error,
}

/// What was refused in one way, and the checks that wanted it.
#[derive(Default)]
struct Refused<'a> {
    paths: BTreeSet<&'a str>,
    checks: Vec<&'a CheckReport>,
}

/// How and at which paths the system refused the look, if that is all that a reason says: without
/// the right to read one file, most checks say the same.
fn refusals(reason: &str) -> Option<(&str, Vec<&str>)> {
    let mut how = None;
    let mut paths = Vec::new();
    for part in reason.split("; ") {
        let (before, _) = part.split_once(": permission denied for ")?;
        let own = &part[before.len() + 2..];
        if *how.get_or_insert(own) != own {
            return None;
        }
        paths.push(before.rsplit_once(": ").map_or(before, |(_, path)| path));
    }
    Some((how?, paths))
}

/// The second half of an ID.
fn name(check: &CheckReport) -> &str {
    check.id.split_once('/').map_or(check.id.as_str(), |(_, name)| name)
}

/// The checks that fit, by group, in the order of the report.
fn by_group(
    report: &Report,
    fits: impl Fn(&CheckReport) -> bool,
) -> Vec<(&str, Vec<&CheckReport>)> {
    let mut groups: Vec<(&str, Vec<&CheckReport>)> = Vec::new();
    for check in report.checks.iter().filter(|check| fits(check)) {
        let group = check.id.split_once('/').map_or(check.id.as_str(), |(group, _)| group);
        match groups.last_mut() {
            Some((last, checks)) if *last == group => checks.push(check),
            _ => groups.push((group, vec![check])),
        }
    }
    groups
}

/// What a check explains is told once, behind the first finding of its own that nothing explains.
fn is_first(check: &CheckReport, finding: &FindingReport) -> bool {
    let first = check.findings.iter().find(|finding| finding.caused_by.is_none());
    first.is_some_and(|first| std::ptr::eq(first, finding))
}

/// The check at the bottom of a chain of causes: the first that has a finding nothing explains.
/// Each step leads to a deeper cause, so the chain ends; the bound only spares the proof.
fn root_of<'a>(report: &'a Report, finding: &'a FindingReport) -> Option<&'a String> {
    let mut cause = finding.caused_by.as_ref()?;
    for _ in 0..report.checks.len() {
        let check = report.checks.iter().find(|check| check.id == *cause)?;
        if check.findings.iter().any(|own| own.caused_by.is_none()) {
            return Some(cause);
        }
        // Findings of one check may explain each other; the way down leads out of it.
        let mut causes = check.findings.iter().filter_map(|own| own.caused_by.as_ref());
        cause = causes.find(|deeper| *deeper != cause)?;
    }
    Some(cause)
}

#[test]
fn what_the_system_refuses_is_told_once_for_all_checks() {
    let denied = |path: &str| format!("{path}: permission denied for user id 1 (run it with sudo)");
    let (one, other) = (denied("/etc/a"), denied("/etc/b"));
    let how = "permission denied for user id 1 (run it with sudo)";
    assert_eq!(refusals(&one), Some((how, vec!["/etc/a"])));
    let both = format!("GitLab's address: {one}; the runner: {other}");
    assert_eq!(refusals(&both), Some((how, vec!["/etc/a", "/etc/b"])));
    assert_eq!(refusals(&format!("{one}; b: no answer within 10 s")), None);
    assert_eq!(refusals("the recording does not hold this look"), None);
}
