//! The journal of exports: who took which list out, when, with which columns.

use super::{Format, Layout};
use crate::{
    clock::Timestamp,
    db::{Result, Tx},
};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// A list that is given out as a file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exported {
    /// Whose event.
    #[serde(skip)]
    pub event_id: Uuid,
    /// By whom.
    #[serde(skip)]
    pub actor_id: Option<Uuid>,
    /// Which list, as in `session_registrations`.
    pub list: &'static str,
    /// Of which session, where it is one's.
    pub session_id: Option<Uuid>,
    /// Its filters and order, as they were asked for.
    pub filter: Map<String, Value>,
}

#[derive(Serialize)]
struct Details<'e> {
    #[serde(flatten)]
    exported: &'e Exported,
    format: Format,
    columns: Vec<&'static str>,
}

/// Writes it down. It is no change of a session, so the row has no session and no `change`.
pub async fn record(tx: &mut Tx, exported: &Exported, layout: &Layout, at: Timestamp) -> Result<()> {
    const ADD: &str = "INSERT INTO journal (event_id, kind, actor_id, at, details) VALUES ($1, 'exported', $2, $3, $4)";
    let columns = layout.columns.iter().map(|column| column.id).collect();
    let details = serde_json::json!(Details { exported, format: layout.format, columns }).to_string();
    tx.query(ADD).bind(exported.event_id).bind(exported.actor_id).bind(at).bind(details).execute().await.map(drop)
}
