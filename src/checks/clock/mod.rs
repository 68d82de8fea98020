//! The clock: does it agree with its time servers, and does anything keep it.

use super::Group;

mod gitaly;
mod hearing;
mod offset;
mod peers;
mod sync;
mod trouble;
mod vote;
mod words;

/// Checks of the clock.
pub(super) static GROUP: Group = Group {
    name: "clock",
    about: "the clock, its time servers, and what keeps it",
    checks: &[&offset::CHECK, &sync::CHECK, &peers::CHECK, &gitaly::CHECK],
};
