//! Does the client that accepts the registry's certificate accept that of the realm too?
//!
//! Docker and podman verify the realm with what they trust for the registry, never with a folder
//! that is named after GitLab. So a registry and a GitLab with certificates of their own need both
//! in one folder.

use crate::checks::path::Looked;
use crate::checks::reach::chains;
use crate::checks::registry::asking::Subject;
use crate::checks::registry::realm::Realm;
use crate::checks::trust::said;
use crate::checks::{Cause, Finding, Stop, docs};
use crate::host::Host;
use crate::install;
use crate::parse::certificate::Certificate;

/// The clients that take one certificate for both.
const CLIENTS: [&str; 3] = ["Docker", "podman", "containerd"];

/// What a client refuses that accepts the registry.
pub(super) async fn judge(
    host: &Host,
    subject: &Subject,
    realm: &Realm,
    looked: &Looked,
) -> Result<Option<Finding>, Stop> {
    let Some(registry) = &subject.external else { return Ok(None) };
    let registry = &registry.value;
    if !realm.url.https || !registry.https || looked.split(realm).0.is_empty() {
        return Ok(None);
    }
    let shown = chains(host, registry).await?;
    let own = shown.first().map(|(_, chain)| chain.clone()).unwrap_or_default();
    for (address, chain) in chains(host, &realm.url).await? {
        if own.is_empty() || (chain == own && realm.url.host == registry.host) {
            continue;
        }
        let of_registry = said(host, registry, &registry.host, &own).await?;
        let of_realm = said(host, registry, &realm.url.host, &chain).await?;
        for (before, here) in of_registry.iter().zip(&of_realm) {
            if !here.verifies || !CLIENTS.contains(&here.client) {
                continue;
            }
            let verdicts = (before.verdict.as_ref(), here.verdict.as_ref());
            let (Ok(before), Ok(refusal)) = verdicts else {
                return Err(verdicts
                    .1
                    .err()
                    .or(verdicts.0.err())
                    .cloned()
                    .map_or_else(|| Stop::not_applicable("nothing is refused"), Stop::from));
            };
            if !before.accepted || refusal.accepted {
                continue;
            }
            let name = install::docker::image_prefix(host, registry).await?;
            let leaf = chain.first().and_then(|der| Certificate::from_der(der).ok());
            let finding = untrusted(realm, here.client, &name)
                .seen("address", address)
                .seen(format!("{} says", here.client), refusal.error.clone().unwrap_or_default())
                .follows(Cause::Refused(format!("Docker {}", realm.url.socket())));
            return Ok(Some(match leaf {
                Some(leaf) => finding.follows(Cause::Certificate(leaf.fingerprint)),
                None => finding,
            }));
        }
    }
    Ok(None)
}

fn untrusted(realm: &Realm, client: &str, registry: &str) -> Finding {
    let message = format!(
        "{client} accepts the registry's certificate, but not that of {}, where it fetches its \
         token: logins fail",
        realm.url.authority()
    );
    Finding::error("realm-untrusted", realm.url.server().to_string(), message)
        .docs(docs::REGISTRY_SELF_SIGNED)
        .remedy(
            format!(
                "Put the CA of {} into /etc/docker/certs.d/{registry}/ as well, as another file \
                 that ends in .crt: a folder named after GitLab is not looked at for this.",
                realm.url.authority()
            ),
            [
                format!("ls -l /etc/docker/certs.d/{registry}/"),
                format!("gldoctor trust {}", realm.url.authority()),
            ],
        )
}
