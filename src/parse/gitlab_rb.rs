//! What `/etc/gitlab/gitlab.rb` says, as far as reading it can tell.
//!
//! The file is a Ruby program that Chef runs during `gitlab-ctl reconfigure`. It is parsed with
//! Ruby's own parser and evaluated here without running anything: what depends on conditions, on
//! the environment, on other files or on commands is [`Setting::Unknown`], never guessed.
//!
//! A file may include others with `from_file`. This module opens no file: [`Settings::unread`]
//! names the ones that it lacks, and the caller evaluates again when it has read them.

mod assignments;
mod calls;
mod effects;
mod evaluator;
mod expressions;
mod merge;
mod names;
mod place;
mod raw;
mod redact;
mod scan;
#[cfg(test)]
mod shapes;
mod shown;
mod writes;
mod yaml;

use std::borrow::Cow;
use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::parse::value::{Value, Why};

pub use scan::OddCharacter;

/// The files that were read, by the path under which `gitlab.rb` names them. `None` stands for a
/// file that was looked for in vain.
pub type Files = BTreeMap<Utf8PathBuf, Option<Vec<u8>>>;

/// All that `gitlab.rb` and the files it includes set, in the order of their evaluation, without
/// secrets.
///
/// [`evaluate`] is the only way to make one from a file, and it shows nothing but what is listed in
/// this module's `shown.rs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Every assignment, oldest first.
    pub assignments: Vec<Assignment>,
    /// What is wrong with the text itself, by file and line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// The first syntax error, if there is one: reconfigure refuses the file and changes nothing.
    /// What can be read around it is in `assignments` all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<Source>,
    /// Included files that were not among the ones given. Everything before their inclusion is
    /// unknown until they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Utf8PathBuf>,
}

/// One value, written to one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The keys that lead there: `["registry", "storage", "s3", "bucket"]`. No keys at all mean that
    /// any setting may have been changed.
    pub path: Vec<String>,
    /// What was written. It replaces what stood there, hashes too.
    pub value: Value,
    /// Where that stands.
    pub source: Source,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// The file.
    pub file: Utf8PathBuf,
    /// The line, counted from 1.
    pub line: u32,
}

/// What stands at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Nothing: GitLab's default applies.
    Unset,
    /// A value.
    Known {
        /// The value. Parts of a list or hash may still be unknown.
        value: Value,
        /// The assignment that decided last.
        source: Source,
        /// The assignments that it overruled, oldest first.
        earlier: Vec<Source>,
    },
    /// Something that reading the file cannot tell.
    Unknown {
        /// Why not.
        why: Why,
        /// The line that makes it so.
        source: Source,
    },
}

/// Something wrong with the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The line.
    pub source: Source,
    /// The byte in that line, counted from 1.
    pub column: u32,
    /// The byte in the file, counted from 0.
    pub offset: u32,
    /// What it is.
    #[serde(flatten)]
    pub kind: ProblemKind,
}

/// What can be wrong with the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ProblemKind {
    /// Ruby refuses the file.
    Syntax {
        /// The parser's words, none of which come from the file.
        message: String,
    },
    /// `external_url = "…"` makes a local variable and sets nothing.
    LocalVariable {
        /// The setting that was meant.
        name: String,
    },
    /// A name that the package does not know: reconfigure stops with "Reading unsupported config
    /// value". Names come and go with versions, so this is only as sure as the version is known.
    UnknownName {
        /// The name, where it is used like a setting and does not look like a secret.
        name: Option<String>,
        /// The setting that was probably meant.
        nearest: Option<String>,
    },
    /// A character that Ruby takes for something else than its writer did.
    OddCharacter {
        /// Which one.
        character: OddCharacter,
        /// Whether it is part of a text, where it is valid but rarely wanted.
        in_text: bool,
    },
    /// `<REPLACE_ME>`, as copied from a guide.
    Placeholder {
        /// What stands there, where it is not part of a text.
        text: Option<String>,
    },
    /// An included file was looked for in vain.
    IncludeMissing {
        /// The file.
        path: Utf8PathBuf,
    },
    /// Which file is included cannot be told, or it is one too many.
    IncludeUnclear,
    /// The file is too long, or too deep in some place, to be evaluated from there on.
    TooDeep,
}

impl Settings {
    /// What stands at `path`.
    pub fn get(&self, path: &[&str]) -> Setting {
        let writes = self
            .assignments
            .iter()
            .map(|assignment| (&*assignment.path, &assignment.value, &assignment.source));
        let merged = merge::merge(writes, path);
        match (merged.value.map(Cow::into_owned), merged.by) {
            (Some(Value::Unknown(why)), Some(source)) => {
                Setting::Unknown { why, source: source.clone() }
            }
            (Some(value), Some(source)) => Setting::Known {
                value,
                source: source.clone(),
                earlier: merged.earlier.into_iter().cloned().collect(),
            },
            _ => Setting::Unset,
        }
    }
}

impl Setting {
    /// The value, where it is known.
    pub const fn value(&self) -> Option<&Value> {
        match self {
            Self::Known { value, .. } => Some(value),
            Self::Unset | Self::Unknown { .. } => None,
        }
    }

    /// The line that decides, where there is one.
    pub const fn source(&self) -> Option<&Source> {
        match self {
            Self::Known { source, .. } | Self::Unknown { source, .. } => Some(source),
            Self::Unset => None,
        }
    }
}

/// Evaluates the file `main` and what it includes, as far as `files` has it.
///
/// Where the answer's [`Settings::unread`] is not empty, the caller reads those files, adds them to
/// `files` (as `None` where there is no such file) and evaluates again. What it cannot read for
/// another reason it leaves out.
pub fn evaluate(main: &Utf8Path, files: &Files) -> Settings {
    // The parser recurses up to 10,000 levels, which takes 8 MB: more than most threads have.
    const STACK: usize = 64 << 20;
    std::thread::scope(|scope| {
        let evaluation = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, || evaluator::Evaluator::new(files).run(main));
        match evaluation.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(settings)) => settings,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => evaluator::Evaluator::new(files).refuse(main),
        }
    })
}
