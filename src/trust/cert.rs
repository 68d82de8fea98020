//! A certificate as one library sees it.

use data_encoding::HEXLOWER;

use super::oddity::{self, Taken};
use super::profile::Library;
use crate::parse::certificate::elliptic::on_curve;
use crate::parse::certificate::extensions::{
    self, AuthorityKeyId, BasicConstraints, GeneralName, Mapping, NameConstraints, PathLength,
    general, oid,
};
use crate::parse::certificate::fields::{Extension, Fields, Moment, Time};
use crate::parse::certificate::key::Key;
use crate::parse::certificate::name::{Attribute, Name, ORGANIZATION};
use crate::parse::certificate::signing::Signing;
use crate::parse::der::{Fault, Lengths};

/// The key; malformed if it is a point that is not on its curve.
fn key(fields: &Fields) -> Key {
    match Key::of(fields) {
        Key::Ec { curve, point } if !on_curve(curve, &point) => Key::Malformed,
        key => key,
    }
}

/// What policies a certificate asserts and asks for (RFC 5280, sections 4.2.1.4, 5, 11, 14).
#[derive(Clone, Debug, Default)]
pub(super) struct Policies {
    pub(super) asserted: Vec<Vec<u8>>,
    pub(super) mappings: Vec<Mapping>,
    pub(super) require_explicit: Option<u64>,
    pub(super) inhibit_mapping: Option<u64>,
    pub(super) inhibit_any: Option<u64>,
}

/// What a `TRUSTED CERTIFICATE` block says of its own certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// Purposes it is trusted for; none if that is left open.
    pub(super) trusted: Option<Vec<Vec<u8>>>,
    pub(super) rejected: Vec<Vec<u8>>,
}

/// A certificate that the library has read.
#[derive(Clone, Debug)]
pub(super) struct Cert {
    pub(super) fields: Fields,
    pub(super) key: Key,
    pub(super) signing: Signing,
    /// Subject and issuer in the form in which the library compares names.
    pub(super) subject: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) not_before: Option<Moment>,
    pub(super) not_after: Option<Moment>,
    /// Alternative names; none if the extension is absent.
    pub(super) names: Option<Vec<GeneralName>>,
    pub(super) basic: Option<BasicConstraints>,
    pub(super) usage: Option<u16>,
    pub(super) purposes: Option<Vec<Vec<u8>>>,
    pub(super) netscape: Option<u16>,
    pub(super) subject_key_id: Option<Vec<u8>>,
    pub(super) authority: Option<AuthorityKeyId>,
    pub(super) constraints: Option<NameConstraints>,
    pub(super) policies: Policies,
    /// The first critical extension that the library does not handle.
    pub(super) unhandled: Option<Vec<u8>>,
    /// What makes the certificate invalid for OpenSSL although it is read.
    pub(super) invalid: Option<String>,
    pub(super) self_issued: bool,
    /// OpenSSL's notion: everything about it says that it signed itself, but for the signature.
    pub(super) self_signed: bool,
    pub(super) settings: Option<Settings>,
}

/// Why a library did not read a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    /// The library's error.
    pub(super) words: String,
    /// The reason in plain words.
    pub(super) why: String,
}

impl Cert {
    /// Reads a certificate, which has to fill `bytes`, as the library would.
    pub(super) fn read(bytes: &[u8], library: Library) -> Result<Self, Unread> {
        let (cert, after) = Self::read_first(bytes, library)?;
        match after {
            [] => Ok(cert),
            _ => Err(Unread {
                words: match library {
                    Library::Go => "x509: trailing data".to_owned(),
                    Library::OpenSsl => "cert length mismatch".to_owned(),
                },
                why: "bytes follow the certificate".to_owned(),
            }),
        }
    }

    /// Reads the certificate at the start of `bytes`, and returns what follows it.
    pub(super) fn read_first(bytes: &[u8], library: Library) -> Result<(Self, &[u8]), Unread> {
        let (fields, after) = Fields::read(bytes).map_err(|why| Unread {
            words: match library {
                Library::Go => format!("x509: {}", go_malformed(why)),
                Library::OpenSsl => "ASN1 lib".to_owned(),
            },
            why: why.to_owned(),
        })?;
        let mut invalid = None;
        for odd in oddity::all(&fields) {
            match (library, odd.go, odd.openssl) {
                (Library::Go, Some(words), _) => {
                    return Err(Unread { words, why: odd.what });
                }
                (Library::OpenSsl, _, Taken::Refused) => {
                    return Err(Unread { words: "ASN1 lib".to_owned(), why: odd.what });
                }
                (Library::OpenSsl, _, Taken::Invalid) => {
                    invalid.get_or_insert(odd.what);
                }
                _ => {}
            }
        }
        Ok((Self::interpret(fields, library, invalid), after))
    }

