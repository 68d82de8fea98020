//! The entries of `config.toml` that reach GitLab in the same way, with the same trust.

use camino::{Utf8Path, Utf8PathBuf};

use crate::checks::{Evidence, Finding};
use crate::install::Endpoint;
use crate::install::runner::{Config, Home};
use crate::parse::runner_toml::{Runner, UnknownKey};
use crate::parse::setting::Located;

/// The folder in which packages and the container image start the runner.
const WORKING_FOLDER: &str = "/home/gitlab-runner";

/// As many runners as a finding names.
const MOST_NAMED: usize = 5;

/// Runners with one address and one file of certificates.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) endpoint: Endpoint,
    /// The file that they are given for GitLab's certificate, whether or not it exists.
    pub(super) file: Utf8PathBuf,
    /// `tls-ca-file` of the first of them, if it names the file, with its line.
    pub(super) named: Option<(&'a str, Option<u32>)>,
    /// A key that was meant to be `tls-ca-file`.
    pub(super) misspelt: Option<&'a UnknownKey>,
    runners: Vec<&'a Runner>,
}

/// A server from which jobs of an entry clone, and which is not GitLab's address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Clone<'a> {
    pub(super) endpoint: Endpoint,
    /// `clone_url` of the first runner that names it.
    pub(super) written: &'a Located<String>,
    /// Whether git runs in an image, which has a store of its own.
    pub(super) in_image: bool,
}

/// The entries with an https address, those alike put together, in the order of the file.
pub(super) fn entries(config: &Config) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let runners = &config.toml.runners;
    for (number, runner) in runners.iter().enumerate() {
        let next = runners.get(number + 1).and_then(|next| next.line);
        let Some(entry) = entry(config, runner, next) else { continue };
        let alike = |other: &&mut Entry<'_>| {
            (&other.endpoint, &other.file, other.misspelt.is_some())
                == (&entry.endpoint, &entry.file, entry.misspelt.is_some())
        };
        match entries.iter_mut().find(alike) {
            Some(other) => other.runners.push(runner),
            None => entries.push(entry),
        }
    }
    entries
}

fn entry<'a>(config: &'a Config, runner: &'a Runner, next: Option<u32>) -> Option<Entry<'a>> {
    let url = runner.url.as_ref()?;
    let endpoint = Endpoint::parse(&url.value).ok().filter(|endpoint| endpoint.https)?.server();
    let named = runner.tls_ca_file.as_ref().filter(|it| !it.value.is_empty());
    let file = match named {
        Some(named) => config.on_host(Utf8Path::new(WORKING_FOLDER).join(&named.value)),
        None => config.certs().join(format!("{}.crt", host_of(&url.value))),
    };
    let belongs = |key: &&UnknownKey| {
        runner.line.is_some_and(|line| key.line >= line) && next.is_none_or(|next| key.line < next)
    };
    let mut misspelt = config.toml.unknown_keys.iter().filter(belongs);
    Some(Entry {
        endpoint,
        file,
        named: named.map(|it| (it.value.as_str(), it.line)),
        misspelt: misspelt.find(|key| key.near.as_deref() == Some("tls-ca-file")),
        runners: vec![runner],
    })
}

/// The file that the runner is given for a server: by the entry that names it, or else by its name.
pub(crate) fn file_for(config: &Config, endpoint: &Endpoint) -> Utf8PathBuf {
    let entry = entries(config).into_iter().find(|entry| entry.endpoint.is_server(endpoint));
    let by_name = || config.certs().join(format!("{}.crt", endpoint.host));
    entry.map_or_else(by_name, |entry| entry.file)
}

/// The host as the runner makes a file name of it: as it was written, up to the first colon, which
/// leaves only `[fd00` of an IPv6 address (`network/client.go`).
fn host_of(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.split(':').next().unwrap_or_default()
}

