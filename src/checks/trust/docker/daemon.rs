//! The Docker daemon, as it is set up for one registry.

use camino::Utf8PathBuf;

use crate::checks::shell::word;
use crate::checks::trust::client::{GoClient, Seen, Target, is_about_authority};
use crate::checks::trust::client_pair::{incomplete_pair, mismatched};
use crate::checks::trust::docker_insecure::change;
use crate::checks::trust::shown::{Shown, shown};
use crate::checks::trust::tell;
use crate::checks::{Cause, Evidence, Finding, Severity, Stop, Verdict, docs};
use crate::host::files::{Directory, File, FileFacts, Listing, ReadFile, TrustFile, TrustedFiles};
use crate::host::system::{Now, System};
use crate::host::{Host, Unknown};
use crate::install::docker::{CERTS_D, PID_FILE, Unverified};
use crate::install::{self, Endpoint, authorities};
use crate::trust::Verdict as Judgement;

/// Docker, as it is set up for one registry.
pub(super) struct Daemon<'a> {
    registry: &'a Endpoint,
    folder: Utf8PathBuf,
    files: Vec<(Utf8PathBuf, TrustFile)>,
    obstacle: Option<Obstacle>,
    system: TrustedFiles,
    unverified: Option<Unverified>,
}

/// What in the folder makes every operation with the registry fail.
struct Obstacle {
    /// In Docker's words.
    words: String,
    /// What has to go.
    path: Utf8PathBuf,
    /// What has to go with it.
    other: Option<Utf8PathBuf>,
    /// Why, in a few words.
    what: &'static str,
}

impl<'a> Daemon<'a> {
    pub(super) async fn given(
        host: &Host,
        registry: &'a Endpoint,
        unverified: Option<Unverified>,
    ) -> Result<Self, Unknown> {
        let name = install::docker::image_prefix(host, registry).await?;
        let folder = Utf8PathBuf::from(CERTS_D).join(name);
        let (files, obstacle) = folder_content(host, &folder).await?;
        let system = install::go_store(host, install::DOCKER_UNIT).await?;
        Ok(Self { registry, folder, files, obstacle, system, unverified })
    }

    pub(super) fn files(&self) -> &[(Utf8PathBuf, TrustFile)] {
        &self.files
    }

