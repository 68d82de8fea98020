//! Does the runner accept GitLab's certificate?

use camino::{Utf8Path, Utf8PathBuf};

use super::shown::shown;
use super::verdicts::{GoClient, Seen};
use crate::checks::shell::word;
use crate::checks::{Evidence, Finding, Stop, Verdict, check, docs};
use crate::host::files::{Directory, File, ReadFile, SystemTrust, TrustFile, TrustedFiles};
use crate::host::system::Now;
use crate::host::{Host, Unknown};
use crate::install::{self, Endpoint};
use crate::parse::runner_toml::Runner;

check! {
    /// GitLab Runner on this host accepts GitLab's certificate.
    ///
    /// ## Why it matters
    ///
    /// A runner that refuses the certificate asks for no jobs. Its log says "x509: ..." but never
    /// that the file it was given is not the one it reads: a runner from a package ignores
    /// `certs/ca.crt` without a word, and so does any runner a file with the port in its name.
    ///
    /// ## What is looked at
    ///
    /// Each `[[runners]]` entry: its `url`, `tls-ca-file`, or else `certs/<host>.crt` beside
    /// `config.toml`; for a runner in its container image also `certs/ca.crt`. The certificates
    /// that GitLab shows (or the file that nginx would show), the system's own trusted
    /// certificates, and the time. The verdict is reached as Go reaches it, with Go's words.
    ///
    /// ## How to fix it
    ///
    /// Put the root certificate of your CA, or GitLab's certificate if it is self-signed, into
    /// `/etc/gitlab-runner/certs/<host>.crt`, without a port. The runner reads it anew when it
    /// changes. A certificate without subjectAltName has to be made anew.
    "trust/runner": "the runner accepts GitLab's certificate"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let Some(config) = install::runner::config(host).await? else {
        return Err(Stop::not_applicable("no runner is configured on this host"));
    };
    let machine = Machine {
        certs: config.path.parent().unwrap_or(Utf8Path::new("/")).join("certs"),
        path: config.path.clone(),
        in_container: install::runner::program(host).await?.is_none(),
        system: host.ask(SystemTrust).await?,
    };
    let mut verdict = Verdict::default();
    let mut judged = 0;
    for runner in &config.toml.runners {
        let Some(endpoint) = endpoint_of(runner) else { continue };
        judged += machine.judge(host, runner, &endpoint, &mut verdict).await?;
    }
    if judged == 0 && verdict.findings.is_empty() {
        return Err(Stop::not_applicable(
            "no https certificate of GitLab can be seen from here (nothing is served, and no file \
             of it lies on this host)",
        ));
    }
    Ok(verdict)
}

fn endpoint_of(runner: &Runner) -> Option<Endpoint> {
    let url = runner.url.as_ref()?;
    Endpoint::parse(&url.value).ok().filter(|endpoint| endpoint.https)
}

/// The runner program and what it sees.
struct Machine {
    /// `config.toml`.
    path: Utf8PathBuf,
    /// The folder of certificates beside it.
    certs: Utf8PathBuf,
    /// Whether it runs in its container image, whose own store is not this system's.
    in_container: bool,
    system: TrustedFiles,
}

/// The file that a runner is given for GitLab's certificate.
struct Given {
    path: Utf8PathBuf,
    /// The line of `tls-ca-file`, if that names it.
    line: Option<u32>,
    file: Option<TrustFile>,
}

impl Machine {
    /// Judges one entry; how many certificates there were to judge.
    async fn judge(
        &self,
        host: &Host,
        runner: &Runner,
        endpoint: &Endpoint,
        verdict: &mut Verdict,
    ) -> Result<usize, Stop> {
        let given = self.given(host, runner, endpoint).await?;
        let mut files: Vec<_> =
            given.file.iter().map(|file| (given.path.clone(), file.clone())).collect();
        if self.in_container {
            // The image's start script puts this one into the image's own store.
            files.extend(read(host, &self.certs.join("ca.crt")).await?);
        }
        let client = GoClient {
            name: "the runner",
            system: (!self.in_container).then_some(&self.system),
            files,
            target: given.path.clone(),
        };
        let source = install::certificates::shown_by(host, endpoint).await?.map(|it| it.value);
        let now = host.ask(Now).await?;
        let all = shown(host, endpoint).await?;
        for shown in &all {
            let seen = Seen { endpoint, shown, source: source.clone(), now };
            let judged = client.judge(&seen);
            let Some(finding) = client.finding(&seen, &judged) else { continue };
            let finding = self.with_entry(finding, runner).docs(docs::RUNNER_TLS);
            let finding = if finding.code == "unknown-authority" {
                self.explained(host, finding, endpoint, &given).await?
            } else {
                finding
            };
            verdict.add([finding.on_way_to(endpoint)]);
        }
        Ok(all.len())
    }

