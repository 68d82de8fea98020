//! What this host serves as.

use std::fmt;

use serde::Serialize;

use super::{docker, kind, registry, runner};
use crate::host::Host;

/// What a host can serve as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// GitLab's application.
    Gitlab,
    /// The container registry.
    Registry,
    /// GitLab Runner.
    Runner,
    /// A Docker daemon.
    Docker,
}

/// The roles of this host, as far as they can be seen. What could not be looked at is no role
/// here; the checks that need it say so.
pub async fn roles(host: &Host) -> Vec<Role> {
    let mut roles = Vec::new();
    if matches!(kind(host).await, Ok(Some(_))) {
        roles.push(Role::Gitlab);
    }
    if matches!(registry::storage(host).await, Ok(Some(_))) {
        roles.push(Role::Registry);
    }
    if matches!(runner::config(host).await, Ok(Some(_)))
        || matches!(runner::program(host).await, Ok(Some(_)))
    {
        roles.push(Role::Runner);
    }
    if matches!(docker::sign(host).await, Ok(Some(_))) {
        roles.push(Role::Docker);
    }
    roles
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gitlab => "gitlab",
            Self::Registry => "registry",
            Self::Runner => "runner",
            Self::Docker => "docker",
        })
    }
}
