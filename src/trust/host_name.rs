//! Whether a certificate is made out to the name in use: four clients, four opinions.

use std::net::IpAddr;

use super::breach::Kind;
use super::cert::Cert;
use super::go_text::{go_address, go_ip};
use crate::parse::certificate::extensions::general;
use crate::parse::certificate::name::{Attribute, COMMON_NAME};

/// Checks the leaf against the name as the user typed it.
pub(super) type Check = fn(&Cert, &str) -> Result<(), Kind>;

/// A name without the brackets that an IPv6 address has in a URL.
fn bare(name: &str) -> &str {
    name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name)
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = || <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four().or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// Go (crypto/x509, `VerifyHostname`): alternative names only.
pub(super) fn go(leaf: &Cert, name: &str) -> Result<(), Kind> {
    let candidate = bare(name);
    if let Some(ip) = go_ip(candidate) {
        let mut addresses = leaf.names_of(general::IP).filter_map(address);
        let matched = addresses.any(|address| address.to_canonical() == ip.to_canonical());
        return if matched { Ok(()) } else { Err(go_mismatch(leaf, candidate)) };
    }
    let host = name.to_ascii_lowercase();
    let valid = go_valid(host.strip_suffix('.').unwrap_or(&host), false);
    let parts = go_parts(&host);
    let matched = leaf.names_of(general::DNS).any(|pattern| {
        let pattern = String::from_utf8_lossy(pattern).to_ascii_lowercase();
        if valid && go_valid(&pattern, true) {
            go_match(&pattern, &parts)
        } else {
            let nothing = |name: &str| name.is_empty() || name == ".";
            !nothing(&pattern) && !nothing(&host) && pattern == host
        }
    });
    if matched { Ok(()) } else { Err(go_mismatch(leaf, name)) }
}

fn go_parts(host: &str) -> Vec<&str> {
    host.strip_suffix('.').unwrap_or(host).split('.').collect()
}

fn go_valid(host: &str, is_pattern: bool) -> bool {
    if host.is_empty() || host == "*" {
        return false;
    }
    host.split('.').enumerate().all(|(index, part)| {
        let letter = |(index, byte): (usize, u8)| {
            byte.is_ascii_alphanumeric() || byte == b'_' || (byte == b'-' && index > 0)
        };
        (is_pattern && index == 0 && part == "*")
            || (!part.is_empty() && part.bytes().enumerate().all(letter))
    })
}

fn go_match(pattern: &str, host: &[&str]) -> bool {
    let parts: Vec<&str> = pattern.split('.').collect();
    !pattern.is_empty()
        && parts.len() == host.len()
        && parts
            .iter()
            .zip(host)
            .enumerate()
            .all(|(index, (part, label))| (index == 0 && *part == "*") || part == label)
}

/// Go names every name that would have matched, up to a hundred.
const GO_NAMES_SHOWN: usize = 100;

fn go_mismatch(leaf: &Cert, name: &str) -> Kind {
    let common_name = leaf.fields.subject.common_name().unwrap_or_default().to_ascii_lowercase();
    let lower = name.to_ascii_lowercase();
    if leaf.names.is_none() && go_match(&common_name, &go_parts(&lower)) {
        return Kind::CommonNameOnly;
    }
    let wanted = name.to_owned();
    let (names, addresses) = if go_ip(name).is_some() {
        let addresses: Vec<String> =
            leaf.names_of(general::IP).filter_map(address).map(go_address).collect();
        (addresses, true)
    } else {
        let dns = leaf.names_of(general::DNS);
        (dns.map(|name| String::from_utf8_lossy(name).into_owned()).collect(), false)
    };
    let count = names.len();
    let valid = if count >= GO_NAMES_SHOWN { Vec::new() } else { names };
    Kind::NameMismatch { wanted, valid, count, addresses }
}

/// What is wrong where a client gives no particulars.
fn mismatch(leaf: &Cert, name: &str) -> Kind {
    go_mismatch(leaf, name).without_common_name(name)
}

/// OpenSSL (`X509_check_host`, `X509_check_ip`): the common name counts unless there is a DNS name.
pub(super) fn openssl(leaf: &Cert, name: &str) -> Result<(), Kind> {
    let matched = match go_ip(bare(name)) {
        Some(ip) => leaf.names_of(general::IP).any(|listed| listed == bytes(ip)),
        None => openssl_host(leaf, name),
    };
    if matched { Ok(()) } else { Err(mismatch(leaf, bare(name))) }
}

