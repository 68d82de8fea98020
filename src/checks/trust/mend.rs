//! How a refused certificate is mended: commands with this host's paths, names and ports.

use camino::{Utf8Path, Utf8PathBuf};

use super::verdicts::{GoClient, Seen};
use crate::checks::Remedy;
use crate::checks::shell::word;
use crate::install::Endpoint;
use crate::parse::certificate::Certificate;
use crate::trust::Verdict;

/// A file of which the client does not see everything: which, a stable code, and why.
pub(super) type Unread = (Utf8PathBuf, String, String);

/// What to do about a refusal.
pub(super) fn remedy(
    client: &GoClient<'_>,
    seen: &Seen<'_>,
    verdict: &Verdict,
    leaf: Option<&Certificate>,
    unread: Option<&Unread>,
) -> Remedy {
    if let Some((path, code, _)) = unread {
        return rewrite(path, code).unwrap_or_else(|| trust(client, seen, leaf));
    }
    let code = verdict.faults.first().map_or("", |fault| fault.code.as_str());
    match (code, leaf) {
        ("unknown-authority", _) => trust(client, seen, leaf),
        (_, Some(leaf)) if leaf.self_issued => renew_self_signed(client, seen),
        ("expired" | "not-yet-valid", _) => advice(format!(
            "Get a new certificate for {} from the CA, with its chain; first make sure that this \
             host's clock is right.",
            seen.endpoint.host
        )),
        _ => advice(format!(
            "Let the CA issue a certificate with subjectAltName {}, for a server (serverAuth), \
             with an RSA key of 2048 bits or more or an EC key, and signed with SHA-256.",
            alternative_name(seen.endpoint)
        )),
    }
}

fn advice(text: String) -> Remedy {
    Remedy { advice: text, commands: Vec::new() }
}

/// `DNS:host` or `IP:address`.
fn alternative_name(endpoint: &Endpoint) -> String {
    let kind = if endpoint.is_address() { "IP" } else { "DNS" };
    format!("{kind}:{}", endpoint.host)
}

/// Gives the client what it lacks: the certificate itself if it is self-signed, else its CA.
fn trust(client: &GoClient<'_>, seen: &Seen<'_>, leaf: Option<&Certificate>) -> Remedy {
    let target = &client.target;
    let folder = target.parent().unwrap_or(Utf8Path::new("/"));
    let mkdir = format!("sudo mkdir -p {}", word(folder.as_str()));
    let to = word(target.as_str());
    match leaf {
        Some(leaf) if leaf.self_issued => {
            let copy = match &seen.source {
                Some(source) => format!("sudo cp {} {to}", word(source.as_str())),
                None => format!(
                    "openssl s_client -connect {} -servername {} </dev/null 2>/dev/null \
                     | openssl x509 | sudo tee {to} >/dev/null",
                    seen.endpoint.socket(),
                    seen.endpoint.host
                ),
            };
            let advice = format!(
                "Give {} the certificate, and compare its fingerprint with the server's: sha256 {}.",
                client.name, leaf.fingerprint
            );
            Remedy { advice, commands: vec![mkdir, copy] }
        }
        Some(leaf) => {
            let mut advice =
                format!("Put the root certificate of the CA '{}' into {target}.", leaf.issuer);
            if seen.shown.chain.len() == 1 {
                advice.push_str(
                    " The server sends no intermediate certificate: if the CA has one, append it \
                     to the server's certificate file and run gitlab-ctl hup nginx.",
                );
            }
            Remedy { advice, commands: vec![mkdir] }
        }
        None => advice(format!("Put the certificate of the server's CA into {target}.")),
    }
}

/// The guide's command with the subjectAltName that it lacks, and the copies that follow from it.
fn renew_self_signed(client: &GoClient<'_>, seen: &Seen<'_>) -> Remedy {
    let host = &seen.endpoint.host;
    let certificate = match &seen.source {
        Some(source) => source.clone(),
        None => Utf8PathBuf::from(format!("/etc/gitlab/ssl/{host}.crt")),
    };
    let key = certificate.with_extension("key");
    let make = format!(
        "sudo openssl req -x509 -nodes -days 365 -newkey rsa:2048 -subj {} -addext {} -keyout {} \
         -out {}",
        word(&format!("/CN={host}")),
        word(&format!("subjectAltName={}", alternative_name(seen.endpoint))),
        word(key.as_str()),
        word(certificate.as_str())
    );
    let mut commands = vec![make, "sudo gitlab-ctl hup nginx".to_owned()];
    if seen.source.is_some() {
        commands.push(format!(
            "sudo cp {} {}",
            word(certificate.as_str()),
            word(client.target.as_str())
        ));
    }
    let advice = format!(
        "Make a new certificate with subjectAltName {} on GitLab's host, or let your own CA issue \
         one; then replace every copy of the old one.",
        alternative_name(seen.endpoint)
    );
    Remedy { advice, commands }
}

/// Mends a file that is there but unreadable for Go, where a command can.
fn rewrite(path: &Utf8Path, code: &str) -> Option<Remedy> {
    let file = word(path.as_str());
    let (advice, command) = match code {
        "byte-order-mark" => (
            "Take the byte order mark away.",
            format!("sudo sed -i '1s/^\\xEF\\xBB\\xBF//' {file}"),
        ),
        "der" => (
            "Convert the file from DER to PEM.",
            format!("sudo openssl x509 -inform DER -in {file} -out {file}"),
        ),
        "trusted-label" | "x509-label" => (
            "Write the certificate with the plain label.",
            format!("sudo openssl x509 -in {file} -out {file}"),
        ),
        "indented" => (
            "Take the blanks before the lines away.",
            format!("sudo sed -i 's/^[[:blank:]]*//' {file}"),
        ),
        "glued-markers" => (
            "Break the line between the two certificates.",
            format!("sudo sed -i 's/-----END CERTIFICATE-----/&\\n/g' {file}"),
        ),
        "utf-16" => (
            "Convert the file from UTF-16.",
            format!(
                "iconv -f UTF-16 -t ASCII {file} | sudo tee {file}.new >/dev/null && sudo mv {file}.new {file}"
            ),
        ),
        "pkcs7" => (
            "Take the certificates out of the PKCS#7 bundle.",
            format!("sudo openssl pkcs7 -print_certs -in {file} -out {file}"),
        ),
        _ => return None,
    };
    Some(Remedy { advice: advice.to_owned(), commands: vec![command] })
}
