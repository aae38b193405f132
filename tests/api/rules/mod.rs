//! The rules of registration, a module a theme. Each test tells one rule as people at a conference meet it, and fails when
//! that rule is taken out.
//!
//! Anna organises the event and books for its attendees, who are only ids here; where it matters who asks, there are users.
//! A session has one seat and a waitlist unless a test says otherwise.

mod at_rest;
mod capacity;
mod entitlement;
mod erasure;
mod explain;
mod guards;
mod journal;
mod moving;
mod nodes;
mod offers;
mod overlap;
mod overrides;
mod pools;
mod programme;
mod promotion;
mod waitlist;
mod wishes;

use crate::support::*;

/// An event of Anna's in which the rules are tried. Call [`Scene::end`] at the end of a test.
pub struct Scene {
    pub app: App,
    pub anna: User,
    pub event: Value,
    ended: bool,
}

impl Scene {
    /// An event with these booking rules.
    pub async fn new(app: App, booking: Value) -> Self {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({ "booking": booking })).await;
        Self { app, anna, event, ended: false }
    }

    /// A published session. `hours` are `12:00-13:00` on 11 March 2026 or `12 09:00-10:00` on the 12th, in UTC.
    pub async fn session(&self, code: &str, hours: &str, overrides: Value) -> Value {
        let (starts_at, ends_at) = instants(hours);
        let mut own = json!({ "code": code, "startsAt": starts_at, "endsAt": ends_at, "capacity": 1 });
        own.as_object_mut().expect("an object").extend(overrides.as_object().expect("an object").clone());
        self.app.session(&self.anna, &self.event, own).await
    }

    /// A room.
    pub async fn room(&self, name: &str, capacity: Value) -> Value {
        let path = format!("/v1/events/{}/rooms", self.event.as_id());
        let room = overlay(json!({ "name": name }), json!({ "capacity": capacity }));
        self.app.post(path).token(&self.anna.token).json(&room).send().await.expect(201).json
    }

    /// So many attendees.
    pub async fn people<const N: usize>(&self) -> [String; N] {
        self.app.attendees(&self.anna, &self.event, N).await.try_into().expect("as many as were asked for")
    }

    /// Somebody.
    pub async fn person(&self) -> String {
        self.people::<1>().await.concat()
    }

    /// Somebody of a category.
    pub async fn person_of(&self, category: &str) -> String {
        let path = format!("/v1/events/{}/attendees", self.event.as_id());
        let person = json!({ "name": "Somebody", "category": category });
        self.app.post(path).token(&self.anna.token).json(&person).send().await.expect(201).json.as_id()
    }

    /// Anna books for somebody, with wishes of theirs.
    pub async fn book_with(&self, session: &Value, person: &str, wishes: Value) -> Answer {
        self.app.book_with(session, &self.anna, overlay(json!({ "attendeeId": person }), wishes)).await
    }

    /// Anna books for somebody.
    pub async fn book(&self, session: &Value, person: &str) -> Answer {
        self.book_with(session, person, json!({})).await
    }

    /// The same, and there is a seat.
    pub async fn seat(&self, session: &Value, person: &str) -> Value {
        self.made(session, person, "confirmed").await
    }

    /// The same, and there is a place in line.
    pub async fn wait(&self, session: &Value, person: &str) -> Value {
        self.made(session, person, "waitlisted").await
    }

    async fn made(&self, session: &Value, person: &str, status: &str) -> Value {
        let made = self.book(session, person).await.expect(201).json;
        assert_eq!(made["status"], status, "{made}");
        made
    }

    /// A seat for somebody who doesn't matter otherwise.
    pub async fn somebody_in(&self, session: &Value) -> Value {
        self.seat(session, &self.person().await).await
    }

    /// Anna cancels a registration.
    pub async fn cancel(&self, registration: &Value) -> Value {
        self.app.cancel(registration, &self.anna).await.expect(200).json
    }

    /// Anna moves a registration.
    pub async fn move_to(&self, session: &Value, registration: &Value) -> Answer {
        self.app.move_to(session, registration, &self.anna).await
    }

    /// Lets somebody through the door. No request does that yet, so it is written into the database.
    pub async fn check_in(&self, registration: &Value) {
        let id: uuid::Uuid = registration.as_id().parse().expect("a UUID");
        let mut tx = self.app.db().begin().await.expect("a transaction");
        let entry = tx.query("UPDATE registrations SET checked_in_at = $2 WHERE id = $1").bind(id).bind(self.app.clock.now());
        assert_eq!(entry.execute().await.expect("an update"), 1);
        tx.commit().await.expect("a commit");
        // The engine knows what it has written; after an edit it looks again.
        let rename = self.app.patch(format!("/v1/sessions/{}", registration["sessionId"].as_id())).token(&self.anna.token).if_match("*");
        rename.merge(&json!({ "title": format!("With {id}") })).send().await.expect(200);
    }

    /// A registration as it is now.
    pub async fn read(&self, registration: &Value) -> Value {
        self.app.registration(registration, &self.anna).await
    }

    /// Where a registration stands, as in `waitlisted 1` or `cancelled swapped`.
    pub async fn state(&self, registration: &Value) -> String {
        state_of(&self.read(registration).await)
    }

    /// Where each stands.
    pub async fn states<const N: usize>(&self, registrations: [&Value; N]) -> [String; N] {
        join_all(registrations.map(|registration| self.state(registration))).await.try_into().expect("as many as were asked about")
    }

    /// Seats taken of a session, and how many wait.
    pub async fn seats(&self, session: &Value) -> (i64, i64) {
        let seats = self.app.availability(session).await;
        let number = |name: &str| seats[name].as_i64().expect("a number");
        (number("taken"), number("waitlisted"))
    }

    /// Changes a session; `query` is as in `?ifOverfull=keep`, or nothing.
    pub async fn edit_with(&self, query: &str, session: &Value, patch: Value) -> Answer {
        let path = format!("/v1/sessions/{}{query}", session.as_id());
        self.app.patch(path).token(&self.anna.token).if_match("*").merge(&patch).send().await
    }

    /// Changes a session.
    pub async fn edit(&self, session: &Value, patch: Value) {
        self.edit_with("", session, patch).await.expect(200);
    }

    /// Changes the event's booking rules.
    pub async fn rules(&self, patch: Value) {
        let path = format!("/v1/events/{}", self.event.as_id());
        self.app.patch(path).token(&self.anna.token).if_match("*").merge(&json!({ "booking": patch })).send().await.expect(200);
    }

    /// Changes an attendee.
    pub async fn recast(&self, person: &str, patch: Value) {
        let path = format!("/v1/attendees/{person}");
        self.app.patch(path).token(&self.anna.token).if_match("*").merge(&patch).send().await.expect(200);
    }

    /// The journal of the event; `query` is as in `?kind=seats_changed`, or nothing.
    pub async fn journal(&self, query: &str) -> Vec<Value> {
        let path = format!("/v1/events/{}/journal{query}", self.event.as_id());
        let page = self.app.get(path).token(&self.anna.token).send().await.expect(200).json;
        page["items"].as_array().expect("items").clone()
    }

    /// Lets what is due happen.
    pub async fn settle(&self) {
        self.app.state().watch.settle().await.expect("what is due is settled");
    }

    /// At rest something keeps everybody who waits from a seat; that others stand before them is not enough.
    async fn assert_at_rest(&self) {
        let path = format!("/v1/events/{}/registrations?status=waitlisted&limit=200", self.event.as_id());
        let waiting = self.app.get(path).token(&self.anna.token).send().await.expect(200).json;
        for waits in waiting["items"].as_array().expect("items") {
            let (session, person) = (waits["sessionId"].as_id(), waits["attendeeId"].as_id());
            let path = format!("/v1/sessions/{session}/explain?attendeeId={person}");
            let why = self.app.get(path).token(&self.anna.token).send().await.expect(200).json["attendee"]["reasons"].clone();
            let kept = why.as_array().expect("reasons").iter().any(|reason| reason["code"] != "behind_others");
            assert!(kept, "a seat is free for who waits: {waits}");
        }
    }

    /// Lets what is due happen, and looks over what is left.
    pub async fn end(mut self) {
        self.settle().await;
        assert_eq!(self.app.count("due_sessions").await, 0, "nothing is due any more");
        self.app.assert_sound().await;
        self.assert_at_rest().await;
        self.ended = true;
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        assert!(self.ended || std::thread::panicking(), "call Scene::end at the end of the test");
    }
}

/// Where a registration stands, as in `waitlisted 1` or `cancelled swapped`.
pub fn state_of(registration: &Value) -> String {
    let status = registration["status"].as_str().expect("a status");
    match (&registration["position"], &registration["cancelReason"]) {
        (Value::Number(position), _) => format!("{status} {position}"),
        (_, Value::String(reason)) => format!("{status} {reason}"),
        _ => status.to_owned(),
    }
}

/// `12:00-13:00` on 11 March 2026 or `12 09:00-10:00` on the 12th, in UTC.
fn instants(hours: &str) -> (String, String) {
    let (day, hours) = hours.split_once(' ').unwrap_or(("11", hours));
    let (from, to) = hours.split_once('-').expect("hours");
    (format!("2026-03-{day}T{from}:00Z"), format!("2026-03-{day}T{to}:00Z"))
}
