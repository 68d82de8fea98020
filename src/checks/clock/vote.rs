//! Whom to believe: the time servers hold an election, and the winners judge the clock.

use std::net::SocketAddr;

use super::hearing::{Heard, Server};
use super::words::{difference, margin, span};
use crate::checks::threshold::{CLOCK_ERROR, CLOCK_WARNING};
use crate::checks::{Evidence, Stop};
use crate::host::Host;
use crate::host::network::NtpReply;
use crate::parse::ntp_packet::Header;

/// From which offset on a clock is bad, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    warning_us: u64,
    error_us: u64,
}

/// A server that told the time, at one address.
#[derive(Debug, Clone)]
pub(super) struct Voice<'a> {
    pub(super) server: &'a Server,
    address: SocketAddr,
    header: &'a Header,
    /// The server's clock less this one, in microseconds.
    pub(super) offset_us: i64,
    /// How far the measurement may be off, in microseconds.
    pub(super) error_us: u64,
    /// How far the server may be off in its own opinion, in microseconds.
    pub(super) distance_us: u64,
}

/// What one voice means for this clock. What is worse is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// The two clocks agree, for certain.
    Agrees,
    /// They may agree, and may not.
    Unclear,
    /// This clock is off by more than the limit for a warning, for certain.
    Warning,
    /// The same for an error.
    Error,
}

/// Which voices are believed.
#[derive(Debug)]
pub(super) struct Election<'a> {
    /// Those that agree with each other, if they are the majority; otherwise all. The most exact
    /// one comes first.
    pub(super) believed: Vec<&'a Voice<'a>>,
    /// The minority.
    pub(super) outvoted: Vec<&'a Voice<'a>>,
    limits: Limits,
    is_decided: bool,
}

impl Limits {
    /// Those of this run.
    pub(super) async fn of(host: &Host) -> Result<Self, Stop> {
        Ok(Self::new(CLOCK_WARNING.of(host).await?, CLOCK_ERROR.of(host).await?))
    }

    /// Limits in milliseconds.
    pub(super) fn new(warning_ms: u64, error_ms: u64) -> Self {
        let us = |ms: u64| ms.saturating_mul(1000);
        Self { warning_us: us(warning_ms), error_us: us(error_ms) }
    }

    /// The limit below which all is well.
    pub(super) fn least_us(self) -> u64 {
        self.warning_us.min(self.error_us)
    }
}

impl<'a> Voice<'a> {
    /// Everyone who told the time.
    pub(super) fn of(heard: &'a Heard) -> impl Iterator<Item = Self> {
        heard.replies.iter().filter_map(|(address, reply)| match reply {
            Ok(NtpReply::Time { header, timing }) => Some(Self {
                server: &heard.server,
                address: *address,
                header,
                offset_us: timing.offset_us,
                error_us: timing.round_trip_us / 2 + header.precision_us,
                distance_us: header.root_distance_us(),
            }),
            _ => None,
        })
    }

    /// The server's name, with the address where that says more.
    pub(super) fn name(&self) -> String {
        let (name, address) = (self.server.name(), self.address.ip().to_string());
        if self.server.host == address { name } else { format!("{name} ({address})") }
    }

    /// How far the offset may be from the difference to the true time, in microseconds.
    pub(super) fn margin_us(&self) -> u64 {
        self.error_us.saturating_add(self.distance_us)
    }

    /// What it told.
    pub(super) fn evidence(&self) -> Evidence {
        let Header { stratum, reference, root_delay_us, root_dispersion_us, .. } = self.header;
        let value = format!(
            "this clock is {} (+-{}); stratum {stratum}, reference {reference}, root delay {}, \
             root dispersion {}",
            difference(self.offset_us),
            margin(self.error_us),
            span(*root_delay_us),
            span(*root_dispersion_us),
        );
        match self.server.named.first() {
            Some(named) => named.source.evidence(self.name(), value),
            None => Evidence::new(self.name(), value),
        }
    }

    /// What this voice alone means for this clock.
    fn outcome(&self, limits: Limits) -> Outcome {
        let off = self.offset_us.unsigned_abs();
        let at_least = off.saturating_sub(self.margin_us());
        if at_least >= limits.error_us {
            Outcome::Error
        } else if at_least >= limits.warning_us {
            Outcome::Warning
        // That the two agree is a matter of the measurement alone, not of how well either knows
        // the true time.
        } else if off.saturating_add(self.error_us) < limits.least_us() {
            Outcome::Agrees
        } else {
            Outcome::Unclear
        }
    }

    /// Whether both can be right, give or take the limit.
    fn agrees_with(&self, other: &Self, limits: Limits) -> bool {
        let apart = self.offset_us.abs_diff(other.offset_us);
        let doubt = self.margin_us().saturating_add(other.margin_us());
        apart.saturating_sub(doubt) < limits.least_us()
    }
}

impl<'a> Election<'a> {
    /// The result; `None` if nobody told the time.
    pub(super) fn of(voices: &'a [Voice<'a>], limits: Limits) -> Option<Self> {
        let followers =
            |voice: &Voice| voices.iter().filter(|other| voice.agrees_with(other, limits)).count();
        let leader = voices.iter().min_by_key(|voice| {
            // Exactness decides between equals, so that a vague voice, which agrees with everyone,
            // does not lead.
            (std::cmp::Reverse(followers(voice)), voice.margin_us())
        })?;
        let is_decided = followers(leader) * 2 > voices.len();
        let (mut believed, outvoted): (Vec<_>, Vec<_>) =
            voices.iter().partition(|voice| !is_decided || leader.agrees_with(voice, limits));
        believed.sort_by_key(|voice| voice.margin_us());
        Some(Self { believed, outvoted, limits, is_decided })
    }

    /// Who judges this clock, and how: the most exact of the majority. Without a majority it is
    /// the one nearest to this clock, since that one may be right.
    pub(super) fn verdict(&self) -> (&'a Voice<'a>, Outcome) {
        let outcomes = self.believed.iter().map(|voice| (*voice, voice.outcome(self.limits)));
        let first = (self.believed[0], self.believed[0].outcome(self.limits));
        if self.is_decided {
            return first;
        }
        outcomes
            .min_by_key(|(voice, outcome)| (*outcome, voice.offset_us.unsigned_abs()))
            .unwrap_or(first)
    }

    /// Without a majority, those who contradict each other most: the one whose clock is later,
    /// and the other.
    pub(super) fn contradiction(&self) -> Option<(&'a Voice<'a>, &'a Voice<'a>)> {
        let ahead = self.believed.iter().max_by_key(|voice| voice.offset_us)?;
        let behind = self.believed.iter().min_by_key(|voice| voice.offset_us)?;
        (!self.is_decided).then_some((ahead, behind))
    }

    /// How many agree, of how many.
    pub(super) fn majority(&self) -> String {
        let agreeing = self.believed.len();
        format!("{agreeing} of {}", agreeing + self.outvoted.len())
    }
}
