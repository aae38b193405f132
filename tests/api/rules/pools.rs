//! Seats that are held for a category of attendees, until a time.

use super::*;

on_both! {
    async fn held_seats_are_for_their_category(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let (expert, nurse) = (scene.person_of("expert").await, scene.person_of("nurse").await);
        let [ada, bo] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 3, "pools": [{ "category": "expert", "seats": 2 }] })).await;
        scene.seat(&session, &ada).await;
        scene.wait(&session, &bo).await;
        let refused = scene.book_with(&session, &nurse, json!({ "ifFull": "reject" })).await.problem(409, "session_full");
        assert_eq!(refused.json["sessionId"], session["id"]);
        scene.seat(&session, &expert).await;
        assert_eq!(scene.seats(&session).await, (2, 1), "the third is held");
        scene.end().await;
    }

    async fn a_category_can_have_more_than_is_held_for_it_and_blocks_nobody(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let experts = [scene.person_of("expert").await, scene.person_of("expert").await, scene.person_of("expert").await];
        let nurse = scene.person_of("nurse").await;
        let [ada, bo] = scene.people().await;
        let pools = json!([{ "category": "expert", "seats": 1 }, { "category": "nurse", "seats": 1 }]);
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 5, "pools": pools })).await;
        for expert in &experts {
            scene.seat(&session, expert).await;
        }
        // Three of five are taken, one is the nurses': one is left for everybody.
        scene.seat(&session, &ada).await;
        scene.wait(&session, &bo).await;
        scene.seat(&session, &nurse).await;
        scene.end().await;
    }

    async fn what_is_left_when_their_time_is_over_goes_to_who_waits(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let expert = scene.person_of("expert").await;
        let pools = json!([{ "category": "expert", "seats": 1, "releasesAt": "2026-03-09T08:00:00Z" }]);
        let session = scene.session("A", "12:00-13:00", json!({ "pools": pools })).await;
        let (first, second) = (scene.wait(&session, &ada).await, scene.wait(&session, &bo).await);
        scene.app.clock.set(at("2026-03-09T07:59:59Z"));
        scene.settle().await;
        assert_eq!(scene.state(&first).await, "waitlisted 1");
        scene.app.clock.set(at("2026-03-09T08:00:00Z"));
        scene.settle().await;
        assert_eq!(scene.states([&first, &second]).await, ["confirmed", "waitlisted 1"]);
        let late = scene.wait(&session, &expert).await;
        assert_eq!(state_of(&late), "waitlisted 2", "from then on they are nobody's");
        scene.end().await;
    }

    async fn several_pools_end_each_at_its_time(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let pools = json!([
            { "category": "expert", "seats": 1, "releasesAt": "2026-03-09T08:00:00Z" },
            { "category": "nurse", "seats": 1, "releasesAt": "2026-03-10T08:00:00Z" },
        ]);
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 2, "pools": pools })).await;
        let (first, second) = (scene.wait(&session, &ada).await, scene.wait(&session, &bo).await);
        for (now, states) in [("2026-03-09T08:00:00Z", ("confirmed", "waitlisted 1")), ("2026-03-10T08:00:00Z", ("confirmed", "confirmed"))]
        {
            scene.app.clock.set(at(now));
            scene.settle().await;
            assert_eq!((scene.state(&first).await.as_str(), scene.state(&second).await.as_str()), states, "{now}");
        }
        scene.end().await;
    }

    async fn a_held_seat_that_is_given_back_goes_to_the_first_of_its_category(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let (one, two) = (scene.person_of("expert").await, scene.person_of("expert").await);
        let [ada, bo] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 2, "pools": [{ "category": "expert", "seats": 1 }] })).await;
        let (of_expert, of_ada) = (scene.seat(&session, &one).await, scene.seat(&session, &ada).await);
        let (first, second) = (scene.wait(&session, &bo).await, scene.wait(&session, &two).await);
        scene.cancel(&of_expert).await;
        assert_eq!(scene.states([&first, &second]).await, ["waitlisted 1", "confirmed"]);
        scene.cancel(&of_ada).await;
        assert_eq!(scene.state(&first).await, "confirmed");
        scene.end().await;
    }

    async fn what_is_held_is_counted_anew_after_each_seat(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let (one, two) = (scene.person_of("expert").await, scene.person_of("expert").await);
        let [ada, bo] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 0, "pools": [{ "category": "expert", "seats": 1 }] })).await;
        let mut waits = Vec::new();
        for person in [&ada, &one, &bo, &two] {
            waits.push(scene.wait(&session, person).await);
        }
        scene.edit(&session, json!({ "capacity": 3 })).await;
        let mut states = Vec::new();
        for wait in &waits {
            states.push(scene.state(wait).await);
        }
        assert_eq!(states, ["confirmed", "confirmed", "confirmed", "waitlisted 1"]);
        scene.end().await;
    }

    async fn pools_can_be_added_and_taken_away(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 2 })).await;
        scene.seat(&session, &ada).await;
        scene.edit(&session, json!({ "pools": [{ "category": "expert", "seats": 5 }] })).await;
        let waits = scene.wait(&session, &bo).await;
        scene.edit(&session, json!({ "pools": [{ "category": "expert", "seats": 5, "releasesAt": "2026-03-02T08:00:00Z" }] })).await;
        assert_eq!(scene.state(&waits).await, "confirmed", "that time is over already");
        scene.cancel(&waits).await;
        scene.edit(&session, json!({ "pools": [{ "category": "expert", "seats": 1, "releasesAt": null }] })).await;
        let waits = scene.wait(&session, &bo).await;
        scene.edit(&session, json!({ "pools": [] })).await;
        assert_eq!(scene.state(&waits).await, "confirmed");
        scene.cancel(&waits).await;
        scene.edit(&session, json!({ "pools": [{ "category": "expert", "seats": 1, "releasesAt": "2026-03-09T08:00:00Z" }] })).await;
        let waits = scene.wait(&session, &bo).await;
        scene.app.clock.set(at("2026-03-09T08:00:00Z"));
        scene.settle().await;
        assert_eq!(scene.state(&waits).await, "confirmed");
        scene.end().await;
    }

    async fn a_category_is_what_somebody_is_now(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo, carla] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 3, "pools": [{ "category": "expert", "seats": 2 }] })).await;
        scene.seat(&session, &ada).await;
        let (first, second) = (scene.wait(&session, &bo).await, scene.wait(&session, &carla).await);
        // Ada's seat counts towards the pool from now on, so that one is free for everybody.
        scene.recast(&ada, json!({ "category": "expert" })).await;
        scene.settle().await;
        assert_eq!(scene.states([&first, &second]).await, ["confirmed", "waitlisted 1"]);
        scene.recast(&carla, json!({ "category": "expert" })).await;
        scene.settle().await;
        assert_eq!(scene.state(&second).await, "confirmed");
        scene.end().await;
    }
}
