//! What there is to say of the strength of each certificate.

use jiff::Timestamp;

use super::judges::{Objection, objections};
use super::table::Weakness;
use crate::checks::shell::word;
use crate::checks::tls::server::{ChainFile, Server};
use crate::checks::tls::trusted::TrustedFile;
use crate::checks::tls::words::{label, renew, summary, users};
use crate::checks::{Cause, Finding, Remedy, Severity, docs};
use crate::host::files::TrustedFiles;
use crate::parse::certificate::Certificate;
use crate::trust::Der;

/// What is judged.
pub(super) struct Scene<'a> {
    pub(super) servers: &'a [Server],
    pub(super) trusted: &'a [TrustedFile],
    pub(super) system: &'a TrustedFiles,
}

/// One chain of a server.
struct Seen<'a> {
    server: &'a Server,
    chain: &'a [Der],
    file: Option<&'a ChainFile>,
    /// The leaf's fingerprint.
    leaf: String,
}

impl Scene<'_> {
    /// A finding for each weakness of each certificate, told once however many servers show it.
    pub(super) fn judge(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        for server in self.servers {
            for chain in server.chains() {
                for finding in self.judge_chain(server, chain) {
                    let is_same = |other: &&mut Finding| {
                        (other.code, &other.message, other.evidence.first())
                            == (finding.code, &finding.message, finding.evidence.first())
                    };
                    match findings.iter_mut().find(is_same) {
                        Some(same) if same.subject != finding.subject => {
                            *same = same.clone().seen("the same at", &finding.subject);
                            same.explains.extend(finding.explains);
                        }
                        Some(_) => {}
                        None => findings.push(finding),
                    }
                }
            }
        }
        findings
    }

    fn judge_chain(&self, server: &Server, chain: &[Der]) -> Vec<Finding> {
        let Some(first) = chain.first() else { return Vec::new() };
        let file = server.files.iter().find(|file| file.chain.first() == Some(first));
        let leaf = match Certificate::from_der(first) {
            Ok(facts) => facts,
            Err(why) => return vec![unreadable(server, file, &why)],
        };
        let seen = Seen { server, chain, file, leaf: leaf.fingerprint.clone() };
        let at = middle(&leaf);
        let host = &server.endpoint.host;
        let mut objections = objections(chain, host, at, self.trusted, self.system);
        let mut findings = Vec::new();
        for (depth, der) in chain.iter().enumerate() {
            let Ok(facts) = Certificate::from_der(der) else { continue };
            // What a path through the chain calls this certificate, objections know by number.
            for weakness in Weakness::all_of(&facts, depth == 0) {
                let fault = weakness.fault();
                let is_it = |it: &Objection| Some(it.code) == fault && it.depth == depth;
                let said: Vec<_> = objections.iter().filter(|it| is_it(it)).cloned().collect();
                objections.retain(|it| !is_it(it));
                findings.push(seen.weak(&facts, depth, weakness, &said));
            }
        }
        findings.extend(objections.iter().map(|objection| seen.objected(&leaf, objection)));
        findings
    }
}

/// A moment at which the certificate is valid: the time is the matter of another check.
fn middle(leaf: &Certificate) -> Timestamp {
    match (leaf.not_before, leaf.not_after) {
        (Some(start), Some(end)) if start < end => start + end.duration_since(start) / 2,
        _ => Timestamp::UNIX_EPOCH,
    }
}

impl Seen<'_> {
    fn weak(
        &self,
        facts: &Certificate,
        depth: usize,
        weakness: Weakness,
        said: &[Objection],
    ) -> Finding {
        let what = match depth {
            0 => "its certificate".to_owned(),
            _ => format!("the certificate of the CA '{}' in its chain", label(facts)),
        };
        let severity = if weakness.is_harmless_here() { Severity::Notice } else { Severity::Error };
        let message = format!("{what} {}", weakness.told(facts));
        let subject = self.server.subject();
        let finding = Finding::new(severity, weakness.code(), subject, message)
            .seen("certificate", summary(facts))
            .seen("who refuses it", weakness.refused_by(facts));
        let finding = said.iter().fold(finding, with_words);
        let leaf = Cause::Certificate(self.leaf.clone());
        let finding = match weakness {
            Weakness::LongSerial | Weakness::LongLife => finding,
            // tls/names tells what clients see of it.
            Weakness::Version => finding.follows(leaf),
            _ => finding.explains(leaf),
        };
        self.finish(finding, facts, depth)
    }

    /// What a client has against it that has no row in the table.
    fn objected(&self, leaf: &Certificate, objection: &Objection) -> Finding {
        let facts = self.chain.get(objection.depth).and_then(|der| Certificate::from_der(der).ok());
        let facts = facts.as_ref().unwrap_or(leaf);
        let message = format!("some clients refuse its chain: {}", objection.why);
        let subject = self.server.subject();
        let finding =
            Finding::error(objection.code, subject, message).seen("certificate", summary(facts));
        let finding = with_words(finding, objection);
        let finding = finding.explains(Cause::Certificate(self.leaf.clone()));
        self.finish(finding, facts, objection.depth)
    }

    fn finish(&self, finding: Finding, facts: &Certificate, depth: usize) -> Finding {
        let finding = finding.follows(Cause::Order(self.leaf.clone()));
        let shown = self.server.shown.iter().find(|shown| shown.chain == self.chain);
        let finding = match (shown, self.file) {
            (Some(shown), _) => finding.seen("shown at", shown.places()),
            (None, Some(file)) => finding.evidence(file.evidence()),
            (None, None) => finding,
        };
        let finding = finding.docs(docs::SSL);
        if depth == 0 {
            let mut remedy = renew(self.server, self.file, facts);
            if matches!(finding.code, "short-key" | "unsupported-key" | "explicit-curve") {
                remedy = with_new_key(remedy, self.server, self.file);
            }
            Finding { remedy, ..finding }
        } else {
            finding.remedy(
                format!(
                    "Ask '{}' for a certificate of the CA '{}' without this fault, and put it in \
                     place of the old one in the server's certificate file; a CA with a weak key \
                     has to be replaced, with all that it issued.",
                    facts.issuer,
                    label(facts)
                ),
                [self.file.map_or("sudo gitlab-ctl hup nginx", |file| file.reload)],
            )
        }
    }
}

/// The key itself has to be replaced first.
fn with_new_key(remedy: Remedy, server: &Server, file: Option<&ChainFile>) -> Remedy {
    let key = file.map_or_else(
        || format!("/etc/gitlab/ssl/{}.key", server.endpoint.host),
        |file| file.key.to_string(),
    );
    let make = format!(
        "sudo openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {}",
        word(&key)
    );
    let advice = remedy.advice.replace(" (it keeps its key)", "");
    Remedy {
        advice: format!("Make a new key first. {advice}"),
        commands: [vec![make], remedy.commands].concat(),
    }
}

fn with_words(finding: Finding, objection: &Objection) -> Finding {
    objection.by.iter().fold(finding, |finding, (client, words)| {
        finding.seen(format!("refused by {}", users(*client)), words)
    })
}

fn unreadable(server: &Server, file: Option<&ChainFile>, why: &str) -> Finding {
    let reload = file.map_or("sudo gitlab-ctl hup nginx", |file| file.reload);
    Finding::error(
        "unreadable-certificate",
        server.subject(),
        format!("its certificate cannot be read by any client: {why}"),
    )
    .remedy("Have the certificate made anew.", [reload])
    .docs(docs::SSL)
}
