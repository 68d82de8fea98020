//! Takes out of a text what may be a secret, before the text becomes part of an answer.
//!
//! These functions err on the side of showing too little: an address with an at sign in its path
//! loses the part before it, since nobody can tell it from a password with a slash.

/// An address without user name, password, query and fragment.
///
/// Works on anything that was meant as a URL: no scheme, a misspelt one, variables of nginx.
pub fn url(address: &str) -> String {
    if address.contains(['\n', '\r']) || address.contains("-----BEGIN") {
        return HIDDEN.to_owned();
    }
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
        _ => (None, address),
    };
    // Up to the last at sign, for an unescaped password may hold slashes and at signs.
    let rest = rest.rsplit_once('@').map_or(rest, |(_userinfo, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    match scheme {
        Some(scheme) => format!("{scheme}://{rest}"),
        None => rest.to_owned(),
    }
}

/// A setting's value, scrubbed like a URL if it looks like one, hidden if it looks like a key.
pub fn value(text: &str) -> String {
    if text.contains(['\n', '\r']) || text.contains("-----BEGIN") {
        return HIDDEN.to_owned();
    }
    let has_userinfo = text.split_once('@').is_some_and(|(before, _)| before.contains(':'));
    if text.contains("://") || has_userinfo { url(text) } else { text.to_owned() }
}

/// A list of proxies or addresses separated by commas, each scrubbed like a URL.
pub fn url_list(addresses: &str) -> String {
    // An at sign may belong to a password that holds the comma, so then there is no list.
    if addresses.contains('@') {
        return url(addresses);
    }
    addresses.split(',').map(url).collect::<Vec<_>>().join(",")
}

/// What stands for a value that has no business being where it was found.
const HIDDEN: &str = "(hidden)";

fn is_scheme(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.$".contains(&byte))
}

#[test]
fn addresses_lose_what_may_be_secret() {
    let table = [
        ("https://registry.internal:5050/v2/", "https://registry.internal:5050/v2/"),
        ("https://me:hush@host/path?token=hush#hush", "https://host/path"),
        ("https://me:hu/sh@host/", "https://host/"),
        ("https://me:hu@sh@host/", "https://host/"),
        ("https://me:hu?sh@host/", "https://host/"),
        ("https://me:hu#sh@host/", "https://host/"),
        ("me:hush@proxy.internal:3128", "proxy.internal:3128"),
        ("https:/me:hush@host", "host"),
        ("ht tp://me:hush@host/x", "host/x"),
        ("://me:hush@host", "host"),
        ("$scheme://$host$request_uri", "$scheme://$host$request_uri"),
        ("http://[fd00::1]:5000", "http://[fd00::1]:5000"),
        ("http://unix:/var/run/x.sock:/", "http://unix:/var/run/x.sock:/"),
        ("", ""),
        ("-----BEGIN hush", "(hidden)"),
        ("a\nhush", "(hidden)"),
    ];
    for (address, shown) in table {
        assert_eq!(url(address), shown, "{address}");
    }
}

#[test]
fn values_are_scrubbed_only_where_they_look_like_addresses() {
    assert_eq!(value("omnibus-gitlab-issuer"), "omnibus-gitlab-issuer");
    assert_eq!(value("git@host"), "git@host");
    assert_eq!(value("me:hush@host:5000"), "host:5000");
    assert_eq!(value("https://me:hush@host"), "https://host");
    assert_eq!(value("-----BEGIN RSA PRIVATE KEY-----\nhush"), "(hidden)");
    assert_eq!(url_list("http://a:1,http://b?hush"), "http://a:1,http://b");
    assert_eq!(url_list("http://me:hu,sh@a:1,http://b"), "http://a:1,http://b");
}
