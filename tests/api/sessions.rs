//! Sessions over HTTP: what goes in comes out, who may, what is refused, how lists are cut.

use crate::support::*;

/// A stream, room or speaker of an event: its id.
async fn part_of(app: &App, owner: &User, event: &Value, kind: &str, body: Value) -> String {
    let path = format!("/v1/events/{}/{kind}", event.as_id());
    app.post(path).token(&owner.token).json(&body).send().await.expect(201).json.as_id()
}

fn sessions_of(event: &Value) -> String {
    format!("/v1/events/{}/sessions", event.as_id())
}

fn path_of(session: &Value) -> String {
    format!("/v1/sessions/{}", session.as_id())
}

fn minimal(code: &str) -> Value {
    json!({ "code": code, "title": format!("Session {code}"), "startsAt": "2026-03-11T12:00:00Z", "endsAt": "2026-03-11T13:00:00Z" })
}

async fn book(app: &App, user: &User, session: &Value) -> Value {
    app.post(format!("{}/registrations", path_of(session))).token(&user.token).json(&json!({})).send().await.expect(201).json
}

/// `base` with `value` at `pointer`.
fn with(mut base: Value, member: &str, value: Value) -> Value {
    base[member] = value;
    base
}

on_both! {
    async fn a_session_reads_back_whole(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let stream = part_of(&app, &owner, &event, "streams", json!({ "name": "Science" })).await;
        let room = part_of(&app, &owner, &event, "rooms", json!({ "name": "Hall A", "capacity": 40 })).await;
        let chair = part_of(&app, &owner, &event, "speakers", json!({ "name": "Pat", "affiliation": "VISIBLE", "country": "Spain" })).await;
        let speaker = part_of(&app, &owner, &event, "speakers", json!({ "name": "Richard" })).await;
        let body = json!({
            "code": "E6", "title": "Co-production", "summary": "Short.\r\n", "startsAt": "2026-03-11T13:00:00+01:00",
            "endsAt": "2026-03-11T14:00:00+01:00", "streamId": stream, "roomId": room,
            "chairs": [{ "speakerId": chair }, { "speakerId": speaker }],
            "parts": [
                { "title": "One", "abstract": "First.\n\nSecond.\n", "audience": "Designed for all.",
                  "learningOutcomes": ["b", "a", "b"], "speakers": [{ "speakerId": speaker }, { "speakerId": chair }] },
                { "title": "Two" },
            ],
            "capacity": 7, "waitlist": { "mode": "auto", "limit": 5 }, "status": "published",
            "pools": [{ "category": "student", "seats": 3, "releasesAt": "2026-03-10T00:00:00+01:00" }, { "category": "guest", "seats": 1 }],
            "booking": { "closesAt": "2026-03-10T18:00:00+01:00", "categories": ["student", "guest"] },
        });
        let created = app.post(sessions_of(&event)).token(&owner.token).json(&body).send().await.expect(201);
        let expected = json!({
            "id": created.json["id"], "eventId": event["id"], "code": "E6", "title": "Co-production", "summary": "Short.",
            "startsAt": "2026-03-11T12:00:00Z", "endsAt": "2026-03-11T13:00:00Z",
            "startsAtLocal": "2026-03-11T13:00:00+01:00", "endsAtLocal": "2026-03-11T14:00:00+01:00", "timeZone": "Europe/Oslo",
            "stream": { "id": stream, "name": "Science" }, "room": { "id": room, "name": "Hall A" },
            "chairs": [
                { "id": chair, "name": "Pat", "affiliation": "VISIBLE", "country": "Spain" },
                { "id": speaker, "name": "Richard", "affiliation": null, "country": null },
            ],
            "parts": [
                { "number": 1, "title": "One", "abstract": "First.\n\nSecond.", "audience": "Designed for all.",
                  "learningOutcomes": ["b", "a", "b"], "speakers": [
                      { "id": speaker, "name": "Richard", "affiliation": null, "country": null },
                      { "id": chair, "name": "Pat", "affiliation": "VISIBLE", "country": "Spain" },
                  ] },
                { "number": 2, "title": "Two", "abstract": null, "audience": null, "learningOutcomes": [], "speakers": [] },
            ],
            "capacity": 7, "waitlist": { "mode": "auto", "limit": 5 },
            "pools": [
                { "category": "student", "seats": 3, "releasesAt": "2026-03-09T23:00:00Z" },
                { "category": "guest", "seats": 1, "releasesAt": null },
            ],
            "booking": { "opensAt": null, "closesAt": "2026-03-10T17:00:00Z", "categories": ["student", "guest"] },
            "status": "published", "createdAt": "2026-03-02T08:00:00Z", "updatedAt": "2026-03-02T08:00:00Z",
        });
        assert_eq!(created.json, expected);
        let location = created.header("location").expect("a Location").to_owned();
        let read = app.get(&location).send().await.expect(200);
        assert_eq!(read.json, expected);
        assert_eq!(read.etag(), created.etag());
        app.get(&location).if_none_match(&read.etag()).send().await.expect(304);
        let listed = app.get(sessions_of(&event)).send().await.expect(200);
        assert_eq!(listed.json, json!({ "items": [expected], "nextCursor": null }));
        app.get(sessions_of(&event)).if_none_match(&listed.etag()).send().await.expect(304);
    }

    async fn what_is_left_out_has_its_default(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let session = app.post(sessions_of(&event)).token(&owner.token).json(&minimal("A1")).send().await.expect(201).json;
        let expected = json!({
            "summary": null, "stream": null, "room": null, "chairs": [], "parts": [], "capacity": null,
            "waitlist": { "mode": "none", "limit": null }, "pools": [], "booking": { "opensAt": null, "closesAt": null, "categories": [] }, "status": "draft",
        });
        for (member, value) in expected.as_object().expect("an object") {
            assert_eq!(&session[member], value, "{member}");
        }
    }

    async fn seats_are_the_sessions_own_else_the_rooms_else_unlimited(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let room = part_of(&app, &owner, &event, "rooms", json!({ "name": "Hall A", "capacity": 40 })).await;
        let seats = async |session: &Value| {
            app.get(format!("{}/availability", path_of(session))).send().await.expect(200).json["capacity"].clone()
        };
        let own = app.session(&owner, &event, json!({ "roomId": room, "capacity": 7 })).await;
        let rooms = app.session(&owner, &event, json!({ "roomId": room, "capacity": null })).await;
        let unlimited = app.session(&owner, &event, json!({ "capacity": null })).await;
        assert_eq!((seats(&own).await, seats(&rooms).await, seats(&unlimited).await), (json!(7), json!(40), json!(null)));
        let patch = |session: &Value, patch: Value| app.patch(path_of(session)).token(&owner.token).if_match("*").merge(&patch).send();
        patch(&own, json!({ "capacity": null })).await.expect(200);
        patch(&rooms, json!({ "roomId": null })).await.expect(200);
        patch(&unlimited, json!({ "capacity": 0 })).await.expect(200);
        assert_eq!((seats(&own).await, seats(&rooms).await, seats(&unlimited).await), (json!(40), json!(null), json!(0)));
    }

    async fn a_patch_changes_what_it_names(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let speaker = part_of(&app, &owner, &event, "speakers", json!({ "name": "Richard" })).await;
        let room = part_of(&app, &owner, &event, "rooms", json!({ "name": "Hall A" })).await;
        let parts = json!([{ "title": "One", "abstract": "Text.", "speakers": [{ "speakerId": speaker }] }, { "title": "Two" }]);
        let details = json!({ "roomId": room, "parts": parts, "summary": "S", "booking": { "opensAt": "2026-03-01T00:00:00Z" } });
        let session = app.session(&owner, &event, details).await;
        let before = app.get(path_of(&session)).send().await.expect(200);
        app.advance_secs(5);
        let patch = json!({
            "title": "Another", "summary": null, "roomId": null, "booking": { "closesAt": "2026-03-09T00:00:00Z" },
            "parts": [{ "title": "Only", "learningOutcomes": ["x"] }], "chairs": [{ "speakerId": speaker }],
        });
        let changed = app.patch(path_of(&session)).token(&owner.token).if_match(&before.etag()).merge(&patch).send().await.expect(200);
        let mut expected = before.json.clone();
        expected["title"] = json!("Another");
        expected["summary"] = json!(null);
        expected["room"] = json!(null);
        expected["booking"] = json!({ "opensAt": "2026-03-01T00:00:00Z", "closesAt": "2026-03-09T00:00:00Z", "categories": [] });
        expected["parts"] =
            json!([{ "number": 1, "title": "Only", "abstract": null, "audience": null, "learningOutcomes": ["x"], "speakers": [] }]);
        expected["chairs"] = json!([{ "id": speaker, "name": "Richard", "affiliation": null, "country": null }]);
        expected["updatedAt"] = json!("2026-03-02T08:00:05Z");
        assert_eq!(changed.json, expected);
        assert_ne!(changed.etag(), before.etag());
        assert_eq!(app.get(path_of(&session)).send().await.expect(200).json, expected);
        let same = app.patch(path_of(&session)).token(&owner.token).if_match(&changed.etag()).merge(&patch).send().await.expect(200);
        assert_eq!((same.etag(), same.json), (changed.etag(), expected), "a patch that changes nothing is no change");
    }

    async fn a_version_must_be_named_and_be_the_present_one(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let session = app.session(&owner, &event, json!({})).await;
        let first = app.get(path_of(&session)).send().await.expect(200).etag();
        let patch = |title: &str| app.patch(path_of(&session)).token(&owner.token).merge(&json!({ "title": title }));
        patch("No version").send().await.problem(428, "precondition_required");
        app.delete(path_of(&session)).token(&owner.token).send().await.problem(428, "precondition_required");
        let second = patch("Second").if_match(&first).send().await.expect(200).etag();
        let stale = patch("Stale").if_match(&first).send().await.problem(412, "version_mismatch");
        assert_eq!(stale.json["currentETag"], second.as_str());
        app.delete(path_of(&session)).token(&owner.token).if_match(&first).send().await.problem(412, "version_mismatch");
        assert_eq!(app.get(path_of(&session)).send().await.expect(200).json["title"], "Second");
        app.delete(path_of(&session)).token(&owner.token).if_match(&second).send().await.expect(204);
        app.get(path_of(&session)).send().await.problem(404, "not_found");
        app.delete(path_of(&session)).token(&owner.token).if_match(&second).send().await.problem(404, "not_found");
        for table in ["sessions", "session_seats", "session_parts", "session_chairs", "part_speakers"] {
            assert_eq!(app.count(table).await, 0, "{table}");
        }
    }

    async fn bad_bodies_are_refused_where_they_are_wrong(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let session = app.session(&owner, &event, json!({ "code": "E6" })).await;
        let before = app.get(path_of(&session)).send().await.expect(200);
        let good = minimal("X1");
        let long = |n: usize| "x".repeat(n);
        let cases = [
            (with(good.clone(), "code", json!("no spaces")), "invalid_body", "/code pattern"),
            (with(good.clone(), "code", json!(long(33))), "invalid_body", "/code"),
            (with(good.clone(), "title", json!("")), "invalid_body", "/title"),
            (with(good.clone(), "title", json!(long(301))), "invalid_body", "/title too_long"),
            (with(good.clone(), "title", json!("a\u{0}b")), "invalid_body", "/title null_character"),
            (with(good.clone(), "title", json!("two\nlines")), "invalid_body", "/title pattern"),
            (with(good.clone(), "summary", json!("a\u{0}b")), "invalid_body", "/summary null_character"),
            (with(good.clone(), "capacity", json!(-1)), "invalid_body", "/capacity out_of_range"),
            (with(good.clone(), "capacity", json!(1_000_001)), "invalid_body", "/capacity out_of_range"),
            (with(good.clone(), "capacity", json!("7")), "invalid_body", "/capacity wrong_type"),
            (with(good.clone(), "capacity", json!(1.5)), "invalid_body", "/capacity wrong_type"),
            (with(good.clone(), "status", json!("open")), "invalid_body", "/status enum"),
            (with(good.clone(), "waitlist", json!({ "mode": "lottery" })), "invalid_body", "/waitlist/mode enum"),
            (with(good.clone(), "waitlist", json!({ "limit": -1 })), "invalid_body", "/waitlist/limit out_of_range"),
            (with(good.clone(), "pools", json!([{ "category": "a", "seats": 1 }, { "category": "a", "seats": 2 }])), "invalid_body", "/pools/1/category duplicate"),
            (with(good.clone(), "booking", json!({ "categories": ["A b"] })), "invalid_body", "/booking/categories/0 pattern"),
            (with(good.clone(), "seats", json!(3)), "invalid_body", "/seats unknown_field"),
            (with(good.clone(), "startsAt", json!("2026-03-11 12:00")), "invalid_body", "/startsAt format"),
            (with(good.clone(), "startsAt", json!("2026-03-11T12:00:00")), "invalid_body", "/startsAt format"),
            (with(good.clone(), "endsAt", json!("2026-03-11T12:00:00Z")), "invalid_range", "/endsAt invalid_range"),
            (with(good.clone(), "endsAt", json!("2026-03-11T12:30:00+01:00")), "invalid_range", "/endsAt invalid_range"),
            (with(good.clone(), "startsAt", json!("1969-12-31T23:59:59Z")), "invalid_range", "/startsAt invalid_range"),
            (
                with(good.clone(), "booking", json!({ "opensAt": "2026-03-01T00:00:00Z", "closesAt": "2026-03-01T00:00:00Z" })),
                "invalid_range",
                "/booking/closesAt invalid_range",
            ),
            (with(good.clone(), "streamId", json!("E6")), "invalid_body", "/streamId"),
            (with(good.clone(), "parts", json!([{ "title": "a" }, {}])), "invalid_body", "/parts/1/title required"),
            (with(good.clone(), "parts", json!([{ "title": "a", "learningOutcomes": [""] }])), "invalid_body", "/parts/0/learningOutcomes/0"),
        ];
        let counted = app.count("sessions").await;
        for (body, code, error) in cases {
            let answer = app.post(sessions_of(&event)).token(&owner.token).json(&body).send().await.problem(422, code);
            assert!(answer.errors().iter().any(|found| found.starts_with(error)), "{body}: {:?}", answer.errors());
            // A patch takes the same fields, so it refuses the same.
            let patched = app.patch(path_of(&session)).token(&owner.token).if_match("*").merge(&body).send().await.problem(422, code);
            assert!(patched.errors().iter().any(|found| found.starts_with(error)), "{body}: {:?}", patched.errors());
        }
        for (missing, error) in [("code", "/code required"), ("startsAt", "/startsAt required")] {
            let mut body = good.clone();
            body.as_object_mut().expect("an object").remove(missing);
            let answer = app.post(sessions_of(&event)).token(&owner.token).json(&body).send().await.problem(422, "invalid_body");
            assert_eq!(answer.errors(), [error]);
        }
        let post = |text: &str| app.post(sessions_of(&event)).token(&owner.token).body("application/json", text.to_owned());
        post("{\"code\": \"A\"").send().await.problem(400, "malformed_body");
        let twice = post(r#"{"code":"A","title":"t","title":"t"}"#).send().await.problem(400, "duplicate_key");
        assert_eq!(twice.pointer(), "/title");
        app.post(sessions_of(&event)).token(&owner.token).body("text/plain", "x").send().await.problem(415, "unsupported_media_type");
        assert_eq!(app.count("sessions").await, counted);
        assert_eq!(app.get(path_of(&session)).send().await.expect(200).json, before.json);
    }

    async fn references_are_of_the_same_event(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let other = app.event(&owner, json!({ "organisationId": event["organisationId"] })).await;
        let mine = part_of(&app, &owner, &event, "speakers", json!({ "name": "Mine" })).await;
        let (stream, room, foreign) = (
            part_of(&app, &owner, &other, "streams", json!({ "name": "S" })).await,
            part_of(&app, &owner, &other, "rooms", json!({ "name": "R" })).await,
            part_of(&app, &owner, &other, "speakers", json!({ "name": "P" })).await,
        );
        let session = app.session(&owner, &event, json!({})).await;
        let person = |id: &str| json!({ "speakerId": id });
        let unknown = "019bb16e-fe80-7ca8-be71-7b1f64eb1410";
        let parts = json!([{ "title": "a", "speakers": [person(&mine), person(&foreign)] }, { "title": "b", "speakers": [person(unknown)] }]);
        let patch = json!({
            "streamId": stream, "roomId": room, "chairs": [person(&mine), person(unknown)], "parts": parts,
        });
        let mut body = minimal("X1");
        for (name, value) in patch.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let expected = [
            "/chairs/1/speakerId unknown_reference",
            "/parts/0/speakers/1/speakerId unknown_reference",
            "/parts/1/speakers/0/speakerId unknown_reference",
            "/roomId unknown_reference",
            "/streamId unknown_reference",
        ];
        let created = app.post(sessions_of(&event)).token(&owner.token).json(&body).send().await.problem(422, "unknown_reference");
        assert_eq!(created.errors(), expected);
        let patched = app.patch(path_of(&session)).token(&owner.token).if_match("*").merge(&patch).send().await;
        assert_eq!(patched.problem(422, "unknown_reference").errors(), expected);
        assert_eq!(app.count("sessions").await, 1);
        assert_eq!(app.count("session_chairs").await, 0);
    }

    async fn nobody_is_in_a_list_twice(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let person = part_of(&app, &owner, &event, "speakers", json!({ "name": "Mine" })).await;
        let again = person.to_uppercase();
        let twice = json!([{ "speakerId": person }, { "speakerId": again }]);
        let body = with(minimal("X1"), "chairs", twice.clone());
        let answer = app.post(sessions_of(&event)).token(&owner.token).json(&body).send().await.problem(422, "invalid_body");
        assert_eq!(answer.errors(), ["/chairs/1/speakerId duplicate"]);
        let body = with(minimal("X1"), "parts", json!([{ "title": "a", "speakers": twice }]));
        let answer = app.post(sessions_of(&event)).token(&owner.token).json(&body).send().await.problem(422, "invalid_body");
        assert_eq!(answer.errors(), ["/parts/0/speakers/1/speakerId duplicate"]);
        let body = with(minimal("X1"), "chairs", json!([{ "speakerId": person }, { "speakerId": person }]));
        let answer = app.post(sessions_of(&event)).token(&owner.token).json(&body).send().await.problem(422, "invalid_body");
        assert_eq!(answer.errors(), ["/chairs duplicate"]);
        let fine = json!([{ "title": "a", "speakers": [{ "speakerId": person }] }, { "title": "b", "speakers": [{ "speakerId": person }] }]);
        let body = with(with(minimal("X1"), "parts", fine), "chairs", json!([{ "speakerId": person }]));
        app.post(sessions_of(&event)).token(&owner.token).json(&body).send().await.expect(201);
    }

    async fn a_code_is_unique_in_its_event(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let other = app.event(&owner, json!({})).await;
        app.session(&owner, &event, json!({ "code": "E6" })).await;
        app.session(&owner, &other, json!({ "code": "E6" })).await;
        let second = app.session(&owner, &event, json!({ "code": "E7" })).await;
        let answer = app.post(sessions_of(&event)).token(&owner.token).json(&minimal("E6")).send().await.problem(409, "code_taken");
        assert_eq!(answer.pointer(), "/code");
        let patch = json!({ "code": "E6" });
        app.patch(path_of(&second)).token(&owner.token).if_match("*").merge(&patch).send().await.problem(409, "code_taken");
        assert_eq!(app.count("sessions").await, 3);
        assert_eq!(app.count("session_seats").await, 3);
    }

    async fn the_public_sees_what_is_published(app: App) {
        let (owner, viewer, stranger) = (app.user("olga").await, app.user("vera").await, app.user("sten").await);
        let event = app.event(&owner, json!({})).await;
        app.member(&event["organisationId"], &viewer, "viewer").await;
        let draft = app.session(&owner, &event, json!({ "code": "D", "status": "draft" })).await;
        app.session(&owner, &event, json!({ "code": "P" })).await;
        app.session(&owner, &event, json!({ "code": "C", "status": "cancelled" })).await;
        let codes = async |user: Option<&User>, query: &str| {
            let call = app.get(format!("{}?sort=code{query}", sessions_of(&event)));
            user.map_or(call.clone(), |user| call.token(&user.token)).send().await.expect(200).all("code")
        };
        assert_eq!(codes(None, "").await, ["C", "P"]);
        assert_eq!(codes(Some(&stranger), "").await, ["C", "P"]);
        assert_eq!(codes(Some(&viewer), "").await, ["C", "D", "P"]);
        assert_eq!(codes(None, "&status=draft").await, [""; 0]);
        assert_eq!(codes(Some(&viewer), "&status=draft").await, ["D"]);
        app.get(path_of(&draft)).send().await.problem(404, "not_found");
        app.get(path_of(&draft)).token(&stranger.token).send().await.problem(404, "not_found");
        app.get(path_of(&draft)).token(&viewer.token).send().await.expect(200);

        let hidden = app.event(&owner, json!({ "status": "draft" })).await;
        let session = app.session(&owner, &hidden, json!({})).await;
        app.get(path_of(&session)).send().await.problem(404, "not_found");
        app.get(sessions_of(&hidden)).token(&stranger.token).send().await.problem(404, "not_found");
        app.get(path_of(&session)).token(&owner.token).send().await.expect(200);
    }

    async fn organisers_write_and_others_do_not(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let session = app.session(&owner, &event, json!({})).await;
        let before = app.get(path_of(&session)).send().await.expect(200);
        let stranger = app.user("sten").await;
        app.organisation(&stranger).await;
        for (role, status, code) in [("organiser", 0, ""), ("viewer", 403, "forbidden"), ("door", 403, "forbidden"), ("", 404, "not_found")] {
            let user = if role.is_empty() { stranger.clone() } else { app.user(role).await };
            if !role.is_empty() {
                app.member(&event["organisationId"], &user, role).await;
            }
            let create = app.post(sessions_of(&event)).token(&user.token).json(&minimal("N1")).send().await;
            let patch = app.patch(path_of(&session)).token(&user.token).if_match("*").merge(&json!({ "title": "By others" })).send().await;
            if role == "organiser" {
                let made = create.expect(201).json;
                app.delete(path_of(&made)).token(&user.token).if_match("*").send().await.expect(204);
                app.patch(path_of(&session)).token(&user.token).if_match("*").merge(&json!({ "title": before.json["title"] })).send().await.expect(200);
            } else {
                create.problem(status, code);
                patch.problem(status, code);
                app.delete(path_of(&session)).token(&user.token).if_match("*").send().await.problem(status, code);
            }
        }
        app.post(sessions_of(&event)).json(&minimal("N1")).send().await.problem(401, "unauthenticated");
        app.patch(path_of(&session)).if_match("*").merge(&json!({})).send().await.problem(401, "unauthenticated");
        app.delete(path_of(&session)).if_match("*").send().await.problem(401, "unauthenticated");
        assert_eq!(app.count("sessions").await, 1);
        assert_eq!(app.get(path_of(&session)).send().await.expect(200).json["title"], before.json["title"]);
    }

    async fn lists_are_filtered(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let stream = part_of(&app, &owner, &event, "streams", json!({ "name": "Science" })).await;
        let room = part_of(&app, &owner, &event, "rooms", json!({ "name": "Hall A" })).await;
        let (ann, bob) = (
            part_of(&app, &owner, &event, "speakers", json!({ "name": "Ann" })).await,
            part_of(&app, &owner, &event, "speakers", json!({ "name": "Bob" })).await,
        );
        let person = |id: &str| json!([{ "speakerId": id }]);
        let times = |hour: u32| (format!("2026-03-11T{hour:02}:00:00Z"), format!("2026-03-11T{:02}:30:00Z", hour));
        let session = async |code: &str, hour: u32, details: Value| {
            let (starts, ends) = times(hour);
            let base = json!({ "code": code, "startsAt": starts, "endsAt": ends, "title": format!("Title of {code}") });
            app.session(&owner, &event, overlay(base, details)).await
        };
        session("A", 12, json!({ "streamId": stream, "chairs": person(&ann) })).await;
        session("B", 10, json!({ "roomId": room, "parts": [{ "title": "On 100% Øre_dust", "speakers": person(&ann) }] })).await;
        session("C", 11, json!({ "status": "cancelled", "chairs": person(&bob), "summary": "About HEALTH  and more" })).await;
        let codes = async |query: String| app.get(format!("{}?{query}", sessions_of(&event))).send().await.expect(200).all("code").join("");
        for (query, expected) in [
            (String::new(), "BCA"),
            ("sort=startsAt".into(), "BCA"),
            ("sort=-startsAt".into(), "ACB"),
            ("sort=code".into(), "ABC"),
            ("sort=-code".into(), "CBA"),
            ("code=B".into(), "B"),
            ("code=b".into(), ""),
            (format!("streamId={stream}"), "A"),
            (format!("roomId={room}"), "B"),
            (format!("roomId={stream}"), ""),
            (format!("speakerId={ann}"), "BA"),
            (format!("speakerId={bob}"), "C"),
            ("status=cancelled".into(), "C"),
            ("startsFrom=2026-03-11T11:00:00Z".into(), "CA"),
            ("startsBefore=2026-03-11T12:00:00%2B01:00".into(), "B"),
            ("startsFrom=2026-03-11T11:00:00Z&startsBefore=2026-03-11T12:00:00Z".into(), "C"),
            ("q=title%20OF%20a".into(), "A"),
            ("q=health%20and".into(), "C"),
            ("q=%C3%98RE_d".into(), "B"),
            ("q=100%25".into(), "B"),
            ("q=%25".into(), "B"),
            ("q=_".into(), "B"),
            ("q=re%25dust".into(), ""),
        ] {
            assert_eq!(codes(query.clone()).await, expected, "{query}");
        }
    }

    async fn pages_follow_one_another(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        // Three starts for seven sessions: ties are settled too.
        for (index, code) in ["S1", "S2", "S3", "S4", "S5", "S6", "S7"].into_iter().enumerate() {
            let hour = 10 + index % 3;
            let times = json!({ "code": code, "startsAt": format!("2026-03-11T{hour}:00:00Z"), "endsAt": "2026-03-11T20:00:00Z" });
            app.session(&owner, &event, times).await;
        }
        for sort in ["startsAt", "-startsAt", "code", "-code"] {
            let whole = app.get(format!("{}?sort={sort}", sessions_of(&event))).send().await.expect(200).all("code");
            assert_eq!(whole.len(), 7);
            let mut found = Vec::new();
            let mut next = format!("{}?sort={sort}&limit=3", sessions_of(&event));
            for _ in 0..3 {
                let page = app.get(&next).send().await.expect(200);
                found.extend(page.all("code"));
                let Some(link) = page.header("link") else {
                    assert_eq!(page.json["nextCursor"], Value::Null);
                    break;
                };
                next = link.trim_start_matches('<').split('>').next().expect("an address").to_owned();
            }
            assert_eq!(found, whole, "{sort}");
        }
        let page = app.get(format!("{}?limit=2", sessions_of(&event))).send().await.expect(200);
        let cursor = page.json["nextCursor"].as_str().expect("a cursor");
        for query in [format!("limit=2&cursor={cursor}&q=title"), format!("limit=2&cursor={cursor}&sort=code"), format!("limit=2&cursor={cursor}x")] {
            app.get(format!("{}?{query}", sessions_of(&event))).send().await.problem(400, "invalid_cursor");
        }
        for query in ["limit=0", "limit=201", "limit=x", "sort=title", "status=open", "streamId=science", "startsFrom=monday", "page=2", "q="] {
            app.get(format!("{}?{query}", sessions_of(&event))).send().await.problem(400, "invalid_parameter");
        }
    }

    async fn what_has_registrations_keeps_its_seats(app: App) {
        let (owner, anna, bo) = (app.user("olga").await, app.user("anna").await, app.user("bo").await);
        let event = app.event(&owner, json!({})).await;
        let closet = part_of(&app, &owner, &event, "rooms", json!({ "name": "Closet", "capacity": 0 })).await;
        let session = app.session(&owner, &event, json!({ "code": "E6", "capacity": 1 })).await;
        let registration = book(&app, &anna, &session).await;
        let patch = |patch: Value| app.patch(path_of(&session)).token(&owner.token).if_match("*").merge(&patch).send();
        let before = app.get(path_of(&session)).send().await.expect(200);
        for refused in [json!({ "capacity": 0 }), json!({ "capacity": null, "roomId": closet }), json!({ "status": "draft" })] {
            let answer = patch(refused).await.problem(409, "has_registrations");
            assert_eq!(answer.json["registrations"], 1);
            assert_eq!(answer.json["sessions"], json!([{ "id": session["id"], "code": "E6" }]));
        }
        app.delete(path_of(&session)).token(&owner.token).if_match("*").send().await.problem(409, "has_registrations");
        let after = app.get(path_of(&session)).send().await.expect(200);
        assert_eq!((after.etag(), &after.json), (before.etag(), &before.json));

        // The same values are no change, and what moves nobody can change.
        patch(json!({ "capacity": 1, "startsAt": "2026-03-11T13:00:00+01:00", "status": "published" })).await.expect(200);
        patch(json!({ "title": "New", "code": "E66", "waitlist": { "mode": "none" } })).await.expect(200);
        patch(json!({ "waitlist": { "mode": "auto" }, "booking": { "closesAt": "2026-03-10T00:00:00Z" } })).await.expect(200);
        let waiting = book(&app, &bo, &session).await;
        assert_eq!(waiting["status"], "waitlisted");
        let answer = patch(json!({ "waitlist": { "mode": "none" } })).await.problem(409, "has_registrations");
        assert_eq!(answer.json["registrations"], 2);

        for (user, id) in [(&bo, waiting.as_id()), (&anna, registration.as_id())] {
            app.post(format!("/v1/registrations/{id}/cancel")).token(&user.token).send().await.expect(200);
        }
        patch(json!({ "capacity": 5, "waitlist": { "mode": "none" } })).await.expect(200);
        app.delete(path_of(&session)).token(&owner.token).if_match("*").send().await.expect(204);
        assert_eq!(app.count("registrations").await, 0);
    }

    async fn every_change_moves_the_programmes_version_on(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let programme = async || {
            let path = format!("/v1/events/{}/programme", event.as_id());
            app.get(path).token(&owner.token).send().await.expect(200).etag()
        };
        let mut seen = vec![programme().await];
        let session = app.session(&owner, &event, json!({})).await;
        seen.push(programme().await);
        app.patch(path_of(&session)).token(&owner.token).if_match("*").merge(&json!({ "title": "New" })).send().await.expect(200);
        seen.push(programme().await);
        app.patch(path_of(&session)).token(&owner.token).if_match("*").merge(&json!({ "title": "New" })).send().await.expect(200);
        assert_eq!(programme().await, seen[2], "nothing changed");
        app.delete(path_of(&session)).token(&owner.token).if_match("*").send().await.expect(204);
        seen.push(programme().await);
        let all = seen.len();
        seen.dedup();
        assert_eq!(seen.len(), all);
    }

    async fn a_change_that_shows_in_a_session_changes_its_tag(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let stream = part_of(&app, &owner, &event, "streams", json!({ "name": "Science" })).await;
        let room = part_of(&app, &owner, &event, "rooms", json!({ "name": "Hall A" })).await;
        let speaker = part_of(&app, &owner, &event, "speakers", json!({ "name": "Richard" })).await;
        let details = json!({ "streamId": stream, "roomId": room, "chairs": [{ "speakerId": speaker }] });
        let session = app.session(&owner, &event, details).await;
        let mut tag = app.get(path_of(&session)).send().await.expect(200).etag();
        let changes = [
            (format!("/v1/streams/{stream}"), json!({ "name": "Arts" })),
            (format!("/v1/rooms/{room}"), json!({ "name": "Hall B" })),
            (format!("/v1/speakers/{speaker}"), json!({ "country": "UK" })),
            (format!("/v1/events/{}", event.as_id()), json!({ "timeZone": "Europe/London" })),
        ];
        for (path, patch) in changes {
            app.patch(&path).token(&owner.token).if_match("*").merge(&patch).send().await.expect(200);
            let read = app.get(path_of(&session)).if_none_match(&tag).send().await.expect(200);
            tag = read.etag();
        }
        let read = app.get(path_of(&session)).send().await.expect(200).json;
        assert_eq!(read["startsAtLocal"], "2026-03-11T12:00:00+00:00");
        assert_eq!((&read["stream"]["name"], &read["room"]["name"], &read["chairs"][0]["country"]), (&json!("Arts"), &json!("Hall B"), &json!("UK")));
    }

    async fn unknown_places_are_not_found(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let unknown = "019bb16e-fe80-7ca8-be71-7b1f64eb1410";
        app.get(format!("/v1/sessions/{unknown}")).send().await.problem(404, "not_found");
        app.get("/v1/sessions/E6").send().await.problem(400, "invalid_parameter");
        app.get(format!("/v1/events/{unknown}/sessions")).send().await.problem(404, "not_found");
        app.post("/v1/events/no-such-event/sessions").token(&owner.token).json(&minimal("A")).send().await.problem(404, "not_found");
        let by_slug = format!("/v1/events/{}/sessions", event["slug"].as_str().expect("a slug"));
        app.post(&by_slug).token(&owner.token).json(&minimal("A")).send().await.expect(201);
        assert_eq!(app.get(&by_slug).token(&owner.token).send().await.expect(200).all("code"), ["A"]);
    }
}
