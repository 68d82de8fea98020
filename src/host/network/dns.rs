//! Question: does a name server know a name?
//!
//! For those who do not see this system's `/etc/hosts`, such as containers.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::Failure;
use super::ntp::socket_to;
use crate::host::{Machine, Question, Unknown};
use crate::parse::dns::{self, Record, Reply};

/// How often a server is asked: a packet may be lost.
const ATTEMPTS: u32 = 3;

/// How many packets that answer nothing are read, so that a flood of them ends.
const MAX_STRAYS: u32 = 1000;

/// Asks a name server for the addresses of a name.
#[derive(Debug, Serialize)]
pub struct NameQuery {
    /// The server.
    pub server: SocketAddr,
    /// The whole name; nothing is added to it.
    pub name: String,
}

/// What the server said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameReply {
    /// It knows an address of the name.
    Known,
    /// It knows no such name, or none with an address.
    NotKnown,
    /// It refuses to tell; the code of RFC 1035, such as 2 for a failure of its own.
    Refused(u8),
    /// It does not answer.
    Failed(Failure),
}

impl Question for NameQuery {
    type Answer = NameReply;

    const KIND: &'static str = "name-query";

    fn label(&self) -> String {
        format!("name {} at name server {}", self.name, self.server)
    }

    async fn look(&self, machine: &Machine) -> Result<NameReply, Unknown> {
        let _permit = machine.network().await?;
        let deadline = machine.stage();
        let end = Instant::now() + deadline;
        let mut refused = None;
        for record in [Record::A, Record::Aaaa] {
            match self.ask(record, end, deadline).await? {
                Ok(Reply::Records(1..)) => return Ok(NameReply::Known),
                Ok(Reply::NoSuchName) => return Ok(NameReply::NotKnown),
                Ok(Reply::Failed(code)) => refused = Some(code),
                Ok(Reply::Records(0) | Reply::Stray) => {}
                Err(failure) => return Ok(NameReply::Failed(failure)),
            }
        }
        Ok(refused.map_or(NameReply::NotKnown, NameReply::Refused))
    }
}

impl NameQuery {
    async fn ask(
        &self,
        record: Record,
        end: Instant,
        deadline: Duration,
    ) -> Result<Result<Reply, Failure>, Unknown> {
        let socket = match socket_to(self.server).await? {
            Ok(socket) => socket,
            Err(failure) => return Ok(Err(failure)),
        };
        // Nobody is served by a forged answer, so the number need not be secret.
        let Some(question) = dns::question(record as u16 | 0x4700, &self.name, record) else {
            return Ok(Ok(Reply::NoSuchName));
        };
        for attempt in 1..=ATTEMPTS {
            let pause = deadline / ATTEMPTS * attempt;
            let until = end.min(end - deadline + pause);
            if let Err(error) = socket.send(&question).await {
                return Ok(Err(Failure::from(&error)));
            }
            if let Ok(heard) = timeout_at(until, hear(&socket, &question)).await {
                return Ok(heard);
            }
        }
        Ok(Err(Failure::silent(deadline)))
    }
}

/// The reply to a question.
async fn hear(socket: &UdpSocket, question: &[u8]) -> Result<Reply, Failure> {
    let mut packet = [0; 2048];
    for _ in 0..MAX_STRAYS {
        let length = socket.recv(&mut packet).await.map_err(|error| Failure::from(&error))?;
        match dns::reply(question, &packet[..length]) {
            Reply::Stray => {}
            reply => return Ok(reply),
        }
    }
    Err(Failure::Foreign("it answers something else".to_owned()))
}
