//! Rooms: their capacity, which is that of the sessions held in them.

use crate::{
    keyed::{add, programme_version},
    support::*,
};

/// What a session's seats are limited to.
async fn seats(app: &App, session: &Value) -> Value {
    app.get(format!("/v1/sessions/{}/availability", session.as_id())).send().await.expect(200).json["capacity"].clone()
}

on_both! {
    async fn a_capacity_is_given_changed_and_cleared(app: App) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        assert_eq!(add(&app, &anna, &event, "rooms", json!({ "name": "Foyer" })).await["capacity"], Value::Null);
        assert_eq!(add(&app, &anna, &event, "rooms", json!({ "name": "Stairs", "capacity": 0 })).await["capacity"], 0);
        let room = add(&app, &anna, &event, "rooms", json!({ "name": "Hall", "capacity": 1_000_000 })).await;
        assert_eq!(room["capacity"], 1_000_000);
        let path = format!("/v1/rooms/{}", room.as_id());
        for (patch, capacity) in [(json!({ "capacity": 400 }), json!(400)), (json!({ "name": "Great Hall" }), json!(400)), (json!({ "capacity": null }), Value::Null)] {
            let changed = app.patch(&path).token(&anna.token).if_match("*").merge(&patch).send().await.expect(200);
            assert_eq!(changed.json["capacity"], capacity);
            assert_eq!(app.get(&path).send().await.expect(200).json, changed.json);
        }

        let (rows, version) = (app.count("rooms").await, programme_version(&app, &event).await);
        for (capacity, code) in [
            (json!(-1), "out_of_range"),
            (json!(1_000_001), "out_of_range"),
            (json!(i64::MAX), "out_of_range"),
            (json!(1.5), "wrong_type"),
            (json!("400"), "wrong_type"),
            (json!(4.0), "wrong_type"),
        ] {
            let body = json!({ "name": "New", "capacity": capacity });
            let made = app.post(format!("/v1/events/{}/rooms", event.as_id())).token(&anna.token).json(&body).send().await;
            assert_eq!(made.problem(422, "invalid_body").errors(), [format!("/capacity {code}")], "{body}");
            let changed = app.patch(&path).token(&anna.token).if_match("*").merge(&body).send().await;
            assert_eq!(changed.problem(422, "invalid_body").errors(), [format!("/capacity {code}")], "{body}");
        }
        assert_eq!((app.count("rooms").await, programme_version(&app, &event).await), (rows, version), "nothing was written");
    }

    async fn sessions_take_their_capacity_from_the_room(app: App) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        let hall = add(&app, &anna, &event, "rooms", json!({ "name": "Hall", "capacity": 3 })).await;
        let path = format!("/v1/rooms/{}", hall.as_id());
        let inherits = app.session(&anna, &event, json!({ "roomId": hall["id"], "capacity": null })).await;
        let own = app.session(&anna, &event, json!({ "roomId": hall["id"], "capacity": 2 })).await;
        let elsewhere = app.session(&anna, &event, json!({ "capacity": null })).await;
        for (capacity, expected) in [(json!(5), json!(5)), (json!(1), json!(1)), (Value::Null, Value::Null), (json!(3), json!(3))] {
            let patch = json!({ "capacity": capacity });
            app.patch(&path).token(&anna.token).if_match("*").merge(&patch).send().await.expect(200);
            assert_eq!((seats(&app, &inherits).await, seats(&app, &own).await), (expected, json!(2)));
            assert_eq!(seats(&app, &elsewhere).await, Value::Null);
        }
        let etag = |session: &Value| {
            let call = app.get(format!("/v1/sessions/{}", session.as_id()));
            async move { call.send().await.expect(200).etag() }
        };
        assert_eq!(etag(&inherits).await, "\"1\"", "a session shows its own capacity only");
        app.patch(&path).token(&anna.token).if_match("*").merge(&json!({ "name": "Great Hall" })).send().await.expect(200);
        assert_eq!((etag(&inherits).await, etag(&own).await, etag(&elsewhere).await), ("\"2\"".into(), "\"2\"".into(), "\"1\"".into()));
    }

    async fn a_capacity_stays_while_somebody_has_a_seat(app: App) {
        let (anna, ben) = (app.user("anna").await, app.user("ben").await);
        let event = app.event(&anna, json!({})).await;
        let hall = add(&app, &anna, &event, "rooms", json!({ "name": "Hall", "capacity": 3 })).await;
        let path = format!("/v1/rooms/{}", hall.as_id());
        let inherits = app.session(&anna, &event, json!({ "code": "B1", "roomId": hall["id"], "capacity": null })).await;
        let hours = json!({ "startsAt": "2026-03-11T08:00:00Z", "endsAt": "2026-03-11T09:00:00Z", "roomId": hall["id"], "capacity": 2 });
        let own = app.session(&anna, &event, hours).await;
        let book = |session: &Value| app.post(format!("/v1/sessions/{}/registrations", session.as_id())).token(&ben.token).json(&json!({}));

        book(&own).send().await.expect(201);
        let patch = |patch: Value| app.patch(&path).token(&anna.token).if_match("*").merge(&patch).send();
        patch(json!({ "capacity": 4 })).await.expect(200);
        let registration = book(&inherits).send().await.expect(201).json;

        let version = programme_version(&app, &event).await;
        let refused = patch(json!({ "name": "Hall of Fame", "capacity": 0 })).await.problem(409, "has_registrations");
        assert_eq!(refused.json["registrations"], 1);
        assert_eq!(refused.json["sessions"], json!([{ "id": inherits["id"], "code": "B1" }]));
        assert_eq!(refused.json["hits"][0]["registrationId"], registration["id"]);
        let kept = app.get(&path).send().await.expect(200);
        assert_eq!((&kept.json["name"], &kept.json["capacity"], kept.etag()), (&json!("Hall"), &json!(4), "\"2\"".to_owned()));
        assert_eq!((seats(&app, &inherits).await, programme_version(&app, &event).await), (json!(4), version), "nothing was written");
        patch(json!({ "name": "Hall of Fame", "capacity": 4 })).await.expect(200);

        let cancel = format!("/v1/registrations/{}/cancel", registration.as_id());
        app.post(cancel).token(&ben.token).send().await.expect(200);
        patch(json!({ "capacity": 5 })).await.expect(200);
        assert_eq!(seats(&app, &inherits).await, json!(5));
    }

    async fn a_room_in_use_stays(app: App) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        let hall = add(&app, &anna, &event, "rooms", json!({ "name": "Hall" })).await;
        let path = format!("/v1/rooms/{}", hall.as_id());
        let sessions = [
            app.session(&anna, &event, json!({ "roomId": hall["id"] })).await,
            app.session(&anna, &event, json!({ "roomId": hall["id"], "status": "cancelled" })).await,
        ];
        let refused = app.delete(&path).token(&anna.token).if_match("*").send().await.problem(409, "in_use");
        assert!(refused.json["detail"].as_str().unwrap().contains("room: 2"), "{}", refused.text);
        app.get(&path).send().await.expect(200);
        for session in &sessions {
            app.delete(format!("/v1/sessions/{}", session.as_id())).token(&anna.token).if_match("*").send().await.expect(204);
        }
        app.delete(&path).token(&anna.token).if_match("*").send().await.expect(204);
    }
}
