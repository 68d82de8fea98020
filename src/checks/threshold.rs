//! Limits that an administrator can move with `--threshold KEY=VALUE`.

use super::Stop;
use super::selection::{hint, nearest};
use crate::host::Host;
use crate::host::request::Requested;

/// One limit.
#[derive(Debug)]
pub struct Threshold {
    /// As on the command line.
    pub key: &'static str,
    /// Unless the user says otherwise.
    pub default: u64,
    /// What it limits, with its unit.
    pub about: &'static str,
}

/// From which offset on a clock is a warning.
pub static CLOCK_WARNING: Threshold = Threshold {
    key: "clock-warning-ms",
    default: 1000,
    about: "clock offset that is a warning, in milliseconds",
};

/// From which offset on a clock is an error.
pub static CLOCK_ERROR: Threshold = Threshold {
    key: "clock-error-ms",
    default: 5000,
    about: "clock offset that is an error, in milliseconds",
};

/// How long before its end a certificate is a warning.
pub static CERTIFICATE_DAYS: Threshold = Threshold {
    key: "certificate-days",
    default: 30,
    about: "time left to a certificate below which it is a warning, in days",
};

/// Beyond which share of the lifetime the days do not count.
pub static CERTIFICATE_PERCENT: Threshold = Threshold {
    key: "certificate-percent",
    default: 33,
    about: "the same as a share of its lifetime, in percent; the smaller of both counts",
};

/// Every limit there is.
pub static ALL: &[&Threshold] =
    &[&CLOCK_WARNING, &CLOCK_ERROR, &CERTIFICATE_DAYS, &CERTIFICATE_PERCENT];

/// A key that is not in the list.
#[derive(Debug, thiserror::Error)]
#[error("there is no threshold '{key}'{}", hint(*nearest))]
pub struct UnknownThreshold {
    key: String,
    nearest: Option<&'static str>,
}

/// The limit with this key, or the nearest there is.
pub fn find(key: &str) -> Result<&'static Threshold, UnknownThreshold> {
    ALL.iter().copied().find(|threshold| threshold.key == key).ok_or_else(|| UnknownThreshold {
        key: key.to_owned(),
        nearest: nearest(ALL.iter().map(|threshold| threshold.key), key),
    })
}

impl Threshold {
    /// Its value in this run.
    pub async fn of(&self, host: &Host) -> Result<u64, Stop> {
        Ok(self.asked(host).await?.unwrap_or(self.default))
    }

    /// What the user asked for in this run, if anything.
    pub async fn asked(&self, host: &Host) -> Result<Option<u64>, Stop> {
        Ok(host.ask(Requested).await?.thresholds.get(self.key).copied())
    }
}
