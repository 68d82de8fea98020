//! Other files in the folders of a pair: the certificate or key that is missed often lies beside
//! the one that is in use, under another name.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use futures::future::join_all;

use super::usage::{Half, Usage};
use crate::host::Host;
use crate::host::files::{Directory, File, Kind, ReadFile};
use crate::host::system::System;
use crate::parse::key::{self, PublicKey};
use crate::parse::pem::PemFile;

/// More than any folder of one server's own certificates has.
const MOST: usize = 32;

/// What lies near a pair.
#[derive(Debug, Default)]
pub(super) struct Nearby {
    files: Vec<Other>,
    /// Those files of the pair that are links.
    links: BTreeSet<Utf8PathBuf>,
    /// What this host calls itself, which tells a wrong name from a right one.
    pub(super) own_name: Option<String>,
}

/// A file that is not part of the pair.
#[derive(Debug)]
struct Other {
    path: Utf8PathBuf,
    /// The public key of the first certificate in it.
    certificate: Option<PublicKey>,
    /// The public half of the first private key in it.
    key: Option<PublicKey>,
}

/// Looks around. What cannot be looked at is not there: this only serves better advice.
pub(super) async fn nearby(host: &Host, usage: &Usage) -> Nearby {
    let own = [usage.path(Half::Certificate), usage.path(Half::Key)];
    let folders: BTreeSet<_> = own.iter().filter_map(|path| path.parent()).collect();
    let mut paths = Vec::new();
    let mut links = BTreeSet::new();
    for folder in folders {
        let Ok(listing) = host.ask(Directory::at(folder)).await else { continue };
        let entries = listing.entries().iter();
        let linked = entries.clone().filter(|it| it.kind == Kind::Link);
        let linked = linked.map(|it| folder.join(&it.name));
        links.extend(linked.filter(|path| own.contains(&path.as_path())));
        let files = entries.filter(|it| matches!(it.kind, Kind::File | Kind::Link));
        let files = files.filter(|it| is_of_interest(&it.name)).map(|it| folder.join(&it.name));
        paths.extend(files.filter(|path| !own.contains(&path.as_path())).take(MOST));
    }
    let read = paths.into_iter().map(async |path| {
        let file = host.ask(ReadFile::<PemFile>::at(path.clone())).await;
        match file {
            Ok(File::Read(file)) => Some(Other::new(path, &file)),
            _ => None,
        }
    });
    let files = join_all(read).await.into_iter().flatten().collect();
    let own_name = host.ask(System).await.ok().map(|system| system.name);
    Nearby { files, links, own_name }
}

/// `host.crt`, but also `host.key.old` and `host.pem-2025`.
fn is_of_interest(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".crt", ".cer", ".pem", ".key", ".chain"].iter().any(|ending| name.contains(ending))
}

impl Nearby {
    #[cfg(test)]
    pub(super) fn of(files: Vec<(&str, PemFile)>) -> Self {
        let files = files.into_iter().map(|(path, file)| Other::new(path.into(), &file));
        Self { files: files.collect(), ..Self::default() }
    }

    #[cfg(test)]
    pub(super) fn with_link(mut self, path: &str) -> Self {
        self.links.insert(path.into());
        self
    }

    /// Whether a file of the pair is a link. One that is not there, but a link, leads nowhere.
    pub(super) fn is_link(&self, path: &Utf8Path) -> bool {
        self.links.contains(path)
    }

    /// The file with the private key of this public one.
    pub(super) fn key_of(&self, public: &PublicKey) -> Option<&Utf8Path> {
        let fits = |other: &&Other| is_same(other.key.as_ref(), public);
        self.files.iter().find(fits).map(|other| other.path.as_path())
    }

    /// The file with a certificate for this public key.
    pub(super) fn certificate_of(&self, public: &PublicKey) -> Option<&Utf8Path> {
        let fits = |other: &&Other| is_same(other.certificate.as_ref(), public);
        self.files.iter().find(fits).map(|other| other.path.as_path())
    }

    /// Whole pairs: a certificate and the file with its key.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&Utf8Path, &Utf8Path)> {
        self.files.iter().filter_map(|other| {
            let public = other.certificate.as_ref()?;
            Some((other.path.as_path(), self.key_of(public)?))
        })
    }
}

impl Other {
    fn new(path: Utf8PathBuf, file: &PemFile) -> Self {
        let certificate = file.certificates().next();
        Self {
            path,
            certificate: certificate.and_then(|der| key::of_certificate(der.as_ref()).ok()),
            key: file.private_keys().next().and_then(|key| key.public.clone()),
        }
    }
}

fn is_same(one: Option<&PublicKey>, other: &PublicKey) -> bool {
    one.is_some_and(|one| one.is_same_key_as(other))
}
