//! The one way from a raw value to one that may be shown.

use super::raw::Raw;
use super::shown::{Show, show, shows_key, shows_number};
use crate::parse::value::Value;

/// Longer texts are not shown, whatever they are: no path, host or URL is that long.
const LONGEST_SHOWN: usize = 1024;

/// What is recorded of `raw`, which stands at `path`.
pub(super) fn redact<'a>(path: &mut Vec<&'a str>, raw: &'a Raw) -> Value {
    match raw {
        Raw::Nil => Value::Nil,
        Raw::Bool(value) => Value::Bool(*value),
        Raw::Unknown(why) => Value::Unknown(*why),
        Raw::Integer(number) if shows_number(path) => Value::Integer(*number),
        Raw::Float(text) if shows_number(path) => Value::Float(text.clone()),
        Raw::Integer(_) | Raw::Float(_) => Value::Set,
        Raw::Text(text) | Raw::Symbol(text) => redact_text(show(path), text),
        Raw::Array(elements) => {
            let shown = show(path);
            let elements = elements.iter().map(|element| match element {
                Raw::Text(text) | Raw::Symbol(text) => redact_text(shown, text),
                element => redact(path, element),
            });
            Value::Array(elements.collect())
        }
        Raw::Hash(entries) => {
            let mut shown = std::collections::BTreeMap::new();
            for (position, (key, value)) in entries.iter().enumerate() {
                path.push(key);
                shown.insert(redact_key(key, position), redact(path, value));
                path.pop();
            }
            Value::Hash(shown)
        }
    }
}

/// What is recorded of the keys of a path.
pub(super) fn redact_path(path: &[String]) -> Vec<String> {
    path.iter().map(|key| redact_key(key, 0)).collect()
}

fn redact_key(key: &str, position: usize) -> String {
    if shows_key(key) { key.to_owned() } else { format!("(key {position} not shown)") }
}

fn redact_text(show: Option<Show>, text: &str) -> Value {
    let shown = match show {
        Some(_) if !is_harmless(text) => None,
        Some(Show::Text) => without_credentials(text, false),
        Some(Show::Url) => without_credentials(text, true),
        Some(Show::Origin) => without_credentials(text, true).map(origin),
        None => None,
    };
    match shown {
        Some(text) => Value::String(text),
        None if text.is_empty() => Value::Empty,
        None => Value::Set,
    }
}

/// Key material and whole documents have no place where an address or a path is expected.
fn is_harmless(text: &str) -> bool {
    text.len() <= LONGEST_SHOWN
        && !text.contains("-----")
        && !text.trim_end().chars().any(char::is_control)
}

/// The text without user, password, query and fragment. `None` where they cannot be told apart: an
/// `@` behind the host may well belong to a password with a slash in it.
fn without_credentials(text: &str, is_url: bool) -> Option<String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    if scheme.is_none() && !is_url {
        return (!text.contains('@')).then(|| text.to_owned());
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if tail.contains('@') || scheme.is_some_and(|scheme| scheme.contains('@')) {
        return None;
    }
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let path = tail.split(['?', '#']).next().unwrap_or(tail);
    Some(match scheme {
        Some(scheme) => format!("{scheme}://{host}{path}"),
        None => format!("{host}{path}"),
    })
}

/// The URL up to its path.
fn origin(url: String) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    match url[start..].find('/') {
        Some(end) => url[..start + end].to_owned(),
        None => url,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(path: &[&str], text: &str) -> Value {
        redact_text(show(path), text)
    }

    #[test]
    fn urls_lose_their_credentials() {
        for (written, shown) in [
            ("https://gl.example", Some("https://gl.example")),
            ("https://gl.example:8443/sub/", Some("https://gl.example:8443/sub/")),
            ("https://user:pw@gl.example/x?token=1#f", Some("https://gl.example/x")),
            ("https://user:p@w@gl.example", Some("https://gl.example")),
            ("https://user:p/w@gl.example", None),
            ("https://user:p?w@gl.example", None),
            ("user:pw@gl.example", Some("gl.example")),
            ("gl.example?x", Some("gl.example")),
            ("-----BEGIN RSA PRIVATE KEY-----", None),
            ("https://a\nb", None),
        ] {
            let expected = shown.map_or(Value::Set, |text| Value::String(text.to_owned()));
            assert_eq!(redacted(&["external_url"], written), expected, "{written}");
        }
    }

    #[test]
    fn other_texts_are_shown_only_where_listed() {
        let text = |text: &str| Value::String(text.to_owned());
        assert_eq!(redacted(&["registry", "debug_addr"], "localhost:5001"), text("localhost:5001"));
        assert_eq!(redacted(&["registry", "debug_addr"], "a:b@c"), Value::Set);
        assert_eq!(redacted(&["registry", "http_secret"], "s"), Value::Set);
        assert_eq!(redacted(&["registry", "http_secret"], ""), Value::Empty);
        assert_eq!(
            redacted(&["registry", "notifications", "url"], "https://u:p@hooks.example:1/T0/B0/XX"),
            text("https://hooks.example:1")
        );
    }
}
