//! `Idempotency-Key`: whatever happens to the answer, a thing is created once.

use crate::support::*;
use futures_util::future::select;
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

const KEY: &str = "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"";

trait Keyed {
    /// With an idempotency key.
    fn key(self, key: &str) -> Self;
}

impl Keyed for Call {
    fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

/// Anna and her event with two sessions.
struct Stage {
    anna: User,
    event: Value,
    session: Value,
    other: Value,
}

impl Stage {
    async fn set(app: &App) -> Self {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        let session = app.session(&anna, &event, json!({})).await;
        let later = json!({ "startsAt": "2026-03-11T14:00:00Z", "endsAt": "2026-03-11T15:00:00Z" });
        let other = app.session(&anna, &event, later).await;
        Self { anna, event, session, other }
    }

    fn post(&self, app: &App, path: &str) -> Call {
        app.post(path).token(&self.anna.token)
    }

    fn in_event(&self, kind: &str) -> String {
        format!("/v1/events/{}/{kind}", self.event.as_id())
    }

    fn registrations(&self) -> String {
        registrations(&self.session)
    }

    fn slug(&self, slug: &str) -> Value {
        json!({
            "organisationId": self.event["organisationId"], "slug": slug, "name": "Forum", "timeZone": "Europe/Oslo",
            "startsOn": "2026-03-11", "endsOn": "2026-03-13",
        })
    }

    fn new_session(&self) -> Value {
        json!({ "code": "NEW", "title": "New", "startsAt": "2026-03-11T12:00:00Z", "endsAt": "2026-03-11T13:00:00Z" })
    }

