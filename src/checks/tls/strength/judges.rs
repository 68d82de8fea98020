//! What each client has against a chain in itself: its keys, signatures and extensions.

use jiff::Timestamp;

use crate::checks::tls::trusted::TrustedFile;
use crate::host::files::TrustedFiles;
use crate::parse::certificate::Certificate;
use crate::trust::{Client, Der, Store, judge};

/// Faults of certificates themselves, whoever trusts them, and whatever the time and name.
const OWN_FAULTS: [&str; 12] = [
    "explicit-curve",
    "invalid-policies",
    NOT_A_CA,
    "malformed-date",
    "name-constraint",
    "path-length-exceeded",
    "unknown-critical-extension",
    "unreadable-certificate",
    "unsupported-key",
    "unsupported-signature",
    "weak-key",
    "weak-signature",
];

/// The issuer may not issue.
const NOT_A_CA: &str = "issuer-not-a-ca";

/// One more, which is a list of its own because messages treat it so.
pub(super) const WRONG_PURPOSE: &str = "wrong-purpose";

/// A fault, and who has it in which words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Objection {
    /// As `trust` calls it.
    pub(super) code: &'static str,
    /// Of which element of the chain, the leaf being 0.
    pub(super) depth: usize,
    /// The rule in plain words.
    pub(super) why: String,
    /// Who refuses, in the client's words.
    pub(super) by: Vec<(Client, String)>,
}

/// All objections to a chain, for a host that it may be made out to.
pub(super) fn objections(
    chain: &[Der],
    host: &str,
    at: Timestamp,
    trusted: &[TrustedFile],
    system: &TrustedFiles,
) -> Vec<Objection> {
    let mut objections: Vec<Objection> = Vec::new();
    for client in Client::ALL {
        let store = store(client, chain, trusted, system);
        for fault in judge(&store, chain, host, at).faults {
            let mut known = OWN_FAULTS.into_iter().chain([WRONG_PURPOSE]);
            let Some(code) = known.find(|known| *known == fault.code) else { continue };
            let said = (client, fault.error);
            let same = |it: &&mut Objection| (it.code, it.depth) == (code, fault.depth);
            match objections.iter_mut().find(same) {
                Some(same) => same.by.push(said),
                None => objections.push(Objection {
                    code,
                    depth: fault.depth,
                    why: fault.why,
                    by: vec![said],
                }),
            }
        }
    }
    merged(objections)
}

/// An issuer that is no CA is told of itself by OpenSSL, as its purpose too, and of its child by
/// Go: all of that is one fault.
fn merged(mut objections: Vec<Objection>) -> Vec<Objection> {
    let faulty: Vec<usize> =
        objections.iter().filter(|it| it.code == NOT_A_CA).map(|it| it.depth).collect();
    let above = |depth: usize| faulty.contains(&(depth + 1));
    let is_of_child = |it: &Objection| it.code == NOT_A_CA && above(it.depth);
    let of_children: Vec<_> = objections.iter().filter(|it| is_of_child(it)).cloned().collect();
    objections.retain(|it| !is_of_child(it));
    objections.retain(|it| it.code != WRONG_PURPOSE || !faulty.contains(&it.depth));
    for objection in &mut objections {
        if objection.code == NOT_A_CA {
            let children = of_children.iter().filter(|it| it.depth + 1 == objection.depth);
            objection.by.splice(0..0, children.flat_map(|it| it.by.clone()));
        }
    }
    objections
}

/// The client trusts whatever ends the chain, so that all of it is judged.
fn store(client: Client, chain: &[Der], trusted: &[TrustedFile], system: &TrustedFiles) -> Store {
    let mut store = Store::new(client);
    // A certificate that comes alone would be trusted as it is, and nothing of it judged.
    let is_self_issued = |der: &Der| Certificate::from_der(der).is_ok_and(|it| it.self_issued);
    if let Some(top) = chain.last().filter(|top| chain.len() > 1 || is_self_issued(top)) {
        store.add_certificates("the chain", std::slice::from_ref(top));
    }
    for file in trusted {
        store.add_certificates(file.path.as_str(), &file.certificates);
    }
    for file in &system.files {
        store.add_certificates(file.path.as_str(), &file.certificates);
    }
    store
}