fn openssl_host(leaf: &Cert, host: &str) -> bool {
    let mut listed = leaf.names_of(general::DNS).peekable();
    if listed.peek().is_some() {
        return listed.any(|pattern| openssl_match(pattern, host.as_bytes()));
    }
    let mut common = leaf.fields.subject.all(COMMON_NAME).filter_map(Attribute::text);
    common.any(|pattern| openssl_match(pattern.as_bytes(), host.as_bytes()))
}

fn openssl_match(pattern: &[u8], host: &[u8]) -> bool {
    match openssl_star(pattern) {
        Some(star) => {
            let (prefix, rest) = pattern.split_at(star);
            openssl_wildcard(prefix, rest.get(1..).unwrap_or_default(), host)
        }
        None => !pattern.is_empty() && !pattern.contains(&0) && pattern.eq_ignore_ascii_case(host),
    }
}

fn is_a_label(label: &[u8]) -> bool {
    label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"xn--"))
}

/// Where the one lawful star is (`valid_star`): at an end of the first label, of at least three.
fn openssl_star(pattern: &[u8]) -> Option<usize> {
    let labels: Vec<&[u8]> = pattern.split(|&byte| byte == b'.').collect();
    let (first, others) = labels.split_first()?;
    let plain = |label: &&[u8]| {
        label.first().is_some_and(|&byte| byte != b'-')
            && label.last().is_some_and(|&byte| byte != b'-')
            && label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    };
    if others.len() < 2 || !others.iter().all(plain) || is_a_label(first) {
        return None;
    }
    let star = first.iter().position(|&byte| byte == b'*')?;
    let (before, after) = (first.get(..star)?, first.get(star + 1..)?);
    let letters = |part: &[u8]| part.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    let at_an_end = before.is_empty() || after.is_empty();
    let hyphens = before.first() == Some(&b'-') || after.last() == Some(&b'-');
    (at_an_end && letters(before) && letters(after) && !hyphens).then_some(star)
}

/// `wildcard_match`: what the star stands for is letters, digits and hyphens, nothing else.
fn openssl_wildcard(prefix: &[u8], suffix: &[u8], host: &[u8]) -> bool {
    let Some(end) = host.len().checked_sub(suffix.len()).filter(|&end| end >= prefix.len()) else {
        return false;
    };
    let (Some(start), Some(middle), Some(tail)) =
        (host.get(..prefix.len()), host.get(prefix.len()..end), host.get(end..))
    else {
        return false;
    };
    let whole_label = prefix.is_empty() && suffix.first() == Some(&b'.');
    start.eq_ignore_ascii_case(prefix)
        && tail.eq_ignore_ascii_case(suffix)
        && (if whole_label { !middle.is_empty() } else { !is_a_label(host) })
        && (middle == b"*" || middle.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-'))
}

/// curl (`Curl_ossl_verifyhost`, `Curl_cert_hostcheck`): the last common name counts only if there
/// is neither a DNS name nor an IP address.
pub(super) fn curl(leaf: &Cert, name: &str) -> Result<(), Kind> {
    let host = bare(name);
    let ip = go_ip(host);
    let listed =
        leaf.names_of(general::DNS).next().is_some() || leaf.names_of(general::IP).next().is_some();
    let common = || leaf.fields.subject.common_name();
    let matched = match ip {
        _ if !listed => common().is_some_and(|name| curl_match(name.as_bytes(), host)),
        Some(ip) => leaf.names_of(general::IP).any(|listed| listed == bytes(ip)),
        None => leaf.names_of(general::DNS).any(|pattern| curl_match(pattern, host)),
    };
    if matched {
        return Ok(());
    }
    Err(match common() {
        Some(common) if !listed => Kind::CommonNameMismatch { common, wanted: host.to_owned() },
        _ => mismatch(leaf, host),
    })
}

fn curl_match(pattern: &[u8], host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).as_bytes();
    let pattern = pattern.strip_suffix(b".").unwrap_or(pattern);
    if pattern.is_empty() || pattern.contains(&0) {
        return false;
    }
    let Some(suffix) = pattern.strip_prefix(b"*").filter(|suffix| suffix.starts_with(b".")) else {
        return pattern.eq_ignore_ascii_case(host);
    };
    if std::str::from_utf8(host).is_ok_and(|host| go_ip(host).is_some()) {
        return false;
    }
    // One dot after the star is too wide a net: then the star is taken for a letter.
    if suffix.iter().rposition(|&byte| byte == b'.') == Some(0) {
        return pattern.eq_ignore_ascii_case(host);
    }
    let dot = host.iter().position(|&byte| byte == b'.');
    dot.and_then(|dot| host.get(dot..)).is_some_and(|tail| tail.eq_ignore_ascii_case(suffix))
}

