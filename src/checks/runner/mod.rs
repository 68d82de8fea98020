//! GitLab Runner: does it reach GitLab, and do its jobs?

use super::Group;

mod reach;

/// Checks of GitLab Runner.
pub(super) static GROUP: Group = Group {
    name: "runner",
    about: "GitLab Runner, its configuration and its way to GitLab",
    checks: &[&reach::CHECK],
};
