//! Does the Docker daemon accept the registry's certificate?

use std::net::IpAddr;

use camino::Utf8PathBuf;

use super::shown::{Shown, shown};
use super::verdicts::{GoClient, Seen};
use crate::checks::{Cause, Finding, Severity, Stop, Verdict, check, docs};
use crate::host::files::{Directory, File, ReadFile, SystemTrust, TrustFile, TrustedFiles};
use crate::host::network::Resolve;
use crate::host::system::Now;
use crate::host::{Host, Unknown};
use crate::install::{self, Endpoint};
use crate::parse::network;

check! {
    /// The Docker daemon on this host accepts the registry's certificate.
    ///
    /// ## Why it matters
    ///
    /// Docker is written in Go, and Go verifies certificates by rules of its own: it ignores the
    /// common name, it skips a file that it cannot read without a word, and what curl or a browser
    /// accepts, it may refuse. Until it accepts, `docker login`, push and pull fail with "x509: ..."
    ///
    /// ## What is looked at
    ///
    /// The certificates that the registry shows (or, where it cannot be asked, the file that nginx
    /// would show), the `*.crt` files in `/etc/docker/certs.d/<host:port>/`, the system's own
    /// trusted certificates, and the time. The verdict is reached as Go reaches it, with Go's
    /// words. GitLab's own certificate is judged too: Docker fetches its token there, and verifies
    /// that with the registry's folder, never with one named after GitLab.
    ///
    /// ## How to fix it
    ///
    /// Put the root certificate of your CA, or the server's certificate if it is self-signed, into
    /// `/etc/docker/certs.d/<host:port>/ca.crt`, with exactly the host and port of the image names.
    /// Docker reads that folder at each request. A certificate without subjectAltName has to be
    /// made anew.
    "trust/docker": "the Docker daemon accepts the registry's certificate"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    if install::docker::sign(host).await?.is_none() {
        return Err(Stop::not_applicable("no Docker daemon is on this host"));
    }
    let endpoints = registries(host).await?;
    if endpoints.is_empty() {
        return Err(Stop::not_applicable("no registry is known here (--registry-url names one)"));
    }
    let mut verdict = Verdict::default();
    let mut judged = 0;
    for endpoint in &endpoints {
        let docker = Docker::given(host, endpoint).await?;
        judged += docker.judge_registry(host, &mut verdict).await?;
        judged += docker.judge_realm(host, &mut verdict).await?;
    }
    if judged == 0 && verdict.findings.is_empty() && verdict.untold.is_empty() {
        return Err(Stop::not_applicable(
            "the registry shows no certificate (registry/api and tls/key-pair say why)",
        ));
    }
    Ok(verdict)
}

/// The registries that Docker on this host uses: the configured one, or on a host that knows no
/// GitLab those that somebody made a folder for.
pub(super) async fn registries(host: &Host) -> Result<Vec<Endpoint>, Unknown> {
    if let Some(endpoint) = install::registry::external(host).await? {
        return Ok(Some(endpoint.value).filter(|it| it.https).into_iter().collect());
    }
    let folders = install::docker::registry_folders(host).await?;
    let endpoint = |name: &str| Endpoint::parse(&format!("https://{name}")).ok();
    Ok(folders.iter().filter_map(|folder| endpoint(&folder.name)).collect())
}

/// Whether Docker would accept a registry's certificates without any folder of its own for it.
pub(super) async fn accepted_by_system(host: &Host, registry: &Endpoint) -> Result<bool, Stop> {
    let shown = shown(host, registry).await?;
    let system = host.ask(SystemTrust).await?;
    let now = host.ask(Now).await?;
    let client = GoClient {
        name: "Docker",
        system: Some(&system),
        files: Vec::new(),
        target: Utf8PathBuf::new(),
    };
    let accepts = |shown: &Shown| {
        client.judge(&Seen { endpoint: registry, shown, source: None, now }).accepted
    };
    Ok(!shown.is_empty() && shown.iter().all(accepts))
}

