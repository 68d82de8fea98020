//! The container registry: its addresses, its configuration, its storage.

use camino::Utf8PathBuf;

use super::Sourced;
use crate::host::{Host, Unknown};

/// Where the registry keeps its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In a folder: the root directory of the `filesystem` driver.
    Filesystem(Sourced<Utf8PathBuf>),
    /// Elsewhere: the driver's name.
    Other(Sourced<String>),
}

/// Where the registry of this host keeps its images; `None` if there is no registry here.
pub async fn storage(host: &Host) -> Result<Option<Storage>, Unknown> {
    let _ = host;
    Ok(None)
}
