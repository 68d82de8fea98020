//! Every recording in `fixtures/` yields the report beside it, and every check has its page, its
//! line in the list and its fixtures.
//!
//! To add a case: drop the recording, run `SNAPSHOTS=overwrite cargo test --test checks`, and read
//! the new text.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may fail and may read")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gldoctor::checks::{self, Check, Selection};
use gldoctor::examination::Examination;
use gldoctor::host::{Host, Recording};
use gldoctor::report::{Format, Report, Status, Style};
use snapbox::{Assert, Data};

/// What the name of a case promises of its report.
const KINDS: [(&str, &[Status]); 4] = [
    ("healthy", &[Status::Passed]),
    ("faulty", &[Status::Notice, Status::Warning, Status::Error]),
    ("near-miss", &[Status::Passed]),
    ("cannot-look", &[Status::Unknown]),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The recordings of a check, sorted.
fn cases(check: &Check) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(fixtures().join(check.id)) else { return Vec::new() };
    let files = folder.map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|it| it == "json")).collect();
    cases.sort();
    cases
}

fn kind_of(case: &Path) -> Option<&'static (&'static str, &'static [Status])> {
    let name = case.file_stem()?.to_str()?;
    KINDS.iter().find(|(kind, _)| name.starts_with(kind))
}

/// The report of one check on one recording.
fn replay(check: &Check, case: &Path) -> Report {
    let content = fs::read(case).unwrap();
    let recording =
        Recording::parse(&content).unwrap_or_else(|e| panic!("{}: {e}", case.display()));
    let selection = Selection::new(&[check.id.to_owned()], &[]).unwrap();
    let host = Host::recorded(recording.looks);
    let examination = Examination { selection, ..Examination::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut report = runtime.block_on(examination.of(&host)).unwrap();
    report.checks.retain(|other| other.id == check.id);
    report
}

#[test]
fn every_recording_yields_the_text_beside_it() {
    for check in checks::all() {
        for case in cases(check) {
            let report = replay(check, &case);
            let status = report.checks[0].status;
            let (kind, allowed) = kind_of(&case).unwrap();
            assert!(allowed.contains(&status), "{} is {status:?}, a {kind} case", case.display());
            let text = report.render(Format::Human, &Style::default());
            // The first lines name the version of gldoctor, the last ones count all checks: neither
            // is a matter of this one.
            let body = text.split_once("\n\n").map_or(text.as_str(), |(_, body)| body);
            let body = body.rsplit_once("\n\n").map_or(body, |(body, _)| body).to_owned() + "\n";
            let expected = Data::read_from(&case.with_extension("txt"), None);
            // Raw: a backslash in a command is no path of another system.
            Assert::new().action_env("SNAPSHOTS").eq(body, expected.raw());
        }
    }
}

#[test]
fn every_check_has_a_case_of_each_kind() {
    let mut missing = Vec::new();
    for check in checks::all() {
        let found: BTreeSet<_> =
            cases(check).iter().filter_map(|case| kind_of(case)).map(|(kind, _)| *kind).collect();
        let lacking = KINDS.iter().filter(|(kind, _)| !found.contains(kind));
        missing.extend(lacking.map(|(kind, _)| format!("fixtures/{}/{kind}*.json", check.id)));
        let strange = cases(check).into_iter().filter(|case| kind_of(case).is_none());
        missing.extend(strange.map(|case| format!("a kind of case for {}", case.display())));
    }
    assert!(missing.is_empty(), "missing:\n{}", missing.join("\n"));
}

#[test]
fn every_page_says_why_what_and_how() {
    for check in checks::all() {
        for section in ["## Why it matters", "## What is looked at", "## How to fix it"] {
            assert!(check.page.contains(section), "the page of {} lacks '{section}'", check.id);
        }
    }
}

#[test]
fn the_list_and_the_files_agree() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/checks");
    let listed: BTreeSet<_> = checks::all().map(|check| check.id.to_owned()).collect();
    let mut written = BTreeSet::new();
    for group in fs::read_dir(&source).unwrap() {
        let group = group.unwrap().path();
        if !group.is_dir() {
            continue;
        }
        for file in fs::read_dir(&group).unwrap() {
            let file = file.unwrap().path();
            let text = fs::read_to_string(&file).unwrap_or_default();
            // Only files that make a check; a group may have helpers beside them.
            if text.contains("\ncheck! {") {
                let name = file.file_stem().unwrap().to_str().unwrap().replace('_', "-");
                let group = group.file_name().unwrap().to_str().unwrap();
                written.insert(format!("{group}/{name}"));
            }
        }
    }
    assert_eq!(listed, written, "a check's ID is its file, and its line stands in its group");
    for check in checks::all() {
        assert_eq!(checks::GROUPS.iter().filter(|it| it.name == check.group()).count(), 1);
    }
}

#[test]
fn no_fixture_is_left_without_a_check() {
    let groups: BTreeSet<_> = checks::GROUPS.iter().map(|group| group.name).collect();
    for group in &groups {
        let Ok(folders) = fs::read_dir(fixtures().join(group)) else { continue };
        for folder in folders {
            let name = folder.unwrap().file_name().into_string().unwrap();
            let id = format!("{group}/{name}");
            assert!(checks::find(&id).is_ok(), "fixtures/{id} belongs to no check");
        }
    }
}
