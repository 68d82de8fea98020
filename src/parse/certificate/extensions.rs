//! What the extensions of a certificate say. Each reader answers `None` to bytes that are not
//! what the extension's definition asks for.

use super::der::{self, Lengths, Reader};

/// Object identifiers of the extensions that anybody here looks at.
pub(crate) mod oid {
    pub(crate) const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 14];
    pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
    pub(crate) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
    pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
    pub(crate) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
    pub(crate) const CRL_DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];
    pub(crate) const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 32];
    pub(crate) const POLICY_MAPPINGS: &[u8] = &[0x55, 0x1d, 33];
    pub(crate) const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
    pub(crate) const POLICY_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 36];
    pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
    pub(crate) const INHIBIT_ANY_POLICY: &[u8] = &[0x55, 0x1d, 54];
    pub(crate) const AUTHORITY_INFO_ACCESS: &[u8] =
        &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01];
    pub(crate) const IP_ADDRESS_BLOCKS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 7];
    pub(crate) const AUTONOMOUS_SYSTEMS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 8];
    pub(crate) const PROXY_CERT_INFO: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 14];
    pub(crate) const OCSP_NO_CHECK: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x05];
    pub(crate) const NETSCAPE_CERT_TYPE: &[u8] =
        &[0x60, 0x86, 0x48, 0x01, 0x86, 0xf8, 0x42, 0x01, 0x01];
}

/// Object identifiers of purposes.
pub(crate) mod purpose {
    pub(crate) const ANY: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
    pub(crate) const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 1];
    pub(crate) const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 2];
    pub(crate) const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 3];
    pub(crate) const EMAIL_PROTECTION: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 4];
    pub(crate) const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 8];
    pub(crate) const OCSP_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 9];
    pub(crate) const NETSCAPE_SGC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x86, 0xf8, 0x42, 0x04, 0x01];
    pub(crate) const MICROSOFT_SGC: &[u8] =
        &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x0a, 0x03, 0x03];
}

/// Bits of keyUsage: bit n of the extension is bit n here.
pub(crate) mod usage {
    pub(crate) const DIGITAL_SIGNATURE: u16 = 1;
    pub(crate) const KEY_ENCIPHERMENT: u16 = 1 << 2;
    pub(crate) const KEY_AGREEMENT: u16 = 1 << 4;
    pub(crate) const KEY_CERT_SIGN: u16 = 1 << 5;
}

/// Tags of a `GeneralName`.
pub(crate) mod general {
    use super::der::{explicit, implicit};

    pub(crate) const OTHER: u8 = explicit(0);
    pub(crate) const EMAIL: u8 = implicit(1);
    pub(crate) const DNS: u8 = implicit(2);
    pub(crate) const X400: u8 = explicit(3);
    pub(crate) const DIRECTORY: u8 = explicit(4);
    pub(crate) const EDI_PARTY: u8 = explicit(5);
    pub(crate) const URI: u8 = implicit(6);
    pub(crate) const IP: u8 = implicit(7);
    pub(crate) const REGISTERED_ID: u8 = implicit(8);
}

/// One name of a subjectAltName, or the base of a name constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GeneralName {
    pub(crate) tag: u8,
    pub(crate) value: Vec<u8>,
}

/// basicConstraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BasicConstraints {
    pub(crate) is_ca: bool,
    pub(crate) path_length: PathLength,
}

/// How many more CAs a CA allows below itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathLength {
    Unlimited,
    Most(u64),
    /// More than 64 bits can hold.
    Enormous,
    Negative,
}

/// authorityKeyIdentifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuthorityKeyId {
    pub(crate) key_id: Option<Vec<u8>>,
    /// The first directory name among the issuer's names, as a whole Name element.
    pub(crate) issuer: Option<Vec<u8>>,
    pub(crate) serial: Option<Vec<u8>>,
}

/// A subtree of nameConstraints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subtree {
    pub(crate) base: GeneralName,
    /// Whether `minimum` is other than zero, or `maximum` is there at all.
    pub(crate) has_distance: bool,
}

/// nameConstraints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameConstraints {
    pub(crate) permitted: Vec<Subtree>,
    pub(crate) excluded: Vec<Subtree>,
}

fn sequence(value: &[u8], lengths: Lengths) -> Option<Reader<'_>> {
    let mut reader = Reader::new(value, lengths);
    let sequence = reader.expect(der::SEQUENCE)?;
    Some(reader.inside(sequence))
}

/// Whether the value starts with a complete sequence.
pub(crate) fn is_sequence(value: &[u8], lengths: Lengths) -> bool {
    sequence(value, lengths).is_some()
}

