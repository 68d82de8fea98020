//! What a server sends besides its own certificate: what is missing, out of order or too much.

use std::collections::BTreeMap;

use super::difference::is_strange;
use crate::checks::shell::word;
use crate::checks::tls::server::{ChainFile, Server};
use crate::checks::tls::sightings::is_issuer;
use crate::checks::tls::trusted::TrustedFile;
use crate::checks::tls::words::{label, summary};
use crate::checks::{Cause, Finding, Severity, docs};
use crate::host::files::TrustedFiles;
use crate::parse::certificate::Certificate;
use crate::trust::Der;

/// Certificates on this host, by the names that they have: where an issuer is looked for.
pub(super) struct Known {
    by_subject: BTreeMap<String, Vec<(Certificate, String)>>,
    /// Whether somebody gave a CA to clients on this host.
    has_own_authority: bool,
}

impl Known {
    pub(super) fn new(servers: &[Server], trusted: &[TrustedFile], system: &TrustedFiles) -> Self {
        let of_servers = servers.iter().flat_map(|server| &server.files);
        let of_servers = of_servers.map(|file| (&file.path, &file.chain));
        let of_clients = trusted.iter().map(|file| (&file.path, &file.certificates));
        let of_system = system.files.iter().map(|file| (&file.path, &file.certificates));
        let mut known = Self { by_subject: BTreeMap::new(), has_own_authority: false };
        for (path, certificates) in of_servers.chain(of_clients).chain(of_system) {
            for der in certificates {
                let Ok(facts) = Certificate::from_der(der) else { continue };
                let same = known.by_subject.entry(facts.subject.clone()).or_default();
                same.push((facts, path.to_string()));
            }
        }
        let given = trusted.iter().flat_map(|file| &file.certificates);
        let mut given = given.filter_map(|der| Certificate::from_der(der).ok());
        known.has_own_authority = given.any(|facts| facts.is_ca && facts.self_issued);
        known
    }

    /// A certificate that can have issued this one, and its file.
    fn issuer_of(&self, child: &Certificate) -> Option<&(Certificate, String)> {
        let candidates = self.by_subject.get(&child.issuer)?;
        let mut fitting = candidates.iter().filter(|(facts, _)| is_issuer(facts, child));
        // A root ends the chain, so it is what clients need, whatever else goes by the name.
        fitting.clone().find(|(facts, _)| facts.self_issued).or(fitting.next())
    }
}

/// How a chain hangs together.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shape {
    /// The way from the leaf up, as numbers of the chain.
    way: Vec<usize>,
    /// Numbers of certificates that are not on the way.
    strays: Vec<usize>,
}

/// What is wrong with each chain that is shown, or that a file would show.
pub(super) fn judge(server: &Server, known: &Known) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A chain that no file holds is told as such; another one will take its place.
    for chain in server.chains().filter(|chain| !is_strange(server, chain.first())) {
        let read: Option<Vec<_>> =
            chain.iter().map(|der| Certificate::from_der(der).ok()).collect();
        let Some(read) = read else { continue };
        let seen = Seen { server, chain, read: &read, file: server.file_of_chain(chain) };
        findings.extend(seen.judge(known));
    }
    findings
}

impl Server {
    /// The file that holds the leaf of a chain.
    fn file_of_chain(&self, chain: &[Der]) -> Option<&ChainFile> {
        self.files.iter().find(|file| file.chain.first() == chain.first())
    }
}

struct Seen<'a> {
    server: &'a Server,
    chain: &'a [Der],
    read: &'a [Certificate],
    file: Option<&'a ChainFile>,
}

