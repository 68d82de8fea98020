//! What there is to say of the names of each certificate.

use super::refusal::{Refusal, refusals};
use crate::checks::tls::server::{ChainFile, Server, Who};
use crate::checks::tls::words::{label, names, renew, summary, users};
use crate::checks::{Cause, Evidence, Finding, Severity, docs};
use crate::install::Endpoint;
use crate::parse::certificate::Certificate;
use crate::trust::{Client, Der};

/// The servers, and what they show.
pub(super) struct Scene<'a> {
    pub(super) servers: &'a [Server],
}

/// One certificate for one host, which several servers may show.
struct Case<'a> {
    leaf: &'a Der,
    facts: Certificate,
    servers: Vec<&'a Server>,
}

impl<'a> Scene<'a> {
    /// At most one finding for each certificate and host.
    pub(super) fn judge(&self) -> Vec<Finding> {
        self.cases().iter().filter_map(Case::judge).collect()
    }

    fn cases(&self) -> Vec<Case<'a>> {
        let mut cases: Vec<Case<'a>> = Vec::new();
        for server in self.servers {
            for leaf in server.chains().filter_map(<[Der]>::first) {
                let host = &server.endpoint.host;
                let same = cases.iter_mut().find(|case| {
                    case.leaf == leaf && case.servers.iter().any(|it| it.endpoint.host == *host)
                });
                match same {
                    Some(case) => case.servers.push(server),
                    // What nobody can read is the matter of tls/strength.
                    None => cases.extend(Certificate::from_der(leaf).ok().map(|facts| Case {
                        leaf,
                        facts,
                        servers: vec![server],
                    })),
                }
            }
        }
        cases
    }
}

impl Case<'_> {
    fn judge(&self) -> Option<Finding> {
        let server = *self.servers.first()?;
        let endpoint = &server.endpoint;
        let refusals = refusals(self.leaf, &endpoint.host);
        if refusals.is_empty() {
            return None;
        }
        let (code, message) = self.told(endpoint, &refusals);
        let file = server.file_of(self.leaf);
        let finding = Finding::new(self.severity(&refusals), code, server.subject(), message)
            .evidence(server.source.evidence("the name in use", &endpoint.host))
            .seen("certificate", summary(&self.facts));
        let finding = self.places().into_iter().fold(finding, Finding::evidence);
        let finding = refusals.iter().fold(finding, |finding, refusal| {
            finding.seen(format!("refused by {}", users(refusal.client)), &refusal.words)
        });
        if let Some(file) = self.better_file(server) {
            let advice = format!(
                "The certificate in {} is made out to {}: let the server show that one.",
                file.path, endpoint.host
            );
            let finding = finding.remedy(advice, [file.reload]).docs(docs::SSL);
            // Why it does not is the matter of tls/served.
            return Some(finding.follows(Cause::File(file.path.to_string())));
        }
        let remedy = renew(server, file, &self.facts);
        let docs = if code == "no-alternative-name" { docs::OFFLINE_SSL } else { docs::SSL };
        let finding = Finding { remedy, ..finding }.docs(docs);
        let fingerprint = &self.facts.fingerprint;
        let finding = finding.explains(Cause::Certificate(fingerprint.clone()));
        Some(finding.follows(Cause::Order(fingerprint.clone())))
    }

    /// A file from which the server could show a certificate that everybody takes.
    fn better_file<'a>(&self, server: &'a Server) -> Option<&'a ChainFile> {
        let is_from_file = |file: &ChainFile| file.chain.first() == Some(self.leaf);
        let suits = |file: &&ChainFile| {
            file.chain.first().is_some_and(|leaf| refusals(leaf, &server.endpoint.host).is_empty())
        };
        if server.files.iter().any(is_from_file) { None } else { server.files.iter().find(suits) }
    }

    /// Nobody talks to a registry but Docker and its kin, and GitLab from behind; GitLab's own
    /// address is what Git and curl go to as well.
    fn severity(&self, refusals: &[Refusal]) -> Severity {
        let by = |client| refusals.iter().any(|refusal| refusal.client == client);
        let is_gitlab = self.servers.iter().any(|server| server.who == Who::Gitlab);
        if by(Client::Go) || (is_gitlab && (by(Client::Curl) || by(Client::Ruby))) {
            Severity::Error
        } else {
            Severity::Warning
        }
    }

    fn told(&self, endpoint: &Endpoint, refusals: &[Refusal]) -> (&'static str, String) {
        let (facts, host) = (&self.facts, &endpoint.host);
        let go = refusals.iter().any(|refusal| refusal.client == Client::Go);
        let all = refusals.len() == Client::ALL.len();
        if !facts.has_alternative_names {
            let name = label(facts);
            let who = if all {
                format!("every client refuses it, for that is not '{host}'")
            } else {
                "Docker, the runner and every other Go program refuse it".to_owned()
            };
            let message = format!(
                "its certificate has no subjectAltName, only the common name '{name}': {who}"
            );
            return ("no-alternative-name", message);
        }
        if endpoint.is_address() {
            let as_text = facts.dns_names.iter().any(|name| name == host);
            let why = if as_text {
                format!("its certificate lists {host} as a DNS name, but it is an IP address")
            } else {
                format!(
                    "its certificate does not list the IP address {host}: it is {}",
                    names(facts)
                )
            };
            return ("address-not-listed", why);
        }
        if !go {
            let message = format!(
                "its certificate, {}, is good for '{host}' to Go programs, but not to all",
                names(facts)
            );
            return ("name-refused-by-some", message);
        }
        if let Some(wildcard) = facts.dns_names.iter().find(|name| stretched(name, host)) {
            let message = format!(
                "its certificate is made out to '{wildcard}', which covers one label only, and so \
                 not '{host}'"
            );
            return ("wildcard-too-narrow", message);
        }
        ("name-mismatch", format!("its certificate is {}, not for '{host}'", names(facts)))
    }

    /// Where it was seen.
    fn places(&self) -> Vec<Evidence> {
        let mut places = Vec::new();
        for server in &self.servers {
            let shown = server.shown.iter().filter(|shown| shown.chain.first() == Some(self.leaf));
            places.extend(shown.map(|shown| {
                Evidence::new("shown by", format!("{} ({})", server.endpoint, shown.places()))
            }));
        }
        for server in &self.servers {
            for file in server.files.iter().filter(|file| file.chain.first() == Some(self.leaf)) {
                let seen = file.evidence();
                if !places.contains(&seen) {
                    places.push(seen);
                }
            }
        }
        places
    }
}

