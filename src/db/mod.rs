//! Both databases behind one small façade. This folder is the only place that knows there are two.
//!
//! SQL is written once, with `$1` placeholders, and runs on both; where the dialects differ the statement is a
//! [`Sql::Differs`]. Reads go through [`Db::query`], writes through a [`Tx`] (see [`Db::write`]).

mod backup;
mod batch;
mod changes;
mod checkpoints;
mod connect;
mod follow;
mod listing;
mod migrations;
mod query;
mod remembered;
mod rows;
mod script;
mod select;
mod types;

pub use backup::{BackupError, Copied, back_up, restore};
pub use batch::{BatchRecord, BatchSelect};
pub(crate) use batch::{batch_array, batch_field, batch_input, batch_output, batch_select, batch_shape, batch_value, batch_write};
pub use changes::{Changes, Moment};
pub use connect::{Access, ConnectError, Settings};
pub use listing::{Cell, Field, Kind, Listing, ListingOf, Part, Parts, Sink};
pub use migrations::{MigrateError, latest_version};
pub use query::{Bind, Query, Record, Sql};
pub use remembered::Remembered;
pub use script::{Answers, BatchWrite};
pub use select::{Key, Keyset, Select};
pub(crate) use types::text_enum;
pub use types::{Columns, JsonText};

use crate::error::Problem;
use checkpoints::Checkpoints;
use futures_util::future::BoxFuture;
use query::Target;
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};
use std::{fs::File, sync::Arc, time::Duration};
use tokio::{runtime::Handle, task::AbortHandle};
use uuid::Uuid;

/// What a storage call can fail with. "Not found" is never an error here but an `Option` or a row count.
pub type Error = sqlx::Error;
/// The result of a storage call.
pub type Result<T> = std::result::Result<T, Error>;

/// The database: cheap to clone, shared by everything.
#[derive(Clone)]
pub struct Db {
    pools: Pools,
    /// Transactions run on this runtime and not on the worker's that asked, so that they end whatever happens to it.
    runtime: Handle,
    changes: Changes,
    /// Where other nodes change things too: the task that follows them.
    follower: Option<Arc<Background>>,
}

/// A task that ends with this.
struct Background(AbortHandle);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Clone)]
enum Pools {
    Sqlite {
        read: SqlitePool,
        write: SqlitePool,
        owner: Option<Arc<Owner>>,
    },
    /// Bookings have connections of their own: else they would wait behind everybody who reads.
    Postgres {
        all: PgPool,
        bookings: PgPool,
    },
}

/// What the process has that owns a SQLite file.
struct Owner {
    /// Locked for as long.
    file: File,
    checkpoints: Checkpoints,
}

/// How a pool of connections is used.
#[derive(Clone, Copy, Debug)]
pub struct PoolUse {
    /// `read` and `write` on SQLite, `all` and `bookings` on Postgres.
    pub name: &'static str,
    /// Open connections that wait.
    pub idle: u64,
    /// Open connections that work.
    pub used: u64,
    /// Connections it opens at the most.
    pub most: u64,
}

impl PoolUse {
    fn of<D: sqlx::Database>(name: &'static str, pool: &sqlx::Pool<D>) -> Self {
        let (size, idle) = (u64::from(pool.size()), pool.num_idle() as u64);
        Self { name, idle, used: size.saturating_sub(idle), most: pool.options().get_max_connections().into() }
    }
}

/// Which database a statement is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The embedded database: one process, one writer.
    Sqlite,
    /// A server that several nodes share.
    Postgres,
}

/// A write transaction; rolled back when dropped without [`Tx::commit`].
pub struct Tx {
    inner: Inner,
    /// What it changes of what nodes keep in memory.
    changed: Vec<Uuid>,
    changes: Changes,
    /// Whom a commit is to be told.
    owner: Option<Arc<Owner>>,
}

enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Db {
    /// Which of the two this is.
    pub fn dialect(&self) -> Dialect {
        match self.pools {
            Pools::Sqlite { .. } => Dialect::Sqlite,
            Pools::Postgres { .. } => Dialect::Postgres,
        }
    }

    /// The same database for bookings alone.
    #[must_use]
    pub fn for_bookings(&self) -> Self {
        match &self.pools {
            Pools::Sqlite { .. } => self.clone(),
            Pools::Postgres { bookings, .. } => {
                Self { pools: Pools::Postgres { all: bookings.clone(), bookings: bookings.clone() }, ..self.clone() }
            }
        }
    }

    /// A read outside any transaction. On SQLite the connection is read-only: a write through here fails.
    pub fn query(&self, sql: impl Into<Sql>) -> Query<'_> {
        match &self.pools {
            Pools::Sqlite { read, .. } => Query::new(Target::SqlitePool(read), sql.into()),
            Pools::Postgres { all, .. } => Query::new(Target::PostgresPool(all), sql.into()),
        }
    }

    /// Begins a write transaction. On SQLite it takes the write lock at once (`BEGIN IMMEDIATE`): a deferred one
    /// that turns to writing would get `SQLITE_BUSY`.
    ///
    /// The future must not be dropped half-way (sqlx 0.9.0 can hand a connection back inside an open transaction),
    /// so call it only from a task that nothing cancels: [`Db::write`] or the engine.
    pub async fn begin(&self) -> Result<Tx> {
        let inner = match &self.pools {
            Pools::Sqlite { write, .. } => Inner::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?),
            Pools::Postgres { all, .. } => Inner::Postgres(all.begin().await?),
        };
        Ok(self.tx(inner))
    }

    /// The same, when it is its turn among those about this thing on all nodes; it lasts until the transaction ends. SQLite
    /// has one writer anyway.
    pub async fn begin_in_turn(&self, about: Uuid) -> Result<Tx> {
        let mut tx = self.begin().await?;
        if tx.dialect() == Dialect::Postgres {
            // The half of an id that is random.
            let turn = about.as_u64_pair().1.cast_signed();
            // A statement of its own: if it fails the transaction is rolled back when it is dropped.
            tx.query("SELECT pg_advisory_xact_lock($1)").bind(turn).execute().await?;
        }
        Ok(tx)
    }

    fn tx(&self, inner: Inner) -> Tx {
        let owner = match &self.pools {
            Pools::Sqlite { owner, .. } => owner.clone(),
            Pools::Postgres { .. } => None,
        };
        Tx { inner, changed: Vec::new(), changes: self.changes.clone(), owner }
    }

    /// Runs `work` in a write transaction of its own, in a task that a dropped connection can't cancel:
    /// commits on `Ok`, rolls back on `Err`.
    pub async fn write<T, W>(&self, work: W) -> std::result::Result<T, Problem>
    where
        T: Send + 'static,
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, std::result::Result<T, Problem>> + Send + 'static,
    {
        let db = self.clone();
        let task = self.runtime.spawn(async move {
            let mut tx = db.begin().await?;
            match work(&mut tx).await {
                Ok(value) => {
                    tx.commit().await?;
                    Ok(value)
                }
                Err(problem) => {
                    tx.rollback().await?;
                    Err(problem)
                }
            }
        });
        task.await.unwrap_or_else(|failed| Err(Problem::internal(format!("a transaction's task ended early: {failed}"))))
    }

    /// Runs `work` on one snapshot of the database, for reads that must fit together, in a task of its own. It writes
    /// nothing and nobody waits for it.
    pub async fn read<T, W>(&self, work: W) -> std::result::Result<T, Problem>
    where
        T: Send + 'static,
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, std::result::Result<T, Problem>> + Send + 'static,
    {
        let db = self.clone();
        let task = self.runtime.spawn(async move {
            let mut tx = db.tx(match &db.pools {
                Pools::Sqlite { read, .. } => Inner::Sqlite(read.begin().await?),
                Pools::Postgres { all, .. } => Inner::Postgres(all.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?),
            });
            let done = work(&mut tx).await;
            tx.rollback().await?;
            done
        });
        task.await.unwrap_or_else(|failed| Err(Problem::internal(format!("a read's task ended early: {failed}"))))
    }

    /// Spawns a task on the runtime that owns the database's work.
    pub fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(task)
    }

    /// What has changed of what is kept in memory.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Whether the database answers, for readiness.
    pub async fn ping(&self) -> Result<()> {
        self.query("SELECT CAST(1 AS BIGINT)").scalar::<i64>().await.map(|_| ())
    }

    /// How its pools are used at this moment.
    pub fn pools(&self) -> Vec<PoolUse> {
        match &self.pools {
            Pools::Sqlite { read, write, .. } => vec![PoolUse::of("read", read), PoolUse::of("write", write)],
            Pools::Postgres { all, bookings } => vec![PoolUse::of("all", all), PoolUse::of("bookings", bookings)],
        }
    }

    /// Closes all connections after the work under way, so that SQLite can checkpoint its log, and gives the file free.
    pub async fn close(&self) {
        if let Some(follower) = &self.follower {
            follower.0.abort();
        }
        match &self.pools {
            Pools::Sqlite { read, write, owner } => {
                read.close().await;
                if let Some(owner) = owner {
                    owner.checkpoints.close().await;
                }
                write.close().await;
                // At the latest the end of the process frees it.
                let _ = owner.as_ref().map(|owner| owner.file.unlock());
            }
            Pools::Postgres { all, bookings } => {
                bookings.close().await;
                all.close().await;
            }
        }
    }
}

