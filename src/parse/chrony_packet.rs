//! Reads what chronyd says of its own state: the request `tracking` of its command protocol, which
//! `chronyc tracking` sends, and the reply to it.
//!
//! The layout is that of version 6 of the protocol, which every chrony since 2.0 (2015) speaks: 20
//! bytes of header and nothing else in the request, filled up to the length of the reply, as chronyd
//! never answers with more than it was sent; 28 bytes of header and 76 of data in the reply.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// The length of both packets.
pub const PACKET: usize = 104;

const VERSION: u8 = 6;
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const TRACKING_REQUEST: u16 = 33;
const TRACKING_REPLY: u16 = 5;

/// Where the data of the reply begins.
const DATA: usize = 28;

/// The reference of a chronyd that vouches for its own clock (`local`): 127.127.1.1.
const LOCAL: u32 = 0x7f7f_0101;

/// What chronyd says of the clock that it keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracking {
    /// Whether it is synchronised, with whatever.
    pub synchronised: bool,
    /// Whether it vouches for its own clock, which follows nobody.
    pub local: bool,
    /// What it follows: an address, or the name of a reference clock.
    pub reference: String,
    /// How many servers away the reference clock is.
    pub stratum: u16,
    /// When it last took a measurement into account, in seconds since 1970.
    pub updated_s: Option<i64>,
    /// How far the system's clock still is from what chronyd takes for right, in microseconds:
    /// positive where the clock is behind.
    pub behind_us: i64,
    /// How far chronyd itself may be off in its own opinion, in microseconds.
    pub distance_us: u64,
}

/// Why a packet tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoTracking {
    /// It is no reply to the request.
    Stray,
    /// chronyd refuses the request; its status.
    Refused(u16),
}

/// A request with a number by which its reply is known.
pub fn request(sequence: u32) -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    packet[0] = VERSION;
    packet[1] = REQUEST;
    packet[4..6].copy_from_slice(&TRACKING_REQUEST.to_be_bytes());
    packet[8..12].copy_from_slice(&sequence.to_be_bytes());
    packet
}

/// Reads the reply to the request with that number.
pub fn read(packet: &[u8], sequence: u32) -> Result<Tracking, NoTracking> {
    let is_ours = packet.len() >= DATA
        && packet[..2] == [VERSION, REPLY]
        && short(packet, 4) == TRACKING_REQUEST
        && long(packet, 16) == sequence;
    if !is_ours {
        return Err(NoTracking::Stray);
    }
    let (kind, status) = (short(packet, 6), short(packet, 8));
    if status != 0 {
        return Err(NoTracking::Refused(status));
    }
    if kind != TRACKING_REPLY || packet.len() < PACKET {
        return Err(NoTracking::Stray);
    }
    let data = &packet[DATA..];
    let reference = long(data, 0);
    Ok(Tracking {
        synchronised: short(data, 26) != 3,
        local: reference == LOCAL,
        reference: shown(reference, data),
        stratum: short(data, 24),
        updated_s: seconds(data, 28),
        behind_us: microseconds(long(data, 40)),
        distance_us: (microseconds(long(data, 64)) / 2)
            .saturating_add(microseconds(long(data, 68)))
            .unsigned_abs(),
    })
}

/// The address of the source; a reference clock has none, and its name stands in the identifier.
fn shown(reference: u32, data: &[u8]) -> String {
    let address: [u8; 16] = std::array::from_fn(|i| data[4 + i]);
    match short(data, 20) {
        1 => Ipv4Addr::new(address[0], address[1], address[2], address[3]).to_string(),
        2 => Ipv6Addr::from(address).to_string(),
        _ => {
            let bytes = reference.to_be_bytes();
            let name: Vec<u8> = bytes.into_iter().take_while(|byte| *byte != 0).collect();
            match String::from_utf8(name) {
                Ok(name) if !name.is_empty() && name.bytes().all(|it| it.is_ascii_graphic()) => {
                    name
                }
                _ => Ipv4Addr::from(reference).to_string(),
            }
        }
    }
}

/// A time; `None` for the one that stands for "never".
fn seconds(data: &[u8], at: usize) -> Option<i64> {
    // What does not count in the upper half is marked so on systems with 32 bits of time.
    let upper = match long(data, at) {
        0x7fff_ffff => 0,
        upper => upper,
    };
    let seconds = (u64::from(upper) << 32) | u64::from(long(data, at + 4));
    i64::try_from(seconds).ok().filter(|seconds| *seconds > 0)
}

