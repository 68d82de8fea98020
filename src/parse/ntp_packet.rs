//! Reads one exchange with a time server: the request that is sent, and what a reply to it is
//! worth.
//!
//! `sntpc` writes the request, decides whether a reply can be trusted, and does the arithmetic of
//! RFC 5905, section 8. It is given no socket and no clock: bytes and times pass through as they
//! are. What it keeps to itself (the reason behind a refusal in full, the mode, the version) is read
//! here from the header.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures::FutureExt as _;
use serde::{Deserialize, Serialize};
use sntpc::{
    Error, NtpContext, NtpTimestampGenerator, NtpUdpSocket, SendRequestResult,
    sntp_process_response, sntp_send_request,
};

/// The length of a packet without extensions.
pub const PACKET: usize = 48;

/// A request, and what is needed to know its reply.
#[derive(Debug, Clone)]
pub struct Request {
    packet: Vec<u8>,
    sent_at: Duration,
    sent: SendRequestResult,
}

/// What a packet from the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// A reply that tells the time.
    Time(Header, Timing),
    /// A reply to this request that is nothing to go by.
    NoTime(Header, NoTime),
    /// No reply to this request.
    Stray(Stray),
}

/// What a time server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// 0 none, 1 and 2 a leap second is announced, 3 the server is not synchronised.
    pub leap: u8,
    /// The version of the protocol.
    pub version: u8,
    /// 4 is a server's.
    pub mode: u8,
    /// How many servers away a reference clock is; 0 and 16 mean that there is none.
    pub stratum: u8,
    /// What the server follows: an address, a kind of clock at stratum 1, a kiss code at stratum
    /// 0. For an IPv6 source it is a digest that only looks like an address.
    pub reference: String,
    /// How long before its reply the server's clock was last set, in seconds.
    pub reference_age_s: Option<i64>,
    /// Round trip to the reference clock, in microseconds.
    pub root_delay_us: u64,
    /// How far the server may be off, in microseconds, in its own opinion.
    pub root_dispersion_us: u64,
    /// How finely the server's clock ticks, in microseconds, rounded up.
    pub precision_us: u64,
}

/// The two clocks compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// The server's clock less this one, in microseconds.
    pub offset_us: i64,
    /// How long the packets were under way, in microseconds. The offset is known to half of it.
    pub round_trip_us: u64,
}

/// Why a reply is nothing to go by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoTime {
    /// The server sends its clients away, with this code ("kiss of death").
    Kiss(String),
    /// The server does not know the time itself (leap 3, stratum 0 or 16).
    Unsynchronised,
    /// It is not a server's reply, by its mode.
    Mode,
    /// Its version is none, or newer than what was asked.
    Version,
    /// Its stratum is one that does not exist.
    Stratum,
    /// Its time stamps are missing or contradict each other.
    Stamps,
    /// It may be 16 seconds off or more in its own opinion.
    Distance,
}

/// Why a packet is no reply to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stray {
    /// It does not repeat the request's time stamp: a duplicate, a forgery, or a mirror.
    WrongOrigin,
    /// It is shorter than any reply: its length in bytes.
    Short(u32),
}

impl Request {
    /// A request that leaves at `time`, by this machine's clock since 1970.
    pub fn at(time: Duration) -> Option<Self> {
        let outbox = Mailbox::default();
        let sending = sntp_send_request(NOWHERE, &outbox, NtpContext::new(Stopped(time)));
        let sent = sending.now_or_never()?.ok()?;
        Some(Self { packet: outbox.0.into_inner(), sent_at: time, sent })
    }

    /// What to send.
    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// What a packet is that came `elapsed` after this request left.
    pub fn read(&self, packet: &[u8], elapsed: Duration) -> Reading {
        let Some(packet) = packet.first_chunk::<PACKET>() else {
            return Reading::Stray(Stray::Short(u32::try_from(packet.len()).unwrap_or(u32::MAX)));
        };
        let header = Header::read(packet);
        let inbox = Mailbox(RefCell::new(packet.to_vec()));
        let received = NtpContext::new(Stopped(self.sent_at + elapsed));
        let processing = sntp_process_response(NOWHERE, &inbox, received, self.sent);
        match processing.now_or_never().unwrap_or(Err(Error::Network)) {
            Ok(_) if contradicts(packet, elapsed, header.precision_us) => {
                Reading::NoTime(header, NoTime::Stamps)
            }
            Ok(result) => {
                let (offset_us, round_trip_us) = (result.offset(), result.roundtrip());
                Reading::Time(header, Timing { offset_us, round_trip_us })
            }
            Err(Error::IncorrectOriginTimestamp) => Reading::Stray(Stray::WrongOrigin),
            Err(error) => {
                let why = NoTime::from(error, &header);
                Reading::NoTime(header, why)
            }
        }
    }
}

