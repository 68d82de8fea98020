//! Why a look gave no answer.

use serde::{Deserialize, Serialize};

/// The one error that checks see: "we could not look". Never a pass, always listed.
///
/// A missing file or a silent peer is not here: those are answers.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// A fault of gldoctor itself, held to the one look or check in which it happened.
    #[error("gldoctor itself failed here, please report it: {0}")]
    Crashed(String),
    /// The whole run ended before the answer came; the text says why.
    #[error("the run was cut short: {0}")]
    CutShort(String),
    /// The system refused the look; the text says what was refused and how to get the right.
    #[error("{0}")]
    Denied(String),
    /// The user left this out (`--skip`, `--root` without `--network`). Checks become not
    /// applicable, which does not make a run incomplete.
    #[error("{0}")]
    LeftOut(String),
    /// A recording was analysed that does not hold this look.
    #[error("the recording does not hold this look (made by an older version, or cut down)")]
    NotRecorded,
    /// Our own limit in seconds ran out before the system answered.
    #[error("no answer within {0} s (--timeout raises the limit)")]
    TimedOut(u64),
    /// Something is there that cannot be understood, or that our own limits do not admit.
    #[error("{0}")]
    Unreadable(String),
}
