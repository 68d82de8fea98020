//! Question: what does a server answer to one GET?
//!
//! No redirect is followed, no proxy is used, no credential is sent, and no more of a body is read
//! than a diagnosis needs. The certificate is not verified here: `trust` judges it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url, redirect};
use serde::{Deserialize, Serialize};

use super::Failure;
use super::tls::{Witness, client};
use crate::host::{Machine, Question, Unknown};

/// As much of a body as is read: health reports and error documents are far shorter.
const MAX_BODY: usize = 64 << 10;

/// As much of a text body as is kept.
const MAX_TEXT: usize = 400;

/// The header fields that tell who answered. Nothing that can hold a secret is among them.
const FIELDS: [&str; 9] = [
    "content-type",
    "date",
    "docker-distribution-api-version",
    "gitlab-container-registry-version",
    "location",
    "server",
    "via",
    "www-authenticate",
    "x-gitlab-meta",
];

/// Asks for one resource.
#[derive(Debug, Serialize)]
pub struct HttpGet {
    /// `http` or `https`, without user information.
    pub url: String,
    /// Where to connect, whatever the name in the URL resolves to.
    pub address: SocketAddr,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpReply {
    /// An HTTP response.
    Answered(Response),
    /// No response; how far it came.
    Failed(Failure),
}

/// An HTTP response, without what could be secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Such as 401.
    pub status: u16,
    /// The fields that tell who answered, in lower case; repeated ones in order.
    pub fields: BTreeMap<String, Vec<String>>,
    /// The body, as far as it tells something.
    pub body: Body,
}

/// A body, by what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// No bytes.
    Empty,
    /// A JSON document.
    Json(serde_json::Value),
    /// A web page, by its title.
    Html {
        /// The text of `<title>`.
        title: Option<String>,
    },
    /// Other text: its beginning.
    Text(String),
    /// Bytes that are no text.
    Binary,
    /// More bytes than gldoctor reads.
    TooLarge,
    /// The peer stopped before the end.
    Unfinished,
}

impl HttpGet {
    /// One GET of `url` at `address`.
    pub fn new(url: impl Into<String>, address: SocketAddr) -> Self {
        Self { url: url.into(), address }
    }
}

impl Response {
    /// The first value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.first().map(String::as_str)
    }

    /// Every value of a field.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.get(name).into_iter().flatten().map(String::as_str)
    }
}

impl Question for HttpGet {
    type Answer = HttpReply;

    const KIND: &'static str = "http-get";

    fn label(&self) -> String {
        format!("http {} at {}", self.url, self.address)
    }

    async fn look(&self, machine: &Machine) -> Result<HttpReply, Unknown> {
        let _permit = machine.network().await?;
        let url = Url::parse(&self.url)
            .map_err(|error| Unknown::Unreadable(format!("{}: {error}", self.url)))?;
        let client = http_client(&url, self.address, machine.stage())?;
        Ok(match client.get(url).send().await {
            Ok(response) => HttpReply::Answered(read(response).await),
            Err(error) => HttpReply::Failed(failure(&error, machine.stage())),
        })
    }
}

fn http_client(url: &Url, address: SocketAddr, deadline: Duration) -> Result<Client, Unknown> {
    let host = url.host_str().unwrap_or_default();
    Client::builder()
        .tls_backend_preconfigured(client(Arc::new(Witness::default()))?)
        .user_agent(concat!("gldoctor/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .http1_only()
        .timeout(deadline)
        .resolve(host, address)
        .build()
        .map_err(|error| Unknown::Crashed(error.to_string()))
}

async fn read(mut response: reqwest::Response) -> Response {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in FIELDS {
        let values = response.headers().get_all(name).iter();
        let texts: Vec<_> =
            values.map(|value| shown(name, &String::from_utf8_lossy(value.as_bytes()))).collect();
        if !texts.is_empty() {
            fields.insert(name.to_owned(), texts);
        }
    }
    let status = response.status().as_u16();
    let body = body(&mut response).await;
    Response { status, fields, body }
}

/// A field as far as it is kept. A redirect to an object store carries a signature in its query.
fn shown(name: &str, value: &str) -> String {
    let value: String = value.chars().take(2000).collect();
    match (name, value.split_once('?')) {
        ("location", Some((address, _))) => format!("{address}?…"),
        _ => value,
    }
}

async fn body(response: &mut reqwest::Response) -> Body {
    let mut content = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => content.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(_) => return Body::Unfinished,
        }
        if content.len() > MAX_BODY {
            return Body::TooLarge;
        }
    }
    classify(&content)
}

fn classify(content: &[u8]) -> Body {
    if content.is_empty() {
        return Body::Empty;
    }
    if let Ok(json) = serde_json::from_slice(content) {
        return Body::Json(json);
    }
    let Ok(text) = std::str::from_utf8(content) else { return Body::Binary };
    let lower = text.to_ascii_lowercase();
    if !lower.contains("<html") && !lower.contains("<!doctype html") {
        return Body::Text(text.chars().take(MAX_TEXT).collect());
    }
    let title = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let end = start + lower[start..].find("</title>")?;
        Some(text.get(start..end)?.trim().chars().take(MAX_TEXT).collect())
    });
    Body::Html { title }
}

/// Where the request broke, from the innermost cause that says it.
fn failure(error: &reqwest::Error, deadline: Duration) -> Failure {
    if error.is_timeout() {
        return Failure::Silent(deadline.as_secs());
    }
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    let mut words = None;
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>()
            && io.get_ref().is_none()
        {
            return Failure::from(io);
        }
        words = Some(inner.to_string());
        cause = inner.source();
    }
    Failure::Foreign(format!("it does not speak HTTP: {}", words.unwrap_or_default()))
}

#[test]
fn bodies_are_told_apart() {
    assert_eq!(classify(b""), Body::Empty);
    assert_eq!(classify(b"{}"), Body::Json(serde_json::json!({})));
    assert_eq!(classify(b"404 page not found\n"), Body::Text("404 page not found\n".to_owned()));
    assert_eq!(
        classify(b"<!DOCTYPE html><title> Sign in </title>"),
        Body::Html { title: Some("Sign in".to_owned()) }
    );
    assert_eq!(classify(b"\xff\xfe"), Body::Binary);
}

#[test]
fn a_redirect_is_shown_without_its_signature() {
    assert_eq!(shown("location", "https://s3/blob?X-Amz-Signature=abc"), "https://s3/blob?…");
    assert_eq!(shown("server", "nginx?x"), "nginx?x");
}
