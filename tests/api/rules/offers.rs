//! A freed seat that is held for the first who waits, until a time.

use super::*;

/// A session whose only seat has just been offered to the first of two who waited.
struct Offer {
    session: Value,
    first: Value,
    second: Value,
}

impl Offer {
    async fn made(scene: &Scene) -> Self {
        let [ada, bo] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({ "waitlist": { "mode": "offer" } })).await;
        let taken = scene.somebody_in(&session).await;
        let (first, second) = (scene.wait(&session, &ada).await, scene.wait(&session, &bo).await);
        scene.cancel(&taken).await;
        Self { session, first, second }
    }
}

impl Scene {
    async fn accept(&self, registration: &Value) -> Answer {
        self.app.act("accept", registration, &self.anna).await
    }

    async fn decline(&self, registration: &Value) -> Answer {
        self.app.act("decline", registration, &self.anna).await
    }
}

on_both! {
    async fn a_freed_seat_is_held_for_the_first_who_waits(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Offer { session, first, second } = Offer::made(&scene).await;
        let offered = scene.read(&first).await;
        assert_eq!((state_of(&offered).as_str(), &offered["offerExpiresAt"]), ("offered", &json!("2026-03-03T08:00:00Z")));
        assert_eq!((scene.state(&second).await.as_str(), scene.seats(&session).await), ("waitlisted 1", (1, 1)));
        let newcomer = scene.wait(&session, &scene.person().await).await;
        assert_eq!(state_of(&newcomer), "waitlisted 2", "it is as good as taken");
        assert_eq!(scene.book(&session, &first["attendeeId"].as_id()).await.expect(200).json, offered, "booking again changes nothing");
        scene.end().await;
    }

    async fn it_is_taken_by_accepting(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Offer { session, first, second } = Offer::made(&scene).await;
        let taken = scene.accept(&first).await.expect(200).json;
        assert_eq!((state_of(&taken).as_str(), &taken["offerExpiresAt"], &taken["seq"]), ("confirmed", &Value::Null, &first["seq"]));
        assert_eq!(scene.accept(&first).await.expect(200).json, taken, "a repeat changes nothing");
        scene.app.clock.set(at("2026-03-04T08:00:00Z"));
        scene.settle().await;
        assert_eq!((scene.state(&first).await.as_str(), scene.seats(&session).await), ("confirmed", (1, 1)));
        assert_eq!(scene.decline(&first).await.problem(409, "not_offered").json["registrationStatus"], "confirmed");
        assert_eq!(scene.accept(&second).await.problem(409, "not_offered").json["registrationStatus"], "waitlisted");
        scene.end().await;
    }

    async fn or_left_to_the_next_by_declining(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Offer { session, first, second } = Offer::made(&scene).await;
        let left = scene.decline(&first).await.expect(200).json;
        assert_eq!((state_of(&left).as_str(), &left["offerExpiresAt"]), ("cancelled declined", &Value::Null));
        assert_eq!((scene.state(&second).await.as_str(), scene.seats(&session).await), ("offered", (1, 0)));
        assert_eq!(scene.decline(&first).await.expect(200).json, left, "a repeat changes nothing");
        assert_eq!(scene.accept(&first).await.problem(409, "registration_cancelled").json["cancelReason"], "declined");
        scene.cancel(&second).await;
        assert_eq!(scene.decline(&second).await.problem(409, "registration_cancelled").json["cancelReason"], "by_organiser");
        assert_eq!(scene.seats(&session).await, (0, 0));
        scene.end().await;
    }

    async fn the_nearer_the_start_the_shorter_it_is_held(app: App) {
        let scene = Scene::new(app, json!({ "offers": { "ttlMinutes": 600, "lastDayTtlMinutes": 90, "automaticMinutes": 30 } })).await;
        for (now, expires) in [
            ("2026-03-09T12:00:00Z", json!("2026-03-09T22:00:00Z")),
            ("2026-03-10T11:59:59Z", json!("2026-03-10T21:59:59Z")),
            ("2026-03-10T12:00:00Z", json!("2026-03-10T13:30:00Z")),
            ("2026-03-11T10:45:00Z", json!("2026-03-11T12:00:00Z")), // Not longer than to the start.
            ("2026-03-11T11:29:59Z", json!("2026-03-11T12:00:00Z")),
            ("2026-03-11T11:30:00Z", Value::Null), // No time is left to ask.
        ] {
            let session =
                scene.session(&format!("S{}", scene.app.number()), "12:00-13:00", json!({ "waitlist": { "mode": "offer" } })).await;
            let taken = scene.somebody_in(&session).await;
            let waits = scene.wait(&session, &scene.person().await).await;
            scene.app.clock.set(at(now));
            scene.cancel(&taken).await;
            let next = scene.read(&waits).await;
            let status = if expires.is_null() { "confirmed" } else { "offered" };
            assert_eq!((next["status"].as_str(), &next["offerExpiresAt"]), (Some(status), &expires), "{now}");
        }
        scene.end().await;
    }

    async fn after_its_time_it_is_over_whether_or_not_anybody_looked(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let bo = scene.app.user("bo").await;
        let session = scene.session("A", "12:00-13:00", json!({ "waitlist": { "mode": "offer" } })).await;
        let taken = scene.somebody_in(&session).await;
        let offered = scene.app.book(&session, &bo).await.expect(201).json;
        scene.cancel(&taken).await;
        scene.app.clock.set(at("2026-03-03T07:59:59Z"));
        assert_eq!(scene.state(&offered).await, "offered");
        scene.app.clock.set(at("2026-03-03T08:00:00Z"));
        // All at once, before anybody can have looked after it.
        let mine = |query: &'static str| scene.app.get(format!("/v1/me/registrations{query}")).token(&bo.token).send();
        let roster = scene.app.get(format!("{}?status=cancelled", registrations(&session))).token(&scene.anna.token).send();
        let (read, none, one, roster) = tokio::join!(scene.read(&offered), mine("?status=offered"), mine("?status=cancelled"), roster);
        assert_eq!(state_of(&read), "cancelled offer_expired");
        assert_eq!((&read["offerExpiresAt"], &read["cancelledAt"]), (&Value::Null, &json!("2026-03-03T08:00:00Z")));
        assert_eq!((none.expect(200).ids().len(), one.expect(200).ids()), (0, vec![offered.as_id()]));
        assert!(roster.expect(200).ids().contains(&offered.as_id()));
        scene.accept(&offered).await.problem(409, "offer_expired");
        scene.decline(&offered).await.problem(409, "offer_expired");
        scene.end().await;
    }

    async fn whoever_comes_next_finds_it_ended(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Offer { session, first, second } = Offer::made(&scene).await;
        scene.cancel(&second).await;
        scene.app.clock.set(at("2026-03-03T08:00:00Z"));
        // No timer is needed: a booking ends what is over, and has the seat.
        let newcomer = scene.seat(&session, &scene.person().await).await;
        assert_eq!((newcomer["status"].as_str(), scene.seats(&session).await), (Some("confirmed"), (1, 0)));
        let ended = scene.journal("?kind=registration_cancelled&sort=-id").await[0].clone();
        assert_eq!((&ended["registrationId"], &ended["actorId"]), (&first["id"], &Value::Null));
        assert_eq!(ended["details"], json!({ "reason": "offer_expired", "from": "offered" }));
        scene.end().await;
    }

    async fn then_it_goes_to_the_next_who_waits(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Offer { first, second, .. } = Offer::made(&scene).await;
        scene.app.clock.set(at("2026-03-03T08:30:00Z"));
        scene.settle().await;
        let next = scene.read(&second).await;
        assert_eq!((state_of(&next).as_str(), &next["offerExpiresAt"]), ("offered", &json!("2026-03-04T08:30:00Z")));
        scene.app.clock.set(at("2026-03-04T08:30:00Z"));
        scene.settle().await;
        assert_eq!(scene.states([&first, &second]).await, ["cancelled offer_expired", "cancelled offer_expired"]);
        scene.end().await;
    }

    async fn several_offers_end_each_at_its_time(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 2, "waitlist": { "mode": "offer" } })).await;
        let (one, other) = (scene.somebody_in(&session).await, scene.somebody_in(&session).await);
        let [ada, bo, carla, dan] = scene.people().await;
        let (first, second) = (scene.wait(&session, &ada).await, scene.wait(&session, &bo).await);
        let (third, fourth) = (scene.wait(&session, &carla).await, scene.wait(&session, &dan).await);
        scene.cancel(&one).await;
        scene.app.clock.set(at("2026-03-02T18:00:00Z"));
        scene.cancel(&other).await;
        scene.app.clock.set(at("2026-03-03T08:00:00Z"));
        scene.settle().await;
        let states = scene.states([&first, &second, &third, &fourth]).await;
        assert_eq!(states, ["cancelled offer_expired", "offered", "offered", "waitlisted 1"]);
        scene.app.clock.set(at("2026-03-03T18:00:00Z"));
        scene.settle().await;
        assert_eq!(scene.states([&second, &third, &fourth]).await, ["cancelled offer_expired", "offered", "offered"]);
        scene.end().await;
    }

    async fn it_ends_with_the_start_and_nobody_is_next(app: App) {
        let scene = Scene::new(app, json!({ "offers": { "lastDayTtlMinutes": 600 } })).await;
        let session = scene.session("A", "12:00-13:00", json!({ "waitlist": { "mode": "offer" } })).await;
        let taken = scene.somebody_in(&session).await;
        let [ada, bo] = scene.people().await;
        let (first, second) = (scene.wait(&session, &ada).await, scene.wait(&session, &bo).await);
        scene.app.clock.set(at("2026-03-11T08:00:00Z"));
        scene.cancel(&taken).await;
        assert_eq!(scene.read(&first).await["offerExpiresAt"], "2026-03-11T12:00:00Z");
        scene.app.clock.set(at("2026-03-11T12:00:00Z"));
        scene.accept(&first).await.problem(409, "offer_expired");
        scene.settle().await;
        assert_eq!(scene.states([&first, &second]).await, ["cancelled offer_expired", "waitlisted"]);
        scene.end().await;
    }

    async fn it_ends_with_the_start_of_a_session_that_is_brought_forward(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Offer { session, first, second } = Offer::made(&scene).await;
        scene.edit(&session, json!({ "startsAt": "2026-03-02T10:00:00Z", "endsAt": "2026-03-02T11:00:00Z" })).await;
        assert_eq!(scene.read(&first).await["offerExpiresAt"], "2026-03-02T10:00:00Z");
        scene.app.clock.set(at("2026-03-02T10:00:00Z"));
        assert_eq!(scene.state(&first).await, "cancelled offer_expired");
        scene.accept(&first).await.problem(409, "offer_expired");
        scene.settle().await;
        assert_eq!((scene.state(&second).await.as_str(), scene.seats(&session).await), ("waitlisted", (0, 1)));
        scene.end().await;
    }

    async fn a_seat_at_the_same_hours_is_in_the_way_of_accepting(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Offer { first, .. } = Offer::made(&scene).await;
        let beside = scene.session("B", "12:30-13:30", json!({})).await;
        let seat = scene.seat(&beside, &first["attendeeId"].as_id()).await;
        assert_eq!(scene.accept(&first).await.problem(409, "time_conflict").json["clash"]["registrationId"], seat["id"]);
        assert_eq!(scene.state(&first).await, "offered");
        scene.cancel(&seat).await;
        scene.accept(&first).await.expect(200);
        scene.end().await;
    }

    async fn or_is_given_up_for_it_where_the_event_says_swap(app: App) {
        let scene = Scene::new(app, json!({ "onPromotionClash": "swap" })).await;
        let Offer { session, first, .. } = Offer::made(&scene).await;
        let beside = scene.session("B", "12:30-13:30", json!({})).await;
        let seat = scene.seat(&beside, &first["attendeeId"].as_id()).await;
        let waits = scene.wait(&beside, &scene.person().await).await;
        assert_eq!(scene.accept(&first).await.expect(200).json["status"], "confirmed");
        assert_eq!(scene.state(&seat).await, "cancelled swapped");
        scene.settle().await;
        assert_eq!((scene.state(&waits).await.as_str(), scene.seats(&session).await), ("confirmed", (1, 1)));
        scene.end().await;
    }

    async fn whoever_has_as_many_sessions_as_they_may_cannot_accept(app: App) {
        let scene = Scene::new(app, json!({ "maxSessions": 1 })).await;
        let Offer { first, .. } = Offer::made(&scene).await;
        let later = scene.session("B", "14:00-15:00", json!({})).await;
        scene.seat(&later, &first["attendeeId"].as_id()).await;
        assert_eq!(scene.accept(&first).await.problem(409, "limit_reached").json["limit"], json!({ "sessions": 1, "day": null }));
        scene.end().await;
    }

    async fn giving_it_back_is_like_giving_a_seat_back(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Offer { session, first, second } = Offer::made(&scene).await;
        assert_eq!(state_of(&scene.cancel(&first).await), "cancelled by_organiser");
        assert_eq!((scene.state(&second).await.as_str(), scene.seats(&session).await), ("offered", (1, 0)));
        scene.end().await;
    }

    async fn offers_that_are_out_stay_when_the_mode_changes(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let Offer { session, first, second } = Offer::made(&scene).await;
        scene.edit(&session, json!({ "waitlist": { "mode": "auto" } })).await;
        assert_eq!(scene.state(&first).await, "offered");
        scene.app.clock.set(at("2026-03-03T08:00:00Z"));
        scene.settle().await;
        assert_eq!(scene.states([&first, &second]).await, ["cancelled offer_expired", "confirmed"]);
        scene.end().await;
    }
}