impl Seen<'_> {
    fn judge(&self, known: &Known) -> Vec<Finding> {
        let shape = shape(self.read);
        let incomplete = self.incomplete(&shape, known);
        let excess = self.excess(&shape);
        incomplete.into_iter().chain(excess).collect()
    }

    /// Something is missing above the last certificate of the way.
    fn incomplete(&self, shape: &Shape, known: &Known) -> Option<Finding> {
        let top = self.read.get(*shape.way.last()?)?;
        if top.self_issued {
            return None;
        }
        if let Some(file) = self.file.filter(|file| is_longer(&file.chain, self.chain)) {
            let message = format!(
                "it does not send the intermediate certificates that {} holds: the server has not \
                 read them yet",
                file.path
            );
            let finding = self.finding(Severity::Error, "chain-not-served", message, top);
            return Some(finding.remedy("Let the server read the file again.", [file.reload]));
        }
        match known.issuer_of(top) {
            Some((issuer, _)) if issuer.self_issued => None,
            Some((issuer, path)) => {
                let message =
                    format!("it does not send the intermediate certificate '{}'", label(issuer));
                let finding = self.finding(Severity::Error, "chain-incomplete", message, top);
                Some(self.append(finding.seen("it lies in", path), Some(path)))
            }
            // A chain of several certificates is taken for complete: its root may well not be here.
            None if shape.way.len() > 1 => None,
            None => Some(self.unknown_issuer(top, known)),
        }
    }

    /// The server's certificate comes alone, and nobody here knows who issued it.
    fn unknown_issuer(&self, top: &Certificate, known: &Known) -> Finding {
        let message = format!(
            "it sends its own certificate alone, and '{}', which issued it, is not known on this \
             host: if that is an intermediate CA, it has to be sent along",
            top.issuer
        );
        // Where clients were given a CA, it should have been the right one. Where none was, that is
        // the likelier reason for which they refuse, and this one explains nothing.
        let finding = if known.has_own_authority {
            self.finding(Severity::Warning, "issuer-unknown", message, top)
        } else {
            let finding = self.finding(Severity::Notice, "issuer-unknown", message, top);
            Finding { explains: Vec::new(), ..finding }
        };
        let mut finding = self.append(finding, None);
        finding.remedy.advice.push_str(" If it is a root CA, clients have to be given it instead.");
        finding
    }

    fn append(&self, finding: Finding, from: Option<&String>) -> Finding {
        let from = from.map_or_else(|| "intermediate.crt".to_owned(), |from| word(from));
        let advice = |path: &str| {
            format!(
                "ppend the intermediate certificate to {path}, behind the server's own, and let \
                 the server read it."
            )
        };
        let append = |path: &str| format!("cat {from} | sudo tee -a {} >/dev/null", word(path));
        if let Some(file) = self.file {
            let path = file.path.as_str();
            let commands = [append(path), file.reload.to_owned()];
            return finding.remedy(format!("A{}", advice(path)), commands);
        }
        let path = format!("/etc/gitlab/ssl/{}.crt", self.server.endpoint.host);
        finding.remedy(
            format!("On the host that serves {}: a{}", self.server.endpoint, advice(&path)),
            [append(&path), "sudo gitlab-ctl hup nginx".to_owned()],
        )
    }

    /// More than is needed, or in another order than it is needed in.
    fn excess(&self, shape: &Shape) -> Vec<Finding> {
        let mut findings = Vec::new();
        let in_order = shape.way.windows(2).all(|pair| pair[0] < pair[1]);
        let Some(last) = shape.way.last().and_then(|&last| self.read.get(last)) else {
            return findings;
        };
        if !in_order {
            let message = "it sends its chain in the wrong order: each certificate should be \
                           followed by the one that signed it";
            let finding = self.finding(Severity::Notice, "wrong-order", message.to_owned(), last);
            let order = shape.way.iter().filter_map(|&at| self.read.get(at));
            let order: Vec<_> = order.map(|facts| format!("'{}'", label(facts))).collect();
            findings.push(self.rewrite(finding.seen("right order", order.join(", "))));
        }
        if last.self_issued && shape.way.len() > 1 {
            let message = format!(
                "it sends the root '{}' along, which clients have or do not believe",
                label(last)
            );
            findings.push(self.rewrite(self.finding(Severity::Notice, "root-sent", message, last)));
        }
        if let Some(stray) = shape.strays.first().and_then(|&at| self.read.get(at)) {
            let again = self.read.iter().filter(|other| *other == stray).count() > 1;
            let message = if again {
                format!("it sends the certificate '{}' twice", label(stray))
            } else {
                format!(
                    "it sends the certificate '{}', which has no part in its chain",
                    label(stray)
                )
            };
            let finding = self.finding(Severity::Notice, "stray-certificate", message, stray);
            findings.push(self.rewrite(finding));
        }
        findings
    }

    fn rewrite(&self, finding: Finding) -> Finding {
        let Some(file) = self.file else {
            return finding.remedy(
                format!(
                    "On the host that serves {}: let its certificate file hold the server's own \
                     certificate, then the intermediate ones, each behind the one that it signed.",
                    self.server.endpoint
                ),
                ["sudo gitlab-ctl hup nginx"],
            );
        };
        finding.remedy(
            format!(
                "Let {} hold the server's own certificate, then the intermediate ones, each behind \
                 the one that it signed.",
                file.path
            ),
            [format!("sudoedit {}", word(file.path.as_str())), file.reload.to_owned()],
        )
    }

    fn finding(
        &self,
        severity: Severity,
        code: &'static str,
        message: String,
        about: &Certificate,
    ) -> Finding {
        let finding = Finding::new(severity, code, self.server.endpoint.to_string(), message);
        let finding = finding.seen("certificate", summary(about)).docs(docs::SSL);
        let shown = self.server.shown.iter().find(|shown| shown.chain == self.chain);
        let finding = match (shown, self.file) {
            (Some(shown), _) => finding.seen("shown at", shown.places()),
            (None, Some(file)) => finding.evidence(file.evidence()),
            (None, None) => finding,
        };
        let leaf = self.read.first().map(|leaf| leaf.fingerprint.clone()).unwrap_or_default();
        finding.explains(Cause::Certificate(leaf.clone())).follows(Cause::Order(leaf))
    }
}

