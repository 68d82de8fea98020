//! Who refuses what, and since when.

use crate::parse::certificate::Certificate;

/// A weakness of a certificate, told from its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weakness {
    /// An RSA or DSA key below 2048 bits, or a curve below 224.
    ShortKey,
    /// Signed with SHA-1 or MD5, and not by itself.
    Digest,
    /// Version 1 or 2, which have no extensions.
    Version,
    /// Purposes that do not let it serve.
    Purpose,
    /// A serial number below zero.
    NegativeSerial,
    /// A serial number of more than 20 octets.
    LongSerial,
    /// A life of more than 825 days.
    LongLife,
}

/// More than this is longer than RFC 5280 allows.
const SERIAL_OCTETS: usize = 20;

/// What Apple's systems accept, in days.
const APPLE_DAYS: i64 = 825;

impl Weakness {
    /// Every weakness of a certificate at a place in a chain.
    pub(super) fn all_of(facts: &Certificate, is_leaf: bool) -> Vec<Self> {
        let all = [
            Self::ShortKey,
            Self::Digest,
            Self::Version,
            Self::Purpose,
            Self::NegativeSerial,
            Self::LongSerial,
            Self::LongLife,
        ];
        all.into_iter().filter(|weakness| weakness.is_in(facts, is_leaf)).collect()
    }

    fn is_in(self, facts: &Certificate, is_leaf: bool) -> bool {
        match self {
            Self::ShortKey => match facts.key_algorithm.as_str() {
                "RSA" | "RSA-PSS" | "DSA" => facts.key_bits < 2048,
                curve => curve.starts_with("P-") && (1..224).contains(&facts.key_bits),
            },
            Self::Digest => {
                let weak = |name| facts.signature_algorithm.contains(name);
                !facts.self_issued && (weak("SHA1") || weak("MD5"))
            }
            Self::Version => is_leaf && facts.version < 3,
            Self::Purpose => {
                let purposes = facts.purposes.as_ref().filter(|_| is_leaf);
                purposes.is_some_and(|it| !it.iter().any(|purpose| purpose == "serverAuth"))
            }
            Self::NegativeSerial => facts.negative_serial,
            Self::LongSerial => octets(&facts.serial) > SERIAL_OCTETS,
            Self::LongLife => is_leaf && days(facts) > APPLE_DAYS,
        }
    }

    /// The name under which `trust` knows it.
    pub(super) fn fault(self) -> Option<&'static str> {
        match self {
            Self::ShortKey => Some("weak-key"),
            Self::Digest => Some("weak-signature"),
            Self::Purpose => Some(super::judges::WRONG_PURPOSE),
            Self::NegativeSerial => Some("unreadable-certificate"),
            Self::Version | Self::LongSerial | Self::LongLife => None,
        }
    }

    /// The finding's code.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::ShortKey => "short-key",
            Self::Digest => "weak-signature",
            Self::Version => "old-version",
            Self::Purpose => "no-server-purpose",
            Self::NegativeSerial => "negative-serial",
            Self::LongSerial => "long-serial",
            Self::LongLife => "long-lifetime",
        }
    }

    /// Whether no client of GitLab or its registry minds.
    pub(super) fn is_harmless_here(self) -> bool {
        matches!(self, Self::LongSerial | Self::LongLife)
    }

    /// What is wrong, to follow "its certificate".
    pub(super) fn told(self, facts: &Certificate) -> String {
        match self {
            Self::ShortKey => {
                format!("has a key of {} bits ({})", facts.key_bits, facts.key_algorithm)
            }
            Self::Digest => format!("is signed with {}", facts.signature_algorithm),
            Self::Version => {
                format!("is of version {}, which cannot list any names", facts.version)
            }
            Self::Purpose => {
                let purposes = facts.purposes.as_deref().unwrap_or_default().join(", ");
                format!("may be used for {purposes}, but not for a server (serverAuth)")
            }
            Self::NegativeSerial => "has a negative serial number".to_owned(),
            Self::LongSerial => {
                format!("has a serial number of {} octets; 20 are allowed", octets(&facts.serial))
            }
            Self::LongLife => format!("is made for {} days", days(facts)),
        }
    }

    /// Who refuses it, and since when.
    pub(super) fn refused_by(self, facts: &Certificate) -> &'static str {
        match self {
            Self::ShortKey if facts.key_algorithm == "DSA" => "Go; OpenSSL 3, below 2048 bits",
            Self::ShortKey if facts.key_bits < 1024 && facts.key_algorithm.starts_with("RSA") => {
                "Go since 1.24 (Docker 28); OpenSSL at every security level"
            }
            Self::ShortKey => {
                "OpenSSL at security level 2: Debian since 10, Ubuntu since 20.04, GitLab's own \
                 programs and nginx since 17.7; Go accepts it"
            }
            Self::Digest if facts.signature_algorithm.contains("MD5") => {
                "Go always; OpenSSL since 1.1; GitLab's own programs"
            }
            Self::Digest => {
                "Go since 1.18 (Docker, the runner); OpenSSL since 3.0 (GitLab's own programs since \
                 17.7)"
            }
            Self::Version => "Go since 1.17 (Docker, the runner), for it ignores common names",
            Self::Purpose => "Go and OpenSSL in all versions; Git with GnuTLS accepts it",
            Self::NegativeSerial => "Go since 1.23 (Docker since 28, newer runners)",
            Self::LongSerial => "no client of GitLab today; RFC 5280 forbids it",
            Self::LongLife => {
                "Safari and all else on Apple's systems since iOS 13 and macOS 10.15, if it was \
                 made after June 2019; other browsers set limits (398 days) to public CAs alone"
            }
        }
    }
}

