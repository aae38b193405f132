//! Booking, waiting and cancelling, through the front door.

use crate::support::*;

fn event_id(event: &Value) -> &str {
    event["id"].as_str().unwrap()
}

on_both! { async fn a_seat_is_booked_and_a_repeat_answers_the_same(app: App) {
    let anna = app.user("anna").await;
    let event = app.event(&anna, json!({})).await;
    let session = app.session(&anna, event_id(&event), json!({ "capacity": 2 })).await;
    let bo = app.user("bo").await;
    let first = app.book(&session, &bo).await.expect(201);
    assert_eq!(first.json["status"], "confirmed");
    assert_eq!(first.json["seq"], 1);
    assert_eq!(first.json["position"], Value::Null);
    assert_eq!(first.headers["location"], format!("/v1/registrations/{}", first.json["id"].as_str().unwrap()).as_str());
    let commands = || app.state().bookings.timings().commands;
    let asked = commands();
    let again = app.book(&session, &bo).await.expect(200);
    assert_eq!(again.json, first.json);
    assert_eq!(commands(), asked, "a seat that stands is told without deciding");
    assert_eq!(app.availability(&session).await, json!({
        "sessionId": session["id"], "capacity": 2, "taken": 1, "available": 1, "waitlisted": 0
    }));
    let mine = app.get("/v1/me/registrations").token(&bo.token).send().await.expect(200).json;
    assert_eq!(mine["items"][0]["id"], first.json["id"]);
    assert_eq!(mine["items"][0]["session"]["code"], session["code"]);
    assert_eq!(mine["nextCursor"], Value::Null);
} }

on_both! { async fn a_full_session_puts_people_in_line_and_a_freed_seat_goes_to_its_head(app: App) {
    let anna = app.user("anna").await;
    let event = app.event(&anna, json!({})).await;
    let session = app.session(&anna, event_id(&event), json!({ "capacity": 1 })).await;
    let (bo, carla, dan) = (app.user("bo").await, app.user("carla").await, app.user("dan").await);
    let seat = app.book(&session, &bo).await.expect(201).json;
    let first = app.book(&session, &carla).await.expect(201).json;
    let second = app.book(&session, &dan).await.expect(201).json;
    assert_eq!((&first["status"], &first["seq"], &first["position"]), (&json!("waitlisted"), &json!(2), &json!(1)));
    assert_eq!((&second["status"], &second["seq"], &second["position"]), (&json!("waitlisted"), &json!(3), &json!(2)));
    assert_eq!(app.book(&session, &dan).await.expect(200).json["position"], 2, "a repeat tells the position too");

    let cancelled = app.cancel(&seat, &bo).await.expect(200).json;
    assert_eq!((&cancelled["status"], &cancelled["cancelReason"]), (&json!("cancelled"), &json!("by_attendee")));
    let promoted = app.registration(&first, &carla).await;
    assert_eq!((&promoted["status"], &promoted["seq"], &promoted["position"]), (&json!("confirmed"), &json!(2), &Value::Null));
    assert_eq!(app.registration(&second, &dan).await["position"], 1);
    assert_eq!(app.availability(&session).await["taken"], 1);
    assert_eq!(app.availability(&session).await["waitlisted"], 1);

    assert_eq!(app.cancel(&seat, &bo).await.expect(200).json, cancelled, "a repeat changes nothing");
    let back = app.book(&session, &bo).await.expect(201).json;
    assert_eq!((&back["status"], &back["seq"], &back["position"]), (&json!("waitlisted"), &json!(4), &json!(2)));
    assert_ne!(back["id"], seat["id"], "booking again after a cancellation is a new row");
} }

