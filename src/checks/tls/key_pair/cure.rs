//! How to mend a file: commands with its real path, each tried on such a file.

use super::fault::Kind;
use super::usage::{Half, Program, Usage};
use crate::checks::Finding;
use crate::checks::shell::{convert, put_over, word};
use crate::parse::pem::{QuirkKind, Shape};

/// Adds the remedy for a fault.
pub(super) fn cure(finding: Finding, kind: &Kind, usage: &Usage, half: Half) -> Finding {
    if usage.is_written_by_package() {
        return rewritten(finding, kind);
    }
    let (advice, mut commands) = match kind {
        Kind::Shape(shape) => of_shape(shape, usage, half),
        Kind::Quirk(kind) => of_quirk(*kind, usage, half),
        Kind::Encrypted => encrypted(usage),
        Kind::OpenSsh => {
            let file = usage.word(half);
            let keep = format!("sudo cp -p {file} {file}.openssh");
            let convert = format!("sudo ssh-keygen -p -m PEM -N '' -f {file}");
            ("Convert the key to PEM.".to_owned(), vec![keep, convert])
        }
        Kind::Label { right } => relabel(right, usage, half),
        Kind::Algorithm { .. } => (
            "Have a certificate made for an RSA key of 2048 bits or more, or make one yourself."
                .to_owned(),
            vec![new_pair(usage)],
        ),
        Kind::Swapped | Kind::Holds(_) | Kind::PublicKey | Kind::Truncated | Kind::Damaged(_) => {
            copy_again(usage, half)
        }
    };
    commands.extend(usage.restart(half).map(ToOwned::to_owned));
    finding.remedy(advice, commands)
}

/// Whatever is done to a file that reconfigure writes, reconfigure undoes.
fn rewritten(finding: Finding, kind: &Kind) -> Finding {
    let write = ["sudo gitlab-ctl reconfigure", "sudo gitlab-ctl restart registry"];
    if matches!(kind, Kind::Algorithm { .. }) {
        return finding.remedy(
            "Put an RSA key and its certificate into registry['internal_key'] and \
             registry['internal_certificate'], from which reconfigure writes both files.",
            ["sudoedit /etc/gitlab/gitlab.rb"].into_iter().chain(write),
        );
    }
    finding.remedy("Let reconfigure write the file again, from gitlab-secrets.json.", write)
}

/// A self-signed pair at the paths in use, as the offline guide makes it, but with the name where
/// clients look for it. One command on several lines.
pub(super) fn new_pair(usage: &Usage) -> String {
    let (certificate, key) = (usage.word(Half::Certificate), usage.word(Half::Key));
    let (days, bits, name) = match usage.program() {
        // Only the key counts: the registry looks at neither name nor date.
        Program::Tokens => (3650, 4096, "-subj /CN=gitlab-issuer".to_owned()),
        Program::Nginx | Program::Registry => (365, 2048, named(usage)),
    };
    format!(
        "sudo openssl req -x509 -nodes -days {days} -newkey rsa:{bits} \\\n  {name} \\\n  \
         -keyout {key} \\\n  -out {certificate}"
    )
}

/// A self-signed certificate for the key in use, which stays as it is: another certificate may
/// have been asked for with it.
pub(super) fn new_certificate(usage: &Usage) -> String {
    let (certificate, key) = (usage.word(Half::Certificate), usage.word(Half::Key));
    let (days, name) = match usage.program() {
        Program::Tokens => (3650, "-subj /CN=gitlab-issuer".to_owned()),
        Program::Nginx | Program::Registry => (365, named(usage)),
    };
    format!("sudo openssl req -x509 -days {days} -key {key} \\\n  {name} \\\n  -out {certificate}")
}

fn named(usage: &Usage) -> String {
    let hosts = hosts(usage);
    let subject = hosts.first().map_or("HOST", String::as_str);
    let names: Vec<_> = hosts.iter().map(|host| alternative_name(host)).collect();
    format!(
        "-subj {} \\\n  -addext {}",
        word(&format!("/CN={subject}")),
        word(&format!("subjectAltName={}", names.join(",")))
    )
}

/// The names that a certificate for this usage needs.
fn hosts(usage: &Usage) -> Vec<String> {
    if usage.hosts.is_empty() {
        let stem = usage.path(Half::Certificate).file_stem();
        return stem.map(ToOwned::to_owned).into_iter().collect();
    }
    usage.hosts.clone()
}

fn alternative_name(host: &str) -> String {
    let kind = if host.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
    format!("{kind}:{host}")
}

fn edit(file: &str, script: &str) -> Vec<String> {
    vec![format!("sudo sed -i '{script}' {file}")]
}

