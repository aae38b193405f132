//! Events in the database.

use crate::db::{Result, Tx};
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
