//! Settings that the registry reads and that do not fit GitLab, its clients, or an offline site.

use super::super::startup::Configured;
use super::refused::has_certificate;
use crate::checks::{Finding, Severity, docs};
use crate::host::version::major;
use crate::host::{Host, Unknown};
use crate::install::{GITLAB_RB, Sourced, settings, spelled};
use crate::parse::setting::{Located, Scalar};

/// As many unknown keys as are told one by one.
const TOLD: usize = 10;

/// Everything that is unfit; `version` is that of the Linux package's registry, `nodes` those that
/// a balancer knows.
pub(super) fn judge(
    configured: &Configured<'_>,
    version: Option<&str>,
    nodes: Option<&Sourced<String>>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(lets_encrypt(configured));
    findings.extend(prefix(configured));
    findings.extend(proxy(configured));
    findings.extend(schema1(configured, version));
    findings.extend(http2(configured));
    findings.extend(secret(configured, nodes));
    findings.extend(unknown_keys(configured));
    findings
}

fn notice(
    configured: &Configured<'_>,
    code: &'static str,
    name: &str,
    it: &Located<Scalar>,
    message: &str,
) -> Finding {
    Finding { severity: Severity::Notice, ..error(configured, code, name, it, message) }
}

fn error(
    configured: &Configured<'_>,
    code: &'static str,
    name: &str,
    it: &Located<Scalar>,
    message: &str,
) -> Finding {
    Finding::error(code, configured.subject(it.line), message)
        .evidence(configured.setting(it).evidence(name))
        .docs(docs::REGISTRY)
}

/// Certificates from the internet. A certificate that is named comes first.
fn lets_encrypt(configured: &Configured<'_>) -> Option<Finding> {
    let http = &configured.config.yml.http;
    let it = http.tls_letsencrypt.as_ref().filter(|it| it.value == Scalar::Mapping)?;
    if has_certificate(&configured.config.yml) {
        return None;
    }
    let message = "the registry fetches its certificate from Let's Encrypt, which cannot be \
                   reached offline: every TLS handshake fails";
    let finding = error(configured, "lets-encrypt", "http.tls.letsencrypt", it, message);
    let yml = "http.tls.certificate and http.tls.key in place of letsencrypt";
    Some(configured.mend(finding, Some(it), "take a certificate of your own", None, yml))
}

/// Clients ask for `/v2/`, whatever the registry would like.
fn prefix(configured: &Configured<'_>) -> Option<Finding> {
    let it = configured.config.yml.http.prefix.as_ref()?;
    let prefix = it.value.as_text().filter(|prefix| !prefix.is_empty() && *prefix != "/")?;
    let message = format!(
        "http.prefix is '{prefix}', but Docker and GitLab ask for /v2/ at the root of a host: they \
         get 404"
    );
    let finding = error(configured, "prefix", "http.prefix", it, &message);
    let yml = "http.prefix: / (or nothing)";
    Some(configured.mend(finding, Some(it), "take the prefix out", None, yml))
}

/// A pull-through cache takes no pushes.
fn proxy(configured: &Configured<'_>) -> Option<Finding> {
    let it = configured.config.yml.proxy_remoteurl.as_ref()?;
    let remote = it.value.as_text().filter(|remote| !remote.is_empty())?;
    let message = format!(
        "the registry is a cache of {remote}: it takes no pushes, and does not start unless that \
         can be reached"
    );
    let finding = error(configured, "pull-through", "proxy.remoteurl", it, &message);
    let why = "let GitLab's registry be no cache";
    Some(configured.mend(configured.stops(finding), Some(it), why, None, "no section proxy"))
}

fn schema1(configured: &Configured<'_>, version: Option<&str>) -> Option<Finding> {
    let it = configured.config.yml.compatibility_schema1_enabled.as_ref();
    let it = it.filter(|it| it.value == Scalar::Bool(true))?;
    let is_ignored = version.and_then(major).is_some_and(|major| major >= 3)
        || !configured.config.yml.distribution_3_keys.is_empty();
    let message = if is_ignored {
        "schema1 is switched on, which this registry ignores: Docker up to 1.9 cannot use it"
    } else {
        "schema1 is switched on: manifests of Docker up to 1.9 are taken, which newer clients \
         and registries refuse"
    };
    let name = "compatibility.schema1.enabled";
    let finding = notice(configured, "schema1", name, it, message);
    let rb = "registry['compatibility_schema1_enabled'] = false (or nothing)";
    let yml = "no section compatibility";
    Some(configured.mend(finding, Some(it), "switch schema1 off", Some(rb), yml))
}

