//! What is out of the ordinary in the encoding of a certificate, and how each library takes it.
//!
//! Go refuses to parse most of it (crypto/x509, `parser.go`), which ends the handshake when such a
//! certificate is served and passes over it silently in a store. OpenSSL shrugs at most of it; a
//! certificate whose essential extensions it cannot read it marks invalid (crypto/x509,
//! `v3_purp.c`), and such a certificate is nobody's issuer and finds none.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;

use crate::parse::certificate::elliptic::on_curve;
use crate::parse::certificate::extensions::{
    self, GeneralName, NameConstraints, PathLength, general, oid,
};
use crate::parse::certificate::fields::{Extension, Fields, Time};
use crate::parse::certificate::key::{self as public_key, Key};
use crate::parse::certificate::name::{Attribute, Name, decode};
use crate::parse::der::{self, Lengths, bit_length};
use crate::trust::go_text::{go_ip, quote};
use crate::trust::{constraints, go_url};

/// How OpenSSL takes an oddity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// As if nothing were.
    Ignored,
    /// The certificate is read and invalid: it issues nothing and finds no issuer.
    Invalid,
    /// The certificate is not read at all.
    Refused,
}

/// One oddity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Oddity {
    /// What it is, in plain words.
    pub(super) what: String,
    /// Go's error; nothing if Go does not mind.
    pub(super) go: Option<String>,
    pub(super) openssl: Taken,
}

impl Oddity {
    /// `go` is its error after `x509: `.
    fn new(what: &str, go: impl AsRef<str>, openssl: Taken) -> Self {
        Self { what: what.to_owned(), go: Some(format!("x509: {}", go.as_ref())), openssl }
    }
}

/// Everything odd about a certificate, in the order in which Go comes across it.
pub(super) fn all(fields: &Fields) -> Vec<Oddity> {
    let mut found = Vec::new();
    envelope(fields, &mut found);
    name(&fields.issuer, "issuer", &mut found);
    found.extend(time("notBefore", &fields.not_before));
    found.extend(time("notAfter", &fields.not_after));
    name(&fields.subject, "subject", &mut found);
    found.extend(key(fields));
    let before_extensions = found.len();
    if fields.has_lost_extensions {
        let what = "the extensions are malformed";
        found.push(Oddity::new(what, "malformed extensions", Taken::Refused));
    }
    duplicates(fields, &mut found);
    for each in &fields.extensions {
        found.extend(extension(each, fields.lengths()));
    }
    if fields.version != 3 {
        // Go does not look at extensions that should not be there.
        for odd in found.iter_mut().skip(before_extensions) {
            odd.go = None;
        }
    }
    found
}

fn envelope(fields: &Fields, found: &mut Vec<Oddity>) {
    let first = fields.serial.first().copied().unwrap_or_default();
    if !fields.strict {
        found.push(Oddity::new(
            "lengths are not in their shortest form",
            "malformed certificate",
            Taken::Ignored,
        ));
    }
    if fields.version > 3 {
        found.push(Oddity::new("the version is unknown", "invalid version", Taken::Ignored));
    }
    if !der::is_minimal(&fields.serial) {
        found.push(Oddity::new(
            "the serial number is empty or padded",
            "malformed serial number",
            Taken::Refused,
        ));
    } else if first & 0x80 != 0 {
        found.push(Oddity::new(
            "the serial number is negative",
            "negative serial number",
            Taken::Ignored,
        ));
    }
    for algorithm in [&fields.algorithm, &fields.key_algorithm] {
        if !der::has_small_numbers(&algorithm.oid) {
            let what = "an algorithm has too large an identifier";
            found.push(Oddity::new(what, "malformed OID", Taken::Ignored));
        }
    }
    if fields.inner_algorithm != fields.algorithm {
        // OpenSSL finds the signature wrong later on, where it looks at it.
        found.push(Oddity::new(
            "two signature algorithms are given",
            "inner and outer signature algorithm identifiers don't match",
            Taken::Ignored,
        ));
    }
}

