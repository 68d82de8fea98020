//! What is wrong with an endpoint as it is written.

use crate::checks::registry::keeper::Keeper;
use crate::checks::shell::word;
use crate::checks::{Cause, Evidence, Finding, Severity, docs};
use crate::host::Host;
use crate::install::gitlab::found;
use crate::install::registry::Config;
use crate::install::{self, Endpoint as Address};
use crate::parse::go_duration;
use crate::parse::registry_yml::Endpoint;
use crate::parse::setting::{Located, Scalar, Setting};

/// Where GitLab takes events.
pub(super) const EVENTS: &str = "/api/v4/container_registry_event/events";

/// No delivery over a network takes less, in nanoseconds: one millisecond.
const SHORTEST: i64 = 1_000_000;

/// The registry's configuration, as the findings on its endpoints need it.
pub(super) struct Settings<'a> {
    pub(super) config: &'a Config,
    pub(super) keeper: Keeper,
    /// The registry itself as `host:port`, which does not start with some of the faults.
    registry: Option<String>,
    /// GitLab's own address.
    pub(super) gitlab: Option<Address>,
}

impl<'a> Settings<'a> {
    pub(super) async fn given(host: &Host, config: &'a Config, keeper: Keeper) -> Self {
        let registry = install::registry::internal(host).await.ok().flatten();
        // Where it cannot be told nothing is concluded from it.
        let gitlab = install::gitlab::external_url(host).await.ok().flatten();
        Self {
            config,
            keeper,
            registry: registry.map(|it| it.value.socket()),
            gitlab: gitlab.map(|it| it.value),
        }
    }

    /// The findings on what is written.
    pub(super) fn judge(&self, endpoint: &Endpoint) -> Vec<Finding> {
        let durations = [
            ("timeout", &endpoint.timeout, Severity::Error, "every delivery is given up at once"),
            ("backoff", &endpoint.backoff, Severity::Warning, "it hammers a receiver that fails"),
        ];
        let durations = durations.into_iter().filter_map(|(name, value, severity, effect)| {
            self.duration(endpoint, name, value, severity, effect)
        });
        let headers = endpoint.headers.iter().find(|header| !header.list).map(|header| {
            let message = format!(
                "the value of the header {} is no list: the registry does not start",
                header.name
            );
            let finding = self.error(endpoint, "header-not-a-list", message);
            self.kept_from_starting(self.mended(endpoint, finding, "write the value in brackets"))
        });
        let mut findings: Vec<_> = durations.chain(headers).collect();
        match address(endpoint) {
            Ok(address) => {
                findings.extend(self.unencrypted(endpoint, &address));
                findings.extend(self.without_secret(endpoint, &address));
            }
            Err(wrong) => findings.push(self.no_address(endpoint, &wrong)),
        }
        findings
    }

    /// Go takes a bare number for nanoseconds, and a text without a unit for an error.
    fn duration(
        &self,
        endpoint: &Endpoint,
        name: &str,
        value: &Setting,
        severity: Severity,
        effect: &str,
    ) -> Option<Finding> {
        let value = value.as_ref()?;
        let unit = format!("write {name} with its unit, such as '500ms' or '5s'");
        let place = |finding: Finding| finding.evidence(self.place(name, value));
        match &value.value {
            Scalar::Text(text) if go_duration::nanoseconds(text).is_none() => {
                let message =
                    format!("{name} '{text}' is no duration: the registry does not start");
                let finding = place(self.error(endpoint, "duration-unreadable", message));
                Some(self.kept_from_starting(self.mend_value(endpoint, value, finding, &unit)))
            }
            Scalar::Integer(_) | Scalar::Number(_) => {
                // A fraction is cut off.
                let nanoseconds = value.value.as_integer().unwrap_or(1);
                if !(1..SHORTEST).contains(&nanoseconds) {
                    return None;
                }
                let message = format!(
                    "{name} {} has no unit: it means nanoseconds, so {effect}",
                    value.value
                );
                let finding = self.error(endpoint, "duration-without-unit", message);
                let finding = place(Finding { severity, ..finding });
                Some(self.mend_value(endpoint, value, finding, &unit))
            }
            _ => None,
        }
    }

