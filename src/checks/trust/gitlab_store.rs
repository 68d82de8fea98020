//! Does GitLab itself trust what lies in its trusted-certs folder?

mod judge;

use camino::{Utf8Path, Utf8PathBuf};

use self::judge::{Judged, Linked, foreign};
use super::system::links::{Links, is_hash_link};
use crate::checks::{Finding, Stop, Verdict, check, docs};
use crate::host::files::{Directory, File, Kind, Listing, ReadFile, TrustFile};
use crate::host::{Host, Unknown};
use crate::install::{self, Kind as Installed};
use crate::trust::Der;

check! {
    /// Every certificate in GitLab's own `trusted-certs` folder is trusted by GitLab.
    ///
    /// ## Why it matters
    ///
    /// GitLab's own programs (Rails, Gitaly, Workhorse, the registry, Pages) do not use the system's
    /// store, but one of their own. Without the CA in it, webhooks, the connection to the registry,
    /// object storage and LDAP fail with "certificate verify failed". Reconfigure passes over a file
    /// that it cannot use with no more than a warning, or none, and one stray file in the store
    /// itself ends reconfigure with "ERROR: Not a certificate".
    ///
    /// ## What is looked at
    ///
    /// The files in `/etc/gitlab/trusted-certs`, and for each certificate in them whether a link in
    /// `/opt/gitlab/embedded/ssl/certs`, named by the hash of its subject, leads to just these bytes.
    /// Names in that folder that are neither links nor certificates.
    ///
    /// ## How to fix it
    ///
    /// Put each certificate into a file of its own, in PEM, with a name that ends in `.crt`. Then run
    /// `gitlab-ctl reconfigure`, and restart the services that read the store only when they start.
    "trust/gitlab-store": "GitLab trusts every certificate in its trusted-certs folder"
}

/// Where an administrator puts certificates for GitLab.
const FOLDER: &str = "/etc/gitlab/trusted-certs";

/// GitLab's own store.
const STORE: &str = "/opt/gitlab/embedded/ssl/certs";

/// More files than anybody puts there by hand.
const MOST: usize = 200;

async fn run(host: &Host) -> Result<Verdict, Stop> {
    match install::kind(host).await? {
        Some(Installed::LinuxPackage) => {}
        Some(Installed::SelfCompiled) => {
            return Err(Stop::not_applicable(
                "a self-compiled GitLab uses the system's store (trust/system)",
            ));
        }
        None => return Err(Stop::not_applicable("GitLab is not on this host")),
    }
    let mut verdict = Verdict::default();
    let listing = host.ask(Directory::at(STORE)).await;
    let store = verdict.told(STORE, listing).unwrap_or(Listing::Missing);
    let strays = strays(host, &store).await;
    let strays = verdict.told(STORE, strays);
    verdict.add(strays.unwrap_or_default());
    let files = files(host).await?;
    if files.is_empty() && verdict.findings.is_empty() && verdict.untold.is_empty() {
        return Err(Stop::not_applicable(format!("there is no certificate in {FOLDER}")));
    }
    let links = Links::new(Utf8Path::new(STORE), &store);
    for (path, file) in &files {
        let judged = Judged { path, file: file.as_ref() };
        let mut linked = Vec::new();
        for der in file.iter().flat_map(TrustFile::all) {
            linked.push(state(host, &links, der).await?);
        }
        verdict.add(judged.finding(&linked).map(|finding| finding.docs(docs::SSL_TROUBLE)));
    }
    // Where the package itself is not seen, its store is not either.
    if !files.is_empty() && store == Listing::Missing && verdict.untold.is_empty() {
        let why = format!("{STORE}: it is not there, though GitLab's configuration is");
        verdict.findings.retain(|finding| finding.code != judge::NOT_LINKED);
        verdict.untold("GitLab's own store", Unknown::Unreadable(why));
    }
    Ok(verdict)
}

/// How GitLab's own store holds a certificate.
async fn state(host: &Host, links: &Links<'_>, der: &Der) -> Result<Linked, Unknown> {
    if links.to(host, der).await?.is_some() {
        return Ok(Linked::Yes);
    }
    Ok(match links.first_of_subject(der) {
        Some(link) => Linked::Other(link),
        None => Linked::No,
    })
}

/// The files of the folder without the links that reconfigure makes in it; `None` is a link that
/// leads nowhere.
async fn files(host: &Host) -> Result<Vec<(Utf8PathBuf, Option<TrustFile>)>, Unknown> {
    let listing = host.ask(Directory::at(FOLDER)).await?;
    let entries = listing.entries().iter();
    let entries = entries.filter(|entry| matches!(entry.kind, Kind::File | Kind::Link));
    let entries: Vec<_> = entries.filter(|entry| !is_hash_link(&entry.name)).collect();
    if entries.len() > MOST {
        return Err(Unknown::Unreadable(format!("{FOLDER}: it holds more than {MOST} files")));
    }
    let mut files = Vec::new();
    for entry in entries {
        let path = Utf8Path::new(FOLDER).join(&entry.name);
        match host.ask(ReadFile::<TrustFile>::at(path.clone())).await? {
            File::Read(file) => files.push((path, Some(file))),
            File::Missing => files.push((path, None)),
            _ => {}
        }
    }
    Ok(files)
}

/// Files that somebody put into GitLab's own store, and that stop reconfigure.
async fn strays(host: &Host, store: &Listing) -> Result<Vec<Finding>, Unknown> {
    const OWN: [&str; 2] = ["README", "cacert.pem"];
    let entries = store.entries().iter();
    let entries = entries.filter(|entry| matches!(entry.kind, Kind::File | Kind::Link));
    let strange =
        entries.filter(|entry| !OWN.contains(&entry.name.as_str()) && !is_hash_link(&entry.name));
    let mut findings = Vec::new();
    // One is enough to stop it.
    for entry in strange.take(MOST) {
        let path = Utf8Path::new(STORE).join(&entry.name);
        if let File::Read(file) = host.ask(ReadFile::<TrustFile>::at(path.clone())).await?
            && file.all().next().is_none()
        {
            findings.push(foreign(&path).docs(docs::SSL_TROUBLE));
        }
    }
    Ok(findings)
}
