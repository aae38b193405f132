//! A wish list: what would come of it, and booking it.

use super::*;

impl Scene {
    /// What is answered to a wish list of somebody; `kind` is `plan` or `bookings`.
    async fn wish(&self, kind: &str, person: &str, sessions: &[&Value]) -> Vec<Value> {
        self.ask(kind, &json!({ "attendeeId": person, "sessions": wishes(sessions) })).await.expect(200).json["items"]
            .as_array()
            .expect("items")
            .clone()
    }

    async fn ask(&self, kind: &str, body: &Value) -> Answer {
        self.app.post(format!("/v1/events/{}/{kind}", self.event.as_id())).token(&self.anna.token).json(body).send().await
    }

    /// How many rows there are of whatever a booking writes.
    async fn written(&self) -> Vec<i64> {
        let tables = ["attendees", "registrations", "journal", "due_sessions"];
        join_all(tables.map(|table| self.app.count(table))).await
    }
}

fn wishes(sessions: &[&Value]) -> Value {
    sessions.iter().map(|session| json!({ "sessionId": session["id"] })).collect()
}

fn verdicts(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["verdict"].as_str().expect("a verdict")).collect()
}

/// The status of each booking, and what it is.
fn results(items: &[Value]) -> Vec<(u64, &str)> {
    items.iter().map(result).collect()
}

fn result(item: &Value) -> (u64, &str) {
    let what = item["registration"]["status"].as_str().or(item["problem"]["code"].as_str());
    (item["status"].as_u64().expect("a status"), what.expect("a registration or a problem"))
}

