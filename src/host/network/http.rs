//! Question: what does a server answer to one GET?
//!
//! No redirect is followed, no proxy is used, no credential is sent, and no more of a body is read
//! than a diagnosis needs. The certificate is not verified here: `trust` judges it.

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
use super::response::{Response, Times, read};
use super::tls::{Witness, client};
use crate::host::{Machine, Question, Unknown};

/// As many header fields as a response may have; Go's clients know a limit in bytes only.
const MAX_HEADERS: usize = 1000;

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

impl HttpGet {
    /// One GET of `url` at `address`.
    pub fn new(url: impl Into<String>, address: SocketAddr) -> Self {
        Self { url: url.into(), address }
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
