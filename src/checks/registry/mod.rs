//! The container registry: does it answer, to whom, and with what.

use super::Group;

mod addresses;
mod api;
mod asking;
mod auth;
mod compatibility;
mod debug_report;
mod debug_server;
mod examined;
mod garbage_collection;
mod issuer;
mod keeper;
mod notifications;
mod passes;
mod proxy_headers;
mod read_only;
mod realm;
mod redirect;
mod repository_names;
mod signing_key;
mod startup;
mod storage_driver;
mod token;

/// Checks of the container registry.
pub(super) static GROUP: Group = Group {
    name: "registry",
    about: "the container registry, its token flow and its storage settings",
    checks: &[
        &api::CHECK,
        &auth::CHECK,
        &token::CHECK,
        &signing_key::CHECK,
        &issuer::CHECK,
        &debug_server::CHECK,
        &storage_driver::CHECK,
        &redirect::CHECK,
        &proxy_headers::CHECK,
        &notifications::CHECK,
        &read_only::CHECK,
        &garbage_collection::CHECK,
        &repository_names::CHECK,
        &compatibility::CHECK,
    ],
};
