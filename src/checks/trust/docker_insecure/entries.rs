//! Entries of `insecure-registries`.

use std::net::IpAddr;

use super::Registry;
use super::place::{change, evidence, later, refused};
use crate::checks::{Finding, docs};
use crate::install::docker::{Entry, without_scheme};
use crate::parse::network;

/// What an entry does; nothing is said of those for this host itself.
pub(super) fn judge_entry(entry: &Entry, known: &[Registry]) -> Option<Finding> {
    let name = without_scheme(&entry.value);
    let is_network = network::is_network(name);
    if !is_network && let Some(words) = fault(name) {
        let advice = "Take the entry out. An entry is host[:port] or a network, without a path.";
        return Some(refused(entry, words, advice));
    }
    if is_own(name, is_network) {
        return None;
    }
    let covers = |registry: &&Registry| {
        name == registry.prefix
            || name == registry.endpoint.authority()
            || (is_network && registry.addresses.iter().any(|it| network::contains(name, *it)))
            // Every address there is.
            || name.ends_with("/0")
    };
    let finding = match known.iter().find(covers) {
        Some(registry) => blind(registry, entry, name, is_network),
        None if is_network => other(
            entry,
            "Docker verifies no registry with an address in this network, and falls back to plain \
             HTTP",
        ),
        None => other(
            entry,
            "Docker does not verify this registry's certificate and falls back to plain HTTP",
        ),
    };
    Some(finding.evidence(evidence(entry)).docs(docs::REGISTRY_SELF_SIGNED))
}

/// The registry in use is not verified.
fn blind(registry: &Registry, entry: &Entry, name: &str, is_network: bool) -> Finding {
    let inside = registry.addresses.iter().find(|it| network::contains(name, **it));
    let why = match inside.filter(|_| is_network) {
        Some(address) => format!("{entry}, which contains its address {address}"),
        None => entry.to_string(),
    };
    let message =
        format!("Docker does not verify its certificate and falls back to plain HTTP: {why}");
    let finding =
        Finding::error("registry-insecure", registry.endpoint.to_string(), later(entry, &message));
    let change = change(entry);
    let first = if registry.endpoint.https {
        "Let Docker trust the certificate (trust/docker says how)"
    } else {
        "Let the registry speak HTTPS (an https registry_external_url)"
    };
    finding.remedy(format!("{first}; then {}.", change.clause), change.commands)
}

/// Another registry is not verified.
fn other(entry: &Entry, what: &str) -> Finding {
    let change = change(entry);
    Finding::warning("other-registry-insecure", &entry.value, later(entry, what)).remedy(
        format!(
            "Let Docker trust that registry's certificate instead, or, if nobody uses the entry, \
             {}. If it stands for GitLab's registry, name that with --registry-url.",
            change.clause
        ),
        change.commands,
    )
}

/// Whether it stands for this host itself, as Docker's own entries do.
pub(super) fn is_own(name: &str, is_network: bool) -> bool {
    if let (true, Some((address, bits))) = (is_network, name.split_once('/')) {
        // A wider network than 127.0.0.0/8 holds others as well.
        let least = if address.contains(':') { 128 } else { 8 };
        return is_loopback(address) && bits.parse().is_ok_and(|bits: u32| bits >= least);
    }
    let host = host_of(name);
    is_loopback(host) || host.eq_ignore_ascii_case("localhost")
}

fn is_loopback(address: &str) -> bool {
    address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host of `host[:port]`, without brackets.
fn host_of(name: &str) -> &str {
    if name.parse::<IpAddr>().is_ok() {
        return name;
    }
    let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
    host.trim_matches(['[', ']'])
}

/// What Docker has against an entry that is no network, in its words (`validateHostPort`).
fn fault(name: &str) -> Option<String> {
    if name.contains("://") {
        return Some(format!("insecure registry {name} should not contain '://'"));
    }
    let told = |what: String| Some(format!("insecure registry {name} is not valid: {what}"));
    let (host, port) = match name.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (name, None),
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit());
    if !(address || is_domain(host)) || !port.is_none_or(digits) {
        return told(format!("invalid host \"{host}\""));
    }
    match port {
        Some(port) if port.parse::<u16>().is_err() => told(format!("invalid port \"{port}\"")),
        _ => None,
    }
}

