//! Where and how to look: which root folder, which path maps, network or not, how long.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::credentials::{Credentials, LoginOnce, Once};
use super::request::Request;
use super::system::Accounts;
use super::{Unknown, crash, stopwatch};

/// How many network looks run side by side; enough for hundreds of dead endpoints to cost one
/// timeout, few enough for a default limit of 1024 open files.
const NETWORK_LOOKS: usize = 256;

/// How many file looks run side by side. More than work at once, so that those which a dead mount
/// holds leave room for the others.
const FILE_LOOKS: usize = 64;

/// What of the machine is looked at.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Another root folder: a mounted disk, a container volume, an unpacked archive. `None` is
    /// the running system itself.
    pub root: Option<Utf8PathBuf>,
    /// Folders that lie elsewhere on this machine, as volumes of a container do.
    pub maps: Vec<MapRule>,
    /// Whether the network may be asked; if not, why (`Err`), in words for the report.
    pub network: Result<(), String>,
}

/// `--map FROM=TO`: what the installation calls `from` lies at `to` on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapRule {
    /// The path as GitLab in its container sees it, absolute.
    pub from: Utf8PathBuf,
    /// The path on this machine, absolute.
    pub to: Utf8PathBuf,
}

/// The machine behind a live host.
pub struct Machine {
    scope: Scope,
    request: Request,
    at: Option<Timestamp>,
    patience: Duration,
    network_gate: Semaphore,
    file_gate: Semaphore,
    large_files: Arc<Mutex<()>>,
    accounts: Arc<OnceLock<Accounts>>,
    credentials: Credentials,
    login: LoginOnce,
    listing: Once,
}

impl Machine {
    /// A machine that is looked at within `scope`, waiting `patience` for each answer.
    pub fn new(scope: Scope, request: Request, patience: Duration) -> Self {
        Self {
            scope,
            request,
            at: None,
            patience,
            network_gate: Semaphore::new(NETWORK_LOOKS),
            file_gate: Semaphore::new(FILE_LOOKS),
            large_files: Arc::default(),
            accounts: Arc::default(),
            credentials: Credentials::default(),
            login: LoginOnce::default(),
            listing: Once::default(),
        }
    }

    /// The same machine, judged as if the time were `at`.
    #[must_use]
    pub fn at(self, at: Option<Timestamp>) -> Self {
        Self { at, ..self }
    }

    /// The same machine, with what one login may be tried with.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials, ..self }
    }

    /// The same machine, of which only files are looked at; `why` is told in the report.
    #[must_use]
    pub fn without_network(mut self, why: &str) -> Self {
        self.scope.network = Err(why.to_owned());
        self
    }

    /// The deadline of each question.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// The deadline of one stage of a look (a connection, a handshake): short enough that a silent
    /// peer becomes an answer before the question's own deadline ends the look.
    pub(super) fn stage(&self) -> Duration {
        self.patience.saturating_sub(Duration::from_millis(250)).max(self.patience / 2)
    }

    /// What the administrator asked for in words.
    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    /// The time that the administrator wants judged, if not now.
    pub(super) fn judged_at(&self) -> Option<Timestamp> {
        self.at
    }

    /// With what to log in.
    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// What the one login of this run has come to.
    pub(super) fn login(&self) -> &LoginOnce {
        &self.login
    }

    /// The one time in this run that an access token is shown to GitLab's API.
    pub(super) fn listing(&self) -> &Once {
        &self.listing
    }

    /// Where files are looked for.
    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whoever holds this reads a large file.
    pub(super) fn large_files(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.large_files)
    }

    /// The installation's own accounts, read by the first who needs them.
    pub(super) fn accounts(&self) -> Arc<OnceLock<Accounts>> {
        Arc::clone(&self.accounts)
    }

    /// Leave to use the network now, or why the user left it out. The wait for it does not count
    /// towards the patience of the question: every holder lets go within a stage's deadline.
    pub(super) async fn network(&self) -> Result<SemaphorePermit<'_>, Unknown> {
        if let Err(why) = &self.scope.network {
            return Err(Unknown::LeftOut(why.clone()));
        }
        let turn = stopwatch::queue(self.network_gate.acquire()).await;
        turn.map_err(|error| Unknown::Crashed(error.to_string()))
    }

    /// Runs file work on a thread of its own, so that a stalled disk stalls nothing else.
    pub(super) async fn off_thread<T, F>(&self, work: F) -> Result<T, Unknown>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, Unknown> + Send + 'static,
    {
        let _permit =
            self.file_gate.acquire().await.map_err(|error| Unknown::Crashed(error.to_string()))?;
        // The place of a panic is known only on the thread that panicked.
        let contained =
            move || catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(crash::here()));
        match tokio::task::spawn_blocking(contained).await {
            Ok(done) => done,
            Err(error) => Err(Unknown::Crashed(error.to_string())),
        }
    }
}

impl Scope {
    /// The running system, with its network.
    pub fn live() -> Self {
        Self { root: None, maps: Vec::new(), network: Ok(()) }
    }

    /// The running system itself, whose paths need no translation.
    pub(super) fn is_plain(&self) -> bool {
        self.root.is_none() && self.maps.is_empty()
    }

    /// Whether what only a running system has (sockets, processes) can be seen.
    pub(super) fn is_running(&self) -> bool {
        self.root.is_none()
    }

    /// Where a path lies that holds no symbolic links: the trusted folder and the rest below it.
    pub(super) fn place<'a>(&'a self, path: &'a Path) -> (&'a Utf8Path, &'a Path) {
        let nearest = self
            .maps
            .iter()
            .filter(|map| path.starts_with(&map.from))
            .max_by_key(|map| map.from.components().count());
        let (base, from) = match nearest {
            Some(map) => (map.to.as_path(), map.from.as_std_path()),
            None => (self.root.as_deref().unwrap_or("/".into()), Path::new("/")),
        };
        (base, path.strip_prefix(from).unwrap_or(path))
    }

    /// Where the mapped folder lies that has exactly this name.
    pub(super) fn mapped_at(&self, path: &Path) -> Option<&Utf8Path> {
        let map = self.maps.iter().find(|map| map.from.as_std_path() == path)?;
        Some(&map.to)
    }

    /// Whether a path is a mapped folder or lies in one.
    pub(super) fn is_mapped(&self, path: &Path) -> bool {
        self.maps.iter().any(|map| path.starts_with(&map.from))
    }

    /// Whether a path is a mapped folder or leads to one.
    pub(super) fn leads_to_map(&self, path: &Path) -> bool {
        self.maps.iter().any(|map| map.from.as_std_path().starts_with(path))
    }
}
