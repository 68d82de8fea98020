//! Who accepts a certificate, and why not: judged as each real client would.
//!
//! ```text
//! served chain, trust store, name, time  ->  accepted, or the client's own error
//! ```
//!
//! There is one path builder (`path`) and one list of rules (`rules`), each with its source. A
//! client is a value (`profile`): which library reads for it, how it looks for a path, which
//! rules it applies in which order, and in what words it refuses. Files are read as the client
//! reads them ([`store`]). Nothing here does any I/O.
//!
//! The clients are modelled on Go 1.26.5, OpenSSL 3.0 at security level 2, curl 7.88 and Ruby 3.1;
//! later ones gave the same verdicts on everything they were compared with.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::breach::{Breach, Kind};
use self::cert::Cert;
use self::path::{EveryPath, FirstIssuer, Found};
pub use self::profile::GO_PREFIX;
use self::profile::{Profile, Search, Step};
use self::rules::{Circumstances, Path};
pub use self::store::{Note, Store, StoreFile};

mod breach;
mod cert;
mod constraints;
mod go_text;
mod go_url;
mod host_name;
mod oddity;
mod path;
mod pem;
mod policies;
mod profile;
mod rules;
pub mod store;
mod words;

/// A certificate's bytes.
pub type Der = Vec<u8>;

/// Whose verdict is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Client {
    /// Programs written in Go: Docker, containerd, podman, GitLab Runner, the registry.
    Go,
    /// OpenSSL itself and what uses it without changes of its own: `openssl s_client`.
    OpenSsl,
    /// curl, and git with an OpenSSL libcurl.
    Curl,
    /// Ruby's `Net::HTTP`: GitLab Rails.
    Ruby,
}

impl Client {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Go, Self::OpenSsl, Self::Curl, Self::Ruby];

    /// The name in output and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::OpenSsl => "openssl",
            Self::Curl => "curl",
            Self::Ruby => "ruby",
        }
    }
}

/// What a client says of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether it accepts the chain.
    pub accepted: bool,
    /// What its users see if it does not, in its own words.
    pub error: Option<String>,
    /// The rule and the certificate that decided, in plain words.
    pub why: String,
    /// Everything the client has against the chain, in the order in which it would come up if
    /// each earlier fault were mended. Empty if it accepts.
    pub faults: Vec<Fault>,
    /// The file of the store whose certificate completed the path.
    pub decided_by: Option<String>,
    /// What acceptance rests on.
    pub anchor: Option<Anchor>,
}

/// One thing that a client has against a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// A name for it that stays the same, whatever the client: `common-name-only`,
    /// `name-mismatch`, `unknown-authority`, `expired`, `not-yet-valid`, …
    pub code: String,
    /// The certificate at fault, by its common name.
    pub certificate: String,
    /// Its place in the path, the leaf being 0.
    pub depth: usize,
    /// The client's error.
    pub error: String,
    /// The rule in plain words.
    pub why: String,
}

/// What a client's acceptance rests on. All but a root break at the next renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anchor {
    /// A CA that issued itself.
    Root,
    /// A CA that another one issued, whose own issuer is not in the store.
    Intermediate,
    /// The served certificate itself.
    Leaf,
}

/// Judges a chain as it was served, leaf first, as the store's client would at a given time.
/// `name` is a host name or an IP address, as the user typed it.
pub fn judge(store: &Store, chain: &[Der], name: &str, at: Timestamp) -> Verdict {
    let profile = Profile::of(store.client());
    let circumstances = Circumstances { profile, name, at };
    if let Some((file, words, why)) = store.refusal() {
        let (file, words, why) = (file.clone(), words.clone(), why.clone());
        let kind = Kind::StoreRefused { file, words, why };
        return refused(profile, vec![Breach::new(kind, "the trust store".to_owned(), 0)]);
    }
    let mut certs = Vec::with_capacity(chain.len());
    for (depth, der) in chain.iter().enumerate() {
        match Cert::read(der, profile.library) {
            Ok(cert) => certs.push(cert),
            Err(unread) => {
                let kind = Kind::Unreadable { words: unread.words, why: unread.why };
                let which = format!("certificate {} of the chain", depth + 1);
                return refused(profile, vec![Breach::new(kind, which, depth)]);
            }
        }
    }
    let Some(leaf) = certs.first() else {
        let nothing = Breach::new(Kind::NoCertificate, "the certificate".to_owned(), 0);
        return refused(profile, vec![nothing]);
    };
    Judgement { circumstances, store, certs: &certs, leaf }.run()
}

/// A chain that has been read.
struct Judgement<'a> {
    circumstances: Circumstances<'a>,
    store: &'a Store,
    certs: &'a [Cert],
    leaf: &'a Cert,
}