    fn client(&self) -> GoClient<'_> {
        GoClient {
            name: "Docker",
            system: Some(&self.system),
            files: self.files.clone(),
            target: Target::Folder(self.folder.clone()),
        }
    }

    /// Judges the registry's chains; how many there were.
    pub(super) async fn judge(
        &self,
        host: &Host,
        registry: &Endpoint,
        verdict: &mut Verdict,
    ) -> Result<usize, Stop> {
        let chains = shown(host, registry).await?;
        for shown in &chains {
            let (judgement, finding) = tell::examine(host, &self.client(), registry, shown).await?;
            let restart = self.restart(host, registry, shown, &judgement).await?;
            verdict.add(self.as_docker_takes_it(registry, finding, &judgement));
            verdict.add(restart);
        }
        Ok(chains.len())
    }

    /// Judges the chains of the server that issues tokens, where the registry's verdict does not
    /// hold for them.
    pub(super) async fn judge_realm(
        &self,
        host: &Host,
        realm: &Endpoint,
        verdict: &mut Verdict,
    ) -> Result<usize, Stop> {
        if realm.is_server(self.registry) {
            return Ok(0);
        }
        let registry = shown(host, self.registry).await?;
        let chains = shown(host, realm).await?;
        let same = |shown: &&Shown| {
            realm.host == self.registry.host && registry.iter().any(|it| it.chain == shown.chain)
        };
        for shown in chains.iter().filter(|shown| !same(shown)) {
            let (judgement, finding) = tell::examine(host, &self.client(), realm, shown).await?;
            let finding = finding.map(|it| {
                self.of_realm(it).explains(Cause::Refused(format!("Docker {}", realm.socket())))
            });
            verdict.add(self.as_docker_takes_it(realm, finding, &judgement));
        }
        Ok(chains.len())
    }

    fn of_realm(&self, finding: Finding) -> Finding {
        let registry = self.registry.authority();
        let message = format!(
            "{} (Docker fetches its token for {registry} there, and verifies it with that \
             registry's folder)",
            finding.message
        );
        Finding { message, ..finding }
    }

    /// What is not verified is judged all the same, for every other client.
    fn as_docker_takes_it(
        &self,
        endpoint: &Endpoint,
        finding: Option<Finding>,
        judgement: &Judgement,
    ) -> Option<Finding> {
        let finding = finding.map(|finding| {
            let finding = finding.docs(docs::REGISTRY_SELF_SIGNED);
            if is_about_authority(judgement) {
                finding.follows(Cause::File(self.folder.to_string()))
            } else {
                finding
            }
        });
        let Some(unverified) = &self.unverified else { return finding };
        if judgement.accepted {
            return (endpoint == self.registry).then(|| not_verified(endpoint, unverified));
        }
        finding.map(|finding| {
            let message = format!("{}; elsewhere, {}", in_words(unverified), finding.message);
            let severity = match unverified {
                Unverified::Loopback { .. } => Severity::Warning,
                Unverified::Listed(_) => Severity::Notice,
            };
            Finding { severity, message, ..finding }
        })
    }

    /// What makes every operation with the registry fail.
    pub(super) fn blocked(&self) -> Option<Finding> {
        let Obstacle { words, path, other, what } = self.obstacle.as_ref()?;
        let finding = Finding::error(
            "folder-unusable",
            self.registry.to_string(),
            format!("Docker refuses every operation with it because {path} {what}"),
        )
        .seen("Docker says", words)
        .docs(docs::REGISTRY_SELF_SIGNED)
        .follows(Cause::File(self.folder.to_string()));
        let aside = |path: &Utf8PathBuf| {
            format!("sudo mv {} {}", word(path.as_str()), word(&format!("{path}.old")))
        };
        let Some(other) = other else {
            return Some(finding.remedy(
                "Move it out of the way, then put the CA certificate there, and run gldoctor again.",
                [aside(path)],
            ));
        };
        Some(finding.remedy(
            "GitLab's registry asks for no client certificate: move both out of the way. If \
             something in front of it does, put a certificate and its key there.",
            [aside(path), aside(other)],
        ))
    }

    /// Docker reads the system's certificates when it first needs them, and never again.
    async fn restart(
        &self,
        host: &Host,
        registry: &Endpoint,
        shown: &Shown,
        judgement: &Judgement,
    ) -> Result<Option<Finding>, Unknown> {
        let file = judgement.decided_by.as_deref().unwrap_or_default();
        let through_system = self.system.files.iter().any(|it| it.path == file);
        if !judgement.accepted || !through_system || !host.ask(System).await?.running {
            return Ok(None);
        }
        let Some(pid) = host.ask(FileFacts::of(PID_FILE)).await? else { return Ok(None) };
        let now = host.ask(Now).await?;
        let seen = Seen { endpoint: registry, shown, source: None, now };
        for (path, added) in authorities::added_to_system(host).await {
            let alone = GoClient {
                name: "Docker",
                system: None,
                files: vec![(path.clone(), added)],
                target: Target::File(path.clone()),
            };
            let Some(facts) = host.ask(FileFacts::of(path.clone())).await? else { continue };
            if facts.modified > pid.modified && alone.judge(&seen).accepted {
                return Ok(Some(restart(registry, path.as_str(), facts.modified, pid.modified)));
            }
        }
        Ok(None)
    }
}

fn restart(
    registry: &Endpoint,
    path: &str,
    added: jiff::Timestamp,
    started: jiff::Timestamp,
) -> Finding {
    Finding::warning(
        "restart-needed",
        registry.to_string(),
        "Docker may refuse its certificate until it is restarted: it reads the system's store only \
         once, and the CA was added after it started",
    )
    .evidence(Evidence::new("added", added).at(path, None))
    .evidence(Evidence::new("Docker started", started).at(PID_FILE, None))
    .remedy("Restart Docker, which stops running containers.", ["sudo systemctl restart docker"])
    .docs(docs::REGISTRY_SELF_SIGNED)
}

