//! Entries of `registry-mirrors`.

use std::net::IpAddr;

use super::place::{change, evidence, later, refused};
use crate::checks::{Finding, docs};
use crate::install::Endpoint;
use crate::install::docker::{Entry, Place};

/// Mirrors of Docker Hub that anybody may use, and Docker Hub itself, by domain.
const PUBLIC: [&str; 16] = [
    "163.com",
    "aliyuncs.com",
    "amazonaws.com",
    "azk8s.cn",
    "cloudflare.com",
    "daocloud.io",
    "docker-cn.com",
    "docker.com",
    "docker.io",
    "gcr.io",
    "huaweicloud.com",
    "public.ecr.aws",
    "quay.io",
    "tencentyun.com",
    "tencent.com",
    "ustc.edu.cn",
];

/// What is wrong with a mirror that may have these addresses.
pub(super) fn judge_mirror(mirror: &Entry, addresses: &[IpAddr]) -> Option<Finding> {
    let url = mirror.value.as_str();
    let Ok(endpoint) = Endpoint::parse(url) else {
        let words = format!("invalid mirror: unsupported scheme in \"{url}\"");
        return Some(refused(mirror, words, "Write the mirror as https://host[:port]."));
    };
    let finding = if is_public(&endpoint.host) {
        Finding::warning(
            "public-mirror",
            url,
            later(
                mirror,
                "the mirror is on the internet: every pull of a Docker Hub image waits for it",
            ),
        )
    } else if let Some(address) = addresses.iter().find(|address| is_global(**address)) {
        // Some sites number their own networks with such addresses.
        let message = format!("the mirror has the public address {address}");
        Finding::notice("mirror-with-public-address", url, later(mirror, &message))
    } else {
        return None;
    };
    let advice = match mirror.place {
        Place::File { .. } => "Replace it by a mirror of your own, or take it out.",
        Place::Command { .. } | Place::Process { .. } => {
            "Replace it by a mirror of your own, or take the flag out. To restart Docker stops \
             running containers."
        }
    };
    let finding = finding.evidence(evidence(mirror)).docs(docs::OFFLINE);
    Some(finding.remedy(advice, change(mirror).commands))
}

/// Whether a host is known to be on the internet, without asking anybody.
fn is_public(host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return is_global(address);
    }
    let host = host.trim_end_matches('.');
    PUBLIC.iter().any(|domain| {
        host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// Whether an address is routed on the internet.
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => {
            let [first, second, ..] = it.octets();
            // 100.64.0.0/10 is shared between a provider and its customers (RFC 6598).
            let shared = first == 100 && second & 0xc0 == 64;
            let none = it.is_unspecified() || it.is_broadcast() || it.is_multicast();
            let local = it.is_private() || it.is_loopback() || it.is_link_local();
            !(shared || none || local || it.is_documentation())
        }
        // 2000::/3 is all that has been given out.
        IpAddr::V6(it) => {
            it.segments()[0] & 0xe000 == 0x2000 && it.segments()[..2] != [0x2001, 0xdb8]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Severity;

    fn judged(url: &str, addresses: &[&str]) -> Option<(Severity, &'static str)> {
        let addresses: Vec<_> = addresses.iter().map(|it| it.parse().unwrap()).collect();
        let place = Place::File { path: "/d".into(), line: None };
        let mirror = Entry { value: url.to_owned(), list: "registry-mirrors", place };
        judge_mirror(&mirror, &addresses).map(|finding| (finding.severity, finding.code))
    }

    #[test]
    fn mirrors_on_the_internet_are_known_by_their_domain() {
        let public = Some((Severity::Warning, "public-mirror"));
        for url in [
            "https://mirror.gcr.io",
            "https://registry-1.docker.io/",
            "https://8.8.8.8",
            "http://[2a00::1]:5000",
        ] {
            assert_eq!(judged(url, &[]), public, "{url}");
        }
    }

    #[test]
    fn mirrors_of_ones_own_pass() {
        for url in ["https://mirror.internal", "http://10.0.0.9:5000", "https://gcr.io.internal"] {
            assert_eq!(judged(url, &["10.0.0.9", "fd00::1", "100.64.1.1"]), None, "{url}");
        }
        let notice = Some((Severity::Notice, "mirror-with-public-address"));
        assert_eq!(judged("https://mirror.internal", &["10.0.0.9", "193.0.2.1"]), notice);
    }

    #[test]
    fn docker_does_not_start_without_a_scheme() {
        let refused = Some((Severity::Error, "entry-refused"));
        assert_eq!(judged("mirror.internal:5000", &[]), refused);
        assert_eq!(judged("mirror.internal", &[]), refused);
    }
}
