//! Which clocks differ, and what that breaks.

use std::fmt;
use std::net::SocketAddr;

use super::skew::Skew;
use crate::checks::clock::vote::Limits;
use crate::checks::{Cause, Evidence, Finding, Severity, docs};
use crate::install::{Endpoint, Sourced};

/// How far behind GitLab's clock the registry's may be before it takes a new token for one of the
/// future: the 60 s that it forgives and the 5 s that GitLab allows for.
const NOT_YET_VALID_MS: i64 = 65_000;

/// How far ahead it may be before a new token has expired: 5 minutes and the 60 s.
const EXPIRED_MS: i64 = 360_000;

/// From which difference on an object store refuses requests.
const STORE_MS: u64 = 900_000;

/// Whose clock it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Gitlab,
    Registry,
    ObjectStore,
}

/// A clock as a response told it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) role: Role,
    pub(super) endpoint: Sourced<Endpoint>,
    pub(super) address: SocketAddr,
    /// That clock less this one.
    pub(super) skew: Skew,
    pub(super) date: String,
    /// A proxy passed the response on, and the clock may be its own.
    pub(super) passed_on: bool,
}

/// What a time server says of this clock.
#[derive(Debug)]
pub(super) struct Ntp {
    pub(super) server: String,
    /// The true time less this clock.
    pub(super) truth: Skew,
}

/// Everything that differs for certain.
pub(super) fn judge(known: &[Known], ntp: Option<&Ntp>, limits: Limits) -> Vec<Finding> {
    let differs = |skew: Skew| skew.certain_ms().unsigned_abs() >= limits.least_us().div_ceil(1000);
    let of = |role| known.iter().find(|clock| clock.role == role);
    let registry = of(Role::Registry);
    let mut findings = Vec::new();
    // Clocks that a finding on a pair has named already.
    let mut told = Vec::new();
    let pairs = [(of(Role::Gitlab), registry), (registry, of(Role::ObjectStore))];
    for pair in pairs {
        let (Some(one), Some(other)) = pair else { continue };
        if differs(other.skew.less(one.skew)) {
            findings.push(pair_finding(one, other, ntp, limits));
            // This host goes with one of them; to say that it differs from the other is no news.
            if !(differs(one.skew) && differs(other.skew)) {
                told.extend([one.role, other.role]);
            }
        }
    }
    let apart: Vec<_> = known.iter().filter(|clock| differs(clock.skew)).collect();
    let they_agree =
        apart.iter().all(|one| apart.iter().all(|other| !differs(other.skew.less(one.skew))));
    if apart.len() == known.len() && they_agree {
        findings.extend(host_finding(&apart, ntp));
    } else {
        let untold = apart.iter().filter(|clock| !told.contains(&clock.role));
        findings.extend(untold.filter_map(|clock| host_finding(&[clock], ntp)));
    }
    findings
}

/// Two services whose clocks differ.
fn pair_finding(one: &Known, other: &Known, ntp: Option<&Ntp>, limits: Limits) -> Finding {
    let apart = other.skew.less(one.skew);
    let certain = apart.certain_ms();
    let (code, breaks, broken) = match other.role {
        Role::ObjectStore => (
            "store-skew",
            "an object store refuses requests from 15 minutes on (RequestTimeTooSkewed)",
            certain.unsigned_abs() > STORE_MS,
        ),
        _ if certain < 0 => (
            "registry-behind",
            "the registry refuses a token as not yet valid that was issued more than 65 s in its \
             future: no login, push or pull works",
            certain < -NOT_YET_VALID_MS,
        ),
        _ => (
            "registry-ahead",
            "the registry refuses a token as expired that was issued more than 6 minutes in its \
             past: no login, push or pull works",
            certain > EXPIRED_MS,
        ),
    };
    let severity = if broken { Severity::Error } else { Severity::Warning };
    let message = format!("the clock of {} is {} that of {}", other.role, apart.said(), one.role);
    let finding = Finding::new(severity, code, other.endpoint.value.to_string(), message)
        .evidence(one.seen())
        .evidence(other.seen());
    let at = if broken { "what it breaks" } else { "what it will break" };
    let finding = advised(finding.seen(at, breaks), &[one, other], ntp, limits);
    match other.role {
        Role::Registry if broken => finding.explains(Cause::Tokens).explains(Cause::Skew),
        _ => finding,
    }
}

