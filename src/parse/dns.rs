//! Questions to a name server and its replies, as far as a diagnosis needs them (RFC 1035).

/// The length of the fixed head of a packet.
const HEAD: usize = 12;

/// The types of records that hold addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// IPv4.
    A = 1,
    /// IPv6.
    Aaaa = 28,
}

/// What a packet says to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// There are so many records.
    Records(u16),
    /// There is no such name.
    NoSuchName,
    /// The server does not tell; its code.
    Failed(u8),
    /// It is no reply to this question.
    Stray,
}

/// The packet that asks for a record; `None` for what cannot be a name in DNS.
pub fn question(id: u16, name: &str, record: Record) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut packet = id.to_be_bytes().to_vec();
    // Recursion is desired, and there is one question.
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        packet.push(length);
        packet.extend_from_slice(label.as_bytes());
    }
    if packet.len() - HEAD > 254 {
        return None;
    }
    packet.extend([0, 0, record as u8, 0, 1]);
    Some(packet)
}

/// What a packet says to a question.
pub fn reply(question: &[u8], packet: &[u8]) -> Reply {
    let (Some(asked), Some(head)) = (question.get(..HEAD), packet.get(..HEAD)) else {
        return Reply::Stray;
    };
    // Servers may change the case of the name, but not its length.
    let echoed = packet.get(HEAD..question.len());
    let is_echo = echoed.is_some_and(|it| it.eq_ignore_ascii_case(&question[HEAD..]));
    let is_reply = head[2] & 0x80 != 0 && head[..2] == asked[..2];
    let code = head[3] & 0x0f;
    // A server that understood nothing need not repeat the question.
    if !is_reply || (!is_echo && matches!(code, 0 | 3)) {
        return Reply::Stray;
    }
    match code {
        0 => Reply::Records(u16::from_be_bytes([head[6], head[7]])),
        3 => Reply::NoSuchName,
        code => Reply::Failed(code),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(flags: [u8; 2], records: u8) -> Vec<u8> {
        let mut packet = question(7, "Git.test", Record::A).unwrap();
        packet[2..4].copy_from_slice(&flags);
        packet[7] = records;
        packet
    }

    #[test]
    fn replies_are_read() {
        let asked = question(7, "git.test.", Record::A).unwrap();
        assert_eq!(asked[HEAD..], *b"\x03git\x04test\x00\x00\x01\x00\x01");
        assert_eq!(reply(&asked, &answer([0x81, 0x80], 2)), Reply::Records(2));
        assert_eq!(reply(&asked, &answer([0x81, 0x83], 0)), Reply::NoSuchName);
        assert_eq!(reply(&asked, &answer([0x81, 0x85], 0)), Reply::Failed(5));
        // A question, another's reply, and half of one.
        assert_eq!(reply(&asked, &asked), Reply::Stray);
        let other = question(8, "git.test", Record::A).unwrap();
        assert_eq!(reply(&other, &answer([0x81, 0x80], 1)), Reply::Stray);
        assert_eq!(reply(&asked, &answer([0x81, 0x80], 1)[..20]), Reply::Stray);
    }

    #[test]
    fn not_every_text_is_a_name() {
        for bad in ["", "a..b", &"x".repeat(64), &"x.".repeat(200)] {
            assert_eq!(question(1, bad, Record::Aaaa), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_packet_is_read(packet in proptest::collection::vec(any::<u8>(), 0..64)) {
            let asked = question(7, "git.test", Record::A).unwrap();
            let _ = reply(&asked, &packet);
        }

        #[test]
        fn any_name_is_asked(name in ".{0,80}") {
            let _ = question(7, &name, Record::A);
        }
    }
}
