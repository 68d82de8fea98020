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
    let judge = |it: &Insecure| entry(it, settings, &who, programs, known);
    settings.insecure().iter().filter_map(judge).collect()
}

fn entry(
    insecure: &Insecure,
    settings: &Settings,
    who: &str,
    programs: &[&str],
    known: &[Registry],
) -> Option<Finding> {
    let Insecure { prefix, path, line } = insecure;
    let host = prefix.split('/').next().unwrap_or_default();
    if is_own(host, false) {
        return None;
    }
    let does = if programs.len() > 1 { "do" } else { "does" };
    let concerned = known.iter().find(|it| insecure.extent(&it.prefix) != Extent::Nothing);
    let command = format!("sudoedit {}", word(path.as_str()));
    let finding = match concerned {
        Some(registry) => {
            let extent = insecure.extent(&registry.prefix);
            // Another entry, which is about more of the name, takes this one back.
            if extent == Extent::Whole && settings.unverified(&registry.prefix).is_none() {
                return None;
            }
            let below = match extent {
                Extent::Part => format!(" for images below {prefix}"),
                Extent::Whole | Extent::Nothing => String::new(),
            };
            let message = format!(
                "{who} {does} not verify its certificate{below} and fall{} back to plain HTTP: \
                 registries.conf marks {prefix} as insecure",
                if programs.len() > 1 { "" } else { "s" },
            );
            let first = if registry.endpoint.https {
                let folder = format!("/etc/containers/certs.d/{}", registry.prefix);
                format!("Put the CA certificate into {folder}/ca.crt")
            } else {
                "Let the registry speak HTTPS (an https registry_external_url)".to_owned()
            };
            Finding::error("registry-insecure", registry.endpoint.to_string(), message)
                .remedy(format!("{first}, and take the line out."), [command])
        }
        None => {
            let message = format!(
                "{who} {does} not verify this registry's certificate and may use plain HTTP"
            );
            Finding::warning("other-registry-insecure", prefix, message).remedy(
                format!(
                    "Put that registry's CA certificate into /etc/containers/certs.d/{host}/ca.crt, \
                     and take the line out. If it stands for GitLab's registry, name that with \
                     --registry-url."
                ),
                [command],
            )
        }
    };
    let place = Evidence::new("insecure", "true").at(path.as_str(), *line);
    Some(finding.evidence(place).docs(docs::REGISTRY_SELF_SIGNED))
}
