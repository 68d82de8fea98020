//! Check `clock/offset`: this clock against its time servers.

mod remedies;
mod unheard;

use crate::checks::{Cause, Finding, Severity, Stop, Verdict, check, docs};
use crate::host::{Host, Unknown};
use crate::install::clock::{TimeServer, time_servers};

use super::hearing::{Heard, hear, servers};
use super::vote::{Election, Limits, Outcome, Voice};
use super::words::{self, compared, margin, span};

check! {
    /// This clock agrees with the time servers that are configured here.
    ///
    /// ## Why it matters
    ///
    /// Every signed statement carries times, and each part of GitLab judges them by its own clock.
    /// The registry refuses a login token that was issued more than 60 seconds in its future;
    /// codes of two-factor authentication are good for 30 seconds; object stores refuse requests
    /// that are 15 minutes off; a certificate made on a clock that is ahead is "not yet valid"
    /// everywhere else. The messages name the token or the certificate, hardly ever the clock.
    ///
    /// ## What is looked at
    ///
    /// Every time server that chrony, systemd-timesyncd, ntpd or `gitlab.rb` names, and every
    /// `--ntp HOST[:PORT]`. Each is asked once over NTP (again only if a packet was lost or late).
    /// The clock is never touched. A server that nobody wrote down, such as the one that a
    /// distribution builds into systemd-timesyncd, is told but not asked.
    ///
    /// An offset is known to half the round trip; beyond that, a server says how exact its own
    /// time is. The offset is a warning from 1 second on and an error from 5 seconds on
    /// (`--threshold clock-warning-ms=`, `clock-error-ms=`), counted from the end of that margin
    /// that is nearer to zero. Where the margin leaves both possible, the check is unknown.
    ///
    /// Replies that prove nothing are never taken for agreement: a server that is not
    /// synchronised (leap 3, stratum 0 or 16), a kiss of death, a reply to a question that nobody
    /// asked. If the servers contradict each other, the majority is believed; without one, the
    /// check says that they disagree, instead of blaming this clock.
    ///
    /// ## How to fix it
    ///
    /// - The clock is off: let the time service step it once: `sudo chronyc makestep`, or
    ///   `sudo systemctl restart systemd-timesyncd`. If it goes wrong again, see `clock/sync`.
    /// - A public server such as `pool.ntp.org` is named or built in: name a server of your own
    ///   site instead, in `chrony.conf`, `timesyncd.conf` or `ntp.conf`.
    /// - A server does not answer: let UDP port 123 pass, and let the server allow this network
    ///   (`allow` in the server's `chrony.conf`).
    /// - A server is not synchronised: without internet it needs a reference of its own (a GPS
    ///   receiver), or has to be told to vouch for its clock (`local stratum 10` in chrony).
    "clock/offset": "this clock agrees with its time servers"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let found = time_servers(host).await?;
    if found.servers.is_empty() && found.untold.is_empty() {
        return Err(Stop::not_applicable(
            "no time server is configured; name one with --ntp HOST, and see clock/sync",
        ));
    }
    // What nobody named is not asked: it is on the internet.
    let (defaults, named) = found.servers.into_iter().partition(TimeServer::is_default);
    let limits = Limits::of(host).await?;
    let (heard, left_out) = match hear(host, servers(named)).await {
        Err(Unknown::LeftOut(why)) => (Vec::new(), Some(why)),
        heard => (heard?, None),
    };
    let mut verdict = judge(&heard, limits);
    verdict.add(unheard::built_in(&servers(defaults)));
    verdict.untold.extend(found.untold);
    match left_out.filter(|_| verdict.findings.is_empty() && verdict.untold.is_empty()) {
        Some(why) => Err(Stop::NotApplicable(why)),
        None => Ok(verdict),
    }
}