/// subjectAltName. The tags are not judged here.
pub(crate) fn general_names(value: &[u8], lengths: Lengths) -> Option<Vec<GeneralName>> {
    let mut reader = sequence(value, lengths)?;
    let mut names = Vec::new();
    while !reader.is_empty() {
        let element = reader.any()?;
        names.push(GeneralName { tag: element.tag, value: element.body.to_vec() });
    }
    Some(names)
}

pub(crate) fn basic_constraints(value: &[u8], lengths: Lengths) -> Option<BasicConstraints> {
    let mut reader = sequence(value, lengths)?;
    let is_ca = match reader.optional(der::BOOLEAN)? {
        Some(flag) => der::boolean(flag.body)?,
        None => false,
    };
    let path_length = match reader.optional(der::INTEGER)? {
        None => PathLength::Unlimited,
        Some(number) if !der::minimal_integer(number.body) => return None,
        Some(number) if number.body.first().is_some_and(|first| first & 0x80 != 0) => {
            PathLength::Negative
        }
        Some(number) => {
            der::small_integer(number.body).map_or(PathLength::Enormous, PathLength::Most)
        }
    };
    Some(BasicConstraints { is_ca, path_length })
}

/// keyUsage, and Netscape's certificate type, which is built alike.
pub(crate) fn key_usage(value: &[u8], lengths: Lengths) -> Option<u16> {
    let bits = Reader::new(value, lengths).expect(der::BIT_STRING)?;
    let (bytes, _) = der::bit_string(bits.body)?;
    let reversed = |index: usize| bytes.get(index).map_or(0, |byte| byte.reverse_bits());
    Some(u16::from_le_bytes([reversed(0), reversed(1)]))
}

pub(crate) fn purposes(value: &[u8], lengths: Lengths) -> Option<Vec<Vec<u8>>> {
    let mut reader = sequence(value, lengths)?;
    let mut purposes = Vec::new();
    while !reader.is_empty() {
        purposes.push(reader.oid()?.to_vec());
    }
    Some(purposes)
}

pub(crate) fn subject_key_id(value: &[u8], lengths: Lengths) -> Option<Vec<u8>> {
    Some(Reader::new(value, lengths).expect(der::OCTET_STRING)?.body.to_vec())
}

pub(crate) fn authority_key_id(value: &[u8], lengths: Lengths) -> Option<AuthorityKeyId> {
    let mut reader = sequence(value, lengths)?;
    let key_id = reader.optional(der::implicit(0))?.map(|element| element.body.to_vec());
    let issuer = match reader.optional(der::explicit(1))? {
        Some(names) => directory_name(reader.inside(names))?,
        None => None,
    };
    let serial = reader.optional(der::implicit(2))?.map(|element| element.body.to_vec());
    Some(AuthorityKeyId { key_id, issuer, serial })
}

/// The first directory name of a list; `Some(None)` if it has none.
#[expect(clippy::option_option, reason = "absent and malformed are two different things")]
fn directory_name(mut names: Reader<'_>) -> Option<Option<Vec<u8>>> {
    while !names.is_empty() {
        let name = names.any()?;
        if name.tag == general::DIRECTORY {
            return Some(Some(name.body.to_vec()));
        }
    }
    Some(None)
}

pub(crate) fn name_constraints(value: &[u8], lengths: Lengths) -> Option<NameConstraints> {
    let mut reader = sequence(value, lengths)?;
    let mut subtrees = |tag| match reader.optional(tag)? {
        Some(list) => subtrees(reader.inside(list)),
        None => Some(Vec::new()),
    };
    Some(NameConstraints {
        permitted: subtrees(der::explicit(0))?,
        excluded: subtrees(der::explicit(1))?,
    })
}

fn subtrees(mut list: Reader<'_>) -> Option<Vec<Subtree>> {
    let mut subtrees = Vec::new();
    while !list.is_empty() {
        let subtree = list.expect(der::SEQUENCE)?;
        let mut subtree = list.inside(subtree);
        let base = subtree.any()?;
        let minimum = subtree.optional(der::implicit(0))?;
        let maximum = subtree.optional(der::implicit(1))?;
        subtrees.push(Subtree {
            base: GeneralName { tag: base.tag, value: base.body.to_vec() },
            has_distance: maximum.is_some()
                || minimum.is_some_and(|minimum| minimum.body.iter().any(|&byte| byte != 0)),
        });
    }
    Some(subtrees)
}

