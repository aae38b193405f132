//! What streams, rooms and speakers have in common: a key that the programme document calls them by, a name, and
//! sessions that refer to them. How they are listed, made, read, changed and deleted stands here once; each of their
//! folders says only what is its own.

pub mod handlers;
pub mod store;

use crate::{
    auth::guard::Place,
    clock::Timestamp,
    db::{Query, Record, is_unique_violation},
    error::{Code, Problem},
};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// What all of them have, as it is stored and shown.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct Common {
    /// Its id.
    pub id: Uuid,
    /// The event it belongs to.
    pub event_id: Uuid,
    /// What the programme document calls it by, unique among its kind in the event.
    pub key: String,
    /// Its name as printed.
    pub name: String,
    /// What it is sorted by.
    #[serde(skip)]
    pub sort_key: String,
    /// The ETag.
    #[serde(skip)]
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A stream, a room or a speaker.
pub trait Keyed: Record + Serialize + Send + Sync + 'static {
    /// Its body in a request.
    type Form: Form;
    /// What names it in a path.
    type Place: Place;
    /// Where the addresses of its kind begin.
    const PATH: &'static str;
    /// What people call one.
    const NOUN: &'static str;
    /// `sort` where a request doesn't say.
    const DEFAULT_SORT: &'static str = "name";
    /// Its statements: see [`statements!`](crate::keyed::statements).
    const SQL: Statements;

    /// What it has like the others.
    fn common(&self) -> &Common;

    /// Its editable form, for a merge patch.
    fn form(&self) -> Self::Form;

    /// What a value of `sort` (without its sign) orders by.
    fn order(_sort: &str) -> Order<Self> {
        Order { column: "sort_key", value: |row| &row.common().sort_key }
    }
}

/// An order of a list: a column, and its value in a row.
pub struct Order<K: ?Sized> {
    /// The column.
    pub column: &'static str,
    /// Its value in a row.
    pub value: fn(&K) -> &str,
}

/// The body that makes or changes one.
pub trait Form: PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The key that was chosen.
    fn key(&self) -> Option<&str>;

    /// The name.
    fn name(&self) -> &str;

    /// What it is sorted by.
    fn sort_name(&self) -> &str {
        self.name()
    }

    /// Whether sessions that refer to it look the same with either form.
    fn looks_like(&self, other: &Self) -> bool {
        self.name() == other.name()
    }

    /// Binds the columns that are its own, in the order of [`statements!`](crate::keyed::statements).
    fn bind_own<'q>(&self, query: Query<'q>) -> Query<'q> {
        query
    }
}

/// The statements of one table.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Statements {
    pub select: &'static str,
    pub find: &'static str,
    pub insert: &'static str,
    pub update: &'static str,
    pub delete: &'static str,
    pub keys_like: &'static str,
    pub count_sessions: &'static str,
    pub touch_sessions: &'static str,
    pub search: &'static str,
}

/// Writes the [`Statements`] of a table with its own columns beside the common ones (bound as `$7` and on), the
/// condition on `sessions` that refer to `$1`, and the column that `q` searches.
macro_rules! statements {
    ($table:literal, own: [$($column:literal = $bound:literal),*], sessions: $refer:literal, search: $search:literal) => {
        $crate::keyed::statements!(
            @all $table,
            concat!("id, event_id, key, name, sort_key, version, created_at, updated_at" $(, ", ", $column)*),
            concat!("" $(, ", ", $column)*), concat!("" $(, ", ", $bound)*), concat!("" $(, ", ", $column, " = ", $bound)*),
            $refer, $search
        )
    };
    (@all $table:literal, $columns:expr, $own:expr, $bound:expr, $set:expr, $refer:literal, $search:literal) => {
        $crate::keyed::Statements {
            select: concat!("SELECT ", $columns, " FROM ", $table),
            find: concat!("SELECT ", $columns, " FROM ", $table, " WHERE id = $1 AND event_id = $2"),
            insert: concat!(
                "INSERT INTO ", $table, " (id, event_id, key, name, sort_key, created_at, updated_at, version", $own, ") ",
                "VALUES ($1, $2, $3, $4, $5, $6, $6, 1", $bound, ") RETURNING ", $columns
            ),
            update: concat!(
                "UPDATE ", $table, " SET key = $3, name = $4, sort_key = $5, updated_at = $6, version = version + 1", $set,
                " WHERE id = $1 AND event_id = $2 RETURNING ", $columns
            ),
            delete: concat!("DELETE FROM ", $table, " WHERE id = $1"),
            keys_like: concat!("SELECT key FROM ", $table, " WHERE event_id = $1 AND key LIKE $2"),
            count_sessions: concat!("SELECT COUNT(*) FROM sessions WHERE ", $refer),
            touch_sessions: concat!("UPDATE sessions SET version = version + 1 WHERE ", $refer),
            search: concat!($search, " LIKE {} ESCAPE '\\'"),
        }
    };
}
pub(crate) use statements;

/// What a failed insert or update means: a unique violation, that the key is taken.
pub fn key_taken(error: crate::db::Error) -> Problem {
    if is_unique_violation(&error) {
        return Problem::invalid(Code::KeyTaken, "/key", "Another one of its kind in this event has this key.");
    }
    error.into()
}
