//! Name constraints as Go 1.26 reads and keeps them (crypto/x509, `constraints.go`).

use std::collections::BTreeMap;

use super::{contains, ip};
use crate::parse::certificate::extensions::{NameConstraints, Subtree, general};
use crate::trust::breach::Constraint;
use crate::trust::cert::Cert;
use crate::trust::go_text::{go_address, go_ip, quote};
use crate::trust::go_url;

/// Whether Go takes a name for a domain (`domainNameValid`). Constraints may start with a dot.
pub(in crate::trust) fn domain_valid(name: &str, constraint: bool) -> bool {
    if name.is_empty() {
        return true;
    }
    let labels = if constraint { name.strip_prefix('.').unwrap_or(name) } else { name };
    !name.ends_with('.')
        && labels.bytes().all(|byte| (33..=126).contains(&byte))
        && labels.split('.').all(|label| !label.is_empty())
}

/// Local part and domain of an e-mail address, as Go parses it (`parseRFC2821Mailbox`).
pub(in crate::trust) fn mailbox(text: &str) -> Option<(String, String)> {
    let (local, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted_local(quoted)?,
        None => plain_local(text)?,
    };
    let domain = rest.strip_prefix('@')?;
    let labels = domain.is_empty()
        || domain
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(|b| (33..=126).contains(&b)));
    labels.then(|| (local, domain.to_owned()))
}

fn quoted_local(text: &str) -> Option<(String, &str)> {
    let mut local = String::new();
    let mut letters = text.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return Some((local, text.get(index + 1..)?)),
            '\\' => match letters.next()?.1 {
                escaped @ ('\u{1}'..='\u{9}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{7f}') => {
                    local.push(escaped);
                }
                _ => return None,
            },
            '\u{1}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{7f}' => local.push(letter),
            _ => return None,
        }
    }
    None
}

fn plain_local(text: &str) -> Option<(String, &str)> {
    let mut local = String::new();
    let mut rest = text;
    loop {
        let escaped = rest.strip_prefix('\\').unwrap_or(rest);
        let letter = escaped.chars().next();
        match letter {
            Some(letter)
                if letter.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(letter) =>
            {
                local.push(letter);
                rest = escaped.get(1..)?;
            }
            // What follows a backslash is taken as it is, whatever it is.
            Some(letter) if escaped.len() != rest.len() => {
                local.push(letter);
                rest = escaped.get(letter.len_utf8()..)?;
            }
            _ => break,
        }
    }
    let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    (!local.is_empty() && !dots).then_some((local, rest))
}

/// Judges a path: every certificate below a constraint, by its
/// alternative names alone. `path` starts with the leaf.
pub(in crate::trust) fn check(path: &[&Cert]) -> Result<(), (usize, Constraint)> {
    let sets: Vec<(usize, GoSet)> = path
        .iter()
        .enumerate()
        .filter_map(|(depth, cert)| Some((depth, GoSet::new(cert.constraints.as_ref()?))))
        .collect();
    let Some((highest, _)) = sets.last() else { return Ok(()) };
    for (depth, cert) in path.iter().enumerate() {
        // Go stops at the first certificate that has names and no constraint above it.
        if cert.names.is_none() || depth >= *highest {
            continue;
        }
        let names = GoNames::of(cert).map_err(|constraint| (depth, constraint))?;
        for (_, set) in sets.iter().filter(|(at, _)| *at > depth) {
            set.check(&names).map_err(|constraint| (depth, constraint))?;
        }
    }
    Ok(())
}

/// The names of one certificate that Go compares.
struct GoNames {
    addresses: Vec<Vec<u8>>,
    domains: Vec<String>,
    /// Each URI and its host.
    uris: Vec<(String, String)>,
    /// Each mailbox: local part and domain.
    mailboxes: Vec<(String, String)>,
}

impl GoNames {
    fn of(cert: &Cert) -> Result<Self, Constraint> {
        let texts = |tag| cert.names_of(tag).map(|name| String::from_utf8_lossy(name).into_owned());
        let uris = texts(general::URI)
            .map(|uri| Ok((uri.clone(), uri_host(&uri)?)))
            .collect::<Result<_, String>>()
            .map_err(Constraint::Syntax)?;
        let mailboxes = texts(general::EMAIL)
            .map(|email| {
                let (local, domain) = mailbox(&email)
                    .ok_or_else(|| format!("cannot parse rfc822Name {}", quote(&email)))?;
                Ok((local, domain.to_ascii_lowercase()))
            })
            .collect::<Result<_, String>>()
            .map_err(Constraint::Syntax)?;
        Ok(Self {
            addresses: cert.names_of(general::IP).map(<[u8]>::to_vec).collect(),
            domains: texts(general::DNS).collect(),
            uris,
            mailboxes,
        })
    }
}

