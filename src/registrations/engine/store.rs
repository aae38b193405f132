//! What a batch reads and writes: a handful of statements, whatever its size.

use crate::{
    clock::Timestamp,
    db::{Columns, Dialect, Result, Sql, Tx, batch_select, batch_write},
    registrations::{
        decide::{AttendeeState, Changes, SessionState, World},
        model::{Command, Registration, Who},
    },
    text,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// Which waitlists to load, and how many heads of each.
pub type Lines = BTreeMap<Uuid, i64>;

/// The columns of a [`Registration`], in its order.
macro_rules! registrations {
    ($input:tt, $after:literal) => {
        batch_select!(
            [
                uuid "r.id" as id, uuid "r.session_id" as session_id, uuid "r.attendee_id" as attendee_id,
                text "r.status" as status, int "r.seq" as seq, text "r.cancel_reason" as cancel_reason,
                time "r.created_at" as created_at, time "r.updated_at" as updated_at, time "r.cancelled_at" as cancelled_at
            ],
            $input,
            $after
        )
    };
}

/// Locks the seats of the batch's sessions in id order. A statement of its own: the ones after it see what the
/// transactions before it committed. SQLite has one writer and needs none.
const LOCK: &str = "SELECT session_id FROM session_seats WHERE session_id = ANY($1) ORDER BY session_id FOR UPDATE";

const SESSIONS: Sql = batch_select!(
    [
        uuid "s.id" as id, uuid "s.event_id" as event_id, text "e.status" as event_status, text "s.status" as status,
        time "s.starts_at" as starts_at, time "COALESCE(s.booking_opens_at, e.booking_opens_at)" as opens_at,
        time "COALESCE(s.booking_closes_at, e.booking_closes_at)" as closes_at, text "e.admission" as admission,
        text "s.waitlist_mode" as waitlist_mode, int "t.seats_limit" as seats_limit, int "t.seats_taken" as seats_taken,
        int "t.seats_over" as seats_over, int "t.waitlisted" as waitlisted, int "t.last_seq" as last_seq,
        int "t.last_change" as last_change
    ],
    (id: uuid),
    " w JOIN sessions s ON s.id = w.id JOIN events e ON e.id = s.event_id JOIN session_seats t ON t.session_id = s.id"
);

const ATTENDEES_BY_USER: Sql = batch_select!(
    [uuid "a.id" as id, uuid "a.event_id" as event_id, uuid "a.user_id" as user_id],
    (user_id: uuid, event_id: uuid),
    " w JOIN attendees a ON a.user_id = w.user_id AND a.event_id = w.event_id"
);

const ATTENDEES_BY_ID: Sql = batch_select!(
    [uuid "a.id" as id, uuid "a.event_id" as event_id, uuid "a.user_id" as user_id],
    (id: uuid),
    " w JOIN attendees a ON a.id = w.id"
);

const ACTIVE: Sql = registrations!(
    (attendee_id: uuid, session_id: uuid),
    " w JOIN registrations r ON r.attendee_id = w.attendee_id AND r.session_id = w.session_id AND r.status <> 'cancelled'"
);

const BY_ID: Sql = registrations!((id: uuid), " w JOIN registrations r ON r.id = w.id");

/// The first who wait in each session, as many as `$2` says (SQLite takes no column there).
const LINES: Sql = registrations!(
    (session_id: uuid),
    " w JOIN registrations r ON r.session_id = w.session_id AND r.status = 'waitlisted' AND r.seq <= COALESCE(\
     (SELECT q.seq FROM registrations q WHERE q.session_id = w.session_id AND q.status = 'waitlisted' \
     ORDER BY q.seq LIMIT 1 OFFSET $2 - 1), 9223372036854775807)"
);

const USERS: Sql =
    batch_select!([uuid "u.id" as id, text "u.name" as name, text "u.email" as email], (id: uuid), " w JOIN users u ON u.id = w.id");

const ADD_ATTENDEES: Sql = batch_write!(
    "INSERT INTO attendees (id, event_id, user_id, name, sort_key, search_text, email, version, created_at, updated_at) \
     SELECT w.id, w.event_id, w.user_id, w.name, w.sort_key, w.search_text, w.email, 1, w.at, w.at FROM ",
    (id: uuid, event_id: uuid, user_id: uuid, name: text, sort_key: text, search_text: text, email: text, at: time),
    " w"
);

const ADD: Sql = batch_write!(
    "INSERT INTO registrations (id, session_id, attendee_id, status, seq, cancel_reason, created_at, updated_at, cancelled_at) \
     SELECT w.id, w.session_id, w.attendee_id, w.status, w.seq, w.cancel_reason, w.created_at, w.updated_at, w.cancelled_at FROM ",
    (id: uuid, session_id: uuid, attendee_id: uuid, status: text, seq: int, cancel_reason: text, created_at: time, updated_at: time, cancelled_at: time),
    " w"
);

const CHANGE: Sql = batch_write!(
    "UPDATE registrations SET status = w.status, cancel_reason = w.cancel_reason, updated_at = w.updated_at, \
     cancelled_at = w.cancelled_at FROM ",
    (id: uuid, status: text, cancel_reason: text, updated_at: time, cancelled_at: time),
    " w WHERE registrations.id = w.id"
);

const SEATS: Sql = batch_write!(
    "UPDATE session_seats SET seats_taken = w.seats_taken, seats_over = w.seats_over, waitlisted = w.waitlisted, \
     last_seq = w.last_seq, last_change = w.last_change FROM ",
    (session_id: uuid, seats_taken: int, seats_over: int, waitlisted: int, last_seq: int, last_change: int),
    " w WHERE session_seats.session_id = w.session_id"
);

const JOURNAL: Sql = batch_write!(
    "INSERT INTO journal (event_id, session_id, change, kind, registration_id, attendee_id, actor_id, at, details) \
     SELECT w.event_id, w.session_id, w.change, w.kind, w.registration_id, w.attendee_id, w.actor_id, w.at, '{}' FROM ",
    (event_id: uuid, session_id: uuid, change: int, kind: text, registration_id: uuid, attendee_id: uuid, actor_id: uuid, at: time),
    " w"
);

#[derive(Deserialize, sqlx::FromRow)]
struct UserName {
    id: Uuid,
    name: String,
    email: String,
}

/// Loads what the commands touch, its sessions locked until the transaction ends.
pub async fn load(tx: &mut Tx, commands: &[Command], lines: &Lines) -> Result<World> {
    let mut world = World::default();
    let named = named_registrations(tx, commands).await?;
    let sessions: BTreeSet<Uuid> = session_ids(commands).chain(named.iter().map(|registration| registration.session_id)).collect();
    if tx.dialect() == Dialect::Postgres {
        let ids: Vec<Uuid> = sessions.iter().copied().collect();
        tx.query(LOCK).bind_ids(&ids).all::<(Uuid,)>().await?;
    }
    let loaded: Vec<SessionState> = tx.batch(SESSIONS, Columns::new().ids(sessions.iter().copied())).await?;
    let events: HashMap<Uuid, Uuid> = loaded.iter().map(|session| (session.id, session.event_id)).collect();
    let lines = lines_to_load(&loaded, commands, &named, lines);
    loaded.into_iter().for_each(|session| world.add_session(session));
    let pairs = load_attendees(tx, &mut world, commands, &events).await?;
    if !pairs.is_empty() {
        let input = Columns::new().ids(pairs.iter().map(|pair| pair.0)).ids(pairs.iter().map(|pair| pair.1));
        tx.batch(ACTIVE, input).await?.into_iter().for_each(|registration| world.add_registration(registration));
    }
    // Read again what was read before the lock: only its session and attendee never change.
    let again = if tx.dialect() == Dialect::Postgres { named_registrations(tx, commands).await? } else { named };
    again.into_iter().for_each(|registration| world.add_registration(registration));
    load_lines(tx, &mut world, &lines).await?;
    Ok(world)
}

async fn named_registrations(tx: &mut Tx, commands: &[Command]) -> Result<Vec<Registration>> {
    let named = commands.iter().filter_map(|command| match command {
        Command::Cancel { registration_id, .. } => Some(*registration_id),
        Command::Book { .. } => None,
    });
    let ids: BTreeSet<Uuid> = named.collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    tx.batch(BY_ID, Columns::new().ids(ids)).await
}

fn session_ids(commands: &[Command]) -> impl Iterator<Item = Uuid> {
    commands.iter().filter_map(|command| match command {
        Command::Book { session_id, .. } => Some(*session_id),
        Command::Cancel { .. } => None,
    })
}

/// Loads the attendees the bookings are for; answers their `(attendee, session)` pairs.
async fn load_attendees(tx: &mut Tx, world: &mut World, commands: &[Command], events: &HashMap<Uuid, Uuid>) -> Result<Vec<(Uuid, Uuid)>> {
    let (mut users, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for command in commands {
        if let Command::Book { session_id, who, actor, .. } = command {
            match who {
                Who::Caller { .. } => users.extend(events.get(session_id).map(|event_id| (actor.user_id, *event_id))),
                Who::Attendee(id) => {
                    ids.insert(*id);
                }
            }
        }
    }
    let mut attendees: Vec<AttendeeState> = Vec::new();
    if !users.is_empty() {
        let input = Columns::new().ids(users.iter().map(|user| user.0)).ids(users.iter().map(|user| user.1));
        attendees.extend(tx.batch::<AttendeeState>(ATTENDEES_BY_USER, input).await?);
    }
    if !ids.is_empty() {
        attendees.extend(tx.batch::<AttendeeState>(ATTENDEES_BY_ID, Columns::new().ids(ids)).await?);
    }
    let by_user: HashMap<(Uuid, Uuid), Uuid> =
        attendees.iter().filter_map(|attendee| Some(((attendee.user_id?, attendee.event_id), attendee.id))).collect();
    let pairs: BTreeSet<(Uuid, Uuid)> = commands
        .iter()
        .filter_map(|command| match command {
            Command::Book { session_id, who: Who::Attendee(id), .. } => Some((*id, *session_id)),
            Command::Book { session_id, actor, .. } => {
                let event_id = events.get(session_id)?;
                Some((*by_user.get(&(actor.user_id, *event_id))?, *session_id))
            }
            Command::Cancel { .. } => None,
        })
        .collect();
    attendees.into_iter().for_each(|attendee| world.add_attendee(attendee));
    Ok(pairs.into_iter().collect())
}

/// The waitlists that seats of this batch may go to: as many heads as seats can become free.
fn lines_to_load(sessions: &[SessionState], commands: &[Command], named: &[Registration], asked: &Lines) -> Lines {
    let mut lines = asked.clone();
    let of_named: HashMap<Uuid, Uuid> = named.iter().map(|registration| (registration.id, registration.session_id)).collect();
    let mut freed: HashMap<Uuid, i64> = HashMap::new();
    for command in commands {
        if let Command::Cancel { registration_id, .. } = command
            && let Some(session_id) = of_named.get(registration_id)
        {
            *freed.entry(*session_id).or_default() += 1;
        }
    }
    for session in sessions.iter().filter(|session| session.waitlisted > 0) {
        let free = session.seats_limit.map_or(0, |limit| (limit - session.seats_taken).max(0));
        let heads = freed.get(&session.id).copied().unwrap_or(0) + free;
        if heads > 0 {
            let most = lines.entry(session.id).or_default();
            *most = (*most).max(heads);
        }
    }
    lines
}

async fn load_lines(tx: &mut Tx, world: &mut World, lines: &Lines) -> Result<()> {
    let Some(most) = lines.values().copied().max() else { return Ok(()) };
    let input = Columns::new().ids(lines.keys().copied());
    let mut heads: HashMap<Uuid, Vec<Registration>> = HashMap::new();
    for registration in tx.batch_up_to::<Registration>(LINES, input, most).await? {
        heads.entry(registration.session_id).or_default().push(registration);
    }
    for session_id in lines.keys() {
        let heads = heads.remove(session_id).unwrap_or_default();
        let whole = (heads.len() as i64) < most;
        world.add_line(*session_id, heads, whole);
    }
    Ok(())
}

/// Writes what was decided. A row that another node changed in between surfaces as an error or a wrong count.
pub async fn write(tx: &mut Tx, changes: &Changes, now: Timestamp) -> Result<()> {
    add_attendees(tx, &changes.attendees, now).await?;
    if !changes.inserted.is_empty() {
        let rows = &changes.inserted;
        let input = Columns::new()
            .ids(rows.iter().map(|row| row.id))
            .ids(rows.iter().map(|row| row.session_id))
            .ids(rows.iter().map(|row| row.attendee_id))
            .texts(rows.iter().map(|row| Some(row.status.as_str())))
            .integers(rows.iter().map(|row| row.seq))
            .texts(rows.iter().map(|row| row.cancel_reason.map(|reason| reason.as_str())))
            .times(rows.iter().map(|row| row.created_at))
            .times(rows.iter().map(|row| row.updated_at))
            .times(rows.iter().map(|row| row.cancelled_at));
        tx.batch_write(ADD, input).await?;
    }
    if !changes.updated.is_empty() {
        let rows = &changes.updated;
        let input = Columns::new()
            .ids(rows.iter().map(|row| row.id))
            .texts(rows.iter().map(|row| Some(row.status.as_str())))
            .texts(rows.iter().map(|row| row.cancel_reason.map(|reason| reason.as_str())))
            .times(rows.iter().map(|row| row.updated_at))
            .times(rows.iter().map(|row| row.cancelled_at));
        expect(rows.len(), tx.batch_write(CHANGE, input).await?)?;
    }
    write_seats(tx, &changes.seats).await?;
    write_journal(tx, changes, now).await
}

async fn write_seats(tx: &mut Tx, rows: &[SessionState]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let input = Columns::new()
        .ids(rows.iter().map(|row| row.id))
        .integers(rows.iter().map(|row| row.seats_taken))
        .integers(rows.iter().map(|row| row.seats_over))
        .integers(rows.iter().map(|row| row.waitlisted))
        .integers(rows.iter().map(|row| row.last_seq))
        .integers(rows.iter().map(|row| row.last_change));
    expect(rows.len(), tx.batch_write(SEATS, input).await?)
}

async fn write_journal(tx: &mut Tx, changes: &Changes, now: Timestamp) -> Result<()> {
    let rows = &changes.journal;
    if rows.is_empty() {
        return Ok(());
    }
    let input = Columns::new()
        .ids(rows.iter().map(|row| row.event_id))
        .ids(rows.iter().map(|row| row.session_id))
        .integers(rows.iter().map(|row| row.change))
        .texts(rows.iter().map(|row| Some(row.kind.as_str())))
        .ids(rows.iter().map(|row| row.registration_id))
        .ids(rows.iter().map(|row| row.attendee_id))
        .ids(rows.iter().map(|row| row.actor_id))
        .times(rows.iter().map(|_| now));
    expect(rows.len(), tx.batch_write(JOURNAL, input).await?)
}

async fn add_attendees(tx: &mut Tx, attendees: &[(Uuid, Uuid, Uuid)], now: Timestamp) -> Result<()> {
    if attendees.is_empty() {
        return Ok(());
    }
    let ids: BTreeSet<Uuid> = attendees.iter().map(|(_, _, user_id)| *user_id).collect();
    let users: Vec<UserName> = tx.batch(USERS, Columns::new().ids(ids)).await?;
    let users: HashMap<Uuid, UserName> = users.into_iter().map(|user| (user.id, user)).collect();
    let rows: Vec<_> = attendees.iter().filter_map(|(id, event_id, user_id)| Some((id, event_id, users.get(user_id)?))).collect();
    let input = Columns::new()
        .ids(rows.iter().map(|row| *row.0))
        .ids(rows.iter().map(|row| *row.1))
        .ids(rows.iter().map(|row| row.2.id))
        .texts(rows.iter().map(|row| Some(row.2.name.as_str())))
        .texts(rows.iter().map(|row| Some(text::fold(&row.2.name))))
        .texts(rows.iter().map(|row| Some(text::fold(&format!("{} {}", row.2.name, row.2.email)))))
        .texts(rows.iter().map(|row| Some(row.2.email.as_str())))
        .times(rows.iter().map(|_| now));
    expect(attendees.len(), tx.batch_write(ADD_ATTENDEES, input).await?)
}

/// A write that touched fewer rows than it should is a lost update, and the batch must not commit.
fn expect(rows: usize, touched: u64) -> Result<()> {
    if rows as u64 == touched { Ok(()) } else { Err(sqlx::Error::Protocol(format!("{touched} rows were written instead of {rows}"))) }
}
