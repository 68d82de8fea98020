//! What is kept of a response to a request that carried a secret, or that was answered with one.
//!
//! A server may send back whatever it was sent: in an error message, on a page, in a header. So no
//! more of a body is kept than an error document says, and nothing that holds the secret.

use serde_json::{Value, json};

use super::response::classify;
use super::{Body, Response};

/// As much of an error message as is kept.
const LONGEST_MESSAGE: usize = 200;

/// What stands for a text that holds a secret.
const HIDDEN: &str = "(hidden)";

/// In these fields GitLab's API says why it refuses.
const REASONS: [&str; 3] = ["error", "error_description", "message"];

/// The body of a response with `status`, without what may be a token.
pub(super) fn body(status: u16, content: &[u8]) -> Body {
    match classify(content) {
        Body::Json(document) if status >= 400 => {
            let mut kept = errors(&document);
            for name in REASONS {
                if let Some(reason) = text(&document[name]) {
                    kept[name] = reason.into();
                }
            }
            Body::Json(kept)
        }
        Body::Json(document) => Body::Json(errors(&document)),
        // A document that breaks off is a text, and may break off behind the token.
        Body::Text(_) if status < 400 => Body::Text(String::new()),
        body => body,
    }
}

/// As much of a text as is kept.
fn text(value: &Value) -> Option<String> {
    Some(value.as_str()?.chars().take(LONGEST_MESSAGE).collect())
}

/// The codes and messages of a registry's error document; of another document nothing.
fn errors(document: &Value) -> Value {
    let error =
        |error: &Value| json!({ "code": text(&error["code"]), "message": text(&error["message"]) });
    match document["errors"].as_array() {
        Some(all) => json!({ "errors": all.iter().take(5).map(error).collect::<Vec<_>>() }),
        None => json!({}),
    }
}

/// The response, without any text that holds one of the secrets.
pub(super) fn without(mut response: Response, secrets: &[&str]) -> Response {
    let hide = |text: &mut String| {
        if secrets.iter().any(|secret| !secret.is_empty() && text.contains(secret)) {
            HIDDEN.clone_into(text);
        }
    };
    response.fields.values_mut().flatten().for_each(hide);
    match &mut response.body {
        Body::Text(text) | Body::Html { title: Some(text) } => hide(text),
        Body::Json(document) => {
            for reason in REASONS {
                if let Some(Value::String(text)) = document.get_mut(reason) {
                    hide(text);
                }
            }
            let errors = document.get_mut("errors").and_then(Value::as_array_mut);
            for error in errors.into_iter().flatten() {
                let texts = error.as_object_mut().into_iter().flat_map(|it| it.values_mut());
                for text in texts {
                    if let Value::String(text) = text {
                        hide(text);
                    }
                }
            }
        }
        _ => {}
    }
    response
}

#[test]
fn of_a_document_only_its_errors_are_kept() {
    let kept = |status, text: &str| serde_json::to_string(&body(status, text.as_bytes())).unwrap();
    assert!(!kept(200, r#"{"token":"hush","x":{"y":"hush"}}"#).contains("hush"));
    assert!(!kept(200, r#"{"token":"hush"#).contains("hush"));
    assert_eq!(
        body(403, br#"{"errors":[{"code":"DENIED","message":"no","detail":{"x":"hush"}}]}"#),
        Body::Json(json!({ "errors": [{ "code": "DENIED", "message": "no" }] }))
    );
    assert_eq!(body(403, b"Forbidden\n"), Body::Text("Forbidden\n".to_owned()));
    let refusal = br#"{"error":"insufficient_scope","scope":"api","message":{"x":"hush"}}"#;
    assert_eq!(body(403, refusal), Body::Json(json!({ "error": "insufficient_scope" })));
    assert_eq!(body(200, br#"{"message":"hush"}"#), Body::Json(json!({})));
}

#[test]
fn what_comes_back_does_not_hold_what_was_sent() {
    let echo = |body| Response {
        status: 400,
        fields: [("server".to_owned(), vec!["hush".to_owned(), "nginx".to_owned()])].into(),
        body,
        times: None,
    };
    for body in [
        Body::Text("your password is hush".to_owned()),
        Body::Html { title: Some("hush!".to_owned()) },
        Body::Json(json!({ "errors": [{ "code": "hush", "message": "no hush", "n": 1 }] })),
        Body::Json(json!({ "error": "hush", "message": "no hush", "error_description": "hush" })),
    ] {
        let kept = serde_json::to_string(&without(echo(body), &["", "hush"])).unwrap();
        assert!(!kept.contains("hush") && kept.contains("nginx"), "{kept}");
    }
    let harmless = echo(Body::Empty);
    assert_eq!(without(harmless.clone(), &[""]), harmless);
}
