//! Who accepts the certificates of GitLab and its registry, and why not.

use super::Group;

mod acceptance;
mod client;
mod client_pair;
mod docker;
mod docker_insecure;
mod docker_layout;
mod gitlab_store;
mod matrix;
mod mend;
pub(super) mod runner;
mod shown;
mod system;
mod tell;

pub(in crate::checks) use acceptance::{Asker, refusals, said, voucher};
pub use matrix::{Cell, Matrix, Row, matrix};

/// Checks of the trust that clients on this host have.
pub(super) static GROUP: Group = Group {
    name: "trust",
    about: "who accepts the certificates, and why not",
    checks: &[
        &docker::CHECK,
        &docker_layout::CHECK,
        &docker_insecure::CHECK,
        &runner::CHECK,
        &system::CHECK,
        &gitlab_store::CHECK,
        &matrix::CHECK,
    ],
};
