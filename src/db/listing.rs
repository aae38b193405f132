//! Reading a list whole, however long it is: from one snapshot, in order, in bounded memory.
//!
//! On Postgres the rows of one statement are streamed. On SQLite a row through sqlx costs several times what reading it
//! does (a thread and a channel), so many rows come as one JSON value: the ids are put in order in a temporary table
//! first, then read with their columns part by part, all in one read transaction.

use super::{Db, Dialect, Error, Pools, Result, Select, query::Args};
use crate::clock::Timestamp;
use futures_util::TryStreamExt;
use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgPool, Row, SqlitePool, postgres::PgRow};
use std::{fmt, io, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Rows in one part.
const PART_ROWS: i64 = 2_000;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// An id.
    Id,
    /// An instant.
    Time,
}

/// One value of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'r> {
    /// Nothing.
    Empty,
    /// Text.
    Text(&'r str),
    /// A whole number.
    Integer(i64),
    /// An id.
    Id(Uuid),
    /// An instant.
    Time(Timestamp),
}

/// A column: its expression and what it holds.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The expression, in the words of the listing's tables.
    pub sql: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What a listing is a list of.
#[derive(Clone, Copy, Debug)]
pub struct ListingOf {
    /// The table whose rows it has, with its alias, as in `registrations r`.
    pub table: &'static str,
    /// The id of such a row, as in `r.id`.
    pub id: &'static str,
    /// The joins that the columns need; each row of the table keeps exactly one.
    pub joins: &'static str,
    /// Those of them that the filters and the order need.
    pub order_joins: &'static str,
}

/// A list to be read whole. All its text is `&'static str`; values are only bound.
pub struct Listing {
    /// Postgres: the rows. SQLite: their ids, into the temporary table.
    rows: Select,
    /// SQLite: the ranks, into theirs.
    ranks: Option<Select>,
    /// SQLite: a part of the rows.
    part: String,
    kinds: Arc<[Kind]>,
}

impl Listing {
    /// Begins one. `ranks` selects `(id, rank)` of some of the rows; a field finds it as `w.rank`. It is run once and not
    /// for every row.
    pub fn new(dialect: Dialect, of: ListingOf, fields: &[Field], ranks: Option<Select>) -> Self {
        let ListingOf { table, id, joins, order_joins } = of;
        let kinds = fields.iter().map(|field| field.kind).collect();
        match dialect {
            Dialect::Postgres => {
                let columns: Vec<&str> = fields.iter().map(|field| field.sql).collect();
                let head = format!("SELECT {} FROM {table} {joins}", columns.join(", "));
                let rows = match ranks {
                    None => Select::starting(dialect, head),
                    Some(ranks) => ranks.wrapped(&format!("{head} LEFT JOIN ("), &format!(") w ON w.id = {id}")),
                };
                Self { rows, ranks: None, part: String::new(), kinds }
            }
            Dialect::Sqlite => {
                let columns: Vec<String> = fields.iter().map(Field::in_json).collect();
                let ranked = if ranks.is_some() { format!("LEFT JOIN temp.listing_ranks w ON w.id = {id}") } else { String::new() };
                // The cross join makes the temporary table the outer loop, so the rows come in its order.
                let part = format!(
                    "SELECT json_group_array(json_array({})) FROM temp.listing_rows o CROSS JOIN {table} ON {id} = o.id {joins} {ranked} \
                     WHERE o.n > $1 AND o.n <= $2",
                    columns.join(", ")
                );
                let rows = Select::starting(dialect, format!("INSERT INTO temp.listing_rows (id) SELECT {id} FROM {table} {order_joins}"));
                let ranks = ranks.map(|ranks| ranks.wrapped("INSERT INTO temp.listing_ranks (id, rank) ", ""));
                Self { rows, ranks, part, kinds }
            }
        }
    }

    /// Adds filters: which rows.
    #[must_use]
    pub fn filtered(mut self, filter: impl FnOnce(Select) -> Select) -> Self {
        self.rows = filter(self.rows);
        self
    }

    /// Ends with the order, as in `a.sort_key, r.id`: it must leave no tie.
    #[must_use]
    pub fn ordered(mut self, order: &'static str) -> Self {
        self.rows = self.rows.tail("ORDER BY").tail(order);
        self
    }
}

impl Field {
    fn in_json(&self) -> String {
        match self.kind {
            // hex(NULL) is an empty text
            Kind::Id => format!("nullif(hex({}), '')", self.sql),
            Kind::Text | Kind::Integer | Kind::Time => self.sql.to_owned(),
        }
    }
}

/// The parts of a listing as they are read. Dropping it ends the reading.
pub struct Parts {
    parts: mpsc::Receiver<Result<Option<Part>>>,
    ended: bool,
}

