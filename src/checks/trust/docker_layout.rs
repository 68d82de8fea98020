//! Do the folders of `certs.d` name the registries in use?

use crate::checks::shell::word;
use crate::checks::{Cause, Evidence, Finding, Severity, Stop, Verdict, check, docs};
use crate::host::files::{Directory, Listing};
use crate::host::system::System;
use crate::host::{Host, Unknown};
use crate::install::docker::CERTS_D;
use crate::install::{self, Endpoint};

check! {
    /// The folders in Docker's `certs.d` are named after the registries in use, and their files
    /// have endings that Docker reads.
    ///
    /// ## Why it matters
    ///
    /// Docker looks for a folder with exactly the host and port that stand in the image name, and
    /// says nothing when there is none. The offline guide itself makes a folder for port 5000, on
    /// which the registry listens behind nginx and which no image name carries.
    ///
    /// ## What is looked at
    ///
    /// The names in `/etc/docker/certs.d`, in `/etc/containers/certs.d` (podman, skopeo) and in
    /// `/etc/containerd/certs.d`, the files in them, and the registry's address.
    ///
    /// ## How to fix it
    ///
    /// Rename the folder to the host and port of your image names, and the certificate in it to
    /// `ca.crt`. Docker reads the folder at each request: nothing has to be restarted.
    "trust/docker-layout": "certs.d folders name the registries in use"
}

/// Where container clients look for certificates by registry.
const PLACES: [&str; 3] = [CERTS_D, "/etc/containers/certs.d", "/etc/containerd/certs.d"];

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let mut verdict = Verdict::default();
    let mut places = 0;
    let registry = install::registry::external(host).await?.map(|it| it.value);
    let own = own_names(host).await?;
    let inner = install::registry::internal(host).await?.map(|it| it.value.port);
    for place in PLACES {
        let listing = host.ask(Directory::at(place)).await?;
        let Listing::Entries { .. } = &listing else { continue };
        let names: Vec<&str> = listing.names().collect();
        places += usize::from(!names.is_empty());
        let trusted = match &registry {
            Some(registry) => trusted_by_system(host, registry).await,
            None => false,
        };
        let site = Site { place, registry: registry.as_ref(), own: &own, inner, trusted };
        verdict.add(site.judge_names(&names));
        for name in &names {
            let path = format!("{place}/{name}");
            let files = host.ask(Directory::at(path.clone())).await?;
            verdict.add(judge_files(&path, &files.names().collect::<Vec<_>>()));
        }
    }
    if places == 0 {
        return Err(Stop::not_applicable(format!("there is no folder in {CERTS_D}")));
    }
    Ok(verdict)
}

/// The names that this host goes by: its own, GitLab's and the registry's.
async fn own_names(host: &Host) -> Result<Vec<String>, Unknown> {
    let mut names = vec![host.ask(System).await?.name.to_ascii_lowercase()];
    names.extend(install::gitlab::external_url(host).await?.map(|url| url.value.host));
    names.extend(install::registry::external(host).await?.map(|url| url.value.host));
    names.sort();
    names.dedup();
    Ok(names)
}

/// Whether the system's own store makes the folder unnecessary.
async fn trusted_by_system(host: &Host, registry: &Endpoint) -> bool {
    super::docker::accepted_by_system(host, registry).await.unwrap_or(false)
}

/// A place with folders, and what they should be called.
struct Site<'a> {
    place: &'a str,
    registry: Option<&'a Endpoint>,
    own: &'a [String],
    /// The port on which the registry listens behind nginx.
    inner: Option<u16>,
    trusted: bool,
}