on_both! { async fn a_seat_is_told_again_for_as_long_as_it_is_there(app: App) {
    let anna = app.user("anna").await;
    let event = app.event(&anna, json!({ "booking": { "overlap": "allow" } })).await;
    let (session, other) = (app.session(&anna, event_id(&event), json!({ "capacity": 1 })).await, app.session(&anna, event_id(&event), json!({})).await);
    let (bo, carla) = (app.user("bo").await, app.user("carla").await);
    let mut seats = Vec::new();
    for ends in ["by its attendee", "by an organiser", "by a move"] {
        let seat = app.book(&session, &bo).await.expect(201).json;
        assert_eq!(app.book(&session, &bo).await.expect(200).json, seat, "before it ends {ends}");
        match ends {
            "by a move" => {
                let to = json!({ "sessionId": other["id"] });
                app.post(format!("/v1/registrations/{}/move", seat.as_id())).token(&bo.token).json(&to).send().await.expect(201);
            }
            _ => drop(app.cancel(&seat, if ends == "by its attendee" { &bo } else { &anna }).await.expect(200)),
        }
        assert!(!seats.contains(&seat["id"]));
        seats.push(seat["id"].clone());
    }
    // Who moves up is told the seat, and the line no longer.
    let seat = app.book(&session, &bo).await.expect(201).json;
    let waits = app.book(&session, &carla).await.expect(201).json;
    assert_eq!(app.book(&session, &carla).await.expect(200).json, waits);
    app.cancel(&seat, &bo).await.expect(200);
    let promoted = app.book(&session, &carla).await.expect(200).json;
    assert_eq!((&promoted["id"], &promoted["status"], &promoted["position"]), (&waits["id"], &json!("confirmed"), &Value::Null));
    // What an organiser edits may change everything.
    let path = format!("/v1/sessions/{}", session.as_id());
    let shown = app.get(&path).token(&anna.token).send().await.expect(200);
    let patch = app.patch(&path).token(&anna.token).if_match(shown.header("etag").unwrap());
    patch.merge(&json!({ "status": "cancelled" })).send().await.expect(200);
    app.book(&session, &carla).await.problem(409, "session_cancelled");
} }

on_both! { async fn who_will_not_wait_is_refused(app: App) {
    let anna = app.user("anna").await;
    let event = app.event(&anna, json!({})).await;
    let waits = app.session(&anna, event_id(&event), json!({ "capacity": 0 })).await;
    let refuses = app.session(&anna, event_id(&event), json!({ "capacity": 0, "waitlist": { "mode": "none" } })).await;
    let reject = app.post(registrations(&waits)).token(&anna.token).json(&json!({ "ifFull": "reject" })).send().await;
    assert_eq!(reject.problem(409, "session_full").json["sessionId"], waits["id"]);
    app.book(&refuses, &anna).await.problem(409, "session_full");
    app.post(registrations(&refuses)).token(&anna.token).json(&json!({ "ifFull": "waitlist" })).send().await.problem(409, "session_full");
    assert_eq!(app.availability(&waits).await["waitlisted"], 0);
    assert_eq!(app.book(&waits, &anna).await.expect(201).json["seq"], 1, "a refusal takes no seq");
} }

on_both! { async fn the_window_of_the_event_or_the_session_is_kept(app: App) {
    let anna = app.user("anna").await;
    let booking = json!({ "opensAt": "2026-03-03T08:00:00Z", "closesAt": "2026-03-04T08:00:00Z" });
    let event = app.event(&anna, json!({ "booking": booking })).await;
    let usual = app.session(&anna, event_id(&event), json!({})).await;
    let early = app.session(&anna, event_id(&event), json!({
        "startsAt": "2026-03-11T08:00:00Z", "endsAt": "2026-03-11T09:00:00Z", "booking": { "opensAt": "2026-03-01T00:00:00Z" },
    })).await;
    let refused = app.book(&usual, &anna).await.problem(409, "booking_not_open");
    assert_eq!(refused.json["opensAt"], "2026-03-03T08:00:00Z");
    app.book(&early, &anna).await.expect(201);
    app.clock.set(app.clock.now().plus_secs(24 * 3600));
    app.book(&usual, &anna).await.expect(201);
    app.clock.set(app.clock.now().plus_secs(24 * 3600));
    let bo = app.user("bo").await;
    let refused = app.book(&usual, &bo).await.problem(409, "booking_closed");
    assert_eq!(refused.json["closesAt"], "2026-03-04T08:00:00Z");
    app.book(&usual, &anna).await.expect(200);
} }

