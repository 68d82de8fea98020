//! From a client's verdict to a finding: what the checks of single clients share.

use camino::Utf8PathBuf;
use jiff::Timestamp;

use super::mend;
use super::shown::Shown;
use crate::checks::{Cause, Evidence, Finding, Severity};
use crate::host::files::{TrustFile, TrustedFiles};
use crate::install::Endpoint;
use crate::parse::certificate::Certificate;
use crate::trust::{Anchor, Client, Store, Verdict, judge};

/// A client written in Go, and what it is told to trust.
pub(super) struct GoClient<'a> {
    /// As messages call it: `Docker`, `the runner`.
    pub(super) name: &'a str,
    /// What the system trusts, if the client sees the system's store.
    pub(super) system: Option<&'a TrustedFiles>,
    /// The files that it is given for this endpoint, in order.
    pub(super) files: Vec<(Utf8PathBuf, TrustFile)>,
    /// The file into which an administrator would put a certificate for it.
    pub(super) target: Utf8PathBuf,
}

/// An endpoint as a client sees it.
pub(super) struct Seen<'a> {
    /// The endpoint.
    pub(super) endpoint: &'a Endpoint,
    /// The certificates.
    pub(super) shown: &'a Shown,
    /// The file on this host from which they come, if they come from this host.
    pub(super) source: Option<Utf8PathBuf>,
    /// When it is judged.
    pub(super) now: Timestamp,
}

impl GoClient<'_> {
    /// The client's verdict.
    pub(super) fn judge(&self, seen: &Seen<'_>) -> Verdict {
        judge(&self.store(), &seen.shown.chain, &seen.endpoint.host, seen.now)
    }

    fn store(&self) -> Store {
        let mut store = Store::new(Client::Go);
        for (path, file) in &self.files {
            store.add_certificates(path.as_str(), &file.for_go());
        }
        for file in self.system.into_iter().flat_map(|system| &system.files) {
            store.add_certificates(file.path.as_str(), &file.certificates);
        }
        store
    }

    /// What there is to say of a verdict: a refusal, or acceptance that will not last.
    pub(super) fn finding(&self, seen: &Seen<'_>, verdict: &Verdict) -> Option<Finding> {
        let leaf = Certificate::from_der(seen.shown.chain.first()?).ok();
        if verdict.accepted {
            self.fragile(seen, verdict, leaf?)
        } else {
            Some(self.refused(seen, verdict, leaf.as_ref()))
        }
    }

    /// Accepted, but only because this very certificate was copied, though a CA issued it.
    fn fragile(&self, seen: &Seen<'_>, verdict: &Verdict, leaf: Certificate) -> Option<Finding> {
        let what = match verdict.anchor? {
            Anchor::Root => return None,
            // Copying it is the only way to trust a certificate that nobody else issued.
            Anchor::Leaf if leaf.self_issued => return None,
            Anchor::Leaf => "a copy of the server's own certificate",
            Anchor::Intermediate => "an intermediate CA without its root",
        };
        let file = verdict.decided_by.clone().unwrap_or_default();
        Some(
            Finding::notice(
                "fragile-trust",
                seen.endpoint.to_string(),
                format!("{} trusts it through {what}: this ends at the next renewal", self.name),
            )
            .evidence(Evidence::new("trusted through", what).at(file, None))
            .seen("issuer", &leaf.issuer)
            .remedy(
                format!("Put the root certificate of '{}' into {}.", leaf.issuer, self.target),
                Vec::<String>::new(),
            ),
        )
    }

    fn refused(&self, seen: &Seen<'_>, verdict: &Verdict, leaf: Option<&Certificate>) -> Finding {
        let code = verdict.faults.first().map_or("refused", |fault| stable(&fault.code));
        let unread = self.unread().filter(|_| code == "unknown-authority");
        let (code, why) = match &unread {
            Some((path, code, text)) => (stable(code), format!("{path} {text}")),
            None => (code, verdict.why.clone()),
        };
        let subject = seen.endpoint.to_string();
        let message = format!("{} refuses its certificate: {why}", self.name);
        let finding = Finding::new(Severity::Error, code, subject, message);
        let finding = match &verdict.error {
            Some(words) => finding.seen(format!("{} says", self.name), words),
            None => finding,
        };
        let finding = self.with_evidence(finding, seen, verdict, leaf);
        let mended = mend::remedy(self, seen, verdict, leaf, unread.as_ref());
        let finding = Finding { remedy: mended, ..finding }.follows(Cause::Clock);
        match leaf {
            Some(leaf) => finding.follows(Cause::Certificate(leaf.fingerprint.clone())),
            None => finding,
        }
    }

    fn with_evidence(
        &self,
        finding: Finding,
        seen: &Seen<'_>,
        verdict: &Verdict,
        leaf: Option<&Certificate>,
    ) -> Finding {
        let mut finding = match leaf {
            Some(leaf) => {
                finding.seen("certificate", summary(leaf)).seen("seen", &seen.shown.place)
            }
            None => finding.seen("seen", &seen.shown.place),
        };
        // Mending the first fault only uncovers the next: tell them all at once.
        for fault in verdict.faults.iter().skip(1) {
            finding = finding.seen("once that is mended", &fault.why);
        }
        for (path, file) in &self.files {
            let count = file.go.taken.len();
            let text = match count {
                0 => "no certificate that Go reads".to_owned(),
                1 => "1 certificate".to_owned(),
                many => format!("{many} certificates"),
            };
            finding =
                finding.evidence(Evidence::new("given to trust", text).at(path.as_str(), None));
        }
        finding
    }

    /// A file for this endpoint of which the client does not see everything: which, a stable code,
    /// and a sentence to follow its name.
    fn unread(&self) -> Option<(Utf8PathBuf, String, String)> {
        // A key beside the certificates, or a list of revoked ones, hides none of them.
        let harmless = ["private-key", "crl"];
        self.files.iter().find_map(|(path, file)| {
            let mut notes = file.go.notes.iter();
            let (code, text) = notes.find(|(code, _)| !harmless.contains(&code.as_str()))?;
            Some((path.clone(), code.clone(), text.clone()))
        })
    }
}

