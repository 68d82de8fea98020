//! The name by which a registry finds the key that signed a token.
//!
//! GitLab writes it into the token, and the registry computes it for each certificate in its
//! `rootcertbundle`. Distribution 3 has another scheme (RFC 7638).

use data_encoding::BASE32_NOPAD;
use ring::digest::{SHA256, digest};

/// The ID of the key with this `SubjectPublicKeyInfo` (DER): 12 groups of four characters
/// (docker/libtrust, `util.go`). Equals the `kid` in GitLab's tokens.
pub fn libtrust_id(spki_der: &[u8]) -> String {
    id_of_digest(digest(&SHA256, spki_der).as_ref())
}

/// The same for the SHA-256 of the `SubjectPublicKeyInfo`: its first 240 bits in Base32 (RFC 4648),
/// in groups of four characters.
pub(crate) fn id_of_digest(spki_digest: &[u8]) -> String {
    let mut id = String::with_capacity(59);
    let start = &spki_digest[..spki_digest.len().min(30)];
    for (index, digit) in BASE32_NOPAD.encode(start).chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            id.push(':');
        }
        id.push(digit);
    }
    id
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn key_ids_are_twelve_groups_of_four() {
        assert_eq!(id_of_digest(&[0_u8; 32]), ["AAAA"; 12].join(":"));
        assert_eq!(id_of_digest(&[0xff; 32]), ["7777"; 12].join(":"));
    }

    #[test]
    fn the_whole_structure_is_hashed() {
        // printf '' | openssl dgst -sha256 -binary | head -c 30 | base32
        let of_nothing = "4OYM:IQUY:7QOB:JGX3:6TEJ:S35Z:EQT2:4QPE:MSNZ:GTFE:SWMR:W6CS";
        assert_eq!(libtrust_id(b""), of_nothing);
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_id_of_one_length(bytes: Vec<u8>) {
            prop_assert_eq!(libtrust_id(&bytes).len(), 59);
            let _ = id_of_digest(&bytes);
        }
    }
}