on_both! {
    async fn a_plan_tells_what_bookings_come_to_and_writes_nothing(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let ada = scene.person().await;
        let free = scene.session("A", "12:00-13:00", json!({})).await;
        let beside = scene.session("B", "12:30-13:30", json!({})).await;
        let full = scene.session("C", "14:00-15:00", json!({})).await;
        let refuses = scene.session("D", "15:00-16:00", json!({ "waitlist": { "mode": "none" } })).await;
        let draft = scene.session("E", "16:00-17:00", json!({ "status": "draft" })).await;
        let held = scene.session("F", "17:00-18:00", json!({})).await;
        let early = scene.session("G", "18:00-19:00", json!({ "booking": { "opensAt": "2026-03-09T08:00:00Z" } })).await;
        scene.somebody_in(&full).await;
        scene.somebody_in(&refuses).await;
        let seat = scene.seat(&held, &ada).await;
        let list = [&free, &beside, &full, &refuses, &draft, &held, &early];
        let before = scene.written().await;
        let plan = scene.wish("plan", &ada, &list).await;
        assert_eq!(scene.written().await, before);
        assert_eq!(
            verdicts(&plan),
            ["confirmed", "time_conflict", "waitlisted", "session_full", "not_found", "confirmed", "booking_not_open"]
        );
        assert_eq!((&plan[2]["position"], &plan[5]["registrationId"]), (&json!(1), &seat["id"]));
        assert_eq!(plan[1]["problem"]["clash"]["code"], "A", "each in the light of those before it");
        assert_eq!(plan[6]["problem"]["opensAt"], "2026-03-09T08:00:00Z");

        let booked = scene.wish("bookings", &ada, &list).await;
        assert_eq!(
            results(&booked),
            [
                (201, "confirmed"),
                (409, "time_conflict"),
                (201, "waitlisted"),
                (409, "session_full"),
                (404, "not_found"),
                (200, "confirmed"),
                (409, "booking_not_open"),
            ]
        );
        assert_eq!((&booked[2]["registration"]["position"], &booked[5]["registration"]["id"]), (&json!(1), &seat["id"]));
        assert_eq!((scene.seats(&free).await, scene.seats(&full).await), ((1, 0), (1, 1)));
        scene.end().await;
    }

    async fn the_order_is_that_of_preference(app: App) {
        let scene = Scene::new(app, json!({ "maxSessions": 2 })).await;
        let [ada, bo] = scene.people().await;
        let seats = json!({ "capacity": 9 });
        let (one, beside) =
            (scene.session("A", "12:00-13:00", seats.clone()).await, scene.session("B", "12:30-13:30", seats.clone()).await);
        let (later, latest) = (scene.session("C", "14:00-15:00", seats.clone()).await, scene.session("D", "16:00-17:00", seats).await);
        for (person, list, expected) in [
            (&ada, [&one, &beside, &later, &latest], ["confirmed", "time_conflict", "confirmed", "limit_reached"]),
            (&bo, [&latest, &beside, &one, &later], ["confirmed", "confirmed", "limit_reached", "limit_reached"]),
        ] {
            assert_eq!(verdicts(&scene.wish("plan", person, &list).await), expected);
            let booked = scene.wish("bookings", person, &list).await;
            assert_eq!(results(&booked).iter().map(|result| result.1).collect::<Vec<_>>(), expected);
        }
        scene.end().await;
    }

    async fn bookings_can_be_repeated(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let ada = scene.person().await;
        let (free, full) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "14:00-15:00", json!({})).await);
        scene.somebody_in(&full).await;
        let first = scene.wish("bookings", &ada, &[&free, &full]).await;
        assert_eq!(results(&first), [(201, "confirmed"), (201, "waitlisted")]);
        let before = scene.written().await;
        let again = scene.wish("bookings", &ada, &[&free, &full, &free]).await;
        assert_eq!(results(&again), [(200, "confirmed"), (200, "waitlisted"), (200, "confirmed")]);
        assert_eq!(again[1]["registration"]["id"], first[1]["registration"]["id"]);
        assert_eq!(scene.written().await, before);
        assert_eq!(verdicts(&scene.wish("plan", &ada, &[&free, &full]).await), ["confirmed", "waitlisted"]);
        scene.end().await;
    }

    async fn with_an_idempotency_key_the_answer_is_the_same(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 2 })).await;
        let path = format!("/v1/events/{}/bookings", scene.event.as_id());
        let call = |person: &str| {
            let body = json!({ "attendeeId": person, "sessions": wishes(&[&session]) });
            scene.app.post(&path).token(&scene.anna.token).header("idempotency-key", "\"a-list\"").json(&body).send()
        };
        let first = call(&ada).await.expect(200);
        assert_eq!(
            (results(first.json["items"].as_array().unwrap()), first.header("idempotency-replayed")),
            (vec![(201, "confirmed")], None)
        );
        scene.cancel(&first.json["items"][0]["registration"]).await;
        let again = call(&ada).await.expect(200);
        assert_eq!((&again.json, again.header("idempotency-replayed")), (&first.json, Some("true")));
        assert_eq!(scene.seats(&session).await, (0, 0), "and nothing is booked again");
        call(&bo).await.problem(422, "idempotency_key_reused");
        scene.end().await;
    }

    async fn one_asks_for_oneself_and_becomes_an_attendee_by_booking(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let (free, full) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "14:00-15:00", json!({})).await);
        scene.somebody_in(&full).await;
        let bo = scene.app.user("bo").await;
        let before = scene.written().await;
        let body = json!({ "sessions": [{ "sessionId": free["id"] }, { "sessionId": full["id"], "ifFull": "reject" }] });
        let call = |kind: &str| scene.app.post(format!("/v1/events/{}/{kind}", scene.event.as_id())).token(&bo.token).json(&body).send();
        let plan = call("plan").await.expect(200).json;
        assert_eq!(verdicts(plan["items"].as_array().unwrap()), ["confirmed", "session_full"]);
        assert_eq!(scene.written().await, before, "not by planning");
        let booked = call("bookings").await.expect(200).json;
        assert_eq!(results(booked["items"].as_array().unwrap()), [(201, "confirmed"), (409, "session_full")]);
        // Not in an event that admits others only; and nobody asks for somebody else.
        scene.rules(json!({ "admission": "attendees_only" })).await;
        let carla = scene.app.user("carla").await;
        let path = format!("/v1/events/{}/plan", scene.event.as_id());
        let plan = scene.app.post(&path).token(&carla.token).json(&body).send().await.expect(200).json;
        assert_eq!(verdicts(plan["items"].as_array().unwrap()), ["not_admitted", "not_admitted"]);
        let of_bo = overlay(body.clone(), json!({ "attendeeId": booked["items"][0]["registration"]["attendeeId"] }));
        scene.app.post(&path).token(&carla.token).json(&of_bo).send().await.problem(422, "unknown_reference");
        scene.end().await;
    }

    async fn a_list_is_of_one_event_and_not_too_long(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let ada = scene.person().await;
        let session = scene.session("A", "12:00-13:00", json!({})).await;
        let other = scene.app.event(&scene.anna, json!({ "organisationId": scene.event["organisationId"] })).await;
        let elsewhere = scene.app.session(&scene.anna, &other, json!({})).await;
        assert_eq!(verdicts(&scene.wish("plan", &ada, &[&elsewhere, &session]).await), ["not_found", "confirmed"]);
        assert_eq!(results(&scene.wish("bookings", &ada, &[&elsewhere, &session]).await), [(404, "not_found"), (201, "confirmed")]);
        for kind in ["plan", "bookings"] {
            for count in [0, 51] {
                let body = json!({ "attendeeId": ada, "sessions": wishes(&vec![&session; count]) });
                scene.ask(kind, &body).await.problem(422, "invalid_body");
            }
            scene.ask(kind, &json!({ "attendeeId": ada, "sessions": wishes(&vec![&session; 50]) })).await.expect(200);
            let stranger = json!({ "attendeeId": session["id"], "sessions": wishes(&[&session]) });
            assert_eq!(scene.ask(kind, &stranger).await.problem(422, "unknown_reference").pointer(), "/attendeeId");
        }
        scene.end().await;
    }
}