/// Ruby (`OpenSSL::SSL.verify_certificate_identity`): DNS names are compared with addresses too,
/// and common names count only if there is neither a DNS name nor an IP address.
pub(super) fn ruby(leaf: &Cert, name: &str) -> Result<(), Kind> {
    let host = bare(name);
    let dns = leaf.names_of(general::DNS).any(|pattern| ruby_match(host, pattern));
    let ip =
        go_ip(host).is_some_and(|ip| leaf.names_of(general::IP).any(|listed| listed == bytes(ip)));
    let listed =
        leaf.names_of(general::DNS).next().is_some() || leaf.names_of(general::IP).next().is_some();
    let mut common = leaf.fields.subject.all(COMMON_NAME);
    if dns || ip || (!listed && common.any(|name| ruby_match(host, &name.value))) {
        return Ok(());
    }
    Err(mismatch(leaf, host))
}

fn ruby_match(host: &str, pattern: &[u8]) -> bool {
    let Some(pattern) = std::str::from_utf8(pattern).ok().filter(|pattern| pattern.is_ascii())
    else {
        return false;
    };
    if !host.is_ascii() {
        return false;
    }
    let lower = (host.to_ascii_lowercase(), pattern.to_ascii_lowercase());
    let (host_parts, parts) = (ruby_split(&lower.0), ruby_split(&lower.1));
    let ([host_first, host_rest @ ..], [first, rest @ ..]) = (&*host_parts, &*parts) else {
        return pattern == host;
    };
    if parts.len() < 2 {
        return pattern == host;
    }
    parts.len() == host_parts.len() && host_rest == rest && ruby_wildcard(host_first, first)
}

/// `String#split(".")`, which drops empty parts at the end.
fn ruby_split(name: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = name.split('.').collect();
    while parts.last() == Some(&"") {
        parts.pop();
    }
    parts
}

fn ruby_wildcard(label: &str, pattern: &str) -> bool {
    let parts: Vec<&str> = pattern.split('*').collect();
    match *parts {
        [_] => pattern == label,
        [before, after] => {
            (!label.starts_with("xn--") || pattern == "*")
                && before.len() + after.len() < label.len()
                && label.starts_with(before)
                && label.ends_with(after)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_as_openssl_takes_them() {
        let matches =
            |pattern: &str, host: &str| openssl_match(pattern.as_bytes(), host.as_bytes());
        assert!(matches("*.lab.internal", "git.lab.internal"));
        assert!(!matches("*.internal", "git.internal"));
        assert!(matches("*.internal", "*.internal"));
        assert!(matches("gi*.lab.internal", "git.lab.internal"));
        assert!(matches("git*.lab.internal", "git.lab.internal"));
        assert!(matches("*it.lab.internal", "git.lab.internal"));
        assert!(!matches("g*t.lab.internal", "git.lab.internal"));
        assert!(!matches("*.lab.internal", "g_t.lab.internal"));
        assert!(!matches("xn--*.lab.internal", "xn--bcher.lab.internal"));
        assert!(matches("*.lab.internal", "xn--bcher.lab.internal"));
    }

    #[test]
    fn stars_as_curl_takes_them() {
        assert!(curl_match(b"*.lab.internal", "git.lab.internal"));
        assert!(!curl_match(b"*.internal", "git.internal"));
        assert!(!curl_match(b"gi*.lab.internal", "git.lab.internal"));
        assert!(curl_match(b"git.lab.internal.", "git.lab.internal"));
        assert!(!curl_match(b"*.2.3.4", "1.2.3.4"));
    }

    #[test]
    fn stars_as_ruby_takes_them() {
        assert!(ruby_match("git.internal", b"*.internal"));
        assert!(ruby_match("git.lab.internal", b"g*t.lab.internal"));
        assert!(!ruby_match("git.lab.internal", b"git*.lab.internal"));
        assert!(ruby_match("1.2.3.4", b"*.2.3.4"));
        assert!(!ruby_match("git", b"GIT"));
        assert!(ruby_match("git", b"git"));
        assert!(ruby_match("git.internal.", b"git.internal"));
    }

    #[test]
    fn go_compares_what_is_no_host_name_letter_by_letter() {
        assert!(go_valid("a_b.c", false) && !go_valid("-a.b", false) && go_valid("*.b", true));
        assert!(go_match("*.b", &["a", "b"]) && !go_match("*.b", &["b"]));
    }

    proptest::proptest! {
        #[test]
        fn any_names_can_be_compared(pattern: Vec<u8>, host: String) {
            let _ = openssl_match(&pattern, host.as_bytes());
            let _ = curl_match(&pattern, &host);
            let _ = ruby_match(&host, &pattern);
            let lower = String::from_utf8_lossy(&pattern);
            let _ = go_match(&lower, &go_parts(&host));
        }
    }
}
