//! Where a registry sends its clients for a token, and where it should.

use super::{Case, OWN_MEND, Place};
use crate::checks::path::cut;
use crate::checks::registry::keeper::Keeper;
use crate::checks::{Cause, Finding, Severity};
use crate::install::Endpoint;
use crate::install::tokens;

/// Where a registry with `autoredirect` sends its clients: a path that only its own host has.
pub(super) const AUTOREDIRECT: &str = "/auth/token";

impl Case<'_> {
    /// Where it sends clients.
    pub(super) fn realm(&self, realm: Option<&str>) -> Option<Finding> {
        let mend = |finding: Finding| Some(self.configured(finding));
        let Some(realm) = realm.filter(|realm| !realm.is_empty()) else {
            return mend(
                self.error("realm-missing", "does not say where to fetch a token (realm)"),
            );
        };
        let Ok(endpoint) = Endpoint::parse(realm) else {
            let message = "sends clients to a realm that is no URL";
            return mend(self.error("realm-malformed", message).seen("realm", cut(realm)));
        };
        let seen = |finding: Finding| finding.seen("realm", &endpoint);
        if let Some(finding) = self.autoredirect(&endpoint) {
            return Some(finding);
        }
        let path = endpoint.path.replace("//", "/");
        let expected = self.gitlab.map(|gitlab| gitlab.value.url(tokens::PATH));
        let right_path = match self.gitlab {
            Some(gitlab) if self.is_same_host(&endpoint) => {
                path == format!("{}{}", gitlab.value.path, tokens::PATH)
            }
            _ => path.ends_with(tokens::PATH),
        };
        if !right_path {
            let message = format!(
                "sends clients to {} for a token, where GitLab issues none",
                cut(&endpoint.to_string())
            );
            let finding = self.error("realm-path", message);
            return mend(self.expecting(finding, expected.as_deref()));
        }
        if self.gitlab.is_some() && !self.is_same_host(&endpoint) {
            let finding = self.elsewhere(&endpoint);
            return mend(self.expecting(finding, expected.as_deref()));
        }
        if endpoint.https {
            return None;
        }
        let message = "sends clients to http for a token: their passwords go there unencrypted";
        let plain = self.gitlab.is_some_and(|gitlab| !gitlab.value.https);
        let severity = if plain { Severity::Warning } else { Severity::Error };
        let finding = seen(self.finding(severity, "realm-http", message));
        if plain {
            return Some(finding.remedy(
                "Let external_url in gitlab.rb start with https://, and reconfigure; the realm \
                 follows it.",
                ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
            ));
        }
        mend(self.expecting(finding, expected.as_deref()))
    }

    fn autoredirect(&self, realm: &Endpoint) -> Option<Finding> {
        let told = self.config.map(|it| {
            it.yml.auth.token_autoredirect.as_ref().and_then(|it| it.value.as_bool()) == Some(true)
        });
        let heard_here = match self.place {
            Place::Heard { endpoint, .. } => endpoint.host == realm.host,
            Place::Written => false,
        };
        let redirects = realm.path == AUTOREDIRECT && told.unwrap_or(heard_here);
        redirects.then(|| {
            let message = "autoredirect sends clients to /auth/token on the registry's own host, \
                           where nobody issues tokens";
            let finding = self.error("autoredirect", message);
            let written = self.config.and_then(|it| it.yml.auth.token_autoredirect.as_ref());
            let finding = self.place_of(finding, "auth.token.autoredirect", written);
            self.keeper.configure(
                finding,
                "GitLab issues tokens under its own address",
                "registry['autoredirect'] = false",
                "auth.token.autoredirect: false",
            )
        })
    }

    /// The address that the realm leads to by mistake: all of a server, or a path on GitLab's own.
    pub(super) fn astray(&self, realm: &Endpoint) -> Cause {
        let is_gitlab = self.gitlab.is_some_and(|gitlab| gitlab.value.is_server(realm));
        Cause::Astray(if is_gitlab {
            format!("{}{}", realm.socket(), realm.path)
        } else {
            realm.socket()
        })
    }

    fn is_same_host(&self, realm: &Endpoint) -> bool {
        self.gitlab.is_some_and(|gitlab| {
            let gitlab = &gitlab.value;
            // Another scheme brings another port along.
            gitlab.host == realm.host && (gitlab.https != realm.https || gitlab.port == realm.port)
        })
    }

    /// Another host than GitLab's. An administrator who wrote it may know why.
    fn elsewhere(&self, realm: &Endpoint) -> Finding {
        let gitlab = self.gitlab.map(|gitlab| gitlab.value.authority()).unwrap_or_default();
        let message = format!(
            "sends clients to {} for a token, but GitLab is {gitlab}",
            cut(&realm.authority())
        );
        let meant = self.wanted.is_some_and(|wanted| wanted.value.authority() == realm.authority());
        // On a node without Rails, what is written here of GitLab's address need not be right.
        let severity = match (meant, self.has_rails) {
            (false, _) => Severity::Error,
            (true, true) => Severity::Warning,
            (true, false) => Severity::Notice,
        };
        let finding = self.finding(severity, "realm-elsewhere", message).seen("realm", realm);
        match self.wanted.filter(|_| meant) {
            Some(wanted) => finding.evidence(wanted.evidence("registry['token_realm']")),
            None => finding,
        }
    }

    fn expecting(&self, finding: Finding, expected: Option<&str>) -> Finding {
        let written = self.config.and_then(|it| it.yml.auth.token_realm.as_ref());
        let finding = self.place_of(finding, "auth.token.realm", written);
        match (expected, self.gitlab) {
            (Some(expected), Some(gitlab)) => {
                finding.evidence(gitlab.source.evidence("expected by external_url", expected))
            }
            _ => finding,
        }
    }

    /// The mend of the realm.
    fn configured(&self, finding: Finding) -> Finding {
        let written = self.config.and_then(|it| it.yml.auth.token_realm.as_ref());
        if let Some(variable) = written.and_then(|it| it.variable.as_deref()) {
            return self.keeper.unset_variable(finding, variable);
        }
        let url = self.gitlab.map(|gitlab| gitlab.value.url(tokens::PATH));
        match self.keeper {
            keeper @ (Keeper::Package | Keeper::Elsewhere) => finding.remedy(
                keeper.advice(
                    "take registry['token_realm'] out of gitlab.rb, so that it follows \
                     external_url, and reconfigure",
                ),
                [
                    "sudo grep -n token_realm /etc/gitlab/gitlab.rb",
                    "sudo gitlab-ctl reconfigure",
                    "sudo gitlab-ctl restart registry",
                ],
            ),
            Keeper::Systemd => {
                let url = url.unwrap_or_else(|| "GitLab's address and /jwt/auth".to_owned());
                finding.remedy(
                    format!("Let auth.token.realm in its config.yml be {url}, and restart it."),
                    OWN_MEND,
                )
            }
        }
    }
}