fn uri_host(uri: &str) -> Result<String, String> {
    let full = go_url::host(uri).unwrap_or_default().to_ascii_lowercase();
    if full.is_empty() {
        let shown = quote(uri);
        return Err(format!("URI with empty host ({shown}) cannot be matched against constraints"));
    }
    let host = match full.rsplit_once(':') {
        Some((host, _)) if !full.ends_with(']') => host,
        _ => &full,
    };
    let literal = host.starts_with('[') && host.ends_with(']');
    if literal || go_ip(host).is_some() {
        let shown = quote(uri);
        return Err(format!("URI with IP ({shown}) cannot be matched against constraints"));
    }
    Ok(host.to_owned())
}

/// The constraints of one certificate, made ready for many names.
struct GoSet {
    addresses: [Networks; 2],
    domains: [Domains; 2],
    uris: [Domains; 2],
    mailboxes: [Mailboxes; 2],
}

impl GoSet {
    fn new(constraints: &NameConstraints) -> Self {
        let sides = [&constraints.permitted, &constraints.excluded];
        Self {
            addresses: sides.map(|side| Networks::new(side)),
            domains: sides.map(|side| Domains::new(texts(side, general::DNS))),
            uris: sides.map(|side| Domains::new(texts(side, general::URI))),
            mailboxes: sides.map(|side| Mailboxes::new(texts(side, general::EMAIL))),
        }
    }

    fn check(&self, names: &GoNames) -> Result<(), Constraint> {
        for address in &names.addresses {
            let shown = || ip(address).map(go_address).unwrap_or_default();
            let [permitted, excluded] = &self.addresses;
            let found = [permitted.find(address), excluded.find(address)];
            judge("IP address", shown, permitted.0.is_empty(), found)?;
        }
        for domain in &names.domains {
            if !domain_valid(domain, false) {
                let words = format!("x509: cannot parse dnsName {}", quote(domain));
                return Err(Constraint::Syntax(words));
            }
            let [permitted, excluded] = &self.domains;
            let found = [permitted.find(domain), excluded.find_wild(domain)];
            judge("DNS name", || domain.clone(), permitted.is_empty(), found)?;
        }
        for (uri, host) in &names.uris {
            let [permitted, excluded] = &self.uris;
            let found = [permitted.find(host), excluded.find_wild(host)];
            judge("URI", || uri.clone(), permitted.is_empty(), found)?;
        }
        for (local, domain) in &names.mailboxes {
            let [permitted, excluded] = &self.mailboxes;
            let found = [permitted.find(local, domain), excluded.find(local, domain)];
            let shown = || format!("{local}@{domain}");
            judge("email address", shown, permitted.is_empty(), found)?;
        }
        Ok(())
    }
}

fn judge(
    kind: &'static str,
    name: impl Fn() -> String,
    all_permitted: bool,
    [permitted, excluded]: [Option<String>; 2],
) -> Result<(), Constraint> {
    if !all_permitted && permitted.is_none() {
        return Err(Constraint::NotPermitted { kind, name: name() });
    }
    match excluded {
        Some(by) => Err(Constraint::Excluded { kind, name: name(), by }),
        None => Ok(()),
    }
}

fn texts(side: &[Subtree], tag: u8) -> impl Iterator<Item = String> {
    side.iter()
        .filter(move |subtree| subtree.base.tag == tag)
        .map(|subtree| String::from_utf8_lossy(&subtree.base.value).into_owned())
}

/// Networks, address and mask, sorted; none within the one before it.
struct Networks(Vec<(Vec<u8>, Vec<u8>)>);

impl Networks {
    fn new(side: &[Subtree]) -> Self {
        let mut all: Vec<(Vec<u8>, Vec<u8>)> = side
            .iter()
            .filter(|subtree| subtree.base.tag == general::IP)
            .map(|subtree| {
                let (address, mask) = subtree.base.value.split_at(subtree.base.value.len() / 2);
                (address.to_vec(), mask.to_vec())
            })
            .collect();
        // IPv4 before IPv6, which Go keeps in two sets.
        all.sort_by(|left, right| (left.0.len(), left).cmp(&(right.0.len(), right)));
        all.dedup_by(|next, kept| {
            let last: Vec<u8> = next.0.iter().zip(&next.1).map(|(a, m)| a | !m).collect();
            contains(kept, &next.0) && contains(kept, &last)
        });
        Self(all)
    }

    /// The network that holds the address, as Go looks it up: by its nearest lower neighbour.
    fn find(&self, address: &[u8]) -> Option<String> {
        let from = self.0.partition_point(|network| network.0.len() < address.len());
        let to = self.0.partition_point(|network| network.0.len() <= address.len());
        let same = self.0.get(from..to)?;
        let above = same.partition_point(|network| network.0.as_slice() < address);
        let exact = same.get(above).filter(|network| network.0 == address);
        let network = match exact {
            Some(network) => network,
            None => {
                same.get(above.saturating_sub(1)).filter(|network| contains(network, address))?
            }
        };
        let prefix: u32 = network.1.iter().map(|byte| byte.count_ones()).sum();
        let base: Vec<u8> = network.0.iter().zip(&network.1).map(|(a, m)| a & m).collect();
        let base = ip(&base).map(|address| address.to_string()).unwrap_or_default();
        Some(format!("{base}/{prefix}"))
    }
}

