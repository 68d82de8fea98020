//! Can clients reach the object store that the registry sends them to?

use std::net::IpAddr;

use super::keeper::Keeper;
use super::storage_driver::{Subject, endpoint};
use crate::checks::reach::{Reach, Stage, reach};
use crate::checks::trust::{Asker, refusals};
use crate::checks::{Cause, Finding, Severity, Stop, Verdict, check, docs};
use crate::host::network::Resolved;
use crate::host::{Host, Unknown};
use crate::install::storage::{StorageSettings, storage_settings};
use crate::install::{self, Endpoint};
use crate::parse::registry_yml::Driver;
use crate::parse::setting::{Located, Scalar};

check! {
    /// Clients can reach the object store that the registry redirects them to.
    ///
    /// ## Why it matters
    ///
    /// With an object store the registry does not serve layers itself: it answers every request
    /// for one with a redirect to the store. Clients then need the store's name, a way to it, and
    /// trust in its certificate. Where one is missing, `docker login` works and manifests are
    /// found, but every pull fails at the layers.
    ///
    /// ## What is looked at
    ///
    /// The storage driver, `storage.redirect.disable`, and the address of the store: addresses and
    /// names that mean something on the registry's host, in a container or in a cluster only. Where
    /// the store has an address of its own (`regionendpoint`), whether it resolves and answers
    /// from here, and whether Docker and podman on this host accept its certificate, which they
    /// verify with the files for the registry.
    ///
    /// What other hosts reach cannot be seen from here, and no pull is tried: that takes a token.
    /// A store that passes may still lie behind a firewall for some of them.
    ///
    /// ## How to fix it
    ///
    /// Set `registry['storage']['redirect']['disable'] = true` in `/etc/gitlab/gitlab.rb` and run
    /// `gitlab-ctl reconfigure`: the registry then serves layers itself. Or give the store a name,
    /// an address and a certificate that every client knows.
    "registry/redirect": "clients can reach where blobs are redirected"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let Some(settings) = storage_settings(host).await? else {
        return Err(Stop::not_applicable("there is no registry on this host"));
    };
    let [driver] = &settings.storage.drivers[..] else {
        let why = "which storage the registry uses cannot be told (registry/storage-driver)";
        return Err(Stop::not_applicable(why));
    };
    if matches!(driver.name.as_str(), "filesystem" | "inmemory") {
        return Err(Stop::not_applicable(
            "the registry serves layers itself: it has no object store",
        ));
    }
    match settings.storage.redirect_disable.as_ref().map(|it| it.value.as_bool()) {
        Some(Some(true)) => return Ok(Verdict::default()),
        Some(None) => {
            let why = "the registry does not start as it is set up (registry/storage-driver)";
            return Err(Stop::not_applicable(why));
        }
        Some(Some(false)) | None => {}
    }
    let subject = Subject { settings: &settings, keeper: Keeper::of(host).await, service: None };
    let mut verdict = Verdict::default();
    match store(driver)? {
        Store::Cloud(whose) => verdict.add([cloud(&subject, driver, whose)]),
        Store::Own(endpoint, setting) => {
            let redirect = Redirect { subject: &subject, endpoint, setting };
            match redirect.address() {
                Some(finding) => verdict.add([finding]),
                None => redirect.look(host, &mut verdict).await,
            }
        }
    }
    Ok(verdict)
}

/// Where layers lie.
enum Store<'a> {
    /// With somebody who keeps them for everybody.
    Cloud(&'static str),
    /// At an address of one's own, and the setting that says it.
    Own(Endpoint, &'a Located<Scalar>),
}

fn store(driver: &Driver) -> Result<Store<'_>, Stop> {
    match driver.name.as_str() {
        "gcs" => Ok(Store::Cloud("Google's servers")),
        "azure" | "azure_v2" => match driver.get("serviceurl") {
            Some(url) => match Endpoint::parse(&url.value.to_string()) {
                Ok(endpoint) => Ok(Store::Own(endpoint.server(), url)),
                Err(why) => {
                    Err(Unknown::Unreadable(format!("storage.azure.serviceurl: {why}")).into())
                }
            },
            None => Ok(Store::Cloud("Microsoft's servers")),
        },
        "s3" | "s3_v2" | "s3aws" => match (driver.get("regionendpoint"), endpoint(driver)) {
            (Some(setting), Some(endpoint)) => Ok(Store::Own(endpoint, setting)),
            (None, _) if driver.has("regionendpoint") => {
                let why = "the address of the object store cannot be told from the file";
                Err(Unknown::Unreadable(why.to_owned()).into())
            }
            (Some(setting), None) if !super::storage_driver::is_amazon(driver) => {
                let why = format!("the address of the object store is no URL: {}", setting.value);
                Err(Unknown::Unreadable(why).into())
            }
            _ => Ok(Store::Cloud("Amazon's servers")),
        },
        other => {
            let why = format!("what the driver {other} does with requests for layers is not known");
            Err(Stop::not_applicable(why))
        }
    }
}

