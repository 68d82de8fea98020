//! What a service that is written in Go trusts of this system.

use crate::host::files::{ServiceTrust, SystemTrust, TrustedFiles};
use crate::host::{Host, Unknown};

/// Docker's unit.
pub const DOCKER: &str = "docker.service";

/// The runner's unit.
pub const RUNNER: &str = "gitlab-runner.service";

/// The certificates that a service finds by itself: the system's, unless its unit names others.
pub async fn go_store(host: &Host, unit: &str) -> Result<TrustedFiles, Unknown> {
    match host.ask(ServiceTrust { unit: unit.to_owned() }).await {
        Ok(Some(own)) => Ok(own),
        // Recordings from before this question was asked are not worth less than they were.
        Ok(None) | Err(Unknown::NotRecorded) => host.ask(SystemTrust).await,
        Err(why) => Err(why),
    }
}
