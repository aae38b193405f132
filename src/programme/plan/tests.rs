//! Plans, without a database.

use super::*;
use crate::{
    db::JsonText,
    events::model::{EventBooking, EventStatus},
    keyed::Common,
    sessions::model::{Session, SessionRow, SessionStatus, WaitlistMode},
};
use serde_json::{Value, json};

const NOW: crate::clock::Timestamp = crate::clock::Timestamp::UNIX_EPOCH;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn common(n: u128, key: &str, name: &str) -> Common {
    Common {
        id: id(n),
        event_id: id(1),
        key: key.into(),
        name: name.into(),
        sort_key: name.to_lowercase(),
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn instant(text: &str) -> crate::clock::Timestamp {
    text.parse::<jiff::Timestamp>().expect("an instant").into()
}

fn session(n: u128, code: &str, capacity: Option<i64>) -> Session {
    let row = SessionRow {
        id: id(n),
        event_id: id(1),
        time_zone: Zone::get("Europe/Oslo").expect("a zone"),
        code: code.into(),
        title: format!("Session {code}"),
        summary: None,
        starts_at: instant("2026-03-11T12:00:00Z"),
        ends_at: instant("2026-03-11T13:00:00Z"),
        stream_id: None,
        stream_name: None,
        room_id: Some(id(20)),
        room_name: Some("Hall".into()),
        capacity,
        waitlist_mode: WaitlistMode::None,
        waitlist_limit: None,
        pools: JsonText::default(),
        window: BookingWindow::default(),
        categories: JsonText::default(),
        status: SessionStatus::Published,
        version: 3,
        created_at: NOW,
        updated_at: NOW,
    };
    Session { row, chairs: vec![], parts: vec![] }
}

fn current() -> Current {
    let date = |text: &str| text.to_owned().try_into().expect("a date");
    Current {
        event: Event {
            id: id(1),
            organisation_id: id(2),
            slug: "forum".into(),
            name: "Forum".into(),
            sort_key: "forum".into(),
            time_zone: Zone::get("Europe/Oslo").expect("a zone"),
            starts_on: date("2026-03-11"),
            ends_on: date("2026-03-13"),
            status: EventStatus::Published,
            booking: EventBooking::default(),
            programme_version: 7,
            version: 1,
            created_at: NOW,
            updated_at: NOW,
        },
        streams: vec![],
        rooms: vec![Room { common: common(20, "hall", "Hall"), capacity: Some(40) }],
        speakers: vec![],
        sessions: vec![session(30, "A1", None), session(31, "A2", Some(5))],
    }
}

fn document() -> Value {
    let session = |code: &str| {
        json!({ "code": code, "title": format!("Session {code}"), "startsAt": "2026-03-11T13:00", "endsAt": "2026-03-11T14:00",
            "room": "hall", "status": "published" })
    };
    let mut document = json!({
        "format": "plenary-programme/1",
        "event": { "name": "Forum", "timeZone": "Europe/Oslo", "startsOn": "2026-03-11", "endsOn": "2026-03-13" },
        "rooms": { "hall": { "name": "Hall", "capacity": 40 } },
        "sessions": [session("A1"), session("A2")],
    });
    document["sessions"][1]["capacity"] = json!(5);
    document
}

fn plan(document: Value) -> Result<Plan, Problem> {
    let mut next = 100;
    Plan::new(current(), serde_json::from_value(document).expect("a document"), || {
        next += 1;
        id(next)
    })
}

fn changed(change: impl FnOnce(&mut Value)) -> Plan {
    let mut document = document();
    change(&mut document);
    plan(document).unwrap_or_else(|problem| panic!("{problem}: {:?}", problem.details()))
}

/// The codes of the sessions whose people would be left with nothing, if somebody sat in each and nobody waited.
fn hit(plan: &Plan) -> Vec<String> {
    let seats = |n: u128, code: &str| Occupancy { session_id: id(n), code: code.into(), active: 1, waitlisted: 0 };
    plan.hits(vec![seats(30, "A1"), seats(31, "A2")]).into_iter().map(|seats| seats.code).collect()
}

/// What the plan asks of the engine, as `refit A1`, `end A2`, `reconsider`.
fn asks(plan: &Plan) -> Vec<String> {
    let code = |session: Uuid| if session == id(30) { "A1" } else { "A2" };
    let actor = Actor { user_id: id(3), organiser: true };
    let ask = |command| match command {
        Command::Refit { session_id, if_overfull: IfOverfull::Keep, .. } => format!("refit {}", code(session_id)),
        Command::EndSession { session_id, .. } => format!("end {}", code(session_id)),
        Command::Reconsider { .. } => "reconsider".to_owned(),
        other => panic!("{other:?}"),
    };
    plan.commands(id(1), IfOverfull::Keep, actor).into_iter().map(ask).collect()
}

#[test]
fn what_is_there_already_is_no_change() {
    let plan = changed(|_| ());
    assert!(plan.is_empty());
    assert_eq!(plan.changes(false).unchanged, 3);
    assert!(hit(&plan).is_empty() && asks(&plan).is_empty());
}

#[test]
fn a_rooms_new_capacity_is_that_of_the_sessions_that_take_theirs_from_it() {
    let plan = changed(|document| document["rooms"]["hall"]["capacity"] = json!(41));
    assert!(!plan.is_empty());
    assert!(plan.sessions.changed.is_empty());
    assert_eq!(asks(&plan), ["refit A1"]);
    assert!(hit(&plan).is_empty(), "whom it hits is for the rules of registration to say");
    assert!(asks(&changed(|document| document["rooms"]["hall"]["name"] = json!("Aula"))).is_empty());
}

#[test]
fn what_follows_is_asked_of_the_engine() {
    assert!(asks(&changed(|document| document["sessions"][0]["title"] = json!("Other"))).is_empty());
    assert_eq!(asks(&changed(|document| document["sessions"][1]["endsAt"] = json!("2026-03-11T14:05"))), ["reconsider"]);
    assert_eq!(asks(&changed(|document| document["sessions"][1]["capacity"] = json!(6))), ["refit A2"]);
    let cancelled = changed(|document| document["sessions"][1]["status"] = json!("cancelled"));
    assert_eq!(asks(&cancelled), ["end A2", "reconsider"]);
    assert!(hit(&cancelled).is_empty(), "its registrations end with it");
    assert_eq!(asks(&changed(|document| document["event"]["booking"] = json!({ "overlap": "allow" }))), ["reconsider"]);
}

#[test]
fn nobody_is_left_with_nothing() {
    assert_eq!(hit(&changed(|document| document["sessions"] = json!([]))), ["A1", "A2"]);
    assert_eq!(hit(&changed(|document| document["sessions"][1]["status"] = json!("draft"))), ["A2"]);
    assert_eq!(hit(&changed(|document| document["event"]["status"] = json!("draft"))), ["A1", "A2"]);
    assert!(hit(&changed(|document| document["event"]["status"] = json!("archived"))).is_empty());
}

#[test]
fn a_new_key_is_a_new_thing() {
    let plan = changed(|document| {
        document["rooms"] = json!({ "aula": { "name": "Hall", "capacity": 40 } });
        document["sessions"][0]["room"] = json!("aula");
        document["sessions"][1].as_object_mut().expect("an object").remove("room");
    });
    assert_eq!((plan.rooms.added.len(), plan.rooms.removed.len()), (1, 1));
    assert_eq!(plan.sessions.changed[0].1.room_id, Some(plan.rooms.added[0].0));
    assert_eq!(asks(&plan), ["refit A1", "reconsider", "refit A2", "reconsider"]);
}

#[test]
fn a_code_without_its_old_session_is_a_new_session() {
    let plan = changed(|document| {
        document["sessions"][0]["id"] = json!(id(30));
        document["sessions"][0]["code"] = json!("B1");
        document["sessions"][1]["code"] = json!("A1");
    });
    let changes = plan.changes(true);
    assert_eq!(
        (changes.changed.sessions, changes.added.sessions, changes.removed.sessions),
        (vec!["B1".into()], vec!["A1".into()], vec!["A2".into()])
    );
    assert_eq!(hit(&plan), ["A2"], "another code moves nobody");
}

#[test]
fn everything_wrong_is_said_at_once_and_the_first_fault_names_the_problem() {
    let mut wrong = document();
    wrong["sessions"][0]["room"] = json!("cellar");
    wrong["sessions"][1]["startsAt"] = json!("2026-03-29T02:30");
    wrong["sessions"][1]["id"] = json!(id(99));
    let problem = plan(wrong).err().expect("a problem");
    assert_eq!(problem.code(), Code::UnknownReference);
    let pointers: Vec<&str> = problem.details().iter().filter_map(|detail| detail.pointer.as_deref()).collect();
    assert_eq!(pointers, ["/sessions/1/id", "/sessions/0/room", "/sessions/1/startsAt"]);
}
