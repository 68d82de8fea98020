//! One name, several addresses, and not all of them work: clients take either.

use std::collections::BTreeSet;

use super::{Service, shown};
use crate::checks::Finding;
use crate::checks::reach::{Stage, Way};
use crate::checks::shell::word;
use crate::host::network::Failure;

/// Some addresses work and others do not.
pub(super) fn differing(service: &dyn Service, good: &[&Way], bad: &[&Way]) -> Finding {
    let untried = bad.iter().all(|way| matches!(way.stage, Stage::Connection(Failure::NoRoute)));
    let finding = if untried { not_tried(service, bad) } else { half_dead(service, good, bad) };
    let ways = good.iter().chain(bad).copied();
    shown(finding, ways).docs(service.docs())
}

/// Nothing is known of an address that this host has no route to.
fn not_tried(service: &dyn Service, bad: &[&Way]) -> Finding {
    let (host, the) = (&service.endpoint().host, service.words().the);
    let what = if bad.iter().all(|way| way.address.is_ipv6()) { "IPv6 " } else { "" };
    Finding::notice(
        "address-untried",
        service.endpoint().to_string(),
        format!("'{host}' has an {what}address to which this host has no route; others may use it"),
    )
    .remedy(
        format!("Make sure that {the} answers there, or take the address of {host} away."),
        [format!("getent ahosts {}", word(host))],
    )
}

fn half_dead(service: &dyn Service, good: &[&Way], bad: &[&Way]) -> Finding {
    let host = &service.endpoint().host;
    let families = |ways: &[&Way]| -> BTreeSet<_> {
        ways.iter().map(|way| if way.address.is_ipv6() { "IPv6" } else { "IPv4" }).collect()
    };
    let (works, fails) = (families(good), families(bad));
    let join = |set: BTreeSet<&str>| set.into_iter().collect::<Vec<_>>().join(" and ");
    let what = if works.is_disjoint(&fails) {
        format!("answers over {} but not over {}", join(works), join(fails))
    } else {
        format!("answers at {} of its {} addresses", good.len(), good.len() + bad.len())
    };
    // Clients try the next address only while they have no connection.
    let connected = bad.iter().any(|way| !matches!(way.stage, Stage::Connection(_)));
    let finding = if connected {
        let message = format!("{what}: clients that take a bad address fail");
        service.error("addresses-differ", message)
    } else {
        let message = format!("{what}: clients that try a dead address first lose time, or fail");
        service.warning("addresses-differ", message)
    };
    let (listen, commands) = service.listen_everywhere();
    let look = format!("getent ahosts {}", word(host));
    let commands = commands.iter().map(|&command| command.to_owned());
    finding.remedy(
        format!("Take the bad addresses of {host} out of DNS and /etc/hosts, or {listen}."),
        std::iter::once(look).chain(commands),
    )
}
