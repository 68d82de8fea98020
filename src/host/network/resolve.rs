//! Question: which addresses does a name have?

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::in_seconds;
use crate::host::{Machine, Question, Unknown};

/// Asks the system's own resolver, `/etc/hosts` included, as GitLab and Docker do.
#[derive(Debug, Serialize)]
pub struct Resolve {
    /// A name or an address in text form.
    pub host: String,
}

/// What the resolver said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolved {
    /// At least one address, sorted.
    Addresses(BTreeSet<IpAddr>),
    /// The name is not known; the resolver's own words.
    NotFound(String),
    /// No name server answered within this many seconds, `/etc/hosts` does not know the name.
    Silent(u64),
}

impl Resolved {
    /// The addresses, if there are any.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let found = match self {
            Self::Addresses(addresses) => Some(addresses),
            Self::NotFound(_) | Self::Silent(_) => None,
        };
        found.into_iter().flatten().copied()
    }

    /// Whether the resolver could not find out: that is a fault of name servers or of the way to
    /// them, and says nothing of the name.
    pub fn is_undecided(&self) -> bool {
        match self {
            Self::Addresses(_) => false,
            Self::Silent(_) => true,
            // EAI_AGAIN in the words of glibc and of musl.
            Self::NotFound(words) => {
                words.contains("Temporary failure in name resolution")
                    || words.contains("Try again")
            }
        }
    }
}

impl Question for Resolve {
    type Answer = Resolved;

    const KIND: &'static str = "resolve";

    fn label(&self) -> String {
        format!("name {}", self.host)
    }

    async fn look(&self, machine: &Machine) -> Result<Resolved, Unknown> {
        if let Ok(address) = self.host.trim_matches(['[', ']']).parse() {
            return Ok(Resolved::Addresses(BTreeSet::from([address])));
        }
        let _permit = machine.network().await?;
        let deadline = machine.stage();
        let lookup = tokio::net::lookup_host((self.host.as_str(), 0));
        match tokio::time::timeout(deadline, lookup).await {
            Err(_) => Ok(Resolved::Silent(in_seconds(deadline))),
            // The resolver has errors of its own; one of the system says nothing of the name.
            Ok(Err(error)) if error.raw_os_error().is_some() => {
                Err(Unknown::Unreadable(format!("the name {}: {error}", self.host)))
            }
            Ok(Err(error)) => Ok(Resolved::NotFound(words(&error))),
            Ok(Ok(found)) => Ok(Resolved::Addresses(found.map(|address| address.ip()).collect())),
        }
    }
}

/// The resolver's own words, without those of Rust's library before them.
fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(": ").map_or(text.as_str(), |(_, words)| words).to_owned()
}

#[test]
fn a_resolver_that_found_nothing_out_is_no_missing_name() {
    let not_found = |words: &str| Resolved::NotFound(words.to_owned());
    assert!(not_found("Temporary failure in name resolution").is_undecided());
    assert!(!not_found("Name or service not known").is_undecided());
    assert!(Resolved::Silent(10).is_undecided());
    assert!(!Resolved::Addresses(BTreeSet::new()).is_undecided());
}
