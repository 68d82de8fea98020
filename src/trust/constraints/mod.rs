//! Name constraints: what a CA may sign for.

use std::net::IpAddr;

pub(super) mod go;
pub(super) mod openssl;

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let four = || <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four().or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// Whether a network, given by address and mask, holds an address of the same kind.
fn contains((base, mask): &(Vec<u8>, Vec<u8>), address: &[u8]) -> bool {
    base.len() == address.len()
        && base.iter().zip(mask).zip(address).all(|((b, m), a)| b & m == a & m)
}
