//! From a client's verdict to a finding: what the checks of single clients share.

use camino::{Utf8Path, Utf8PathBuf};

use super::client::{GoClient, Lack, Seen, Target, is_about_authority};
use super::mend::Refusal;
use super::shown::{Shown, source};
use crate::checks::shell::word;
use crate::checks::{Cause, Evidence, Finding, Remedy, Severity, Stop};
use crate::host::Host;
use crate::host::files::TrustFile;
use crate::host::system::Now;
use crate::install::Endpoint;
use crate::install::authorities::{self, Found};
use crate::parse::certificate::Certificate;
use crate::trust::{Anchor, Verdict};

/// What a client makes of a chain, and what there is to say of it: a refusal, or an acceptance
/// that will not last.
pub(super) async fn examine(
    host: &Host,
    client: &GoClient<'_>,
    endpoint: &Endpoint,
    shown: &Shown,
) -> Result<(Verdict, Option<Finding>), Stop> {
    let source = source(host, endpoint).await?;
    let now = host.ask(Now).await?;
    let seen = Seen { endpoint, shown, source: source.as_ref(), now };
    let verdict = client.judge(&seen);
    if verdict.anchor == Some(Anchor::Root)
        || (verdict.accepted && client.accepts_through_root(&seen))
    {
        return Ok((verdict, None));
    }
    // What gldoctor may not read, the client may: nobody can say that it does not know the issuer.
    let unread = client.system.and_then(|system| system.unread.first());
    if let Some((_, why)) = unread.filter(|_| is_about_authority(&verdict)) {
        return Err(why.clone().into());
    }
    let nearby = authorities::everywhere(host).await;
    let leaf = shown.chain.first().and_then(|der| Certificate::from_der(der).ok());
    let told = Told { client, seen: &seen, verdict: &verdict, leaf: leaf.as_ref() };
    let finding = told.finding(&nearby).map(|finding| shown.on_way_to(endpoint, finding));
    Ok((verdict, finding))
}

/// Private keys that lie among the certificates that a client is given.
pub(super) fn stray_keys(files: &[(Utf8PathBuf, TrustFile)]) -> Vec<Finding> {
    let with_key = files.iter().filter(|(_, file)| file.private_key);
    let finding = |path: &Utf8PathBuf| {
        let file = word(path.as_str());
        Finding::warning(
            "private-key-beside-ca",
            path.as_str(),
            "it holds a private key, though only certificates are read from it",
        )
        .remedy(
            "Whoever could read the file may have the key: take it out, and replace the key and \
             its certificate.",
            [format!("sudo sed -i '/-----BEGIN .*PRIVATE KEY-----/,/-----END .*PRIVATE KEY-----/d' {file}")],
        )
    };
    with_key.map(|(path, _)| finding(path)).collect()
}

struct Told<'a> {
    client: &'a GoClient<'a>,
    seen: &'a Seen<'a>,
    verdict: &'a Verdict,
    leaf: Option<&'a Certificate>,
}

