//! Entries of `registries.conf` that let podman and its kin verify nothing.

use super::Registry;
use super::entries::is_own;
use crate::checks::shell::word;
use crate::checks::words::listed;
use crate::checks::{Evidence, Finding, docs};
use crate::install::podman::{Extent, Insecure, Settings};

/// What is not verified, by these settings of these programs.
pub(super) fn judge(settings: &Settings, programs: &[&str], known: &[Registry]) -> Vec<Finding> {
    let who = match &settings.user {
        Some(user) => format!("{} of {user}", listed(programs)),
        None => listed(programs),
    };
    let judge = |it: &Insecure| entry(it, settings, &who, known);
    settings.insecure().iter().filter_map(judge).collect()
}

fn entry(
    insecure: &Insecure,
    settings: &Settings,
    who: &str,
    known: &[Registry],
) -> Option<Finding> {
    let Insecure { prefix, path, line } = insecure;
    let host = prefix.split('/').next().unwrap_or_default();
    if is_own(host, false) {
        return None;
    }
    let concerned = known.iter().find(|it| insecure.extent(&it.prefix) != Extent::Nothing);
    let command = format!("sudoedit {}", word(path.as_str()));
    let finding = if let Some(registry) = concerned {
        blind(insecure, settings, who, registry)?.remedy(
            if registry.endpoint.https {
                let file = format!("/etc/containers/certs.d/{}/ca.crt", registry.prefix);
                format!("Put the CA certificate into {file}, and take the line out.")
            } else {
                "Let the registry speak HTTPS (an https registry_external_url), and take the line \
                 out."
                    .to_owned()
            },
            [command],
        )
    } else {
        let message = format!("no certificate of this registry is verified by {who}");
        Finding::warning("other-registry-insecure", prefix, message).remedy(
            format!(
                "Put that registry's CA certificate into /etc/containers/certs.d/{host}/ca.crt, \
                 and take the line out. If it stands for GitLab's registry, name that with \
                 --registry-url."
            ),
            [command],
        )
    };
    let place = Evidence::new("insecure", "true").at(path.as_str(), *line);
    Some(finding.evidence(place).docs(docs::REGISTRY_SELF_SIGNED))
}

/// The registry in use is not verified, or a part of it.
fn blind(
    insecure: &Insecure,
    settings: &Settings,
    who: &str,
    registry: &Registry,
) -> Option<Finding> {
    let prefix = &insecure.prefix;
    let extent = insecure.extent(&registry.prefix);
    // Another entry, which is about more of the name, takes this one back.
    if extent == Extent::Whole && settings.unverified(&registry.prefix).is_none() {
        return None;
    }
    let below = match extent {
        Extent::Part => format!(", for images below {prefix}"),
        Extent::Whole | Extent::Nothing => String::new(),
    };
    let message = format!(
        "its certificate is not verified by {who}{below}, and plain HTTP is the fallback: \
         registries.conf marks {prefix} as insecure"
    );
    Some(Finding::error("registry-insecure", registry.endpoint.to_string(), message))
}