/// A number of seconds in chrony's own format, in microseconds: 7 bits of exponent and 25 bits of
/// coefficient, both signed, where a coefficient of two to the power of 25 is one second.
fn microseconds(bits: u32) -> i64 {
    let signed = |value: u32, bits: u32| {
        let value = i64::from(value);
        if value >> (bits - 1) == 0 { value } else { value - (1 << bits) }
    };
    let exponent = signed(bits >> 25, 7) - 25;
    let micro = i128::from(signed(bits & 0x01ff_ffff, 25)) * 1_000_000;
    let micro = match u32::try_from(exponent) {
        Ok(up) => micro << up.min(64),
        Err(_) => micro >> u32::try_from(-exponent).unwrap_or(0).min(100),
    };
    i64::try_from(micro).unwrap_or(if micro < 0 { i64::MIN } else { i64::MAX })
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reply of chronyd 4.3 that follows 10.0.0.11, ten hours ago and one second behind.
    fn reply() -> Vec<u8> {
        let mut packet = vec![0; PACKET];
        packet[..2].copy_from_slice(&[6, 2]);
        packet[4..6].copy_from_slice(&33_u16.to_be_bytes());
        packet[6..8].copy_from_slice(&5_u16.to_be_bytes());
        packet[16..20].copy_from_slice(&7_u32.to_be_bytes());
        let data = &mut packet[DATA..];
        data[..4].copy_from_slice(&[10, 0, 0, 11]);
        data[4..8].copy_from_slice(&[10, 0, 0, 11]);
        data[20..22].copy_from_slice(&1_u16.to_be_bytes());
        data[24..26].copy_from_slice(&3_u16.to_be_bytes());
        data[32..36].copy_from_slice(&1_790_000_000_u32.to_be_bytes());
        data[40..44].copy_from_slice(&float(1, 25));
        data[64..68].copy_from_slice(&float(1, 24));
        data[68..72].copy_from_slice(&float(1, 23));
        packet
    }

    /// A coefficient and an exponent in chrony's format.
    fn float(coefficient: i32, exponent: i32) -> [u8; 4] {
        let bits = (exponent << 25).cast_unsigned() | (coefficient.cast_unsigned() & 0x01ff_ffff);
        bits.to_be_bytes()
    }

    #[test]
    fn a_request_is_as_long_as_its_reply() {
        let packet = request(7);
        assert_eq!(packet[..12], [6, 1, 0, 0, 0, 33, 0, 0, 0, 0, 0, 7]);
        assert_eq!(packet.len(), reply().len());
    }

    #[test]
    fn a_reply_tells_what_chronyd_follows() {
        let expected = Tracking {
            synchronised: true,
            local: false,
            reference: "10.0.0.11".to_owned(),
            stratum: 3,
            updated_s: Some(1_790_000_000),
            behind_us: 1_000_000,
            distance_us: 500_000,
        };
        assert_eq!(read(&reply(), 7), Ok(expected));
        let mut local = reply();
        local[DATA..DATA + 4].copy_from_slice(&[127, 127, 1, 1]);
        local[DATA + 20..DATA + 22].fill(0);
        let tracking = read(&local, 7).unwrap();
        assert_eq!((tracking.local, tracking.reference.as_str()), (true, "127.127.1.1"));
        let mut gps = reply();
        gps[DATA..DATA + 4].copy_from_slice(b"GPS\0");
        gps[DATA + 20..DATA + 22].fill(0);
        assert_eq!(read(&gps, 7).unwrap().reference, "GPS");
        let mut never = reply();
        never[DATA + 26..DATA + 28].copy_from_slice(&3_u16.to_be_bytes());
        never[DATA + 28..DATA + 40].fill(0);
        let tracking = read(&never, 7).unwrap();
        assert_eq!((tracking.synchronised, tracking.updated_s), (false, None));
    }

    #[test]
    fn what_is_no_reply_tells_nothing() {
        assert_eq!(read(&reply(), 8), Err(NoTracking::Stray));
        assert_eq!(read(&reply()[..103], 7), Err(NoTracking::Stray));
        assert_eq!(read(&request(7), 7), Err(NoTracking::Stray));
        assert_eq!(read(&[], 7), Err(NoTracking::Stray));
        let mut refused = reply();
        refused[9] = 2;
        assert_eq!(read(&refused[..28], 7), Err(NoTracking::Refused(2)));
    }

    #[test]
    fn numbers_are_read_as_chrony_writes_them() {
        let read =
            |coefficient, exponent| microseconds(u32::from_be_bytes(float(coefficient, exponent)));
        assert_eq!(read(1, 25), 1_000_000);
        assert_eq!(read(-1, 25), -1_000_000);
        assert_eq!(read(3, 24), 1_500_000);
        assert_eq!(read(0, 0), 0);
        assert_eq!(read(1, -64), 0);
        assert!(read(0x00ff_ffff, 63) > 4_000_000_000_000_000_000);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..120),
            ours in any::<bool>(),
        ) {
            let mut bytes = bytes;
            if ours && bytes.len() >= DATA {
                let head = reply();
                bytes[..DATA].copy_from_slice(&head[..DATA]);
            }
            let _ = read(&bytes, 7);
        }
    }
}
