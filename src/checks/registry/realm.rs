//! The server that issues tokens for the registry: GitLab, at the realm of the registry's challenge.

use std::net::SocketAddr;

use super::asking::{Asking, Heard, Subject};
use super::keeper::Keeper;
use crate::checks::path::gitlab::{Gitlab, Mend, Place};
use crate::checks::path::{Answerer, Looked, Service, Spoken, Words};
use crate::checks::reach::{Reach, Stage, Way, reach_by};
use crate::checks::{Cause, Evidence, Finding, docs};
use crate::host::network::{
    Body, Failure, HttpReply, Response, TokenAnswer, TokenReply, TokenRequest,
};
use crate::host::{Host, Unknown};
use crate::install::tokens::{self, SERVICE};
use crate::install::{Endpoint, Source};
use crate::parse::challenge::read;
use crate::parse::scrub;

/// The server that issues tokens.
pub(super) struct Realm {
    /// It, as any other service of GitLab; its path is that below which everything lies.
    gitlab: Gitlab,
    /// The whole address, without a query.
    pub(super) url: Endpoint,
    /// For which service the registry wants a token.
    pub(super) service: Option<String>,
}

impl Realm {
    /// Where the registry sends clients; if it does not answer, where it would, or else where the
    /// package lets it.
    pub(super) async fn of(
        host: &Host,
        subject: &Subject,
        asking: &Asking,
    ) -> Result<Option<Self>, Unknown> {
        let told = match asking {
            Asking::Heard(all) => Told::heard(all),
            Asking::Silent | Asking::LeftOut(_) => Told::configured(host, subject).await?,
        };
        let Some(Told { url, service, written, flag }) = told else { return Ok(None) };
        let below = url.path.strip_suffix(tokens::PATH).unwrap_or_default().to_owned();
        let endpoint = Endpoint { path: below, ..url.clone() };
        let path = url.path.strip_prefix(&endpoint.path).unwrap_or(&url.path);
        let query = service.as_ref().map(|service| format!("?service={service}"));
        let mend = match flag {
            Some(flag) => Mend { what: flag, commands: Vec::new() },
            None => mend(Keeper::of(host).await),
        };
        let gitlab = Gitlab {
            place: Place::of(host, &endpoint).await,
            asked: format!("{path}{}", query.unwrap_or_default()),
            endpoint,
            is_own: is_issuer,
            written,
            mend,
            docs: docs::REGISTRY_TROUBLE,
        };
        Ok(Some(Self { gitlab, url, service }))
    }

    /// Goes the way to it, and asks for a token as nobody.
    pub(super) async fn look(&self, host: &Host) -> Result<Looked, Unknown> {
        let reached =
            reach_by(host, &self.url, |address| self.ask(host, &self.url, address)).await?;
        let spoken = match &reached {
            Reach::Ways(ways) => match ways.iter().find(|way| is_foreign(way)) {
                Some(way) if ways.iter().all(|way| way.response().is_none()) => {
                    self.spoken(host, way.address).await?
                }
                _ => None,
            },
            Reach::NoName(_) => None,
        };
        Ok(Looked { reached, spoken })
    }

    /// What a server speaks that did not understand a TLS hello.
    async fn spoken(&self, host: &Host, address: SocketAddr) -> Result<Option<Spoken>, Unknown> {
        if !self.url.https {
            return Ok(None);
        }
        let plain = Endpoint { https: false, ..self.url.clone() };
        Ok(match self.ask(host, &plain, address).await? {
            HttpReply::Answered(response) if is_issuer(&response) => Some(Spoken::PlainService),
            HttpReply::Answered(response) => match Answerer::of(&response) {
                // A TLS server that refused the handshake says so in plain HTTP.
                Answerer::TlsPort => None,
                _ => Some(Spoken::PlainHttp),
            },
            HttpReply::Failed(_) => None,
        })
    }

    async fn ask(
        &self,
        host: &Host,
        url: &Endpoint,
        address: SocketAddr,
    ) -> Result<HttpReply, Unknown> {
        let request = TokenRequest {
            realm: url.to_string(),
            address,
            service: self.service.clone(),
            login: None,
        };
        Ok(match host.ask(request).await? {
            TokenReply::Failed(failure) => HttpReply::Failed(failure),
            TokenReply::Answered(answer) => {
                let TokenAnswer { mut response, token } = *answer;
                // Of a document its errors alone are kept; whether there was a token is told here.
                let is_document = matches!(response.body, Body::Json(_));
                if response.status == 200 && is_document && token.is_none() {
                    response.body = Body::Empty;
                }
                HttpReply::Answered(response)
            }
        })
    }
}

