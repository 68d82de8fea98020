//! Question: does a server issue a token for the registry?
//!
//! No scope is ever asked for: that is enough to learn all that a diagnosis needs, and GitLab
//! creates a record for a repository that somebody asks to push to.

use std::net::SocketAddr;

use data_encoding::BASE64;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::http::Peer;
use super::pinned::Pinned;
use super::response::{content, head};
use super::tls::Witness;
use super::{Failure, Response, sealed};
use crate::host::{Machine, Question, Unknown};
use crate::parse::netrc::Secret;
use crate::parse::token::TokenFacts;

/// Asks a realm for a token.
#[derive(Debug, Serialize)]
pub struct TokenRequest {
    /// The realm of a registry's challenge: a URL without user information and query.
    pub realm: String,
    /// Where to connect, whatever the name in the URL resolves to.
    pub address: SocketAddr,
    /// For which service, as the challenge names it.
    pub service: Option<String>,
    /// As whom; otherwise as nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
}

/// With what to log in, and to whom alone the password may go. Only one login is tried in a run.
#[derive(Debug, Serialize)]
pub struct Login {
    /// The host whose credentials are used.
    pub host: String,
    /// The SHA-256 of the server's certificate, which somebody has judged before.
    pub certificate: String,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenReply {
    /// An HTTP response.
    Answered(Box<TokenAnswer>),
    /// No response; how far it came.
    Failed(Failure),
}

/// A response, and what is harmless of the token in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenAnswer {
    /// The response; of a JSON body only its errors.
    pub response: Response,
    /// The token, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenFacts>,
}

impl Question for TokenRequest {
    type Answer = TokenReply;

    const KIND: &'static str = "token-request";

    fn label(&self) -> String {
        let who = if self.login.is_some() { "login" } else { "token" };
        format!("{who} {} at {}", self.realm, self.address)
    }

    async fn look(&self, machine: &Machine) -> Result<TokenReply, Unknown> {
        let _permit = machine.network().await?;
        match &self.login {
            None => self.anonymous(machine).await,
            Some(login) => self.log_in(machine, login).await,
        }
    }
}

impl TokenRequest {
    async fn anonymous(&self, machine: &Machine) -> Result<TokenReply, Unknown> {
        let url = self.url()?;
        let peer = Peer { url: &url, address: self.address, verifier: Witness::anybody() };
        match peer.send(machine.stage(), reqwest::Client::get).await? {
            Ok(response) => Ok(TokenReply::Answered(Box::new(answer(response).await.0))),
            Err(failure) => Ok(TokenReply::Failed(failure)),
        }
    }

    async fn log_in(&self, machine: &Machine, login: &Login) -> Result<TokenReply, Unknown> {
        let url = self.url()?;
        if !url.starts_with("https://") {
            return Err(Unknown::Unreadable("a password is never sent without TLS".to_owned()));
        }
        let Some((user, password)) = machine.credentials().login(&login.host) else {
            return Err(Unknown::Unreadable(format!("no credentials for {}", login.host)));
        };
        if !machine.login().begin() {
            return Err(Unknown::Unreadable(
                "gldoctor logs in once in a run, and has done so already".to_owned(),
            ));
        }
        let verifier = Pinned::on(&login.certificate);
        let peer = Peer { url: &url, address: self.address, verifier };
        let sent = peer.send(machine.stage(), |client, url| {
            client.get(url).basic_auth(user, Some(password.reveal()))
        });
        let (answer, token) = match sent.await? {
            Ok(response) => answer(response).await,
            Err(failure) => return Ok(TokenReply::Failed(failure)),
        };
        let basic = Secret::new(BASE64.encode(format!("{user}:{}", password.reveal()).as_bytes()));
        let mut secrets = vec![password.reveal(), basic.reveal()];
        secrets.extend(token.as_ref().map(Secret::reveal));
        let response = sealed::without(answer.response, &secrets);
        if let Some(token) = token {
            machine.login().keep(token);
        }
        Ok(TokenReply::Answered(Box::new(TokenAnswer { response, token: answer.token })))
    }

    /// The realm with the service, as Docker asks.
    fn url(&self) -> Result<String, Unknown> {
        let mut url = Url::parse(&self.realm)
            .map_err(|error| Unknown::Unreadable(format!("{}: {error}", self.realm)))?;
        if let Some(service) = &self.service {
            url.query_pairs_mut().append_pair("service", service);
        }
        Ok(url.into())
    }
}

