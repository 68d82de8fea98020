//! From flags to an examination.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::args::{LookArgs, SelectArgs};
use super::credentials;
use super::output::progress;
use crate::checks::Selection;
use crate::examination::Examination;
use crate::host::request::Request;
use crate::host::{Machine, Scope};

/// The machine that the flags describe.
pub(super) fn machine(args: &LookArgs) -> anyhow::Result<Machine> {
    let scope = Scope { root: args.root()?, maps: args.maps()?, network: args.network()? };
    let request = Request {
        url: args.url.clone(),
        registry_url: args.registry_url.clone(),
        ntp: args.ntp.clone(),
        elsewhere: scope.root.is_some() || !scope.maps.is_empty(),
        thresholds: args.threshold.iter().cloned().collect(),
    };
    let credentials = credentials::given(args.credentials.as_deref())?;
    Ok(Machine::new(scope, request, args.timeout).at(args.at).with_credentials(credentials))
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
    let done = catch_unwind(AssertUnwindSafe(|| runtime.block_on(work)));
    // To drop the runtime, as a panic would on its way out, is to wait.
    runtime.shutdown_background();
    done.map_or_else(|panic| resume_unwind(panic), Ok)
}

/// What ends a run early: its deadline, or the user.
pub(super) fn cut_short(deadline: Duration) -> BoxFuture<'static, String> {
    async move {
        tokio::select! {
            () = tokio::time::sleep(deadline) => {
                format!("its deadline of {} s was over (--deadline raises it)", deadline.as_secs())
            }
            () = stopped() => "it was interrupted".to_owned(),
        }
    }
    .boxed()
}

/// Ctrl-C, or the stop that `kill`, `systemd` and `docker stop` send. Where the system does not let
/// us listen, nothing is heard.
async fn stopped() {
    let heard = async |kind| match signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => futures::future::pending().await,
    };
    tokio::select! {
        () = heard(SignalKind::interrupt()) => (),
        () = heard(SignalKind::terminate()) => (),
    }
}

#[test]
fn a_thread_that_hangs_is_left_behind() {
    let (_never, hear) = std::sync::mpsc::channel::<()>();
    let done = block_on(async {
        tokio::task::spawn_blocking(move || hear.recv());
        tokio::task::yield_now().await;
        42
    });
    assert_eq!(done.unwrap(), 42);
}
