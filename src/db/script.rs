//! Several statements of a batch in one go.
//!
//! On SQLite a connection is a thread, and every statement costs two changes of threads, on a busy machine more than the
//! statement itself: what belongs together goes there together. On Postgres the statements follow each other.

use super::{BatchRecord, BatchSelect, Columns, Error, Inner, Result, Sql, Tx, query::Args, rows, types::add_columns};
use futures_util::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Either, Executor, Row, Sqlite, SqliteConnection,
    postgres::PgRow,
    sqlite::{SqliteArguments, SqliteRow},
};
use std::fmt::Write;

/// Parameters that a batch's input takes on SQLite.
const INPUT_PARAMETERS: usize = 2;

/// The answers to several [`batch_select!`](crate::db::batch_select) statements, in their order.
pub struct Answers(std::vec::IntoIter<Answer>);

enum Answer {
    Sqlite(Vec<u8>, &'static str),
    Postgres(Vec<PgRow>),
}

impl Answers {
    /// The next one.
    pub fn take<R: BatchRecord>(&mut self) -> Result<Vec<R>> {
        match self.0.next() {
            Some(Answer::Sqlite(answer, shape)) => rows::read(&answer, shape),
            Some(Answer::Postgres(rows)) => rows.iter().map(R::from_row).collect(),
            None => Err(Error::Protocol("a batch was asked for more answers than it has".into())),
        }
    }
}

/// A [`batch_write!`](crate::db::batch_write) statement, its input, and how many rows it must touch.
pub struct BatchWrite {
    /// The statement.
    pub sql: Sql,
    /// Its input.
    pub input: Columns,
    /// How many rows it must touch; any number, if none.
    pub rows: Option<usize>,
}

impl Tx {
    /// Reads with several [`batch_select!`](crate::db::batch_select) statements, none of which needs the answer of another.
    pub async fn batch_all(&mut self, reads: Vec<(BatchSelect, Columns)>) -> Result<Answers> {
        let answers = match &mut self.inner {
            Inner::Sqlite(tx) => read_sqlite(tx, reads).await?,
            Inner::Postgres(_) => {
                let mut answers = Vec::with_capacity(reads.len());
                for (BatchSelect { sql, .. }, input) in reads {
                    answers.push(Answer::Postgres(self.query(sql).bind_columns(input).rows_from_postgres().await?));
                }
                answers
            }
        };
        Ok(Answers(answers.into_iter()))
    }

    /// Writes with several statements, in their order. One that touched another number of rows than it must is a lost
    /// update, and an error.
    pub async fn batch_write_all(&mut self, writes: Vec<BatchWrite>) -> Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        match &mut self.inner {
            Inner::Sqlite(tx) => write_sqlite(tx, writes).await,
            Inner::Postgres(_) => {
                for BatchWrite { sql, input, rows } in writes {
                    expect(rows, self.batch_write(sql, input).await?)?;
                }
                Ok(())
            }
        }
    }
}

fn expect(rows: Option<usize>, touched: u64) -> Result<()> {
    match rows {
        Some(rows) if rows as u64 != touched => Err(Error::Protocol(format!("{touched} rows were written instead of {rows}"))),
        _ => Ok(()),
    }
}

/// One statement whose only row has an answer a column.
async fn read_sqlite(connection: &mut SqliteConnection, reads: Vec<(BatchSelect, Columns)>) -> Result<Vec<Answer>> {
    let (mut text, mut args) = (String::from("SELECT "), Args::new(super::Dialect::Sqlite));
    let shapes: Vec<&'static str> = reads.iter().map(|(select, _)| select.shape).collect();
    for (number, (BatchSelect { sql, .. }, input)) in reads.into_iter().enumerate() {
        text.push_str(if number == 0 { "(" } else { ", (" });
        push_shifted(&mut text, sql.text(super::Dialect::Sqlite), number * INPUT_PARAMETERS);
        text.push(')');
        add_columns(&mut args, input).map_err(Error::Encode)?;
    }
    let row: SqliteRow = sqlx::query_with::<Sqlite, _>(AssertSqlSafe(text), sqlite(args)).fetch_one(connection).await?;
    shapes.into_iter().enumerate().map(|(column, shape)| Ok(Answer::Sqlite(row.try_get(column)?, shape))).collect()
}

async fn write_sqlite(connection: &mut SqliteConnection, writes: Vec<BatchWrite>) -> Result<()> {
    let (mut text, mut args, mut expected) = (String::new(), Args::new(super::Dialect::Sqlite), Vec::with_capacity(writes.len()));
    for (number, BatchWrite { sql, input, rows }) in writes.into_iter().enumerate() {
        push_shifted(&mut text, sql.text(super::Dialect::Sqlite), number * INPUT_PARAMETERS);
        text.push(';');
        add_columns(&mut args, input).map_err(Error::Encode)?;
        expected.push(rows);
    }
    let mut expected = expected.into_iter();
    let mut done = connection.fetch_many(sqlx::query_with::<Sqlite, _>(AssertSqlSafe(text), sqlite(args)));
    while let Some(step) = done.try_next().await? {
        if let Either::Left(done) = step {
            expect(expected.next().flatten(), done.rows_affected())?;
        }
    }
    Ok(())
}

fn sqlite(args: Args) -> SqliteArguments {
    match args {
        Args::Sqlite(args) => args,
        Args::Postgres(_) => unreachable!("the arguments are made for SQLite"),
    }
}

/// Appends a statement whose parameters stand `by` places further behind.
fn push_shifted(text: &mut String, statement: &str, by: usize) {
    let mut rest = statement;
    while let Some((before, after)) = rest.split_once('$') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let number: usize = after[..digits].parse().unwrap_or_default();
        // Writing to a String can't fail.
        let _ = write!(text, "{before}${}", number + by);
        rest = &after[digits..];
    }
    text.push_str(rest);
}

#[cfg(test)]
mod tests {
    #[test]
    fn parameters_are_shifted() {
        let mut text = String::from("x; ");
        super::push_shifted(&mut text, "SELECT substr($1, 1) FROM json_each($2) LIMIT $12", 4);
        assert_eq!(text, "x; SELECT substr($5, 1) FROM json_each($6) LIMIT $16");
    }
}