    /// `tls-ca-file`, or else the file named after the host.
    async fn given(
        &self,
        host: &Host,
        runner: &Runner,
        endpoint: &Endpoint,
    ) -> Result<Given, Unknown> {
        let (path, line) = match &runner.tls_ca_file {
            Some(named) => (self.certs.join("..").join(&named.value), named.line),
            None => (self.certs.join(format!("{}.crt", endpoint.host)), None),
        };
        // An absolute path replaces what it is joined to.
        let path = if path.as_str().contains("/../") { normal(&path) } else { path };
        let file = read(host, &path).await?.map(|(_, file)| file);
        Ok(Given { path, line, file })
    }

    fn with_entry(&self, finding: Finding, runner: &Runner) -> Finding {
        let name = runner.name.as_ref().map_or("unnamed", |name| name.value.as_str());
        let place = Evidence::new("runner", name).at(self.path.as_str(), runner.line);
        let finding = finding.evidence(place);
        if self.in_container {
            finding.seen("how it runs", "no program on this host, so in its container image")
        } else {
            finding
        }
    }

    /// Says which file the administrator probably meant, if there is one that nothing reads.
    async fn explained(
        &self,
        host: &Host,
        finding: Finding,
        endpoint: &Endpoint,
        given: &Given,
    ) -> Result<Finding, Unknown> {
        if given.file.is_some() {
            return Ok(finding);
        }
        let read_instead = given.path.clone();
        if let Some(line) = given.line {
            let place =
                Evidence::new("tls-ca-file", &given.path).at(self.path.as_str(), Some(line));
            return Ok(Finding {
                code: "ca-file-missing",
                message: format!(
                    "{}; tls-ca-file names {}, which is not there",
                    finding.message, given.path
                ),
                ..finding.evidence(place)
            });
        }
        let listing = host.ask(Directory::at(self.certs.clone())).await?;
        let names: Vec<&str> = listing.names().collect();
        let Some((name, why)) = near_miss(&names, endpoint, self.in_container) else {
            return Ok(finding);
        };
        let path = self.certs.join(name);
        let finding = finding.evidence(Evidence::new("not read", why).at(path.as_str(), None));
        let message = format!("{}; {path} is not read: {why}", finding.message);
        let code = if name == "ca.crt" { "ca-crt-ignored" } else { "wrong-file-name" };
        Ok(Finding { code, message, ..finding }.remedy(
            "Give the file the name that the runner reads.",
            [format!("sudo cp {} {}", word(path.as_str()), word(read_instead.as_str()))],
        ))
    }
}

/// A file that somebody put there for this host, under a name that the runner does not read.
fn near_miss<'a>(
    names: &[&'a str],
    endpoint: &Endpoint,
    in_container: bool,
) -> Option<(&'a str, &'static str)> {
    let host = endpoint.host.as_str();
    names.iter().find_map(|name| {
        let lower = name.to_ascii_lowercase();
        let stem = lower.rsplit_once('.').map_or(lower.as_str(), |(stem, _)| stem);
        let why = match () {
            () if *name == "ca.crt" && !in_container => {
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
    })
}

/// A file of certificates; `None` where there is none.
async fn read(host: &Host, path: &Utf8Path) -> Result<Option<(Utf8PathBuf, TrustFile)>, Unknown> {
    Ok(match host.ask(ReadFile::<TrustFile>::at(path)).await? {
        File::Read(file) => Some((path.to_owned(), file)),
        // The runner goes on with the system's store alone, without a line in its log.
        File::Missing | File::NotAFile(_) => None,
        other => {
            let why = other.obstacle().unwrap_or_default();
            return Err(Unknown::Unreadable(format!("{path}: {why}")));
        }
    })
}

/// The path without `..`, which `tls-ca-file` may hold.
fn normal(path: &Utf8Path) -> Utf8PathBuf {
    let mut parts = Vec::new();
    for part in path.as_str().split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    format!("/{}", parts.join("/")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn miss(names: &[&str], in_container: bool) -> Option<String> {
        let endpoint = Endpoint::parse("https://git.example.test:8443").unwrap();
        near_miss(names, &endpoint, in_container).map(|(name, _)| name.to_owned())
    }

    #[test]
    fn names_that_look_right_are_told() {
        assert_eq!(miss(&["ca.crt"], false).as_deref(), Some("ca.crt"));
        assert_eq!(miss(&["ca.crt"], true), None);
        for near in ["git.example.test:8443.crt", "git.example.test.pem", "Git.Example.test.crt"] {
            assert_eq!(miss(&[near], true).as_deref(), Some(near));
        }
        assert_eq!(miss(&["other.example.test.crt"], false), None);
    }

    #[test]
    fn dots_in_a_path_lead_where_the_system_leads() {
        assert_eq!(
            normal(Utf8Path::new("/etc/gitlab-runner/certs/../x.crt")),
            "/etc/gitlab-runner/x.crt"
        );
        assert_eq!(normal(Utf8Path::new("/a/../../b")), "/b");
    }
}