fn time(which: &str, time: &Time) -> Option<Oddity> {
    // OpenSSL notices when it comes to compare.
    let kind = if time.tag == der::UTC_TIME { "UTCTime" } else { "GeneralizedTime" };
    time.moment().is_none().then(|| {
        Oddity::new(
            &format!("{which} is not written as it should be"),
            format!("malformed {kind}"),
            Taken::Ignored,
        )
    })
}

fn name(name: &Name, whose: &str, found: &mut Vec<Oddity>) {
    for attribute in name.attributes() {
        if !der::has_small_numbers(&attribute.oid) {
            let what = format!("an attribute of the {whose} has too large an identifier");
            let go = "invalid RDNSequence: invalid attribute type";
            found.push(Oddity::new(&what, go, Taken::Ignored));
        }
        if let Some((go, openssl)) = string(attribute) {
            let what = format!("a string in the {whose} does not fit its type");
            let go =
                go.map(|go| format!("x509: invalid RDNSequence: invalid attribute value: {go}"));
            found.push(Oddity { what, go, openssl });
        }
    }
}

/// How Go and OpenSSL take the string of an attribute, unless both read it.
fn string(attribute: &Attribute) -> Option<(Option<String>, Taken)> {
    let value = &attribute.value;
    let all = |fits: fn(u8) -> bool| value.iter().copied().all(fits);
    let readable = decode(attribute.tag, value).is_some();
    let (go, openssl) = match attribute.tag {
        der::PRINTABLE_STRING => (all(printable), true),
        der::NUMERIC_STRING => (all(|byte| matches!(byte, b'0'..=b'9' | b' ')), true),
        der::IA5_STRING => (value.is_ascii(), true),
        der::T61_STRING => (true, true),
        der::UTF8_STRING => (readable, readable),
        der::BMP_STRING => (readable && bmp(value), value.len().is_multiple_of(2)),
        der::UNIVERSAL_STRING => (false, value.len().is_multiple_of(4)),
        // OpenSSL takes bit strings and sequences here, and tags nobody has defined.
        der::BIT_STRING | der::SEQUENCE => (false, true),
        _ => (false, false),
    };
    let kind = match attribute.tag {
        der::PRINTABLE_STRING => "invalid PrintableString".to_owned(),
        der::NUMERIC_STRING => "invalid NumericString".to_owned(),
        der::IA5_STRING => "invalid IA5String".to_owned(),
        der::UTF8_STRING => "invalid UTF-8 string".to_owned(),
        der::BMP_STRING => "invalid BMPString".to_owned(),
        tag => format!("unsupported string type: {tag}"),
    };
    let taken = if openssl { Taken::Ignored } else { Taken::Refused };
    (!go || !openssl).then(|| ((!go).then_some(kind), taken))
}

/// Go adds `*` and `&` to the letters of a `PrintableString`.
fn printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(&byte)
}

/// Go leaves the noncharacters out.
fn bmp(value: &[u8]) -> bool {
    value.as_chunks::<2>().0.iter().all(|pair| {
        !matches!(u16::from_be_bytes(*pair), 0xfffe | 0xffff | 0xfdd0..=0xfdef | 0xd800..=0xdfff)
    })
}

fn key(fields: &Fields) -> Option<Oddity> {
    let parameters = fields.key_algorithm.parameters.as_slice();
    let (what, go) = match Key::of(fields) {
        Key::Rsa { .. } if parameters != [5, 0] => {
            ("the RSA key lacks its NULL", "RSA key missing NULL parameters")
        }
        Key::Rsa { modulus, .. } if bit_length(&modulus) == 0 => {
            ("the RSA modulus is zero", "RSA modulus is not a positive number")
        }
        Key::Rsa { exponent, .. } if !(1..64).contains(&bit_length(&exponent)) => {
            ("the RSA exponent is out of range", "invalid RSA public exponent")
        }
        Key::Ec { curve, .. } if !curve.in_go() => {
            ("Go does not know the curve", "unsupported elliptic curve")
        }
        Key::Ec { curve, point } => {
            let go = match point.first() {
                Some(4) if fields.key_is_whole && on_curve(curve, &point) => return None,
                Some(4) if fields.key_is_whole => {
                    format!("{} point not on curve", curve.name.replace('-', ""))
                }
                _ => "ecdsa: invalid uncompressed public key".to_owned(),
            };
            return Some(Oddity {
                what: "the point of the key is compressed, or not on its curve".to_owned(),
                go: Some(go),
                openssl: Taken::Ignored,
            });
        }
        Key::UnknownCurve => ("the curve is unknown", "unsupported elliptic curve"),
        Key::ExplicitEc => ("the curve has no name", "invalid ECDSA parameters"),
        Key::Ed25519(_) if !parameters.is_empty() => {
            ("the Ed25519 key has parameters", "Ed25519 key encoded with illegal parameters")
        }
        Key::Malformed => {
            ("the public key cannot be read", public_key::go_complaint(&fields.key_algorithm))
        }
        _ => return None,
    };
    Some(Oddity::new(what, go, Taken::Ignored))
}

