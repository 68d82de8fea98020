//! `checks` judge. A check is a small function from a host to a verdict; it does no io of its own.
//!
//! Each lies in `src/checks/<group>/<name>.rs` and has the ID `<group>/<name>`. Its doc comment is
//! the page that `gldoctor explain` prints. The list of all is [`GROUPS`]; a test holds the list,
//! the files, the pages and the fixtures against each other.

mod access;
mod causes;
mod engine;
mod finding;
pub mod path;
pub mod reach;
mod reload;
mod selection;
pub(crate) mod shell;
mod words;

pub mod clock;
pub mod docs;
pub mod metadata;
pub mod registry;
pub mod runner;
pub mod storage;
pub mod threshold;
pub mod tls;
pub mod trust;

use futures::future::BoxFuture;

pub use causes::{Cause, explain};
pub use engine::{Outcome, Run, run};
pub use finding::{Evidence, Finding, Remedy, Severity};
pub use selection::{Selection, UnknownCheck, find};

use crate::host::files::{Sample, Unread};
use crate::host::{Host, Unknown};

/// Every check, by subject, in the order of the reports.
pub static GROUPS: &[&Group] = &[
    &tls::GROUP,
    &trust::GROUP,
    &clock::GROUP,
    &registry::GROUP,
    &storage::GROUP,
    &metadata::GROUP,
    &runner::GROUP,
];

/// The checks on one subject.
pub struct Group {
    /// The first half of its checks' IDs.
    pub name: &'static str,
    /// What the group is about, in a few words.
    pub about: &'static str,
    /// In the order of the reports.
    pub checks: &'static [&'static Check],
}

/// One thing that should be true of an installation, and how to find out.
pub struct Check {
    /// `group/name`.
    pub id: &'static str,
    /// A clause that is true when all is well.
    pub title: &'static str,
    /// Its doc comment: why it matters, what is looked at, how to fix it.
    pub page: &'static str,
    /// Asks the host and judges.
    pub run: for<'a> fn(&'a Host) -> BoxFuture<'a, Result<Verdict, Stop>>,
}

/// What a check found. Both empty: its title holds.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Where it could not look, and why.
    pub untold: Vec<(String, Unknown)>,
}

/// Why a check has no verdict at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Its subject is not on this host, or the user left it out.
    NotApplicable(String),
    /// It could not look.
    Unknown(Unknown),
}

/// Every check there is, in order.
pub fn all() -> impl Iterator<Item = &'static Check> {
    GROUPS.iter().flat_map(|group| group.checks.iter().copied())
}

impl Check {
    /// The first half of the ID.
    pub fn group(&self) -> &'static str {
        self.id.split_once('/').map_or(self.id, |(group, _)| group)
    }
}

impl Verdict {
    /// Adds what was found.
    pub fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    /// Notes that one part could not be looked at; the rest of the verdict stands.
    pub fn untold(&mut self, what: impl Into<String>, why: Unknown) {
        self.untold.push((what.into(), why));
    }

    /// Notes the folders in which something could not be read, if there are any.
    pub fn unread(&mut self, what: &str, folders: &Sample<Unread>) {
        let Some(first) = folders.first.first() else { return };
        let what = match folders.count {
            1 => format!("{what} in one folder"),
            many => format!("{what} in {many} folders, the first of them"),
        };
        self.untold(what, first.why.clone());
    }

    /// The answer, or a note that there is none.
    pub fn told<T>(&mut self, what: &str, answer: Result<T, Unknown>) -> Option<T> {
        answer.map_err(|why| self.untold(what, why)).ok()
    }
}

impl Stop {
    /// Its subject is not here.
    pub fn not_applicable(why: impl Into<String>) -> Self {
        Self::NotApplicable(why.into())
    }
}

impl From<Unknown> for Stop {
    /// What the user left out makes a check not applicable, not unknown.
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::LeftOut(why) => Self::NotApplicable(why),
            unknown => Self::Unknown(unknown),
        }
    }
}

/// Makes a check of a page and the `run` function beside it.
macro_rules! check {
    ($(#[doc = $line:literal])+ $id:literal: $title:literal) => {
        $(#[doc = $line])+
        pub(super) static CHECK: crate::checks::Check = crate::checks::Check {
            id: $id,
            title: $title,
            page: concat!($($line, "\n"),+),
            run: |host| Box::pin(run(host)),
        };
    };
}
pub(crate) use check;
