//! Events in the database.

use crate::db::{Result, Sql, Tx};
use uuid::Uuid;

/// Counts a change of an event's programme: the document's ETag.
///
/// Call it after [`crate::registrations::seats::lock`] (where seats are touched) and **before** every other statement:
/// the event's row is the lock under which its programme changes. Who holds it can read what they are about to change
/// and knows that no session, room, stream or speaker of the event changes or appears meanwhile; and as all editors
/// take seats first, then this row, then the rest, no two wait for each other in a circle.
pub async fn bump_programme(tx: &mut Tx, event_id: Uuid) -> Result<()> {
    const BUMP: &str = "UPDATE events SET programme_version = programme_version + 1 WHERE id = $1";
    tx.query(BUMP).bind(event_id).execute().await.map(|_| ())
}

/// Takes the same lock as [`bump_programme`] without counting a change yet, for an edit that may turn out to change
/// nothing. Answers the programme's version, or `None` if there is no such event.
pub async fn lock_programme(tx: &mut Tx, event_id: Uuid) -> Result<Option<i64>> {
    const LOCK: Sql = Sql::Differs {
        sqlite: "SELECT programme_version FROM events WHERE id = $1",
        postgres: "SELECT programme_version FROM events WHERE id = $1 FOR NO KEY UPDATE",
    };
    tx.query(LOCK).bind(event_id).optional_scalar().await
}