/// A name as image references allow it: labels of letters, digits and inner dashes.
fn is_domain(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Severity;
    use crate::install::Endpoint;
    use crate::install::docker::Place;

    fn registry(url: &str, addresses: &[&str]) -> Registry {
        let endpoint = Endpoint::parse(url).unwrap();
        let addresses = addresses.iter().map(|it| it.parse().unwrap()).collect();
        Registry { prefix: endpoint.authority(), endpoint, addresses }
    }

    fn judged(entry: &str) -> Option<(Severity, &'static str)> {
        let known = [registry("https://git.test:5050", &["10.1.2.3", "fd00::5"])];
        let place = Place::File { path: "/d".into(), line: Some(3) };
        let entry = Entry { value: entry.to_owned(), list: "insecure-registries", place };
        judge_entry(&entry, &known).map(|finding| {
            assert_eq!(finding.evidence[0].line, Some(3));
            (finding.severity, finding.code)
        })
    }

    #[test]
    fn the_registry_is_found_by_name_and_by_network() {
        let blind = Some((Severity::Error, "registry-insecure"));
        for entry in [
            "git.test:5050",
            "https://git.test:5050",
            "HTTP://git.test:5050",
            "10.0.0.0/8",
            "fd00::/16",
            "0.0.0.0/0",
        ] {
            assert_eq!(judged(entry), blind, "{entry}");
        }
    }

    #[test]
    fn others_are_told_apart() {
        let other = Some((Severity::Warning, "other-registry-insecure"));
        for entry in ["git.test", "git.test:443", "10.2.0.0/16", "10.1.2.3:5050", "harbor.test"] {
            assert_eq!(judged(entry), other, "{entry}");
        }
    }

    #[test]
    fn the_host_itself_is_dockers_own_default() {
        for entry in ["127.0.0.0/8", "::1/128", "localhost:5000", "127.0.0.1:5000", "[::1]:5000"] {
            assert_eq!(judged(entry), None, "{entry}");
        }
        assert_eq!(judged("127.0.0.0/4").map(|it| it.0), Some(Severity::Warning));
    }

    #[test]
    fn docker_does_not_start_with_a_path() {
        let refused = Some((Severity::Error, "entry-refused"));
        for entry in [
            "git.test:5050/group",
            "https://git.test:5050/",
            "ftp://git.test",
            "git.test:port",
            "git.test:70000",
            "10.0.0.0/33",
            "a b",
            "",
        ] {
            assert_eq!(judged(entry), refused, "{entry}");
        }
    }

    #[test]
    fn a_flag_is_taken_out_where_it_stands() {
        let known = [registry("https://git.test:5050", &[])];
        let told = |place| {
            let value = "git.test:5050".to_owned();
            let entry = Entry { value, list: "--insecure-registry", place };
            let finding = judge_entry(&entry, &known).unwrap();
            (finding.message, finding.remedy.commands)
        };
        let command =
            |path: &str, pending| Place::Command { path: path.into(), line: None, pending };
        let (_, unit) = told(command("/etc/systemd/system/docker.service.d/a.conf", false));
        assert_eq!(
            unit,
            [
                "sudoedit /etc/systemd/system/docker.service.d/a.conf",
                "sudo systemctl daemon-reload",
                "sudo systemctl restart docker"
            ]
        );
        let (_, variables) = told(command("/etc/default/docker", false));
        assert_eq!(variables, ["sudoedit /etc/default/docker", "sudo systemctl restart docker"]);
        let (message, pending) = told(command("/etc/default/docker", true));
        assert_eq!(pending, ["sudoedit /etc/default/docker"]);
        assert!(message.contains("next start"), "{message}");
        let (message, running) = told(Place::Process { pid: 7 });
        assert_eq!(running.len(), 2);
        assert!(message.ends_with("the flag --insecure-registry git.test:5050"), "{message}");
    }

    proptest::proptest! {
        #[test]
        fn any_entry_is_judged(entry: String) {
            judged(&entry);
        }
    }
}
