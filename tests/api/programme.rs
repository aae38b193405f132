//! The programme as one document: loaded, read back, changed, refused.

use crate::support::*;
use std::collections::BTreeMap;

/// The demo's programme, E6 in it.
const DEMO: &str = include_str!("../../src/demo/programme.yaml");
/// The page of the real session, as the conference printed it.
const PAGE: &str = include_str!("../fixtures/e6.txt");

/// Where the document is.
pub fn path_of(event: &Value) -> String {
    format!("/v1/events/{}/programme", event.as_id())
}

/// 800 people in 500 sessions of two parts each, in one room.
pub fn large() -> Value {
    let person = |n| (format!("person-{n}"), json!({ "name": format!("Person {n}"), "affiliation": "Hospital", "country": "UK" }));
    let session = |n: u32| {
        let (day, hour) = (11 + n % 3, 9 + n % 8);
        let part = |p: u32| {
            json!({ "title": format!("Part {p}"), "abstract": "Text. ".repeat(100), "learningOutcomes": ["a", "b", "c"],
                "speakers": [format!("person-{}", (n + p) % 800), format!("person-{}", (n * 7 + p + 1) % 800)] })
        };
        json!({ "code": format!("S{n}"), "title": format!("Session {n}"), "startsAt": format!("2026-03-{day}T{hour:02}:00"),
            "endsAt": format!("2026-03-{day}T{hour:02}:45"), "room": "hall", "chairs": [format!("person-{}", n % 800)],
            "parts": [part(0), part(1)], "status": "published" })
    };
    let mut document = small();
    document["streams"] = json!({});
    document["speakers"] = (0..800).map(person).collect::<serde_json::Map<_, _>>().into();
    document["sessions"] = (0..500).map(session).collect();
    document
}

/// Puts a document over whatever there is.
pub fn put(app: &App, owner: &User, event: &Value, document: &Value) -> Call {
    app.put(path_of(event)).token(&owner.token).if_match("*").json(document)
}

/// An event with the demo's programme.
pub async fn demo_event(app: &App, owner: &User) -> Value {
    let event = app.event(owner, json!({ "slug": "quality-forum-2026" })).await;
    let call = app.put(path_of(&event)).token(&owner.token).if_match("*").body("application/yaml", DEMO);
    call.send().await.expect(200);
    event
}

/// A small programme.
pub fn small() -> Value {
    json!({
        "format": "plenary-programme/1",
        "event": { "name": "Forum", "timeZone": "Europe/Oslo", "startsOn": "2026-03-11", "endsOn": "2026-03-13" },
        "streams": { "science": { "name": "Science" } },
        "rooms": { "hall": { "name": "Hall", "capacity": 40 } },
        "speakers": { "ann": { "name": "Ann" }, "bob": { "name": "Bob", "country": "UK" } },
        "sessions": [
            { "code": "A1", "title": "First", "startsAt": "2026-03-11T13:00", "endsAt": "2026-03-11T14:00", "stream": "science", "room": "hall",
              "chairs": ["ann"], "status": "published", "waitlist": { "mode": "auto" },
              "parts": [{ "title": "One", "abstract": "A.\n\nB.", "learningOutcomes": ["x", "y"], "speakers": ["bob", "ann"] }] },
            { "code": "A2", "title": "Second", "startsAt": "2026-03-11T15:00", "endsAt": "2026-03-11T16:00", "capacity": 2, "status": "published" },
        ],
    })
}

fn changes(answer: &Value, kind: &str) -> String {
    let list = |name: &str| answer[kind][name].as_array().expect("a list").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
    format!("{}|{}|{}|{}", list("streams"), list("rooms"), list("speakers"), list("sessions"))
}

/// All that anybody could see of a programme, its version too.
pub async fn everything(app: &App, owner: &User, event: &Value) -> Value {
    let sessions = app.get(format!("/v1/events/{}/sessions?limit=200", event.as_id())).token(&owner.token).send().await.expect(200);
    let speakers = app.get(format!("/v1/events/{}/speakers?limit=200", event.as_id())).token(&owner.token).send().await.expect(200);
    json!([sessions.json, speakers.json, app.get(path_of(event)).token(&owner.token).send().await.expect(200).etag()])
}

