//! Who may book what, and how much of it.

use super::*;

on_both! {
    async fn a_session_can_be_for_some_categories_only(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let (doctor, expert, nurse) = (scene.person_of("doctor").await, scene.person_of("expert").await, scene.person_of("nurse").await);
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 9, "booking": { "categories": ["doctor", "expert"] } })).await;
        scene.seat(&session, &doctor).await;
        scene.seat(&session, &expert).await;
        for person in [&nurse, &scene.person().await] {
            assert_eq!(scene.book(&session, person).await.problem(403, "not_entitled").json["sessionId"], session["id"]);
        }
        // Not to wait for it either.
        scene.edit(&session, json!({ "capacity": 2 })).await;
        scene.book(&session, &nurse).await.problem(403, "not_entitled");
        scene.edit(&session, json!({ "booking": { "categories": [] } })).await;
        scene.wait(&session, &nurse).await;
        scene.end().await;
    }

    async fn nobody_has_more_sessions_than_the_event_allows(app: App) {
        let scene = Scene::new(app, json!({ "maxSessions": 2 })).await;
        let ada = scene.person().await;
        let mut seats = Vec::new();
        for (code, hours) in [("A", "12:00-13:00"), ("B", "12 12:00-13:00")] {
            let session = scene.session(code, hours, json!({})).await;
            seats.push(scene.seat(&session, &ada).await);
        }
        let third = scene.session("C", "13 12:00-13:00", json!({})).await;
        let refused = scene.book(&third, &ada).await.problem(409, "limit_reached");
        assert_eq!(refused.json["limit"], json!({ "sessions": 2, "day": null }));
        scene.cancel(&seats[0]).await;
        scene.seat(&third, &ada).await;
        scene.end().await;
    }

    async fn nor_on_one_day_by_the_clocks_of_the_event(app: App) {
        let scene = Scene::new(app, json!({ "maxSessionsPerDay": 1 })).await;
        let zone = json!({ "timeZone": "Pacific/Auckland" });
        let path = format!("/v1/events/{}", scene.event.as_id());
        scene.app.patch(path).token(&scene.anna.token).if_match("*").merge(&zone).send().await.expect(200);
        let ada = scene.person().await;
        // In March it is 13 hours later there: the first two are on the 11th, the third is on the 12th.
        let morning = scene.session("A", "10 20:00-21:00", json!({})).await;
        let evening = scene.session("B", "11 09:00-10:00", json!({})).await;
        let past_midnight = scene.session("C", "11 11:30-12:30", json!({})).await;
        scene.seat(&morning, &ada).await;
        let refused = scene.book(&evening, &ada).await.problem(409, "limit_reached");
        assert_eq!(refused.json["limit"], json!({ "sessions": 1, "day": "2026-03-11" }));
        scene.seat(&past_midnight, &ada).await;
        scene.end().await;
    }

    async fn who_waits_has_none_yet(app: App) {
        let scene = Scene::new(app, json!({ "maxSessions": 1, "maxSessionsPerDay": 1 })).await;
        let ada = scene.person().await;
        let (full, offering) = (
            scene.session("A", "12:00-13:00", json!({})).await,
            scene.session("B", "14:00-15:00", json!({ "waitlist": { "mode": "offer" } })).await,
        );
        scene.somebody_in(&full).await;
        let taken = scene.somebody_in(&offering).await;
        scene.wait(&full, &ada).await;
        let waits = scene.wait(&offering, &ada).await;
        scene.cancel(&taken).await;
        assert_eq!(scene.state(&waits).await, "offered");
        let free = scene.session("C", "16:00-17:00", json!({})).await;
        scene.seat(&free, &ada).await;
        scene.end().await;
    }
}
