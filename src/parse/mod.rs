//! Pure readers: bytes in, facts out. Nothing here opens a file or knows where one lies.

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) mod access_token;
pub(crate) mod base64;
pub mod certificate;
pub mod challenge;
pub mod chrony_packet;
pub mod collection_output;
pub mod containerd_toml;
#[cfg(test)]
mod corpus;
pub mod der;
pub mod dns;
pub mod docker_json;
pub mod dockerd;
pub mod gitlab_rb;
pub mod gitlab_yml;
pub(crate) mod go_duration;
pub mod hosts_toml;
pub mod http_date;
pub mod image_name;
pub mod jwks;
pub mod key;
mod line_index;
pub mod netrc;
pub mod network;
pub mod nginx;
mod node;
pub mod ntp_conf;
pub mod ntp_packet;
mod overlay;
pub mod pem;
pub mod registries_conf;
pub mod registry_log;
pub mod registry_yml;
pub mod resolver;
pub mod runner_toml;
pub mod scrub;
pub mod setting;
pub mod syslog;
mod text;
pub mod token;
mod toml_tree;
pub mod unit;
pub mod value;
mod yaml;

/// A file that its real reader would refuse, or that is too large or too deep to be one.
///
/// The message is made of fixed words and names of settings. It never quotes the file, for the
/// line that does not parse may be the one with the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Malformed {
    /// The line of the fault, counted from 1, where the parser knows it.
    pub line: Option<u32>,
    /// What is wrong, in lower case and without a final dot.
    pub message: String,
}

impl Malformed {
    fn new(line: impl Into<Option<u32>>, message: impl Into<String>) -> Self {
        Self { line: line.into(), message: message.into() }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(out, "line {line}: {}", self.message),
            None => out.write_str(&self.message),
        }
    }
}

impl std::error::Error for Malformed {}
