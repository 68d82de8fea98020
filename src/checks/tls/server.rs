//! The servers that users reach, GitLab and its registry: what each of them shows, and the files
//! from which it should.

use std::fmt;
use std::net::SocketAddr;

use camino::{Utf8Path, Utf8PathBuf};

use crate::checks::reach::chains;
use crate::checks::reload::reload;
use crate::checks::{Evidence, Stop, Verdict};
use crate::host::files::{Directory, FileFacts, ReadFile, TrustFile};
use crate::host::{Host, Unknown};
use crate::install::certificates::{self, Pair, User};
use crate::install::{self, Endpoint, Source, Sourced};
use crate::trust::Der;

/// More than any chain has; what lies behind is not looked at.
const MOST_CERTIFICATES: usize = 64;

/// More files than anybody puts into one such folder by hand.
const MOST_FILES: usize = 64;

/// What could not be looked at where a file of a server could not.
pub(super) const FILES: &str = "certificate files";

/// What could not be looked at where an address could not, to be followed by it.
pub(super) const SHOWN: &str = "certificate shown by ";

/// Who is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// GitLab, at its `external_url`.
    Gitlab,
    /// The registry, at its `registry_external_url`.
    Registry,
}

/// An address that users know, and its certificates.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) who: Who,
    pub(super) endpoint: Endpoint,
    /// Whether anybody is told this address. If not, only a pair of files goes by this name.
    pub(super) is_in_use: bool,
    /// Where the address stands.
    pub(super) source: Source,
    /// The files from which it is served, if that is this host. A server may have several, one for
    /// each kind of key.
    pub(super) files: Vec<ChainFile>,
    /// The distinct chains that it shows; none where it cannot be asked.
    pub(super) shown: Vec<Shown>,
}

/// A file from which a server takes its certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChainFile {
    pub(super) path: Utf8PathBuf,
    /// The file of its private key.
    pub(super) key: Utf8PathBuf,
    /// In the order of the file, which is the order in which they are sent.
    pub(super) chain: Vec<Der>,
    /// The command that makes its server read the file again.
    pub(super) reload: &'static str,
}

/// A chain of certificates, and where it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// As sent.
    pub(super) chain: Vec<Der>,
    /// Sorted as the name resolved.
    pub(super) addresses: Vec<SocketAddr>,
}

/// The servers that are to speak TLS. What cannot be looked at is noted in the verdict.
pub(super) async fn servers(host: &Host, verdict: &mut Verdict) -> Vec<Server> {
    let mut servers = Vec::new();
    for (who, url) in addresses(host, verdict).await {
        if !url.value.https {
            continue;
        }
        let endpoint = url.value;
        let files = verdict.told(FILES, files(host, who, &endpoint).await);
        let files = files.unwrap_or_default();
        let shown = match chains(host, &endpoint).await {
            Ok(chains) => {
                let shown = distinct(chains);
                if shown.is_empty() && files.is_empty() {
                    let why = "it shows none, and its files are not on this host";
                    let what = format!("{SHOWN}{endpoint}");
                    verdict.untold(what, Unknown::Unreadable(why.to_owned()));
                }
                shown
            }
            Err(unknown) => {
                verdict.untold(format!("{SHOWN}{endpoint}"), unknown);
                Vec::new()
            }
        };
        let source = url.source;
        servers.push(Server { who, endpoint, is_in_use: true, source, files, shown });
    }
    servers
}

/// The servers, and the pairs that were meant to be used, with a certificate to look at. What cannot
/// be looked at is noted in the verdict.
pub(super) async fn examined(host: &Host, verdict: &mut Verdict) -> Result<Vec<Server>, Stop> {
    let mut servers = servers(host, verdict).await;
    servers.extend(meant(host, verdict).await);
    if servers.is_empty() && verdict.untold.is_empty() {
        return Err(Stop::not_applicable(
            "no https address of GitLab or a registry is known here (--url, --registry-url)",
        ));
    }
    if servers.iter().all(|server| server.chains().next().is_none()) && verdict.untold.is_empty() {
        return Err(Stop::not_applicable("no certificate can be seen for the addresses in use"));
    }
    Ok(servers)
}

