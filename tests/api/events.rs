//! Events: what they are made of, who sees them, and what holds them while somebody has a seat.

use crate::{
    keyed::{add, programme_version},
    support::*,
};

/// The body of a create, with all its members.
fn body(organisation: &str) -> Value {
    json!({
        "organisationId": organisation,
        "slug": "quality-forum-2026",
        "name": "Quality Forum 2026",
        "timeZone": "Europe/Oslo",
        "startsOn": "2026-03-11",
        "endsOn": "2026-03-13",
        "status": "published",
        "booking": { "opensAt": "2026-03-01T09:00:00+01:00", "closesAt": "2026-03-10T18:00:00Z", "admission": "attendees_only" },
    })
}

fn path(event: &Value) -> String {
    format!("/v1/events/{}", event.as_id())
}

async fn refused(call: Call, status: u16, code: &str) -> Vec<String> {
    call.send().await.problem(status, code).errors()
}

on_both! {
    async fn an_event_reads_back_whole_by_id_and_slug(app: App) {
        let anna = app.user("anna").await;
        let organisation = app.organisation(&anna).await;
        let made = app.post("/v1/events").token(&anna.token).json(&body(&organisation)).send().await.expect(201);
        let expected = json!({
            "id": made.json["id"],
            "organisationId": organisation,
            "slug": "quality-forum-2026",
            "name": "Quality Forum 2026",
            "timeZone": "Europe/Oslo",
            "startsOn": "2026-03-11",
            "endsOn": "2026-03-13",
            "status": "published",
            "booking": event_booking(json!({ "opensAt": "2026-03-01T08:00:00Z", "closesAt": "2026-03-10T18:00:00Z", "admission": "attendees_only" })),
            "createdAt": "2026-03-02T08:00:00Z",
            "updatedAt": "2026-03-02T08:00:00Z",
        });
        assert_eq!(made.json, expected);
        assert_eq!((made.header("location"), made.etag()), (Some(path(&made.json).as_str()), "\"1\"".to_owned()));
        for address in [path(&made.json), "/v1/events/quality-forum-2026".to_owned(), path(&made.json).to_uppercase().replace("/V1/EVENTS", "/v1/events")] {
            let read = app.get(&address).send().await.expect(200);
            assert_eq!((&read.json, read.etag()), (&expected, "\"1\"".to_owned()));
            app.get(&address).if_none_match("\"1\"").send().await.expect(304);
            app.get(&address).if_none_match("W/\"1\"").send().await.expect(304);
        }
    }

    async fn what_is_left_out_has_a_default(app: App) {
        let anna = app.user("anna").await;
        let organisation = app.organisation(&anna).await;
        let sparse = overlay(body(&organisation), json!({ "status": null, "booking": null, "endsOn": "2026-03-11" }));
        let event = app.post("/v1/events").token(&anna.token).json(&sparse).send().await.expect(201).json;
        assert_eq!(event["status"], "draft");
        assert_eq!(event["booking"], event_booking(json!({})));
        for (slug, given, kept) in [("a", "europe/oslo", "Europe/Oslo"), ("b", "Asia/Calcutta", "Asia/Calcutta"), ("c", "UTC", "UTC")] {
            let zoned = overlay(sparse.clone(), json!({ "slug": slug, "timeZone": given, "booking": { "closesAt": "2026-03-10T18:00:00Z" } }));
            let event = app.post("/v1/events").token(&anna.token).json(&zoned).send().await.expect(201).json;
            assert_eq!(event["timeZone"], kept);
            assert_eq!(event["booking"], event_booking(json!({ "closesAt": "2026-03-10T18:00:00Z" })));
        }
    }

    async fn a_patch_changes_what_it_names(app: App) {
        let anna = app.user("anna").await;
        let organisation = app.organisation(&anna).await;
        let event = app.post("/v1/events").token(&anna.token).json(&body(&organisation)).send().await.expect(201).json;
        let patch = |etag: &str, patch: Value| app.patch(path(&event)).token(&anna.token).if_match(etag).merge(&patch).send();
        app.patch(path(&event)).token(&anna.token).merge(&json!({ "name": "B" })).send().await.problem(428, "precondition_required");
        assert_eq!(patch("\"2\"", json!({ "name": "B" })).await.problem(412, "version_mismatch").json["currentETag"], "\"1\"");

        app.clock.set(at("2026-03-02T08:01:00Z"));
        let changed = patch("\"1\"", json!({ "booking": { "closesAt": null } })).await.expect(200);
        let mut expected = event.clone();
        expected["booking"]["closesAt"] = Value::Null;
        expected["updatedAt"] = json!("2026-03-02T08:01:00Z");
        assert_eq!((&changed.json, changed.etag()), (&expected, "\"2\"".to_owned()));

        let all = json!({
            "slug": "forum", "name": "Forum", "timeZone": "Europe/London", "startsOn": "2027-01-01", "endsOn": "2027-01-02",
            "status": "draft", "booking": {
                "opensAt": null, "closesAt": "2026-12-31T23:59:59.000001Z", "admission": "open", "overlap": "allow", "overlapBufferMinutes": 10,
                "onPromotionClash": "swap", "leaveOverlappingWaitlists": true, "maxSessions": 20, "maxSessionsPerDay": 5,
                "offers": { "ttlMinutes": 60, "lastDayTtlMinutes": 30, "automaticMinutes": 0 },
            },
        });
        let changed = patch("\"2\"", all.clone()).await.expect(200);
        for (member, value) in all.as_object().unwrap() {
            assert_eq!(changed.json[member], *value);
        }
        assert_eq!(app.get("/v1/events/forum").token(&anna.token).send().await.expect(200).json, changed.json);
        app.get("/v1/events/quality-forum-2026").token(&anna.token).send().await.problem(404, "not_found");
        let version = programme_version(&app, &changed.json).await;
        let same = patch("*", json!({ "name": "Forum", "booking": { "closesAt": "2026-12-31T23:59:59.000001+00:00" } })).await.expect(200);
        assert_eq!((same.etag(), &same.json), ("\"3\"".to_owned(), &changed.json), "nothing changed");
        assert_eq!(programme_version(&app, &changed.json).await, version);
    }

    async fn bad_events_write_nothing(app: App) {
        let anna = app.user("anna").await;
        let organisation = app.organisation(&anna).await;
        let event = app.post("/v1/events").token(&anna.token).json(&body(&organisation)).send().await.expect(201).json;
        let good = overlay(body(&organisation), json!({ "slug": "other" }));
        let shared: Vec<(Value, &str, Vec<&str>)> = vec![
            (json!({ "slug": "Forum" }), "invalid_body", vec!["/slug pattern"]),
            (json!({ "slug": "-forum" }), "invalid_body", vec!["/slug pattern"]),
            (json!({ "slug": "forum-" }), "invalid_body", vec!["/slug pattern"]),
            (json!({ "slug": "f".repeat(64) }), "invalid_body", vec!["/slug pattern", "/slug too_long"]),
            (json!({ "slug": "019bb16e-fe80-78e1-b80b-d70ae0784c78" }), "invalid_body", vec!["/slug pattern"]),
            (json!({ "slug": "019bb16efe8078e1b80bd70ae0784c78" }), "invalid_body", vec!["/slug pattern"]),
            (json!({ "name": "" }), "invalid_body", vec!["/name pattern", "/name too_short"]),
            (json!({ "name": "a\u{0}" }), "invalid_body", vec!["/name null_character"]),
            (json!({ "name": "n".repeat(201) }), "invalid_body", vec!["/name too_long"]),
            (json!({ "name": ["Forum"] }), "invalid_body", vec!["/name wrong_type"]),
            (json!({ "timeZone": "Europe/Atlantis" }), "invalid_time_zone", vec!["/timeZone invalid_time_zone"]),
            (json!({ "timeZone": "Etc/Unknown" }), "invalid_time_zone", vec!["/timeZone invalid_time_zone"]),
            (json!({ "timeZone": "local" }), "invalid_time_zone", vec!["/timeZone invalid_time_zone"]),
            (json!({ "timeZone": "+01" }), "invalid_time_zone", vec!["/timeZone invalid_time_zone"]),
            (json!({ "timeZone": "Europe/../Oslo" }), "invalid_body", vec!["/timeZone pattern"]),
            (json!({ "startsOn": "2026-02-29" }), "invalid_body", vec!["/startsOn format"]),
            (json!({ "startsOn": "2026-3-11" }), "invalid_body", vec!["/startsOn format"]),
            (json!({ "endsOn": "2026-03-13T00:00:00Z" }), "invalid_body", vec!["/endsOn format", "/endsOn too_long"]),
            (json!({ "endsOn": 20_260_313 }), "invalid_body", vec!["/endsOn wrong_type"]),
            (json!({ "endsOn": "2026-03-10" }), "invalid_range", vec!["/endsOn invalid_range"]),
            (json!({ "status": "cancelled" }), "invalid_body", vec!["/status enum"]),
            (json!({ "booking": { "admission": "closed" } }), "invalid_body", vec!["/booking/admission enum"]),
            (json!({ "booking": { "opensAt": "2026-03-01T09:00:00" } }), "invalid_body", vec!["/booking/opensAt format"]),
            (json!({ "booking": { "opensAt": "9999-12-31T23:59:59Z" } }), "invalid_body", vec!["/booking/opensAt wrong_type"]),
            (json!({ "booking": { "opensAt": "0000-01-01T00:00:00+01:00" } }), "invalid_body", vec!["/booking/opensAt wrong_type"]),
            (
                json!({ "booking": { "opensAt": "2026-03-10T18:00:00Z", "closesAt": "2026-03-10T19:00:00+01:00" } }),
                "invalid_range",
                vec!["/booking/closesAt invalid_range"],
            ),
            (json!({ "booking": { "overlaps": "allow" } }), "invalid_body", vec!["/booking/overlaps unknown_field"]),
            (json!({ "booking": { "overlap": "maybe" } }), "invalid_body", vec!["/booking/overlap enum"]),
            (json!({ "booking": { "maxSessions": 0 } }), "invalid_body", vec!["/booking/maxSessions out_of_range"]),
            (json!({ "booking": { "offers": { "ttlMinutes": 0 } } }), "invalid_body", vec!["/booking/offers/ttlMinutes out_of_range"]),
            (json!({ "booking": [] }), "invalid_body", vec!["/booking wrong_type"]),
            (json!({ "id": event["id"], "version": 2 }), "invalid_body", vec!["/id unknown_field", "/version unknown_field"]),
        ];
        for (wrong, code, errors) in shared {
            let create = app.post("/v1/events").token(&anna.token).json(&overlay(good.clone(), wrong.clone()));
            assert_eq!(refused(create, 422, code).await, errors, "{wrong}");
            let change = app.patch(path(&event)).token(&anna.token).if_match("*").merge(&wrong);
            assert_eq!(refused(change, 422, code).await, errors, "{wrong}");
        }
        for member in ["organisationId", "slug", "name", "timeZone", "startsOn", "endsOn"] {
            let create = app.post("/v1/events").token(&anna.token).json(&overlay(good.clone(), json!({ member: null })));
            assert_eq!(refused(create, 422, "invalid_body").await, [format!("/{member} required")]);
        }
        for member in ["slug", "name", "timeZone", "startsOn", "endsOn", "booking"] {
            let change = app.patch(path(&event)).token(&anna.token).if_match("*").merge(&json!({ member: null }));
            assert_eq!(refused(change, 422, "invalid_body").await, [format!("/{member} wrong_type")], "it can't be cleared");
        }
        let change = app.patch(path(&event)).token(&anna.token).if_match("*").merge(&json!({ "organisationId": organisation }));
        assert_eq!(refused(change, 422, "invalid_body").await, ["/organisationId unknown_field"]);
        let change = app.patch(path(&event)).token(&anna.token).if_match("*").merge(&json!({ "endsOn": "2026-03-09", "startsOn": "2026-03-10" }));
        assert_eq!(refused(change, 422, "invalid_range").await, ["/endsOn invalid_range"]);
        let change = app.patch(path(&event)).token(&anna.token).if_match("*").merge(&json!({ "booking": { "closesAt": "2026-02-01T00:00:00Z" } }));
        assert_eq!(refused(change, 422, "invalid_range").await, ["/booking/closesAt invalid_range"], "against what is there");

        for (bytes, status, code) in [
            (&b"{\"slug\": \"a\", \"slug\": \"b\"}"[..], 400, "duplicate_key"),
            (b"{\"slug\"", 400, "malformed_body"),
            (b"{\"name\": \"\xC3\x28\"}", 400, "malformed_body"),
        ] {
            app.post("/v1/events").token(&anna.token).body("application/json", bytes).send().await.problem(status, code);
        }
        assert_eq!(app.count("events").await, 1);
        let read = app.get(path(&event)).send().await.expect(200);
        assert_eq!((&read.json, read.etag(), programme_version(&app, &event).await), (&event, "\"1\"".to_owned(), 1), "nothing was written");
    }

    async fn a_slug_is_unique_in_the_installation(app: App) {
        let (anna, eve) = (app.user("anna").await, app.user("eve").await);
        let taken = app.event(&anna, json!({ "slug": "forum" })).await;
        let organisation = app.organisation(&eve).await;
        let create = app.post("/v1/events").token(&eve.token).json(&overlay(body(&organisation), json!({ "slug": "forum" })));
        assert_eq!(refused(create, 409, "slug_taken").await, ["/slug slug_taken"]);
        let own = app.event(&eve, json!({ "organisationId": organisation })).await;
        let change = app.patch(path(&own)).token(&eve.token).if_match("*").merge(&json!({ "slug": "forum", "name": "Mine" }));
        assert_eq!(refused(change, 409, "slug_taken").await, ["/slug slug_taken"]);
        assert_eq!(app.count("events").await, 2);
        assert_eq!(app.get("/v1/events/forum").send().await.expect(200).json, taken);
        assert_eq!(app.get(path(&own)).send().await.expect(200).json, own);
        app.delete(path(&taken)).token(&anna.token).if_match("*").send().await.expect(204);
        let change = app.patch(path(&own)).token(&eve.token).if_match("*").merge(&json!({ "slug": "forum" }));
        change.send().await.expect(200);
    }

    async fn only_managers_make_events(app: App) {
        let (anna, olga, vera, dora, eve) =
            (app.user("anna").await, app.user("olga").await, app.user("vera").await, app.user("dora").await, app.user("eve").await);
        let organisation = app.organisation(&anna).await;
        for (user, role) in [(&olga, "organiser"), (&vera, "viewer"), (&dora, "door")] {
            app.member(&organisation, user, role).await;
        }
        let create = || app.post("/v1/events").json(&body(&organisation));
        create().send().await.problem(401, "unauthenticated");
        create().token(&vera.token).send().await.problem(403, "forbidden");
        create().token(&dora.token).send().await.problem(403, "forbidden");
        let foreign = create().token(&eve.token).send().await.problem(422, "unknown_reference");
        assert_eq!(foreign.errors(), ["/organisationId unknown_reference"]);
        let nowhere = app.post("/v1/events").token(&eve.token).json(&body("019bb16e-fe80-7f3a-b1ec-ebbd1410ab41")).send().await;
        let nowhere = nowhere.problem(422, "unknown_reference");
        assert_eq!((&nowhere.json["detail"], &nowhere.json["errors"]), (&foreign.json["detail"], &foreign.json["errors"]), "it isn't told which exist");
        assert_eq!(app.count("events").await, 0);

        let event = create().token(&olga.token).send().await.expect(201).json;
        let writes = || [app.patch(path(&event)).if_match("*").merge(&json!({ "name": "Mine" })), app.delete(path(&event)).if_match("*")];
        for write in writes() {
            write.send().await.problem(401, "unauthenticated");
        }
        for (user, status, code) in [(&vera, 403, "forbidden"), (&dora, 403, "forbidden"), (&eve, 404, "not_found")] {
            for write in writes() {
                write.token(&user.token).send().await.problem(status, code);
            }
        }
        assert_eq!(app.get(path(&event)).send().await.expect(200).json, event);
        for write in writes() {
            assert!(write.token(&olga.token).send().await.status < 300);
        }
    }

    async fn drafts_are_for_members(app: App) {
        let (anna, vera, eve) = (app.user("anna").await, app.user("vera").await, app.user("eve").await);
        let organisation = app.organisation(&anna).await;
        app.member(&organisation, &vera, "viewer").await;
        app.event(&eve, json!({ "slug": "eves-draft", "status": "draft", "startsOn": "2026-01-01" })).await;
        app.event(&eve, json!({ "slug": "eves", "startsOn": "2026-01-02" })).await;
        let slugs = [("draft", "2026-01-03"), ("published", "2026-01-04"), ("archived", "2026-01-05")];
        for (status, starts_on) in slugs {
            app.event(&anna, json!({ "organisationId": organisation, "slug": status, "status": status, "startsOn": starts_on })).await;
        }
        let list = |user: Option<&User>, query: &str| {
            let call = app.get(format!("/v1/events?{query}"));
            let call = user.map_or(call.clone(), |user| call.token(&user.token));
            async move { call.send().await.expect(200).all("slug") }
        };
        assert_eq!(list(None, "").await, ["eves", "published", "archived"]);
        assert_eq!(list(Some(&vera), "").await, ["eves", "draft", "published", "archived"]);
        assert_eq!(list(Some(&eve), "").await, ["eves-draft", "eves", "published", "archived"]);
        assert_eq!(list(Some(&eve), "status=draft").await, ["eves-draft"]);
        assert_eq!(list(None, "status=draft").await, Vec::<String>::new());
        assert_eq!(list(None, &format!("organisationId={organisation}")).await, ["published", "archived"]);
        assert_eq!(list(Some(&anna), &format!("organisationId={organisation}&status=draft")).await, ["draft"]);
        app.get("/v1/events").token("no.such.token").send().await.problem(401, "unauthenticated");
        for (slug, anonymous, stranger) in [("draft", 404, 404), ("published", 200, 200), ("archived", 200, 200)] {
            let address = format!("/v1/events/{slug}");
            assert_eq!(app.get(&address).send().await.status, anonymous);
            assert_eq!(app.get(&address).token(&eve.token).send().await.status, stranger);
            app.get(&address).token(&vera.token).send().await.expect(200);
        }
    }

    async fn lists_are_sorted_searched_and_paged(app: App) {
        let anna = app.user("anna").await;
        let organisation = app.organisation(&anna).await;
        for (slug, name, starts_on) in
            [("a", "Beta Days", "2026-03-11"), ("b", "alpha 100%", "2026-03-11"), ("c", "Émile", "2026-01-05"), ("d", "Beta days", "2026-03-12")]
        {
            app.clock.set(app.clock.now().plus_secs(1));
            let event = json!({ "organisationId": organisation, "slug": slug, "name": name, "startsOn": starts_on });
            app.event(&anna, event).await;
        }
        for (sort, expected) in [
            ("startsOn", ["c", "a", "b", "d"]),
            ("-startsOn", ["d", "b", "a", "c"]),
            ("name", ["b", "a", "d", "c"]),
            ("-name", ["c", "d", "a", "b"]),
        ] {
            let mut walked = Vec::new();
            let mut next = Some(format!("/v1/events?sort={sort}&limit=1"));
            while let Some(address) = next {
                let page = app.get(&address).send().await.expect(200);
                walked.extend(page.all("slug"));
                next = page.json["nextCursor"].as_str().map(|cursor| format!("/v1/events?sort={sort}&limit=1&cursor={cursor}"));
                assert_eq!(page.header("link"), next.as_ref().map(|next| format!("<{next}>; rel=\"next\"")).as_deref());
            }
            assert_eq!(walked, expected, "{sort}");
        }
        let whole = app.get("/v1/events").send().await.expect(200);
        assert_eq!(whole.all("slug"), ["c", "a", "b", "d"], "by startsOn unless asked otherwise");
        app.get("/v1/events").if_none_match(&whole.etag()).send().await.expect(304);
        for (q, expected) in [("BETA%20d", vec!["a", "d"]), ("%C3%A9m", vec!["c"]), ("100%25", vec!["b"]), ("%25", vec!["b"]), ("_", vec![])] {
            assert_eq!(app.get(format!("/v1/events?q={q}")).send().await.expect(200).all("slug"), expected, "{q}");
        }

        let page = app.get("/v1/events?limit=1&q=a").send().await.expect(200);
        let cursor = page.json["nextCursor"].as_str().expect("more");
        for query in [
            format!("limit=1&cursor={cursor}"),
            format!("limit=1&q=b&cursor={cursor}"),
            format!("limit=1&q=a&sort=name&cursor={cursor}"),
            format!("limit=1&q=a&status=published&cursor={cursor}"),
            format!("limit=1&q=a&cursor=x{cursor}"),
        ] {
            let list = app.get(format!("/v1/events?{query}"));
            assert_eq!(refused(list, 400, "invalid_cursor").await, ["cursor invalid_cursor"], "{query}");
        }
        for (query, error) in [
            ("limit=0", "limit out_of_range"),
            ("limit=201", "limit out_of_range"),
            ("sort=slug", "sort enum"),
            ("status=gone", "status enum"),
            ("organisationId=7", "organisationId too_short"),
            ("organisationId=019bb16e-fe80-7f3a-b1ec-ebbd1410ab4x", "organisationId format"),
            ("slug=a", "slug unknown_parameter"),
        ] {
            assert_eq!(refused(app.get(format!("/v1/events?{query}")), 400, "invalid_parameter").await, [error], "{query}");
        }
        app.get("/v1/events/no-such-event").send().await.problem(404, "not_found");
        app.get("/v1/events/019bb16e-fe80-7f3a-b1ec-ebbd1410ab41").send().await.problem(404, "not_found");
        app.get("/v1/events/not_a_slug").send().await.problem(400, "invalid_parameter");
        app.get("/v1/events/a%00").send().await.problem(400, "invalid_parameter");
    }

    async fn a_new_time_zone_shows_in_the_sessions(app: App) {
        let anna = app.user("anna").await;
        let (event, other) = (app.event(&anna, json!({})).await, app.event(&anna, json!({})).await);
        let session = app.session(&anna, &event, json!({})).await;
        let elsewhere = app.session(&anna, &other, json!({})).await;
        let address = format!("/v1/sessions/{}", session.as_id());
        let patch = |patch: Value| app.patch(path(&event)).token(&anna.token).if_match("*").merge(&patch).send();
        patch(json!({ "name": "Forum" })).await.expect(200);
        assert_eq!(app.get(&address).send().await.expect(200).etag(), "\"1\"", "a session doesn't show the event's name");
        patch(json!({ "timeZone": "Asia/Tokyo" })).await.expect(200);
        let shown = app.get(&address).if_none_match("\"1\"").send().await.expect(200);
        assert_eq!((shown.etag(), &shown.json["startsAtLocal"]), ("\"2\"".to_owned(), &json!("2026-03-11T21:00:00+09:00")));
        assert_eq!(shown.json["startsAt"], session["startsAt"], "the instant stays");
        assert_eq!(app.get(format!("/v1/sessions/{}", elsewhere.as_id())).send().await.expect(200).etag(), "\"1\"");
    }

    async fn an_event_stays_while_somebody_has_a_seat(app: App) {
        let (anna, ben) = (app.user("anna").await, app.user("ben").await);
        let event = app.event(&anna, json!({})).await;
        let session = app.session(&anna, &event, json!({ "code": "B2" })).await;
        app.session(&anna, &event, json!({ "code": "A1" })).await;
        let book = app.post(format!("/v1/sessions/{}/registrations", session.as_id())).token(&ben.token).json(&json!({}));
        let registration = book.send().await.expect(201).json;
        let patch = |patch: Value| app.patch(path(&event)).token(&anna.token).if_match("*").merge(&patch).send();
        let holders = json!([{ "id": session["id"], "code": "B2" }]);
        let version = programme_version(&app, &event).await;
        let refused = patch(json!({ "name": "Over", "status": "draft" })).await.problem(409, "has_registrations");
        assert_eq!((&refused.json["registrations"], &refused.json["sessions"]), (&json!(1), &holders));
        let refused = app.delete(path(&event)).token(&anna.token).if_match("*").send().await.problem(409, "has_registrations");
        assert_eq!((&refused.json["registrations"], &refused.json["sessions"]), (&json!(1), &holders));
        app.delete(path(&event)).token(&anna.token).if_match("\"9\"").send().await.problem(412, "version_mismatch");
        assert_eq!(app.get(path(&event)).send().await.expect(200).json, event);
        assert_eq!(programme_version(&app, &event).await, version, "nothing was written");
        patch(json!({ "name": "Still on", "booking": { "admission": "attendees_only" } })).await.expect(200);

        let cancel = format!("/v1/registrations/{}/cancel", registration.as_id());
        app.post(cancel).token(&ben.token).send().await.expect(200);
        patch(json!({ "status": "archived" })).await.expect(200);
        app.delete(path(&event)).token(&anna.token).if_match("*").send().await.expect(204);
        assert_eq!(app.count("registrations").await, 0);
    }

    async fn an_event_is_deleted_with_all_that_is_its(app: App) {
        let (anna, ben) = (app.user("anna").await, app.user("ben").await);
        let (event, other) = (app.event(&anna, json!({})).await, app.event(&anna, json!({})).await);
        for event in [&event, &other] {
            let stream = add(&app, &anna, event, "streams", json!({ "name": "Stream" })).await;
            let room = add(&app, &anna, event, "rooms", json!({ "name": "Room" })).await;
            let speaker = add(&app, &anna, event, "speakers", json!({ "name": "Speaker" })).await;
            let people = json!([{ "speakerId": speaker["id"] }]);
            let session = json!({
                "streamId": stream["id"], "roomId": room["id"], "chairs": people, "parts": [{ "title": "Part", "speakers": people }],
            });
            let session = app.session(&anna, event, session).await;
            let book = app.post(format!("/v1/sessions/{}/registrations", session.as_id())).token(&ben.token).json(&json!({}));
            let registration = book.send().await.expect(201).json;
            app.post(format!("/v1/registrations/{}/cancel", registration.as_id())).token(&ben.token).send().await.expect(200);
        }
        let delete = || app.delete(path(&event)).token(&anna.token);
        delete().send().await.problem(428, "precondition_required");
        delete().if_match("\"2\"").send().await.problem(412, "version_mismatch");
        delete().if_match("\"1\"").send().await.expect(204);
        delete().if_match("*").send().await.problem(404, "not_found");
        app.get(path(&event)).token(&anna.token).send().await.problem(404, "not_found");
        for table in [
            "events", "streams", "rooms", "speakers", "sessions", "session_chairs", "session_parts", "part_speakers", "session_seats",
            "attendees", "registrations",
        ] {
            assert_eq!(app.count(table).await, 1, "{table}: the other event's only");
        }
        app.get(path(&other)).send().await.expect(200);
    }
}
