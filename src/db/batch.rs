//! Statements over many rows at once, written once for both databases.
//!
//! A batch costs a handful of statements whatever its size. The rows go in as [`super::Columns`], and on SQLite the
//! answer comes back as *one* value ([`super::rows`]): rows streamed through sqlx cost two to four times as much there (a
//! thread and a channel, some 10 µs a row).

use super::{
    Columns, Result, Tx,
    query::{Query, Sql},
    rows,
};
use serde::de::DeserializeOwned;
use sqlx::{FromRow, postgres::PgRow};

/// A [`batch_select!`] statement.
#[derive(Clone, Copy, Debug)]
pub struct BatchSelect {
    /// The statement.
    pub sql: Sql,
    /// Its columns on SQLite, a letter each: `i` an id, `v` a value.
    pub shape: &'static str,
}

/// A row of a batch's answer: by name from Postgres, by position from SQLite, so the fields stand in the order of the
/// statement's columns.
pub trait BatchRecord: DeserializeOwned + for<'r> FromRow<'r, PgRow> + Send + Unpin {}
impl<T> BatchRecord for T where T: DeserializeOwned + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

impl Tx {
    /// Reads with a [`batch_select!`](crate::db::batch_select) statement.
    pub async fn batch<R: BatchRecord>(&mut self, select: BatchSelect, input: Columns) -> Result<Vec<R>> {
        self.query(select.sql).bind_columns(input).batch(select.shape).await
    }

    /// The same for a statement whose input is one column of ids and that takes a number, as `$3` on SQLite and as `$2` on
    /// Postgres.
    pub async fn batch_up_to<R: BatchRecord>(&mut self, select: BatchSelect, input: Columns, number: i64) -> Result<Vec<R>> {
        self.query(select.sql).bind_columns(input).bind(number).batch(select.shape).await
    }

    /// Writes with a [`batch_write!`](crate::db::batch_write) statement and answers how many rows it touched.
    pub async fn batch_write(&mut self, sql: Sql, input: Columns) -> Result<u64> {
        self.query(sql).bind_columns(input).execute().await
    }
}

impl Query<'_> {
    async fn batch<R: BatchRecord>(self, shape: &'static str) -> Result<Vec<R>> {
        match self.target.dialect() {
            super::Dialect::Sqlite => rows::read(&self.scalar::<Vec<u8>>().await?, shape),
            super::Dialect::Postgres => self.all_from_postgres().await,
        }
    }
}

/// `batch_write!("INSERT INTO t (a) SELECT w.a FROM ", (a: uuid, …), " w WHERE true …")`: the set in the middle is
/// the input, one row each, of types `uuid`, `text`, `int`, `time`, `bytes`.
macro_rules! batch_write {
    ($before:expr, ($($name:ident: $ty:ident),+), $after:expr) => {
        $crate::db::Sql::Differs {
            sqlite: concat!($before, $crate::db::batch_input!(sqlite; $($name: $ty),+), $after),
            postgres: concat!($before, $crate::db::batch_input!(postgres; $($name: $ty),+), $after),
        }
    };
}
pub(crate) use batch_write;

/// `batch_select!([uuid "r.id" as id, text "r.status" as status], (a: uuid, …), " w JOIN r ON …")`: the columns of the answer with
/// their types (`bool` too) and names, the input and what follows it, which may be said for each database.
macro_rules! batch_select {
    ($output:tt, $input:tt, sqlite: $sqlite:expr, postgres: $postgres:expr) => {
        $crate::db::BatchSelect {
            sql: $crate::db::Sql::Differs {
                sqlite: $crate::db::batch_select!($output, $input, $sqlite).sql.text($crate::db::Dialect::Sqlite),
                postgres: $crate::db::batch_select!($output, $input, $postgres).sql.text($crate::db::Dialect::Postgres),
            },
            shape: $crate::db::batch_select!($output, $input, "").shape,
        }
    };
    ([$out_ty:ident $out:literal as $as:ident $(, $more_ty:ident $more:literal as $more_as:ident)* $(,)?], ($($name:ident: $ty:ident),+), $after:expr) => {
        $crate::db::BatchSelect {
            sql: $crate::db::Sql::Differs {
                sqlite: concat!(
                    "SELECT ", $crate::db::batch_output!([] [] $out_ty $out $(, $more_ty $more)*),
                    " FROM ", $crate::db::batch_input!(sqlite; $($name: $ty),+), $after
                ),
                postgres: concat!(
                    "SELECT ", $out, " AS ", stringify!($as) $(, ", ", $more, " AS ", stringify!($more_as))*,
                    " FROM ", $crate::db::batch_input!(postgres; $($name: $ty),+), $after
                ),
            },
            shape: concat!($crate::db::batch_shape!($out_ty) $(, $crate::db::batch_shape!($more_ty))*),
        }
    };
}
pub(crate) use batch_select;

