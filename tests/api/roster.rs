//! The attendee list of a session, as pages and as CSV.

use crate::support::*;
use serde_json::{Value, json};

/// A session with four people on it, one of them waiting, one cancelled.
async fn booked(app: &App, anna: &User) -> (Value, Value) {
    let event = app.event(anna, json!({})).await;
    let session = app.session(anna, &event, json!({ "code": "E6", "capacity": 2 })).await;
    let people = [
        json!({ "name": "Zoë Åberg", "email": "zoe@example.org", "affiliation": "=HYPERLINK(\"x\")", "externalReference": "+44 20 7946" }),
        json!({ "name": "bo, \"the\" Berg", "sortName": "Berg, Bo", "country": "NO" }),
        json!({ "name": "Carla", "externalReference": "T-3" }),
        json!({ "name": "Dan" }),
    ];
    let attendees = format!("/v1/events/{}/attendees", event.as_id());
    let seats = format!("/v1/sessions/{}/registrations", session.as_id());
    let mut first = None;
    for person in people {
        let attendee = app.post(&attendees).token(&anna.token).json(&person).send().await.expect(201).json;
        let body = json!({ "attendeeId": attendee["id"] });
        let seat = app.post(&seats).token(&anna.token).json(&body).send().await.expect(201).json;
        first.get_or_insert(seat);
    }
    let path = format!("/v1/registrations/{}/cancel", first.unwrap().as_id());
    app.post(path).token(&anna.token).send().await.expect(200);
    (event, session)
}

fn names(answer: &Answer) -> Vec<&str> {
    answer.json["items"].as_array().unwrap().iter().map(|item| item["attendee"]["name"].as_str().unwrap()).collect()
}

