//! The rules that a chain is judged by, each with where it comes from. Which client applies which
//! of them, and when, is in [`super::profile`].

use jiff::Timestamp;

use super::breach::{Breach, Date, Kind};
use super::cert::Cert;
use super::profile::{Library, Profile};
use super::{constraints, policies};
use crate::parse::certificate::extensions::{purpose, usage};
use crate::parse::certificate::key::Key;
use crate::parse::certificate::signature::{self, Outcome};
use crate::parse::certificate::signing::{Digest, Signing};
use crate::parse::der;

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// No critical extension is unknown. Go `isValid`; OpenSSL `check_extensions`, error 34.
    Critical,
    /// Now is between the dates. Go `isValid`, last moment included; OpenSSL
    /// `ossl_x509_check_cert_time`, errors 9 and 10, last moment excluded.
    Dates,
    /// The leaf is made out to the name in use: [`super::host_name`].
    HostName,
    /// The issuer may sign certificates. Go `CheckSignatureFrom`; OpenSSL
    /// `ossl_x509_signing_allowed`, error 32.
    MaySign,
    /// The signature's algorithm is known and secure, and fits the issuer's key. Go
    /// `checkSignature`.
    SoundAlgorithm,
    /// The issuer's key made the signature. Go `checkSignature`; OpenSSL `internal_verify`, error
    /// 7, but not for a self-signed anchor.
    Signature,
    /// The issuer is a CA. Go `isValid`, intermediates only; OpenSSL `check_ca`, error 79.
    Authority,
    /// No CA has more CAs below it than it allows. Go `isValid` counts all; OpenSSL
    /// `check_extensions`, error 25, leaves self-issued ones out.
    PathLength,
    /// Every certificate may be used for a server. Go `checkChainForKeyUsage`; OpenSSL
    /// `check_purpose_ssl_server`, error 26.
    Purpose,
    /// A curve is given by its name. OpenSSL `check_curve`, error 94.
    NamedCurve,
    /// The leaf's key has 112 bits of security. OpenSSL `check_key_level`, error 66.
    KeyStrength,
    /// A CA's key has 112 bits of security. OpenSSL `check_auth_level`, error 67.
    AuthorityKeyStrength,
    /// Every signature below the anchor's own has 112 bits of security. OpenSSL
    /// `check_sig_level`, error 68.
    SignatureStrength,
    /// Required policies are there. Go `policiesValid`; OpenSSL's clients do not ask.
    Policies,
    /// The names are what the CAs above may sign for: [`super::constraints`].
    NameConstraints,
    /// The leaf's key is of a kind that the TLS client can use. Go `verifyServerCertificate`.
    UsableKey,
}

/// A path from the leaf upwards.
#[derive(Clone, Debug)]
pub(super) struct Path<'a> {
    pub(super) certs: Vec<&'a Cert>,
    /// How many of them were sent; those after that come from the store.
    pub(super) sent: usize,
}

/// What rules look at besides the path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances<'a> {
    pub(super) profile: &'static Profile,
    pub(super) name: &'a str,
    pub(super) at: Timestamp,
}

impl Rule {
    /// Judges the certificate at `depth` of the path; rules on the whole path go by depth 0.
    pub(super) fn check(
        self,
        circumstances: &Circumstances<'_>,
        path: &Path<'_>,
        depth: usize,
    ) -> Option<Breach> {
        let cert = *path.certs.get(depth)?;
        let scene = Scene { circumstances, path, depth, cert };
        let result = match self {
            Self::Critical => critical(cert),
            Self::Dates => scene.dates(),
            Self::HostName => (circumstances.profile.host_name)(cert, circumstances.name).err(),
            Self::MaySign => scene.may_sign(),
            Self::SoundAlgorithm => scene.sound_algorithm(),
            Self::Signature => return scene.signature(),
            Self::Authority => scene.authority(),
            Self::PathLength => scene.path_length(),
            Self::Purpose => scene.purpose(),
            Self::NamedCurve => scene.named_curve(),
            Self::KeyStrength => weak_key(&cert.key).then_some(Kind::WeakLeafKey),
            Self::AuthorityKeyStrength => {
                (depth > 0 && weak_key(&cert.key)).then_some(Kind::WeakAuthorityKey)
            }
            Self::SignatureStrength => scene.signature_strength(),
            Self::Policies => (!policies::valid(&path.certs))
                .then_some(Kind::InvalidPolicies { chains: 1, others: 0 }),
            Self::NameConstraints => return scene.name_constraints(),
            Self::UsableKey => unusable_key(&cert.key).map(Kind::UnsupportedKey),
        };
        result.map(|kind| Breach { kind, certificate: cert.label(), depth })
    }
}

