//! The files that somebody added to the system's store, and whether they came into it.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::family::Family;
use crate::checks::shell::word;
use crate::checks::trust::client::Unread;
use crate::checks::trust::mend::rewrite;
use crate::checks::trust::tell::stable;
use crate::checks::{Finding, Remedy};
use crate::host::files::{Directory, File, Kind, ReadFile, TrustFile, TrustedFiles};
use crate::host::{Host, Unknown};
use crate::parse::certificate::Certificate;
use crate::trust::Der;

/// More files, or folders, than anybody adds by hand.
const MOST: usize = 200;

/// Endings by which people put a file out of use.
const OUT_OF_USE: [&str; 8] = [".old", ".bak", ".orig", ".save", ".disabled", ".off", "~", ".swp"];

/// The code of a file that spoils the whole bundle.
pub(super) const BREAKS: &str = "breaks-the-bundle";

/// A file in the folder from which the store is filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::checks::trust) struct Added {
    /// Absolute.
    pub(in crate::checks::trust) path: Utf8PathBuf,
    /// Its content; `None` for a link that leads nowhere.
    pub(in crate::checks::trust) file: Option<TrustFile>,
}

impl Added {
    fn certificates(&self) -> impl Iterator<Item = &Der> {
        self.file.iter().flat_map(TrustFile::all)
    }

    /// Whether it has a certificate of the same name as one of a chain, or as its issuer: somebody
    /// meant it for that chain.
    pub(super) fn is_meant_for(&self, chain: &[Der]) -> bool {
        let read = |der: &Der| Certificate::from_der(der).ok();
        let names: Vec<String> =
            chain.iter().filter_map(read).flat_map(|it| [it.subject, it.issuer]).collect();
        self.certificates().filter_map(read).any(|it| names.contains(&it.subject))
    }
}

/// The files of the folder, and on Debian those of the folders in it.
pub(super) async fn added(host: &Host, family: Family) -> Result<Vec<Added>, Unknown> {
    let mut folders = vec![Utf8PathBuf::from(family.drop_in())];
    let mut files = Vec::new();
    let mut at = 0;
    while let Some(folder) = folders.get(at).cloned() {
        at += 1;
        let listing = host.ask(Directory::at(folder.clone())).await?;
        for entry in listing.entries() {
            let path = folder.join(&entry.name);
            match entry.kind {
                Kind::Directory if family.copies_files() => folders.push(path),
                Kind::File | Kind::Link => files.push(path),
                _ => {}
            }
        }
        if folders.len().max(files.len()) > MOST {
            let why = format!("{}: it holds more than {MOST} files or folders", family.drop_in());
            return Err(Unknown::Unreadable(why));
        }
    }
    let mut added = Vec::new();
    for path in files {
        match host.ask(ReadFile::<TrustFile>::at(path.clone())).await? {
            File::Read(file) => added.push(Added { path, file: Some(file) }),
            File::Missing => added.push(Added { path, file: None }),
            // Neither takes anything else, and nobody has so many certificates in one file.
            _ => {}
        }
    }
    Ok(added)
}

/// What the store holds, held against the files.
pub(super) struct Held<'a> {
    family: Family,
    go: BTreeSet<&'a Der>,
    /// `None` where OpenSSL reads nothing of the bundle, which is told of the bundle.
    openssl: Option<BTreeSet<Der>>,
    private_key: bool,
}

/// What is wrong with an added file.
pub(super) struct Fault {
    pub(super) finding: Finding,
    /// What the store would hold besides, were the file in order.
    pub(super) lacking: Vec<Der>,
    /// Whether it does harm, even if nothing needs it.
    pub(super) harmful: bool,
}

impl<'a> Held<'a> {
    pub(super) fn new(family: Family, system: &'a TrustedFiles) -> Self {
        let refused = system.bundle.as_ref().is_some_and(|bundle| bundle.refusal.is_some());
        Self {
            family,
            go: system.files.iter().flat_map(|file| &file.certificates).collect(),
            openssl: (!refused).then(|| system.for_openssl().into_iter().collect()),
            private_key: system.bundle.as_ref().is_some_and(|bundle| bundle.private_key),
        }
    }

    /// Whether all of a file's certificates are in the store, for everybody.
    pub(super) fn holds(&self, file: &TrustFile) -> bool {
        let in_openssl = |der| self.openssl.as_ref().is_none_or(|held| held.contains(der));
        file.all().all(|der| self.go.contains(der) && in_openssl(der))
    }

