//! Paths from the leaf to a certificate of the store.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::breach::{Breach, Hint, Kind};
use super::cert::Cert;
use super::rules::{Circumstances, Path, Rule, Trust, trust};
use super::store::Store;
use crate::parse::certificate::extensions::oid;
use crate::parse::certificate::key::Key;
use crate::parse::certificate::name::{Attribute, ORGANIZATION};

/// What was found.
pub(super) struct Found<'a> {
    /// Complete paths, the client's favourite first. Where there is none, the furthest attempt of
    /// a client that goes on with it nevertheless.
    pub(super) paths: Vec<Path<'a>>,
    /// Why none is complete: the client's error first.
    pub(super) breaches: Vec<Breach>,
}

// Every path ----------------------------------------------------------------------------------

/// How many candidates Go considers in all (`maxChainSignatureChecks`).
const BUDGET: u32 = 100;

/// Go's search: depth first, roots before intermediates.
pub(super) struct EveryPath<'a, 'c> {
    pub(super) circumstances: &'c Circumstances<'c>,
    pub(super) store: &'a Store,
    pub(super) signing: &'static [Rule],
    pub(super) standing: &'static [Rule],
    /// What was sent after the leaf, by subject.
    sent: BTreeMap<&'a [u8], Vec<&'a Cert>>,
    considered: u32,
    complete: Vec<Path<'a>>,
}

/// Why a path cannot be continued.
#[derive(Clone)]
struct DeadEnd {
    /// The candidate, as Go names it.
    candidate: String,
    breach: Breach,
    /// Further faults of the candidate in question.
    others: Vec<Breach>,
}

impl<'a, 'c> EveryPath<'a, 'c> {
    pub(super) fn new(
        circumstances: &'c Circumstances<'c>,
        store: &'a Store,
        sent: &'a [Cert],
        signing: &'static [Rule],
        standing: &'static [Rule],
    ) -> Self {
        let mut by_subject: BTreeMap<&[u8], Vec<&Cert>> = BTreeMap::new();
        for cert in sent {
            let same = by_subject.entry(&cert.subject).or_default();
            if !same.iter().any(|other| other.fields.der == cert.fields.der) {
                same.push(cert);
            }
        }
        Self {
            circumstances,
            store,
            signing,
            standing,
            sent: by_subject,
            considered: 0,
            complete: Vec::new(),
        }
    }

    pub(super) fn search(mut self, leaf: &'a Cert) -> Found<'a> {
        if let Some(twin) = self.store.twin(leaf) {
            let path = Path { certs: vec![twin], sent: 0 };
            return Found { paths: vec![path], breaches: Vec::new() };
        }
        let dead_end = self.extend(&Path { certs: vec![leaf], sent: 1 });
        let breaches = match dead_end {
            Some(DeadEnd { breach, others, .. }) => [vec![breach], others].concat(),
            None => Vec::new(),
        };
        Found { paths: self.complete, breaches }
    }

    /// Goes on from the last certificate of `path`. Answers why that led nowhere.
    fn extend(&mut self, path: &Path<'a>) -> Option<DeadEnd> {
        let tip = *path.certs.last()?;
        let complete_before = self.complete.len();
        let mut hint: Option<DeadEnd> = None;
        // Go keeps the error of the last candidate that was properly signed.
        let mut last: Option<DeadEnd> = None;
        let roots = self.store.with_subject(&tip.issuer);
        let sent = self.sent.get(tip.issuer.as_slice()).cloned().unwrap_or_default();
        let candidates = by_plausibility(roots, tip)
            .into_iter()
            .map(|cert| (cert, true))
            .chain(by_plausibility(sent, tip).into_iter().map(|cert| (cert, false)));
        for (candidate, is_root) in candidates {
            self.considered += 1;
            if self.considered > BUDGET {
                let breach = Breach::new(Kind::BudgetSpent, tip.label(), path.certs.len() - 1);
                last = Some(DeadEnd { candidate: String::new(), breach, others: Vec::new() });
                break;
            }
            if !usable(&candidate.key) || repeated(candidate, path) {
                continue;
            }
            let longer = Path {
                certs: [path.certs.as_slice(), &[candidate]].concat(),
                sent: path.sent + usize::from(!is_root),
            };
            if let Some(refused) = self.refused(self.signing, &longer) {
                hint.get_or_insert(refused);
                continue;
            }
            last = self.refused(self.standing, &longer);
            if let Some(refused) = &last {
                hint.get_or_insert_with(|| refused.clone());
                continue;
            }
            if is_root {
                self.complete.push(longer);
            } else {
                last = self.extend(&longer);
                if matches!(&last, Some(end) if end.breach.kind == Kind::BudgetSpent) {
                    break;
                }
            }
        }
        if self.complete.len() > complete_before {
            return None;
        }
        Some(last.unwrap_or_else(|| unknown_authority(tip, path.certs.len() - 1, hint)))
    }

    /// The first of the rules that the candidate at the end of the path breaks, and the others.
    fn refused(&self, rules: &[Rule], path: &Path<'a>) -> Option<DeadEnd> {
        let depth = path.certs.len().checked_sub(1)?;
        let mut breaches =
            rules.iter().filter_map(|rule| rule.check(self.circumstances, path, depth));
        let breach = breaches.next()?;
        let candidate = go_name(path.certs.last()?);
        Some(DeadEnd { candidate, breach, others: breaches.collect() })
    }
}

fn unknown_authority(tip: &Cert, depth: usize, hint: Option<DeadEnd>) -> DeadEnd {
    let certificate = tip.label();
    let (hint, others) = match hint {
        Some(DeadEnd { candidate, breach, others }) => {
            (Some(Hint { reason: Box::new(breach.kind), candidate }), others)
        }
        None => (None, Vec::new()),
    };
    let breach = Breach::new(Kind::UnknownAuthority(hint), certificate, depth);
    DeadEnd { candidate: String::new(), breach, others }
}

/// Common name, else organization, else serial number in decimal digits.
fn go_name(cert: &Cert) -> String {
    let subject = &cert.fields.subject;
    let organization = || subject.all(ORGANIZATION).next().and_then(Attribute::text);
    subject.common_name().filter(|name| !name.is_empty()).or_else(organization).unwrap_or_else(
        || {
            let serial = num_bigint::BigUint::from_bytes_be(&cert.fields.serial);
            format!("serial:{serial}")
        },
    )
}

/// Candidates whose key identifier is the one asked for come first, then those where one side
/// says nothing (Go: `findPotentialParents`).
fn by_plausibility<'a>(mut candidates: Vec<&'a Cert>, child: &Cert) -> Vec<&'a Cert> {
    let asked = child.authority.as_ref().and_then(|authority| authority.key_id.as_deref());
    let asked = asked.unwrap_or_default();
    candidates.sort_by_key(|candidate| {
        let given = candidate.subject_key_id.as_deref().unwrap_or_default();
        match (given == asked, given.is_empty() != asked.is_empty()) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        }
    });
    candidates
}

