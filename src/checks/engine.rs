//! Runs checks, all at once, each with its own view of the host.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, join_all};

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
    let view = host.view();
    let started = Instant::now();
    let result = match run.selection.leaves_out(check) {
        Some(why) => Err(Stop::NotApplicable(why)),
        None => contained(&view, check, run.cut_short.clone()).await,
    };
    let duration = if host.is_live() { started.elapsed() } else { Duration::ZERO };
    Outcome { check, result, looked_at: view.looked_at(), duration }
}

/// A check that panics is unknown, and so is one that the end of the run cuts short.
async fn contained(
    view: &Host,
    check: &'static Check,
    cut_short: Shared<BoxFuture<'static, String>>,
) -> Result<Verdict, Stop> {
    let guarded = AssertUnwindSafe((check.run)(view)).catch_unwind();
    tokio::select! {
        biased;
        result = guarded => match result {
            Ok(result) => result.map(tidy),
            Err(_) => Err(crash::here().into()),
        },
        why = cut_short => Err(Unknown::CutShort(why).into()),
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
