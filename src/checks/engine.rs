//! Runs checks, all at once, each with its own view of the host.
//!
//! Each has a thread of its own: one that computes for long keeps neither the network nor the end of
//! the run waiting, which both are heard on the thread that runs the engine. As many compute at once
//! as there are processors.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, join_all};
use tokio::runtime::Handle;

use super::{Check, Finding, Selection, Stop, Verdict};
use crate::host::{Host, Unknown, crash};

/// What became of one check.
pub struct Outcome {
    /// The check.
    pub check: &'static Check,
    /// Its verdict, or why there is none.
    pub result: Result<Verdict, Stop>,
    /// Everything it asked for, sorted.
    pub looked_at: Vec<String>,
    /// How long it took; zero in a replay, which waits for nobody.
    pub duration: Duration,
}

/// How to run: which checks, and what ends the run early.
pub struct Run<'a> {
    /// Which checks the user wants.
    pub selection: &'a Selection,
    /// Resolves, with the reason in words, when the run is to be cut short.
    pub cut_short: Shared<BoxFuture<'static, String>>,
    /// Called after each check with the number done and the number of all.
    pub progress: &'a dyn Fn(usize, usize),
}

impl Outcome {
    /// What was found.
    pub fn findings(&self) -> &[Finding] {
        self.result.as_ref().map_or(&[], |verdict| &verdict.findings)
    }

    /// Whether the run ended before the check did.
    pub fn was_cut_short(&self) -> bool {
        matches!(self.result, Err(Stop::Unknown(Unknown::CutShort(_))))
    }
}

/// Runs every check in `checks`, in one go; the outcomes are in their order.
pub async fn run(
    host: &Host,
    checks: impl IntoIterator<Item = &'static Check>,
    run: &Run<'_>,
) -> Vec<Outcome> {
    let checks: Vec<_> = checks.into_iter().collect();
    let total = checks.len();
    let done = std::cell::Cell::new(0);
    let each = checks.into_iter().map(|check| async {
        let outcome = one(host, check, run).await;
        done.set(done.get() + 1);
        (run.progress)(done.get(), total);
        outcome
    });
    join_all(each).await
}

async fn one(host: &Host, check: &'static Check, run: &Run<'_>) -> Outcome {
    let view = Arc::new(host.view());
    let started = Instant::now();
    let result = match run.selection.leaves_out(check) {
        Some(why) => Err(Stop::NotApplicable(why)),
        None => contained(Arc::clone(&view), check, run.cut_short.clone()).await,
    };
    let duration = if host.is_live() { started.elapsed() } else { Duration::ZERO };
    Outcome { check, result, looked_at: view.looked_at(), duration }
}

/// A check that panics is unknown, and so is one that the end of the run cuts short: at once where
/// it waits; where it computes, it is left behind.
async fn contained(
    view: Arc<Host>,
    check: &'static Check,
    cut_short: Shared<BoxFuture<'static, String>>,
) -> Result<Verdict, Stop> {
    let ended = cut_short.clone();
    let mut guarded = Box::pin(async move {
        // Caught on the thread that panics, which remembers the place.
        let guarded = AssertUnwindSafe((check.run)(&view)).catch_unwind();
        tokio::select! {
            biased;
            result = guarded => result.unwrap_or_else(|_| Err(crash::here().into())),
            why = ended => Err(Unknown::CutShort(why).into()),
        }
    });
    let in_turn = poll_fn(move |context| {
        let _turn = Turn::take();
        guarded.as_mut().poll(context)
    });
    let runtime = Handle::current();
    let thread = tokio::task::spawn_blocking(move || runtime.block_on(in_turn));
    tokio::select! {
        biased;
        result = thread => {
            result.unwrap_or_else(|error| Err(Unknown::Crashed(error.to_string()).into())).map(tidy)
        }
        why = cut_short => Err(Unknown::CutShort(why).into()),
    }
}

/// Leave to compute, given back when dropped. As many have it at once as there are processors: looks
/// have deadlines, and should not have to share a processor with every check there is.
struct Turn;

/// One check that never ends must not keep all others from theirs.
static TURNS: LazyLock<usize> =
    LazyLock::new(|| available_parallelism().map_or(2, |processors| processors.get().max(2)));
static TAKEN: Mutex<usize> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

impl Turn {
    fn take() -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = GIVEN_BACK
            .wait_while(taken, |taken| *taken >= *TURNS)
            .unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        GIVEN_BACK.notify_one();
    }
}

/// Worst first, and otherwise in the order of subjects: equal evidence is an equal report. What
/// the user left out is not untold.
fn tidy(mut verdict: Verdict) -> Verdict {
    verdict.findings.sort_by(|a, b| {
        let order = |finding: &Finding| (finding.subject.clone(), finding.code);
        b.severity.cmp(&a.severity).then_with(|| order(a).cmp(&order(b)))
    });
    verdict.untold.retain(|(_, why)| !matches!(why, Unknown::LeftOut(_)));
    verdict.untold.sort();
    verdict.untold.dedup();
    verdict
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::runtime::Builder;

    use super::*;
    use crate::host::Transcript;

    static ONE_IS_DONE: AtomicBool = AtomicBool::new(false);
    static IS_OVER: AtomicBool = AtomicBool::new(false);

    /// Computes until the test is over, or longer than anybody would wait.
    static BUSY: Check = Check {
        id: "test/busy",
        title: "it computes",
        page: "",
        run: |_| {
            async {
                let started = Instant::now();
                while !IS_OVER.load(Ordering::Relaxed) && started.elapsed().as_secs() < 30 {
                    std::thread::yield_now();
                }
                Ok(Verdict::default())
            }
            .boxed()
        },
    };

    static WAITING: Check = Check {
        id: "test/waiting",
        title: "it waits for a while",
        page: "",
        run: |_| {
            async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(Verdict::default())
            }
            .boxed()
        },
    };

    #[test]
    fn a_check_that_computes_delays_neither_others_nor_the_end() {
        let host = Host::recorded(Transcript::default());
        let end = async {
            while !ONE_IS_DONE.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            "enough was seen".to_owned()
        };
        let run = Run {
            selection: &Selection::default(),
            cut_short: end.boxed().shared(),
            progress: &|_, _| ONE_IS_DONE.store(true, Ordering::Relaxed),
        };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let outcomes = runtime.block_on(super::run(&host, [&BUSY, &WAITING], &run));
        IS_OVER.store(true, Ordering::Relaxed);
        assert!(outcomes[0].was_cut_short());
        assert!(outcomes[1].result.is_ok());
    }
}
