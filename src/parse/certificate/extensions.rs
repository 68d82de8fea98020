//! What the extensions of a certificate say. Each reader refuses bytes that are not what the extension's definition asks for.

use crate::parse::der::{self, Fault, Lengths, Reader};

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
    use crate::parse::der::{constructed, primitive};

    pub(crate) const OTHER: u8 = constructed(0);
    pub(crate) const EMAIL: u8 = primitive(1);
    pub(crate) const DNS: u8 = primitive(2);
    pub(crate) const X400: u8 = constructed(3);
    pub(crate) const DIRECTORY: u8 = constructed(4);
    pub(crate) const EDI_PARTY: u8 = constructed(5);
    pub(crate) const URI: u8 = primitive(6);
    pub(crate) const IP: u8 = primitive(7);
    pub(crate) const REGISTERED_ID: u8 = primitive(8);
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

/// One of policyMappings: the issuer's policy, the subject's policy.
pub(crate) type Mapping = (Vec<u8>, Vec<u8>);

fn sequence(value: &[u8], lengths: Lengths) -> Result<Reader<'_>, Fault> {
    Reader::new(value, lengths).sequence()
}

/// Whether the value starts with a complete sequence.
pub(crate) fn is_sequence(value: &[u8], lengths: Lengths) -> bool {
    sequence(value, lengths).is_ok()
}

/// subjectAltName. The tags are not judged here.
pub(crate) fn general_names(value: &[u8], lengths: Lengths) -> Result<Vec<GeneralName>, Fault> {
    let mut reader = sequence(value, lengths)?;
    let mut names = Vec::new();
    while !reader.is_empty() {
        let element = reader.element()?;
        names.push(GeneralName { tag: element.tag, value: element.content.to_vec() });
    }
    Ok(names)
}

pub(crate) fn basic_constraints(value: &[u8], lengths: Lengths) -> Result<BasicConstraints, Fault> {
    let mut reader = sequence(value, lengths)?;
    let is_ca = match reader.optional(der::BOOLEAN)? {
        Some(flag) => der::boolean(flag.content)?,
        None => false,
    };
    let path_length = match reader.optional(der::INTEGER)? {
        None => PathLength::Unlimited,
        Some(number) if !der::is_minimal(number.content) => return Err(Fault::Malformed),
        Some(number) if number.content.first().is_some_and(|first| first & 0x80 != 0) => {
            PathLength::Negative
        }
        Some(number) => {
            der::natural_u64(number.content).map_or(PathLength::Enormous, PathLength::Most)
        }
    };
    Ok(BasicConstraints { is_ca, path_length })
}

/// keyUsage, and Netscape's certificate type, which is built alike.
pub(crate) fn key_usage(value: &[u8], lengths: Lengths) -> Result<u16, Fault> {
    let bits = Reader::new(value, lengths).expect(der::BIT_STRING)?;
    let (bytes, _) = der::bit_string(bits.content)?;
    let reversed = |index: usize| bytes.get(index).map_or(0, |byte| byte.reverse_bits());
    Ok(u16::from_le_bytes([reversed(0), reversed(1)]))
}

pub(crate) fn purposes(value: &[u8], lengths: Lengths) -> Result<Vec<Vec<u8>>, Fault> {
    let mut reader = sequence(value, lengths)?;
    let mut purposes = Vec::new();
    while !reader.is_empty() {
        purposes.push(reader.oid()?.to_vec());
    }
    Ok(purposes)
}

pub(crate) fn subject_key_id(value: &[u8], lengths: Lengths) -> Result<Vec<u8>, Fault> {
    Ok(Reader::new(value, lengths).expect(der::OCTET_STRING)?.content.to_vec())
}

pub(crate) fn authority_key_id(value: &[u8], lengths: Lengths) -> Result<AuthorityKeyId, Fault> {
    let mut reader = sequence(value, lengths)?;
    let key_id = reader.optional(der::primitive(0))?.map(|element| element.content.to_vec());
    let issuer = match reader.optional(der::constructed(1))? {
        Some(names) => directory_name(reader.inside(names))?,
        None => None,
    };
    let serial = reader.optional(der::primitive(2))?.map(|element| element.content.to_vec());
    Ok(AuthorityKeyId { key_id, issuer, serial })
}

/// The first directory name of a list.
fn directory_name(mut names: Reader<'_>) -> Result<Option<Vec<u8>>, Fault> {
    while !names.is_empty() {
        let name = names.element()?;
        if name.tag == general::DIRECTORY {
            return Ok(Some(name.content.to_vec()));
        }
    }
    Ok(None)
}