/// Where a rule is applied.
struct Scene<'a> {
    circumstances: &'a Circumstances<'a>,
    path: &'a Path<'a>,
    depth: usize,
    cert: &'a Cert,
}

fn critical(cert: &Cert) -> Option<Kind> {
    cert.unhandled.as_ref().map(|oid| Kind::UnhandledCritical { oid: der::dotted(oid) })
}

impl Scene<'_> {
    fn library(&self) -> Library {
        self.circumstances.profile.library
    }

    /// The certificate that this one is to have signed.
    fn child(&self) -> Option<&Cert> {
        self.path.certs.get(self.depth.checked_sub(1)?).copied()
    }

    fn is_top(&self) -> bool {
        self.depth + 1 == self.path.certs.len()
    }

    fn dates(&self) -> Option<Kind> {
        // OpenSSL starts below a top that is not its own issuer, unless partial chains are on.
        if self.skipped_by_openssl() {
            return None;
        }
        let now = self.circumstances.at;
        let Some(since) = self.cert.not_before else { return Some(Kind::BadDate(Date::NotBefore)) };
        let Some(until) = self.cert.not_after else { return Some(Kind::BadDate(Date::NotAfter)) };
        let (early, late) = match self.library() {
            Library::Go => (now < since.instant, now > until.instant),
            // Its clock has whole seconds, and the last of them counts as over.
            Library::OpenSsl => (
                now.as_second() < since.instant.as_second(),
                now.as_second() >= until.instant.as_second(),
            ),
        };
        if early {
            Some(Kind::NotYetValid { now, since })
        } else {
            late.then_some(Kind::Expired { now, until })
        }
    }

    fn skipped_by_openssl(&self) -> bool {
        self.library() == Library::OpenSsl
            && self.is_top()
            && self.depth > 0
            && !self.circumstances.profile.partial()
            && !self.cert.likely_issued_by(self.cert)
    }

    fn may_sign(&self) -> Option<Kind> {
        let cert = self.cert;
        let without_usage = |bits: u16| bits & usage::KEY_CERT_SIGN == 0;
        match self.library() {
            Library::Go => {
                let no_ca = match cert.basic {
                    None => cert.fields.version == 3,
                    Some(basic) => !basic.is_ca,
                };
                let usage = cert.usage.is_some_and(|bits| bits != 0 && without_usage(bits));
                (no_ca || usage).then_some(Kind::MayNotSign)
            }
            Library::OpenSsl => (self.child().is_some() && cert.usage.is_some_and(without_usage))
                .then_some(Kind::SigningNotAllowed),
        }
    }

    fn sound_algorithm(&self) -> Option<Kind> {
        let signing = self.child()?.signing;
        let wanted = match signing {
            Signing::Rsa(Digest::Sha224)
            | Signing::Ecdsa(Digest::Sha224)
            | Signing::Dsa(Digest::Sha224)
            | Signing::Ed448
            | Signing::Unknown => {
                return Some(Kind::UnsupportedAlgorithm);
            }
            Signing::Pss { digest, mask, salt } => {
                let usual = matches!(digest, Digest::Sha256 | Digest::Sha384 | Digest::Sha512);
                if !usual || mask != digest || salt != digest.len() {
                    return Some(Kind::UnsupportedAlgorithm);
                }
                "RSA"
            }
            Signing::Rsa(_) => "RSA",
            Signing::Ecdsa(_) => "ECDSA",
            Signing::Dsa(_) => "DSA",
            Signing::Ed25519 => "Ed25519",
        };
        if matches!(signing.digest(), Some(Digest::Md5 | Digest::Sha1)) {
            return Some(Kind::InsecureAlgorithm(signing.name()));
        }
        let key = match &self.cert.key {
            Key::Rsa { .. } => ("RSA", "*rsa.PublicKey"),
            Key::Ec { .. } => ("ECDSA", "*ecdsa.PublicKey"),
            Key::Ed25519(_) => ("Ed25519", "ed25519.PublicKey"),
            _ => return Some(Kind::UnsupportedAlgorithm),
        };
        if key.0 != wanted {
            return Some(Kind::AlgorithmMismatch { wanted, key: key.1 });
        }
        let bits = self.cert.key.bits();
        (wanted == "RSA" && bits < 1024).then_some(Kind::InsecureKeySize(bits))
    }

    /// The fault is the child's: it is the one that is not signed.
    fn signature(&self) -> Option<Breach> {
        let child = self.child()?;
        let breach = |kind, cert: &Cert, depth| Breach { kind, certificate: cert.label(), depth };
        let wrong = match child.signing {
            Signing::Ecdsa(_) => "x509: ECDSA verification failure",
            Signing::Ed25519 => "x509: Ed25519 verification failure",
            _ => "crypto/rsa: verification error",
        };
        if matches!(self.cert.key, Key::Malformed | Key::Unknown | Key::UnknownCurve) {
            return Some(breach(Kind::UndecodableKey, self.cert, self.depth));
        }
        let consistent = child.fields.algorithm == child.fields.inner_algorithm;
        let outcome = signature::check(
            &self.cert.key,
            child.signing,
            &child.fields.signed,
            &child.fields.signature,
        );
        // What neither verifier knows is taken on trust: saying "wrong" would be worse.
        let good = consistent && outcome != Outcome::Bad;
        (!good).then(|| breach(Kind::WrongSignature(wrong), child, self.depth - 1))
    }

    fn authority(&self) -> Option<Kind> {
        if self.depth == 0 {
            return None;
        }
        let breach = match self.library() {
            Library::Go => {
                let is_root = self.depth >= self.path.sent;
                !is_root && !self.cert.basic.is_some_and(|basic| basic.is_ca)
            }
            Library::OpenSsl => match authority(self.cert) {
                Authority::None => true,
                Authority::Stated => false,
                Authority::Tolerated | Authority::Netscape => !self.is_top(),
            },
        };
        breach.then_some(Kind::NotAuthority)
    }

    fn path_length(&self) -> Option<Kind> {
        let most = self.cert.path_length()?;
        let below = self.path.certs.get(1..self.depth).unwrap_or_default();
        let count = match self.library() {
            Library::Go => below.len(),
            Library::OpenSsl if self.depth < 2 => return None,
            Library::OpenSsl => below.iter().filter(|cert| !cert.self_issued).count(),
        };
        let exceeded = self.depth > 0 && u64::try_from(count).is_ok_and(|count| count > most);
        exceeded.then_some(Kind::PathTooLong)
    }

    fn purpose(&self) -> Option<Kind> {
        let fits = match self.library() {
            Library::Go => self.path.certs.iter().all(|cert| go_purpose(cert)),
            Library::OpenSsl => self.openssl_purpose(),
        };
        (!fits).then_some(Kind::IncompatiblePurpose)
    }

    fn openssl_purpose(&self) -> bool {
        let cert = self.cert;
        if self.depth >= self.path.sent {
            match trust(cert) {
                Trust::Trusted => return true,
                Trust::Rejected => return false,
                Trust::Open => {}
            }
        }
        // What cannot be read cannot be held against a certificate that is not a CA.
        if cert.invalid.is_some() {
            return true;
        }
        let named = |accepted: &[u8]| {
            matches!(
                accepted,
                purpose::SERVER_AUTH | purpose::NETSCAPE_SGC | purpose::MICROSOFT_SGC
            )
        };
        if cert.purposes.as_ref().is_some_and(|listed| !listed.iter().any(|oid| named(oid))) {
            return false;
        }
        if self.depth > 0 {
            let ssl_ca = cert.netscape.is_some_and(|bits| bits & NETSCAPE_SSL_CA != 0);
            return match authority(cert) {
                Authority::None => false,
                Authority::Netscape => ssl_ca,
                Authority::Stated | Authority::Tolerated => true,
            };
        }
        cert.netscape.is_none_or(|bits| bits & NETSCAPE_SSL_SERVER != 0)
            && cert.usage.is_none_or(|bits| bits & TLS_SERVER != 0)
    }

    fn named_curve(&self) -> Option<Kind> {
        if self.path.certs.len() < 2 {
            return None;
        }
        match self.cert.key {
            Key::ExplicitEc => Some(Kind::ExplicitCurve),
            Key::Malformed | Key::Unknown | Key::UnknownCurve => Some(Kind::UnsupportedKey("")),
            _ => None,
        }
    }

    fn signature_strength(&self) -> Option<Kind> {
        let weak = match self.cert.signing {
            Signing::Unknown => true,
            signing => matches!(signing.digest(), Some(Digest::Md5 | Digest::Sha1)),
        };
        (!self.is_top() && weak).then_some(Kind::WeakSignature)
    }

    fn name_constraints(&self) -> Option<Breach> {
        let certs = &self.path.certs;
        let result = match self.library() {
            Library::Go => constraints::go::check(certs),
            Library::OpenSsl => constraints::openssl::check(certs),
        };
        let (depth, constraint) = result.err()?;
        let certificate = certs.get(depth)?.label();
        Some(Breach { kind: Kind::NotAuthorizedForName(constraint), certificate, depth })
    }
}

