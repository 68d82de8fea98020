//! What is wrong with one pair, from all that was seen of it.

use super::fault::{Fault, Kind};
use super::fit::{self, Fit};
use super::nearby::Nearby;
use super::reader::Reader;
use super::usage::{Half, Usage, docs_of};
use super::{absent, cure, leak};
use crate::checks::{Finding, Verdict, docs};
use crate::host::Unknown;
use crate::host::files::File;
use crate::parse::key::PublicKey;
use crate::parse::pem::PemFile;

/// All that was seen of one pair.
pub(super) struct Scene<'a> {
    pub(super) usage: &'a Usage,
    /// `None` where it could not be looked at, which is noted elsewhere.
    pub(super) certificate: Option<&'a File<PemFile>>,
    pub(super) key: Option<&'a File<PemFile>>,
    pub(super) passphrase: Passphrase,
    /// Whether everybody can read the certificate's file; looked at only if a key is in it.
    pub(super) is_open_to_all: bool,
    pub(super) nearby: Nearby,
}

/// Whether nginx is told how to decrypt the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Passphrase {
    /// Not at all.
    NotTold,
    /// By files that are there.
    Told,
    /// By this file, which is not there.
    Missing(String),
    /// Nobody can tell.
    Unknown(Unknown),
}

/// Whether a private key lies in the file of the certificate.
pub(super) fn has_stray_key(usage: &Usage, certificate: Option<&File<PemFile>>) -> bool {
    // One file for both is meant to hold the key.
    usage.path(Half::Certificate) != usage.path(Half::Key)
        && certificate.and_then(File::read).is_some_and(PemFile::has_private_key)
}

/// The verdict on one pair.
pub(super) fn judge(scene: &Scene<'_>) -> Verdict {
    let usage = scene.usage;
    let mut verdict = Verdict::default();
    verdict.add(swapped(scene));
    if !verdict.findings.is_empty() {
        return verdict;
    }
    if let (Some(File::Missing), Some(File::Missing)) = (scene.certificate, scene.key) {
        verdict.add([absent::both(usage, &scene.nearby)]);
        return verdict;
    }
    let reader = |half| Reader::of(usage, half);
    let certificates = readable(&mut verdict, scene, Half::Certificate, |file| {
        reader(Half::Certificate).certificates(file)
    });
    let keys = readable(&mut verdict, scene, Half::Key, |file| reader(Half::Key).key(file));
    let missing = |half, public: Option<&PublicKey>| {
        let other = match half {
            Half::Certificate => scene.key.is_some(),
            Half::Key => scene.certificate.is_some(),
        };
        matches!(scene.file(half), Some(File::Missing))
            .then(|| absent::one(usage, half, other, public, &scene.nearby))
    };
    if certificates.is_some() && has_stray_key(usage, scene.certificate) {
        verdict.add([leak::finding(usage, scene.is_open_to_all, is_kept(scene))]);
    }
    let public = keys.as_ref().and_then(|keys| keys.first.public.as_ref());
    verdict.add(missing(Half::Certificate, public));
    let first = certificates.as_ref().and_then(|it| it.found.first());
    verdict.add(missing(Half::Key, first.map(|certificate| &certificate.public)));
    if let Some(certificates) = &certificates {
        verdict.add(certificates.ignored.iter().map(|fault| fault.ignored(usage)));
    }
    if let (Some(certificates), Some(keys)) = (&certificates, &keys) {
        verdict.add(fit::judge(usage, certificates, keys, &scene.nearby));
        if fit::fit(usage, certificates, keys) == Fit::Untold {
            let why = format!(
                "{}: the file does not hold the public half of its key, so the two cannot be \
                 compared; 'openssl pkey -pubout' can",
                usage.path(Half::Key)
            );
            verdict.untold("private key", Unknown::Unreadable(why));
        }
    }
    verdict
}

/// Both files hold what the other one should: one mistake, one finding.
fn swapped(scene: &Scene<'_>) -> Option<Finding> {
    let usage = scene.usage;
    let reader = |half| Reader::of(usage, half);
    let certificate =
        reader(Half::Certificate).certificates(scene.certificate?.read()?).err()?.kind;
    let key = reader(Half::Key).key(scene.key?.read()?).err()?.kind;
    if certificate != Kind::Swapped || key != Kind::Swapped {
        return None;
    }
    let message = format!(
        "the certificate and the private key lie in each other's file: {}",
        usage.consequence(Half::Certificate)
    );
    let file = usage.path(Half::Certificate).as_str();
    let finding = usage.describe(Finding::error("swapped", file, message));
    let finding = if scene.is_open_to_all { leak::seen(finding) } else { finding };
    Some(cure::exchange(finding, usage).docs(docs_of(usage)))
}

/// Whether the key in the file of the certificate lies in its own file, too.
fn is_kept(scene: &Scene<'_>) -> bool {
    let key = |file: Option<&File<PemFile>>| {
        let key = file.and_then(File::read)?.private_keys().next()?;
        key.public.clone()
    };
    let (Some(stray), Some(own)) = (key(scene.certificate), key(scene.key)) else { return false };
    stray.is_same_key_as(&own)
}

impl<'a> Scene<'a> {
    fn file(&self, half: Half) -> Option<&'a File<PemFile>> {
        match half {
            Half::Certificate => self.certificate,
            Half::Key => self.key,
        }
    }
}

/// What the program gets out of a file; a finding if it is there and the program gets nothing.
fn readable<'a, T>(
    verdict: &mut Verdict,
    scene: &Scene<'a>,
    half: Half,
    read: impl FnOnce(&'a PemFile) -> Result<T, Fault>,
) -> Option<T> {
    let usage = scene.usage;
    let file = scene.file(half)?;
    if let Some(obstacle) = file.obstacle() {
        verdict.add([no_file(usage, half, &obstacle)]);
    }
    let fault = match read(file.read()?) {
        Ok(read) => return Some(read),
        Err(fault) => fault,
    };
    match (&fault.kind, &scene.passphrase) {
        // nginx can read it; whether it fits, nobody can tell without the passphrase.
        (Kind::Encrypted, Passphrase::Told) => {}
        (Kind::Encrypted, Passphrase::Unknown(unknown)) => {
            verdict.untold("passphrase of the private key", unknown.clone());
        }
        (Kind::Encrypted, Passphrase::Missing(path)) => {
            verdict.add([fault.finding(usage, half).seen("missing file of passphrases", path)]);
        }
        (Kind::Swapped, _) if half == Half::Certificate && scene.is_open_to_all => {
            verdict.add([leak::seen(fault.finding(usage, half))]);
        }
        _ => verdict.add([fault.finding(usage, half)]),
    }
    None
}

fn no_file(usage: &Usage, half: Half, obstacle: &str) -> Finding {
    let message = format!("{obstacle}: {}", usage.consequence(half));
    let file = usage.path(half).as_str();
    usage
        .describe(Finding::error("not-a-file", file, message))
        .remedy("Put a file here, in PEM.", [format!("ls -ld {}", usage.word(half))])
        .docs(docs::SSL)
}

#[cfg(test)]
mod tests;
