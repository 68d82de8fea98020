//! Does the runner accept GitLab's certificate?

mod clone;
mod entry;
mod explain;

use camino::{Utf8Path, Utf8PathBuf};

pub(super) use self::entry::file_for;
use self::entry::{Entry, entries};
use super::client::{GoClient, Target, is_about_authority};
use super::shown::shown;
use super::tell;
use crate::checks::{Cause, Finding, Severity, Stop, Verdict, check, docs};
use crate::host::files::{File, ReadFile, SystemTrust, TrustFile, TrustedFiles};
use crate::host::{Host, Unknown};
use crate::install::runner::{Config, Home};
use crate::install::{self, Endpoint};

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
    /// Where `clone_url` leads to another server, its certificates are judged as git judges them:
    /// with the same file, or else with what the runner accepted GitLab through, which the runner
    /// hands to every job.
    ///
    /// A container image has its own store, which cannot be seen from outside. It is taken to hold
    /// the public roots of this system, without what was added to them here.
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
    let entries = entries(&config);
    if entries.is_empty() {
        return Err(Stop::not_applicable(if config.toml.runners.is_empty() {
            "config.toml has no [[runners]] entry: no runner is registered"
        } else {
            "no entry in config.toml has an https url"
        }));
    }
    let machine = Machine::given(host, &config).await?;
    let mut verdict = Verdict::default();
    let mut judged = 0;
    for entry in &entries {
        match machine.judge(host, entry).await {
            Ok((chains, findings)) => {
                judged += chains;
                verdict.add(findings);
            }
            Err(Stop::Unknown(why)) => verdict.untold(entry.endpoint.to_string(), why),
            Err(Stop::NotApplicable(_)) => {}
        }
        match machine.judge_clones(host, entry).await {
            Ok((chains, findings)) => {
                judged += chains;
                let told = |finding| entry.with_runners(finding, &config.path, machine.home);
                verdict.add(findings.into_iter().map(|it| told(it).docs(docs::RUNNER_TLS)));
            }
            Err(Stop::Unknown(why)) => {
                verdict.untold(format!("clone_url of {}", entry.endpoint), why);
            }
            Err(Stop::NotApplicable(_)) => {}
        }
    }
    if judged == 0 && verdict.findings.is_empty() && verdict.untold.is_empty() {
        return Err(Stop::not_applicable(
            "no https certificate of GitLab can be seen from here (nothing is served, and no file \
             of it lies on this host)",
        ));
    }
    Ok(verdict)
}

/// The runner program and what it sees.
struct Machine<'a> {
    config: &'a Config,
    home: Home,
    /// The store of the system that the program runs on.
    system: TrustedFiles,
}

impl<'a> Machine<'a> {
    async fn given(host: &Host, config: &'a Config) -> Result<Self, Unknown> {
        let home = install::runner::home(host, config).await?;
        let mut system = match home {
            Home::System => install::go_store(host, install::RUNNER_UNIT).await?,
            Home::Image | Home::InsideImage => host.ask(SystemTrust).await?,
        };
        if home == Home::Image {
            system = clone::without_added(host, &system).await;
        }
        Ok(Self { config, home, system })
    }

    /// Judges one entry: how many chains there were, and what is wrong.
    async fn judge(&self, host: &Host, entry: &Entry<'_>) -> Result<(usize, Vec<Finding>), Stop> {
        let own = read(host, &entry.file).await?;
        let exists = own.is_some();
        let mut files: Vec<_> = own.into_iter().collect();
        if self.home != Home::System {
            // The image's start script puts this one into the image's own store.
            files.extend(read(host, &self.config.certs().join("ca.crt")).await?);
        }
        let mut findings = tell::stray_keys(&files);
        let client = GoClient {
            name: "the runner",
            system: Some(&self.system),
            files,
            target: Target::File(entry.file.clone()),
        };
        let chains = shown(host, &entry.endpoint).await?;
        for shown in &chains {
            let (judgement, finding) = tell::examine(host, &client, &entry.endpoint, shown).await?;
            let Some(finding) = finding else { continue };
            let finding = if !exists && is_about_authority(&judgement) {
                self.explained(host, finding, entry).await?
            } else {
                finding
            };
            let is_refusal = finding.severity == Severity::Error;
            findings.push(if is_refusal {
                finding.explains(refused(&entry.endpoint))
            } else {
                finding
            });
        }
        if !exists && !chains.is_empty() && findings.is_empty() {
            findings.extend(entry.missing_file(&self.config.path));
        }
        let told = findings.into_iter().map(|finding| {
            entry.with_runners(finding, &self.config.path, self.home).docs(docs::RUNNER_TLS)
        });
        Ok((chains.len(), told.collect()))
    }
}

/// What a refusal of the certificate at `endpoint` explains.
pub(in crate::checks) fn refused(endpoint: &Endpoint) -> Cause {
    Cause::Refused(format!("runner {}", endpoint.socket()))
}

/// Why the runner refuses the certificate at `endpoint`, if it does.
pub(in crate::checks) async fn refusal(
    host: &Host,
    config: &Config,
    endpoint: &Endpoint,
) -> Result<Option<Finding>, Stop> {
    let entries = entries(config);
    let Some(entry) = entries.iter().find(|entry| entry.endpoint.is_server(endpoint)) else {
        return Ok(None);
    };
    let machine = Machine::given(host, config).await?;
    let (_, findings) = machine.judge(host, entry).await?;
    Ok(findings.into_iter().find(|finding| finding.severity == Severity::Error))
}

/// A file of certificates; `None` where there is none.
async fn read(host: &Host, path: &Utf8Path) -> Result<Option<(Utf8PathBuf, TrustFile)>, Unknown> {
    Ok(match host.ask(ReadFile::<TrustFile>::at(path)).await? {
        File::Read(file) => Some((path.to_owned(), file)),
        // The runner goes on with the system's store alone, without a line in its log.
        File::Missing | File::NotAFile(_) => None,
        other => return Err(other.unknown(path)),
    })
}
