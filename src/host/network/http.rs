//! Question: what does a server answer to one GET?
//!
//! No redirect is followed, no proxy is used, no credential is sent, and no more of a body is read
//! than a diagnosis needs. The certificate is not verified here: `trust` judges it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, Url, redirect};
use rustls::client::danger::ServerCertVerifier;
use serde::{Deserialize, Serialize};

use super::Failure;
use super::connect::obstacle;
use super::tls::{Witness, client};
use crate::host::{Machine, Question, Unknown};
use crate::parse::scrub;

/// As much of a body as is read: health reports and error documents are far shorter.
const MAX_BODY: usize = 64 << 10;

/// As much of a text body as is kept.
const MAX_TEXT: usize = 400;

/// As many header fields as a response may have; Go's clients know a limit in bytes only.
const MAX_HEADERS: usize = 1000;

/// As many values of one header field as are kept.
const MAX_VALUES: usize = 20;

/// How deep a JSON document may go to be kept as such. Error documents and health reports are
/// flat, and a deep one would make the recording unreadable that holds it.
const MAX_DEPTH: usize = 32;

/// The header fields that tell who answered, and when. Nothing that can hold a secret is among them.
const FIELDS: [&str; 12] = [
    "age",
    "allow",
    "content-type",
    "date",
    "docker-distribution-api-version",
    "gitlab-container-registry-version",
    "location",
    "server",
    "via",
    "www-authenticate",
    "x-cache",
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
    /// When it was asked for and when it came; recordings of older versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
}

/// The time between which a response was made, by this machine's clock: milliseconds since 1970,
/// rounded away from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Before the first packet left.
    pub sent_ms: i64,
    /// After the head of the response had come. It is counted from the former by a clock that nobody
    /// sets, so that a step in between does not look like a difference.
    pub received_ms: i64,
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
        let peer = Peer { url: &self.url, address: self.address, verifier: Witness::anybody() };
        let (sent, left) = (Timestamp::now(), Instant::now());
        Ok(match peer.send(machine.stage(), Client::get).await? {
            Ok(response) => {
                let times = Times::of(sent, left.elapsed());
                HttpReply::Answered(read(response, times).await)
            }
            Err(failure) => HttpReply::Failed(failure),
        })
    }
}

/// Whom a request goes to.
pub(super) struct Peer<'a> {
    pub(super) url: &'a str,
    /// Where to connect, whatever the name in the URL resolves to.
    pub(super) address: SocketAddr,
    /// Who is believed to be the server.
    pub(super) verifier: Arc<dyn ServerCertVerifier>,
}

impl Peer<'_> {
    /// Sends a request and waits for the head of the response.
    pub(super) async fn send(
        self,
        deadline: Duration,
        request: impl FnOnce(&Client, Url) -> RequestBuilder,
    ) -> Result<Result<reqwest::Response, Failure>, Unknown> {
        let session = self.open(deadline)?;
        session.send(deadline, request).await
    }

    /// The same for several requests, each with a deadline of its own.
    pub(super) fn open(self, deadline: Duration) -> Result<Session, Unknown> {
        let url = Url::parse(self.url)
            .map_err(|error| Unknown::Unreadable(format!("{}: {error}", self.url)))?;
        let client = http_client(&url, self.address, self.verifier, deadline)?;
        Ok(Session { client, url, address: self.address })
    }
}

/// Requests to one peer, over connections that are used again.
pub(super) struct Session {
    client: Client,
    url: Url,
    address: SocketAddr,
}

impl Session {
    /// Sends a request and waits for the head of the response. Its URL has to be on the peer.
    pub(super) async fn send(
        &self,
        deadline: Duration,
        request: impl FnOnce(&Client, Url) -> RequestBuilder,
    ) -> Result<Result<reqwest::Response, Failure>, Unknown> {
        match request(&self.client, self.url.clone()).timeout(deadline).send().await {
            Ok(response) => Ok(Ok(response)),
            Err(error) => match obstacle_in(self.address, &error) {
                Some(unknown) => Err(unknown),
                None => Ok(Err(failure(&error, deadline))),
            },
        }
    }
}

