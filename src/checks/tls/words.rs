//! Words that the checks of certificates share: a certificate in one line, and how to get a new
//! one, with this host's paths and names.

use jiff::{SignedDuration, Timestamp};

use super::server::{ChainFile, Server};
use crate::checks::Remedy;
use crate::checks::shell::word;
use crate::parse::certificate::Certificate;
use crate::trust::Client;

/// More names than this are counted, not listed.
const NAMES_SHOWN: usize = 5;

/// A certificate in one line.
pub(super) fn summary(certificate: &Certificate) -> String {
    let issuer = if certificate.self_issued {
        "self-signed".to_owned()
    } else {
        format!("issued by {}", certificate.issuer)
    };
    format!("{}, {}, {issuer}, {}", certificate.subject, names(certificate), validity(certificate))
}

/// A certificate in one line, told apart from others of its names.
pub(super) fn identified(certificate: &Certificate) -> String {
    format!("{} (sha256 {})", summary(certificate), certificate.fingerprint)
}

/// What a certificate is made out to.
pub(super) fn names(certificate: &Certificate) -> String {
    let addresses = certificate.ip_addresses.iter().map(ToString::to_string);
    let names: Vec<_> = certificate.dns_names.iter().cloned().chain(addresses).collect();
    let shown = names.iter().take(NAMES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 if certificate.is_ca && !certificate.has_alternative_names => {
            "a CA without names".to_owned()
        }
        0 => "no subjectAltName".to_owned(),
        count if count > NAMES_SHOWN => format!("for {shown} and {} more", count - NAMES_SHOWN),
        _ => format!("for {shown}"),
    }
}

/// From when until when.
pub(super) fn validity(certificate: &Certificate) -> String {
    let day = |date: Option<Timestamp>| match date {
        Some(date) => date.strftime("%F").to_string(),
        None => "an unreadable date".to_owned(),
    };
    format!("valid from {} to {}", day(certificate.not_before), day(certificate.not_after))
}

/// The common name, or what else there is.
pub(super) fn label(certificate: &Certificate) -> &str {
    certificate.common_names.first().map_or(certificate.subject.as_str(), String::as_str)
}

/// `3 days`, `5 hours`: rounded down, as people count what is left.
pub(super) fn span(duration: SignedDuration) -> String {
    let hours = duration.abs().as_hours();
    let (number, unit) = match hours {
        0 => (duration.abs().as_mins(), "minute"),
        1..=47 => (hours, "hour"),
        _ => (hours / 24, "day"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}

/// Who uses a client's library, for people.
pub(super) fn users(client: Client) -> &'static str {
    match client {
        Client::Go => "Docker, the runner and other Go programs",
        Client::OpenSsl => "OpenSSL",
        Client::Curl => "curl, and git with it",
        Client::Ruby => "GitLab itself (Ruby)",
    }
}

/// How a server gets a new certificate that lacks nothing. `hosts` are the names that it has to be
/// made out to.
pub(super) fn renew(server: &Server, file: Option<&ChainFile>, old: &Certificate) -> Remedy {
    let host = &server.endpoint.host;
    let (path, key, reload, place) = match file {
        Some(file) => (file.path.to_string(), file.key.to_string(), file.reload, String::new()),
        None => (
            format!("/etc/gitlab/ssl/{host}.crt"),
            format!("/etc/gitlab/ssl/{host}.key"),
            "sudo gitlab-ctl hup nginx",
            format!("On the host that serves {}: ", server.endpoint),
        ),
    };
    let subject = word(&format!("/CN={host}"));
    let names = alternative_names(host, old);
    let extension = word(&format!("subjectAltName={names}"));
    let key = word(&key);
    if old.self_issued {
        let advice = format!(
            "{place}Make a new certificate with subjectAltName {names} (it keeps its key), and \
             replace every copy that clients were given. Better still, let a CA of your own issue \
             it: its root has to be given to clients only once."
        );
        let make = format!(
            "sudo openssl req -x509 -sha256 -days 365 -key {key} -subj {subject} -addext \
             {extension} -out {}",
            word(&path)
        );
        return Remedy { advice, commands: vec![make, reload.to_owned()] };
    }
    let request = word(&format!("{host}.csr"));
    let advice = format!(
        "{place}Let the CA '{}' sign a request with subjectAltName {names} for a server; put its \
         answer into {path}, the intermediate certificates behind it.",
        old.issuer
    );
    let make = format!(
        "sudo openssl req -new -sha256 -key {key} -subj {subject} -addext {extension} -out {request}"
    );
    Remedy { advice, commands: vec![make, reload.to_owned()] }
}

/// The host, and what else the old certificate was made out to.
fn alternative_names(host: &str, old: &Certificate) -> String {
    let is_address = |name: &str| name.parse::<std::net::IpAddr>().is_ok();
    let kind = |name: &str| if is_address(name) { "IP" } else { "DNS" };
    let mut names = vec![format!("{}:{host}", kind(host))];
    // What would not be a name, or would break out of the list, is not taken over.
    let plain = |name: &&String| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._*".contains(&b))
    };
    let dns = old.dns_names.iter().filter(plain).filter(|name| !is_address(name));
    let others = dns.map(|name| format!("DNS:{}", name.to_ascii_lowercase()));
    let addresses = old.ip_addresses.iter().map(|address| format!("IP:{address}"));
    for name in others.chain(addresses) {
        if names.len() < 20 && !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(",")
}

#[test]
fn spans_are_told_in_the_unit_that_matters() {
    for (seconds, text) in [(59, "0 minutes"), (60, "1 minute"), (3 * 3600, "3 hours")] {
        assert_eq!(span(SignedDuration::from_secs(seconds)), text);
    }
    assert_eq!(span(SignedDuration::from_hours(-48)), "2 days");
}

#[test]
fn names_that_break_out_of_the_list_are_left_out() {
    let made = rcgen::generate_simple_self_signed(vec![
        "a,DNS:evil".to_owned(),
        "Git.example.test".to_owned(),
        "10.0.0.5".to_owned(),
    ]);
    let old = Certificate::from_der(made.unwrap().cert.der()).unwrap();
    let names = alternative_names("reg.example.test", &old);
    assert_eq!(names, "DNS:reg.example.test,DNS:git.example.test,IP:10.0.0.5");
}
