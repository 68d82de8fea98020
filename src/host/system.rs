//! Questions about the system itself: its name, its time, its accounts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::files::open::text;
use super::{Machine, Question, Scope, Unknown};

/// Asks for the time by which everything is judged: this machine's clock, or `--at`.
#[derive(Debug, Serialize)]
pub struct Now;

impl Question for Now {
    type Answer = Timestamp;

    const KIND: &'static str = "now";

    fn label(&self) -> String {
        "clock".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<Timestamp, Unknown> {
        let now = machine.judged_at().unwrap_or_else(Timestamp::now);
        // Whole seconds are what a report shows; finer ones would only make replays noisy.
        Timestamp::new(now.as_second(), 0).map_err(|error| Unknown::Crashed(error.to_string()))
    }
}

/// Asks what system this is.
#[derive(Debug, Serialize)]
pub struct System;

/// What system was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemFacts {
    /// The host's own name, as `/etc/hostname` or the kernel has it.
    pub name: String,
    /// `PRETTY_NAME` of `/etc/os-release`.
    pub os: Option<String>,
    /// `ID` of `/etc/os-release`, such as `ubuntu`.
    pub os_id: Option<String>,
    /// `ID_LIKE` of `/etc/os-release`.
    pub os_like: Vec<String>,
    /// Whether it is the running system, rather than a root folder.
    pub running: bool,
    /// The effective user id that gldoctor ran under.
    pub uid: u32,
}

impl Question for System {
    type Answer = SystemFacts;

    const KIND: &'static str = "system";

    fn label(&self) -> String {
        "system".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<SystemFacts, Unknown> {
        let scope = machine.scope().clone();
        machine
            .off_thread(move || {
                let release = fields(&small_text(&scope, "/etc/os-release").unwrap_or_default());
                let words = |key: &str| release.get(key).map(|text| shortened(text));
                Ok(SystemFacts {
                    name: host_name(&scope),
                    os: words("PRETTY_NAME"),
                    os_id: words("ID"),
                    os_like: words("ID_LIKE")
                        .map(|like| like.split_whitespace().map(str::to_owned).collect())
                        .unwrap_or_default(),
                    running: scope.is_running(),
                    uid: rustix::process::geteuid().as_raw(),
                })
            })
            .await
    }
}

fn host_name(scope: &Scope) -> String {
    let written = || {
        let text = small_text(scope, "/etc/hostname")?;
        let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
        (!line.starts_with('#')).then(|| shortened(line))
    };
    if scope.is_running() {
        let uname = rustix::system::uname();
        uname.nodename().to_string_lossy().into_owned()
    } else {
        written().unwrap_or_else(|| "unnamed".to_owned())
    }
}

/// No name is longer than this, and a file may be anything.
fn shortened(text: &str) -> String {
    text.chars().take(253).collect()
}

/// `KEY=value` lines with optional quotes, as in `/etc/os-release`.
fn fields(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.trim().split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.trim_matches(['"', '\'']).to_owned())).collect()
}

/// As much as is read of an account file; an offline site has few accounts.
const MAX_TEXT: u64 = 1 << 20;

/// A small public text, where it can be read.
fn small_text(scope: &Scope, path: &str) -> Option<String> {
    text(scope, path.into(), MAX_TEXT).ok().flatten()
}

/// The installation's own accounts, as its `/etc/passwd` and `/etc/group` name them.
pub(super) struct Accounts {
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl Accounts {
    pub(super) fn read(scope: &Scope) -> Self {
        let names = |path| id_names(&small_text(scope, path).unwrap_or_default());
        Self { users: names("/etc/passwd"), groups: names("/etc/group") }
    }

    pub(super) fn user(&self, uid: u32) -> Option<String> {
        self.users.get(&uid).cloned()
    }

    pub(super) fn group(&self, gid: u32) -> Option<String> {
        self.groups.get(&gid).cloned()
    }
}

/// The first and third fields; the first line with an id wins, as for `getpwuid`.
fn id_names(text: &str) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(id)) = (fields.next(), fields.nth(1)) else { continue };
        if let Ok(id) = id.parse() {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[test]
fn os_release_is_read_with_and_without_quotes() {
    let read = fields("ID=ubuntu\nPRETTY_NAME=\"Ubuntu 20.04\"\n# x\n");
    assert_eq!(read["ID"], "ubuntu");
    assert_eq!(read["PRETTY_NAME"], "Ubuntu 20.04");
}

#[test]
fn the_first_name_of_an_id_counts() {
    let names = id_names("root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:\nbad\ngit:x:998:998\n");
    assert_eq!(names[&0], "root");
    assert_eq!(names[&998], "git");
}
