//! Settings for which the registry does not start.

use super::keeper::Keeper;
use crate::checks::{Cause, Finding, docs};
use crate::host::Host;
use crate::install::Sourced;
use crate::install::registry::Config;
use crate::install::tokens::{place, registry_socket, setting};
use crate::parse::setting::{Located, Scalar};

/// The registry's configuration, its findings, and what they explain.
pub(super) struct Configured<'a> {
    pub(super) config: &'a Config,
    pub(super) keeper: Keeper,
    /// `host:port`, under which the registry's start-up is known.
    socket: Option<String>,
}

impl<'a> Configured<'a> {
    pub(super) async fn of(host: &Host, config: &'a Config) -> Self {
        Self { config, keeper: Keeper::of(host).await, socket: registry_socket(host).await }
    }

    /// The subject of a finding on a setting: its file and line.
    pub(super) fn subject(&self, line: Option<u32>) -> String {
        place(self.config, line).to_string()
    }

    /// The setting as evidence, with its place.
    pub(super) fn setting(&self, it: &Located<Scalar>) -> Sourced<String> {
        setting(self.config, it)
    }

    /// A setting for which the registry does not start; `what` is a clause.
    pub(super) fn refusal(&self, code: &'static str, line: Option<u32>, what: &str) -> Finding {
        let message = format!("{what}: the registry does not start");
        self.stops(Finding::error(code, self.subject(line), message))
    }

    /// Says that a finding is about something for which the registry does not start.
    pub(super) fn stops(&self, finding: Finding) -> Finding {
        let explained = self.socket.iter().map(|socket| Cause::Startup(socket.clone()));
        explained.fold(finding, Finding::explains).docs(docs::REGISTRY)
    }

    /// How a setting is written that `gitlab.rb` has a name for, or not.
    pub(super) fn write(
        &self,
        finding: Finding,
        why: &str,
        rb: Option<&str>,
        yml: &str,
    ) -> Finding {
        match (self.keeper, rb) {
            (Keeper::Systemd, _) => self.keeper.configure(finding, why, "", yml),
            (keeper, Some(rb)) => keeper.configure(finding, why, rb, yml),
            // Reconfigure writes the whole file, and this only if somebody has changed it by hand.
            (keeper, None) => finding.remedy(
                keeper.advice(&format!(
                    "{why}: reconfigure writes the file anew, without changes made by hand or \
                     by variables"
                )),
                ["sudo gitlab-ctl reconfigure", "sudo gitlab-ctl restart registry"],
            ),
        }
    }
}