/// The pairs that were meant to be used, where a configured one is missing: those that lie in the
/// package's folder under other names, each as the server that its name stands for.
pub(super) async fn meant(host: &Host, verdict: &mut Verdict) -> Vec<Server> {
    let files = verdict.told(FILES, meant_files(host).await).unwrap_or_default();
    let server = |file: ChainFile| {
        let name = file.path.file_stem()?;
        Some(Server {
            who: Who::Gitlab,
            endpoint: Endpoint::parse(&format!("https://{name}")).ok()?,
            is_in_use: false,
            source: Sourced::default((), "the name of its file").source,
            files: vec![file],
            shown: Vec::new(),
        })
    };
    files.into_iter().filter_map(server).collect()
}

async fn meant_files(host: &Host) -> Result<Vec<ChainFile>, Unknown> {
    let pairs = certificates::pairs(host).await?;
    let by_default = |pair: &&Pair| pair.certificate.value.starts_with(certificates::SSL_FOLDER);
    let mut is_missing = false;
    for pair in pairs.iter().filter(by_default) {
        is_missing |= host.ask(FileFacts::of(pair.certificate.value.clone())).await?.is_none();
    }
    if !is_missing {
        return Ok(Vec::new());
    }
    let folder = Utf8Path::new(certificates::SSL_FOLDER);
    let listing = host.ask(Directory::at(folder)).await?;
    let names: Vec<&str> = listing.names().collect();
    let stems = names.iter().filter_map(|name| name.strip_suffix(".crt"));
    let stems = stems.filter(|stem| names.contains(&format!("{stem}.key").as_str()));
    let mut files = Vec::new();
    for stem in stems.take(MOST_FILES) {
        let path = |ending: &str| {
            let path = folder.join(format!("{stem}.{ending}"));
            Sourced::default(path, "a file under another name")
        };
        let pair = Pair { user: User::OtherNginx, certificate: path("crt"), key: path("key") };
        if pairs.iter().all(|other| other.certificate.value != pair.certificate.value) {
            files.extend(read(host, pair).await?);
        }
    }
    Ok(files)
}

/// GitLab's and the registry's address, as far as they are known.
pub(super) async fn addresses(host: &Host, verdict: &mut Verdict) -> Vec<(Who, Sourced<Endpoint>)> {
    let gitlab = install::gitlab::external_url(host).await;
    let gitlab = verdict.told("GitLab's address", gitlab).flatten();
    let registry = install::registry::external(host).await;
    let registry = verdict.told("the registry's address", registry).flatten();
    let both = [(Who::Gitlab, gitlab), (Who::Registry, registry)];
    both.into_iter().filter_map(|(who, url)| Some((who, url?))).collect()
}

/// Every file on this host from which a server takes its certificates, that of services beside
/// GitLab included. The token pair is none: nobody looks at its dates or names.
pub(super) async fn all_files(host: &Host) -> Result<Vec<ChainFile>, Unknown> {
    let pairs = certificates::pairs(host).await?;
    let mut files: Vec<ChainFile> = Vec::new();
    for pair in pairs.into_iter().filter(|pair| pair.user != User::Tokens) {
        if files.iter().all(|file| file.path != pair.certificate.value) {
            files.extend(read(host, pair).await?);
        }
    }
    Ok(files)
}

async fn files(host: &Host, who: Who, endpoint: &Endpoint) -> Result<Vec<ChainFile>, Unknown> {
    let pairs = certificates::pairs(host).await?;
    let users: &[User] = match who {
        Who::Gitlab => &[User::GitlabNginx],
        Who::Registry => &[User::RegistryNginx, User::Registry],
    };
    // Where nginx stands before a registry that speaks TLS too, users see nginx.
    let user = users.iter().find(|user| pairs.iter().any(|pair| pair.user == **user));
    let own: Vec<Pair> = pairs.into_iter().filter(|pair| Some(&pair.user) == user).collect();
    let mut files = Vec::new();
    for pair in own {
        files.extend(read(host, pair).await?);
    }
    if files.is_empty() {
        files.extend(by_name(host, endpoint).await?);
    }
    Ok(files)
}

