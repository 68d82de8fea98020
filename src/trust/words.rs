//! Errors in the words of Go and of OpenSSL.

use jiff::Timestamp;
use jiff::tz::Offset;

use super::breach::{Constraint, Date, Kind};
use super::go_text::quote;
use crate::parse::certificate::fields::Moment;

impl Kind {
    /// The error of Go's crypto/x509 or crypto/tls.
    pub(super) fn go(&self) -> String {
        match self {
            Self::Unreadable { words, .. } | Self::StoreRefused { words, .. } => words.clone(),
            Self::NoCertificate => "tls: received empty certificates message".to_owned(),
            Self::UnsupportedKey(kind) => {
                format!(
                    "tls: server's certificate contains an unsupported type of public key: {kind}"
                )
            }
            Self::NameMismatch { .. } => format!("x509: {}", self.go_mismatch()),
            Self::WrongSignature(words) => (*words).to_owned(),
            Self::InsecureKeySize(bits) => format!(
                "crypto/rsa: {bits}-bit keys are insecure (see \
                 https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size)"
            ),
            Self::UnknownAuthority(hint) => {
                let hint = hint.as_ref().map_or(String::new(), |hint| {
                    format!(
                        " (possibly because of {} while trying to verify candidate authority \
                         certificate {})",
                        quote(&hint.reason.go()),
                        quote(&hint.candidate)
                    )
                });
                format!("x509: certificate signed by unknown authority{hint}")
            }
            other => format!("x509: {}", other.go_plain()),
        }
    }

    fn go_mismatch(&self) -> String {
        let Self::NameMismatch { wanted, valid, count, addresses } = self else {
            return String::new();
        };
        match (valid.as_slice(), *count, addresses) {
            ([], 0, true) => format!(
                "cannot validate certificate for {wanted} because it doesn't contain any IP SANs"
            ),
            ([], 0, false) => {
                format!("certificate is not valid for any names, but wanted to match {wanted}")
            }
            ([], count, true) => {
                format!("certificate is valid for {count} IP SANs, but none matched {wanted}")
            }
            ([], count, false) => {
                format!("certificate is valid for {count} names, but none matched {wanted}")
            }
            (names, ..) => {
                format!("certificate is valid for {}, not {wanted}", names.join(", "))
            }
        }
    }

    /// The errors after `x509: ` that need no thought.
    fn go_plain(&self) -> String {
        match self {
            Self::UnhandledCritical { .. } => "unhandled critical extension".to_owned(),
            Self::NotYetValid { now, since } => format!(
                "certificate has expired or is not yet valid: current time {} is before {}",
                utc(*now),
                written(*since)
            ),
            Self::Expired { now, until } => format!(
                "certificate has expired or is not yet valid: current time {} is after {}",
                utc(*now),
                written(*until)
            ),
            Self::CommonNameOnly => {
                "certificate relies on legacy Common Name field, use SANs instead".to_owned()
            }
            Self::NotAuthority => {
                "certificate is not authorized to sign other certificates".to_owned()
            }
            Self::MayNotSign => "invalid signature: parent certificate cannot sign this kind of \
                                 certificate"
                .to_owned(),
            Self::PathTooLong => "too many intermediates for path length constraint".to_owned(),
            Self::IncompatiblePurpose => {
                "certificate specifies an incompatible key usage".to_owned()
            }
            Self::InvalidPolicies { chains, others } => {
                let usage = match others {
                    0 => String::new(),
                    others => format!("{others} candidate chains with incompatible key usage, "),
                };
                format!(
                    "no valid chains built: {usage}{chains} candidate chains with invalid policies"
                )
            }
            Self::NotAuthorizedForName(constraint) => format!(
                "a root or intermediate certificate is not authorized to sign for this name: {}",
                constraint.go()
            ),
            Self::InsecureAlgorithm(name) => {
                format!("cannot verify signature: insecure algorithm {name}")
            }
            Self::AlgorithmMismatch { wanted, key } => format!(
                "signature algorithm specifies an {wanted} public key, but have public key of \
                 type {key}"
            ),
            Self::BudgetSpent => "signature check attempts limit reached while verifying \
                                  certificate chain"
                .to_owned(),
            _ => "cannot verify signature: algorithm unimplemented".to_owned(),
        }
    }