/// What a TLS server may do with its key, any of it.
const TLS_SERVER: u16 = usage::DIGITAL_SIGNATURE | usage::KEY_ENCIPHERMENT | usage::KEY_AGREEMENT;

/// Bits of Netscape's certificate type.
const NETSCAPE_SSL_SERVER: u16 = 1 << 1;
const NETSCAPE_SSL_CA: u16 = 1 << 5;
const NETSCAPE_ANY_CA: u16 = 0b111 << 5;

/// How far OpenSSL takes a certificate for a CA (`check_ca`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authority {
    None,
    Stated,
    /// No basicConstraints, but an old root or a key usage that speaks for it.
    Tolerated,
    Netscape,
}

fn authority(cert: &Cert) -> Authority {
    let unfit = cert.usage.is_some_and(|bits| bits & usage::KEY_CERT_SIGN == 0);
    let netscape = cert.netscape.is_some_and(|bits| bits & NETSCAPE_ANY_CA != 0);
    match cert.basic {
        _ if unfit || cert.invalid.is_some() => Authority::None,
        Some(basic) if basic.is_ca => Authority::Stated,
        None if cert.fields.version == 1 && cert.self_signed => Authority::Tolerated,
        None if cert.usage.is_some() => Authority::Tolerated,
        None if netscape => Authority::Netscape,
        Some(_) | None => Authority::None,
    }
}

