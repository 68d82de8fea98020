//! The servers that did not tell the time, and how bad that is.

use super::remedies;
use crate::checks::clock::hearing::{Heard, Server};
use crate::checks::clock::trouble::{Trouble, is_public};
use crate::checks::{Cause, Finding, Severity, Verdict, docs};
use crate::host::Unknown;

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
    let finding = Finding::new(severity, code, server.endpoint(), trouble.told_of(server));
    let finding = with_places(finding, server)
        .remedy(advice, remedies::look(server))
        .docs(docs::OFFLINE_NTP)
        .follows(Cause::Name(server.host.clone()));
    explaining(finding, severity, server)
}

/// As long as another server tells the time, a dead one is at the bottom of nothing.
fn explaining(finding: Finding, severity: Severity, server: &Server) -> Finding {
    match severity {
        Severity::Notice => finding,
        _ => finding.explains(Cause::TimeServer(server.endpoint())),
    }
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
            remedies::rename(&servers),
        )
        .docs(docs::OFFLINE_NTP);
    for (server, trouble) in defaults {
        finding = explaining(finding, severity, server);
        let named = server.named.iter();
        finding.evidence.extend(
            named.map(|named| named.source.evidence(&named.client, trouble.told_of(server))),
        );
    }
    Some(finding)
}

/// Servers that nobody named: a time service falls back to the one that is built into it.
pub(super) fn built_in(defaults: &[Server]) -> Option<Finding> {
    let first = defaults.first()?;
    let servers: Vec<_> = defaults.iter().collect();
    let client = first.named.first().map_or("the time service", |named| &named.client);
    let message = format!(
        "no time server is named: {client} falls back to {}, on the internet",
        first.name()
    );
    let advice =
        format!("Name the time server of your own site in {}.", remedies::places(&servers));
    let finding = Finding::notice("public-default", first.endpoint(), message)
        .docs(docs::OFFLINE_NTP)
        .remedy(advice, remedies::rename(&servers))
        .explains(Cause::TimeServer(first.endpoint()));
    Some(with_places(finding, first))
}

fn with_places(mut finding: Finding, server: &Server) -> Finding {
    let named = server.named.iter();
    finding.evidence.extend(named.map(|named| named.source.evidence(&named.client, server.name())));
    finding
}
