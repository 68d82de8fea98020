//! Does git in jobs accept the certificate of `clone_url`, where that is another server than GitLab?

use super::Machine;
use super::entry::{Clone, Entry};
use crate::checks::trust::client::{GoClient, Seen, Target, is_about_authority};
use crate::checks::trust::mend::Refusal;
use crate::checks::trust::shown::{Shown, shown, source};
use crate::checks::trust::tell;
use crate::checks::{Cause, Evidence, Finding, Stop};
use crate::host::Host;
use crate::host::files::TrustedFiles;
use crate::host::system::Now;
use crate::install::authorities;
use crate::parse::certificate::Certificate;
use crate::trust::{Client, Der, Store, Verdict, judge};

impl Machine<'_> {
    /// Judges what the servers show from which jobs clone: how many chains there were, and what is
    /// wrong.
    pub(super) async fn judge_clones(
        &self,
        host: &Host,
        entry: &Entry<'_>,
    ) -> Result<(usize, Vec<Finding>), Stop> {
        let mut judged = 0;
        let mut findings = Vec::new();
        for clone in entry.clones() {
            let chains = match shown(host, &clone.endpoint).await {
                Err(Stop::NotApplicable(_)) => continue,
                seen => seen?,
            };
            judged += chains.len();
            for shown in &chains {
                findings.extend(self.judge_clone(host, entry, &clone, shown).await?);
            }
        }
        Ok((judged, findings))
    }

    /// The runner hands git the file that it was given for GitLab, or else the chain by which it
    /// accepted GitLab; git takes that for the server that it clones from.
    async fn judge_clone(
        &self,
        host: &Host,
        entry: &Entry<'_>,
        clone: &Clone<'_>,
        shown: &Shown,
    ) -> Result<Option<Finding>, Stop> {
        let given = super::read(host, &entry.file).await?;
        let system = if given.is_some() && clone.in_image {
            without_added(host, &self.system).await
        } else {
            self.system.clone()
        };
        let client = GoClient {
            name: "git in jobs",
            system: Some(&system),
            files: given.into_iter().collect(),
            target: Target::File(entry.file.clone()),
        };
        let store = store(host, entry, &client, &system).await;
        let now = host.ask(Now).await?;
        let verdict = judge(&store, &shown.chain, &clone.endpoint.host, now);
        if verdict.accepted {
            return Ok(None);
        }
        let unread = system.unread.first().filter(|_| is_about_authority(&verdict));
        if let Some((_, why)) = unread {
            return Err(why.clone().into());
        }
        let source = source(host, &clone.endpoint).await?;
        let seen = Seen { endpoint: &clone.endpoint, shown, source: source.as_ref(), now };
        let lack = client.lack(&seen, &authorities::everywhere(host).await);
        let leaf = shown.chain.first().and_then(|der| Certificate::from_der(der).ok());
        let refusal = Refusal {
            client: &client,
            seen: &seen,
            verdict: &verdict,
            leaf: leaf.as_ref(),
            lack: &lack,
        };
        let finding = self.refused_clone(clone, &refusal);
        Ok(Some(Finding { remedy: refusal.remedy(), ..finding }))
    }

    fn refused_clone(&self, clone: &Clone<'_>, refusal: &Refusal<'_>) -> Finding {
        let Refusal { client, seen, verdict, leaf, .. } = *refusal;
        let (code, why) = if is_about_authority(verdict) {
            ("unknown-authority", tell::unknown(leaf, seen.shown, verdict))
        } else {
            (tell::stable(first_code(verdict)), verdict.why.clone())
        };
        let message = format!("git in jobs refuses the certificate of clone_url: {why}");
        let mut finding = Finding::error(code, clone.endpoint.to_string(), message);
        let place = Evidence::new("clone_url", &clone.written.value);
        finding = finding.evidence(place.at(self.config.path.as_str(), clone.written.line));
        if let Some(words) = &verdict.error {
            finding = finding.seen("curl says", words);
        }
        if let Some(leaf) = leaf {
            finding = finding
                .seen("certificate", tell::summary(leaf))
                .follows(Cause::Certificate(leaf.fingerprint.clone()));
        }
        finding = finding.seen("seen", &seen.shown.place);
        for (path, file) in &client.files {
            let given = Evidence::new("handed to git", tell::contents(file));
            finding = finding.evidence(given.at(path.as_str(), None));
        }
        if matches!(code, "expired" | "not-yet-valid") {
            finding = finding.seen("judged at", seen.now).follows(Cause::Clock);
        }
        finding.on_way_to(seen.endpoint)
    }
}

/// What git takes for true. Without a file of its own the runner hands it the chain of GitLab.
async fn store(
    host: &Host,
    entry: &Entry<'_>,
    client: &GoClient<'_>,
    system: &TrustedFiles,
) -> Store {
    let mut store = Store::new(Client::Curl);
    for (path, file) in &client.files {
        store.add_certificates(path.as_str(), &file.for_openssl());
    }
    for file in &system.files {
        store.add_certificates(file.path.as_str(), &file.certificates);
    }
    store.add_certificates("", &system.for_openssl());
    if client.files.is_empty() {
        for of_gitlab in super::shown(host, &entry.endpoint).await.unwrap_or_default() {
            store.add_certificates("", &of_gitlab.chain);
        }
    }
    store
}

fn first_code(verdict: &Verdict) -> &str {
    verdict.faults.first().map_or("refused", |fault| fault.code.as_str())
}

/// The public roots: what the image in which git runs may have as well.
pub(super) async fn without_added(host: &Host, system: &TrustedFiles) -> TrustedFiles {
    let added = authorities::added_to_system(host).await;
    let mut system = system.clone();
    let is_added = |der: &Der| added.iter().any(|(_, it)| it.all().any(|a| a == der));
    for file in &mut system.files {
        file.certificates.retain(|der| !is_added(der));
    }
    if let Some(bundle) = &mut system.bundle {
        bundle.only_openssl.retain(|der| !is_added(der));
    }
    // The image's store can be read, whoever runs gldoctor.
    system.unread.clear();
    system
}
