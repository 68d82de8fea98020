//! What an administrator is told of a fault.

use super::cure::cure;
use super::fault::{Fault, Kind, noun};
use super::usage::{Half, Program, Usage, docs_of};
use crate::checks::{Evidence, Finding};

impl Fault {
    /// A file that its program cannot use.
    pub(super) fn finding(&self, usage: &Usage, half: Half) -> Finding {
        let file = usage.path(half);
        let message = match &self.kind {
            // nginx starts with these, and can do nothing with them.
            Kind::Algorithm { .. } if usage.program() == Program::Nginx => {
                format!("{}: every TLS handshake fails", self.clause(usage.program(), half))
            }
            _ => format!("{}: {}", self.clause(usage.program(), half), usage.consequence(half)),
        };
        let finding = usage.describe(Finding::error(self.code(), file.as_str(), message));
        let finding = self.place(finding, usage, half);
        cure(finding, &self.kind, usage, half).docs(docs_of(usage))
    }

    /// A block that a program skips without a word, while it finds others.
    pub(super) fn ignored(&self, usage: &Usage) -> Finding {
        let half = Half::Certificate;
        let line = self.line.unwrap_or(1);
        let message = format!(
            "one certificate is left out, the one near line {line}: {}",
            self.clause(usage.program(), half)
        );
        let finding = Finding::warning("certificate-ignored", usage.path(half).as_str(), message);
        let finding = self.place(usage.describe(finding), usage, half);
        cure(finding, &self.kind, usage, half).docs(docs_of(usage))
    }

    fn place(&self, finding: Finding, usage: &Usage, half: Half) -> Finding {
        let Some(line) = self.line else { return finding };
        let place = Evidence::new("the block", noun(half));
        finding.evidence(place.at(usage.path(half).as_str(), u32::try_from(line).ok()))
    }
}
