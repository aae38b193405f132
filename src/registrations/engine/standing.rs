//! Whether seats still stand that this node remembers, where another node may have ended them: read from the database
//! without locks. All that is asked while it answers is asked at once next.

use crate::{
    clock::Timestamp,
    db::{Columns, Db, Error, Result},
    registrations::model::Registration,
};
use std::{collections::HashSet, time::Duration};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// How much is asked at once at the most, and may wait.
const AT_ONCE: usize = 1_024;

/// How long it waits after an answer, so that a read is for many: each costs as much as finding forty seats.
const PAUSE: Duration = Duration::from_millis(1);

/// Which seats are as they were, all in one value: a row of each would cost as much as finding it. Whose a seat is need not be
/// looked at: an attendee is linked to a user once, and who is erased has no seats.
const STANDING: &str = "SELECT COALESCE(STRING_AGG(UUID_SEND(r.id), ''), '') FROM UNNEST($1::uuid[], $2::bigint[], $3::timestamptz[]) AS w (id, priority, \
    updated_at) JOIN registrations r ON r.id = w.id AND r.status = 'confirmed' AND r.priority = w.priority AND r.updated_at = w.updated_at";

/// Asks the database. Cheap to clone.
#[derive(Clone)]
pub struct Standing(mpsc::Sender<Asked>);

struct Asked {
    id: Uuid,
    priority: i64,
    updated_at: Timestamp,
    answer: oneshot::Sender<bool>,
}

impl Standing {
    /// Of this database, which is Postgres, until the last clone is dropped.
    pub fn start(db: &Db) -> Self {
        let (ask, asked) = mpsc::channel(AT_ONCE);
        db.spawn(run(db.clone(), asked));
        Self(ask)
    }

    /// Whether a seat stands, unchanged. Where that can't be read, or too many ask, it is not known to.
    pub async fn has(&self, seat: &Registration) -> bool {
        let (answer, answered) = oneshot::channel();
        let asked = Asked { id: seat.id, priority: seat.priority, updated_at: seat.updated_at, answer };
        self.0.try_send(asked).is_ok() && answered.await.unwrap_or(false)
    }
}

async fn run(db: Db, mut queue: mpsc::Receiver<Asked>) {
    let mut asked = Vec::with_capacity(AT_ONCE);
    while queue.recv_many(&mut asked, AT_ONCE).await > 0 {
        // Who can't be told here asks the engine, which says what is wrong.
        let standing = standing(&db, &asked).await.unwrap_or_default();
        for Asked { id, answer, .. } in asked.drain(..) {
            // Who asked may have hung up.
            let _ = answer.send(standing.contains(&id));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn standing(db: &Db, asked: &[Asked]) -> Result<HashSet<Uuid>> {
    let input = Columns::new()
        .ids(asked.iter().map(|asked| asked.id))
        .integers(asked.iter().map(|asked| asked.priority))
        .times(asked.iter().map(|asked| asked.updated_at));
    let ids: Vec<u8> = db.query(STANDING).bind_columns(input).scalar().await?;
    ids.chunks(16).map(|id| Uuid::from_slice(id).map_err(|error| Error::Decode(error.into()))).collect()
}
