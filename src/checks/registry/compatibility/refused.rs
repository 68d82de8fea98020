//! Settings for which the registry does not start.

use super::super::startup::Configured;
use crate::checks::Finding;
use crate::parse::registry_yml::RegistryYml;
use crate::parse::setting::{Located, Scalar, Setting};

/// The version of the file's format; there has never been another.
const VERSION: &str = "0.1";

/// Settings that other checks are about.
const OWNED_BY_OTHERS: [&str; 4] =
    ["storage.delete", "storage.maintenance", "notifications", "auth.token"];

/// Everything that stops the registry, as far as this check is about it.
pub(super) fn judge(configured: &Configured<'_>) -> Vec<Finding> {
    let mut findings: Vec<_> = version(configured).into_iter().collect();
    findings.extend(mistyped(configured));
    findings.extend(variables(configured));
    findings.extend(words(configured));
    findings.extend(tls(configured));
    findings.extend(network(configured));
    findings
}

fn version(configured: &Configured<'_>) -> Option<Finding> {
    let version = &configured.config.yml.version;
    let (line, what) = match version {
        // Text in quotes is as good as the number.
        Some(it) if it.value.to_string() == VERSION => return None,
        Some(it) => (it.line, format!("version is '{}', not {VERSION}", it.value)),
        None => (None, format!("version: {VERSION} is missing")),
    };
    let finding = configured.refusal("version", line, &what);
    Some(configured.write(finding, "name the format of the file", None, "version: 0.1"))
}

fn mistyped(configured: &Configured<'_>) -> impl Iterator<Item = Finding> {
    let wrong = configured.config.yml.mistyped.iter();
    let ours = wrong.filter(|it| !OWNED_BY_OTHERS.contains(&it.key.value.as_str()));
    ours.map(|it| {
        let (key, wanted) = (&it.key.value, it.wanted);
        let what = format!("{key} has to be {wanted}, not {}", it.found);
        let finding = configured.refusal("mistyped", it.key.line, &what);
        let yml = format!("{key} as {wanted}");
        let why = "write the value as the registry reads it";
        configured.mend(finding, Some(&it.key), why, None, &yml)
    })
}

/// Variables that the registry cannot read.
fn variables(configured: &Configured<'_>) -> impl Iterator<Item = Finding> {
    configured.config.yml.environment.malformed.iter().map(|variable| {
        let what = format!("the environment variable {variable} is not valid YAML");
        let finding = configured.refusal("variable-malformed", None, &what);
        configured.keeper.unset_variable(finding, variable)
    })
}

/// Settings of which only some words are known.
fn words(configured: &Configured<'_>) -> Vec<Finding> {
    let yml = &configured.config.yml;
    // GitLab's registry knows one level more.
    let levels = ["error", "warn", "info", "debug", "trace"];
    let tls = if has_certificate(yml) { &yml.http.tls_minimumtls } else { &None };
    let settings: [(&str, &Setting, &[&str]); 5] = [
        ("log.level", &yml.log.level, &levels),
        ("loglevel", &yml.log.loglevel, &levels),
        ("log.formatter", &yml.log.formatter, &["text", "json", "logstash"]),
        ("http.net", &yml.http.net, &["tcp", "unix"]),
        ("http.tls.minimumtls", tls, &["tls1.0", "tls1.1", "tls1.2", "tls1.3"]),
    ];
    let unknown = settings.into_iter().filter_map(|(name, it, known)| {
        let it = it.as_ref()?;
        let word = it.value.as_text()?;
        // Levels are read in any case, and nothing is the default.
        let is_known = word.is_empty() || known.contains(&word.to_ascii_lowercase().as_str());
        (!is_known).then(|| {
            let what = format!("{name} is '{word}', which is none of {}", known.join(", "));
            let finding = configured.refusal("unknown-value", it.line, &what);
            let finding = finding.evidence(configured.setting(it).evidence(name));
            let rb = match name {
                "log.level" => Some("registry['log_level'] = \"info\""),
                "log.formatter" => Some("registry['log_formatter'] = \"text\""),
                _ => None,
            };
            let yml = format!("{name} with one of {}", known.join(", "));
            configured.mend(finding, Some(it), "take one that is known", rb, &yml)
        })
    });
    unknown.collect()
}

/// A certificate without its key.
fn tls(configured: &Configured<'_>) -> Option<Finding> {
    let http = &configured.config.yml.http;
    let certificate = http.tls_certificate.as_ref().filter(|it| is_set(it))?;
    if http.tls_key.as_ref().is_some_and(is_set) {
        return None;
    }
    let what = "http.tls has a certificate and no key";
    let finding = configured
        .refusal("tls-key-unset", certificate.line, what)
        .evidence(configured.setting(certificate).evidence("http.tls.certificate"));
    Some(configured.mend(finding, Some(certificate), "name the key", None, "http.tls.key"))
}

/// An address to listen at that is none.
fn network(configured: &Configured<'_>) -> Option<Finding> {
    let http = &configured.config.yml.http;
    let address = http.addr.as_ref().filter(|it| is_set(it))?;
    let net = http.net.as_ref().and_then(|it| it.value.as_text());
    let text = address.value.to_string();
    if net.is_some_and(|net| net != "tcp" && !net.is_empty()) {
        return None;
    }
    let (code, what) = match text.rsplit_once(':') {
        None => ("address-without-port", "without a port"),
        Some((host, _)) if is_host(host) => return None,
        Some(_) => ("address-unreadable", "and not a host with a port"),
    };
    let finding = configured
        .refusal(code, address.line, &format!("http.addr is '{text}', {what}"))
        .evidence(configured.setting(address).evidence("http.addr"));
    let rb = "registry['registry_http_addr'] = \"127.0.0.1:5000\"";
    let yml = "http.addr: 127.0.0.1:5000";
    Some(configured.mend(finding, Some(address), "name address and port", Some(rb), yml))
}

/// What may stand before the port: nothing, a name, or an address, of version 6 in brackets. The
/// Linux package passes a scheme on as it is.
fn is_host(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare.is_some_and(|it| !it.contains(['/', '[', ']'])) || !host.contains([':', '/', '[', ']'])
}

/// Whether the registry speaks TLS with a certificate from a file.
pub(super) fn has_certificate(yml: &RegistryYml) -> bool {
    yml.http.tls_certificate.as_ref().is_some_and(is_set)
}

fn is_set(it: &Located<Scalar>) -> bool {
    it.value.as_text() != Some("")
}
