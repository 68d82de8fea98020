//! What the installation is: its roles, endpoints, files and settings, each with its source.
//!
//! Everything here is computed from answers of a [`Host`](crate::host::Host) whenever a check wants it; nothing is
//! kept. What is not statically known is unknown, never guessed.

mod endpoint;
mod go_store;
mod kind;
mod roles;
mod settings;
mod shown;
mod source;

pub mod accounts;
pub mod authorities;
pub mod certificates;
pub mod clock;
pub mod containerd;
pub mod docker;
pub mod files;
pub mod front;
pub mod gitlab;
pub mod names;
pub mod nginx;
pub mod podman;
pub mod registry;
pub mod runner;
pub mod storage;
pub mod tokens;

pub use endpoint::Endpoint;
pub(crate) use gitlab::found as source_of;
pub use go_store::{DOCKER as DOCKER_UNIT, RUNNER as RUNNER_UNIT, go_store};
pub use kind::{Kind, kind, rails_root};
pub use roles::{Role, roles};
pub use settings::{GITLAB_RB, Settings, Written, settings, spelled};
pub use shown::Installation;
pub use source::{Source, Sourced};