on_both! { async fn a_started_session_is_left_as_it_is(app: App) {
    let anna = app.user("anna").await;
    let event = app.event(&anna, json!({})).await;
    let session = app.session(&anna, event_id(&event), json!({ "capacity": 1 })).await;
    let (bo, carla) = (app.user("bo").await, app.user("carla").await);
    let seat = app.book(&session, &bo).await.expect(201).json;
    let waits = app.book(&session, &carla).await.expect(201).json;
    let small = app.session(&anna, event_id(&event), json!({ "code": "SMALL", "startsAt": session["startsAt"], "endsAt": session["endsAt"] })).await;
    let own = app.book(&small, &anna).await.expect(201).json;
    app.clock.set(at("2026-03-11T12:00:00Z"));
    app.book(&session, &anna).await.problem(409, "session_started");
    assert_eq!(app.cancel(&own, &anna).await.expect(200).json["cancelReason"], "by_attendee", "an organiser may leave at any time");
    app.cancel(&seat, &bo).await.problem(409, "session_started");
    assert_eq!(app.registration(&waits, &carla).await["position"], Value::Null);
    let cancelled = app.cancel(&seat, &anna).await.expect(200).json;
    assert_eq!(cancelled["cancelReason"], "by_organiser");
    assert_eq!(app.registration(&waits, &carla).await["status"], "waitlisted", "nobody is promoted after the start");
} }

on_both! { async fn an_event_for_its_attendees_admits_nobody_else(app: App) {
    let anna = app.user("anna").await;
    let event = app.event(&anna, json!({ "booking": { "admission": "attendees_only" } })).await;
    let session = app.session(&anna, event_id(&event), json!({})).await;
    let bo = app.user("bo").await;
    app.book(&session, &bo).await.problem(403, "not_admitted");
    let attendees = format!("/v1/events/{}/attendees", event_id(&event));
    // The same email links nobody: it is not verified.
    let attendee = app.post(&attendees).token(&anna.token).json(&json!({ "name": "Bo", "email": bo.email })).send().await.expect(201).json;
    app.book(&session, &bo).await.problem(403, "not_admitted");
    let path = format!("/v1/attendees/{}/claim-code", attendee["id"].as_str().unwrap());
    let code = app.post(&path).token(&anna.token).send().await.expect(201).json["claimCode"].clone();
    app.post("/v1/me/attendees").token(&bo.token).json(&json!({ "claimCode": code })).send().await.expect(200);
    let seat = app.book(&session, &bo).await.expect(201).json;
    assert_eq!(seat["attendeeId"], attendee["id"]);
} }

on_both! { async fn organisers_book_for_others_and_nobody_else_does(app: App) {
    let anna = app.user("anna").await;
    let event = app.event(&anna, json!({})).await;
    let session = app.session(&anna, event_id(&event), json!({ "capacity": 3 })).await;
    let attendees = format!("/v1/events/{}/attendees", event_id(&event));
    let attendee = app.post(&attendees).token(&anna.token).json(&json!({ "name": "Guest" })).send().await.expect(201).json;
    let body = json!({ "attendeeId": attendee["id"] });
    let call = |user: &User| app.post(registrations(&session)).token(&user.token).json(&body).send();
    let bo = app.user("bo").await;
    call(&bo).await.problem(422, "unknown_reference");
    let dora = app.user("dora").await;
    app.member(event["organisationId"].as_str().unwrap(), &dora, "door").await;
    call(&dora).await.problem(403, "forbidden");
    let seat = call(&anna).await.expect(201).json;
    assert_eq!(seat["attendeeId"], attendee["id"]);
    call(&anna).await.expect(200);

    // Somebody who booked for themselves is an attendee and can be named by themselves.
    let own = app.book(&session, &bo).await.expect(201).json;
    let named = json!({ "attendeeId": own["attendeeId"] });
    app.post(registrations(&session)).token(&bo.token).json(&named).send().await.expect(200);
    // An attendee of another event is unknown here.
    let other = app.event(&anna, json!({})).await;
    let elsewhere = app.session(&anna, event_id(&other), json!({})).await;
    let refused = app.post(registrations(&elsewhere)).token(&anna.token).json(&body).send().await.problem(422, "unknown_reference");
    assert_eq!(refused.pointer(), "/attendeeId");
    // Door staff see it and cannot cancel it; strangers see nothing.
    app.registration(&seat, &dora).await;
    for (user, refused) in [(&dora, (403, "forbidden")), (&bo, (404, "not_found"))] {
        for act in ["cancel", "accept", "decline"] {
            app.act(act, &seat, user).await.problem(refused.0, refused.1);
        }
        app.move_to(&session, &seat, user).await.problem(refused.0, refused.1);
        let keyed = app.post(format!("/v1/registrations/{}/move", seat.as_id())).token(&user.token).header("idempotency-key", "\"theirs\"");
        keyed.json(&json!({ "sessionId": session["id"] })).send().await.problem(refused.0, refused.1);
    }
    app.get(format!("/v1/registrations/{}", seat["id"].as_str().unwrap())).token(&bo.token).send().await.problem(404, "not_found");
    assert_eq!(app.cancel(&seat, &anna).await.expect(200).json["cancelReason"], "by_organiser");
} }

