//! Why the registry refuses a token, as far as both sides can be seen from here.

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use super::Shown;
use crate::checks::registry::keeper::Keeper;
use crate::checks::{Cause, Evidence, Finding, docs};
use crate::host::Host;
use crate::host::files::{File, ReadFile, RegistryLog};
use crate::install::registry::Config;
use crate::parse::certificate::Certificate;
use crate::parse::pem::PemFile;
use crate::parse::registry_log::{Refusal, Refusals};
use crate::parse::setting::{Located, Scalar};
use crate::parse::token::TokenFacts;

/// How far clocks may differ before a registry refuses (Distribution's `Leeway`), in seconds.
const LEEWAY: i64 = 60;

/// Where the Linux package's registry writes its log.
const LOG: &str = "/var/log/gitlab/registry/current";

/// A refused token, and what is known of both sides.
pub(super) struct Refused<'a> {
    shown: &'a Shown,
    config: Option<Config>,
    /// The file with the registry's certificates and the IDs of their keys, where it can be read.
    trusted: Option<(Utf8PathBuf, Vec<String>)>,
    log: Refusals,
    keeper: Keeper,
    /// Whether the registry has accepted another token, signed here with GitLab's own key.
    others_pass: bool,
}

/// What a registry has against a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Issuer,
    Audience,
    Expired,
    NotYet,
    Key,
    Untold,
}

impl<'a> Refused<'a> {
    /// Looks for what may explain the refusal. What cannot be read does not.
    pub(super) async fn gather(
        host: &Host,
        shown: &'a Shown,
        config: Option<Config>,
        keeper: Keeper,
        others_pass: bool,
    ) -> Self {
        let bundle = config.as_ref().and_then(|it| it.yml.auth.token_rootcertbundle.as_ref());
        let bundle = bundle.map(|it| Utf8Path::new("/").join(it.value.to_string()));
        let trusted = match bundle {
            Some(path) => match host.ask(ReadFile::<PemFile>::at(path.clone())).await {
                Ok(File::Read(file)) => {
                    let certificates = file.certificates();
                    let read =
                        certificates.filter_map(|der| Certificate::from_der(der.as_ref()).ok());
                    Some((path, read.map(|it| it.key_id).collect()))
                }
                _ => None,
            },
            None => None,
        };
        let log = match &config {
            Some(config) if config.generated => {
                host.ask(RegistryLog { path: LOG.into() }).await.unwrap_or_default()
            }
            _ => Refusals::new(),
        };
        Self { shown, config, trusted, log, keeper, others_pass }
    }

    /// The refusal, and what is at its bottom.
    pub(super) fn finding(&self) -> Finding {
        let finding = match self.why() {
            Why::Issuer => self.issuer(),
            Why::Audience => self.audience(),
            Why::Expired => self.clock("token-expired", "is over", "ahead of"),
            Why::NotYet => self.clock("token-not-yet-valid", "has not begun", "behind"),
            Why::Key => self.key(),
            Why::Untold => self.untold(),
        };
        let token = &self.token();
        let parts = [
            ("key ID of the token", token.kid.clone()),
            ("issuer of the token", token.iss.clone()),
            ("audience of the token", Some(token.aud.join(", ")).filter(|it| !it.is_empty())),
        ];
        let finding = parts
            .into_iter()
            .filter_map(|(what, value)| Some((what, value?)))
            .fold(finding, |finding, (what, value)| finding.seen(what, value));
        let finding = self.registry_side(finding);
        self.logged().into_iter().fold(finding, Finding::evidence)
    }

    fn token(&self) -> &TokenFacts {
        &self.shown.token
    }

    /// In the order in which Distribution 2 and GitLab's registry look at a token.
    fn why(&self) -> Why {
        let token = self.token();
        if differs(self.setting(|it| &it.token_issuer), token.iss.as_deref()) {
            return Why::Issuer;
        }
        let service = self.setting(|it| &it.token_service).map(|it| it.value.to_string());
        if service.is_some_and(|service| !token.aud.contains(&service)) {
            return Why::Audience;
        }
        if let Some(there) = self.time_there().map(Timestamp::as_second) {
            if token.exp.is_some_and(|end| there > end.saturating_add(LEEWAY)) {
                return Why::Expired;
            }
            if token.nbf.is_some_and(|start| there < start.saturating_sub(LEEWAY)) {
                return Why::NotYet;
            }
        }
        match (&self.trusted, &token.kid) {
            (Some((_, trusted)), Some(kid)) if !trusted.contains(kid) => Why::Key,
            _ => Why::Untold,
        }
    }

    fn setting(
        &self,
        pick: fn(&crate::parse::registry_yml::Auth) -> &Option<Located<Scalar>>,
    ) -> Option<&Located<Scalar>> {
        pick(&self.config.as_ref()?.yml.auth).as_ref()
    }

