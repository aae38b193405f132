//! Users, events, sessions and attendees, put straight into the database.

use plenary::{
    clock::Timestamp,
    db::{Columns, Result, Sql, Tx},
    error::Problem,
    state::State,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Sessions that a spread rush goes to.
const SPREAD: usize = 100;
/// Seats of the sessions that sell out.
pub const SEATS: i64 = 500;
/// Bookings that a person has in one event at the most.
const BOOKINGS_A_PERSON: usize = 5;
/// Rows that one statement writes.
pub(super) const ROWS: usize = 20_000;

/// The event of a round: every user is its attendee, and has one to five seats in it at other hours.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Round {
    pub event: Uuid,
    /// Without a limit.
    pub hot: Uuid,
    /// Without a limit: whoever moves goes here.
    pub target: Uuid,
    /// Without a limit.
    pub naive: Uuid,
    /// Without a limit: booked without HTTP.
    pub alone: Uuid,
    /// Without a limit.
    pub spread: Vec<Uuid>,
    /// 500 seats and no waitlist.
    pub sells_out: Uuid,
    /// 500 seats and a waitlist.
    pub waits: Uuid,
}

/// Makes so many users; none has a password that fits.
pub async fn users(state: &State, count: usize) -> std::result::Result<Vec<Uuid>, Problem> {
    let users: Vec<Uuid> = (0..count).map(|_| state.new_id()).collect();
    let (rows, now) = (users.clone(), state.clock.now());
    state.db.write(move |tx| Box::pin(async move { Ok(insert_users(tx, &rows, now).await?) })).await?;
    Ok(users)
}

async fn insert_users(tx: &mut Tx, users: &[Uuid], now: Timestamp) -> Result<()> {
    let columns = "id uuid, email text, name text, password_hash text, version int, created_at time, updated_at time";
    for (part, users) in users.chunks(ROWS).enumerate() {
        let numbers = (part * ROWS)..(part * ROWS + users.len());
        let rows = Columns::new()
            .ids(users.iter().copied())
            .texts(users.iter().map(|id| Some(format!("{}@example.org", id.simple()))))
            .texts(numbers.map(|number| Some(format!("User {number}"))))
            .texts(users.iter().map(|_| Some("-")))
            .integers(users.iter().map(|_| 1))
            .times(users.iter().map(|_| now))
            .times(users.iter().map(|_| now));
        tx.query(insert("users", columns)).bind_columns(rows).execute().await?;
    }
    Ok(())
}

/// Makes the event of a round.
pub async fn round(state: &State, users: &[Uuid], number: usize) -> std::result::Result<Round, Problem> {
    let ids: Vec<Uuid> = (0..SPREAD + 6 + BOOKINGS_A_PERSON).map(|_| state.new_id()).collect();
    let (before, ids) = ids.split_at(BOOKINGS_A_PERSON);
    let round = Round {
        event: state.new_id(),
        hot: ids[0],
        naive: ids[1],
        sells_out: ids[2],
        waits: ids[3],
        target: ids[4],
        alone: ids[5],
        spread: ids[6..].to_vec(),
    };
    let limit = |id: Uuid| (id == round.sells_out || id == round.waits).then_some(SEATS);
    let waits = round.waits;
    let session = |id: &Uuid| Session { id: *id, limit: limit(*id), waitlist: if *id == waits { "auto" } else { "none" } };
    let sessions: Vec<Session> = before.iter().chain(ids).map(session).collect();
    let attendees = event(state, round.event, &format!("round-{number}"), sessions, users).await?;
    for (least, session) in before.iter().enumerate() {
        // One has the first, the next the first two, and so on.
        let having: Vec<Uuid> =
            attendees.iter().enumerate().filter(|(index, _)| index % BOOKINGS_A_PERSON >= least).map(|(_, id)| *id).collect();
        fill_session(state, round.event, *session, &having).await?;
    }
    Ok(round)
}

/// Gives these attendees seats in a session that nobody has booked.
async fn fill_session(state: &State, event: Uuid, session: Uuid, attendees: &[Uuid]) -> std::result::Result<(), Problem> {
    for (part, attendees) in attendees.chunks(ROWS).enumerate() {
        let rows: Vec<(Uuid, Uuid)> = attendees.iter().map(|attendee| (state.new_id(), *attendee)).collect();
        let fill = Fill { event, session, first: (part * ROWS) as i64 + 1, rows, now: state.clock.now() };
        state.db.write(move |tx| Box::pin(async move { Ok(fill.write(tx).await?) })).await?;
    }
    Ok(())
}

