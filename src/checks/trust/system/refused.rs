//! Chains that programs on this host refuse, and what is said of them.

use camino::Utf8PathBuf;

use super::View;
use crate::checks::trust::client::{GoClient, Seen, Target, is_about_authority};
use crate::checks::trust::mend::Refusal;
use crate::checks::trust::shown::{Shown, shown, source};
use crate::checks::trust::tell;
use crate::checks::words::listed;
use crate::checks::{Cause, Evidence, Finding, Remedy, Severity, Stop, Verdict, docs};
use crate::host::Host;
use crate::host::files::{Reading, TrustFile, TrustedFile, TrustedFiles};
use crate::install::Endpoint;
use crate::install::authorities::{self, Found};
use crate::parse::certificate::Certificate;
use crate::trust::{Client, Der, Store, Verdict as Judgement, judge};

/// The programs that trust the system's store, by the way in which they verify.
const PROGRAMS: [(Client, &[&str]); 3] = [
    (Client::Curl, &["curl", "git"]),
    (Client::OpenSsl, &["openssl", "Python", "Ruby"]),
    (Client::Go, &["programs written in Go"]),
];

/// What was judged.
pub(super) struct Refusals<'a> {
    /// How many chains there were.
    pub(super) judged: usize,
    /// Those that somebody refuses.
    pub(super) refused: Vec<Refused<'a>>,
}

/// A chain that at least one program refuses.
pub(super) struct Refused<'a> {
    pub(super) endpoint: &'a Endpoint,
    /// Other endpoints of the same host that show the same.
    also: Vec<&'a Endpoint>,
    pub(super) shown: Shown,
    /// Only refusals, in the order of [`PROGRAMS`].
    opinions: Vec<(Client, Judgement)>,
}

/// Judges every chain that the endpoints show.
pub(super) async fn refusals<'a>(
    host: &Host,
    view: &View<'_>,
    endpoints: &'a [Endpoint],
    verdict: &mut Verdict,
) -> Result<Refusals<'a>, Stop> {
    let mut chains: Vec<(&Endpoint, Shown, Vec<&Endpoint>)> = Vec::new();
    for endpoint in endpoints {
        let seen = match shown(host, endpoint).await {
            Ok(seen) => seen,
            Err(Stop::Unknown(why)) => {
                verdict.untold(endpoint.to_string(), why);
                continue;
            }
            Err(Stop::NotApplicable(_)) => continue,
        };
        for shown in seen {
            let same = chains.iter_mut().find(|(first, other, _)| {
                first.host == endpoint.host && other.chain == shown.chain
            });
            match same {
                Some((_, _, also)) => also.push(endpoint),
                None => chains.push((endpoint, shown, Vec::new())),
            }
        }
    }
    let judged = chains.len();
    let mut refused = Vec::new();
    for (endpoint, shown, also) in chains {
        let opinions = opinions(view, &[], &shown, endpoint);
        if opinions.is_empty() {
            continue;
        }
        // What gldoctor may not read, others may: nobody can say that they do not know the issuer.
        let about_authority = opinions.iter().all(|(_, opinion)| is_about_authority(opinion));
        if let (true, Some((_, why))) = (about_authority, view.system.unread.first()) {
            verdict.untold(endpoint.to_string(), why.clone());
            continue;
        }
        refused.push(Refused { endpoint, also, shown, opinions });
    }
    Ok(Refusals { judged, refused })
}

/// The refusals of a chain, were the store to hold these certificates as well.
fn opinions(
    view: &View<'_>,
    more: &[Der],
    shown: &Shown,
    endpoint: &Endpoint,
) -> Vec<(Client, Judgement)> {
    let bundle = view.system.bundle.as_ref();
    // That OpenSSL reads nothing of the bundle is told once, of the bundle.
    let read = |client| client == Client::Go || bundle.is_none_or(|it| it.refusal.is_none());
    let clients = PROGRAMS.iter().map(|(client, _)| *client).filter(|client| read(*client));
    let opinion = |client| {
        let mut store = Store::new(client);
        if client == Client::Go {
            for file in &view.system.files {
                store.add_certificates(file.path.as_str(), &file.certificates);
            }
        } else if let Some(bundle) = bundle {
            store.add_certificates(bundle.path.as_str(), &view.system.for_openssl());
        }
        store.add_certificates("", more);
        (client, judge(&store, &shown.chain, &endpoint.host, view.now))
    };
    clients.map(opinion).filter(|(_, opinion)| !opinion.accepted).collect()
}