fn http_client(
    url: &Url,
    address: SocketAddr,
    verifier: Arc<dyn ServerCertVerifier>,
    deadline: Duration,
) -> Result<Client, Unknown> {
    let host = url.host_str().unwrap_or_default();
    Client::builder()
        .tls_backend_preconfigured(client(verifier)?)
        .user_agent(concat!("gldoctor/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .http1_only()
        .http1_max_headers(MAX_HEADERS)
        .timeout(deadline)
        .resolve(host, address)
        .build()
        .map_err(|error| Unknown::Crashed(error.to_string()))
}

impl Times {
    /// Of a response that came `elapsed` after `sent`.
    fn of(sent: Timestamp, elapsed: Duration) -> Self {
        let elapsed_us = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
        let received_us = sent.as_microsecond().saturating_add(elapsed_us).saturating_add(1);
        Self {
            sent_ms: sent.as_microsecond().div_euclid(1000),
            received_ms: received_us.div_euclid(1000).saturating_add(1),
        }
    }
}

async fn read(mut response: reqwest::Response, times: Times) -> Response {
    let (status, fields) = head(&response);
    let body = match content(&mut response).await {
        Ok(content) => classify(&content),
        Err(body) => body,
    };
    Response { status, fields, body, times: Some(times) }
}

/// The status and the fields that are kept.
pub(super) fn head(response: &reqwest::Response) -> (u16, BTreeMap<String, Vec<String>>) {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in FIELDS {
        let values = response.headers().get_all(name).iter().take(MAX_VALUES);
        let texts: Vec<_> =
            values.map(|value| shown(name, &String::from_utf8_lossy(value.as_bytes()))).collect();
        if !texts.is_empty() {
            fields.insert(name.to_owned(), texts);
        }
    }
    (response.status().as_u16(), fields)
}

/// A field as far as it is kept. A redirect to an object store carries a signature in its query.
fn shown(name: &str, value: &str) -> String {
    let value: String = value.chars().take(2000).collect();
    if name != "location" {
        return value;
    }
    let address = scrub::url(&value);
    if value.contains('?') { format!("{address}?...") } else { address }
}

/// The bytes of a body, or why they are not all there.
pub(super) async fn content(response: &mut reqwest::Response) -> Result<Vec<u8>, Body> {
    content_within(MAX_BODY, response).await
}

/// The same of a body that may be larger.
pub(super) async fn content_within(
    limit: usize,
    response: &mut reqwest::Response,
) -> Result<Vec<u8>, Body> {
    let mut content = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => content.extend_from_slice(&chunk),
            Ok(None) => return Ok(content),
            Err(_) => return Err(Body::Unfinished),
        }
        if content.len() > limit {
            return Err(Body::TooLarge);
        }
    }
}

/// A body, by what it is.
pub(super) fn classify(content: &[u8]) -> Body {
    if content.is_empty() {
        return Body::Empty;
    }
    if let Ok(json) = serde_json::from_slice(content)
        && is_flat(&json, MAX_DEPTH)
    {
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

/// Whether a document goes no deeper than so many levels.
fn is_flat(json: &serde_json::Value, levels: usize) -> bool {
    match json {
        serde_json::Value::Array(items) => {
            levels > 0 && items.iter().all(|item| is_flat(item, levels - 1))
        }
        serde_json::Value::Object(fields) => {
            levels > 0 && fields.values().all(|field| is_flat(field, levels - 1))
        }
        _ => true,
    }
}

/// An error and what lies behind it, the innermost last.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |it| it.source())
}

/// What on this system kept the request from being sent.
fn obstacle_in(address: SocketAddr, error: &reqwest::Error) -> Option<Unknown> {
    let mut errors = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>());
    errors.find_map(|error| obstacle(address, error))
}