impl Judgement<'_> {
    fn run(&self) -> Verdict {
        let profile = self.circumstances.profile;
        let split = profile.steps.iter().position(|step| matches!(step, Step::Build));
        let (before, after) = profile.steps.split_at(split.unwrap_or_default());
        let alone = Path { certs: vec![self.leaf], sent: 1 };
        let mut breaches = self.take(before, &alone);
        let found = self.build();
        let complete = found.breaches.is_empty();
        breaches.extend(found.breaches);
        let judged: Vec<Vec<Breach>> =
            found.paths.iter().map(|path| self.take(after, path)).collect();
        let accepted = found.paths.iter().zip(&judged).find(|(_, faults)| faults.is_empty());
        if let Some((path, _)) = accepted.filter(|_| complete && breaches.is_empty()) {
            return self.accepted(path);
        }
        if accepted.is_none() {
            breaches.extend(worst(judged));
        }
        refused(profile, breaches)
    }

    fn build(&self) -> Found<'_> {
        match self.circumstances.profile.search {
            Search::EveryPath { signing, standing } => {
                let sent = self.certs.get(1..).unwrap_or_default();
                let circumstances = &self.circumstances;
                EveryPath::new(circumstances, self.store, sent, signing, standing).search(self.leaf)
            }
            Search::FirstIssuer { partial } => {
                let circumstances = &self.circumstances;
                FirstIssuer::new(circumstances, self.store, self.certs, self.leaf, partial).search()
            }
        }
    }

    /// Everything that is wrong with a path by some of the client's steps.
    fn take(&self, steps: &[Step], path: &Path<'_>) -> Vec<Breach> {
        let mut breaches = Vec::new();
        for step in steps {
            let (rules, depths): (_, Vec<usize>) = match *step {
                Step::Build => continue,
                Step::Leaf(rules) | Step::Whole(rules) => (rules, vec![0]),
                Step::Up(rules) => (rules, (0..path.certs.len()).collect()),
                Step::Down(rules) => (rules, (0..path.certs.len()).rev().collect()),
            };
            for depth in depths {
                let checked = rules.iter().map(|rule| rule.check(&self.circumstances, path, depth));
                breaches.extend(checked.flatten());
            }
        }
        breaches
    }

    fn accepted(&self, path: &Path<'_>) -> Verdict {
        let top = path.certs.last().copied().unwrap_or(self.leaf);
        let anchor = if top.fields.der == self.leaf.fields.der {
            Anchor::Leaf
        } else if top.self_issued {
            Anchor::Root
        } else {
            Anchor::Intermediate
        };
        let file = self.store.file_of(top).map(str::to_owned);
        let place = file.as_deref().unwrap_or("the store");
        let why = match anchor {
            Anchor::Leaf => format!("the served certificate itself is in {place}"),
            Anchor::Root => {
                format!("the path ends in the root {}, which is in {place}", top.label())
            }
            Anchor::Intermediate => {
                format!("the path ends in the intermediate {}, which is in {place}", top.label())
            }
        };
        Verdict {
            accepted: true,
            error: None,
            why,
            faults: Vec::new(),
            decided_by: file,
            anchor: Some(anchor),
        }
    }
}

/// The faults of the path whose error Go reports when none is sound: constraints before purposes
/// before policies.
fn worst(judged: Vec<Vec<Breach>>) -> Vec<Breach> {
    let first_is = |faults: &[Breach], fits: fn(&Kind) -> bool| {
        faults.first().is_some_and(|breach| fits(&breach.kind))
    };
    let policies = |kind: &Kind| matches!(kind, Kind::InvalidPolicies { .. });
    let purpose = |kind: &Kind| matches!(kind, Kind::IncompatiblePurpose);
    let constraint = |kind: &Kind| matches!(kind, Kind::NotAuthorizedForName(_));
    let chains = judged.iter().filter(|faults| first_is(faults, policies)).count();
    let others = judged.iter().filter(|faults| first_is(faults, purpose)).count();
    let pick = |fits: fn(&Kind) -> bool| judged.iter().position(|faults| first_is(faults, fits));
    let index = match chains {
        _ if pick(constraint).is_some() => pick(constraint),
        0 => None,
        _ => pick(policies),
    };
    let mut faults = judged.into_iter().nth(index.unwrap_or_default()).unwrap_or_default();
    if let Some(Breach { kind: kind @ Kind::InvalidPolicies { .. }, .. }) = faults.first_mut() {
        *kind = Kind::InvalidPolicies { chains, others };
    }
    faults
}

