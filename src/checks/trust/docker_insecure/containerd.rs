//! Settings of containerd that let it verify nothing.

use camino::{Utf8Path, Utf8PathBuf};

use super::Registry;
use super::entries::is_own;
use crate::checks::shell::word;
use crate::checks::trust::matrix::clients::names_for;
use crate::checks::{Evidence, Finding, docs};
use crate::host::files::{Directory, File, Kind, ReadFile};
use crate::host::{Host, Unknown};
use crate::install::Sourced;
use crate::install::containerd::Registries;
use crate::parse::hosts_toml::HostsToml;

/// A folder for a registry, or for all those that have none.
struct Folder {
    place: Utf8PathBuf,
    name: String,
    toml: Option<HostsToml>,
}

/// What containerd is told of registries.
pub(super) struct Told {
    folders: Vec<Folder>,
    skipped: Vec<Sourced<String>>,
}

/// Reads the `hosts.toml` of every registry.
pub(super) async fn told(host: &Host, registries: Registries) -> Result<Told, Unknown> {
    let mut folders = Vec::new();
    for place in registries.folders {
        let listing = host.ask(Directory::at(place.clone())).await?;
        for entry in listing.entries().iter().filter(|it| it.kind != Kind::File) {
            let path = place.join(&entry.name).join("hosts.toml");
            let toml = match host.ask(ReadFile::<HostsToml>::at(path.clone())).await? {
                File::Read(toml) => Some(toml),
                // containerd goes by the other files of the folder then.
                File::Missing | File::NotAFile(_) | File::Malformed(_) => None,
                File::TooLarge(_) => {
                    return Err(Unknown::Unreadable(format!("{path}: it is too large")));
                }
            };
            folders.push(Folder { place: place.clone(), name: entry.name.clone(), toml });
        }
    }
    Ok(Told { folders, skipped: registries.skipped })
}

impl Told {
    /// Whether anything is not verified.
    pub(super) fn skips(&self) -> bool {
        !self.skipped.is_empty() || self.folders.iter().any(|it| !it.skips().is_empty())
    }

    pub(super) fn judge(&self, known: &[Registry]) -> Vec<Finding> {
        let old = self.skipped.iter().filter_map(|it| old_setting(it, known));
        let folders = self.folders.iter().flat_map(|folder| {
            let judge = move |skip: Skip| self.entry(folder, &skip, known);
            folder.skips().into_iter().filter_map(judge)
        });
        old.chain(folders).collect()
    }

    fn entry(&self, folder: &Folder, skip: &Skip, known: &[Registry]) -> Option<Finding> {
        let path = folder.path();
        let hit = known.iter().find(|registry| {
            let own = self.folder_of(registry).filter(|own| own.path() == path);
            let url = registry.endpoint.to_string();
            let settings = own.and_then(|own| own.toml.as_ref());
            let settings = settings.map(|toml| toml.settings_for(&url, &registry.prefix));
            let line = settings.and_then(|it| it.skip_verify.as_ref()).and_then(|it| it.line);
            line.is_some() && line == skip.line
        });
        let finding = match hit {
            Some(registry) => blind(registry, "skip_verify is set"),
            None if is_own(skip.authority(), false) => return None,
            None => other(skip.authority()),
        };
        let place = Evidence::new("skip_verify", "true").at(path.as_str(), skip.line);
        Some(finding.evidence(place).docs(docs::REGISTRY_SELF_SIGNED).remedy(
            "Put the CA certificate beside the file, name it there (ca = \"ca.crt\"), and take \
             skip_verify out. containerd reads the file at the next pull.",
            [format!("sudoedit {}", word(path.as_str()))],
        ))
    }

    /// The folder in which containerd looks for a registry's settings.
    fn folder_of(&self, registry: &Registry) -> Option<&Folder> {
        let mut places: Vec<&Utf8Path> = Vec::new();
        for folder in &self.folders {
            if !places.contains(&folder.place.as_path()) {
                places.push(&folder.place);
            }
        }
        let names = names_for(&registry.prefix);
        places.into_iter().find_map(|place| {
            let here = |name: &String| {
                self.folders.iter().find(|it| it.place == place && it.name == *name)
            };
            names.iter().find_map(here)
        })
    }
}

/// A `skip_verify = true`.
struct Skip {
    /// The URL or name of the host that it is about.
    host: String,
    line: Option<u32>,
}

impl Skip {
    fn authority(&self) -> &str {
        let rest = self.host.split_once("://").map_or(self.host.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }
}

impl Folder {
    fn path(&self) -> Utf8PathBuf {
        self.place.join(&self.name).join("hosts.toml")
    }

