//! Attendees: who may see and change them, how they are found, and how a user becomes one.

use crate::{accounts::without_instance, support::*};

/// An event with its owner.
struct Scene {
    anna: User,
    event: Value,
    /// Of the event's attendees.
    path: String,
}

impl Scene {
    async fn new(app: &App) -> Self {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({ "admission": null, "booking": { "admission": "attendees_only" } })).await;
        let path = format!("/v1/events/{}/attendees", event.as_id());
        Self { anna, event, path }
    }

    /// Admits somebody; the attendee.
    async fn admit(&self, app: &App, body: Value) -> Value {
        app.post(&self.path).token(&self.anna.token).json(&body).send().await.expect(201).json
    }

    async fn claim_code(&self, app: &App, attendee: &Value) -> String {
        let issued = app.post(format!("{}/claim-code", path_of(attendee))).token(&self.anna.token).send().await.expect(201);
        issued.json["claimCode"].as_str().expect("a code").to_owned()
    }

    async fn read(&self, app: &App, attendee: &Value) -> Answer {
        app.get(path_of(attendee)).token(&self.anna.token).send().await.expect(200)
    }

    async fn list(&self, app: &App, query: &str) -> Answer {
        app.get(format!("{}?{query}", self.path)).token(&self.anna.token).send().await
    }
}

fn path_of(attendee: &Value) -> String {
    format!("/v1/attendees/{}", attendee.as_id())
}

async fn claim(app: &App, user: &User, code: &str) -> Answer {
    app.post("/v1/me/attendees").token(&user.token).json(&json!({ "claimCode": code })).send().await
}

async fn book(app: &App, by: &User, session: &Value, body: Value) -> Answer {
    app.post(format!("/v1/sessions/{}/registrations", session.as_id())).token(&by.token).json(&body).send().await
}

