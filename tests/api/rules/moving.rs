//! Moving a registration is one decision: the other seat is taken, or the old one is kept.

use super::*;

impl Scene {
    /// Anna moves a registration, with wishes.
    async fn move_with(&self, session: &Value, registration: &Value, wishes: Value) -> Answer {
        let body = overlay(json!({ "sessionId": session["id"] }), wishes);
        self.app.post(path_of(registration)).token(&self.anna.token).json(&body).send().await
    }

    /// The move is refused, and nothing has changed.
    async fn stays(&self, session: &Value, registration: &Value, (status, code): (u16, &str)) -> Answer {
        let before = (self.read(registration).await, self.seats(session).await, self.app.count("journal").await);
        let refused = self.move_to(session, registration).await.problem(status, code);
        assert_eq!((self.read(registration).await, self.seats(session).await, self.app.count("journal").await), before, "{code}");
        refused
    }
}

fn path_of(registration: &Value) -> String {
    format!("/v1/registrations/{}/move", registration.as_id())
}

on_both! {
    async fn the_new_seat_is_taken_and_the_old_one_goes_to_who_waits(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let (from, to) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "12:30-13:30", json!({})).await);
        let seat = scene.seat(&from, &ada).await;
        let waits = scene.wait(&from, &bo).await;
        let moved = scene.move_to(&to, &seat).await.expect(201);
        assert_eq!((&moved.json["sessionId"], &moved.json["status"], &moved.json["seq"]), (&to["id"], &json!("confirmed"), &json!(1)));
        assert_eq!(moved.header("location"), Some(format!("/v1/registrations/{}", moved.json.as_id()).as_str()));
        let old = scene.read(&seat).await;
        assert_eq!((state_of(&old).as_str(), &old["movedTo"]), ("cancelled moved", &moved.json["id"]));
        assert_eq!(scene.state(&waits).await, "confirmed");
        assert_eq!((scene.seats(&from).await, scene.seats(&to).await), ((1, 0), (1, 0)));
        scene.end().await;
    }

    async fn the_old_seat_is_kept_when_the_other_session_is_full(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let (from, to) = (
            scene.session("A", "12:00-13:00", json!({})).await,
            scene.session("B", "14:00-15:00", json!({ "waitlist": { "mode": "auto", "limit": 1 } })).await,
        );
        let (one, other) = (scene.seat(&from, &ada).await, scene.session("C", "16:00-17:00", json!({})).await);
        let two = scene.seat(&other, &bo).await;
        scene.somebody_in(&to).await;
        // Nobody is put in line who didn't ask for it.
        assert_eq!(scene.stays(&to, &one, (409, "session_full")).await.json["sessionId"], to["id"]);
        let line = json!({ "ifFull": "waitlist" });
        let waits = scene.move_with(&to, &one, line.clone()).await.expect(201).json;
        assert_eq!((state_of(&waits).as_str(), scene.state(&one).await.as_str()), ("waitlisted 1", "cancelled moved"));
        scene.move_with(&to, &two, line).await.problem(409, "waitlist_full");
        assert_eq!(scene.state(&two).await, "confirmed");
        scene.end().await;
    }

    async fn a_repeat_answers_with_where_it_led(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let ada = scene.person().await;
        let (from, to) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "14:00-15:00", json!({})).await);
        let elsewhere = scene.session("C", "16:00-17:00", json!({})).await;
        let seat = scene.seat(&from, &ada).await;
        let moved = scene.move_to(&to, &seat).await.expect(201).json;
        let before = scene.app.count("journal").await;
        assert_eq!(scene.move_to(&to, &seat).await.expect(200).json, moved);
        let refused = scene.move_to(&elsewhere, &seat).await.problem(409, "registration_cancelled");
        assert_eq!(refused.json["cancelReason"], "moved");
        assert_eq!(scene.app.count("journal").await, before);
        scene.cancel(&moved).await;
        let refused = scene.move_to(&elsewhere, &moved).await.problem(409, "registration_cancelled");
        assert_eq!(refused.json["cancelReason"], "by_organiser");
        scene.end().await;
    }

    async fn with_an_idempotency_key_it_is_done_once(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let ada = scene.person().await;
        let (from, to) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "14:00-15:00", json!({})).await);
        let seat = scene.seat(&from, &ada).await;
        let call = |session: &Value| {
            let body = json!({ "sessionId": session["id"] });
            scene.app.post(path_of(&seat)).token(&scene.anna.token).header("idempotency-key", "\"one-move\"").json(&body).send()
        };
        let moved = call(&to).await.expect(201);
        let again = call(&to).await.expect(201);
        assert_eq!((&again.json, again.header("idempotency-replayed")), (&moved.json, Some("true")));
        call(&from).await.problem(422, "idempotency_key_reused");
        scene.end().await;
    }

    async fn the_old_seat_counts_towards_no_limit(app: App) {
        let scene = Scene::new(app, json!({ "maxSessions": 2, "maxSessionsPerDay": 1 })).await;
        let ada = scene.person().await;
        let (from, to) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "14:00-15:00", json!({})).await);
        let (next_day, other_day) =
            (scene.session("C", "12 12:00-13:00", json!({})).await, scene.session("D", "13 12:00-13:00", json!({})).await);
        let seat = scene.seat(&from, &ada).await;
        scene.seat(&next_day, &ada).await;
        scene.book(&to, &ada).await.problem(409, "limit_reached");
        scene.book(&other_day, &ada).await.problem(409, "limit_reached");
        let moved = scene.move_to(&to, &seat).await.expect(201).json;
        scene.move_to(&other_day, &moved).await.expect(201);
        scene.end().await;
    }

    async fn what_holds_for_a_booking_holds_for_a_move(app: App) {
        let scene = Scene::new(app, json!({ "maxSessionsPerDay": 2 })).await;
        let ada = scene.person().await;
        let from = scene.session("A", "12:00-13:00", json!({})).await;
        let seat = scene.seat(&from, &ada).await;
        for (hours, code) in [("12 12:00-13:00", "B"), ("12 14:00-15:00", "C")] {
            let other = scene.session(code, hours, json!({})).await;
            scene.seat(&other, &ada).await;
        }
        let session = |code: &'static str, hours: &'static str, overrides| scene.session(code, hours, overrides);
        let refusals = [
            (session("D", "13 12:00-13:00", json!({ "booking": { "opensAt": "2026-03-09T08:00:00Z" } })).await, (409, "booking_not_open")),
            (session("E", "13 12:00-13:00", json!({ "booking": { "closesAt": "2026-03-01T08:00:00Z" } })).await, (409, "booking_closed")),
            (session("F", "13 12:00-13:00", json!({ "booking": { "categories": ["doctors"] } })).await, (403, "not_entitled")),
            (session("G", "12 16:00-17:00", json!({})).await, (409, "limit_reached")),
            (session("H", "13 12:00-13:00", json!({ "status": "cancelled" })).await, (409, "session_cancelled")),
            (session("I", "13 12:00-13:00", json!({ "status": "draft" })).await, (422, "unknown_reference")),
            (session("J", "02 07:00-09:00", json!({})).await, (409, "session_started")),
        ];
        for (session, refusal) in &refusals {
            if refusal.1 != "unknown_reference" {
                scene.stays(session, &seat, *refusal).await;
            } else {
                assert_eq!(scene.move_to(session, &seat).await.problem(422, refusal.1).pointer(), "/sessionId");
            }
        }
        // The seat that is given up is not in the way, a third one is.
        scene.rules(json!({ "maxSessionsPerDay": null })).await;
        let clashing = scene.session("K", "12 12:30-13:30", json!({})).await;
        assert_eq!(scene.stays(&clashing, &seat, (409, "time_conflict")).await.json["clash"]["code"], "B");
        scene.end().await;
    }

    async fn it_stays_within_the_event(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let from = scene.session("A", "12:00-13:00", json!({})).await;
        let seat = scene.somebody_in(&from).await;
        let other = scene.app.event(&scene.anna, json!({ "organisationId": scene.event["organisationId"] })).await;
        let elsewhere = scene.app.session(&scene.anna, &other, json!({})).await;
        for session in [elsewhere["id"].clone(), json!("0195a000-0000-7000-8000-000000000000")] {
            let refused = scene.move_to(&session, &seat).await.problem(422, "unknown_reference");
            assert_eq!(refused.pointer(), "/sessionId");
        }
        assert_eq!(scene.state(&seat).await, "confirmed");
        scene.end().await;
    }

    async fn nobody_leaves_a_session_that_has_begun_but_by_an_organiser(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let (from, to) =
            (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "14:00-15:00", json!({ "capacity": 2 })).await);
        let bo = scene.app.user("bo").await;
        let seat = scene.app.book(&from, &bo).await.expect(201).json;
        scene.app.clock.set(at("2026-03-11T12:00:00Z"));
        scene.app.move_to(&to, &seat, &bo).await.problem(409, "session_started");
        assert_eq!(scene.state(&seat).await, "confirmed");
        scene.move_to(&to, &seat).await.expect(201);
        scene.end().await;
    }

    async fn who_waits_there_already_keeps_their_place(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let (from, to) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "12:00-13:00", json!({})).await);
        let taken = scene.somebody_in(&to).await;
        let seat = scene.seat(&from, &ada).await;
        let (behind, waits) = (scene.wait(&to, &ada).await, scene.wait(&to, &bo).await);
        scene.stays(&to, &seat, (409, "session_full")).await;
        // Now there is a seat that only the old one keeps Ada from.
        scene.cancel(&waits).await;
        scene.cancel(&taken).await;
        assert_eq!(scene.state(&behind).await, "waitlisted 1");
        let moved = scene.move_to(&to, &seat).await.expect(200).json;
        assert_eq!((&moved["id"], &moved["seq"], &moved["status"]), (&behind["id"], &behind["seq"], &json!("confirmed")));
        let old = scene.read(&seat).await;
        assert_eq!((state_of(&old).as_str(), &old["movedTo"]), ("cancelled moved", &behind["id"]));
        assert_eq!(scene.seats(&to).await, (1, 0));
        scene.end().await;
    }

    async fn nor_into_one_that_has_begun_even_to_a_place_one_has(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let ada = scene.person().await;
        let (from, to) = (scene.session("A", "14:00-15:00", json!({})).await, scene.session("B", "12:00-14:30", json!({})).await);
        let taken = scene.somebody_in(&to).await;
        let (seat, waits) = (scene.seat(&from, &ada).await, scene.wait(&to, &ada).await);
        scene.cancel(&taken).await;
        assert_eq!(scene.seats(&to).await, (0, 1));
        scene.app.clock.set(at("2026-03-11T12:00:00Z"));
        scene.stays(&to, &seat, (409, "session_started")).await;
        assert_eq!(scene.state(&waits).await, "waitlisted");
        scene.end().await;
    }

    async fn a_seat_can_be_given_up_for_the_place_one_has(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let (from, to) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "14:00-15:00", json!({})).await);
        scene.somebody_in(&to).await;
        scene.wait(&to, &bo).await;
        let (seat, waits) = (scene.seat(&from, &ada).await, scene.wait(&to, &ada).await);
        let moved = scene.move_with(&to, &seat, json!({ "ifFull": "waitlist" })).await.expect(200).json;
        assert_eq!((&moved["id"], state_of(&moved).as_str()), (&waits["id"], "waitlisted 2"));
        assert_eq!((scene.state(&seat).await.as_str(), scene.seats(&from).await), ("cancelled moved", (0, 0)));
        scene.end().await;
    }

    async fn an_offer_there_is_taken_by_moving(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let ada = scene.person().await;
        let from = scene.session("A", "12:00-13:00", json!({})).await;
        let to = scene.session("B", "12:00-13:00", json!({ "waitlist": { "mode": "offer" } })).await;
        let taken = scene.somebody_in(&to).await;
        let waits = scene.wait(&to, &ada).await;
        scene.cancel(&taken).await;
        assert_eq!(scene.state(&waits).await, "offered");
        let seat = scene.seat(&from, &ada).await;
        scene.app.act("accept", &waits, &scene.anna).await.problem(409, "time_conflict");
        let moved = scene.move_to(&to, &seat).await.expect(200).json;
        assert_eq!((&moved["id"], &moved["status"], &moved["offerExpiresAt"]), (&waits["id"], &json!("confirmed"), &Value::Null));
        assert_eq!((scene.state(&seat).await.as_str(), scene.seats(&to).await), ("cancelled moved", (1, 0)));
        scene.end().await;
    }

    async fn who_waits_can_move_too(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let (from, to) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "12:00-13:00", json!({})).await);
        scene.somebody_in(&from).await;
        let (first, second) = (scene.wait(&from, &ada).await, scene.wait(&from, &bo).await);
        assert_eq!(scene.move_to(&to, &first).await.expect(201).json["status"], "confirmed");
        assert_eq!(scene.states([&first, &second]).await, ["cancelled moved", "waitlisted 1"]);
        assert_eq!(scene.move_to(&from, &second).await.expect(200).json["id"], second["id"], "to where one is, nothing changes");
        assert_eq!(scene.state(&second).await, "waitlisted 1");
        scene.end().await;
    }

    async fn of_two_who_want_each_others_seat_nobody_loses_theirs(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let (one, other) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "14:00-15:00", json!({})).await);
        let (ada, bo) = (scene.somebody_in(&one).await, scene.somebody_in(&other).await);
        for answer in join_all([scene.move_to(&other, &ada), scene.move_to(&one, &bo)]).await {
            answer.problem(409, "session_full");
        }
        assert_eq!(scene.states([&ada, &bo]).await, ["confirmed", "confirmed"]);
        scene.end().await;
    }
}
