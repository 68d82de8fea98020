//! What the installation is: its roles, endpoints, files and settings, each with its source.
//!
//! Everything here is computed from answers of a [`Host`] whenever a check wants it; nothing is
//! kept. What is not statically known is unknown, never guessed.

mod endpoint;
mod kind;
mod settings;
mod source;

pub mod certificates;
pub mod clock;
pub mod gitlab;
pub mod registry;

use std::fmt::Write as _;

use serde::Serialize;

use crate::host::Host;
use crate::host::system::System;
use crate::report::{HostInfo, Source as ReportSource};

pub use endpoint::Endpoint;
pub use kind::{Kind, kind, rails_root};
pub use settings::{GITLAB_RB, Settings, Written, settings, spelled};
pub use source::{Source, Sourced};

/// Everything that gldoctor understood, for `gldoctor show`.
#[derive(Debug, Serialize)]
pub struct Installation {
    host: HostInfo,
}

impl Installation {
    /// Asks for all of it.
    pub async fn of(host: &Host) -> Self {
        Self { host: host_info(host).await }
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "host: {}", self.host.name);
        out
    }
}

/// What a report says of the host.
pub async fn host_info(host: &Host) -> HostInfo {
    let system = host.ask(System).await.ok();
    let running = system.as_ref().is_some_and(|system| system.running);
    HostInfo {
        name: system.map_or_else(|| "unnamed".to_owned(), |system| system.name),
        roles: Vec::new(),
        source: match (host.is_live(), running) {
            (false, _) => ReportSource::Bundle,
            (true, true) => ReportSource::Live,
            (true, false) => ReportSource::Root,
        },
        gitlab_version: None,
    }
}
