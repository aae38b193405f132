//! The schema, embedded: `migrations/sqlite` and `migrations/postgres` with equal names.

use super::{Db, Dialect, Pools};
use sqlx::{
    Connection,
    migrate::{Migration, MigrationType, Migrator},
};
use std::borrow::Cow;

/// A migration could not be applied, or the database was migrated by another version of Plenary.
pub type MigrateError = sqlx::migrate::MigrateError;

/// The migrations in order. To add one, write both files and add its name here.
macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        [$((
            $name,
            include_str!(concat!("../../migrations/sqlite/", $name, ".sql")),
            include_str!(concat!("../../migrations/postgres/", $name, ".sql")),
        )),+]
    };
}
const EMBEDDED: &[(&str, &str, &str)] = &embedded!["0001_init", "0002_idempotency", "0003_tickets", "0004_access", "0005_booking_rules"];

/// The number of the newest migration in this binary.
pub fn latest_version() -> i64 {
    EMBEDDED.len() as i64
}

fn migrator(dialect: Dialect) -> Migrator {
    let migrations = EMBEDDED.iter().zip(1..).map(|((name, sqlite, postgres), version)| {
        let text = match dialect {
            Dialect::Sqlite => *sqlite,
            Dialect::Postgres => *postgres,
        };
        let description = name.split_once('_').map_or(*name, |(_, words)| words);
        Migration::new(version, Cow::Borrowed(description), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(text), false)
    });
    Migrator::with_migrations(migrations.collect())
}

impl Db {
    /// Brings the schema up to date. Nodes that start at once migrate once: on Postgres they queue at an advisory
    /// lock, on SQLite one process owns the file.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        let migrator = migrator(self.dialect());
        match &self.pools {
            Pools::Sqlite { write, .. } => migrator.run(&mut *write.acquire().await?).await,
            Pools::Postgres { all: pool, .. } => {
                // A connection of its own: prepared statements and locks of the migration don't stay in the pool.
                let mut connection = sqlx::PgConnection::connect_with(&pool.connect_options()).await?;
                migrator.run(&mut connection).await?;
                connection.close().await?;
                Ok(())
            }
        }
    }

    /// The number of the newest migration that was applied, or `None` on an empty database.
    pub async fn schema_version(&self) -> super::Result<Option<i64>> {
        let exists = match self.dialect() {
            Dialect::Sqlite => "SELECT COUNT(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'",
            Dialect::Postgres => "SELECT COUNT(to_regclass('_sqlx_migrations'))",
        };
        if self.query(exists).scalar::<i64>().await? == 0 {
            return Ok(None);
        }
        self.query("SELECT CAST(MAX(version) AS BIGINT) FROM _sqlx_migrations WHERE success").scalar::<Option<i64>>().await
    }
}
