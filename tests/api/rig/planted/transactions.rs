//! Faults in what is read, written and made durable, and when.

use futures_util::future::BoxFuture;
use plenary::{
    clock::Timestamp,
    db::{Db, Dialect, Error, Result, Tx},
    registrations::{
        decide::{Change, ChangeKind, Changes, SessionState, World},
        engine::{Real, Steps, Wanted, load},
        model::Registration,
    },
};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// A way to the database beside the transaction, once the server is there.
pub type Outside = OnceLock<Db>;

/// How many seats are taken is read before the session is locked.
#[derive(Default)]
pub struct CapacityOutside(pub Outside);

impl Steps for CapacityOutside {
    fn load<'t>(&'t self, tx: &'t mut Tx, wanted: &'t Wanted, now: Timestamp) -> BoxFuture<'t, Result<World>> {
        Box::pin(async move {
            let Some(db) = self.0.get() else { return Real.load(tx, wanted, now).await };
            let taken: Vec<(Uuid, i64)> = db.query("SELECT session_id, seats_taken FROM session_seats").all().await?;
            let taken: HashMap<Uuid, i64> = taken.into_iter().collect();
            let mut world = Real.load(tx, wanted, now).await?;
            let sessions: Vec<SessionState> = world.sessions().cloned().collect();
            for mut session in sessions {
                session.seats_taken = taken.get(&session.id).copied().unwrap_or(session.seats_taken);
                world.add_session(session);
            }
            Ok(world)
        })
    }
}

/// What somebody has elsewhere is read without locking them; sessions are locked as ever.
pub struct OverlapOutside;

impl Steps for OverlapOutside {
    fn load<'t>(&'t self, tx: &'t mut Tx, wanted: &'t Wanted, now: Timestamp) -> BoxFuture<'t, Result<World>> {
        const NAMED: &str = "SELECT session_id FROM registrations WHERE id = ANY($1) \
            OR id IN (SELECT moved_to FROM registrations WHERE id = ANY($1))";
        const LOCK: &str = "SELECT session_id FROM session_seats WHERE session_id = ANY($1) ORDER BY session_id FOR UPDATE";
        Box::pin(async move {
            let named: Vec<Uuid> = wanted.registrations.iter().copied().collect();
            let named: Vec<(Uuid,)> = tx.query(NAMED).bind_ids(&named).all().await?;
            let sessions: Vec<Uuid> = wanted.sessions.iter().copied().chain(named.into_iter().map(|(id,)| id)).collect();
            tx.query(LOCK).bind_ids(&sessions).all::<(Uuid,)>().await?;
            load(tx, wanted, now, false).await
        })
    }
}

/// A freed seat goes to who came first by the clock, and by whatever order the clock does not tell.
pub struct WaitlistByClock;

impl Steps for WaitlistByClock {
    fn write<'t>(&'t self, tx: &'t mut Tx, changes: &'t Changes, now: Timestamp) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            let mut changes = changes.clone();
            for index in 0..changes.journal.len() {
                if matches!(changes.journal[index].kind, ChangeKind::Promoted | ChangeKind::Offered) {
                    let session = changes.journal[index].session_id;
                    const FIRST: &str = "SELECT id, session_id, attendee_id, status, seq, priority, offer_expires_at, checked_in_at, \
                        cancel_reason, moved_to, created_at, updated_at, cancelled_at FROM registrations \
                        WHERE session_id = $1 AND status = 'waitlisted' ORDER BY created_at, id DESC LIMIT 1";
                    let first: Option<Registration> = tx.query(FIRST).bind(session).optional().await?;
                    if let Some(first) = first {
                        serve(&mut changes, index, first);
                    }
                }
            }
            Real.write(tx, &changes, now).await
        })
    }
}

/// Gives the seat to somebody else.
fn serve(changes: &mut Changes, index: usize, first: Registration) {
    if changes.updated.iter().any(|row| row.id == first.id) {
        return;
    }
    let served = changes.journal[index].registration_id;
    if let Some(row) = changes.updated.iter_mut().find(|row| Some(row.id) == served) {
        let Registration { status, offer_expires_at, updated_at, .. } = *row;
        (changes.journal[index].registration_id, changes.journal[index].attendee_id) = (Some(first.id), Some(first.attendee_id));
        *row = Registration { status, offer_expires_at, updated_at, ..first };
    }
}

