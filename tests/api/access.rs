//! Who may do what: every operation of the contract, asked by everybody.
//!
//! A row is an operation, its request, and one of the rules below with the status of whoever passes. Requests that would
//! destroy what the others need carry a stale `If-Match` (every PATCH, PUT and DELETE does): whoever passes gets 412. What
//! refused requests must not do is write: after all of them the database is as it was.

use crate::{
    api_keys::{key, secret},
    support::*,
};
use reqwest::Method;
use std::collections::{BTreeMap, BTreeSet};

const CALLERS: [&str; 10] =
    ["anonymous", "stranger", "attendee", "door", "viewer", "organiser", "owner", "foreign owner", "key", "foreign key"];

/// What each of [`CALLERS`] gets; `+` passes. Keys have all scopes.
#[rustfmt::skip]
const RULES: &[(&str, [&str; 10])] = &[
    //                   anon   stra   atte   door   view   orga   owner  for.o  key    for.k
    ("anyone",          ["+",   "+",   "+",   "+",   "+",   "+",   "+",   "+",   "+",   "+"]),
    ("users",           ["401", "+",   "+",   "+",   "+",   "+",   "+",   "+",   "403", "403"]),
    ("draft",           ["404", "404", "404", "+",   "+",   "+",   "+",   "404", "+",   "404"]),
    ("staff",           ["401", "404", "404", "+",   "+",   "+",   "+",   "404", "+",   "404"]),
    ("staff ticket",    ["401", "422", "422", "+",   "+",   "+",   "+",   "422", "403", "403"]),
    ("members",         ["401", "404", "404", "+",   "+",   "+",   "+",   "404", "403", "403"]),
    ("managers",        ["401", "404", "404", "403", "403", "+",   "+",   "404", "+",   "404"]),
    ("managers body",   ["401", "422", "422", "403", "403", "+",   "+",   "422", "+",   "422"]),
    ("managers ticket", ["401", "422", "422", "403", "403", "+",   "+",   "422", "403", "403"]),
    ("own",             ["401", "404", "+",   "403", "403", "+",   "+",   "404", "+",   "404"]),
    ("own or staff",    ["401", "404", "+",   "+",   "+",   "+",   "+",   "404", "+",   "404"]),
    ("own body",        ["401", "422", "+",   "403", "403", "+",   "+",   "422", "+",   "422"]),
    ("owners",          ["401", "404", "404", "403", "403", "403", "+",   "404", "403", "403"]),
    ("owner or self",   ["401", "404", "404", "+",   "403", "403", "+",   "404", "403", "403"]),
];

struct Row(&'static str, &'static str, &'static str, &'static str, u16);

