//! Which file the administrator probably meant the runner to read, and why it does not.

use super::Machine;
use super::entry::Entry;
use crate::checks::shell::word;
use crate::checks::{Evidence, Finding};
use crate::host::files::Directory;
use crate::host::{Host, Unknown};
use crate::install::Endpoint;
use crate::install::runner::Home;
use crate::parse::runner_toml::UnknownKey;

impl Machine<'_> {
    /// Adds to a refusal why there is no certificate for the runner to read.
    pub(super) async fn explained(
        &self,
        host: &Host,
        finding: Finding,
        entry: &Entry<'_>,
    ) -> Result<Finding, Unknown> {
        if let Some(key) = entry.misspelt {
            return Ok(self.misspelt(finding, key));
        }
        if let Some((name, line)) = entry.named {
            let place = Evidence::new("tls-ca-file", name).at(self.config.path.as_str(), line);
            let relative = if name.starts_with('/') {
                ""
            } else {
                " (it is relative to the runner's working folder)"
            };
            let message = format!(
                "{}; tls-ca-file names {}, which is not there{relative}",
                finding.message, entry.file
            );
            return Ok(Finding { code: "ca-file-missing", message, ..finding.evidence(place) });
        }
        let certs = self.config.certs();
        let listing = host.ask(Directory::at(certs.clone())).await?;
        let names: Vec<&str> = listing.names().collect();
        let Some((name, why)) = near_miss(&names, &entry.endpoint, self.home) else {
            let place = Evidence::new("given to trust", "no such file");
            return Ok(finding.evidence(place.at(entry.file.as_str(), None)));
        };
        let path = certs.join(name);
        let message = format!("{}; {path} is not read: {why}", finding.message);
        let code = if name == "ca.crt" { "ca-crt-ignored" } else { "wrong-file-name" };
        Ok(Finding { code, message, ..finding })
    }

    fn misspelt(&self, finding: Finding, key: &UnknownKey) -> Finding {
        let message =
            format!("{}; {} is ignored: the key is tls-ca-file", finding.message, key.key);
        let path = self.config.path.as_str();
        let place = Evidence::new("ignored key", &key.key).at(path, Some(key.line));
        let change = format!("{}s/{}/tls-ca-file/", key.line, key.key);
        // A key with other characters has to be mended by hand.
        let plain = key.key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let command = if plain {
            format!("sudo sed -i {} {}", word(&change), word(path))
        } else {
            format!("sudoedit {}", word(path))
        };
        Finding { code: "ca-key-misspelt", message, ..finding.evidence(place) }.remedy(
            "Spell the key with hyphens. The runner reads its configuration anew within seconds.",
            [command],
        )
    }
}

/// A file that somebody put there for this host, under a name that the runner does not read.
fn near_miss<'a>(
    names: &[&'a str],
    endpoint: &Endpoint,
    home: Home,
) -> Option<(&'a str, &'static str)> {
    let host = endpoint.host.as_str();
    let near = |name: &&'a str| {
        let lower = name.to_ascii_lowercase();
        let stem = lower.rsplit_once('.').map_or(lower.as_str(), |(stem, _)| stem);
        let why = match () {
            () if *name == "ca.crt" && home == Home::System => {
                "only the runner's container image reads that name"
            }
            () if lower == format!("{host}.crt") => "its case differs from the host in the url",
            () if stem == host => "its ending is not .crt",
            () if stem.strip_prefix(host).is_some_and(|rest| rest.starts_with([':', '_'])) => {
                "the port does not belong into the name"
            }
            () => return None,
        };
        Some((*name, why))
    };
    // A file with the host in its name was meant for this host more surely than ca.crt.
    let found: Vec<_> = names.iter().filter_map(near).collect();
    found.iter().find(|(name, _)| *name != "ca.crt").or(found.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn miss(names: &[&str], home: Home) -> Option<String> {
        let endpoint = Endpoint::parse("https://git.example.test:8443").unwrap();
        near_miss(names, &endpoint, home).map(|(name, _)| name.to_owned())
    }

    #[test]
    fn names_that_look_right_are_told() {
        assert_eq!(miss(&["ca.crt"], Home::System).as_deref(), Some("ca.crt"));
        assert_eq!(miss(&["ca.crt"], Home::Image), None);
        for near in ["git.example.test:8443.crt", "git.example.test.pem", "Git.Example.test.crt"] {
            assert_eq!(miss(&["ca.crt", near], Home::System).as_deref(), Some(near));
        }
        assert_eq!(miss(&["other.example.test.crt"], Home::System), None);
    }
}
