//! Certificate policies as Go 1.26 evaluates them (crypto/x509, `policiesValid`).
//!
//! Nobody here asks for a policy, so all of it matters only where a CA below the root requires an
//! explicit one (`requireExplicitPolicy`).

use std::collections::{BTreeMap, BTreeSet};

use super::cert::Cert;

const ANY: &[u8] = &[0x55, 0x1d, 0x20, 0x00];

type Policy = Vec<u8>;

/// A policy that holds at one level of the path.
#[derive(Default)]
struct Node {
    /// What the level below may call it.
    expected: Vec<Policy>,
    /// The policies of the level above that it came from.
    parents: BTreeSet<Policy>,
}

type Level = BTreeMap<Policy, Node>;

/// The levels from the root down. None once a certificate asserts no policy.
struct Graph(Vec<Level>);

/// Whether the path, leaf first, has every policy that its CAs require.
pub(super) fn valid(path: &[&Cert]) -> bool {
    // The root's own policies do not count.
    let below_root = path.len().saturating_sub(1);
    if below_root == 0 {
        return true;
    }
    let unlimited = u64::try_from(below_root).unwrap_or(u64::MAX).saturating_add(1);
    let mut limits = Limits { any: unlimited, explicit: unlimited, mapping: unlimited };
    let root = Node { expected: vec![ANY.to_vec()], parents: BTreeSet::new() };
    let mut graph = Some(Graph(vec![BTreeMap::from([(ANY.to_vec(), root)])]));
    for (depth, cert) in path.iter().enumerate().take(below_root).rev() {
        if cert.policies.asserted.is_empty() {
            graph = None;
        }
        if limits.explicit == 0 && graph.is_none() {
            return false;
        }
        if let Some(graph) = &mut graph {
            let any_counts = limits.any > 0 || (depth > 0 && cert.self_issued);
            graph.descend(cert, any_counts);
            if depth > 0 && !graph.map(cert, limits.mapping > 0) {
                return false;
            }
        }
        if depth > 0 {
            limits.tighten(cert);
        }
    }
    let leaf_requires = path.first().is_some_and(|leaf| leaf.policies.require_explicit == Some(0));
    let explicit = limits.explicit.saturating_sub(1) == 0 || leaf_requires;
    !explicit || graph.is_some_and(|graph| graph.has_policies())
}

/// How many certificates further down each requirement sets in.
struct Limits {
    any: u64,
    explicit: u64,
    mapping: u64,
}

impl Limits {
    fn tighten(&mut self, cert: &Cert) {
        let asked = &cert.policies;
        let limits = [
            (&mut self.explicit, asked.require_explicit),
            (&mut self.mapping, asked.inhibit_mapping),
            (&mut self.any, asked.inhibit_any),
        ];
        for (limit, asked) in limits {
            if !cert.self_issued {
                *limit = limit.saturating_sub(1);
            }
            *limit = asked.map_or(*limit, |asked| asked.min(*limit));
        }
    }
}

impl Graph {
    /// Adds the level of a certificate.
    fn descend(&mut self, cert: &Cert, any_counts: bool) {
        let above = self.0.last();
        let mut parents: BTreeMap<&Policy, BTreeSet<Policy>> = BTreeMap::new();
        for (policy, node) in above.into_iter().flatten() {
            for expected in &node.expected {
                parents.entry(expected).or_default().insert(policy.clone());
            }
        }
        let any_above = above.is_some_and(|level| level.contains_key(ANY));
        let mut level = Level::new();
        let asserted = &cert.policies.asserted;
        for policy in asserted.iter().filter(|policy| *policy != ANY) {
            let found = parents.get(policy).cloned();
            let from = found.or_else(|| any_above.then(|| BTreeSet::from([ANY.to_vec()])));
            if let Some(parents) = from {
                level.insert(policy.clone(), Node { expected: vec![policy.clone()], parents });
            }
        }
        if any_counts && asserted.iter().any(|policy| policy == ANY) {
            for (expected, from) in parents {
                level
                    .entry(expected.clone())
                    .or_insert_with(|| Node { expected: vec![expected.clone()], parents: from });
            }
        }
        self.0.push(level);
        self.prune();
    }

    /// Applies the certificate's mappings to its own level; false if they are unlawful.
    fn map(&mut self, cert: &Cert, allowed: bool) -> bool {
        let mut mapped: BTreeMap<&Policy, Vec<Policy>> = BTreeMap::new();
        let Some(level) = self.0.last_mut() else { return true };
        for (issuer, subject) in &cert.policies.mappings {
            if !allowed {
                level.remove(issuer);
            } else if issuer == ANY || subject == ANY {
                return false;
            } else {
                mapped.entry(issuer).or_default().push(subject.clone());
            }
        }
        for (issuer, subjects) in mapped {
            if let Some(node) = level.get_mut(issuer) {
                node.expected = subjects;
            } else if level.contains_key(ANY) {
                let parents = BTreeSet::from([ANY.to_vec()]);
                level.insert(issuer.clone(), Node { expected: subjects, parents });
            }
        }
        self.prune();
        true
    }

    /// Removes what leads nowhere, from the bottom up; the root level stays.
    fn prune(&mut self) {
        let mut wanted: Option<BTreeSet<Policy>> = None;
        for (depth, level) in self.0.iter_mut().enumerate().rev() {
            if let Some(wanted) = wanted.filter(|_| depth > 0) {
                level.retain(|policy, _| wanted.contains(policy));
            }
            wanted = Some(level.values().flat_map(|node| node.parents.iter().cloned()).collect());
        }
    }

    /// Whether any policy holds for the leaf.
    fn has_policies(&self) -> bool {
        let from_any = |(policy, node): (&Policy, &Node)| {
            policy != ANY && node.parents.len() == 1 && node.parents.contains(ANY)
        };
        self.0.iter().flatten().any(from_any)
            || self.0.last().is_some_and(|level| level.contains_key(ANY))
    }
}