/// This host beside others whose clocks agree with each other; `None` without any.
fn host_finding(others: &[&Known], ntp: Option<&Ntp>) -> Option<Finding> {
    let first = others.iter().min_by_key(|clock| clock.skew.width_ms())?;
    let roles: Vec<_> = others.iter().map(|clock| clock.role.to_string()).collect();
    let here = Skew::ZERO.less(first.skew);
    let proven = ntp.is_some_and(|ntp| others.iter().all(|it| it.skew.overlaps(ntp.truth)));
    let innocent = ntp.filter(|ntp| ntp.truth.certain_ms() == 0 && !proven);
    let (code, message) = if innocent.is_some() {
        let theirs =
            format!("the clock of {} is {} this one", roles.join(" and "), first.skew.said());
        ("peer-skew", theirs)
    } else {
        ("host-skew", format!("this clock is {} that of {}", here.said(), roles.join(" and of ")))
    };
    let is_far = here.certain_ms().unsigned_abs() > STORE_MS;
    let severity = if is_far { Severity::Error } else { Severity::Warning };
    let breaks = if here.certain_ms() > 0 {
        "what this host signs is not yet valid there"
    } else {
        "new certificates of theirs are not yet valid here"
    };
    let mut finding = Finding::new(severity, code, first.endpoint.value.to_string(), message);
    finding.evidence.extend(others.iter().map(|clock| clock.seen()));
    finding = finding.seen("what it breaks", breaks);
    if proven {
        // Then it is clock/offset that tells what to do.
        finding = finding.follows(Cause::Clock);
    }
    Some(remedied(with_ntp(finding, ntp), innocent.map(|_| roles.join(" and "))))
}

/// Says which of two clocks to mend, as far as a time server of this host tells.
fn advised(finding: Finding, pair: &[&Known; 2], ntp: Option<&Ntp>, limits: Limits) -> Finding {
    let wrong = |clock: &&&Known| {
        ntp.is_some_and(|ntp| {
            let off = clock.skew.less(ntp.truth).certain_ms();
            off.unsigned_abs() >= limits.least_us().div_ceil(1000)
        })
    };
    let wrong: Vec<_> = pair.iter().filter(wrong).map(|clock| clock.role.to_string()).collect();
    let whose = (!wrong.is_empty()).then(|| wrong.join(" and "));
    remedied(with_ntp(finding, ntp), whose)
}

fn with_ntp(finding: Finding, ntp: Option<&Ntp>) -> Finding {
    match ntp {
        Some(Ntp { server, truth }) => finding
            .seen(format!("the time server {server}"), format!("{} to this clock", truth.signed())),
        None => finding,
    }
}

fn remedied(finding: Finding, whose: Option<String>) -> Finding {
    let advice = match whose {
        Some(whose) => {
            format!("Set the clock on the host of {whose}, and let it follow a time server.")
        }
        None => "Find out on each host whether its clock is kept, and step the one that is wrong \
                 (sudo chronyc makestep)."
            .to_owned(),
    };
    finding
        .remedy(advice, ["gldoctor run --only clock/sync,clock/offset", "chronyc tracking"])
        .docs(docs::OFFLINE_NTP)
}

impl Known {
    /// What was seen of it.
    fn seen(&self) -> Evidence {
        let Self { role, endpoint, address, skew, date, passed_on } = self;
        let whose = if *passed_on { ", or of a proxy before it" } else { "" };
        let value = format!("{} to this clock{whose}: Date: {date}, from {address}", skew.signed());
        endpoint.source.evidence(format!("the clock of {role}"), value)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gitlab => "GitLab",
            Self::Registry => "the registry",
            Self::ObjectStore => "the object store",
        })
    }
}

#[cfg(test)]
mod tests;
