//! Question: does the registry accept a token?
//!
//! The token comes from the login of this run, or is signed here with GitLab's own key. Such a
//! token holds no permission, lasts a minute, and is good for nothing but the request that it is
//! made for. Neither it nor the key is ever kept or shown.

use std::net::SocketAddr;

use camino::Utf8PathBuf;
use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::http::Peer;
use super::mint::{SigningKey, mint};
use super::pinned::Pinned;
use super::response::{content, head};
use super::tls::Witness;
use super::{Failure, Response, sealed};
use crate::host::files::File;
use crate::host::{Machine, Question, Unknown};
use crate::parse::netrc::Secret;
use crate::parse::token::TokenFacts;

/// The largest key file that is read.
const LARGEST_KEY: u64 = 1 << 20;

/// Asks the registry for something harmless, with a token.
#[derive(Debug, Serialize)]
pub struct TokenPing {
    /// What is asked: neither changes anything.
    pub asking: Asking,
    /// `http` or `https`, without user information.
    pub url: String,
    /// Where to connect, whatever the name in the URL resolves to.
    pub address: SocketAddr,
    /// Where the token comes from.
    pub token: TokenFrom,
}

/// What is asked of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asking {
    /// GET: is the token accepted?
    Get,
    /// OPTIONS: which methods are allowed?
    Options,
}

/// Where a token comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenFrom {
    /// From the login of this run.
    Login {
        /// The SHA-256 of the registry's certificate, which somebody has judged before.
        certificate: String,
    },
    /// Signed here.
    Minted {
        /// GitLab's signing key, absolute.
        key: Utf8PathBuf,
        /// GitLab's name as an issuer.
        issuer: Option<String>,
        /// The name of the registry's service.
        service: String,
    },
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PingReply {
    /// An HTTP response to a request with this token.
    Answered {
        /// The response; of a JSON body only its errors.
        response: Box<Response>,
        /// What is harmless of the token.
        token: TokenFacts,
    },
    /// No response; how far it came.
    Failed(Failure),
    /// No token could be signed, for this reason.
    Unsigned(String),
}

impl Question for TokenPing {
    type Answer = PingReply;

    const KIND: &'static str = "token-ping";

    fn label(&self) -> String {
        let how = match &self.token {
            TokenFrom::Login { .. } => "the token of the login".to_owned(),
            TokenFrom::Minted { key, .. } => format!("a token signed with {key}"),
        };
        format!("http {} at {} with {how}", self.url, self.address)
    }

    async fn look(&self, machine: &Machine) -> Result<PingReply, Unknown> {
        let _permit = machine.network().await?;
        let token = match &self.token {
            TokenFrom::Login { .. } => {
                let token = machine.login().with_token(|token| Secret::new(token.to_owned()));
                token.ok_or_else(|| Unknown::Unreadable("no login has yielded a token".into()))?
            }
            TokenFrom::Minted { key, issuer, service } => {
                let read = machine.read(key, LARGEST_KEY, |pem| Ok(SigningKey::read(pem))).await?;
                let key = match read {
                    File::Read(Ok(key)) => key,
                    File::Read(Err(why)) => return Ok(PingReply::Unsigned(why.to_owned())),
                    File::Missing => {
                        return Ok(PingReply::Unsigned("there is no such file".into()));
                    }
                    other => {
                        let why = other.obstacle().unwrap_or_default();
                        return Ok(PingReply::Unsigned(why));
                    }
                };
                match mint(&key, issuer.as_deref(), service, Timestamp::now()) {
                    Some(token) => token,
                    None => return Ok(PingReply::Unsigned("the key does not sign".into())),
                }
            }
        };
        self.ping(machine, &token).await
    }
}

impl TokenPing {
    async fn ping(&self, machine: &Machine, token: &Secret) -> Result<PingReply, Unknown> {
        let verifier = match &self.token {
            TokenFrom::Login { certificate } => Pinned::on(certificate),
            TokenFrom::Minted { .. } => Witness::anybody(),
        };
        let method = match self.asking {
            Asking::Get => Method::GET,
            Asking::Options => Method::OPTIONS,
        };
        let peer = Peer { url: &self.url, address: self.address, verifier };
        let sent = peer.send(machine.stage(), |client, url| {
            client.request(method, url).bearer_auth(token.reveal())
        });
        let mut response = match sent.await? {
            Ok(response) => response,
            Err(failure) => return Ok(PingReply::Failed(failure)),
        };
        let (status, fields) = head(&response);
        let body = match content(&mut response).await {
            Ok(content) => sealed::body(status, &content),
            Err(body) => body,
        };
        let response =
            sealed::without(Response { status, fields, body, times: None }, &[token.reveal()]);
        let response = Box::new(response);
        Ok(PingReply::Answered { response, token: TokenFacts::of(token.reveal()) })
    }
}
