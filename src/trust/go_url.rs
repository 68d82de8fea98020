//! Why Go cannot parse a URI among the alternative names, which costs the whole certificate
//! (`net/url.Parse` of Go 1.26).

use super::constraints::go::domain_valid;
use super::go_text::quote;

/// The host part of a URI, as Go has it: with the port, without the user.
pub(super) fn host(uri: &str) -> Option<String> {
    parse(uri).ok()
}

/// Go's complaint, if it has one.
pub(super) fn fault(uri: &str) -> Option<String> {
    match parse(uri) {
        Ok(host) if !host.is_empty() && !domain_valid(&host, false) => {
            Some("invalid domain".to_owned())
        }
        Ok(_) => None,
        Err(fault) => Some(format!("parse {}: {fault}", quote(uri))),
    }
}

fn parse(uri: &str) -> Result<String, String> {
    let uri = uri.split_once('#').map_or(uri, |(before, fragment)| {
        let _ = fragment;
        before
    });
    if uri.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    if uri == "*" {
        return Ok(String::new());
    }
    let (scheme, rest) = scheme(uri)?;
    let rest = rest.split_once('?').map_or(rest, |(path, _)| path);
    if !rest.starts_with('/') {
        if scheme.is_some() {
            return Ok(String::new());
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let Some(authority) =
        rest.strip_prefix("//").filter(|_| scheme.is_some() || !rest.starts_with("///"))
    else {
        escapes(rest)?;
        return Ok(String::new());
    };
    let (authority, path) = match authority.find('/') {
        Some(slash) => authority.split_at(slash),
        None => (authority, ""),
    };
    let host = match authority.rsplit_once('@') {
        Some((user, host)) => {
            if !user.bytes().all(user_letter) {
                return Err("net/url: invalid userinfo".to_owned());
            }
            host
        }
        None => authority,
    };
    check_host(host)?;
    escapes(path)?;
    Ok(host.to_owned())
}

/// The scheme and what follows it.
fn scheme(uri: &str) -> Result<(Option<&str>, &str), String> {
    for (index, letter) in uri.bytes().enumerate() {
        match letter {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => {}
            b':' if index == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => {
                let (scheme, rest) = uri.split_at(index);
                return Ok((Some(scheme), rest.strip_prefix(':').unwrap_or(rest)));
            }
            _ => return Ok((None, uri)),
        }
    }
    Ok((None, uri))
}

fn user_letter(letter: u8) -> bool {
    letter.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&letter)
}

fn check_host(host: &str) -> Result<(), String> {
    if let Some(open) = host.find('[') {
        if open > 0 {
            return Err("invalid IP-literal".to_owned());
        }
        let Some((_, port)) = host.rsplit_once(']') else {
            return Err("missing ']' in host".to_owned());
        };
        return check_port(port);
    }
    if let Some(colon) = host.rfind(':') {
        check_port(host.get(colon..).unwrap_or_default())?;
    }
    match host.chars().find(|&letter| !host_letter(letter)) {
        Some(letter) => {
            Err(format!("invalid character {} in host name", quote(&letter.to_string())))
        }
        None => Ok(()),
    }
}

fn check_port(port: &str) -> Result<(), String> {
    let valid = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    if valid { Ok(()) } else { Err(format!("invalid port {} after host", quote(port))) }
}

fn host_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric()
        || "-_.~!$&'()*+,;=:[]<>\"%".contains(letter)
        || !letter.is_ascii()
}

fn escapes(path: &str) -> Result<(), String> {
    let mut rest = path;
    while let Some((_, after)) = rest.split_once('%') {
        let valid = after.get(..2).is_some_and(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        if !valid {
            let shown: String = format!("%{after}").chars().take(3).collect();
            return Err(format!("invalid URL escape {}", quote(&shown)));
        }
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_in_the_words_of_go() {
        assert_eq!(fault("https://host/path?q#f"), None);
        assert_eq!(fault("urn:a:b"), None);
        assert_eq!(fault("a.b:c").as_deref(), None, "a dot may be part of a scheme");
        assert_eq!(
            fault("1.2:80").as_deref(),
            Some("parse \"1.2:80\": first path segment in URL cannot contain colon")
        );
        assert_eq!(
            fault("a://b:c").as_deref(),
            Some("parse \"a://b:c\": invalid port \":c\" after host")
        );
        assert_eq!(
            fault("a\u{7}").as_deref(),
            Some("parse \"a\\a\": net/url: invalid control character in URL")
        );
    }
}
