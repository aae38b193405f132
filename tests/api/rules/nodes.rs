//! Several nodes on one Postgres book, cancel and move on the same sessions and people at once.

use super::*;

/// A small generator of numbers, so that each run does the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// One person who wants this and that, through either node; answers what was wrong.
async fn wander(nodes: [&App; 2], anna: &User, sessions: &[Value], person: &str, seed: u64) {
    let mut numbers = Numbers(seed);
    let mut held: Vec<Value> = Vec::new();
    for _ in 0..12 {
        let (node, session) = (nodes[numbers.below(2)], &sessions[numbers.below(sessions.len())]);
        let answer = match (numbers.below(4), held.is_empty()) {
            (0 | 1, _) | (_, true) => node.book_with(session, anna, json!({ "attendeeId": person })).await,
            (2, _) => node.cancel(held.swap_remove(numbers.below(held.len())), anna).await,
            _ => node.move_to(session, held.swap_remove(numbers.below(held.len())), anna).await,
        };
        assert!(matches!(answer.status, 200 | 201 | 409), "{}: {}", answer.request, answer.text);
        if answer.status != 409 {
            held.push(answer.json);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_they_do_at_once_the_rules_hold() {
    let Some(app) = App::on_postgres().await else { return };
    let scene = Scene::new(app, json!({ "onPromotionClash": "swap", "maxSessions": 3 })).await;
    let node = scene.app.another_node().await;
    let mut sessions = Vec::new();
    for (number, hours) in ["12:00-13:00", "12:30-13:30", "13:00-14:00", "13:30-14:30", "14:00-15:00"].into_iter().enumerate() {
        let mode = if number % 2 == 0 { "auto" } else { "offer" };
        sessions.push(scene.session(&format!("S{number}"), hours, json!({ "capacity": 4, "waitlist": { "mode": mode } })).await);
    }
    let people = scene.people::<24>().await;
    let nodes = [&scene.app, &node];
    let lives = people.iter().enumerate().map(|(seed, person)| wander(nodes, &scene.anna, &sessions, person, seed as u64));
    let edits = async {
        for capacity in [2, 5, 1, 4] {
            for (number, session) in sessions.iter().enumerate() {
                let path = format!("/v1/sessions/{}?ifOverfull=waitlist_newest", session.as_id());
                let call = nodes[number % 2].patch(path).token(&scene.anna.token).if_match("*");
                call.merge(&json!({ "capacity": capacity })).send().await.expect(200);
            }
        }
    };
    tokio::join!(join_all(lives), edits);
    scene.settle().await;
    nobody_has_two_seats_at_once(&scene).await;
    scene.end().await;
}

/// Looked up in the database: no two seats of one person at the same hours.
async fn nobody_has_two_seats_at_once(scene: &Scene) {
    const TWO: &str = "SELECT COUNT(*) FROM registrations r JOIN sessions s ON s.id = r.session_id JOIN registrations q \
        ON q.attendee_id = r.attendee_id AND q.id > r.id JOIN sessions t ON t.id = q.session_id \
        WHERE r.status = 'confirmed' AND q.status = 'confirmed' AND s.starts_at < t.ends_at AND t.starts_at < s.ends_at";
    const TOO_MANY: &str = "SELECT COUNT(*) FROM (SELECT attendee_id FROM registrations WHERE status = 'confirmed' \
        GROUP BY attendee_id HAVING COUNT(*) > 3) d";
    for statement in [TWO, TOO_MANY] {
        assert_eq!(scene.app.db().query(statement).scalar::<i64>().await.expect("a number"), 0, "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_do_not_give_one_person_two_seats_at_the_same_hours() {
    let Some(app) = App::on_postgres().await else { return };
    let scene = Scene::new(app, json!({})).await;
    let node = scene.app.another_node().await;
    let (mut leaving, mut waits) = (Vec::new(), Vec::new());
    for hour in 8..18 {
        let ada = scene.person().await;
        for code in ["A", "B"] {
            let session = scene.session(&format!("{code}{hour}"), &format!("{hour:02}:00-{hour:02}:45"), json!({})).await;
            leaving.push(scene.somebody_in(&session).await);
            waits.push(scene.wait(&session, &ada).await);
        }
    }
    let nodes = [&scene.app, &node];
    let left = join_all(leaving.iter().enumerate().map(|(way, seat)| nodes[way % 2].cancel(seat, &scene.anna))).await;
    left.into_iter().for_each(|answer| drop(answer.expect(200)));
    for both in waits.chunks(2) {
        let mut states = [scene.state(&both[0]).await, scene.state(&both[1]).await];
        states.sort();
        assert_eq!(states, ["confirmed", "waitlisted 1"]);
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_due_is_done_once_whichever_node_looks() {
    let Some(app) = App::on_postgres().await else { return };
    let scene = Scene::new(app, json!({})).await;
    let node = scene.app.another_node().await;
    let session = scene.session("A", "12:00-13:00", json!({ "waitlist": { "mode": "offer" } })).await;
    let taken = scene.somebody_in(&session).await;
    let [ada, bo] = scene.people().await;
    let (first, second) = (scene.wait(&session, &ada).await, scene.wait(&session, &bo).await);
    node.cancel(&taken, &scene.anna).await.expect(200);
    scene.app.clock.set(at("2026-03-03T08:00:00Z"));
    let (one, other) = tokio::join!(scene.app.state().watch.settle(), node.state().watch.settle());
    one.and(other).expect("what is due is settled");
    assert_eq!(scene.states([&first, &second]).await, ["cancelled offer_expired", "offered"]);
    node.act("accept", &second, &scene.anna).await.expect(200);
    assert_eq!(scene.state(&second).await, "confirmed");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repeat_knows_what_the_other_node_did() {
    let Some(app) = App::on_postgres().await else { return };
    let scene = Scene::new(app, json!({})).await;
    let node = scene.app.another_node().await;
    let session = scene.session("A", "12:00-13:00", json!({})).await;
    let ada = scene.app.user("ada").await;
    let seat = scene.app.book(&session, &ada).await.expect(201).json;
    for app in [&scene.app, &node] {
        assert_eq!(app.book(&session, &ada).await.expect(200).json, seat);
    }
    let path = format!("/v1/registrations/{}", seat.as_id());
    let preferred = node.patch(path).token(&scene.anna.token).merge(&json!({ "priority": 7 })).send().await.expect(200).json;
    let asked = || scene.app.state().bookings.timings().commands;
    let before = asked();
    for _ in 0..3 {
        assert_eq!(scene.app.book(&session, &ada).await.expect(200).json, preferred);
    }
    assert_eq!(asked(), before + 1, "once it is decided, then it is known");
    node.cancel(&seat, &ada).await.expect(200);
    let another = scene.app.book(&session, &ada).await.expect(201).json;
    assert_ne!(another["id"], seat["id"]);
    assert_eq!(node.book(&session, &ada).await.expect(200).json, another);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_comes_in_another_nodes_turn_goes_together() {
    let Some(app) = App::on_postgres().await else { return };
    let scene = Scene::new(app, json!({})).await;
    let session = scene.session("A", "12:00-13:00", json!({})).await;
    let people = scene.people::<20>().await;
    let engine = &scene.app.state().bookings;
    // From now on it is known whose turn it is.
    scene.seat(&session, &people[0]).await;
    let mut turn = HeldBack::in_turn_of(&scene.app, scene.event.as_id().parse().expect("an id")).await;
    let before = engine.timings();
    let first = async { scene.book(&session, &people[1]).await.expect(201) };
    let others = async {
        turn.until_waiting(1).await;
        let all = join_all(people[2..].iter().map(|person| scene.book(&session, person)));
        let release = async {
            until("all wait", async || engine.queue().0 == 18).await;
            turn.end().await;
        };
        let (all, ()) = tokio::join!(all, release);
        all.into_iter().for_each(|answer| drop(answer.expect(201)));
    };
    tokio::join!(first, others);
    let after = engine.timings();
    assert_eq!((after.batches - before.batches, after.commands - before.commands), (1, 19));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_can_not_have_a_turn_books_without_it() {
    let Some(app) = App::on_postgres().await else { return };
    let scene = Scene::new(app, json!({})).await;
    let session = scene.session("A", "12:00-13:00", json!({ "capacity": 4 })).await;
    let [ada, bo, carla, dan] = scene.people().await;
    scene.seat(&session, &ada).await;
    for person in [&bo, &carla] {
        let mut turn = HeldBack::in_turn_of(&scene.app, scene.event.as_id().parse().expect("an id")).await;
        let cancelled = async {
            turn.until_waiting(1).await;
            turn.cancel_waiting().await;
        };
        tokio::join!(scene.seat(&session, person), cancelled);
        turn.end().await;
    }
    scene.seat(&session, &dan).await;
    scene.end().await;
}