/// The same where reconfigure has not yet written anything.
pub(super) async fn before_reconfigure(host: &Host) -> Result<Option<Finding>, Unknown> {
    let Some(settings) = settings(host).await? else { return Ok(None) };
    let name = ["registry", "compatibility_schema1_enabled"];
    let flag = settings.flag(&name).told()?.filter(|flag| flag.value);
    Ok(flag.map(|flag| {
        let message = "schema1 is switched on, which only registries before 3.0 read";
        Finding::notice("schema1", flag.source.to_string(), message)
            .evidence(flag.evidence(spelled(&name)))
            .remedy(
                "Take the line out.",
                [format!("sudoedit {GITLAB_RB}"), "sudo gitlab-ctl reconfigure".to_owned()],
            )
            .docs(docs::REGISTRY)
    }))
}

/// Many layers over one connection each.
fn http2(configured: &Configured<'_>) -> Option<Finding> {
    let http = &configured.config.yml.http;
    let it = http.http2_disabled.as_ref().filter(|it| it.value == Scalar::Bool(true))?;
    // It is spoken over TLS alone.
    if !has_certificate(&configured.config.yml) {
        return None;
    }
    let message = "HTTP/2 is switched off: clients open a connection for each layer";
    let finding = notice(configured, "http2-off", "http.http2.disabled", it, message);
    let why = "switch HTTP/2 on, unless a proxy in front cannot speak it";
    Some(configured.mend(finding, Some(it), why, None, "no section http2"))
}

/// Each process then makes up its own.
fn secret(configured: &Configured<'_>, nodes: Option<&Sourced<String>>) -> Option<Finding> {
    let config = configured.config;
    let secret = config.yml.http.secret.as_ref();
    if secret.is_some_and(|secret| secret.value.set) {
        return None;
    }
    let is_shared = config
        .yml
        .storage
        .drivers
        .iter()
        .any(|driver| !matches!(driver.name.as_str(), "filesystem" | "inmemory"));
    let also = if is_shared { "; its storage is one that several nodes can share" } else { "" };
    let (severity, message) = match nodes {
        Some(_) => (
            Severity::Warning,
            "http.secret is not set, so each of several nodes makes up its own: uploads break \
             whenever the balancer takes another node"
                .to_owned(),
        ),
        None => (
            Severity::Notice,
            format!(
                "http.secret is not set, so each process makes up its own: uploads break at \
                 restarts, and at once with several nodes behind a balancer{also}"
            ),
        ),
    };
    let line = secret.and_then(|secret| secret.line);
    let finding = Finding::new(severity, "secret-unset", configured.subject(line), message)
        .seen("http.secret", if secret.is_some() { "empty" } else { "not set" })
        .seen("the registry says", "No HTTP secret provided - generated random secret")
        .docs(docs::REGISTRY);
    let nodes = nodes.map(|nodes| nodes.evidence("nodes behind nginx"));
    let finding = nodes.into_iter().fold(finding, Finding::evidence);
    let rb = "registry['http_secret'] with the same random text on every node";
    let yml = "http.secret with the same random text on every node, as from openssl rand -hex 32";
    Some(configured.mend(finding, secret, "give all nodes one secret", Some(rb), yml))
}

/// The registry does not say that it ignores them.
fn unknown_keys(configured: &Configured<'_>) -> Vec<Finding> {
    let keys = &configured.config.yml.unknown_keys;
    // Names that begin so are where anchors are kept, which no program is to read.
    let keys: Vec<_> = keys.iter().filter(|key| !key.value.starts_with("x-")).collect();
    let told = keys.iter().take(TOLD).map(|key| {
        let message = format!(
            "'{}' is no setting of any registry that gldoctor knows: it has no effect",
            key.value
        );
        let finding = Finding::notice("unknown-key", configured.subject(key.line), message);
        let yml = "the key under its right name and in its right section, or nothing";
        let why = "look the name up, if somebody has added it";
        configured.mend(finding.docs(docs::REGISTRY), Some(key), why, None, yml)
    });
    told.collect()
}