impl Site<'_> {
    fn judge_names(&self, names: &[&str]) -> Vec<Finding> {
        let right = self.registry.map(Endpoint::authority);
        let has_right = right.as_deref().is_some_and(|right| names.contains(&right));
        names.iter().filter_map(|name| self.judge_name(name, right.as_deref(), has_right)).collect()
    }

    fn judge_name(&self, name: &str, right: Option<&str>, has_right: bool) -> Option<Finding> {
        if Some(name) == right || self.belongs_to_containerd(name, right) {
            return None;
        }
        let fault = self.fault(name, right)?;
        let path = format!("{}/{name}", self.place);
        let severity = match () {
            // A leftover beside the right one does no harm.
            () if has_right => Severity::Notice,
            () if self.trusted => Severity::Warning,
            () => Severity::Error,
        };
        let message = match right {
            Some(right) if !has_right => {
                format!("{fault}: Docker looks for a folder called {right}")
            }
            _ => fault.to_owned(),
        };
        let finding = Finding::new(severity, "wrong-folder", &path, message)
            .evidence(Evidence::new("folder", name).at(&path, None))
            .docs(docs::OFFLINE_TRUST);
        let Some(right) = right.filter(|_| !has_right) else {
            return Some(finding.remedy(
                "Remove the folder; nothing reads it.",
                [format!("sudo rm -r {}", word(&path))],
            ));
        };
        let target = format!("{}/{right}", self.place);
        Some(
            finding
                .seen("image names start with", right)
                .remedy(
                    "Give the folder the host and port that stand in the image names.",
                    [format!("sudo mv {} {}", word(&path), word(&target))],
                )
                .explains(Cause::File(target)),
        )
    }

    /// What is wrong with a name that is not the right one; `None` if it may belong to another
    /// registry.
    fn fault(&self, name: &str, right: Option<&str>) -> Option<&'static str> {
        if name == "https:" || name == "http:" {
            return Some("a URL became a folder name: the scheme does not belong there");
        }
        let folder = Endpoint::parse(&format!("https://{name}")).ok();
        let inner = |it: &Endpoint| {
            Some(it.port) == self.inner
                && self.own.contains(&it.host)
                && self.registry.is_none_or(|registry| registry.port != it.port)
        };
        if folder.as_ref().is_some_and(inner) {
            return Some("it names the port on which the registry listens behind nginx");
        }
        let registry = self.registry?;
        let right = right?;
        let lower = name.to_ascii_lowercase();
        if lower == right {
            return Some("its case differs from the registry's name");
        }
        let bare = lower.trim_end_matches('.').replacen('_', ":", 1);
        let folder = folder?;
        match () {
            () if bare == right => Some("it is spelled otherwise than the registry"),
            () if folder.host != registry.host => None,
            () if !name.contains(':') => Some("it names the registry without its port"),
            () => Some("it names another port than the registry's"),
        }
    }

    /// containerd also reads `_default` and a spelling without the colon.
    fn belongs_to_containerd(&self, name: &str, right: Option<&str>) -> bool {
        let escaped = right.map(|right| format!("{}_", right.replace(':', "_")));
        self.place.contains("containerd")
            && (name == "_default" || Some(name) == escaped.as_deref())
    }
}

/// What a folder lacks so that Docker fails, in Docker's words.
pub(super) fn incomplete_pair(names: &[&str]) -> Option<String> {
    let without = |ending: &str, other: &str| {
        names.iter().find_map(|name| {
            let stem = name.strip_suffix(ending)?;
            let partner = format!("{stem}{other}");
            (!names.contains(&partner.as_str())).then(|| ((*name).to_owned(), partner))
        })
    };
    if let Some((certificate, key)) = without(".cert", ".key") {
        return Some(format!(
            "missing key {key} for client certificate {certificate}. CA certificates must use the \
             extension .crt"
        ));
    }
    let (key, certificate) = without(".key", ".cert")?;
    Some(format!("missing client certificate {certificate} for key {key}"))
}

fn judge_files(path: &str, names: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(words) = incomplete_pair(names) {
        let misnamed = names.iter().find_map(|name| name.strip_suffix(".cert"));
        let command = match misnamed {
            Some(stem) => {
                let from = word(&format!("{path}/{stem}.cert"));
                format!("sudo mv {from} {}", word(&format!("{path}/{stem}.crt")))
            }
            None => format!("sudo ls -l {}", word(path)),
        };
        findings.push(
            Finding::error(
                "incomplete-pair",
                path,
                "a client certificate lacks its key, or a key its certificate: Docker refuses \
                 every operation with this registry",
            )
            .seen("Docker says", words)
            .remedy("A CA certificate has to end in .crt; rename it if it is one.", [command])
            .docs(docs::REGISTRY_SELF_SIGNED)
            .explains(Cause::File(path.to_owned())),
        );
    }
    let read = |name: &&str| name.ends_with(".crt") || *name == "hosts.toml";
    if !names.iter().any(|name| read(&name)) {
        findings.extend(unread(path, names));
    }
    findings
}

