//! Keys that programs sign in with.

use crate::{accounts::without_instance, support::*};

/// A key with these scopes; its body with the secret.
pub async fn key(app: &App, owner: &User, organisation: impl AsId, scopes: &[&str]) -> Value {
    let path = format!("/v1/organisations/{}/api-keys", organisation.as_id());
    let answer = app.post(path).token(&owner.token).json(&json!({ "name": "Program", "scopes": scopes })).send().await.expect(201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.json
}

/// What is sent.
pub fn secret(key: &Value) -> &str {
    key["secret"].as_str().expect("a secret")
}

on_both! {
    async fn a_key_is_shown_once_and_kept_as_a_hash(app: App) {
        let anna = app.user("anna").await;
        let organisation = app.organisation(&anna).await;
        let path = format!("/v1/organisations/{organisation}/api-keys");
        let made = key(&app, &anna, &organisation, &["registrations:write", "attendees:read"]).await;
        assert_eq!(made["scopes"], json!(["attendees:read", "registrations:write"]), "in one order");
        assert!(secret(&made).starts_with(made["prefix"].as_str().unwrap()) && secret(&made).len() == 47);
        assert_eq!([&made["createdBy"], &made["createdAt"]], [&*anna.id, "2026-03-02T08:00:00Z"]);
        assert_eq!([&made["expiresAt"], &made["lastUsedAt"]], [&Value::Null, &Value::Null]);
        let list = app.get(&path).token(&anna.token).send().await.expect(200);
        assert_eq!(list.json["items"], json!([overlay(made.clone(), json!({ "secret": null }))]));
        let kept: i64 = app.db().query("SELECT COUNT(*) FROM api_keys WHERE secret_hash = $1")
            .bind(secret(&made).as_bytes().to_vec()).scalar().await.unwrap();
        assert_eq!(kept, 0);

        app.advance_secs(1);
        let second = key(&app, &anna, &organisation, &["programme:read"]).await;
        let first = app.get(format!("{path}?limit=1")).token(&anna.token).send().await.expect(200);
        let cursor = first.json["nextCursor"].as_str().expect("a second page");
        let next = app.get(format!("{path}?limit=1&cursor={cursor}")).token(&anna.token).send().await.expect(200);
        assert_eq!([first.ids(), next.ids()], [[made.as_id()], [second.as_id()]]);
    }

    async fn a_key_acts_in_its_organisation_only(app: App) {
        let (anna, bea) = (app.user("anna").await, app.user("bea").await);
        let (ours, theirs) = (app.organisation(&anna).await, app.organisation(&bea).await);
        let draft = app.event(&anna, json!({ "organisationId": ours, "status": "draft" })).await;
        let foreign = app.event(&bea, json!({ "organisationId": theirs, "status": "draft" })).await;
        let open = app.event(&bea, json!({ "organisationId": theirs })).await;
        let made = key(&app, &anna, &ours, &["programme:write"]).await;
        let get = |path: String| app.get(path).token(secret(&made)).send();
        let mut seen = get("/v1/events".to_owned()).await.expect(200).ids();
        seen.sort();
        let mut expected = [draft.as_id(), open.as_id()];
        expected.sort();
        assert_eq!(seen, expected);
        get(format!("/v1/events/{}", draft["slug"].as_str().unwrap())).await.expect(200);
        get(format!("/v1/events/{}", open.as_id())).await.expect(200);
        get(format!("/v1/events/{}", foreign.as_id())).await.problem(404, "not_found");

        let stream = json!({ "name": "Science" });
        app.post(format!("/v1/events/{}/streams", draft.as_id())).token(secret(&made)).json(&stream).send().await.expect(201);
        app.post(format!("/v1/events/{}/streams", open.as_id())).token(secret(&made)).json(&stream).send().await.problem(404, "not_found");
        let event = |organisation: &str, slug: &str| json!({ "organisationId": organisation, "slug": slug, "name": "X", "timeZone": "UTC", "startsOn": "2026-03-11", "endsOn": "2026-03-11" });
        app.post("/v1/events").token(secret(&made)).json(&event(&ours, "ours")).send().await.expect(201);
        let answer = app.post("/v1/events").token(secret(&made)).json(&event(&theirs, "theirs")).send().await.problem(422, "unknown_reference");
        assert_eq!(answer.pointer(), "/organisationId");
    }

    async fn a_key_books_for_attendees_and_the_journal_names_it(app: App) {
        let (anna, bea) = (app.user("anna").await, app.user("bea").await);
        let event = app.event(&anna, json!({})).await;
        let session = app.session(&anna, &event, json!({})).await;
        let attendee = app.attendees(&anna, &event, 1).await.remove(0);
        let made = key(&app, &anna, &event["organisationId"], &["registrations:write"]).await;
        let path = format!("/v1/sessions/{}/registrations", session.as_id());
        let book = |body: Value| app.post(&path).token(secret(&made)).json(&body).send();
        book(json!({})).await.problem(403, "forbidden");
        app.post(&path).token(secret(&made)).send().await.problem(403, "forbidden");
        let foreign = app.event(&bea, json!({})).await;
        let stranger = app.attendees(&bea, &foreign, 1).await.remove(0);
        assert_eq!(book(json!({ "attendeeId": stranger })).await.status, 422);
        assert_eq!(app.count("registrations").await, 0);

        let booked = book(json!({ "attendeeId": attendee })).await.expect(201).json;
        assert_eq!(booked["status"], "confirmed");
        app.get(format!("/v1/registrations/{}", booked.as_id())).token(secret(&made)).send().await.expect(200);
        let cancelled = app.post(format!("/v1/registrations/{}/cancel", booked.as_id())).token(secret(&made)).send().await.expect(200);
        assert_eq!(cancelled.json["cancelReason"], "by_organiser");
        let actors: Vec<(uuid::Uuid,)> = app.db().query("SELECT actor_id FROM journal WHERE registration_id IS NOT NULL").all().await.unwrap();
        assert_eq!(actors.len(), 2);
        assert!(actors.iter().all(|(actor,)| actor.to_string() == made.as_id()), "{actors:?}");

        // Another organisation's key has never heard of it.
        let other = key(&app, &bea, &foreign["organisationId"], &["registrations:write"]).await;
        app.get(format!("/v1/registrations/{}", booked.as_id())).token(secret(&other)).send().await.problem(404, "not_found");
        app.post(format!("/v1/registrations/{}/cancel", booked.as_id())).token(secret(&other)).send().await.problem(404, "not_found");
    }

    async fn idempotency_keys_and_limits_are_each_api_keys_own(app: App) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        let [one, two] = [key(&app, &anna, &event["organisationId"], &["attendees:write"]).await, key(&app, &anna, &event["organisationId"], &["attendees:write"]).await];
        let path = format!("/v1/events/{}/attendees", event.as_id());
        let add = |key: &Value| {
            let call = app.post(&path).token(secret(key)).header("idempotency-key", "\"first\"").json(&json!({ "name": "Ola" }));
            async move { call.send().await.expect(201) }
        };
        let made = add(&one).await;
        let again = add(&one).await;
        assert_eq!((again.header("idempotency-replayed"), &again.json), (Some("true"), &made.json));
        assert_ne!(add(&two).await.json.as_id(), made.json.as_id());
        assert_eq!(app.count("attendees").await, 2);
        let left = |answer: &Answer| answer.header("ratelimit").expect("a limit").to_owned();
        let (first, other) = (left(&app.get(&path).token(secret(&one)).send().await), left(&app.get(&path).token(secret(&two)).send().await));
        assert_ne!(first, other, "two keys, two limits");
    }

    async fn contacts_on_a_roster_need_a_scope_of_their_own(app: App) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        let session = app.session(&anna, &event, json!({})).await;
        let person = json!({ "name": "Ola", "email": "ola@example.org", "externalReference": "B-1" });
        let person = app.post(format!("/v1/events/{}/attendees", event.as_id())).token(&anna.token).json(&person).send().await.expect(201).json;
        let path = format!("/v1/sessions/{}/registrations", session.as_id());
        app.post(&path).token(&anna.token).json(&json!({ "attendeeId": person.as_id() })).send().await.expect(201);
        for (scopes, email) in [(vec!["registrations:read"], Value::Null), (vec!["registrations:read", "attendees:read"], json!("ola@example.org"))] {
            let made = key(&app, &anna, &event["organisationId"], &scopes).await;
            let roster = app.get(&path).token(secret(&made)).send().await.expect(200);
            assert_eq!(roster.json["items"][0]["attendee"]["name"], "Ola");
            assert_eq!(roster.json["items"][0]["attendee"]["email"], email);
            let file = app.get(format!("{path}?format=csv")).token(secret(&made)).send().await.expect(200);
            assert_eq!(file.text.contains("ola@example.org"), email.is_string());
        }
    }

    async fn a_key_is_no_user(app: App) {
        let anna = app.user("anna").await;
        let organisation = app.organisation(&anna).await;
        let all = ["programme:write", "attendees:write", "registrations:write"];
        let made = key(&app, &anna, &organisation, &all).await;
        for path in ["/v1/me", "/v1/me/registrations", "/v1/me/attendees", "/v1/organisations"] {
            app.get(path).token(secret(&made)).send().await.problem(403, "forbidden");
        }
        app.post("/v1/organisations").token(secret(&made)).json(&json!({ "name": "X" })).send().await.problem(403, "forbidden");
        let more = json!({ "name": "More", "scopes": all });
        app.post(format!("/v1/organisations/{organisation}/api-keys")).token(secret(&made)).json(&more).send().await.problem(403, "forbidden");
        app.delete(format!("/v1/api-keys/{}", made.as_id())).token(secret(&made)).send().await.problem(403, "forbidden");
        assert_eq!((app.count("organisations").await, app.count("api_keys").await), (1, 1));
    }

    async fn a_key_ends_with_its_time_or_when_it_is_revoked(app: App) {
        let (anna, bea) = (app.user("anna").await, app.user("bea").await);
        let event = app.event(&anna, json!({})).await;
        let path = format!("/v1/organisations/{}/api-keys", event["organisationId"].as_str().unwrap());
        let body = json!({ "name": "Short", "scopes": ["attendees:read"], "expiresAt": "2026-03-02T09:00:00Z" });
        let short = app.post(&path).token(&anna.token).json(&body).send().await.expect(201).json;
        let long = key(&app, &anna, &event["organisationId"], &["attendees:read"]).await;
        let read = |secret: &str| app.get(format!("/v1/events/{}/attendees", event.as_id())).token(secret).send();
        let nobody = app.get(format!("/v1/events/{}/attendees", event.as_id())).send().await.problem(401, "unauthenticated");
        read(secret(&short)).await.expect(200);
        app.token_clock.set(at("2026-03-02T08:59:59Z"));
        read(secret(&short)).await.expect(200);
        app.token_clock.set(at("2026-03-02T09:00:00Z"));
        let expired = read(secret(&short)).await.problem(401, "unauthenticated");
        assert_eq!(without_instance(&expired), without_instance(&nobody));
        assert_eq!(expired.header("www-authenticate"), Some("Bearer"));
        app.token_clock.set(at("2026-03-02T08:00:00Z"));

        // The owner who made it may be gone: the key is the organisation's.
        app.member(&event["organisationId"], &bea, "owner").await;
        let members = app.get(path.replace("api-keys", "members")).token(&anna.token).send().await.expect(200);
        let annas = members.json["items"].as_array().unwrap().iter().find(|member| member["userId"] == *anna.id).unwrap().as_id();
        app.delete(format!("/v1/members/{annas}")).token(&bea.token).send().await.expect(204);
        read(secret(&long)).await.expect(200);

        let key_path = format!("/v1/api-keys/{}", long.as_id());
        app.delete(&key_path).token(&anna.token).send().await.problem(404, "not_found");
        app.delete(&key_path).token(&bea.token).send().await.expect(204);
        read(secret(&long)).await.problem(401, "unauthenticated");
        app.delete(&key_path).token(&bea.token).send().await.problem(404, "not_found");
        assert_eq!(app.get(&path).token(&bea.token).send().await.expect(200).ids(), [short.as_id()]);

        for wrong in ["plk_", "plk_x", &secret(&short)[..46], &format!("{}A", secret(&short)), &secret(&short).to_uppercase()] {
            let answer = read(wrong).await.problem(401, "unauthenticated");
            assert_eq!(without_instance(&answer), without_instance(&nobody), "{wrong}");
        }
        app.get("/v1/events").token(secret(&long)).send().await.problem(401, "unauthenticated");
    }

    async fn its_last_use_is_noted_to_the_hour(app: App) {
        let anna = app.user("anna").await;
        let organisation = app.organisation(&anna).await;
        let made = key(&app, &anna, &organisation, &["programme:read"]).await;
        let path = format!("/v1/organisations/{organisation}/api-keys");
        let begun = app.token_clock.now();
        for (secs, noted) in [(60, "2026-03-02T08:01:00Z"), (3_600, "2026-03-02T08:01:00Z"), (3_660, "2026-03-02T09:01:00Z")] {
            app.token_clock.set(begun.plus_secs(secs));
            app.get("/v1/events").token(secret(&made)).send().await.expect(200);
            app.token_clock.set(begun);
            let list = app.get(&path).token(&anna.token).send().await.expect(200);
            assert_eq!(list.json["items"][0]["lastUsedAt"], noted);
        }
    }

    async fn a_bad_key_is_refused_with_its_place_and_writes_nothing(app: App) {
        let anna = app.user("anna").await;
        let organisation = app.organisation(&anna).await;
        let path = format!("/v1/organisations/{organisation}/api-keys");
        let make = |body: Value| app.post(&path).token(&anna.token).json(&body).send();
        for (body, wrong) in [
            (json!({ "scopes": ["programme:read"] }), "/name required"),
            (json!({ "name": "X" }), "/scopes required"),
            (json!({ "name": "", "scopes": ["programme:read"] }), "/name too_short"),
            (json!({ "name": "X", "scopes": [] }), "/scopes too_few"),
            (json!({ "name": "X", "scopes": ["programme:read", "programme:read"] }), "/scopes duplicate"),
            (json!({ "name": "X", "scopes": ["members:write"] }), "/scopes/0 enum"),
            (json!({ "name": "X", "scopes": "programme:read" }), "/scopes wrong_type"),
            (json!({ "name": "X", "scopes": ["programme:read"], "expiresAt": "tomorrow" }), "/expiresAt format"),
            (json!({ "name": "X", "scopes": ["programme:read"], "secret": "plk_mine" }), "/secret unknown_field"),
        ] {
            let answer = make(body).await.problem(422, "invalid_body");
            assert!(answer.errors().contains(&wrong.to_owned()), "{wrong}: {:?}", answer.errors());
        }
        let late = make(json!({ "name": "X", "scopes": ["programme:read"], "expiresAt": "2026-03-02T08:00:00Z" })).await;
        assert_eq!(late.problem(422, "invalid_range").pointer(), "/expiresAt");
        assert_eq!(app.count("api_keys").await, 0);
    }
}