/// What is kept of a response, and the token itself.
async fn answer(mut response: reqwest::Response) -> (TokenAnswer, Option<Secret>) {
    let (status, fields) = head(&response);
    let (body, token) = match content(&mut response).await {
        Ok(content) => {
            let token = if status == 200 { token(&content) } else { None };
            (sealed::body(status, &content), token)
        }
        Err(body) => (body, None),
    };
    let facts = token.as_ref().map(|token| TokenFacts::of(token.reveal()));
    let response = Response { status, fields, body, times: None };
    (TokenAnswer { response, token: facts }, token)
}

/// The token in a body. Docker prefers `access_token`; GitLab sends `token`.
fn token(content: &[u8]) -> Option<Secret> {
    let document: Value = serde_json::from_slice(content).ok()?;
    let mut texts = ["access_token", "token"].into_iter().filter_map(|key| document[key].as_str());
    texts.find(|text| !text.is_empty()).map(|text| Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use super::super::standin::Standin;
    use super::*;
    use crate::host::credentials::Credentials;
    use crate::host::{Host, Scope};
    use crate::parse::netrc;

    fn request(realm: &str, address: SocketAddr, certificate: Option<String>) -> TokenRequest {
        let login = certificate.map(|certificate| Login { host: "git.test".into(), certificate });
        let service = Some("container_registry".to_owned());
        TokenRequest { realm: realm.to_owned(), address, service, login }
    }

    fn host() -> Host {
        let machine = Machine::new(Scope::live(), <_>::default(), Duration::from_secs(20));
        let entries = netrc::read(b"machine git.test login root password hush-hush").unwrap();
        Host::live(machine.with_credentials(Credentials::new(entries)))
    }

    /// A server that refuses every login, and sends back what it was sent.
    async fn server() -> Standin {
        Standin::start(|sent| {
            let echo = sent.replace(['\r', '\n'], " ");
            let length = echo.len();
            format!("HTTP/1.1 401 x\r\nServer: {echo}\r\nContent-Length: {length}\r\n\r\n{echo}")
        })
        .await
    }

    #[tokio::test]
    async fn a_password_goes_to_the_judged_server_alone_and_only_once() {
        let Standin { address, sha256, requests } = server().await;
        let realm = "https://git.test/jwt/auth";
        // Another certificate than the one that was judged: the handshake is the end.
        let reply = host().ask(request(realm, address, Some("00".repeat(32)))).await.unwrap();
        assert!(matches!(reply, TokenReply::Failed(Failure::Foreign(_))), "{reply:?}");
        assert_eq!(requests.load(Ordering::SeqCst), 0);
        let host = host();
        let reply = host.ask(request(realm, address, Some(sha256.clone()))).await.unwrap();
        assert!(matches!(&reply, TokenReply::Answered(it) if it.response.status == 401));
        assert_eq!(requests.load(Ordering::SeqCst), 1);
        // Neither again, nor elsewhere.
        host.ask(request(realm, address, Some(sha256.clone()))).await.unwrap();
        let other = request("https://git.test/other", address, Some(sha256));
        assert!(host.ask(other).await.is_err());
        assert_eq!(requests.load(Ordering::SeqCst), 1);
        let recording = serde_json::to_string(&host.transcript()).unwrap();
        let basic = BASE64.encode(b"root:hush-hush");
        assert!(!recording.contains("hush") && !recording.contains(&basic), "{recording}");
    }

    #[tokio::test]
    async fn no_password_goes_without_tls() {
        let address = "127.0.0.1:9".parse().unwrap();
        let plain = request("http://git.test/jwt/auth", address, Some("00".repeat(32)));
        assert!(host().ask(plain).await.unwrap_err().to_string().contains("without TLS"));
    }

    #[test]
    fn tokens_are_found_under_either_name() {
        let found = |text: &str| token(text.as_bytes()).map(|token| token.reveal().to_owned());
        assert_eq!(found(r#"{"token":"a"}"#).as_deref(), Some("a"));
        assert_eq!(found(r#"{"token":"a","access_token":"b"}"#).as_deref(), Some("b"));
        assert_eq!(found(r#"{"token":"a","access_token":""}"#).as_deref(), Some("a"));
        assert!(found(r#"{"token":1}"#).is_none() && found("x").is_none() && found("[]").is_none());
    }

    #[test]
    fn the_service_is_escaped() {
        let mut request =
            request("https://git.test/jwt/auth", "10.0.0.1:443".parse().unwrap(), None);
        request.service = Some("a&scope=repository:x:push".to_owned());
        let url = "https://git.test/jwt/auth?service=a%26scope%3Drepository%3Ax%3Apush";
        assert_eq!(request.url().unwrap(), url);
    }
}