/// Operation, request, body, rule, status of who passes. `{…}` stands for what [`World`] knows; `{n}` is new each time.
#[rustfmt::skip]
const MATRIX: &[Row] = &[
    Row("signUp", "POST /v1/auth/signup", r#"{"email":"stranger@example.org","password":"a quiet harbour","name":"X"}"#, "anyone", 409),
    Row("logIn", "POST /v1/auth/login", r#"{"email":"nobody@example.org","password":"a quiet harbour"}"#, "anyone", 401),
    Row("refreshTokens", "POST /v1/auth/refresh", r#"{"refreshToken":"nothing"}"#, "anyone", 401),
    Row("logOut", "POST /v1/auth/logout", r#"{"refreshToken":"nothing"}"#, "anyone", 204),
    Row("getLiveness", "GET /livez", "", "anyone", 200),
    Row("getReadiness", "GET /readyz", "", "anyone", 200),
    Row("getJwks", "GET /.well-known/jwks.json", "", "anyone", 200),

    Row("getMe", "GET /v1/me", "", "users", 200),
    Row("updateMe", "PATCH /v1/me", "{}", "users", 412),
    Row("listMyRegistrations", "GET /v1/me/registrations", "", "users", 200),
    Row("listMyAttendees", "GET /v1/me/attendees", "", "users", 200),
    Row("claimAttendee", "POST /v1/me/attendees", r#"{"claimCode":"{unknown token}"}"#, "users", 422),

    Row("listOrganisations", "GET /v1/organisations", "", "users", 200),
    Row("createOrganisation", "POST /v1/organisations", r#"{"name":"New"}"#, "users", 201),
    Row("getOrganisation", "GET /v1/organisations/{organisation}", "", "members", 200),
    Row("updateOrganisation", "PATCH /v1/organisations/{organisation}", "{}", "owners", 412),
    Row("deleteOrganisation", "DELETE /v1/organisations/{organisation}", "", "owners", 412),
    Row("listMembers", "GET /v1/organisations/{organisation}/members", "", "owners", 200),
    Row("getMember", "GET /v1/members/{door}", "", "owner or self", 200),
    Row("updateMember", "PATCH /v1/members/{door}", "{}", "owners", 412),
    Row("deleteMember", "DELETE /v1/members/{door}", "", "owner or self", 412),
    Row("listInvitations", "GET /v1/organisations/{organisation}/invitations", "", "owners", 200),
    Row("createInvitation", "POST /v1/organisations/{organisation}/invitations", r#"{"role":"owner"}"#, "owners", 201),
    Row("deleteInvitation", "DELETE /v1/invitations/{invitation}", "", "owners", 204),
    Row("acceptInvitation", "POST /v1/invitations/accept", r#"{"token":"{unknown token}"}"#, "users", 422),
    Row("listApiKeys", "GET /v1/organisations/{organisation}/api-keys", "", "owners", 200),
    Row("createApiKey", "POST /v1/organisations/{organisation}/api-keys", r#"{"name":"X","scopes":["attendees:read"]}"#, "owners", 201),
    Row("deleteApiKey", "DELETE /v1/api-keys/{key}", "", "owners", 204),

    Row("listEvents", "GET /v1/events", "", "anyone", 200),
    Row("createEvent", "POST /v1/events", r#"{"organisationId":"{organisation}","slug":"new-{n}","name":"X","timeZone":"UTC","startsOn":"2026-03-11","endsOn":"2026-03-11"}"#, "managers body", 201),
    Row("getEvent", "GET /v1/events/{event}", "", "anyone", 200),
    Row("getEvent", "GET /v1/events/{draft}", "", "draft", 200),
    Row("getEvent", "GET /v1/events/{draft slug}", "", "draft", 200),
    Row("updateEvent", "PATCH /v1/events/{event}", "{}", "managers", 412),
    Row("deleteEvent", "DELETE /v1/events/{event}", "", "managers", 412),
    Row("getProgramme", "GET /v1/events/{event}/programme", "", "anyone", 200),
    Row("getProgramme", "GET /v1/events/{draft}/programme", "", "draft", 200),
    Row("replaceProgramme", "PUT /v1/events/{event}/programme", r#"{"format":"plenary-programme/1","event":{"name":"X","timeZone":"UTC","startsOn":"2026-03-11","endsOn":"2026-03-11"}}"#, "managers", 412),
    Row("getEventAvailability", "GET /v1/events/{event}/availability", "", "anyone", 200),
    Row("getEventAvailability", "GET /v1/events/{draft}/availability", "", "draft", 200),

    Row("listStreams", "GET /v1/events/{event}/streams", "", "anyone", 200),
    Row("listStreams", "GET /v1/events/{draft}/streams", "", "draft", 200),
    Row("createStream", "POST /v1/events/{event}/streams", r#"{"name":"Stream {n}"}"#, "managers", 201),
    Row("getStream", "GET /v1/streams/{stream}", "", "anyone", 200),
    Row("getStream", "GET /v1/streams/{draft stream}", "", "draft", 200),
    Row("updateStream", "PATCH /v1/streams/{stream}", "{}", "managers", 412),
    Row("deleteStream", "DELETE /v1/streams/{stream}", "", "managers", 412),
    Row("listRooms", "GET /v1/events/{event}/rooms", "", "anyone", 200),
    Row("listRooms", "GET /v1/events/{draft}/rooms", "", "draft", 200),
    Row("createRoom", "POST /v1/events/{event}/rooms", r#"{"name":"Room {n}"}"#, "managers", 201),
    Row("getRoom", "GET /v1/rooms/{room}", "", "anyone", 200),
    Row("getRoom", "GET /v1/rooms/{draft room}", "", "draft", 200),
    Row("updateRoom", "PATCH /v1/rooms/{room}", "{}", "managers", 412),
    Row("deleteRoom", "DELETE /v1/rooms/{room}", "", "managers", 412),
    Row("listSpeakers", "GET /v1/events/{event}/speakers", "", "anyone", 200),
    Row("listSpeakers", "GET /v1/events/{draft}/speakers", "", "draft", 200),
    Row("createSpeaker", "POST /v1/events/{event}/speakers", r#"{"name":"Speaker {n}"}"#, "managers", 201),
    Row("getSpeaker", "GET /v1/speakers/{speaker}", "", "anyone", 200),
    Row("getSpeaker", "GET /v1/speakers/{draft speaker}", "", "draft", 200),
    Row("updateSpeaker", "PATCH /v1/speakers/{speaker}", "{}", "managers", 412),
    Row("deleteSpeaker", "DELETE /v1/speakers/{speaker}", "", "managers", 412),

    Row("listSessions", "GET /v1/events/{event}/sessions", "", "anyone", 200),
    Row("listSessions", "GET /v1/events/{draft}/sessions", "", "draft", 200),
    Row("createSession", "POST /v1/events/{event}/sessions", r#"{"code":"N{n}","title":"X","startsAt":"2026-03-11T12:00:00Z","endsAt":"2026-03-11T13:00:00Z"}"#, "managers", 201),
    Row("getSession", "GET /v1/sessions/{session}", "", "anyone", 200),
    Row("getSession", "GET /v1/sessions/{draft session}", "", "draft", 200),
    Row("getSession", "GET /v1/sessions/{session of a draft}", "", "draft", 200),
    Row("updateSession", "PATCH /v1/sessions/{session}", "{}", "managers", 412),
    Row("deleteSession", "DELETE /v1/sessions/{session}", "", "managers", 412),
    Row("cancelSession", "POST /v1/sessions/{spare session}/cancel", "", "managers", 200),
    Row("getSessionAvailability", "GET /v1/sessions/{session}/availability", "", "anyone", 200),
    Row("getSessionAvailability", "GET /v1/sessions/{draft session}/availability", "", "draft", 200),

    Row("listAttendees", "GET /v1/events/{event}/attendees", "", "managers", 200),
    Row("createAttendee", "POST /v1/events/{event}/attendees", r#"{"name":"X"}"#, "managers", 201),
    Row("getAttendee", "GET /v1/attendees/{attendee}", "", "own", 200),
    Row("getAttendee", "GET /v1/attendees/{guest}", "", "managers", 200),
    Row("updateAttendee", "PATCH /v1/attendees/{attendee}", "{}", "managers", 412),
    Row("deleteAttendee", "DELETE /v1/attendees/{attendee}", "", "managers", 412),
    Row("eraseAttendee", "POST /v1/attendees/{nobody}/erase", "", "managers", 200),
    Row("issueClaimCode", "POST /v1/attendees/{guest}/claim-code", "", "managers", 201),
    Row("issueClaimCodes", "POST /v1/events/{event}/claim-codes", r#"{"attendeeIds":["{guest}"],"replace":true}"#, "managers", 201),
    Row("issueClaimCodes", "POST /v1/events/{draft}/claim-codes?format=csv", "", "managers", 201),

    Row("listSessionRegistrations", "GET /v1/sessions/{session}/registrations", "", "staff", 200),
    Row("listSessionRegistrations", "GET /v1/sessions/{session}/registrations?format=csv", "", "staff", 200),
    Row("listEventRegistrations", "GET /v1/events/{event}/registrations", "", "staff", 200),
    Row("listEventRegistrations", "GET /v1/events/{draft}/registrations?format=csv", "", "staff", 200),
    Row("createTicket", "POST /v1/tickets", r#"{"path":"/v1/sessions/{session}/registrations?format=csv"}"#, "staff ticket", 201),
    Row("createTicket", "POST /v1/tickets", r#"{"path":"/v1/events/{event}/registrations?format=csv"}"#, "staff ticket", 201),
    Row("createTicket", "POST /v1/tickets", r#"{"path":"/v1/events/{event}/attendees?format=csv"}"#, "managers ticket", 201),
    Row("createRegistration", "POST /v1/sessions/{session}/registrations", r#"{"attendeeId":"{attendee}"}"#, "own body", 200),
    Row("createRegistration", "POST /v1/sessions/{session}/registrations", r#"{"attendeeId":"{guest}"}"#, "managers body", 200),
    Row("getRegistration", "GET /v1/registrations/{registration}", "", "own or staff", 200),
    Row("getRegistration", "GET /v1/registrations/{guest's registration}", "", "staff", 200),
    Row("updateRegistration", "PATCH /v1/registrations/{guest's registration}", "{}", "managers", 200),
    Row("moveRegistration", "POST /v1/registrations/{registration}/move", r#"{"sessionId":"{session}"}"#, "own", 200),
    Row("moveRegistration", "POST /v1/registrations/{guest's registration}/move", r#"{"sessionId":"{session}"}"#, "managers", 200),
    Row("acceptOffer", "POST /v1/registrations/{registration}/accept", "", "own", 200),
    Row("acceptOffer", "POST /v1/registrations/{guest's registration}/accept", "", "managers", 200),
    Row("declineOffer", "POST /v1/registrations/{registration}/decline", "", "own", 409),
    Row("declineOffer", "POST /v1/registrations/{guest's registration}/decline", "", "managers", 409),
    Row("planBookings", "POST /v1/events/{event}/plan", r#"{"sessions":[{"sessionId":"{session}"}]}"#, "users", 200),
    Row("planBookings", "POST /v1/events/{event}/plan", r#"{"attendeeId":"{attendee}","sessions":[{"sessionId":"{session}"}]}"#, "own body", 200),
    Row("planBookings", "POST /v1/events/{event}/plan", r#"{"attendeeId":"{guest}","sessions":[{"sessionId":"{session}"}]}"#, "managers body", 200),
    Row("createBookings", "POST /v1/events/{event}/bookings", r#"{"attendeeId":"{attendee}","sessions":[{"sessionId":"{session}"}]}"#, "own body", 200),
    Row("createBookings", "POST /v1/events/{event}/bookings", r#"{"attendeeId":"{guest}","sessions":[{"sessionId":"{session}"}]}"#, "managers body", 200),
    Row("explainSession", "GET /v1/sessions/{session}/explain", "", "managers", 200),
    Row("explainSession", "GET /v1/sessions/{session}/explain?attendeeId={guest}", "", "managers", 200),
    Row("listSessionClashes", "GET /v1/sessions/{session}/clashes", "", "managers", 200),
    Row("listJournal", "GET /v1/events/{event}/journal", "", "managers", 200),
    Row("cancelRegistration", "POST /v1/registrations/{registration}/cancel", "", "own", 200),
    Row("cancelRegistration", "POST /v1/registrations/{guest's registration}/cancel", "", "managers", 200),
    // The last: by booking for themselves all of them become attendees.
    Row("createRegistration", "POST /v1/sessions/{session}/registrations", "", "users", 201),
    Row("createBookings", "POST /v1/events/{event}/bookings", r#"{"sessions":[{"sessionId":"{session}"}]}"#, "users", 200),
];

#[test]
fn every_operation_is_in_the_matrix() {
    let rows: BTreeSet<&str> = MATRIX.iter().map(|Row(operation, ..)| *operation).collect();
    let contract: BTreeSet<&str> =
        Document::shared().operations().filter_map(|(_, _, operation)| operation["operationId"].as_str()).collect();
    assert_eq!(rows, contract);
    for Row(id, request, ..) in MATRIX {
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let path = path.split('?').next().unwrap_or_default();
        let segments = |path: &str| {
            path.split('/').map(|piece| if piece.starts_with('{') { "{}".to_owned() } else { piece.to_owned() }).collect::<Vec<_>>()
        };
        let named = |(its_method, its_path, operation): &(Method, &str, &Value)| {
            operation["operationId"] == *id && its_method.as_str() == method && segments(its_path) == segments(path)
        };
        assert!(Document::shared().operations().any(|operation| named(&operation)), "{id} is not {request}");
    }
}

/// What there is, and who asks for it.
struct World<'a> {
    app: &'a App,
    owner: User,
    organisation: String,
    /// By the names of [`CALLERS`].
    tokens: BTreeMap<&'static str, String>,
    /// By the names in braces.
    names: BTreeMap<&'static str, String>,
}

impl<'a> World<'a> {
    async fn new(app: &'a App) -> Self {
        let mut tokens = BTreeMap::new();
        let mut users = BTreeMap::new();
        for name in &CALLERS[1..8] {
            let user = app.user(name).await;
            tokens.insert(*name, user.token.clone());
            users.insert(*name, user);
        }
        let (owner, foreign) = (&users["owner"], &users["foreign owner"]);
        let event = app.event(owner, json!({})).await;
        let organisation = event["organisationId"].as_id();
        let mut names = BTreeMap::new();
        for role in ["door", "viewer", "organiser"] {
            app.member(&organisation, &users[role], role).await;
        }
        let draft = app.event(owner, json!({ "organisationId": organisation, "status": "draft" })).await;
        for (kind, path) in [("stream", "streams"), ("room", "rooms"), ("speaker", "speakers")] {
            for (name, event) in [(kind, &event), (leak(&format!("draft {kind}")), &draft)] {
                let path = format!("/v1/events/{}/{path}", event.as_id());
                let made = app.post(path).token(&owner.token).json(&json!({ "name": "First" })).send().await.expect(201);
                names.insert(name, made.json.as_id());
            }
        }
        let session = app.session(owner, &event, json!({ "capacity": 100 })).await;
        let spare = app.session(owner, &event, json!({})).await;
        let draft_session = app.session(owner, &event, json!({ "status": "draft" })).await;
        let of_draft = app.session(owner, &draft, json!({})).await;
        let book = format!("/v1/sessions/{}/registrations", session.as_id());
        let own = app.post(&book).token(&tokens["attendee"]).send().await.expect(201).json;
        let [guest, nobody] = app.attendees(owner, &event, 2).await.try_into().expect("two attendees");
        let for_guest = app.post(&book).token(&owner.token).json(&json!({ "attendeeId": guest })).send().await.expect(201).json;
        let members = app.get(format!("/v1/organisations/{organisation}/members")).token(&owner.token).send().await.expect(200).json;
        let door = members["items"].as_array().unwrap().iter().find(|member| member["role"] == "door").unwrap().as_id();
        let all = ["programme:write", "attendees:write", "registrations:write"];
        tokens.insert("key", secret(&key(app, owner, &organisation, &all).await).to_owned());
        let other = app.event(foreign, json!({})).await["organisationId"].as_id();
        tokens.insert("foreign key", secret(&key(app, foreign, other, &all).await).to_owned());
        names.extend([
            ("organisation", organisation.clone()),
            ("event", event.as_id()),
            ("draft", draft.as_id()),
            ("draft slug", draft["slug"].as_id()),
            ("session", session.as_id()),
            ("draft session", draft_session.as_id()),
            ("session of a draft", of_draft.as_id()),
            ("attendee", own["attendeeId"].as_id()),
            ("registration", own.as_id()),
            ("guest", guest),
            ("nobody", nobody),
            ("spare session", spare.as_id()),
            ("guest's registration", for_guest.as_id()),
            ("door", door),
            ("unknown token", "A".repeat(43)),
        ]);
        let mut world = Self { app, owner: owner.clone(), organisation, tokens, names };
        world.renew("deleteInvitation").await;
        world.renew("deleteApiKey").await;
        world
    }

    /// Makes again what an operation uses up.
    async fn renew(&mut self, operation: &str) {
        if operation == "deleteInvitation" {
            let path = format!("/v1/organisations/{}/invitations", self.organisation);
            let made = self.app.post(path).token(&self.owner.token).json(&json!({ "role": "door" })).send().await.expect(201);
            self.names.insert("invitation", made.json.as_id());
        }
        if operation == "deleteApiKey" {
            let made = key(self.app, &self.owner, &self.organisation, &["attendees:read"]).await;
            self.names.insert("key", made.as_id());
        }
    }

    fn fill(&self, text: &str) -> String {
        let text = text.replace("{n}", &self.app.number().to_string());
        self.names.iter().fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    async fn ask(&self, row: &Row, token: Option<&str>) -> Answer {
        let Row(_, request, body, ..) = row;
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let mut call = self.app.call(method.parse().expect("a method"), self.fill(path));
        if !body.is_empty() {
            let media = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
            call = call.body(media, self.fill(body));
        }
        if matches!(method, "PATCH" | "PUT" | "DELETE") {
            call = call.if_match("\"stale\"");
        }
        match token {
            Some(token) => call.token(token).send().await,
            None => call.send().await,
        }
    }

    /// How many rows each table has, and the sum of their versions.
    async fn written(&self) -> BTreeMap<String, i64> {
        let mut written = BTreeMap::new();
        for table in [
            "api_keys",
            "attendees",
            "due_sessions",
            "events",
            "idempotency_keys",
            "invitations",
            "journal",
            "members",
            "organisations",
            "refresh_tokens",
            "registrations",
            "rooms",
            "sessions",
            "speakers",
            "streams",
            "tickets",
            "users",
        ] {
            written.insert(table.to_owned(), self.app.count(table).await);
        }
        for table in ["attendees", "events", "organisations", "rooms", "sessions", "speakers", "streams", "users"] {
            let sum = format!("SELECT CAST(COALESCE(SUM(version), 0) AS BIGINT) FROM {table}");
            written.insert(format!("versions of {table}"), self.app.db().query(leak(&sum)).scalar().await.expect("a sum"));
        }
        for left in ["members WHERE role = 'owner'", "registrations WHERE status = 'confirmed'", "api_keys WHERE revoked_at IS NULL"] {
            written.insert(left.to_owned(), self.app.count(left).await);
        }
        written
    }
}

fn leak(text: &str) -> &'static str {
    text.to_owned().leak()
}

fn rule(name: &str) -> &'static [&'static str; 10] {
    &RULES.iter().find(|(rule, _)| *rule == name).unwrap_or_else(|| panic!("no rule {name}")).1
}

/// The scope that the contract asks of keys, and whether it asks anything of others.
fn demands(operation: &str) -> (Option<&'static str>, bool) {
    let found = Document::shared().operations().find(|(_, _, found)| found["operationId"] == operation).expect("an operation").2;
    let alternatives = found["security"].as_array().expect("security");
    let scope = alternatives.iter().find_map(|alternative| alternative["apiKey"][0].as_str());
    (scope, !alternatives.is_empty() && alternatives.iter().all(|alternative| alternative != &json!({})))
}

on_both! {
    async fn everybody_gets_what_the_matrix_says(app: App) {
        let mut world = World::new(&app).await;
        let before = world.written().await;
        let mut wrong = Vec::new();
        for passing in [false, true] {
            for row in MATRIX {
                let Row(operation, request, _, name, passes) = row;
                for (caller, expected) in CALLERS.into_iter().zip(rule(name)) {
                    if (*expected == "+") != passing {
                        continue;
                    }
                    if passing {
                        world.renew(operation).await;
                    }
                    let expected = expected.parse().unwrap_or(*passes);
                    let answer = world.ask(row, world.tokens.get(caller).map(String::as_str)).await;
                    // Booking again what one has is 200.
                    let fits = answer.status == expected || (expected, answer.status) == (201, 200) && *operation == "createRegistration";
                    if !fits {
                        wrong.push(format!("{operation} ({request}) by {caller}: {} and not {expected}: {}", answer.status, answer.text));
                    }
                }
            }
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
            if !passing {
                assert_eq!(world.written().await, before, "a refused request wrote");
            }
        }
    }

    async fn a_key_needs_the_scope_of_the_operation_and_no_other(app: App) {
        const ALL: [&str; 6] =
            ["programme:read", "programme:write", "attendees:read", "attendees:write", "registrations:read", "registrations:write"];
        let world = World::new(&app).await;
        let mut with: BTreeMap<&str, (String, String)> = BTreeMap::new();
        for scope in ALL {
            let wider = scope.replace("read", "write");
            let others: Vec<&str> = ALL.into_iter().filter(|other| *other != scope && *other != wider).collect();
            let only = key(&app, &world.owner, &world.organisation, &[scope]).await;
            let without = key(&app, &world.owner, &world.organisation, &others).await;
            with.insert(scope, (secret(&only).to_owned(), secret(&without).to_owned()));
        }
        let mut wrong = Vec::new();
        for row in MATRIX {
            let Row(operation, request, _, name, passes) = row;
            let (Some(scope), required) = demands(operation) else { continue };
            let (only, without) = &with[scope];
            let status = |caller: usize| rule(name)[caller].parse().unwrap_or(*passes);
            let refused = if required { 403 } else { status(0) };
            for (held, token, expected) in [("only", only, status(8)), ("all but", without, refused)] {
                let answer = world.ask(row, Some(token)).await;
                if answer.status != expected {
                    wrong.push(format!("{operation} ({request}) with {held} {scope}: {} and not {expected}: {}", answer.status, answer.text));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