/// Docker, as it is set up for one registry.
struct Docker<'a> {
    registry: &'a Endpoint,
    folder: Utf8PathBuf,
    files: Vec<(Utf8PathBuf, TrustFile)>,
    /// What in the folder makes every operation with the registry fail, in Docker's words.
    obstacle: Option<String>,
    system: TrustedFiles,
    insecure: bool,
}

impl<'a> Docker<'a> {
    async fn given(host: &Host, registry: &'a Endpoint) -> Result<Self, Unknown> {
        let folder = Utf8PathBuf::from(install::docker::CERTS_D).join(registry.authority());
        let (files, obstacle) = folder_content(host, &folder).await?;
        Ok(Self {
            registry,
            files,
            obstacle,
            system: host.ask(SystemTrust).await?,
            insecure: is_insecure(host, registry).await?,
            folder,
        })
    }

    fn client(&self) -> GoClient<'_> {
        GoClient {
            name: "Docker",
            system: Some(&self.system),
            files: self.files.clone(),
            target: self.folder.join("ca.crt"),
        }
    }

    /// Judges the registry's certificates; how many there were.
    async fn judge_registry(&self, host: &Host, verdict: &mut Verdict) -> Result<usize, Stop> {
        if let Some(words) = &self.obstacle {
            verdict.add([self.blocked(words)]);
            return Ok(1);
        }
        let shown = shown(host, self.registry).await?;
        for shown in &shown {
            verdict.add(self.judge(host, self.registry, shown).await?);
        }
        Ok(shown.len())
    }

    /// Judges GitLab's certificates, where it is another endpoint: Docker fetches tokens there.
    async fn judge_realm(&self, host: &Host, verdict: &mut Verdict) -> Result<usize, Stop> {
        let Some(gitlab) = install::gitlab::external_url(host).await? else { return Ok(0) };
        let gitlab = gitlab.value;
        if !gitlab.https || self.obstacle.is_some() {
            return Ok(0);
        }
        let registry: Vec<_> = shown(host, self.registry).await?;
        let realm = shown(host, &gitlab).await?;
        // One certificate for both is judged once, unless the names differ.
        let same = |shown: &&Shown| {
            gitlab.host == self.registry.host && registry.iter().any(|it| it.chain == shown.chain)
        };
        for shown in realm.iter().filter(|shown| !same(shown)) {
            verdict.add(self.judge(host, &gitlab, shown).await?);
        }
        Ok(realm.len())
    }

    async fn judge(
        &self,
        host: &Host,
        endpoint: &Endpoint,
        shown: &Shown,
    ) -> Result<Option<Finding>, Stop> {
        let client = self.client();
        let source = install::certificates::shown_by(host, endpoint).await?.map(|it| it.value);
        let now = host.ask(Now).await?;
        let seen = Seen { endpoint, shown, source, now };
        let verdict = client.judge(&seen);
        let finding = client.finding(&seen, &verdict).map(|finding| {
            let finding = if endpoint == self.registry { finding } else { self.of_realm(finding) };
            finding
                .docs(docs::REGISTRY_SELF_SIGNED)
                .on_way_to(endpoint)
                .follows(Cause::File(self.folder.to_string()))
        });
        let loopback = shown.loopback || self.resolves_to_loopback(host, endpoint).await;
        Ok(self.as_docker_takes_it(endpoint, finding, verdict.accepted, loopback))
    }

    fn of_realm(&self, finding: Finding) -> Finding {
        let message = format!(
            "{}; Docker fetches its token there and looks only into {}",
            finding.message, self.folder
        );
        Finding { message, ..finding }
    }

    /// Docker verifies nothing on loopback, nor what is listed as insecure. The certificate is
    /// judged all the same, for every other client.
    fn as_docker_takes_it(
        &self,
        endpoint: &Endpoint,
        finding: Option<Finding>,
        accepted: bool,
        loopback: bool,
    ) -> Option<Finding> {
        let reason = match (loopback, self.insecure) {
            (true, _) => "its name resolves to a loopback address here",
            (_, true) => "it is listed under insecure-registries",
            (false, false) => return finding,
        };
        if accepted {
            return Some(not_verified(endpoint, reason, loopback));
        }
        finding.map(|finding| {
            let message = format!(
                "on this host Docker does not verify it ({reason}), but elsewhere {}",
                finding.message
            );
            let severity = if loopback { Severity::Warning } else { Severity::Notice };
            Finding { severity, message, ..finding }
        })
    }

    async fn resolves_to_loopback(&self, host: &Host, endpoint: &Endpoint) -> bool {
        let resolved = host.ask(Resolve { host: endpoint.host.clone() }).await;
        resolved.is_ok_and(|it| it.addresses().any(|address| address.is_loopback()))
    }

    fn blocked(&self, words: &str) -> Finding {
        Finding::error(
            "folder-unusable",
            self.registry.to_string(),
            format!("Docker refuses every operation with it because of {}", self.folder),
        )
        .seen("Docker says", words)
        .remedy(
            "Leave only readable CA certificates (*.crt) and complete client pairs in the folder.",
            [format!("sudo ls -l {}", self.folder)],
        )
        .docs(docs::REGISTRY_SELF_SIGNED)
        .follows(Cause::File(self.folder.to_string()))
    }
}