on_both! {
    async fn an_attendee_is_admitted_read_changed_and_removed(app: App) {
        let scene = Scene::new(&app).await;
        let token = &scene.anna.token;
        let full = json!({
            "name": "Björn Ås", "sortName": "Ås, Björn", "email": "Bjorn@Example.org", "affiliation": "Fundacion VISIBLE",
            "country": "NO", "externalReference": "T-1"
        });
        let created = app.post(&scene.path).token(token).json(&full).send().await.expect(201);
        for (member, value) in full.as_object().unwrap() {
            assert_eq!(created.json[member], *value);
        }
        assert_eq!(created.json["eventId"], scene.event["id"]);
        assert_eq!(created.json["userId"], Value::Null);
        assert_eq!(created.json["createdAt"], "2026-03-02T08:00:00Z");
        let path = path_of(&created.json);
        assert_eq!(created.header("location"), Some(&*path));
        let read = scene.read(&app, &created.json).await;
        assert_eq!((&read.json, read.etag()), (&created.json, created.etag()));
        app.get(&path).token(token).if_none_match(&read.etag()).send().await.expect(304);

        app.advance_secs(60);
        let patch = |etag: &str, body: Value| app.patch(&path).token(token).if_match(etag).merge(&body).send();
        let same = patch(&read.etag(), json!({ "country": "NO" })).await.expect(200);
        assert_eq!((&same.json, same.etag()), (&read.json, read.etag()), "nothing new is no new version");
        let changed = patch(&read.etag(), json!({ "sortName": null, "email": null, "name": "Bo" })).await.expect(200);
        let expected = overlay(read.json.clone(), json!({ "name": "Bo", "updatedAt": "2026-03-02T08:01:00Z" }));
        let mut expected = expected;
        expected["sortName"] = Value::Null;
        expected["email"] = Value::Null;
        assert_eq!(changed.json, expected);
        assert_ne!(changed.etag(), read.etag());
        let stale = patch(&read.etag(), json!({ "name": "Late" })).await.problem(412, "version_mismatch");
        assert_eq!(stale.json["currentETag"], json!(changed.etag()));
        patch(&format!("W/{}", changed.etag()), json!({ "name": "Weak" })).await.problem(412, "version_mismatch");
        let blind = app.patch(&path).token(token).merge(&json!({ "name": "Blind" })).send().await;
        blind.problem(428, "precondition_required");
        assert_eq!(scene.read(&app, &created.json).await.json, changed.json);

        app.delete(&path).token(token).send().await.problem(428, "precondition_required");
        app.delete(&path).token(token).if_match(&read.etag()).send().await.problem(412, "version_mismatch");
        app.delete(&path).token(token).if_match(&changed.etag()).send().await.expect(204);
        app.get(&path).token(token).send().await.problem(404, "not_found");
        app.delete(&path).token(token).if_match("*").send().await.problem(404, "not_found");
        assert_eq!(app.count("attendees").await, 0);
    }

    async fn a_bad_attendee_is_refused_with_its_place_and_writes_nothing(app: App) {
        let scene = Scene::new(&app).await;
        let token = &scene.anna.token;
        let attendee = scene.admit(&app, json!({ "name": "Bo" })).await;
        let (path, before) = (path_of(&attendee), scene.read(&app, &attendee).await);
        let long = |length: usize| "x".repeat(length);
        for (member, value, wrong) in [
            ("name", Value::Null, "/name required"),
            ("name", json!(""), "/name too_short"),
            ("name", json!(" "), "/name pattern"),
            ("name", json!(long(201)), "/name too_long"),
            ("name", json!("a\u{0}b"), "/name null_character"),
            ("name", json!(["Bo"]), "/name wrong_type"),
            ("sortName", json!(""), "/sortName too_short"),
            ("email", json!("bo"), "/email format"),
            ("email", json!("bo\u{0}@example.org"), "/email format"),
            ("affiliation", json!(long(301)), "/affiliation too_long"),
            ("country", json!(false), "/country wrong_type"),
            ("externalReference", json!(long(101)), "/externalReference too_long"),
            ("externalReference", json!(7), "/externalReference wrong_type"),
            ("userId", json!(scene.anna.id), "/userId unknown_field"),
            ("eventId", json!(attendee["eventId"]), "/eventId unknown_field"),
            ("version", json!(7), "/version unknown_field"),
        ] {
            let body = overlay(json!({ "name": "Carla" }), json!({ member: value }));
            let created = app.post(&scene.path).token(token).json(&body).send().await.problem(422, "invalid_body");
            assert!(created.errors().contains(&wrong.to_owned()), "{wrong}: {:?}", created.errors());
            if value.is_null() {
                continue;
            }
            let patch = app.patch(&path).token(token).if_match(&before.etag()).merge(&json!({ member: value }));
            let patched = patch.send().await.problem(422, "invalid_body");
            assert!(patched.errors().contains(&wrong.to_owned()), "{wrong}: {:?}", patched.errors());
        }
        let patch = app.patch(&path).token(token).if_match(&before.etag()).merge(&json!({ "name": null }));
        assert_eq!(patch.send().await.problem(422, "invalid_body").pointer(), "/name");
        app.patch(&path).token(token).if_match("7").merge(&json!({})).send().await.problem(400, "invalid_parameter");
        app.patch("/v1/attendees/7").token(token).if_match("*").merge(&json!({})).send().await.problem(400, "invalid_parameter");
        assert_eq!(app.count("attendees").await, 1);
        let after = scene.read(&app, &attendee).await;
        assert_eq!((after.etag(), after.json), (before.etag(), before.json));
    }

    async fn an_external_reference_is_one_persons_in_the_event(app: App) {
        let scene = Scene::new(&app).await;
        let token = &scene.anna.token;
        scene.admit(&app, json!({ "name": "Bo", "externalReference": "T-1" })).await;
        let carla = scene.admit(&app, json!({ "name": "Carla", "externalReference": "t-1" })).await;
        let again = json!({ "name": "Dan", "externalReference": "T-1" });
        let taken = app.post(&scene.path).token(token).json(&again).send().await.problem(409, "reference_taken");
        assert_eq!(taken.pointer(), "/externalReference");
        let patch = app.patch(path_of(&carla)).token(token).if_match("*").merge(&json!({ "externalReference": "T-1" }));
        assert_eq!(patch.send().await.problem(409, "reference_taken").pointer(), "/externalReference");
        assert_eq!(scene.read(&app, &carla).await.json, carla);

        let elsewhere = app.event(&scene.anna, json!({})).await;
        app.post(format!("/v1/events/{}/attendees", elsewhere.as_id())).token(token).json(&again).send().await.expect(201);
        let at_once = (0..4).map(|_| app.post(&scene.path).token(token).json(&json!({ "name": "E", "externalReference": "T-2" })).send());
        let mut statuses: Vec<u16> = join_all(at_once).await.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409]);
        // Nobody has none more than once.
        scene.admit(&app, json!({ "name": "F" })).await;
        scene.admit(&app, json!({ "name": "G" })).await;
    }

    async fn attendees_are_found_filtered_and_paged(app: App) {
        let scene = Scene::new(&app).await;
        for body in [
            json!({ "name": "Zoë Åberg", "sortName": "Aberg", "externalReference": "T_1" }),
            json!({ "name": "ÉMILE Zola", "email": "emile@zola.example", "externalReference": "T%2" }),
            json!({ "name": "bo", "externalReference": "TX1" }),
            json!({ "name": "Bo", "affiliation": "not searched" }),
            json!({ "name": "Carla  Bo" }),
        ] {
            app.advance_secs(1);
            scene.admit(&app, body).await;
        }
        let stranger = app.event(&scene.anna, json!({})).await;
        let elsewhere = format!("/v1/events/{}/attendees", stranger.as_id());
        app.post(elsewhere).token(&scene.anna.token).json(&json!({ "name": "Bo elsewhere" })).send().await.expect(201);

        let names = |answer: Answer| answer.expect(200).all("name");
        let by_name = names(scene.list(&app, "").await);
        assert_eq!(by_name[0], "Zoë Åberg");
        assert_eq!(by_name[3..], ["Carla  Bo", "ÉMILE Zola"]);
        let mut backwards = names(scene.list(&app, "sort=-name").await);
        backwards.reverse();
        assert_eq!(backwards, by_name);
        let by_time = names(scene.list(&app, "sort=createdAt").await);
        assert_eq!(by_time, ["Zoë Åberg", "ÉMILE Zola", "bo", "Bo", "Carla  Bo"]);

        for (query, found) in [
            ("q=%C3%89mile", &["ÉMILE Zola"][..]),
            ("q=%C3%A9MILE%20zola", &["ÉMILE Zola"]),
            ("q=EMILE@ZOLA", &["ÉMILE Zola"]),
            ("q=carla%20bo", &["Carla  Bo"]),
            ("q=T_1", &["Zoë Åberg"]),
            ("q=%25", &["ÉMILE Zola"]),
            ("q=%5C", &[]),
            ("q=not%20searched", &[]),
            ("q=%27%20OR%201=1", &[]),
            ("externalReference=TX1", &["bo"]),
            ("externalReference=tx1", &[]),
            ("linked=true", &[]),
            ("q=bo&externalReference=TX1&linked=false", &["bo"]),
        ] {
            assert_eq!(names(scene.list(&app, query).await), found, "{query}");
        }
        assert_eq!(names(scene.list(&app, "linked=false").await).len(), 5);

        for sort in ["name", "-name", "createdAt"] {
            let whole = scene.list(&app, &format!("sort={sort}")).await.expect(200).ids();
            let (mut ids, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = scene.list(&app, &format!("sort={sort}&limit=2{cursor}")).await.expect(200);
                assert!(page.ids().len() <= 2);
                ids.extend(page.ids());
                assert_eq!(page.header("link").is_some(), page.json["nextCursor"].is_string());
                let Some(next) = page.json["nextCursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(ids, whole, "{sort}");
        }
        let page = scene.list(&app, "limit=1").await.expect(200);
        let cursor = page.json["nextCursor"].as_str().unwrap();
        for query in ["sort=-name", "sort=createdAt", "q=bo", "linked=false", "externalReference=TX1"] {
            scene.list(&app, &format!("{query}&cursor={cursor}")).await.problem(400, "invalid_cursor");
        }
        app.get(format!("/v1/me/attendees?cursor={cursor}")).token(&scene.anna.token).send().await.problem(400, "invalid_cursor");
        for query in ["sort=email", "linked=yes", "q=", "q=a%00b", "limit=0", "limit=1000", "page=2", "name=bo", "q=%FF"] {
            scene.list(&app, query).await.problem(400, "invalid_parameter");
        }
    }

    async fn only_owners_and_organisers_have_attendees_to_do_with(app: App) {
        let scene = Scene::new(&app).await;
        let attendee = scene.admit(&app, json!({ "name": "Bo", "email": "bo@example.org" })).await;
        let organisation = &scene.event["organisationId"];
        // Every operation, on an event and an attendee by their ids.
        let operations = |event: &str, attendee: &str, token: Option<&str>| {
            let (list, one) = (format!("/v1/events/{event}/attendees"), format!("/v1/attendees/{attendee}"));
            let calls = [
                app.get(&list),
                app.post(&list).json(&json!({ "name": "New" })),
                app.get(&one),
                app.patch(&one).if_match("\"0\"").merge(&json!({ "name": "New" })),
                app.delete(&one).if_match("\"0\""),
                app.post(format!("{one}/claim-code")),
            ];
            join_all(calls.map(|call| match token {
                Some(token) => call.token(token).send(),
                None => call.send(),
            }))
        };
        let (event, id) = (scene.event.as_id(), attendee.as_id());
        for role in ["viewer", "door"] {
            let member = app.user(role).await;
            app.member(organisation, &member, role).await;
            for answer in operations(&event, &id, Some(&member.token)).await {
                answer.problem(403, "forbidden");
            }
        }
        let eve = app.user("eve").await;
        let nothing = "019bb16e-fe80-78e1-b80b-d70ae0784c78";
        let theirs = operations(&event, &id, Some(&eve.token)).await;
        let nobodys = operations(nothing, nothing, Some(&eve.token)).await;
        for (theirs, nobodys) in theirs.into_iter().zip(nobodys) {
            let (theirs, nobodys) = (theirs.problem(404, "not_found"), nobodys.problem(404, "not_found"));
            assert_eq!(without_instance(&theirs), without_instance(&nobodys), "{}", theirs.request);
        }
        for answer in operations(&event, &id, None).await {
            answer.problem(401, "unauthenticated");
        }
        assert_eq!(app.count("attendees").await, 1);
        assert_eq!(scene.read(&app, &attendee).await.json, attendee);

        let organiser = app.user("olga").await;
        app.member(organisation, &organiser, "organiser").await;
        let statuses: Vec<u16> = operations(&event, &id, Some(&organiser.token)).await.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 201, 200, 412, 412, 201]);
        let by_slug = app.get(format!("/v1/events/{}/attendees", scene.event["slug"].as_str().unwrap()));
        assert_eq!(by_slug.token(&organiser.token).send().await.expect(200).ids().len(), 2);
    }

    async fn a_claim_code_links_one_user_once(app: App) {
        let scene = Scene::new(&app).await;
        let session = app.session(&scene.anna, &scene.event, json!({})).await;
        let attendee = scene.admit(&app, json!({ "name": "Bo", "email": "eve@example.org" })).await;
        let (bo, eve) = (app.user("bo").await, app.user("eve").await);
        book(&app, &bo, &session, json!({})).await.problem(403, "not_admitted");

        let issued = app.post(format!("{}/claim-code", path_of(&attendee))).token(&scene.anna.token).send().await.expect(201);
        assert_eq!(issued.header("cache-control"), Some("no-store"));
        assert_eq!(issued.json["attendeeId"], attendee["id"]);
        let old = issued.json["claimCode"].as_str().unwrap().to_owned();
        let code = scene.claim_code(&app, &attendee).await;
        assert_eq!(code.len(), 43);
        assert_ne!(old, code);
        const KEPT: &str = "SELECT COUNT(*) FROM attendees WHERE claim_hash = $1";
        let kept: i64 = app.db().query(KEPT).bind(code.clone().into_bytes()).scalar().await.unwrap();
        assert_eq!(kept, 0, "only its hash is kept");

        for wrong in [&old, &"A".repeat(43)] {
            assert_eq!(claim(&app, &bo, wrong).await.problem(422, "invalid_claim_code").pointer(), "/claimCode");
        }
        for (body, wrong) in [
            (json!({}), "/claimCode required"),
            (json!({ "claimCode": "short" }), "/claimCode too_short"),
            (json!({ "claimCode": code, "userId": eve.id }), "/userId unknown_field"),
        ] {
            let answer = app.post("/v1/me/attendees").token(&bo.token).json(&body).send().await.problem(422, "invalid_body");
            assert!(answer.errors().contains(&wrong.to_owned()), "{:?}", answer.errors());
        }
        app.post("/v1/me/attendees").json(&json!({ "claimCode": code })).send().await.problem(401, "unauthenticated");
        assert_eq!(scene.read(&app, &attendee).await.json, attendee, "an equal address links nobody");

        app.advance_secs(60);
        let linked = claim(&app, &bo, &code).await.expect(200);
        assert_eq!(linked.json["userId"], json!(bo.id));
        assert_eq!(linked.json["updatedAt"], "2026-03-02T08:01:00Z");
        let read = scene.read(&app, &attendee).await;
        assert_eq!((&read.json, read.etag()), (&linked.json, linked.etag()));
        let again = claim(&app, &bo, &code).await.expect(200);
        assert_eq!((&again.json, again.etag()), (&read.json, read.etag()), "the answer may have been lost");
        claim(&app, &eve, &code).await.problem(422, "invalid_claim_code");
        let issue = app.post(format!("{}/claim-code", path_of(&attendee))).token(&scene.anna.token);
        issue.send().await.problem(409, "already_linked");
        book(&app, &bo, &session, json!({})).await.expect(201);
        book(&app, &eve, &session, json!({})).await.problem(403, "not_admitted");
    }

    async fn nobody_is_two_attendees_of_one_event(app: App) {
        let scene = Scene::new(&app).await;
        let bo = app.user("bo").await;
        let first = scene.admit(&app, json!({ "name": "Bo" })).await;
        let second = scene.admit(&app, json!({ "name": "Bo again" })).await;
        let codes = [scene.claim_code(&app, &first).await, scene.claim_code(&app, &second).await];
        claim(&app, &bo, &codes[0]).await.expect(200);
        claim(&app, &bo, &codes[1]).await.problem(409, "already_linked");
        assert_eq!(scene.read(&app, &second).await.json, second);
        // The code is still good for whom it is for.
        claim(&app, &app.user("carla").await, &codes[1]).await.expect(200);
        assert_eq!(scene.list(&app, "linked=true").await.expect(200).ids().len(), 2);
    }

    async fn of_two_who_bring_one_code_one_is_linked(app: App) {
        let scene = Scene::new(&app).await;
        let (bo, carla) = (app.user("bo").await, app.user("carla").await);
        for round in 0..4 {
            let attendee = scene.admit(&app, json!({ "name": format!("Round {round}") })).await;
            let code = scene.claim_code(&app, &attendee).await;
            let (one, other) = tokio::join!(claim(&app, &bo, &code), claim(&app, &carla, &code));
            let mut statuses = [one.status, other.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 422]);
            let path = path_of(&attendee);
            app.delete(path).token(&scene.anna.token).if_match("*").send().await.expect(204);
        }
        let codes = join_all([1, 2].map(async |number| {
            let attendee = scene.admit(&app, json!({ "name": format!("Bo {number}") })).await;
            scene.claim_code(&app, &attendee).await
        })).await;
        let (one, other) = tokio::join!(claim(&app, &bo, &codes[0]), claim(&app, &bo, &codes[1]));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }

    async fn a_user_sees_the_attendees_they_are(app: App) {
        let scene = Scene::new(&app).await;
        let (bo, eve) = (app.user("bo").await, app.user("eve").await);
        let draft = app.event(&scene.anna, json!({ "status": "draft" })).await;
        let mine = || app.get("/v1/me/attendees").token(&bo.token);
        app.get("/v1/me/attendees").send().await.problem(401, "unauthenticated");
        assert_eq!(mine().send().await.expect(200).ids(), [""; 0]);
        let mut claimed = Vec::new();
        for event in [&scene.event, &draft] {
            app.advance_secs(1);
            let path = format!("/v1/events/{}/attendees", event.as_id());
            let attendee = app.post(path).token(&scene.anna.token).json(&json!({ "name": "Bo", "externalReference": "7" })).send().await;
            let code = scene.claim_code(&app, &attendee.expect(201).json).await;
            claimed.push(claim(&app, &bo, &code).await.expect(200).json);
        }
        let other = scene.admit(&app, json!({ "name": "Somebody else" })).await;
        let page = mine().send().await.expect(200);
        assert_eq!(page.json["items"], json!(claimed));
        mine().if_none_match(&page.etag()).send().await.expect(304);
        let first = app.get("/v1/me/attendees?limit=1").token(&bo.token).send().await.expect(200);
        assert_eq!(first.ids(), [claimed[0].as_id()]);
        let next = format!("/v1/me/attendees?limit=1&cursor={}", first.json["nextCursor"].as_str().unwrap());
        let second = app.get(next).token(&bo.token).send().await.expect(200);
        assert_eq!((second.ids(), &second.json["nextCursor"]), (vec![claimed[1].as_id()], &Value::Null));

        for attendee in &claimed {
            let path = path_of(attendee);
            assert_eq!(app.get(&path).token(&bo.token).send().await.expect(200).json, *attendee);
            app.get(&path).token(&eve.token).send().await.problem(404, "not_found");
            // To read is all they may.
            app.patch(&path).token(&bo.token).if_match("*").merge(&json!({ "name": "X" })).send().await.problem(404, "not_found");
            app.delete(&path).token(&bo.token).if_match("*").send().await.problem(404, "not_found");
        }
        app.get(path_of(&other)).token(&bo.token).send().await.problem(404, "not_found");
        // A member without the role for others still sees themself.
        app.member(&scene.event["organisationId"], &bo, "door").await;
        app.get(path_of(&claimed[0])).token(&bo.token).send().await.expect(200);
        app.get(path_of(&other)).token(&bo.token).send().await.problem(403, "forbidden");
    }

    async fn whoever_holds_a_seat_is_not_removed(app: App) {
        let scene = Scene::new(&app).await;
        let token = &scene.anna.token;
        let mut sessions = Vec::new();
        for code in ["B2", "A1", "C3"] {
            sessions.push(app.session(&scene.anna, &scene.event, json!({ "code": code, "capacity": 1 })).await);
        }
        let (first, bo) = (scene.admit(&app, json!({ "name": "First" })).await, scene.admit(&app, json!({ "name": "Bo" })).await);
        book(&app, &scene.anna, &sessions[0], json!({ "attendeeId": first["id"] })).await.expect(201);
        let mut registrations = Vec::new();
        for session in &sessions[..2] {
            registrations.push(book(&app, &scene.anna, session, json!({ "attendeeId": bo["id"] })).await.expect(201).json);
        }
        assert_eq!(registrations[0]["status"], "waitlisted");
        let delete = || app.delete(path_of(&bo)).token(token).if_match("*").send();
        let refused = delete().await.problem(409, "has_registrations");
        assert_eq!(refused.json["registrations"], 2);
        let named = [1, 0].map(|index: usize| json!({ "id": sessions[index]["id"], "code": sessions[index]["code"] }));
        assert_eq!(refused.json["sessions"], json!(named));
        assert_eq!(scene.read(&app, &bo).await.json, bo);
        for registration in &registrations {
            delete().await.problem(409, "has_registrations");
            app.post(format!("/v1/registrations/{}/cancel", registration.as_id())).token(token).send().await.expect(200);
        }
        delete().await.expect(204);
        for registration in &registrations {
            app.get(format!("/v1/registrations/{}", registration.as_id())).token(token).send().await.problem(404, "not_found");
        }
        assert_eq!(app.count("registrations").await, 1);
        let seats = app.get(format!("/v1/sessions/{}/availability", sessions[1].as_id())).send().await.expect(200).json;
        assert_eq!((&seats["taken"], &seats["available"]), (&json!(0), &json!(1)));
    }

    async fn a_booking_and_a_removal_at_once_leave_no_orphan(app: App) {
        a_booking_against_a_removal(&app, &app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_and_a_removal_on_two_nodes_leave_no_orphan() {
    let Some(app) = App::on_postgres().await else { return };
    a_booking_against_a_removal(&app, &app.another_node().await).await;
}

/// Either the booking is first and the removal refused, or the removal is first and there is nobody to book for.
async fn a_booking_against_a_removal(app: &App, node: &App) {
    let scene = Scene::new(app).await;
    let session = app.session(&scene.anna, &scene.event, json!({ "capacity": 100 })).await;
    for round in 0..12 {
        let attendee = scene.admit(app, json!({ "name": format!("Round {round}") })).await;
        let (booked, removed) = tokio::join!(
            book(app, &scene.anna, &session, json!({ "attendeeId": attendee["id"] })),
            node.delete(path_of(&attendee)).token(&scene.anna.token).if_match("*").send()
        );
        match (booked.status, removed.status) {
            (201, 409) => removed.problem(409, "has_registrations"),
            (422, 204) => booked.problem(422, "unknown_reference"),
            other => panic!("{other:?}: {} {}", booked.text, removed.text),
        };
    }
    let taken = app.get(format!("/v1/sessions/{}/availability", session.as_id())).send().await.expect(200).json["taken"].clone();
    assert_eq!(taken, json!(app.count("registrations").await));
}
