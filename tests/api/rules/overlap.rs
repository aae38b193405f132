//! Nobody has two seats at the same hours.

use super::*;

on_both! {
    async fn a_seat_at_the_same_hours_is_in_the_way(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let noon = scene.session("A", "12:00-13:00", json!({})).await;
        let ada = scene.person().await;
        let seat = scene.seat(&noon, &ada).await;
        for hours in ["12:00-13:00", "12:30-13:30", "11:30-12:01", "11:00-14:00", "12:15-12:45"] {
            let session = scene.session(&hours.replace(':', ""), hours, json!({})).await;
            let refused = scene.book(&session, &ada).await.problem(409, "time_conflict");
            assert_eq!(
                refused.json["clash"],
                json!({
                    "sessionId": noon["id"], "code": "A", "startsAt": "2026-03-11T12:00:00Z", "endsAt": "2026-03-11T13:00:00Z",
                    "registrationId": seat["id"],
                }),
                "{hours}"
            );
            assert_eq!(scene.seats(&session).await, (0, 0), "a refusal takes nothing");
        }
        // Who gives the seat back is free again.
        let later = scene.session("B", "12:30-13:30", json!({})).await;
        scene.book(&later, &ada).await.problem(409, "time_conflict");
        scene.cancel(&seat).await;
        scene.seat(&later, &ada).await;
        scene.end().await;
    }

    async fn one_session_may_begin_when_another_ends(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let ada = scene.person().await;
        for (code, hours) in [("A", "12:00-13:00"), ("B", "13:00-14:00"), ("C", "11:00-12:00")] {
            let session = scene.session(code, hours, json!({})).await;
            scene.seat(&session, &ada).await;
        }
        scene.end().await;
    }

    async fn minutes_can_be_wanted_between_different_rooms(app: App) {
        let scene = Scene::new(app, json!({ "overlapBufferMinutes": 15 })).await;
        let (hall, cellar) = (scene.room("Hall", json!(50)).await, scene.room("Cellar", json!(50)).await);
        let ada = scene.person().await;
        let noon = scene.session("A", "12:00-13:00", json!({ "roomId": hall["id"] })).await;
        scene.seat(&noon, &ada).await;
        for (code, hours, room) in [("B", "13:14-14:00", &cellar), ("C", "11:00-11:46", &cellar)] {
            let session = scene.session(code, hours, json!({ "roomId": room["id"] })).await;
            scene.book(&session, &ada).await.problem(409, "time_conflict");
        }
        // Enough minutes, or no way to walk.
        for (code, hours, room) in [("D", "13:15-14:00", &cellar), ("E", "11:00-12:00", &hall)] {
            let session = scene.session(code, hours, json!({ "roomId": room["id"] })).await;
            scene.seat(&session, &ada).await;
        }
        // A session without a room may be anywhere.
        let bo = scene.person().await;
        let homeless = scene.session("F", "16:00-17:00", json!({})).await;
        scene.seat(&homeless, &bo).await;
        let next = scene.session("G", "17:10-18:00", json!({})).await;
        scene.book(&next, &bo).await.problem(409, "time_conflict");
        scene.end().await;
    }

    async fn an_event_can_allow_it(app: App) {
        let scene = Scene::new(app, json!({ "overlap": "allow", "overlapBufferMinutes": 15 })).await;
        let ada = scene.person().await;
        for code in ["A", "B", "C"] {
            let session = scene.session(code, "12:00-13:00", json!({})).await;
            scene.seat(&session, &ada).await;
        }
        scene.end().await;
    }

    async fn waiting_may_overlap(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let ada = scene.person().await;
        let (one, other) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "12:00-13:00", json!({})).await);
        scene.somebody_in(&one).await;
        scene.somebody_in(&other).await;
        let (first, second) = (scene.wait(&one, &ada).await, scene.wait(&other, &ada).await);
        // It keeps from no seat, a seat ends it not, and keeps from no more of it.
        let free = scene.session("C", "12:00-13:00", json!({})).await;
        scene.seat(&free, &ada).await;
        let third = scene.session("D", "12:00-13:00", json!({ "capacity": 0 })).await;
        scene.wait(&third, &ada).await;
        assert_eq!(scene.states([&first, &second]).await, ["waitlisted 1", "waitlisted 1"]);
        scene.end().await;
    }

    async fn of_two_bookings_in_the_same_instant_one_is_refused(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let seats = json!({ "capacity": 20 });
        let sessions = [scene.session("A", "12:00-13:00", seats.clone()).await, scene.session("B", "12:30-13:30", seats).await];
        let people = scene.people::<20>().await;
        let calls = people.iter().flat_map(|person| sessions.iter().map(|session| scene.book(session, person)));
        let answers = join_all(calls).await;
        for both in answers.chunks(2) {
            let mut statuses = [both[0].status, both[1].status];
            statuses.sort_unstable();
            assert_eq!(statuses, [201, 409], "{} {}", both[0].text, both[1].text);
        }
        assert_eq!(scene.seats(&sessions[0]).await.0 + scene.seats(&sessions[1]).await.0, 20);
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_bookings_through_two_nodes_one_is_refused() {
    let Some(app) = App::on_postgres().await else { return };
    let scene = Scene::new(app, json!({})).await;
    let node = scene.app.another_node().await;
    let seats = json!({ "capacity": 9 });
    let sessions = [scene.session("A", "12:00-13:00", seats.clone()).await, scene.session("B", "12:30-13:30", seats).await];
    for person in scene.people::<4>().await {
        // Both nodes have begun, and read what there is, before either can write.
        let mut held = HeldBack::begin(&scene.app, "registrations").await;
        let wish = json!({ "attendeeId": person });
        let both =
            join_all([scene.app.book_with(&sessions[0], &scene.anna, wish.clone()), node.book_with(&sessions[1], &scene.anna, wish)]);
        let (answers, ()) = tokio::join!(both, async {
            held.until_waiting(2).await;
            held.end().await;
        });
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{} {}", answers[0].text, answers[1].text);
    }
    scene.end().await;
}
