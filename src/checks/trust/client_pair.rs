//! A client's certificate and key in a folder of `certs.d`, of which Docker wants both or none.

use camino::Utf8Path;

use crate::checks::tls::key_pair::reader::Reader;
use crate::host::files::{File, ReadFile};
use crate::host::{Host, Unknown};
use crate::parse::pem::PemFile;

/// What a folder lacks so that Docker fails, in Docker's words, and the file that lacks it.
pub(super) fn incomplete_pair(names: &[&str]) -> Option<(String, String)> {
    let (name, partner) = unpaired(names)?;
    let words = if name.strip_suffix(".cert").is_some() {
        format!(
            "missing key {partner} for client certificate {name}. CA certificates must use the \
             extension .crt"
        )
    } else {
        format!("missing client certificate {partner} for key {name}")
    };
    Some((words, name))
}

/// Half of a client's pair, and the name of the half that is missing. Docker goes by the order of
/// names, and stops at the first.
pub(super) fn unpaired(names: &[&str]) -> Option<(String, String)> {
    names.iter().find_map(|name| {
        let partner = match (name.strip_suffix(".cert"), name.strip_suffix(".key")) {
            (Some(stem), _) => format!("{stem}.key"),
            (None, Some(stem)) => format!("{stem}.cert"),
            (None, None) => return None,
        };
        (!names.contains(&partner.as_str())).then(|| ((*name).to_owned(), partner))
    })
}

/// The first certificate, in Docker's order, that does not go with the key beside it: its stem, and
/// the words in which Go refuses the pair. What cannot be looked at is left to who can.
pub(super) async fn mismatched(
    host: &Host,
    folder: &Utf8Path,
    names: &[&str],
) -> Result<Option<(String, &'static str)>, Unknown> {
    for name in names {
        let Some(stem) = name.strip_suffix(".cert") else { continue };
        let key = format!("{stem}.key");
        if !names.contains(&key.as_str()) {
            continue;
        }
        let certificate = host.ask(ReadFile::<PemFile>::at(folder.join(name))).await?;
        let key = host.ask(ReadFile::<PemFile>::at(folder.join(key))).await?;
        let (File::Read(certificate), File::Read(key)) = (certificate, key) else { continue };
        if let Some(words) = refusal(&certificate, &key) {
            return Ok(Some((stem.to_owned(), words)));
        }
    }
    Ok(None)
}

/// What Go's `tls.LoadX509KeyPair` says of the two files, if it refuses them.
fn refusal(certificate: &PemFile, key: &PemFile) -> Option<&'static str> {
    let Ok(certificates) = Reader::Go.certificates(certificate) else {
        return Some("tls: failed to find any PEM data in certificate input");
    };
    let Ok(keys) = Reader::Go.key(key) else { return Some("tls: failed to parse private key") };
    // A key whose public half is not told is not judged.
    let (own, other) = (&certificates.found.first()?.public, keys.first.public.as_ref()?);
    (!own.is_same_key_as(other)).then_some("tls: private key does not match public key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::pem;

    fn pair() -> (PemFile, PemFile) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (pem::read(certificate.pem().as_bytes()), pem::read(key.serialize_pem().as_bytes()))
    }

    #[test]
    fn a_certificate_goes_with_its_own_key_alone() {
        let ((certificate, key), (other, _)) = (pair(), pair());
        assert_eq!(refusal(&certificate, &key), None);
        assert_eq!(refusal(&other, &key), Some("tls: private key does not match public key"));
        assert!(refusal(&key, &key).is_some() && refusal(&certificate, &certificate).is_some());
    }
}