/// What is said of a server that ends TLS with an alert.
const TLS_BROKE_OFF: &str = "TLS broke off: ";

impl Failure {
    /// Whether the peer spoke TLS and then broke it off, as one does that wants a certificate of the
    /// client.
    pub fn is_tls_broken_off(&self) -> bool {
        matches!(self, Self::Foreign(words) if words.starts_with(TLS_BROKE_OFF))
    }
}

/// Where the request broke, from the innermost cause that says it.
fn failure(error: &reqwest::Error, deadline: Duration) -> Failure {
    if error.is_timeout() {
        return Failure::silent(deadline);
    }
    for cause in causes(error) {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            match io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(tls) => return Failure::Foreign(format!("{TLS_BROKE_OFF}{tls}")),
                // Over TLS an end of the stream has words of its own.
                None if io.get_ref().is_none() || io.kind() == io::ErrorKind::UnexpectedEof => {
                    return Failure::from(io);
                }
                None => {}
            }
        }
    }
    broken_http(&causes(error).last().map(ToString::to_string).unwrap_or_default())
}

/// What is wrong with an answer, by the words of the HTTP library, which has no types for them.
fn broken_http(words: &str) -> Failure {
    match words {
        "connection closed before message completed" => Failure::Reset,
        "message head is too large" => {
            Failure::Foreign("the head of its answer has no end, or is far too large".to_owned())
        }
        "received unexpected message from connection" => {
            Failure::Foreign("it does not speak HTTP: it talks before it is asked".to_owned())
        }
        words => Failure::Foreign(format!("it does not speak HTTP: {words}")),
    }
}

#[test]
fn the_time_of_a_response_is_never_understated() {
    let at = |us| Timestamp::from_microsecond(us).unwrap();
    let times = |us, elapsed| Times::of(at(us), Duration::from_micros(elapsed));
    assert_eq!(times(1_999, 0), Times { sent_ms: 1, received_ms: 3 });
    assert_eq!(times(2_000, 2_500), Times { sent_ms: 2, received_ms: 5 });
    assert_eq!(times(-1, 1), Times { sent_ms: -1, received_ms: 1 });
}

#[test]
fn a_response_without_times_is_still_read() {
    let old = r#"{"status":200,"fields":{},"body":"empty"}"#;
    let response: Response = serde_json::from_str(old).unwrap();
    assert_eq!(response.times, None);
    assert_eq!(serde_json::to_string(&response).unwrap(), old);
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
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert!(matches!(classify(deep.as_bytes()), Body::Text(_)));
}

#[test]
fn a_redirect_is_shown_without_its_signature() {
    let location = "https://me:hush@s3/blob?X-Amz-Signature=abc";
    assert_eq!(shown("location", location), "https://s3/blob?...");
    assert_eq!(shown("location", "/users/sign_in"), "/users/sign_in");
    assert_eq!(shown("server", "nginx?x"), "nginx?x");
}

/// Endpoints that do not answer cost one deadline together, not one each. The peer answers nobody
/// before everybody is connected, so a host that asks one after the other gets no answer at all.
#[tokio::test]
async fn two_hundred_looks_run_side_by_side() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const LOOKS: usize = 200;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut streams = Vec::new();
        while streams.len() < LOOKS {
            let mut stream = listener.accept().await.unwrap().0;
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            streams.push(stream);
        }
        for stream in &mut streams {
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    let patience = Duration::from_secs(30);
    let machine = Machine::new(crate::host::Scope::live(), <_>::default(), patience);
    let host = crate::host::Host::live(machine);
    let ask = |i| host.ask(HttpGet::new(format!("http://host-{i}.test/v2/"), address));
    for reply in futures::future::join_all((0..LOOKS).map(ask)).await {
        assert!(
            matches!(reply, Ok(HttpReply::Answered(Response { status: 204, .. }))),
            "{reply:?}"
        );
    }
}
