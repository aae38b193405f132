//! Somebody is forgotten, and what they had goes to others.

use super::*;

impl Scene {
    async fn erase(&self, person: &str) -> Answer {
        self.app.post(format!("/v1/attendees/{person}/erase")).token(&self.anna.token).send().await
    }
}

on_both! {
    async fn all_they_had_ends_and_goes_to_who_waits(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let (noon, later) = (
            scene.session("A", "12:00-13:00", json!({})).await,
            scene.session("B", "14:00-15:00", json!({ "waitlist": { "mode": "offer" } })).await,
        );
        let full = scene.session("C", "16:00-17:00", json!({})).await;
        scene.somebody_in(&full).await;
        let taken = scene.somebody_in(&later).await;
        let (seat, offered, waits) = (scene.seat(&noon, &ada).await, scene.wait(&later, &ada).await, scene.wait(&full, &ada).await);
        let (next, next_offered, next_in_line) =
            (scene.wait(&noon, &bo).await, scene.wait(&later, &bo).await, scene.wait(&full, &bo).await);
        scene.cancel(&taken).await;
        assert_eq!(scene.state(&offered).await, "offered");
        let erased = scene.erase(&ada).await.expect(200);
        for registration in [&seat, &offered, &waits] {
            assert_eq!(scene.state(registration).await, "cancelled erased");
        }
        assert_eq!(scene.states([&next, &next_offered]).await, ["confirmed", "offered"]);
        assert_eq!(scene.state(&next_in_line).await, "waitlisted 1");
        let journal = scene.app.count("journal").await;
        assert_eq!(scene.erase(&ada).await.expect(200).json, erased.json, "a repeat changes nothing");
        assert_eq!(scene.app.count("journal").await, journal);
        scene.end().await;
    }

    async fn the_person_is_forgotten_and_what_they_had_still_counts(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 2 })).await;
        let bo = scene.app.user("Bo Secret").await;
        let seat = scene.app.book(&session, &bo).await.expect(201).json;
        let person = seat["attendeeId"].as_id();
        scene
            .recast(
                &person,
                json!({ "affiliation": "Secret Clinic", "country": "NO", "externalReference": "SECRET-1", "category": "expert" }),
            )
            .await;
        let erased = scene.erase(&person).await.expect(200).json;
        assert!(!erased.to_string().to_lowercase().contains("secret"), "{erased}");
        assert_eq!((&erased["email"], &erased["userId"], &erased["externalReference"]), (&Value::Null, &Value::Null, &Value::Null));
        let roster = scene.app.get(registrations(&session)).token(&scene.anna.token).send().await.expect(200);
        assert!(!roster.text.to_lowercase().contains("secret"), "{}", roster.text);
        assert_eq!(roster.ids(), [seat.as_id()]);
        let found = format!("/v1/events/{}/attendees?q=secret", scene.event.as_id());
        assert_eq!(scene.app.get(found).token(&scene.anna.token).send().await.expect(200).ids(), Vec::<String>::new());

        // The user is a stranger again, and can begin anew.
        scene.app.get(format!("/v1/registrations/{}", seat.as_id())).token(&bo.token).send().await.problem(404, "not_found");
        let again = scene.app.book(&session, &bo).await.expect(201).json;
        assert_ne!(again["attendeeId"], seat["attendeeId"]);
        scene.end().await;
    }

    async fn they_do_not_come_back_in_the_answer_to_a_repeat_nor_in_the_journal(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 2 })).await;
        let add = format!("/v1/events/{}/attendees", scene.event.as_id());
        let person = json!({ "name": "Erase Me", "email": "erase@example.org" });
        let add = scene.app.post(add).token(&scene.anna.token).header("idempotency-key", "person-1").json(&person);
        let added = add.clone().send().await.expect(201).json.as_id();
        assert_eq!(add.clone().send().await.expect(201).json.as_id(), added);
        scene.erase(&added).await.expect(200);
        assert_ne!(add.send().await.expect(201).json.as_id(), added, "somebody new, as far as is known");
        let bo = scene.app.user("Bo").await;
        let seat = scene.app.book(&session, &bo).await.expect(201).json;
        assert_eq!(scene.journal("?kind=registration_confirmed").await[0]["actorName"], "Bo");
        scene.erase(&seat["attendeeId"].as_id()).await.expect(200);
        let entry = &scene.journal("?kind=registration_confirmed").await[0];
        assert_eq!((&entry["actorId"], &entry["actorName"]), (&Value::Null, &Value::Null));
        scene.end().await;
    }

    async fn they_move_up_nowhere_on_the_way(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let ada = scene.person().await;
        let (first, noon, last) = (
            scene.session("A", "12:00-13:00", json!({})).await,
            scene.session("B", "12:00-13:00", json!({})).await,
            scene.session("C", "12:00-13:00", json!({})).await,
        );
        let taken = [scene.somebody_in(&first).await, scene.somebody_in(&last).await];
        scene.wait(&first, &ada).await;
        scene.seat(&noon, &ada).await;
        scene.wait(&last, &ada).await;
        // Only her seat keeps her from the others.
        for taken in &taken {
            scene.cancel(taken).await;
        }
        scene.erase(&ada).await.expect(200);
        let told = scene.journal(&format!("?attendeeId={ada}&sort=-id&limit=4")).await;
        let kinds: Vec<&str> = told.iter().filter_map(|entry| entry["kind"].as_str()).collect();
        assert_eq!(kinds, ["registration_cancelled", "registration_cancelled", "registration_cancelled", "registration_waitlisted"]);
        scene.end().await;
    }

    async fn who_is_forgotten_comes_back_through_no_door(app: App) {
        let scene = Scene::new(app, json!({ "admission": "attendees_only" })).await;
        let session = scene.session("A", "12:00-13:00", json!({})).await;
        let ada = scene.person().await;
        let claim = format!("/v1/attendees/{ada}/claim-code");
        let code = scene.app.post(&claim).token(&scene.anna.token).send().await.expect(201).json["claimCode"].clone();
        scene.erase(&ada).await.expect(200);
        scene.app.post(&claim).token(&scene.anna.token).send().await.problem(409, "attendee_erased");
        let path = format!("/v1/attendees/{ada}");
        let renamed = json!({ "name": "Ada" });
        scene.app.patch(path).token(&scene.anna.token).if_match("*").merge(&renamed).send().await.problem(409, "attendee_erased");
        let bo = scene.app.user("bo").await;
        scene
            .app
            .post("/v1/me/attendees")
            .token(&bo.token)
            .json(&json!({ "claimCode": code }))
            .send()
            .await
            .problem(422, "invalid_claim_code");
        assert_eq!(scene.book(&session, &ada).await.problem(422, "unknown_reference").pointer(), "/attendeeId");
        scene.end().await;
    }

    async fn nobody_moves_up_in_what_has_begun(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({})).await;
        let (seat, waits) = (scene.seat(&session, &ada).await, scene.wait(&session, &bo).await);
        scene.app.clock.set(at("2026-03-11T12:00:00Z"));
        scene.erase(&ada).await.expect(200);
        assert_eq!(scene.states([&seat, &waits]).await, ["cancelled erased", "waitlisted"]);
        scene.end().await;
    }
}
