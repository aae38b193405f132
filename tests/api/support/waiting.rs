//! Waiting for what others do, and making them wait.

use super::app::App;
use plenary::db::{Dialect, Tx};
use std::time::Duration;
use uuid::Uuid;

/// Waits until something is so; tests that wait for nothing fail after a while.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// Holds back every write to a table until it is let go; on SQLite every write.
pub struct HeldBack(Tx);

impl HeldBack {
    pub async fn begin(app: &App, table: &str) -> Self {
        let mut tx = app.db().begin().await.expect("a transaction");
        if tx.dialect() == Dialect::Postgres {
            let lock = format!("LOCK TABLE {table} IN SHARE MODE");
            tx.query(&*lock.leak()).execute().await.expect("a lock");
        }
        Self(tx)
    }

    /// Takes the turn of an event, as a node does that books at it (Postgres only).
    pub async fn in_turn_of(app: &App, event_id: Uuid) -> Self {
        Self(app.db().begin_in_turn(event_id).await.expect("a transaction"))
    }

    /// Waits until so many transactions are held back, by this or by one another (Postgres only).
    pub async fn until_waiting(&mut self, transactions: i64) {
        const WAITING: &str = "SELECT COUNT(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
            WHERE NOT l.granted AND a.datname = current_database()";
        until("transactions that wait", async || self.0.query(WAITING).scalar::<i64>().await.expect("a number") >= transactions).await;
    }

    /// Has the database cancel what those do that wait (Postgres only).
    pub async fn cancel_waiting(&mut self) {
        const CANCEL: &str = "SELECT COUNT(pg_cancel_backend(l.pid)) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
            WHERE NOT l.granted AND a.datname = current_database()";
        assert!(self.0.query(CANCEL).scalar::<i64>().await.expect("a number") > 0);
    }

    pub async fn end(self) {
        self.0.rollback().await.expect("a rollback");
    }
}