    fn interpret(fields: Fields, library: Library, invalid: Option<String>) -> Self {
        // Before version 3 there were no extensions. Go heeds that, OpenSSL does not.
        let heeded = library == Library::OpenSsl || fields.version == 3;
        let extensions = if heeded { fields.extensions.as_slice() } else { &[] };
        let shelf = Shelf { extensions, lengths: fields.lengths() };
        let names = shelf.get(oid::SUBJECT_ALT_NAME, extensions::general_names);
        let constraints = shelf.get(oid::NAME_CONSTRAINTS, extensions::name_constraints);
        let unhandled = extensions
            .iter()
            .filter(|extension| extension.critical)
            .find(|extension| !handled(extension, library, names.as_deref(), constraints.as_ref()))
            .map(|extension| extension.oid.clone());
        let comparable = |name: &Name| match library {
            Library::Go => name.raw.clone(),
            Library::OpenSsl => name.canonical(),
        };
        let moment =
            |time: &Time| time.moment().filter(|_| library == Library::Go || time.is_exact());
        let mut cert = Self {
            key: key(&fields),
            signing: Signing::of(&fields),
            subject: comparable(&fields.subject),
            issuer: comparable(&fields.issuer),
            not_before: moment(&fields.not_before),
            not_after: moment(&fields.not_after),
            names,
            basic: shelf.get(oid::BASIC_CONSTRAINTS, extensions::basic_constraints),
            usage: shelf.get(oid::KEY_USAGE, extensions::key_usage),
            purposes: shelf.get(oid::EXTENDED_KEY_USAGE, extensions::purposes),
            netscape: shelf.get(oid::NETSCAPE_CERT_TYPE, extensions::key_usage),
            subject_key_id: shelf.get(oid::SUBJECT_KEY_ID, extensions::subject_key_id),
            authority: shelf.get(oid::AUTHORITY_KEY_ID, extensions::authority_key_id),
            constraints,
            policies: policies(&shelf),
            unhandled,
            invalid,
            self_issued: false,
            self_signed: false,
            settings: None,
            fields,
        };
        cert.self_issued = cert.subject == cert.issuer;
        cert.self_signed =
            cert.self_issued && cert.fits_authority(&cert) && cert.could_sign(cert.signing);
        cert
    }

    /// Whether `issuer` is the one that authorityKeyIdentifier points to (OpenSSL:
    /// `X509_check_akid`). What is not said on both sides fits.
    pub(super) fn fits_authority(&self, issuer: &Self) -> bool {
        let Some(authority) = &self.authority else { return true };
        let key_id = match (&authority.key_id, &issuer.subject_key_id) {
            (Some(asked), Some(given)) => asked == given,
            _ => true,
        };
        let serial = authority.serial.as_ref().is_none_or(|serial| *serial == issuer.fields.serial);
        let name = authority.issuer.as_ref().is_none_or(|name| {
            Name::read(name, Lengths::Padded)
                .is_ok_and(|name| name.canonical() == issuer.fields.issuer.canonical())
        });
        key_id && serial && name
    }

    /// Whether the key is of the kind that makes such signatures (OpenSSL:
    /// `check_sig_alg_match`).
    pub(super) fn could_sign(&self, signing: Signing) -> bool {
        matches!(
            (signing, &self.key),
            (Signing::Rsa(_), Key::Rsa { .. })
                | (Signing::Pss { .. }, Key::Rsa { .. } | Key::RsaPss { .. })
                | (Signing::Ecdsa(_), Key::Ec { .. } | Key::ExplicitEc)
                | (Signing::Dsa(_), Key::Dsa { .. })
                | (Signing::Ed25519, Key::Ed25519(_))
                | (Signing::Ed448, Key::Ed448(_))
        )
    }

    /// Whether `issuer` may have issued this certificate as far as OpenSSL looks when it builds a
    /// path (`ossl_x509_likely_issued`): not at the signature.
    pub(super) fn likely_issued_by(&self, issuer: &Self) -> bool {
        issuer.subject == self.issuer
            && issuer.invalid.is_none()
            && self.invalid.is_none()
            && self.fits_authority(issuer)
            && issuer.could_sign(self.signing)
    }

