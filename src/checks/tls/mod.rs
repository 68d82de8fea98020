//! Certificates and their keys: on disk, and as they are served.

use super::Group;

mod file_modes;
pub(super) mod key_pair;
mod names;
mod served;
mod server;
mod sightings;
mod strength;
mod trusted;
mod validity;
mod words;

/// Checks of certificates and keys.
pub(super) static GROUP: Group = Group {
    name: "tls",
    about: "certificates and private keys, on disk and as served",
    checks: &[
        &key_pair::CHECK,
        &names::CHECK,
        &validity::CHECK,
        &served::CHECK,
        &strength::CHECK,
        &file_modes::CHECK,
    ],
};