fn of_shape(shape: &Shape, usage: &Usage, half: Half) -> (String, Vec<String>) {
    let file = &usage.word(half);
    let to_pem =
        |command: &str| ("Convert the file to PEM.".to_owned(), vec![convert(file, command)]);
    match (shape, half) {
        (Shape::DerCertificate { .. }, Half::Certificate) => {
            to_pem(&format!("openssl x509 -inform DER -in {file} -out"))
        }
        (Shape::DerKey { .. } | Shape::DerEncryptedKey, Half::Key) => {
            to_pem(&format!("openssl pkey -inform DER -in {file} -out"))
        }
        (Shape::Pkcs12, Half::Certificate) => {
            to_pem(&format!("openssl pkcs12 -in {file} -nokeys -out"))
        }
        (Shape::Pkcs12, Half::Key) => {
            to_pem(&format!("openssl pkcs12 -in {file} -nocerts -nodes -out"))
        }
        (Shape::Pkcs7, Half::Certificate) => {
            to_pem(&format!("openssl pkcs7 -inform DER -in {file} -print_certs -out"))
        }
        (Shape::Utf16, _) => {
            let advice = "Convert the text to ASCII.".to_owned();
            let convert = convert(file, &format!("iconv -f UTF-16 -t US-ASCII {file} -o"));
            (advice, vec![private_file(file), convert])
        }
        (Shape::Base64OfPem, _) => {
            let advice = "Decode the file, which was encoded once too often.".to_owned();
            let decode = format!("sudo base64 -d {file} | sudo tee {file}.new > /dev/null");
            (advice, vec![private_file(file), decode, put_over(file)])
        }
        (Shape::LiteralNewlines, _) => {
            ("Turn the two characters \\n into line ends.".to_owned(), edit(file, r"s/\\n/\n/g"))
        }
        _ => copy_again(usage, half),
    }
}

/// A file that nobody else can read, before a key is written to it.
fn private_file(file: &str) -> String {
    format!("sudo install -m 600 /dev/null {file}.new")
}

fn of_quirk(kind: QuirkKind, usage: &Usage, half: Half) -> (String, Vec<String>) {
    let file = &usage.word(half);
    let (advice, script) = match kind {
        QuirkKind::Bom => ("Take off the byte order mark.", r"1s/^\xEF\xBB\xBF//"),
        QuirkKind::CrOnly => ("Turn the carriage returns into line feeds.", r"s/\r/\n/g"),
        QuirkKind::Indented => ("Take off the blanks before the lines.", "s/^[[:blank:]]*//"),
        QuirkKind::GluedMarkers => {
            ("Begin a line between the two blocks.", r"s/----------BEGIN/-----\n-----BEGIN/")
        }
        QuirkKind::BlankLine => ("Take out the empty lines.", "/^[[:space:]]*$/d"),
        _ => return copy_again(usage, half),
    };
    (advice.to_owned(), edit(file, script))
}

fn copy_again(usage: &Usage, half: Half) -> (String, Vec<String>) {
    let file = usage.word(half);
    match half {
        Half::Certificate => (
            "Copy the certificate here again, in PEM, from where it was issued; then look at it."
                .to_owned(),
            vec![format!("openssl x509 -noout -subject -dates -in {file}")],
        ),
        Half::Key => (
            "Copy the private key here again, in PEM, from where it was made; then look whether \
             it can be read."
                .to_owned(),
            vec![format!("sudo openssl pkey -noout -in {file} && echo readable")],
        ),
    }
}

/// Exchanges two files, each of which holds what the other should.
pub(super) fn exchange(finding: Finding, usage: &Usage) -> Finding {
    let (certificate, key) = (usage.word(Half::Certificate), usage.word(Half::Key));
    let commands = [
        format!("sudo mv {certificate} {certificate}.swapped"),
        format!("sudo mv {key} {certificate}"),
        format!("sudo mv {certificate}.swapped {key}"),
        format!("sudo chmod 644 {certificate}"),
        format!("sudo chmod 600 {key}"),
    ];
    let restart = usage.restart(Half::Certificate).map(ToOwned::to_owned);
    finding.remedy("Exchange the two files.", commands.into_iter().chain(restart))
}

fn encrypted(usage: &Usage) -> (String, Vec<String>) {
    let file = &usage.word(Half::Key);
    let take_off = vec![convert(file, &format!("openssl pkey -in {file} -out"))];
    if usage.program() != Program::Nginx {
        return ("Take the passphrase off the key.".to_owned(), take_off);
    }
    let advice = format!(
        "Take the passphrase off the key, or write it into a file that root alone can read and \
         name that file in {}.",
        usage.password_settings()
    );
    (advice, take_off)
}

fn relabel(right: &str, usage: &Usage, half: Half) -> (String, Vec<String>) {
    let word = match half {
        Half::Certificate => "CERTIFICATE",
        Half::Key => "PRIVATE KEY",
    };
    let script = format!(r"s/-----\(BEGIN\|END\) .*{word}-----/-----\1 {right}-----/");
    // A certificate with trust settings is another document, which only openssl takes apart.
    if half == Half::Certificate {
        let file = usage.word(half);
        let command = format!("openssl x509 -in {file} -out");
        return ("Write the certificate as others do.".to_owned(), vec![convert(&file, &command)]);
    }
    (format!("Label the block as '{right}'."), edit(&usage.word(half), &script))
}
