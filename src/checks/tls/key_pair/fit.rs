//! Whether the key is the one of the certificate. Both files are readable here.

use super::nearby::Nearby;
use super::reader::{Certificate, Certificates, Keys, Reader};
use super::usage::{Half, Program, Usage, docs_of};
use crate::checks::shell::word;
use crate::checks::{Cause, Finding, docs};
use crate::host::files::File;
use crate::parse::key::{Algorithm, PublicKey};
use crate::parse::pem::PemFile;

/// What comparing a key with certificates comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is the key of the certificate that the program takes.
    Fits,
    /// It is the key of the certificate with this number in the file.
    FitsLater(usize),
    /// It is the key of none of them.
    Differs,
    /// The file with the key does not hold its public half.
    Untold,
}

/// Compares as the program does: a server takes the first certificate, the registry any of those
/// that it trusts.
pub(super) fn fit(usage: &Usage, certificates: &Certificates, keys: &Keys<'_>) -> Fit {
    let Some(public) = &keys.first.public else { return Fit::Untold };
    match position(&certificates.found, public) {
        Some(0) => Fit::Fits,
        Some(_) if usage.program() == Program::Tokens => Fit::Fits,
        Some(number) => Fit::FitsLater(number),
        None => Fit::Differs,
    }
}

/// Whether both files can be read and do not belong together.
pub(super) fn differs(
    usage: &Usage,
    certificate: Option<&File<PemFile>>,
    key: Option<&File<PemFile>>,
) -> bool {
    let (Some(certificate), Some(key)) =
        (certificate.and_then(File::read), key.and_then(File::read))
    else {
        return false;
    };
    let certificates = Reader::of(usage, Half::Certificate).certificates(certificate);
    match (certificates, Reader::of(usage, Half::Key).key(key)) {
        (Ok(certificates), Ok(keys)) => fit(usage, &certificates, &keys) == Fit::Differs,
        _ => false,
    }
}

fn position(certificates: &[Certificate], public: &PublicKey) -> Option<usize> {
    certificates.iter().position(|it| it.public.is_same_key_as(public))
}

/// What is wrong with two readable files, if anything is.
pub(super) fn judge(
    usage: &Usage,
    certificates: &Certificates,
    keys: &Keys<'_>,
    nearby: &Nearby,
) -> Option<Finding> {
    match fit(usage, certificates, keys) {
        Fit::Fits if keys.others.is_empty() => None,
        Fit::Fits => Some(several_keys(usage, keys)),
        Fit::FitsLater(number) => Some(wrong_order(usage, certificates, number)),
        Fit::Untold => None,
        Fit::Differs => {
            let first = certificates.found.first()?;
            let public = keys.first.public.as_ref()?;
            Some(if belongs_to_other_key(certificates, keys) {
                wrong_key_first(usage, first, public)
            } else if usage.program() == Program::Tokens {
                untrusted(usage, certificates, public)
            } else {
                mismatch(usage, first, public, nearby)
            })
        }
    }
}

fn belongs_to_other_key(certificates: &Certificates, keys: &Keys<'_>) -> bool {
    let others = keys.others.iter().filter_map(|key| key.public.as_ref());
    others.into_iter().any(|public| position(&certificates.found, public).is_some())
}

fn mismatch(
    usage: &Usage,
    certificate: &Certificate,
    public: &PublicKey,
    nearby: &Nearby,
) -> Finding {
    let file = usage.path(Half::Key).as_str();
    let of_one_kind = kind(&certificate.public.algorithm) == kind(&public.algorithm);
    // nginx holds a certificate for each kind of key, so it misses nothing before a client comes.
    let message = if of_one_kind || usage.program() != Program::Nginx {
        format!("this is not the key of the certificate: {}", usage.consequence(Half::Key))
    } else {
        format!(
            "this is not the key of the certificate, not even of its kind ({}, not {}): nginx \
             starts, but every TLS handshake fails",
            public.algorithm, certificate.public.algorithm
        )
    };
    let finding = usage.describe(Finding::error("key-mismatch", file, message));
    let finding = compared(finding, usage, certificate, public);
    let finding = match (usage.program(), of_one_kind) {
        (Program::Nginx, true) => finding.seen("nginx says", "key values mismatch"),
        (Program::Nginx, false) => finding.seen("clients see", "alert handshake failure"),
        (_, true) => {
            finding.seen("the registry says", "tls: private key does not match public key")
        }
        (_, false) => finding
            .seen("the registry says", "tls: private key type does not match public key type"),
    };
    exchange(finding, usage, certificate, public, nearby).docs(docs_of(usage))
}

