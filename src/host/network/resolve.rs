//! Question: which addresses does a name have?

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

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
    /// No name server answered within this many seconds.
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
            Err(_) => Ok(Resolved::Silent(deadline.as_secs())),
            Ok(Err(error)) => Ok(Resolved::NotFound(error.to_string())),
            Ok(Ok(found)) => Ok(Resolved::Addresses(found.map(|address| address.ip()).collect())),
        }
    }
}