/// A certificate in one line.
fn summary(certificate: &Certificate) -> String {
    let names = if certificate.dns_names.is_empty() && certificate.ip_addresses.is_empty() {
        "no subjectAltName".to_owned()
    } else {
        let addresses = certificate.ip_addresses.iter().map(ToString::to_string);
        let names: Vec<_> = certificate.dns_names.iter().cloned().chain(addresses).collect();
        format!("for {}", names.join(", "))
    };
    let issuer = if certificate.self_issued {
        "self-signed".to_owned()
    } else {
        format!("issued by {}", certificate.issuer)
    };
    let end = match certificate.not_after {
        Some(end) => format!("valid until {}", end.strftime("%F")),
        None => "without a readable end".to_owned(),
    };
    format!("{}, {names}, {issuer}, {end}", certificate.subject)
}

/// The code as a name that lives as long as the program: the codes of `trust` are a closed list.
fn stable(code: &str) -> &'static str {
    const CODES: [&str; 39] = [
        "binary",
        "broken-block",
        "byte-order-mark",
        "chain-too-long",
        "common-name-only",
        "der",
        "empty",
        "expired",
        "explicit-curve",
        "glued-markers",
        "headers",
        "html",
        "incomplete-store",
        "indented",
        "invalid-policies",
        "issuer-not-a-ca",
        "malformed-date",
        "name-constraint",
        "name-mismatch",
        "no-certificate",
        "not-pem",
        "not-yet-valid",
        "nul-bytes",
        "path-length-exceeded",
        "pkcs7",
        "rejected-by-store",
        "request",
        "store-refused",
        "too-many-candidates",
        "trusted-label",
        "unknown-authority",
        "unknown-critical-extension",
        "unreadable-certificate",
        "unsupported-key",
        "unsupported-signature",
        "utf-16",
        "weak-key",
        "weak-signature",
        "wrong-signature",
    ];
    let known = CODES.iter().chain(&["wrong-purpose", "x509-label"]);
    known.copied().find(|known| *known == code).unwrap_or("refused")
}
