//! Lists as files: every format, their columns, who may have them, and tickets for links.

use crate::support::*;

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

struct Booked {
    anna: User,
    event: Value,
    session: Value,
}

/// Two people on one session, one of them with a name that is a formula.
async fn booked(app: &App) -> Booked {
    let anna = app.user("anna").await;
    let event = app.event(&anna, json!({})).await;
    let session = app.session(&anna, &event, json!({ "code": "E6", "capacity": 1 })).await;
    for name in ["=1+1", "Bo Berg"] {
        let person = json!({ "name": name, "email": "someone@example.org" });
        let path = format!("/v1/events/{}/attendees", event.as_id());
        let attendee = app.post(path).token(&anna.token).json(&person).send().await.expect(201).json;
        let seats = format!("/v1/sessions/{}/registrations", session.as_id());
        app.post(seats).token(&anna.token).json(&json!({ "attendeeId": attendee["id"] })).send().await.expect(201);
    }
    Booked { anna, event, session }
}

impl Booked {
    fn lists(&self) -> [String; 3] {
        let (event, session) = (self.event.as_id(), self.session.as_id());
        [
            format!("/v1/sessions/{session}/registrations"),
            format!("/v1/events/{event}/registrations"),
            format!("/v1/events/{event}/attendees"),
        ]
    }
}

on_both! {
    async fn every_list_comes_in_every_format(app: App) {
        let booked = booked(&app).await;
        for list in booked.lists() {
            let pages = app.get(&list).token(&booked.anna.token).send().await.expect(200);
            assert_eq!(pages.json["items"].as_array().expect("items").len(), 2, "{list}");
            let ndjson = app.get(&list).token(&booked.anna.token).header("Accept", "application/x-ndjson").send().await.expect(200);
            let lines: Vec<Value> = ndjson.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            assert_eq!(Value::from(lines), pages.json["items"], "a line is an item of the list");
            let csv = app.get(format!("{list}?format=csv")).token(&booked.anna.token).send().await.expect(200);
            assert_eq!(csv.text.lines().count(), 3, "{}", csv.text);
            assert!(csv.text.contains("'=1+1"), "{}", csv.text);
            let xlsx = app.get(format!("{list}?format=xlsx")).token(&booked.anna.token).send().await.expect(200);
            assert_eq!(xlsx.media_type().as_deref(), Some(XLSX));
            assert!(xlsx.bytes.starts_with(b"PK"), "a spreadsheet is a ZIP archive");
            assert!(xlsx.header("content-disposition").is_some_and(|name| name.contains(".xlsx\"")));
        }
    }

    async fn columns_are_chosen_ordered_and_raw_for_programs(app: App) {
        let booked = booked(&app).await;
        let [session, ..] = booked.lists();
        let get = |query: &str| app.get(format!("{session}?{query}")).token(&booked.anna.token).send();
        let chosen = get("format=csv&safe=false&columns=name,seq,status").await.expect(200);
        assert_eq!(chosen.text, "name,seq,status\r\n=1+1,1,confirmed\r\nBo Berg,2,waitlisted\r\n");
        let safe = get("format=csv&columns=seq,name").await.expect(200);
        assert_eq!(safe.text.lines().nth(1), Some("1,'=1+1"));
        let flat = get("format=ndjson&columns=seq,name&status=waitlisted").await.expect(200);
        let line: Value = serde_json::from_str(flat.text.trim_end()).expect("one line");
        assert_eq!(line, json!({ "seq": 2, "name": "Bo Berg" }));
        for query in ["format=csv&columns=name,shoeSize", "format=csv&columns=", "format=csv&limit=5", "format=pdf"] {
            get(query).await.problem(400, "invalid_parameter");
        }
    }

    async fn a_file_is_written_down_and_its_contacts_are_for_organisers(app: App) {
        let booked = booked(&app).await;
        let before = app.count("journal").await;
        let dora = app.user("dora").await;
        app.member(&booked.event["organisationId"], &dora, "door").await;
        let stranger = app.user("stranger").await;
        for list in &booked.lists()[..2] {
            let file = format!("{list}?format=csv");
            let seen = app.get(&file).token(&dora.token).send().await.expect(200);
            assert!(!seen.text.contains("someone@example.org") && seen.text.contains("Bo Berg"));
            let whole = app.get(&file).token(&booked.anna.token).send().await.expect(200);
            assert!(whole.text.contains("someone@example.org"));
            app.get(&file).token(&stranger.token).send().await.problem(404, "not_found");
            app.get(&file).send().await.problem(401, "unauthenticated");
        }
        let attendees = format!("{}?format=csv", booked.lists()[2]);
        app.get(&attendees).token(&dora.token).send().await.problem(403, "forbidden");
        assert_eq!(app.count("journal").await, before + 4, "a row for each file that was given, none for those refused");
    }

    async fn a_ticket_opens_one_link_once(app: App) {
        let booked = booked(&app).await;
        let [session, event, _] = booked.lists();
        let path = format!("{session}?format=csv&columns=name");
        let ticket = async |path: &str| {
            app.post("/v1/tickets").token(&booked.anna.token).json(&json!({ "path": path })).send().await.expect(201).json
        };
        let url = |ticket: &Value| ticket["url"].as_str().expect("a link").to_owned();
        let first = ticket(&path).await;
        assert!(app.get(url(&first)).send().await.expect(200).text.contains("Bo Berg"));
        app.get(url(&first)).send().await.problem(401, "unauthenticated");

        let secret = ticket(&path).await["ticket"].as_str().expect("a secret").to_owned();
        app.get(format!("{event}?format=csv&columns=name&ticket={secret}")).send().await.problem(401, "unauthenticated");
        app.get(format!("{session}?format=csv&ticket={secret}")).send().await.problem(401, "unauthenticated");

        let late = ticket(&path).await;
        app.clock.set(app.clock.now().plus_secs(61));
        app.get(url(&late)).send().await.problem(401, "unauthenticated");

        let stranger = app.user("stranger").await;
        for (user, path) in [(&stranger, path.as_str()), (&booked.anna, "/v1/me"), (&booked.anna, "/v1/nowhere")] {
            let answer = app.post("/v1/tickets").token(&user.token).json(&json!({ "path": path })).send().await;
            assert!(matches!(answer.status, 404 | 422), "{path}: {}", answer.text);
        }
        app.post("/v1/tickets").json(&json!({ "path": path })).send().await.problem(401, "unauthenticated");
    }
}