/// Makes a published event with nothing in it, of an organisation with one owner.
pub async fn empty_event(state: &State, owner: Uuid) -> std::result::Result<Uuid, Problem> {
    const MEMBER: &str = "INSERT INTO members (id, organisation_id, user_id, role, created_at) VALUES ($1, $2, $3, 'owner', $4)";
    let (id, organisation, member, now) = (state.new_id(), state.new_id(), state.new_id(), state.clock.now());
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            insert_event(tx, organisation, id, &format!("event-{}", id.simple()), now).await?;
            tx.query(MEMBER).bind(member).bind(organisation).bind(owner).bind(now).execute().await?;
            Ok(())
        })
    });
    write.await.map(|()| id)
}

struct Session {
    id: Uuid,
    limit: Option<i64>,
    waitlist: &'static str,
}

/// Makes a published event with everybody as attendee; their ids.
async fn event(state: &State, id: Uuid, slug: &str, sessions: Vec<Session>, users: &[Uuid]) -> std::result::Result<Vec<Uuid>, Problem> {
    let attendees: Vec<Uuid> = users.iter().map(|_| state.new_id()).collect();
    let (organisation, now, slug) = (state.new_id(), state.clock.now(), slug.to_owned());
    let pairs: Vec<(Uuid, Uuid)> = attendees.iter().copied().zip(users.iter().copied()).collect();
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            insert_event(tx, organisation, id, &slug, now).await?;
            insert_sessions(tx, id, &sessions, now).await?;
            insert_attendees(tx, id, &pairs, now).await?;
            Ok(())
        })
    });
    write.await?;
    Ok(attendees)
}

pub(super) async fn insert_event(tx: &mut Tx, organisation: Uuid, id: Uuid, slug: &str, now: Timestamp) -> Result<()> {
    const ORGANISATION: &str =
        "INSERT INTO organisations (id, name, sort_key, version, created_at, updated_at) VALUES ($1, 'O', 'o', 1, $2, $2)";
    const EVENT: &str = "INSERT INTO events (id, organisation_id, slug, name, sort_key, time_zone, starts_on, ends_on, status, admission, \
        programme_version, version, created_at, updated_at) \
        VALUES ($1, $2, $3, 'Event', 'event', 'Europe/Oslo', '2030-01-01', '2030-12-31', 'published', 'open', 1, 1, $4, $4)";
    tx.query(ORGANISATION).bind(organisation).bind(now).execute().await?;
    tx.query(EVENT).bind(id).bind(organisation).bind(slug.to_owned()).bind(now).execute().await?;
    Ok(())
}

/// One after the other, so that nobody's bookings overlap.
async fn insert_sessions(tx: &mut Tx, event: Uuid, sessions: &[Session], now: Timestamp) -> Result<()> {
    const SECONDS: i64 = 3600;
    let columns = "id uuid, event_id uuid, code text, title text, search_text text, starts_at time, ends_at time, waitlist_mode text, \
        status text, version int, created_at time, updated_at time";
    let starts = |index: usize| now.plus_secs(30 * 24 * SECONDS + index as i64 * SECONDS);
    let rows = Columns::new()
        .ids(sessions.iter().map(|session| session.id))
        .ids(sessions.iter().map(|_| event))
        .texts((0..sessions.len()).map(|index| Some(format!("S{index}"))))
        .texts(sessions.iter().map(|_| Some("Session")))
        .texts(sessions.iter().map(|_| Some("session")))
        .times((0..sessions.len()).map(starts))
        .times((0..sessions.len()).map(|index| starts(index).plus_secs(SECONDS - 600)))
        .texts(sessions.iter().map(|session| Some(session.waitlist)))
        .texts(sessions.iter().map(|_| Some("published")))
        .integers(sessions.iter().map(|_| 1))
        .times(sessions.iter().map(|_| now))
        .times(sessions.iter().map(|_| now));
    tx.query(insert("sessions", columns)).bind_columns(rows).execute().await?;
    let rows = Columns::new().ids(sessions.iter().map(|session| session.id)).integers(sessions.iter().map(|session| session.limit));
    tx.query(insert("session_seats", "session_id uuid, seats_limit int")).bind_columns(rows).execute().await?;
    Ok(())
}

async fn insert_attendees(tx: &mut Tx, event: Uuid, attendees: &[(Uuid, Uuid)], now: Timestamp) -> Result<()> {
    let columns =
        "id uuid, event_id uuid, user_id uuid, name text, sort_key text, search_text text, version int, created_at time, updated_at time";
    for attendees in attendees.chunks(ROWS) {
        let rows = Columns::new()
            .ids(attendees.iter().map(|attendee| attendee.0))
            .ids(attendees.iter().map(|_| event))
            .ids(attendees.iter().map(|attendee| attendee.1))
            .texts(attendees.iter().map(|_| Some("User")))
            .texts(attendees.iter().map(|_| Some("user")))
            .texts(attendees.iter().map(|_| Some("user")))
            .integers(attendees.iter().map(|_| 1))
            .times(attendees.iter().map(|_| now))
            .times(attendees.iter().map(|_| now));
        tx.query(insert("attendees", columns)).bind_columns(rows).execute().await?;
    }
    Ok(())
}

