//! People, organisations, events and sessions to begin with, made over HTTP.

use super::{app::App, client::Answer};
use plenary::clock::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

/// The password of every user of the tests.
pub const PASSWORD: &str = "wooden horse by the fjord";

/// Somebody who has signed up and in.
#[derive(Clone, Debug)]
pub struct User {
    pub id: String,
    pub email: String,
    pub name: String,
    pub password: String,
    /// An access token, good for ten minutes by `token_clock`.
    pub token: String,
    pub refresh_token: String,
}

/// Whatever has an id: its text, its UUID, or the JSON of the thing itself.
pub trait AsId {
    fn as_id(&self) -> String;
}

impl AsId for str {
    fn as_id(&self) -> String {
        self.to_owned()
    }
}

impl AsId for String {
    fn as_id(&self) -> String {
        self.clone()
    }
}

impl AsId for Uuid {
    fn as_id(&self) -> String {
        self.to_string()
    }
}

impl AsId for Value {
    fn as_id(&self) -> String {
        self.as_str().or(self["id"].as_str()).expect("an id").to_owned()
    }
}

impl<T: AsId + ?Sized> AsId for &T {
    fn as_id(&self) -> String {
        (**self).as_id()
    }
}

/// The instant of an RFC 3339 text.
pub fn at(text: &str) -> Timestamp {
    text.parse::<jiff::Timestamp>().expect("an RFC 3339 instant").into()
}

/// `base` with the members of `overrides`; a null takes one away.
pub fn overlay(mut base: Value, overrides: Value) -> Value {
    let members = base.as_object_mut().expect("an object");
    for (name, value) in overrides.as_object().expect("an object") {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    base
}

/// The booking rules of an event that chooses none, with `overrides`.
pub fn event_booking(overrides: Value) -> Value {
    let mut rules = json!({
        "opensAt": null, "closesAt": null, "admission": "open", "overlap": "reject", "overlapBufferMinutes": 0, "onPromotionClash": "skip",
        "leaveOverlappingWaitlists": false, "maxSessions": null, "maxSessionsPerDay": null,
        "offers": { "ttlMinutes": 1440, "lastDayTtlMinutes": 120, "automaticMinutes": 60 },
    });
    for (name, value) in overrides.as_object().expect("an object") {
        rules[name] = value.clone();
    }
    rules
}

impl App {
    /// Signs up and in. The address is `{name}@example.org`.
    pub async fn user(&self, name: &str) -> User {
        let email = format!("{}@example.org", name.to_lowercase().replace(' ', "."));
        let body = json!({ "email": email, "password": PASSWORD, "name": name });
        let created = self.post("/v1/auth/signup").json(&body).send().await.expect(201).json;
        let tokens = self.log_in(&email, PASSWORD).await.expect(200).json;
        User {
            id: created.as_id(),
            email,
            name: name.to_owned(),
            password: PASSWORD.to_owned(),
            token: tokens["accessToken"].as_str().expect("an access token").to_owned(),
            refresh_token: tokens["refreshToken"].as_str().expect("a refresh token").to_owned(),
        }
    }

    /// Signs in.
    pub async fn log_in(&self, email: &str, password: &str) -> Answer {
        self.post("/v1/auth/login").json(&json!({ "email": email, "password": password })).send().await
    }

    /// Creates an organisation; its id.
    pub async fn organisation(&self, owner: &User) -> String {
        let body = json!({ "name": format!("Organisation {}", self.number()) });
        self.post("/v1/organisations").token(&owner.token).json(&body).send().await.expect(201).json.as_id()
    }

    /// Creates a published event, open for booking, from 11 to 13 March 2026 in Oslo; in an organisation of its own
    /// unless `overrides` names one.
    pub async fn event(&self, owner: &User, overrides: Value) -> Value {
        let organisation = match overrides.get("organisationId") {
            Some(given) => given.as_id(),
            None => self.organisation(owner).await,
        };
        let number = self.number();
        let body = json!({
            "organisationId": organisation,
            "slug": format!("forum-{number}"),
            "name": format!("Quality Forum {number}"),
            "timeZone": "Europe/Oslo",
            "startsOn": "2026-03-11",
            "endsOn": "2026-03-13",
            "status": "published",
        });
        self.post("/v1/events").token(&owner.token).json(&overlay(body, overrides)).send().await.expect(201).json
    }

    /// Creates a published session on 11 March 2026 from 12 to 13 UTC, with two seats and a waitlist.
    pub async fn session(&self, owner: &User, event: impl AsId, overrides: Value) -> Value {
        let number = self.number();
        let body = json!({
            "code": format!("S{number}"),
            "title": format!("Session {number}"),
            "startsAt": "2026-03-11T12:00:00Z",
            "endsAt": "2026-03-11T13:00:00Z",
            "capacity": 2,
            "waitlist": { "mode": "auto" },
            "status": "published",
        });
        let path = format!("/v1/events/{}/sessions", event.as_id());
        self.post(path).token(&owner.token).json(&overlay(body, overrides)).send().await.expect(201).json
    }

    /// Admits so many attendees to an event; their ids.
    pub async fn attendees(&self, owner: &User, event: impl AsId, count: usize) -> Vec<String> {
        let path = format!("/v1/events/{}/attendees", event.as_id());
        let add = |number: usize| self.post(&path).token(&owner.token).json(&json!({ "name": format!("Attendee {number}") })).send();
        let added = futures_util::future::join_all((1..=count).map(add)).await;
        added.into_iter().map(|answer| answer.expect(201).json.as_id()).collect()
    }

    /// Makes a user a member of an organisation.
    pub async fn member(&self, organisation: impl AsId, user: &User, role: &'static str) {
        const ADD: &str = "INSERT INTO members (id, organisation_id, user_id, role, created_at) VALUES ($1, $2, $3, $4, $5)";
        let id = |text: String| text.parse::<Uuid>().expect("a UUID");
        let (organisation, user) = (id(organisation.as_id()), id(user.id.clone()));
        let mut tx = self.db().begin().await.expect("a transaction");
        let add = tx.query(ADD).bind(self.state().new_id()).bind(organisation).bind(user).bind(role.to_owned()).bind(self.clock.now());
        add.execute().await.expect("a new member");
        tx.note_change(organisation);
        tx.commit().await.expect("a commit");
    }
}