/// What a store says of its own certificate (`obj_trust` for `serverAuth`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    Trusted,
    Rejected,
    Open,
}

pub(super) fn trust(cert: &Cert) -> Trust {
    let Some(settings) = &cert.settings else { return Trust::Open };
    let server = |list: &[Vec<u8>]| {
        list.iter().any(|oid| matches!(oid.as_slice(), purpose::SERVER_AUTH | purpose::ANY))
    };
    match &settings.trusted {
        _ if server(&settings.rejected) => Trust::Rejected,
        Some(trusted) if server(trusted) => Trust::Trusted,
        Some(_) => Trust::Rejected,
        None => Trust::Open,
    }
}

fn go_purpose(cert: &Cert) -> bool {
    let accepted = |oid: &Vec<u8>| matches!(oid.as_slice(), purpose::SERVER_AUTH | purpose::ANY);
    cert.purposes.as_ref().is_none_or(|listed| listed.is_empty() || listed.iter().any(accepted))
}

/// Fewer than 112 bits of security (`EVP_PKEY_get_security_bits` against level 2). OpenSSL rounds
/// to multiples of eight, which lets RSA keys of a little under 2048 bits pass.
fn weak_key(key: &Key) -> bool {
    match key {
        Key::Rsa { .. } | Key::RsaPss { .. } => key.bits() < LEAST_RSA_BITS,
        Key::Dsa { q, .. } => key.bits() < LEAST_RSA_BITS || der::bit_length(q) < 224,
        Key::Malformed | Key::Unknown | Key::UnknownCurve => true,
        Key::Ec { curve, .. } => curve.bits < 224,
        Key::ExplicitEc | Key::Ed25519(_) | Key::Ed448(_) | Key::X25519(_) => false,
    }
}

/// The smallest RSA key that OpenSSL counts as 112 bits of security (measured with 3.0.19).
const LEAST_RSA_BITS: usize = 1963;

/// Go's name for a key that a TLS client cannot use.
fn unusable_key(key: &Key) -> Option<&'static str> {
    match key {
        Key::Rsa { .. } | Key::Ec { .. } | Key::Ed25519(_) => None,
        Key::Dsa { .. } => Some("*dsa.PublicKey"),
        Key::X25519(_) => Some("*ecdh.PublicKey"),
        _ => Some("<nil>"),
    }
}
