//! Root causes: which finding explains which.
//!
//! A finding says what it `explains` and what it `follows` from; this module only matches the two.
//! So a check knows nothing of other checks, and a new check takes part by naming its causes.

use std::net::SocketAddr;

use super::{Finding, Outcome};

/// What can be at the bottom of other findings. Earlier variants lie deeper: when several causes
/// explain a finding, the deepest is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// An address that a setting names in place of the right one, as `host:port`, the path behind
    /// it where that alone is wrong: whatever is wrong there comes of that.
    Astray(String),
    /// A host name that does not resolve as it should.
    Name(String),
    /// A time server that cannot be reached or tells no time, as `host:port`.
    TimeServer(String),
    /// The time service that should keep this host's clock.
    TimeService,
    /// This host's clock.
    Clock,
    /// The clocks of GitLab and of the registry, which differ by more than a token bears.
    Skew,
    /// A setting that a service refuses, as `service section.key`, and so does not start.
    Refusal(String),
    /// What keeps a service from starting, such as a setting that it refuses; the service as
    /// `host:port`.
    Startup(String),
    /// What makes a running service refuse everything, such as its storage; the service as
    /// `host:port`.
    Health(String),
    /// What listens, or does not, at a socket's address, whatever the name that led there.
    Address(SocketAddr),
    /// A service that another one stands in front of, such as the registry behind nginx, as
    /// `host:port`.
    Backend(String),
    /// A service that cannot be reached, as `host:port`.
    Service(String),
    /// What makes the registry refuse GitLab's tokens: another key, issuer or service.
    Tokens,
    /// A file of a server whose first certificate is another's, by that one's SHA-256.
    Order(String),
    /// A file or folder that lies or is called wrong, by its right path.
    File(String),
    /// A certificate that is bad in itself, by its SHA-256.
    Certificate(String),
    /// A CA's certificate that is bad in itself and that only clients have, by the SHA-256 of the
    /// server certificate that rests on it.
    Authority(String),
    /// A certificate that a client refuses, as `client host:port`.
    Refused(String),
    /// A setting that is written but not in effect, as `section.key`.
    Setting(String),
}

/// Finds for every finding the ID of the check that explains it, which may be its own check. The
/// answer has one entry for each finding of each outcome, in order.
///
/// Every explanation leads strictly deeper: what explains a finding lies below all that the finding
/// itself explains, or stands at the same depth in an earlier check. So no finding explains itself,
/// of several checks that see one dead service the first tells it for all, and every chain of
/// explanations ends.
pub fn explain(outcomes: &[Outcome]) -> Vec<Vec<Option<&'static str>>> {
    let of_one = |(place, outcome): (usize, &Outcome)| {
        outcome.findings().iter().map(|finding| explanation(outcomes, place, finding)).collect()
    };
    outcomes.iter().enumerate().map(of_one).collect()
}

/// What explains a finding of the check at this place.
fn explanation(outcomes: &[Outcome], place: usize, finding: &Finding) -> Option<&'static str> {
    let causes = outcomes.iter().enumerate().flat_map(|(other, outcome)| {
        let explained = outcome.findings().iter().flat_map(|finding| &finding.explains);
        explained.map(move |cause| (cause, other))
    });
    causes
        .filter(|(cause, _)| finding.follows.contains(cause))
        .filter(|cause| finding.explains.iter().all(|own| *cause < (own, place)))
        .min()
        .map(|(_, other)| outcomes[other].check.id)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::checks::{Verdict, all};

    fn outcome(check: usize, findings: Vec<Finding>) -> Outcome {
        Outcome {
            check: all().nth(check).unwrap(),
            result: Ok(Verdict { findings, ..Verdict::default() }),
            looked_at: Vec::new(),
            duration: Duration::ZERO,
        }
    }

    fn finding() -> Finding {
        Finding::error("x", "x", "x")
    }

    #[test]
    fn a_finding_may_explain_another_of_its_own_check() {
        let socket = || "127.0.0.1:5000".to_owned();
        let inner = finding().explains(Cause::Backend(socket())).explains(Cause::Service(socket()));
        let outer = finding()
            .explains(Cause::Service("a.test:443".to_owned()))
            .follows(Cause::Backend(socket()));
        let own = outcome(0, Vec::new()).check.id;
        assert_eq!(explain(&[outcome(0, vec![inner, outer])]), [vec![None, Some(own)]]);
    }

    #[test]
    fn of_equals_the_first_check_tells_it_for_all() {
        let dead = || {
            let service = || Cause::Service("a.test:443".to_owned());
            finding().explains(service()).follows(service())
        };
        let outcomes = [outcome(0, vec![dead()]), outcome(1, vec![dead(), dead()])];
        let first = Some(outcomes[0].check.id);
        assert_eq!(explain(&outcomes), [vec![None], vec![first, first]]);
    }

    #[test]
    fn the_deepest_cause_is_named() {
        let follower = finding()
            .follows(Cause::Service("a.test:443".to_owned()))
            .follows(Cause::Name("a.test".to_owned()));
        let service = finding().explains(Cause::Service("a.test:443".to_owned()));
        let name = finding().explains(Cause::Name("a.test".to_owned()));
        let outcomes = [outcome(0, vec![service, follower]), outcome(1, vec![name])];
        let deepest = outcomes[1].check.id;
        assert_eq!(explain(&outcomes), [vec![None, Some(deepest)], vec![None]]);
    }
}
