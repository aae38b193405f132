//! The command line: what is missing, weak or contradictory is refused with a sentence and the right exit code.

use crate::support::*;
use std::fs;

/// Runs the program and expects it to fail with one sentence that contains this.
fn refused(arguments: &[&str], status: i32, sentence: &str) {
    let output = run(&mut plenary(arguments));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
    assert!(said.contains(sentence), "{arguments:?}: {said}");
    assert!(!said.contains("geheim"), "a password is told: {said}");
    assert!(!said.contains("panicked") && said.lines().count() <= 6, "{arguments:?}: {said}");
}

#[test]
fn settings_that_are_missing_weak_or_contradictory() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = format!("--database-url=sqlite:{}", folder.path().join("plenary.db").display());
    let with = |setting: &str, sentence: &str| refused(&["serve", &database, setting], 2, sentence);

    refused(&["serve"], 2, "plenary: no database is named: set DATABASE_URL");
    refused(&["migrate"], 2, "plenary: no database is named: set DATABASE_URL");
    refused(&["serve", "--database-url="], 2, "DATABASE_URL must begin with `sqlite:` or `postgres:`");
    refused(&["serve", "--database-url=mysql://root:geheim@db/plenary"], 2, "DATABASE_URL must begin with");
    refused(&["serve", "--database-url=sqlite::memory:"], 2, "SQLite in memory loses everything");
    refused(&["migrate", "--database-url=sqlite:x.db?mode=memory"], 2, "SQLite in memory loses everything");
    refused(&["serve", "--database-url=postgres://u:geheim@db:port/plenary"], 2, "DATABASE_URL can't be read");

    for url in ["", "localhost:8080", "ftp://example.org", "https://", "https://u:p@example.org", "https://example.org/?x=1", "https://e#x"]
    {
        with(&format!("--public-url={url}"), "the public URL");
    }
    for origin in [
        "null",
        "*",
        "https://*.example.org",
        "https://example.org/",
        "https://example.org/app",
        "HTTPS://example.org",
        "https://Example.org",
        "https://example.org:443",
        "http://example.org:80",
        "example.org",
        "https://u@example.org",
        "https://a.example,null",
        "file://",
    ] {
        with(&format!("--allowed-origins={origin}"), "must be bare");
    }
    with("--signing-key-file=/no/such/file.pem", "the signing key file \"/no/such/file.pem\" can't be read");
    refused(&["serve", &database, "--access-token-secs=7200", "--refresh-token-secs=7200"], 2, "must live longer than access tokens");
    for (setting, limits) in [
        ("--refresh-token-secs=60", "3600..=31536000"),
        ("--database-connections=1", "2..=500"),
        ("--booking-batch=0", "1..=8192"),
        ("--drain-timeout-secs=-1", "1..=3600"),
    ] {
        with(setting, limits);
    }
    with("--bind=8080", "--bind");
    with("--no-such-setting", "--no-such-setting");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "something was written before it was refused");
}

#[test]
fn key_files_that_hold_no_key_for_signing() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = format!("--database-url=sqlite:{}", folder.path().join("plenary.db").display());
    let key = folder.path().join("key.pem");
    // The second one is sound, but for encryption (X25519).
    for text in
        ["", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIPBeyRCtqLCdQU5Dy8aQ6XKsPYQYoLMJlUIzsPhlpV9d\n-----END PRIVATE KEY-----\n"]
    {
        fs::write(&key, text).expect("a file");
        refused(&["serve", &database, &format!("--signing-key-file={}", key.display())], 2, "the signing key file can't be used");
    }
}