/// A file under the server's name, where certificates lie.
async fn by_name(host: &Host, endpoint: &Endpoint) -> Result<Option<ChainFile>, Unknown> {
    let Some(pair) = certificates::shown_by(host, endpoint).await? else { return Ok(None) };
    read(host, pair).await
}

/// `None` where there is no such file; `tls/key-pair` says so. What lies there and cannot be read is
/// told as unknown: to pass over it would be to vouch for a certificate that nobody saw.
async fn read(host: &Host, pair: Pair) -> Result<Option<ChainFile>, Unknown> {
    let reload = reload(&pair);
    let (path, key) = (pair.certificate.value, pair.key.value);
    let file = host.ask(ReadFile::<TrustFile>::at(path.clone())).await?;
    let Some(file) = file.or_unknown(&path)? else { return Ok(None) };
    // nginx reads the file with OpenSSL and sends every certificate in it.
    let taken = file.openssl.taken.iter().take(MOST_CERTIFICATES);
    let chain: Vec<_> = taken.filter_map(|&at| file.certificates.get(at).cloned()).collect();
    if chain.is_empty() {
        let why = format!("{path}: no certificate in it can be read");
        return Err(Unknown::Unreadable(why));
    }
    Ok(Some(ChainFile { path, key, chain, reload }))
}

fn distinct(chains: Vec<(SocketAddr, Vec<Der>)>) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    for (address, chain) in chains {
        let chain: Vec<_> = chain.into_iter().take(MOST_CERTIFICATES).collect();
        match shown.iter_mut().find(|other| other.chain == chain) {
            Some(same) => same.addresses.push(address),
            None => shown.push(Shown { chain, addresses: vec![address] }),
        }
    }
    shown
}

impl Server {
    /// What a finding on it is about.
    pub(super) fn subject(&self) -> String {
        match self.files.first() {
            Some(file) if !self.is_in_use => file.path.to_string(),
            _ => self.endpoint.to_string(),
        }
    }

    /// Every distinct chain of this server: those that it shows, then those in files that it does
    /// not show.
    pub(super) fn chains(&self) -> impl Iterator<Item = &[Der]> {
        let shown = self.shown.iter().map(|shown| shown.chain.as_slice());
        let unshown = self.files.iter().map(|file| file.chain.as_slice());
        let is_new = |chain: &&[Der]| self.shown.iter().all(|shown| shown.chain != *chain);
        shown.chain(unshown.filter(is_new))
    }

    /// The file that a certificate comes from, or the first one.
    pub(super) fn file_of(&self, leaf: &Der) -> Option<&ChainFile> {
        let exact = self.files.iter().find(|file| file.chain.first() == Some(leaf));
        exact.or(self.files.first())
    }
}

impl ChainFile {
    /// That a certificate was seen in it.
    pub(super) fn evidence(&self) -> Evidence {
        Evidence::new("lies in", "the server's file").at(self.path.as_str(), None)
    }
}

impl Shown {
    /// `10.0.0.1:443, [fd00::1]:443`.
    pub(super) fn places(&self) -> String {
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        addresses.join(", ")
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gitlab => "GitLab",
            Self::Registry => "the registry",
        })
    }
}

#[test]
fn equal_chains_are_one() {
    let at = |last: u8| SocketAddr::from(([10, 0, 0, last], 443));
    let chains = vec![(at(1), vec![vec![1]]), (at(2), vec![vec![2]]), (at(3), vec![vec![1]])];
    let shown = distinct(chains);
    assert_eq!(shown.len(), 2);
    assert_eq!(shown[0].places(), "10.0.0.1:443, 10.0.0.3:443");
}