    /// Everything that can be created: the path, a body, another valid body, and the table it goes into.
    async fn creations(&self, app: &App) -> Vec<(String, Value, Value, &'static str)> {
        let attendees = app.attendees(&self.anna, &self.event, 2).await;
        let named = |name: &str| json!({ "name": name });
        vec![
            ("/v1/organisations".into(), named("One"), named("Other"), "organisations"),
            ("/v1/events".into(), self.slug("one"), self.slug("other"), "events"),
            (self.in_event("streams"), named("One"), named("Other"), "streams"),
            (self.in_event("rooms"), named("One"), named("Other"), "rooms"),
            (self.in_event("speakers"), named("One"), named("Other"), "speakers"),
            (self.in_event("sessions"), self.new_session(), overlay(self.new_session(), json!({ "code": "OTHER" })), "sessions"),
            (self.in_event("attendees"), named("One"), named("Other"), "attendees"),
            (self.registrations(), json!({ "attendeeId": attendees[0] }), json!({ "attendeeId": attendees[1] }), "registrations"),
        ]
    }
}

/// A request without a client that waits for its answer.
fn send(app: &App, user: &User, path: &str, body: &str) -> TcpStream {
    let mut connection = TcpStream::connect(app.address.trim_start_matches("http://")).expect("a connection");
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\nIdempotency-Key: {KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        user.token,
        body.len()
    );
    connection.write_all(request.as_bytes()).expect("a request");
    connection
}

/// Makes every write of that kind to the table of keys fail, or no longer.
async fn break_keys(app: &App, broken: Option<&'static str>) {
    const FUNCTION: &str =
        "CREATE OR REPLACE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''broken''; END'";
    let mut tx = app.db().begin().await.expect("a transaction");
    let statements = match (tx.dialect(), broken) {
        (plenary::db::Dialect::Sqlite, Some(kind)) => {
            vec![format!("CREATE TRIGGER broken BEFORE {kind} ON idempotency_keys BEGIN SELECT RAISE(ABORT, 'broken'); END")]
        }
        (plenary::db::Dialect::Sqlite, None) => vec!["DROP TRIGGER broken".to_owned()],
        (plenary::db::Dialect::Postgres, Some(kind)) => vec![
            FUNCTION.to_owned(),
            format!("CREATE TRIGGER broken BEFORE {kind} ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION broken()"),
        ],
        (plenary::db::Dialect::Postgres, None) => vec!["DROP TRIGGER broken ON idempotency_keys".to_owned()],
    };
    for statement in statements {
        tx.query(&*statement.leak()).execute().await.expect("a trigger");
    }
    tx.commit().await.expect("a commit");
}

on_both! {
    async fn each_creation_is_done_once_and_answered_again(app: App) {
        let stage = Stage::set(&app).await;
        assert_eq!(app.count("idempotency_keys").await, 0, "without a key nothing is kept");
        for (path, body, other, table) in stage.creations(&app).await {
            let first = stage.post(&app, &path).key(KEY).json(&body).send().await.expect(201);
            assert!(!replayed(&first), "{path}");
            let rows = app.count(table).await;
            let again = stage.post(&app, &path).key(KEY).json(&body).send().await.expect(201);
            assert!(replayed(&again), "{path}");
            assert_eq!((&again.text, again.etag(), again.media_type()), (&first.text, first.etag(), first.media_type()), "{path}");
            assert_eq!(again.header("location").expect("an address"), first.header("location").expect("an address"), "{path}");
            stage.post(&app, &path).key(KEY).json(&other).send().await.problem(422, "idempotency_key_reused");
            assert_eq!(app.count(table).await, rows, "{path}");
            let without = stage.post(&app, &path).json(&other).send().await.expect(201);
            assert!(!replayed(&without) && without.json["id"] != first.json["id"], "{path}");
        }
        assert_eq!(app.count("idempotency_keys").await, 8);
    }

    async fn a_key_is_the_same_in_quotes_and_without(app: App) {
        let anna = app.user("anna").await;
        let create = |key: &str| app.post("/v1/organisations").token(&anna.token).key(key).json(&json!({ "name": "One" })).send();
        let first = create("8e03978e-40d5").await.expect(201);
        assert_eq!(create("\"8e03978e-40d5\"").await.expect(201).json, first.json);
        let longest = "k".repeat(255);
        let spaced = create("\"a b\\\"\\\\;,\"").await.expect(201);
        for other in [&longest, &format!("\"{longest}\""), "\"a b\\\"\\\\;,\""] {
            let answer = create(other).await.expect(201);
            assert_ne!(answer.json["id"], first.json["id"], "{other}");
            assert_eq!(answer.json["id"] == spaced.json["id"], other.contains(' '), "{other}");
        }
        assert_eq!(app.count("organisations").await, 3);
    }

    async fn a_malformed_key_is_refused(app: App) {
        let anna = app.user("anna").await;
        let call = || app.post("/v1/organisations").token(&anna.token).json(&json!({ "name": "One" }));
        let (long, long_quoted) = ("k".repeat(256), format!("\"{}\"", "k".repeat(256)));
        for wrong in ["", "\"\"", "\"", "\"a", "a\"", "a b", "a,b", "a;b", "\"a\";b=1", "\"a\", \"b\"", "\"a\\b\"", "k\u{e9}", "\u{1f511}", &long, &long_quoted] {
            let refused = call().key(wrong).send().await.problem(400, "invalid_parameter");
            assert!(refused.errors()[0].starts_with("Idempotency-Key "), "{wrong:?}: {:?}", refused.errors());
            assert_eq!(refused.json["errors"][0]["in"], "header");
        }
        call().key("a").key("b").send().await.problem(400, "invalid_parameter");
        assert_eq!((app.count("organisations").await, app.count("idempotency_keys").await), (0, 0));
    }

    async fn a_key_belongs_to_a_person_and_an_operation(app: App) {
        let stage = Stage::set(&app).await;
        let bo = app.user("bo").await;
        let name = json!({ "name": "One" });
        let annas = stage.post(&app, "/v1/organisations").key(KEY).json(&name).send().await.expect(201);
        let bos = app.post("/v1/organisations").token(&bo.token).key(KEY).json(&name).send().await.expect(201);
        let room = stage.post(&app, &stage.in_event("rooms")).key(KEY).json(&name).send().await.expect(201);
        let stream = stage.post(&app, &stage.in_event("streams")).key(KEY).json(&name).send().await.expect(201);
        assert!([&annas, &bos, &room, &stream].iter().all(|answer| !replayed(answer)));
        assert_ne!(annas.json["id"], bos.json["id"]);
    }

    async fn another_path_is_another_request(app: App) {
        let stage = Stage::set(&app).await;
        stage.post(&app, &stage.registrations()).key(KEY).send().await.expect(201);
        stage.post(&app, &registrations(&stage.other)).key(KEY).send().await.problem(422, "idempotency_key_reused");
        let by_slug = format!("/v1/events/{}/rooms", stage.event["slug"].as_str().expect("a slug"));
        let body = json!({ "name": "Hall A" });
        stage.post(&app, &stage.in_event("rooms")).key(KEY).json(&body).send().await.expect(201);
        stage.post(&app, &by_slug).key(KEY).json(&body).send().await.problem(422, "idempotency_key_reused");
        assert_eq!((app.count("registrations").await, app.count("rooms").await), (1, 1));
    }

    async fn a_refusal_is_not_kept_and_judged_anew(app: App) {
        let stage = Stage::set(&app).await;
        let taken = app.event(&stage.anna, json!({ "organisationId": stage.event["organisationId"], "slug": "wanted" })).await;
        let create = || stage.post(&app, "/v1/events").key(KEY).json(&stage.slug("wanted")).send();
        create().await.problem(409, "slug_taken");
        create().await.problem(409, "slug_taken");
        assert_eq!(app.count("idempotency_keys").await, 0);
        let delete = app.delete(format!("/v1/events/{}", taken.as_id())).token(&stage.anna.token).if_match("*").send().await;
        delete.expect(204);
        let made = create().await.expect(201);
        assert!(!replayed(&made) && replayed(&create().await.expect(201)));

        let full = app.session(&stage.anna, &stage.event, json!({ "capacity": 1, "waitlist": null })).await;
        let bo = app.user("bo").await;
        let seat = stage.post(&app, &registrations(&full)).send().await.expect(201);
        let book = || app.post(registrations(&full)).token(&bo.token).key(KEY).send();
        book().await.problem(409, "session_full");
        let cancel = format!("/v1/registrations/{}/cancel", seat.json.as_id());
        stage.post(&app, &cancel).send().await.expect(200);
        let booked = book().await.expect(201);
        assert!(!replayed(&booked));
        assert_eq!(book().await.expect(201).json, booked.json);
    }

    async fn who_may_no_longer_is_refused_and_not_told(app: App) {
        const DEMOTE: &str = "UPDATE members SET role = 'viewer' WHERE user_id = $1";
        const REMOVE: &str = "DELETE FROM members WHERE user_id = $1";
        let stage = Stage::set(&app).await;
        let bo = app.user("bo").await;
        app.member(&stage.event["organisationId"], &bo, "organiser").await;
        let attendee = app.attendees(&stage.anna, &stage.event, 1).await.remove(0);
        let session = || app.post(stage.in_event("sessions")).token(&bo.token).key(KEY).json(&stage.new_session()).send();
        let event = || app.post("/v1/events").token(&bo.token).key(KEY).json(&stage.slug("by-bo")).send();
        let booking = || app.post(stage.registrations()).token(&bo.token).key(KEY).json(&json!({ "attendeeId": attendee })).send();
        for answer in [session().await, event().await, booking().await] {
            answer.expect(201);
        }
        let change = async |sql: &'static str| {
            let mut tx = app.db().begin().await.expect("a transaction");
            let id: uuid::Uuid = bo.id.parse().expect("a UUID");
            assert_eq!(tx.query(sql).bind(id).execute().await.expect("a change"), 1);
            tx.commit().await.expect("a commit");
        };
        change(DEMOTE).await;
        for answer in [session().await, event().await, booking().await] {
            answer.problem(403, "forbidden");
        }
        change(REMOVE).await;
        session().await.problem(404, "not_found");
        event().await.problem(422, "unknown_reference");
        booking().await.problem(422, "unknown_reference");
    }