/// The one column of the answer on SQLite: sorts ids, which may be NULL, from values.
macro_rules! batch_output {
    ([$($value:tt)*] [$($id:tt)*] uuid $expression:literal $(, $($more:tt)+)?) => {
        $crate::db::batch_output!(
            [$($value)*] [$($id)* " || ifnull(", $expression, ", x'00000000000000000000000000000000')",] $($($more)+)?
        )
    };
    ([] [$($id:tt)*] $ty:ident $expression:literal $(, $($more:tt)+)?) => {
        $crate::db::batch_output!([$crate::db::batch_value!($ty $expression),] [$($id)*] $($($more)+)?)
    };
    ([$($value:tt)+] [$($id:tt)*] $ty:ident $expression:literal $(, $($more:tt)+)?) => {
        $crate::db::batch_output!([$($value)+ ", ", $crate::db::batch_value!($ty $expression),] [$($id)*] $($($more)+)?)
    };
    ([$($value:tt)*] [$($id:tt)*]) => {
        concat!("json_group_array(json_array(", $($value)* ")) || x'00' || ifnull(group_concat(''", $($id)* ", ''), '')")
    };
}
pub(crate) use batch_output;

macro_rules! batch_value {
    (bool $expression:literal) => {
        concat!("json(CASE WHEN ", $expression, " THEN 'true' ELSE 'false' END)")
    };
    ($ty:ident $expression:literal) => {
        $expression
    };
}
pub(crate) use batch_value;

macro_rules! batch_shape {
    (uuid) => {
        "i"
    };
    ($ty:ident) => {
        "v"
    };
}
pub(crate) use batch_shape;

/// The input set, called `w` by what follows it. On SQLite the ids of all rows are one blob (`$1`) and the other values a
/// JSON array (`$2`): an id out of a blob costs a fifth of one out of JSON.
macro_rules! batch_input {
    (sqlite; $($name:ident: $ty:ident),+) => {
        $crate::db::batch_input!(@place [] [1 17 33 49 65 81 97 113] [0 16 32 48 64 80 96 112] [0 1 2 3 4 5 6 7 8 9 10 11 12 13] $($name: $ty),+)
    };
    // Gives each column its place: of an id the first byte in its row's part of the blob, of another its number.
    (@place [$($done:tt)*] [$byte:tt $($bytes:tt)*] [$width:tt $($widths:tt)*] $numbers:tt $name:ident: uuid $(, $($more:tt)+)?) => {
        $crate::db::batch_input!(@place [$($done)* ($name uuid $byte)] [$($bytes)*] [$($widths)*] $numbers $($($more)+)?)
    };
    (@place [$($done:tt)*] $bytes:tt $widths:tt [$number:tt $($numbers:tt)*] $name:ident: bytes $(, $($more:tt)+)?) => {
        $crate::db::batch_input!(@place [$($done)* ($name bytes $number)] $bytes $widths [$($numbers)*] $($($more)+)?)
    };
    (@place [$($done:tt)*] $bytes:tt $widths:tt [$number:tt $($numbers:tt)*] $name:ident: $ty:ident $(, $($more:tt)+)?) => {
        $crate::db::batch_input!(@place [$($done)* ($name value $number)] $bytes $widths [$($numbers)*] $($($more)+)?)
    };
    // What is left of the widths and the numbers says how wide a row's part is, and how many other values it has.
    (@place [($first:ident $kind:ident $place:tt) $(($name:ident $more:ident $where:tt))*] $bytes:tt [$width:tt $($widths:tt)*] [$values:tt $($numbers:tt)*]) => {
        concat!(
            "(SELECT ", $crate::db::batch_field!($kind $place $width $values), " AS ", stringify!($first),
            $(", ", $crate::db::batch_field!($more $where $width $values), " AS ", stringify!($name),)*
            " FROM json_each($2))"
        )
    };
    (postgres; $($name:ident: $ty:ident),+) => {
        $crate::db::batch_input!(@postgres [] [1 2 3 4 5 6 7 8 9 10 11 12 13 14] [$($name),+] $($name: $ty),+)
    };
    (@postgres [$($done:tt)*] [$number:literal $($rest:literal)*] [$($names:ident),+] $name:ident: $ty:ident, $($more:tt)+) => {
        $crate::db::batch_input!(@postgres [$($done)* "$", $number, $crate::db::batch_array!($ty), ", ",] [$($rest)*] [$($names),+] $($more)+)
    };
    (@postgres [$($done:tt)*] [$number:literal $($rest:literal)*] [$first:ident $(, $names:ident)*] $name:ident: $ty:ident) => {
        concat!(
            "(SELECT * FROM UNNEST(", $($done)* "$", $number, $crate::db::batch_array!($ty), ") AS u(",
            stringify!($first) $(, ", ", stringify!($names))*, "))"
        )
    };
}
pub(crate) use batch_input;

macro_rules! batch_field {
    (uuid $byte:tt $width:tt $values:tt) => {
        concat!("nullif(substr($1, ", $byte, " + ", $width, " * key, 16), x'00000000000000000000000000000000')")
    };
    // A single value needs no array around it.
    (value $number:tt $width:tt 1) => {
        "value"
    };
    (value $number:tt $width:tt $values:tt) => {
        concat!("value ->> ", $number)
    };
    (bytes $number:tt $width:tt $values:tt) => {
        concat!("unhex(", $crate::db::batch_field!(value $number $width $values), ")")
    };
}
pub(crate) use batch_field;

macro_rules! batch_array {
    (uuid) => {
        "::uuid[]"
    };
    (text) => {
        "::text[]"
    };
    (int) => {
        "::bigint[]"
    };
    (time) => {
        "::timestamptz[]"
    };
    (bytes) => {
        "::bytea[]"
    };
}
pub(crate) use batch_array;