    /// Number and error of OpenSSL (`X509_verify_cert_error_string`).
    pub(super) fn openssl(&self) -> (u32, &str) {
        match self {
            Self::Unreadable { words, .. } | Self::StoreRefused { words, .. } => (0, words),
            Self::NoCertificate => (0, "unexpected message"),
            Self::IncompleteStore => (2, "unable to get issuer certificate"),
            Self::UndecodableKey => (6, "unable to decode issuer public key"),
            Self::WrongSignature(_)
            | Self::UnsupportedAlgorithm
            | Self::AlgorithmMismatch { .. } => (7, "certificate signature failure"),
            Self::NotYetValid { .. } => (9, "certificate is not yet valid"),
            Self::Expired { .. } => (10, "certificate has expired"),
            Self::BadDate(Date::NotBefore) => (13, "format error in certificate's notBefore field"),
            Self::BadDate(Date::NotAfter) => (14, "format error in certificate's notAfter field"),
            Self::SelfSigned => (18, "self-signed certificate"),
            Self::SelfSignedAtTop => (19, "self-signed certificate in certificate chain"),
            Self::UnknownAuthority(_) | Self::Invalid(_) => {
                (20, "unable to get local issuer certificate")
            }
            Self::ChainTooLong | Self::BudgetSpent => (22, "certificate chain too long"),
            Self::PathTooLong => (25, "path length constraint exceeded"),
            Self::IncompatiblePurpose => (26, "unsuitable certificate purpose"),
            Self::Rejected => (28, "certificate rejected"),
            Self::SigningNotAllowed => (32, "key usage does not include certificate signing"),
            Self::UnhandledCritical { .. } => (34, "unhandled critical extension"),
            Self::NotAuthorizedForName(constraint) => constraint.openssl(),
            Self::CommonNameOnly
            | Self::CommonNameMismatch { .. }
            | Self::NameMismatch { addresses: false, .. } => (62, "hostname mismatch"),
            Self::NameMismatch { addresses: true, .. } => (64, "IP address mismatch"),
            Self::WeakLeafKey | Self::InsecureKeySize(_) => (66, "EE certificate key too weak"),
            Self::WeakAuthorityKey => (67, "CA certificate key too weak"),
            Self::WeakSignature | Self::InsecureAlgorithm(_) => {
                (68, "CA signature digest algorithm too weak")
            }
            Self::NotAuthority | Self::MayNotSign => (79, "invalid CA certificate"),
            Self::ExplicitCurve => (94, "Certificate public key has explicit ECC parameters"),
            Self::InvalidPolicies { .. } => (43, "no explicit policy"),
            Self::UnsupportedKey(_) => (1, "unspecified certificate verification error"),
        }
    }
}

/// Go prints whole seconds, whatever the clock says.
fn utc(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A date of a certificate in the time zone that it is written in.
fn written(moment: Moment) -> String {
    if moment.offset == Offset::UTC {
        return utc(moment.instant);
    }
    let zoned = moment.instant.to_zoned(moment.offset.to_time_zone());
    zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

impl Constraint {
    fn go(&self) -> String {
        match self {
            Self::NotPermitted { kind, name } => {
                format!("{kind} {} is not permitted by any constraint", quote(name))
            }
            Self::Excluded { kind, name, by } => {
                format!("{kind} {} is excluded by constraint {}", quote(name), quote(by))
            }
            Self::Syntax(words) => words.clone(),
            Self::Distance | Self::UnsupportedType | Self::TooMany => String::new(),
        }
    }

    fn openssl(&self) -> (u32, &'static str) {
        match self {
            Self::NotPermitted { .. } => (47, "permitted subtree violation"),
            Self::Excluded { .. } => (48, "excluded subtree violation"),
            Self::Distance => (49, "name constraints minimum and maximum not supported"),
            Self::UnsupportedType => (51, "unsupported name constraint type"),
            Self::Syntax(_) => (53, "unsupported or invalid name syntax"),
            Self::TooMany => (1, "unspecified certificate verification error"),
        }
    }
}
