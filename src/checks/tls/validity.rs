//! Are all certificates that are in use valid now, and for a while?

mod clock;
mod judge;
mod margin;

use self::judge::Scene;
use self::margin::Margin;
use super::server::{FILES, all_files, meant, servers};
use super::sightings::sightings;
use super::trusted::trusted;
use crate::checks::{Stop, Verdict, check};
use crate::host::Host;
use crate::host::system::Now;

check! {
    /// Every certificate in use is valid now, and will be for at least 30 days.
    ///
    /// ## Why it matters
    ///
    /// Browsers, Git, Docker and runners all refuse an expired certificate, from one second to the
    /// next, and on an offline site no service renews it. An expired certificate of a CA, be it in
    /// the middle of the chain or in a client's file, has the same effect, and is found last.
    ///
    /// ## What is looked at
    ///
    /// Every certificate of every chain that GitLab and the registry show; every certificate in
    /// the files from which servers on this host take theirs; and the files with certificates that
    /// clients on this host are given to trust: Docker's `certs.d`, the runner's `tls-ca-file` and
    /// `certs`, GitLab's `trusted-certs`, and what was added to the system's store. The time is
    /// this host's clock, or `--at`. A certificate that lies in several places is told once.
    ///
    /// `--threshold certificate-days=N` sets how early to warn, 30 days without it. A certificate
    /// with a short life would be too near its end from the beginning, so no more than a third of
    /// the lifetime counts; `--threshold certificate-percent=N` sets that share.
    ///
    /// The pair that signs tokens for the registry is left out: nobody looks at its dates.
    ///
    /// ## How to fix it
    ///
    /// Put the new certificate, with its intermediates behind it, into `/etc/gitlab/ssl/` and run
    /// `gitlab-ctl hup nginx`. If it is self-signed, every client has to be given the new one. Where
    /// a certificate is not valid *yet*, compare this host's clock with another one first.
    "tls/validity": "certificates are valid now and for a while"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let mut verdict = Verdict::default();
    let mut servers = servers(host, &mut verdict).await;
    servers.extend(meant(host, &mut verdict).await);
    let files = verdict.told(FILES, all_files(host).await).unwrap_or_default();
    let trusted = trusted(host, &mut verdict).await;
    let seen = sightings(&servers, &files, &trusted);
    if seen.is_empty() && verdict.untold.is_empty() {
        return Err(Stop::not_applicable("no certificate is in use on this host"));
    }
    let now = host.ask(Now).await?;
    let margin = Margin::of(host).await?;
    let scene = Scene { servers: &servers, seen: &seen, now, margin };
    verdict.add(scene.judge());
    Ok(verdict)
}