/// Extensions that OpenSSL reads ahead of time.
pub(super) fn essential(oid: &[u8]) -> bool {
    [
        oid::BASIC_CONSTRAINTS,
        oid::KEY_USAGE,
        oid::EXTENDED_KEY_USAGE,
        oid::NETSCAPE_CERT_TYPE,
        oid::SUBJECT_KEY_ID,
        oid::AUTHORITY_KEY_ID,
        oid::SUBJECT_ALT_NAME,
        oid::NAME_CONSTRAINTS,
        oid::CRL_DISTRIBUTION_POINTS,
        oid::PROXY_CERT_INFO,
        oid::IP_ADDRESS_BLOCKS,
        oid::AUTONOMOUS_SYSTEMS,
    ]
    .contains(&oid)
}

fn duplicates(fields: &Fields, found: &mut Vec<Oddity>) {
    let mut seen = BTreeSet::new();
    for extension in &fields.extensions {
        if !seen.insert(extension.oid.as_slice()) {
            let dotted = der::dotted(&extension.oid);
            found.push(Oddity::new(
                &format!("the extension {dotted} is there twice"),
                format!("certificate contains duplicate extension with OID {}", quote(&dotted)),
                malformed(&extension.oid),
            ));
        }
    }
}

/// How OpenSSL takes an extension that it cannot read.
fn malformed(oid: &[u8]) -> Taken {
    if essential(oid) { Taken::Invalid } else { Taken::Ignored }
}

/// What is odd about one extension.
fn extension(extension: &Extension, lengths: Lengths) -> Vec<Oddity> {
    let (value, which) = (extension.value.as_slice(), extension.oid.as_slice());
    if !der::has_small_numbers(which) {
        let go = "malformed extension OID field";
        return vec![Oddity::new("an extension's identifier is too large", go, Taken::Ignored)];
    }
    if !extension.strict {
        let go = "malformed extension critical field";
        return vec![Oddity::new("an extension is critical in an odd way", go, Taken::Ignored)];
    }
    if extension.critical
        && let Some(go) = never_critical(which)
    {
        return vec![Oddity::new(&format!("its {go}"), go, Taken::Ignored)];
    }
    match which {
        oid::KEY_USAGE if extensions::key_usage(value, lengths) == Ok(0) => {
            let what = "its key usage is empty".to_owned();
            vec![Oddity { what, go: None, openssl: Taken::Invalid }]
        }
        oid::BASIC_CONSTRAINTS => basic_constraints(value, lengths),
        oid::NAME_CONSTRAINTS => name_constraints(value, lengths),
        oid::SUBJECT_ALT_NAME => match extensions::general_names(value, lengths) {
            Ok(names) => names.iter().filter_map(alternative_name).collect(),
            Err(_) => unreadable(which, value, lengths).into_iter().collect(),
        },
        oid::EXTENDED_KEY_USAGE
            if extensions::purposes(value, lengths)
                .is_ok_and(|purposes| !purposes.iter().all(|oid| der::has_small_numbers(oid))) =>
        {
            let go = "invalid extended key usages";
            vec![Oddity::new("a purpose has too large an identifier", go, Taken::Ignored)]
        }
        // Netscape's type means nothing to Go.
        oid::NETSCAPE_CERT_TYPE if extensions::key_usage(value, lengths).is_err() => {
            let what = "its Netscape certificate type is malformed".to_owned();
            vec![Oddity { what, go: None, openssl: Taken::Invalid }]
        }
        _ => unreadable(which, value, lengths).into_iter().collect(),
    }
}