impl NoTime {
    fn from(error: Error, header: &Header) -> Self {
        match error {
            // Stratum 0 is "kiss of death" and "unspecified" in one: chronyd sends it with the
            // reference 0.0.0.0 and ntpd with INIT or STEP as long as they are not synchronised.
            Error::KissOfDeath(_) => match header.reference.as_str() {
                "INIT" | "STEP" => Self::Unsynchronised,
                code if code.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                    Self::Kiss(code.to_owned())
                }
                _ => Self::Unsynchronised,
            },
            Error::UnsynchronizedClock => Self::Unsynchronised,
            Error::IncorrectStratumHeaders if header.stratum == 16 => Self::Unsynchronised,
            Error::IncorrectStratumHeaders => Self::Stratum,
            Error::IncorrectMode => Self::Mode,
            Error::IncorrectResponseVersion => Self::Version,
            Error::ExcessiveRootDistance => Self::Distance,
            _ => Self::Stamps,
        }
    }
}

impl Header {
    fn read(packet: &[u8; PACKET]) -> Self {
        let transmitted = stamp(packet, 40);
        let set = stamp(packet, 16);
        let stratum = packet[1];
        Self {
            leap: packet[0] >> 6,
            version: (packet[0] >> 3) & 7,
            mode: packet[0] & 7,
            stratum,
            reference: reference(stratum, [packet[12], packet[13], packet[14], packet[15]]),
            reference_age_s: (set != 0 && transmitted != 0)
                .then(|| transmitted.wrapping_sub(set).cast_signed() >> 32),
            root_delay_us: short_us(packet, 4),
            root_dispersion_us: short_us(packet, 8),
            precision_us: precision_us(packet[3].cast_signed()),
        }
    }

    /// How far the server's clock may be from the true time, in microseconds, in its own opinion.
    pub fn root_distance_us(&self) -> u64 {
        self.root_delay_us / 2 + self.root_dispersion_us
    }
}

/// Whether the server claims to have held the request for longer than it was away, or to have
/// replied before it was asked. `sntpc` would cut such a round trip to nothing, and the offset
/// would look exact.
fn contradicts(packet: &[u8; PACKET], elapsed: Duration, precision_us: u64) -> bool {
    let held = stamp(packet, 40).wrapping_sub(stamp(packet, 32)).cast_signed();
    let held_us = (i128::from(held) * 1_000_000) >> 32;
    // Servers blur the last digits of their stamps, and slow clocks tick between the two.
    let slack = i128::from(2 * precision_us + 1000);
    let away_us = i128::try_from(elapsed.as_micros()).unwrap_or(i128::MAX / 2);
    held_us < -slack || held_us > away_us + slack
}

/// The reference identifier as `ntpq` shows it. Only plain text passes: it comes from outside.
fn reference(stratum: u8, bytes: [u8; 4]) -> String {
    let text: Vec<u8> = bytes.iter().copied().take_while(|byte| *byte != 0).collect();
    let is_text = !text.is_empty() && text.iter().all(u8::is_ascii_graphic);
    match String::from_utf8(text) {
        Ok(text) if stratum <= 1 && is_text => text,
        _ => Ipv4Addr::from(bytes).to_string(),
    }
}