/// Go has no key at all where it does not know the algorithm.
fn usable(key: &Key) -> bool {
    !matches!(key, Key::Unknown | Key::RsaPss { .. } | Key::Ed448(_))
}

/// The same subject, key and names stand in the path already (Go: `alreadyInChain`).
fn repeated(candidate: &Cert, path: &Path<'_>) -> bool {
    let names = |cert: &Cert| {
        let extension = cert.fields.extension(oid::SUBJECT_ALT_NAME);
        extension.map(|extension| extension.value.clone())
    };
    path.certs
        .iter()
        .filter(|cert| {
            cert.subject == candidate.subject && cert.fields.key_info == candidate.fields.key_info
        })
        // Of certificates with one subject and key, Go looks at the names of the first that
        // decides: none on one side only means "not repeated" at once.
        .map(|cert| (names(cert), names(candidate)))
        .find_map(|names| match names {
            (None, None) => Some(true),
            (None, _) | (_, None) => Some(false),
            (left, right) => (left == right).then_some(true),
        })
        .unwrap_or(false)
}

// First issuer --------------------------------------------------------------------------------

/// How long a path may be (OpenSSL's default verification depth, the leaf not counted).
const MOST_DEPTH: usize = 100;

/// OpenSSL's search (`build_chain` with trusted certificates first).
pub(super) struct FirstIssuer<'a, 'c> {
    circumstances: &'c Circumstances<'c>,
    store: &'a Store,
    partial: bool,
    /// What was sent, by subject, without what the path has used up.
    sent: BTreeMap<&'a [u8], Vec<&'a Cert>>,
    path: Path<'a>,
}

/// What the store says of the path so far.
enum Standing {
    Trusted,
    Rejected(Breach),
    Untrusted,
}

impl<'a, 'c> FirstIssuer<'a, 'c> {
    pub(super) fn new(
        circumstances: &'c Circumstances<'c>,
        store: &'a Store,
        sent: &'a [Cert],
        leaf: &'a Cert,
        partial: bool,
    ) -> Self {
        let mut by_subject: BTreeMap<&[u8], Vec<&Cert>> = BTreeMap::new();
        for cert in sent {
            by_subject.entry(&cert.subject).or_default().push(cert);
        }
        let path = Path { certs: vec![leaf], sent: 1 };
        Self { circumstances, store, partial, sent: by_subject, path }
    }

