//! What is due by itself: offers that expire, pools that are released, and lines that somebody must look at because of a
//! change elsewhere. It only asks in time; that each of them is judged right does not depend on it.

use super::Bookings;
use crate::{
    clock::{Clock, Timestamp},
    db::{Db, Result},
    error::Problem,
    registrations::model::Command,
};
use futures_util::future::join_all;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
};
use uuid::Uuid;

/// How long it sleeps at the most: another node may have ended before it did what it had marked.
const AT_MOST: Duration = Duration::from_secs(5);
/// Marks and sessions that one step takes.
const AT_ONCE: i64 = 256;

/// Watches over what is due.
#[derive(Clone)]
pub struct Watch {
    db: Db,
    clock: Clock,
    bookings: Bookings,
    due: Arc<Notify>,
}

/// The running watch.
pub struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Watch {
    pub(super) fn new(db: Db, clock: Clock, bookings: Bookings, due: Arc<Notify>) -> Self {
        Self { db, clock, bookings, due }
    }

    /// Settles the sessions that are due now, some at a time, and answers how many there were.
    pub async fn step(&self) -> std::result::Result<usize, Problem> {
        let mut due: BTreeMap<Uuid, Vec<i64>> = BTreeMap::new();
        for (id, session_id) in marks(&self.db).await? {
            due.entry(session_id).or_default().push(id);
        }
        for session_id in due_by(&self.db, self.clock.now()).await? {
            due.entry(session_id).or_default();
        }
        let settling = due.into_iter().map(|(session_id, marks)| self.bookings.settle(Command::Settle { session_id, marks }));
        let settled = join_all(settling).await;
        let count = settled.len();
        settled.into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(count)
    }

    /// Settles all that is due now.
    pub async fn settle(&self) -> std::result::Result<(), Problem> {
        while self.step().await? > 0 {}
        Ok(())
    }

    /// Steps whenever something is due, until it is told to stop.
    pub(super) fn start(self) -> Running {
        let (stop, mut stopped) = oneshot::channel();
        let task = self.db.clone().spawn(async move {
            loop {
                let sleep = match self.step().await {
                    Ok(0) => self.until_next().await.unwrap_or(AT_MOST),
                    Ok(_) => Duration::ZERO,
                    Err(problem) => {
                        tracing::warn!(%problem, "what is due could not be settled");
                        AT_MOST
                    }
                };
                tokio::select! {
                    _ = &mut stopped => return,
                    () = tokio::time::sleep(sleep) => {}
                    () = self.due.notified() => {}
                }
            }
        });
        Running { stop, task }
    }

    /// How long nothing is due that is known of.
    async fn until_next(&self) -> Result<Duration> {
        const NEXT: &str = "SELECT MIN(due_at) FROM session_seats WHERE due_at IS NOT NULL";
        let next: Option<Timestamp> = self.db.query(NEXT).scalar().await?;
        let micros = next.map(|next| next.as_micros() - self.clock.now().as_micros());
        Ok(micros.map_or(AT_MOST, |micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)).min(AT_MOST)))
    }
}

impl Running {
    /// Ends it after the step under way.
    pub async fn finish(self) {
        // One that has ended already has nothing left to stop.
        let _ = self.stop.send(());
        if let Err(failed) = self.task.await {
            tracing::error!(%failed, "the watch over what is due ended early");
        }
    }
}

async fn marks(db: &Db) -> Result<Vec<(i64, Uuid)>> {
    const MARKS: &str = "SELECT id, session_id FROM due_sessions ORDER BY id LIMIT $1";
    db.query(MARKS).bind(AT_ONCE).all().await
}

async fn due_by(db: &Db, now: Timestamp) -> Result<Vec<Uuid>> {
    const DUE: &str = "SELECT session_id FROM session_seats WHERE due_at <= $1 ORDER BY due_at LIMIT $2";
    let due: Vec<(Uuid,)> = db.query(DUE).bind(now).bind(AT_ONCE).all().await?;
    Ok(due.into_iter().map(|(session_id,)| session_id).collect())
}
