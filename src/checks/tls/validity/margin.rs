//! How early the end of a certificate is worth a warning.

use jiff::SignedDuration;

use crate::checks::Stop;
use crate::checks::threshold::{CERTIFICATE_DAYS, CERTIFICATE_PERCENT};
use crate::host::Host;
use crate::parse::certificate::Certificate;

/// How early to warn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Margin {
    days: u64,
    /// The share of the lifetime beyond which the days do not count, if any.
    percent: Option<u64>,
}

impl Margin {
    /// As the user wants it. Days that somebody asked for count as they are.
    pub(super) async fn of(host: &Host) -> Result<Self, Stop> {
        let days = CERTIFICATE_DAYS.asked(host).await?;
        let percent = CERTIFICATE_PERCENT.asked(host).await?;
        Ok(Self {
            days: days.unwrap_or(CERTIFICATE_DAYS.default),
            percent: match (days, percent) {
                (Some(_), None) => None,
                (_, percent) => Some(percent.unwrap_or(CERTIFICATE_PERCENT.default)),
            },
        })
    }

    /// So many days, whatever the lifetime.
    #[cfg(test)]
    pub(super) fn days(days: u64) -> Self {
        Self { days, percent: None }
    }

    /// How long before the end of this certificate.
    pub(super) fn before(self, certificate: &Certificate) -> SignedDuration {
        let days = days(self.days);
        match (self.percent, lifetime(certificate)) {
            (Some(percent), Some(lifetime)) if !is_placeholder(certificate) => {
                days.min(share(lifetime, percent))
            }
            _ => days,
        }
    }
}

/// From the first moment to the last.
pub(super) fn lifetime(certificate: &Certificate) -> Option<SignedDuration> {
    Some(certificate.not_after?.duration_since(certificate.not_before?))
}

/// What reconfigure puts in place until Let's Encrypt has answered, which it never does on an
/// offline site: serial 0, self-signed, 30 days. Nobody will renew it.
pub(super) fn is_placeholder(certificate: &Certificate) -> bool {
    let short = lifetime(certificate).is_some_and(|it| it <= SignedDuration::from_hours(31 * 24));
    short && certificate.self_issued && certificate.serial.bytes().all(|digit| digit == b'0')
}

fn days(days: u64) -> SignedDuration {
    let hours = i64::try_from(days.saturating_mul(24)).unwrap_or(i64::MAX / 3600);
    SignedDuration::from_hours(hours.min(i64::MAX / 3600))
}

fn share(lifetime: SignedDuration, percent: u64) -> SignedDuration {
    let percent = i64::try_from(percent.min(100)).unwrap_or(100);
    SignedDuration::from_secs(lifetime.as_secs() / 100 * percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(from: (i32, u8, u8), to: (i32, u8, u8), serial: u8) -> Certificate {
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
        params.serial_number = Some(vec![serial].into());
        let key = rcgen::KeyPair::generate().unwrap();
        Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn short_lives_are_warned_of_late_and_long_ones_by_days() {
        let usual = Margin { days: 30, percent: Some(33) };
        let year = certificate((2026, 1, 1), (2027, 1, 1), 1);
        assert_eq!(usual.before(&year), SignedDuration::from_hours(30 * 24));
        let ten_days = certificate((2026, 1, 1), (2026, 1, 11), 1);
        assert_eq!(usual.before(&ten_days).as_secs(), 10 * 86_400 / 100 * 33);
        let asked = Margin { days: 400, percent: None };
        assert_eq!(asked.before(&ten_days), SignedDuration::from_hours(400 * 24));
        let absurd = Margin { days: u64::MAX, percent: Some(u64::MAX) };
        assert_eq!(absurd.before(&ten_days).as_secs(), 10 * 86_400);
    }

    #[test]
    fn the_placeholder_of_reconfigure_is_told_by_its_serial() {
        let placeholder = certificate((2026, 1, 1), (2026, 1, 31), 0);
        assert!(is_placeholder(&placeholder));
        assert!(!is_placeholder(&certificate((2026, 1, 1), (2026, 1, 31), 1)));
        assert!(!is_placeholder(&certificate((2026, 1, 1), (2027, 1, 1), 0)));
        let usual = Margin { days: 30, percent: Some(33) };
        assert_eq!(usual.before(&placeholder), SignedDuration::from_hours(30 * 24));
    }
}
