//! Root causes: which finding explains which.
//!
//! A finding says what it `explains` and what it `follows` from; this module only matches the two.
//! So a check knows nothing of other checks, and a new check takes part by naming its causes.

use super::{Finding, Outcome};

/// What can be at the bottom of other findings. Earlier variants lie deeper: when several causes
/// explain a finding, the deepest is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// This host's clock.
    Clock,
    /// A host name that does not resolve as it should.
    Name(String),
    /// A service that cannot be reached, as `host:port`.
    Service(String),
    /// A file or folder that lies or is called wrong, by its right path.
    File(String),
    /// A certificate that is bad in itself, by its SHA-256.
    Certificate(String),
    /// A setting that is written but not in effect, as `section.key`.
    Setting(String),
}

/// Finds for every finding the ID of the check that explains it. The answer has one entry for
/// each finding of each outcome, in order.
pub fn explain(outcomes: &[Outcome]) -> Vec<Vec<Option<&'static str>>> {
    outcomes
        .iter()
        .map(|outcome| {
            let findings = outcome.findings().iter();
            findings.map(|finding| explanation(outcomes, outcome, finding)).collect()
        })
        .collect()
}

fn explanation(outcomes: &[Outcome], own: &Outcome, finding: &Finding) -> Option<&'static str> {
    let others = outcomes.iter().filter(|other| other.check.id != own.check.id);
    let causes = others.flat_map(|other| {
        let explained = other.findings().iter().flat_map(|other| &other.explains);
        explained.map(|cause| (cause, other.check.id))
    });
    causes
        .filter(|(cause, _)| finding.follows.contains(cause))
        // What lies deeper than a finding's own cause can explain it; its equals cannot, or two
        // checks that see one dead service would explain each other.
        .filter(|(cause, _)| finding.explains.iter().all(|own| *cause < own))
        .min()
        .map(|(_, id)| id)
}
