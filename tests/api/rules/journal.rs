//! Every change is written down: what happened, when, and who did it.

use super::*;
use crate::api_keys::{key, secret};

/// Kind, change number and details of each entry.
fn told(entries: &[Value]) -> Vec<(&str, i64, &Value)> {
    let text = |entry: &'_ Value| -> i64 { entry["change"].as_i64().expect("a number") };
    entries.iter().map(|entry| (entry["kind"].as_str().expect("a kind"), text(entry), &entry["details"])).collect()
}

fn ids(entries: &[Value]) -> Vec<i64> {
    entries.iter().map(|entry| entry["id"].as_i64().expect("an id")).collect()
}

on_both! {
    async fn a_session_is_told_whole_and_without_a_gap(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo, carla] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({ "waitlist": { "mode": "offer" } })).await;
        let later = scene.session("B", "14:00-15:00", json!({})).await;
        let seat = scene.seat(&session, &ada).await;
        let (first, second) = (scene.wait(&session, &bo).await, scene.wait(&session, &carla).await);
        scene.book_with(&session, &bo, json!({ "ifFull": "reject" })).await.expect(200);
        scene.book(&later, &ada).await.expect(201);
        let path = format!("/v1/registrations/{}", second.as_id());
        scene.app.patch(path).token(&scene.anna.token).merge(&json!({ "priority": 3 })).send().await.expect(200);
        scene.cancel(&seat).await;
        scene.app.act("accept", &second, &scene.anna).await.expect(200);
        scene.edit(&session, json!({ "capacity": 2, "waitlist": { "mode": "auto" } })).await;
        scene.edit_with("?ifOverfull=waitlist_newest", &session, json!({ "capacity": 1 })).await.expect(200);
        let moved = scene.move_to(&later, &first).await;
        moved.problem(409, "session_full");
        let entries = scene.journal(&format!("?sessionId={}", session.as_id())).await;
        assert_eq!(
            told(&entries),
            [
                ("registration_confirmed", 1, &json!({})),
                ("registration_waitlisted", 2, &json!({})),
                ("registration_waitlisted", 3, &json!({})),
                ("registration_prioritised", 4, &json!({ "from": 0, "to": 3 })),
                ("registration_cancelled", 5, &json!({ "reason": "by_organiser", "from": "confirmed" })),
                ("registration_offered", 6, &json!({ "expiresAt": "2026-03-03T08:00:00Z" })),
                ("registration_accepted", 7, &json!({})),
                ("seats_changed", 8, &json!({ "from": 1, "to": 2 })),
                ("registration_promoted", 9, &json!({})),
                ("registration_demoted", 10, &json!({ "from": "confirmed" })),
                ("seats_changed", 11, &json!({ "from": 2, "to": 1 })),
            ]
        );
        let offered = &entries[5];
        assert_eq!(
            (&offered["registrationId"], &offered["attendeeId"], &offered["at"]),
            (&second["id"], &json!(carla), &json!("2026-03-02T08:00:00Z"))
        );
        assert_eq!((&offered["sessionId"], &offered["sessionCode"]), (&session["id"], &json!("A")));
        assert_eq!((&offered["actorId"], &offered["actorName"]), (&Value::Null, &Value::Null), "it follows from the rules");
        assert_eq!((&entries[4]["actorId"], &entries[4]["actorName"]), (&json!(scene.anna.id), &json!("anna")));
        assert_eq!(
            (&entries[7]["registrationId"], &entries[7]["attendeeId"], &entries[7]["actorName"]),
            (&Value::Null, &Value::Null, &json!("anna"))
        );
        scene.end().await;
    }

    async fn what_belongs_together_names_the_other(app: App) {
        let scene = Scene::new(app, json!({ "onPromotionClash": "swap" })).await;
        let ada = scene.person().await;
        let (noon, other) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "12:00-13:00", json!({})).await);
        let later = scene.session("C", "14:00-15:00", json!({})).await;
        let taken = scene.somebody_in(&noon).await;
        let (seat, waits) = (scene.seat(&other, &ada).await, scene.wait(&noon, &ada).await);
        scene.cancel(&taken).await;
        let swapped = &scene.journal(&format!("?sessionId={}&kind=registration_cancelled", other.as_id())).await[0];
        assert_eq!(
            (&swapped["registrationId"], &swapped["details"]),
            (&seat["id"], &json!({ "reason": "swapped", "from": "confirmed", "for": waits["id"] }))
        );
        let moved = scene.move_to(&later, &waits).await.expect(201).json;
        let left = &scene.journal(&format!("?sessionId={}&sort=-id", noon.as_id())).await[0];
        assert_eq!(left["details"], json!({ "reason": "moved", "from": "confirmed", "for": moved["id"] }));
        let came = &scene.journal(&format!("?sessionId={}", later.as_id())).await[0];
        assert_eq!((came["kind"].as_str(), &came["details"]), (Some("registration_confirmed"), &json!({ "movedFrom": waits["id"] })));
        scene.end().await;
    }

    async fn a_program_is_named_too(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 0 })).await;
        let program = key(&scene.app, &scene.anna, &scene.event["organisationId"], &["registrations:write"]).await;
        let wish =
            json!({ "attendeeId": scene.person().await, "override": { "rules": ["capacity"], "reason": "Badge 17 was sold twice." } });
        scene.app.post(registrations(&session)).token(secret(&program)).json(&wish).send().await.expect(201);
        let entry = &scene.journal("").await[0];
        assert_eq!((&entry["actorId"], &entry["actorName"]), (&program["id"], &json!("Program")));
        scene.end().await;
    }

    async fn refusals_and_repeats_are_not_told(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let session = scene.session("A", "12:00-13:00", json!({ "waitlist": { "mode": "none" } })).await;
        let seat = scene.seat(&session, &ada).await;
        scene.book(&session, &ada).await.expect(200);
        scene.book(&session, &bo).await.problem(409, "session_full");
        scene.cancel(&seat).await;
        scene.cancel(&seat).await;
        scene.edit(&session, json!({ "title": "Another title" })).await;
        let entries = scene.journal("").await;
        assert_eq!(entries.iter().map(|entry| &entry["kind"]).collect::<Vec<_>>(), ["registration_confirmed", "registration_cancelled"]);
        scene.end().await;
    }

    async fn it_is_filtered_and_read_in_pages(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let [ada, bo] = scene.people().await;
        let (one, other) = (
            scene.session("A", "12:00-13:00", json!({ "capacity": 2 })).await,
            scene.session("B", "14:00-15:00", json!({ "capacity": 2 })).await,
        );
        let seat = scene.seat(&one, &ada).await;
        scene.seat(&other, &bo).await;
        scene.app.clock.set(at("2026-03-03T08:00:00Z"));
        scene.cancel(&seat).await;
        scene.seat(&other, &ada).await;
        let all = ids(&scene.journal("").await);
        let expected = |places: &[usize]| places.iter().map(|place| all[*place]).collect::<Vec<_>>();
        for (query, places) in [
            (format!("?sessionId={}", one.as_id()), vec![0, 2]),
            (format!("?attendeeId={ada}"), vec![0, 2, 3]),
            ("?kind=registration_confirmed".into(), vec![0, 1, 3]),
            ("?from=2026-03-03T08:00:00Z".into(), vec![2, 3]),
            ("?before=2026-03-03T08:00:00Z".into(), vec![0, 1]),
            (format!("?attendeeId={ada}&kind=registration_confirmed&sort=-id"), vec![3, 0]),
            ("?from=2026-03-04T08:00:00Z".into(), vec![]),
        ] {
            assert_eq!(ids(&scene.journal(&query).await), expected(&places), "{query}");
        }
        for sort in ["id", "-id"] {
            let (mut walked, mut cursor) = (Vec::new(), String::new());
            loop {
                let path = format!("/v1/events/{}/journal?sort={sort}&limit=3{cursor}", scene.event.as_id());
                let page = scene.app.get(path).token(&scene.anna.token).send().await.expect(200).json;
                walked.extend(ids(page["items"].as_array().unwrap()));
                let Some(next) = page["nextCursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(walked, ids(&scene.journal(&format!("?sort={sort}")).await));
        }
        let path = format!("/v1/events/{}/journal", scene.event.as_id());
        for query in ["kind=nothing", "sessionId=x", "from=yesterday", "sort=at", "registrationId=1"] {
            scene.app.get(format!("{path}?{query}")).token(&scene.anna.token).send().await.problem(400, "invalid_parameter");
        }
        scene.end().await;
    }

    async fn each_event_has_its_own(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({})).await;
        scene.somebody_in(&session).await;
        let other = scene.app.event(&scene.anna, json!({ "organisationId": scene.event["organisationId"] })).await;
        let path = format!("/v1/events/{}/journal?sessionId={}", other.as_id(), session.as_id());
        assert_eq!(scene.app.get(path).token(&scene.anna.token).send().await.expect(200).json["items"], json!([]));
        scene.end().await;
    }
}