    /// What is wrong with a file, the worst first.
    pub(super) fn judge(&self, added: &Added) -> Option<Fault> {
        let name = added.path.file_name().unwrap_or_default();
        if OUT_OF_USE.iter().any(|ending| name.ends_with(ending)) {
            return None;
        }
        let taken = !self.family.copies_files() || name.ends_with(".crt");
        let Some(file) = &added.file else {
            return taken.then(|| self.dangling(&added.path));
        };
        if file.private_key && taken {
            return Some(self.private_key(&added.path));
        }
        if self.family.copies_files() && taken && breaks(file) {
            return Some(self.breaks(&added.path, file));
        }
        if file.all().next().is_none() || self.holds(file) {
            return None;
        }
        let path = &added.path;
        let finding = match (taken, self.unread(path, file)) {
            (false, _) => self.not_read(path, file),
            (true, Some(unread)) => self.malformed(&unread, !file.openssl.taken.is_empty()),
            (true, None) => self.not_updated(path, file),
        };
        let lacking = file.all().cloned().collect();
        Some(Fault { finding, lacking, harmful: false })
    }

    /// Why Go does not see what stands in a file that is copied as it is.
    fn unread(&self, path: &Utf8Path, file: &TrustFile) -> Option<Unread> {
        if !self.family.copies_files() {
            return None;
        }
        let harmless = ["private-key", "crl"];
        let mut notes = file.go.notes.iter();
        let (code, text) = notes.find(|(code, _)| !harmless.contains(&code.as_str()))?;
        Some(Unread {
            path: path.to_owned(),
            code: code.clone(),
            text: text.clone(),
            count: file.all().count(),
            proven: false,
        })
    }

    /// The command that fills the store, after others.
    fn then_update(&self, commands: impl IntoIterator<Item = String>) -> Vec<String> {
        commands.into_iter().chain([self.family.command().to_owned()]).collect()
    }

    fn dangling(&self, path: &Utf8Path) -> Fault {
        let finding = Finding::warning(
            "dangling-link",
            path.as_str(),
            "it is a link that leads nowhere, so no certificate comes into the store",
        )
        .remedy(
            "Put the certificate itself there, or remove the link.",
            self.then_update([format!("sudo rm {}", word(path.as_str()))]),
        );
        Fault { finding, lacking: Vec::new(), harmful: false }
    }

    fn private_key(&self, path: &Utf8Path) -> Fault {
        let file = word(path.as_str());
        let update = self.family.update();
        let (code, what) = match (self.family.copies_files(), self.private_key) {
            (true, true) => (
                "private-key-in-store",
                format!("{update} has copied it into the bundle, which everybody can read"),
            ),
            (true, false) => (
                "private-key-in-store",
                format!("{update} copies it into the bundle, which everybody can read"),
            ),
            (false, _) => {
                ("private-key-beside-ca", "only certificates are read from it".to_owned())
            }
        };
        let finding = Finding::error(code, path.as_str(), format!("it holds a private key, and {what}"))
                .remedy(
                "Take the key out, and then replace the key and its certificate wherever they are in \
                 use: others may have it.",
                self.then_update([format!(
                    "sudo sed -i '/-----BEGIN .*PRIVATE KEY-----/,/-----END .*PRIVATE KEY-----/d' {file}"
                )]),
            );
        Fault { finding, lacking: Vec::new(), harmful: true }
    }

    fn breaks(&self, path: &Utf8Path, file: &TrustFile) -> Fault {
        let reason = file.openssl.notes.first().map_or("it is broken", |(_, text)| text.as_str());
        let (from, to) = (word(path.as_str()), word(&format!("{path}.broken")));
        let finding = Finding::error(
            BREAKS,
            path.as_str(),
            format!(
                "{} copies it into the bundle, where its broken block makes curl and git refuse the \
                 whole bundle, or lose the certificate that follows: the file {reason}",
                self.family.update()
            ),
        )
        .remedy(
            "Move it out of the way; then put the certificate there anew.",
            self.then_update([format!("sudo mv {from} {to}")]),
        );
        Fault { finding, lacking: Vec::new(), harmful: true }
    }

    /// The name keeps it out of the store.
    fn not_read(&self, path: &Utf8Path, file: &TrustFile) -> Finding {
        let target = renamed(path);
        let (from, to) = (word(path.as_str()), word(target.as_str()));
        let message = format!("{} reads only files whose names end in .crt", self.family.update());
        let finding = Finding::error("ending-not-read", path.as_str(), message);
        if file.go.taken.is_empty() && !file.latent.is_empty() && is_der(file) {
            return finding.remedy(
                "Convert it from DER to PEM, under a name that is read.",
                self.then_update([
                    format!("sudo openssl x509 -inform DER -in {from} -out {to}"),
                    format!("sudo rm {from}"),
                ]),
            );
        }
        finding.remedy("Rename it.", self.then_update([format!("sudo mv {from} {to}")]))
    }

    /// It comes into the store in a form that not everybody reads.
    fn malformed(&self, unread: &Unread, openssl_reads: bool) -> Finding {
        let path = unread.path.as_str();
        let nobody =
            if openssl_reads { "programs written in Go do not see" } else { "nobody sees" };
        let message = format!(
            "{} copies it into the bundle as it is, where {nobody} its certificate: the file {}",
            self.family.update(),
            unread.text
        );
        let code = stable(&unread.code);
        let finding = Finding::error(code, path, message);
        let Some(Remedy { advice, commands }) = rewrite(unread) else {
            return finding.remedy(
                "Put one certificate in PEM there.",
                self.then_update([format!("openssl x509 -noout -subject -in {}", word(path))]),
            );
        };
        finding.remedy(advice, self.then_update(commands))
    }

