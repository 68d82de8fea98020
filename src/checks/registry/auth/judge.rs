//! From what a registry says to a client without a token to what is wrong with it.

mod realm;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use self::realm::AUTOREDIRECT;
use crate::checks::path::cut;
use crate::checks::registry::examined::PATH;
use crate::checks::registry::keeper::Keeper;
use crate::checks::registry::startup::setting_cause;
use crate::checks::shell::word;
use crate::checks::{Evidence, Finding, Severity, docs};
use crate::install::registry::Config;
use crate::install::tokens::SERVICE;
use crate::install::{Endpoint, Sourced};
use crate::parse::challenge::{Challenge, as_docker_reads, read};
use crate::parse::setting::{Located, Scalar};

/// A registry, and what is known of those around it.
pub(super) struct Case<'a> {
    /// Where it says so.
    pub(super) place: Place<'a>,
    /// GitLab's address, where it is known.
    pub(super) gitlab: Option<&'a Sourced<Endpoint>>,
    /// Its configuration, where it lies on this host.
    pub(super) config: Option<&'a Config>,
    /// `registry['token_realm']`, where the administrator wrote it.
    pub(super) wanted: Option<&'a Sourced<Endpoint>>,
    /// Whether GitLab's Rails is set up on this host.
    pub(super) has_rails: bool,
    /// Which commands mend it.
    pub(super) keeper: Keeper,
}

/// Where the registry says what it says.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// In an answer.
    Heard {
        /// Where it was asked.
        endpoint: &'a Endpoint,
        /// Which address answered.
        address: SocketAddr,
    },
    /// In its configuration: this is what it would answer.
    Written,
}

/// The answer that a configuration makes: its status, and the lines of `WWW-Authenticate`.
pub(super) fn written(config: &Config) -> (u16, Vec<String>) {
    let auth = &config.yml.auth;
    let Some(kind) = auth.types.first() else { return (200, Vec::new()) };
    match kind.value.as_str() {
        "none" => (200, Vec::new()),
        "token" => {
            let redirects = auth.token_autoredirect.as_ref().and_then(|it| it.value.as_bool());
            let realm = if redirects == Some(true) {
                // What stands before it is the host by which a client asked.
                Some(format!("https://registry{AUTOREDIRECT}"))
            } else {
                auth.token_realm.as_ref().map(|it| it.value.to_string())
            };
            let service = auth.token_service.as_ref().map(|it| it.value.to_string());
            let parameters = [("realm", realm), ("service", service)].into_iter();
            let parameters = parameters.filter_map(|(name, value)| {
                let value = value?.replace('\\', r"\\").replace('"', "\\\"");
                Some(format!("{name}=\"{value}\""))
            });
            (401, vec![format!("Bearer {}", parameters.collect::<Vec<_>>().join(","))])
        }
        "htpasswd" => (401, vec!["Basic realm=\"registry\"".to_owned()]),
        other => (401, vec![other.to_owned()]),
    }
}

/// How the settings of a registry of one's own are mended.
const OWN_MEND: [&str; 2] =
    ["sudoedit /etc/docker/registry/config.yml", "sudo systemctl restart docker-registry"];

