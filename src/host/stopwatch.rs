//! How long a look has taken: the time that it stood in the queue for the network does not count,
//! so that a question's patience is for its peer, however many others are asked at the same time.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

tokio::task_local! {
    /// The stopwatch of the look that is being polled.
    static CURRENT: Stopwatch;
}

/// Runs while a look does, and stands still while the look waits for its turn.
#[derive(Debug, Clone)]
struct Stopwatch(Arc<Mutex<Times>>);

#[derive(Debug)]
struct Times {
    started: Instant,
    /// Spent in queues that the look has left.
    queued: Duration,
    /// Since when it stands in one.
    queueing: Option<Instant>,
}

/// The outcome of a look, or `None` where it took longer than `patience`.
pub(super) async fn timed<T>(patience: Duration, look: impl Future<Output = T>) -> Option<T> {
    let times = Times { started: Instant::now(), queued: Duration::ZERO, queueing: None };
    let stopwatch = Stopwatch(Arc::new(Mutex::new(times)));
    let look = CURRENT.scope(stopwatch.clone(), look);
    tokio::select! {
        biased;
        done = look => Some(done),
        () = stopwatch.runs_out(patience) => None,
    }
}

/// Waits for a turn, which does not count towards the look's patience.
pub(super) async fn queue<T>(turn: impl Future<Output = T>) -> T {
    let stopwatch = CURRENT.try_with(Stopwatch::clone).ok();
    if let Some(stopwatch) = &stopwatch {
        stopwatch.times().queueing = Some(Instant::now());
    }
    let turn = turn.await;
    if let Some(stopwatch) = &stopwatch {
        let mut times = stopwatch.times();
        let since = times.queueing.take();
        times.queued += since.map_or(Duration::ZERO, |since| since.elapsed());
    }
    turn
}

impl Stopwatch {
    /// Resolves once the look has had `patience` for itself. A look in the queue has some left, so
    /// it is asked again after that.
    async fn runs_out(&self, patience: Duration) {
        loop {
            let left = patience.saturating_sub(self.elapsed());
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    fn elapsed(&self) -> Duration {
        let times = self.times();
        let queueing = times.queueing.map_or(Duration::ZERO, |since| since.elapsed());
        times.started.elapsed().saturating_sub(times.queued + queueing)
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn a_look_that_takes_too_long_is_given_up() {
        assert_eq!(timed(PATIENCE, sleep(PATIENCE * 2)).await, None);
        assert_eq!(timed(PATIENCE, sleep(PATIENCE / 2)).await, Some(()));
    }

    #[tokio::test]
    async fn the_queue_does_not_count() {
        let gate = Semaphore::new(1);
        let look = |length: Duration| {
            let gate = &gate;
            timed(PATIENCE, async move {
                let _permit = queue(gate.acquire()).await.unwrap();
                sleep(length).await;
            })
        };
        let slow = PATIENCE * 2 / 3;
        let three = futures::future::join3(look(slow), look(slow), look(slow)).await;
        assert_eq!(three, (Some(()), Some(()), Some(())));
        // What a look does once it has its turn counts as ever.
        let two = futures::future::join(look(slow), look(PATIENCE * 2)).await;
        assert_eq!(two, (Some(()), None));
    }
}
