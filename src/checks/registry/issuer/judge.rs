//! What is wrong with the registry's idea of tokens.

use super::super::startup::setting_cause;
use super::{Scene, realm};
use crate::checks::{Cause, Finding, docs};
use crate::install::Sourced;
use crate::install::tokens::{PACKAGE_ISSUER, PATH, SERVICE};
use crate::parse::registry_yml::Auth;
use crate::parse::setting::{Located, Scalar, Setting};

const REFUSED: &str = "the registry refuses every token, so docker login, push and pull fail";

/// The verdict on the section `auth`.
pub(super) fn judge(scene: &Scene<'_>) -> Vec<Finding> {
    let auth = &scene.configured.config.yml.auth;
    match auth.types.as_slice() {
        [] => vec![open(scene, None)],
        [only] if only.value.eq_ignore_ascii_case("none") => vec![open(scene, Some(only))],
        [only] if only.value == "token" => token(scene, auth),
        [only] => vec![other_type(scene, only)],
        several => vec![several_types(scene, several)],
    }
}

/// Nobody is asked for anything.
fn open(scene: &Scene<'_>, none: Option<&Located<String>>) -> Finding {
    let message = "the registry has no auth: everybody who reaches it can pull and push everything";
    let line = none.and_then(|none| none.line);
    let subject = scene.configured.subject(line);
    let finding = Finding::error("auth-absent", subject, message)
        .explains(setting_cause("auth"))
        .docs(docs::REGISTRY);
    let realm = scene.gitlab.as_ref().map(|url| url.value.url(PATH));
    let realm = realm.unwrap_or_else(|| "https://gitlab.example/jwt/auth".to_owned());
    let yml = format!(
        "auth.token with realm {realm}, service {SERVICE}, GitLab's issuer and a rootcertbundle"
    );
    scene.configured.mend(finding, none, "let the registry ask for GitLab's tokens", None, &yml)
}

fn other_type(scene: &Scene<'_>, only: &Located<String>) -> Finding {
    let kind = &only.value;
    let yml = "auth.token in its stead";
    let why = "let the registry ask for GitLab's tokens";
    let finding = match kind.as_str() {
        "htpasswd" | "silly" => {
            let message = format!(
                "the registry knows its users by '{kind}', and so accepts none of GitLab's tokens"
            );
            let subject = scene.configured.subject(only.line);
            Finding::error("auth-not-token", subject, message).docs(docs::REGISTRY)
        }
        _ => {
            let what = format!("there is no type of auth called '{kind}'");
            scene.configured.refusal("auth-unknown", only.line, &what)
        }
    };
    let finding = finding.explains(Cause::Tokens).explains(setting_cause("auth"));
    scene.configured.mend(finding, Some(only), why, None, yml)
}

fn several_types(scene: &Scene<'_>, several: &[Located<String>]) -> Finding {
    let names: Vec<_> = several.iter().map(|it| it.value.as_str()).collect();
    let what = format!("auth names {} types ({}), not one", names.len(), names.join(", "));
    let line = several.iter().filter_map(|it| it.line).max();
    let finding = scene.configured.refusal("auth-several", line, &what);
    let finding = finding.explains(Cause::Tokens).explains(setting_cause("auth"));
    let added = several.iter().find(|it| it.variable.is_some());
    scene.configured.mend(finding, added, "leave token alone", None, "auth with token alone")
}

fn token(scene: &Scene<'_>, auth: &Auth) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, value) in [
        ("realm", &auth.token_realm),
        ("service", &auth.token_service),
        ("issuer", &auth.token_issuer),
    ] {
        findings.extend(unusable(scene, auth, name, value));
    }
    findings.extend(autoredirect(scene, auth));
    findings.extend(service(scene, auth));
    findings.extend(issuer(scene, auth));
    findings.extend(realm::judge(scene, auth));
    findings
}

/// The registry wants a text for each and does not start otherwise. That `rootcertbundle` is there
/// is the matter of `registry/signing-key`.
fn unusable(scene: &Scene<'_>, auth: &Auth, name: &str, value: &Setting) -> Option<Finding> {
    let configured = &scene.configured;
    let section = auth.types.first().and_then(|token| token.line);
    let finding = match value {
        None => {
            let what = format!("auth.token.{name} is not set");
            configured.refusal("option-missing", section, &what)
        }
        // A variable is taken as YAML too, and a number in it is a number.
        Some(Located { value: Scalar::Text(_), .. }) => return None,
        Some(other) => {
            let what = format!("auth.token.{name} is not a text ({})", other.value);
            configured.refusal("option-not-text", other.line, &what)
        }
    };
    let finding =
        finding.explains(Cause::Tokens).explains(setting_cause(&format!("auth.token.{name}")));
    let wanted = match name {
        "realm" => scene.gitlab.as_ref().map(|url| url.value.url(PATH)),
        "service" => Some(SERVICE.to_owned()),
        _ => scene.signer.and_then(|it| it.issuer.as_ref()).map(|issuer| issuer.value.clone()),
    };
    let yml = match wanted {
        Some(wanted) => format!("auth.token.{name}: \"{wanted}\""),
        None => format!("auth.token.{name} with a text in quotes"),
    };
    Some(configured.mend(finding, value.as_ref(), &format!("set {name}"), None, &yml))
}

