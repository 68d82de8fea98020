//! Question: which addresses does `/etc/hosts` give a name?

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::File;
use crate::host::{Machine, Question, Unknown};
use crate::parse::Malformed;

/// The file.
pub const HOSTS: &str = "/etc/hosts";

/// Far more than anybody writes by hand; lists against advertisers have a few MiB.
const LIMIT: u64 = 64 << 20;

/// Asks what `/etc/hosts` says of a name, where no resolver can be asked. Of the other lines
/// nothing is told.
#[derive(Debug, Serialize)]
pub struct HostsEntry {
    /// The name.
    pub name: String,
}

/// What it says: each address of the name, with its first line, from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Entry(pub BTreeMap<IpAddr, u32>);

impl Question for HostsEntry {
    type Answer = Entry;

    const KIND: &'static str = "hosts-entry";

    fn label(&self) -> String {
        format!("file {HOSTS}")
    }

    async fn look(&self, machine: &Machine) -> Result<Entry, Unknown> {
        let name = self.name.clone();
        let find = move |content: &[u8]| Ok::<_, Malformed>(find(content, &name));
        Ok(match machine.read(HOSTS.into(), LIMIT, find).await? {
            File::Read(entry) => entry,
            // A resolver goes on without it.
            _ => Entry::default(),
        })
    }
}

/// The lines of a name. Every line counts, not only the first, and letter case does not (Go's
/// `readHosts`, glibc's `nss_files`).
fn find(content: &[u8], name: &str) -> Entry {
    let mut entry = Entry::default();
    for (line, text) in (1..).zip(content.split(|byte| *byte == b'\n')) {
        let text = String::from_utf8_lossy(text);
        let mut words = text.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else { continue };
        if words.any(|word| word.eq_ignore_ascii_case(name)) {
            entry.0.entry(address).or_insert(line);
        }
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_name_counts() {
        let text = b"127.0.0.1 localhost\n127.0.1.1\tGit.test git # 10.0.0.9 git.test\n\
                     # 10.0.0.1 git.test\nnonsense git.test\n10.0.0.2 other git.test\r\n\xff git.test";
        let found = find(text, "git.test").0;
        let found: Vec<_> = found.iter().map(|(it, line)| (it.to_string(), *line)).collect();
        assert_eq!(found, [("10.0.0.2".to_owned(), 5), ("127.0.1.1".to_owned(), 2)]);
        assert_eq!(find(text, "it.test"), Entry::default());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_can_be_searched(content: Vec<u8>, name: String) {
            find(&content, &name);
        }
    }
}
