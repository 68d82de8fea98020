//! What can be wrong, and how Go and OpenSSL say it.

use jiff::Timestamp;

use crate::parse::certificate::fields::Moment;

/// One thing that a client holds against a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Breach {
    pub(super) kind: Kind,
    /// The certificate at fault, for people.
    pub(super) certificate: String,
    /// Its place in the path, the leaf being 0.
    pub(super) depth: usize,
}

impl Breach {
    pub(super) fn new(kind: Kind, certificate: String, depth: usize) -> Self {
        Self { kind, certificate, depth }
    }
}

/// Which of its two dates a certificate is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Date {
    NotBefore,
    NotAfter,
}

/// How a name offends against name constraints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Constraint {
    /// No permitted subtree holds the name: its kind as Go says it, and the name.
    NotPermitted { kind: &'static str, name: String },
    /// An excluded subtree holds it.
    Excluded { kind: &'static str, name: String, by: String },
    /// OpenSSL handles no distances.
    Distance,
    /// OpenSSL has no way to compare names of this kind.
    UnsupportedType,
    /// A name or a constraint that cannot be compared, in Go's words.
    Syntax(String),
    /// More names times constraints than OpenSSL is willing to compare.
    TooMany,
}

/// Why a candidate for an issuer is none, as Go hints at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hint {
    pub(super) reason: Box<Kind>,
    pub(super) candidate: String,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing was served.
    NoCertificate,
    /// A served certificate is not read: error and reason.
    Unreadable {
        words: String,
        why: String,
    },
    /// A file of the store is refused: its name, error and reason.
    StoreRefused {
        file: String,
        words: String,
        why: String,
    },
    UnhandledCritical {
        oid: String,
    },
    NotYetValid {
        now: Timestamp,
        since: Moment,
    },
    Expired {
        now: Timestamp,
        until: Moment,
    },
    BadDate(Date),
    CommonNameOnly,
    /// The names that would match, and how many there are. All are addresses if one was wanted.
    NameMismatch {
        wanted: String,
        valid: Vec<String>,
        count: usize,
        addresses: bool,
    },
    /// No name is listed, and the common name is another one.
    CommonNameMismatch {
        common: String,
        wanted: String,
    },
    UnknownAuthority(Option<Hint>),
    /// The certificate has an extension that OpenSSL cannot read, so it finds no issuer: reason.
    Invalid(String),
    /// The leaf is self-signed and not in the store.
    SelfSigned,
    /// The path ends in a self-signed certificate that is not in the store.
    SelfSignedAtTop,
    /// A store certificate's own issuer is not in the store.
    IncompleteStore,
    Rejected,
    ChainTooLong,
    BudgetSpent,
    NotAuthority,
    MayNotSign,
    SigningNotAllowed,
    PathTooLong,
    IncompatiblePurpose,
    InvalidPolicies {
        chains: usize,
        others: usize,
    },
    NotAuthorizedForName(Constraint),
    InsecureAlgorithm(String),
    UnsupportedAlgorithm,
    /// Go compares algorithm and key: the algorithm's kind and the key's type.
    AlgorithmMismatch {
        wanted: &'static str,
        key: &'static str,
    },
    /// The signature was not made with the issuer's key: Go's words for it.
    WrongSignature(&'static str),
    InsecureKeySize(usize),
    WeakLeafKey,
    WeakAuthorityKey,
    WeakSignature,
    ExplicitCurve,
    UndecodableKey,
    UnsupportedKey(&'static str),
}

impl Kind {
    /// Clients that take common names, and those without words for it, speak of a mismatch.
    pub(super) fn without_common_name(self, name: &str) -> Self {
        match self {
            Self::CommonNameOnly => Self::NameMismatch {
                wanted: name.to_owned(),
                valid: Vec::new(),
                count: 0,
                addresses: super::go_text::go_ip(name).is_some(),
            },
            other => other,
        }
    }

    /// The kind that really is behind it: Go hides it in a hint.
    fn cause(&self) -> &Self {
        match self {
            Self::UnknownAuthority(Some(hint)) => hint.reason.cause(),
            other => other,
        }
    }

    /// A name for it that stays the same, whatever the client.
    pub(super) fn code(&self) -> &'static str {
        match self.cause() {
            Self::NoCertificate => "no-certificate",
            Self::Unreadable { .. } | Self::Invalid(_) => "unreadable-certificate",
            Self::StoreRefused { .. } => "store-refused",
            Self::UnhandledCritical { .. } => "unknown-critical-extension",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::Expired { .. } => "expired",
            Self::BadDate(_) => "malformed-date",
            Self::CommonNameOnly => "common-name-only",
            Self::NameMismatch { .. } | Self::CommonNameMismatch { .. } => "name-mismatch",
            Self::UnknownAuthority(_) | Self::SelfSigned | Self::SelfSignedAtTop => {
                "unknown-authority"
            }
            Self::IncompleteStore => "incomplete-store",
            Self::Rejected => "rejected-by-store",
            Self::ChainTooLong => "chain-too-long",
            Self::BudgetSpent => "too-many-candidates",
            Self::NotAuthority | Self::MayNotSign | Self::SigningNotAllowed => "issuer-not-a-ca",
            Self::PathTooLong => "path-length-exceeded",
            Self::IncompatiblePurpose => "wrong-purpose",
            Self::InvalidPolicies { .. } => "invalid-policies",
            Self::NotAuthorizedForName(_) => "name-constraint",
            Self::InsecureAlgorithm(_) | Self::WeakSignature => "weak-signature",
            Self::UnsupportedAlgorithm => "unsupported-signature",
            Self::AlgorithmMismatch { .. } | Self::WrongSignature(_) => "wrong-signature",
            Self::InsecureKeySize(_) | Self::WeakLeafKey | Self::WeakAuthorityKey => "weak-key",
            Self::ExplicitCurve => "explicit-curve",
            Self::UndecodableKey | Self::UnsupportedKey(_) => "unsupported-key",
        }
    }

    /// The rule in plain words, to follow the certificate's label.
    pub(super) fn why(&self) -> String {
        match self {
            Self::NoCertificate => "is missing: none was served".to_owned(),
            Self::Unreadable { why, .. } => format!("cannot be read: {why}"),
            Self::StoreRefused { file, why, .. } => format!("is refused: {file} {why}"),
            Self::UnhandledCritical { oid } => {
                format!("has the critical extension {oid}, which the client does not handle")
            }
            Self::NotYetValid { now, since } => {
                format!("is valid from {} on, and it is {now}", since.instant)
            }
            Self::Expired { now, until } => {
                format!("expired on {}, and it is {now}", until.instant)
            }
            Self::BadDate(Date::NotBefore) => "has a malformed notBefore".to_owned(),
            Self::BadDate(Date::NotAfter) => "has a malformed notAfter".to_owned(),
            Self::CommonNameOnly => {
                "has the name in its common name only, and no subject alternative names".to_owned()
            }
            Self::NameMismatch { wanted, valid, count, .. } => match (valid.as_slice(), count) {
                ([], 0) => format!("lists no name to compare {wanted} with"),
                ([], count) => format!("lists {count} names, and none of them is {wanted}"),
                (names, _) => format!("is made out to {}, not to {wanted}", names.join(", ")),
            },
            Self::CommonNameMismatch { common, wanted } => {
                format!("is made out to {common}, not to {wanted}")
            }
            Self::UnknownAuthority(None) => {
                "has no issuer among the certificates that were sent or are trusted".to_owned()
            }
            Self::UnknownAuthority(Some(hint)) => format!(
                "has no issuer but {}, which {}",
                hint.candidate,
                hint.reason.candidate_why()
            ),
            Self::Invalid(why) => format!("finds no issuer, for it is not valid: {why}"),
            Self::SelfSigned => "is self-signed and not in the store".to_owned(),
            Self::SelfSignedAtTop => {
                "is the self-signed end of the chain and not in the store".to_owned()
            }
            Self::IncompleteStore => {
                "is in the store, but its issuer is not, and a path has to end in a root".to_owned()
            }
            Self::Rejected => "is marked in the store as not trusted for servers".to_owned(),
            Self::ChainTooLong => "is the last that may be in so long a chain".to_owned(),
            Self::BudgetSpent => "has more candidates for issuers than the client tries".to_owned(),
            Self::NotAuthority => "is not a CA".to_owned(),
            Self::MayNotSign => {
                "may not sign certificates: it is no CA, or its key usage leaves that out"
                    .to_owned()
            }
            Self::SigningNotAllowed => "has a key usage without certificate signing".to_owned(),
            Self::PathTooLong => "allows fewer CAs below itself than there are".to_owned(),
            Self::IncompatiblePurpose => "may not be used for servers".to_owned(),
            Self::InvalidPolicies { .. } => {
                "lacks a certificate policy that a CA above it requires".to_owned()
            }
            Self::NotAuthorizedForName(constraint) => constraint.why(),
            Self::InsecureAlgorithm(name) => {
                format!("is signed with {name}, which is not secure any more")
            }
            Self::WeakSignature => "is signed with too weak a digest".to_owned(),
            Self::UnsupportedAlgorithm => {
                "is signed with an algorithm that the client does not know".to_owned()
            }
            Self::AlgorithmMismatch { .. } => {
                "is signed with another kind of key than its issuer has".to_owned()
            }
            Self::WrongSignature(_) => {
                "is not signed by the key of the issuer that goes by that name".to_owned()
            }
            Self::InsecureKeySize(bits) => format!("has an RSA key of {bits} bits"),
            Self::WeakLeafKey | Self::WeakAuthorityKey => {
                "has a key that is too short for the client's security level".to_owned()
            }
            Self::ExplicitCurve => "has a curve given by numbers, not by name".to_owned(),
            Self::UndecodableKey | Self::UnsupportedKey(_) => {
                "has a public key that the client cannot use".to_owned()
            }
        }
    }

    /// The same, said of a candidate instead of the certificate that it should have signed.
    fn candidate_why(&self) -> String {
        match self {
            Self::WrongSignature(_) => {
                "has the name but did not sign it with its key: same name, other key".to_owned()
            }
            Self::InsecureAlgorithm(name) => format!("signed it with {name}, which is not secure"),
            Self::UnsupportedAlgorithm => "signed it with an unknown algorithm".to_owned(),
            Self::AlgorithmMismatch { .. } => "has another kind of key".to_owned(),
            other => other.why(),
        }
    }
}

impl Constraint {
    fn why(&self) -> String {
        match self {
            Self::NotPermitted { name, .. } => {
                format!("has the name {name}, which no CA above it permits")
            }
            Self::Excluded { name, by, .. } => {
                format!("has the name {name}, which a CA above it excludes by {by}")
            }
            Self::Distance => "is under a name constraint with a distance".to_owned(),
            Self::UnsupportedType => {
                "has a name of a kind that the client cannot compare with a constraint".to_owned()
            }
            Self::Syntax(_) => {
                "has a name, or is under a constraint, that cannot be compared".to_owned()
            }
            Self::TooMany => "has too many names for the constraints above it".to_owned(),
        }
    }
}