/// Says which file to put where, if one lies nearby.
fn exchange(
    finding: Finding,
    usage: &Usage,
    certificate: &Certificate,
    public: &PublicKey,
    nearby: &Nearby,
) -> Finding {
    let found = match (nearby.key_of(&certificate.public), nearby.certificate_of(public)) {
        (Some(key), _) => Some((Half::Key, "the certificate's key", key)),
        (None, Some(certificate)) => {
            Some((Half::Certificate, "a certificate of the key", certificate))
        }
        (None, None) => None,
    };
    let mut commands = comparison(usage, &certificate.public, public);
    let Some((half, what, path)) = found else {
        commands.extend(usage.restart(Half::Key).map(ToOwned::to_owned));
        return finding.remedy(
            "Put the key here that the certificate was made for, or have a certificate made for \
             this key. The first two commands print the same when they fit.",
            commands,
        );
    };
    commands.push(format!("sudo cp -p {} {}", word(path.as_str()), usage.word(half)));
    commands.extend(usage.restart(half).map(ToOwned::to_owned));
    finding.seen(what, path).remedy(
        "Put the file that fits into place. The first two commands compare what is there now.",
        commands,
    )
}

/// Both public halves, in the form that [`comparison`] prints.
fn compared(
    finding: Finding,
    usage: &Usage,
    certificate: &Certificate,
    key: &PublicKey,
) -> Finding {
    let finding = match certificate.subject.as_str() {
        "" => finding,
        subject => finding.seen("certificate's subject", subject),
    };
    let certificate = &certificate.public;
    let what = |half| match (half, both_rsa(certificate, key), usage.program()) {
        (Half::Certificate, true, Program::Tokens) => "modulus in the first certificate, SHA-256",
        (Half::Certificate, true, _) => "modulus in the certificate, SHA-256",
        (Half::Key, true, _) => "modulus in the key, SHA-256",
        (Half::Certificate, false, _) => "public key in the certificate, SHA-256",
        (Half::Key, false, _) => "public half of the key, SHA-256",
    };
    finding
        .seen(what(Half::Certificate), hash(certificate, both_rsa(certificate, key)))
        .seen(what(Half::Key), hash(key, both_rsa(certificate, key)))
}

fn hash(public: &PublicKey, modulus: bool) -> &str {
    public.modulus_sha256.as_deref().filter(|_| modulus).unwrap_or(&public.spki_sha256)
}

fn both_rsa(one: &PublicKey, other: &PublicKey) -> bool {
    [one, other].iter().all(|public| matches!(public.algorithm, Algorithm::Rsa { .. }))
}

/// The two commands whose output is the same if the files fit. The documentation's own compare
/// moduli, which RSA alone has.
fn comparison(usage: &Usage, certificate: &PublicKey, key: &PublicKey) -> Vec<String> {
    let (crt, pem) = (usage.word(Half::Certificate), usage.word(Half::Key));
    if both_rsa(certificate, key) {
        vec![
            format!("openssl x509 -noout -modulus -in {crt} | openssl sha256"),
            format!("sudo openssl rsa -noout -modulus -in {pem} | openssl sha256"),
        ]
    } else {
        vec![
            format!(
                "openssl x509 -noout -pubkey -in {crt} | openssl pkey -pubin -outform DER \
                 | openssl sha256"
            ),
            format!("sudo openssl pkey -in {pem} -pubout -outform DER | openssl sha256"),
        ]
    }
}

/// The kinds of keys that OpenSSL keeps apart.
fn kind(algorithm: &Algorithm) -> u8 {
    match algorithm {
        Algorithm::Rsa { .. } => 0,
        Algorithm::RsaPss { .. } => 1,
        Algorithm::Ec { .. } => 2,
        Algorithm::Ed25519 => 3,
        Algorithm::Ed448 => 4,
        Algorithm::Dsa => 5,
        Algorithm::Other(_) => 6,
    }
}

