//! Are the certificates made out to the names in use?

mod judge;
mod refusal;

use self::judge::Scene;
use super::server::examined;
use crate::checks::{Stop, Verdict, check};
use crate::host::Host;

check! {
    /// The certificates of GitLab and the registry are made out to the names in their URLs.
    ///
    /// ## Why it matters
    ///
    /// The `openssl` command of the offline guide makes a certificate with the host's name in the
    /// common name only. curl, Git and GitLab itself accept that; Docker, the runner and everything
    /// else written in Go does not look at the common name any more, and says "certificate relies
    /// on legacy Common Name field, use SANs instead". So the first half of an installation works
    /// and the second does not.
    ///
    /// ## What is looked at
    ///
    /// The certificate that each address of GitLab and of the registry shows, and the one in the
    /// file from which it is served on this host. Whether a name matches is decided as Go,
    /// OpenSSL, curl and Ruby decide it, each by its own rules: common names, wildcards (which
    /// stand for exactly one label), IP addresses (which have to be listed as such). Where a
    /// configured certificate is missing, pairs under other names in `/etc/gitlab/ssl` are looked
    /// at instead, each by the name of its file: one of them was meant.
    ///
    /// ## How to fix it
    ///
    /// Have a certificate made whose subjectAltName lists the host of `external_url`, and that of
    /// `registry_external_url` if it is another. With the guide's command, that is
    /// `-addext "subjectAltName=DNS:<host>"`. Then run `gitlab-ctl hup nginx` and replace every
    /// copy of a self-signed certificate.
    "tls/names": "certificates are made out to the names in use"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let mut verdict = Verdict::default();
    let servers = examined(host, &mut verdict).await?;
    let scene = Scene { servers: &servers };
    verdict.add(scene.judge());
    Ok(verdict)
}
