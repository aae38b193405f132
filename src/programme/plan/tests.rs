//! Plans, without a database.

use super::*;
use crate::{
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
        booking: BookingWindow::default(),
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

/// The codes of the sessions that the plan would hit, if somebody sat in each and nobody waited.
fn hit(plan: &Plan) -> Vec<String> {
    let seats = |n: u128, code: &str| Occupancy { session_id: id(n), code: code.into(), active: 1, waitlisted: 0 };
    plan.hits(vec![seats(30, "A1"), seats(31, "A2")]).into_iter().map(|seats| seats.code).collect()
}

#[test]
fn what_is_there_already_is_no_change() {
    let plan = changed(|_| ());
    assert!(plan.is_empty());
    assert_eq!(plan.changes(false).unchanged, 3);
    assert!(hit(&plan).is_empty());
}

#[test]
fn a_rooms_new_capacity_hits_only_the_sessions_that_take_theirs_from_it() {
    let plan = changed(|document| document["rooms"]["hall"]["capacity"] = json!(41));
    assert!(!plan.is_empty());
    assert!(plan.sessions.changed.is_empty());
    assert_eq!(hit(&plan), ["A1"]);
    assert!(hit(&changed(|document| document["rooms"]["hall"]["name"] = json!("Aula"))).is_empty());
}

#[test]
fn titles_move_nobody_and_times_do() {
    assert!(hit(&changed(|document| document["sessions"][0]["title"] = json!("Other"))).is_empty());
    assert_eq!(hit(&changed(|document| document["sessions"][1]["endsAt"] = json!("2026-03-11T14:05"))), ["A2"]);
    assert_eq!(hit(&changed(|document| document["event"]["timeZone"] = json!("Europe/Helsinki"))), ["A1", "A2"]);
    assert_eq!(hit(&changed(|document| document["event"]["status"] = json!("archived"))), ["A1", "A2"]);
    assert_eq!(hit(&changed(|document| document["sessions"] = json!([]))), ["A1", "A2"]);
}

#[test]
fn a_waitlist_matters_to_those_who_wait() {
    let plan = changed(|document| document["sessions"][0]["waitlist"] = json!({ "mode": "auto" }));
    assert!(hit(&plan).is_empty());
    let waiting = Occupancy { session_id: id(30), code: "A1".into(), active: 2, waitlisted: 1 };
    assert_eq!(plan.hits(vec![waiting]).len(), 1);
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
    assert_eq!(hit(&plan), ["A1", "A2"]);
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