impl Case<'_> {
    /// Everything that is wrong with an answer.
    pub(super) fn judge(&self, status: u16, lines: &[&str]) -> Vec<Finding> {
        if status == 200 {
            return vec![self.open().follows(setting_cause("auth"))];
        }
        let understood: Vec<Challenge> = lines.iter().flat_map(|line| read(line)).collect();
        let Some(meant) = understood.iter().find(|it| it.is_bearer()) else {
            let finding = self.no_bearer(&understood, lines);
            return vec![finding.follows(setting_cause("auth"))];
        };
        let docker: Vec<Challenge> =
            lines.iter().filter_map(|line| as_docker_reads(line)).collect();
        let Some(heard) = docker.iter().find(|it| it.is_bearer()) else {
            return vec![self.hidden(lines)];
        };
        let lost = |name: &str| heard.parameter(name) != meant.parameter(name);
        if lost("realm") || lost("service") {
            return vec![self.malformed(lines)];
        }
        let told = meant.parameter("realm");
        let realm = self.realm(told).map(|it| match told.and_then(|it| Endpoint::parse(it).ok()) {
            // Without the registry's files nothing lies deeper; with them registry/issuer does.
            Some(realm) if self.config.is_none() => it.explains(self.astray(&realm)),
            _ => it.follows(setting_cause("auth.token.realm")),
        });
        let service = self.service(meant.parameter("service"));
        let service = service.map(|it| it.follows(setting_cause("auth.token.service")));
        realm.into_iter().chain(service).collect()
    }

    fn open(&self) -> Finding {
        let finding = match self.place {
            Place::Heard { .. } => self
                .error("open", "lets everybody in without a token: anyone may pull and push")
                .seen(format!("GET {PATH}"), "HTTP 200"),
            Place::Written => {
                self.error("open", "auth is missing: anyone may pull and push without a token")
            }
        };
        let types = self.config.map(|it| it.yml.auth.types.as_slice()).unwrap_or_default();
        self.with_token(finding, types.first().and_then(|kind| kind.variable.as_deref()))
    }

    /// The mend of a section `auth` without `token`, which may stand in a variable.
    fn with_token(&self, finding: Finding, variable: Option<&str>) -> Finding {
        if let Some(variable) = variable {
            return self.keeper.unset_variable(finding, variable);
        }
        match self.keeper {
            keeper @ (Keeper::Package | Keeper::Elsewhere) => finding.remedy(
                keeper.advice(
                    "let reconfigure write the registry's config.yml anew: the package always \
                     writes auth.token into it",
                ),
                [
                    "sudo grep -n -A6 '^auth:' /var/opt/gitlab/registry/config.yml",
                    "sudo gitlab-ctl reconfigure",
                    "sudo gitlab-ctl restart registry",
                ],
            ),
            Keeper::Systemd => finding.remedy(
                "Write auth.token with realm, service, issuer and rootcertbundle into its \
                 config.yml, and restart it.",
                OWN_MEND,
            ),
        }
    }

    fn no_bearer(&self, understood: &[Challenge], lines: &[&str]) -> Finding {
        let finding = match (understood.first(), self.place) {
            (None, _) => self.error(
                "challenge-missing",
                "refuses with 401, but does not say how to log in (no WWW-Authenticate)",
            ),
            (Some(other), Place::Written) => {
                let types = self.config.and_then(|it| it.yml.auth.types.first());
                let kind = types.map_or(&other.scheme, |kind| &kind.value);
                self.error(
                    "not-bearer",
                    format!(
                        "auth is '{}', not token: GitLab's logins are worth nothing",
                        cut(kind)
                    ),
                )
            }
            (Some(other), Place::Heard { .. }) => self.error(
                "not-bearer",
                format!("asks for '{}', not for a token of GitLab's", cut(&other.scheme)),
            ),
        };
        let finding = shown(finding, lines);
        let finding = match self.place {
            // What stands in front of a registry that gives another answer breaks all of it.
            Place::Heard { endpoint, .. } => finding.on_way_to(endpoint),
            Place::Written => finding,
        };
        let types = self.config.map(|it| it.yml.auth.types.as_slice()).unwrap_or_default();
        if let Some(kind) = types.iter().find(|kind| kind.value != "token") {
            return self.with_token(finding, kind.variable.as_deref());
        }
        finding.remedy(
            "Let the proxy in front pass the registry's own WWW-Authenticate, and ask for no login \
             itself; if it is the registry that says so, its auth has to be token.",
            self.ask_again(),
        )
    }

    fn hidden(&self, lines: &[&str]) -> Finding {
        let message = "asks for a token, but Docker does not see it: of several challenges in one \
                       line it reads the first alone";
        shown(self.error("challenge-hidden", message), lines).remedy(
            "Let the proxy in front pass the registry's WWW-Authenticate as a line of its own, or \
             send no challenge of its own.",
            self.ask_again(),
        )
    }

    fn malformed(&self, lines: &[&str]) -> Finding {
        let message = "its WWW-Authenticate is malformed: Docker stops reading there, and misses \
                       where to fetch a token";
        shown(self.error("challenge-malformed", message), lines).remedy(
            "Let the proxy in front pass the registry's WWW-Authenticate unchanged: every value in \
             quotes, a comma between them.",
            self.ask_again(),
        )
    }

    /// For which service it wants the token.
    fn service(&self, service: Option<&str>) -> Option<Finding> {
        let finding = match service.filter(|service| !service.is_empty()) {
            Some(SERVICE) => return None,
            Some(other) => self
                .error(
                    "wrong-service",
                    format!("wants a token for '{}', for which GitLab issues none", cut(other)),
                )
                .seen("expected", SERVICE),
            None => {
                self.error("service-missing", "does not say for which service it wants a token")
            }
        };
        let written = self.config.and_then(|it| it.yml.auth.token_service.as_ref());
        let finding = self.place_of(finding, "auth.token.service", written);
        if let Some(variable) = written.and_then(|it| it.variable.as_deref()) {
            return Some(self.keeper.unset_variable(finding, variable));
        }
        Some(match self.keeper {
            keeper @ (Keeper::Package | Keeper::Elsewhere) => finding.remedy(
                keeper.advice(
                    "let reconfigure write the registry's config.yml anew: the package always \
                     writes service: container_registry",
                ),
                ["sudo gitlab-ctl reconfigure", "sudo gitlab-ctl restart registry"],
            ),
            Keeper::Systemd => finding.remedy(
                "Let auth.token.service in its config.yml be container_registry, and restart it.",
                OWN_MEND,
            ),
        })
    }

    /// Where a setting of the registry stands, where that is on this host.
    fn place_of(&self, finding: Finding, name: &str, setting: Option<&Located<Scalar>>) -> Finding {
        let (Some(config), Some(setting)) = (self.config, setting) else { return finding };
        finding.evidence(match &setting.variable {
            Some(variable) => Evidence::new(variable.clone(), &setting.value),
            None => Evidence::new(name, &setting.value).at(config.path.as_str(), setting.line),
        })
    }

    /// The request by hand.
    fn ask_again(&self) -> Vec<String> {
        match self.place {
            Place::Heard { endpoint, .. } => {
                vec![format!("curl -ksi --max-time 10 {}", word(&endpoint.url(PATH)))]
            }
            Place::Written => Vec::new(),
        }
    }

    fn error(&self, code: &'static str, message: impl Into<String>) -> Finding {
        self.finding(Severity::Error, code, message)
    }

    fn finding(
        &self,
        severity: Severity,
        code: &'static str,
        message: impl Into<String>,
    ) -> Finding {
        let message = message.into();
        let finding = match (self.place, self.config) {
            (Place::Heard { endpoint, address }, _) => {
                Finding::new(severity, code, endpoint.to_string(), message).seen("address", address)
            }
            (Place::Written, Some(config)) => {
                Finding::new(severity, code, config.path.as_str(), message)
            }
            (Place::Written, None) => Finding::new(severity, code, "config.yml", message),
        };
        finding.docs(docs::REGISTRY)
    }
}

fn shown(finding: Finding, lines: &[&str]) -> Finding {
    lines.iter().take(4).fold(finding, |finding, line| finding.seen("WWW-Authenticate", cut(line)))
}