    fn no_address(&self, endpoint: &Endpoint, wrong: &str) -> Finding {
        let message = format!("no event can be sent there: {wrong}");
        let finding = self.error(endpoint, "url-unusable", message);
        let what = "write the receiver's whole URL, such as https://host.internal/events";
        match &endpoint.url {
            Some(url) => self.mend_value(endpoint, url, finding, what),
            None => self.mended(endpoint, finding, what),
        }
    }

    fn unencrypted(&self, endpoint: &Endpoint, address: &Address) -> Option<Finding> {
        if address.https || address.is_loopback() {
            return None;
        }
        let what = if endpoint.headers.is_empty() {
            "events"
        } else {
            "events, and the secrets in their headers,"
        };
        let message = format!("{what} cross the network unencrypted: the URL says http");
        let finding =
            Finding { severity: Severity::Warning, ..self.error(endpoint, "unencrypted", message) };
        let url = endpoint.url.as_ref()?;
        Some(self.mend_value(endpoint, url, finding, "let the receiver speak TLS, and write https"))
    }

    fn without_secret(&self, endpoint: &Endpoint, address: &Address) -> Option<Finding> {
        let sent = endpoint.headers.iter().any(|it| it.name.eq_ignore_ascii_case("authorization"));
        if sent || !address.path.ends_with(EVENTS) {
            return None;
        }
        let message = "GitLab refuses every event: none has the header Authorization".to_owned();
        let finding = self.error(endpoint, "no-authorization", message);
        Some(self.mended(
            endpoint,
            finding,
            "send the value of gitlab_rails['registry_notification_secret'] in the header \
             Authorization",
        ))
    }

    /// An error on an endpoint, with the place where it is written.
    pub(super) fn error(
        &self,
        endpoint: &Endpoint,
        code: &'static str,
        message: String,
    ) -> Finding {
        self.placed(endpoint, Finding::error(code, name(endpoint), message))
    }

    /// The finding with the endpoint's place.
    pub(super) fn placed(&self, endpoint: &Endpoint, finding: Finding) -> Finding {
        let shown =
            endpoint.name.as_ref().map_or_else(|| "unnamed".to_owned(), |it| it.value.to_string());
        finding.evidence(self.written(endpoint, &shown)).docs(docs::REGISTRY_NOTIFICATIONS)
    }

    /// Where the endpoint stands.
    pub(super) fn written(&self, endpoint: &Endpoint, shown: &str) -> Evidence {
        let Endpoint { line, variable, .. } = endpoint;
        let place = Located { value: (), line: *line, variable: variable.clone() };
        found(&self.config.path, &place).evidence("notification endpoint", shown)
    }

    /// The finding with how a value of the endpoint is mended; `what` is a clause.
    fn mend_value(
        &self,
        endpoint: &Endpoint,
        value: &Located<Scalar>,
        finding: Finding,
        what: &str,
    ) -> Finding {
        match &value.variable {
            Some(variable) => self.keeper.unset_variable(finding, variable),
            None => self.mended(endpoint, finding, what),
        }
    }

    /// The finding with how `registry['notifications']` is mended; `what` is a clause.
    fn mended(&self, endpoint: &Endpoint, finding: Finding, what: &str) -> Finding {
        if let Some(variable) = &endpoint.variable {
            return self.keeper.unset_variable(finding, variable);
        }
        let (place, commands) = self.place_of_mend(endpoint);
        let then = match self.keeper {
            Keeper::Systemd => "restart the registry",
            Keeper::Package | Keeper::Elsewhere => "reconfigure",
        };
        finding.remedy(self.keeper.advice(&format!("in {place}, {what}, and {then}")), commands)
    }

    /// Where the endpoint is written by hand, and how that is put into effect.
    pub(super) fn place_of_mend(&self, endpoint: &Endpoint) -> (String, Vec<String>) {
        let of_url = endpoint.url.as_ref().and_then(|url| url.variable.as_ref());
        if let Some(variable) = of_url.or(endpoint.variable.as_ref()) {
            return self.keeper.place_of_variable(variable);
        }
        match self.keeper {
            Keeper::Package | Keeper::Elsewhere => (
                "registry['notifications'] of /etc/gitlab/gitlab.rb".to_owned(),
                vec![
                    "sudoedit /etc/gitlab/gitlab.rb".to_owned(),
                    "sudo gitlab-ctl reconfigure".to_owned(),
                ],
            ),
            Keeper::Systemd => (
                format!("notifications.endpoints of {}", self.config.path),
                vec![
                    format!("sudoedit {}", word(self.config.path.as_str())),
                    "sudo systemctl restart docker-registry".to_owned(),
                ],
            ),
        }
    }

