//! Sessions that are cancelled, moved or deleted, and who has two seats at the same hours then.

use super::*;

impl Scene {
    async fn clashes(&self, session: &Value, query: &str) -> Answer {
        self.app.get(format!("/v1/sessions/{}/clashes{query}", session.as_id())).token(&self.anna.token).send().await
    }
}

on_both! {
    async fn a_cancelled_session_takes_all_its_registrations_along(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 2, "waitlist": { "mode": "offer" } })).await;
        let (seat, other) = (scene.somebody_in(&session).await, scene.somebody_in(&session).await);
        let [ada, bo] = scene.people().await;
        let (offered, waits) = (scene.wait(&session, &ada).await, scene.wait(&session, &bo).await);
        scene.cancel(&other).await;
        assert_eq!(scene.state(&offered).await, "offered");
        let cancel = format!("/v1/sessions/{}/cancel", session.as_id());
        let cancelled = scene.app.post(&cancel).token(&scene.anna.token).send().await.expect(200);
        assert_eq!(cancelled.json["status"], "cancelled");
        for registration in [&seat, &offered, &waits] {
            assert_eq!(scene.state(registration).await, "cancelled session_cancelled");
        }
        assert_eq!(scene.seats(&session).await, (0, 0));
        let journal = scene.app.count("journal").await;
        assert_eq!(
            scene.app.post(&cancel).token(&scene.anna.token).send().await.expect(200).etag(),
            cancelled.etag(),
            "a repeat changes nothing"
        );
        assert_eq!(scene.app.count("journal").await, journal);
        scene.app.act("accept", &offered, &scene.anna).await.problem(409, "registration_cancelled");
        scene.book(&session, &ada).await.problem(409, "session_cancelled");

        // Published again it is empty: nobody is restored.
        scene.edit(&session, json!({ "status": "published" })).await;
        scene.settle().await;
        assert_eq!((scene.state(&seat).await.as_str(), scene.seats(&session).await), ("cancelled session_cancelled", (0, 0)));
        scene.seat(&session, &ada).await;
        scene.edit(&session, json!({ "status": "cancelled" })).await;
        assert_eq!(scene.seats(&session).await, (0, 0), "an edit is as good");
        scene.end().await;
    }

    async fn an_offer_that_was_over_stays_what_it_was(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let ada = scene.person().await;
        let mut offers = Vec::new();
        for (code, hours) in [("A", "12:00-13:00"), ("B", "14:00-15:00")] {
            let session = scene.session(code, hours, json!({ "waitlist": { "mode": "offer" } })).await;
            let taken = scene.somebody_in(&session).await;
            offers.push((scene.wait(&session, &ada).await, session));
            scene.cancel(&taken).await;
        }
        scene.app.clock.set(at("2026-03-03T08:00:00Z"));
        scene.edit(&offers[0].1, json!({ "status": "cancelled" })).await;
        scene.app.post(format!("/v1/attendees/{ada}/erase")).token(&scene.anna.token).send().await.expect(200);
        for (offer, _) in &offers {
            assert_eq!(scene.state(offer).await, "cancelled offer_expired");
        }
        scene.end().await;
    }

    async fn other_hours_leave_everybody_where_they_are_and_tell_who_clashes(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let (noon, later) = (
            scene.session("A", "12:00-13:00", json!({ "capacity": 3 })).await,
            scene.session("B", "14:00-15:00", json!({ "capacity": 3 })).await,
        );
        let [ada, bo, carla] = scene.people().await;
        for (person, name) in [(&ada, "Ada"), (&bo, "Bo"), (&carla, "Carla")] {
            scene.recast(person, json!({ "name": name })).await;
        }
        let (seat, other) = (scene.seat(&noon, &ada).await, scene.seat(&later, &ada).await);
        let (seat_of_bo, other_of_bo) = (scene.seat(&noon, &bo).await, scene.seat(&later, &bo).await);
        scene.seat(&noon, &carla).await;
        assert_eq!(scene.clashes(&noon, "").await.expect(200).json["items"], json!([]));

        let hours = json!({ "startsAt": "2026-03-11T14:30:00Z", "endsAt": "2026-03-11T15:30:00Z" });
        let clash = |held: &Value, name: &str, other: &Value| {
            json!({
                "registrationId": held["id"], "attendee": { "id": held["attendeeId"], "name": name },
                "session": {
                    "id": later["id"], "code": "B", "startsAt": "2026-03-11T14:00:00Z", "endsAt": "2026-03-11T15:00:00Z", "registrationId": other["id"],
                },
            })
        };
        let expected = [clash(&seat, "Ada", &other), clash(&seat_of_bo, "Bo", &other_of_bo)];
        let preview = scene.edit_with("?preview=true", &noon, hours.clone()).await.expect(200).json;
        assert_eq!((&preview["clashCount"], &preview["clashes"]), (&json!(2), &json!(expected)));
        assert_eq!(scene.clashes(&noon, "").await.expect(200).json["items"], json!([]), "nothing was written");
        scene.edit(&noon, hours).await;
        assert_eq!(scene.seats(&noon).await, (3, 0));
        let first = scene.clashes(&noon, "?limit=1").await.expect(200).json;
        assert_eq!(first["items"], json!([expected[0]]));
        let second = scene.clashes(&noon, &format!("?limit=1&cursor={}", first["nextCursor"].as_str().unwrap())).await.expect(200).json;
        assert_eq!((&second["items"], &second["nextCursor"]), (&json!([expected[1]]), &Value::Null));

        // Who gives one of the two back clashes no more, and nobody does where it is allowed.
        scene.cancel(&other).await;
        assert_eq!(scene.clashes(&noon, "").await.expect(200).json["items"], json!([expected[1]]));
        scene.rules(json!({ "overlap": "allow" })).await;
        assert_eq!(scene.clashes(&noon, "").await.expect(200).json["items"], json!([]));
        scene.end().await;
    }

    async fn a_session_goes_when_nobody_is_registered_any_more(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 0 })).await;
        let waits = scene.wait(&session, &scene.person().await).await;
        let path = format!("/v1/sessions/{}", session.as_id());
        let delete = || scene.app.delete(&path).token(&scene.anna.token).if_match("*").send();
        let refused = delete().await.problem(409, "has_registrations");
        assert_eq!(
            (&refused.json["registrations"], &refused.json["sessions"]),
            (&json!(1), &json!([{ "id": session["id"], "code": "A" }]))
        );
        scene.cancel(&waits).await;
        delete().await.expect(204);
        scene.app.get(&path).send().await.problem(404, "not_found");
        let told: Vec<Value> = scene.journal("").await.iter().map(|entry| entry["kind"].clone()).collect();
        assert_eq!(told, ["registration_waitlisted", "registration_cancelled"], "what happened in it is still told");
        scene.end().await;
    }
}
