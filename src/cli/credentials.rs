//! The user name and password of a login: from a file or from the environment, never from the
//! command line, which every user of the host can read.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use anyhow::{Context as _, bail, ensure};
use camino::Utf8Path;

use super::output::complain;
use crate::checks::shell::word;
use crate::host::credentials::Credentials;
use crate::parse::netrc::{self, Entry, Secret};

/// Far larger than any file of this kind.
const LIMIT: u64 = 1 << 20;

/// What the administrator gave. A file that others can read is told on standard error.
pub(super) fn given(file: Option<&Utf8Path>) -> anyhow::Result<Credentials> {
    let mut entries = Vec::new();
    // Somebody who sets a variable means this very run.
    entries.extend(from_environment()?);
    if let Some(path) = file {
        let (content, warning) = read(path)?;
        let found = netrc::read(&content);
        entries.extend(found.map_err(|why| anyhow::anyhow!("--credentials {path}: {why}"))?);
        ensure!(!entries.is_empty(), "--credentials {path}: no 'machine' with login and password");
        if let Some(warning) = warning {
            complain(&format!("warning: --credentials {path}: {warning}"));
        }
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
fn read(path: &Utf8Path) -> anyhow::Result<(Vec<u8>, Option<String>)> {
    let name = || format!("--credentials {path}");
    let file = File::open(path).with_context(name)?;
    let warning = exposed(path, &file);
    let mut content = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut content).with_context(name)?;
    ensure!(content.len() as u64 <= LIMIT, "{}: larger than any such file", name());
    Ok((content, warning))
}

/// The bits of a mode that let a group and everybody read a file, and enter a folder.
const READ: [u32; 2] = [0o040, 0o004];
const ENTER: [u32; 2] = [0o011, 0o001];

/// Who else can read the file, if anybody can: a folder above it that they cannot enter keeps it
/// from them.
#[expect(clippy::disallowed_methods, reason = "the user's own file is no evidence")]
fn exposed(path: &Utf8Path, file: &File) -> Option<String> {
    let facts = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let real = path.canonicalize_utf8().ok()?;
    let mode = |folder: &Utf8Path| std::fs::metadata(folder).map(|facts| facts.mode());
    let folders: Vec<u32> = real.ancestors().skip(1).map(mode).collect::<Result<_, _>>().ok()?;
    let reached = |who: usize| {
        facts.mode() & READ[who] != 0 && folders.iter().all(|folder| folder & ENTER[who] != 0)
    };
    let (group, everybody) = (reached(0), reached(1));
    let who = match (group, everybody) {
        (_, true) => "everybody on this host",
        // Nobody else is in the group of the superuser.
        (true, false) if facts.gid() != 0 => "its group",
        _ => return None,
    };
    let command = format!("chmod 600 {}", word(path.as_str()));
    Some(format!("{who} can read it (mode {:o}): {command}", facts.mode() & 0o7777))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use camino::Utf8PathBuf;

    use super::*;

    #[test]
    fn a_file_that_others_can_read_is_told() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::from_path_buf(temp.path().join("x")).unwrap();
        let file = folder.join("netrc");
        create_dir(&folder).unwrap();
        write(&file, "machine a login b password hush").unwrap();
        set_permissions(temp.path(), Permissions::from_mode(0o755)).unwrap();
        let handle = File::options().read(true).open(&file).unwrap();
        let judged = |above: u32, mode: u32| {
            set_permissions(&folder, Permissions::from_mode(above)).unwrap();
            set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            exposed(&file, &handle)
        };
        let told = judged(0o755, 0o644).unwrap();
        assert!(told.starts_with("everybody on this host can read it (mode 644)"), "{told}");
        assert!(told.ends_with(&format!("chmod 600 {file}")) && !told.contains("hush"), "{told}");
        for (above, mode) in [(0o755, 0o600), (0o700, 0o644), (0o755, 0o622), (0o750, 0o604)] {
            assert_eq!(judged(above, mode), None, "{above:o} {mode:o}");
        }
    }
}