fn is_longer(file: &[Der], shown: &[Der]) -> bool {
    file.len() > shown.len() && shown.iter().all(|der| file.contains(der))
}

/// The way from the leaf up as far as it goes.
fn shape(chain: &[Certificate]) -> Shape {
    let mut way = vec![0];
    while let Some(tip) = way.last().and_then(|&at| chain.get(at))
        && way.len() < chain.len()
    {
        let next = chain.iter().enumerate().find(|(at, candidate)| {
            let new = way.iter().all(|taken| {
                taken != at
                    && chain.get(*taken).is_some_and(|it| it.fingerprint != candidate.fingerprint)
            });
            new && is_issuer(candidate, tip)
        });
        match next {
            Some((at, _)) => way.push(at),
            None => break,
        }
    }
    let strays = (0..chain.len()).filter(|at| !way.contains(at)).collect();
    Shape { way, strays }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::tls::server::Who;
    use crate::install::{Endpoint, Sourced};
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    fn authority(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    /// Leaf, issuing CA, root, and a stranger.
    fn site() -> Vec<Certificate> {
        let keys = [(); 4].map(|()| KeyPair::generate().unwrap());
        let root = authority("Root");
        let issuing = authority("Issuing");
        let by_root = Issuer::new(root.clone(), &keys[0]);
        let by_issuing = Issuer::new(issuing.clone(), &keys[1]);
        let leaf = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        let made = [
            leaf.signed_by(&keys[2], &by_issuing).unwrap(),
            issuing.signed_by(&keys[1], &by_root).unwrap(),
            root.self_signed(&keys[0]).unwrap(),
            authority("Stranger").self_signed(&keys[3]).unwrap(),
        ];
        made.iter().map(|made| Certificate::from_der(made.der()).unwrap()).collect()
    }

    fn shape_of(order: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let site = site();
        let chain: Vec<_> = order.iter().map(|&at| site[at].clone()).collect();
        let Shape { way, strays } = shape(&chain);
        (way, strays)
    }

    /// It is likelier that nobody gave the root to anybody, and that has a remedy of its own.
    #[test]
    fn an_unknown_issuer_explains_nothing_where_no_client_was_given_a_ca() {
        let server = Server {
            who: Who::Gitlab,
            endpoint: Endpoint::parse("https://a.test").unwrap(),
            is_in_use: true,
            source: Sourced::default((), "test").source,
            files: Vec::new(),
            shown: Vec::new(),
        };
        let read = &site()[..1];
        let seen = Seen { server: &server, chain: &[], read, file: None };
        for (has_own_authority, severity, explained) in
            [(false, Severity::Notice, 0), (true, Severity::Warning, 1)]
        {
            let known = Known { by_subject: BTreeMap::new(), has_own_authority };
            let finding = seen.unknown_issuer(&read[0], &known);
            assert_eq!((finding.severity, finding.explains.len()), (severity, explained));
        }
    }

    #[test]
    fn the_way_up_is_found_in_any_order() {
        assert_eq!(shape_of(&[0, 1]), (vec![0, 1], vec![]));
        assert_eq!(shape_of(&[0, 1, 2]), (vec![0, 1, 2], vec![]));
        assert_eq!(shape_of(&[0, 2, 1]), (vec![0, 2, 1], vec![]));
        assert_eq!(shape_of(&[0, 3, 1]), (vec![0, 2], vec![1]));
        assert_eq!(shape_of(&[0, 0, 1]), (vec![0, 2], vec![1]));
        assert_eq!(shape_of(&[0]), (vec![0], vec![]));
        assert_eq!(shape_of(&[2]), (vec![0], vec![]));
    }
}