impl Told<'_> {
    fn finding(&self, nearby: &[Found]) -> Option<Finding> {
        if self.verdict.accepted {
            self.fragile(nearby)
        } else {
            Some(self.refused(&self.client.lack(self.seen, nearby)))
        }
    }

    /// Accepted, but only because this very certificate was copied, or an intermediate one.
    fn fragile(&self, nearby: &[Found]) -> Option<Finding> {
        let leaf = self.leaf?;
        let lack = self.client.lack(self.seen, nearby);
        let (what, ends) = match self.verdict.anchor? {
            Anchor::Root => return None,
            Anchor::Intermediate if matches!(lack, Lack::NotSent(_)) => (
                "a copy of the intermediate CA that the server does not send",
                "when that CA gets a new certificate",
            ),
            // Copying it is the only way to trust a certificate that nobody else issued.
            Anchor::Leaf if leaf.self_issued => return None,
            Anchor::Leaf => ("a copy of the server's own certificate", "at its next renewal"),
            Anchor::Intermediate => {
                ("an intermediate CA without its root", "when that CA gets a new certificate")
            }
        };
        let file = self.verdict.decided_by.clone().unwrap_or_default();
        let refusal = Refusal {
            client: self.client,
            seen: self.seen,
            verdict: self.verdict,
            leaf: Some(leaf),
            lack: &lack,
        };
        Some(
            Finding::notice(
                "fragile-trust",
                self.seen.endpoint.to_string(),
                format!("{} trusts it only through {what}, which ends {ends}", self.client.name),
            )
            .evidence(Evidence::new("trusted through", what).at(file, None))
            .seen("certificate", summary(leaf))
            .with(refusal.lasting()),
        )
    }

    fn refused(&self, lack: &Lack) -> Finding {
        let name = self.client.name;
        let first = self.verdict.faults.first();
        let about_authority = is_about_authority(self.verdict);
        let unread = match lack {
            Lack::Unread(unread) => Some(unread.clone()),
            _ => self.client.useless(self.seen),
        };
        let (code, why) = match &unread {
            Some(unread) if about_authority => {
                (unread.code.as_str(), format!("{} {}", unread.path, unread.text))
            }
            _ if about_authority => {
                ("unknown-authority", unknown(self.leaf, self.seen.shown, self.verdict))
            }
            _ => (first.map_or("refused", |it| it.code.as_str()), self.verdict.why.clone()),
        };
        let code = stable(code);
        let subject = self.seen.endpoint.to_string();
        let message = format!("{name} refuses its certificate: {why}");
        let mut finding = Finding::new(Severity::Error, code, subject, message);
        if let Some(words) = &self.verdict.error {
            finding = finding.seen(format!("{name} says"), words);
        }
        let mut finding = self.with_evidence(finding);
        let lying =
            |what: &str, path: &Utf8Path| Evidence::new("not used", what).at(path.as_str(), None);
        match lack {
            Lack::Elsewhere(path) => {
                finding = finding.evidence(lying("the certificate that it needs", path));
            }
            Lack::NotSent(them) => {
                finding = finding.evidence(lying("the intermediate certificate", &them.path));
            }
            Lack::Unread(_) | Lack::SentAlong(_) | Lack::Nowhere => {}
        }
        let refusal = Refusal {
            client: self.client,
            seen: self.seen,
            verdict: self.verdict,
            leaf: self.leaf,
            lack,
        };
        let finding = self.caused(finding, first.map_or("", |it| it.code.as_str()));
        finding.with(refusal.remedy())
    }

    /// What explains a refusal: a certificate that is bad for everybody, or this host's clock.
    fn caused(&self, finding: Finding, code: &str) -> Finding {
        let dated = matches!(code, "expired" | "not-yet-valid");
        let finding = if dated {
            finding.seen("judged at", self.seen.now).follows(Cause::Clock)
        } else {
            finding
        };
        match self.leaf {
            Some(leaf) => follow(finding, leaf, dated),
            None => finding,
        }
    }

    fn with_evidence(&self, finding: Finding) -> Finding {
        let mut finding = match self.leaf {
            Some(leaf) => {
                finding.seen("certificate", summary(leaf)).seen("seen", &self.seen.shown.place)
            }
            None => finding.seen("seen", &self.seen.shown.place),
        };
        // Mending the first fault only uncovers the next: tell them all at once.
        for fault in self.verdict.faults.iter().skip(1) {
            finding = finding.seen("once that is mended", &fault.why);
        }
        for (path, file) in &self.client.files {
            let place = Evidence::new("given to trust", contents(file)).at(path.as_str(), None);
            finding = finding.evidence(place);
        }
        let variables = self.client.system.into_iter().flat_map(|system| &system.variables);
        for variable in variables {
            let what = format!("{} in place of the system's", variable.name);
            let place = Evidence::new(what, &variable.value);
            finding = finding.evidence(place.at(variable.path.as_str(), variable.line));
        }
        if let (Target::Folder(folder), true) = (&self.client.target, self.client.files.is_empty())
        {
            let nothing = Evidence::new("given to trust", "no file that ends in .crt");
            finding = finding.evidence(nothing.at(folder.as_str(), None));
        }
        finding
    }
}

