//! From flags to an examination.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::runtime::{Builder, Runtime};

use super::args::{LookArgs, SelectArgs};
use super::output::progress;
use crate::checks::Selection;
use crate::examination::Examination;
use crate::host::request::Request;
use crate::host::{Machine, Scope};

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

/// The examination that the flags describe; a replay, which waits for nothing, has no deadline.
pub(super) fn examination(
    select: &SelectArgs,
    deadline: Option<Duration>,
) -> anyhow::Result<Examination> {
    Ok(Examination {
        selection: Selection::new(&select.only, &select.skip)?,
        fail_on: select.fail_on.into(),
        cut_short: deadline.map_or_else(|| futures::future::pending().boxed(), cut_short),
        progress,
    })
}

/// Runs a future to its end. Looks that hang in the kernel are left behind, not waited for.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime: Runtime = Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(done)
}

/// What ends a run early: its deadline, or the user.
fn cut_short(deadline: Duration) -> BoxFuture<'static, String> {
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