impl Entry<'_> {
    /// Where else than from GitLab's address the runners' jobs clone, if git verifies anything there.
    pub(super) fn clones(&self) -> Vec<Clone<'_>> {
        let mut clones: Vec<Clone<'_>> = Vec::new();
        for runner in &self.runners {
            let verifies = runner.environment.iter().all(|it| it.name != "GIT_SSL_NO_VERIFY");
            let Some(written) = runner.clone_url.as_ref().filter(|_| verifies) else { continue };
            let Ok(endpoint) = Endpoint::parse(&written.value) else { continue };
            let endpoint = endpoint.server();
            let is_known = clones.iter().any(|clone| clone.endpoint == endpoint);
            if endpoint.https && !endpoint.is_server(&self.endpoint) && !is_known {
                let executor = runner.executor.as_ref().map_or("", |it| it.value.as_str());
                let in_image = ["docker", "kubernetes"].iter().any(|it| executor.starts_with(it));
                clones.push(Clone { endpoint, written, in_image });
            }
        }
        clones
    }

    /// Says which runners it is about, and how they run where that decides.
    pub(super) fn with_runners(&self, finding: Finding, config: &Utf8Path, home: Home) -> Finding {
        let mut finding = finding;
        for runner in self.runners.iter().take(MOST_NAMED) {
            let name = runner.name.as_ref().map_or("unnamed", |name| name.value.as_str());
            let place = Evidence::new("runner", name).at(config.as_str(), runner.line);
            finding = finding.evidence(place);
        }
        if self.runners.len() > MOST_NAMED {
            finding = finding.seen("runners", format!("{} in all", self.runners.len()));
        }
        match home {
            Home::System => finding,
            Home::InsideImage => finding.seen("how it runs", "in this container image"),
            Home::Image => {
                finding.seen("how it runs", "in its container image (no program on this host)")
            }
        }
    }

    /// `tls-ca-file` names nothing, although the runner accepts without it.
    pub(super) fn missing_file(&self, config: &Utf8Path) -> Option<Finding> {
        let (name, line) = self.named?;
        Some(
            Finding::notice(
                "ca-file-missing",
                self.endpoint.to_string(),
                format!(
                    "tls-ca-file names {}, which is not there; the runner trusts GitLab without it",
                    self.file
                ),
            )
            .evidence(Evidence::new("tls-ca-file", name).at(config.as_str(), line))
            .remedy("Remove the line, or put the file there.", Vec::<String>::new()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files::Format as _;
    use crate::parse::runner_toml::RunnerToml;

    fn config(text: &str) -> Config {
        let toml = RunnerToml::parse(text.as_bytes()).unwrap();
        Config { path: "/etc/gitlab-runner/config.toml".into(), toml }
    }

    fn files(text: &str) -> Vec<String> {
        entries(&config(text)).iter().map(|entry| entry.file.to_string()).collect()
    }

    #[test]
    fn the_file_is_named_as_the_runner_names_it() {
        let file = |url: &str| files(&format!("[[runners]]\nurl = \"{url}\"\n"));
        assert_eq!(file("https://Git.test:8443/x"), ["/etc/gitlab-runner/certs/Git.test.crt"]);
        assert_eq!(file("https://10.0.0.5"), ["/etc/gitlab-runner/certs/10.0.0.5.crt"]);
        assert_eq!(file("https://[fd00::1]/"), ["/etc/gitlab-runner/certs/[fd00.crt"]);
        assert!(file("http://git.test").is_empty());
    }

    #[test]
    fn tls_ca_file_counts_wherever_it_leads() {
        let file = |path: &str| {
            files(&format!("[[runners]]\nurl = \"https://g\"\ntls-ca-file = \"{path}\"\n"))
        };
        assert_eq!(file("/a/b.crt"), ["/a/b.crt"]);
        assert_eq!(file("b.crt"), ["/home/gitlab-runner/b.crt"]);
        assert_eq!(file(""), ["/etc/gitlab-runner/certs/g.crt"]);
    }

    #[test]
    fn paths_of_a_container_are_found_on_the_host() {
        let text = "[[runners]]\nurl = \"https://g\"\n\
                    tls-ca-file = \"/etc/gitlab-runner/certs/ca.crt\"\n";
        let path = "/srv/gitlab-runner/config/config.toml".into();
        let config = Config { path, ..config(text) };
        assert_eq!(entries(&config)[0].file, "/srv/gitlab-runner/config/certs/ca.crt");
    }

    #[test]
    fn clones_from_elsewhere_are_told_apart() {
        let clones = |more: &str| {
            let config = config(&format!("[[runners]]\nurl = \"https://g\"\n{more}\n"));
            let entries = entries(&config);
            let clones = entries[0].clones();
            clones.iter().map(|it| (it.endpoint.to_string(), it.written.line)).collect::<Vec<_>>()
        };
        let elsewhere = "clone_url = \"https://c:8443/\"\n";
        assert_eq!(clones(elsewhere), [("https://c:8443".to_owned(), Some(3))]);
        assert!(clones("clone_url = \"https://g/gitlab\"").is_empty());
        assert!(clones("clone_url = \"http://c\"").is_empty());
        assert!(clones("# clone_url = \"https://c\"").is_empty());
        let blind = format!("{elsewhere}environment = [\"GIT_SSL_NO_VERIFY=true\"]");
        assert!(clones(&blind).is_empty());
    }

    #[test]
    fn runners_alike_are_one_entry() {
        let text = "[[runners]]\nname = \"a\"\nurl = \"https://g\"\n\
                    [[runners]]\nname = \"b\"\nurl = \"https://g/\"\n\
                    [[runners]]\nname = \"c\"\nurl = \"https://g\"\ntls_ca_file = \"/x\"\n";
        let config = config(text);
        let entries = entries(&config);
        assert_eq!(entries.len(), 2);
        assert_eq!((entries[0].runners.len(), entries[0].misspelt), (2, None));
        assert_eq!(entries[1].misspelt.map(|key| key.line), Some(10));
    }
}