/// The policies of certificatePolicies, in order.
pub(crate) fn policies(value: &[u8], lengths: Lengths) -> Option<Vec<Vec<u8>>> {
    let mut reader = sequence(value, lengths)?;
    let mut policies = Vec::new();
    while !reader.is_empty() {
        let policy = reader.expect(der::SEQUENCE)?;
        policies.push(reader.inside(policy).oid()?.to_vec());
    }
    Some(policies)
}

/// Pairs of policyMappings: the issuer's policy, the subject's policy.
pub(crate) fn policy_mappings(value: &[u8], lengths: Lengths) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut reader = sequence(value, lengths)?;
    let mut mappings = Vec::new();
    while !reader.is_empty() {
        let pair = reader.expect(der::SEQUENCE)?;
        let mut pair = reader.inside(pair);
        let issuer = pair.oid()?.to_vec();
        let subject = pair.oid()?.to_vec();
        mappings.push((issuer, subject));
    }
    Some(mappings)
}

/// requireExplicitPolicy and inhibitPolicyMapping of policyConstraints.
pub(crate) fn policy_constraints(
    value: &[u8],
    lengths: Lengths,
) -> Option<(Option<u64>, Option<u64>)> {
    let mut reader = sequence(value, lengths)?;
    let mut limit = |tag| match reader.optional(tag)? {
        Some(number) => der::small_integer(number.body).map(Some),
        None => Some(None),
    };
    Some((limit(der::implicit(0))?, limit(der::implicit(1))?))
}

pub(crate) fn inhibit_any_policy(value: &[u8], lengths: Lengths) -> Option<u64> {
    der::small_integer(Reader::new(value, lengths).expect(der::INTEGER)?.body)
}

/// Whether authorityInfoAccess is as Go reads it: methods, each with an identifier.
pub(crate) fn authority_info_access(value: &[u8], lengths: Lengths) -> Option<()> {
    let mut reader = sequence(value, lengths)?;
    while !reader.is_empty() {
        let access = reader.expect(der::SEQUENCE)?;
        let mut access = reader.inside(access);
        access.oid()?;
        access.optional(general::URI)?;
    }
    Some(())
}

/// Whether the CRL distribution points are a list of distribution points at all.
pub(crate) fn distribution_points(value: &[u8], lengths: Lengths) -> Option<()> {
    let mut reader = sequence(value, lengths)?;
    while !reader.is_empty() {
        let point = reader.expect(der::SEQUENCE)?;
        let mut point = reader.inside(point);
        if let Some(name) = point.optional(der::explicit(0))? {
            let mut name = point.inside(name);
            name.any().filter(|name| matches!(name.tag, 0xa0 | 0xa1))?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Lengths = Lengths::Minimal;

    #[test]
    fn usage_bits_count_from_the_left() {
        assert_eq!(key_usage(&[3, 2, 2, 0b0000_0100], STRICT), Some(usage::KEY_CERT_SIGN));
        assert_eq!(key_usage(&[3, 2, 7, 0x80], STRICT), Some(usage::DIGITAL_SIGNATURE));
        assert_eq!(key_usage(&[3, 1, 0], STRICT), Some(0));
        assert_eq!(key_usage(&[4, 1, 0], STRICT), None);
    }

    #[test]
    fn path_lengths_have_every_size() {
        let length = |der: &[u8]| basic_constraints(der, STRICT).map(|basic| basic.path_length);
        assert_eq!(length(&[0x30, 0]), Some(PathLength::Unlimited));
        assert_eq!(length(&[0x30, 6, 1, 1, 0xff, 2, 1, 0]), Some(PathLength::Most(0)));
        assert_eq!(length(&[0x30, 3, 2, 1, 0xff]), Some(PathLength::Negative));
        let enormous = [0x30, 11, 2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(length(&enormous), Some(PathLength::Enormous));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_can_be_read_as_any_extension(bytes: Vec<u8>) {
            let lengths = Lengths::Padded;
            let _ = general_names(&bytes, lengths);
            let _ = basic_constraints(&bytes, lengths);
            let _ = key_usage(&bytes, lengths);
            let _ = purposes(&bytes, lengths);
            let _ = subject_key_id(&bytes, lengths);
            let _ = authority_key_id(&bytes, lengths);
            let _ = name_constraints(&bytes, lengths);
            let _ = policies(&bytes, lengths);
            let _ = policy_mappings(&bytes, lengths);
            let _ = policy_constraints(&bytes, lengths);
            let _ = authority_info_access(&bytes, lengths);
            let _ = distribution_points(&bytes, lengths);
        }
    }
}
