//! Certificates: the guide's by the guide's own command, all others by rcgen, which can make any
//! date, name or fault.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::lab::PATH;

/// A certificate and its key, as files that a server can be given.
#[derive(Clone)]
pub(crate) struct Certificate {
    /// The chain as served: the leaf, then what is between it and the root.
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// The chain's text.
    pub(crate) fn pem(&self) -> String {
        fs::read_to_string(&self.chain).unwrap()
    }

    /// The key's text.
    pub(crate) fn key_pem(&self) -> String {
        fs::read_to_string(&self.key).unwrap()
    }

    /// The same without what is between it and the root.
    pub(crate) fn first_only(&self, dir: &Path) -> Self {
        let chain = self.pem();
        let end = "-----END CERTIFICATE-----\n";
        let leaf = chain.split_inclusive(end).next().unwrap();
        Self::write(dir, leaf, &self.key_pem())
    }

    /// A chain that is put together otherwise than it was issued.
    pub(crate) fn of(dir: &Path, chain: &str, key: &str) -> Self {
        Self::write(dir, chain, key)
    }

    fn write(dir: &Path, chain: &str, key: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("pki-").tempdir_in(dir).unwrap().keep();
        let this = Self { chain: dir.join("chain.crt"), key: dir.join("server.key") };
        fs::write(&this.chain, chain).unwrap();
        fs::write(&this.key, key).unwrap();
        this
    }
}

/// What the guide's command makes when its questions are answered with the host's name only: no
/// subject alternative name, and its own CA.
pub(crate) fn by_the_guide(dir: &Path, host: &str) -> Certificate {
    openssl(dir, &["-subj", &format!("/CN={host}")])
}

/// The guide's command with the name put where clients look for it: the smallest mend.
pub(crate) fn self_signed(dir: &Path, host: &str) -> Certificate {
    let name = format!("subjectAltName=DNS:{host}");
    openssl(dir, &["-subj", &format!("/CN={host}"), "-addext", &name])
}

fn openssl(dir: &Path, more: &[&str]) -> Certificate {
    let files = Certificate::write(dir, "", "");
    let output = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "365", "-newkey", "rsa:2048"])
        .arg("-keyout")
        .arg(&files.key)
        .arg("-out")
        .arg(&files.chain)
        .args(more)
        .env_clear()
        .env("PATH", PATH)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    files
}

/// A certificate authority, root or subordinate.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// What a server has to send along: every authority from this one up to, but not including,
    /// the root.
    between: String,
}

impl Authority {
    /// A root, valid for centuries.
    pub(crate) fn root(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let parameters = authority(name);
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(parameters, key), between: String::new() }
    }

    /// An authority below this one.
    pub(crate) fn subordinate(&self, name: &str) -> Self {
        self.subordinate_from(name, &|_| ())
    }

    /// The same with a fault in it.
    pub(crate) fn subordinate_from(
        &self,
        name: &str,
        change: &dyn Fn(&mut CertificateParams),
    ) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = authority(name);
        change(&mut parameters);
        let pem = parameters.signed_by(&key, &self.issuer).unwrap().pem();
        let between = format!("{pem}{}", self.between);
        Self { pem, issuer: Issuer::new(parameters, key), between }
    }

    /// The authority's own certificate, for trust stores.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A server certificate with everything that clients want, for these DNS names or addresses.
    pub(crate) fn issue(&self, dir: &Path, names: &[&str]) -> Certificate {
        self.issue_from(dir, &server(names))
    }

    /// A certificate from parameters with a fault in them; start from [`server`].
    pub(crate) fn issue_from(&self, dir: &Path, parameters: &CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let leaf = parameters.signed_by(&key, &self.issuer).unwrap().pem();
        Certificate::write(dir, &format!("{leaf}{}", self.between), &key.serialize_pem())
    }
}

/// The parameters of a faultless server certificate.
pub(crate) fn server(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut parameters = CertificateParams::new(names.clone()).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, names[0].clone());
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    parameters.use_authority_key_identifier_extension = true;
    parameters
}

fn authority(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

/// A certificate in DER.
pub(crate) fn in_der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    data_encoding::BASE64.decode(body.as_bytes()).unwrap()
}

/// A text as Windows' editor saves it under the name Unicode.
pub(crate) fn utf16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}
