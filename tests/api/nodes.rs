//! Two processes on one Postgres: they share people, sessions and the order of bookings.

use crate::support::*;

const PEOPLE: usize = 300;
const SEATS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_at_once_through_two_processes() {
    let Some(app) = App::on_postgres().await else { return };
    let nodes = [Served::start(app.database_url(), |_| ()), Served::start(app.database_url(), |_| ())];
    let anna = nodes[0].user("anna").await;
    let token = &anna.token;
    // The processes go by the real time.
    let event = nodes[1].event(&anna, json!({ "startsOn": "2099-03-11", "endsOn": "2099-03-13" })).await;
    let hours = json!({ "startsAt": "2099-03-11T12:00:00Z", "endsAt": "2099-03-11T13:00:00Z", "capacity": SEATS });
    let session = nodes[1].session(&anna, &event, hours).await;
    let attendees = format!("/v1/events/{}/attendees", event.as_id());
    let admit = |number: usize| nodes[number % 2].post(&attendees).token(token).json(&json!({ "name": format!("Person {number}") })).send();
    let admitted: Vec<Value> = join_all((0..PEOPLE).map(admit)).await.into_iter().map(|answer| answer.expect(201).json).collect();

    let seats = format!("/v1/sessions/{}/registrations", session.as_id());
    let book = |index: usize| nodes[index % 2].post(&seats).token(token).json(&json!({ "attendeeId": admitted[index]["id"] })).send();
    let booked: Vec<Value> = join_all((0..PEOPLE).map(book)).await.into_iter().map(|answer| answer.expect(201).json).collect();
    assert_rush(booked.clone(), SEATS);
    app.assert_sound().await;

    // Half of those with a seat leave through either process: the first who wait follow, in order.
    let leaving: Vec<&Value> = booked.iter().filter(|row| row["status"] == "confirmed").take(SEATS / 2).collect();
    let cancel =
        |(index, row): (usize, &&Value)| nodes[index % 2].post(format!("/v1/registrations/{}/cancel", row.as_id())).token(token).send();
    join_all(leaving.iter().enumerate().map(cancel)).await.into_iter().for_each(|answer| drop(answer.expect(200)));
    let confirmed = "SELECT COUNT(*) FROM registrations WHERE status = 'confirmed' AND seq <= 150";
    assert_eq!(app.db().query(confirmed).scalar::<i64>().await.unwrap(), 100);
    app.assert_sound().await;
    for node in nodes {
        node.signal("TERM");
        let (status, log) = node.ended();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}