/// The lines that are not blank, of the page or of what stands for it.
fn lines(page: &str) -> Vec<String> {
    page.lines()
        .map(|line| line.trim_matches(|c: char| c.is_whitespace() || c == '\u{a0}').to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

fn sentences(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .flat_map(|line| line.split_inclusive(". "))
        .flat_map(|text| text.split_inclusive("? "))
        .map(|sentence| sentence.trim().to_owned())
        .collect()
}

/// The page of a session as it can be made from the API.
fn page_of(session: &Value) -> String {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let local = |value: &Value| text(value)[..19].parse::<jiff::civil::DateTime>().expect("a local time");
    let person = |person: &Value| format!("{} {}; {}\n", text(&person["name"]), text(&person["affiliation"]), text(&person["country"]));
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let (starts, ends) = (local(&session["startsAtLocal"]), local(&session["endsAtLocal"]));
    let mut page = format!(
        "{}: {}\n{} | {} - {}\nStream: {}\nChair:\n",
        text(&session["code"]),
        text(&session["title"]),
        starts.strftime("%A %-d %B %Y"),
        starts.strftime("%H:%M"),
        ends.strftime("%H:%M"),
        text(&session["stream"]["name"]),
    );
    list(&session["chairs"]).iter().for_each(|chair| page += &person(chair));
    for part in list(&session["parts"]) {
        page += &format!("Part {} - {}\n", part["number"], text(&part["title"]));
        for paragraph in text(&part["abstract"]).split("\n\n").chain(part["audience"].as_str()) {
            page += &format!("{paragraph}\n");
        }
        page += "After this session, participants will be able to:\n";
        list(&part["learningOutcomes"]).iter().for_each(|outcome| page += &format!("• {}\n", text(outcome)));
        list(&part["speakers"]).iter().for_each(|speaker| page += &person(speaker));
    }
    page
}

/// The booking rules of an event as its document tells them, with `overrides`.
fn booking_document(overrides: Value) -> Value {
    let mut rules = event_booking(overrides);
    rules.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    rules
}

on_both! {
    async fn the_page_of_e6_reads_back_whole(app: App) {
        let owner = app.user("olga").await;
        let event = demo_event(&app, &owner).await;
        let found = app.get(format!("/v1/events/{}/sessions?code=E6", event.as_id())).send().await.expect(200);
        assert_eq!(found.json["items"].as_array().map(Vec::len), Some(1));
        let session = &found.json["items"][0];
        assert_eq!(session["startsAtLocal"], "2026-03-11T13:00:00+01:00");
        assert_eq!(session["parts"][0]["learningOutcomes"].as_array().map(Vec::len), Some(3));
        assert!(session["parts"][0]["audience"].as_str().is_some_and(|audience| audience.starts_with("Designed for system leaders")));
        let (printed, rebuilt) = (sentences(&lines(PAGE)), sentences(&lines(&page_of(session))));
        for (index, (printed, rebuilt)) in printed.iter().zip(&rebuilt).enumerate() {
            assert_eq!(rebuilt, printed, "sentence {index}");
        }
        assert_eq!(rebuilt.len(), printed.len());
        assert_eq!(printed.len(), 29, "the page was cut into its sentences");
    }

    async fn what_is_loaded_is_what_is_read(app: App) {
        let owner = app.user("olga").await;
        let event = demo_event(&app, &owner).await;
        let loaded: Value = serde_saphyr::from_str(DEMO).expect("the demo's YAML");
        let read = app.get(path_of(&event)).token(&owner.token).send().await.expect(200).json;
        for part in ["format", "streams", "rooms", "speakers"] {
            assert_eq!(read[part], loaded[part], "{part}");
        }
        for (member, value) in loaded["event"].as_object().expect("an event").iter().filter(|(member, _)| *member != "booking") {
            assert_eq!(read["event"][member], *value, "{member}");
        }
        assert_eq!(read["event"]["booking"], booking_document(json!({})), "rules that are not chosen are told");
        let by_code = |document: &Value| -> BTreeMap<String, Value> {
            let sessions = document["sessions"].as_array().expect("sessions").iter().cloned();
            sessions.map(|session| (session["code"].as_str().expect("a code").to_owned(), session)).collect()
        };
        let (loaded, read) = (by_code(&loaded), by_code(&read));
        assert_eq!(loaded.len(), 23);
        for (code, mut session) in loaded {
            // Defaults are left out of what is read.
            if session["waitlist"] == json!({ "mode": "none" }) {
                session.as_object_mut().expect("an object").remove("waitlist");
            }
            assert_eq!(read[&code], session, "{code}");
        }
        let starts: Vec<String> = read.values().map(|session| session["startsAt"].as_str().expect("a time").to_owned()).collect();
        assert!(starts.iter().all(|time| time.len() == "2026-03-11T13:00".len()), "local times, short: {starts:?}");
    }

    async fn the_same_again_changes_nothing(app: App) {
        let owner = app.user("olga").await;
        let event = demo_event(&app, &owner).await;
        let before = everything(&app, &owner, &event).await;
        app.advance_secs(60);
        let put = |media: &str, text: String| app.put(path_of(&event)).token(&owner.token).if_match("*").body(media, text);
        let again = put("application/yaml", DEMO.to_owned()).send().await.expect(200);
        assert_eq!(again.json["unchanged"], 6 + 6 + 27 + 23);
        assert_eq!(again.json["eventChanged"], false);
        for kind in ["added", "changed", "removed"] {
            assert_eq!(changes(&again.json, kind), "|||", "{kind}");
        }
        for media in ["application/json", "application/yaml"] {
            let read = app.get(path_of(&event)).token(&owner.token).header("accept", media).send().await.expect(200);
            assert_eq!(read.media_type().as_deref(), Some(media));
            let back = app.put(path_of(&event)).token(&owner.token).if_match(&read.etag()).body(media, read.text.clone());
            let back = back.send().await.expect(200);
            assert_eq!(back.json["unchanged"], 62, "{media}");
            assert_eq!(app.get(path_of(&event)).token(&owner.token).header("accept", media).send().await.expect(200).text, read.text);
        }
        assert_eq!(everything(&app, &owner, &event).await, before);
    }

    async fn a_document_adds_changes_and_removes(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let first = put(&app, &owner, &event, &small()).send().await.expect(200);
        assert_eq!(changes(&first.json, "added"), "science|hall|ann,bob|A1,A2");
        assert_eq!((first.json["dryRun"].clone(), first.json["unchanged"].clone()), (json!(false), json!(0)));
        assert_eq!(first.json["eventChanged"], true, "the event has another name");
        let seats = app.get(format!("/v1/events/{}/availability", event.as_id())).send().await.expect(200);
        assert_eq!((&seats.json["items"][0]["capacity"], &seats.json["items"][1]["capacity"]), (&json!(40), &json!(2)));
        let old = app.get(format!("/v1/events/{}/sessions", event.as_id())).send().await.expect(200).json["items"].clone();

        let mut next = small();
        next["event"]["name"] = json!("Renamed");
        next["event"]["booking"] = json!({ "opensAt": "2026-03-01T09:00", "admission": "attendees_only" });
        next["streams"] = json!({ "arts": { "name": "Arts" } });
        next["rooms"]["hall"]["capacity"] = json!(50);
        next["speakers"] = json!({ "bob": { "name": "Robert", "country": "UK" }, "cid": { "name": "Cid" } });
        next["sessions"][0]["stream"] = json!("arts");
        next["sessions"][0]["chairs"] = json!(["cid", "bob"]);
        next["sessions"][0]["parts"] = json!([{ "title": "Zero" }, { "title": "One", "speakers": ["bob"] }]);
        next["sessions"][1] = json!({ "code": "B1", "title": "New", "startsAt": "2026-03-12T09:00:00-05:00", "endsAt": "2026-03-12T16:00" });
        let dry = app.put(format!("{}?dryRun=true", path_of(&event))).token(&owner.token).if_match("*").json(&next).send().await.expect(200);
        assert_eq!(dry.json["dryRun"], true);
        assert_eq!(dry.etag(), first.etag());
        assert_eq!(app.get(format!("/v1/events/{}/sessions", event.as_id())).send().await.expect(200).json["items"], old);
        assert_eq!(app.get(path_of(&event)).token(&owner.token).send().await.expect(200).etag(), first.etag());

        let second = put(&app, &owner, &event, &next).send().await.expect(200);
        for kind in ["eventChanged", "added", "changed", "removed", "unchanged"] {
            assert_eq!(second.json[kind], dry.json[kind], "a dry run says what will be");
        }
        assert_eq!(changes(&second.json, "added"), "arts||cid|B1");
        assert_eq!(changes(&second.json, "changed"), "|hall|bob|A1");
        assert_eq!(changes(&second.json, "removed"), "science||ann|A2");
        assert_eq!(second.json["unchanged"], 0);
        let read = app.get(path_of(&event)).token(&owner.token).send().await.expect(200);
        assert_eq!(read.etag(), second.etag());
        assert_ne!(read.etag(), first.etag());
        let mut expected = next.clone();
        expected["sessions"][1]["startsAt"] = json!("2026-03-12T15:00");
        expected["sessions"][1]["status"] = json!("draft");
        expected["event"]["slug"] = event["slug"].clone();
        expected["event"]["status"] = json!("published");
        expected["event"]["booking"] = booking_document(expected["event"]["booking"].clone());
        assert_eq!(read.json, expected);
        let sessions = app.get(format!("/v1/events/{}/sessions", event.as_id())).token(&owner.token).send().await.expect(200).json["items"].clone();
        assert_eq!(sessions[0]["id"], old[0]["id"], "the session of that code stays the same one");
        assert_eq!(sessions[0]["chairs"][1]["name"], "Robert");
        let seats = app.get(format!("/v1/sessions/{}/availability", sessions[0].as_id())).send().await.expect(200);
        assert_eq!(seats.json["capacity"], 50);
    }

    async fn what_is_not_in_the_document_goes_away(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        put(&app, &owner, &event, &small()).send().await.expect(200);
        let empty = json!({ "format": "plenary-programme/1", "event": small()["event"] });
        let gone = put(&app, &owner, &event, &empty).send().await.expect(200);
        assert_eq!(changes(&gone.json, "removed"), "science|hall|ann,bob|A1,A2");
        for table in ["sessions", "session_seats", "session_parts", "session_chairs", "part_speakers", "speakers", "rooms", "streams"] {
            assert_eq!(app.count(table).await, 0, "{table}");
        }
        assert_eq!(app.count("events").await, 1);
    }

    async fn an_unchanged_session_keeps_its_tag(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        put(&app, &owner, &event, &small()).send().await.expect(200);
        let sessions = app.get(format!("/v1/events/{}/sessions", event.as_id())).send().await.expect(200).ids();
        let tags = async || {
            let mut tags = Vec::new();
            for id in &sessions {
                tags.push(app.get(format!("/v1/sessions/{id}")).send().await.expect(200).etag());
            }
            tags
        };
        let before = tags().await;
        let mut next = small();
        next["sessions"][1]["title"] = json!("Other");
        put(&app, &owner, &event, &next).send().await.expect(200);
        let after = tags().await;
        assert_eq!(before[0], after[0]);
        assert_ne!(before[1], after[1]);
        next["speakers"]["bob"]["country"] = json!("Wales");
        put(&app, &owner, &event, &next).send().await.expect(200);
        let last = tags().await;
        assert_ne!(after[0], last[0], "its speaker shows in it");
        assert_eq!(after[1], last[1]);
    }

    async fn codes_can_move_by_id(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        put(&app, &owner, &event, &small()).send().await.expect(200);
        let ids = app.get(format!("/v1/events/{}/sessions", event.as_id())).send().await.expect(200).ids();
        let mut swapped = small();
        for (index, id) in ids.iter().enumerate() {
            swapped["sessions"][index]["id"] = json!(id);
            swapped["sessions"][index]["code"] = small()["sessions"][1 - index]["code"].clone();
        }
        let answer = put(&app, &owner, &event, &swapped).send().await.expect(200);
        assert_eq!(changes(&answer.json, "changed"), "|||A2,A1");
        let after = app.get(format!("/v1/events/{}/sessions", event.as_id())).send().await.expect(200);
        assert_eq!((after.ids(), after.all("code")), (ids.clone(), vec!["A2".to_owned(), "A1".to_owned()]));

        // The one leaves its code to a new session.
        let mut next = swapped.clone();
        next["sessions"][0]["code"] = json!("Z9");
        next["sessions"].as_array_mut().expect("sessions").push(
            json!({ "code": "A2", "title": "New", "startsAt": "2026-03-13T09:00", "endsAt": "2026-03-13T10:00", "status": "published" }),
        );
        let answer = put(&app, &owner, &event, &next).send().await.expect(200);
        assert_eq!((changes(&answer.json, "added"), changes(&answer.json, "changed")), ("|||A2".into(), "|||Z9".into()));
    }

    async fn bad_documents_are_refused_where_they_are_wrong(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let other = app.event(&owner, json!({})).await;
        let foreign = app.session(&owner, &other, json!({})).await;
        put(&app, &owner, &event, &small()).send().await.expect(200);
        let before = everything(&app, &owner, &event).await;
        let id = before[0]["items"][0]["id"].clone();
        let cases: Vec<(&str, Value, &str, &str)> = vec![
            ("/sessions/0/parts/0/speakers/1", json!("eve"), "unknown_reference", "/sessions/0/parts/0/speakers/1 unknown_reference"),
            ("/sessions/0/chairs/0", json!("eve"), "unknown_reference", "/sessions/0/chairs/0 unknown_reference"),
            ("/sessions/0/room", json!("cellar"), "unknown_reference", "/sessions/0/room unknown_reference"),
            ("/sessions/0/stream", json!("ann"), "unknown_reference", "/sessions/0/stream unknown_reference"),
            ("/sessions/1/id", foreign["id"].clone(), "unknown_reference", "/sessions/1/id unknown_reference"),
            ("/sessions/1/code", json!("A1"), "invalid_body", "/sessions/1/code duplicate"),
            ("/sessions/1/endsAt", json!("2026-03-11T15:00"), "invalid_range", "/sessions/1/endsAt invalid_range"),
            ("/sessions/1/endsAt", json!("2026-03-11T14:00Z"), "invalid_range", "/sessions/1/endsAt invalid_range"),
            ("/sessions/1/booking", json!({ "opensAt": "2026-03-02T10:00", "closesAt": "2026-03-02T10:00" }), "invalid_range",
                "/sessions/1/booking/closesAt invalid_range"),
            ("/sessions/1/startsAt", json!("2026-03-11 13:00"), "invalid_body", "/sessions/1/startsAt pattern"),
            ("/sessions/1/startsAt", json!("2026-02-30T13:00"), "invalid_body", "/sessions/1/startsAt format"),
            ("/sessions/1/startsAt", json!("2026-03-29T02:30"), "invalid_body", "/sessions/1/startsAt skipped_time"),
            ("/sessions/1/startsAt", json!("2026-10-25T02:30"), "invalid_body", "/sessions/1/startsAt ambiguous_time"),
            ("/sessions/1/capacity", json!(-1), "invalid_body", "/sessions/1/capacity out_of_range"),
            // An integer to the schema, and none to the type.
            ("/sessions/1/capacity", json!(1.0), "invalid_body", "/sessions/1/capacity wrong_type"),
            ("/sessions/1/seats", json!(1), "invalid_body", "/sessions/1/seats unknown_field"),
            ("/sessions/1/title", json!("a\u{0}b"), "invalid_body", "/sessions/1/title null_character"),
            ("/sessions/0/chairs", json!(["ann", "ann"]), "invalid_body", "/sessions/0/chairs duplicate"),
            ("/speakers/Eve", json!({ "name": "Eve" }), "invalid_body", "/speakers/Eve pattern"),
            ("/speakers/eve", json!({}), "invalid_body", "/speakers/eve/name required"),
            ("/event/timeZone", json!("Europe/Atlantis"), "invalid_time_zone", "/event/timeZone invalid_time_zone"),
            ("/event/endsOn", json!("2026-03-10"), "invalid_range", "/event/endsOn invalid_range"),
            ("/event/endsOn", json!("2026-02-30"), "invalid_body", "/event/endsOn format"),
            ("/event/slug", json!("another"), "invalid_body", "/event/slug invalid_body"),
            ("/event/booking", json!({ "opensAt": "2026-03-29T02:30" }), "invalid_body", "/event/booking/opensAt skipped_time"),
            ("/format", json!("plenary-programme/2"), "invalid_body", "/format enum"),
        ];
        for (pointer, value, code, error) in cases {
            let mut document = small();
            document["event"]["name"] = json!("Changed");
            document["sessions"][0]["title"] = json!("Changed");
            let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
            let parent = document.pointer_mut(parent).expect("a parent");
            match parent {
                Value::Array(items) => items[last.parse::<usize>().expect("an index")] = value,
                object => object[last] = value,
            }
            let answer = put(&app, &owner, &event, &document).send().await.problem(422, code);
            assert!(answer.errors().iter().any(|found| found.starts_with(error)), "{pointer}: {:?}", answer.errors());
        }
        let mut twice = small();
        twice["sessions"][0]["id"] = id.clone();
        twice["sessions"][1]["id"] = id;
        let answer = put(&app, &owner, &event, &twice).send().await.problem(422, "invalid_body");
        assert_eq!(answer.errors(), ["/sessions/1/id duplicate"]);
        let mut many = small();
        many["sessions"][0]["chairs"] = json!(["eve", "ann", "eva"]);
        many["sessions"][1]["code"] = json!("A1");
        many["sessions"][1]["startsAt"] = json!("2026-03-12T13:00");
        let answer = put(&app, &owner, &event, &many).send().await;
        assert_eq!(answer.errors(), [
            "/sessions/0/chairs/0 unknown_reference",
            "/sessions/0/chairs/2 unknown_reference",
            "/sessions/1/code duplicate",
            "/sessions/1/endsAt invalid_range",
        ]);
        assert_eq!(everything(&app, &owner, &event).await, before);
    }

    async fn bad_syntax_is_refused(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let put = |media: &str, body: &[u8]| app.put(path_of(&event)).token(&owner.token).if_match("*").body(media, body.to_vec());
        let yaml = "application/yaml";
        put(yaml, b"format: [").send().await.problem(400, "malformed_body");
        put(yaml, b"format: \xff\xfe").send().await.problem(400, "malformed_body");
        put(yaml, b"format: plenary-programme/1\nformat: plenary-programme/1\n").send().await.problem(400, "duplicate_key");
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                    d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
                    g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n";
        put(yaml, bomb.as_bytes()).send().await.problem(400, "malformed_body");
        put("application/json", b"{").send().await.problem(400, "malformed_body");
        let twice = br#"{"format":"plenary-programme/1","streams":{"a":{"name":"A"},"a":{"name":"B"}}}"#;
        assert_eq!(put("application/json", twice).send().await.problem(400, "duplicate_key").pointer(), "/streams/a");
        let name = "x".repeat(100_000);
        let answer = put("application/json", format!("{{\"{name}\": 1, \"speakers\": {{\"{name}\": {{\"name\": \"X\"}}}}}}").as_bytes()).send().await;
        assert_eq!(answer.problem(422, "invalid_body").errors(), [" unknown_field", "/event required", "/format required", "/speakers pattern", "/speakers too_long"]);
        put("text/yaml", b"format: x").send().await.problem(415, "unsupported_media_type");
        let long = format!("format: plenary-programme/1\n# {}\n", "x".repeat(17_000_000));
        put(yaml, long.as_bytes()).send().await.problem(413, "body_too_large");
        for query in ["dryRun=yes", "dryRun=1", "dry=true"] {
            let call = app.put(format!("{}?{query}", path_of(&event))).token(&owner.token).if_match("*").json(&small());
            call.send().await.problem(400, "invalid_parameter");
        }
        assert_eq!(app.count("sessions").await, 0);
    }

    async fn yaml_may_refer_to_one_thing_in_every_session(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let mut text = String::from(
            "format: plenary-programme/1\nevent: {name: Forum, timeZone: Europe/Oslo, startsOn: 2026-03-11, endsOn: 2026-03-13}\nsessions:\n",
        );
        for number in 0..150 {
            let waitlist = if number == 0 { "&w {mode: auto}" } else { "*w" };
            text += &format!(
                "  - {{code: S{number}, title: S, startsAt: 2026-03-11T13:00, endsAt: 2026-03-11T14:00, waitlist: {waitlist}}}\n"
            );
        }
        let call = app.put(path_of(&event)).token(&owner.token).if_match("*").body("application/yaml", text);
        call.send().await.expect(200);
        let read = app.get(path_of(&event)).token(&owner.token).send().await.expect(200).json;
        assert_eq!(read["sessions"][149]["waitlist"]["mode"], "auto");
    }

    async fn yaml_is_read_as_people_write_it(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let text = "
format: plenary-programme/1
event: {name: Forum, timeZone: europe/oslo, startsOn: 2026-03-11, endsOn: 2026-03-13}
speakers:
  kari: {name: Kari, country: NO}
  'null': {name: 'Null, with a comma'}
sessions:
  - code: 'E1'
    title: Yes
    startsAt: 2026-03-11T13:00
    endsAt: 2026-03-11T14:00
    summary: |
      One
      line.

      Another.

    chairs: [kari]
";
        let call = app.put(path_of(&event)).token(&owner.token).if_match("*").body("application/yaml; charset=utf-8", text);
        call.send().await.expect(200);
        let read = app.get(path_of(&event)).token(&owner.token).send().await.expect(200).json;
        assert_eq!(read["speakers"]["kari"]["country"], "NO");
        assert_eq!(read["speakers"]["null"]["name"], "Null, with a comma");
        assert_eq!(read["sessions"][0]["title"], "Yes");
        assert_eq!(read["sessions"][0]["summary"], "One\nline.\n\nAnother.");
        assert_eq!(read["event"]["timeZone"], "Europe/Oslo");
        let text = app.get(path_of(&event)).token(&owner.token).header("accept", "application/yaml").send().await.expect(200).text;
        let again: Value = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(again, read, "{text}");
        let back = app.put(path_of(&event)).token(&owner.token).if_match("*").body("application/yaml", text).send().await.expect(200);
        assert_eq!(back.json["unchanged"], 3);
    }

    async fn times_in_the_fold_keep_their_offset(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let mut document = small();
        document["sessions"][1]["startsAt"] = json!("2026-10-25T02:30+02:00");
        document["sessions"][1]["endsAt"] = json!("2026-10-25T02:30+01:00");
        put(&app, &owner, &event, &document).send().await.expect(200);
        let read = app.get(path_of(&event)).token(&owner.token).send().await.expect(200);
        let session = &read.json["sessions"][1];
        assert_eq!((&session["startsAt"], &session["endsAt"]), (&json!("2026-10-25T02:30:00+02:00"), &json!("2026-10-25T02:30:00+01:00")));
        let again = put(&app, &owner, &event, &read.json).send().await.expect(200);
        assert_eq!(again.json["unchanged"], 6);
    }

    async fn another_zone_moves_local_times(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        put(&app, &owner, &event, &small()).send().await.expect(200);
        let mut next = small();
        next["event"]["timeZone"] = json!("America/New_York");
        let answer = put(&app, &owner, &event, &next).send().await.expect(200);
        assert_eq!(changes(&answer.json, "changed"), "|||A1,A2");
        let session = app.get(format!("/v1/events/{}/sessions?code=A1", event.as_id())).send().await.expect(200).json["items"][0].clone();
        assert_eq!((&session["startsAt"], &session["startsAtLocal"]), (&json!("2026-03-11T17:00:00Z"), &json!("2026-03-11T13:00:00-04:00")));
    }

    async fn the_events_rules_stay_where_the_document_does_not_say(app: App) {
        let owner = app.user("olga").await;
        let booking = json!({ "opensAt": "2026-03-01T08:00:00Z", "closesAt": "2026-03-10T08:00:00Z", "admission": "attendees_only" });
        let event = app.event(&owner, json!({ "booking": booking.clone(), "status": "archived" })).await;
        let read = async || app.get(format!("/v1/events/{}", event.as_id())).send().await.expect(200);
        put(&app, &owner, &event, &small()).send().await.expect(200);
        let after = read().await;
        assert_eq!((&after.json["booking"], &after.json["status"], &after.json["name"]), (&event_booking(booking), &json!("archived"), &json!("Forum")));
        put(&app, &owner, &event, &small()).send().await.expect(200);
        assert_eq!(read().await.etag(), after.etag());
        let mut next = small();
        next["event"]["booking"] = json!({ "closesAt": "2026-03-09T09:00" });
        put(&app, &owner, &event, &next).send().await.expect(200);
        let expected = event_booking(json!({ "opensAt": null, "closesAt": "2026-03-09T08:00:00Z", "admission": "attendees_only" }));
        assert_eq!(read().await.json["booking"], expected);
    }

    async fn sessions_with_registrations_are_left_alone_or_the_whole_is_refused(app: App) {
        let (owner, anna) = (app.user("olga").await, app.user("anna").await);
        let event = app.event(&owner, json!({})).await;
        put(&app, &owner, &event, &small()).send().await.expect(200);
        for id in app.get(format!("/v1/events/{}/sessions", event.as_id())).send().await.expect(200).ids() {
            app.post(format!("/v1/sessions/{id}/registrations")).token(&anna.token).json(&json!({})).send().await.expect(201);
        }
        let before = everything(&app, &owner, &event).await;
        let mut removed = small();
        removed["sessions"].as_array_mut().expect("sessions").clear();
        removed["speakers"] = json!({ "new": { "name": "New" } });
        let answer = put(&app, &owner, &event, &removed).send().await.problem(409, "has_registrations");
        assert_eq!(answer.json["registrations"], 2);
        let codes: Vec<&str> = answer.json["sessions"].as_array().expect("sessions").iter().filter_map(|s| s["code"].as_str()).collect();
        assert_eq!(codes, ["A1", "A2"]);
        let edits: Vec<(&str, Value, &str)> = vec![
            ("/sessions/0/capacity", json!(0), "A1"),
            ("/sessions/1/status", json!("draft"), "A2"),
            ("/sessions/1/code", json!("A3"), "A2"),
            ("/rooms/hall/capacity", json!(0), "A1"),
            ("/event/status", json!("draft"), "A1 A2"),
        ];
        for (pointer, value, codes) in edits {
            let mut document = small();
            document["event"]["name"] = json!("Changed");
            let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
            let parent = document.pointer_mut(parent).expect("a parent").as_object_mut().expect("an object");
            if value.is_null() {
                parent.remove(last);
            } else {
                parent.insert(last.to_owned(), value);
            }
            for query in ["", "?dryRun=true"] {
                let call = app.put(format!("{}{query}", path_of(&event))).token(&owner.token).if_match("*").json(&document);
                let answer = call.send().await.problem(409, "has_registrations");
                let found: Vec<&str> = answer.json["sessions"].as_array().expect("sessions").iter().filter_map(|s| s["code"].as_str()).collect();
                assert_eq!(found.join(" "), codes, "{pointer}");
            }
        }
        assert_eq!(everything(&app, &owner, &event).await, before);
        let mut fine = small();
        fine["sessions"][0]["title"] = json!("Other title");
        fine["sessions"][0]["capacity"] = json!(null);
        fine["sessions"][0].as_object_mut().expect("an object").remove("capacity");
        fine["sessions"][1]["waitlist"] = json!({ "mode": "auto" });
        fine["sessions"].as_array_mut().expect("sessions").reverse();
        let answer = put(&app, &owner, &event, &fine).send().await.expect(200);
        assert_eq!(changes(&answer.json, "changed"), "|||A2,A1");
    }

    async fn versions_guard_the_programme(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let put = |document: &Value| app.put(path_of(&event)).token(&owner.token).json(document);
        put(&small()).send().await.problem(428, "precondition_required");
        let read = app.get(path_of(&event)).token(&owner.token).send().await.expect(200);
        app.session(&owner, &event, json!({ "code": "Z1" })).await;
        let stale = put(&small()).if_match(&read.etag()).send().await.problem(412, "version_mismatch");
        let current = app.get(path_of(&event)).token(&owner.token).send().await.expect(200);
        assert_eq!(stale.json["currentETag"], current.etag().as_str());
        let public = app.get(path_of(&event)).send().await.expect(200);
        put(&small()).if_match(&public.etag()).send().await.problem(412, "version_mismatch");
        assert_eq!(app.count("streams").await, 0);
        let done = put(&small()).if_match(&current.etag()).send().await.expect(200);
        assert_eq!(changes(&done.json, "removed"), "|||Z1");
        let yaml = app.get(path_of(&event)).token(&owner.token).header("accept", "application/yaml").send().await.expect(200);
        assert_ne!(yaml.etag(), done.etag(), "two representations have two strong tags");
        put(&small()).if_match(&yaml.etag()).send().await.expect(200);
        let known = format!("{}, {}", public.etag(), done.etag());
        app.get(path_of(&event)).token(&owner.token).if_none_match(&known).send().await.expect(304);
        app.get(path_of(&event)).if_none_match(&known).send().await.expect(200);
    }

    async fn edits_that_meet_all_land_or_say_why(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        put(&app, &owner, &event, &small()).send().await.expect(200);
        let sessions = format!("/v1/events/{}/sessions", event.as_id());
        let first = app.get(&sessions).send().await.expect(200).ids()[0].clone();
        let speaker = app.get(format!("/v1/events/{}/speakers", event.as_id())).send().await.expect(200).ids()[0].clone();
        let mut calls = Vec::new();
        for n in 0..6 {
            let new = json!({ "code": format!("N{n}"), "title": "New", "startsAt": "2026-03-11T12:00:00Z", "endsAt": "2026-03-11T13:00:00Z" });
            calls.push((201, app.post(&sessions).token(&owner.token).json(&new)));
            calls.push((200, app.patch(format!("/v1/sessions/{first}")).token(&owner.token).if_match("*").merge(&json!({ "title": format!("T{n}") }))));
            calls.push((200, app.patch(format!("/v1/speakers/{speaker}")).token(&owner.token).if_match("*").merge(&json!({ "country": format!("C{n}") }))));
            let mut document = small();
            document["sessions"][1]["title"] = json!(format!("Document {n}"));
            calls.push((200, put(&app, &owner, &event, &document)));
        }
        let running: Vec<_> = calls.into_iter().map(|(status, call)| (status, tokio::spawn(call.send()))).collect();
        for (status, call) in running {
            let answer = call.await.expect("an answer");
            // Two nodes' worth of editors may meet in a circle that the database breaks; nothing else may go wrong.
            assert!(answer.status == status || (answer.status == 503 && answer.json["code"] == "unavailable"), "{}", answer.text);
        }
        put(&app, &owner, &event, &small()).send().await.expect(200);
        assert_eq!(app.get(&sessions).token(&owner.token).send().await.expect(200).all("code"), ["A1", "A2"]);
        let counters = "SELECT COUNT(*) FROM session_seats WHERE seats_taken <> 0 OR waitlisted <> 0";
        assert_eq!(app.db().query(counters).scalar::<i64>().await.expect("a count"), 0);
    }

    async fn the_public_reads_it_without_drafts(app: App) {
        let (owner, viewer, stranger) = (app.user("olga").await, app.user("vera").await, app.user("sten").await);
        let event = app.event(&owner, json!({})).await;
        app.member(&event["organisationId"], &viewer, "viewer").await;
        let mut document = small();
        document["sessions"][0]["status"] = json!("draft");
        document["sessions"][1]["status"] = json!("cancelled");
        put(&app, &owner, &event, &document).send().await.expect(200);
        let codes = async |user: Option<&User>| {
            let call = user.map_or(app.get(path_of(&event)), |user| app.get(path_of(&event)).token(&user.token));
            let json = call.send().await.expect(200).json;
            json["sessions"].as_array().expect("sessions").iter().map(|s| s["code"].as_str().expect("a code").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(codes(None).await, ["A2"]);
        assert_eq!(codes(Some(&stranger)).await, ["A2"]);
        assert_eq!(codes(Some(&viewer)).await, ["A1", "A2"]);
        put(&app, &viewer, &event, &small()).send().await.problem(403, "forbidden");
        put(&app, &stranger, &event, &small()).send().await.problem(404, "not_found");
        app.put(path_of(&event)).if_match("*").json(&small()).send().await.problem(401, "unauthenticated");
        app.get(path_of(&event)).header("accept", "text/html").send().await.problem(406, "not_acceptable");
        app.get(path_of(&event)).header("accept", "text/html, */*;q=0.1").send().await.expect(200);
        app.get("/v1/events/no-such-event/programme").send().await.problem(404, "not_found");
        document["event"]["status"] = json!("draft");
        put(&app, &owner, &event, &document).send().await.expect(200);
        app.get(path_of(&event)).send().await.problem(404, "not_found");
        assert_eq!(codes(Some(&viewer)).await, ["A1", "A2"]);
    }

    async fn a_large_programme_is_loaded_whole(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let mut document = large();
        let first = put(&app, &owner, &event, &document).send().await.expect(200).json;
        assert_eq!(["speakers", "sessions"].map(|kind| first["added"][kind].as_array().map(Vec::len)), [Some(800), Some(500)]);
        let again = put(&app, &owner, &event, &document).send().await.expect(200).json;
        assert_eq!((changes(&again, "changed"), again["unchanged"].as_u64()), ("|||".to_owned(), Some(1301)));
        for session in document["sessions"].as_array_mut().expect("sessions") {
            session["capacity"] = json!(7);
        }
        let changed = put(&app, &owner, &event, &document).send().await.expect(200).json;
        assert_eq!(changed["changed"]["sessions"].as_array().map(Vec::len), Some(500));
        let page = app.get(format!("/v1/events/{}/sessions?limit=200", event.as_id())).send().await.expect(200);
        assert_eq!(page.ids().len(), 200);
    }
}