/// What is usual for a site with access to the internet.
fn cloud(subject: &Subject<'_>, driver: &Driver, whose: &str) -> Finding {
    let message = format!(
        "for every layer clients are sent to {whose}: hosts without access to the internet cannot \
         pull"
    );
    let finding = subject.finding(Severity::Notice, "redirect-to-cloud", message);
    mended(subject, finding.evidence(subject.driver(driver)), "if clients have no access to it")
}

fn mended(subject: &Subject<'_>, finding: Finding, why: &str) -> Finding {
    let finding = match &subject.settings.storage.redirect_disable {
        Some(set) => finding.evidence(subject.shown(&["redirect", "disable"], set)),
        None => {
            finding.seen(subject.settings.spelled(&["redirect", "disable"]), "not set, so false")
        }
    };
    let finding = subject.write(finding, why, &["redirect", "disable"], "true");
    finding.docs(docs::REGISTRY_REDIRECT)
}

/// A redirect to a store of one's own.
struct Redirect<'a> {
    subject: &'a Subject<'a>,
    endpoint: Endpoint,
    setting: &'a Located<Scalar>,
}

impl Redirect<'_> {
    fn finding(&self, severity: Severity, code: &'static str, why: &str) -> Finding {
        let message = format!("for every layer clients are sent to {}, {why}", self.endpoint);
        let mut finding = self.subject.finding(severity, code, message);
        finding.subject = self.endpoint.to_string();
        let settings: &StorageSettings = self.subject.settings;
        let place =
            settings.source(self.setting).evidence("address of the store", &self.setting.value);
        mended(self.subject, finding.evidence(place), "let the registry serve layers itself")
    }

    /// What the address says by itself.
    fn address(&self) -> Option<Finding> {
        let host = self.endpoint.host.as_str();
        let inside = |ending: &str| host.ends_with(ending);
        let (severity, code, why) = match host.parse::<IpAddr>() {
            Ok(address) => match address.to_canonical() {
                it if it.is_loopback() || it.is_unspecified() => {
                    (Severity::Error, "loopback", "where each of them finds itself")
                }
                IpAddr::V4(it) if it.is_link_local() => (
                    Severity::Error,
                    "link-local",
                    "an address that leads nowhere from other networks",
                ),
                IpAddr::V4(it) if it.octets()[..2] == [172, 17] => (
                    Severity::Warning,
                    "container-address",
                    "an address of Docker's own network, which other hosts do not reach",
                ),
                _ => return None,
            },
            Err(_) if host == "localhost" || inside(".localhost") => {
                (Severity::Error, "loopback", "where each of them finds itself")
            }
            Err(_) if inside(".docker.internal") => (
                Severity::Error,
                "container-name",
                "a name that only containers on the registry's host know",
            ),
            Err(_) if inside(".svc") || inside(".cluster.local") => {
                (Severity::Error, "cluster-name", "a name that is known inside the cluster only")
            }
            Err(_) if !host.contains('.') => (
                Severity::Warning,
                "short-name",
                "a name without a domain, as containers on one network have: other hosts hardly know it",
            ),
            Err(_) => return None,
        };
        Some(self.finding(severity, code, why))
    }

    async fn look(&self, host: &Host, verdict: &mut Verdict) {
        let looked = match install::registry::out_of_reach(host, &self.endpoint).await {
            Some(why) => Err(Unknown::LeftOut(why)),
            None => self.reached(host).await,
        };
        match looked {
            // The address has been judged all the same.
            Err(Unknown::LeftOut(_)) => {}
            looked => {
                let found = verdict.told(&self.endpoint.to_string(), looked);
                verdict.add(found.flatten());
            }
        }
    }

    /// How far clients on this host would come.
    async fn reached(&self, host: &Host) -> Result<Option<Finding>, Unknown> {
        let ways = match reach(host, &self.endpoint, "/").await? {
            Reach::NoName(resolved) => return Ok(Some(self.no_name(&resolved))),
            Reach::Ways(ways) => ways,
        };
        if ways.iter().all(|way| {
            way.address.ip().to_canonical().is_loopback() && !is_own_name(way.address.ip())
        }) {
            let why = "whose name means each host itself here: others need another entry for it";
            return Ok(Some(self.finding(Severity::Warning, "loopback", why)));
        }
        if let Some(way) = ways.iter().find(|way| way.response().is_none())
            && ways.iter().all(|way| way.response().is_none())
        {
            let finding =
                self.finding(Severity::Error, "store-unreachable", "which does not answer");
            let why = match &way.stage {
                Stage::Connection(failure) | Stage::Tls(failure) | Stage::Http(failure) => {
                    failure.to_string()
                }
                Stage::Answered(_) => String::new(),
            };
            return Ok(Some(
                finding.seen(format!("at {}", way.address), why).on_way_to(&self.endpoint),
            ));
        }
        self.refused(host).await
    }

    fn no_name(&self, resolved: &Resolved) -> Finding {
        let why = if resolved.is_undecided() {
            "whose name no name server tells here"
        } else {
            "whose name does not resolve here"
        };
        self.finding(Severity::Error, "store-unresolved", why)
            .follows(Cause::Name(self.endpoint.host.clone()))
    }

    /// Clients verify the store with what they were given for the registry.
    async fn refused(&self, host: &Host) -> Result<Option<Finding>, Unknown> {
        let registry = install::registry::external(host).await?;
        let Some(registry) = registry.filter(|_| self.endpoint.https) else { return Ok(None) };
        let registry = registry.value;
        let refused = refusals(host, &self.endpoint, Asker::Clients(&registry)).await?;
        let Some(refusal) = refused.into_iter().next() else { return Ok(None) };
        let why = format!("whose certificate {} on this host does not accept", refusal.client);
        let finding = self
            .finding(Severity::Error, "store-not-trusted", &why)
            .seen(format!("{} says", refusal.client), refusal.error)
            .seen("certificates", refusal.place)
            .follows(Cause::Clock);
        let name = install::docker::image_prefix(host, &registry).await?;
        let advice = format!(
            "{} Or add the store's CA to /etc/docker/certs.d/{name}/ on every client.",
            finding.remedy.advice
        );
        let commands = finding.remedy.commands.clone();
        Ok(Some(finding.remedy(advice, commands)))
    }
}