    /// It is in order, and not in the store.
    fn not_updated(&self, path: &Utf8Path, file: &TrustFile) -> Finding {
        let update = self.family.update();
        let finding = Finding::error(
            "not-updated",
            path.as_str(),
            format!("its certificate is not in the store: {update} has not run since it came here"),
        );
        let only_leaf = file.all().all(|der| Certificate::from_der(der).is_ok_and(|it| !it.is_ca));
        let advice = if only_leaf && !self.family.copies_files() {
            format!(
                "Run {update}. If the certificate is still not in the store, that is because it says \
                 that it is no CA's: put the certificate of its CA there, or have it made anew with \
                 CA:TRUE."
            )
        } else {
            format!("Run {update}.")
        };
        finding.remedy(advice, self.then_update([]))
    }
}

/// Whether OpenSSL refuses a file of which one block is broken, and so the bundle with it. A file
/// without any block is only useless.
fn breaks(file: &TrustFile) -> bool {
    file.openssl.refusal.as_ref().is_some_and(|words| words != "no certificate or crl found")
}

fn is_der(file: &TrustFile) -> bool {
    file.go.notes.iter().any(|(code, _)| code == "der")
}

/// The same name with the ending that is read.
fn renamed(path: &Utf8Path) -> Utf8PathBuf {
    let known = ["pem", "cer", "cert", "der", "txt", "crt"];
    let mut stem = path.to_owned();
    while stem.extension().is_some_and(|it| known.contains(&it.to_ascii_lowercase().as_str())) {
        stem.set_extension("");
    }
    Utf8PathBuf::from(format!("{stem}.crt"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files::{Bundle, TrustedFile};

    const ROOT: &str = include_str!("../../../host/files/trust_file/root.pem");

    /// A store that holds the root, or nothing.
    fn store(holds: bool) -> TrustedFiles {
        let certificates = TrustFile::of(ROOT.as_bytes()).for_go();
        let path = Utf8PathBuf::from("/bundle");
        let certificates = if holds { certificates } else { Vec::new() };
        TrustedFiles {
            files: vec![TrustedFile { path: path.clone(), certificates }],
            bundle: Some(Bundle { path, ..Bundle::default() }),
            ..TrustedFiles::default()
        }
    }

    fn code(family: Family, holds: bool, name: &str, content: &str) -> Option<&'static str> {
        let system = store(holds);
        let file = Some(TrustFile::of(content.as_bytes()));
        let added = Added { path: Utf8PathBuf::from("/d").join(name), file };
        Held::new(family, &system).judge(&added).map(|fault| fault.finding.code)
    }

    #[test]
    fn debian_goes_by_names_and_copies_as_it_is() {
        let code = |holds, name, content: &str| code(Family::Debian, holds, name, content);
        assert_eq!(code(true, "a.crt", ROOT), None);
        assert_eq!(code(true, "a.pem", ROOT), None);
        assert_eq!(code(false, "a.crt", ROOT), Some("not-updated"));
        assert_eq!(code(false, "a.CRT", ROOT), Some("ending-not-read"));
        assert_eq!(code(false, "a.crt.bak", ROOT), None);
        assert_eq!(code(false, "readme.crt", "no certificate"), None);
        let marked = format!("\u{feff}{ROOT}");
        assert_eq!(code(false, "a.crt", &marked), Some("byte-order-mark"));
        let glued = format!("{}{ROOT}", ROOT.trim_end());
        assert_eq!(code(false, "a.crt", &glued), Some("breaks-the-bundle"));
        let key = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        assert_eq!(code(true, "a.crt", &format!("{key}{ROOT}")), Some("private-key-in-store"));
    }

    #[test]
    fn red_hat_takes_every_name_and_form() {
        let code = |holds, name, content: &str| code(Family::RedHat, holds, name, content);
        assert_eq!(code(true, "a", ROOT), None);
        assert_eq!(code(false, "a", ROOT), Some("not-updated"));
        let marked = format!("\u{feff}{ROOT}");
        assert_eq!(code(true, "a.pem", &marked), None);
        let key = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        assert_eq!(code(true, "a.pem", &format!("{ROOT}{key}")), Some("private-key-beside-ca"));
    }

    #[test]
    fn files_are_renamed_to_the_ending_that_is_read() {
        for name in ["/d/a.b.pem", "/d/a.b.CRT", "/d/a.b.crt.txt", "/d/a.b"] {
            assert_eq!(renamed(name.into()), "/d/a.b.crt");
        }
    }

    #[test]
    fn a_file_is_meant_for_the_chains_of_its_subject() {
        let file = TrustFile::of(ROOT.as_bytes());
        let chain = file.for_go();
        let added = Added { path: "/d/a.crt".into(), file: Some(file) };
        assert!(added.is_meant_for(&chain));
        assert!(!added.is_meant_for(&[vec![1]]));
    }
}
