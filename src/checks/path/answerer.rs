//! Who gave an HTTP answer, and by what sign: a registry, GitLab, a proxy, nginx's default page, or
//! something else.
//!
//! Facts are those of reference documentation and of running servers: a registry sends its version
//! header on every answer except while its own health check fails; GitLab sends who has not signed
//! in to its sign-in page, and its API answers with a JSON text that starts with the status.

use serde_json::Value;

use crate::host::network::{Body, Response};
use crate::parse::challenge;

/// The header that only a registry sends.
pub const VERSION_HEADER: &str = "docker-distribution-api-version";

/// Who gave an answer, as far as its signs tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answerer {
    /// A registry that does its work: it lets in, or asks for a token.
    Registry,
    /// A registry that answers with this error instead: its status, and its own code where it
    /// gave one.
    RegistryError(u16, Option<String>),
    /// A registry whose own health check fails.
    UnhealthyRegistry,
    /// A proxy that got no answer from what lies behind it, with this status.
    Proxy(u16),
    /// GitLab: Rails, Workhorse, or the error pages that it gives its nginx.
    Gitlab,
    /// nginx's welcome page: it runs, but knows no such server.
    NginxDefault,
    /// A server that wants TLS on this port.
    TlsPort,
    /// Something that sends clients to this address.
    Redirect(String),
    /// Something that asks for a password or another proof of its own, in these words.
    OtherChallenge(String),
    /// Something that refuses with 401 but asks for nothing.
    NoChallenge,
    /// None of these.
    Other,
}

impl Answerer {
    /// Reads the signs of an answer.
    pub fn of(response: &Response) -> Self {
        let location = response.field("location").unwrap_or_default();
        match response.status {
            200 | 401 if is_versioned(response) || is_token_challenge(response) => Self::Registry,
            503 if error_code(response) == Some("UNAVAILABLE") => Self::UnhealthyRegistry,
            _ if gitlab_sign(response).is_some() => Self::Gitlab,
            300..=399 if !location.is_empty() => Self::Redirect(location.to_owned()),
            status
                if is_versioned(response) || (status > 401 && error_code(response).is_some()) =>
            {
                Self::RegistryError(status, error_code(response).map(str::to_owned))
            }
            502..=504 => Self::Proxy(response.status),
            400 if says_plain_http(response) => Self::TlsPort,
            401 => match response.field("www-authenticate") {
                Some(challenge) => Self::OtherChallenge(challenge.chars().take(100).collect()),
                None => Self::NoChallenge,
            },
            _ if is_default_page(response) => Self::NginxDefault,
            _ => Self::Other,
        }
    }
}

/// By what the answerer was known, where that is not plain from the status and the fields that
/// every finding shows.
pub fn sign(response: &Response) -> Option<String> {
    match Answerer::of(response) {
        Answerer::Gitlab => gitlab_sign(response),
        Answerer::NginxDefault => Some("the title of nginx's welcome page".to_owned()),
        Answerer::Registry if is_versioned(response) => Some(format!("header {VERSION_HEADER}")),
        Answerer::Registry => Some("a challenge for a registry's token".to_owned()),
        Answerer::UnhealthyRegistry => Some("a registry's error UNAVAILABLE".to_owned()),
        Answerer::RegistryError(_, Some(code)) => Some(format!("a registry's error {code}")),
        Answerer::RegistryError(_, None) => Some(format!("header {VERSION_HEADER}")),
        Answerer::TlsPort => Some("words of a TLS server for plain HTTP".to_owned()),
        Answerer::Other if is_nginx_page(response) => {
            Some("nginx's own page for a place that it has not".to_owned())
        }
        Answerer::Proxy(_)
        | Answerer::Redirect(_)
        | Answerer::OtherChallenge(_)
        | Answerer::NoChallenge
        | Answerer::Other => None,
    }
}

/// Whether the header that every registry sends has arrived.
pub fn is_versioned(response: &Response) -> bool {
    response.all(VERSION_HEADER).any(|version| version.contains("registry/2.0"))
}

/// Whether a registry's way of asking for a token is among the challenges; a proxy may have taken
/// the version header away.
fn is_token_challenge(response: &Response) -> bool {
    let mut challenges = response.all("www-authenticate").flat_map(challenge::read);
    challenges.any(|it| {
        it.is_bearer() && it.parameter("realm").is_some() && it.parameter("service").is_some()
    })
}