/// The address of the realm, and who tells it.
struct Told {
    url: Endpoint,
    service: Option<String>,
    /// Where it is written; `None` where the subject says it already.
    written: Option<Evidence>,
    /// The option that gives it, if one does.
    flag: Option<String>,
}

impl Told {
    /// What the registry says itself.
    fn heard(all: &[Heard]) -> Option<Self> {
        let (heard, realm, service) = all.iter().find_map(challenged)?;
        let url = Endpoint::parse(&scrub::url(&realm)).ok()?;
        let written = Evidence::new(format!("realm of {}", heard.endpoint), &url);
        Some(Self { url, service, written: Some(written), flag: None })
    }

    /// What the registry is told to say, or what the package lets it say.
    async fn configured(host: &Host, subject: &Subject) -> Result<Option<Self>, Unknown> {
        let told = if subject.is_own { tokens::configured_realm(host).await? } else { None };
        let service = Some(SERVICE.to_owned());
        if let Some(realm) = told {
            let written = realm.source.evidence("auth.token.realm", &realm.value);
            return Ok(Some(Self {
                url: realm.value,
                service,
                written: Some(written),
                flag: None,
            }));
        }
        let Some(gitlab) = subject.gitlab(host).await? else { return Ok(None) };
        let path = format!("{}{}", gitlab.value.path, tokens::PATH);
        let url = Endpoint { path, ..gitlab.value };
        let (written, flag) = match gitlab.source {
            Source::Flag(name) => (None, Some(name)),
            source => (Some(source.evidence("external_url", "that of the realm")), None),
        };
        Ok(Some(Self { url, service, written, flag }))
    }
}

fn is_foreign(way: &Way) -> bool {
    matches!(way.stage, Stage::Tls(Failure::Foreign(_) | Failure::Reset))
}

/// The realm and the service in an answer of the registry.
fn challenged(heard: &Heard) -> Option<(&Heard, String, Option<String>)> {
    let mut challenges = heard.response.all("www-authenticate").flat_map(read);
    let bearer = challenges.find(|it| it.is_bearer() && it.parameter("realm").is_some())?;
    let service = bearer.parameter("service").map(str::to_owned);
    Some((heard, bearer.parameter("realm")?.to_owned(), service))
}

/// Whether an answer is that of a GitLab which issues tokens: one for what everybody may see, or a
/// refusal to who has not said who they are.
fn is_issuer(response: &Response) -> bool {
    match response.status {
        200 => matches!(response.body, Body::Json(_)),
        403 => error(response).is_some_and(|(code, _)| code == "DENIED"),
        _ => false,
    }
}

/// The first error of a document: its code and message.
pub(super) fn error(response: &Response) -> Option<(&str, &str)> {
    let Body::Json(document) = &response.body else { return None };
    let error = document.pointer("/errors/0")?;
    Some((error["code"].as_str()?, error["message"].as_str().unwrap_or_default()))
}

/// Whether `Rack::Attack` answers: GitLab has shut this address out.
pub(super) fn is_shut_out(response: &Response) -> bool {
    match (response.status, &response.body) {
        (429, _) => true,
        (403, Body::Text(text)) => text.trim() == "Forbidden",
        _ => false,
    }
}

impl Realm {
    fn registry_disabled(&self) -> Finding {
        let message = "GitLab does not know that there is a registry: it issues no tokens";
        self.error("registry-disabled", message.to_owned()).remedy(
            self.advice("let gitlab_rails['registry_enabled'] be true, and reconfigure"),
            [
                "sudo grep -nE \"registry_external_url|registry_enabled\" /etc/gitlab/gitlab.rb",
                "sudo gitlab-ctl reconfigure",
            ],
        )
    }

    fn service_refused(&self) -> Finding {
        let service = self.service.as_deref().unwrap_or("none");
        let message = format!("GitLab issues no tokens for the service '{service}'");
        let finding = self.error("service-refused", message).seen("expected", SERVICE);
        finding.follows(Cause::Tokens).remedy(
            "Let auth.token.service in the registry's config.yml be container_registry; the \
             package always writes that.",
            ["sudo gitlab-ctl reconfigure", "sudo gitlab-ctl restart registry"],
        )
    }

