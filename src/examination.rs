//! One whole examination: every check that is wanted, on one host, into a report.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::checks::{self, Run, Selection, Severity};
use crate::host::system::{Now, System};
use crate::host::{Host, Unknown};
use crate::install;
use crate::report::{HostInfo, Preamble, Report, Source};

/// How a host is examined.
pub struct Examination {
    /// Which checks are wanted.
    pub selection: Selection,
    /// From which severity on findings make the exit code 1.
    pub fail_on: Severity,
    /// Resolves, with the reason in words, when the run is to be cut short.
    pub cut_short: BoxFuture<'static, String>,
    /// Called after each check with the number done and the number of all.
    pub progress: fn(usize, usize),
}

impl Default for Examination {
    /// Every check, to its end, in silence.
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            fail_on: Severity::Error,
            cut_short: futures::future::pending().boxed(),
            progress: |_, _| (),
        }
    }
}

impl Examination {
    /// Runs every check that is wanted, and reports.
    pub async fn of(self, host: &Host) -> Result<Report, Unknown> {
        let started = Instant::now();
        let started_at = host.ask(Now).await?;
        let cut_short = self.cut_short.shared();
        let run = Run {
            selection: &self.selection,
            cut_short: cut_short.clone(),
            progress: &self.progress,
        };
        let outcomes = checks::run(host, checks::all(), &run).await;
        // Nothing new is asked once the time is over.
        let host_info = tokio::select! {
            biased;
            info = host_info(host) => info,
            _ = cut_short => host_info(&host.as_far_as_known()).await,
        };
        let preamble = Preamble {
            host: host_info,
            started_at,
            duration: if host.is_live() { started.elapsed() } else { Duration::ZERO },
            fail_on: self.fail_on,
        };
        Ok(Report::new(preamble, &outcomes))
    }
}

/// What a report says of the host.
async fn host_info(host: &Host) -> HostInfo {
    let system = host.ask(System).await.ok();
    let running = system.as_ref().is_some_and(|system| system.running);
    HostInfo {
        name: system.map_or_else(|| "unnamed".to_owned(), |system| system.name),
        roles: install::roles(host).await.iter().map(ToString::to_string).collect(),
        source: match (host.is_live(), running) {
            (false, _) => Source::Bundle,
            (true, true) => Source::Live,
            (true, false) => Source::Root,
        },
        gitlab_version: install::gitlab::version(host).await.ok().flatten(),
    }
}
