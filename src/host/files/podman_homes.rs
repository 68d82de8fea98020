//! Question: which accounts have settings of their own for podman and its kin?

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::locate::locate;
use super::open::text;
use crate::host::{Machine, Question, Scope, Unknown};

/// The largest account file that is read, in bytes.
const MAX_TEXT: u64 = 1 << 20;

/// More accounts with such settings than any host has.
const MAX_HOMES: usize = 200;

/// Where in a home the settings lie.
const FOLDER: &str = ".config/containers";

/// Asks for the accounts in `/etc/passwd` whose home has a folder for such settings.
#[derive(Debug, Serialize)]
pub struct PodmanHomes;

/// An account with settings of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodmanHome {
    /// Its name.
    pub user: String,
    /// The folder of its settings, absolute.
    pub folder: Utf8PathBuf,
}

impl Question for PodmanHomes {
    /// In the order of `/etc/passwd`. A home into which gldoctor may not look is left out: its owner
    /// runs gldoctor to see it.
    type Answer = Vec<PodmanHome>;

    const KIND: &'static str = "podman-homes";

    fn label(&self) -> String {
        "accounts with settings for podman".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<Vec<PodmanHome>, Unknown> {
        let scope = machine.scope().clone();
        machine.off_thread(move || look(&scope)).await
    }
}

fn look(scope: &Scope) -> Result<Vec<PodmanHome>, Unknown> {
    let passwd = text(scope, "/etc/passwd".into(), MAX_TEXT)?.unwrap_or_default();
    let mut homes: Vec<PodmanHome> = Vec::new();
    for line in passwd.lines() {
        let fields: Vec<_> = line.splitn(7, ':').collect();
        let [user, _, _, _, _, home, ..] = fields[..] else { continue };
        let folder = Utf8Path::new(home).join(FOLDER);
        let is_new = folder.is_absolute() && homes.iter().all(|it| it.folder != folder);
        let exists =
            || locate(scope, &folder).is_ok_and(|it| it.metadata().is_ok_and(|it| it.is_dir()));
        if is_new && exists() {
            homes.push(PodmanHome { user: user.to_owned(), folder });
        }
        if homes.len() >= MAX_HOMES {
            break;
        }
    }
    Ok(homes)
}

#[test]
fn homes_with_settings_are_found() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, content: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    let passwd = "root:x:0:0::/root:/bin/sh\nbad\na:x:1:1::/home/a:\nb:x:2:2::/home/b:\n\
                  c:x:3:3::/home/a:\nd:x:4:4::relative:\n";
    write("etc/passwd", passwd);
    write("root/.config/containers/registries.conf", "");
    write("home/a/.config/containers/x", "");
    write("home/b/.config/containers", "a file");
    let root = Utf8PathBuf::from_path_buf(root.path().to_owned()).unwrap();
    let homes = look(&Scope { root: Some(root), ..Scope::live() }).unwrap();
    let found: Vec<_> = homes.iter().map(|it| (it.user.as_str(), it.folder.as_str())).collect();
    assert_eq!(found, [("root", "/root/.config/containers"), ("a", "/home/a/.config/containers")]);
}
