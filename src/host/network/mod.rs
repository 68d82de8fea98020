//! Questions about the network, a stage each: name, connection, TLS, HTTP.
//!
//! The later stages are told the address, so that a check can say at which stage and for which
//! address a path breaks, and no stage waits for one that has already failed.

mod connect;
mod http;
mod ntp;
mod resolve;
mod tls;

pub use connect::{Connect, Connected};
pub use http::{Body, HttpGet, HttpReply, Response};
pub use ntp::{NtpQuery, NtpReply};
pub use resolve::{Resolve, Resolved};
pub use tls::{Handshake, TlsHandshake};

use std::io;

use serde::{Deserialize, Serialize};

/// Why a connection came to nothing. All of these are answers of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// Nothing listens there, or a firewall says so.
    Refused,
    /// Nobody answered within this many seconds.
    Silent(u64),
    /// No route leads there.
    Unreachable,
    /// The peer broke the connection off.
    Reset,
    /// The peer speaks something else; in words.
    Foreign(String),
}

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::Silent(0),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::Unreachable,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Self::Reset,
            _ => Self::Foreign(error.to_string()),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused: nothing listens there"),
            Self::Silent(0) => f.write_str("no answer"),
            Self::Silent(seconds) => write!(f, "no answer within {seconds} s"),
            Self::Unreachable => f.write_str("no route to that address"),
            Self::Reset => f.write_str("the connection was broken off"),
            Self::Foreign(what) => f.write_str(what),
        }
    }
}
