//! Questions about the network, a stage each: name, connection, TLS, HTTP.
//!
//! The later stages are told the address, so that a check can say at which stage and for which
//! address a path breaks, and no stage waits for one that has already failed.

mod chrony;
mod connect;
mod dns;
mod http;
mod mint;
mod ntp;
mod pinned;
mod projects;
mod resolve;
mod response;
mod sealed;
#[cfg(test)]
mod standin;
mod tls;
mod token_ping;
mod token_request;

pub use chrony::{ChronyReply, ChronyTracking};
pub use connect::{Connect, Connected};
pub use dns::{NameQuery, NameReply};
pub use http::{HttpGet, HttpReply};
pub use ntp::{NtpQuery, NtpReply};
pub use projects::{OddProject, ProjectList, ProjectListing, Projects, Rest};
pub use resolve::{Resolve, Resolved};
pub use response::{Body, Response, Times};
pub use tls::{Handshake, TlsHandshake};
pub use token_ping::{Asking, PingReply, TokenFrom, TokenPing};
pub use token_request::{Login, TokenAnswer, TokenReply, TokenRequest};

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a connection came to nothing. All of these are answers of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// Nothing listens there, or a firewall says so.
    Refused,
    /// Nobody answered within this many seconds.
    Silent(u64),
    /// A router or a firewall says that it cannot be reached, or nobody there answers for the
    /// address.
    Unreachable,
    /// This system has no route to it, or no address of that family.
    NoRoute,
    /// The peer broke the connection off.
    Reset,
    /// The peer speaks something else; in words.
    Foreign(String),
}

impl Failure {
    /// Nobody answered within `deadline`.
    fn silent(deadline: Duration) -> Self {
        Self::Silent(in_seconds(deadline))
    }
}

/// A stage's deadline as people set it: a stage has a little less time than its question.
fn in_seconds(deadline: Duration) -> u64 {
    (deadline + Duration::from_millis(500)).as_secs()
}

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        // EAFNOSUPPORT, which a kernel without IPv6 says, has no kind of its own.
        if error.raw_os_error() == Some(97) {
            return Self::NoRoute;
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::Silent(0),
            io::ErrorKind::HostUnreachable => Self::Unreachable,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => Self::NoRoute,
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
            Self::Unreachable => f.write_str("the host cannot be reached, or a firewall says so"),
            Self::NoRoute => f.write_str("no route leads there from here"),
            Self::Reset => f.write_str("the connection was broken off"),
            Self::Foreign(what) => f.write_str(what),
        }
    }
}
