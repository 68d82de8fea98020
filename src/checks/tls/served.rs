//! Is the certificate that is served the one on disk, with its chain?

mod chain;
mod copies;
mod difference;
mod handshake;

use std::net::SocketAddr;

use self::chain::Known;
use self::copies::Copies;
use self::handshake::{Look, look};
use super::server::{SHOWN, Server, addresses, servers};
use super::trusted::trusted;
use crate::checks::{Finding, Stop, Verdict, check};
use crate::host::files::SystemTrust;
use crate::host::system::Now;
use crate::host::{Host, Unknown};
use crate::install::Endpoint;

check! {
    /// GitLab and the registry show the certificate that is on disk, with its intermediates, over
    /// TLS 1.2 or later.
    ///
    /// ## Why it matters
    ///
    /// There are three certificates: the one in the file, the one that the server shows, and the
    /// one that clients were given. nginx reads the file when it starts, so a renewed certificate
    /// is not in effect until it is told so, and the old one expires in everybody's face. A missing
    /// intermediate certificate is invisible in browsers, which have it from elsewhere, and fatal
    /// to Docker, Git and runners, which do not fetch it.
    ///
    /// ## What is looked at
    ///
    /// A TLS handshake with every address of GitLab and of the registry; what it shows is compared
    /// with the certificate file on this host, if they are served from here, and with the copies
    /// that clients on this host were given. The chain is examined for what is missing, out of
    /// order or too much. Where a port does not speak what its URL says, the opposite is tried.
    /// Files alone are judged where the network is left out.
    ///
    /// ## How to fix it
    ///
    /// After every change of a certificate: `gitlab-ctl hup nginx`. In its file the server's own
    /// certificate comes first, then each certificate that signed the one before it; the root is
    /// left out.
    "tls/served": "the certificate served is the one on disk, with its chain"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let mut verdict = Verdict::default();
    let urls = addresses(host, &mut verdict).await;
    if urls.is_empty() && verdict.untold.is_empty() {
        return Err(Stop::not_applicable(
            "no address of GitLab or a registry is known here (--url, --registry-url)",
        ));
    }
    let mut looked = 0;
    let mut left_out = None;
    for (who, url) in &urls {
        match look(host, &url.value).await {
            Ok(looks) => {
                looked += looks.iter().filter(|(_, look)| look.is_told()).count();
                note_silence(&mut verdict, &url.value, &looks);
                verdict.add(handshake::judge(*who, url, &looks));
            }
            Err(Unknown::LeftOut(why)) => left_out = Some(why),
            Err(unknown) => verdict.untold(format!("what {} shows", url.value), unknown),
        }
    }
    let mut noted = Verdict::default();
    verdict.add(certificates(host, &mut noted).await?);
    let only_files = looked == 0 && left_out.is_some();
    if !(only_files && verdict.findings.is_empty()) {
        // What the addresses show was looked at above.
        let noted = noted.untold.into_iter();
        verdict.untold.extend(noted.filter(|(what, _)| !what.starts_with(SHOWN)));
    }
    // Files alone can be wrong, but they cannot prove that they are what is shown: where the network
    // was left out, one that cannot be read leaves nothing more untold.
    if looked == 0 && verdict.findings.is_empty() && verdict.untold.is_empty() {
        return Err(Stop::NotApplicable(
            left_out.unwrap_or_else(|| "no address speaks TLS, nor ought to".to_owned()),
        ));
    }
    Ok(verdict)
}

/// Judges what is shown, or else the files. What could not be seen of it was noted before.
async fn certificates(host: &Host, noted: &mut Verdict) -> Result<Vec<Finding>, Stop> {
    let servers = servers(host, noted).await;
    let trusted = trusted(host, noted).await;
    let system = noted.told("the system's store", host.ask(SystemTrust).await).unwrap_or_default();
    let now = host.ask(Now).await?;
    let known = Known::new(&servers, &trusted, &system);
    let copies = Copies { trusted: &trusted, system: &system, now };
    let mut findings = Vec::new();
    for server in &servers {
        findings.extend(difference::judge(server, &copies, now));
        findings.extend(chain::judge(server, &known));
    }
    findings.extend(copies.judge(&servers));
    Ok(merged(findings, &servers))
}

/// What both servers show from one file is told once.
fn merged(findings: Vec<Finding>, servers: &[Server]) -> Vec<Finding> {
    let mut merged: Vec<Finding> = Vec::new();
    for finding in findings {
        let is_twin = |other: &Finding| {
            (other.code, &other.message) == (finding.code, &finding.message)
                && other.remedy == finding.remedy
                && other.subject != finding.subject
        };
        let of_server = |subject: &str| servers.iter().any(|it| it.endpoint.to_string() == subject);
        match merged.iter_mut().find(|other| is_twin(other) && of_server(&finding.subject)) {
            Some(twin) => {
                *twin = twin.clone().seen("the same at", &finding.subject);
                twin.explains.extend(finding.explains);
                twin.follows.extend(finding.follows);
            }
            None => merged.push(finding),
        }
    }
    merged
}

/// An address that cannot be asked is unknown. That it is dead is for other checks to say.
fn note_silence(verdict: &mut Verdict, endpoint: &Endpoint, looks: &[(SocketAddr, Look)]) {
    if looks.is_empty() {
        let why = format!("'{}' does not resolve", endpoint.host);
        verdict.untold(format!("what {endpoint} shows"), Unknown::Unreadable(why));
    }
    for (address, look) in looks {
        if let Look::Dead(failure) = look {
            let why = Unknown::Unreadable(format!("{address}: {failure}"));
            verdict.untold(format!("what {endpoint} shows"), why);
        }
    }
}