    fn kept_from_starting(&self, finding: Finding) -> Finding {
        match &self.registry {
            Some(registry) => finding.explains(Cause::Startup(registry.clone())),
            None => finding,
        }
    }

    fn place(&self, name: &str, value: &Located<Scalar>) -> Evidence {
        found(&self.config.path, value).evidence(name, &value.value)
    }
}

/// What an endpoint is called in a report: its URL, or else its name.
pub(super) fn name(endpoint: &Endpoint) -> String {
    let text = |setting: &Setting| setting.as_ref().map(|it| it.value.to_string());
    let named = text(&endpoint.url).filter(|url| !url.is_empty()).or_else(|| text(&endpoint.name));
    named.unwrap_or_else(|| "a notification endpoint".to_owned())
}

/// Where an endpoint leads, or what is wrong with its URL.
pub(super) fn address(endpoint: &Endpoint) -> Result<Address, String> {
    match endpoint.url.as_ref().map(|url| url.value.to_string()) {
        Some(url) if !url.is_empty() => Address::parse(&url),
        _ => Err("it has no url".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(endpoint: &str) -> Vec<(&'static str, Severity)> {
        let yml = format!("notifications: {{endpoints: [{endpoint}]}}");
        let yml = crate::parse::registry_yml::read(yml.as_bytes()).unwrap();
        let config = Config { path: "/config.yml".into(), yml, generated: true };
        let settings = Settings {
            config: &config,
            keeper: Keeper::Package,
            registry: Some("127.0.0.1:5000".to_owned()),
            gitlab: Some(Address::parse("https://git.test").unwrap()),
        };
        let found = settings.judge(&config.yml.notifications[0]);
        found.iter().map(|finding| (finding.code, finding.severity)).collect()
    }

    #[test]
    fn a_sound_endpoint_is_no_finding() {
        let package = "{name: x, url: 'https://h.test/e', timeout: 500ms, threshold: 5, \
                       maxretries: 5, backoff: 1s, headers: {A: [b]}}";
        assert_eq!(codes(package), []);
        assert_eq!(codes("{url: 'http://127.0.0.1:8080/e', timeout: 0}"), []);
        let gitlab =
            format!("{{url: 'https://git.test{EVENTS}', headers: {{Authorization: [x]}}}}");
        assert_eq!(codes(&gitlab), []);
        // Five seconds, for who likes to count in nanoseconds.
        assert_eq!(codes("{url: 'https://h.test/e', timeout: 5000000000}"), []);
    }

    #[test]
    fn durations_need_a_unit() {
        let code = |setting: &str| codes(&format!("{{url: 'https://h.test', {setting}}}"));
        assert_eq!(code("timeout: 500"), [("duration-without-unit", Severity::Error)]);
        assert_eq!(code("timeout: 1.5"), [("duration-without-unit", Severity::Error)]);
        assert_eq!(code("backoff: 1"), [("duration-without-unit", Severity::Warning)]);
        assert_eq!(code("timeout: '500'"), [("duration-unreadable", Severity::Error)]);
        assert_eq!(code("timeout: 5 s"), [("duration-unreadable", Severity::Error)]);
    }

    #[test]
    fn urls_have_to_lead_somewhere() {
        assert_eq!(codes("{name: x}"), [("url-unusable", Severity::Error)]);
        assert_eq!(codes("{url: '127.0.0.1:9'}"), [("url-unusable", Severity::Error)]);
        assert_eq!(codes("{url: 'http://h.test'}"), [("unencrypted", Severity::Warning)]);
        // What lies there the way to it tells.
        assert_eq!(codes("{url: 'https://git.test/events'}"), []);
        let no_secret = format!("{{url: 'https://git.test{EVENTS}'}}");
        assert_eq!(codes(&no_secret), [("no-authorization", Severity::Error)]);
        let header = codes("{url: 'https://h.test', headers: {Authorization: x}}");
        assert_eq!(header, [("header-not-a-list", Severity::Error)]);
    }
}
