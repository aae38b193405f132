//! Which answer somebody gets when several rules would refuse them: the first, in the order of the contract.

use super::*;

on_both! {
    async fn the_first_rule_that_fails_answers(app: App) {
        let scene = Scene::new(app, json!({ "admission": "attendees_only", "maxSessions": 1 })).await;
        let bo = scene.app.user("bo").await;
        let other = scene.session("A", "12:00-13:00", json!({})).await;
        let session = scene
            .session(
                "B",
                "12:30-13:30",
                json!({
                    "status": "draft", "capacity": 1, "waitlist": { "mode": "auto", "limit": 1 },
                    "booking": { "categories": ["doctor"], "opensAt": "2026-03-09T08:00:00Z" },
                }),
            )
            .await;
        let path = format!("/v1/events/{}/attendees", scene.event.as_id());
        let attendee = scene.app.post(path).token(&scene.anna.token).json(&json!({ "name": "Bo" })).send().await.expect(201).json;
        let refused = async |status: u16, code: &str| scene.app.book(&session, &bo).await.problem(status, code);

        // Everything is wrong, and mended one by one.
        scene.app.clock.set(at("2026-03-11T12:30:00Z"));
        refused(404, "not_found").await;
        scene.edit(&session, json!({ "status": "cancelled" })).await;
        refused(409, "session_cancelled").await;
        scene.edit(&session, json!({ "status": "published" })).await;
        refused(403, "not_admitted").await;
        let path = format!("/v1/attendees/{}/claim-code", attendee.as_id());
        let code = scene.app.post(path).token(&scene.anna.token).send().await.expect(201).json["claimCode"].clone();
        scene.app.post("/v1/me/attendees").token(&bo.token).json(&json!({ "claimCode": code })).send().await.expect(200);
        refused(403, "not_entitled").await;
        scene.recast(&attendee.as_id(), json!({ "category": "doctor" })).await;
        refused(409, "session_started").await;
        scene.app.clock.set(at("2026-03-02T08:00:00Z"));
        scene.app.book(&other, &bo).await.expect(201);
        refused(409, "booking_not_open").await;
        scene.edit(&session, json!({ "booking": { "opensAt": null, "closesAt": "2026-03-01T08:00:00Z" } })).await;
        refused(409, "booking_closed").await;
        scene.edit(&session, json!({ "booking": { "closesAt": null } })).await;
        refused(409, "limit_reached").await;
        scene.rules(json!({ "maxSessions": null })).await;
        refused(409, "time_conflict").await;
        let taken =
            scene.app.book_with(&session, &scene.anna, json!({ "attendeeId": scene.person_of("doctor").await })).await.expect(201).json;
        let waits =
            scene.app.book_with(&session, &scene.anna, json!({ "attendeeId": scene.person_of("doctor").await })).await.expect(201).json;
        refused(409, "waitlist_full").await;
        scene.app.book_with(&session, &bo, json!({ "ifFull": "reject" })).await.problem(409, "session_full");
        scene.cancel(&waits).await;
        let own = scene.app.book(&session, &bo).await.expect(201).json;
        assert_eq!(own["status"], "waitlisted", "waiting may overlap");

        // And what one has is told whatever is wrong.
        scene.edit(&session, json!({ "booking": { "categories": ["nurse"], "closesAt": "2026-03-01T08:00:00Z" } })).await;
        scene.rules(json!({ "maxSessions": 1 })).await;
        scene.app.clock.set(at("2026-03-11T12:30:00Z"));
        assert_eq!(scene.app.book(&session, &bo).await.expect(200).json["id"], own["id"]);
        assert_eq!(scene.state(&taken).await, "confirmed");
        scene.end().await;
    }

    async fn who_gives_a_seat_back_is_judged_in_order_too(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 2 })).await;
        let (bo, carla) = (scene.app.user("bo").await, scene.app.user("carla").await);
        let (seat, other) = (scene.app.book(&session, &bo).await.expect(201).json, scene.app.book(&session, &carla).await.expect(201).json);
        scene.check_in(&seat).await;
        scene.app.cancel(&seat, &bo).await.problem(409, "checked_in");
        scene.app.cancel(&seat, &scene.anna).await.problem(409, "checked_in");
        let elsewhere = scene.session("B", "14:00-15:00", json!({})).await;
        scene.app.move_to(&elsewhere, &seat, &scene.anna).await.problem(409, "checked_in");
        assert_eq!((scene.state(&seat).await.as_str(), scene.seats(&elsewhere).await), ("confirmed", (0, 0)));

        scene.app.clock.set(at("2026-03-11T11:59:59Z"));
        let left = scene.app.cancel(&other, &carla).await.expect(200).json;
        assert_eq!(state_of(&left), "cancelled by_attendee");
        scene.app.clock.set(at("2026-03-11T12:00:00Z"));
        assert_eq!(scene.app.cancel(&other, &carla).await.expect(200).json, left, "a repeat is answered at any time");
        scene.end().await;
    }
}
