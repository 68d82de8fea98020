//! `host` looks. Every look at a machine is a typed question put to a [`Host`]; its answer is
//! evidence.
//!
//! A live host has a [`Machine`] behind it and asks it each question once, however many checks
//! want the answer. A recorded host answers from a [`Transcript`] and has no machine. So a support
//! bundle is a recording, offline analysis is a replay, and a test fixture is a small recording.
//!
//! What must hold for that to be sound:
//! - An answer is evidence, never a verdict. A missing file, a refused connection and a silent
//!   peer are answers; [`Unknown`] is only "we could not look".
//! - Every answer passes through JSON, live too, so that a replay cannot differ.
//! - A question's fields are its identity. Timeouts and limits belong to the [`Machine`].
//! - Questions do not ask questions: `look` gets a machine, not a host. No cycles, no deadlock.
//! - No answer type has a field in which a secret fits.

pub mod account;
pub mod crash;
pub mod credentials;
mod machine;
mod question;
mod recording;
pub mod spelling;
mod stopwatch;
mod transcript;
mod unknown;

pub mod environment;
pub mod files;
pub mod network;
pub mod processes;
pub mod request;
pub mod system;
pub mod time_services;
pub mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use serde::Deserialize as _;
use tokio::sync::OnceCell;

pub use machine::{Machine, MapRule, Scope};
pub use question::{Question, erase};
pub use recording::Recording;
pub use transcript::{Key, Look, Reply, Transcript};
pub use unknown::Unknown;

/// What the questions are put to: a machine, or a recording of one.
pub struct Host {
    memory: Arc<Memory>,
    is_live: bool,
    /// What was asked through this view, as readers see it: `file /etc/gitlab/gitlab.rb`.
    asked: Mutex<BTreeSet<String>>,
}

struct Memory {
    machine: Option<Machine>,
    memo: Mutex<BTreeMap<Key, Arc<OnceCell<Reply>>>>,
}

impl Host {
    /// A host that asks `machine`, each question once.
    pub fn live(machine: Machine) -> Self {
        Self::with(Some(machine), BTreeMap::new())
    }

    /// A host that answers from a recording alone.
    pub fn recorded(transcript: Transcript) -> Self {
        let memo = transcript
            .looks
            .into_iter()
            .map(|look| (look.key, Arc::new(OnceCell::new_with(Some(look.reply)))))
            .collect();
        Self::with(None, memo)
    }

    fn with(machine: Option<Machine>, memo: BTreeMap<Key, Arc<OnceCell<Reply>>>) -> Self {
        Self {
            is_live: machine.is_some(),
            memory: Arc::new(Memory { machine, memo: Mutex::new(memo) }),
            asked: Mutex::default(),
        }
    }

    /// The same host through fresh eyes: one memory, its own note of what was asked.
    #[must_use]
    pub fn view(&self) -> Self {
        Self { memory: Arc::clone(&self.memory), is_live: self.is_live, asked: Mutex::default() }
    }

    /// The same host with what it has answered so far, of which nothing more is asked.
    #[must_use]
    pub fn as_far_as_known(&self) -> Self {
        Self { is_live: self.is_live, ..Self::recorded(self.transcript()) }
    }

    /// Whether a machine is looked at, rather than a recording.
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// Puts a question. The first to ask waits for the look; everyone else gets its answer.
    pub async fn ask<Q: Question>(&self, question: Q) -> Result<Q::Answer, Unknown> {
        lock(&self.asked).insert(question.label());
        let key = Key::of(&question)?;
        let cell = Arc::clone(lock(&self.memory.memo).entry(key).or_default());
        let reply = match (&self.memory.machine, cell.get()) {
            (_, Some(reply)) => reply,
            (None, None) => return Err(Unknown::NotRecorded),
            (Some(machine), None) => cell.get_or_init(|| look(&question, machine)).await,
        };
        let answer = reply.as_ref().map_err(Clone::clone)?;
        Q::Answer::deserialize(answer).map_err(|error| {
            Unknown::Unreadable(format!("the recorded answer does not fit this version: {error}"))
        })
    }

    /// What was asked through this view, sorted.
    pub fn looked_at(&self) -> Vec<String> {
        lock(&self.asked).iter().cloned().collect()
    }

    /// Every answer given so far, sorted by question. Looks still under way are left out.
    pub fn transcript(&self) -> Transcript {
        let looks = lock(&self.memory.memo)
            .iter()
            .filter_map(|(key, cell)| Some(Look { key: key.clone(), reply: cell.get()?.clone() }))
            .collect();
        Transcript { looks }
    }
}

/// One look, held to the machine's deadline; a panic in it stays in it.
async fn look<Q: Question>(question: &Q, machine: &Machine) -> Reply {
    let guarded = AssertUnwindSafe(question.look(machine)).catch_unwind();
    let answer = match stopwatch::timed(machine.patience(), guarded).await {
        None => return Err(Unknown::TimedOut(machine.patience().as_secs())),
        Some(Err(_)) => return Err(crash::here()),
        Some(Ok(answer)) => answer?,
    };
    serde_json::to_value(answer)
        .map_err(|error| Unknown::Crashed(format!("the answer cannot be recorded: {error}")))
}

/// A lock that a panicking check has poisoned still guards sound data: every change is one insert.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