    /// How far a CA allows further CAs below it, if it limits that.
    pub(super) fn path_length(&self) -> Option<u64> {
        match self.basic?.path_length {
            PathLength::Most(most) => Some(most),
            PathLength::Unlimited | PathLength::Enormous | PathLength::Negative => None,
        }
    }

    /// The certificate for people: its common name, else its organization, else its serial.
    pub(super) fn label(&self) -> String {
        let organization =
            || self.fields.subject.all(ORGANIZATION).next().and_then(Attribute::text);
        self.fields
            .subject
            .common_name()
            .filter(|name| !name.is_empty())
            .or_else(organization)
            .unwrap_or_else(|| format!("serial {}", HEXLOWER.encode(&self.fields.serial)))
    }

    /// The alternative names of one kind.
    pub(super) fn names_of(&self, tag: u8) -> impl Iterator<Item = &[u8]> {
        let names = self.names.as_deref().unwrap_or_default();
        names.iter().filter(move |name| name.tag == tag).map(|name| name.value.as_slice())
    }
}

/// Go's words for a part that cannot be read.
fn go_malformed(why: &str) -> &'static str {
    match why {
        "the signed part is malformed" => "malformed tbs certificate",
        "the version is malformed" => "malformed version",
        "the serial number is malformed" => "malformed serial number",
        "the signature algorithm is malformed" => "malformed signature algorithm identifier",
        "a name is malformed" => "invalid RDNSequence",
        "the dates are malformed" => "malformed validity",
        "the public key is malformed" => "malformed spki",
        "the extensions are malformed" => "malformed extensions",
        "the signature is malformed" => "malformed signature",
        _ => "malformed certificate",
    }
}

/// The extensions that a library heeds.
struct Shelf<'a> {
    extensions: &'a [Extension],
    lengths: Lengths,
}

impl<'a> Shelf<'a> {
    fn get<T>(
        &self,
        oid: &[u8],
        read: impl Fn(&'a [u8], Lengths) -> Result<T, Fault>,
    ) -> Option<T> {
        let extension = self.extensions.iter().find(|extension| extension.oid == oid)?;
        read(&extension.value, self.lengths).ok()
    }
}

fn policies(shelf: &Shelf<'_>) -> Policies {
    let limits = shelf.get(oid::POLICY_CONSTRAINTS, extensions::policy_constraints);
    let (require_explicit, inhibit_mapping) = limits.unwrap_or_default();
    Policies {
        asserted: shelf.get(oid::CERTIFICATE_POLICIES, extensions::policies).unwrap_or_default(),
        mappings: shelf.get(oid::POLICY_MAPPINGS, extensions::policy_mappings).unwrap_or_default(),
        require_explicit,
        inhibit_mapping,
        inhibit_any: shelf.get(oid::INHIBIT_ANY_POLICY, extensions::inhibit_any_policy),
    }
}

/// Whether the library knows what to do with a critical extension (Go: `processExtensions`;
/// OpenSSL: `X509_supported_extension`).
fn handled(
    extension: &Extension,
    library: Library,
    names: Option<&[GeneralName]>,
    constraints: Option<&NameConstraints>,
) -> bool {
    let told = |tag: u8| matches!(tag, general::EMAIL | general::DNS | general::URI | general::IP);
    match (library, extension.oid.as_slice()) {
        (Library::Go, oid::SUBJECT_ALT_NAME) => {
            names.is_some_and(|names| names.iter().any(|name| told(name.tag)))
        }
        (Library::Go, oid::NAME_CONSTRAINTS) => constraints.is_some_and(|constraints| {
            let NameConstraints { permitted, excluded } = constraints;
            permitted.iter().chain(excluded).all(|subtree| told(subtree.base.tag))
        }),
        (
            _,
            oid::KEY_USAGE
            | oid::SUBJECT_ALT_NAME
            | oid::BASIC_CONSTRAINTS
            | oid::CERTIFICATE_POLICIES
            | oid::CRL_DISTRIBUTION_POINTS
            | oid::EXTENDED_KEY_USAGE
            | oid::POLICY_CONSTRAINTS
            | oid::NAME_CONSTRAINTS
            | oid::POLICY_MAPPINGS
            | oid::INHIBIT_ANY_POLICY,
        )
        | (
            Library::OpenSsl,
            oid::NETSCAPE_CERT_TYPE
            | oid::IP_ADDRESS_BLOCKS
            | oid::AUTONOMOUS_SYSTEMS
            | oid::OCSP_NO_CHECK
            | oid::PROXY_CERT_INFO,
        ) => true,
        _ => false,
    }
}
