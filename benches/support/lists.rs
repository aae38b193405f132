//! Long lists: events with as many registrations as asked for, as they come to be in life. People book one after the
//! other, so what stands together in the list of a session lies apart in the database.

use super::seed::{ROWS, insert, insert_event};
use plenary::{
    clock::Timestamp,
    db::{Columns, Result, Tx},
    error::Problem,
    state::State,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const SESSIONS: usize = 100;
const HOUR_SECS: i64 = 3600;

/// A list, and what a copy of it is held against.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct List {
    pub event: Uuid,
    /// Who may read it.
    pub owner: Uuid,
    pub rows: usize,
    pub ids: Ids,
}

/// How many ids there are, and a sum of them that their order changes too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Ids {
    count: usize,
    sum: u128,
}

impl Ids {
    pub fn add(&mut self, id: Uuid) {
        const FACTOR: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013B;
        self.count += 1;
        self.sum = self.sum.wrapping_mul(FACTOR).wrapping_add(id.as_u128());
    }

    pub fn count(self) -> usize {
        self.count
    }
}

/// Makes an event with so many registrations, of which a twentieth waits and some are cancelled.
pub async fn make(state: &State, owner: Uuid, rows: usize) -> std::result::Result<List, Problem> {
    let seed = Seed {
        event: state.new_id(),
        sessions: (0..SESSIONS).map(|_| state.new_id()).collect(),
        people: (0..rows.div_ceil(SESSIONS)).map(|_| state.new_id()).collect(),
        now: state.clock.now(),
    };
    let (event, people, now) = (seed.event, seed.people.len(), seed.now);
    let (organisation, member) = (state.new_id(), state.new_id());
    let (sessions, attendees) = (seed.sessions.clone(), seed.people.clone());
    let begin = state.db.write(move |tx| {
        Box::pin(async move {
            insert_event(tx, organisation, event, &format!("list-{}", event.simple()), now).await?;
            add_owner(tx, member, organisation, owner, now).await?;
            add_sessions(tx, event, &sessions, now).await?;
            Ok(add_attendees(tx, event, &attendees, now).await?)
        })
    });
    begin.await?;
    let seed = std::sync::Arc::new(seed);
    for first in (0..people).step_by(ROWS / SESSIONS) {
        let ids: Vec<Uuid> = (0..ROWS).map(|_| state.new_id()).collect();
        let seed = std::sync::Arc::clone(&seed);
        state.db.write(move |tx| Box::pin(async move { Ok(seed.book(tx, first, ids, rows).await?) })).await?;
    }
    state.db.write(move |tx| Box::pin(async move { Ok(count_seats(tx, event).await?) })).await?;
    Ok(List { event, owner, rows, ids: ids_of(state, event).await? })
}

/// The ids of an event's registrations in the order of the list, as the database has them.
async fn ids_of(state: &State, event: Uuid) -> Result<Ids> {
    const IDS: &str = "SELECT r.id FROM registrations r JOIN sessions s ON s.id = r.session_id WHERE s.event_id = $1 \
        ORDER BY s.starts_at, s.code, r.seq";
    let rows: Vec<(Uuid,)> = state.db.query(IDS).bind(event).all().await?;
    let mut ids = Ids::default();
    rows.into_iter().for_each(|(id,)| ids.add(id));
    Ok(ids)
}

struct Seed {
    event: Uuid,
    sessions: Vec<Uuid>,
    people: Vec<Uuid>,
    now: Timestamp,
}

impl Seed {
    /// The bookings of some people, each of every session.
    async fn book(&self, tx: &mut Tx, first: usize, ids: Vec<Uuid>, most: usize) -> Result<()> {
        let numbers = (first * SESSIONS..most.min(first * SESSIONS + ROWS)).map(|number| (number / SESSIONS, number % SESSIONS));
        let bookings: Vec<(usize, usize)> = numbers.collect();
        let waits_from = self.people.len() - self.people.len() / 20;
        let cancelled = |person: usize| person % 33 == 7;
        let status = |person: usize| match person {
            _ if cancelled(person) => "cancelled",
            _ if person >= waits_from => "waitlisted",
            _ => "confirmed",
        };
        let at = |person: usize| self.now.plus_secs(person as i64);
        let rows = Columns::new()
            .ids(ids.into_iter().take(bookings.len()))
            .ids(bookings.iter().map(|(_, session)| self.sessions[*session]))
            .ids(bookings.iter().map(|(person, _)| self.people[*person]))
            .texts(bookings.iter().map(|(person, _)| Some(status(*person))))
            .integers(bookings.iter().map(|(person, _)| *person as i64 + 1))
            .integers(bookings.iter().map(|(person, _)| if cancelled(*person) { *person as i64 + 1 } else { 0 }))
            .times(bookings.iter().map(|(person, _)| at(*person)))
            .times(bookings.iter().map(|(person, _)| at(*person)))
            .times(bookings.iter().map(|(person, _)| cancelled(*person).then(|| at(*person))))
            .texts(bookings.iter().map(|(person, _)| cancelled(*person).then_some("by_attendee")));
        let columns = "id uuid, session_id uuid, attendee_id uuid, status text, seq int, ended_seq int, created_at time, \
            updated_at time, cancelled_at time, cancel_reason text";
        tx.query(insert("registrations", columns)).bind_columns(rows).execute().await.map(drop)
    }
}