/// Go's complaint about extensions that must not be critical.
fn never_critical(oid: &[u8]) -> Option<&'static str> {
    match oid {
        oid::AUTHORITY_KEY_ID => Some("authority key identifier incorrectly marked critical"),
        oid::SUBJECT_KEY_ID => Some("subject key identifier incorrectly marked critical"),
        oid::AUTHORITY_INFO_ACCESS => Some("authority info access incorrectly marked critical"),
        _ => None,
    }
}

/// What is odd about an extension that is not what its definition asks for.
fn unreadable(which: &[u8], value: &[u8], lengths: Lengths) -> Option<Oddity> {
    let is_list = extensions::is_sequence(value, lengths);
    let (readable, go) = match which {
        oid::KEY_USAGE => (extensions::key_usage(value, lengths).is_ok(), "invalid key usage"),
        oid::SUBJECT_ALT_NAME => (
            extensions::general_names(value, lengths).is_ok(),
            if is_list {
                "invalid subject alternative name"
            } else {
                "invalid subject alternative names"
            },
        ),
        oid::CRL_DISTRIBUTION_POINTS => (
            extensions::distribution_points(value, lengths).is_ok(),
            if is_list {
                "invalid CRL distribution point"
            } else {
                "invalid CRL distribution points"
            },
        ),
        oid::AUTHORITY_KEY_ID => (
            extensions::authority_key_id(value, lengths).is_ok(),
            "invalid authority key identifier",
        ),
        oid::SUBJECT_KEY_ID => {
            (extensions::subject_key_id(value, lengths).is_ok(), "invalid subject key identifier")
        }
        oid::EXTENDED_KEY_USAGE => {
            (extensions::purposes(value, lengths).is_ok(), "invalid extended key usages")
        }
        oid::CERTIFICATE_POLICIES => (
            extensions::policies(value, lengths).is_ok_and(|policies| distinct(&policies)),
            "invalid certificate policies",
        ),
        oid::POLICY_MAPPINGS => (
            extensions::policy_mappings(value, lengths).is_ok(),
            "invalid policy mappings extension",
        ),
        oid::POLICY_CONSTRAINTS => (
            extensions::policy_constraints(value, lengths).is_ok(),
            "invalid policy constraints extension",
        ),
        oid::INHIBIT_ANY_POLICY => (
            extensions::inhibit_any_policy(value, lengths).is_ok(),
            "invalid inhibit any policy extension",
        ),
        oid::AUTHORITY_INFO_ACCESS => (
            extensions::authority_info_access(value, lengths).is_ok(),
            "invalid authority info access",
        ),
        _ => return None,
    };
    (!readable).then(|| Oddity::new(&format!("it has an {go}"), go, malformed(which)))
}

fn distinct(policies: &[Vec<u8>]) -> bool {
    policies.iter().collect::<BTreeSet<_>>().len() == policies.len()
}

fn basic_constraints(value: &[u8], lengths: Lengths) -> Vec<Oddity> {
    let go = "invalid basic constraints";
    let odd = |what: &str, taken| vec![Oddity::new(what, go, taken)];
    match extensions::basic_constraints(value, lengths).map(|basic| basic.path_length) {
        Err(_) => odd("its basic constraints are malformed", Taken::Invalid),
        Ok(PathLength::Negative) => odd("its path length is negative", Taken::Invalid),
        Ok(PathLength::Enormous) => odd("its path length is enormous", Taken::Ignored),
        Ok(PathLength::Most(most)) if i64::try_from(most).is_err() => {
            odd("its path length is enormous", Taken::Ignored)
        }
        Ok(PathLength::Most(_) | PathLength::Unlimited) => Vec::new(),
    }
}

