//! An address of the registry that is examined, and what its findings have in common.

use super::keeper::Keeper;
use crate::checks::path::{self, Answerer, Service, Words};
use crate::checks::shell::word;
use crate::checks::{Cause, Evidence, Finding, docs};
use crate::host::network::Response;
use crate::install::{Endpoint, Source, Sourced};

/// The path that every registry answers.
pub(super) const PATH: &str = "/v2/";

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
    /// By GitLab, at an address that is neither; where the registry of this host listens as
    /// `host:port` or `unix:/path`, if there is one, or what is written in place of that.
    Api(Option<String>),
}

impl Examined {
    pub(super) fn new(endpoint: Sourced<Endpoint>, side: Side, keeper: Keeper) -> Self {
        let Sourced { value, source } = endpoint;
        Self { endpoint: value.server(), source, side, keeper }
    }

    fn written(&self, source: &Source) -> Evidence {
        let in_rails = matches!(source, Source::File { path, .. } if path.ends_with("gitlab.yml"));
        let (setting, value) = match self.side {
            Side::Internal => ("http.addr", self.endpoint.socket()),
            Side::Api(_) => ("registry.api_url", self.endpoint.to_string()),
            Side::External(_) if in_rails => ("registry.host", self.endpoint.host.clone()),
            Side::External(_) => ("registry_external_url", self.endpoint.to_string()),
        };
        source.evidence(setting, value)
    }

    fn unhealthy(&self) -> Finding {
        let message =
            "the registry answers 503: its own health check fails, so it refuses everything";
        let finding = self.error("unhealthy", message.to_owned());
        let keeper = self.keeper;
        self.because(finding.remedy(
            keeper.advice(
                "mend what the registry needs, usually its storage: its debug server and its log \
                 name it",
            ),
            [keeper.log()],
        ))
    }

    fn refused_by_registry(&self, status: u16, code: Option<&str>) -> Finding {
        let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
        let message = format!("the registry answers {status}{code} on {PATH}");
        let finding = self.error("registry-error", message);
        if status == 404 {
            return finding.remedy(
                format!(
                    "Look for http.prefix in the registry's config.yml: clients ask for {PATH} \
                     only."
                ),
                [self.curl()],
            );
        }
        finding.remedy(
            self.keeper.advice("look for the reason in the registry's log"),
            [self.keeper.log()],
        )
    }
}

impl Service for Examined {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn asked(&self) -> &str {
        PATH
    }

