//! The two databases are one: the same schema, each set up so that what was acknowledged stays.

use crate::support::*;
use plenary::{
    app::{StartError, open_database},
    config::Config,
    db::{ConnectError, Db},
};
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
use std::{collections::BTreeMap, fs, path::Path};

/// Nullable columns by table and name.
type Schema = BTreeMap<String, BTreeMap<String, bool>>;

#[derive(sqlx::FromRow)]
struct Column {
    table_name: String,
    column_name: String,
    nullable: bool,
}

async fn schema(db: &Db, columns: &'static str) -> Schema {
    let mut schema = Schema::new();
    for column in db.query(columns).all::<Column>().await.expect("the columns") {
        schema.entry(column.table_name).or_default().insert(column.column_name, column.nullable);
    }
    schema
}

const SQLITE_COLUMNS: &str = "SELECT t.name AS table_name, c.name AS column_name, c.\"notnull\" = 0 AND c.pk = 0 AS nullable
    FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND t.name NOT LIKE 'sqlite%'";
const POSTGRES_COLUMNS: &str = "SELECT table_name::text, column_name::text, is_nullable = 'YES' AS nullable
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_have_the_same_tables_and_columns() {
    let sqlite = App::on_sqlite().await;
    let Some(postgres) = App::on_postgres().await else { return };
    let (on_sqlite, on_postgres) = (schema(sqlite.db(), SQLITE_COLUMNS).await, schema(postgres.db(), POSTGRES_COLUMNS).await);
    assert!(on_sqlite.contains_key("registrations") && on_sqlite["attendees"]["email"] && !on_sqlite["attendees"]["name"], "{on_sqlite:?}");
    assert_eq!(on_sqlite, on_postgres);
}

#[test]
fn both_have_migrations_of_the_same_names() {
    let names = |folder: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
        let mut names: Vec<String> =
            fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    };
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    assert_eq!(sqlite, postgres);
    assert_eq!(sqlite.len() as i64, plenary::db::latest_version(), "a file that is not embedded: {sqlite:?}");
    for (name, number) in sqlite.iter().zip(1..) {
        assert!(name.starts_with(&format!("{number:04}_")) && name.ends_with(".sql"), "{name}");
    }
}

on_both! {
    async fn a_migrated_database_is_left_as_it_is(app: App) {
        let before = app.count("_sqlx_migrations").await;
        assert_eq!(before, plenary::db::latest_version());
        app.db().migrate().await.expect("nothing to do");
        assert_eq!(app.count("_sqlx_migrations").await, before);
    }

    async fn it_is_ready_only_with_its_schema(app: App) {
        app.get("/readyz").send().await.expect(200);
        let mut tx = app.db().begin().await.expect("a transaction");
        tx.query("DELETE FROM _sqlx_migrations").execute().await.expect("a delete");
        tx.commit().await.expect("a commit");
        app.get("/readyz").send().await.problem(503, "unavailable");
        app.get("/livez").send().await.expect(200);
    }

    async fn a_newer_schema_is_refused(app: App) {
        const NEWER: &str = "UPDATE _sqlx_migrations SET version = version + 1000";
        let mut tx = app.db().begin().await.expect("a transaction");
        tx.query(NEWER).execute().await.expect("an update");
        tx.commit().await.expect("a commit");
        let found = app.db().schema_version().await.expect("a version");
        assert_eq!(found, Some(plenary::db::latest_version() + 1000));
        let database = app.stop().await;
        let refused = open_database(&Config::for_database(database.url())).await.err().expect("a refusal");
        assert!(matches!(refused, StartError::NewerSchema { .. }), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_what_was_acknowledged() {
    let app = App::on_sqlite().await;
    // The writer's own settings: they belong to a connection, not to the file.
    let mut tx = app.db().begin().await.expect("a transaction");
    assert_eq!(tx.query("PRAGMA journal_mode").scalar::<String>().await.expect("a mode"), "wal");
    for (pragma, wanted) in [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1)] {
        assert_eq!(tx.query(pragma).scalar::<i64>().await.expect("a number"), wanted, "{pragma}");
    }
    tx.rollback().await.expect("a rollback");
    const LOOSE: &str =
        "SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT strict AND name NOT LIKE 'sqlite%' AND name <> '_sqlx_migrations'";
    assert_eq!(app.db().query(LOOSE).all::<(String,)>().await.expect("a list"), []);
}

/// How many users there are in the file by itself, without its log.
async fn users_in(file: &Path) -> i64 {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy.db");
    fs::copy(file, &copy).expect("a copy");
    // Copied while it was written it may be anything.
    let Ok(mut database) = SqliteConnectOptions::new().filename(copy).connect().await else { return 0 };
    sqlx::query_scalar("SELECT COUNT(*) FROM users").fetch_one(&mut database).await.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlites_log_is_carried_into_the_file_while_it_is_small() {
    let app = App::on_sqlite().await;
    let file = app.database_url().strip_prefix("sqlite:").expect("a file");
    app.user("anna").await;
    eventually("she is in the file", async || users_in(Path::new(file)).await == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_reads_can_not_write() {
    let app = App::on_sqlite().await;
    let written = app.db().query("DELETE FROM users").execute().await;
    assert!(written.is_err_and(|error| error.to_string().contains("readonly")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_same_file_is_refused() {
    let app = App::on_sqlite().await;
    let settings = Config::for_database(app.database_url()).database_settings();
    let refused = Db::connect(&settings).await.err().expect("a refusal");
    assert!(matches!(refused, ConnectError::InUse(_)), "{refused}");
    assert!(refused.to_string().starts_with("another process already uses the SQLite file"), "{refused}");
    // The first one goes on, and the file is free when it has ended.
    app.get("/readyz").send().await.expect(200);
    let database = app.stop().await;
    Db::connect(&Config::for_database(database.url()).database_settings()).await.expect("a free file").close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_that_keep_nothing_are_refused() {
    for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite:plenary.db?mode=memory", "sqlite:", "sqlite://"] {
        let refused = Db::connect(&Config::for_database(url).database_settings()).await.err().expect(url);
        assert!(matches!(refused, ConnectError::InMemory), "{url}: {refused}");
    }
    for url in ["", "mysql://localhost/plenary", "plenary.db", "SQLITE:plenary.db"] {
        let refused = Db::connect(&Config::for_database(url).database_settings()).await.err().expect(url);
        assert!(matches!(refused, ConnectError::UnknownScheme), "{url}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_start_at_once_migrate_once() {
    let Some(nodes) = App::nodes_on_empty_postgres(4).await else { return };
    for node in &nodes {
        node.get("/readyz").send().await.expect(200);
        assert_eq!(node.count("_sqlx_migrations").await, plenary::db::latest_version());
    }
    // They agree on the secrets that the first one made.
    assert!(nodes[0].count("installation_secrets").await > 0);
}
