//! Name constraints as OpenSSL keeps them (crypto/x509, `v3_ncons.c`).

use super::{contains, ip};
use crate::parse::certificate::extensions::{GeneralName, NameConstraints, Subtree, general};
use crate::parse::certificate::name::{Attribute, COMMON_NAME, EMAIL_ADDRESS, Name};
use crate::parse::der::{self, Lengths, Reader};
use crate::trust::breach::Constraint;
use crate::trust::cert::Cert;

/// How many comparisons of a name with a constraint OpenSSL is willing to make.
const MOST_COMPARISONS: usize = 1 << 20;

/// Judges a path (`check_name_constraints`): from the top down, subject names and the leaf's common
/// name included, self-issued CAs left out.
pub(in crate::trust) fn check(path: &[&Cert]) -> Result<(), (usize, Constraint)> {
    for (depth, cert) in path.iter().enumerate().rev() {
        if depth > 0 && cert.self_issued {
            continue;
        }
        let above = path.get(depth + 1..).unwrap_or_default();
        for constraints in above.iter().rev().filter_map(|issuer| issuer.constraints.as_ref()) {
            check_one(cert, constraints)
                .and_then(|()| match depth {
                    0 => common_names(cert, constraints),
                    _ => Ok(()),
                })
                .map_err(|constraint| (depth, constraint))?;
        }
    }
    Ok(())
}

/// `NAME_CONSTRAINTS_check`.
fn check_one(cert: &Cert, constraints: &NameConstraints) -> Result<(), Constraint> {
    let subject = &cert.fields.subject;
    let listed = cert.names.as_deref().unwrap_or_default();
    let names = subject.attributes().count() + listed.len();
    let subtrees = constraints.permitted.len() + constraints.excluded.len();
    if names > 0 && subtrees > MOST_COMPARISONS / names {
        return Err(Constraint::TooMany);
    }
    if !subject.relative.is_empty() {
        let directory = GeneralName { tag: general::DIRECTORY, value: subject.raw.clone() };
        compare(&directory, constraints)?;
        for attribute in subject.all(EMAIL_ADDRESS) {
            if attribute.tag != der::IA5_STRING {
                return Err(syntax());
            }
            let address = GeneralName { tag: general::EMAIL, value: attribute.value.clone() };
            compare(&address, constraints)?;
        }
    }
    listed.iter().try_for_each(|name| compare(name, constraints))
}

/// `NAME_CONSTRAINTS_check_CN`: common names that look like host names, if no DNS name is listed.
fn common_names(cert: &Cert, constraints: &NameConstraints) -> Result<(), Constraint> {
    if cert.names_of(general::DNS).next().is_some() {
        return Ok(());
    }
    for name in cert.fields.subject.all(COMMON_NAME).filter_map(Attribute::text) {
        let name = name.trim_end_matches('\0');
        if name.contains('\0') {
            return Err(syntax());
        }
        if like_a_host(name.as_bytes()) {
            let dns = GeneralName { tag: general::DNS, value: name.as_bytes().to_vec() };
            compare(&dns, constraints)?;
        }
    }
    Ok(())
}

/// Two labels or more (`cn2dnsid`).
fn like_a_host(name: &[u8]) -> bool {
    let at = |index: Option<usize>| index.and_then(|index| name.get(index)).copied();
    let mut dotted = false;
    for (index, &byte) in name.iter().enumerate() {
        let inside = index > 0 && index + 1 < name.len();
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => {}
            b'-' if inside => {}
            b'.' if inside
                && !matches!(at(index.checked_add(1)), Some(b'.' | b'-'))
                && at(index.checked_sub(1)) != Some(b'-') =>
            {
                dotted = true;
            }
            _ => return false,
        }
    }
    dotted
}

/// `nc_match`: some permitted subtree of the name's kind has to hold it, and no excluded one may.
fn compare(name: &GeneralName, constraints: &NameConstraints) -> Result<(), Constraint> {
    let same = |subtree: &&Subtree| {
        subtree.base.tag == name.tag
            && (name.tag != general::OTHER
                || other_kind(&name.value) == other_kind(&subtree.base.value))
    };
    // Names are long and constraints are many, so this is done once.
    let canonical = match name.tag {
        general::DIRECTORY => canonical(&name.value).ok_or_else(syntax)?,
        _ => Vec::new(),
    };
    let (mut asked, mut permitted) = (false, false);
    for subtree in constraints.permitted.iter().filter(same) {
        if subtree.has_distance {
            return Err(Constraint::Distance);
        }
        asked = true;
        permitted = permitted || within(name, &canonical, &subtree.base)?;
    }
    if asked && !permitted {
        return Err(Constraint::NotPermitted { kind: "name", name: shown(name) });
    }
    for subtree in constraints.excluded.iter().filter(same) {
        if subtree.has_distance {
            return Err(Constraint::Distance);
        }
        if within(name, &canonical, &subtree.base)? {
            let by = shown(&subtree.base);
            return Err(Constraint::Excluded { kind: "name", name: shown(name), by });
        }
    }
    Ok(())
}

