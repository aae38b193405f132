//! At rest no seat is free while somebody waits who could have it, whatever made them able to.

use super::*;

/// Ada has a seat in `other` and waits for `noon` at the same hours, where a seat is free.
struct Rest {
    ada: String,
    noon: Value,
    other: Value,
    seat: Value,
    waits: Value,
}

impl Rest {
    async fn set(scene: &Scene, noon: Value, other: Value) -> Self {
        let ada = scene.person().await;
        let taken = scene.somebody_in(&noon).await;
        let (seat, waits) = (scene.seat(&other, &ada).await, scene.wait(&noon, &ada).await);
        scene.cancel(&taken).await;
        scene.settle().await;
        assert_eq!((scene.state(&waits).await.as_str(), scene.seats(&noon).await), ("waitlisted 1", (0, 1)));
        Self { ada, noon, other, seat, waits }
    }

    async fn at_noon(scene: &Scene) -> Self {
        let noon = scene.session("A", "12:00-13:00", json!({})).await;
        let other = scene.session("B", "12:30-13:30", json!({})).await;
        Self::set(scene, noon, other).await
    }
}

impl Scene {
    /// Once all is at rest, they have the seat.
    async fn gets(&self, registration: &Value) {
        self.settle().await;
        assert_eq!(self.state(registration).await, "confirmed");
    }
}

