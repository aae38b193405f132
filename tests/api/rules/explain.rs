//! Where the seats of a session are, and why somebody has none.

use super::*;

impl Scene {
    async fn explain(&self, session: &Value, query: &str) -> Value {
        let path = format!("/v1/sessions/{}/explain{query}", session.as_id());
        self.app.get(path).token(&self.anna.token).send().await.expect(200).json
    }

    /// What is said of one person.
    async fn why(&self, session: &Value, person: &str) -> Value {
        self.explain(session, &format!("?attendeeId={person}")).await["attendee"].clone()
    }

    /// The codes of what keeps somebody from a seat.
    async fn reasons(&self, session: &Value, person: &str) -> Vec<String> {
        let why = self.why(session, person).await;
        why["reasons"].as_array().expect("reasons").iter().map(|reason| reason["code"].as_str().expect("a code").to_owned()).collect()
    }
}

on_both! {
    async fn seats_are_told_by_what_they_are_taken_for(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let pools = json!([
            { "category": "expert", "seats": 3, "releasesAt": "2026-03-09T08:00:00Z" }, { "category": "nurse", "seats": 1 },
        ]);
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 8, "pools": pools, "waitlist": { "mode": "offer" } })).await;
        scene.seat(&session, &scene.person_of("expert").await).await;
        let others = [scene.somebody_in(&session).await, scene.somebody_in(&session).await, scene.somebody_in(&session).await];
        assert_eq!(
            scene.explain(&session, "").await,
            json!({
                "sessionId": session["id"], "capacity": 8, "waitlisted": 0, "attendee": null,
                "seats": { "confirmed": 4, "offered": 0, "over": 0, "held": 3, "free": 1 },
                "pools": [
                    { "category": "expert", "seats": 3, "taken": 1, "held": 2, "releasesAt": "2026-03-09T08:00:00Z", "released": false },
                    { "category": "nurse", "seats": 1, "taken": 0, "held": 1, "releasesAt": null, "released": false },
                ],
            })
        );
        // One more, one who waits, and who has a seat given back to them: it is offered.
        scene.somebody_in(&session).await;
        scene.wait(&session, &scene.person().await).await;
        scene.cancel(&others[0]).await;
        scene.edit_with("?ifOverfull=keep", &session, json!({ "capacity": 3 })).await.expect(200);
        let told = scene.explain(&session, "").await;
        assert_eq!(told["seats"], json!({ "confirmed": 4, "offered": 1, "over": 2, "held": 0, "free": 0 }));
        scene.app.clock.set(at("2026-03-09T08:00:00Z"));
        let told = scene.explain(&session, "").await;
        assert_eq!(
            (&told["seats"]["offered"], &told["pools"][0]["released"], &told["pools"][0]["held"]),
            (&json!(0), &json!(true), &json!(0))
        );
        scene.end().await;
    }

    async fn everything_that_keeps_somebody_from_a_seat_is_told(app: App) {
        let scene = Scene::new(app, json!({ "maxSessions": 1 })).await;
        let [ada, bo] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({})).await;
        let beside = scene.session("B", "12:30-13:30", json!({})).await;
        let taken = scene.somebody_in(&session).await;
        let (waits, next, seat) = (scene.wait(&session, &ada).await, scene.wait(&session, &bo).await, scene.seat(&beside, &ada).await);
        scene.edit(&session, json!({ "booking": { "categories": ["doctor"], "closesAt": "2026-03-01T08:00:00Z" } })).await;
        let why = scene.why(&session, &ada).await;
        assert_eq!(
            (&why["registrationId"], &why["status"], &why["ahead"], &why["free"]),
            (&waits["id"], &json!("waitlisted"), &json!(0), &json!(0))
        );
        // The window is none of them.
        let reasons = why["reasons"].as_array().unwrap();
        let codes: Vec<&str> = reasons.iter().filter_map(|reason| reason["code"].as_str()).collect();
        assert_eq!(codes, ["not_entitled", "limit_reached", "time_conflict", "session_full"]);
        assert_eq!((&reasons[1]["limit"], &reasons[2]["clash"]["registrationId"]), (&json!({ "sessions": 1, "day": null }), &seat["id"]));
        assert_eq!(scene.why(&session, &bo).await["ahead"], 1);

        scene.cancel(&taken).await;
        assert_eq!(scene.reasons(&session, &ada).await, ["not_entitled", "limit_reached", "time_conflict"]);
        scene.edit(&session, json!({ "booking": { "categories": [] } })).await;
        // Bo could have the seat, and has it before anybody is told anything.
        assert_eq!(scene.reasons(&session, &bo).await, Vec::<String>::new());
        assert_eq!(
            (scene.state(&next).await.as_str(), scene.why(&session, &bo).await["status"].clone()),
            ("confirmed", json!("confirmed"))
        );
        assert_eq!(scene.reasons(&session, &ada).await, ["limit_reached", "time_conflict", "session_full"]);
        scene.app.clock.set(at("2026-03-11T12:00:00Z"));
        assert_eq!(scene.reasons(&session, &ada).await[0], "session_started");
        scene.end().await;
    }

    async fn also_of_who_is_not_registered(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({})).await;
        let ada = scene.person_of("doctor").await;
        assert_eq!(
            scene.why(&session, &ada).await,
            json!({
                "attendeeId": ada, "registrationId": null, "status": null, "category": "doctor", "ahead": null, "free": 1, "reasons": [],
            })
        );
        scene.somebody_in(&session).await;
        assert_eq!(scene.reasons(&session, &ada).await, ["session_full"]);
        let other = scene.app.event(&scene.anna, json!({ "organisationId": scene.event["organisationId"] })).await;
        let stranger = scene.app.attendees(&scene.anna, &other, 1).await.concat();
        let path = format!("/v1/sessions/{}/explain?attendeeId={stranger}", session.as_id());
        scene.app.get(path).token(&scene.anna.token).send().await.problem(400, "invalid_parameter");
        scene.end().await;
    }

    async fn and_of_the_seats_that_their_category_could_have(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 2, "pools": [{ "category": "expert", "seats": 2 }] })).await;
        let (ada, expert) = (scene.person().await, scene.person_of("expert").await);
        scene.wait(&session, &ada).await;
        assert_eq!(
            (scene.why(&session, &ada).await["free"].clone(), scene.reasons(&session, &ada).await),
            (json!(0), vec!["session_full".to_owned()])
        );
        assert_eq!((scene.why(&session, &expert).await["free"].clone(), scene.reasons(&session, &expert).await), (json!(2), vec![]));
        scene.end().await;
    }
}
