//! Organisers pass rules over: those they name, and no other.

use super::*;

impl Scene {
    async fn pass(&self, rules: &[&str], session: &Value, person: &str) -> Answer {
        self.book_with(session, person, json!({ "ifFull": "reject", "override": { "rules": rules, "reason": "The chair asked." } })).await
    }
}

const ALL: [&str; 4] = ["capacity", "window", "overlap", "entitlement"];

on_both! {
    async fn each_rule_is_passed_by_its_name_and_no_other(app: App) {
        let scene = Scene::new(app, json!({ "maxSessions": 1 })).await;
        let full = scene.session("A", "12:00-13:00", json!({ "capacity": 0 })).await;
        let early = scene.session("B", "12:00-13:00", json!({ "booking": { "opensAt": "2026-03-09T08:00:00Z" }, "capacity": 9 })).await;
        let late = scene.session("C", "12:00-13:00", json!({ "booking": { "closesAt": "2026-03-01T08:00:00Z" }, "capacity": 9 })).await;
        let for_doctors = scene.session("D", "12:00-13:00", json!({ "booking": { "categories": ["doctor"] }, "capacity": 9 })).await;
        let beside = scene.session("E", "12:30-13:30", json!({ "capacity": 9 })).await;
        let later = scene.session("F", "14:00-15:00", json!({ "capacity": 9 })).await;
        let cases = [
            (&full, "capacity", "session_full"),
            (&early, "window", "booking_not_open"),
            (&late, "window", "booking_closed"),
            (&for_doctors, "entitlement", "not_entitled"),
        ];
        for (session, rule, code) in cases {
            let person = scene.person().await;
            let others: Vec<&str> = ALL.into_iter().filter(|other| *other != rule).collect();
            let refused = scene.pass(&others, session, &person).await;
            assert_eq!(refused.json["code"], code, "{rule}");
            assert_eq!(scene.pass(&[rule], session, &person).await.expect(201).json["status"], "confirmed", "{rule}");
        }
        // Limits are entitlement too.
        let ada = scene.person().await;
        scene.seat(&beside, &ada).await;
        scene.pass(&["capacity", "window", "overlap"], &later, &ada).await.problem(409, "limit_reached");
        scene.pass(&["entitlement"], &later, &ada).await.expect(201);
        let noon = scene.session("G", "12:00-13:00", json!({})).await;
        scene.pass(&["capacity", "window", "entitlement"], &noon, &ada).await.problem(409, "time_conflict");
        scene.pass(&["overlap", "entitlement"], &noon, &ada).await.expect(201);
        scene.end().await;
    }

    async fn what_has_begun_or_is_cancelled_takes_nobody_even_so(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let ada = scene.person().await;
        let begun = scene.session("A", "02 07:00-09:00", json!({})).await;
        let cancelled = scene.session("B", "12:00-13:00", json!({ "status": "cancelled" })).await;
        let draft = scene.session("C", "12:00-13:00", json!({ "status": "draft" })).await;
        scene.pass(&ALL, &begun, &ada).await.problem(409, "session_started");
        scene.pass(&ALL, &cancelled, &ada).await.problem(409, "session_cancelled");
        scene.pass(&ALL, &draft, &ada).await.problem(404, "not_found");
        scene.end().await;
    }

    async fn a_seat_beyond_the_capacity_melts_before_anybody_moves_up(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo, carla] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({})).await;
        let seat = scene.seat(&session, &ada).await;
        let waits = scene.wait(&session, &bo).await;
        let beyond = scene.pass(&["capacity"], &session, &carla).await.expect(201).json;
        assert_eq!(
            (&beyond["seq"], scene.app.availability(&session).await),
            (
                &json!(3),
                json!({
                    "sessionId": session["id"], "capacity": 1, "taken": 2, "available": 0, "waitlisted": 1
                })
            )
        );
        scene.cancel(&seat).await;
        scene.settle().await;
        assert_eq!((scene.state(&waits).await.as_str(), scene.seats(&session).await), ("waitlisted 1", (1, 1)));
        scene.cancel(&beyond).await;
        assert_eq!(scene.state(&waits).await, "confirmed");
        scene.end().await;
    }

    async fn a_free_seat_that_is_held_for_others_is_not_beyond_the_capacity(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let ada = scene.person().await;
        let session = scene.session("A", "12:00-13:00", json!({ "pools": [{ "category": "expert", "seats": 1 }] })).await;
        scene.pass(&["window"], &session, &ada).await.problem(409, "session_full");
        scene.pass(&["capacity"], &session, &ada).await.expect(201);
        assert_eq!(scene.seats(&session).await, (1, 0));
        scene.wait(&session, &scene.person_of("expert").await).await;
        scene.end().await;
    }

    async fn who_waits_or_is_offered_a_seat_gets_it(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo, carla] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({ "waitlist": { "mode": "offer" } })).await;
        let taken = scene.somebody_in(&session).await;
        let (first, second, third) =
            (scene.wait(&session, &ada).await, scene.wait(&session, &bo).await, scene.wait(&session, &carla).await);
        scene.pass(&["overlap"], &session, &bo).await.problem(409, "session_full");
        let confirmed = scene.pass(&["capacity"], &session, &bo).await.expect(200).json;
        assert_eq!((&confirmed["id"], &confirmed["seq"], &confirmed["status"]), (&second["id"], &second["seq"], &json!("confirmed")));
        assert_eq!((scene.seats(&session).await, scene.state(&first).await.as_str()), ((2, 2), "waitlisted 1"));
        scene.cancel(&second).await;
        scene.cancel(&taken).await;
        assert_eq!(scene.state(&first).await, "offered");
        let confirmed = scene.pass(&["window"], &session, &ada).await.expect(200).json;
        assert_eq!(
            (state_of(&confirmed).as_str(), &confirmed["offerExpiresAt"], scene.seats(&session).await),
            ("confirmed", &Value::Null, (1, 1))
        );
        assert_eq!(scene.pass(&["capacity"], &session, &ada).await.expect(200).json, confirmed, "a repeat changes nothing");
        assert_eq!(scene.state(&third).await, "waitlisted 1");
        scene.end().await;
    }

    async fn who_waits_gets_it_by_the_other_rules(app: App) {
        let scene = Scene::new(app, json!({ "maxSessions": 1 })).await;
        let ada = scene.person().await;
        let full = scene.session("A", "12:00-13:00", json!({ "capacity": 0 })).await;
        let beside = scene.session("B", "12:30-13:30", json!({})).await;
        let waits = scene.wait(&full, &ada).await;
        scene.seat(&beside, &ada).await;
        scene.pass(&["capacity", "window", "overlap"], &full, &ada).await.problem(409, "limit_reached");
        scene.pass(&["capacity", "window", "entitlement"], &full, &ada).await.problem(409, "time_conflict");
        assert_eq!(scene.state(&waits).await, "waitlisted 1");
        scene.pass(&["capacity", "overlap", "entitlement"], &full, &ada).await.expect(200);
        assert_eq!(scene.state(&waits).await, "confirmed");
        scene.end().await;
    }

    async fn it_is_in_the_journal_with_its_reason(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 0 })).await;
        scene.wait(&session, &ada).await;
        scene.pass(&["capacity", "overlap"], &session, &ada).await.expect(200);
        scene.pass(&["capacity"], &session, &bo).await.expect(201);
        let entries = scene.journal("?kind=registration_confirmed").await;
        for (entry, (person, rules)) in entries.iter().zip([(&ada, json!(["capacity", "overlap"])), (&bo, json!(["capacity"]))]) {
            assert_eq!(
                (&entry["attendeeId"], &entry["actorId"], &entry["actorName"]),
                (&json!(person), &json!(scene.anna.id), &json!("anna"))
            );
            assert_eq!(entry["details"], json!({ "override": rules, "reason": "The chair asked." }));
        }
        assert_eq!(entries.len(), 2);
        for wrong in [json!({ "rules": ["capacity"] }), json!({ "rules": [], "reason": "x" }), json!({ "rules": ["all"], "reason": "x" })] {
            scene.book_with(&session, &ada, json!({ "override": wrong })).await.problem(422, "invalid_body");
        }
        scene.end().await;
    }

    async fn only_owners_and_organisers_pass_rules_over_or_give_priority(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 0 })).await;
        let bo = scene.app.user("bo").await;
        let waits = scene.app.book(&session, &bo).await.expect(201).json;
        let mut others = vec![bo.clone()];
        for role in ["door", "viewer"] {
            let member = scene.app.user(role).await;
            scene.app.member(&scene.event["organisationId"], &member, role).await;
            others.push(member);
        }
        let mut prioritise = Vec::new();
        for user in &others {
            for wish in [json!({ "override": { "rules": ["capacity"], "reason": "I want to." } }), json!({ "priority": 5 })] {
                scene.app.book_with(&session, user, wish.clone()).await.problem(403, "forbidden");
                scene
                    .app
                    .book_with(&session, user, overlay(wish, json!({ "attendeeId": waits["attendeeId"] })))
                    .await
                    .problem(403, "forbidden");
            }
            let path = format!("/v1/registrations/{}", waits.as_id());
            prioritise.push(scene.app.patch(path).token(&user.token).merge(&json!({ "priority": 5 })).send().await);
        }
        prioritise.into_iter().for_each(|answer| drop(answer.problem(403, "forbidden")));
        assert_eq!(scene.app.registration(&waits, &bo).await, waits);
        // An organiser also for themselves.
        let own =
            scene.app.book_with(&session, &scene.anna, json!({ "override": { "rules": ["capacity"], "reason": "I chair it." } })).await;
        assert_eq!(own.expect(201).json["status"], "confirmed");
        scene.end().await;
    }
}
