//! Which checks the user wants: `--only` and `--skip`, by ID, group or glob.

use regex::Regex;

use super::{Check, all};

/// What `--only` and `--skip` say.
#[derive(Debug, Default)]
pub struct Selection {
    only: Vec<Pattern>,
    skip: Vec<Pattern>,
}

/// A pattern that fits no check, with the nearest name there is.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no check or group '{pattern}'{}", hint(nearest.as_deref()))]
pub struct UnknownCheck {
    /// As the user wrote it.
    pub pattern: String,
    /// What was perhaps meant.
    pub nearest: Option<String>,
}

pub(super) fn hint(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean '{name}'?")).unwrap_or_default()
}

#[derive(Debug)]
struct Pattern(Regex);

impl Selection {
    /// Reads the flags; every pattern has to fit some check.
    pub fn new(only: &[String], skip: &[String]) -> Result<Self, UnknownCheck> {
        let read = |patterns: &[String]| {
            patterns.iter().map(|text| Pattern::new(text)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self { only: read(only)?, skip: read(skip)? })
    }

    /// Why the user does not want this check; `None` if they do.
    pub fn leaves_out(&self, check: &Check) -> Option<String> {
        if self.skip.iter().any(|pattern| pattern.fits(check)) {
            return Some("left out by --skip".to_owned());
        }
        let wanted = self.only.is_empty() || self.only.iter().any(|pattern| pattern.fits(check));
        (!wanted).then(|| "left out by --only".to_owned())
    }
}

/// The check with this ID, or the nearest name there is.
pub fn find(id: &str) -> Result<&'static Check, UnknownCheck> {
    all().find(|check| check.id == id).ok_or_else(|| unknown(id))
}

impl Pattern {
    fn new(text: &str) -> Result<Self, UnknownCheck> {
        let glob = regex::escape(text.trim_end_matches('/'))
            .replace(r"\*", "[^/]*")
            .replace(r"\?", "[^/]");
        let regex = Regex::new(&format!("^{glob}(/.*)?$")).map_err(|_| unknown(text))?;
        let pattern = Self(regex);
        if all().any(|check| pattern.fits(check)) { Ok(pattern) } else { Err(unknown(text)) }
    }

    fn fits(&self, check: &Check) -> bool {
        self.0.is_match(check.id)
    }
}

fn unknown(pattern: &str) -> UnknownCheck {
    let groups = super::GROUPS.iter().map(|group| group.name);
    let names = all().map(|check| check.id).chain(groups);
    let nearest = nearest(names, pattern).map(ToOwned::to_owned);
    UnknownCheck { pattern: pattern.to_owned(), nearest }
}

/// The name that was perhaps meant: the nearest, if half of its letters stand.
pub(super) fn nearest<'a>(names: impl Iterator<Item = &'a str>, wrong: &str) -> Option<&'a str> {
    names
        .map(|name| (distance(name, wrong), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len() / 2)
        .map(|(_, name)| name)
}

/// How many letters have to change (Levenshtein).
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let cost = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[test]
fn distance_counts_changed_letters() {
    assert_eq!(distance("registry/api", "registry/api"), 0);
    assert_eq!(distance("registry/api", "registry/apis"), 1);
    assert_eq!(distance("", "abc"), 3);
}

#[test]
fn patterns_are_ids_groups_and_globs() {
    let chosen = |only: &str| {
        let selection = Selection::new(&[only.to_owned()], &[]).unwrap();
        all().filter(|check| selection.leaves_out(check).is_none()).count()
    };
    assert_eq!(chosen("registry/api"), 1);
    assert!(chosen("registry") > 1);
    assert_eq!(chosen("registry"), chosen("registry/*"));
    assert_eq!(chosen("*"), all().count());
}

#[test]
fn a_misspelt_id_is_told_the_nearest() {
    let error = Selection::new(&["registry/apy".to_owned()], &[]).unwrap_err();
    assert_eq!(error.nearest.as_deref(), Some("registry/api"));
}
