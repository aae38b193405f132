//! Who waits, in what order, and how many.

use super::*;

on_both! {
    async fn a_line_has_a_length(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({ "waitlist": { "mode": "auto", "limit": 1 } })).await;
        scene.somebody_in(&session).await;
        let waits = scene.wait(&session, &ada).await;
        let refused = scene.book(&session, &bo).await.problem(409, "waitlist_full");
        assert_eq!((&refused.json["sessionId"], scene.seats(&session).await), (&session["id"], (1, 1)));
        scene.cancel(&waits).await;
        scene.wait(&session, &bo).await;
        // A limit that is lowered sends nobody away.
        scene.edit(&session, json!({ "waitlist": { "limit": 0 } })).await;
        assert_eq!(scene.seats(&session).await, (1, 1));
        scene.book(&session, &ada).await.problem(409, "waitlist_full");
        scene.end().await;
    }

    async fn a_higher_priority_comes_first(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo, carla, dan] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 0 })).await;
        let first = scene.wait(&session, &ada).await;
        let second = scene.wait(&session, &bo).await;
        let third = scene.book_with(&session, &carla, json!({ "priority": 5 })).await.expect(201).json;
        assert_eq!((state_of(&third).as_str(), &third["seq"], &third["priority"]), ("waitlisted 1", &json!(3), &json!(5)));
        let fourth = scene.book_with(&session, &dan, json!({ "priority": 5 })).await.expect(201).json;
        assert_eq!(state_of(&fourth), "waitlisted 2", "of equals the first");
        assert_eq!(scene.states([&first, &second]).await, ["waitlisted 3", "waitlisted 4"]);
        let path = format!("/v1/registrations/{}", second.as_id());
        let prioritise = |priority: i64| scene.app.patch(&path).token(&scene.anna.token).merge(&json!({ "priority": priority })).send();
        let changed = prioritise(9).await.expect(200).json;
        assert_eq!((state_of(&changed).as_str(), &changed["seq"], &changed["priority"]), ("waitlisted 1", &json!(2), &json!(9)));
        for (capacity, promoted) in [(1, &second), (2, &third), (3, &fourth), (4, &first)] {
            assert_ne!(scene.state(promoted).await, "confirmed");
            scene.edit(&session, json!({ "capacity": capacity })).await;
            assert_eq!(scene.state(promoted).await, "confirmed", "{capacity}");
        }
        scene.cancel(&second).await;
        assert_eq!(prioritise(1).await.problem(409, "registration_cancelled").json["cancelReason"], "by_organiser");
        scene.end().await;
    }

    async fn the_order_is_never_by_a_clock(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({})).await;
        let taken = scene.somebody_in(&session).await;
        let first = scene.wait(&session, &ada).await;
        // Another node's clock, or one that was put right, runs an hour behind.
        scene.app.clock.set(scene.app.clock.now().plus_secs(-3600));
        let second = scene.wait(&session, &bo).await;
        assert!(second["createdAt"].as_str() < first["createdAt"].as_str());
        assert_eq!(state_of(&second), "waitlisted 2");
        scene.cancel(&taken).await;
        assert_eq!(scene.states([&first, &second]).await, ["confirmed", "waitlisted 1"]);
        scene.end().await;
    }

    async fn who_waits_sees_where_they_stand(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({})).await;
        let taken = scene.somebody_in(&session).await;
        scene.wait(&session, &scene.person().await).await;
        let bo = scene.app.user("bo").await;
        let waits = scene.app.book(&session, &bo).await.expect(201).json;
        let mine =
            async || scene.app.get("/v1/me/registrations").token(&bo.token).send().await.expect(200).json["items"][0]["position"].clone();
        assert_eq!(
            (&waits["position"], mine().await, &scene.app.registration(&waits, &bo).await["position"]),
            (&json!(2), json!(2), &json!(2))
        );
        scene.cancel(&taken).await;
        assert_eq!((mine().await, &scene.app.registration(&waits, &bo).await["position"]), (json!(1), &json!(1)));
        scene.app.clock.set(at("2026-03-11T12:00:00Z"));
        assert_eq!((mine().await, scene.app.book(&session, &bo).await.expect(200).json["position"].clone()), (Value::Null, Value::Null));
        scene.end().await;
    }

    async fn a_newcomer_comes_after_everybody_who_could_have_the_seat(app: App) {
        // Seats are held for doctors until the 3rd; then Ada, who waits, could have one, and nobody looked yet.
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let held = json!([{ "category": "doctor", "seats": 1, "releasesAt": "2026-03-03T08:00:00Z" }]);
        let session = scene.session("A", "12:00-13:00", json!({ "pools": held })).await;
        let waits = scene.wait(&session, &ada).await;
        scene.app.clock.set(at("2026-03-03T08:00:00Z"));
        let newcomer = scene.wait(&session, &bo).await;
        assert_eq!((scene.state(&waits).await.as_str(), state_of(&newcomer).as_str()), ("confirmed", "waitlisted 1"));
        scene.end().await;
    }

    async fn a_newcomer_does_not_wait_for_those_who_could_not_have_the_seat(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let (noon, other) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "12:00-13:00", json!({})).await);
        let taken = scene.somebody_in(&noon).await;
        let waits = scene.wait(&noon, &ada).await;
        scene.seat(&other, &ada).await;
        scene.cancel(&taken).await;
        assert_eq!(scene.seats(&noon).await, (0, 1));
        scene.seat(&noon, &bo).await;
        assert_eq!(scene.state(&waits).await, "waitlisted 1");
        scene.end().await;
    }

    async fn people_move_up_after_the_window_has_closed_and_until_the_start(app: App) {
        let scene = Scene::new(app, json!({ "closesAt": "2026-03-10T08:00:00Z" })).await;
        let [ada, bo] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 2 })).await;
        let (one, other) = (scene.somebody_in(&session).await, scene.somebody_in(&session).await);
        let (first, second) = (scene.wait(&session, &ada).await, scene.wait(&session, &bo).await);
        scene.app.clock.set(at("2026-03-11T11:59:59Z"));
        scene.cancel(&one).await;
        assert_eq!(scene.state(&first).await, "confirmed");
        scene.app.clock.set(at("2026-03-11T12:00:00Z"));
        scene.cancel(&other).await;
        scene.settle().await;
        assert_eq!((scene.state(&second).await.as_str(), scene.seats(&session).await), ("waitlisted", (1, 1)));
        scene.end().await;
    }

    async fn who_left_does_not_get_the_seat_back(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo, carla] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({ "waitlist": { "mode": "offer" } })).await;
        let seat = scene.seat(&session, &ada).await;
        let (first, second) = (scene.wait(&session, &bo).await, scene.wait(&session, &carla).await);
        scene.cancel(&seat).await;
        assert_eq!(scene.state(&first).await, "offered");
        scene.app.act("decline", &first, &scene.anna).await.expect(200);
        assert_eq!(scene.states([&first, &second]).await, ["cancelled declined", "offered"]);
        // Alone in the world, and still not.
        scene.app.act("decline", &second, &scene.anna).await.expect(200);
        scene.settle().await;
        assert_eq!((scene.state(&second).await.as_str(), scene.seats(&session).await), ("cancelled declined", (0, 0)));
        let again = scene.seat(&session, &ada).await;
        assert_eq!(again["seq"], 4, "who comes back is new");
        scene.end().await;
    }

    async fn one_who_can_is_found_behind_many_who_cannot(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let (noon, other) =
            (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "12:00-13:00", json!({ "capacity": 60 })).await);
        let taken = scene.somebody_in(&noon).await;
        let busy = scene.people::<60>().await;
        join_all(busy.iter().map(|person| scene.seat(&other, person))).await;
        join_all(busy.iter().map(|person| scene.wait(&noon, person))).await;
        let last = scene.wait(&noon, &scene.person().await).await;
        scene.cancel(&taken).await;
        assert_eq!((scene.state(&last).await.as_str(), scene.seats(&noon).await), ("confirmed", (1, 60)));
        scene.end().await;
    }
}
