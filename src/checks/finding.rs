//! What is wrong: one finding, its evidence and its mend.

use serde::{Deserialize, Serialize};

use super::Cause;
use crate::install::{Source, Sourced};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// It will break, or is unsafe.
    Warning,
    /// Users are affected now, or will be at the next restart, login, push or job.
    Error,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name for scripts, in kebab case.
    pub code: &'static str,
    /// The file, URL or name that it is about.
    pub subject: String,
    /// What is wrong, with the value; lower case, no final dot.
    pub message: String,
    /// What was seen, and where.
    pub evidence: Vec<Evidence>,
    /// What to do.
    pub remedy: Remedy,
    /// The section of the documentation that it rests on.
    pub docs: &'static str,
    /// What else goes wrong because of this.
    pub explains: Vec<Cause>,
    /// What would explain this, if it were found.
    pub follows: Vec<Cause>,
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Evidence {
    /// What it is.
    pub what: String,
    /// What was seen.
    pub value: String,
    /// The file it stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The line in that file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// The mend: an imperative sentence, and commands ready to paste.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Remedy {
    /// What to do.
    pub advice: String,
    /// Each with this host's real paths, names and ports.
    pub commands: Vec<String>,
}

impl Finding {
    /// A finding of any severity.
    pub fn new(
        severity: Severity,
        code: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            code,
            subject: bounded(subject.into()),
            message: bounded(message.into()),
            evidence: Vec::new(),
            remedy: Remedy::default(),
            docs: "",
            explains: Vec::new(),
            follows: Vec::new(),
        }
    }

    /// Users are affected now, or will be soon.
    pub fn error(
        code: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Error, code, subject, message)
    }

    /// It will break, or is unsafe.
    pub fn warning(
        code: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Warning, code, subject, message)
    }

    /// Worth knowing.
    pub fn notice(
        code: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Notice, code, subject, message)
    }

    /// Adds something seen.
    #[must_use]
    pub fn seen(mut self, what: impl Into<String>, value: impl ToString) -> Self {
        self.evidence.push(Evidence::new(what, value));
        self
    }

    /// Adds something seen at a place in a file.
    #[must_use]
    pub fn evidence(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn remedy<C: Into<String>>(
        mut self,
        advice: impl Into<String>,
        commands: impl IntoIterator<Item = C>,
    ) -> Self {
        let commands = commands.into_iter().map(Into::into).collect();
        self.remedy = Remedy { advice: advice.into(), commands };
        self
    }

    /// Links the documentation, see [`super::docs`].
    #[must_use]
    pub fn docs(mut self, url: &'static str) -> Self {
        self.docs = url;
        self
    }

    /// Says that findings which follow from `cause` are explained by this one.
    #[must_use]
    pub fn explains(mut self, cause: Cause) -> Self {
        self.explains.push(cause);
        self
    }

    /// Says that a finding which explains `cause` explains this one.
    #[must_use]
    pub fn follows(mut self, cause: Cause) -> Self {
        self.follows.push(cause);
        self
    }
}

impl Evidence {
    /// Something seen that stands in no file.
    #[expect(clippy::needless_pass_by_value, reason = "callers pass what they have at hand")]
    pub fn new(what: impl Into<String>, value: impl ToString) -> Self {
        Self { what: what.into(), value: bounded(value.to_string()), path: None, line: None }
    }

    /// Something seen in a file.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>, line: Option<u32>) -> Self {
        self.path = Some(path.into());
        self.line = line;
        self
    }
}

impl<T: ToString> Sourced<T> {
    /// The value as evidence, with its place.
    pub fn evidence(&self, what: impl Into<String>) -> Evidence {
        self.source.evidence(what, self.value.to_string())
    }
}

impl Source {
    /// Something seen at this place.
    pub fn evidence(&self, what: impl Into<String>, value: impl ToString) -> Evidence {
        match self {
            Self::File { path, line } => Evidence::new(what, value).at(path.as_str(), *line),
            Self::Flag(_) | Self::Default(_) => {
                Evidence::new(what, format!("{} ({self})", value.to_string()))
            }
        }
    }
}

/// More than any value that somebody wrote on purpose; a report is to be read by people.
const LONGEST: usize = 2000;

/// A text from a file that anybody may have written, such as a setting of a megabyte.
fn bounded(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}

#[test]
fn long_values_are_cut() {
    let long = "\u{e4}".repeat(LONGEST);
    let finding = Finding::error("x", &long, format!("{long}y")).seen("x", format!("{long}yz"));
    assert_eq!(finding.subject, long);
    assert_eq!(finding.message, format!("{long}..."));
    assert_eq!(finding.evidence[0].value, format!("{long}..."));
}
