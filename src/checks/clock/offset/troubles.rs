//! The servers that did not tell the time: which they are, why, and how bad that is.

use super::hearing::{Heard, Server};
use super::remedies;
use crate::checks::{Cause, Finding, Severity, Verdict, docs};
use crate::host::Unknown;
use crate::host::network::{Failure, NtpReply, Resolved};
use crate::parse::ntp_packet::{Header, NoTime, Stray};

/// Why a server did not tell the time.
#[derive(Debug)]
enum Trouble<'a> {
    /// It has no address.
    Name(&'a Resolved),
    /// Nothing came back.
    Dead(&'a Failure),
    /// Something came back that proves nothing.
    Useless(&'a NtpReply),
    /// We could not look.
    Untold(&'a Unknown),
}

/// Adds what is to be said of all servers that did not tell the time. As long as another one did,
/// that is worth knowing; otherwise nothing keeps this clock, and its time is not known.
pub(super) fn judge(verdict: &mut Verdict, heard: &[Heard], someone_told: bool) {
    let troubled = heard.iter().filter_map(|heard| Some((&heard.server, Trouble::of(heard)?)));
    let severity = if someone_told { Severity::Notice } else { Severity::Warning };
    let mut defaults = Vec::new();
    for (server, trouble) in troubled {
        match &trouble {
            Trouble::Untold(why) => verdict.untold(server.endpoint(), (*why).clone()),
            _ if someone_told => {}
            _ => verdict.untold("the time", Unknown::Unreadable(trouble.told_of(server))),
        }
        match trouble {
            Trouble::Name(_) | Trouble::Dead(_) if is_public(&server.host) => {
                defaults.push((server, trouble));
            }
            Trouble::Name(_) | Trouble::Dead(_) => verdict.add([dead(severity, server, &trouble)]),
            // A reply that proves nothing is no fault of this host; alone, it leaves the check
            // unknown, as said above.
            Trouble::Useless(_) if someone_told => verdict.add([useless(server, &trouble)]),
            Trouble::Useless(_) | Trouble::Untold(_) => {}
        }
    }
    verdict.add(public_default(severity, &defaults));
}

impl<'a> Trouble<'a> {
    /// `None` if the server told the time at one of its addresses.
    fn of(heard: &'a Heard) -> Option<Self> {
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
        // Of several addresses the one that got furthest tells most.
        Some(troubles.max_by_key(Self::progress).unwrap_or(Self::Name(resolved)))
    }

    fn progress(&self) -> u8 {
        match self {
            Self::Useless(_) => 5,
            Self::Dead(Failure::Refused) => 4,
            Self::Dead(Failure::Unreachable) => 1,
            Self::Dead(_) => 3,
            Self::Untold(_) => 2,
            Self::Name(_) => 0,
        }
    }

    /// A clause that names the server.
    fn told_of(&self, server: &Server) -> String {
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
            Self::Dead(Failure::Unreachable) => format!("no route leads to {endpoint}"),
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

/// A configured server that cannot be reached.
fn dead(severity: Severity, server: &Server, trouble: &Trouble) -> Finding {
    let place = remedies::places(&[server]);
    let (code, advice) = match trouble {
        Trouble::Name(_) => (
            "unresolvable-server",
            format!("Make the name known (DNS or /etc/hosts), or name another server in {place}."),
        ),
        _ => (
            "silent-server",
            format!(
                "Start the server, let UDP port {} pass to it, or name another one in {place}.",
                server.port
            ),
        ),
    };
    with_places(Finding::new(severity, code, server.endpoint(), trouble.told_of(server)), server)
        .remedy(advice, remedies::look(server))
        .docs(docs::OFFLINE_NTP)
        .follows(Cause::Name(server.host.clone()))
}

/// A server whose reply proves nothing, beside one that told the time.
fn useless(server: &Server, trouble: &Trouble) -> Finding {
    let finding = Finding::notice("useless-reply", server.endpoint(), trouble.told_of(server));
    let advice = format!("Mend that server, or leave it out of {}.", remedies::places(&[server]));
    with_places(finding, server).remedy(advice, remedies::look(server)).docs(docs::OFFLINE_NTP)
}

/// Public servers that cannot be reached: the defaults of the distribution, as a rule.
fn public_default(severity: Severity, defaults: &[(&Server, Trouble)]) -> Option<Finding> {
    let (first, trouble) = defaults.first()?;
    let servers: Vec<_> = defaults.iter().map(|(server, _)| *server).collect();
    let message = match defaults.len() {
        1 => format!("{}: a public server, as defaults name it", trouble.told_of(first)),
        count => {
            format!(
                "{count} public time servers cannot be reached from here, as defaults name them"
            )
        }
    };
    let mut finding = Finding::new(severity, "public-default", first.endpoint(), message)
        .remedy(
            format!(
                "Name the time server of your own site in {} instead.",
                remedies::places(&servers)
            ),
            remedies::restart(&servers),
        )
        .docs(docs::OFFLINE_NTP);
    for (server, trouble) in defaults {
        let named = server.named.iter();
        finding.evidence.extend(
            named.map(|named| named.source.evidence(&named.client, trouble.told_of(server))),
        );
    }
    Some(finding)
}

fn with_places(mut finding: Finding, server: &Server) -> Finding {
    let named = server.named.iter();
    finding.evidence.extend(named.map(|named| named.source.evidence(&named.client, server.name())));
    finding
}

/// Whether a name is one of the public time servers that distributions and clouds put into their
/// defaults. On an offline site none of them answers.
fn is_public(host: &str) -> bool {
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
