//! What a stream is.

use crate::keyed::Common;
use serde::{Deserialize, Serialize};

/// A thematic track of an event.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
pub struct Stream {
    /// Its id, event, key and name.
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub common: Common,
}

/// What a stream is made of: the body of a create, and what a merge patch is applied to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as in Stream")]
pub struct StreamForm {
    pub key: Option<String>,
    pub name: String,
}
