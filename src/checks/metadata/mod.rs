//! The package metadata database: the exports that an offline GitLab reads from its own disk.

use super::Group;

mod access;
mod exports;
mod layout;
mod places;
mod words;

/// Checks of the package metadata exports.
pub(super) static GROUP: Group = Group {
    name: "metadata",
    about: "the package metadata that license and dependency scanning read offline",
    checks: &[&layout::CHECK],
};
