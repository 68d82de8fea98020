//! Time servers that lie. The honest ones are in [`clock`](crate::clock); the one here is for
//! offsets that have to be exact.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a server answers (RFC 5905).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// A good answer from a clock that is so many milliseconds ahead.
    Time(i64),
    /// Stratum 0 with the code `RATE`: the client asks too often.
    KissOfDeath,
    /// Stratum 0 with no code at all.
    StratumZero,
    /// Stratum 16: not synchronized, in the way of older servers.
    Stratum16,
    /// A leap indicator of 3: not synchronized.
    Unsynchronized,
    /// The answer to another question: its origin stamp is not what the client sent.
    WrongOrigin,
    /// A good answer from another port of the same address.
    OtherPort,
    /// A good answer three times over, the later ones from clocks another hour ahead each.
    Duplicates,
    /// The first 20 bytes of a good answer.
    Short,
    /// Nothing.
    Silence,
}

/// A running time server. It stops when dropped.
#[must_use]
pub(crate) struct NtpStandin {
    questions: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl NtpStandin {
    /// Answers every question that comes to the socket in the same way.
    pub(crate) fn start(socket: UdpSocket, answer: Answer) -> Self {
        Self::with_other_port(socket, None, answer)
    }

    /// For [`Answer::OtherPort`], which needs the socket that it will come from.
    pub(crate) fn with_other_port(
        socket: UdpSocket,
        other: Option<UdpSocket>,
        answer: Answer,
    ) -> Self {
        let standin = Self { questions: Arc::default(), stopped: Arc::default() };
        let (questions, stopped) = (Arc::clone(&standin.questions), Arc::clone(&standin.stopped));
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        thread::spawn(move || {
            let mut packet = [0; 512];
            while !stopped.load(Ordering::SeqCst) {
                let Ok((length, client)) = socket.recv_from(&mut packet) else { continue };
                let Some(question) = packet[..length].first_chunk() else { continue };
                questions.fetch_add(1, Ordering::SeqCst);
                // A client that is gone is no fault of the server.
                reply(&socket, other.as_ref(), client, question, answer).ok();
            }
        });
        standin
    }

    /// How many questions came in.
    pub(crate) fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }
}

impl Drop for NtpStandin {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}

fn reply(
    socket: &UdpSocket,
    other: Option<&UdpSocket>,
    client: SocketAddr,
    question: &[u8; 48],
    answer: Answer,
) -> io::Result<()> {
    let good = good_answer(question, 0);
    let mut packet = good;
    match answer {
        Answer::Silence => return Ok(()),
        Answer::Time(ahead) => packet = good_answer(question, ahead),
        Answer::KissOfDeath => {
            set_leap(&mut packet, 3);
            packet[1] = 0;
            packet[12..16].copy_from_slice(b"RATE");
        }
        Answer::StratumZero => {
            packet[1] = 0;
            packet[12..16].fill(0);
        }
        Answer::Stratum16 => packet[1] = 16,
        Answer::Unsynchronized => set_leap(&mut packet, 3),
        Answer::WrongOrigin => packet[24] ^= 0xff,
        Answer::OtherPort => {
            let other = other.expect("this answer needs a second socket");
            return other.send_to(&packet, client).map(drop);
        }
        Answer::Duplicates => {
            socket.send_to(&packet, client)?;
            socket.send_to(&good_answer(question, 3_600_000), client)?;
            packet = good_answer(question, 7_200_000);
        }
        Answer::Short => return socket.send_to(&packet[..20], client).map(drop),
    }
    socket.send_to(&packet, client).map(drop)
}

fn set_leap(packet: &mut [u8; 48], leap: u8) {
    packet[0] = packet[0] & 0x3f | leap << 6;
}

/// Stratum 2 from a clock that is `ahead` milliseconds ahead of this machine's.
fn good_answer(question: &[u8; 48], ahead: i64) -> [u8; 48] {
    let now = stamp(ahead);
    let mut packet = [0; 48];
    // The client's version, and mode 4: server.
    packet[0] = question[0] & 0x38 | 4;
    packet[1] = 2;
    packet[2] = question[2];
    // The precision: two to the power of -20 seconds.
    packet[3] = (-20_i8).cast_unsigned();
    // Root delay and dispersion in 1/65536 s: about 1 ms each.
    packet[7] = 66;
    packet[11] = 66;
    packet[12..16].copy_from_slice(&[192, 0, 2, 1]);
    packet[16..24].copy_from_slice(&now);
    // The origin stamp repeats what the client put into its transmit stamp.
    packet[24..32].copy_from_slice(&question[40..48]);
    packet[32..40].copy_from_slice(&now);
    packet[40..48].copy_from_slice(&now);
    packet
}

/// Now as NTP writes it: seconds since 1900 and their fraction, 32 bits each.
fn stamp(ahead_ms: i64) -> [u8; 8] {
    const FROM_1900_TO_1970: i128 = 2_208_988_800;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().cast_signed();
    let nanos = now + i128::from(ahead_ms) * 1_000_000 + FROM_1900_TO_1970 * 1_000_000_000;
    // The era is lost above 32 bits of seconds, as it is on the wire.
    let fixed = (nanos << 32) / 1_000_000_000;
    *fixed.to_be_bytes().last_chunk().expect("8 of 16 bytes")
}
