//! What the registry's own settings, and those in `gitlab.rb`, make of its outside address.

use super::Public;
use crate::checks::registry::keeper::Keeper;
use crate::checks::registry::startup::setting_cause;
use crate::checks::{Finding, Severity, docs};
use crate::install::registry::Config;
use crate::install::{Endpoint, GITLAB_RB, Settings, Sourced, Written, spelled};
use crate::parse::setting::{Located, Scalar};

/// The registry's own settings.
pub(super) fn judge(
    config: &Config,
    public: Option<&Public<'_>>,
    keeper: Keeper,
    gitlab: bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(fixed_host(config, public, keeper));
    findings.extend(autoredirect(config, keeper, gitlab));
    findings
}

/// What `http.host` says, if it is a whole URL: the registry ignores any other text. It wins over
/// all headers, and over `http.relativeurls`.
pub(super) fn fixed(config: &Config) -> Option<(&Located<Scalar>, Endpoint)> {
    let setting = config.yml.http.host.as_ref()?;
    Some((setting, Endpoint::parse(setting.value.as_text()?).ok()?))
}

fn fixed_host(config: &Config, public: Option<&Public<'_>>, keeper: Keeper) -> Option<Finding> {
    let setting = config.yml.http.host.as_ref()?;
    let source = crate::install::source_of(&config.path, setting);
    let place = source.evidence("http.host", &setting.value);
    let path = config.path.as_str();
    let Some((_, fixed)) = fixed(config) else {
        let text = setting.value.to_string();
        if text.is_empty() {
            return None;
        }
        let message = format!("http.host is '{text}', which is no URL: the registry ignores it");
        let finding = Finding::notice("host-ignored", path, message).evidence(place);
        return Some(remove_host(finding.docs(docs::REGISTRY_TROUBLE), setting, keeper));
    };
    let public = public.filter(|public| !public.is(&fixed.server()))?;
    let message = format!(
        "pushes are sent to {}, because http.host says so: clients know the registry as {}",
        fixed.server(),
        public.endpoint.server()
    );
    let finding = Finding::error("host-differs", path, message)
        .evidence(place)
        .evidence(public.evidence())
        .docs(docs::REGISTRY_TROUBLE);
    Some(remove_host(finding, setting, keeper))
}

fn remove_host(finding: Finding, setting: &Located<Scalar>, keeper: Keeper) -> Finding {
    match (&setting.variable, keeper) {
        (Some(variable), keeper) => keeper.unset_variable(finding, variable),
        // The package has no setting for it, so somebody edited what it generated.
        (None, Keeper::Package | Keeper::Elsewhere) => finding.remedy(
            keeper.advice(
                "let reconfigure write the registry's configuration anew; it has no http.host",
            ),
            ["sudo gitlab-ctl reconfigure", "sudo gitlab-ctl restart registry"],
        ),
        (None, Keeper::Systemd) => keeper.unset(finding, "", "http.host"),
    }
}

/// With it the registry makes the realm from the host that was asked, and a path that GitLab does
/// not serve.
fn autoredirect(config: &Config, keeper: Keeper, gitlab: bool) -> Option<Finding> {
    let setting = config.yml.auth.token_autoredirect.as_ref()?;
    if setting.value.as_bool() != Some(true) {
        return None;
    }
    let severity = if gitlab { Severity::Error } else { Severity::Warning };
    let message = "clients are told to fetch tokens from the registry's own host below \
                   /auth/token, where GitLab serves none: every login fails";
    let source = crate::install::source_of(&config.path, setting);
    let finding = Finding::new(severity, "autoredirect", config.path.as_str(), message)
        .follows(setting_cause("auth.token.realm"))
        .evidence(source.evidence("auth.token.autoredirect", &setting.value))
        .docs(docs::REGISTRY_TROUBLE);
    Some(keeper.configure(
        finding,
        "let the realm be GitLab's",
        "registry['autoredirect'] = false",
        "auth.token.autoredirect: false",
    ))
}

/// What `gitlab.rb` would make of nginx, before the first reconfigure.
pub(super) fn written(settings: &Settings, public: Option<&Public<'_>>) -> Vec<Finding> {
    let Some(public) = public else { return Vec::new() };
    let mut findings = Vec::new();
    findings.extend(written_scheme(settings, public));
    findings.extend(written_host(settings, public));
    findings.extend(written_autoredirect(settings));
    findings
}

/// A header that nginx will set, with the name of its setting.
type WrittenHeader = (String, Sourced<String>);

fn written_header(settings: &Settings, name: &str) -> Option<WrittenHeader> {
    let sections: [&[&str]; 2] = [&["registry_nginx"], &["registry", "nginx"]];
    sections.into_iter().find_map(|section| {
        let path = [section, &["proxy_set_headers", name]].concat();
        match settings.text(&path) {
            Written::Known(value) => Some((spelled(&path), value)),
            Written::Unset | Written::Untold(_) => None,
        }
    })
}

fn written_scheme(settings: &Settings, public: &Public<'_>) -> Option<Finding> {
    let scheme = if public.endpoint.https { "https" } else { "http" };
    let plain = settings.flag(&["registry_nginx", "listen_https"]);
    let plain = matches!(plain, Written::Known(flag) if !flag.value);
    let header = written_header(settings, "X-Forwarded-Proto")?;
    let code = match header.1.value.as_str() {
        "$scheme" if plain == public.endpoint.https => "proto-overwritten",
        text if !text.starts_with('$') && text != scheme => "proto-wrong",
        _ => return None,
    };
    Some(misled(public, code, &header, "another scheme than clients use", scheme))
}

fn written_host(settings: &Settings, public: &Public<'_>) -> Option<Finding> {
    let default = public.endpoint.port == if public.endpoint.https { 443 } else { 80 };
    let header = written_header(settings, "Host")?;
    let code = match header.1.value.as_str() {
        "$host" | "$server_name" if !default => "port-dropped",
        text if !text.contains('$') && text != public.endpoint.authority() => "host-wrong",
        _ => return None,
    };
    Some(misled(public, code, &header, "another host or port than clients use", "$http_host"))
}

fn misled(
    public: &Public<'_>,
    code: &'static str,
    (name, value): &WrittenHeader,
    what: &str,
    right: &str,
) -> Finding {
    let message =
        format!("nginx will tell the registry {what}: pushes will be sent there, and fail");
    Finding::error(code, GITLAB_RB, message)
        .evidence(value.evidence(name))
        .evidence(public.evidence())
        .docs(docs::REGISTRY_TROUBLE)
        .remedy(
            format!("Write {name} = '{right}' in /etc/gitlab/gitlab.rb and reconfigure."),
            ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
        )
}

fn written_autoredirect(settings: &Settings) -> Option<Finding> {
    let Written::Known(flag) = settings.flag(&["registry", "autoredirect"]) else { return None };
    let message = "clients will be told to fetch tokens from the registry's own host, where \
                   GitLab serves none: every login fails";
    let finding = Finding::error("autoredirect", GITLAB_RB, message)
        .evidence(flag.evidence("registry['autoredirect']"))
        .docs(docs::REGISTRY_TROUBLE)
        .remedy(
            "Take the line out and reconfigure.",
            ["sudoedit /etc/gitlab/gitlab.rb", "sudo gitlab-ctl reconfigure"],
        );
    flag.value.then_some(finding)
}