/// Domains by their lower-case form, and for wildcards by what follows their first label.
struct Domains {
    exact: BTreeMap<String, String>,
    parents: BTreeMap<String, String>,
    everything: bool,
}

impl Domains {
    fn new(domains: impl Iterator<Item = String>) -> Self {
        let mut exact = BTreeMap::new();
        for domain in domains {
            exact.entry(domain.to_ascii_lowercase()).or_insert(domain);
        }
        let everything = exact.contains_key("");
        let kept =
            |domain: &&String| broadest(&exact, domain).is_some_and(|(key, _)| key == **domain);
        let parents = exact
            .keys()
            .filter(kept)
            .filter_map(|domain| {
                Some((domain.get(domain.find('.')?..)?.to_owned(), domain.clone()))
            })
            .collect();
        Self { exact, parents, everything }
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty()
    }

    /// The broadest constraint that holds the name.
    fn find(&self, name: &str) -> Option<String> {
        if self.everything {
            return Some(String::new());
        }
        broadest(&self.exact, &name.to_ascii_lowercase()).map(|(_, domain)| domain)
    }

    /// The same for exclusions, which a wildcard also meets when it could stand for one.
    fn find_wild(&self, name: &str) -> Option<String> {
        self.find(name).or_else(|| {
            let lower = name.to_ascii_lowercase();
            let parent = lower.strip_prefix('*')?;
            self.parents.get(parent.get(parent.find('.')?..)?).cloned()
        })
    }
}

/// The shortest ending of `name`, from a label's start or the dot before it, that is a key.
fn broadest(domains: &BTreeMap<String, String>, name: &str) -> Option<(String, String)> {
    let dots = name.bytes().enumerate().rev().filter(|(_, byte)| *byte == b'.');
    let starts = dots.flat_map(|(dot, _)| [dot + 1, dot]).chain([0]);
    starts
        .filter_map(|start| name.get(start..))
        .filter(|ending| !ending.is_empty())
        .find_map(|ending| domains.get_key_value(ending))
        .map(|(key, value)| (key.clone(), value.clone()))
}

/// Constraints on e-mail addresses: whole addresses, and domains.
struct Mailboxes {
    whole: BTreeMap<(String, String), String>,
    domains: Domains,
}

impl Mailboxes {
    fn new(constraints: impl Iterator<Item = String>) -> Self {
        let (whole, domains): (Vec<String>, Vec<String>) =
            constraints.partition(|constraint| constraint.contains('@'));
        let whole = whole
            .iter()
            .filter_map(|address| mailbox(address))
            .map(|(local, domain)| (local, domain.to_ascii_lowercase()))
            .map(|(local, domain)| ((local.clone(), domain.clone()), format!("{local}@{domain}")))
            .collect();
        Self { whole, domains: Domains::new(domains.into_iter()) }
    }

    fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.domains.is_empty()
    }

    fn find(&self, local: &str, domain: &str) -> Option<String> {
        let whole = self.whole.get(&(local.to_owned(), domain.to_owned())).cloned();
        whole.or_else(|| self.domains.find(domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains(list: &[&str]) -> Domains {
        Domains::new(list.iter().map(|&domain| domain.to_owned()))
    }

    #[test]
    fn the_broadest_domain_is_named() {
        let set = domains(&["lab.Internal", "x.lab.internal", ".dot.test"]);
        assert_eq!(set.find("git.lab.internal").as_deref(), Some("lab.Internal"));
        assert_eq!(set.find("x.lab.internal").as_deref(), Some("lab.Internal"));
        assert_eq!(set.find("gitlab.internal"), None);
        assert_eq!(set.find("dot.test"), None);
        assert_eq!(set.find("a.dot.test").as_deref(), Some(".dot.test"));
    }

    #[test]
    fn a_wildcard_meets_the_exclusions_it_could_stand_for() {
        let set = domains(&["bar.example.com"]);
        assert_eq!(set.find("*.example.com"), None);
        assert_eq!(set.find_wild("*.example.com").as_deref(), Some("bar.example.com"));
        assert_eq!(set.find_wild("*.example.org"), None);
    }

    #[test]
    fn addresses_are_parsed_as_mail_servers_do() {
        let parsed = |text| mailbox(text).map(|(local, domain)| format!("{local}|{domain}"));
        assert_eq!(parsed("a.b@c.d").as_deref(), Some("a.b|c.d"));
        assert_eq!(parsed("\"a b\"@c").as_deref(), Some("a b|c"));
        assert_eq!(parsed(".a@c"), None);
        assert_eq!(parsed("a"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_names_can_be_compared(name: String, base: String) {
            let _ = (mailbox(&name), domain_valid(&name, true), uri_host(&name));
            let _ = Domains::new([base].into_iter()).find_wild(&name);
        }
    }
}