on_both! {
    async fn a_seat_is_given_back_elsewhere(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Rest { seat, waits, .. } = Rest::at_noon(&scene).await;
        scene.cancel(&seat).await;
        scene.gets(&waits).await;
        scene.end().await;
    }

    async fn a_seat_elsewhere_is_moved_to_other_hours(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Rest { seat, waits, .. } = Rest::at_noon(&scene).await;
        let later = scene.session("C", "14:00-15:00", json!({})).await;
        scene.move_to(&later, &seat).await.expect(201);
        scene.gets(&waits).await;
        scene.end().await;
    }

    async fn a_session_elsewhere_is_at_other_hours(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Rest { other, waits, .. } = Rest::at_noon(&scene).await;
        scene.edit(&other, json!({ "startsAt": "2026-03-11T13:00:00Z", "endsAt": "2026-03-11T14:00:00Z" })).await;
        scene.gets(&waits).await;
        scene.end().await;
    }

    async fn the_session_itself_is_at_other_hours(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Rest { noon, waits, .. } = Rest::at_noon(&scene).await;
        scene.edit(&noon, json!({ "endsAt": "2026-03-11T12:30:00Z" })).await;
        scene.gets(&waits).await;
        scene.end().await;
    }

    async fn a_session_elsewhere_is_cancelled(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Rest { other, waits, .. } = Rest::at_noon(&scene).await;
        scene.app.post(format!("/v1/sessions/{}/cancel", other.as_id())).token(&scene.anna.token).send().await.expect(200);
        scene.gets(&waits).await;
        scene.end().await;
    }

    async fn the_event_allows_two_seats_at_the_same_hours(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Rest { waits, .. } = Rest::at_noon(&scene).await;
        scene.rules(json!({ "overlap": "allow" })).await;
        scene.gets(&waits).await;
        scene.end().await;
    }

    async fn the_event_lets_people_swap(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Rest { waits, seat, .. } = Rest::at_noon(&scene).await;
        scene.rules(json!({ "onPromotionClash": "swap" })).await;
        scene.gets(&waits).await;
        assert_eq!(scene.state(&seat).await, "cancelled swapped");
        scene.end().await;
    }

    async fn fewer_minutes_are_wanted_between_rooms_or_the_room_is_the_same(app: App) {
        let scene = Scene::new(app, json!({ "overlapBufferMinutes": 30 })).await;
        let (hall, cellar) = (scene.room("Hall", json!(9)).await, scene.room("Cellar", json!(9)).await);
        let noon = scene.session("A", "12:00-13:00", json!({ "roomId": hall["id"] })).await;
        let next = scene.session("B", "13:15-14:00", json!({ "roomId": cellar["id"] })).await;
        let Rest { waits, .. } = Rest::set(&scene, noon, next).await;
        let early = scene.session("C", "09:00-10:00", json!({ "roomId": hall["id"] })).await;
        let then = scene.session("D", "10:00-11:00", json!({ "roomId": cellar["id"] })).await;
        let Rest { other: then, waits: others, .. } = Rest::set(&scene, early, then).await;
        scene.edit(&then, json!({ "roomId": hall["id"] })).await;
        scene.gets(&others).await;
        scene.rules(json!({ "overlapBufferMinutes": 15 })).await;
        scene.gets(&waits).await;
        scene.end().await;
    }

    async fn the_event_allows_more_sessions(app: App) {
        let scene = Scene::new(app, json!({ "maxSessions": 1, "maxSessionsPerDay": 1 })).await;
        let noon = scene.session("A", "12:00-13:00", json!({})).await;
        let next = scene.session("B", "14:00-15:00", json!({})).await;
        let ada = scene.person().await;
        let taken = scene.somebody_in(&noon).await;
        let waits = scene.wait(&noon, &ada).await;
        scene.seat(&next, &ada).await;
        scene.cancel(&taken).await;
        for rules in [json!({ "maxSessions": 2 }), json!({ "maxSessionsPerDay": 2 })] {
            scene.settle().await;
            assert_eq!(scene.state(&waits).await, "waitlisted 1");
            scene.rules(rules).await;
        }
        scene.gets(&waits).await;
        scene.end().await;
    }

    async fn the_days_are_other_days(app: App) {
        let scene = Scene::new(app, json!({ "maxSessionsPerDay": 1 })).await;
        let evening = scene.session("A", "10 20:00-21:00", json!({})).await;
        let next = scene.session("B", "10 22:30-22:45", json!({})).await;
        let ada = scene.person().await;
        let taken = scene.somebody_in(&evening).await;
        let waits = scene.wait(&evening, &ada).await;
        scene.seat(&next, &ada).await;
        scene.cancel(&taken).await;
        assert_eq!(scene.state(&waits).await, "waitlisted 1", "both are on the 10th in Oslo");
        let path = format!("/v1/events/{}", scene.event.as_id());
        let zone = json!({ "timeZone": "Europe/Helsinki" });
        scene.app.patch(path).token(&scene.anna.token).if_match("*").merge(&zone).send().await.expect(200);
        scene.gets(&waits).await;
        scene.end().await;
    }

    async fn somebody_is_of_another_category_or_the_session_is_for_others(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 0 })).await;
        let [ada, bo] = scene.people().await;
        let (first, second) = (scene.wait(&session, &ada).await, scene.wait(&session, &bo).await);
        scene.edit(&session, json!({ "booking": { "categories": ["doctor"] }, "capacity": 2 })).await;
        assert_eq!(scene.seats(&session).await, (0, 2));
        scene.recast(&bo, json!({ "category": "doctor" })).await;
        scene.gets(&second).await;
        assert_eq!(scene.state(&first).await, "waitlisted 1");
        scene.edit(&session, json!({ "booking": { "categories": [] } })).await;
        scene.gets(&first).await;
        scene.end().await;
    }

    async fn nobody_swaps_beyond_a_limit(app: App) {
        let scene = Scene::new(app, json!({ "onPromotionClash": "swap" })).await;
        let ada = scene.person().await;
        let (noon, evening) =
            (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "18:00-19:00", json!({})).await);
        let wanted = scene.session("C", "12:30-13:30", json!({})).await;
        let taken = scene.somebody_in(&wanted).await;
        let (seat, other, waits) = (scene.seat(&noon, &ada).await, scene.seat(&evening, &ada).await, scene.wait(&wanted, &ada).await);
        scene.rules(json!({ "maxSessions": 1 })).await;
        scene.cancel(&taken).await;
        assert_eq!(scene.states([&seat, &other, &waits]).await, ["confirmed", "confirmed", "waitlisted 1"]);
        scene.end().await;
    }

    async fn somebody_is_swapped_out_and_free_for_a_third(app: App) {
        let scene = Scene::new(app, json!({ "onPromotionClash": "swap", "maxSessions": 2 })).await;
        // Ada has two seats, waits for a third as the limit keeps her from it, and swaps both for one that overlaps them.
        let ada = scene.person().await;
        let (one, two) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "13:00-14:00", json!({})).await);
        let (both, third) = (scene.session("C", "12:30-13:30", json!({})).await, scene.session("D", "16:00-17:00", json!({})).await);
        let (taken, third_taken) = (scene.somebody_in(&both).await, scene.somebody_in(&third).await);
        let (swap, waits) = (scene.wait(&both, &ada).await, scene.wait(&third, &ada).await);
        let seats = [scene.seat(&one, &ada).await, scene.seat(&two, &ada).await];
        scene.cancel(&third_taken).await;
        assert_eq!(scene.state(&waits).await, "waitlisted 1");
        scene.cancel(&taken).await;
        scene.gets(&swap).await;
        for seat in &seats {
            assert_eq!(scene.state(seat).await, "cancelled swapped");
        }
        scene.gets(&waits).await;
        scene.end().await;
    }

    async fn the_programme_is_put_anew(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Rest { waits, .. } = Rest::at_noon(&scene).await;
        let path = format!("/v1/events/{}/programme", scene.event.as_id());
        let mut document = scene.app.get(&path).token(&scene.anna.token).send().await.expect(200).json;
        document["sessions"][1]["startsAt"] = json!("2026-03-11T14:00:00+01:00");
        document["sessions"][1]["endsAt"] = json!("2026-03-11T15:00:00+01:00");
        scene.app.put(path).token(&scene.anna.token).if_match("*").json(&document).send().await.expect(200);
        scene.gets(&waits).await;
        scene.end().await;
    }

    async fn an_archived_event_is_published_again(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({})).await;
        let taken = scene.somebody_in(&session).await;
        let waits = scene.wait(&session, &scene.person().await).await;
        let path = format!("/v1/events/{}", scene.event.as_id());
        let becomes =
            |status: &str| scene.app.patch(&path).token(&scene.anna.token).if_match("*").merge(&json!({ "status": status })).send();
        becomes("archived").await.expect(200);
        scene.cancel(&taken).await;
        scene.settle().await;
        assert_eq!(scene.state(&waits).await, "waitlisted 1", "what is archived gives nothing out");
        scene.book(&session, &scene.person().await).await.problem(409, "booking_closed");
        becomes("published").await.expect(200);
        scene.gets(&waits).await;
        scene.end().await;
    }

    async fn somebody_else_is_erased(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Rest { ada, noon, other, .. } = Rest::at_noon(&scene).await;
        let waits = scene.wait(&other, &scene.person().await).await;
        scene.app.post(format!("/v1/attendees/{ada}/erase")).token(&scene.anna.token).send().await.expect(200);
        assert_eq!((scene.state(&waits).await.as_str(), scene.seats(&noon).await), ("confirmed", (0, 0)));
        scene.end().await;
    }
}
