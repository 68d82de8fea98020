//! The container registry: does it answer, to whom, and with what.

use super::Group;

mod api;
mod debug_report;
mod debug_server;
mod examined;
mod keeper;

/// Checks of the container registry.
pub(super) static GROUP: Group = Group {
    name: "registry",
    about: "the container registry, its token flow and its storage settings",
    checks: &[&api::CHECK, &debug_server::CHECK],
};