/// Of a batch with several new registrations the last are not written.
pub struct HalfABatch;

impl Steps for HalfABatch {
    fn write<'t>(&'t self, tx: &'t mut Tx, changes: &'t Changes, now: Timestamp) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            let mut changes = changes.clone();
            changes.inserted.truncate(changes.inserted.len().div_ceil(2));
            Real.write(tx, &changes, now).await
        })
    }
}

/// The journal has a transaction of its own, after the other: now and then the process does not live to write it.
#[derive(Default)]
pub struct JournalApart {
    pub outside: Outside,
    pending: Mutex<Vec<(Timestamp, Change)>>,
    written: AtomicU64,
}

impl Steps for JournalApart {
    fn write<'t>(&'t self, tx: &'t mut Tx, changes: &'t Changes, now: Timestamp) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            let mut changes = changes.clone();
            self.pending.lock().expect("a journal").extend(changes.journal.drain(..).map(|change| (now, change)));
            Real.write(tx, &changes, now).await
        })
    }

    fn commit(&self, tx: Tx) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            tx.commit().await?;
            let journal = std::mem::take(&mut *self.pending.lock().expect("a journal"));
            let lives = !self.written.fetch_add(1, Ordering::SeqCst).is_multiple_of(20);
            if let Some(db) = self.outside.get().filter(|_| lives) {
                let mut tx = db.begin().await?;
                for (now, change) in journal {
                    Real.write(&mut tx, &Changes { journal: vec![change], ..Changes::default() }, now).await?;
                }
                tx.commit().await?;
            }
            Ok(())
        })
    }
}

/// The answers go out while the work is still being made durable.
pub struct AnswersBeforeCommit;

/// Long enough for a client to look.
const LATE: Duration = Duration::from_millis(30);

impl Steps for AnswersBeforeCommit {
    fn commit(&self, tx: Tx) -> BoxFuture<'_, Result<()>> {
        tokio::spawn(async move {
            tokio::time::sleep(LATE).await;
            tx.commit().await
        });
        Box::pin(std::future::ready(Ok(())))
    }
}

/// SQLite is told that it need not wait for the disk.
#[derive(Default)]
pub struct Relaxed(OnceLock<()>);

impl Steps for Relaxed {
    fn load<'t>(&'t self, tx: &'t mut Tx, wanted: &'t Wanted, now: Timestamp) -> BoxFuture<'t, Result<World>> {
        Box::pin(async move {
            if self.0.set(()).is_ok() && tx.dialect() == Dialect::Sqlite {
                // It can't be changed inside a transaction.
                for statement in ["COMMIT", "PRAGMA synchronous = NORMAL", "BEGIN IMMEDIATE"] {
                    tx.query(statement).execute().await?;
                }
            }
            Real.load(tx, wanted, now).await
        })
    }
}

/// No fault of the server's: now and then the database refuses a batch, or can't say whether it is committed.
#[derive(Default)]
pub struct Hiccups {
    count: AtomicU64,
    /// Whether somebody waits who asks again. Who settles what is due tries again, but later than the test ends.
    asked: AtomicBool,
}

impl Hiccups {
    fn happens(&self, every: u64) -> bool {
        self.count.fetch_add(1, Ordering::SeqCst).is_multiple_of(every)
    }
}

impl Steps for Hiccups {
    fn write<'t>(&'t self, tx: &'t mut Tx, changes: &'t Changes, now: Timestamp) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            Real.write(tx, changes, now).await?;
            // A batch of one would be told that it failed.
            self.asked.store(!changes.inserted.is_empty(), Ordering::SeqCst);
            let people: HashSet<Uuid> = changes.inserted.iter().map(|row| row.attendee_id).collect();
            if people.len() > 1 && self.happens(3) { Err(Error::Protocol("a hiccup".into())) } else { Ok(()) }
        })
    }

    fn commit(&self, tx: Tx) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            match (self.asked.load(Ordering::SeqCst) && self.happens(8), self.happens(3)) {
                (true, true) => tx.rollback().await?,
                (true, false) => tx.commit().await?,
                (false, _) => return tx.commit().await,
            }
            Err(Error::Io(std::io::Error::other("a hiccup")))
        })
    }
}
