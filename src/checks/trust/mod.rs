//! Who accepts the certificates of GitLab and its registry, and why not.

use super::Group;

mod acceptance;
mod client;
mod docker;
mod docker_insecure;
mod docker_layout;
mod matrix;
mod mend;
mod runner;
mod shown;
mod tell;

pub(in crate::checks) use acceptance::{said, voucher};
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
        &matrix::CHECK,
    ],
};
