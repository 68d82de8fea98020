//! Every certificate that is in use on this host, once, with all the places where it was seen.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;

use super::server::{ChainFile, Server};
use super::trusted::{TrustedFile, Truster};
use crate::checks::Evidence;
use crate::parse::certificate::Certificate;
use crate::trust::Der;

/// A certificate and where it was seen.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    pub(super) facts: Certificate,
    /// Those at servers first, then files that servers show, then files of clients.
    pub(super) places: Vec<Place>,
    /// Fingerprints of the server certificates that rest on it, as far as can be seen; itself
    /// included if it is one.
    pub(super) leaves: BTreeSet<String>,
}

/// Where a certificate was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Shown by the server with this number, as this element of its chain.
    Shown { server: usize, url: String, addresses: String, depth: usize },
    /// In a file that a server shows, or would show.
    Chain { file: ChainFile, depth: usize },
    /// In a file that a client is to trust.
    Trusted { path: Utf8PathBuf, by: Truster, dedicated: bool },
}

/// All sightings, and the leaf and issuer of each chain.
#[derive(Debug, Default)]
struct Collection {
    known: BTreeMap<Der, Sighting>,
    /// Leaf and top of each chain.
    chains: Vec<(String, Certificate)>,
    order: Vec<Der>,
}

/// Every readable certificate, in the order in which it was first seen.
pub(super) fn sightings(
    servers: &[Server],
    files: &[ChainFile],
    trusted: &[TrustedFile],
) -> Vec<Sighting> {
    let mut collection = Collection::default();
    for (number, server) in servers.iter().enumerate() {
        for shown in &server.shown {
            let url = server.endpoint.to_string();
            collection.add_chain(&shown.chain, |depth| Place::Shown {
                server: number,
                url: url.clone(),
                addresses: shown.places(),
                depth,
            });
        }
    }
    let of_servers = servers.iter().flat_map(|server| &server.files);
    for file in of_servers.chain(files) {
        collection.add_chain(&file.chain, |depth| Place::Chain { file: file.clone(), depth });
    }
    for file in trusted {
        for der in &file.certificates {
            let (path, by) = (file.path.clone(), file.by.clone());
            collection.add(der, Place::Trusted { path, by, dedicated: file.is_dedicated() });
        }
    }
    collection.finish()
}

impl Collection {
    fn add_chain(&mut self, chain: &[Der], place: impl Fn(usize) -> Place) {
        let Some(leaf) = chain.first() else { return };
        let Ok(leaf) = Certificate::from_der(leaf) else { return };
        let mut top = leaf.clone();
        for (depth, der) in chain.iter().enumerate() {
            let Some(sighting) = self.add(der, place(depth)) else { continue };
            sighting.leaves.insert(leaf.fingerprint.clone());
            if is_issuer(&sighting.facts, &top) {
                top = sighting.facts.clone();
            }
        }
        self.chains.push((leaf.fingerprint, top));
    }

    fn add(&mut self, der: &Der, place: Place) -> Option<&mut Sighting> {
        if !self.known.contains_key(der) {
            let facts = Certificate::from_der(der).ok()?;
            let sighting = Sighting { facts, places: Vec::new(), leaves: BTreeSet::new() };
            self.known.insert(der.clone(), sighting);
            self.order.push(der.clone());
        }
        let sighting = self.known.get_mut(der)?;
        if !sighting.places.contains(&place) {
            sighting.places.push(place);
        }
        Some(sighting)
    }

    fn finish(mut self) -> Vec<Sighting> {
        let mut sightings: Vec<Sighting> =
            self.order.iter().filter_map(|der| self.known.remove(der)).collect();
        for sighting in &mut sightings {
            let carried = self.chains.iter().filter(|(_, top)| is_issuer(&sighting.facts, top));
            sighting.leaves.extend(carried.map(|(leaf, _)| leaf.clone()));
        }
        sightings
    }
}

/// Whether `issuer` can have issued `child`, by names and key identifiers.
pub(super) fn is_issuer(issuer: &Certificate, child: &Certificate) -> bool {
    let same_key = match (&issuer.subject_key_id, &child.authority_key_id) {
        (Some(own), Some(asked)) => own == asked,
        _ => true,
    };
    !child.self_issued && issuer.subject == child.issuer && same_key
}

impl Sighting {
    /// Whether a server shows it, or would, as its own certificate.
    pub(super) fn is_leaf(&self) -> bool {
        self.places.iter().any(|place| place.depth() == Some(0))
    }

    /// Whether a server shows it, or would.
    pub(super) fn is_in_chain(&self) -> bool {
        self.places.iter().any(|place| place.depth().is_some())
    }

    /// Whether a server shows it now.
    pub(super) fn is_shown(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Shown { .. }))
    }

    /// The first file of a server that holds it.
    pub(super) fn chain_file(&self) -> Option<&ChainFile> {
        self.places.iter().find_map(|place| match place {
            Place::Chain { file, .. } => Some(file),
            Place::Shown { .. } | Place::Trusted { .. } => None,
        })
    }

    /// The first server that shows it, by its number.
    pub(super) fn server(&self) -> Option<usize> {
        self.places.iter().find_map(|place| match place {
            Place::Shown { server, .. } => Some(*server),
            Place::Chain { .. } | Place::Trusted { .. } => None,
        })
    }

    /// The files in which clients have it, and who they are.
    pub(super) fn trusted(&self) -> impl Iterator<Item = (&Utf8PathBuf, &Truster)> {
        self.places.iter().filter_map(|place| match place {
            Place::Trusted { path, by, .. } => Some((path, by)),
            Place::Shown { .. } | Place::Chain { .. } => None,
        })
    }

    /// Whether it lies in a file that serves one server alone.
    pub(super) fn is_dedicated(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Trusted { dedicated: true, .. }))
    }

    /// What a finding on it is about: where it was seen first.
    pub(super) fn subject(&self) -> String {
        self.places.first().map(Place::name).unwrap_or_default()
    }

    /// Every place, as evidence.
    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let mut evidence: Vec<Evidence> = Vec::new();
        for place in &self.places {
            let seen = match place {
                Place::Shown { url, addresses, .. } => {
                    Evidence::new("shown by", format!("{url} ({addresses})"))
                }
                Place::Chain { file, .. } => file.evidence(),
                Place::Trusted { path, by, .. } => {
                    Evidence::new("trusted by", by).at(path.as_str(), None)
                }
            };
            if !evidence.contains(&seen) {
                evidence.push(seen);
            }
        }
        evidence
    }
}

impl Place {
    /// Its place in a chain, the leaf being 0; none in a client's file.
    fn depth(&self) -> Option<usize> {
        match self {
            Self::Shown { depth, .. } | Self::Chain { depth, .. } => Some(*depth),
            Self::Trusted { .. } => None,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Shown { url, .. } => url.clone(),
            Self::Chain { file, .. } => file.path.to_string(),
            Self::Trusted { path, .. } => path.to_string(),
        }
    }
}