/// The identifier at the start of an otherName.
fn other_kind(value: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(value, Lengths::Padded);
    reader.oid().ok()
}

fn shown(name: &GeneralName) -> String {
    match name.tag {
        general::IP if matches!(name.value.len(), 4 | 16) => {
            ip(&name.value).map(|address| address.to_string()).unwrap_or_default()
        }
        general::IP => {
            let (base, mask) = name.value.split_at(name.value.len() / 2);
            let text = |bytes| ip(bytes).map(|address| address.to_string()).unwrap_or_default();
            format!("{}/{}", text(base), text(mask))
        }
        general::DIRECTORY => {
            Name::read(&name.value, Lengths::Padded).map(|name| name.display()).unwrap_or_default()
        }
        general::OTHER => "of another kind".to_owned(),
        _ => String::from_utf8_lossy(&name.value).into_owned(),
    }
}

fn syntax() -> Constraint {
    Constraint::Syntax(String::new())
}

fn canonical(name: &[u8]) -> Option<Vec<u8>> {
    Name::read(name, Lengths::Padded).ok().map(|name| name.canonical())
}

/// Whether a base holds a name of its kind; `whole` is the canonical form of a directory name.
fn within(name: &GeneralName, whole: &[u8], base: &GeneralName) -> Result<bool, Constraint> {
    let (value, base) = (name.value.as_slice(), base.value.as_slice());
    match name.tag {
        general::DIRECTORY => Ok(whole.starts_with(&canonical(base).ok_or_else(syntax)?)),
        general::DNS => Ok(domain(value, base)),
        general::EMAIL => email(value, base).ok_or_else(syntax),
        general::URI => uri(value, base).ok_or_else(syntax),
        general::IP => match (value.len(), base.len()) {
            (4 | 16, 8 | 32) => {
                let (network, mask) = base.split_at(base.len() / 2);
                Ok(contains(&(network.to_vec(), mask.to_vec()), value))
            }
            _ => Err(syntax()),
        },
        _ => Err(Constraint::UnsupportedType),
    }
}

fn ends_with(text: &[u8], ending: &[u8]) -> bool {
    text.len()
        .checked_sub(ending.len())
        .and_then(|start| text.get(start..))
        .is_some_and(|tail| tail.eq_ignore_ascii_case(ending))
}

fn domain(name: &[u8], base: &[u8]) -> bool {
    let Some(over) = name.len().checked_sub(base.len()) else { return false };
    let at_a_label = over == 0
        || base.first().is_none_or(|&first| first == b'.')
        || name.get(over - 1) == Some(&b'.');
    ends_with(name, base) && at_a_label
}

/// `nc_email`; nothing where the address cannot be taken apart.
fn email(name: &[u8], base: &[u8]) -> Option<bool> {
    let at = name.iter().rposition(|&byte| byte == b'@')?;
    let (local, host) = (name.get(..at)?, name.get(at + 1..)?);
    let base_at = base.iter().rposition(|&byte| byte == b'@');
    if base_at.is_none() && base.first() == Some(&b'.') {
        return Some(name.len() > base.len() && ends_with(name, base));
    }
    let (base_local, base_host) = match base_at {
        Some(at) => (base.get(..at)?, base.get(at + 1..)?),
        None => (&[][..], base),
    };
    Some((base_local.is_empty() || base_local == local) && host.eq_ignore_ascii_case(base_host))
}

/// `nc_uri`; nothing where the URI has no host.
fn uri(name: &[u8], base: &[u8]) -> Option<bool> {
    let colon = name.iter().position(|&byte| byte == b':')?;
    let rest = name.get(colon + 1..)?.strip_prefix(b"//")?;
    let end = rest
        .iter()
        .position(|&byte| byte == b':')
        .or_else(|| rest.iter().position(|&byte| byte == b'/'))
        .unwrap_or(rest.len());
    let host = rest.get(..end).filter(|host| !host.is_empty())?;
    Some(if base.first() == Some(&b'.') {
        host.len() > base.len() && ends_with(host, base)
    } else {
        host.eq_ignore_ascii_case(base)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_end_at_labels() {
        assert!(domain(b"git.lab", b"lab") && domain(b"git.lab", b".lab"));
        assert!(!domain(b"gitlab", b"lab") && !domain(b"lab", b".lab"));
        assert!(domain(b"lab", b"") && domain(b"LAB", b"lab"));
    }

    #[test]
    fn common_names_that_look_like_hosts() {
        assert!(like_a_host(b"git.lab") && like_a_host(b"a_b.c-d"));
        assert!(!like_a_host(b"git") && !like_a_host(b"Lab CA 1.0") && !like_a_host(b"a-.b"));
    }

    proptest::proptest! {
        #[test]
        fn any_names_can_be_compared(name: Vec<u8>, base: Vec<u8>, tag: u8) {
            let _ = like_a_host(&name);
            let (name, base) = (GeneralName { tag, value: name }, GeneralName { tag, value: base });
            let _ = within(&name, &[], &base);
        }
    }
}
