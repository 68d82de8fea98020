//! What is kept of an HTTP response: nothing that could be secret, and no more than a diagnosis
//! needs.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::parse::scrub;

/// As much of a body as is read: health reports and error documents are far shorter.
const MAX_BODY: usize = 64 << 10;

/// As much of a text body as is kept.
const MAX_TEXT: usize = 400;

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

impl Times {
    /// Of a response that came `elapsed` after `sent`.
    pub(super) fn of(sent: Timestamp, elapsed: Duration) -> Self {
        let elapsed_us = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
        let received_us = sent.as_microsecond().saturating_add(elapsed_us).saturating_add(1);
        Self {
            sent_ms: sent.as_microsecond().div_euclid(1000),
            received_ms: received_us.div_euclid(1000).saturating_add(1),
        }
    }
}

/// What is kept of a response.
pub(super) async fn read(mut response: reqwest::Response, times: Times) -> Response {
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