fn refused(profile: &Profile, breaches: Vec<Breach>) -> Verdict {
    let mut faults: Vec<Fault> = Vec::with_capacity(breaches.len());
    for breach in breaches {
        let fault = Fault {
            code: breach.kind.code().to_owned(),
            error: (profile.words)(&breach),
            why: format!("{} {}", breach.certificate, breach.kind.why()),
            certificate: breach.certificate,
            depth: breach.depth,
        };
        // One cause can offend against several rules: its first words are the ones users see.
        if !faults.iter().any(|other| other.code == fault.code && other.depth == fault.depth) {
            faults.push(fault);
        }
    }
    let first = faults.first();
    Verdict {
        accepted: false,
        error: first.map(|fault| fault.error.clone()),
        why: first.map(|fault| fault.why.clone()).unwrap_or_default(),
        faults,
        decided_by: None,
        anchor: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    fn params(name: &str, names: &[&str]) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    fn authority(name: &str) -> CertificateParams {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn store(client: Client, files: &[(&str, &str)]) -> Store {
        let mut store = Store::new(client);
        for (name, text) in files {
            store.add_file(name, text.as_bytes());
        }
        store
    }

    struct Site {
        root: String,
        intermediate: String,
        leaf: String,
        chain: Vec<Der>,
    }

    fn site() -> Site {
        let keys = [(); 3].map(|()| KeyPair::generate().unwrap());
        let root = authority("Root").self_signed(&keys[0]).unwrap();
        let issuer = Issuer::new(authority("Root"), &keys[0]);
        let intermediate = authority("Issuing").signed_by(&keys[1], &issuer).unwrap();
        let issuer = Issuer::new(authority("Issuing"), &keys[1]);
        let leaf = params("git.test", &["git.test"]).signed_by(&keys[2], &issuer).unwrap();
        Site {
            root: root.pem(),
            intermediate: intermediate.pem(),
            leaf: leaf.pem(),
            chain: vec![leaf.der().to_vec(), intermediate.der().to_vec()],
        }
    }

    #[test]
    fn acceptance_names_the_file_and_what_it_rests_on() {
        let site = site();
        let now = at("2026-11-22T12:00:00Z");
        let cases = [
            (&site.root, Anchor::Root),
            (&site.intermediate, Anchor::Intermediate),
            (&site.leaf, Anchor::Leaf),
        ];
        for (file, anchor) in cases {
            let files = [("empty.crt", ""), ("ca.crt", file.as_str())];
            let verdict = judge(&store(Client::Go, &files), &site.chain, "git.test", now);
            assert!(verdict.accepted && verdict.error.is_none() && verdict.faults.is_empty());
            assert_eq!(verdict.anchor, Some(anchor));
            assert_eq!(verdict.decided_by.as_deref(), Some("ca.crt"));
            assert!(verdict.why.ends_with("ca.crt"), "{}", verdict.why);
        }
    }

    #[test]
    fn every_fault_is_told_and_the_first_is_what_users_see() {
        let key = KeyPair::generate().unwrap();
        let mut params = params("git.test", &[]);
        params.not_after = rcgen::date_time_ymd(2025, 1, 1);
        let cert = params.self_signed(&key).unwrap();
        let store = store(Client::Go, &[("ca.crt", &site().root)]);
        let verdict =
            judge(&store, &[cert.der().to_vec()], "git.test", at("2026-11-22T12:00:00.5Z"));
        let codes: Vec<&str> = verdict.faults.iter().map(|fault| fault.code.as_str()).collect();
        assert_eq!(codes, ["expired", "common-name-only", "unknown-authority"]);
        let words = "x509: certificate has expired or is not yet valid: \
                     current time 2026-11-22T12:00:00Z is after 2025-01-01T00:00:00Z";
        assert_eq!(verdict.error, Some(format!("{GO_PREFIX}{words}")));
        assert!(verdict.why.starts_with("git.test expired on "), "{}", verdict.why);
    }

    #[test]
    fn a_refused_store_is_what_users_see_if_there_is_no_other() {
        let site = site();
        let now = at("2026-11-22T12:00:00Z");
        let refused = store(Client::Curl, &[("/etc/ca.crt", "")]);
        let verdict = judge(&refused, &site.chain, "git.test", now);
        let words = "curl: (77) error setting certificate file: /etc/ca.crt";
        assert_eq!(verdict.error.as_deref(), Some(words));
        assert_eq!(verdict.why, "the trust store is refused: /etc/ca.crt is empty");
        let files = [("/etc/ca.crt", ""), ("/etc/other.crt", site.root.as_str())];
        assert!(judge(&store(Client::Curl, &files), &site.chain, "git.test", now).accepted);
    }

    #[test]
    fn nothing_served_is_refused() {
        for client in Client::ALL {
            let mut store = Store::new(client);
            store.add_file("ca.crt", site().root.as_bytes());
            let verdict = judge(&store, &[], "git.test", at("2026-11-22T12:00:00Z"));
            assert_eq!(verdict.faults[0].code, "no-certificate");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_can_be_judged(chain: Vec<Vec<u8>>, text: Vec<u8>, name: String) {
            for client in Client::ALL {
                let mut store = Store::new(client);
                store.add_file("ca.crt", &text);
                let _ = judge(&store, &chain, &name, Timestamp::UNIX_EPOCH);
            }
        }
    }
}
