//! Reading the programme: the list of 100 sessions with their parts (plain, compressed, by somebody signed in, and when
//! the client has it already), and their availability, against a bare actix that serves the same bytes from memory.
//!
//! ```text
//! cargo bench --bench programme
//! DATABASE_URL=postgres://… cargo bench --bench programme
//! ```

mod support;

use serde_json::{Value, json};
use std::io::Read;
use support::{
    client::{Client, request},
    database::Database,
    report::Report,
    server::Server,
    start,
};

const SESSIONS: usize = 100;
const PARTS: usize = 3;
const SPEAKERS: usize = 200;

fn main() {
    let mut flags = start();
    let database = Database::make(flags.postgres);
    let (rounds, count) = (flags.rounds(), flags.requests());
    println!(
        "programme on {}: {} connections, {count} requests a measurement, {rounds} alternations",
        database.describe(),
        flags.connections
    );
    flags.requests = Some(1);
    let server = Server::start(&flags, &database.url);
    let client = Client::new();
    println!("the server is process {}", server.process());
    let event = server.empty_event(&client);
    let token = server.tokens(&client, 1).remove(0);
    let put = request("PUT", &format!("/v1/events/{event}/programme"), Some(&token), &["if-match: *"], Some(&document().to_string()));
    client.ask(server.address, &put).expect(200);
    server.analyze(&client);

    let list = format!("/v1/events/{event}/sessions?limit={SESSIONS}");
    let availability = format!("/v1/events/{event}/availability");
    let get = |path: &str, extra: &[&str]| request("GET", path, None, extra, None);
    let plain = client.ask(server.address, &get(&list, &[]));
    let tag = plain.header("etag").expect("an entity tag").to_owned();
    let bytes = plain.expect(200);
    print!("the list has {} bytes", bytes.len());
    for coding in ["gzip", "br"] {
        let answer = client.ask(server.address, &get(&list, &[&format!("accept-encoding: {coding}")]));
        assert_eq!(answer.header("content-encoding"), Some(coding), "{}", answer.head);
        let encoded = answer.expect(200);
        print!(", {} in {coding}", encoded.len());
        assert!(decode(coding, &encoded) == bytes, "{coding} decodes to other bytes");
    }
    println!();
    server.set_static(&client, "list", &String::from_utf8(bytes).expect("JSON"));
    let seats = client.ask(server.address, &get(&availability, &[])).expect(200);
    server.set_static(&client, "availability", &String::from_utf8(seats).expect("JSON"));

    let unmodified = format!("if-none-match: {tag}");
    let measurements = [
        ("static", server.bare, get("/static/list", &[]), 200),
        ("list", server.address, get(&list, &[]), 200),
        ("gzip", server.address, get(&list, &["accept-encoding: gzip"]), 200),
        ("br", server.address, get(&list, &["accept-encoding: br"]), 200),
        ("signed in", server.address, request("GET", &list, Some(&token), &["accept-encoding: gzip"], None), 200),
        ("304", server.address, get(&list, &[&unmodified]), 304),
        ("static seats", server.bare, get("/static/availability", &[]), 200),
        ("availability", server.address, get(&availability, &[]), 200),
    ];
    let mut report = Report::default();
    for round in 0..=rounds {
        for (name, address, request, status) in &measurements {
            // The first alternation is not measured, and shorter.
            let count = if round == 0 { count.div_ceil(10) } else { count };
            let measured = client.load(&[(*address, server.process())], flags.connections, vec![request.clone()], count);
            measured.expect_only(name, &[*status]);
            if round > 0 {
                report.add(name, measured);
            }
        }
    }
    report.print();
    report.ratio("list_ratio", "list", "static");
    report.ratio("gzip_ratio", "gzip", "static");
    report.ratio("br_ratio", "br", "static");
    report.ratio("signed_in_ratio", "signed in", "static");
    report.ratio("not_modified_ratio", "304", "static");
    report.ratio("availability_ratio", "availability", "static seats");
}

fn decode(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let read = match coding {
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut decoded),
        _ => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut decoded),
    };
    read.expect("what was encoded");
    decoded
}

/// A programme like those of conferences: three talks a session, with abstracts of two paragraphs.
fn document() -> Value {
    let speakers = (0..SPEAKERS).map(|number| {
        let person =
            json!({ "name": format!("Speaker {number} of Somewhere"), "affiliation": "An institute of some renown", "country": "Norway" });
        (format!("speaker-{number}"), person)
    });
    let rooms = (0..10).map(|number| (format!("hall-{number}"), json!({ "name": format!("Hall {number}"), "capacity": 400 })));
    let streams = (0..5).map(|number| (format!("stream-{number}"), json!({ "name": format!("Stream {number}") })));
    json!({
        "format": "plenary-programme/1",
        "event": {
            "name": "Event", "timeZone": "Europe/Oslo", "startsOn": "2030-01-01", "endsOn": "2030-12-31", "status": "published",
        },
        "streams": streams.collect::<serde_json::Map<_, _>>(),
        "rooms": rooms.collect::<serde_json::Map<_, _>>(),
        "speakers": speakers.collect::<serde_json::Map<_, _>>(),
        "sessions": (0..SESSIONS).map(session).collect::<Vec<_>>(),
    })
}

fn session(number: usize) -> Value {
    const PARAGRAPH: &str = "What we set out to do, how we went about it with those whom it concerns, what we measured before and \
        after, and what we would do otherwise if we began again: the case is made with figures from four years and three sites.";
    let speaker = |index: usize| format!("speaker-{}", (number * 7 + index) % SPEAKERS);
    let part = |part: usize| {
        json!({
            "title": format!("Talk {part} of session {number}: what works, and for whom"),
            "abstract": format!("{PARAGRAPH}\n\n{PARAGRAPH}"),
            "audience": "Everybody who works with patients, and those who lead them",
            "learningOutcomes": ["Say what was tried", "Tell what worked from what did not", "Begin tomorrow"],
            "speakers": [speaker(part * 2), speaker(part * 2 + 1)],
        })
    };
    json!({
        "code": format!("S{number}"),
        "title": format!("Session {number}"),
        "summary": "Three talks and a discussion",
        "startsAt": format!("2030-{:02}-{:02}T{:02}:00", number / 28 + 1, number % 28 + 1, 8 + number % 9),
        "endsAt": format!("2030-{:02}-{:02}T{:02}:30", number / 28 + 1, number % 28 + 1, 8 + number % 9),
        "stream": format!("stream-{}", number % 5),
        "room": format!("hall-{}", number % 10),
        "chairs": [speaker(6)],
        "waitlist": { "mode": "auto" },
        "status": "published",
        "parts": (0..PARTS).map(part).collect::<Vec<_>>(),
    })
}
