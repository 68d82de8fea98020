//! Question: what does chronyd on this system say of the clock that it keeps?

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::Failure;
use crate::host::{Machine, Question, Unknown};
use crate::parse::chrony_packet::{NoTracking, PACKET, Tracking, read, request};

/// Where chronyd takes commands unless `cmdport` says otherwise. From there it answers requests that
/// only read, to everybody on this system.
const COMMANDS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 323);

/// How many packets that answer nothing are read.
const MAX_STRAYS: usize = 1000;

/// Asks chronyd what `chronyc tracking` asks.
#[derive(Debug, Serialize)]
pub struct ChronyTracking;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChronyReply {
    /// chronyd told.
    Tracking(Tracking),
    /// It does not tell that, or something else answers there; chronyd's status, where it gave one.
    Nothing(Option<u16>),
    /// Nobody answers there.
    Failed(Failure),
}

impl Question for ChronyTracking {
    type Answer = ChronyReply;

    const KIND: &'static str = "chrony-tracking";

    fn label(&self) -> String {
        format!("chronyd {COMMANDS}")
    }

    async fn look(&self, machine: &Machine) -> Result<ChronyReply, Unknown> {
        let _permit = machine.network().await?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(|error| Unknown::Denied(format!("no socket for chronyd: {error}")))?;
        Ok(match timeout(machine.stage(), ask(&socket)).await {
            Err(_) => ChronyReply::Failed(Failure::silent(machine.stage())),
            Ok(Err(error)) => ChronyReply::Failed(Failure::from(&error)),
            Ok(Ok(reply)) => reply,
        })
    }
}

async fn ask(socket: &UdpSocket) -> std::io::Result<ChronyReply> {
    // One request on a socket of its own: any number will do.
    const NUMBER: u32 = 1;
    socket.connect(COMMANDS).await?;
    socket.send(&request(NUMBER)).await?;
    let mut buffer = [0; PACKET * 2];
    for _ in 0..MAX_STRAYS {
        let length = socket.recv(&mut buffer).await?;
        match read(&buffer[..length], NUMBER) {
            Ok(tracking) => return Ok(ChronyReply::Tracking(tracking)),
            Err(NoTracking::Refused(status)) => return Ok(ChronyReply::Nothing(Some(status))),
            Err(NoTracking::Stray) => {}
        }
    }
    Ok(ChronyReply::Nothing(None))
}
