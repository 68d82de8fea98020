//! The receiver at the end of an endpoint's URL: GitLab itself, or anything else.

use super::settings::{EVENTS, Settings, address};
use crate::checks::path::gitlab::{Gitlab, Mend, Place, is_api};
use crate::checks::path::{Answerer, Service, Words};
use crate::checks::{Evidence, Finding, Severity, docs};
use crate::host::Host;
use crate::host::network::Response;
use crate::install::Endpoint as Address;
use crate::parse::registry_yml::Endpoint;

/// Any receiver of events.
static RECEIVER: Words = Words {
    the: "the receiver",
    bare: "receiver",
    one: "a receiver of events",
    down: "receiver-down",
    foreign: "not-a-receiver",
    header: None,
};

/// Where the registry sends events.
pub(super) enum Target {
    /// GitLab itself.
    Gitlab(Box<Gitlab>),
    /// Another program.
    Other(Box<Receiver>),
}

/// A receiver of which nothing is known but its URL.
pub(super) struct Receiver {
    server: Address,
    path: String,
    /// Where GitLab takes events, if this is its own server.
    gitlab: Option<String>,
    written: Evidence,
    mend: Mend,
}

impl Target {
    /// The target of an endpoint; `None` where its URL is none.
    pub(super) async fn of(
        host: &Host,
        settings: &Settings<'_>,
        endpoint: &Endpoint,
    ) -> Option<Self> {
        let url = address(endpoint).ok()?;
        let name = endpoint.name.as_ref().map(|it| it.value.to_string()).unwrap_or_default();
        let written = settings.written(endpoint, &name);
        let (place, commands) = settings.place_of_mend(endpoint);
        let mend = Mend { what: format!("the url of the endpoint '{name}' in {place}"), commands };
        let Some(prefix) = url.path.strip_suffix(EVENTS) else {
            let path = if url.path.is_empty() { "/".to_owned() } else { url.path.clone() };
            let server = url.server();
            let gitlab = settings.gitlab.as_ref().filter(|gitlab| gitlab.is_server(&server));
            let gitlab = gitlab.map(|gitlab| gitlab.url(EVENTS));
            return Some(Self::Other(Box::new(Receiver { server, path, gitlab, written, mend })));
        };
        let gitlab = Address { path: prefix.to_owned(), ..url };
        let place = Place::of(host, &gitlab).await;
        Some(Self::Gitlab(Box::new(Gitlab {
            endpoint: gitlab,
            asked: EVENTS.to_owned(),
            is_own: is_api,
            written: Some(written),
            mend,
            place,
            docs: docs::REGISTRY_NOTIFICATIONS,
        })))
    }

    pub(super) fn service(&self) -> &dyn Service {
        match self {
            Self::Gitlab(gitlab) => gitlab.as_ref(),
            Self::Other(receiver) => receiver.as_ref(),
        }
    }

    pub(super) fn server(&self) -> &Address {
        self.service().endpoint()
    }
}

/// Clients may follow a redirect, but an event does not survive it.
pub(super) fn without_events(finding: Finding) -> Finding {
    let message =
        format!("{}: the registry follows with a GET, so no event arrives", finding.message);
    Finding { severity: Severity::Error, message, ..finding }
}

/// Whether a client that posted something would follow with a GET, without it, as Go does.
pub(super) fn is_post_lost(response: &Response) -> bool {
    matches!(response.status, 301..=303)
}

impl Receiver {
    /// Whether GitLab answers, with its web pages or with "not found".
    fn is_nowhere_in_gitlab(&self, response: &Response) -> bool {
        let is_page = Answerer::of(response) == Answerer::Gitlab && !is_api(response);
        is_page && response.status < 500 || (self.gitlab.is_some() && response.status == 404)
    }
}

impl Service for Receiver {
    fn endpoint(&self) -> &Address {
        &self.server
    }

    fn asked(&self) -> &str {
        &self.path
    }

    fn words(&self) -> &'static Words {
        &RECEIVER
    }

    /// A receiver may refuse a GET in any way that it likes.
    fn is_own(&self, response: &Response) -> bool {
        let is_foreign = matches!(
            Answerer::of(response),
            Answerer::Proxy(_)
                | Answerer::NginxDefault
                | Answerer::TlsPort
                | Answerer::Redirect(_)
                | Answerer::UnhealthyRegistry
        );
        !is_foreign && !self.is_nowhere_in_gitlab(response)
    }

    fn strange(&self, response: &Response) -> Option<Finding> {
        if !self.is_nowhere_in_gitlab(response) {
            return None;
        }
        let message = format!("GitLab takes events at {EVENTS} only, not at this path");
        let right = self.gitlab.clone().unwrap_or_else(|| self.server.url(EVENTS));
        Some(self.rewrite(self.error("wrong-path", message), &right, None))
    }

    fn docs(&self) -> &'static str {
        docs::REGISTRY_NOTIFICATIONS
    }

    fn placed(&self, finding: Finding) -> Finding {
        finding.docs(docs::REGISTRY_NOTIFICATIONS).evidence(self.written.clone())
    }

    fn advice(&self, what: &str) -> String {
        format!("On {}, {what}.", self.server.host)
    }

    fn start(&self, finding: Finding) -> Finding {
        finding.remedy(self.advice("see whether the receiver of events runs"), [self.curl()])
    }

    fn listen(&self, finding: Finding) -> Finding {
        let port = self.server.port;
        finding.remedy(
            format!(
                "Start the receiver on {}, or let {} name the port at which it listens.",
                self.server.host, self.mend.what
            ),
            [format!("sudo ss -ltnp 'sport = :{port}'")],
        )
    }

    fn encrypt(&self, finding: Finding) -> Finding {
        finding.remedy(
            format!("Let {} name the port that speaks TLS, or start with http://.", self.mend.what),
            self.mend.commands.clone(),
        )
    }

    fn rewrite(&self, finding: Finding, right: &str, url: Option<&str>) -> Finding {
        let path = url.map_or("", |_| self.path.as_str());
        let advice = format!("Let {} be {right}{path}.", self.mend.what);
        finding.remedy(advice, self.mend.commands.clone())
    }
}