    /// The clock of the registry, or of the web server in front of it.
    fn time_there(&self) -> Option<Timestamp> {
        DateTimeParser::new().parse_timestamp(self.shown.response.field("date")?).ok()
    }

    fn error(&self, code: &'static str, message: String) -> Finding {
        Finding::error(code, self.shown.endpoint.to_string(), message).docs(docs::REGISTRY_TROUBLE)
    }

    fn key(&self) -> Finding {
        let message = if self.others_pass {
            "the registry refuses GitLab's token: GitLab signs with another key than the one in \
             its file"
        } else {
            "the registry refuses GitLab's token: it trusts another key than the one that GitLab \
             signs with"
        };
        let finding = self.error("untrusted-key", message.to_owned()).follows(Cause::Tokens);
        match self.keeper {
            Keeper::Systemd => finding.remedy(
                "Put the certificate of GitLab's signing key into rootcertbundle, and restart the \
                 registry.",
                ["sudo systemctl restart docker-registry"],
            ),
            keeper => finding.remedy(
                keeper.advice(
                    "let reconfigure write key and certificate anew from gitlab-secrets.json, \
                     which has to be the same on every node",
                ),
                [
                    "sudo gitlab-ctl reconfigure",
                    "sudo gitlab-ctl restart registry",
                    "sudo gitlab-ctl restart puma",
                ],
            ),
        }
    }

    fn issuer(&self) -> Finding {
        let own = self.setting(|it| &it.token_issuer).map(|it| it.value.to_string());
        let message = format!(
            "the registry refuses GitLab's token: it trusts the issuer '{}', and GitLab is '{}'",
            own.unwrap_or_default(),
            self.token().iss.as_deref().unwrap_or_default()
        );
        let finding = self.error("untrusted-issuer", message).follows(Cause::Tokens);
        self.keeper.configure(
            finding,
            "both sides have to name the same issuer",
            "the same text for gitlab_rails['registry_issuer'] and registry['token_issuer']",
            "GitLab's issuer for auth.token.issuer",
        )
    }

    fn audience(&self) -> Finding {
        let own = self.setting(|it| &it.token_service).map(|it| it.value.to_string());
        let message = format!(
            "the registry refuses GitLab's token: it is for '{}', and the registry is '{}'",
            self.token().aud.join(", "),
            own.unwrap_or_default()
        );
        let finding = self.error("other-audience", message).follows(Cause::Tokens);
        finding.remedy(
            self.keeper.advice(
                "let auth.token.service in the registry's config.yml be container_registry, and \
                 restart it",
            ),
            match self.keeper {
                Keeper::Systemd => [
                    "sudoedit /etc/docker/registry/config.yml",
                    "sudo systemctl restart docker-registry",
                ],
                _ => ["sudo gitlab-ctl reconfigure", "sudo gitlab-ctl restart registry"],
            },
        )
    }

    fn clock(&self, code: &'static str, what: &str, how: &str) -> Finding {
        let message = format!(
            "the registry refuses GitLab's token: by its clock, which is {how} GitLab's, the token \
             {what}"
        );
        let token = self.token();
        let time = |seconds: Option<i64>| Some(Timestamp::from_second(seconds?).ok()?.to_string());
        let finding = self.error(code, message).follows(Cause::Clock).follows(Cause::Skew);
        let finding = [
            ("issued at, by GitLab's clock", time(token.iat)),
            ("valid from", time(token.nbf)),
            ("valid until", time(token.exp)),
        ]
        .into_iter()
        .filter_map(|(what, value)| Some((what, value?)))
        .fold(finding, |finding, (what, value)| finding.seen(what, value));
        let there = self.time_there().map(|time| time.to_string());
        finding.seen("the registry's clock", there.unwrap_or_default()).remedy(
            "Let GitLab's host and the registry's take their time from the same server.",
            ["chronyc tracking", "timedatectl"],
        )
    }

    /// What both files say agrees, or only one of them can be seen.
    fn untold(&self) -> Finding {
        let seen_both = self.trusted.is_some();
        let message = if seen_both {
            "the registry refuses GitLab's token, though key, issuer and service agree in the \
             files: it may not have read them since they changed"
        } else {
            "the registry refuses GitLab's token: its key, issuer, service or clock is another one"
        };
        let finding = self.error("token-refused", message.to_owned());
        let finding = finding.follows(Cause::Tokens).follows(Cause::Clock);
        if seen_both {
            return self.keeper.restart(finding);
        }
        finding.remedy(
            self.keeper.advice("its log says which; with gldoctor there, the finding does"),
            ["sudo gldoctor run --only registry", self.keeper.log()],
        )
    }