    /// GitLab has shut out the address from which too many wrong logins came.
    pub(super) fn shut_out(&self, status: u16) -> Finding {
        let message = format!(
            "GitLab answers {status}: it has shut this address out after too many wrong logins"
        );
        self.error("shut-out", message).remedy(
            self.advice(
                "find who logs in with a wrong password from here; the ban ends by itself, by \
                 default after an hour",
            ),
            ["sudo grep Rack_Attack /var/log/gitlab/gitlab-rails/auth_json.log | tail -n 5"],
        )
    }

    pub(super) fn failing(&self, status: u16) -> Finding {
        let message = format!("GitLab answers {status} when asked for a token: it fails itself");
        self.error("gitlab-error", message).remedy(
            self.advice(
                "look for the reason in the log of Rails; a signing key that git cannot read is \
                 one",
            ),
            ["sudo tail -n 50 /var/log/gitlab/gitlab-rails/exceptions_json.log"],
        )
    }
}

impl Service for Realm {
    fn endpoint(&self) -> &Endpoint {
        self.gitlab.endpoint()
    }

    fn asked(&self) -> &str {
        self.gitlab.asked()
    }

    fn words(&self) -> &'static Words {
        self.gitlab.words()
    }

    fn is_own(&self, response: &Response) -> bool {
        is_issuer(response)
    }

    fn strange(&self, response: &Response) -> Option<Finding> {
        match (response.status, error(response)) {
            (404, Some(("UNAVAILABLE", _))) => Some(self.registry_disabled()),
            (404, None)
                if response.body == Body::Empty && self.service.as_deref() != Some(SERVICE) =>
            {
                Some(self.service_refused())
            }
            (status, _) if is_shut_out(response) => Some(self.shut_out(status)),
            (500 | 501 | 505.., None) => Some(self.failing(response.status)),
            (200, _) if response.body == Body::Empty && is_json(response) => Some(self.no_token()),
            _ => self.gitlab.strange(response),
        }
    }

    fn docs(&self) -> &'static str {
        self.gitlab.docs()
    }

    fn placed(&self, finding: Finding) -> Finding {
        self.gitlab.placed(finding)
    }

    fn advice(&self, what: &str) -> String {
        Service::advice(&self.gitlab, what)
    }

    fn web_servers(&self) -> Option<&str> {
        self.gitlab.web_servers()
    }

    fn start(&self, finding: Finding) -> Finding {
        self.gitlab.start(finding)
    }

    fn listen(&self, finding: Finding) -> Finding {
        self.gitlab.listen(finding)
    }

    fn encrypt(&self, finding: Finding) -> Finding {
        self.gitlab.encrypt(finding)
    }

    fn rewrite(&self, finding: Finding, right: &str, url: Option<&str>) -> Finding {
        self.gitlab.rewrite(finding, right, url)
    }

    /// A GitLab that does not know the service is not dead: the registry's settings are at fault.
    fn dead(&self, finding: Finding) -> Finding {
        if finding.follows.contains(&Cause::Tokens) {
            return finding;
        }
        finding.explains(Cause::Service(self.endpoint().socket()))
    }
}

/// How the realm is written.
fn mend(keeper: Keeper) -> Mend {
    let (what, commands) = match keeper {
        Keeper::Package => (
            "auth.token.realm of the registry (registry['token_realm'] in gitlab.rb)",
            ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
        ),
        Keeper::Systemd => (
            "auth.token.realm in the registry's config.yml",
            ["sudoedit /etc/docker/registry/config.yml", "sudo systemctl restart docker-registry"],
        ),
        Keeper::Elsewhere => (
            "auth.token.realm, on the registry's host (registry['token_realm'] in its gitlab.rb),",
            ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
        ),
    };
    Mend { what: what.to_owned(), commands: commands.map(str::to_owned).to_vec() }
}

fn is_json(response: &Response) -> bool {
    response.field("content-type").is_some_and(|kind| kind.contains("json"))
}

impl Realm {
    fn no_token(&self) -> Finding {
        let message = "something answers in GitLab's place: its answer holds no token";
        self.error("no-token", message.to_owned())
            .remedy(self.advice("see which server answers for this name and path"), [self.curl()])
    }
}

