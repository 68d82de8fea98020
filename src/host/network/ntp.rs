//! Question: what time is it, by a time server?

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Failure;
use crate::host::{Machine, Question, Unknown};
use crate::parse::ntp_packet::{Header, NoTime, Reading, Request, Stray, Timing};

/// How often a server is asked at most: a packet may be lost, or held up.
const ATTEMPTS: usize = 3;

/// How long to wait before asking again. ntpd takes less than this for abuse, and answers with a
/// kiss of death.
const PAUSE: Duration = Duration::from_secs(2);

/// A round trip short enough not to ask again, in microseconds.
const EXACT_US: u64 = 100_000;

/// How many packets that answer nothing are read, so that a flood of them ends.
const MAX_STRAYS: u32 = 20_000;

/// Asks a time server for the time.
#[derive(Debug, Serialize)]
pub struct NtpQuery {
    /// Where it listens.
    pub address: SocketAddr,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NtpReply {
    /// The server told the time: of several replies the one that was fastest.
    Time {
        /// What the server says of itself.
        header: Header,
        /// Its clock against this one.
        timing: Timing,
    },
    /// The server replied, but with nothing to go by.
    NoTime {
        /// What the server says of itself.
        header: Header,
        /// What is wrong with the reply.
        why: NoTime,
    },
    /// Packets came from the server's address, and none of them is a reply to the question.
    Strays {
        /// How many.
        count: u32,
        /// What the first was.
        first: Stray,
    },
    /// Nothing came.
    Failed(Failure),
}

impl Question for NtpQuery {
    type Answer = NtpReply;

    const KIND: &'static str = "ntp-query";

    fn label(&self) -> String {
        format!("time server {}", self.address)
    }

    async fn look(&self, machine: &Machine) -> Result<NtpReply, Unknown> {
        let _permit = machine.network().await?;
        let deadline = machine.stage();
        let socket = match socket_to(self.address).await? {
            Ok(socket) => socket,
            Err(failure) => return Ok(NtpReply::Failed(failure)),
        };
        let dialogue =
            Dialogue { socket, end: Instant::now() + deadline, open: Vec::new(), strays: None };
        Ok(dialogue.hold().await.unwrap_or(NtpReply::Failed(Failure::silent(deadline))))
    }
}

/// A socket that hears this one address only, and is told when nothing listens there.
pub(super) async fn socket_to(address: SocketAddr) -> Result<Result<UdpSocket, Failure>, Unknown> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = match UdpSocket::bind(any).await {
        Ok(socket) => socket,
        // IPv6 is switched off here, so no route leads there.
        Err(error) if error.raw_os_error() == Some(NO_SUCH_FAMILY) => {
            return Ok(Err(Failure::NoRoute));
        }
        Err(error) => return Err(Unknown::Denied(format!("no socket: {error}"))),
    };
    Ok(socket.connect(address).await.map(|()| socket).map_err(|error| Failure::from(&error)))
}

const NO_SUCH_FAMILY: i32 = rustix::io::Errno::AFNOSUPPORT.raw_os_error();

/// The conversation with one server.
struct Dialogue {
    socket: UdpSocket,
    end: Instant,
    /// Requests that are still to be answered, and when they left. A late reply is one, too.
    open: Vec<(Request, std::time::Instant)>,
    strays: Option<(u32, Stray)>,
}

impl Dialogue {
    /// Asks, and again if nothing came or if it took too long to be exact. `None` is silence.
    async fn hold(mut self) -> Option<NtpReply> {
        let mut best: Option<(Header, Timing)> = None;
        for attempt in 1..=ATTEMPTS {
            let next = match attempt {
                ATTEMPTS => self.end,
                _ => self.end.min(Instant::now() + PAUSE),
            };
            match self.ask(next).await {
                Some(NtpReply::Time { header, timing }) => {
                    let is_better = best
                        .as_ref()
                        .is_none_or(|(_, known)| timing.round_trip_us < known.round_trip_us);
                    if is_better {
                        best = Some((header, timing));
                    }
                    if timing.round_trip_us <= EXACT_US {
                        break;
                    }
                }
                Some(_) if best.is_some() => break,
                Some(other) => return Some(other),
                None => {}
            }
            if self.end <= next || attempt == ATTEMPTS {
                break;
            }
            sleep_until(next).await;
        }
        let strays = self.strays.map(|(count, first)| NtpReply::Strays { count, first });
        best.map(|(header, timing)| NtpReply::Time { header, timing }).or(strays)
    }

    /// Sends one request and waits for the reply to any.
    async fn ask(&mut self, until: Instant) -> Option<NtpReply> {
        let request = Request::at(since_1970())?;
        let left = std::time::Instant::now();
        if let Err(error) = self.socket.send(request.packet()).await {
            return Some(NtpReply::Failed(Failure::from(&error)));
        }
        self.open.push((request, left));
        timeout_at(until, self.listen()).await.ok()
    }

    /// Waits for a reply, and counts what is none.
    async fn listen(&mut self) -> NtpReply {
        let mut buffer = [0; 512];
        loop {
            let length = match self.socket.recv(&mut buffer).await {
                Ok(length) => length,
                Err(error) => return NtpReply::Failed(Failure::from(&error)),
            };
            match self.read(&buffer[..length]) {
                Reading::Time(header, timing) => return NtpReply::Time { header, timing },
                Reading::NoTime(header, why) => return NtpReply::NoTime { header, why },
                Reading::Stray(stray) => {
                    let (count, first) = self.strays.get_or_insert((0, stray));
                    *count += 1;
                    if *count >= MAX_STRAYS {
                        return NtpReply::Strays { count: *count, first: *first };
                    }
                }
            }
        }
    }

    /// What a packet is. The request that it answers is done with: a second reply is a stray.
    fn read(&mut self, packet: &[u8]) -> Reading {
        let mut reading = Reading::Stray(Stray::WrongOrigin);
        for (i, (request, left)) in self.open.iter().enumerate() {
            // The reply's time is the request's plus what a clock says that nobody sets, so that a
            // step of this clock in between does not look like a difference.
            reading = request.read(packet, left.elapsed());
            if !matches!(reading, Reading::Stray(_)) {
                self.open.swap_remove(i);
                break;
            }
        }
        reading
    }
}

/// This machine's clock, to the microsecond: it is what is measured.
fn since_1970() -> Duration {
    Duration::try_from(Timestamp::now().as_duration()).unwrap_or_default()
}
