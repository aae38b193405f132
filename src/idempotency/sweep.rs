//! Forgets keys that are too old, beside the requests.

use super::store;
use crate::{clock::Clock, db::Db, error::Problem};
use std::time::Duration;
use tokio::{sync::oneshot, task::JoinHandle};

/// How often it looks. A key that is too old is not used even before it is deleted.
const EVERY: Duration = Duration::from_secs(60);
/// How many rows one transaction deletes: bookings must not wait for long.
const AT_ONCE: i64 = 500;

/// The running task.
pub struct Sweeper {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Sweeper {
    /// Starts it on the database's runtime.
    pub fn start(db: Db, clock: Clock) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let task = db.clone().spawn(async move {
            loop {
                tokio::select! {
                    _ = &mut stopped => return,
                    () = tokio::time::sleep(EVERY) => {}
                }
                if let Err(problem) = sweep(&db, &clock).await {
                    tracing::warn!(%problem, "old idempotency keys could not be deleted");
                }
            }
        });
        Self { stop, task }
    }

    /// Ends it after the work under way.
    pub async fn finish(self) {
        // One that has ended already has nothing left to stop.
        let _ = self.stop.send(());
        if let Err(failed) = self.task.await {
            tracing::error!(%failed, "the sweeper of idempotency keys ended early");
        }
    }
}

/// Deletes all keys that are too old, a few at a time, and answers how many.
pub async fn sweep(db: &Db, clock: &Clock) -> Result<u64, Problem> {
    let mut deleted = 0;
    loop {
        let now = clock.now();
        let rows = db.write(move |tx| Box::pin(async move { Ok(store::forget(tx, now, AT_ONCE).await?) })).await?;
        deleted += rows;
        if rows < AT_ONCE as u64 {
            return Ok(deleted);
        }
    }
}