on_both! { async fn only_published_sessions_can_be_booked(app: App) {
    let anna = app.user("anna").await;
    let event = app.event(&anna, json!({})).await;
    let draft = app.session(&anna, event_id(&event), json!({ "status": "draft" })).await;
    let cancelled = app.session(&anna, event_id(&event), json!({ "status": "cancelled" })).await;
    app.book(&draft, &anna).await.problem(404, "not_found");
    app.book(&cancelled, &anna).await.problem(409, "session_cancelled");
    app.book(&json!({ "id": "0195a000-0000-7000-8000-000000000000" }), &anna).await.problem(404, "not_found");
    app.post(registrations(&cancelled)).send().await.problem(401, "unauthenticated");
    let unpublished = app.event(&anna, json!({ "status": "draft" })).await;
    let session = app.session(&anna, event_id(&unpublished), json!({})).await;
    app.book(&session, &anna).await.problem(404, "not_found");
    let path = format!("/v1/sessions/{}/availability", draft["id"].as_str().unwrap());
    app.get(&path).send().await.problem(404, "not_found");
    app.get(&path).token(&anna.token).send().await.expect(200);
} }

on_both! { async fn three_hundred_at_once_on_a_hundred_seats(app: App) {
    let anna = app.user("anna").await;
    let event = app.event(&anna, json!({})).await;
    let session = app.session(&anna, event_id(&event), json!({ "capacity": 100 })).await;
    let attendees = app.attendees(&anna, event_id(&event), 300).await;
    let calls = attendees.iter().map(|attendee| {
        app.post(registrations(&session)).token(&anna.token).json(&json!({ "attendeeId": attendee })).send()
    });
    let answers = futures_util::future::join_all(calls).await;
    assert_rush(answers.into_iter().map(|answer| answer.expect(201).json).collect(), 100);
    assert_eq!(app.availability(&session).await, json!({
        "sessionId": session["id"], "capacity": 100, "taken": 100, "available": 0, "waitlisted": 200
    }));
    app.assert_sound().await;
} }