on_both! { async fn a_roster_is_paged_sorted_and_filtered(app: App) {
    let anna = app.user("anna").await;
    let (_, session) = booked(&app, &anna).await;
    let path = format!("/v1/sessions/{}/registrations", session.as_id());
    let get = |query: &str| app.get(format!("{path}?{query}")).token(&anna.token).send();
    let all = get("").await.expect(200);
    assert_eq!(names(&all), ["Zoë Åberg", "bo, \"the\" Berg", "Carla", "Dan"]);
    let statuses: Vec<&Value> = all.json["items"].as_array().unwrap().iter().map(|item| &item["status"]).collect();
    assert_eq!(statuses, ["cancelled", "confirmed", "confirmed", "waitlisted"]);
    assert_eq!(all.json["items"][3]["position"], 1);
    assert_eq!(all.json["items"][0]["attendee"]["email"], "zoe@example.org");
    assert_eq!(names(&get("sort=name").await.expect(200)), ["bo, \"the\" Berg", "Carla", "Dan", "Zoë Åberg"]);
    assert_eq!(names(&get("sort=-seq&status=confirmed").await.expect(200)), ["Carla", "bo, \"the\" Berg"]);
    assert_eq!(names(&get("q=ÅBERG").await.expect(200)), ["Zoë Åberg"]);
    for order in ["seq", "-seq", "name", "-name"] {
        let whole = get(&format!("sort={order}")).await.expect(200);
        let mut walked = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = get(&format!("sort={order}&limit=1{cursor}")).await.expect(200);
            walked.extend(names(&page).into_iter().map(str::to_owned));
            match page.json["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(walked, names(&whole), "{order}");
    }
    let cursor = get("limit=1").await.json["nextCursor"].as_str().unwrap().to_owned();
    get(&format!("limit=1&status=confirmed&cursor={cursor}")).await.problem(400, "invalid_cursor");
    get(&format!("cursor=A{cursor}")).await.problem(400, "invalid_cursor");
    get("limit=201").await.problem(400, "invalid_parameter");
    get("order=seq").await.problem(400, "invalid_parameter");
    let tag = all.etag();
    assert_eq!(app.get(&path).token(&anna.token).header("If-None-Match", &tag).send().await.status, 304);
} }

on_both! { async fn a_roster_is_for_the_staff_and_its_contacts_for_organisers(app: App) {
    let anna = app.user("anna").await;
    let (event, session) = booked(&app, &anna).await;
    let path = format!("/v1/sessions/{}/registrations", session.as_id());
    app.get(&path).send().await.problem(401, "unauthenticated");
    let stranger = app.user("stranger").await;
    app.get(&path).token(&stranger.token).send().await.problem(404, "not_found");
    for role in ["viewer", "door"] {
        let user = app.user(role).await;
        app.member(&event["organisationId"], &user, role).await;
        let seen = app.get(&path).token(&user.token).send().await.expect(200);
        assert_eq!(names(&seen).len(), 4);
        assert_eq!(seen.json["items"][0]["attendee"]["email"], Value::Null);
        assert_eq!(seen.json["items"][0]["attendee"]["externalReference"], Value::Null);
        let csv = app.get(&path).token(&user.token).header("Accept", "text/csv").send().await.expect(200);
        assert!(!csv.text.contains("zoe@example.org") && !csv.text.contains("T-3"));
        // Nor is it told by what is found: only names are looked through.
        for (q, found) in [("zoe@example.org", 0), ("T-3", 0), ("carla", 1)] {
            assert_eq!(names(&app.get(format!("{path}?q={q}")).token(&user.token).send().await.expect(200)).len(), found, "{q}");
        }
    }
    assert_eq!(names(&app.get(format!("{path}?q=zoe@example.org")).token(&anna.token).send().await.expect(200)).len(), 1);
} }

on_both! { async fn the_csv_is_whole_safe_and_named_by_the_server(app: App) {
    let anna = app.user("anna").await;
    let (event, session) = booked(&app, &anna).await;
    let path = format!("/v1/sessions/{}/registrations", session.as_id());
    let csv = app.get(&path).token(&anna.token).header("Accept", "text/csv").send().await.expect(200);
    let name = format!("{}-E6-registrations.csv", event["slug"].as_str().unwrap());
    assert_eq!(csv.headers["content-disposition"], format!("attachment; filename=\"{name}\"; filename*=UTF-8''{name}"));
    let text = csv.text.strip_prefix('\u{FEFF}').expect("a byte order mark");
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(lines[0].starts_with("Registration,Seq,Status,Position,Attendee,Name,Email"));
    assert!(lines[1].contains("\"'=HYPERLINK(\"\"x\"\")\""), "{}", lines[1]);
    assert!(lines[1].contains(",'+44 20 7946,"), "{}", lines[1]);
    assert!(lines[2].contains("\"bo, \"\"the\"\" Berg\""), "{}", lines[2]);
    assert!(lines[4].contains(",waitlisted,1,"), "{}", lines[4]);
    let by_link = app.get(format!("{path}?format=csv&sort=-seq")).token(&anna.token).send().await.expect(200);
    assert_eq!(by_link.text.lines().nth(1), Some(lines[4]));
    for query in ["limit=5", "cursor=x"] {
        let refused = app.get(format!("{path}?format=csv&{query}")).token(&anna.token).send().await.problem(400, "invalid_parameter");
        assert_eq!(refused.json["errors"][0]["name"], query.split('=').next().unwrap());
    }
    app.get(&path).token(&anna.token).header("Accept", "image/png").send().await.problem(406, "not_acceptable");
} }

on_both! { async fn a_csv_longer_than_one_read_is_whole(app: App) {
    let anna = app.user("anna").await;
    let event = app.event(&anna, json!({})).await;
    let session = app.session(&anna, &event, json!({ "capacity": null })).await;
    let attendees = app.attendees(&anna, &event, 2).await;
    let seat = app.post(format!("/v1/sessions/{}/registrations", session.as_id())).token(&anna.token)
        .json(&json!({ "attendeeId": attendees[0] })).send().await.expect(201).json;
    // Two thousand more that came and went.
    for seq in 2..=2_001_i64 {
        const ADD: &str = "INSERT INTO registrations (id, session_id, attendee_id, status, seq, cancel_reason, ended_seq, created_at, updated_at, cancelled_at) \
            SELECT $1, session_id, attendee_id, 'cancelled', $2, 'by_attendee', $2, created_at, updated_at, created_at FROM registrations WHERE id = $3";
        let (id, first) = (app.state().new_id(), seat.as_id().parse::<uuid::Uuid>().unwrap());
        app.state().db.write(move |tx| Box::pin(async move {
            tx.query(ADD).bind(id).bind(seq).bind(first).execute().await?;
            Ok(())
        })).await.unwrap();
    }
    let path = format!("/v1/sessions/{}/registrations?format=csv", session.as_id());
    let csv = app.get(path).token(&anna.token).send().await.expect(200);
    let seqs: Vec<&str> = csv.text.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(seqs.len(), 2_001);
    assert!(seqs.iter().enumerate().all(|(index, seq)| *seq == (index + 1).to_string()), "every row once, in order");
} }
