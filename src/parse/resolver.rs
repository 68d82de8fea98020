//! How a system finds the address of a name: `/etc/hosts` and `/etc/resolv.conf`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Malformed;
use super::setting::Located;

/// More names than anybody keeps in `/etc/hosts` by hand.
const MAX_NAMES: usize = 100_000;

/// As many name servers as any resolver asks.
const MAX_SERVERS: usize = 3;

/// `/etc/hosts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosts {
    /// Each name in lower case with the addresses of its lines, in their order.
    pub names: BTreeMap<String, Vec<Located<IpAddr>>>,
}

/// `/etc/resolv.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvConf {
    /// `nameserver`, the first three.
    pub servers: Vec<Located<IpAddr>>,
}

/// Reads an `/etc/hosts`. Lines that do not start with an address are ignored, as the C library
/// does.
pub fn read_hosts(content: &[u8]) -> Result<Hosts, Malformed> {
    let mut hosts = Hosts::default();
    let mut count = 0;
    for (line, words) in lines(content) {
        let mut words = words.into_iter();
        let Some(address) = words.next().and_then(|it| it.parse::<IpAddr>().ok()) else { continue };
        for name in words {
            count += 1;
            if count > MAX_NAMES {
                return Err(Malformed::new(line, "more names than any system has"));
            }
            let of_name = hosts.names.entry(name.to_ascii_lowercase()).or_default();
            of_name.push(Located::at(line, address));
        }
    }
    Ok(hosts)
}

/// Reads an `/etc/resolv.conf`.
pub fn read_resolv_conf(content: &[u8]) -> Result<ResolvConf, Malformed> {
    let servers = lines(content).filter_map(|(line, words)| {
        let address = words.get(1).filter(|_| words[0] == "nameserver")?;
        // A link-local address has its interface after it.
        let address = address.split('%').next()?.parse().ok()?;
        Some(Located::at(line, address))
    });
    Ok(ResolvConf { servers: servers.take(MAX_SERVERS).collect() })
}

/// The lines with words on them, without comments, each with its number.
fn lines(content: &[u8]) -> impl Iterator<Item = (u32, Vec<String>)> {
    let text = String::from_utf8_lossy(content).into_owned();
    let lines: Vec<_> = text
        .lines()
        .zip(1..)
        .filter_map(|(line, number)| {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            (!words.is_empty()).then_some((number, words))
        })
        .collect();
    lines.into_iter()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_found_with_their_lines() {
        let text =
            "127.0.0.1 localhost # 10.0.0.9 no\n\n10.0.0.5\tGit.test git\nfd00::1 git.test\nx y\n";
        let hosts = read_hosts(text.as_bytes()).unwrap();
        let of = |name: &str| -> Vec<_> {
            let found = hosts.names.get(name).into_iter().flatten();
            found.map(|it| (it.value.to_string(), it.line)).collect()
        };
        assert_eq!(
            of("git.test"),
            [("10.0.0.5".to_owned(), Some(3)), ("fd00::1".to_owned(), Some(4))]
        );
        assert_eq!(of("no"), []);
        assert_eq!(of("y"), []);
    }

    #[test]
    fn three_name_servers_count() {
        let text = "# x\nsearch test\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver x\n\
                    nameserver 10.0.0.3\nnameserver 10.0.0.4\n";
        let servers = read_resolv_conf(text.as_bytes()).unwrap().servers;
        let servers: Vec<_> = servers.iter().map(|it| it.value.to_string()).collect();
        assert_eq!(servers, ["10.0.0.1", "fe80::1", "10.0.0.3"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(content in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (read_hosts(&content), read_resolv_conf(&content));
        }
    }
}