fn wrong_order(usage: &Usage, certificates: &Certificates, number: usize) -> Finding {
    let file = usage.path(Half::Certificate).as_str();
    let word = usage.word(Half::Certificate);
    let lines = certificates.found.get(number).map(|it| (it.first_line, it.last_line));
    let (first, last) = lines.unwrap_or((1, 1));
    let message = format!(
        "the key belongs to the certificate at line {first}, but a server takes the first one in \
         the file: {}",
        usage.consequence(Half::Certificate)
    );
    let finding = usage.describe(Finding::error("leaf-not-first", file, message));
    let finding = match usage.program() {
        Program::Nginx => finding.seen("nginx says", "key values mismatch"),
        _ => finding.seen("the registry says", "tls: private key does not match public key"),
    };
    let taken = certificates.found.first().map(|it| Cause::Order(it.fingerprint.clone()));
    let finding = taken.into_iter().fold(finding, Finding::explains);
    let commands = [format!(
        "sudo sed -n '{first},{last}p' {word} | sudo tee {word}.sorted > /dev/null \\\n  \
         && sudo sed '{first},{last}d' {word} | sudo tee -a {word}.sorted > /dev/null \\\n  \
         && sudo cp {word}.sorted {word}"
    )];
    finding
        .remedy(
            "Put the server's own certificate first, then the intermediate ones.",
            commands.into_iter().chain(usage.restart(Half::Certificate).map(ToOwned::to_owned)),
        )
        .docs(docs_of(usage))
}

fn wrong_key_first(usage: &Usage, certificate: &Certificate, public: &PublicKey) -> Finding {
    let message = format!(
        "the file holds several keys, and the certificate's is not the first: {}",
        usage.consequence(Half::Key)
    );
    let finding =
        usage.describe(Finding::error("key-mismatch", usage.path(Half::Key).as_str(), message));
    compared(finding, usage, certificate, public)
        .remedy(
            "Leave only the key of the certificate in the file.",
            [format!("sudoedit {}", usage.word(Half::Key))]
                .into_iter()
                .chain(usage.restart(Half::Key).map(ToOwned::to_owned)),
        )
        .docs(docs_of(usage))
}

fn several_keys(usage: &Usage, keys: &Keys<'_>) -> Finding {
    let message =
        format!("the file holds {} keys; only the first one is used", keys.others.len() + 1);
    let file = usage.path(Half::Key).as_str();
    usage
        .describe(Finding::notice("several-keys", file, message))
        .remedy(
            "Keep keys that are out of use somewhere else.",
            [format!("sudoedit {}", usage.word(Half::Key))],
        )
        .docs(docs_of(usage))
}

/// GitLab signs with a key for which the registry has no certificate.
fn untrusted(usage: &Usage, certificates: &Certificates, public: &PublicKey) -> Finding {
    let message = "GitLab signs tokens with a key that the registry does not trust, so every \
                   docker login, push and pull fails";
    let finding = Finding::error("key-mismatch", usage.path(Half::Key).as_str(), message);
    let mut finding = usage.describe(finding).seen("ID of the signing key", &public.key_id);
    for certificate in &certificates.found {
        finding = finding.seen("ID of a trusted key", &certificate.public.key_id);
    }
    let Some(first) = certificates.found.first() else { return finding };
    let finding = compared(finding, usage, first, public);
    let compare = comparison(usage, &first.public, public);
    let finding = if usage.is_written_by_package() {
        let write = ["sudo gitlab-ctl reconfigure", "sudo gitlab-ctl restart registry"];
        finding.remedy(
            "Let reconfigure write both files again, from gitlab-secrets.json. If they still \
             differ, internal_key and internal_certificate there do not belong together.",
            compare.into_iter().chain(write.map(ToOwned::to_owned)),
        )
    } else {
        // Appending keeps the certificates of other GitLab nodes and of keys on their way out.
        let append = format!(
            "sudo openssl req -x509 -days 3650 -subj /CN=gitlab-issuer -key {} | sudo tee -a {} \
             > /dev/null",
            usage.word(Half::Key),
            usage.word(Half::Certificate)
        );
        finding.remedy(
            "Add a certificate of GitLab's key to those that the registry trusts.",
            compare
                .into_iter()
                .chain([append])
                .chain(usage.restart(Half::Certificate).map(ToOwned::to_owned)),
        )
    };
    finding.docs(docs::REGISTRY_TROUBLE)
}