#[cfg(test)]
impl Realm {
    /// The realm of a GitLab that is not there.
    pub(super) fn for_tests() -> Self {
        let endpoint = Endpoint::parse("https://git.test").unwrap();
        let gitlab = Gitlab {
            asked: format!("{}?service={SERVICE}", tokens::PATH),
            is_own: is_issuer,
            written: None,
            mend: Mend { what: "the realm".to_owned(), commands: Vec::new() },
            place: Place::Elsewhere,
            docs: docs::REGISTRY_TROUBLE,
            endpoint: endpoint.clone(),
        };
        let url = Endpoint { path: tokens::PATH.to_owned(), ..endpoint };
        Self { gitlab, url, service: Some(SERVICE.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::path::judge;
    use crate::checks::path::tests::response;

    fn code(status: u16, fields: &[(&str, &str)], body: Body) -> Option<&'static str> {
        code_for(&Realm::for_tests(), status, fields, body)
    }

    fn code_for(
        realm: &Realm,
        status: u16,
        fields: &[(&str, &str)],
        body: Body,
    ) -> Option<&'static str> {
        judged(realm, status, fields, body).map(|finding| finding.code)
    }

    fn judged(realm: &Realm, status: u16, fields: &[(&str, &str)], body: Body) -> Option<Finding> {
        let stage = Stage::Answered(response(status, fields, body));
        let way = Way { address: "10.0.0.1:443".parse().unwrap(), stage };
        judge(realm, &Looked { reached: Reach::Ways(vec![way]), spoken: None })
    }

    #[test]
    fn a_service_that_gitlab_does_not_know_is_the_registry_s_fault() {
        let other = Realm { service: Some("docker".to_owned()), ..Realm::for_tests() };
        let finding = judged(&other, 404, &[], Body::Empty).unwrap();
        assert_eq!(finding.explains, []);
        assert!(finding.follows.contains(&Cause::Tokens));
        let down = judged(&other, 502, &[], page("502 Bad Gateway")).unwrap();
        assert_eq!(down.explains, [Cause::Service("git.test:443".to_owned())]);
    }

    fn error_of(code: &str, message: &str) -> Body {
        Body::Json(json!({ "errors": [{ "code": code, "message": message }] }))
    }

    fn page(title: &str) -> Body {
        Body::Html { title: Some(title.to_owned()) }
    }

    const JSON: (&str, &str) = ("content-type", "application/json");

    #[test]
    fn a_refusal_of_nobody_is_healthy() {
        assert_eq!(code(403, &[], error_of("DENIED", "access forbidden")), None);
        assert_eq!(code(200, &[JSON], Body::Json(json!({}))), None);
    }

    #[test]
    fn each_answer_has_its_meaning() {
        let disabled = error_of("UNAVAILABLE", "registry not enabled");
        assert_eq!(code(404, &[], disabled), Some("registry-disabled"));
        assert_eq!(code(403, &[], Body::Text("Forbidden\n".to_owned())), Some("shut-out"));
        assert_eq!(code(429, &[], Body::Text("Retry later\n".to_owned())), Some("shut-out"));
        assert_eq!(code(500, &[], page("x")), Some("gitlab-error"));
        assert_eq!(code(502, &[], page("502 Bad Gateway")), Some("gitlab-down"));
        let gitlab = page("GitLab is not responding (502)");
        assert_eq!(code(502, &[], gitlab), Some("gitlab-down"));
        assert_eq!(code(404, &[], page("404 - GitLab")), Some("wrong-path"));
        assert_eq!(code(404, &[], page("404 Not Found")), Some("not-gitlab"));
        assert_eq!(code(200, &[JSON], Body::Empty), Some("no-token"));
        assert_eq!(code(200, &[], page("Welcome to nginx!")), Some("nginx-default"));
        let basic = [("www-authenticate", "Basic realm=\"x\"")];
        assert_eq!(code(401, &basic, page("401")), Some("foreign-challenge"));
        let other = Realm { service: Some("docker".to_owned()), ..Realm::for_tests() };
        assert_eq!(code_for(&other, 404, &[], Body::Empty), Some("service-refused"));
        assert_eq!(code(404, &[], Body::Empty), Some("not-gitlab"));
    }
}