/// The code in a registry's error document, such as `TOOMANYREQUESTS`.
fn error_code(response: &Response) -> Option<&str> {
    let Body::Json(json) = &response.body else { return None };
    let code = json.pointer("/errors/0/code").and_then(Value::as_str)?;
    code.chars().all(|c| c.is_ascii_uppercase() || c == '_').then_some(code)
}

/// By what GitLab is known, if it is GitLab.
fn gitlab_sign(response: &Response) -> Option<String> {
    let location = response.field("location").unwrap_or_default();
    if (300..=399).contains(&response.status) && location.contains("/users/sign_in") {
        return Some("a redirect to GitLab's sign-in page".to_owned());
    }
    if response.field("x-gitlab-meta").is_some() {
        return Some("header X-Gitlab-Meta".to_owned());
    }
    match &response.body {
        Body::Html { title: Some(title) } if title.contains("GitLab") => {
            Some("GitLab in the page title".to_owned())
        }
        // Rack::Attack, which keeps GitLab from being asked too often.
        Body::Text(text) if response.status == 429 && text.starts_with("Retry later") => {
            Some("the words of GitLab's rate limit".to_owned())
        }
        // A registry's own header outranks what a text happens to say.
        Body::Json(json) if !is_versioned(response) => {
            let words = api_words(response.status, json)?;
            Some(format!("the words of GitLab's API: {words}"))
        }
        _ => None,
    }
}

/// What GitLab's API says of a request that it refuses, such as `401 Unauthorized`.
fn api_words(status: u16, json: &Value) -> Option<String> {
    let json = json.as_object().filter(|fields| fields.len() <= 2)?;
    let words = json.get("message").or_else(|| json.get("error"))?.as_str()?;
    let rest = words.strip_prefix(&status.to_string())?;
    let is_refusal = (400..500).contains(&status) && rest.starts_with(' ');
    is_refusal.then(|| words.chars().take(60).collect())
}

/// Debian's, nginx's own and Red Hat's page of an nginx that has no server of that name.
fn is_default_page(response: &Response) -> bool {
    match &response.body {
        Body::Html { title: Some(title) } => {
            title.starts_with("Welcome to nginx") || title.starts_with("Test Page for the Nginx")
        }
        _ => false,
    }
}

/// nginx's own words for what it neither has nor passes on, as its welcome site has of everything
/// but the welcome page.
fn is_nginx_page(response: &Response) -> bool {
    let is_nginx = response.field("server").is_some_and(|server| server.starts_with("nginx"));
    let titled =
        matches!(&response.body, Body::Html { title: Some(title) } if title == "404 Not Found");
    response.status == 404 && is_nginx && titled
}

/// Go and nginx each have words for HTTP on a TLS port.
fn says_plain_http(response: &Response) -> bool {
    match &response.body {
        Body::Html { title: Some(title) } => title.contains("plain HTTP request"),
        Body::Text(text) => text.contains("HTTP request to an HTTPS server"),
        _ => false,
    }
}

