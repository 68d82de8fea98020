//! Whether a certificate is too new, or this clock is behind.

use jiff::{SignedDuration, Timestamp};

use crate::checks::tls::sightings::Sighting;

/// Nobody makes a certificate for tomorrow, but many a clock is wrong by less than that.
const NEAR: SignedDuration = SignedDuration::from_hours(24);

/// Why the clock is the likelier cause of a certificate that is not valid yet; `None` if nothing
/// speaks for it.
pub(super) fn suspicion(
    starts: Timestamp,
    seen: &[Sighting],
    now: Timestamp,
) -> Option<&'static str> {
    if starts.duration_since(now) <= NEAR {
        return Some(
            "it begins within a day: this clock is behind, or that of the host where it was made \
             was ahead",
        );
    }
    let leaves: Vec<_> = seen.iter().filter(|sighting| sighting.is_in_chain()).collect();
    let is_early = |sighting: &&&Sighting| sighting.facts.not_before.is_some_and(|it| it > now);
    let early = leaves.iter().filter(is_early).count();
    (early > 1 && early == leaves.len())
        .then_some("no certificate in use has begun: this clock is likely to be behind")
}
