//! Do current clients accept the keys and signatures of the certificates in use?

mod judge;
mod judges;
mod table;

use self::judge::Scene;
use super::server::examined;
use super::trusted::trusted;
use crate::checks::{Stop, Verdict, check};
use crate::host::Host;
use crate::host::files::SystemTrust;

check! {
    /// Keys, signatures and extensions of all certificates in use are such as current clients
    /// accept.
    ///
    /// ## Why it matters
    ///
    /// What a certificate may be is decided by the clients, and they grow stricter with every
    /// release: a certificate from an old internal CA works for years, until Docker, GitLab or the
    /// operating system is updated, and then for some of them only.
    ///
    /// ## What is looked at
    ///
    /// Every certificate of the chains that GitLab and the registry show, or that the files on
    /// this host would show: size and kind of the key, digest of the signature (that of a root on
    /// itself does not count), version, purposes, serial number, extensions, lifetime. Each is
    /// judged by the rules of Go (Docker, the runner), OpenSSL 3, curl and Ruby (GitLab). Whether
    /// a certificate is trusted, valid and made out to the right name is the matter of other
    /// checks.
    ///
    /// | What | Refused by | Since |
    /// | --- | --- | --- |
    /// | RSA key below 2048 bits | OpenSSL at security level 2, nginx itself | Debian 10, Ubuntu 20.04, GitLab 17.7 |
    /// | RSA key below 1024 bits | Go | 1.24 |
    /// | signature with SHA-1 | Go; OpenSSL | 1.18; 3.0 |
    /// | signature with MD5 | Go; OpenSSL | always; 1.1 |
    /// | version 1 (no list of names) | Go | 1.17 |
    /// | no serverAuth among the purposes | Go, OpenSSL | always |
    /// | negative serial number | Go | 1.23 |
    /// | more than 825 days | Safari and all else on Apple's systems | iOS 13, macOS 10.15 |
    ///
    /// ## How to fix it
    ///
    /// Have the certificate made anew: RSA with 2048 bits or more, or EC P-256; signed with
    /// SHA-256; version 3; with serverAuth; for at most 825 days.
    "tls/strength": "keys and signatures are accepted by current clients"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let mut verdict = Verdict::default();
    let servers = examined(host, &mut verdict).await?;
    let trusted = trusted(host, &mut verdict).await;
    let system =
        verdict.told("the system's store", host.ask(SystemTrust).await).unwrap_or_default();
    let scene = Scene { servers: &servers, trusted: &trusted, system: &system };
    verdict.add(scene.judge());
    Ok(verdict)
}