#[test]
fn what_the_machine_refuses() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("plenary.db").display());
    let database = format!("--database-url={url}");
    refused(&["serve", "--database-url=sqlite:/no/such/folder/plenary.db"], 1, "/no/such/folder/plenary.db");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let bind = format!("--bind={}", taken.local_addr().expect("an address"));
    refused(&["serve", &database, &bind], 1, "can't listen on 127.0.0.1");
    let first = Served::start(&url, |_| ());
    refused(&["serve", &database, "--bind=127.0.0.1:0"], 1, "another process already uses the SQLite file");
    refused(&["migrate", &database], 1, "another process already uses the SQLite file");
    first.signal("INT");
    let (status, log) = first.ended();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn the_log_filter_must_make_sense() {
    let output = run(plenary(&["serve", "--database-url=sqlite:x.db"]).env("RUST_LOG", "plenary=loud"));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("plenary: RUST_LOG: "));
}

#[test]
fn the_help_is_a_manual() {
    let output = run(plenary(&["serve", "--help"]).env("DATABASE_URL", "postgres://plenary:geheim@db/plenary"));
    let manual = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0));
    for section in ["Database:", "HTTP:", "Signing in:", "Booking:", "Behind a proxy:", "Signals:", "Probes:", "Examples:"] {
        assert!(manual.contains(section), "{section} is missing");
    }
    assert!(!manual.contains("geheim"), "the help shows the database's password");
    // Each setting has its variable and, with a limit, its unit.
    for line in manual.lines().map(str::trim).filter(|line| line.starts_with("--") && line.contains('<')) {
        let flag = line.trim_start_matches("--").split_whitespace().next().expect("a flag");
        let variable =
            if flag == "database-url" { "DATABASE_URL".to_owned() } else { format!("PLENARY_{}", flag.replace('-', "_").to_uppercase()) };
        assert!(manual.contains(&format!("[env: {variable}")), "{flag} has no variable {variable}");
        assert_eq!(flag.ends_with("-secs"), line.ends_with("<SECONDS>"), "{line}");
    }
    let overview = String::from_utf8(run(&mut plenary(&["--help"])).stdout).expect("UTF-8");
    for section in ["Environment:", "Exit status:", "Examples:", "serve", "migrate"] {
        assert!(overview.contains(section), "{section} is missing");
    }
}

#[test]
fn migrate_brings_the_schema_up_to_date_and_can_be_repeated() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("plenary.db").display());
    for _ in 0..2 {
        let output = run(plenary(&["migrate"]).env("DATABASE_URL", &url));
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("The schema has version {}.\n", plenary::db::latest_version()));
    }
}

#[tokio::test]
async fn the_log_tells_no_secrets_and_no_personal_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("plenary.db").display());
    let server = Served::start(&url, |command| {
        command.env("RUST_LOG", "trace");
    });
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let post = |path: &str, body: Value| http.post(format!("{}{path}", server.address)).json(&body).send();
    let person = json!({ "email": "grete@example.org", "password": "zwei geheime Pferde", "name": "Grete Unbekannt" });
    assert_eq!(post("/v1/auth/signup", person.clone()).await.expect("an answer").status(), 201);
    assert_eq!(post("/v1/auth/signup", person).await.expect("an answer").status(), 409);
    let tokens =
        post("/v1/auth/login", json!({ "email": "grete@example.org", "password": "zwei geheime Pferde" })).await.expect("an answer");
    let tokens: Value = tokens.json().await.expect("tokens");
    let refused = post("/v1/auth/login", json!({ "email": "grete@example.org", "password": "falsche Pferde" })).await.expect("an answer");
    let request = refused.headers()["x-request-id"].to_str().expect("an id").to_owned();
    let found = http.get(format!("{}/v1/events?q=Grete", server.address)).send().await.expect("an answer");
    assert_eq!(found.status(), 200);
    server.signal("TERM");
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0));
    assert!(log.contains(&request), "a request can't be found by its id");
    let secrets = [tokens["accessToken"].as_str().expect("a token"), tokens["refreshToken"].as_str().expect("a token")];
    for told in ["Grete", "grete", "Pferde", "Unbekannt"].into_iter().chain(secrets) {
        let line = log.lines().find(|line| line.contains(told));
        assert!(line.is_none(), "the log tells {told}: {}", line.unwrap_or_default());
    }
}
