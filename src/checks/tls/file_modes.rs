//! Do key files and their folders have safe, working modes?

mod judge;

use camino::{Utf8Path, Utf8PathBuf};
use futures::future::join_all;

use self::judge::{Reader, Subject, judge, judge_folder, judge_spare};
use crate::checks::access::{Chain, chain};
use crate::checks::{Stop, Verdict, check};
use crate::host::account::AccountOf;
use crate::host::files::Directory;
use crate::host::{Host, Unknown};
use crate::install::accounts::{self, Service};
use crate::install::certificates::{self, Pair, User};
use crate::install::{Written, settings};

check! {
    /// Private keys of servers can be read by their servers and by nobody else, and their folder
    /// is in order.
    ///
    /// ## Why it matters
    ///
    /// Whoever can read the key can pretend to be GitLab or the registry, towards every client of
    /// the site; whoever can write to its folder can put another one in its place. And a key that
    /// its own server cannot read stops the server at its next start.
    ///
    /// ## What is looked at
    ///
    /// Mode, owner and group of the certificates and keys that nginx uses for GitLab, for the
    /// registry and for other services, and of those of a registry that speaks TLS itself; and of
    /// every folder above them, for what lies in a closed folder is private whatever its own mode.
    /// Other keys in `/etc/gitlab/ssl` are looked at as well.
    /// nginx reads its files as root, so they may belong to root alone. The key that signs tokens
    /// for the registry is the matter of `registry/signing-key` and `config/secrets-mode`.
    ///
    /// ## How to fix it
    ///
    /// `chown root:root` and `chmod 600` for the key, `chmod 755` (or 700) for `/etc/gitlab/ssl`,
    /// both owned by root. A key that others could read has to be taken for stolen: have a new one
    /// made.
    "tls/file-modes": "key files and directories have safe, working modes"
}

/// More keys than anybody puts into one folder by hand.
const MOST_KEYS: usize = 64;

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let pairs = certificates::pairs(host).await?;
    let pairs: Vec<_> = pairs.into_iter().filter(|pair| pair.user != User::Tokens).collect();
    if pairs.is_empty() {
        return Err(Stop::not_applicable("no server on this host uses a certificate"));
    }
    let mut verdict = Verdict::default();
    let mut folders: Vec<Utf8PathBuf> = Vec::new();
    let mut keys: Vec<Utf8PathBuf> = Vec::new();
    for pair in &pairs {
        let folder = pair.key.value.parent().unwrap_or(Utf8Path::new("/")).to_owned();
        if !folders.contains(&folder) {
            folders.push(folder);
        }
        if !keys.contains(&pair.key.value) {
            keys.push(pair.key.value.clone());
            examine(host, &mut verdict, pair).await;
        }
    }
    for path in other_keys(host, &mut verdict, &keys).await {
        let key = verdict.told(path.as_str(), chain(host, &path).await);
        verdict.add(key.and_then(|key| judge_spare(&path, &key)));
    }
    let lets_encrypt = lets_encrypt(host).await;
    for folder in folders {
        let found = verdict.told(folder.as_str(), chain(host, &folder).await);
        // Reconfigure makes the folder when it fetches a certificate.
        let expected = folder == certificates::SSL_FOLDER && !lets_encrypt;
        let reader = reader_of_folder(host, &pairs, &folder).await;
        verdict.add(found.and_then(|found| judge_folder(&folder, &found, &reader, expected)));
    }
    Ok(verdict)
}

/// The account for which alone a folder of keys is. One that nobody knows is not trusted with it.
async fn reader_of_folder(host: &Host, pairs: &[Pair], folder: &Utf8Path) -> Reader {
    let inside = pairs.iter().filter(|pair| pair.key.value.parent() == Some(folder));
    let readers = join_all(inside.map(|pair| reader(host, pair))).await;
    let mut readers = readers.into_iter().map(|reader| reader.unwrap_or(Reader::Unknown));
    let Some(first) = readers.next() else { return Reader::Root };
    if readers.all(|other| other == first) { first } else { Reader::Root }
}

/// Keys beside those in use: kept for later, or left from before.
async fn other_keys(host: &Host, verdict: &mut Verdict, known: &[Utf8PathBuf]) -> Vec<Utf8PathBuf> {
    let folder = Utf8Path::new(certificates::SSL_FOLDER);
    let listing = host.ask(Directory::at(folder)).await;
    let Some(listing) = verdict.told(folder.as_str(), listing) else { return Vec::new() };
    let names = listing.names().filter(|name| name.strip_suffix(".key").is_some()).take(MOST_KEYS);
    let paths = names.map(|name| folder.join(name));
    paths.filter(|path| !known.contains(path)).collect()
}

async fn examine(host: &Host, verdict: &mut Verdict, pair: &Pair) {
    let path = &pair.key.value;
    let (Some(key), Some(reader)) = (
        verdict.told(path.as_str(), chain(host, path).await),
        verdict.told("the account that reads it", reader(host, pair).await),
    ) else {
        return;
    };
    let certificate = &pair.certificate.value;
    let beside: Option<Chain> = verdict.told(certificate.as_str(), chain(host, certificate).await);
    let subject = Subject { pair, reader };
    verdict.add(judge(&subject, &key, beside.as_ref()));
}

/// The account under which the files are read.
async fn reader(host: &Host, pair: &Pair) -> Result<Reader, Unknown> {
    if pair.user != User::Registry {
        return Ok(Reader::Root);
    }
    if settings(host).await?.is_none() {
        return Ok(Reader::Unknown);
    }
    let name = match accounts::written(host, Service::Registry).await {
        Written::Known(name) => name.value,
        Written::Unset => Service::Registry.usual_account().to_owned(),
        Written::Untold(_) => return Ok(Reader::Unknown),
    };
    let account = host.ask(AccountOf::name(name.clone())).await?;
    Ok(account.map_or(Reader::Unknown, |account| Reader::Account { name, account }))
}

async fn lets_encrypt(host: &Host) -> bool {
    let Ok(Some(settings)) = settings(host).await else { return false };
    matches!(settings.flag(&["letsencrypt", "enable"]), Written::Known(flag) if flag.value)
}