fn not_verified(endpoint: &Endpoint, reason: &str, loopback: bool) -> Finding {
    let finding = Finding::notice(
        "not-verified",
        endpoint.to_string(),
        format!("Docker on this host does not verify it: {reason}"),
    )
    .docs(docs::REGISTRY_SELF_SIGNED);
    if loopback {
        finding.remedy(
            format!(
                "Nothing here is broken, but a login from this host proves nothing. Let {} resolve \
                 to the host's real address, as it does for everyone else.",
                endpoint.host
            ),
            [format!("getent hosts {}", endpoint.host)],
        )
    } else {
        finding.remedy(
            "The certificate is good: take the entry out and let Docker verify it.",
            [format!("sudoedit {}", install::docker::DAEMON_JSON)],
        )
    }
}

/// The `*.crt` files of a folder, and what in it makes Docker fail.
async fn folder_content(
    host: &Host,
    folder: &Utf8PathBuf,
) -> Result<(Vec<(Utf8PathBuf, TrustFile)>, Option<String>), Unknown> {
    let listing = host.ask(Directory::at(folder.clone())).await?;
    let names: Vec<&str> = listing.names().collect();
    let mut files = Vec::new();
    let mut obstacle = super::docker_layout::incomplete_pair(&names);
    for name in names.iter().filter(|name| name.ends_with(".crt")) {
        let path = folder.join(name);
        match host.ask(ReadFile::<TrustFile>::at(path.clone())).await? {
            File::Read(file) => files.push((path, file)),
            File::Missing => obstacle = Some(format!("open {path}: no such file or directory")),
            File::NotAFile(_) => obstacle = Some(format!("read {path}: is a directory")),
            // Go would read even this; nobody has so many certificates.
            other => {
                let why = other.obstacle().unwrap_or_default();
                return Err(Unknown::Unreadable(format!("{path}: {why}")));
            }
        }
    }
    Ok((files, obstacle))
}

/// Whether `insecure-registries` names the registry, or a network that holds its address.
async fn is_insecure(host: &Host, registry: &Endpoint) -> Result<bool, Unknown> {
    let Some(json) = install::docker::daemon_json(host).await? else { return Ok(false) };
    let entries: Vec<_> =
        json.value.insecure_registries.iter().map(|entry| entry.value.clone()).collect();
    if entries.iter().any(|entry| *entry == registry.authority() || *entry == registry.socket()) {
        return Ok(true);
    }
    let networks: Vec<_> = entries.iter().filter(|entry| entry.contains('/')).collect();
    if networks.is_empty() {
        return Ok(false);
    }
    let addresses: Vec<IpAddr> = match host.ask(Resolve { host: registry.host.clone() }).await {
        Ok(resolved) => resolved.addresses().collect(),
        Err(_) => Vec::new(),
    };
    let within = |network: &&String| addresses.iter().any(|it| network::contains(network, *it));
    Ok(networks.iter().any(within))
}
