//! Does the host's own store accept GitLab and its registry?

mod added;
mod family;
pub(super) mod links;
mod refused;

use jiff::Timestamp;

use self::added::{Added, Held};
use self::family::Family;
pub(super) use self::refused::by_system;
use self::refused::{Refusals, Refused, refusals};
use crate::checks::{Evidence, Finding, Severity, Stop, Verdict, check, docs};
use crate::host::Host;
use crate::host::files::{SystemTrust, TrustedFiles};
use crate::host::system::Now;
use crate::install::{self, Endpoint};

check! {
    /// The operating system's own store accepts the certificates of GitLab and its registry.
    ///
    /// ## Why it matters
    ///
    /// git, curl, Python and every Go program without a setting of its own trust what this store
    /// holds, and nothing else. A certificate that was put beside it, but never came into it, is the
    /// usual reason for "certificate signed by unknown authority" after "but I installed it". The
    /// programs do not even agree: what OpenSSL reads, Go may skip, and the reverse.
    ///
    /// ## What is looked at
    ///
    /// The certificates that GitLab and the registry show (or the file that nginx would show), the
    /// bundle of trusted certificates as Go and as OpenSSL read it, its hash links where OpenSSL goes
    /// by them, the folder from which the store is filled, and the time. The folder is
    /// `/usr/local/share/ca-certificates` on Debian and its kin, `/etc/pki/ca-trust/source/anchors`
    /// on Red Hat's, `/etc/pki/trust/anchors` on SUSE. What `update-ca-certificates` printed proves
    /// nothing: the certificate's own bytes are looked for in the bundle.
    ///
    /// Where nobody has put a certificate into that folder, a refusal is a warning: Docker and the
    /// runner may have been given theirs elsewhere, and only git, curl and their like are affected.
    ///
    /// ## How to fix it
    ///
    /// On Debian and Ubuntu, put one certificate in PEM into
    /// `/usr/local/share/ca-certificates/NAME.crt`, and run `update-ca-certificates`. On Red Hat and
    /// its kin, put it into `/etc/pki/ca-trust/source/anchors/`, and run `update-ca-trust`.
    "trust/system": "the host's own store accepts GitLab and the registry"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let family = Family::of(host).await?;
    let system = host.ask(SystemTrust).await?;
    let now = host.ask(Now).await?;
    let mut verdict = Verdict::default();
    let added = verdict.told("certificates added to the store", added::added(host, family).await);
    let added = added.unwrap_or_default();
    let endpoints = endpoints(host, &mut verdict).await;
    let view = View { family, system: &system, added: &added, now };
    let Refusals { judged, mut refused } = refusals(host, &view, &endpoints, &mut verdict).await?;
    verdict.add(view.judge_files(&mut refused, judged > 0));
    for refused in &refused {
        verdict.add([view.told(host, refused).await?]);
    }
    // The file that breaks it says all.
    if !verdict.findings.iter().any(|finding| finding.code == added::BREAKS) {
        verdict.add(view.refused_bundle());
    }
    let links = links::missing(host, &view).await;
    let links = verdict.told("hash links of the store", links);
    verdict.add(links.unwrap_or_default());
    if judged == 0 && verdict.findings.is_empty() && verdict.untold.is_empty() {
        return Err(Stop::not_applicable(if endpoints.is_empty() {
            "no https address of GitLab or a registry is known here (--url or --registry-url names one)"
        } else {
            "no certificate of GitLab or the registry can be seen from here"
        }));
    }
    Ok(verdict)
}

/// All that is known of the store.
struct View<'a> {
    family: Family,
    system: &'a TrustedFiles,
    added: &'a [Added],
    now: Timestamp,
}

impl View<'_> {
    /// What is wrong with the files that were added. Refusals that such a file explains are told
    /// with the file, and taken off the list.
    fn judge_files(&self, refused: &mut Vec<Refused<'_>>, judged: bool) -> Vec<Finding> {
        let held = Held::new(self.family, self.system);
        let mut findings = Vec::new();
        for added in self.added {
            let Some(fault) = held.judge(added) else { continue };
            let mut finding = fault.finding;
            // A certificate that nothing known here needs may be for others.
            let mut needed = false;
            refused.retain(|refused| {
                let meant = added.is_meant_for(&refused.shown.chain);
                let mended = meant && refused.is_mended_by(self, &fault.lacking);
                needed |= meant;
                if mended {
                    finding.explains.extend(refused.causes());
                    let seen = refused.endpoint.to_string();
                    finding.evidence.push(Evidence::new("refused for want of it", seen));
                }
                !mended
            });
            if judged && !needed && !fault.harmful {
                finding.severity = finding.severity.min(Severity::Warning);
            }
            findings.push(finding.docs(docs::SSL));
        }
        findings
    }

    /// OpenSSL takes nothing from a bundle of which one block is broken.
    fn refused_bundle(&self) -> Option<Finding> {
        let bundle = self.system.bundle.as_ref()?;
        let refusal = bundle.refusal.as_ref()?;
        let update = self.family.update();
        Some(
            Finding::error(
                "bundle-refused",
                bundle.path.as_str(),
                "curl and git refuse every server: the bundle of trusted certificates has a broken \
                 block, so OpenSSL reads nothing of it",
            )
            .seen("OpenSSL says", refusal)
            .docs(docs::SSL)
            .remedy(
                format!("Make the bundle anew, from files without a broken one ({update})."),
                [self.family.command()],
            ),
        )
    }
}

/// The servers whose certificates have to be accepted: GitLab, as its own configuration or that of
/// its runners names it, and the registry.
async fn endpoints(host: &Host, verdict: &mut Verdict) -> Vec<Endpoint> {
    let gitlab = verdict.told("GitLab's address", install::gitlab::external_url(host).await);
    let registry = verdict.told("the registry's address", install::registry::external(host).await);
    let mut endpoints: Vec<Endpoint> =
        [gitlab, registry].into_iter().flatten().flatten().map(|url| url.value.server()).collect();
    // What else is wrong with the runner's configuration, runner/config says.
    if let Ok(Some(config)) = install::runner::config(host).await {
        let urls = config.toml.runners.iter().filter_map(|runner| runner.url.as_ref());
        let urls = urls.filter_map(|url| Endpoint::parse(&url.value).ok());
        endpoints.extend(urls.map(|url| url.server()));
    }
    let mut distinct: Vec<Endpoint> = Vec::new();
    for endpoint in endpoints.into_iter().filter(|endpoint| endpoint.https) {
        if !distinct.contains(&endpoint) {
            distinct.push(endpoint);
        }
    }
    distinct
}