/// The verdict on all that was heard.
fn judge(heard: &[Heard], limits: Limits) -> Verdict {
    let mut verdict = Verdict::default();
    let voices: Vec<_> = heard.iter().flat_map(Voice::of).collect();
    if let Some(election) = Election::of(&voices, limits) {
        judge_clock(&mut verdict, &election, limits);
        verdict.add(disagreement(&election));
        verdict.add(voices.iter().filter_map(|voice| inexact_server(voice, limits)));
    }
    unheard::judge(&mut verdict, heard, !voices.is_empty());
    verdict
}

/// This clock against the servers that are believed.
fn judge_clock(verdict: &mut Verdict, election: &Election, limits: Limits) {
    let (judge, outcome) = election.verdict();
    let severity = match outcome {
        Outcome::Agrees => return,
        Outcome::Unclear => {
            let why = format!(
                "the clock is {}, give or take {}: too inexact for a limit of {}",
                compared(judge.offset_us, &judge.server.name()),
                margin(judge.margin_us()),
                span(limits.least_us()),
            );
            return verdict.untold("the offset", Unknown::Unreadable(why));
        }
        Outcome::Warning => Severity::Warning,
        Outcome::Error => Severity::Error,
    };
    let message = format!(
        "the clock is {} (+-{})",
        compared(judge.offset_us, &judge.server.name()),
        margin(judge.margin_us())
    );
    let mut finding = Finding::new(severity, "offset", judge.server.endpoint(), message)
        .docs(docs::OFFLINE_NTP)
        .follows(Cause::TimeService)
        .explains(Cause::Clock);
    finding.evidence.extend(election.believed.iter().map(|voice| voice.evidence()));
    let believed: Vec<_> = election.believed.iter().map(|voice| voice.server).collect();
    finding.remedy = remedies::step(&believed);
    verdict.add([finding.seen("what it breaks", words::consequences(judge.offset_us))]);
}

/// What is to be said of servers that contradict each other.
fn disagreement(election: &Election) -> Vec<Finding> {
    let told = |finding: Finding, voices: &[&Voice]| {
        let mut finding = finding.docs(docs::OFFLINE_NTP).remedy(
            "Find out which of them is right before you follow any, and leave out or mend the rest.",
            voices.first().and_then(|voice| remedies::look(voice.server)),
        );
        finding.evidence.extend(voices.iter().map(|voice| voice.evidence()));
        finding
    };
    if let Some((ahead, behind)) = election.contradiction() {
        let message = format!(
            "the time servers disagree: {} is {} (+-{}), and no majority tells who is right",
            ahead.name(),
            compared(behind.offset_us.saturating_sub(ahead.offset_us), &behind.name()),
            margin(ahead.margin_us() + behind.margin_us()),
        );
        let finding = Finding::warning("servers-disagree", ahead.server.endpoint(), message);
        return vec![told(finding, &election.believed)];
    }
    let (judge, _) = election.verdict();
    let outvoted = election.outvoted.iter().map(|voice| {
        let message = format!(
            "the time server {} is {}, {} servers (+-{})",
            voice.name(),
            compared(judge.offset_us.saturating_sub(voice.offset_us), "the majority"),
            election.majority(),
            margin(judge.margin_us() + voice.margin_us()),
        );
        let finding = Finding::warning("server-outvoted", voice.server.endpoint(), message);
        told(finding, &[&[*voice], election.believed.as_slice()].concat())
    });
    outvoted.collect()
}

/// A server whose own time is less exact than the limit: clients may refuse to follow it.
fn inexact_server(voice: &Voice, limits: Limits) -> Option<Finding> {
    if voice.distance_us < limits.least_us() {
        return None;
    }
    let message = format!(
        "{} vouches for its own time to +-{} only",
        voice.name(),
        margin(voice.distance_us)
    );
    let mut finding = Finding::notice("inexact-server", voice.server.endpoint(), message)
        .docs(docs::OFFLINE_NTP)
        .evidence(voice.evidence())
        .remedy("Let that server follow a better clock.", remedies::look(voice.server));
    if let Some(limit) = remedies::refusal(voice.server, voice.distance_us) {
        finding = finding.seen("what it breaks", limit);
    }
    Some(finding)
}

#[cfg(test)]
mod tests;
