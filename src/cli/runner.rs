//! Runs the checks on a host and makes the report.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::runtime::{Builder, Runtime};

use super::args::{LookArgs, SelectArgs};
use super::output::progress;
use crate::checks::{self, Run, Selection};
use crate::host::request::Request;
use crate::host::system::Now;
use crate::host::{Host, Machine, Scope};
use crate::install;
use crate::report::{Preamble, Report};

/// How a host is examined.
pub(super) struct Examination<'a> {
    pub(super) selection: Selection,
    pub(super) select: &'a SelectArgs,
    pub(super) deadline: Duration,
}

/// The machine that the flags describe.
pub(super) fn machine(args: &LookArgs) -> anyhow::Result<Machine> {
    let scope = Scope { root: args.root()?, maps: args.maps()?, network: args.network() };
    let request = Request {
        url: args.url.clone(),
        registry_url: args.registry_url.clone(),
        ntp: args.ntp.clone(),
        thresholds: args.threshold.iter().cloned().collect(),
    };
    Ok(Machine::new(scope, request, args.timeout).at(args.at))
}

/// Runs a future to its end. Looks that hang in the kernel are left behind, not waited for.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime: Runtime = Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(done)
}

/// Runs every check that is wanted, and reports.
pub(super) async fn examine(host: &Host, examination: &Examination<'_>) -> anyhow::Result<Report> {
    let started = Instant::now();
    let started_at = host.ask(Now).await?;
    let run = Run {
        selection: &examination.selection,
        cut_short: cut_short(host.is_live(), examination.deadline).shared(),
        progress: &progress,
    };
    let outcomes = checks::run(host, checks::all(), &run).await;
    let preamble = Preamble {
        host: install::host_info(host).await,
        started_at,
        duration: if host.is_live() { started.elapsed() } else { Duration::ZERO },
        fail_on: examination.select.fail_on.into(),
    };
    Ok(Report::new(preamble, &outcomes))
}

/// What ends a run early: its deadline, or the user. A replay waits for nothing.
fn cut_short(live: bool, deadline: Duration) -> BoxFuture<'static, String> {
    if !live {
        return futures::future::pending().boxed();
    }
    async move {
        tokio::select! {
            () = tokio::time::sleep(deadline) => {
                format!("its deadline of {} s was over (--deadline raises it)", deadline.as_secs())
            }
            _ = tokio::signal::ctrl_c() => "it was interrupted".to_owned(),
        }
    }
    .boxed()
}