on_both! { async fn a_storm_of_bookings_and_cancellations_leaves_nothing_free_and_nobody_twice(app: App) {
    let anna = app.user("anna").await;
    let event = app.event(&anna, json!({})).await;
    let sessions = [
        app.session(&anna, event_id(&event), json!({ "capacity": 5 })).await,
        app.session(&anna, event_id(&event), json!({ "capacity": 9, "waitlist": { "mode": "none" } })).await,
    ];
    let attendees = app.attendees(&anna, event_id(&event), 40).await;
    let life = |index: usize| {
        let (app, anna, session, attendee) = (&app, &anna, &sessions[index % 2], &attendees[index]);
        async move {
            for round in 0..4 {
                let body = json!({ "attendeeId": attendee });
                let answer = app.post(registrations(session)).token(&anna.token).json(&body).send().await;
                assert!(matches!(answer.status, 200 | 201 | 409), "{}", answer.text);
                if answer.status != 409 && !(index + round).is_multiple_of(3) {
                    app.cancel(&answer.json, anna).await.expect(200);
                }
            }
        }
    };
    futures_util::future::join_all((0..attendees.len()).map(life)).await;
    app.assert_sound().await;
    let free = "SELECT COUNT(*) FROM session_seats WHERE seats_taken < seats_limit AND waitlisted > 0";
    assert_eq!(app.db().query(free).scalar::<i64>().await.unwrap(), 0, "no free seat while somebody waits");
    let twice = "SELECT COUNT(*) FROM (SELECT attendee_id, session_id FROM registrations WHERE status <> 'cancelled' \
        GROUP BY attendee_id, session_id HAVING COUNT(*) > 1) d";
    assert_eq!(app.db().query(twice).scalar::<i64>().await.unwrap(), 0);
} }

on_both! { async fn the_database_itself_refuses_an_oversell(app: App) {
    let anna = app.user("anna").await;
    let event = app.event(&anna, json!({})).await;
    app.session(&anna, event_id(&event), json!({ "capacity": 1 })).await;
    for forbidden in ["seats_taken = 2", "seats_taken = -1", "seats_over = -1", "waitlisted = -1"] {
        let sql: &'static str = Box::leak(format!("UPDATE session_seats SET {forbidden}").into_boxed_str());
        let mut tx = app.db().begin().await.unwrap();
        assert!(tx.query(sql).execute().await.is_err(), "{forbidden}");
        tx.rollback().await.unwrap();
    }
} }

on_both! { async fn a_full_session_refuses_from_memory_what_it_would_refuse_anyway(app: App) {
    let (anna, bo, carla) = (app.user("anna").await, app.user("bo").await, app.user("carla").await);
    let event = app.event(&anna, json!({})).await;
    let session = app.session(&anna, event_id(&event), json!({ "capacity": 1, "booking": { "closesAt": "2026-03-11T10:00:00Z" } })).await;
    let reject = |user: &User| app.post(registrations(&session)).token(&user.token).json(&json!({ "ifFull": "reject" })).send();
    let seat = reject(&bo).await.expect(201).json;
    let commands = || app.state().bookings.timings().commands;
    reject(&anna).await.problem(409, "session_full");
    let asked = commands();
    for _ in 0..3 {
        assert_eq!(reject(&anna).await.problem(409, "session_full").json["sessionId"], session["id"]);
    }
    assert_eq!(commands(), asked, "the engine was not asked");
    assert_eq!(reject(&bo).await.expect(200).json, seat, "who has a seat is told so");
    let waits = app.book(&session, &carla).await.expect(201).json;
    assert_eq!(reject(&carla).await.expect(200).json["id"], waits["id"], "and so is who waits");
    // A seat that is given back goes to who waits, and the session is full as before; the one after it is free.
    app.cancel(&seat, &bo).await.expect(200);
    reject(&bo).await.problem(409, "session_full");
    app.cancel(&waits, &carla).await.expect(200);
    let seat = reject(&anna).await.expect(201).json;
    reject(&bo).await.problem(409, "session_full");
    // An edit, and the time, change what is answered at once.
    let path = format!("/v1/sessions/{}", session["id"].as_str().unwrap());
    app.patch(&path).token(&anna.token).if_match("*").merge(&json!({ "capacity": 2 })).send().await.expect(200);
    let second = reject(&bo).await.expect(201).json;
    reject(&carla).await.problem(409, "session_full");
    app.clock.set(at("2026-03-11T10:00:00Z"));
    reject(&carla).await.problem(409, "booking_closed");
    app.clock.set(at("2026-03-11T12:00:00Z"));
    reject(&carla).await.problem(409, "session_started");
    assert_eq!((app.registration(&seat, &anna).await["status"].clone(), app.registration(&second, &bo).await["status"].clone()), (json!("confirmed"), json!("confirmed")));
} }

