//! Trust stores: files as each client reads them.
//!
//! A file that is right for one client is empty to another one, and none of them says so where
//! users look. So reading answers three things: the certificates that the client's library takes
//! from the file, the error if it refuses the file as a whole, and notes in plain words on
//! everything in the file that this client does not see.

mod file;
mod notes;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cert::Cert;
use super::profile::Profile;
use super::{Client, Der};

pub use file::{StoreFile, read, served};
pub use notes::Note;

/// All certificates that a client trusts, and which file each of them came from.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    files: Vec<String>,
    anchors: Vec<(Cert, usize)>,
    by_subject: BTreeMap<Vec<u8>, Vec<usize>>,
    by_der: BTreeMap<Vec<u8>, usize>,
    /// What it holds besides, behind all that is added to it.
    base: Option<Arc<Store>>,
    /// Files that were refused: name, error, reason.
    refused: Vec<(String, String, String)>,
}

impl Store {
    /// An empty store for a client: it trusts nothing.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            files: Vec::new(),
            anchors: Vec::new(),
            by_subject: BTreeMap::new(),
            by_der: BTreeMap::new(),
            base: None,
            refused: Vec::new(),
        }
    }

    /// A store that holds what another one of its client holds, read once for many, behind what is
    /// added to it.
    pub fn on(base: &Arc<Self>) -> Self {
        Self { base: Some(Arc::clone(base)), ..Self::new(base.client) }
    }

    /// Whose store it is.
    pub fn client(&self) -> Client {
        self.client
    }

    /// How many certificates it holds.
    pub fn len(&self) -> usize {
        let behind = |base: &Arc<Self>| {
            base.len() - base.by_der.keys().filter(|der| self.by_der.contains_key(*der)).count()
        };
        self.anchors.len() + self.base.as_ref().map_or(0, behind)
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty() && self.base.as_ref().is_none_or(|base| base.is_empty())
    }

    /// Adds what the client reads from a file, and answers what that was.
    pub fn add_file(&mut self, name: &str, bytes: &[u8]) -> StoreFile {
        let file = read(self.client, bytes);
        if let Some(refusal) = &file.refusal {
            let why = file.notes.first().map_or_else(|| refusal.clone(), |note| note.text.clone());
            self.refused.push((name.to_owned(), refusal.clone(), why));
        }
        self.add_all(name, file.read.clone());
        file
    }

    /// Adds certificates that are already taken from their file, as those of a directory of
    /// hash links. What the client's library cannot read is left out.
    pub fn add_certificates(&mut self, name: &str, certificates: &[Der]) {
        let library = Profile::of(self.client).library;
        let read = certificates.iter().filter_map(|der| Cert::read(der, library).ok()).collect();
        self.add_all(name, read);
    }

    fn add_all(&mut self, name: &str, certs: Vec<Cert>) {
        let file = self.files.len();
        self.files.push(name.to_owned());
        for cert in certs {
            let index = self.anchors.len();
            // Both libraries drop what they have already.
            if self.by_der.contains_key(&cert.fields.der) {
                continue;
            }
            self.by_der.insert(cert.fields.der.clone(), index);
            self.by_subject.entry(cert.subject.clone()).or_default().push(index);
            self.anchors.push((cert, file));
        }
    }

    /// The refusal that leaves the client without any certificate.
    pub(super) fn refusal(&self) -> Option<&(String, String, String)> {
        let in_base = || self.base.as_ref()?.refused.first();
        self.refused.first().or_else(in_base).filter(|_| self.is_empty())
    }

    /// The certificates with a subject in the client's comparable form, in their order.
    pub(super) fn with_subject(&self, subject: &[u8]) -> Vec<&Cert> {
        let indices = self.by_subject.get(subject).map(Vec::as_slice).unwrap_or_default();
        let own = indices.iter().filter_map(|&index| Some(&self.anchors.get(index)?.0));
        let behind = self.base.iter().flat_map(|base| base.with_subject(subject));
        own.chain(behind.filter(|cert| !self.by_der.contains_key(&cert.fields.der))).collect()
    }

    /// The same certificate, if it is in the store.
    pub(super) fn twin(&self, cert: &Cert) -> Option<&Cert> {
        self.anchor(cert).map(|(cert, _)| cert)
    }

    /// The file that a certificate of the store came from.
    pub(super) fn file_of(&self, cert: &Cert) -> Option<&str> {
        self.anchor(cert).map(|(_, file)| file)
    }

    fn anchor(&self, cert: &Cert) -> Option<(&Cert, &str)> {
        let Some(index) = self.by_der.get(&cert.fields.der) else {
            return self.base.as_ref()?.anchor(cert);
        };
        let (cert, file) = self.anchors.get(*index)?;
        Some((cert, self.files.get(*file)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::pem;
    use crate::trust::profile::Library;
    use rcgen::{CertificateParams, KeyPair};

    fn pem() -> String {
        let params = CertificateParams::new(vec!["git.test".to_owned()]).unwrap();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn what_is_shared_lies_behind_what_is_added() {
        let (shared, own) = (pem(), pem());
        let mut base = Store::new(Client::Go);
        base.add_file("shared.crt", shared.as_bytes());
        let mut store = Store::on(&Arc::new(base));
        store.add_file("own.crt", format!("{own}{shared}").as_bytes());
        assert_eq!(store.len(), 2);
        let cert =
            |text: &str| Cert::read(&pem::go(text.as_bytes())[0].bytes, Library::Go).unwrap();
        assert_eq!(store.file_of(&cert(&own)), Some("own.crt"));
        assert_eq!(store.file_of(&cert(&shared)), Some("own.crt"));
        assert!(store.twin(&cert(&pem())).is_none());
        // Both have rcgen's own subject.
        assert_eq!(store.with_subject(&cert(&own).subject).len(), 2);
    }

    #[test]
    fn each_certificate_counts_once_and_knows_its_file() {
        let pem = pem();
        let mut store = Store::new(Client::Go);
        store.add_file("first.crt", pem.as_bytes());
        store.add_file("second.crt", pem.as_bytes());
        assert_eq!(store.len(), 1);
        let cert = store.anchors[0].0.clone();
        assert_eq!(store.file_of(&cert), Some("first.crt"));
    }
}
