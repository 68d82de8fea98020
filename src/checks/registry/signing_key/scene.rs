//! All that was seen of both halves.

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use super::super::keeper::Keeper;
use crate::checks::Verdict;
use crate::checks::access::{Chain, Wish, chain, tells_owners};
use crate::checks::tls::key_pair::leak::is_open_to_all;
use crate::checks::tls::key_pair::reader::Reader;
use crate::host::account::{Account, AccountOf};
use crate::host::files::{Facts, File, FileFacts, ReadFile};
use crate::host::system::{Now, System};
use crate::host::{Host, Unknown};
use crate::install::certificates::{self, User};
use crate::install::registry::Config;
use crate::install::tokens::{self, PACKAGE_BUNDLE, PACKAGE_KEY, Signer};
use crate::install::{Source, Sourced, settings};
use crate::parse::certificate::Certificate;
use crate::parse::gitlab_rb::Setting;
use crate::parse::jwks::Jwks;
use crate::parse::key::{self, PublicKey};
use crate::parse::pem::PemFile;

/// What is said not to have been seen.
const BUNDLE: &str = "the registry's bundle";
const KEY: &str = "GitLab's signing key";

/// One of the two halves.
pub(super) enum Half<T> {
    /// On this host.
    Here(T),
    /// Not on this host, as far as its files tell.
    Elsewhere,
}

/// Both halves, and what their mend depends on.
pub(super) struct Scene {
    pub(super) registry: Half<Registry>,
    pub(super) gitlab: Half<Gitlab>,
    pub(super) keeper: Keeper,
    pub(super) now: Option<Timestamp>,
    /// What the bundle holds by mistake, in words.
    pub(super) mistake: Option<String>,
    /// Where `gitlab.rb` sets one of `internal_key` and `internal_certificate` without the other.
    pub(super) lone_setting: Option<Sourced<&'static str>>,
}

/// The half that trusts.
pub(super) struct Registry {
    /// Its configuration file.
    pub(super) config: Utf8PathBuf,
    /// `host:port`, under which its start-up is known.
    pub(super) socket: Option<String>,
    /// `rootcertbundle`; `None` where it is told none.
    pub(super) bundle: Option<Held>,
    /// `jwks`.
    pub(super) jwks: Option<(Sourced<Utf8PathBuf>, Option<File<Jwks>>)>,
    /// A key by which the registry shows that it is Distribution 3.
    pub(super) third: Option<Sourced<String>>,
}

/// The half that signs.
pub(super) struct Gitlab {
    /// Where Rails has its settings for the registry.
    pub(super) settings: Source,
    /// The key; `None` where Rails is told none.
    pub(super) key: Option<Held>,
    /// The account under which Rails runs.
    pub(super) account: String,
}

/// A file, and who can get at it.
pub(super) struct Held {
    pub(super) path: Sourced<Utf8PathBuf>,
    /// `None` where it could not be looked at, which is noted elsewhere.
    pub(super) file: Option<File<PemFile>>,
    /// The account that has to read it cannot.
    pub(super) obstacle: Option<Obstacle>,
    /// What `stat` tells of a bundle with a private key in it that every account of the host can
    /// read.
    pub(super) open_to_all: Option<Facts>,
    /// Whether reconfigure writes it.
    pub(super) by_package: bool,
}

/// What keeps an account from reading a file.
pub(super) struct Obstacle {
    pub(super) account: String,
    /// The file itself, or a folder above it.
    pub(super) at: Utf8PathBuf,
    pub(super) facts: Facts,
}

impl Scene {
    /// Looks at what the settings name. What cannot be looked at is noted in `verdict`.
    pub(super) async fn of(
        host: &Host,
        verdict: &mut Verdict,
        config: Option<&Config>,
        signer: Option<&Signer>,
    ) -> Self {
        let registry = match config.filter(|config| asks_for_tokens(config)) {
            Some(config) => Half::Here(Registry::of(host, verdict, config).await),
            None => Half::Elsewhere,
        };
        let gitlab = match signer {
            Some(signer) => Half::Here(Gitlab::of(host, verdict, signer).await),
            None => Half::Elsewhere,
        };
        let mistake = match (&registry, &gitlab) {
            (Half::Here(registry), Half::Here(gitlab)) if registry.distrusts(gitlab) => {
                mistake(host, &registry.certificates()).await
            }
            _ => None,
        };
        Self {
            registry,
            gitlab,
            keeper: Keeper::of(host).await,
            now: verdict.told("the time", host.ask(Now).await),
            mistake,
            lone_setting: lone_setting(host).await,
        }
    }

