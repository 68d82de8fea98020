//! Pure readers: bytes in, facts out. Nothing here opens a file or knows where one lies.

pub mod ntp_packet;

use serde::{Deserialize, Serialize};

/// Placeholder until the readers land.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Malformed {
    /// The line.
    pub line: Option<u32>,
    /// What is wrong.
    pub message: String,
}