on_both! { async fn nobody_is_left_with_nothing_through_any_door(app: App) {
    let anna = app.user("anna").await;
    let event = app.event(&anna, json!({})).await;
    let session = app.session(&anna, event_id(&event), json!({ "capacity": 10 })).await;
    let seat = app.book(&session, &anna).await.expect(201).json;
    let path = format!("/v1/sessions/{}", session["id"].as_str().unwrap());
    let tag = app.get(&path).token(&anna.token).send().await.etag();
    let patch = json!({ "status": "draft" });
    let refused = app.patch(&path).token(&anna.token).if_match(&tag).merge(&patch).send().await.problem(409, "has_registrations");
    assert_eq!((&refused.json["registrations"], &refused.json["sessions"][0]["code"]), (&json!(1), &session["code"]));
    app.delete(&path).token(&anna.token).if_match("*").send().await.problem(409, "has_registrations");
    let event_path = format!("/v1/events/{}", event_id(&event));
    app.delete(&event_path).token(&anna.token).if_match("*").send().await.problem(409, "has_registrations");
    app.patch(&event_path).token(&anna.token).if_match("*").merge(&json!({ "status": "draft" })).send().await.problem(409, "has_registrations");
    let attendee = format!("/v1/attendees/{}", seat["attendeeId"].as_str().unwrap());
    app.delete(&attendee).token(&anna.token).if_match("*").send().await.problem(409, "has_registrations");
    let programme = format!("{event_path}/programme");
    let document = app.get(&programme).token(&anna.token).send().await.expect(200).json;
    for change in ["draft", "removal", "event"] {
        let mut changed = document.clone();
        match change {
            "draft" => changed["sessions"][0]["status"] = json!("draft"),
            "removal" => changed["sessions"] = json!([]),
            _ => changed["event"]["status"] = json!("draft"),
        }
        let refused = app.put(&programme).token(&anna.token).if_match("*").json(&changed).send().await.problem(409, "has_registrations");
        assert_eq!(refused.json["sessions"][0]["code"], session["code"], "{change}");
    }
    assert_eq!(app.get(&path).token(&anna.token).send().await.etag(), tag, "nothing was written");

    // What does not touch the booking stays possible: a title, and the end of the event.
    app.patch(&path).token(&anna.token).if_match(&tag).merge(&json!({ "title": "Another title" })).send().await.expect(200);
    app.patch(&event_path).token(&anna.token).if_match("*").merge(&json!({ "status": "archived" })).send().await.expect(200);
    assert_eq!(app.registration(&seat, &anna).await["status"], "confirmed");
    app.patch(&event_path).token(&anna.token).if_match("*").merge(&json!({ "status": "published" })).send().await.expect(200);
    app.cancel(&seat, &anna).await.expect(200);
    app.delete(&path).token(&anna.token).if_match("*").send().await.expect(204);
} }

on_both! { async fn who_missed_an_offer_can_book_again_at_once(app: App) {
    let anna = app.user("anna").await;
    let event = app.event(&anna, json!({})).await;
    let session = app.session(&anna, event_id(&event), json!({ "capacity": 1, "waitlist": { "mode": "offer" } })).await;
    let (bo, carla) = (app.user("bo").await, app.user("carla").await);
    let seat = app.book(&session, &bo).await.expect(201).json;
    let waits = app.book(&session, &carla).await.expect(201).json;
    app.cancel(&seat, &bo).await.expect(200);
    let offer = app.registration(&waits, &carla).await;
    assert_eq!(offer["status"], "offered");
    // The offer ends in the transaction that makes the new registration, unless somebody looked before.
    app.clock.set(at(offer["offerExpiresAt"].as_str().unwrap()));
    let again = app.book(&session, &carla).await.expect(201).json;
    assert_eq!((&again["status"], &again["seq"]), (&json!("confirmed"), &json!(3)));
    assert_eq!(app.registration(&waits, &carla).await["cancelReason"], "offer_expired");
} }