fn not_verified(endpoint: &Endpoint, unverified: &Unverified) -> Finding {
    let finding = Finding::notice("not-verified", endpoint.to_string(), in_words(unverified))
        .docs(docs::REGISTRY_SELF_SIGNED);
    match unverified {
        Unverified::Loopback { .. } => finding.remedy(
            format!(
                "Nothing here is broken, but a login from this host proves nothing. Let {} resolve \
                 to the host's real address, as it does for everyone else.",
                endpoint.host
            ),
            [format!("getent ahosts {}", word(&endpoint.host))],
        ),
        Unverified::Listed(entry) => {
            let change = change(entry);
            let advice =
                format!("The certificate is good: {}. Then Docker verifies it.", change.clause);
            finding.remedy(advice, change.commands)
        }
    }
}

/// What Docker does where it verifies nothing, in the words of messages.
fn in_words(unverified: &Unverified) -> String {
    format!("Docker on this host does not verify it, because {unverified}")
}

/// Whether Docker would accept everything that a registry shows without a folder for it; `None`
/// where nothing can be seen.
pub(crate) async fn accepted_without_folder(
    host: &Host,
    registry: &Endpoint,
) -> Result<Option<bool>, Stop> {
    if install::docker::unverified(host, registry).await?.is_some() {
        return Ok(Some(true));
    }
    let chains = shown(host, registry).await?;
    let system = install::go_store(host, install::DOCKER_UNIT).await?;
    let now = host.ask(Now).await?;
    let client = GoClient {
        name: "Docker",
        system: Some(&system),
        files: Vec::new(),
        target: Target::Folder(Utf8PathBuf::new()),
    };
    let accepts = |shown: &Shown| {
        client.judge(&Seen { endpoint: registry, shown, source: None, now }).accepted
    };
    Ok((!chains.is_empty()).then(|| chains.iter().all(accepts)))
}

/// The `*.crt` files of a folder, and what in it makes Docker fail.
async fn folder_content(
    host: &Host,
    folder: &Utf8PathBuf,
) -> Result<(Vec<(Utf8PathBuf, TrustFile)>, Option<Obstacle>), Unknown> {
    let listing = host.ask(Directory::at(folder.clone())).await?;
    if let Listing::NotADirectory(_) = listing {
        let words = format!("readdirent {folder}: not a directory");
        let what = "is not a folder";
        let obstacle = Obstacle { words, path: folder.clone(), other: None, what };
        return Ok((Vec::new(), Some(obstacle)));
    }
    let names: Vec<&str> = listing.names().collect();
    let mut files = Vec::new();
    let mut obstacle = incomplete_pair(&names).map(|(words, name)| Obstacle {
        words,
        path: folder.join(name),
        other: None,
        what: "is half of a client's certificate and key",
    });
    if obstacle.is_none() {
        let pair = mismatched(host, folder, &names).await?;
        obstacle = pair.map(|(stem, words)| Obstacle {
            words: words.to_owned(),
            path: folder.join(format!("{stem}.cert")),
            other: Some(folder.join(format!("{stem}.key"))),
            what: "does not go with the key beside it",
        });
    }
    for name in names.iter().filter(|name| name.strip_suffix(".crt").is_some()) {
        let path = folder.join(name);
        let (verb, words, what) = match host.ask(ReadFile::<TrustFile>::at(path.clone())).await? {
            File::Read(file) => {
                files.push((path, file));
                continue;
            }
            File::Missing => ("open", "no such file or directory", "is a link that leads nowhere"),
            File::NotAFile(_) => ("read", "is a directory", "is no file"),
            // Go would read even this; nobody has so many certificates.
            other => return Err(other.unknown(&path)),
        };
        let words = format!("{verb} {path}: {words}");
        obstacle = Some(Obstacle { words, path, other: None, what });
    }
    Ok((files, obstacle))
}
