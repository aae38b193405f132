//! Keys that sign access tokens: how one follows another.

use crate::{
    support::*,
    tokens::{Forger, part_of, pem},
};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use plenary::auth::{OVERLAP_SECS, Rotation, Tokens, rotate_signing_key};
use std::process::{Command, Output};

async fn rotate(app: &App, at_once: bool) -> Rotation {
    rotate_signing_key(app.db(), &app.token_clock, &app.state().random, at_once).await.expect("a rotation")
}

/// What a node does by itself each minute.
async fn look(app: &App) {
    app.state().tokens.look_for_keys().await.expect("keys");
}

async fn kids(app: &App) -> Vec<String> {
    let keys = app.get("/.well-known/jwks.json").send().await.expect(200).json;
    keys["keys"].as_array().expect("keys").iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}

async fn me(app: &App, token: &str) -> Answer {
    app.get("/v1/me").token(token).send().await
}

async fn fresh_token(app: &App, user: &User) -> String {
    app.log_in(&user.email, &user.password).await.expect(200).json["accessToken"].as_str().expect("a token").to_owned()
}

fn run(app: &App, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plenary"));
    command.args(arguments).env("DATABASE_URL", app.database_url());
    command.output().expect("the command runs")
}

on_both! {
    async fn a_new_key_takes_over_without_anybody_noticing(app: App) {
        let anna = app.user("anna").await;
        let old = kids(&app).await;
        let begun = app.token_clock.now();
        let exp = begun.as_micros() / 1_000_000 + 10 * OVERLAP_SECS;
        // Longer than the server would ever make one, to see the key end and not the token.
        let lasting = Forger::of(&app, &anna).await.claims_with(json!({ "exp": exp }));
        let rotation = rotate(&app, false).await;
        assert_eq!(rotation.until, begun.plus_secs(OVERLAP_SECS));
        look(&app).await;
        assert_eq!(kids(&app).await, [rotation.kid.clone(), old[0].clone()]);
        for token in [&anna.token, &lasting] {
            me(&app, token).await.expect(200);
        }
        let next = fresh_token(&app, &anna).await;
        assert_eq!(part_of(&next, 0)["kid"], *rotation.kid);
        me(&app, &next).await.expect(200);

        app.token_clock.set(begun.plus_secs(OVERLAP_SECS - 1));
        look(&app).await;
        me(&app, &lasting).await.expect(200);
        app.token_clock.set(begun.plus_secs(OVERLAP_SECS));
        look(&app).await;
        me(&app, &lasting).await.problem(401, "unauthenticated");
        assert_eq!(kids(&app).await, std::slice::from_ref(&rotation.kid));
        let last = rotate(&app, false).await;
        look(&app).await;
        assert_eq!(kids(&app).await, [last.kid, rotation.kid]);
        assert_eq!(app.count("signing_keys").await, 2, "what has retired is forgotten");
    }

    async fn a_leaked_key_ends_at_once(app: App) {
        let anna = app.user("anna").await;
        let forged = Forger::of(&app, &anna).await.claims_with(json!({ "exp": 9_999_999_999_i64 }));
        for token in [&anna.token, &forged] {
            me(&app, token).await.expect(200);
        }
        let rotation = rotate(&app, true).await;
        look(&app).await;
        assert_eq!(kids(&app).await, [rotation.kid]);
        for token in [&anna.token, &forged] {
            me(&app, token).await.problem(401, "unauthenticated");
        }
        let refreshed = app.post("/v1/auth/refresh").json(&json!({ "refreshToken": anna.refresh_token })).send().await.expect(200);
        me(&app, refreshed.json["accessToken"].as_str().unwrap()).await.expect(200);
    }

    async fn rotations_at_once_leave_one_key_that_signs(app: App) {
        join_all((0..4).map(|_| rotate(&app, false))).await;
        let signing: i64 = app.db().query("SELECT COUNT(*) FROM signing_keys WHERE retires_at IS NULL").scalar().await.unwrap();
        assert_eq!((signing, app.count("signing_keys").await), (1, 5));
        for _ in 5..32 {
            rotate(&app, false).await;
        }
        look(&app).await;
        assert_eq!(kids(&app).await.len(), 32);
        let state = app.state();
        let refused = rotate_signing_key(&state.db, &app.token_clock, &state.random, false).await.expect_err("a refusal").to_string();
        assert!(refused.contains("have not retired yet"), "{refused}");
        assert_eq!(app.count("signing_keys").await, 32);
    }

    async fn the_command_rotates_while_the_server_runs(app: App) {
        let anna = app.user("anna").await;
        let old = kids(&app).await;
        let refused = run(&app, &["keys", "rotate", "--signing-key-file", "/etc/plenary/key.pem"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("/etc/plenary/key.pem") && said.contains("replace the file"), "{said}");
        let done = run(&app, &["keys", "rotate"]);
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        look(&app).await;
        let now = kids(&app).await;
        assert!(now.len() == 2 && now[1] == old[0] && said.contains(&now[0]), "{now:?} {said}");
        me(&app, &anna.token).await.expect(200);
        assert!(run(&app, &["keys", "rotate", "--at-once"]).status.success());
        look(&app).await;
        me(&app, &anna.token).await.problem(401, "unauthenticated");
        assert_eq!(kids(&app).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_takes_a_new_key_from_the_first_token_that_names_it() {
    let Some(app) = App::on_postgres().await else { return };
    let other = app.another_node().await;
    let anna = app.user("anna").await;
    rotate(&app, false).await;
    look(&app).await;
    let second = fresh_token(&app, &anna).await;
    me(&other, &second).await.expect(200);
    me(&other, &anna.token).await.expect(200);
    assert_eq!(kids(&other).await, kids(&app).await);

    // Tokens that name keys nobody has make a node look once a second and no more.
    rotate(&app, false).await;
    look(&app).await;
    let third = fresh_token(&app, &anna).await;
    me(&other, &third).await.problem(401, "unauthenticated");
    app.advance_secs(1);
    me(&other, &third).await.expect(200);
}

#[test]
fn the_command_makes_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.db");
    let mut command = Command::new(env!("CARGO_BIN_EXE_plenary"));
    let done = command.args(["keys", "rotate", "--database-url", &format!("sqlite:{}", path.display())]).output().unwrap();
    assert!(!done.status.success());
    assert!(!path.exists());
}

/// A public key as a PEM file (RFC 8410).
fn public_pem(key: &Ed25519KeyPair) -> String {
    let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    der.extend_from_slice(key.public_key().as_ref());
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_files_follow_one_another_too() {
    let folder = tempfile::tempdir().unwrap();
    let [old, new, public, wrong] = ["old.pem", "new.pem", "public.pem", "wrong.pem"].map(|name| folder.path().join(name));
    let (first, second) = (Ed25519KeyPair::generate().unwrap(), Ed25519KeyPair::generate().unwrap());
    std::fs::write(&old, pem(first.to_pkcs8v1().unwrap().as_ref())).unwrap();
    std::fs::write(&new, pem(second.to_pkcs8v1().unwrap().as_ref())).unwrap();
    std::fs::write(&public, public_pem(&first)).unwrap();
    std::fs::write(&wrong, "not a key").unwrap();
    let file = old.clone();
    let app = App::on_sqlite_with(|config| config.signing_key_file = Some(file)).await;
    let anna = app.user("anna").await;
    let state = app.state();
    let load = |files: Vec<&std::path::PathBuf>| {
        let mut config = state.config.clone();
        config.signing_key_file = Some(new.clone());
        config.verifying_key_files = files.into_iter().cloned().collect();
        let clock = app.token_clock.clone();
        async move { Tokens::load(&state.db, &config, clock, state.random.clone()).await }
    };
    assert_eq!(load(vec![]).await.unwrap().verify_access(&anna.token), None);
    for (files, keys) in [(vec![&public], 2), (vec![&old], 2), (vec![&public, &new, &old], 2)] {
        let tokens = load(files).await.unwrap();
        assert_eq!(tokens.verify_access(&anna.token).map(|id| id.to_string()), Some(anna.id.clone()));
        assert_eq!(tokens.published_keys().len(), keys);
    }
    let refused = load(vec![&wrong]).await.err().expect("a refusal").to_string();
    assert!(refused.starts_with("the verifying key file can't be used: ") && refused.contains("wrong.pem"), "{refused}");

    // Files are read again like the database.
    let before = kids(&app).await;
    std::fs::copy(&new, &old).unwrap();
    look(&app).await;
    assert_ne!(kids(&app).await, before);
    me(&app, &anna.token).await.problem(401, "unauthenticated");
    std::fs::remove_file(&old).unwrap();
    assert!(app.state().tokens.look_for_keys().await.is_err());
    let token = fresh_token(&app, &anna).await;
    me(&app, &token).await.expect(200);
}
