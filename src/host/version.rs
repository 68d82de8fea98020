//! Questions about versions of what is installed.

use std::io::Read as _;

use serde::Serialize;

use super::files::open::{Opened, open, refusal};
use super::{Machine, Question, Scope, Unknown};

/// Asks for the version of GitLab, such as `17.11.7`.
#[derive(Debug, Serialize)]
pub struct InstalledVersion;

/// Asks for the version of the registry that the Linux package runs, such as `v4.19.0-gitlab`.
#[derive(Debug, Serialize)]
pub struct RegistryVersion;

impl Question for InstalledVersion {
    type Answer = Option<String>;

    const KIND: &'static str = "gitlab-version";

    fn label(&self) -> String {
        "file /opt/gitlab/version-manifest.txt".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<Option<String>, Unknown> {
        let scope = machine.scope().clone();
        machine
            .off_thread(move || {
                // The first line: `gitlab-ee 17.11.7`.
                match version(&scope, "/opt/gitlab/version-manifest.txt")? {
                    Some(version) => Ok(Some(version)),
                    None => version(&scope, "/home/git/gitlab/VERSION"),
                }
            })
            .await
    }
}

impl Question for RegistryVersion {
    type Answer = Option<String>;

    const KIND: &'static str = "registry-version";

    fn label(&self) -> String {
        "file /var/opt/gitlab/registry/VERSION".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<Option<String>, Unknown> {
        let scope = machine.scope().clone();
        // What `registry --version` prints: program, module path, version.
        machine.off_thread(move || version(&scope, "/var/opt/gitlab/registry/VERSION")).await
    }
}

/// The last word of the first line of a version file; `None` where there is no file.
fn version(scope: &Scope, path: &str) -> Result<Option<String>, Unknown> {
    let handle = match open(scope, path.into())? {
        Opened::Missing => return Ok(None),
        Opened::NotAFile(kind) => return Err(no_version(path, &format!("it is {kind}"))),
        Opened::File { handle, .. } => handle,
    };
    let mut content = Vec::new();
    let read = handle.take(LONGEST).read_to_end(&mut content);
    read.map_err(|error| refusal(path.into(), &error))?;
    let word = last_word(&content).map(str::to_owned);
    word.map(Some).ok_or_else(|| no_version(path, "its first line is something else"))
}

/// The first number of a version such as `v4.19.0-gitlab`.
pub fn major(version: &str) -> Option<u32> {
    version.trim_start_matches('v').split('.').next()?.parse().ok()
}

/// Longer than any line with a version.
const LONGEST: u64 = 200;

fn no_version(path: &str, why: &str) -> Unknown {
    Unknown::Unreadable(format!("{path}: holds no version: {why}"))
}

/// The file may be anything, so only what is written like a version is taken for one.
fn last_word(content: &[u8]) -> Option<&str> {
    let line = content.split(|byte| *byte == b'\n').next()?;
    let word = std::str::from_utf8(line).ok()?.split_whitespace().last()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-+~_".contains(c);
    let is_version = word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit())
        && word.contains('.')
        && word.len() <= 64
        && word.chars().all(fits);
    is_version.then_some(word)
}

#[test]
fn only_versions_are_taken_for_one() {
    assert_eq!(last_word(b"gitlab-ee 17.11.7\n\nother 1.2.3"), Some("17.11.7"));
    let registry = b"registry gitlab.com/gitlab-org/container-registry v4.19.0-gitlab\n";
    assert_eq!(last_word(registry), Some("v4.19.0-gitlab"));
    assert_eq!(last_word(b"18.1.0-pre\r\n"), Some("18.1.0-pre"));
    for other in [&b""[..], b"\n17.1.0", b"db_password s3cret", b"17.1.0 \xff", b"\x001.2", b"17"] {
        assert_eq!(last_word(other), None, "{other:?}");
    }
}
