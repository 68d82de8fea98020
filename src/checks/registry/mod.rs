//! The container registry: does it answer, to whom, and with what.

use super::Group;

mod answers;
mod api;
mod broken;
mod compatibility;
mod debug_report;
mod debug_server;
mod examined;
mod garbage_collection;
mod issuer;
mod keeper;
mod signing_key;
mod startup;

/// Checks of the container registry.
pub(super) static GROUP: Group = Group {
    name: "registry",
    about: "the container registry, its token flow and its storage settings",
    checks: &[
        &api::CHECK,
        &debug_server::CHECK,
        &signing_key::CHECK,
        &issuer::CHECK,
        &garbage_collection::CHECK,
        &compatibility::CHECK,
    ],
};
