//! What a room is.

use crate::keyed::Common;
use serde::{Deserialize, Serialize};

/// A place that sessions are held in.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
pub struct Room {
    /// Its id, event, key and name.
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub common: Common,
    /// The seats of a session held in it that names no capacity of its own; `None` is unlimited.
    pub capacity: Option<i64>,
}

/// What a room is made of: the body of a create, and what a merge patch is applied to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as in Room")]
pub struct RoomForm {
    pub key: Option<String>,
    pub name: String,
    pub capacity: Option<i64>,
}
