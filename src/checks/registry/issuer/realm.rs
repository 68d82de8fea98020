//! Where the registry sends clients for their tokens.

use super::super::startup::setting_cause;
use super::Scene;
use crate::checks::{Cause, Evidence, Finding, Severity, docs};
use crate::install::tokens::PATH;
use crate::install::{Endpoint, Sourced};
use crate::parse::registry_yml::Auth;

/// Compares the realm with GitLab's address.
pub(super) fn judge(scene: &Scene<'_>, auth: &Auth) -> Option<Finding> {
    let it = auth.token_realm.as_ref()?;
    let written = it.value.as_text()?;
    let Ok(realm) = Endpoint::parse(written) else {
        let message = format!(
            "the realm '{written}' is not an absolute http or https URL: clients do not know where \
             to get a token, so docker login, push and pull fail"
        );
        return Some(finding(scene, auth, Severity::Error, "realm-not-url", message));
    };
    let path = squeezed(&realm.path);
    match &scene.gitlab {
        Some(gitlab) => compared(scene, auth, &realm, &path, gitlab),
        // GitLab is on another host, so only the end of the path is known.
        None => (!path.ends_with(PATH)).then(|| {
            let message = format!(
                "the realm {realm} does not end in {PATH}, where GitLab issues tokens: docker \
                 login, push and pull fail"
            );
            finding(scene, auth, Severity::Error, "realm-path", message)
        }),
    }
}

fn compared(
    scene: &Scene<'_>,
    auth: &Auth,
    realm: &Endpoint,
    path: &str,
    gitlab: &Sourced<Endpoint>,
) -> Option<Finding> {
    let wanted = gitlab.value.url(PATH);
    let url = &gitlab.value;
    // Whoever has set the realm on purpose may know a second way to GitLab.
    let on_purpose =
        scene.told_realm.as_ref().is_some_and(|told| told.value.is_server(&realm.server()));
    // On a node that only the registry runs on, external_url need not be GitLab's address.
    let severity = match (on_purpose, scene.signer) {
        (false, _) => Severity::Error,
        (true, Some(_)) => Severity::Warning,
        (true, None) => Severity::Notice,
    };
    let (severity, code, what) = if realm.host != url.host {
        let what = format!("is on the host '{}', but GitLab is on '{}'", realm.host, url.host);
        (severity, "realm-host", what)
    } else if realm.https != url.https && url.https {
        let what = "is http, but GitLab is https: passwords would travel in the clear, and most \
                    clients are turned away"
            .to_owned();
        (severity, "realm-scheme", what)
    } else if realm.https != url.https {
        (severity, "realm-scheme", "is https, but GitLab is http".to_owned())
    } else if realm.port != url.port {
        let what = format!("is on port {}, but GitLab is on port {}", realm.port, url.port);
        (severity, "realm-port", what)
    } else if path != squeezed(&format!("{}{PATH}", url.path)) {
        let path = if path.is_empty() { "/" } else { path };
        let what = format!("is at {path}, but GitLab issues tokens at {}{PATH}", url.path);
        (Severity::Error, "realm-path", what)
    } else {
        return None;
    };
    let message = format!("the realm {realm} {what}: docker login, push and pull fail");
    let message = if severity < Severity::Error {
        format!("the realm {realm} {what}: clients have to reach it, and trust its certificate")
    } else {
        message
    };
    let told = scene.told_realm.as_ref().map(|told| told.evidence("registry['token_realm']"));
    let evidence: Vec<Evidence> =
        [Some(gitlab.evidence("GitLab's address")), told].into_iter().flatten().collect();
    let found = finding(scene, auth, severity, code, message).seen("expected", wanted);
    let found = match code {
        "realm-path" => found.explains(Cause::Astray(format!("{}{}", realm.socket(), realm.path))),
        _ if realm.socket() != url.socket() => found.explains(Cause::Astray(realm.socket())),
        _ => found,
    };
    Some(evidence.into_iter().fold(found, Finding::evidence))
}

/// `registry['token_realm']`, of which reconfigure has made nothing yet.
pub(super) fn written(
    file: &str,
    realm: &Sourced<Endpoint>,
    gitlab: &Sourced<Endpoint>,
) -> Option<Finding> {
    if realm.value == gitlab.value {
        return None;
    }
    let message = format!(
        "clients are to be sent to {} for their tokens, but GitLab is {}",
        realm.value, gitlab.value
    );
    let finding = Finding::warning("realm-differs", realm.source.to_string(), message)
        .explains(Cause::Tokens)
        .explains(setting_cause("auth.token.realm"))
        .evidence(realm.evidence("registry['token_realm']"))
        .evidence(gitlab.evidence("GitLab's address"))
        .docs(docs::REGISTRY);
    Some(finding.remedy(
        "Take registry['token_realm'] out, unless clients reach GitLab there as well.",
        [format!("sudoedit {file}"), "sudo gitlab-ctl reconfigure".to_owned()],
    ))
}

fn finding(
    scene: &Scene<'_>,
    auth: &Auth,
    severity: Severity,
    code: &'static str,
    message: String,
) -> Finding {
    let configured = &scene.configured;
    let line = auth.token_realm.as_ref().and_then(|it| it.line);
    let finding = Finding::new(severity, code, configured.subject(line), message)
        .explains(Cause::Tokens)
        .explains(setting_cause("auth.token.realm"))
        .docs(docs::REGISTRY);
    let finding = auth.token_realm.iter().fold(finding, |finding, it| {
        finding.evidence(configured.setting(it).evidence("auth.token.realm"))
    });
    let gitlab = scene.gitlab.as_ref().map(|url| &url.value);
    let rb = gitlab.map(|url| format!("registry['token_realm'] = \"{url}\" (or nothing)"));
    let realm = gitlab.map_or_else(
        || "GitLab's own address with /jwt/auth behind it".to_owned(),
        |url| url.url(PATH),
    );
    let yml = format!("auth.token.realm: {realm}");
    let it = auth.token_realm.as_ref();
    configured.mend(finding, it, "send clients to GitLab", rb.as_deref(), &yml)
}

/// A slash too many is taken out on the way, and the Linux package writes one where `external_url`
/// ends in a slash.
fn squeezed(path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.fold(String::new(), |path, part| path + "/" + part)
}

#[test]
fn slashes_too_many_do_not_count() {
    assert_eq!(squeezed("//jwt/auth/"), "/jwt/auth");
    assert_eq!(squeezed(""), "");
}