/// Fills the database with registrations in events of their own, in which every user has booked up to five sessions.
pub async fn fill(state: &State, users: &[Uuid], count: usize) -> std::result::Result<(), Problem> {
    let (mut missing, mut number) = (count, 0);
    while missing > 0 && !users.is_empty() {
        let id = state.new_id();
        let sessions: Vec<Uuid> = (0..BOOKINGS_A_PERSON).map(|_| state.new_id()).collect();
        let rows = sessions.iter().map(|id| Session { id: *id, limit: None, waitlist: "none" }).collect();
        let attendees = event(state, id, &format!("before-{number}"), rows, users).await?;
        number += 1;
        for session in sessions {
            let having = &attendees[..attendees.len().min(missing)];
            fill_session(state, id, session, having).await?;
            missing -= having.len();
        }
    }
    Ok(())
}

struct Fill {
    event: Uuid,
    session: Uuid,
    /// The first `seq` and `change`.
    first: i64,
    /// Registrations and attendees.
    rows: Vec<(Uuid, Uuid)>,
    now: Timestamp,
}

impl Fill {
    async fn write(self, tx: &mut Tx) -> Result<()> {
        const SEATS: &str = "UPDATE session_seats SET seats_taken = $2, last_seq = $2, last_change = $2 WHERE session_id = $1";
        let Self { event, session, first, rows, now } = self;
        if rows.is_empty() {
            return Ok(());
        }
        let last = first + rows.len() as i64 - 1;
        let registrations = Columns::new()
            .ids(rows.iter().map(|row| row.0))
            .ids(rows.iter().map(|_| session))
            .ids(rows.iter().map(|row| row.1))
            .texts(rows.iter().map(|_| Some("confirmed")))
            .integers(first..=last)
            .times(rows.iter().map(|_| now))
            .times(rows.iter().map(|_| now));
        let columns = "id uuid, session_id uuid, attendee_id uuid, status text, seq int, created_at time, updated_at time";
        tx.query(insert("registrations", columns)).bind_columns(registrations).execute().await?;
        let journal = Columns::new()
            .ids(rows.iter().map(|_| event))
            .ids(rows.iter().map(|_| session))
            .integers(first..=last)
            .texts(rows.iter().map(|_| Some("registration_confirmed")))
            .ids(rows.iter().map(|row| row.0))
            .ids(rows.iter().map(|row| row.1))
            .times(rows.iter().map(|_| now))
            .texts(rows.iter().map(|_| Some("{}")));
        let columns =
            "event_id uuid, session_id uuid, change int, kind text, registration_id uuid, attendee_id uuid, at time, details text";
        tx.query(insert("journal", columns)).bind_columns(journal).execute().await?;
        tx.query(SEATS).bind(session).bind(last).execute().await?;
        Ok(())
    }
}

/// A statement that inserts rows bound as [`Columns`]. `columns` are names, each with the type it has there.
pub(super) fn insert(table: &str, columns: &str) -> Sql {
    let columns: Vec<(&str, &str)> = columns.split(',').filter_map(|column| column.trim().split_once(' ')).collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    let (ids, others): (Vec<&str>, Vec<&str>) = columns.iter().map(|(name, _)| *name).partition(|name| kind_of(&columns, name) == "uuid");
    let fields = columns.iter().map(|(name, kind)| {
        let place = |names: &[&str]| names.iter().position(|other| other == name).unwrap_or_default();
        match (*kind, others.len()) {
            ("uuid", _) => format!("substr($1, {} + {} * key, 16)", place(&ids) * 16 + 1, ids.len() * 16),
            (_, 1) => "value".to_owned(),
            _ => format!("value ->> {}", place(&others)),
        }
    });
    let arrays = columns.iter().enumerate().map(|(index, (_, kind))| {
        let kind = match *kind {
            "int" => "bigint",
            "time" => "timestamptz",
            other => other,
        };
        format!("${}::{kind}[]", index + 1)
    });
    let (fields, arrays): (Vec<String>, Vec<String>) = (fields.collect(), arrays.collect());
    let sqlite = format!("INSERT INTO {table} ({names}) SELECT {} FROM json_each($2)", fields.join(", "));
    let postgres = format!("INSERT INTO {table} ({names}) SELECT * FROM UNNEST({})", arrays.join(", "));
    // Statements are static texts; these few live as long as the run.
    Sql::Differs { sqlite: sqlite.leak(), postgres: postgres.leak() }
}

fn kind_of<'c>(columns: &[(&str, &'c str)], name: &str) -> &'c str {
    columns.iter().find(|(column, _)| *column == name).map_or("", |(_, kind)| kind)
}
