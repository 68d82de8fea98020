//! Why a time server did not tell the time, in words.

use super::hearing::{Heard, Server};
use crate::host::Unknown;
use crate::host::network::{Failure, NtpReply, Resolved};
use crate::parse::ntp_packet::{Header, NoTime, Stray};

/// Why a server did not tell the time.
#[derive(Debug)]
pub(super) enum Trouble<'a> {
    /// It has no address.
    Name(&'a Resolved),
    /// Nothing came back.
    Dead(&'a Failure),
    /// Something came back that proves nothing.
    Useless(&'a NtpReply),
    /// We could not look.
    Untold(&'a Unknown),
}

impl<'a> Trouble<'a> {
    /// `None` if the server told the time at one of its addresses.
    pub(super) fn of(heard: &'a Heard) -> Option<Self> {
        let resolved = match &heard.resolved {
            Ok(resolved) => resolved,
            Err(why) => return Some(Self::Untold(why)),
        };
        let replies = heard.replies.iter().map(|(_, reply)| reply);
        if replies.clone().any(|reply| matches!(reply, Ok(NtpReply::Time { .. }))) {
            return None;
        }
        let troubles = replies.map(|reply| match reply {
            Ok(NtpReply::Failed(failure)) => Self::Dead(failure),
            Ok(reply) => Self::Useless(reply),
            Err(why) => Self::Untold(why),
        });
        // Of several addresses the one that got furthest tells most; none is called dead as long as
        // one could not be asked.
        Some(troubles.max_by_key(Self::progress).unwrap_or(Self::Name(resolved)))
    }

    fn progress(&self) -> u8 {
        match self {
            Self::Useless(_) => 5,
            Self::Untold(_) => 4,
            Self::Dead(Failure::Refused) => 3,
            Self::Dead(Failure::NoRoute | Failure::Unreachable) => 1,
            Self::Dead(_) => 2,
            Self::Name(_) => 0,
        }
    }

    /// A clause that names the server.
    pub(super) fn told_of(&self, server: &Server) -> String {
        let (name, endpoint) = (server.name(), server.endpoint());
        match self {
            Self::Name(Resolved::Silent(seconds)) => {
                format!("no name server answered for the time server {name} within {seconds} s")
            }
            Self::Name(_) => format!("the time server {} does not resolve", server.host),
            Self::Dead(Failure::Refused) => format!("nothing listens at {endpoint} (UDP)"),
            Self::Dead(Failure::Silent(0)) => format!("nothing answers at {endpoint} (UDP)"),
            Self::Dead(Failure::Silent(seconds)) => {
                format!("nothing answers at {endpoint} (UDP) within {seconds} s")
            }
            Self::Dead(Failure::NoRoute) => format!("no route leads to {endpoint}"),
            Self::Dead(failure) => format!("{endpoint} cannot be asked: {failure}"),
            Self::Useless(NtpReply::NoTime { header, why }) => no_time(&name, header, why),
            Self::Useless(NtpReply::Strays { count, first }) => strays(&endpoint, *count, *first),
            Self::Useless(_) => format!("{name} did not tell the time"),
            Self::Untold(why) => format!("{endpoint}: {why}"),
        }
    }
}

fn no_time(name: &str, header: &Header, why: &NoTime) -> String {
    let Header { leap, version, mode, stratum, reference, .. } = header;
    match why {
        NoTime::Kiss(code) => {
            let meaning = match code.as_str() {
                "RATE" => ": it was asked too often",
                "DENY" | "RSTR" => ": it denies access from here",
                "AUTH" | "CRYP" | "NKEY" => ": it wants authentication",
                _ => "",
            };
            format!("{name} sends its clients away, kiss of death {code}{meaning}")
        }
        NoTime::Unsynchronised => format!(
            "{name} does not know the time itself (leap {leap}, stratum {stratum}, reference \
             {reference})"
        ),
        NoTime::Mode => format!("{name} replied in mode {mode}, which is not a server's"),
        NoTime::Version => format!("{name} replied in version {version} of NTP to version 4"),
        NoTime::Stratum => format!("{name} replied with stratum {stratum}, which does not exist"),
        NoTime::Stamps => {
            format!("the time stamps in the reply of {name} are missing or contradict each other")
        }
        NoTime::Distance => {
            format!("{name} may be off by 16 s or more in its own opinion")
        }
    }
}

fn strays(endpoint: &str, count: u32, first: Stray) -> String {
    let what = match first {
        Stray::WrongOrigin => "does not repeat the time stamp of the request".to_owned(),
        Stray::Short(length) => format!("is {length} bytes long, which is too short"),
    };
    match count {
        1 => format!("a packet from {endpoint} is no reply to the request: it {what}"),
        _ => format!(
            "{count} packets from {endpoint}, none a reply to the request: the first {what}"
        ),
    }
}

/// Whether a name is one of the public time servers that distributions and clouds put into their
/// defaults. On an offline site none of them answers.
pub(super) fn is_public(host: &str) -> bool {
    const PUBLIC: [&str; 10] = [
        "169.254.169.123",
        "ntp.org",
        "ntp.ubuntu.com",
        "time.apple.com",
        "time.aws.com",
        "time.cloudflare.com",
        "time.facebook.com",
        "time.google.com",
        "time.nist.gov",
        "time.windows.com",
    ];
    let google = (1..=4).any(|i| host == format!("time{i}.google.com"));
    google
        || PUBLIC.iter().any(|public| {
            host.strip_suffix(public).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
}

#[test]
fn public_servers_are_known_by_their_domain() {
    for host in ["pool.ntp.org", "2.debian.pool.ntp.org", "ntp.ubuntu.com", "time2.google.com"] {
        assert!(is_public(host), "{host}");
    }
    for host in ["ntp1", "ntp.internal", "mypool.ntp.org.internal", "notntp.org", "10.0.0.1"] {
        assert!(!is_public(host), "{host}");
    }
}