/// The registry then sends clients to a path of its own host.
fn autoredirect(scene: &Scene<'_>, auth: &Auth) -> Option<Finding> {
    let it = auth.token_autoredirect.as_ref()?;
    let configured = &scene.configured;
    let (rb, yml) = ("registry['autoredirect'] = false", "auth.token.autoredirect: false");
    let finding = match it.value {
        Scalar::Bool(false) => return None,
        Scalar::Bool(true) => {
            let message = "autoredirect is on: clients are sent to /auth/token of the registry's \
                           own address for their tokens, where GitLab has none";
            Finding::error("autoredirect", configured.subject(it.line), message)
                .evidence(configured.setting(it).evidence("auth.token.autoredirect"))
                .docs(docs::REGISTRY)
        }
        _ => configured.refusal(
            "option-not-flag",
            it.line,
            "auth.token.autoredirect is neither true nor false",
        ),
    };
    let why = "let clients be sent to the realm";
    let finding = finding.explains(Cause::Tokens).explains(setting_cause("auth.token.realm"));
    Some(configured.mend(finding, Some(it), why, Some(rb), yml))
}

fn service(scene: &Scene<'_>, auth: &Auth) -> Option<Finding> {
    let configured = &scene.configured;
    let it = auth.token_service.as_ref()?;
    let named = it.value.as_text().filter(|service| *service != SERVICE)?;
    let message = format!(
        "the registry's service is '{named}', but GitLab issues tokens for '{SERVICE}' alone: \
         docker login fails"
    );
    let finding = Finding::error("service-differs", configured.subject(it.line), message)
        .explains(Cause::Tokens)
        .explains(setting_cause("auth.token.service"))
        .evidence(configured.setting(it).evidence("auth.token.service"))
        .docs(docs::REGISTRY);
    let yml = format!("auth.token.service: {SERVICE}");
    Some(configured.mend(finding, Some(it), "name the service that GitLab knows", None, &yml))
}

fn issuer(scene: &Scene<'_>, auth: &Auth) -> Option<Finding> {
    let configured = &scene.configured;
    let it = auth.token_issuer.as_ref()?;
    let signer = scene.signer?;
    let own = it.value.as_text()?;
    let theirs = signer.issuer.as_ref().map(|issuer| issuer.value.as_str());
    if theirs == Some(own) {
        return None;
    }
    let message = match theirs {
        Some(theirs) => format!(
            "GitLab issues tokens as '{theirs}', and the registry trusts '{own}': {REFUSED}"
        ),
        None => format!("GitLab is told no issuer, and the registry trusts '{own}': {REFUSED}"),
    };
    let finding = Finding::error("issuer-differs", configured.subject(it.line), message)
        .explains(Cause::Tokens)
        .evidence(configured.setting(it).evidence("auth.token.issuer"))
        .docs(docs::REGISTRY);
    let finding = match &signer.issuer {
        Some(issuer) => finding.evidence(issuer.evidence("issuer in GitLab's settings")),
        None => {
            finding.evidence(signer.settings.evidence("issuer in GitLab's settings", "not set"))
        }
    };
    let wanted = theirs.unwrap_or(own);
    let rb = format!("gitlab_rails['registry_issuer'] = \"{wanted}\"");
    let yml = format!("auth.token.issuer: {wanted}");
    Some(configured.mend(finding, Some(it), "let both sides name one issuer", Some(&rb), &yml))
}

/// The two names in `gitlab.rb`, of which only reconfigure knows what becomes of them.
pub(super) fn written(
    file: &str,
    name: &str,
    own: &Sourced<String>,
    rails: Option<&Sourced<String>>,
) -> Option<Finding> {
    let theirs = rails.map_or(PACKAGE_ISSUER, |rails| rails.value.as_str());
    if own.value == theirs {
        return None;
    }
    let message = format!(
        "the registry is told the issuer '{}', and GitLab '{theirs}': after reconfigure {REFUSED}",
        own.value
    );
    let setting = format!("registry['{name}']");
    let finding = Finding::warning("issuer-differs", own.source.to_string(), message)
        .explains(Cause::Tokens)
        .evidence(own.evidence(setting.as_str()))
        .docs(docs::REGISTRY);
    let finding = match rails {
        Some(rails) => finding.evidence(rails.evidence("gitlab_rails['registry_issuer']")),
        None => finding.seen("gitlab_rails['registry_issuer']", "not set"),
    };
    Some(finding.remedy(
        format!("Take {setting} out; both sides follow gitlab_rails['registry_issuer']."),
        [format!("sudoedit {file}"), "sudo gitlab-ctl reconfigure".to_owned()],
    ))
}