    fn skips(&self) -> Vec<Skip> {
        let Some(toml) = &self.toml else { return Vec::new() };
        let server = toml.server.as_ref().map_or(&self.name, |server| &server.value);
        let hosts = toml.hosts.iter().map(|it| (&it.host, &it.settings));
        let all = [(server, &toml.top)].into_iter().chain(hosts);
        let skips = all.filter_map(|(host, settings)| {
            let skip = settings.skip_verify.as_ref().filter(|skip| skip.value)?;
            Some(Skip { host: host.clone(), line: skip.line })
        });
        skips.collect()
    }
}

/// An entry of `registry.configs` in `config.toml`.
fn old_setting(skipped: &Sourced<String>, known: &[Registry]) -> Option<Finding> {
    let name = skipped.value.as_str();
    let finding = match known.iter().find(|registry| registry.prefix == name) {
        Some(registry) => blind(registry, "insecure_skip_verify is set"),
        None if is_own(name, false) => return None,
        None => other(name),
    };
    let evidence = skipped.source.evidence("insecure_skip_verify", "true");
    let edit = evidence.path.iter().map(|path| format!("sudoedit {}", word(path)));
    let restart = "sudo systemctl restart containerd".to_owned();
    let commands: Vec<_> = edit.chain([restart]).collect();
    Some(finding.evidence(evidence).docs(docs::REGISTRY_SELF_SIGNED).remedy(
        "Name the CA certificate in the same table (ca_file), take insecure_skip_verify out, and \
         restart containerd, which stops no container.",
        commands,
    ))
}

fn blind(registry: &Registry, why: &str) -> Finding {
    Finding::error(
        "registry-insecure",
        registry.endpoint.to_string(),
        format!("containerd does not verify its certificate: {why}"),
    )
}

fn other(host: &str) -> Finding {
    let (subject, what) = match host {
        "_default" => ("_default", "every registry that has no folder of its own"),
        host => (host, "this registry"),
    };
    Finding::warning(
        "other-registry-insecure",
        subject,
        format!("containerd does not verify the certificate of {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Severity;
    use crate::install::Endpoint;
    use crate::parse::hosts_toml::read;

    fn judged(folders: &[(&str, &str, &str)]) -> Vec<(Severity, String, Option<u32>)> {
        let folder = |(place, name, text): &(&str, &str, &str)| Folder {
            place: (*place).into(),
            name: (*name).to_owned(),
            toml: Some(read(text.as_bytes()).unwrap()),
        };
        let told = Told { folders: folders.iter().map(folder).collect(), skipped: Vec::new() };
        let endpoint = Endpoint::parse("https://git.test:5050").unwrap();
        let known = [Registry { prefix: endpoint.authority(), endpoint, addresses: Vec::new() }];
        let found = told.judge(&known).into_iter();
        found.map(|it| (it.severity, it.subject, it.evidence[0].line)).collect()
    }

    const SKIP: &str = "skip_verify = true\n";
    const HOST: &str =
        "server = 'https://x.test'\n[host.'https://git.test:5050']\nskip_verify = true\n";

    #[test]
    fn the_registry_is_found_in_its_folder() {
        let error = |line| vec![(Severity::Error, "https://git.test:5050".to_owned(), Some(line))];
        assert_eq!(judged(&[("/a", "git.test:5050", SKIP)]), error(1));
        assert_eq!(judged(&[("/a", "git.test:5050", HOST)]), error(3));
        assert_eq!(judged(&[("/a", "git.test_5050_", SKIP)]), error(1));
        assert_eq!(judged(&[("/a", "_default", SKIP)]), error(1));
    }

    #[test]
    fn others_are_told_apart() {
        let other = |name: &str| vec![(Severity::Warning, name.to_owned(), Some(1))];
        assert_eq!(judged(&[("/a", "git.test:5051", SKIP)]), other("git.test:5051"));
        assert!(judged(&[("/a", "localhost:5000", SKIP)]).is_empty());
        assert!(
            judged(&[("/a", "git.test:5050", "skip_verify = false\n# skip_verify = true")])
                .is_empty()
        );
        // Its own folder is in an earlier place.
        let shadowed = [("/a", "git.test:5050", "ca = 'ca.crt'\n"), ("/b", "_default", SKIP)];
        assert_eq!(judged(&shadowed), other("_default"));
        let mirror = "[host.'https://mirror.test']\nskip_verify = true\n";
        let found = judged(&[("/a", "git.test:5050", mirror)]);
        assert_eq!(found, [(Severity::Warning, "mirror.test".to_owned(), Some(2))]);
    }
}
