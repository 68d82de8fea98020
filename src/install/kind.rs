//! How GitLab was installed, and where its Rails application lies.

use camino::Utf8PathBuf;
use serde::Serialize;

use super::Sourced;
use crate::host::files::FileFacts;
use crate::host::{Host, Unknown};

/// How GitLab was installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The Linux package (Omnibus), also inside the all-in-one image.
    LinuxPackage,
    /// From source, below `/home/git`.
    SelfCompiled,
}

/// The Rails root of the Linux package.
const PACKAGE_RAILS: &str = "/opt/gitlab/embedded/service/gitlab-rails";

/// The Rails root that the self-compiled guide names.
const SELF_COMPILED_RAILS: &str = "/home/git/gitlab";

/// How GitLab was installed on this host; `None` if it was not.
pub async fn kind(host: &Host) -> Result<Option<Kind>, Unknown> {
    let exists = async |path: &str| Ok(host.ask(FileFacts::of(path)).await?.is_some());
    // The folder of the package alone is enough: gitlab.rb may lie in a volume that is not mapped.
    let written = exists("/etc/gitlab/gitlab.rb").await;
    if written == Ok(true) || exists(PACKAGE_RAILS).await? {
        return Ok(Some(Kind::LinuxPackage));
    }
    written?;
    let self_compiled = exists("/home/git/gitlab/config/gitlab.yml").await?;
    Ok(self_compiled.then_some(Kind::SelfCompiled))
}

/// Where the Rails application lies; `None` if GitLab is not on this host.
pub async fn rails_root(host: &Host) -> Result<Option<Sourced<Utf8PathBuf>>, Unknown> {
    Ok(kind(host).await?.map(|kind| match kind {
        Kind::LinuxPackage => Sourced::default(PACKAGE_RAILS.into(), "the Linux package's folder"),
        Kind::SelfCompiled => {
            Sourced::default(SELF_COMPILED_RAILS.into(), "the folder of a self-compiled GitLab")
        }
    }))
}
