//! What streams, rooms and speakers have in common, for each of the three; their own files have the rest.

use crate::support::*;
use plenary::{db::Dialect, events::store::lock_programme};
use std::time::Duration;

const KINDS: [&str; 3] = ["streams", "rooms", "speakers"];

/// The ETag of an event's programme document.
pub async fn programme_version(app: &App, event: &Value) -> i64 {
    const VERSION: &str = "SELECT programme_version FROM events WHERE slug = $1";
    let slug = event["slug"].as_str().expect("a slug").to_owned();
    app.db().query(VERSION).bind(slug).scalar().await.expect("the event")
}

/// Adds a stream, room or speaker.
pub async fn add(app: &App, user: &User, event: &Value, kind: &str, body: Value) -> Value {
    app.post(format!("/v1/events/{}/{kind}", event.as_id())).token(&user.token).json(&body).send().await.expect(201).json
}

on_both! {
    async fn one_is_made_read_changed_and_deleted(app: App) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        for kind in KINDS {
            let before = programme_version(&app, &event).await;
            let list = format!("/v1/events/{}/{kind}", event["slug"].as_str().unwrap());
            let made = app.post(&list).token(&anna.token).json(&json!({ "name": "Ørsted Hall: Über" })).send().await.expect(201);
            let path = format!("/v1/{kind}/{}", made.json.as_id());
            assert_eq!(made.header("location"), Some(path.as_str()));
            assert_eq!(made.etag(), "\"1\"");
            assert_eq!(made.json["key"], "orsted-hall-uber");
            assert_eq!(made.json["name"], "Ørsted Hall: Über");
            assert_eq!(made.json["eventId"], event["id"]);
            assert_eq!(made.json["createdAt"], "2026-03-02T08:00:00Z");
            assert_eq!(programme_version(&app, &event).await, before + 1);

            let read = app.get(&path).send().await.expect(200);
            assert_eq!((&read.json, read.etag()), (&made.json, made.etag()));
            app.get(&path).if_none_match("\"1\"").send().await.expect(304);
            app.get(&path).if_none_match("\"2\"").send().await.expect(200);

            app.patch(&path).token(&anna.token).merge(&json!({ "name": "B" })).send().await.problem(428, "precondition_required");
            let stale = app.patch(&path).token(&anna.token).if_match("\"7\"").merge(&json!({ "name": "B" })).send().await;
            assert_eq!(stale.problem(412, "version_mismatch").json["currentETag"], "\"1\"");

            app.clock.set(at("2026-03-02T08:00:30.5Z"));
            let changed = app.patch(&path).token(&anna.token).if_match("\"1\"").merge(&json!({ "name": "Hall B" })).send().await.expect(200);
            assert_eq!(changed.etag(), "\"2\"");
            assert_eq!(changed.json["name"], "Hall B");
            assert_eq!(changed.json["key"], "orsted-hall-uber", "a new name leaves the key alone");
            assert_eq!(changed.json["createdAt"], "2026-03-02T08:00:00Z");
            assert_eq!(changed.json["updatedAt"], "2026-03-02T08:00:30.5Z");
            assert_eq!(app.get(&path).send().await.expect(200).json, changed.json);
            assert_eq!(programme_version(&app, &event).await, before + 2);

            let same = app.patch(&path).token(&anna.token).if_match("*").merge(&json!({ "name": "Hall B" })).send().await.expect(200);
            assert_eq!((same.etag(), &same.json), ("\"2\"".to_owned(), &changed.json), "nothing changed");
            assert_eq!(programme_version(&app, &event).await, before + 2);
            let key = app.patch(&path).token(&anna.token).if_match("\"2\"").merge(&json!({ "key": "hall-b" })).send().await.expect(200);
            assert_eq!((&key.json["key"], &key.json["name"]), (&json!("hall-b"), &json!("Hall B")));

            app.delete(&path).token(&anna.token).send().await.problem(428, "precondition_required");
            app.delete(&path).token(&anna.token).if_match("\"2\"").send().await.problem(412, "version_mismatch");
            app.get(&path).send().await.expect(200);
            app.delete(&path).token(&anna.token).if_match("\"3\"").send().await.expect(204);
            assert_eq!(programme_version(&app, &event).await, before + 4);
            app.get(&path).send().await.problem(404, "not_found");
            app.delete(&path).token(&anna.token).if_match("*").send().await.problem(404, "not_found");
            app.patch(&path).token(&anna.token).if_match("*").merge(&json!({ "name": "B" })).send().await.problem(404, "not_found");
            assert_eq!(app.count(kind).await, 0);
            app.clock.set(at("2026-03-02T08:00:00Z"));
        }
    }

    async fn keys_are_unique_in_the_event(app: App) {
        let anna = app.user("anna").await;
        let (event, other) = (app.event(&anna, json!({})).await, app.event(&anna, json!({})).await);
        for kind in KINDS {
            let list = format!("/v1/events/{}/{kind}", event.as_id());
            let first = add(&app, &anna, &event, kind, json!({ "key": "main", "name": "Main" })).await;
            assert_eq!(add(&app, &anna, &event, kind, json!({ "name": "Main" })).await["key"], "main-2");
            assert_eq!(add(&app, &anna, &event, kind, json!({ "key": "main-4", "name": "Main" })).await["key"], "main-4");
            assert_eq!(add(&app, &anna, &event, kind, json!({ "name": "MAIN!" })).await["key"], "main-3");
            assert_eq!(add(&app, &anna, &event, kind, json!({ "name": "main" })).await["key"], "main-5");
            assert_eq!(add(&app, &anna, &event, kind, json!({ "name": "会議" })).await["key"], "item");
            let long = add(&app, &anna, &event, kind, json!({ "name": "n".repeat(200) })).await;
            assert_eq!(long["key"], "n".repeat(50));
            assert_eq!(add(&app, &anna, &other, kind, json!({ "name": "Main" })).await["key"], "main", "another event, other keys");

            let (rows, version) = (app.count(kind).await, programme_version(&app, &event).await);
            let taken = app.post(&list).token(&anna.token).json(&json!({ "key": "main", "name": "New" })).send().await;
            assert_eq!(taken.problem(409, "key_taken").pointer(), "/key");
            let path = format!("/v1/{kind}/{}", first.as_id());
            let taken = app.patch(&path).token(&anna.token).if_match("*").merge(&json!({ "name": "New", "key": "main-2" })).send().await;
            assert_eq!(taken.problem(409, "key_taken").pointer(), "/key");
            assert_eq!((app.count(kind).await, programme_version(&app, &event).await), (rows, version), "nothing was written");
            assert_eq!(app.get(&path).send().await.expect(200).json, first);
        }
    }

    async fn lists_come_in_pages(app: App) {
        let anna = app.user("anna").await;
        let (event, other) = (app.event(&anna, json!({})).await, app.event(&anna, json!({})).await);
        for kind in KINDS {
            let list = format!("/v1/events/{}/{kind}", event.as_id());
            for name in ["delta 100%", "Alpha", "émile", "Beta", "alpha", "ALPHA", "Gamma_1"] {
                add(&app, &anna, &event, kind, json!({ "name": name })).await;
                app.clock.set(app.clock.now().plus_secs(1));
            }
            add(&app, &anna, &other, kind, json!({ "name": "Elsewhere" })).await;

            let whole = app.get(&list).send().await.expect(200);
            assert_eq!(whole.all("name"), ["Alpha", "alpha", "ALPHA", "Beta", "delta 100%", "Gamma_1", "émile"], "ties by age");
            assert_eq!((&whole.json["nextCursor"], whole.header("link")), (&Value::Null, None));
            app.get(&list).if_none_match(&whole.etag()).send().await.expect(304);

            for (sort, mut expected) in [("name", whole.ids()), ("-name", whole.ids())] {
                if sort == "-name" {
                    expected.reverse();
                }
                let mut walked = Vec::new();
                let mut next = Some(format!("{list}?limit=2&sort={sort}"));
                while let Some(path) = next {
                    let page = app.get(&path).send().await.expect(200);
                    let items = page.ids();
                    assert!(items.len() == 2 || page.json["nextCursor"].is_null());
                    walked.extend(items);
                    let cursor = page.json["nextCursor"].as_str();
                    next = cursor.map(|cursor| format!("{list}?limit=2&sort={sort}&cursor={cursor}"));
                    let link = next.as_ref().map(|next| format!("<{next}>; rel=\"next\""));
                    assert_eq!(page.header("link"), link.as_deref());
                }
                assert_eq!(walked, expected);
            }

            let found = |q: &'static str| {
                let call = app.get(format!("{list}?q={q}"));
                async move { call.send().await.expect(200).all("name") }
            };
            assert_eq!(found("LPH").await, ["Alpha", "alpha", "ALPHA"]);
            assert_eq!(found("%C3%89MI").await, ["émile"], "without regard to case beyond ASCII");
            assert_eq!(found("%25").await, ["delta 100%"], "a wildcard is text");
            assert_eq!(found("_").await, ["Gamma_1"]);
            assert_eq!(found("nobody").await, Vec::<String>::new());
        }
    }

    async fn cursors_are_bound_to_their_list(app: App) {
        let anna = app.user("anna").await;
        let (event, other) = (app.event(&anna, json!({})).await, app.event(&anna, json!({})).await);
        let list = |event: &Value, kind: &str| format!("/v1/events/{}/{kind}", event.as_id());
        for kind in KINDS {
            for name in ["A one", "A two", "A three"] {
                add(&app, &anna, &event, kind, json!({ "name": name })).await;
            }
        }
        for (kind, another) in KINDS.into_iter().zip(KINDS.into_iter().cycle().skip(1)) {
            let path = list(&event, kind);
            let page = app.get(format!("{path}?limit=2&q=a&sort=name")).send().await.expect(200);
            let cursor = page.json["nextCursor"].as_str().expect("more");
            app.get(format!("{path}?sort=name&q=a&limit=2&cursor={cursor}")).send().await.expect(200);
            let mut forged = cursor.to_owned();
            let last = forged.pop();
            forged.push(if last == Some('A') { 'B' } else { 'A' });
            for path in [
                format!("{path}?limit=2&sort=name&cursor={cursor}"),
                format!("{path}?limit=2&q=b&sort=name&cursor={cursor}"),
                format!("{path}?limit=2&q=a&sort=-name&cursor={cursor}"),
                format!("{}?limit=2&q=a&sort=name&cursor={cursor}", list(&event, another)),
                format!("{}?limit=2&q=a&sort=name&cursor={cursor}", list(&other, kind)),
                format!("{path}?limit=2&q=a&sort=name&cursor={forged}"),
                format!("{path}?limit=2&q=a&sort=name&cursor=AAAA"),
                format!("{path}?limit=2&q=a&sort=name&cursor={}", "A".repeat(2048)),
            ] {
                let refused = app.get(&path).send().await.problem(400, "invalid_cursor");
                assert_eq!(refused.errors(), ["cursor invalid_cursor"], "{path}");
            }
            for (query, error) in [
                ("limit=0", "limit out_of_range"),
                ("limit=201", "limit out_of_range"),
                ("limit=two", "limit wrong_type"),
                ("limit=1&limit=2", "limit duplicate"),
                ("sort=key", "sort enum"),
                ("q=", "q too_short"),
                ("q=a%00", "q null_character"),
                ("cursor=%2F", "cursor pattern"),
                ("name=A", "name unknown_parameter"),
            ] {
                let refused = app.get(format!("{path}?{query}")).send().await.problem(400, "invalid_parameter");
                assert_eq!(refused.errors(), [error], "{query}");
            }
        }
    }

    async fn only_managers_write_and_only_members_see_drafts(app: App) {
        let (anna, olga, vera, dora) = (app.user("anna").await, app.user("olga").await, app.user("vera").await, app.user("dora").await);
        let eve = app.user("eve").await;
        app.organisation(&eve).await;
        let event = app.event(&anna, json!({ "status": "draft" })).await;
        for (user, role) in [(&olga, "organiser"), (&vera, "viewer"), (&dora, "door")] {
            app.member(event["organisationId"].as_id(), user, role).await;
        }
        for kind in KINDS {
            let list = format!("/v1/events/{}/{kind}", event.as_id());
            let body = json!({ "name": "Main" });
            let made = app.post(&list).token(&olga.token).json(&body).send().await.expect(201).json;
            let path = format!("/v1/{kind}/{}", made.as_id());
            for member in [&anna, &olga, &vera, &dora] {
                app.get(&list).token(&member.token).send().await.expect(200);
                app.get(&path).token(&member.token).send().await.expect(200);
            }
            for path in [&list, &path] {
                app.get(path).send().await.problem(404, "not_found");
                app.get(path).token(&eve.token).send().await.problem(404, "not_found");
                app.get(path).token("no.such.token").send().await.problem(401, "unauthenticated");
            }
            let writes = || [
                app.post(&list).json(&body),
                app.patch(&path).if_match("*").merge(&json!({ "name": "Taken over" })),
                app.delete(&path).if_match("*"),
            ];
            for write in writes() {
                write.send().await.problem(401, "unauthenticated");
            }
            for member in [&vera, &dora] {
                for write in writes() {
                    write.token(&member.token).send().await.problem(403, "forbidden");
                }
            }
            for write in writes() {
                write.token(&eve.token).send().await.problem(404, "not_found");
            }
            assert_eq!(app.count(kind).await, 1);
            assert_eq!(app.get(&path).token(&anna.token).send().await.expect(200).json, made);
        }
        let publish = json!({ "status": "published" });
        app.patch(format!("/v1/events/{}", event.as_id())).token(&anna.token).if_match("*").merge(&publish).send().await.expect(200);
        for kind in KINDS {
            let list = format!("/v1/events/{}/{kind}", event.as_id());
            let page = app.get(&list).send().await.expect(200);
            let path = format!("/v1/{kind}/{}", page.ids()[0]);
            app.get(&path).token(&eve.token).send().await.expect(200);
            app.post(&list).token(&eve.token).json(&json!({ "name": "Mine" })).send().await.problem(404, "not_found");
            app.delete(&path).token(&eve.token).if_match("*").send().await.problem(404, "not_found");
        }
    }

    async fn bad_bodies_write_nothing(app: App) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        for kind in KINDS {
            let list = format!("/v1/events/{}/{kind}", event.as_id());
            let made = add(&app, &anna, &event, kind, json!({ "name": "Main" })).await;
            let path = format!("/v1/{kind}/{}", made.as_id());
            let version = programme_version(&app, &event).await;
            let both: [(Value, &[&str]); 10] = [
                (json!({ "name": "" }), &["/name pattern", "/name too_short"]),
                (json!({ "name": "  " }), &["/name pattern"]),
                (json!({ "name": "a\u{0}b" }), &["/name null_character"]),
                (json!({ "name": "two\nlines" }), &["/name pattern"]),
                (json!({ "name": "n".repeat(201) }), &["/name too_long"]),
                (json!({ "name": 7 }), &["/name wrong_type"]),
                (json!({ "name": "A", "key": "Upper" }), &["/key pattern"]),
                (json!({ "name": "A", "key": "k".repeat(64) }), &["/key pattern", "/key too_long"]),
                (json!({ "name": "A", "id": event["id"] }), &["/id unknown_field"]),
                (json!({ "name": "A", "eventId": event["id"], "version": 9 }), &["/eventId unknown_field", "/version unknown_field"]),
            ];
            for (body, errors) in &both {
                let refused = app.post(&list).token(&anna.token).json(body).send().await.problem(422, "invalid_body");
                assert_eq!(refused.errors(), *errors, "{body}");
                let refused = app.patch(&path).token(&anna.token).if_match("*").merge(body).send().await.problem(422, "invalid_body");
                assert_eq!(refused.errors(), *errors, "{body}");
            }
            let refused = app.post(&list).token(&anna.token).json(&json!({})).send().await.problem(422, "invalid_body");
            assert_eq!(refused.errors(), ["/name required"]);
            for member in ["name", "key"] {
                let patch = app.patch(&path).token(&anna.token).if_match("*").merge(&json!({ member: null })).send().await;
                assert_eq!(patch.problem(422, "invalid_body").errors(), [format!("/{member} wrong_type")], "it can't be cleared");
            }
            let raw: [(&str, &[u8], u16, &str); 6] = [
                ("application/json", b"{\"name\": ", 400, "malformed_body"),
                ("application/json", b"{\"name\": \"A\", \"name\": \"B\"}", 400, "duplicate_key"),
                ("application/json", b"{\"name\": \"\xFF\"}", 400, "malformed_body"),
                ("application/json", b"[]", 422, "invalid_body"),
                ("application/json", b"", 400, "malformed_body"),
                ("text/plain", b"{\"name\": \"A\"}", 415, "unsupported_media_type"),
            ];
            for (media, bytes, status, code) in raw {
                app.post(&list).token(&anna.token).body(media, bytes).send().await.problem(status, code);
            }
            app.post(&list).token(&anna.token).body("application/json", vec![b' '; 65_537]).send().await.problem(413, "body_too_large");
            let json = app.patch(&path).token(&anna.token).if_match("*").json(&json!({ "name": "B" })).send().await;
            json.problem(415, "unsupported_media_type");

            app.post("/v1/events/no-such-event/streams").token(&anna.token).json(&json!({ "name": "A" })).send().await.problem(404, "not_found");
            app.get(format!("/v1/{kind}/not-a-uuid")).send().await.problem(400, "invalid_parameter");
            app.get(format!("/v1/{kind}/{}", event.as_id())).send().await.problem(404, "not_found");
            assert_eq!((app.count(kind).await, programme_version(&app, &event).await), (1, version), "nothing was written");
            assert_eq!(app.get(&path).send().await.expect(200).json, made);
        }
    }

    async fn edits_at_once_lose_nothing(app: App) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        let stream = add(&app, &anna, &event, "streams", json!({ "name": "Stream" })).await;
        let room = add(&app, &anna, &event, "rooms", json!({ "name": "Room", "capacity": 10 })).await;
        let speaker = add(&app, &anna, &event, "speakers", json!({ "name": "Speaker" })).await;
        for _ in 0..3 {
            let references = json!({
                "streamId": stream["id"], "roomId": room["id"], "chairs": [{ "speakerId": speaker["id"] }], "capacity": null,
            });
            app.session(&anna, &event, references).await;
        }
        let before = programme_version(&app, &event).await;
        let things = [("streams", &stream), ("rooms", &room), ("speakers", &speaker), ("events", &event)];
        let calls = (0..8).flat_map(|round| things.map(|(kind, thing)| (round, kind, thing))).map(|(round, kind, thing)| {
            let patch = match kind {
                "rooms" => json!({ "capacity": 11 + round }),
                "events" => json!({ "timeZone": if round % 2 == 0 { "Asia/Tokyo" } else { "Europe/Oslo" }, "name": format!("{round}") }),
                _ => json!({ "name": format!("{kind} {round}") }),
            };
            app.patch(format!("/v1/{kind}/{}", thing.as_id())).token(&anna.token).if_match("*").merge(&patch).send()
        });
        for answer in futures_util::future::join_all(calls).await {
            answer.expect(200);
        }
        assert_eq!(programme_version(&app, &event).await, before + 32, "each edit counts");

        let calls = (0..6).map(|_| add(&app, &anna, &event, "speakers", json!({ "name": "Same Name" })));
        let mut keys: Vec<String> = futures_util::future::join_all(calls).await.iter().map(|made| made["key"].to_string()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 6, "keys made at once differ");
    }
    async fn one_of_those_who_saw_the_same_wins(app: App) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        let another = match app.db().dialect() {
            Dialect::Postgres => Some(app.another_node().await),
            Dialect::Sqlite => None,
        };
        for kind in ["streams", "rooms", "speakers", "events"] {
            let thing = if kind == "events" { event.clone() } else { add(&app, &anna, &event, kind, json!({ "name": "Main" })).await };
            let path = format!("/v1/{kind}/{}", thing.as_id());
            let etag = app.get(&path).send().await.expect(200).etag();
            // While the programme is held, all of them arrive and have to wait.
            let mut held = app.db().begin().await.expect("a transaction");
            lock_programme(&mut held, event.as_id().parse().expect("a UUID")).await.expect("the lock");
            let calls = (0..6).map(|n| {
                let node = another.as_ref().filter(|_| n % 2 == 1).unwrap_or(&app);
                let patch = json!({ "name": format!("Winner {n}") });
                tokio::spawn(node.patch(&path).token(&anna.token).if_match(&etag).merge(&patch).send())
            });
            let calls: Vec<_> = calls.collect();
            tokio::time::sleep(Duration::from_millis(300)).await;
            held.rollback().await.expect("the lock is given back");
            let answers = futures_util::future::join_all(calls).await;
            let mut statuses: Vec<u16> = answers.into_iter().map(|answer| answer.expect("an answer").status).collect();
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 412, 412, 412, 412, 412], "{kind}");
        }
    }
    /// A session can be booked and then come under an edit that has begun: moved into the room, say.
    async fn who_comes_in_between_counts(app: App) {
        const INTO_ROOM: &str = "UPDATE sessions SET room_id = $1, event_id = (SELECT event_id FROM rooms WHERE id = $1) WHERE id = $2";
        const INTO_EVENT: &str = "UPDATE sessions SET event_id = $1 WHERE id = $2";
        const BACK: &str = "UPDATE sessions SET room_id = NULL, event_id = $1 WHERE id = $2";
        let anna = app.user("anna").await;
        let (event, other) = (app.event(&anna, json!({})).await, app.event(&anna, json!({})).await);
        let room = add(&app, &anna, &event, "rooms", json!({ "name": "Room" })).await;
        let session = app.session(&anna, &other, json!({ "capacity": null })).await;
        let book = app.post(format!("/v1/sessions/{}/registrations", session.as_id())).token(&anna.token).json(&json!({}));
        book.send().await.expect(201);
        let (event_path, room_path) = (format!("/v1/events/{}", event.as_id()), format!("/v1/rooms/{}", room.as_id()));
        let edits = [
            (INTO_ROOM, &room, app.patch(&room_path).merge(&json!({ "capacity": 0 }))),
            (INTO_EVENT, &event, app.patch(&event_path).merge(&json!({ "status": "draft" }))),
            (INTO_EVENT, &event, app.delete(&event_path)),
        ];
        for (statement, target, edit) in edits {
            let id = |thing: &Value| thing.as_id().parse::<uuid::Uuid>().expect("a UUID");
            let mut held = app.db().begin().await.expect("a transaction");
            lock_programme(&mut held, id(&event)).await.expect("the lock");
            let edit = tokio::spawn(edit.token(&anna.token).if_match("*").send());
            tokio::time::sleep(Duration::from_millis(300)).await;
            held.query(statement).bind(id(target)).bind(id(&session)).execute().await.expect("the session moves");
            held.commit().await.expect("a commit");
            edit.await.expect("an answer").problem(409, "has_registrations");
            let mut back = app.db().begin().await.expect("a transaction");
            back.query(BACK).bind(id(&other)).bind(id(&session)).execute().await.expect("the session moves back");
            back.commit().await.expect("a commit");
        }
    }
}