fn octets(hexadecimal: &str) -> usize {
    hexadecimal.len() / 2
}

fn days(facts: &Certificate) -> i64 {
    match (facts.not_before, facts.not_after) {
        (Some(start), Some(end)) => end.duration_since(start).as_hours() / 24,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Certificate {
        let names = vec!["a.test".to_owned()];
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        params.serial_number = Some(vec![1; 20].into());
        let key = rcgen::KeyPair::generate().unwrap();
        Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap()
    }

    fn weak(change: impl FnOnce(&mut Certificate)) -> Vec<Weakness> {
        let mut facts = facts();
        change(&mut facts);
        Weakness::all_of(&facts, true)
    }

    #[test]
    fn each_weakness_begins_where_clients_begin_to_refuse() {
        let rsa = |bits| weak(|it| (it.key_algorithm, it.key_bits) = ("RSA".to_owned(), bits));
        assert_eq!(weak(|_| ()), []);
        assert_eq!(rsa(2048), []);
        assert_eq!(rsa(2047), [Weakness::ShortKey]);
        assert_eq!(weak(|it| it.key_bits = 192), [Weakness::ShortKey]);
        assert_eq!(weak(|it| it.version = 1), [Weakness::Version]);
        assert_eq!(weak(|it| it.serial = "ab".repeat(21)), [Weakness::LongSerial]);
        assert_eq!(weak(|it| it.negative_serial = true), [Weakness::NegativeSerial]);
        let after = |days: i64| {
            move |it: &mut Certificate| {
                it.not_after =
                    it.not_before.map(|it| it + jiff::SignedDuration::from_hours(days * 24));
            }
        };
        assert_eq!(weak(after(825)), []);
        assert_eq!(weak(after(826)), [Weakness::LongLife]);
        let purposes = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            weak(|it| it.purposes = Some(names))
        };
        assert_eq!(purposes(&["serverAuth", "clientAuth"]), []);
        assert_eq!(purposes(&["clientAuth"]), [Weakness::Purpose]);
    }

    #[test]
    fn the_signature_of_a_root_on_itself_does_not_count() {
        let sha1 = |it: &mut Certificate| it.signature_algorithm = "SHA1-RSA".to_owned();
        assert_eq!(weak(sha1), []);
        let issued = |it: &mut Certificate| {
            it.self_issued = false;
            sha1(it);
        };
        assert_eq!(weak(issued), [Weakness::Digest]);
    }
}