impl Tx {
    /// A statement inside this transaction.
    pub fn query(&mut self, sql: impl Into<Sql>) -> Query<'_> {
        match &mut self.inner {
            Inner::Sqlite(tx) => Query::new(Target::Sqlite(&mut *tx), sql.into()),
            Inner::Postgres(tx) => Query::new(Target::Postgres(&mut *tx), sql.into()),
        }
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        match self.inner {
            Inner::Sqlite(_) => Dialect::Sqlite,
            Inner::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Says that this transaction changes something that nodes keep in memory: an event's programme, or who the members
    /// of an organisation are. From its commit on this node has nothing older, and within a second no node has.
    pub fn note_change(&mut self, id: Uuid) {
        if !self.changed.contains(&id) {
            self.changed.push(id);
        }
    }

    /// Makes the work durable. Only after this may anybody be told of it.
    pub async fn commit(mut self) -> Result<()> {
        let changed = std::mem::take(&mut self.changed);
        if !changed.is_empty() && self.dialect() == Dialect::Postgres {
            follow::notify(&mut self, &changed).await?;
        }
        let done = match self.inner {
            Inner::Sqlite(tx) => tx.commit().await,
            Inner::Postgres(tx) => tx.commit().await,
        };
        // Failed or not: a commit whose answer was lost may be done.
        self.changes.happened(&changed);
        if let Some(owner) = self.owner {
            owner.checkpoints.committed();
        }
        done
    }

    /// Undoes the work.
    pub async fn rollback(self) -> Result<()> {
        match self.inner {
            Inner::Sqlite(tx) => tx.rollback().await,
            Inner::Postgres(tx) => tx.rollback().await,
        }
    }
}

/// Where a read can run: on the database or inside a transaction, so that it is written once for both.
pub trait Source: Send {
    /// Which database this is.
    fn dialect(&self) -> Dialect;
    /// A statement there.
    fn statement(&mut self, sql: impl Into<Sql>) -> Query<'_>;
}

impl Source for &Db {
    fn dialect(&self) -> Dialect {
        Db::dialect(self)
    }

    fn statement(&mut self, sql: impl Into<Sql>) -> Query<'_> {
        self.query(sql)
    }
}

impl Source for Tx {
    fn dialect(&self) -> Dialect {
        Tx::dialect(self)
    }

    fn statement(&mut self, sql: impl Into<Sql>) -> Query<'_> {
        self.query(sql)
    }
}

/// Whether the statement failed on a unique constraint. Its name is not asked: SQLite has none.
pub fn is_unique_violation(error: &Error) -> bool {
    error.as_database_error().is_some_and(|e| e.is_unique_violation())
}

/// Whether the statement failed on a foreign key.
pub fn is_foreign_key_violation(error: &Error) -> bool {
    error.as_database_error().is_some_and(|e| e.is_foreign_key_violation())
}

/// Whether the whole transaction may be tried again: a deadlock or serialisation failure (Postgres 40P01, 40001),
/// or a writer that was busy (SQLite 5, 261, 517).
pub fn is_transient(error: &Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code());
    matches!(code.as_deref(), Some("40P01" | "40001" | "5" | "261" | "517"))
}

/// Whether the database can't be reached or can't take more now: the pool had no connection in time, the connection broke,
/// or Postgres refuses (class 08 connections, 53 resources, 57P operator; 55000 where it lets nobody into the database).
pub fn is_unavailable(error: &Error) -> bool {
    match error {
        Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed | Error::Io(_) => true,
        _ => error
            .as_database_error()
            .and_then(|e| e.code())
            .is_some_and(|code| code.len() == 5 && ["08", "53", "57P", "55000"].iter().any(|refusal| code.starts_with(refusal))),
    }
}

/// How long a statement waits for a connection or for SQLite's write lock before it is given up.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