    fn words(&self) -> &'static Words {
        &path::REGISTRY
    }

    fn is_own(&self, response: &Response) -> bool {
        Answerer::of(response) == Answerer::Registry
    }

    fn strange(&self, response: &Response) -> Option<Finding> {
        match Answerer::of(response) {
            Answerer::UnhealthyRegistry => Some(self.unhealthy()),
            Answerer::RegistryError(status, code) => {
                Some(self.refused_by_registry(status, code.as_deref()))
            }
            Answerer::NoChallenge => {
                let message =
                    "answers 401 without the header WWW-Authenticate: clients cannot log in";
                Some(self.error("challenge-lost", message.to_owned()).remedy(
                    "Let the proxy in front pass WWW-Authenticate and \
                     Docker-Distribution-Api-Version.",
                    [self.curl()],
                ))
            }
            _ => None,
        }
    }

    fn docs(&self) -> &'static str {
        docs::REGISTRY
    }

    fn placed(&self, finding: Finding) -> Finding {
        let finding = finding.docs(docs::REGISTRY_TROUBLE);
        match &self.source {
            // The subject says it already.
            Source::Flag(_) => finding,
            source => finding.evidence(self.written(source)),
        }
    }

    fn is_inner(&self) -> bool {
        match &self.side {
            Side::External(_) => false,
            Side::Internal => true,
            Side::Api(_) => self.endpoint.is_loopback(),
        }
    }

    fn advice(&self, what: &str) -> String {
        self.keeper.advice(what)
    }

    fn log(&self) -> Option<&str> {
        (self.keeper != Keeper::Elsewhere).then(|| self.keeper.log())
    }

    fn web_servers(&self) -> Option<&str> {
        (self.keeper == Keeper::Package)
            .then_some("sudo grep -rnE 'listen |server_name ' /var/opt/gitlab/nginx/conf")
    }

    fn start(&self, finding: Finding) -> Finding {
        self.keeper.start(finding)
    }

    /// GitLab looks for the registry of this host at a port where it does not listen.
    fn refused(&self) -> Option<Finding> {
        let Side::Api(Some(own)) = &self.side else { return None };
        if !self.endpoint.is_loopback() {
            return None;
        }
        let message = format!(
            "nothing listens where GitLab asks for the registry: it listens at {own} on this host"
        );
        let finding = self.error("refused", message);
        if own.starts_with("unix:") {
            return Some(self.keeper.configure(
                finding,
                "GitLab asks the registry over TCP alone",
                &format!("registry['registry_http_addr'] = \"{}\"", self.endpoint.socket()),
                &format!("http.addr: {}, without http.net,", self.endpoint.socket()),
            ));
        }
        let right = Endpoint::listening(own)?.to_string();
        Some(self.rewrite(finding, &right, Some(&right)))
    }

    fn listen(&self, finding: Finding) -> Finding {
        let port = self.endpoint.port;
        let listening = format!("sudo ss -ltnp 'sport = :{port}'");
        if let Side::Api(_) = self.side {
            let what = format!(
                "see whether the registry runs, and let it listen where GitLab reaches it, not on \
                 loopback: registry['registry_http_addr'] = \"{}\"",
                self.endpoint.socket()
            );
            let status = "sudo gitlab-ctl status registry".to_owned();
            return finding.remedy(self.keeper.advice(&what), [status, listening]);
        }
        match self.keeper {
            Keeper::Package => finding.remedy(
                format!("Start nginx; if it runs, let it listen on port {port}."),
                ["sudo gitlab-ctl status nginx", &listening, "sudo gitlab-ctl reconfigure"],
            ),
            Keeper::Systemd => finding.remedy(
                format!("Let the registry, or the proxy in front of it, listen on port {port}."),
                [&listening, "systemctl status docker-registry"],
            ),
            Keeper::Elsewhere => finding.remedy(
                self.keeper.advice("see whether nginx runs and listens on this port"),
                ["sudo gitlab-ctl status nginx", &listening],
            ),
        }
    }

    fn listen_everywhere(&self) -> (&'static str, &'static [&'static str]) {
        match self.keeper {
            Keeper::Package => (
                "let nginx listen there: registry_nginx['listen_addresses'] = ['*', '[::]'] in \
                 gitlab.rb",
                &["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
            ),
            Keeper::Systemd | Keeper::Elsewhere => ("let the server listen there, too", &[]),
        }
    }

    fn encrypt(&self, finding: Finding) -> Finding {
        if let Side::Api(_) = self.side {
            let plain = Endpoint { https: false, ..self.endpoint.clone() }.to_string();
            return self.rewrite(finding, &plain, Some(&plain));
        }
        match self.keeper {
            Keeper::Systemd => finding.remedy(
                "Put a proxy with TLS in front of the registry, or give it http.tls.certificate \
                 and http.tls.key, and restart it.",
                [
                    "sudoedit /etc/docker/registry/config.yml",
                    "sudo systemctl restart docker-registry",
                ],
            ),
            keeper => finding.remedy(
                keeper.advice(
                    "let registry_external_url name the port that nginx serves with TLS (it is \
                     not the registry's own), and reconfigure",
                ),
                ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
            ),
        }
    }

    fn rewrite(&self, finding: Finding, right: &str, url: Option<&str>) -> Finding {
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
            (_, Side::Api(_), _) => finding.remedy(
                format!(
                    "Let gitlab_rails['registry_api_url'] in /etc/gitlab/gitlab.rb be {right}, and \
                     reconfigure."
                ),
                ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
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

    /// What goes wrong for others while this address is dead.
    fn dead(&self, finding: Finding) -> Finding {
        let socket = self.endpoint.socket();
        let finding = finding.explains(Cause::Service(socket.clone()));
        match &self.side {
            Side::Internal => finding.explains(Cause::Backend(socket)),
            // What keeps the registry of this host from listening at all.
            Side::Api(Some(own)) if self.endpoint.is_loopback() => {
                finding.follows(Cause::Backend(own.clone()))
            }
            Side::External(_) | Side::Api(_) => finding,
        }
    }

    /// The registry's own health, or its absence, explains what nginx answers in its place.
    fn because(&self, finding: Finding) -> Finding {
        match &self.side {
            Side::Internal => finding
                .follows(Cause::Startup(self.endpoint.socket()))
                .follows(Cause::Health(self.endpoint.socket())),
            Side::External(Some(inner)) => {
                finding.follows(Cause::Health(inner.clone())).follows(Cause::Backend(inner.clone()))
            }
            Side::External(None) | Side::Api(_) => finding,
        }
    }
}
