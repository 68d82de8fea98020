//! Question: which certificates do clients read from a file that they are told to trust?
//!
//! Go and OpenSSL read the same bytes differently, and a recording must not hold the bytes: there
//! may be a private key among them. So the answer is what each library takes from the file, and
//! what somebody with more patience than either would find in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Format;
use crate::host::spelling::base64_list;
use crate::parse::Malformed;
use crate::parse::pem::{self, Body};
use crate::trust::{Client, Der, store};

/// A file as each library reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustFile {
    /// Every certificate that at least one library takes, in their order.
    #[serde(with = "base64_list")]
    pub certificates: Vec<Der>,
    /// Certificates that neither library takes, because of the form in which they stand there.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "base64_list")]
    pub latent: Vec<Der>,
    /// Whether a private key lies in it, which every reader of the file can take.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private_key: bool,
    /// What Go takes.
    pub go: Reading,
    /// What OpenSSL takes.
    pub openssl: Reading,
}

/// What one library takes from a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The numbers of the certificates that it takes, from 0.
    pub taken: Vec<usize>,
    /// Its error, if it refuses the whole file.
    pub refusal: Option<String>,
    /// What it does not see and why: a stable code, and a sentence to follow "the file".
    pub notes: Vec<(String, String)>,
}

/// The certificates that are known already, and their numbers.
type Numbers = BTreeMap<Der, usize>;

impl Format for TrustFile {
    const KIND: &'static str = "trust-file";

    /// 10,000 certificates take about 20 MiB.
    const LIMIT: u64 = 64 << 20;

    fn parse(content: &[u8]) -> Result<Self, Malformed> {
        Ok(Self::of(content))
    }
}

impl TrustFile {
    /// Reads a file as each library does.
    pub fn of(content: &[u8]) -> Self {
        let mut file = Self::default();
        let mut numbers = Numbers::new();
        file.go = file.reading(Client::Go, content, &mut numbers);
        file.openssl = file.reading(Client::OpenSsl, content, &mut numbers);
        file.look_closer(content);
        file
    }

    /// Every certificate that stands in the file, whether or not a library takes it.
    pub fn all(&self) -> impl Iterator<Item = &Der> {
        self.certificates.iter().chain(&self.latent)
    }

    /// Finds what no library sees. A file that both read to the same end has nothing more.
    fn look_closer(&mut self, content: &[u8]) {
        let odd = |reading: &Reading| reading.refusal.is_some() || !reading.notes.is_empty();
        if !odd(&self.go) && !odd(&self.openssl) {
            return;
        }
        let text = from_utf16(content);
        let file = pem::read(text.as_deref().unwrap_or(content));
        self.private_key = file.has_private_key();
        let trusted = file.blocks.iter().filter_map(|block| match &block.body {
            Body::TrustedCertificate { der } => Some(der),
            _ => None,
        });
        let known: BTreeSet<&Der> = self.certificates.iter().collect();
        let found = file.certificates().chain(trusted).map(|der| der.as_ref().to_vec());
        self.latent = found.filter(|der| !known.contains(der)).collect();
    }

    /// The certificates that Go takes.
    pub fn for_go(&self) -> Vec<Der> {
        self.taken(&self.go)
    }

    /// The certificates that OpenSSL takes.
    pub fn for_openssl(&self) -> Vec<Der> {
        self.taken(&self.openssl)
    }

    fn taken(&self, reading: &Reading) -> Vec<Der> {
        let taken = reading.taken.iter();
        taken.filter_map(|&number| self.certificates.get(number).cloned()).collect()
    }

    fn reading(&mut self, client: Client, content: &[u8], numbers: &mut Numbers) -> Reading {
        let read = store::read(client, content);
        let mut taken = Vec::with_capacity(read.certificates.len());
        for der in read.certificates {
            let number = *numbers.entry(der).or_insert_with_key(|der| {
                self.certificates.push(der.clone());
                self.certificates.len() - 1
            });
            taken.push(number);
        }
        let notes = read.notes.into_iter().map(|note| (note.code.to_owned(), note.text)).collect();
        Reading { taken, refusal: read.refusal, notes }
    }
}

/// The text of a file that some editor saved as UTF-16, in UTF-8.
fn from_utf16(content: &[u8]) -> Option<Vec<u8>> {
    let (mark, rest) = content.split_at_checked(2)?;
    let read: fn([u8; 2]) -> u16 = match mark {
        [0xff, 0xfe] => u16::from_le_bytes,
        [0xfe, 0xff] => u16::from_be_bytes,
        _ => return None,
    };
    let units = rest.chunks_exact(2).map(|unit| read([unit[0], unit[1]]));
    let text = char::decode_utf16(units).map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER));
    Some(text.collect::<String>().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root made for these tests: EC P-256, subject CN=r.
    const ROOT: &str = include_str!("trust_file/root.pem");

    fn utf16(text: &str) -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn what_libraries_read_is_not_looked_for_again() {
        let file = TrustFile::of(ROOT.as_bytes());
        assert_eq!((file.for_go().len(), file.latent.len()), (1, 0));
        assert!(!file.private_key);
    }

    #[test]
    fn certificates_are_found_in_forms_that_no_library_takes() {
        let root = TrustFile::of(ROOT.as_bytes()).for_go().remove(0);
        let indented = ROOT.replace('\n', "\n  ");
        let forms = [root.clone(), utf16(ROOT), format!("  {indented}").into_bytes()];
        for content in forms {
            let file = TrustFile::of(&content);
            assert_eq!((file.for_go().len(), &file.latent), (0, &vec![root.clone()]));
        }
        let marked = TrustFile::of(&[b"\xef\xbb\xbf", ROOT.as_bytes()].concat());
        assert_eq!((marked.for_go().len(), marked.all().count()), (0, 1));
    }

    #[test]
    fn keys_are_told_and_not_kept() {
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let file = TrustFile::of(format!("{ROOT}{key}").as_bytes());
        assert!(file.private_key && file.for_go().len() == 1);
        assert!(!serde_json::to_string(&file).unwrap().contains("c2VjcmV0"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_can_be_read(content: Vec<u8>) {
            TrustFile::of(&content);
        }
    }
}