/// Debian gives a host's own name this address, and other hosts know it by its real one.
fn is_own_name(address: IpAddr) -> bool {
    address == IpAddr::from([127, 0, 1, 1])
}

#[cfg(test)]
mod tests {
    use super::super::storage_driver::tests::{LATEST, settings};
    use super::*;

    fn judged(endpoint: &str) -> Option<(Severity, &'static str)> {
        let storage = format!("{{s3: {{bucket: b, regionendpoint: '{endpoint}'}}}}");
        let settings = settings(&storage, LATEST);
        let subject = Subject { settings: &settings, keeper: Keeper::Package, service: None };
        let Store::Own(endpoint, setting) = store(&settings.storage.drivers[0]).unwrap() else {
            panic!("{endpoint} is taken for a cloud")
        };
        let redirect = Redirect { subject: &subject, endpoint, setting };
        redirect.address().map(|finding| (finding.severity, finding.code))
    }

    #[test]
    fn addresses_that_only_the_registry_knows_are_told() {
        use Severity::{Error, Warning};
        for (endpoint, expected) in [
            ("http://127.0.0.1:9000", (Error, "loopback")),
            ("https://localhost:9000", (Error, "loopback")),
            ("http://[::1]:9000", (Error, "loopback")),
            ("http://0.0.0.0:9000", (Error, "loopback")),
            ("http://169.254.1.1", (Error, "link-local")),
            ("http://host.docker.internal:9000", (Error, "container-name")),
            ("http://minio.storage.svc.cluster.local:9000", (Error, "cluster-name")),
            ("http://minio.storage.svc:9000", (Error, "cluster-name")),
            ("http://172.17.0.2:9000", (Warning, "container-address")),
            ("http://minio:9000", (Warning, "short-name")),
            ("minio:9000", (Warning, "short-name")),
        ] {
            assert_eq!(judged(endpoint), Some(expected), "{endpoint}");
        }
        for sound in
            ["https://s3.my-host.internal:9000", "http://10.0.0.5:9000", "https://[fd00::5]"]
        {
            assert_eq!(judged(sound), None, "{sound}");
        }
    }

    #[test]
    fn clouds_are_told_apart_from_stores_of_ones_own() {
        let whose = |storage: &str| {
            let settings = settings(storage, LATEST);
            match store(&settings.storage.drivers[0]) {
                Ok(Store::Cloud(whose)) => whose.to_owned(),
                Ok(Store::Own(endpoint, _)) => endpoint.to_string(),
                Err(stop) => format!("{stop:?}"),
            }
        };
        assert_eq!(whose("{s3: {bucket: b}}"), "Amazon's servers");
        let endpoint = "regionendpoint: 'https://s3.eu-west-1.amazonaws.com'";
        assert_eq!(whose(&format!("{{s3_v2: {{{endpoint}}}}}")), "Amazon's servers");
        assert_eq!(whose("{gcs: {bucket: b}}"), "Google's servers");
        assert_eq!(whose("{azure: {container: b}}"), "Microsoft's servers");
        assert_eq!(whose("{azure_v2: {serviceurl: 'https://blob.test/x'}}"), "https://blob.test");
        assert!(whose("{swift: {container: b}}").contains("NotApplicable"));
        assert!(whose("{s3: {regionendpoint: 'http://'}}").contains("Unknown"));
    }
}
