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
    /// Stratum 0 with a code, such as `RATE`: the client asks too often.
    KissOfDeath(&'static [u8; 4]),
    /// Stratum 0 with no code at all.
    StratumZero,
    /// Stratum 16: not synchronized, in the way of older servers.
    Stratum16,
    /// A leap indicator of 3: not synchronized.
    Unsynchronized,
    /// A good answer that was changed.
    Changed(fn(&mut Packet)),
    /// The answer to another question: its origin stamp is not what the client sent.
    WrongOrigin,
    /// The question itself.
    Mirror,
    /// A hundred answers to other questions, one that is cut short, and then a good one.
    AmongWrongOnes,
    /// Garbage without an end.
    Flood,
    /// Nothing to the first question, and good answers to the rest.
    FirstLost,
    /// A good answer that leaves 1.5 s late, and good ones to the questions after it.
    FirstLate,
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
    address: SocketAddr,
    questions: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

/// A packet without extensions.
pub(crate) type Packet = [u8; 48];

impl NtpStandin {
    /// Answers on a free port of loopback, for tests that need no lab.
    pub(crate) fn on_loopback(answer: Answer) -> Self {
        Self::start(UdpSocket::bind("127.0.0.1:0").unwrap(), answer)
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

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
        let address = socket.local_addr().unwrap();
        let standin = Self { address, questions: Arc::default(), stopped: Arc::default() };
        let (questions, stopped) = (Arc::clone(&standin.questions), Arc::clone(&standin.stopped));
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        thread::spawn(move || {
            let mut packet = [0; 512];
            while !stopped.load(Ordering::SeqCst) {
                let Ok((length, client)) = socket.recv_from(&mut packet) else { continue };
                let Some(question) = packet[..length].first_chunk() else { continue };
                let number = questions.fetch_add(1, Ordering::SeqCst);
                let asked = Asked { socket: &socket, client, number, question };
                // A client that is gone is no fault of the server.
                asked.reply(other.as_ref(), answer, &stopped).ok();
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

/// One question, and where its answer goes.
struct Asked<'a> {
    socket: &'a UdpSocket,
    client: SocketAddr,
    /// From 0.
    number: usize,
    question: &'a Packet,
}

impl Asked<'_> {
    fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.socket.send_to(packet, self.client).map(drop)
    }

    fn reply(
        &self,
        other: Option<&UdpSocket>,
        answer: Answer,
        stopped: &AtomicBool,
    ) -> io::Result<()> {
        let good = good_answer(self.question, 0);
        let mut packet = good;
        match answer {
            Answer::Silence => return Ok(()),
            Answer::FirstLost if self.number == 0 => return Ok(()),
            Answer::FirstLost => {}
            Answer::FirstLate if self.number > 0 => {}
            Answer::FirstLate => thread::sleep(Duration::from_millis(1500)),
            Answer::Time(ahead) => packet = good_answer(self.question, ahead),
            Answer::KissOfDeath(code) => {
                set_leap(&mut packet, 3);
                packet[1] = 0;
                packet[12..16].copy_from_slice(code);
            }
            Answer::StratumZero => {
                packet[1] = 0;
                packet[12..16].fill(0);
            }
            Answer::Stratum16 => packet[1] = 16,
            Answer::Unsynchronized => set_leap(&mut packet, 3),
            Answer::Changed(change) => change(&mut packet),
            Answer::WrongOrigin => packet[24] ^= 0xff,
            Answer::Mirror => packet = *self.question,
            Answer::AmongWrongOnes => self.send_wrong_ones()?,
            Answer::Flood => {
                self.flood(stopped);
                return Ok(());
            }
            Answer::OtherPort => {
                let other = other.expect("this answer needs a second socket");
                return other.send_to(&packet, self.client).map(drop);
            }
            Answer::Duplicates => {
                self.send(&packet)?;
                self.send(&good_answer(self.question, 3_600_000))?;
                packet = good_answer(self.question, 7_200_000);
            }
            Answer::Short => return self.send(&packet[..20]),
        }
        self.send(&packet)
    }

    fn send_wrong_ones(&self) -> io::Result<()> {
        for number in 1..100 {
            let mut forged = good_answer(self.question, 3_600_000);
            forged[31] ^= number;
            self.send(&forged)?;
        }
        self.send(&[0; 3])
    }

    fn flood(&self, stopped: &AtomicBool) {
        while !stopped.load(Ordering::SeqCst) {
            // It fails when the client is gone, which is no reason to stop.
            self.send(&[0xff; 48]).ok();
        }
    }
}

fn set_leap(packet: &mut Packet, leap: u8) {
    packet[0] = packet[0] & 0x3f | leap << 6;
}

/// Stratum 2 from a clock that is `ahead` milliseconds ahead of this machine's.
fn good_answer(question: &Packet, ahead: i64) -> Packet {
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