    /// What the half that is here shows, for whoever holds it against the other.
    pub(super) fn alone(&self) -> String {
        match (&self.registry, &self.gitlab) {
            (Half::Here(registry), _) => {
                let ids: Vec<_> =
                    registry.trusted().into_iter().map(|public| public.key_id).collect();
                let ids = ids.join(" and ");
                format!("only the registry is on this host: it trusts the key {ids}")
            }
            (_, Half::Here(gitlab)) => {
                let id = gitlab.public().map_or_else(String::new, |public| public.key_id.clone());
                format!("only GitLab is on this host: it signs with the key {id}")
            }
            _ => "neither half is on this host".to_owned(),
        }
    }
}

/// Whether tokens are how the registry knows its users.
fn asks_for_tokens(config: &Config) -> bool {
    matches!(config.yml.auth.types.as_slice(), [only] if only.value == "token")
}

impl Registry {
    async fn of(host: &Host, verdict: &mut Verdict, config: &Config) -> Self {
        let bundle = match tokens::bundle(config) {
            Some(path) => {
                let account = tokens::registry_account(host, config).await;
                let by_package = path.value == PACKAGE_BUNDLE;
                let mut held = Held::of(host, verdict, BUNDLE, path, account, by_package).await;
                held.look_for_leak(host, verdict).await;
                Some(held)
            }
            None => None,
        };
        let jwks = match tokens::jwks(config) {
            Some(path) => {
                let file = host.ask(ReadFile::<Jwks>::at(path.value.clone())).await;
                let file = verdict.told("the registry's list of keys", file);
                Some((path, file))
            }
            None => None,
        };
        let third = config.yml.distribution_3_keys.first();
        Self {
            config: config.path.clone(),
            socket: tokens::registry_socket(host).await,
            bundle,
            jwks,
            third: third.map(|key| Sourced {
                value: key.value.clone(),
                source: tokens::place(config, key.line),
            }),
        }
    }

    /// By which rules the bundle is read: Distribution 3 knows more kinds of keys.
    pub(super) fn reader(&self) -> Reader {
        if self.third.is_some() { Reader::Go } else { Reader::Bundle }
    }

    /// The keys that the registry trusts.
    pub(super) fn trusted(&self) -> Vec<PublicKey> {
        let file = self.bundle.as_ref().and_then(Held::read);
        let read = file.and_then(|file| self.reader().certificates(file).ok());
        read.into_iter().flat_map(|read| read.found).map(|it| it.public).collect()
    }

    /// Whether the registry trusts other keys than GitLab's.
    pub(super) fn distrusts(&self, gitlab: &Gitlab) -> bool {
        let trusted = self.trusted();
        let public = gitlab.public().filter(|_| !trusted.is_empty());
        public.is_some_and(|public| trusted.iter().all(|it| it.key_id != public.key_id))
    }

    /// The certificates in the bundle, with the public key of each.
    pub(super) fn certificates(&self) -> Vec<(PublicKey, Certificate)> {
        let Some(file) = self.bundle.as_ref().and_then(Held::read) else { return Vec::new() };
        facts(file)
    }
}

impl Gitlab {
    async fn of(host: &Host, verdict: &mut Verdict, signer: &Signer) -> Self {
        let key = match signer.key.clone() {
            Some(path) => {
                let by_package = path.value == PACKAGE_KEY;
                let account = Some(signer.account.clone());
                Some(Held::of(host, verdict, KEY, path, account, by_package).await)
            }
            None => None,
        };
        Self { settings: signer.settings.clone(), key, account: signer.account.clone() }
    }

    /// The public half of the key that GitLab signs with.
    pub(super) fn public(&self) -> Option<&PublicKey> {
        let file = self.key.as_ref().and_then(Held::read)?;
        Reader::Ruby.key(file).ok()?.first.public.as_ref()
    }
}

impl Held {
    async fn of(
        host: &Host,
        verdict: &mut Verdict,
        name: &str,
        path: Sourced<Utf8PathBuf>,
        account: Option<String>,
        by_package: bool,
    ) -> Self {
        let file = verdict.told(name, host.ask(ReadFile::<PemFile>::at(path.value.clone())).await);
        let found = match &file {
            Some(File::Missing) | None => None,
            Some(_) => verdict.told(name, chain(host, &path.value).await),
        };
        let mut held = Self { path, file, obstacle: None, open_to_all: None, by_package };
        let Some(found) = found else { return held };
        if let Some(account) = account {
            held.obstacle = held.obstacle(host, verdict, account, &found).await;
        }
        held
    }