impl Refused<'_> {
    /// Whether certificates that the store lacks are all that somebody here lacks.
    pub(super) fn is_mended_by(&self, view: &View<'_>, lacking: &[Der]) -> bool {
        let left = opinions(view, lacking, &self.shown, self.endpoint);
        !lacking.is_empty() && left.is_empty()
    }

    /// What a mend of the store would settle elsewhere too.
    pub(super) fn causes(&self) -> impl Iterator<Item = Cause> {
        [self.endpoint].into_iter().chain(self.also.iter().copied()).map(by_system)
    }

    fn leaf(&self) -> Option<Certificate> {
        self.shown.chain.first().and_then(|der| Certificate::from_der(der).ok())
    }

    /// The opinion that decides what is to be done: Go's names most of the faults.
    fn decisive(&self) -> Option<&(Client, Judgement)> {
        self.opinions.iter().find(|(client, _)| *client == Client::Go).or(self.opinions.first())
    }
}

impl View<'_> {
    /// What is said of a refusal that no added file explains.
    pub(super) async fn told(&self, host: &Host, refused: &Refused<'_>) -> Result<Finding, Stop> {
        let source = source(host, refused.endpoint).await?;
        let seen = Seen {
            endpoint: refused.endpoint,
            shown: &refused.shown,
            source: source.as_ref(),
            now: self.now,
        };
        let mut nearby = authorities::everywhere(host).await;
        nearby.extend(self.loose());
        Ok(self.finding(refused, &seen, &nearby))
    }

    fn finding(&self, refused: &Refused<'_>, seen: &Seen<'_>, nearby: &[Found]) -> Finding {
        let leaf = refused.leaf();
        let Some((client, verdict)) = refused.decisive() else {
            return Finding::error("refused", refused.endpoint.to_string(), "it is refused");
        };
        let fault = verdict.faults.first().map_or("refused", |fault| fault.code.as_str());
        let dated = matches!(fault, "expired" | "not-yet-valid");
        let (code, why) = if is_about_authority(verdict) {
            ("unknown-authority", tell::unknown(leaf.as_ref(), &refused.shown, verdict))
        } else {
            (tell::stable(fault), verdict.why.clone())
        };
        let message = format!("{} on this host refuse its certificate: {why}", names(refused));
        let mut finding =
            Finding::new(self.severity(refused), code, refused.endpoint.to_string(), message);
        for (client, opinion) in &refused.opinions {
            if let Some(words) = &opinion.error {
                finding = finding.seen(says(*client), words);
            }
        }
        if let Some(leaf) = &leaf {
            finding = tell::follow(finding.seen("certificate", tell::summary(leaf)), leaf, dated);
        }
        finding = finding.seen("seen", &refused.shown.place);
        for fault in verdict.faults.iter().skip(1) {
            finding = finding.seen("once that is mended", &fault.why);
        }
        for also in &refused.also {
            finding = finding.seen("also shown by", also);
        }
        finding = refused.causes().fold(self.with_added(finding), Finding::explains);
        if dated {
            finding = finding.seen("judged at", self.now).follows(Cause::Clock);
        }
        let mut finding = refused.shown.on_way_to(refused.endpoint, finding).docs(docs::SSL);
        finding.remedy = self.remedy(*client, verdict, leaf.as_ref(), seen, nearby);
        finding
    }

    /// Nobody has tried to have it trusted, and those who need it may have it elsewhere: only then
    /// is it less than an error.
    fn severity(&self, refused: &Refused<'_>) -> Severity {
        let unknown = |(_, opinion): &(Client, Judgement)| {
            let codes = ["unknown-authority", "incomplete-store"];
            opinion.faults.iter().any(|fault| codes.contains(&fault.code.as_str()))
        };
        let tried = self.added.iter().any(|added| added.is_meant_for(&refused.shown.chain));
        if !tried && refused.opinions.iter().all(unknown) {
            Severity::Warning
        } else {
            Severity::Error
        }
    }

    fn with_added(&self, finding: Finding) -> Finding {
        let mut finding = finding;
        for added in self.added {
            if let Some(file) = &added.file {
                let place = Evidence::new("added to the store", tell::contents(file));
                finding = finding.evidence(place.at(added.path.as_str(), None));
            }
        }
        if self.added.is_empty() {
            let place = Evidence::new("added to the store", "nothing");
            finding = finding.evidence(place.at(self.family.drop_in(), None));
        }
        finding
    }

    /// How the certificate comes into the store, and what besides is to be done.
    fn remedy(
        &self,
        client: Client,
        verdict: &Judgement,
        leaf: Option<&Certificate>,
        seen: &Seen<'_>,
        nearby: &[Found],
    ) -> Remedy {
        let target = self.target(seen.endpoint);
        let for_openssl = self.as_openssl_reads();
        let store = GoClient {
            name: "the system's store",
            system: Some(if client == Client::Go { self.system } else { &for_openssl }),
            files: Vec::new(),
            target: Target::File(target.clone()),
        };
        let lack = store.lack(seen, nearby);
        let refusal = Refusal { client: &store, seen, verdict, leaf, lack: &lack };
        let mut remedy = refusal.remedy();
        let named = remedy.commands.iter().any(|command| command.contains(target.as_str()));
        if named || remedy.advice.contains(target.as_str()) {
            remedy.commands.push(self.family.command().to_owned());
        }
        remedy
    }

    /// A file of the folder that is not there yet, for links by hash go stale where one is replaced.
    fn target(&self, endpoint: &Endpoint) -> Utf8PathBuf {
        let folder = Utf8PathBuf::from(self.family.drop_in());
        let names = ["", "-ca", "-ca-2"].map(|more| format!("{}{more}.crt", endpoint.host));
        let mut paths = names.map(|name| folder.join(name)).into_iter();
        let taken = |path: &Utf8PathBuf| self.added.iter().any(|added| added.path == *path);
        paths.find(|path| !taken(path)).unwrap_or_else(|| folder.join("gitlab-ca.crt"))
    }

    fn as_openssl_reads(&self) -> TrustedFiles {
        let path = self.system.bundle.as_ref().map(|bundle| bundle.path.clone());
        let certificates = self.system.for_openssl();
        let file = TrustedFile { path: path.unwrap_or_default(), certificates };
        TrustedFiles { files: vec![file], ..TrustedFiles::default() }
    }

    /// Files of the store that only Go reads, since they are in no bundle.
    fn loose(&self) -> Vec<Found> {
        let bundle = self.system.bundle.as_ref().map(|bundle| &bundle.path);
        let loose = self.system.files.iter().filter(|file| Some(&file.path) != bundle);
        let as_file = |file: &TrustedFile| {
            let taken: Vec<usize> = (0..file.certificates.len()).collect();
            let reading = Reading { taken, ..Reading::default() };
            TrustFile {
                certificates: file.certificates.clone(),
                go: reading.clone(),
                openssl: reading,
                ..TrustFile::default()
            }
        };
        loose.map(|file| (file.path.clone(), as_file(file))).collect()
    }
}

/// What a refusal of the certificate at `endpoint` by the system's own programs explains.
pub(in crate::checks::trust) fn by_system(endpoint: &Endpoint) -> Cause {
    Cause::Refused(format!("system {}", endpoint.socket()))
}

/// Every program that refuses, by name.
fn names(refused: &Refused<'_>) -> String {
    let by = |client: &Client| refused.opinions.iter().any(|(other, _)| other == client);
    let programs = PROGRAMS.iter().filter(|(client, _)| by(client));
    let names: Vec<&str> = programs.flat_map(|(_, names)| names.iter().copied()).collect();
    listed(&names)
}

fn says(client: Client) -> &'static str {
    match client {
        Client::Go => "Go says",
        Client::Curl => "curl says",
        Client::OpenSsl | Client::Ruby => "openssl says",
    }
}
