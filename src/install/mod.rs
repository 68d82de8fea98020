//! What the installation is: its roles, endpoints, files and settings, each with its source.
//!
//! Everything here is computed from answers of a [`Host`] whenever a check wants it; nothing is
//! kept. What is not statically known is unknown, never guessed.

mod endpoint;
mod kind;
mod roles;
mod settings;
mod shown;
mod source;

pub mod authorities;
pub mod certificates;
pub mod clock;
pub mod docker;
pub mod files;
pub mod gitlab;
pub mod nginx;
pub mod registry;
pub mod runner;

use crate::host::Host;
use crate::host::system::System;
use crate::report::{HostInfo, Source as ReportSource};

pub use endpoint::Endpoint;
pub use kind::{Kind, kind, rails_root};
pub use roles::{Role, roles};
pub use settings::{GITLAB_RB, Settings, Written, settings, spelled};
pub use shown::Installation;
pub use source::{Source, Sourced};

/// What a report says of the host.
pub async fn host_info(host: &Host) -> HostInfo {
    let system = host.ask(System).await.ok();
    let running = system.as_ref().is_some_and(|system| system.running);
    HostInfo {
        name: system.map_or_else(|| "unnamed".to_owned(), |system| system.name),
        roles: roles(host).await.iter().map(ToString::to_string).collect(),
        source: match (host.is_live(), running) {
            (false, _) => ReportSource::Bundle,
            (true, true) => ReportSource::Live,
            (true, false) => ReportSource::Root,
        },
        gitlab_version: gitlab::version(host).await.ok().flatten(),
    }
}