    /// What the registry wants, where its files are at hand.
    fn registry_side(&self, finding: Finding) -> Finding {
        let finding = match &self.trusted {
            Some((path, ids)) => {
                let ids = if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
                finding
                    .evidence(Evidence::new("key IDs that it trusts", ids).at(path.as_str(), None))
            }
            None => finding,
        };
        let Some(config) = &self.config else { return finding };
        let named = [
            ("auth.token.issuer", self.setting(|it| &it.token_issuer)),
            ("auth.token.service", self.setting(|it| &it.token_service)),
        ];
        named.into_iter().filter_map(|(name, it)| Some((name, it?))).fold(
            finding,
            |finding, (name, it)| {
                let evidence = Evidence::new(name, &it.value);
                finding.evidence(match it.variable {
                    Some(_) => evidence,
                    None => evidence.at(config.path.as_str(), it.line),
                })
            },
        )
    }

    /// What its log says of refusals.
    fn logged(&self) -> Option<Evidence> {
        let newest = self.log.iter().max_by_key(|(_, refused)| refused.at.clone());
        let (refusal, refused) = newest?;
        let what = match refusal {
            Refusal::UntrustedKey => "untrusted key",
            Refusal::UntrustedIssuer => "untrusted issuer",
            Refusal::OtherAudience => "other audience",
            Refusal::Expired => "expired",
            Refusal::NotYet => "not yet valid",
            Refusal::Signature => "signature does not fit",
            Refusal::Malformed => "malformed",
        };
        let last = refused.last.as_ref().map(|last| format!(": {last}")).unwrap_or_default();
        let at = refused.at.as_ref().map(|at| format!(", last {at}")).unwrap_or_default();
        let value = format!("{what}{last} ({} times{at})", refused.count);
        Some(Evidence::new("the registry's log", value).at(LOG, None))
    }
}

fn differs(setting: Option<&Located<Scalar>>, claim: Option<&str>) -> bool {
    setting.is_some_and(|it| Some(it.value.to_string().as_str()) != claim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::path::tests::response;
    use crate::host::network::Body;
    use crate::install::Endpoint;

    const NOON: i64 = 1_795_348_800;

    fn shown(token: TokenFacts) -> Shown {
        let date = ("date", "Sun, 22 Nov 2026 12:00:00 GMT");
        Shown {
            endpoint: Endpoint::parse("https://git.test:5050").unwrap(),
            response: response(401, &[date], Body::Empty),
            token,
        }
    }

    fn token() -> TokenFacts {
        TokenFacts {
            is_jwt: true,
            kid: Some("A".to_owned()),
            iss: Some("gitlab".to_owned()),
            aud: vec!["container_registry".to_owned()],
            nbf: Some(NOON - 5),
            exp: Some(NOON + 300),
            ..TokenFacts::default()
        }
    }

    fn code(token: TokenFacts, trusted: Option<&[&str]>) -> &'static str {
        let text = "auth: {token: {issuer: gitlab, service: container_registry}}";
        let yml = crate::parse::registry_yml::read(text.as_bytes()).unwrap();
        let config = trusted.map(|_| Config { path: "/c.yml".into(), yml, generated: true });
        let ids = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect();
        let shown = shown(token);
        let refused = Refused {
            shown: &shown,
            config,
            trusted: trusted.map(|it| ("/bundle.crt".into(), ids(it))),
            log: Refusals::new(),
            keeper: Keeper::Package,
            others_pass: false,
        };
        refused.finding().code
    }

    #[test]
    fn each_part_of_a_token_can_be_at_fault() {
        let both = Some(&["A"][..]);
        assert_eq!(code(token(), both), "token-refused");
        assert_eq!(code(TokenFacts { iss: None, ..token() }, both), "untrusted-issuer");
        assert_eq!(code(TokenFacts { aud: Vec::new(), ..token() }, both), "other-audience");
        assert_eq!(code(token(), Some(&["B"])), "untrusted-key");
        assert_eq!(code(token(), None), "token-refused");
    }

    #[test]
    fn clocks_may_differ_by_a_minute() {
        let from = |start: i64| {
            let token = TokenFacts { nbf: Some(start), exp: Some(start + 305), ..token() };
            code(token, None)
        };
        assert_eq!(from(NOON + 60), "token-refused");
        assert_eq!(from(NOON + 61), "token-not-yet-valid");
        assert_eq!(from(NOON - 365), "token-refused");
        assert_eq!(from(NOON - 366), "token-expired");
        // From outside, where nothing else of the registry can be seen.
        assert_eq!(code(TokenFacts { exp: Some(i64::MAX), ..token() }, None), "token-refused");
    }
}