/// Seconds since 1900 in the upper half, their fraction in the lower.
fn stamp(packet: &[u8; PACKET], at: usize) -> u64 {
    packet[at..at + 8].iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// A duration in 65536ths of a second, in microseconds.
fn short_us(packet: &[u8; PACKET], at: usize) -> u64 {
    let units = packet[at..at + 4].iter().fold(0, |number, byte| (number << 8) | u64::from(*byte));
    (units * 1_000_000) >> 16
}

/// A power of two of a second, in microseconds; more than a minute is no clock's precision and is
/// taken as one.
fn precision_us(exponent: i8) -> u64 {
    match exponent {
        ..=-20 => 1,
        -19..0 => (1_000_000 >> exponent.unsigned_abs()) + 1,
        0.. => 1_000_000 << exponent.min(6),
    }
}

/// The address of both ends, since packets pass through a [`Mailbox`].
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// One packet, for `sntpc` to write or to read.
#[derive(Default)]
struct Mailbox(RefCell<Vec<u8>>);

impl NtpUdpSocket for Mailbox {
    async fn send_to(&self, packet: &[u8], _: SocketAddr) -> sntpc::Result<usize> {
        self.0.replace(packet.to_vec());
        Ok(packet.len())
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
        let packet = self.0.borrow();
        let length = packet.len().min(buffer.len());
        buffer[..length].copy_from_slice(&packet[..length]);
        Ok((length, NOWHERE))
    }
}

/// A clock that stands at the time since 1970 that it is given.
#[derive(Clone, Copy)]
struct Stopped(Duration);

impl NtpTimestampGenerator for Stopped {
    fn init(&mut self) {}

    fn timestamp_sec(&self) -> u64 {
        self.0.as_secs()
    }

    fn timestamp_subsec_micros(&self) -> u32 {
        self.0.subsec_micros()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_790_000_000);

    /// Seconds between 1900 and 1970.
    const EPOCH: u64 = 2_208_988_800;

    fn ntp(time: Duration) -> u64 {
        let fraction = (u64::from(time.subsec_micros()) << 32) / 1_000_000;
        ((time.as_secs() + EPOCH) << 32) | fraction
    }

    /// A sound reply of a server that is `ahead` of this clock and got the request 10 ms after it
    /// left.
    fn reply(request: &Request, ahead: Duration) -> Vec<u8> {
        let mut packet = vec![0; PACKET];
        packet[..4].copy_from_slice(&[0b00_100_100, 2, 6, 0xec]);
        packet[4..8].copy_from_slice(&0x0000_8000_u32.to_be_bytes());
        packet[8..12].copy_from_slice(&0x0000_4000_u32.to_be_bytes());
        packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
        let received = NOW + ahead + Duration::from_millis(10);
        packet[16..24]
            .copy_from_slice(&ntp(received.saturating_sub(Duration::from_mins(1))).to_be_bytes());
        packet[24..32].copy_from_slice(&request.packet()[40..48]);
        packet[32..40].copy_from_slice(&ntp(received).to_be_bytes());
        packet[40..48].copy_from_slice(&ntp(received).to_be_bytes());
        packet
    }

    fn request() -> Request {
        Request::at(NOW).unwrap()
    }

    /// What becomes of a sound reply after `change`, 20 ms after the request.
    fn read(change: impl FnOnce(&mut Vec<u8>)) -> Reading {
        let request = request();
        let mut packet = reply(&request, Duration::from_secs(92));
        change(&mut packet);
        request.read(&packet, Duration::from_millis(20))
    }

    fn no_time(change: impl FnOnce(&mut Vec<u8>)) -> NoTime {
        match read(change) {
            Reading::NoTime(_, why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_a_client_packet_of_version_4() {
        let request = request();
        assert_eq!(request.packet().len(), PACKET);
        assert_eq!(request.packet()[0], 0b00_100_011);
        assert_eq!(request.packet()[40..48], ntp(NOW).to_be_bytes());
    }

    #[test]
    fn a_sound_reply_tells_offset_round_trip_and_what_the_server_is() {
        let Reading::Time(header, timing) = read(|_| {}) else { panic!("no time") };
        assert!(timing.offset_us.abs_diff(92_000_000) <= 2, "{timing:?}");
        assert!(timing.round_trip_us.abs_diff(20_000) <= 2, "{timing:?}");
        let expected = Header {
            leap: 0,
            version: 4,
            mode: 4,
            stratum: 2,
            reference: "10.0.0.1".to_owned(),
            reference_age_s: Some(60),
            root_delay_us: 500_000,
            root_dispersion_us: 250_000,
            precision_us: 1,
        };
        assert_eq!(header.root_distance_us(), 500_000);
        assert_eq!(header, expected);
    }

    #[test]
    fn what_answers_another_request_is_a_stray() {
        assert_eq!(read(|packet| packet[31] ^= 1), Reading::Stray(Stray::WrongOrigin));
        assert_eq!(read(|packet| packet.truncate(47)), Reading::Stray(Stray::Short(47)));
        assert_eq!(read(Vec::clear), Reading::Stray(Stray::Short(0)));
        let request = request();
        let mirrored = request.packet().to_vec();
        let read = request.read(&mirrored, Duration::ZERO);
        assert_eq!(read, Reading::Stray(Stray::WrongOrigin));
    }

    #[test]
    fn stratum_0_is_a_kiss_only_with_a_code() {
        let stratum_0 = |reference: &'static [u8; 4]| {
            no_time(move |packet| {
                packet[0] |= 0b11_000_000;
                packet[1] = 0;
                packet[12..16].copy_from_slice(reference);
            })
        };
        assert_eq!(stratum_0(b"RATE"), NoTime::Kiss("RATE".to_owned()));
        assert_eq!(stratum_0(b"DENY"), NoTime::Kiss("DENY".to_owned()));
        assert_eq!(stratum_0(b"XYZ\0"), NoTime::Kiss("XYZ".to_owned()));
        assert_eq!(stratum_0(b"INIT"), NoTime::Unsynchronised);
        assert_eq!(stratum_0(b"STEP"), NoTime::Unsynchronised);
        assert_eq!(stratum_0(&[0, 0, 0, 0]), NoTime::Unsynchronised);
        assert_eq!(stratum_0(&[127, 0, 0, 1]), NoTime::Unsynchronised);
        assert_eq!(stratum_0(b"\x1b[2J"), NoTime::Unsynchronised);
    }

    #[test]
    fn a_reply_that_proves_nothing_says_why() {
        assert_eq!(no_time(|packet| packet[0] |= 0b11_000_000), NoTime::Unsynchronised);
        assert_eq!(no_time(|packet| packet[1] = 16), NoTime::Unsynchronised);
        assert_eq!(no_time(|packet| packet[1] = 17), NoTime::Stratum);
        assert_eq!(no_time(|packet| packet[0] = 0b00_100_101), NoTime::Mode);
        assert_eq!(no_time(|packet| packet[0] = 0b00_101_100), NoTime::Version);
        assert_eq!(no_time(|packet| packet[0] = 0b00_000_100), NoTime::Version);
        assert_eq!(no_time(|packet| packet[40..48].fill(0)), NoTime::Stamps);
        assert_eq!(no_time(|packet| packet[16] = packet[40] + 1), NoTime::Stamps);
        assert_eq!(no_time(|packet| packet[9] = 16), NoTime::Distance);
        assert!(matches!(read(|packet| packet[0] = 0b00_011_100), Reading::Time(..)));
        assert!(matches!(read(|packet| packet[9] = 15), Reading::Time(..)));
    }

    #[test]
    fn a_server_cannot_hold_a_request_longer_than_it_was_away() {
        let held = |by: i64| {
            let received = ntp(NOW + Duration::from_millis(92_010));
            let moved = received.wrapping_add_signed(by << 32);
            read(move |packet| packet[32..40].copy_from_slice(&moved.to_be_bytes()))
        };
        assert!(matches!(held(0), Reading::Time(..)));
        assert!(matches!(held(1), Reading::NoTime(_, NoTime::Stamps)));
        assert!(matches!(held(-1), Reading::NoTime(_, NoTime::Stamps)));
        let never = read(|packet| packet[32..40].fill(0));
        assert!(matches!(never, Reading::NoTime(_, NoTime::Stamps)));
    }

    #[test]
    fn precision_is_rounded_up_and_bounded() {
        assert_eq!(precision_us(-128), 1);
        assert_eq!(precision_us(-20), 1);
        assert_eq!(precision_us(-6), 15_626);
        assert_eq!(precision_us(0), 1_000_000);
        assert_eq!(precision_us(127), 64_000_000);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            ours in any::<bool>(),
            sent in any::<u32>(),
            elapsed in any::<u32>(),
        ) {
            let request = Request::at(Duration::from_secs(u64::from(sent))).unwrap();
            let mut bytes = bytes;
            if ours && bytes.len() >= 32 {
                bytes[24..32].copy_from_slice(&request.packet()[40..48]);
            }
            let reading = request.read(&bytes, Duration::from_micros(u64::from(elapsed)));
            if let Reading::Time(_, timing) = reading {
                // Two clocks of 64 bits are at most 68 years apart.
                prop_assert!(timing.offset_us.unsigned_abs() <= 1 << 52);
                prop_assert!(timing.round_trip_us < 1 << 33);
            }
        }
    }
}