/// What may explain the refusal of a certificate: what it is like itself; and if dates are what it
/// is about, also those of a CA that only a client has.
pub(super) fn follow(finding: Finding, leaf: &Certificate, dated: bool) -> Finding {
    let finding = finding.follows(Cause::Certificate(leaf.fingerprint.clone()));
    if dated { finding.follows(Cause::Authority(leaf.fingerprint.clone())) } else { finding }
}

impl Finding {
    fn with(self, remedy: Remedy) -> Self {
        Self { remedy, ..self }
    }
}

/// Which certificate has no issuer, in words.
pub(super) fn unknown(leaf: Option<&Certificate>, shown: &Shown, verdict: &Verdict) -> String {
    match leaf {
        Some(leaf) if leaf.self_issued && shown.chain.len() == 1 => {
            "it is self-signed, and no copy of it is trusted".to_owned()
        }
        // A trusted CA of that name that did not, or may not, sign it is another matter.
        Some(leaf) if shown.chain.len() == 1 && lacks_issuer(verdict) => format!(
            "it comes from '{}', whose certificate is neither sent along nor trusted",
            leaf.issuer
        ),
        _ => verdict.why.clone(),
    }
}

/// Whether no certificate at all goes by the name of an issuer that is wanted.
fn lacks_issuer(verdict: &Verdict) -> bool {
    let codes = ["unknown-authority", "incomplete-store"];
    verdict.faults.first().is_none_or(|fault| codes.contains(&fault.code.as_str()))
}

/// What Go takes from a file, in a few words.
pub(super) fn contents(file: &TrustFile) -> String {
    const SHOWN: usize = 3;
    let certificates = file.for_go();
    let subjects = certificates.iter().filter_map(|der| Certificate::from_der(der).ok());
    let names: Vec<_> = subjects.take(SHOWN).map(|it| it.subject).collect();
    match certificates.len() {
        0 => "nothing that Go reads".to_owned(),
        count if count > SHOWN => format!("{} and {} more", names.join("; "), count - SHOWN),
        _ => names.join("; "),
    }
}

/// A certificate in one line.
pub(super) fn summary(certificate: &Certificate) -> String {
    let addresses = certificate.ip_addresses.iter().map(ToString::to_string);
    let names: Vec<_> = certificate.dns_names.iter().cloned().chain(addresses).collect();
    let names = match names.as_slice() {
        [] => "no subjectAltName".to_owned(),
        names => format!("for {}", names.join(", ")),
    };
    let issuer = if certificate.self_issued {
        "self-signed".to_owned()
    } else {
        format!("issued by {}", certificate.issuer)
    };
    let date = |date: Option<jiff::Timestamp>| match date {
        Some(date) => date.strftime("%F").to_string(),
        None => "an unreadable date".to_owned(),
    };
    let (from, until) = (date(certificate.not_before), date(certificate.not_after));
    format!("{}, {names}, {issuer}, valid from {from} to {until}", certificate.subject)
}

/// The code as a name that lives as long as the program: the codes of `trust` are a closed list.
pub(super) fn stable(code: &str) -> &'static str {
    const CODES: [&str; 41] = [
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
        "wrong-purpose",
        "wrong-signature",
        "x509-label",
    ];
    CODES.iter().copied().find(|known| *known == code).unwrap_or("refused")
}

/// A client that does not know a CA at all is not helped by a new copy for another client.
#[test]
fn only_what_is_about_dates_comes_from_an_old_copy_of_a_ca() {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    let leaf = Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap();
    let causes = |dated| follow(Finding::error("x", "x", "x"), &leaf, dated).follows;
    let (own, of_ca) =
        (Cause::Certificate(leaf.fingerprint.clone()), Cause::Authority(leaf.fingerprint.clone()));
    assert_eq!(causes(true), [own, of_ca.clone()]);
    assert!(!causes(false).contains(&of_ca));
}
