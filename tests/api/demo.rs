//! The demo: loaded once or many times, its accounts, and the lines of its guide pasted into a shell.

use crate::support::*;
use plenary::demo::{self, DemoError, PASSWORD, guide, load};
use std::process::Command;

const TABLES: [&str; 11] = [
    "users",
    "organisations",
    "members",
    "events",
    "streams",
    "rooms",
    "speakers",
    "sessions",
    "session_seats",
    "session_parts",
    "attendees",
];

async fn counts(app: &App) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in TABLES {
        counts.push(app.count(table).await);
    }
    counts
}

async fn signed_in(app: &App, email: &str) -> String {
    let tokens = app.log_in(email, PASSWORD).await.expect(200).json;
    tokens["accessToken"].as_str().expect("an access token").to_owned()
}

fn paste(line: &str) -> String {
    let output = Command::new("sh").arg("-c").arg(line).env("no_proxy", "*").output().expect("a shell");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{line}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

on_both! {
    async fn it_can_be_loaded_again_and_again(app: App) {
        let first = load(app.state()).await.expect("the demo loads");
        let before = counts(&app).await;
        assert_eq!(before[..8], [5, 1, 2, 1, 6, 6, 27, 23]);
        assert_eq!(before[10], 3);
        let again = load(app.state()).await.expect("the demo loads again");
        assert_eq!(counts(&app).await, before);
        assert_eq!((first.event_id, first.example.clone()), (again.event_id, again.example));
        assert_eq!(first.example.expect("an example").1, "E6");
    }

    async fn what_was_tried_in_it_stays(app: App) {
        let loaded = load(app.state()).await.expect("the demo loads");
        let (e6, _) = loaded.example.expect("an example");
        let (organiser, anna) = (signed_in(&app, "organiser@demo.example").await, signed_in(&app, "anna@demo.example").await);
        let registration = app.post(format!("/v1/sessions/{e6}/registrations")).token(&anna).send().await.expect(201).json;
        assert_eq!(registration["status"], "confirmed");
        let event = format!("/v1/events/{}", loaded.event_id);
        let patch = json!({ "title": "Changed by hand" });
        app.patch(format!("/v1/sessions/{e6}")).token(&organiser).if_match("*").merge(&patch).send().await.expect(200);
        let before = app.get(format!("{event}/programme")).token(&organiser).send().await.expect(200);
        load(app.state()).await.expect("the demo loads again");
        let after = app.get(format!("{event}/programme")).token(&organiser).send().await.expect(200);
        assert_eq!((after.etag(), after.text), (before.etag(), before.text));
        let read = app.get(format!("/v1/registrations/{}", registration.as_id())).token(&anna).send().await.expect(200);
        assert_eq!(read.json, registration);
    }

    async fn its_people_are_who_the_guide_says(app: App) {
        let loaded = load(app.state()).await.expect("the demo loads");
        let path = format!("/v1/sessions/{}/registrations", loaded.example.expect("an example").0);
        for (email, role) in [("organiser@demo.example", "owner"), ("door@demo.example", "door")] {
            let token = signed_in(&app, email).await;
            let me = app.get("/v1/me").token(&token).send().await.expect(200).json;
            assert_eq!(me["organisations"][0]["role"], role);
            app.get(&path).token(&token).send().await.expect(200);
        }
        for name in ["anna", "bo", "carla"] {
            let token = signed_in(&app, &format!("{name}@demo.example")).await;
            let mine = app.get("/v1/me/attendees").token(&token).send().await.expect(200).json;
            assert_eq!(mine["items"][0]["eventId"], loaded.event_id.to_string().as_str());
            assert_eq!(mine["items"].as_array().map(Vec::len), Some(1));
        }
    }

    async fn the_lines_of_the_guide_work_when_pasted(app: App) {
        if Command::new("curl").arg("--version").output().is_err() {
            return eprintln!("SKIPPED: there is no curl to paste the guide's lines to");
        }
        let loaded = load(app.state()).await.expect("the demo loads");
        let text = guide(&app.address, "sqlite:plenary-demo.db", &loaded);
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("curl ")).collect();
        assert_eq!(lines.len(), 2, "{text}");
        let booked: Value = serde_json::from_str(&paste(lines[0])).expect("JSON");
        assert_eq!(booked["status"], "confirmed", "{booked}");
        let csv = paste(lines[1]);
        assert!(csv.lines().count() == 2 && csv.contains("Anna Andersen") && csv.contains("anna@demo.example"), "{csv}");
        let again: Value = serde_json::from_str(&paste(lines[0])).expect("JSON");
        assert_eq!(again["id"], booked["id"]);
        for shown in [format!("{}/docs", app.address), PASSWORD.to_owned(), "2 March 2026".into(), "carla@demo.example".into()] {
            assert!(text.contains(&shown), "{shown} in {text}");
        }
    }

    async fn it_leaves_other_databases_alone(app: App) {
        let owner = app.user("olga").await;
        app.event(&owner, json!({ "slug": "quality-forum-2026" })).await;
        let before = counts(&app).await;
        let refused = load(app.state()).await.expect_err("not a demo's database");
        assert!(matches!(refused, DemoError::NotADemo(_)), "{refused}");
        let organiser = json!({ "email": "organiser@demo.example", "password": "somebody else entirely", "name": "Not the demo's" });
        app.post("/v1/auth/signup").json(&organiser).send().await.expect(201);
        let refused = load(app.state()).await.expect_err("another's event");
        assert!(matches!(refused, DemoError::NotADemo(_)), "{refused}");
        assert_eq!(counts(&app).await[1..], before[1..]);
        assert_eq!(app.count("users").await, 2);
    }
}

#[tokio::test]
async fn it_listens_on_this_machine_only() {
    for address in ["0.0.0.0:0", "192.0.2.1:8080", "[::]:0"] {
        let args = demo::Args { database_url: "sqlite:never-made.db".into(), bind: address.parse().expect("an address") };
        let refused = demo::run(args, std::future::pending()).await.expect_err("refused");
        assert!(matches!(refused, DemoError::NotLoopback(_)), "{refused}");
    }
    assert!(!std::path::Path::new("never-made.db").exists());
}

#[test]
fn the_guide_hides_the_databases_password() {
    let loaded = demo::Loaded { event_id: uuid::Uuid::nil(), slug: "s".into(), example: None };
    assert!(!guide("http://127.0.0.1:1", "postgres://plenary:secret@db/plenary", &loaded).contains("secret"));
}