impl Parts {
    /// Those of a list that is in memory. A row is a JSON array with a value for each field, as SQLite would give it.
    pub fn held(fields: &[Field], rows: &[Value]) -> serde_json::Result<Self> {
        let kinds: Arc<[Kind]> = fields.iter().map(|field| field.kind).collect();
        let texts = rows.chunks(PART_ROWS as usize).map(serde_json::to_string).collect::<serde_json::Result<Vec<String>>>()?;
        let (sender, parts) = mpsc::channel(texts.len() + 1);
        let held = texts.into_iter().map(|text| Some(Part { rows: Rows::Json(text), kinds: Arc::clone(&kinds) }));
        for part in held.chain([None]) {
            // There is room for all of them.
            let _ = sender.try_send(Ok(part));
        }
        Ok(Self { parts, ended: false })
    }

    /// The next part; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<Part>> {
        if self.ended {
            return Ok(None);
        }
        let next = self.parts.recv().await;
        self.taken(next)
    }

    /// The same for a thread that may wait.
    pub fn next_blocking(&mut self) -> Result<Option<Part>> {
        if self.ended {
            return Ok(None);
        }
        let next = self.parts.blocking_recv();
        self.taken(next)
    }

    fn taken(&mut self, next: Option<Result<Option<Part>>>) -> Result<Option<Part>> {
        let next = next.unwrap_or_else(broken_off);
        self.ended = matches!(next, Ok(None));
        next
    }
}

/// The end of the channel without a word: the list is not whole and must not be taken for it.
fn broken_off() -> Result<Option<Part>> {
    Err(Error::Io(io::Error::new(io::ErrorKind::TimedOut, "a listing was not taken in time")))
}

impl Db {
    /// Reads a listing in a task of its own, a part or two ahead of who takes them. It holds a connection until the last
    /// part is taken, and gives up if one is not taken within `patience`; then it drops `held`.
    pub fn list(&self, listing: Listing, patience: Duration, held: impl Send + 'static) -> Parts {
        let (sender, parts) = mpsc::channel(1);
        let (pools, taker) = (self.pools.clone(), Taker { sender, patience, kinds: Arc::clone(&listing.kinds) });
        self.runtime.spawn(async move {
            let read = match &pools {
                Pools::Sqlite { read, .. } => taker.sqlite(read, listing).await,
                Pools::Postgres { all, .. } => taker.postgres(all, listing).await,
            };
            drop(held);
            let _ = match read {
                Ok(()) => taker.send(Ok(None)).await,
                Err(error) => taker.send(Err(error)).await,
            };
        });
        Parts { parts, ended: false }
    }
}

/// Hands parts to who takes them.
struct Taker {
    sender: mpsc::Sender<Result<Option<Part>>>,
    patience: Duration,
    kinds: Arc<[Kind]>,
}

impl Taker {
    /// Fails when nobody takes it any more, or not in time.
    async fn send(&self, part: Result<Option<Part>>) -> Result<()> {
        match tokio::time::timeout(self.patience, self.sender.send(part)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => broken_off().map(drop),
        }
    }

    async fn rows(&self, rows: Rows) -> Result<()> {
        self.send(Ok(Some(Part { rows, kinds: Arc::clone(&self.kinds) }))).await
    }

    async fn sqlite(&self, pool: &SqlitePool, listing: Listing) -> Result<()> {
        // They are made once a connection: making one in the transaction would have every statement prepared again.
        const TABLES: &str = "CREATE TEMP TABLE IF NOT EXISTS listing_rows (n INTEGER PRIMARY KEY, id BLOB NOT NULL);
            CREATE TEMP TABLE IF NOT EXISTS listing_ranks (id BLOB PRIMARY KEY NOT NULL, rank INTEGER NOT NULL) WITHOUT ROWID;";
        let mut connection = pool.acquire().await?;
        sqlx::raw_sql(TABLES).execute(&mut *connection).await?;
        let mut tx = connection.begin().await?;
        if let Some((text, args)) = listing.ranks.map(Select::into_parts).transpose()? {
            let Args::Sqlite(args) = args else { return Err(wrong_database()) };
            sqlx::query_with(AssertSqlSafe(text), args).persistent(false).execute(&mut *tx).await?;
        }
        let (text, args) = listing.rows.into_parts()?;
        let Args::Sqlite(args) = args else { return Err(wrong_database()) };
        let rows = sqlx::query_with(AssertSqlSafe(text), args).persistent(false).execute(&mut *tx).await?.rows_affected();
        let (mut read, rows) = (0, i64::try_from(rows).unwrap_or(i64::MAX));
        while read < rows {
            let part = sqlx::query_scalar(AssertSqlSafe(listing.part.clone())).bind(read).bind(read + PART_ROWS);
            self.rows(Rows::Json(part.fetch_one(&mut *tx).await?)).await?;
            read += PART_ROWS;
        }
        // Takes back the temporary rows; nothing else was written.
        tx.rollback().await
    }

