//! More seats, fewer seats, and another room.

use super::*;
use crate::api_keys::{key, secret};

impl Scene {
    /// So many people with a seat, in order.
    async fn seated<const N: usize>(&self, session: &Value) -> [Value; N] {
        let mut seats = Vec::new();
        for person in self.people::<N>().await {
            seats.push(self.seat(session, &person).await);
        }
        seats.try_into().expect("a seat for each")
    }

    /// So many people in line, in order.
    async fn waiting<const N: usize>(&self, session: &Value) -> [Value; N] {
        let mut places = Vec::new();
        for person in self.people::<N>().await {
            places.push(self.wait(session, &person).await);
        }
        places.try_into().expect("a place for each")
    }

    /// Puts the programme with a change; `query` is as in `?dryRun=true`, or nothing.
    async fn programme(&self, query: &str, change: impl FnOnce(&mut Value)) -> Answer {
        let path = format!("/v1/events/{}/programme", self.event.as_id());
        let mut document = self.app.get(&path).token(&self.anna.token).send().await.expect(200).json;
        change(&mut document);
        self.app.put(format!("{path}{query}")).token(&self.anna.token).if_match("*").json(&document).send().await
    }
}

on_both! {
    async fn seats_that_go_with_their_pool_are_given_to_nobody_on_the_way(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let pools = json!([{ "category": "expert", "seats": 1 }]);
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 2, "pools": pools })).await;
        let [seat] = scene.seated(&session).await;
        let [waits] = scene.waiting(&session).await;
        scene.edit(&session, json!({ "capacity": 1, "pools": [] })).await;
        assert_eq!(scene.states([&seat, &waits]).await, ["confirmed", "waitlisted 1"]);
        scene.end().await;
    }

    async fn a_program_that_may_not_read_who_is_registered_is_told_only_how_many(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let (one, other) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "14:00-15:00", json!({})).await);
        let ada = scene.person().await;
        scene.seat(&one, &ada).await;
        scene.seat(&other, &ada).await;
        let [waits] = scene.waiting(&one).await;
        let edit = json!({ "startsAt": "2026-03-11T14:00:00Z", "endsAt": "2026-03-11T15:00:00Z", "capacity": 2 });
        for (scopes, named) in [(&["programme:write"][..], 0), (&["programme:write", "registrations:read"][..], 1)] {
            let key = key(&scene.app, &scene.anna, &scene.event["organisationId"], scopes).await;
            let preview = scene.app.patch(format!("/v1/sessions/{}?preview=true", one.as_id())).token(secret(&key));
            let told = preview.if_match("*").merge(&edit).send().await.expect(200).json;
            assert_eq!((&told["clashCount"], told["clashes"].as_array().unwrap().len()), (&json!(1), named), "{told}");
            assert_eq!(told["changes"].as_array().unwrap().is_empty(), named == 0, "{told}");
            assert_eq!(told["changeCount"], 2);
        }
        assert_eq!(scene.state(&waits).await, "waitlisted 1");
        scene.end().await;
    }

    async fn more_seats_go_to_who_waits_in_order(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({})).await;
        scene.somebody_in(&session).await;
        let [one, two, three, four] = scene.waiting(&session).await;
        scene.edit(&session, json!({ "capacity": 3 })).await;
        assert_eq!(scene.states([&one, &two, &three, &four]).await, ["confirmed", "confirmed", "waitlisted 1", "waitlisted 2"]);
        scene.edit(&session, json!({ "capacity": null })).await;
        assert_eq!(scene.states([&three, &four]).await, ["confirmed", "confirmed"]);
        assert_eq!(
            scene.app.availability(&session).await,
            json!({
                "sessionId": session["id"], "capacity": null, "taken": 5, "available": null, "waitlisted": 0
            })
        );
        scene.end().await;
    }

    async fn fewer_seats_than_are_taken_are_refused_and_say_whom_they_would_hit(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 4, "waitlist": { "mode": "offer" } })).await;
        let [one, two, three, four] = scene.seated(&session).await;
        let [next] = scene.waiting(&session).await;
        scene.cancel(&one).await;
        assert_eq!(scene.state(&next).await, "offered");
        scene.cancel(&two).await;
        scene.edit(&session, json!({ "capacity": 3 })).await;
        let journal = scene.journal("").await.len();
        for query in ["", "?ifOverfull=refuse", "?preview=true"] {
            let refused =
                scene.edit_with(query, &session, json!({ "capacity": 1, "title": "Smaller" })).await.problem(409, "has_registrations");
            assert_eq!(
                (&refused.json["registrations"], &refused.json["sessions"]),
                (&json!(2), &json!([{ "id": session["id"], "code": "A" }]))
            );
            // Offers first, then the newest.
            let hit = |held: &Value, status: &str| {
                json!({
                    "registrationId": held["id"], "attendeeId": held["attendeeId"], "sessionId": session["id"], "status": status, "seq": held["seq"]
                })
            };
            assert_eq!(refused.json["hits"], json!([hit(&next, "offered"), hit(&four, "confirmed")]));
        }
        assert_eq!((scene.journal("").await.len(), scene.app.availability(&session).await["capacity"].clone()), (journal, json!(3)));
        assert_eq!(scene.state(&three).await, "confirmed");
        scene.end().await;
    }

    async fn offers_are_given_up_before_seats(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "waitlist": { "mode": "offer" } })).await;
        let [taken] = scene.seated(&session).await;
        let [offered] = scene.waiting(&session).await;
        scene.cancel(&taken).await;
        scene.edit(&session, json!({ "capacity": 3 })).await;
        let [one, two] = scene.seated(&session).await;
        let refused = scene.edit_with("", &session, json!({ "capacity": 2 })).await.problem(409, "has_registrations");
        assert_eq!((&refused.json["hits"][0]["registrationId"], &refused.json["registrations"]), (&offered["id"], &json!(1)));
        scene.edit_with("?ifOverfull=waitlist_newest", &session, json!({ "capacity": 2 })).await.expect(200);
        assert_eq!(scene.states([&offered, &one, &two]).await, ["waitlisted 1", "confirmed", "confirmed"]);
        scene.end().await;
    }

    async fn kept_seats_melt_before_anybody_moves_up(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 4 })).await;
        let [one, two, three, four] = scene.seated(&session).await;
        let [next] = scene.waiting(&session).await;
        scene.edit_with("?ifOverfull=keep", &session, json!({ "capacity": 2 })).await.expect(200);
        assert_eq!(scene.states([&one, &two, &three, &four]).await, ["confirmed"; 4]);
        assert_eq!(
            scene.app.availability(&session).await,
            json!({
                "sessionId": session["id"], "capacity": 2, "taken": 4, "available": 0, "waitlisted": 1
            })
        );
        for (leaver, then) in [(&four, ("waitlisted 1", 3)), (&one, ("waitlisted 1", 2)), (&two, ("confirmed", 2))] {
            scene.cancel(leaver).await;
            scene.settle().await;
            assert_eq!((scene.state(&next).await.as_str(), scene.seats(&session).await.0), then);
        }
        scene.end().await;
    }

    async fn the_newest_wait_again_in_their_old_places(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 4, "waitlist": { "mode": "offer" } })).await;
        let [one, two, three, four] = scene.seated(&session).await;
        let [offered, next] = scene.waiting(&session).await;
        scene.cancel(&one).await;
        assert_eq!(scene.state(&offered).await, "offered");
        scene.edit_with("?ifOverfull=waitlist_newest", &session, json!({ "capacity": 1 })).await.expect(200);
        let states = scene.states([&two, &three, &four, &offered, &next]).await;
        assert_eq!(states, ["confirmed", "waitlisted 1", "waitlisted 2", "waitlisted 3", "waitlisted 4"]);
        let demoted = scene.read(&four).await;
        assert_eq!((&demoted["seq"], scene.read(&offered).await["offerExpiresAt"].clone()), (&four["seq"], Value::Null));
        assert_eq!(scene.seats(&session).await, (1, 4));
        // And they move up again before who never had a seat.
        scene.edit(&session, json!({ "capacity": 3, "waitlist": { "mode": "auto" } })).await;
        assert_eq!(scene.states([&three, &four, &offered]).await, ["confirmed", "confirmed", "waitlisted 1"]);
        scene.end().await;
    }

    async fn who_has_been_in_the_room_keeps_the_seat(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 3 })).await;
        let [one, two, three] = scene.seated(&session).await;
        scene.check_in(&two).await;
        scene.check_in(&three).await;
        scene.edit_with("?ifOverfull=waitlist_newest", &session, json!({ "capacity": 1 })).await.expect(200);
        assert_eq!(scene.states([&one, &two, &three]).await, ["waitlisted 1", "confirmed", "confirmed"]);
        assert_eq!(scene.seats(&session).await, (2, 1), "the second is beyond the capacity");
        scene.end().await;
    }

    async fn nobody_waits_again_where_there_is_no_waitlist(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 2, "waitlist": { "mode": "none" } })).await;
        scene.seated::<2>(&session).await;
        let refused = scene.edit_with("?ifOverfull=waitlist_newest", &session, json!({ "capacity": 1 })).await.problem(422, "no_waitlist");
        assert_eq!((&refused.json["sessionId"], scene.seats(&session).await), (&session["id"], (2, 0)));
        scene.end().await;
    }

    async fn another_room_or_another_size_of_it_goes_the_same_way(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let (hall, closet) = (scene.room("Hall", json!(3)).await, scene.room("Closet", json!(1)).await);
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": null, "roomId": hall["id"] })).await;
        let own = scene.session("B", "14:00-15:00", json!({ "roomId": hall["id"] })).await;
        let [one, two, three] = scene.seated(&session).await;
        let [next] = scene.waiting(&session).await;
        scene.somebody_in(&own).await;
        let to_closet = json!({ "roomId": closet["id"] });
        assert_eq!(scene.edit_with("", &session, to_closet.clone()).await.problem(409, "has_registrations").json["registrations"], 2);
        scene.edit_with("?ifOverfull=waitlist_newest", &session, to_closet).await.expect(200);
        assert_eq!(scene.states([&one, &two, &three, &next]).await, ["confirmed", "waitlisted 1", "waitlisted 2", "waitlisted 3"]);

        let resize = |query: &str, room: &Value, capacity: i64| {
            let call = scene.app.patch(format!("/v1/rooms/{}{query}", room.as_id())).token(&scene.anna.token).if_match("*");
            call.merge(&json!({ "capacity": capacity })).send()
        };
        let preview = resize("?preview=true", &closet, 3).await.expect(200).json;
        assert_eq!((&preview["changeCount"], &preview["sessions"][0]["taken"]), (&json!(3), &json!(3)));
        assert_eq!(scene.seats(&session).await, (1, 3), "nothing was written");
        resize("", &closet, 3).await.expect(200);
        assert_eq!(scene.states([&two, &three, &next]).await, ["confirmed", "confirmed", "waitlisted 1"]);
        resize("", &closet, 2).await.problem(409, "has_registrations");
        resize("?ifOverfull=keep", &closet, 2).await.expect(200);
        assert_eq!(scene.seats(&session).await, (3, 1));
        // A session's own capacity goes before its room's.
        resize("", &hall, 0).await.expect(200);
        assert_eq!(scene.app.availability(&own).await["capacity"], 1);
        scene.end().await;
    }

    async fn a_preview_tells_what_will_be_and_writes_nothing(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 2 })).await;
        let [one, two] = scene.seated(&session).await;
        let [next] = scene.waiting(&session).await;
        let before = (scene.app.get(format!("/v1/sessions/{}", session.as_id())).send().await.etag(), scene.journal("").await.len());
        let fewer = scene.edit_with("?preview=true&ifOverfull=waitlist_newest", &session, json!({ "capacity": 1 })).await.expect(200).json;
        let change = |kind: &str, held: Option<&Value>, details: Value| {
            json!({
                "sessionId": session["id"], "kind": kind, "registrationId": held.map(|held| &held["id"]),
                "attendeeId": held.map(|held| &held["attendeeId"]), "details": details,
            })
        };
        assert_eq!(
            fewer,
            json!({
                "sessions": [{ "sessionId": session["id"], "code": "A", "capacity": 1, "taken": 1, "over": 0, "waitlisted": 2 }],
                "changeCount": 2,
                "changes": [
                    change("registration_demoted", Some(&two), json!({ "from": "confirmed" })),
                    change("seats_changed", None, json!({ "from": 2, "to": 1 })),
                ],
                "clashCount": 0, "clashes": [],
            })
        );
        let kept = scene.edit_with("?preview=true&ifOverfull=keep", &session, json!({ "capacity": 1 })).await.expect(200).json;
        assert_eq!(
            kept["sessions"][0],
            json!({ "sessionId": session["id"], "code": "A", "capacity": 1, "taken": 2, "over": 1, "waitlisted": 1 })
        );
        assert_eq!(kept["changes"], json!([change("seats_changed", None, json!({ "from": 2, "to": 1, "over": 1 }))]));
        let more = scene.edit_with("?preview=true", &session, json!({ "capacity": 3 })).await.expect(200).json;
        assert_eq!(
            more["changes"],
            json!([change("seats_changed", None, json!({ "from": 2, "to": 3 })), change("registration_promoted", Some(&next), json!({})),])
        );
        let gone = scene.edit_with("?preview=true", &session, json!({ "status": "cancelled" })).await.expect(200).json;
        assert_eq!((&gone["changeCount"], &gone["sessions"][0]["taken"]), (&json!(3), &json!(0)));
        let after = (scene.app.get(format!("/v1/sessions/{}", session.as_id())).send().await.etag(), scene.journal("").await.len());
        assert_eq!(
            (after, scene.states([&one, &two, &next]).await),
            (before, ["confirmed", "confirmed", "waitlisted 1"].map(String::from))
        );
        scene.end().await;
    }

    async fn a_programme_document_goes_the_same_way(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let session = scene.session("A", "12:00-13:00", json!({ "capacity": 2 })).await;
        let other = scene.session("B", "14:00-15:00", json!({ "capacity": 2 })).await;
        let [one, two] = scene.seated(&session).await;
        let [three, _] = scene.seated(&other).await;
        let [next] = scene.waiting(&other).await;
        let change = |document: &mut Value| {
            for (index, capacity) in [1, 3].into_iter().enumerate() {
                document["sessions"][index]["capacity"] = json!(capacity);
            }
        };
        scene.programme("", change).await.problem(409, "has_registrations");
        scene.programme("?dryRun=true", change).await.problem(409, "has_registrations");
        let dry = scene.programme("?dryRun=true&ifOverfull=waitlist_newest", change).await.expect(200).json;
        assert_eq!(scene.states([&two, &next]).await, ["confirmed", "waitlisted 1"], "nothing was written");
        let done = scene.programme("?ifOverfull=waitlist_newest", change).await.expect(200).json;
        assert_eq!((&dry["effects"], dry["dryRun"].clone(), done["dryRun"].clone()), (&done["effects"], json!(true), json!(false)));
        let mut kinds: Vec<&str> =
            done["effects"]["changes"].as_array().unwrap().iter().filter_map(|change| change["kind"].as_str()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["registration_demoted", "registration_promoted", "seats_changed", "seats_changed"]);
        assert_eq!(scene.states([&one, &two, &three, &next]).await, ["confirmed", "waitlisted 1", "confirmed", "confirmed"]);
        scene.end().await;
    }

    async fn who_loses_a_seat_may_have_one_elsewhere(app: App) {
        let scene = Scene::new(app, json!({})).await;
        let ada = scene.person().await;
        let (noon, other) = (scene.session("A", "12:00-13:00", json!({})).await, scene.session("B", "12:00-13:00", json!({})).await);
        let taken = scene.somebody_in(&other).await;
        let (seat, waits) = (scene.seat(&noon, &ada).await, scene.wait(&other, &ada).await);
        scene.cancel(&taken).await;
        assert_eq!(scene.state(&waits).await, "waitlisted 1");
        scene.edit_with("?ifOverfull=waitlist_newest", &noon, json!({ "capacity": 0 })).await.expect(200);
        scene.settle().await;
        assert_eq!(scene.states([&seat, &waits]).await, ["waitlisted 1", "confirmed"]);
        scene.end().await;
    }
}
