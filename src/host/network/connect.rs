//! Question: does anything accept a TCP connection at an address?

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use super::Failure;
use crate::host::{Machine, Question, Unknown};

/// Asks for a TCP connection, which is closed at once.
#[derive(Debug, Serialize)]
pub struct Connect {
    /// Where to.
    pub address: SocketAddr,
}

/// What became of it: a connection, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connected {
    /// Something listens.
    Accepted,
    /// Nothing came of it.
    Failed(Failure),
}

impl Question for Connect {
    type Answer = Connected;

    const KIND: &'static str = "connect";

    fn label(&self) -> String {
        format!("connection {}", self.address)
    }

    async fn look(&self, machine: &Machine) -> Result<Connected, Unknown> {
        let _permit = machine.network().await?;
        Ok(match connect(self.address, machine.stage()).await {
            Ok(_) => Connected::Accepted,
            Err(failure) => Connected::Failed(failure),
        })
    }
}

/// A connection within the deadline.
pub(super) async fn connect(address: SocketAddr, deadline: Duration) -> Result<TcpStream, Failure> {
    match tokio::time::timeout(deadline, TcpStream::connect(address)).await {
        Err(_) => Err(Failure::Silent(deadline.as_secs())),
        Ok(connection) => connection.map_err(|error| Failure::from(&error)),
    }
}