    async fn a_request_under_way_is_told_to_come_back(app: App) {
        let stage = Stage::set(&app).await;
        let held = HeldBack::begin(&app, "idempotency_keys").await;
        let create = || stage.post(&app, "/v1/events").key(KEY).json(&stage.slug("once")).send();
        let book = || stage.post(&app, &stage.registrations()).key(KEY).send();
        // Of each two the second is refused at once; the first is held back.
        let (refused, creating) = select(tokio::spawn(create()), tokio::spawn(create())).await.factor_first();
        let refused = refused.expect("an answer").problem(409, "idempotency_in_flight");
        assert_eq!(refused.header("retry-after"), Some("1"));
        let (refused, booking) = select(tokio::spawn(book()), tokio::spawn(book())).await.factor_first();
        refused.expect("an answer").problem(409, "idempotency_in_flight");
        held.end().await;
        let (created, booked) = (creating.await.expect("an answer").expect(201), booking.await.expect("an answer").expect(201));
        assert!(!replayed(&created) && !replayed(&booked));
        assert_eq!(create().await.expect(201).json, created.json);
        assert_eq!(book().await.expect(201).json, booked.json);
        assert_eq!(app.count("registrations").await, 1);
    }

    async fn of_many_at_once_one_creates(app: App) {
        let stage = Stage::set(&app).await;
        for (path, body) in [("/v1/events".to_owned(), stage.slug("race")), (stage.registrations(), json!({}))] {
            let answers = join_all((0..12).map(|_| stage.post(&app, &path).key(KEY).json(&body).send())).await;
            let first: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201 && !replayed(answer)).collect();
            assert_eq!(first.len(), 1, "{path}");
            for answer in &answers {
                match answer.status {
                    201 => assert_eq!(answer.text, first[0].text, "{path}"),
                    _ => assert_eq!((answer.status, &answer.json["code"]), (409, &json!("idempotency_in_flight")), "{path}"),
                }
            }
        }
        assert_eq!((app.count("events").await, app.count("registrations").await), (2, 1));
    }

    async fn answers_of_a_rush_are_not_mixed_up(app: App) {
        let stage = Stage::set(&app).await;
        let session = app.session(&stage.anna, &stage.event, json!({ "capacity": 20, "waitlist": { "mode": "auto" } })).await;
        let attendees = app.attendees(&stage.anna, &stage.event, 40).await;
        let book = |attendee: &String, keyed: bool| {
            let call = stage.post(&app, &registrations(&session)).json(&json!({ "attendeeId": attendee }));
            if keyed { call.key(attendee).send() } else { call.send() }
        };
        // Half of them twice, with new ones between.
        let first = join_all(attendees[..20].iter().map(|attendee| book(attendee, true))).await;
        let mixed = join_all(attendees.iter().map(|attendee| book(attendee, !attendee.ends_with(['0', '1', '2', '3'])))).await;
        for (attendee, answer) in attendees.iter().zip(&mixed) {
            assert_eq!(answer.json["attendeeId"], **attendee, "{}", answer.text);
        }
        for (first, again) in first.iter().zip(&mixed) {
            assert_eq!((first.status, &first.json), (201, &again.json));
            assert_eq!(replayed(again), again.status == 201);
        }
        assert!(mixed[20..].iter().all(|answer| answer.status == 201 && !replayed(answer) && answer.json["status"] == "waitlisted"));
        assert_eq!(app.count("registrations").await, 40);
    }

    async fn an_answer_that_was_lost_is_given_again(app: App) {
        let stage = Stage::set(&app).await;
        let event = stage.slug("lost").to_string();
        for (path, body, table) in [("/v1/events".to_owned(), event, "events"), (stage.registrations(), "{}".to_owned(), "registrations")] {
            let before = app.count(table).await;
            let connection = send(&app, &stage.anna, &path, &body);
            until("the effect", async || app.count(table).await == before + 1).await;
            drop(connection);
            let mut again = None;
            // The node may still be busy with the first.
            until("an answer", async || {
                let answer = stage.post(&app, &path).key(KEY).body("application/json", body.clone()).send().await;
                let answered = answer.status != 409;
                again = Some(answer);
                answered
            }).await;
            assert!(replayed(&again.expect("an answer").expect(201)), "{path}");
            assert_eq!(app.count(table).await, before + 1, "{path}");
        }
    }

    async fn an_effect_and_its_key_are_written_together_or_not_at_all(app: App) {
        let stage = Stage::set(&app).await;
        let event = stage.slug("whole").to_string();
        // The row of a creation is made before and completed after, that of a booking is written with its batch.
        for (path, body, table, kind) in
            [("/v1/events".to_owned(), event, "events", "UPDATE"), (stage.registrations(), "{}".to_owned(), "registrations", "INSERT")]
        {
            let before = app.count(table).await;
            break_keys(&app, Some(kind)).await;
            let mut connection = send(&app, &stage.anna, &path, &body);
            let mut answer = String::new();
            tokio::task::block_in_place(|| connection.read_to_string(&mut answer)).expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 500 "), "{path}: {answer}");
            assert_eq!((app.count(table).await, app.count("idempotency_keys").await), (before, 0), "{path}");
            break_keys(&app, None).await;
            let made = stage.post(&app, &path).key(KEY).body("application/json", body).send().await.expect(201);
            assert!(!replayed(&made), "{path}");
            let mut tx = app.db().begin().await.expect("a transaction");
            tx.query("DELETE FROM idempotency_keys").execute().await.expect("a delete");
            tx.commit().await.expect("a commit");
        }
    }

    async fn a_key_outlives_the_server(app: App) {
        let stage = Stage::set(&app).await;
        let created = stage.post(&app, "/v1/events").key(KEY).json(&stage.slug("once")).send().await.expect(201);
        let booked = stage.post(&app, &stage.registrations()).key(KEY).send().await.expect(201);
        let app = app.restart().await;
        let again = stage.post(&app, "/v1/events").key(KEY).json(&stage.slug("once")).send().await.expect(201);
        assert_eq!((replayed(&again), again.json), (true, created.json));
        let again = stage.post(&app, &stage.registrations()).key(KEY).send().await.expect(201);
        assert_eq!((replayed(&again), again.json), (true, booked.json));
    }

    async fn a_key_is_forgotten_after_a_day(app: App) {
        let stage = Stage::set(&app).await;
        let create = |slug| stage.post(&app, "/v1/events").key(KEY).json(&stage.slug(slug)).send();
        let book = |session| stage.post(&app, &registrations(session)).key(KEY).send();
        create("one").await.expect(201);
        book(&stage.session).await.expect(201);
        app.clock.set(app.clock.now().plus_secs(24 * 3600 - 1));
        create("two").await.problem(422, "idempotency_key_reused");
        book(&stage.other).await.problem(422, "idempotency_key_reused");
        assert_eq!(plenary::idempotency::sweep(app.db(), &app.clock).await.expect("a sweep"), 0);
        app.clock.set(app.clock.now().plus_secs(1));
        let (two, booked) = (create("two").await.expect(201), book(&stage.other).await.expect(201));
        assert!(!replayed(&two) && !replayed(&booked), "an old key is free, whether or not it was deleted");
        assert_eq!(create("two").await.expect(201).json, two.json);
        assert_eq!(book(&stage.other).await.expect(201).json, booked.json);
        assert_eq!(app.count("idempotency_keys").await, 2);
        app.clock.set(app.clock.now().plus_secs(24 * 3600));
        assert_eq!(plenary::idempotency::sweep(app.db(), &app.clock).await.expect("a sweep"), 2);
        assert_eq!(app.count("idempotency_keys").await, 0);
    }

    async fn what_was_there_already_is_answered_again_too(app: App) {
        let stage = Stage::set(&app).await;
        let session = app.session(&stage.anna, &stage.event, json!({ "capacity": 0, "waitlist": { "mode": "auto" } })).await;
        let first = app.attendees(&stage.anna, &stage.event, 1).await.remove(0);
        stage.post(&app, &registrations(&session)).json(&json!({ "attendeeId": first })).send().await.expect(201);
        let waiting = stage.post(&app, &registrations(&session)).send().await.expect(201);
        let book = || stage.post(&app, &registrations(&session)).key(KEY).send();
        let known = book().await.expect(200);
        assert_eq!((replayed(&known), &known.json["position"]), (false, &json!(2)));
        stage.post(&app, &format!("/v1/registrations/{}/cancel", waiting.json.as_id())).send().await.expect(200);
        let again = book().await.expect(200);
        assert_eq!((replayed(&again), &again.text), (true, &known.text), "not a new registration");
        assert_eq!(stage.post(&app, &registrations(&session)).key("another").send().await.expect(201).json["position"], 2);
    }

    async fn secrets_are_never_kept(app: App) {
        let stage = Stage::set(&app).await;
        let attendee = app.attendees(&stage.anna, &stage.event, 1).await.remove(0);
        let claim = || stage.post(&app, &format!("/v1/attendees/{attendee}/claim-code")).key(KEY).send();
        assert_ne!(claim().await.expect(201).json["claimCode"], claim().await.expect(201).json["claimCode"]);
        let many = || stage.post(&app, &stage.in_event("claim-codes")).key(KEY).json(&json!({ "replace": true })).send();
        assert_ne!(many().await.expect(201).all("claimCode"), many().await.expect(201).all("claimCode"));
        let credentials = json!({ "email": stage.anna.email, "password": stage.anna.password });
        let log_in = || app.post("/v1/auth/login").key(KEY).json(&credentials).send();
        assert_ne!(log_in().await.expect(200).json["refreshToken"], log_in().await.expect(200).json["refreshToken"]);
        let sign_up = json!({ "email": "new@example.org", "password": PASSWORD, "name": "New" });
        app.post("/v1/auth/signup").key(KEY).json(&sign_up).send().await.expect(201);
        app.post("/v1/auth/signup").key(KEY).json(&sign_up).send().await.problem(409, "email_taken");
        assert_eq!(app.count("idempotency_keys").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_nodes_one_creates_and_the_other_repeats_it() {
    let Some(app) = App::on_postgres().await else { return };
    let node = app.another_node().await;
    let stage = Stage::set(&app).await;
    for round in 0..6 {
        let hours =
            json!({ "startsAt": format!("2026-03-12T{:02}:00:00Z", 8 + round), "endsAt": format!("2026-03-12T{:02}:30:00Z", 8 + round) });
        let session = app.session(&stage.anna, &stage.event, hours).await;
        let key = format!("round-{round}");
        for (path, body) in [("/v1/events".to_owned(), stage.slug(&key)), (registrations(&session), json!({}))] {
            // Both have begun, and wait, before either can have made the row.
            let held = HeldBack::begin(&app, "idempotency_keys").await;
            let both = [&app, &node].map(|app| tokio::spawn(stage.post(app, &path).key(&key).json(&body).send()));
            tokio::time::sleep(Duration::from_millis(50)).await;
            held.end().await;
            let [one, other] = join_all(both).await.try_into().unwrap_or_else(|_| panic!("two answers"));
            let (one, other) = (one.expect("an answer").expect(201), other.expect("an answer").expect(201));
            assert_eq!((one.text.as_str(), one.etag()), (other.text.as_str(), other.etag()), "{path}");
            assert_ne!(replayed(&one), replayed(&other), "{path}");
        }
    }
    assert_eq!((app.count("events").await, app.count("registrations").await), (7, 6));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_do_not_use_one_key_for_two_bookings() {
    let Some(app) = App::on_postgres().await else { return };
    let node = app.another_node().await;
    let stage = Stage::set(&app).await;
    for round in 0..6 {
        let at = |minute: usize| {
            json!({
                "startsAt": format!("2026-03-12T{:02}:{minute:02}:00Z", 8 + round), "endsAt": format!("2026-03-12T{:02}:{:02}:00Z", 8 + round, minute + 20),
            })
        };
        let sessions = [app.session(&stage.anna, &stage.event, at(0)).await, app.session(&stage.anna, &stage.event, at(30)).await];
        let held = HeldBack::begin(&app, "idempotency_keys").await;
        let calls = [&app, &node].into_iter().zip(&sessions);
        let both: Vec<_> = calls
            .map(|(app, session)| tokio::spawn(stage.post(app, &registrations(session)).key(&format!("round-{round}")).send()))
            .collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        held.end().await;
        let mut statuses: Vec<u16> = join_all(both).await.into_iter().map(|answer| answer.expect("an answer").status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 422]);
    }
    assert_eq!((app.count("registrations").await, app.count("idempotency_keys").await), (6, 6));
}