/// Certificates under endings that Docker passes over, where there is none that it reads.
fn unread(path: &str, names: &[&str]) -> Option<Finding> {
    let ignored = [".pem", ".cer", ".der", ".CRT", ".Crt", ".crt.txt", ".p7b"];
    let name = names.iter().find(|name| ignored.iter().any(|ending| name.ends_with(ending)))?;
    let stem = name.split('.').next().unwrap_or(name);
    Some(
        Finding::warning(
            "ending-not-read",
            path,
            format!("Docker reads only files that end in .crt, and there is only {name}"),
        )
        .evidence(Evidence::new("file", name).at(format!("{path}/{name}"), None))
        .remedy(
            "Rename the file.",
            [format!(
                "sudo mv {} {}",
                word(&format!("{path}/{name}")),
                word(&format!("{path}/{stem}.crt"))
            )],
        )
        .docs(docs::REGISTRY_SELF_SIGNED)
        .explains(Cause::File(path.to_owned())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(registry: &Endpoint, trusted: bool) -> Site<'_> {
        Site { place: CERTS_D, registry: Some(registry), own: &[], inner: Some(5000), trusted }
    }

    fn registry() -> Endpoint {
        Endpoint::parse("https://git.example.test:5050").unwrap()
    }

    fn severities(names: &[&str]) -> Vec<Severity> {
        let registry = registry();
        let findings = site(&registry, false).judge_names(names);
        findings.iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn the_right_name_and_other_registries_are_fine() {
        assert!(severities(&["git.example.test:5050"]).is_empty());
        assert!(
            severities(&["git.example.test:5050", "other.example.test", "docker.io"]).is_empty()
        );
    }

    #[test]
    fn near_misses_of_the_name_are_found() {
        for wrong in [
            "git.example.test",
            "git.example.test:443",
            "git.example.test:5000",
            "Git.Example.test:5050",
            "git.example.test_5050",
            "https:",
        ] {
            assert_eq!(severities(&[wrong]), [Severity::Error], "{wrong}");
            assert_eq!(
                severities(&[wrong, "git.example.test:5050"]),
                [Severity::Notice],
                "{wrong}"
            );
        }
    }

    #[test]
    fn trust_in_the_system_makes_it_a_warning() {
        let registry = registry();
        let findings = site(&registry, true).judge_names(&["git.example.test"]);
        assert_eq!(findings[0].severity, Severity::Warning);
    }

    #[test]
    fn the_guides_own_folder_is_found_under_any_name_of_this_host() {
        let registry = Endpoint::parse("https://registry.example.test").unwrap();
        let own = ["my-host.internal".to_owned()];
        let site = Site { own: &own, ..site(&registry, false) };
        assert_eq!(site.judge_names(&["my-host.internal:5000"]).len(), 1);
        assert!(site.judge_names(&["other.internal:5000"]).is_empty());
    }

    #[test]
    fn endings_are_read_as_docker_reads_them() {
        let codes = |names: &[&str]| -> Vec<_> {
            judge_files("/f", names).iter().map(|finding| finding.code).collect()
        };
        assert!(codes(&["ca.crt"]).is_empty());
        assert!(codes(&["ca.crt", "ca.pem"]).is_empty());
        assert!(codes(&["ca.crt", "client.cert", "client.key"]).is_empty());
        assert_eq!(codes(&["ca.pem"]), ["ending-not-read"]);
        assert_eq!(codes(&["ca.cert"]), ["incomplete-pair"]);
        assert_eq!(codes(&["ca.crt", "client.key"]), ["incomplete-pair"]);
        assert!(codes(&[]).is_empty());
    }
}
