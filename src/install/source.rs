//! Where a value comes from.

use std::fmt;

use camino::Utf8PathBuf;
use serde::Serialize;

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sourced<T> {
    /// What it is.
    pub value: T,
    /// Where it stands.
    pub source: Source,
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// In a file.
    File {
        /// Absolute.
        path: Utf8PathBuf,
        /// From 1.
        line: Option<u32>,
    },
    /// In a flag of gldoctor, such as `--registry-url`.
    Flag(String),
    /// Nowhere: it follows from something else, in words.
    Default(String),
}

impl<T> Sourced<T> {
    /// A value that stands in a file.
    pub fn file(value: T, path: impl Into<Utf8PathBuf>, line: Option<u32>) -> Self {
        Self { value, source: Source::File { path: path.into(), line } }
    }

    /// A value that was given with a flag.
    pub fn flag(value: T, flag: &str) -> Self {
        Self { value, source: Source::Flag(flag.to_owned()) }
    }

    /// A value that nobody wrote.
    pub fn default(value: T, why: &str) -> Self {
        Self { value, source: Source::Default(why.to_owned()) }
    }

    /// Another value from the same source.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Sourced<U> {
        Sourced { value: change(self.value), source: self.source }
    }
}

impl Source {
    /// A variable in the environment of the program that reads the value.
    pub fn of_variable(name: &str) -> Self {
        Self::Default(format!("{VARIABLE}{name}"))
    }

    /// The name of that variable, where the value stands in one.
    pub fn variable(&self) -> Option<&str> {
        match self {
            Self::Default(why) => why.strip_prefix(VARIABLE),
            Self::File { .. } | Self::Flag(_) => None,
        }
    }
}

/// What stands before the name of a variable.
const VARIABLE: &str = "environment variable ";

/// `path:line`, `--flag`, or the reason.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: Some(line) } => write!(f, "{path}:{line}"),
            Self::File { path, line: None } => write!(f, "{path}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Default(why) => write!(f, "{why}"),
        }
    }
}
