//! Carrying what SQLite's log holds into the file, beside the writer.
//!
//! By itself SQLite does it in the commit that has filled the log by 1,000 pages: in a rush each eighth batch takes twice as
//! long for it, and all of them a quarter. Here a connection of its own does it a moment after a commit, and the writer
//! only now and then, to begin the log from its start: nobody else can while it writes on.

use super::{Background, Result};
use sqlx::SqlitePool;
use std::{sync::Arc, time::Duration};
use tokio::{runtime::Handle, sync::Notify};

/// Pages in the log from which on a commit carries them over itself: 64 MiB. So large does the log grow, and larger only
/// while somebody reads for long.
pub(super) const LOG_PAGES: u16 = 16_384;
/// How much is gathered before it is carried over.
const PAUSE: Duration = Duration::from_millis(50);

/// Carries the log over for as long as this is there.
pub(super) struct Checkpoints {
    pool: SqlitePool,
    due: Arc<Notify>,
    task: Background,
}

impl Checkpoints {
    /// On this runtime, by the one connection of this pool.
    pub(super) fn start(pool: SqlitePool, runtime: &Handle) -> Self {
        let due = Arc::<Notify>::default();
        let carrying = runtime.spawn(keep_carrying(pool.clone(), Arc::clone(&due)));
        Self { pool, due, task: Background(carrying.abort_handle()) }
    }

    /// Says that something was committed.
    pub(super) fn committed(&self) {
        self.due.notify_one();
    }

    /// Ends it, and closes its connection.
    pub(super) async fn close(&self) {
        self.task.0.abort();
        self.pool.close().await;
    }
}

async fn keep_carrying(pool: SqlitePool, due: Arc<Notify>) {
    let mut failing = false;
    loop {
        due.notified().await;
        tokio::time::sleep(PAUSE).await;
        // What can't be carried over now is with the next commit.
        let carried = carry_over(&pool).await;
        if let Err(error) = &carried
            && !failing
        {
            tracing::warn!(%error, "SQLite's log can't be carried into the file");
        }
        failing = carried.is_err();
    }
}

/// Waits for nobody: readers and the writer go on.
async fn carry_over(pool: &SqlitePool) -> Result<()> {
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(pool).await.map(drop)
}