/// Whether somebody meant a wildcard to cover this host, which has more or fewer labels.
fn stretched(name: &str, host: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let Some(domain) = name.strip_prefix("*.") else { return false };
    host == domain
        || host
            .strip_suffix(domain)
            .is_some_and(|rest| rest.strip_suffix('.').is_some_and(|labels| labels.contains('.')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::Source;

    fn server(url: &str, leaf: &Der) -> Server {
        let endpoint = Endpoint::parse(url).unwrap();
        let who = if endpoint.port == 443 { Who::Gitlab } else { Who::Registry };
        let shown = crate::checks::tls::server::Shown {
            chain: vec![leaf.clone()],
            addresses: vec!["10.0.0.1:443".parse().unwrap()],
        };
        let source = Source::Flag("--url".to_owned());
        Server { who, endpoint, is_in_use: true, source, files: Vec::new(), shown: vec![shown] }
    }

    fn leaf(names: &[&str]) -> Der {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        rcgen::generate_simple_self_signed(names).unwrap().cert.der().to_vec()
    }

    fn found(names: &[&str], urls: &[&str]) -> Vec<(Severity, &'static str)> {
        let leaf = leaf(names);
        let servers: Vec<_> = urls.iter().map(|url| server(url, &leaf)).collect();
        let findings = Scene { servers: &servers }.judge();
        findings.into_iter().map(|finding| (finding.severity, finding.code)).collect()
    }

    #[test]
    fn each_way_to_miss_a_name_has_its_code() {
        use Severity::{Error, Warning};
        let url = &["https://a.b.test"];
        assert_eq!(found(&["a.b.test"], url), []);
        assert_eq!(found(&["*.b.test"], url), []);
        assert_eq!(found(&["*.test"], url), [(Error, "wildcard-too-narrow")]);
        assert_eq!(found(&["*.a.b.test"], url), [(Error, "wildcard-too-narrow")]);
        assert_eq!(found(&["other.test"], url), [(Error, "name-mismatch")]);
        assert_eq!(found(&[], url), [(Error, "no-alternative-name")]);
        let by_address = &["https://10.0.0.5"];
        assert_eq!(found(&["a.test"], by_address), [(Error, "address-not-listed")]);
        assert_eq!(found(&["10.0.0.5"], by_address), []);
        // Go takes a wildcard below a top-level domain; OpenSSL and curl do not.
        assert_eq!(found(&["*.test"], &["https://a.test"]), [(Error, "name-refused-by-some")]);
        let registry = &["https://a.test:5050"];
        assert_eq!(found(&["*.test"], registry), [(Warning, "name-refused-by-some")]);
    }

    #[test]
    fn one_certificate_for_one_host_is_told_once() {
        let both = &["https://a.test", "https://a.test:5050"];
        assert_eq!(found(&["b.test"], both).len(), 1);
        let two_hosts = &["https://a.test", "https://c.test:5050"];
        assert_eq!(found(&["b.test"], two_hosts).len(), 2);
    }
}