pub(crate) fn name_constraints(value: &[u8], lengths: Lengths) -> Result<NameConstraints, Fault> {
    let mut reader = sequence(value, lengths)?;
    let mut subtrees = |tag| match reader.optional(tag)? {
        Some(list) => subtrees(reader.inside(list)),
        None => Ok(Vec::new()),
    };
    Ok(NameConstraints {
        permitted: subtrees(der::constructed(0))?,
        excluded: subtrees(der::constructed(1))?,
    })
}

fn subtrees(mut list: Reader<'_>) -> Result<Vec<Subtree>, Fault> {
    let mut subtrees = Vec::new();
    while !list.is_empty() {
        let mut subtree = list.sequence()?;
        let base = subtree.element()?;
        let minimum = subtree.optional(der::primitive(0))?;
        let maximum = subtree.optional(der::primitive(1))?;
        subtrees.push(Subtree {
            base: GeneralName { tag: base.tag, value: base.content.to_vec() },
            has_distance: maximum.is_some()
                || minimum.is_some_and(|minimum| minimum.content.iter().any(|&byte| byte != 0)),
        });
    }
    Ok(subtrees)
}

/// The policies of certificatePolicies, in order.
pub(crate) fn policies(value: &[u8], lengths: Lengths) -> Result<Vec<Vec<u8>>, Fault> {
    let mut reader = sequence(value, lengths)?;
    let mut policies = Vec::new();
    while !reader.is_empty() {
        policies.push(reader.sequence()?.oid()?.to_vec());
    }
    Ok(policies)
}

pub(crate) fn policy_mappings(value: &[u8], lengths: Lengths) -> Result<Vec<Mapping>, Fault> {
    let mut reader = sequence(value, lengths)?;
    let mut mappings = Vec::new();
    while !reader.is_empty() {
        let mut pair = reader.sequence()?;
        let issuer = pair.oid()?.to_vec();
        let subject = pair.oid()?.to_vec();
        mappings.push((issuer, subject));
    }
    Ok(mappings)
}

/// requireExplicitPolicy and inhibitPolicyMapping of policyConstraints.
pub(crate) fn policy_constraints(
    value: &[u8],
    lengths: Lengths,
) -> Result<(Option<u64>, Option<u64>), Fault> {
    let mut reader = sequence(value, lengths)?;
    let mut limit = |tag| match reader.optional(tag)? {
        Some(number) => der::natural_u64(number.content).map(Some),
        None => Ok(None),
    };
    Ok((limit(der::primitive(0))?, limit(der::primitive(1))?))
}

pub(crate) fn inhibit_any_policy(value: &[u8], lengths: Lengths) -> Result<u64, Fault> {
    der::natural_u64(Reader::new(value, lengths).expect(der::INTEGER)?.content)
}

/// Whether authorityInfoAccess is as Go reads it: methods, each with an identifier.
pub(crate) fn authority_info_access(value: &[u8], lengths: Lengths) -> Result<(), Fault> {
    let mut reader = sequence(value, lengths)?;
    while !reader.is_empty() {
        let mut access = reader.sequence()?;
        access.oid()?;
        access.optional(general::URI)?;
    }
    Ok(())
}

/// Whether the CRL distribution points are a list of distribution points at all.
pub(crate) fn distribution_points(value: &[u8], lengths: Lengths) -> Result<(), Fault> {
    let mut reader = sequence(value, lengths)?;
    while !reader.is_empty() {
        let mut point = reader.sequence()?;
        if let Some(name) = point.optional(der::constructed(0))? {
            let mut name = point.inside(name);
            if !matches!(name.element()?.tag, der::CONTEXT_0 | der::CONTEXT_1) {
                return Err(Fault::Malformed);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Lengths = Lengths::Minimal;

    #[test]
    fn usage_bits_count_from_the_left() {
        assert_eq!(key_usage(&[3, 2, 2, 0b0000_0100], STRICT), Ok(usage::KEY_CERT_SIGN));
        assert_eq!(key_usage(&[3, 2, 7, 0x80], STRICT), Ok(usage::DIGITAL_SIGNATURE));
        assert_eq!(key_usage(&[3, 1, 0], STRICT), Ok(0));
        assert_eq!(key_usage(&[4, 1, 0], STRICT), Err(Fault::Malformed));
    }

    #[test]
    fn path_lengths_have_every_size() {
        let length = |der: &[u8]| basic_constraints(der, STRICT).map(|basic| basic.path_length);
        assert_eq!(length(&[0x30, 0]), Ok(PathLength::Unlimited));
        assert_eq!(length(&[0x30, 6, 1, 1, 0xff, 2, 1, 0]), Ok(PathLength::Most(0)));
        assert_eq!(length(&[0x30, 3, 2, 1, 0xff]), Ok(PathLength::Negative));
        let enormous = [0x30, 11, 2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(length(&enormous), Ok(PathLength::Enormous));
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