    async fn postgres(&self, pool: &PgPool, listing: Listing) -> Result<()> {
        let (text, args) = listing.rows.into_parts()?;
        let Args::Postgres(args) = args else { return Err(wrong_database()) };
        let mut connection = pool.acquire().await?;
        let read = async {
            let mut rows = sqlx::query_with(AssertSqlSafe(text), args).persistent(false).fetch(&mut *connection);
            let mut part = Vec::new();
            while let Some(row) = rows.try_next().await? {
                part.push(row);
                if part.len() as i64 == PART_ROWS {
                    self.rows(Rows::Postgres(std::mem::take(&mut part))).await?;
                }
            }
            if part.is_empty() { Ok(()) } else { self.rows(Rows::Postgres(part)).await }
        };
        let read = read.await;
        if read.is_err() {
            // Back in the pool it would first read the rest.
            connection.close_on_drop();
        }
        read
    }
}

fn wrong_database() -> Error {
    Error::Protocol("a listing was made for the other database".to_owned())
}

/// Some rows of a listing.
pub struct Part {
    rows: Rows,
    kinds: Arc<[Kind]>,
}

enum Rows {
    Json(String),
    Postgres(Vec<PgRow>),
}

/// What takes the cells of a listing, row by row and in each row by field.
pub trait Sink {
    /// The cell of the field of that number.
    fn cell(&mut self, field: usize, cell: Cell<'_>) -> io::Result<()>;
    /// The row is whole.
    fn end_row(&mut self) -> io::Result<()>;
}

impl Part {
    /// Gives all cells to `sink`, without a copy where the database's value can be read in place.
    pub fn read(&self, sink: &mut impl Sink) -> io::Result<()> {
        match &self.rows {
            Rows::Json(text) => {
                let mut json = serde_json::Deserializer::from_str(text);
                json.deserialize_seq(JsonRows { kinds: &self.kinds, sink })?;
                Ok(())
            }
            Rows::Postgres(rows) => rows.iter().try_for_each(|row| {
                for (field, kind) in self.kinds.iter().enumerate() {
                    sink.cell(field, from_postgres(row, field, *kind).map_err(io::Error::other)?)?;
                }
                sink.end_row()
            }),
        }
    }
}

fn from_postgres(row: &PgRow, field: usize, kind: Kind) -> Result<Cell<'_>> {
    Ok(match kind {
        Kind::Text => row.try_get::<Option<&str>, _>(field)?.map(Cell::Text),
        Kind::Integer => row.try_get::<Option<i64>, _>(field)?.map(Cell::Integer),
        Kind::Id => row.try_get::<Option<Uuid>, _>(field)?.map(Cell::Id),
        Kind::Time => row.try_get::<Option<Timestamp>, _>(field)?.map(Cell::Time),
    }
    .unwrap_or(Cell::Empty))
}

/// SQLite's array of rows.
struct JsonRows<'a, S> {
    kinds: &'a [Kind],
    sink: &'a mut S,
}

impl<'de, S: Sink> Visitor<'de> for JsonRows<'_, S> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> std::result::Result<(), A::Error> {
        while rows.next_element_seed(JsonRow { kinds: self.kinds, sink: &mut *self.sink })?.is_some() {}
        Ok(())
    }
}

struct JsonRow<'a, S> {
    kinds: &'a [Kind],
    sink: &'a mut S,
}

impl<'de, S: Sink> DeserializeSeed<'de> for JsonRow<'_, S> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, S: Sink> Visitor<'de> for JsonRow<'_, S> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a row of {} cells", self.kinds.len())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> std::result::Result<(), A::Error> {
        for (field, kind) in self.kinds.iter().enumerate() {
            let cell = JsonCell { field, kind: *kind, sink: &mut *self.sink };
            cells.next_element_seed(cell)?.ok_or_else(|| de::Error::invalid_length(field, &"more cells"))?;
        }
        self.sink.end_row().map_err(de::Error::custom)
    }
}

struct JsonCell<'a, S> {
    field: usize,
    kind: Kind,
    sink: &'a mut S,
}

impl<S: Sink> JsonCell<'_, S> {
    fn give<E: de::Error>(self, cell: Cell<'_>) -> std::result::Result<(), E> {
        self.sink.cell(self.field, cell).map_err(E::custom)
    }
}

impl<'de, S: Sink> DeserializeSeed<'de> for JsonCell<'_, S> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<S: Sink> Visitor<'_> for JsonCell<'_, S> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a cell of kind {:?}", self.kind)
    }
    fn visit_unit<E: de::Error>(self) -> std::result::Result<(), E> {
        self.give(Cell::Empty)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<(), E> {
        match self.kind {
            Kind::Id => {
                let id = Uuid::try_parse(text).map_err(E::custom)?;
                self.give(Cell::Id(id))
            }
            _ => self.give(Cell::Text(text)),
        }
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> std::result::Result<(), E> {
        match self.kind {
            Kind::Time => {
                let time = Timestamp::from_micros(number).ok_or_else(|| E::custom("out of the range of times"))?;
                self.give(Cell::Time(time))
            }
            _ => self.give(Cell::Integer(number)),
        }
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> std::result::Result<(), E> {
        i64::try_from(number).map_err(E::custom).and_then(|number| self.visit_i64(number))
    }
}
