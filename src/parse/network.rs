//! Networks in CIDR notation.

use std::net::IpAddr;

/// Whether a text is a network in this notation.
pub fn is_network(text: &str) -> bool {
    let Some((network, bits)) = text.split_once('/') else { return false };
    let most = match network.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.bytes().all(|byte| byte.is_ascii_digit())
        && bits.parse().is_ok_and(|bits: u32| bits <= most)
}

/// Whether `network`, such as `10.0.0.0/8`, holds an address. What is no network holds none.
pub fn contains(network: &str, address: IpAddr) -> bool {
    let Some((network, bits)) = network.split_once('/') else { return false };
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            a.to_bits() & mask == n.to_bits() & mask
        }
        (IpAddr::V6(a), IpAddr::V6(n)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            a.to_bits() & mask == n.to_bits() & mask
        }
        _ => false,
    }
}

#[test]
fn networks_hold_their_addresses() {
    let holds = |network, address: &str| contains(network, address.parse().unwrap());
    assert!(holds("10.0.0.0/8", "10.1.2.3") && !holds("10.0.0.0/8", "11.0.0.1"));
    assert!(holds("0.0.0.0/0", "8.8.8.8") && holds("fd00::/8", "fd12::1"));
    assert!(!holds("10.0.0.0", "10.0.0.0") && !holds("10.0.0.0/33", "10.0.0.0"));
    assert!(!holds("x/8", "10.0.0.0") && !holds("fd00::/8", "10.0.0.0"));
}

#[test]
fn networks_are_told_from_paths() {
    assert!(is_network("10.0.0.0/8") && is_network("::/0"));
    for text in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/+8", "registry/8", "10.0.0.0/"] {
        assert!(!is_network(text), "{text}");
    }
}
