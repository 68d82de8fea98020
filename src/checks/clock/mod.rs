//! The clock: does it agree with its time servers, and does anything keep it.

use super::Group;

mod offset;

/// Checks of the clock.
pub(super) static GROUP: Group = Group {
    name: "clock",
    about: "the clock, its time servers, and what keeps it",
    checks: &[&offset::CHECK],
};
