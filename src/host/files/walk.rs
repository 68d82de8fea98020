//! What walks through big trees share: they end with their question, and never leave the root.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::open::place;
use crate::host::{Machine, Scope, Unknown};

/// Says when to stop walking.
#[derive(Debug, Clone, Default)]
pub(super) struct Leash(Arc<AtomicBool>);

/// A part of a tree that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unread {
    /// The path, absolute; bytes that are not UTF-8 are shown as U+FFFD.
    pub path: String,
    /// Why not.
    pub why: Unknown,
}

impl Leash {
    /// Whether nobody waits for the answer any more.
    pub(super) fn is_cut(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// For a walk that was cut short, whose answer nobody hears.
    pub(super) fn hold(&self) -> Result<(), Unknown> {
        if self.is_cut() {
            Err(Unknown::CutShort("nobody waits for it".to_owned()))
        } else {
            Ok(())
        }
    }

    #[cfg(test)]
    pub(super) fn cut(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Cuts the leash when the question is dropped, as its deadline does.
struct Holder(Leash);

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl Machine {
    /// Runs a walk on a thread of its own; it learns from the leash that its time is up.
    pub(super) async fn walk<T, F>(&self, walk: F) -> Result<T, Unknown>
    where
        T: Send + 'static,
        F: FnOnce(&Scope, &Leash) -> Result<T, Unknown> + Send + 'static,
    {
        let (scope, leash) = (self.scope().clone(), Leash::default());
        let _holder = Holder(leash.clone());
        self.off_thread(move || walk(&scope, &leash)).await
    }
}

/// Where a path of the installation really lies on this machine, free of symbolic links.
pub(super) fn real(scope: &Scope, path: &Utf8Path) -> io::Result<PathBuf> {
    let (base, rest) = place(scope, path)?;
    std::fs::canonicalize(base.join(rest))
}

#[test]
fn a_walk_ends_with_its_question() {
    use std::time::Duration;

    let (told, hear) = std::sync::mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let patience = Duration::from_secs(10);
        let machine =
            Machine::new(Scope::live(), crate::host::request::Request::default(), patience);
        let endless = machine.walk(move |_, leash| {
            while !leash.is_cut() {
                std::thread::sleep(Duration::from_millis(1));
            }
            told.send(()).unwrap();
            leash.hold()
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), endless).await.is_err());
    });
    assert_eq!(hear.recv_timeout(Duration::from_secs(5)), Ok(()));
}