#[cfg(test)]
pub(in crate::checks) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::checks) fn response(
        status: u16,
        fields: &[(&str, &str)],
        body: Body,
    ) -> Response {
        let mut response = Response { status, fields: <_>::default(), body, times: None };
        for (name, value) in fields {
            response.fields.entry((*name).to_owned()).or_default().push((*value).to_owned());
        }
        response
    }

    const VERSION: (&str, &str) = (VERSION_HEADER, "registry/2.0");
    const CHALLENGE: (&str, &str) = (
        "www-authenticate",
        r#"Bearer realm="https://git.test/jwt/auth",service="container_registry""#,
    );

    fn who(status: u16, fields: &[(&str, &str)], body: Body) -> Answerer {
        Answerer::of(&response(status, fields, body))
    }

    fn page(title: &str) -> Body {
        Body::Html { title: Some(title.to_owned()) }
    }

    fn error(code: &str) -> Body {
        Body::Json(json!({ "errors": [{ "code": code }] }))
    }

    #[test]
    fn a_registry_is_known_by_either_header() {
        assert_eq!(who(401, &[VERSION, CHALLENGE], error("UNAUTHORIZED")), Answerer::Registry);
        assert_eq!(who(401, &[CHALLENGE], error("UNAUTHORIZED")), Answerer::Registry);
        assert_eq!(who(200, &[VERSION], Body::Json(json!({}))), Answerer::Registry);
        let basic = ("www-authenticate", "Basic realm=\"x\"");
        assert_eq!(who(401, &[basic, CHALLENGE], Body::Empty), Answerer::Registry);
        let lower = ("www-authenticate", r#"bearer Realm="https://g/jwt/auth",Service="x""#);
        assert_eq!(who(401, &[lower], Body::Empty), Answerer::Registry);
    }

    #[test]
    fn a_registry_with_an_error_is_one_all_the_same() {
        assert_eq!(who(503, &[], error("UNAVAILABLE")), Answerer::UnhealthyRegistry);
        let text = Body::Text("404 page not found\n".to_owned());
        assert_eq!(who(404, &[VERSION], text), Answerer::RegistryError(404, None));
        let code = Some("TOOMANYREQUESTS".to_owned());
        assert_eq!(who(429, &[], error("TOOMANYREQUESTS")), Answerer::RegistryError(429, code));
    }

    #[test]
    fn others_are_told_by_their_signs() {
        let nginx = [("server", "nginx")];
        assert_eq!(who(502, &nginx, page("502 Bad Gateway")), Answerer::Proxy(502));
        assert_eq!(who(503, &[], page("503")), Answerer::Proxy(503));
        let sign_in = [("location", "https://git.test/users/sign_in")];
        assert_eq!(who(302, &sign_in, Body::Empty), Answerer::Gitlab);
        assert_eq!(who(404, &[], page("Page not found - GitLab")), Answerer::Gitlab);
        assert_eq!(who(502, &[], page("GitLab is not responding (502)")), Answerer::Gitlab);
        assert_eq!(who(404, &[("x-gitlab-meta", "{}")], Body::Empty), Answerer::Gitlab);
        assert_eq!(who(404, &nginx, page("404 Not Found")), Answerer::Other);
        assert_eq!(who(200, &nginx, page("Welcome to nginx!")), Answerer::NginxDefault);
        let to = "https://x.test/v2/".to_owned();
        assert_eq!(who(301, &[("location", &to)], Body::Empty), Answerer::Redirect(to));
        assert_eq!(who(304, &[], Body::Empty), Answerer::Other);
        let basic = "Basic realm=\"private\"".to_owned();
        assert_eq!(
            who(401, &[("www-authenticate", &basic)], page("401")),
            Answerer::OtherChallenge(basic)
        );
        assert_eq!(who(401, &[], error("UNAUTHORIZED")), Answerer::NoChallenge);
        let nginx = page("400 The plain HTTP request was sent to HTTPS port");
        assert_eq!(who(400, &[], nginx), Answerer::TlsPort);
        let go = Body::Text("Client sent an HTTP request to an HTTPS server.\n".to_owned());
        assert_eq!(who(400, &[], go), Answerer::TlsPort);
    }

    #[test]
    fn gitlab_is_known_by_what_its_api_says() {
        let api = |status, json: Value| who(status, &[], Body::Json(json));
        assert_eq!(api(401, json!({ "message": "401 Unauthorized" })), Answerer::Gitlab);
        assert_eq!(api(404, json!({ "error": "404 Not Found" })), Answerer::Gitlab);
        assert_eq!(api(404, json!({ "message": "not found" })), Answerer::Other);
        assert_eq!(api(200, json!({ "message": "200 reasons" })), Answerer::Other);
        let limited = Body::Text("Retry later\n".to_owned());
        assert_eq!(who(429, &[], limited.clone()), Answerer::Gitlab);
        assert_eq!(who(503, &[], limited), Answerer::Proxy(503));
        let mirrored = Body::Json(json!({ "message": "401 Unauthorized" }));
        assert_eq!(who(401, &[VERSION, CHALLENGE], mirrored), Answerer::Registry);
    }

    #[test]
    fn the_sign_is_named() {
        let named = |status, fields: &[_], body| sign(&response(status, fields, body));
        let to = [("location", "https://git.test/users/sign_in")];
        assert_eq!(
            named(302, &to, Body::Empty).as_deref(),
            Some("a redirect to GitLab's sign-in page")
        );
        let nginx = named(200, &[], page("Welcome to nginx on Debian!"));
        assert_eq!(nginx.as_deref(), Some("the title of nginx's welcome page"));
        assert_eq!(named(404, &[], page("404 Not Found")), None);
    }
}
