//! A list's statement, put together from static pieces and binds: the one place that builds SQL at run time.

use super::{
    Bind, Db, Dialect, Error, Query, Record, Result, Source, Tx,
    query::{Args, Text},
};
use crate::clock::Timestamp;
use sqlx::error::BoxDynError;

/// `SELECT … WHERE …` with the filters that were asked for. All its text is `&'static str`; values are only bound.
pub struct Select {
    text: String,
    args: std::result::Result<Args, BoxDynError>,
    binds: usize,
    conditions: usize,
}

/// One value of a place in an order by several columns.
#[derive(Clone, Debug)]
pub enum Key {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// An instant.
    Time(Timestamp),
    /// An id.
    Id(uuid::Uuid),
}

/// Where a page begins and how it is ordered: `(column, id)` after the last row of the page before.
pub struct Keyset<K> {
    /// The ordering column and the unique id column that settles ties, as they stand in the statement.
    pub columns: (&'static str, &'static str),
    /// From high to low.
    pub descending: bool,
    /// The last row of the page before.
    pub after: Option<(K, uuid::Uuid)>,
    /// How many rows at the most. Ask for one more than the page holds to see whether another follows.
    pub limit: i64,
}

impl Select {
    /// Begins with `SELECT … FROM …` (no WHERE).
    pub fn new(dialect: Dialect, head: &'static str) -> Self {
        Self::starting(dialect, head.to_owned())
    }

    /// The same with a beginning that this folder has put together.
    pub(super) fn starting(dialect: Dialect, head: String) -> Self {
        Self { text: head, args: Ok(Args::new(dialect)), binds: 0, conditions: 0 }
    }

    /// Itself between two pieces of a larger statement, whose conditions follow.
    pub(super) fn wrapped(self, before: &str, after: &str) -> Self {
        Self { text: format!("{before}{}{after}", self.text), conditions: 0, ..self }
    }

    /// The statement and its binds.
    pub(super) fn into_parts(self) -> Result<(String, Args)> {
        Ok((self.text, self.args.map_err(Error::Encode)?))
    }

    /// Adds a condition; each `{}` in it stands for `value`.
    #[must_use]
    pub fn and<T: Bind>(mut self, condition: &'static str, value: T) -> Self {
        let placeholder = self.bind(value);
        self.condition();
        self.text.push_str(&condition.replace("{}", &placeholder));
        self
    }

    /// Adds a condition if there is a value for it.
    #[must_use]
    pub fn and_some<T: Bind>(self, condition: &'static str, value: Option<T>) -> Self {
        match value {
            Some(value) => self.and(condition, value),
            None => self,
        }
    }

    /// Adds a condition without a value.
    #[must_use]
    pub fn and_if(mut self, wanted: bool, condition: &'static str) -> Self {
        if wanted {
            self.condition();
            self.text.push_str(condition);
        }
        self
    }

    /// Ends with the order and the size of a keyset page (RFC 8288 `next` links are made from its last row).
    #[must_use]
    pub fn page<K: Bind>(mut self, keyset: Keyset<K>) -> Self {
        let (column, id) = keyset.columns;
        let (compare, direction) = if keyset.descending { ("<", "DESC") } else { (">", "ASC") };
        if let Some((key, last)) = keyset.after {
            let (key, last) = (self.bind(key), self.bind(last));
            self.condition();
            self.text.push_str(&format!("({column}, {id}) {compare} ({key}, {last})"));
        }
        let limit = self.bind(keyset.limit);
        self.text.push_str(&format!(" ORDER BY {column} {direction}, {id} {direction} LIMIT {limit}"));
        self
    }

    /// The same in an order by several columns, which together must leave no tie; `after` has a value for each.
    #[must_use]
    pub fn page_by(mut self, columns: &[&'static str], descending: bool, after: Option<Vec<Key>>, limit: i64) -> Self {
        let (compare, direction) = if descending { ("<", "DESC") } else { (">", "ASC") };
        if let Some(keys) = after {
            let keys: Vec<String> = keys.into_iter().map(|key| self.bind_key(key)).collect();
            self.condition();
            self.text.push_str(&format!("({}) {compare} ({})", columns.join(", "), keys.join(", ")));
        }
        let order: Vec<String> = columns.iter().map(|column| format!("{column} {direction}")).collect();
        let limit = self.bind(limit);
        self.text.push_str(&format!(" ORDER BY {} LIMIT {limit}", order.join(", ")));
        self
    }

    fn bind_key(&mut self, key: Key) -> String {
        match key {
            Key::Text(text) => self.bind(text),
            Key::Integer(number) => self.bind(number),
            Key::Time(time) => self.bind(time),
            Key::Id(id) => self.bind(id),
        }
    }

    /// Ends with a static tail, for lists that are not paged.
    #[must_use]
    pub fn tail(mut self, tail: &'static str) -> Self {
        self.text.push(' ');
        self.text.push_str(tail);
        self
    }

    /// Reads the rows outside a transaction.
    pub async fn all<R: Record>(self, db: &Db) -> Result<Vec<R>> {
        self.on(db.query("")).all().await
    }

    /// Reads the rows inside one.
    pub async fn all_in<R: Record>(self, tx: &mut Tx) -> Result<Vec<R>> {
        self.on(tx.query("")).all().await
    }

    /// Reads the rows from either.
    pub async fn all_from<R: Record>(self, source: &mut impl Source) -> Result<Vec<R>> {
        self.on(source.statement("")).all().await
    }

    fn on(self, query: Query<'_>) -> Query<'_> {
        Query { target: query.target, text: Text::Built(self.text), args: self.args }
    }

    fn condition(&mut self) {
        self.text.push_str(if self.conditions == 0 { " WHERE " } else { " AND " });
        self.conditions += 1;
    }

    fn bind<T: Bind>(&mut self, value: T) -> String {
        if let Ok(args) = &mut self.args
            && let Err(error) = args.add(value)
        {
            self.args = Err(error);
        }
        self.binds += 1;
        format!("${}", self.binds)
    }
}
