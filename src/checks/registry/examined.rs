//! An address of the registry that is examined, and what its findings have in common.

use super::keeper::Keeper;
use crate::checks::reach::{Stage, Way};
use crate::checks::shell::word;
use crate::checks::{Cause, Evidence, Finding, docs};
use crate::install::{Endpoint, Source, Sourced};

/// The path that every registry answers.
pub(super) const PATH: &str = "/v2/";

/// As many addresses of one name as are shown.
const SHOWN: usize = 8;

/// An address of the registry.
#[derive(Debug)]
pub(super) struct Examined {
    /// Where the registry should be; without a path, since clients know none.
    pub(super) endpoint: Endpoint,
    /// Where that is written.
    pub(super) source: Source,
    /// Who uses it.
    pub(super) side: Side,
    /// Which commands mend the registry.
    pub(super) keeper: Keeper,
}

/// From where an address is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Side {
    /// By Docker, through nginx; the address behind nginx as `host:port`, where it is known.
    External(Option<String>),
    /// By nginx and GitLab: the registry itself.
    Internal,
}

impl Examined {
    pub(super) fn new(endpoint: Sourced<Endpoint>, side: Side, keeper: Keeper) -> Self {
        let Sourced { value, source } = endpoint;
        Self { endpoint: Endpoint { path: String::new(), ..value }, source, side, keeper }
    }

    /// An error on this address, with the place where the address is written.
    pub(super) fn error(&self, code: &'static str, message: impl Into<String>) -> Finding {
        self.placed(Finding::error(code, self.endpoint.to_string(), message))
    }

    /// A warning on this address.
    pub(super) fn warning(&self, code: &'static str, message: impl Into<String>) -> Finding {
        self.placed(Finding::warning(code, self.endpoint.to_string(), message))
    }

    fn placed(&self, finding: Finding) -> Finding {
        let finding = finding.docs(docs::REGISTRY_TROUBLE);
        match &self.source {
            // The subject says it already.
            Source::Flag(_) => finding,
            source => finding.evidence(self.written(source)),
        }
    }

    fn written(&self, source: &Source) -> Evidence {
        let in_rails = matches!(source, Source::File { path, .. } if path.ends_with("gitlab.yml"));
        let (setting, value) = match self.side {
            Side::Internal => ("http.addr", self.endpoint.socket()),
            Side::External(_) if in_rails => ("registry.host", self.endpoint.host.clone()),
            Side::External(_) => ("registry_external_url", self.endpoint.to_string()),
        };
        source.evidence(setting, value)
    }

    /// What goes wrong for others while this address is dead.
    pub(super) fn dead(&self, finding: Finding) -> Finding {
        let socket = self.endpoint.socket();
        let finding = finding.explains(Cause::Service(socket.clone()));
        match self.side {
            Side::Internal => finding.explains(Cause::Backend(socket)),
            Side::External(_) => finding,
        }
    }

    /// The registry's own health, or its absence, explains what nginx answers in its place.
    pub(super) fn because_of_registry(&self, finding: Finding) -> Finding {
        match &self.side {
            Side::Internal => finding
                .follows(Cause::Startup(self.endpoint.socket()))
                .follows(Cause::Health(self.endpoint.socket())),
            Side::External(Some(inner)) => {
                finding.follows(Cause::Health(inner.clone())).follows(Cause::Backend(inner.clone()))
            }
            Side::External(None) => finding,
        }
    }

    /// The request by hand, headers shown, whatever the certificate.
    pub(super) fn curl(&self) -> String {
        format!("curl -ksi --max-time 10 {}", word(&self.endpoint.url(PATH)))
    }

    /// The address itself is wrong: `right` says what it should be, `url` where that is known.
    pub(super) fn rewritten(&self, finding: Finding, right: &str, url: Option<&str>) -> Finding {
        match (&self.source, &self.side, self.keeper) {
            (Source::Flag(flag), ..) => finding.remedy(
                format!(
                    "Ask for {right}; if this is the address that clients are told, mend \
                     registry_external_url in gitlab.rb on GitLab's host."
                ),
                [url.map_or_else(
                    || self.curl(),
                    |url| format!("gldoctor run {flag} {}", word(url)),
                )],
            ),
            (_, Side::External(_), Keeper::Package) => finding.remedy(
                format!("Let registry_external_url be {right}, and reconfigure."),
                ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
            ),
            (_, _, keeper) => finding.remedy(
                keeper.advice(&format!("let the registry's address be {right}")),
                [self.curl()],
            ),
        }
    }

    /// What each address came to, as evidence.
    pub(super) fn shown<'a>(
        finding: Finding,
        ways: impl IntoIterator<Item = &'a &'a Way>,
    ) -> Finding {
        ways.into_iter().take(SHOWN).fold(finding, |finding, way| {
            finding.seen(format!("at {}", way.address), describe(&way.stage))
        })
    }
}

/// How far a way went, in a few words.
pub(super) fn describe(stage: &Stage) -> String {
    match stage {
        Stage::Connection(failure) => failure.to_string(),
        Stage::Tls(failure) => format!("connected, but no TLS: {failure}"),
        Stage::Http(failure) => format!("connected, but no HTTP answer: {failure}"),
        Stage::Answered(response) => format!("HTTP {}", response.status),
    }
}