    pub(super) fn search(mut self) -> Found<'a> {
        let mut standing = self.take_from_store();
        while matches!(standing, Standing::Untrusted) && self.path.sent == self.path.certs.len() {
            let Some(issuer) = self.issuer_among_sent() else { break };
            self.path.certs.push(issuer);
            self.path.sent += 1;
            standing = self.take_from_store();
        }
        let length = self.path.certs.len();
        if matches!(standing, Standing::Untrusted)
            && length <= MOST_DEPTH + 1
            && self.path.sent == length
        {
            standing = self.leaf_itself();
        }
        let breaches = match standing {
            Standing::Trusted => Vec::new(),
            Standing::Rejected(breach) => vec![breach],
            Standing::Untrusted => self.incomplete().into_iter().collect(),
        };
        Found { paths: vec![self.path], breaches }
    }

    /// Takes issuers from the store for as long as there are some and none decides.
    fn take_from_store(&mut self) -> Standing {
        while let Some(&tip) = self.path.certs.last() {
            let length = self.path.certs.len();
            if length > MOST_DEPTH + 1 {
                break;
            }
            let candidates = self.store.with_subject(&tip.issuer);
            let Some(issuer) = self.first(&candidates, tip, false) else { break };
            if tip.self_signed {
                // The store's own copy replaces what was sent; a mere likeness does not.
                if tip.fields.der != issuer.fields.der || self.path.sent < length {
                    break;
                }
                self.path.sent -= 1;
                if let Some(last) = self.path.certs.last_mut() {
                    *last = issuer;
                }
            } else {
                self.path.certs.push(issuer);
            }
            match self.standing(issuer) {
                Standing::Untrusted if !issuer.self_signed => {}
                decided => return decided,
            }
        }
        Standing::Untrusted
    }

    fn standing(&self, anchor: &Cert) -> Standing {
        match trust(anchor) {
            Trust::Rejected => Standing::Rejected(self.breach(Kind::Rejected, anchor)),
            Trust::Trusted => Standing::Trusted,
            Trust::Open if anchor.self_signed && anchor.invalid.is_none() => Standing::Trusted,
            Trust::Open if self.partial => Standing::Trusted,
            Trust::Open => Standing::Untrusted,
        }
    }

    /// With partial chains, a leaf that lies in the store is accepted on its own.
    fn leaf_itself(&mut self) -> Standing {
        let leaf = self.path.certs.first().copied().filter(|_| self.partial);
        let Some(twin) = leaf.and_then(|leaf| self.store.twin(leaf)) else {
            return Standing::Untrusted;
        };
        if trust(twin) == Trust::Rejected {
            return Standing::Rejected(self.breach(Kind::Rejected, twin));
        }
        if let Some(first) = self.path.certs.first_mut() {
            *first = twin;
        }
        self.path.sent = 0;
        Standing::Trusted
    }

    fn issuer_among_sent(&mut self) -> Option<&'a Cert> {
        let tip = *self.path.certs.last()?;
        if tip.self_signed || self.path.certs.len() > MOST_DEPTH + 1 {
            return None;
        }
        let candidates = self.sent.get(tip.issuer.as_slice())?.clone();
        let issuer = self.first(&candidates, tip, true)?;
        if let Some(same) = self.sent.get_mut(tip.issuer.as_slice()) {
            let at = same.iter().position(|cert| std::ptr::eq(*cert, issuer))?;
            same.remove(at);
        }
        Some(issuer)
    }

    /// The first candidate that is valid now, else the one that expired last (`find_issuer`,
    /// `X509_STORE_CTX_get1_issuer`). What was sent must not stand in the path already.
    fn first(&self, candidates: &[&'a Cert], child: &Cert, sent: bool) -> Option<&'a Cert> {
        let alone = child.self_issued && self.path.certs.len() == 1;
        let in_path = |candidate: &Cert| {
            self.path.certs.iter().any(|cert| cert.fields.der == candidate.fields.der)
        };
        let mut best: Option<&'a Cert> = None;
        let fitting = candidates
            .iter()
            .filter(|candidate| child.likely_issued_by(candidate))
            .filter(|candidate| !sent || alone || !in_path(candidate));
        for &candidate in fitting {
            if self.valid_now(candidate) {
                return Some(candidate);
            }
            if best.is_none_or(|best| expiry(candidate) > expiry(best)) {
                best = Some(candidate);
            }
        }
        best
    }

    fn valid_now(&self, cert: &Cert) -> bool {
        let now = self.circumstances.at.as_second();
        cert.not_before.is_some_and(|since| since.instant.as_second() <= now)
            && cert.not_after.is_some_and(|until| until.instant.as_second() > now)
    }

    fn incomplete(&self) -> Option<Breach> {
        let tip = *self.path.certs.last()?;
        let length = self.path.certs.len();
        let kind = if length > MOST_DEPTH + 1 {
            Kind::ChainTooLong
        } else if let Some(why) = &tip.invalid {
            Kind::Invalid(why.clone())
        } else if tip.self_signed {
            if length == 1 { Kind::SelfSigned } else { Kind::SelfSignedAtTop }
        } else if self.path.sent < length {
            Kind::IncompleteStore
        } else {
            Kind::UnknownAuthority(None)
        };
        Some(self.breach(kind, tip))
    }

    fn breach(&self, kind: Kind, cert: &Cert) -> Breach {
        Breach::new(kind, cert.label(), self.path.certs.len().saturating_sub(1))
    }
}

fn expiry(cert: &Cert) -> Option<Timestamp> {
    cert.not_after.map(|moment| moment.instant)
}
