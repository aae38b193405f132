//! Who moves up when they have a seat at the same hours, or may have no more.

use super::*;

/// Two sessions at noon, both full: Ada has a seat in `other` and waits for `noon` before Bo, and Carla waits for `other`.
struct Noon {
    noon: Value,
    other: Value,
    taken: Value,
    seat: Value,
    ada: Value,
    bo: Value,
    carla: Value,
}

impl Noon {
    async fn set(scene: &Scene) -> Self {
        let [ada, bo, carla] = scene.people().await;
        let (noon, other) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "12:30-13:30", json!({})).await);
        let (taken, seat) = (scene.somebody_in(&noon).await, scene.seat(&other, &ada).await);
        let (ada, bo, carla) = (scene.wait(&noon, &ada).await, scene.wait(&noon, &bo).await, scene.wait(&other, &carla).await);
        Self { noon, other, taken, seat, ada, bo, carla }
    }
}

on_both! {
    async fn who_has_a_seat_at_the_same_hours_is_passed_over(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Noon { noon, taken, seat, ada, bo, carla, .. } = Noon::set(&scene).await;
        scene.cancel(&taken).await;
        assert_eq!(scene.states([&ada, &bo]).await, ["waitlisted 1", "confirmed"]);
        assert_eq!(scene.states([&seat, &carla]).await, ["confirmed", "waitlisted 1"]);
        // They keep their place, and have the next seat once they can.
        let latest = scene.wait(&noon, &scene.person().await).await;
        scene.cancel(&seat).await;
        scene.cancel(&bo).await;
        assert_eq!(scene.states([&ada, &latest]).await, ["confirmed", "waitlisted 1"]);
        scene.end().await;
    }

    async fn or_gives_that_seat_up_where_the_event_says_swap(app: App) {
        let scene = Scene::new(app, json!({ "onPromotionClash": "swap" })).await;
        let Noon { noon, other, taken, seat, ada, bo, carla } = Noon::set(&scene).await;
        scene.cancel(&taken).await;
        assert_eq!(scene.states([&ada, &bo]).await, ["confirmed", "waitlisted 1"]);
        assert_eq!(scene.state(&seat).await, "cancelled swapped");
        scene.settle().await;
        assert_eq!(scene.state(&carla).await, "confirmed", "the seat that was given up goes to who waits for it");
        assert_eq!((scene.seats(&noon).await, scene.seats(&other).await), ((1, 1), (1, 0)));
        scene.end().await;
    }

    async fn swaps_can_follow_one_another(app: App) {
        let scene = Scene::new(app, json!({ "onPromotionClash": "swap" })).await;
        let people = scene.people::<6>().await;
        let mut sessions = Vec::new();
        for number in 0..7 {
            sessions.push(scene.session(&format!("S{number}"), "12:00-13:00", json!({})).await);
        }
        // Everybody has a seat in one and waits for the one before it.
        let taken = scene.somebody_in(&sessions[0]).await;
        let mut seats = Vec::new();
        for (number, person) in people.iter().enumerate() {
            seats.push((scene.seat(&sessions[number + 1], person).await, scene.wait(&sessions[number], person).await));
        }
        scene.cancel(&taken).await;
        scene.settle().await;
        for (seat, wait) in &seats {
            assert_eq!(scene.states([seat, wait]).await, ["cancelled swapped", "confirmed"]);
        }
        assert_eq!(scene.seats(&sessions[6]).await, (0, 0));
        scene.end().await;
    }

    async fn who_has_been_in_the_room_is_not_swapped_out_of_it(app: App) {
        let scene = Scene::new(app, json!({ "onPromotionClash": "swap" })).await;
        let Noon { taken, seat, ada, bo, .. } = Noon::set(&scene).await;
        scene.check_in(&seat).await;
        scene.cancel(&taken).await;
        assert_eq!(scene.states([&seat, &ada]).await, ["confirmed", "waitlisted 1"]);
        assert_eq!(scene.state(&bo).await, "confirmed");
        scene.end().await;
    }

    async fn of_two_seats_at_the_same_hours_somebody_gets_one(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let (noon, other) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "12:30-13:30", json!({})).await);
        let (one, two) = (scene.somebody_in(&noon).await, scene.somebody_in(&other).await);
        let waits = [scene.wait(&noon, &ada).await, scene.wait(&other, &ada).await];
        let next = [scene.wait(&noon, &bo).await, scene.wait(&other, &bo).await];
        tokio::join!(scene.cancel(&one), scene.cancel(&two));
        let mut states =
            [scene.state(&waits[0]).await, scene.state(&waits[1]).await, scene.state(&next[0]).await, scene.state(&next[1]).await];
        states.sort();
        assert_eq!(states, ["confirmed", "confirmed", "waitlisted 1", "waitlisted 1"]);
        assert_eq!((scene.seats(&noon).await, scene.seats(&other).await), ((1, 1), (1, 1)));
        scene.end().await;
    }

    async fn who_has_as_many_sessions_as_they_may_is_passed_over(app: App) {
        let scene = Scene::new(app, json!({ "maxSessions": 1 })).await;
        let [ada, bo] = scene.people().await;
        let (full, later) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "14:00-15:00", json!({})).await);
        let taken = scene.somebody_in(&full).await;
        let (first, second) = (scene.wait(&full, &ada).await, scene.wait(&full, &bo).await);
        scene.seat(&later, &ada).await;
        scene.cancel(&taken).await;
        assert_eq!(scene.states([&first, &second]).await, ["waitlisted 1", "confirmed"]);
        scene.end().await;
    }

    async fn who_is_of_another_category_by_then_is_passed_over(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let (ada, bo) = (scene.person_of("doctor").await, scene.person_of("doctor").await);
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 0, "booking": { "categories": ["doctor"] } })).await;
        let (first, second) = (scene.wait(&session, &ada).await, scene.wait(&session, &bo).await);
        scene.recast(&ada, json!({ "category": "nurse" })).await;
        scene.edit(&session, json!({ "capacity": 2 })).await;
        assert_eq!(scene.states([&first, &second]).await, ["waitlisted 1", "confirmed"]);
        scene.end().await;
    }

    async fn who_gets_a_seat_stops_waiting_beside_it_where_the_event_says_so(app: App) {
        let scene = Scene::new(app, json!({ "leaveOverlappingWaitlists": true })).await;
        let [ada, bo] = scene.people().await;
        let (beside, later) = (scene.session("A", "12:30-13:30", json!({})).await, scene.session("B", "13:00-14:00", json!({})).await);
        scene.somebody_in(&beside).await;
        scene.somebody_in(&later).await;
        let noon = scene.session("C", "12:00-13:00", json!({})).await;
        let taken = scene.somebody_in(&noon).await;
        let mut waits = Vec::new();
        for person in [&ada, &bo] {
            waits.push([scene.wait(&beside, person).await, scene.wait(&later, person).await]);
        }
        let promoted = scene.wait(&noon, &ada).await;
        scene.cancel(&taken).await;
        assert_eq!(scene.state(&promoted).await, "confirmed");
        let free = scene.session("D", "12:00-13:00", json!({})).await;
        scene.seat(&free, &bo).await;
        for [beside, later] in &waits {
            assert_eq!(scene.state(beside).await, "cancelled withdrawn");
            assert!(scene.state(later).await.starts_with("waitlisted"), "what begins when it ends is not beside it");
        }
        assert_eq!(scene.seats(&beside).await, (1, 0));
        scene.end().await;
    }

    async fn an_offer_ends_no_waiting_before_it_is_taken(app: App) {
        let scene = Scene::new(app, json!({ "leaveOverlappingWaitlists": true })).await;
        let ada = scene.person().await;
        let offering = scene.session("A", "12:00-13:00", json!({ "waitlist": { "mode": "offer" } })).await;
        let beside = scene.session("B", "12:30-13:30", json!({})).await;
        scene.somebody_in(&beside).await;
        let taken = scene.somebody_in(&offering).await;
        let (offered, waits) = (scene.wait(&offering, &ada).await, scene.wait(&beside, &ada).await);
        scene.cancel(&taken).await;
        assert_eq!(scene.states([&offered, &waits]).await, ["offered", "waitlisted 1"]);
        scene.app.act("accept", &offered, &scene.anna).await.expect(200);
        assert_eq!(scene.state(&waits).await, "cancelled withdrawn");
        scene.end().await;
    }
}
