//! Question: which certificates do clients read from a file that they are told to trust?
//!
//! Go and OpenSSL read the same bytes differently, and a recording must not hold the bytes: there
//! may be a private key among them. So the answer is what each library takes from the file.

use serde::{Deserialize, Serialize};

use super::Format;
use crate::host::spelling::base64_list;
use crate::parse::Malformed;
use crate::trust::{Client, Der, store};

/// A file as each library reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustFile {
    /// Every certificate that at least one library takes, in their order.
    #[serde(with = "base64_list")]
    pub certificates: Vec<Der>,
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
        file.go = file.reading(Client::Go, content);
        file.openssl = file.reading(Client::OpenSsl, content);
        file
    }

    /// The certificates that Go takes.
    pub fn for_go(&self) -> Vec<Der> {
        let taken = self.go.taken.iter();
        taken.filter_map(|&number| self.certificates.get(number).cloned()).collect()
    }

    fn reading(&mut self, client: Client, content: &[u8]) -> Reading {
        let read = store::read(client, content);
        let mut taken = Vec::with_capacity(read.certificates.len());
        // Both libraries read the same certificates in the same order but for a few, so the next
        // one is nearly always at the next place.
        let mut expected = 0;
        for der in read.certificates {
            let at = match self.certificates.get(expected) {
                Some(next) if *next == der => expected,
                _ => match self.certificates.iter().position(|known| *known == der) {
                    Some(known) => known,
                    None => {
                        self.certificates.push(der);
                        self.certificates.len() - 1
                    }
                },
            };
            taken.push(at);
            expected = at + 1;
        }
        let notes = read.notes.into_iter().map(|note| (note.code.to_owned(), note.text)).collect();
        Reading { taken, refusal: read.refusal, notes }
    }
}
