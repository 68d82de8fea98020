//! The container registry: does it answer, to whom, and with what.

use super::Group;

mod api;
mod asking;
mod auth;
mod debug_report;
mod debug_server;
mod examined;
mod keeper;
mod passes;
mod read_only;
mod realm;
mod token;

/// Checks of the container registry.
pub(super) static GROUP: Group = Group {
    name: "registry",
    about: "the container registry, its token flow and its storage settings",
    checks: &[&api::CHECK, &auth::CHECK, &token::CHECK, &debug_server::CHECK, &read_only::CHECK],
};
