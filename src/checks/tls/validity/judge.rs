//! What there is to say of the dates of each certificate.

use jiff::{SignedDuration, Timestamp};

use super::clock::suspicion;
use super::margin::{Margin, is_placeholder};
use crate::checks::shell::word;
use crate::checks::tls::server::Server;
use crate::checks::tls::sightings::Sighting;
use crate::checks::tls::words::{label, renew, span, summary};
use crate::checks::{Cause, Finding, Remedy, Severity, docs};

/// All that was seen, and when.
pub(super) struct Scene<'a> {
    pub(super) servers: &'a [Server],
    pub(super) seen: &'a [Sighting],
    pub(super) now: Timestamp,
    pub(super) margin: Margin,
}

/// What is the matter with a date.
enum Trouble {
    Expired(Timestamp),
    NotYetValid(Timestamp),
    Expiring(Timestamp),
    Malformed,
}

impl Scene<'_> {
    /// At most one finding for each certificate.
    pub(super) fn judge(&self) -> Vec<Finding> {
        self.seen.iter().filter_map(|sighting| self.judge_one(sighting)).collect()
    }

    fn judge_one(&self, sighting: &Sighting) -> Option<Finding> {
        let trouble = self.trouble(sighting)?;
        let needed = self.is_needed(sighting);
        let what = what(sighting);
        let (severity, code, message) = match &trouble {
            // A certificate that is prepared for a change of CAs, or kept after one, does no harm.
            Trouble::NotYetValid(_) | Trouble::Expiring(_) if !needed => return None,
            Trouble::Expired(end) if !needed => (
                Severity::Notice,
                "expired",
                format!("{what} expired {}; nothing that is seen here needs it", self.ago(*end)),
            ),
            Trouble::Expired(end) => {
                (Severity::Error, "expired", format!("{what} expired {}", self.ago(*end)))
            }
            Trouble::NotYetValid(start) => {
                let left = span(start.duration_since(self.now));
                let message = format!("{what} is not valid before {}, in {left}", moment(*start));
                (Severity::Error, "not-yet-valid", message)
            }
            Trouble::Expiring(end) => {
                let left = span(end.duration_since(self.now));
                let message = format!("{what} expires on {}, in {left}", moment(*end));
                (Severity::Warning, "expiring", message)
            }
            Trouble::Malformed => {
                let message = format!("{what} has a date that no client can read");
                (Severity::Error, "malformed-date", message)
            }
        };
        let finding = Finding::new(severity, code, sighting.subject(), message)
            .seen("certificate", summary(&sighting.facts))
            .seen("now", moment(self.now));
        let finding = sighting.evidence().into_iter().fold(finding, Finding::evidence);
        let finding = self.with_hints(finding, sighting, &trouble);
        let remedy = self.remedy(sighting, &trouble);
        Some(self.with_causes(Finding { remedy, ..finding }.docs(docs::SSL), sighting))
    }

    fn trouble(&self, sighting: &Sighting) -> Option<Trouble> {
        let facts = &sighting.facts;
        let (Some(start), Some(end)) = (facts.not_before, facts.not_after) else {
            return Some(Trouble::Malformed);
        };
        let left = end.duration_since(self.now);
        match () {
            // OpenSSL counts the last second as over.
            () if left <= SignedDuration::ZERO => Some(Trouble::Expired(end)),
            () if start > self.now => Some(Trouble::NotYetValid(start)),
            () if left < self.margin.before(facts) => Some(Trouble::Expiring(end)),
            () => None,
        }
    }

    /// Whether users depend on it: servers show it, it stands behind what they show, or it lies
    /// where one client needs it, without another one to take its place.
    fn is_needed(&self, sighting: &Sighting) -> bool {
        if sighting.is_in_chain() {
            return true;
        }
        let depends = !sighting.leaves.is_empty();
        (depends || sighting.is_dedicated()) && !self.is_replaced(sighting)
    }

    /// Whether every client that has it has another valid one beside it, with the same name or
    /// behind the same servers: nobody takes an old one out.
    fn is_replaced(&self, sighting: &Sighting) -> bool {
        let serves = |other: &Sighting| {
            other.facts.subject == sighting.facts.subject
                || other.leaves.intersection(&sighting.leaves).next().is_some()
        };
        let fine = |other: &&Sighting| {
            other.facts.fingerprint != sighting.facts.fingerprint
                && serves(other)
                && !matches!(
                    self.trouble(other),
                    Some(Trouble::Expired(_) | Trouble::NotYetValid(_) | Trouble::Malformed)
                )
        };
        let others: Vec<_> = self.seen.iter().filter(fine).collect();
        sighting.trusted().all(|(path, by)| {
            let beside = |other: &&&Sighting| {
                other.trusted().any(|(its, whose)| whose == by && its.parent() == path.parent())
            };
            others.iter().any(|other| beside(&other))
        })
    }

    fn with_hints(&self, finding: Finding, sighting: &Sighting, trouble: &Trouble) -> Finding {
        let finding = match trouble {
            Trouble::NotYetValid(start) => match suspicion(*start, self.seen, self.now) {
                Some(why) => finding.seen("the clock", why),
                None => finding,
            },
            _ => finding,
        };
        if sighting.is_leaf() && is_placeholder(&sighting.facts) {
            return finding.seen(
                "made by",
                "reconfigure, to stand in until Let's Encrypt answers, which it cannot here",
            );
        }
        finding
    }

    /// What clients refuse because of it, and what it may itself come from.
    fn with_causes(&self, finding: Finding, sighting: &Sighting) -> Finding {
        // What a server shows is the same to everybody; a client that lacks the CA does not lack it
        // because another one's copy is out of date.
        let of_leaf = if sighting.is_in_chain() { Cause::Certificate } else { Cause::Authority };
        let own = Cause::Certificate(sighting.facts.fingerprint.clone());
        let leaves = sighting.leaves.iter().cloned().map(of_leaf);
        let finding = [own].into_iter().chain(leaves).fold(finding, Finding::explains);
        // Where the file holds another one, the server has only to read it.
        let files = self.servers.iter().flat_map(|server| &server.files);
        let is_old = sighting.is_shown() && sighting.chain_file().is_none();
        let files = files.filter(|_| is_old).map(|file| Cause::File(file.path.to_string()));
        files.fold(finding, Finding::follows).follows(Cause::Clock)
    }

    fn remedy(&self, sighting: &Sighting, trouble: &Trouble) -> Remedy {
        if let Trouble::NotYetValid(start) = trouble
            && suspicion(*start, self.seen, self.now).is_some()
        {
            return Remedy {
                advice: "Compare this host's clock with one that is right, and set it. If it is \
                         right, the certificate was made on a host whose clock was ahead: wait, \
                         or make it anew."
                    .to_owned(),
                commands: vec!["date -u".to_owned(), "timedatectl status".to_owned()],
            };
        }
        let server = self.server_of(sighting);
        match (sighting.is_leaf(), server, sighting.chain_file()) {
            (true, Some(server), file) => {
                let file = file.or_else(|| server.files.first());
                renew(server, file, &sighting.facts)
            }
            (_, _, Some(file)) => Remedy {
                advice: format!(
                    "Ask '{}' for the current {}, put it into {} in place of the old one, and let \
                     the server read the file again.",
                    sighting.facts.issuer,
                    if sighting.is_leaf() { "certificate" } else { "certificate of this CA" },
                    file.path
                ),
                commands: vec![
                    format!("sudoedit {}", word(file.path.as_str())),
                    file.reload.to_owned(),
                ],
            },
            (_, Some(server), None) => Remedy {
                advice: format!(
                    "On the host that serves {}: replace the old certificate of this CA in the \
                     server's certificate file, and let the server read it again.",
                    server.endpoint
                ),
                commands: vec!["sudo gitlab-ctl hup nginx".to_owned()],
            },
            (_, None, None) => replace_trusted(sighting),
        }
    }

    fn server_of(&self, sighting: &Sighting) -> Option<&Server> {
        if let Some(number) = sighting.server() {
            return self.servers.get(number);
        }
        let file = sighting.chain_file()?;
        self.servers.iter().find(|server| server.files.iter().any(|its| its.path == file.path))
    }

    /// `on 2026-01-01, 10 days ago`.
    fn ago(&self, end: Timestamp) -> String {
        format!("on {}, {} ago", moment(end), span(self.now.duration_since(end)))
    }
}

fn replace_trusted(sighting: &Sighting) -> Remedy {
    let paths: Vec<_> = sighting.trusted().map(|(path, _)| word(path.as_str())).collect();
    let apply = sighting.trusted().filter_map(|(path, by)| by.apply(path));
    let advice = format!(
        "Get the current certificate of '{}' and put it in place of the old one, or take the old \
         one out if nobody needs it any more.",
        label(&sighting.facts)
    );
    let mut commands: Vec<String> = paths.iter().map(|path| format!("sudoedit {path}")).collect();
    for command in apply.map(ToOwned::to_owned) {
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    Remedy { advice, commands }
}

/// What the certificate is, to begin a sentence with.
fn what(sighting: &Sighting) -> String {
    if sighting.is_leaf() {
        let what = if sighting.is_shown() { "its certificate" } else { "the certificate in it" };
        return what.to_owned();
    }
    let label = label(&sighting.facts);
    if sighting.is_in_chain() {
        format!("the certificate of the CA '{label}' in its chain")
    } else {
        format!("the certificate of '{label}' in it")
    }
}

/// To the minute: the day alone is too little on the last day.
fn moment(at: Timestamp) -> String {
    at.strftime("%F %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests;
