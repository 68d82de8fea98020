//! The user name and password of a login: from a file or from the environment, never from the
//! command line, which every user of the host can read.

use std::io::Read as _;

use anyhow::{Context as _, bail, ensure};
use camino::Utf8Path;

use crate::host::credentials::Credentials;
use crate::parse::netrc::{self, Entry, Secret};

/// Far larger than any file of this kind.
const LIMIT: u64 = 1 << 20;

/// What the administrator gave.
pub(super) fn given(file: Option<&Utf8Path>) -> anyhow::Result<Credentials> {
    let mut entries = Vec::new();
    // Somebody who sets a variable means this very run.
    entries.extend(from_environment()?);
    if let Some(path) = file {
        let content = read(path)?;
        let found = netrc::read(&content);
        entries.extend(found.map_err(|why| anyhow::anyhow!("--credentials {path}: {why}"))?);
        ensure!(!entries.is_empty(), "--credentials {path}: no 'machine' with login and password");
    }
    Ok(Credentials::new(entries))
}

#[expect(clippy::disallowed_methods, reason = "what the user hands over is no evidence")]
fn from_environment() -> anyhow::Result<Option<Entry>> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (variable("GLDOCTOR_USERNAME"), variable("GLDOCTOR_PASSWORD")) {
        (Some(login), Some(password)) => {
            Ok(Some(Entry { machine: None, login, password: Secret::new(password) }))
        }
        (None, None) => Ok(None),
        (Some(_), None) => bail!("GLDOCTOR_USERNAME is set, but not GLDOCTOR_PASSWORD"),
        (None, Some(_)) => bail!("GLDOCTOR_PASSWORD is set, but not GLDOCTOR_USERNAME"),
    }
}

#[expect(clippy::disallowed_methods, reason = "the user's own file is no evidence")]
fn read(path: &Utf8Path) -> anyhow::Result<Vec<u8>> {
    let name = || format!("--credentials {path}");
    let file = std::fs::File::open(path).with_context(name)?;
    let mut content = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut content).with_context(name)?;
    ensure!(content.len() as u64 <= LIMIT, "{}: larger than any such file", name());
    Ok(content)
}