async fn add_owner(tx: &mut Tx, id: Uuid, organisation: Uuid, owner: Uuid, now: Timestamp) -> Result<()> {
    const MEMBER: &str = "INSERT INTO members (id, organisation_id, user_id, role, created_at) VALUES ($1, $2, $3, 'owner', $4)";
    tx.query(MEMBER).bind(id).bind(organisation).bind(owner).bind(now).execute().await.map(drop)
}

async fn add_sessions(tx: &mut Tx, event: Uuid, sessions: &[Uuid], now: Timestamp) -> Result<()> {
    let columns = "id uuid, event_id uuid, code text, title text, search_text text, starts_at time, ends_at time, waitlist_mode text, \
        status text, version int, created_at time, updated_at time";
    let starts = |index: usize| now.plus_secs(24 * HOUR_SECS * 30 + index as i64 / 4 * HOUR_SECS);
    let numbers = 0..sessions.len();
    let titles = ["Co-production for improvement: what works, and for whom", "Measuring, \"really\" measuring", "Safety I, II and III"];
    let rows = Columns::new()
        .ids(sessions.iter().copied())
        .ids(sessions.iter().map(|_| event))
        .texts(numbers.clone().map(|index| Some(format!("S{index}"))))
        .texts(numbers.clone().map(|index| Some(titles[index % titles.len()])))
        .texts(numbers.clone().map(|_| Some("session")))
        .times(numbers.clone().map(starts))
        .times(numbers.clone().map(|index| starts(index).plus_secs(HOUR_SECS)))
        .texts(numbers.clone().map(|_| Some("auto")))
        .texts(numbers.map(|_| Some("published")))
        .integers(sessions.iter().map(|_| 1))
        .times(sessions.iter().map(|_| now))
        .times(sessions.iter().map(|_| now));
    tx.query(insert("sessions", columns)).bind_columns(rows).execute().await?;
    let rows = Columns::new().ids(sessions.iter().copied());
    tx.query(insert("session_seats", "session_id uuid")).bind_columns(rows).execute().await.map(drop)
}

/// People with all that a badge has on it; a few of them with what CSV has to quote or to neutralise.
async fn add_attendees(tx: &mut Tx, event: Uuid, people: &[Uuid], now: Timestamp) -> Result<()> {
    let columns = "id uuid, event_id uuid, name text, sort_key text, search_text text, email text, affiliation text, country text, \
        external_reference text, version int, created_at time, updated_at time";
    let affiliations = ["Nordvågen Hospital Trust", "Lindeboda County Council", "Hospital Vallelinda, Quality", "Institute for \"Health\""];
    let countries = ["Norway", "Sweden", "Spain", "UK"];
    for (part, people) in people.chunks(ROWS).enumerate() {
        let numbers = part * ROWS..part * ROWS + people.len();
        let name = |number: usize| {
            if number.is_multiple_of(100) { format!("+{number} Åse Berg") } else { format!("Anna Andersen the {number}th") }
        };
        let rows = Columns::new()
            .ids(people.iter().copied())
            .ids(people.iter().map(|_| event))
            .texts(numbers.clone().map(|number| Some(name(number))))
            .texts(numbers.clone().map(|number| Some(format!("{number}"))))
            .texts(people.iter().map(|_| Some("anna")))
            .texts(numbers.clone().map(|number| Some(format!("anna.andersen.{number}@example.org"))))
            .texts(numbers.clone().map(|number| Some(affiliations[number % affiliations.len()])))
            .texts(numbers.clone().map(|number| Some(countries[number % countries.len()])))
            .texts(numbers.map(|number| (number % 3 > 0).then(|| format!("T-{number}"))))
            .integers(people.iter().map(|_| 1))
            .times(people.iter().map(|_| now))
            .times(people.iter().map(|_| now));
        tx.query(insert("attendees", columns)).bind_columns(rows).execute().await?;
    }
    Ok(())
}

async fn count_seats(tx: &mut Tx, event: Uuid) -> Result<()> {
    const SEATS: &str = "UPDATE session_seats SET \
        seats_taken = (SELECT COUNT(*) FROM registrations r WHERE r.session_id = session_seats.session_id AND r.status = 'confirmed'), \
        waitlisted = (SELECT COUNT(*) FROM registrations r WHERE r.session_id = session_seats.session_id AND r.status = 'waitlisted'), \
        last_seq = (SELECT COALESCE(MAX(r.seq), 0) FROM registrations r WHERE r.session_id = session_seats.session_id) \
        WHERE session_id IN (SELECT id FROM sessions WHERE event_id = $1)";
    tx.query(SEATS).bind(event).execute().await.map(drop)
}
