//! Does every certificate have its own private key, in files that their programs can read?

mod absent;
mod cure;
pub(in crate::checks) mod fault;
mod fit;
mod judge;
pub(in crate::checks) mod leak;
mod nearby;
pub(in crate::checks) mod reader;
#[cfg(test)]
pub(in crate::checks) mod sample;
mod tell;
pub(in crate::checks) mod usage;

use futures::future::{join, join_all};

use self::fault::{Fault, Kind};
use self::judge::{Passphrase, Scene, has_stray_key, judge};
use self::nearby::Nearby;
use self::reader::Reader;
use self::usage::{Half, Program, Usage, usages};
use crate::checks::{Cause, Finding, Stop, Verdict, check};
use crate::host::Host;
use crate::host::files::{File, FileFacts, ReadFile};
use crate::install::certificates::{self, User};
use crate::install::{self, Sourced, Written};
use crate::parse::pem::PemFile;

check! {
    /// Every certificate has its own private key, and both are in files that can be read.
    ///
    /// ## Why it matters
    ///
    /// A server that cannot use its certificate does not start. nginx says "key values mismatch"
    /// or "cannot load certificate key" and stays down; one that is running keeps the old files,
    /// so that the fault shows only at the next restart, which may be weeks later. If the pair
    /// with which GitLab signs tokens for its registry does not fit, every `docker login`, push
    /// and pull fails with "token signed by untrusted key".
    ///
    /// ## What is looked at
    ///
    /// The files that `gitlab.rb`, the registry's configuration, `gitlab.yml` or an nginx of
    /// your own name, or that GitLab takes by default: the certificate and key of nginx for GitLab
    /// and for the registry, those of a registry that speaks TLS itself, and the pair that signs
    /// and verifies tokens. Each is judged by the rules of the program that reads it: nginx
    /// (OpenSSL), the registry (Go), GitLab (Ruby). The public halves are compared, which works
    /// for RSA, EC and Ed25519 alike; comparing moduli, as `openssl` commands in guides do, works
    /// for RSA alone. Nothing of a private key is shown or recorded but its kind, its size and
    /// fingerprints of its public half. A key with a passphrase cannot be looked into.
    ///
    /// Where a file is missing or does not fit, the other files in its folder are looked through
    /// for the one that does.
    ///
    /// ## How to fix it
    ///
    /// Put the key that the certificate was made for beside it, in PEM. In the certificate's file,
    /// the server's own certificate comes first. Then run `gitlab-ctl restart nginx`.
    "tls/key-pair": "every certificate has its own private key"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let mut usages = usages(certificates::pairs(host).await?);
    if usages.is_empty() {
        return Err(Stop::not_applicable("no certificate with a key is configured on this host"));
    }
    for usage in &mut usages {
        usage.hosts = hosts(host, usage).await;
    }
    let lets_encrypt = lets_encrypt(host).await;
    let examined = join_all(usages.iter().map(|usage| examine(host, usage, lets_encrypt))).await;
    if examined.iter().all(Option::is_none) {
        return Err(Stop::not_applicable("Let's Encrypt is to put the certificates into place"));
    }
    let mut verdict = Verdict::default();
    for examined in examined.into_iter().flatten() {
        verdict.untold.extend(examined.untold);
        // A certificate that two keys are used with is wrong only once.
        let is_new = |new: &Finding, known: &[Finding]| {
            known.iter().all(|it| (it.code, &it.subject) != (new.code, &new.subject))
        };
        for finding in examined.findings {
            if is_new(&finding, &verdict.findings) {
                verdict.findings.push(finding);
            }
        }
    }
    Ok(verdict)
}

/// The names that the users of a pair go by; none where they are not known.
async fn hosts(host: &Host, usage: &Usage) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for user in &usage.users {
        let url = match user {
            User::GitlabNginx => install::gitlab::external_url(host).await,
            User::RegistryNginx | User::Registry => install::registry::external(host).await,
            User::OtherNginx | User::Tokens => Ok(None),
        };
        if let Ok(Some(url)) = url
            && !hosts.contains(&url.value.host)
        {
            hosts.push(url.value.host);
        }
    }
    hosts
}

/// Whether reconfigure is told to fetch certificates, and so to put them where they are missing.
async fn lets_encrypt(host: &Host) -> bool {
    let Ok(Some(settings)) = install::settings(host).await else { return false };
    matches!(settings.flag(&["letsencrypt", "enable"]), Written::Known(flag) if flag.value)
}

/// `None` if the pair is yet to be made by Let's Encrypt.
async fn examine(host: &Host, usage: &Usage, lets_encrypt: bool) -> Option<Verdict> {
    let ask = |half| host.ask(ReadFile::<PemFile>::at(usage.path(half)));
    let (certificate, key) = join(ask(Half::Certificate), ask(Half::Key)).await;
    let mut verdict = Verdict::default();
    let certificate = verdict.told("certificate", certificate);
    let key = verdict.told("private key", key);
    let (certificate, key) = (certificate.as_ref(), key.as_ref());
    let is_missing = |file: Option<&File<PemFile>>| matches!(file, Some(File::Missing));
    let none = is_missing(certificate) && is_missing(key);
    if none && lets_encrypt && usage.program() == Program::Nginx {
        return None;
    }
    let mut is_open_to_all = false;
    if has_stray_key(usage, certificate) {
        let open = leak::is_open_to_all(host, usage.path(Half::Certificate)).await;
        is_open_to_all = verdict.told("mode of the certificate's file", open).unwrap_or_default();
    }
    let search =
        is_missing(certificate) || is_missing(key) || fit::differs(usage, certificate, key);
    let nearby = if search && usage.program() != Program::Tokens {
        nearby::nearby(host, usage).await
    } else {
        Nearby::default()
    };
    let passphrase = passphrase(host, usage, key).await;
    let scene = Scene { usage, certificate, key, passphrase, is_open_to_all, nearby };
    let judged = judge(&scene);
    verdict.add(judged.findings.into_iter().map(|finding| follow(finding, usage)));
    verdict.untold.extend(judged.untold);
    Some(verdict)
}

/// The pair of the tokens is the matter of `registry/signing-key` as well, which knows more of it.
fn follow(finding: Finding, usage: &Usage) -> Finding {
    let file = Cause::File(finding.subject.clone());
    if usage.program() == Program::Tokens { finding.follows(file) } else { finding }
}

/// Asked only for nginx and only if the key needs one.
async fn passphrase(host: &Host, usage: &Usage, key: Option<&File<PemFile>>) -> Passphrase {
    let encrypted = key.and_then(File::read).is_some_and(|file| {
        matches!(Reader::of(usage, Half::Key).key(file), Err(Fault { kind: Kind::Encrypted, .. }))
    });
    let (true, Program::Nginx) = (encrypted, usage.program()) else { return Passphrase::NotTold };
    for user in &usage.users {
        let Sourced { value: path, .. } = match certificates::password_file(host, *user).await {
            Ok(Some(path)) => path,
            Ok(None) => return Passphrase::NotTold,
            Err(unknown) => return Passphrase::Unknown(unknown),
        };
        match host.ask(FileFacts::of(path.clone())).await {
            Ok(Some(_)) => {}
            Ok(None) => return Passphrase::Missing(path.into_string()),
            Err(unknown) => return Passphrase::Unknown(unknown),
        }
    }
    Passphrase::Told
}