fn alternative_name(name: &GeneralName) -> Option<Oddity> {
    let text = String::from_utf8_lossy(&name.value);
    let (what, go) = match name.tag {
        general::EMAIL if !name.value.is_ascii() => {
            ("an e-mail name is not ASCII", "SAN rfc822Name is malformed".to_owned())
        }
        general::DNS if !name.value.is_ascii() => {
            ("a DNS name is not ASCII", "SAN dNSName is malformed".to_owned())
        }
        general::URI if !name.value.is_ascii() => {
            ("a URI is not ASCII", "SAN uniformResourceIdentifier is malformed".to_owned())
        }
        general::URI => (
            "a URI cannot be parsed",
            format!("cannot parse URI {}: {}", quote(&text), go_url::fault(&text)?),
        ),
        general::IP if !matches!(name.value.len(), 4 | 16) => (
            "an IP address has the wrong length",
            format!("cannot parse IP address of length {}", name.value.len()),
        ),
        general::OTHER
        | general::X400
        | general::DIRECTORY
        | general::EDI_PARTY
        | general::REGISTERED_ID
        | general::EMAIL
        | general::DNS
        | general::IP => return None,
        _ => {
            let what = "an alternative name is of no known kind".to_owned();
            return Some(Oddity { what, go: None, openssl: Taken::Invalid });
        }
    };
    Some(Oddity::new(what, go, Taken::Ignored))
}

fn name_constraints(value: &[u8], lengths: Lengths) -> Vec<Oddity> {
    let Ok(constraints) = extensions::name_constraints(value, lengths) else {
        let what = "its name constraints are malformed";
        return vec![Oddity::new(what, "invalid NameConstraints extension", Taken::Invalid)];
    };
    let NameConstraints { permitted, excluded } = &constraints;
    if permitted.is_empty() && excluded.is_empty() {
        let what = "its name constraints are empty";
        return vec![Oddity::new(what, "empty name constraints extension", Taken::Ignored)];
    }
    permitted
        .iter()
        .chain(excluded)
        .filter_map(|subtree| constraint(&subtree.base))
        .map(|go| Oddity::new("a name constraint cannot be read", go, Taken::Ignored))
        .collect()
}

/// Go's complaint about one constraint.
fn constraint(base: &GeneralName) -> Option<String> {
    let text = String::from_utf8_lossy(&base.value);
    let ascii = base.value.is_ascii();
    let not_ascii = || {
        Some(format!(
            "invalid constraint value: x509: {} cannot be encoded as an IA5String",
            quote(&text)
        ))
    };
    match base.tag {
        general::DNS | general::URI | general::EMAIL if !ascii => not_ascii(),
        general::DNS if !constraints::go::domain_valid(&text, true) => {
            Some(format!("failed to parse dnsName constraint {}", quote(&text)))
        }
        general::URI if go_ip(&text).is_some() => {
            Some(format!("failed to parse URI constraint {}: cannot be IP address", quote(&text)))
        }
        general::URI if !constraints::go::domain_valid(&text, true) => {
            Some(format!("failed to parse URI constraint {}", quote(&text)))
        }
        general::EMAIL => {
            let fits = if text.contains('@') {
                constraints::go::mailbox(&text).is_some()
            } else {
                constraints::go::domain_valid(&text, true)
            };
            (!fits).then(|| format!("failed to parse rfc822Name constraint {}", quote(&text)))
        }
        general::IP => ip_constraint(&base.value),
        _ => None,
    }
}

fn ip_constraint(value: &[u8]) -> Option<String> {
    if !matches!(value.len(), 8 | 32) {
        return Some(format!("IP constraint contained value of length {}", value.len()));
    }
    let (_, mask) = value.split_at(value.len() / 2);
    let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let leading = mask.iter().fold((0u32, true), |(sum, open), byte| {
        if open { (sum + byte.leading_ones(), *byte == 0xff) } else { (sum, false) }
    });
    (leading.0 != ones)
        .then(|| format!("IP constraint contained invalid mask {}", HEXLOWER.encode(mask)))
}
