//! A statement with its binds, on whichever database it runs.

use super::{Dialect, Error, Result};
use sqlx::{
    Arguments, AssertSqlSafe, Encode, FromRow, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool, Type,
    error::BoxDynError,
    postgres::{PgArguments, PgQueryResult, PgRow},
    sqlite::{SqliteArguments, SqliteQueryResult, SqliteRow},
};

/// The text of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Sql {
    /// One text that both databases understand.
    Same(&'static str),
    /// Two texts with the same parameters and columns, where the dialects differ.
    Differs {
        /// For SQLite.
        sqlite: &'static str,
        /// For Postgres.
        postgres: &'static str,
    },
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::Same(text)
    }
}

impl Sql {
    /// The text for `dialect`.
    pub const fn text(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::Same(text), _) => text,
            (Self::Differs { sqlite, .. }, Dialect::Sqlite) => sqlite,
            (Self::Differs { postgres, .. }, Dialect::Postgres) => postgres,
        }
    }
}

/// A value that can be bound on both databases.
pub trait Bind: for<'q> Encode<'q, Sqlite> + Type<Sqlite> + for<'q> Encode<'q, Postgres> + Type<Postgres> {}
impl<T> Bind for T where T: for<'q> Encode<'q, Sqlite> + Type<Sqlite> + for<'q> Encode<'q, Postgres> + Type<Postgres> {}

/// A row that can be read from both databases: `#[derive(sqlx::FromRow)]`.
pub trait Record: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}
impl<T> Record for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

pub(super) enum Target<'c> {
    SqlitePool(&'c SqlitePool),
    PostgresPool(&'c PgPool),
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Target<'_> {
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::SqlitePool(_) | Self::Sqlite(_) => Dialect::Sqlite,
            Self::PostgresPool(_) | Self::Postgres(_) => Dialect::Postgres,
        }
    }
}

/// The bound values, in the encoding of one database.
pub(super) enum Args {
    Sqlite(SqliteArguments),
    Postgres(PgArguments),
}

impl Args {
    pub(super) fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Sqlite => Self::Sqlite(SqliteArguments::default()),
            Dialect::Postgres => Self::Postgres(PgArguments::default()),
        }
    }

    pub(super) fn add<T: Bind>(&mut self, value: T) -> std::result::Result<(), BoxDynError> {
        match self {
            Self::Sqlite(args) => args.add(value),
            Self::Postgres(args) => args.add(value),
        }
    }
}

pub(super) enum Text {
    Static(&'static str),
    /// Put together by [`super::Select`] out of static pieces.
    Built(String),
}

/// A statement under way: bind its parameters in order, then run it.
pub struct Query<'c> {
    pub(super) target: Target<'c>,
    pub(super) text: Text,
    pub(super) args: std::result::Result<Args, BoxDynError>,
}

struct RowsAffected(u64);

impl From<SqliteQueryResult> for RowsAffected {
    fn from(done: SqliteQueryResult) -> Self {
        Self(done.rows_affected())
    }
}

impl From<PgQueryResult> for RowsAffected {
    fn from(done: PgQueryResult) -> Self {
        Self(done.rows_affected())
    }
}

/// Runs `$call` on the sqlx query for whichever target this is.
macro_rules! run {
    ($query:expr, $make:ident $(::<$row:ty>)?, $call:ident) => {{
        let Query { target, text, args } = $query;
        let args = args.map_err(Error::Encode)?;
        macro_rules! with_text {
            ($db:ty, $args:expr, $executor:expr) => {
                match text {
                    Text::Static(text) => run!(@make $make, $db, text, $args $(, $row)?).$call($executor).await.map(Into::into),
                    Text::Built(text) => run!(@make $make, $db, AssertSqlSafe(text), $args $(, $row)?).$call($executor).await.map(Into::into),
                }
            };
        }
        match (target, args) {
            (Target::SqlitePool(pool), Args::Sqlite(args)) => with_text!(Sqlite, args, pool),
            (Target::Sqlite(connection), Args::Sqlite(args)) => with_text!(Sqlite, args, connection),
            (Target::PostgresPool(pool), Args::Postgres(args)) => with_text!(Postgres, args, pool),
            (Target::Postgres(connection), Args::Postgres(args)) => with_text!(Postgres, args, connection),
            _ => unreachable!("the arguments are made for the target"),
        }
    }};
    (@make query_with, $db:ty, $text:expr, $args:expr) => { sqlx::query_with::<$db, _>($text, $args) };
    (@make query_as_with, $db:ty, $text:expr, $args:expr, $row:ty) => { sqlx::query_as_with::<$db, $row, _>($text, $args) };
}

impl<'c> Query<'c> {
    pub(super) fn new(target: Target<'c>, sql: Sql) -> Self {
        let dialect = target.dialect();
        Self { target, text: Text::Static(sql.text(dialect)), args: Ok(Args::new(dialect)) }
    }

    /// Binds the next parameter. On SQLite a missing bind is silently NULL, so every statement runs in a test on both.
    #[must_use]
    pub fn bind<T: Bind>(mut self, value: T) -> Self {
        if let Ok(args) = &mut self.args
            && let Err(error) = args.add(value)
        {
            self.args = Err(error);
        }
        self
    }

    /// Runs the statement and answers how many rows it touched.
    pub async fn execute(self) -> Result<u64> {
        let done: Result<RowsAffected> = run!(self, query_with, execute);
        done.map(|RowsAffected(rows)| rows)
    }

    /// All rows.
    pub async fn all<R: Record>(self) -> Result<Vec<R>> {
        run!(self, query_as_with::<R>, fetch_all)
    }

    /// The first row, if there is one.
    pub async fn optional<R: Record>(self) -> Result<Option<R>> {
        run!(self, query_as_with::<R>, fetch_optional)
    }

    /// The row that must be there.
    pub async fn one<R: Record>(self) -> Result<R> {
        run!(self, query_as_with::<R>, fetch_one)
    }

    /// The only column of the row that must be there.
    pub async fn scalar<T>(self) -> Result<T>
    where
        (T,): Record,
    {
        self.one::<(T,)>().await.map(|(value,)| value)
    }

    /// The only column of the first row, if there is one.
    pub async fn optional_scalar<T>(self) -> Result<Option<T>>
    where
        (T,): Record,
    {
        Ok(self.optional::<(T,)>().await?.map(|(value,)| value))
    }

    /// All rows of a record that only Postgres gives as rows (see [`super::batch`]).
    pub(super) async fn all_from_postgres<R: for<'r> FromRow<'r, PgRow>>(self) -> Result<Vec<R>> {
        self.rows_from_postgres().await?.iter().map(R::from_row).collect()
    }

    /// All rows, on Postgres.
    pub(super) async fn rows_from_postgres(self) -> Result<Vec<PgRow>> {
        let Query { target, text, args } = self;
        match (target, text, args.map_err(Error::Encode)?) {
            (Target::Postgres(connection), Text::Static(text), Args::Postgres(args)) => {
                sqlx::query_with::<Postgres, _>(text, args).fetch_all(connection).await
            }
            _ => unreachable!("only a batch on Postgres comes here"),
        }
    }
}