    /// A bundle with a private key in it is a secret. A key in its own file is the matter of
    /// `config/secrets-mode`.
    async fn look_for_leak(&mut self, host: &Host, verdict: &mut Verdict) {
        if !self.read().is_some_and(PemFile::has_private_key) {
            return;
        }
        let path = self.path.value.clone();
        if verdict.told(BUNDLE, is_open_to_all(host, &path).await) == Some(true) {
            self.open_to_all = host.ask(FileFacts::of(path)).await.ok().flatten();
        }
    }

    async fn obstacle(
        &self,
        host: &Host,
        verdict: &mut Verdict,
        account: String,
        found: &Chain,
    ) -> Option<Obstacle> {
        // Whoever may read what everybody may read need not be known.
        if found.open_to_all(Wish::Read) {
            return None;
        }
        let what = format!("whether '{account}' can read {}", self.path.value);
        let known = verdict.told(&what, account_here(host, &account).await).flatten()?;
        let at = found.obstacle(&self.path.value, &known)?;
        if !verdict.told(&what, tells_owners(host).await)? {
            return None;
        }
        // Files that were unpacked without their owners are all of the one who unpacked them, and
        // the folders that only a service may enter are shut for it then.
        let running = verdict.told(&what, host.ask(System).await)?.running;
        if at != self.path.value && !running && found.is_of_one_owner() {
            return None;
        }
        let folders = found.above.iter().find(|(folder, _)| *folder == at);
        let facts = folders.map(|(_, facts)| facts).or(found.end.as_ref())?.clone();
        Some(Obstacle { account, at, facts })
    }

    pub(super) fn read(&self) -> Option<&PemFile> {
        self.file.as_ref().and_then(File::read)
    }

    pub(super) fn path(&self) -> &Utf8Path {
        &self.path.value
    }
}

/// The numbers of an account; `None` where the files are a container's or a part of a system, and
/// have no such account.
async fn account_here(host: &Host, name: &str) -> Result<Option<Account>, Unknown> {
    let known = host.ask(AccountOf::name(name)).await?;
    if known.is_none() && host.ask(System).await?.running && tells_owners(host).await? {
        return Err(Unknown::Unreadable(format!("/etc/passwd has no account '{name}'")));
    }
    Ok(known)
}

fn facts(file: &PemFile) -> Vec<(PublicKey, Certificate)> {
    let certificates = file.certificates().filter_map(|der| {
        Some((key::of_certificate(der.as_ref()).ok()?, Certificate::from_der(der.as_ref()).ok()?))
    });
    certificates.collect()
}

/// Certificates that are in use for TLS on this host have often been taken for the right ones.
async fn mistake(host: &Host, trusted: &[(PublicKey, Certificate)]) -> Option<String> {
    let pairs = certificates::pairs(host).await.unwrap_or_default();
    for pair in pairs.into_iter().filter(|pair| pair.user != User::Tokens) {
        let asked = host.ask(ReadFile::<PemFile>::at(pair.certificate.value)).await;
        let Ok(File::Read(file)) = asked else { continue };
        let shown = facts(&file);
        let Some((public, leaf)) = shown.first() else { continue };
        if trusted.iter().any(|(other, _)| other.is_same_key_as(public)) {
            return Some(format!("the TLS certificate of {}", pair.user));
        }
        let issued = |ca: &Certificate| ca.subject == leaf.issuer && !leaf.self_issued;
        let is_above = |(other, ca): &(PublicKey, Certificate)| {
            issued(ca) || shown.iter().any(|(public, _)| public.is_same_key_as(other))
        };
        if trusted.iter().any(is_above) {
            return Some(format!("a CA behind the TLS certificate of {}", pair.user));
        }
    }
    None
}

/// Reconfigure makes up the half that is not set.
async fn lone_setting(host: &Host) -> Option<Sourced<&'static str>> {
    let settings = settings(host).await.ok().flatten()?;
    let place = |name: &str| match settings.all().get(&["registry", name]) {
        Setting::Unset => None,
        Setting::Known { source, .. } | Setting::Unknown { source, .. } => {
            Some(Source::File { path: source.file.clone(), line: Some(source.line) })
        }
    };
    match (place("internal_key"), place("internal_certificate")) {
        (Some(source), None) => Some(Sourced { value: "registry['internal_key']", source }),
        (None, Some(source)) => Some(Sourced { value: "registry['internal_certificate']", source }),
        _ => None,
    }
}
