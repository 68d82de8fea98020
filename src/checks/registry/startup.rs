//! Settings for which the registry does not start.

use super::keeper::Keeper;
use crate::checks::{Cause, Finding, Verdict, docs};
use crate::host::Host;
use crate::install::registry::Config;
use crate::install::tokens::{place, registry_socket, setting};
use crate::install::{Sourced, settings};
use crate::parse::setting::{Located, Scalar};

/// Notes where nobody can tell what `gitlab.rb` sets: whether a registry is to run here, under which
/// account, and what its files will be made of.
pub(super) async fn heed_settings(host: &Host, verdict: &mut Verdict) {
    let settings = verdict.told("what gitlab.rb sets", settings(host).await).flatten();
    if let Some(settings) = settings {
        let enabled = settings.flag(&["registry", "enable"]).told();
        verdict.told("whether the registry is switched on", enabled);
    }
}

/// A setting of the registry, such as `auth.token.realm`, as the cause of what the registry says.
pub(super) fn setting_cause(name: &str) -> Cause {
    Cause::Setting(format!("registry {name}"))
}

/// A setting for which the registry does not start, as what several checks tell.
pub(super) fn refused_setting(name: &str) -> Cause {
    Cause::Refusal(format!("registry {name}"))
}

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

    /// How a setting is mended that stands where it does: what an environment variable says
    /// outranks whatever would be written into a file.
    pub(super) fn mend<T>(
        &self,
        finding: Finding,
        setting: Option<&Located<T>>,
        why: &str,
        rb: Option<&str>,
        yml: &str,
    ) -> Finding {
        match setting.and_then(|it| it.variable.as_deref()) {
            Some(variable) => self.keeper.unset_variable(finding, variable),
            None => self.write(finding, why, rb, yml),
        }
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

/// A configuration as the registry's package or Debian's would keep it.
#[cfg(test)]
pub(super) fn config(yml: &str, generated: bool) -> Config {
    let path = if generated {
        "/var/opt/gitlab/registry/config.yml"
    } else {
        "/etc/docker/registry/config.yml"
    };
    let yml = crate::parse::registry_yml::read(yml.as_bytes()).unwrap();
    Config { path: path.into(), yml, generated }
}

#[cfg(test)]
impl<'a> Configured<'a> {
    pub(super) fn sample(config: &'a Config) -> Self {
        let keeper = if config.generated { Keeper::Package } else { Keeper::Systemd };
        Self { config, keeper, socket: Some("127.0.0.1:5000".to_owned()) }
    }
}

/// Severity and code of each finding.
#[cfg(test)]
pub(super) fn told(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|it| format!("{:?} {}", it.severity, it.code).to_lowercase()).collect()
}
