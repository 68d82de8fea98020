//! Question: does anything accept a TCP connection at an address?

use std::io;
use std::net::SocketAddr;

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
        let deadline = machine.stage();
        Ok(match tokio::time::timeout(deadline, connect(self.address)).await {
            Err(_) => Connected::Failed(Failure::silent(deadline)),
            Ok(connection) => match connection? {
                Ok(_) => Connected::Accepted,
                Err(failure) => Connected::Failed(failure),
            },
        })
    }
}

/// A connection, or what the network has against it. Where this system itself is against it,
/// nothing is known of the peer.
pub(super) async fn connect(address: SocketAddr) -> Result<Result<TcpStream, Failure>, Unknown> {
    match TcpStream::connect(address).await {
        Ok(stream) => Ok(Ok(stream)),
        Err(error) => match obstacle(address, &error) {
            Some(unknown) => Err(unknown),
            None => Ok(Err(Failure::from(&error))),
        },
    }
}

/// What on this system keeps gldoctor from connecting.
pub(super) fn obstacle(address: SocketAddr, error: &io::Error) -> Option<Unknown> {
    const TOO_MANY_FILES: [i32; 2] = [23, 24];
    if error.kind() == io::ErrorKind::PermissionDenied {
        return Some(Unknown::Denied(format!(
            "this system lets gldoctor open no connection to {address} ({error}); a firewall rule \
             or a sandbox here forbids it"
        )));
    }
    let own_limit = error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code));
    own_limit.then(|| Unknown::Unreadable(format!("no connection to {address}: {error}")))
}

#[test]
fn what_this_system_forbids_is_no_answer_of_the_peer() {
    let address = "10.0.0.1:443".parse().unwrap();
    let from = io::Error::from_raw_os_error;
    assert!(matches!(obstacle(address, &from(13)), Some(Unknown::Denied(_))));
    assert!(matches!(obstacle(address, &from(24)), Some(Unknown::Unreadable(_))));
    assert_eq!(obstacle(address, &from(111)), None);
    assert_eq!(Failure::from(&from(111)), Failure::Refused);
    assert_eq!(Failure::from(&from(113)), Failure::Unreachable);
    for no_route in [101, 99, 97] {
        assert_eq!(Failure::from(&from(no_route)), Failure::NoRoute, "{no_route}");
    }
}
