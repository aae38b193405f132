//! Whether seats still stand that this node remembers, where another node may have ended them: read from the database
//! without locks. All that is asked while it answers is asked at once next.

use crate::{
    clock::Timestamp,
    db::{Columns, Db, Result},
    registrations::model::Registration,
};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// How much is asked at once at the most, and may wait.
const AT_ONCE: usize = 1_024;

/// How long it waits after an answer, so that a read is for many: each costs as much as finding forty seats.
const PAUSE: Duration = Duration::from_millis(1);

/// Which seats are as they were, all in one value: a row of each would cost as much as finding it. Whose a seat is need not be
/// looked at: an attendee is linked to a user once, and who is erased has no seats.
const STANDING: &str = "SELECT COALESCE(STRING_AGG(INT8SEND(w.number), ''), '') \
    FROM UNNEST($1::uuid[], $2::bigint[], $3::timestamptz[]) WITH ORDINALITY AS w (id, priority, updated_at, number) \
    JOIN registrations r ON r.id = w.id AND r.status = 'confirmed' AND r.priority = w.priority AND r.updated_at = w.updated_at";

/// Asks the database. Cheap to clone.
#[derive(Clone)]
pub struct Standing(mpsc::Sender<Question>);

struct Question {
    id: Uuid,
    priority: i64,
    updated_at: Timestamp,
    answer: oneshot::Sender<bool>,
}

impl Standing {
    /// Of this database, which is Postgres, until the last clone is dropped.
    pub fn start(db: &Db) -> Self {
        let (questions, queue) = mpsc::channel(AT_ONCE);
        db.spawn(run(db.clone(), queue));
        Self(questions)
    }

    /// Whether a seat stands, unchanged. Where that can't be read, or too many ask, it is not known to.
    pub async fn has(&self, seat: &Registration) -> bool {
        let (answer, answered) = oneshot::channel();
        let question = Question { id: seat.id, priority: seat.priority, updated_at: seat.updated_at, answer };
        self.0.try_send(question).is_ok() && answered.await.unwrap_or(false)
    }
}

async fn run(db: Db, mut queue: mpsc::Receiver<Question>) {
    let mut questions = Vec::with_capacity(AT_ONCE);
    while queue.recv_many(&mut questions, AT_ONCE).await > 0 {
        // Who can't be told here asks the engine, which says what is wrong.
        let standing = standing(&db, &questions).await.unwrap_or_else(|_| vec![false; questions.len()]);
        for (Question { answer, .. }, stands) in questions.drain(..).zip(standing) {
            // Who asked may have hung up.
            let _ = answer.send(stands);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Of each whether it stands.
async fn standing(db: &Db, questions: &[Question]) -> Result<Vec<bool>> {
    let input = Columns::new()
        .ids(questions.iter().map(|question| question.id))
        .integers(questions.iter().map(|question| question.priority))
        .times(questions.iter().map(|question| question.updated_at));
    let numbers: Vec<u8> = db.query(STANDING).bind_columns(input).scalar().await?;
    let mut standing = vec![false; questions.len()];
    for number in numbers.as_chunks().0 {
        // Counted from 1.
        if let Some(stands) = usize::try_from(i64::from_be_bytes(*number) - 1).ok().and_then(|place| standing.get_mut(place)) {
            *stands = true;
        }
    }
    Ok(standing)
}
