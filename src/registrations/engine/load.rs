//! Reading what a batch is decided by: a handful of statements, whatever its size.

use super::wanted::{ALL_HEADS, Wanted, Whom};
use crate::{
    clock::Timestamp,
    db::{BatchSelect, Columns, Dialect, Result, Tx, batch_select},
    registrations::{
        decide::{AttendeeState, CategorySeats, EventRules, SessionState, Slot, World},
        model::{Registration, Status},
    },
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// The columns of a [`Registration`], in its order.
macro_rules! registrations {
    ($input:tt, $($after:tt)+) => {
        batch_select!(
            [
                uuid "r.id" as id, uuid "r.session_id" as session_id, uuid "r.attendee_id" as attendee_id,
                text "r.status" as status, int "r.seq" as seq, int "r.priority" as priority,
                time "r.offer_expires_at" as offer_expires_at, time "r.checked_in_at" as checked_in_at,
                text "r.cancel_reason" as cancel_reason, uuid "r.moved_to" as moved_to,
                time "r.created_at" as created_at, time "r.updated_at" as updated_at, time "r.cancelled_at" as cancelled_at
            ],
            $input,
            $($after)+
        )
    };
}

/// Locks the seats of the batch's sessions in id order. A statement of its own: the ones after it see what the
/// transactions before it committed. SQLite has one writer and needs none.
const LOCK_SESSIONS: &str = "SELECT session_id FROM session_seats WHERE session_id = ANY($1) ORDER BY session_id FOR UPDATE";

/// The same, with the sessions of registrations: that of a registration never changes. It costs more to plan.
const LOCK_SESSIONS_OF: &str = "SELECT t.session_id FROM session_seats t WHERE t.session_id IN (SELECT unnest($1::uuid[]) \
    UNION SELECT r.session_id FROM registrations r WHERE r.id = ANY($2)) ORDER BY t.session_id FOR UPDATE OF t";

const SESSIONS: BatchSelect = batch_select!(
    [
        uuid "s.id" as id, uuid "s.event_id" as event_id, text "s.code" as code, text "s.status" as status,
        time "s.starts_at" as starts_at, time "s.ends_at" as ends_at, uuid "s.room_id" as room_id,
        time "s.booking_opens_at" as opens_at, time "s.booking_closes_at" as closes_at, text "s.waitlist_mode" as waitlist_mode,
        int "s.waitlist_limit" as waitlist_limit, text "s.categories" as categories, text "s.pools" as pools,
        int "COALESCE(s.capacity, o.capacity)" as capacity, int "t.seats_limit" as seats_limit, int "t.seats_taken" as seats_taken,
        int "t.seats_over" as seats_over, int "t.waitlisted" as waitlisted, int "t.last_seq" as last_seq,
        int "t.last_change" as last_change, time "t.due_at" as due_at
    ],
    (id: uuid),
    " w JOIN sessions s ON s.id = w.id JOIN session_seats t ON t.session_id = s.id LEFT JOIN rooms o ON o.id = s.room_id"
);

/// The events of sessions, each as often as sessions of it are asked for.
const EVENTS: BatchSelect = batch_select!(
    [
        uuid "e.id" as id, text "e.status" as status, text "e.time_zone" as time_zone, time "e.booking_opens_at" as opens_at,
        time "e.booking_closes_at" as closes_at, text "e.admission" as admission, text "e.overlap" as overlap,
        int "e.overlap_buffer_minutes" as overlap_buffer_minutes, text "e.on_promotion_clash" as on_promotion_clash,
        bool "e.leave_overlapping_waitlists" as leave_overlapping_waitlists, int "e.max_sessions" as max_sessions,
        int "e.max_sessions_per_day" as max_sessions_per_day, int "e.offer_ttl_minutes" as offer_ttl_minutes,
        int "e.offer_last_day_ttl_minutes" as offer_last_day_ttl_minutes, int "e.offer_automatic_minutes" as offer_automatic_minutes
    ],
    (id: uuid),
    " w JOIN sessions s ON s.id = w.id JOIN events e ON e.id = s.event_id"
);

/// Attendees, each named, or as the one that a user is at an event. On Postgres they are locked in id order, after the
/// sessions: what somebody has elsewhere must not change meanwhile.
macro_rules! attendees {
    ($lock:literal) => {
        batch_select!(
            [
                uuid "a.id" as id, uuid "a.event_id" as event_id, uuid "a.user_id" as user_id, text "a.category" as category,
                bool "a.erased_at IS NOT NULL" as erased
            ],
            (attendee_id: uuid, user_id: uuid, event_id: uuid),
            concat!(
                " w JOIN attendees a ON a.id = COALESCE(w.attendee_id, ",
                "(SELECT b.id FROM attendees b WHERE b.user_id = w.user_id AND b.event_id = w.event_id))",
                $lock
            )
        )
    };
}
const ATTENDEES: BatchSelect = attendees!("");
const ATTENDEES_LOCKED: BatchSelect = attendees!(" ORDER BY a.id FOR NO KEY UPDATE OF a");

/// Registrations by id.
const NAMED: BatchSelect = registrations!((id: uuid), " w JOIN registrations r ON r.id = w.id");

const OFFERS: BatchSelect =
    registrations!((session_id: uuid), " w JOIN registrations r ON r.session_id = w.session_id AND r.status = 'offered'");

const WHOLE: BatchSelect =
    registrations!((session_id: uuid), " w JOIN registrations r ON r.session_id = w.session_id AND r.status <> 'cancelled'");

macro_rules! heads {
    ($most:literal) => {
        concat!(
            " w JOIN registrations r ON r.id IN (SELECT q.id FROM registrations q WHERE q.session_id = w.session_id ",
            "AND q.status = 'waitlisted' ORDER BY q.priority DESC, q.seq LIMIT ",
            $most,
            ")"
        )
    };
}

/// The first who wait in each session, as many as the number says (SQLite takes no column there).
const LINES: BatchSelect = registrations!(
    (session_id: uuid),
    sqlite: heads!("$3"),
    postgres: heads!("$2")
);

/// All that attendees have.
const HELD: BatchSelect = batch_select!(
    [
        uuid "r.id" as id, uuid "r.session_id" as session_id, uuid "r.attendee_id" as attendee_id, text "r.status" as status,
        int "r.seq" as seq, int "r.priority" as priority, time "r.offer_expires_at" as offer_expires_at,
        time "r.checked_in_at" as checked_in_at, time "r.created_at" as created_at, time "r.updated_at" as updated_at
    ],
    (id: uuid),
    " w JOIN registrations r ON r.attendee_id = w.id AND r.ended_seq = 0"
);

/// When and where sessions are held.
const SLOTS: BatchSelect = batch_select!(
    [
        uuid "s.id" as session_id, text "s.code" as code, time "s.starts_at" as starts_at, time "s.ends_at" as ends_at,
        uuid "s.room_id" as room_id
    ],
    (id: uuid),
    " w JOIN sessions s ON s.id = w.id"
);

/// How many seats the attendees of each pool's category have. Counted, so that it can't drift.
const CATEGORY_SEATS: BatchSelect = batch_select!(
    [
        uuid "w.session_id" as session_id, text "w.category" as category,
        int "(SELECT COUNT(*) FROM registrations r JOIN attendees a ON a.id = r.attendee_id WHERE r.session_id = w.session_id \
             AND r.status IN ('confirmed', 'offered') AND a.category = w.category)" as taken
    ],
    (session_id: uuid, category: text),
    " w"
);

/// A row of [`HELD`].
#[derive(Deserialize, sqlx::FromRow)]
struct Held {
    id: Uuid,
    session_id: Uuid,
    attendee_id: Uuid,
    status: Status,
    seq: i64,
    priority: i64,
    offer_expires_at: Option<Timestamp>,
    checked_in_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Held> for Registration {
    fn from(held: Held) -> Self {
        let Held { id, session_id, attendee_id, status, seq, priority, offer_expires_at, checked_in_at, created_at, updated_at } = held;
        let made = Self::new(id, session_id, attendee_id, status, seq, priority, created_at);
        Self { offer_expires_at, checked_in_at, updated_at, ..made }
    }
}

/// Reads what is wanted, about `now`. With `lock` nothing of it changes until the transaction ends.
pub async fn load(tx: &mut Tx, wanted: &Wanted, now: Timestamp, lock: bool) -> Result<World> {
    let lock = lock && tx.dialect() == Dialect::Postgres;
    let mut loader = Loader { tx, lock, world: World::default(), found: BTreeSet::new() };
    if lock {
        loader.lock_sessions(wanted).await?;
    }
    let mut named = loader.named(wanted.registrations.iter().copied()).await?;
    let sessions: BTreeSet<Uuid> = wanted.sessions.iter().copied().chain(named.iter().map(|named| named.session_id)).collect();
    // Only told, to who repeats a move: their sessions are locked where a command names them.
    named.extend(loader.named(named.iter().filter_map(|named| named.moved_to)).await?);
    loader.sessions(&sessions).await?;
    loader.found(wanted, &named, now).await?;
    // Whoever is locked is locked in one order, with those that turned up.
    let mut people = wanted.people(&named);
    people.extend(loader.found.iter().copied().map(Whom::Attendee));
    loader.people(&people).await?;
    named.into_iter().for_each(|registration| loader.world.add_registration(registration));
    loader.pools(now).await?;
    Ok(loader.world)
}

/// Reads people with all they have, into a world that has everything else.
pub async fn load_people(tx: &mut Tx, people: &BTreeSet<Whom>, world: World) -> Result<World> {
    let mut loader = Loader { tx, lock: false, world, found: BTreeSet::new() };
    loader.people(people).await?;
    Ok(loader.world)
}

struct Loader<'t> {
    tx: &'t mut Tx,
    lock: bool,
    world: World,
    /// The attendees of registrations that turned up.
    found: BTreeSet<Uuid>,
}

impl Loader<'_> {
    async fn lock_sessions(&mut self, wanted: &Wanted) -> Result<()> {
        let (sessions, registrations) =
            (Vec::from_iter(wanted.sessions.iter().copied()), Vec::from_iter(wanted.registrations.iter().copied()));
        let _locked: Vec<(Uuid,)> = match registrations.is_empty() {
            true => self.tx.query(LOCK_SESSIONS).bind_ids(&sessions).all().await?,
            false => self.tx.query(LOCK_SESSIONS_OF).bind_ids(&sessions).bind_ids(&registrations).all().await?,
        };
        Ok(())
    }

    /// Registrations by id.
    async fn named(&mut self, ids: impl Iterator<Item = Uuid>) -> Result<Vec<Registration>> {
        let ids: BTreeSet<Uuid> = ids.collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.tx.batch(NAMED, Columns::new().ids(ids)).await
    }

    /// Sessions with their events.
    async fn sessions(&mut self, sessions: &BTreeSet<Uuid>) -> Result<()> {
        let sessions = || Columns::new().ids(sessions.iter().copied());
        let mut answers = self.tx.batch_all(vec![(SESSIONS, sessions()), (EVENTS, sessions())]).await?;
        answers.take::<SessionState>()?.into_iter().for_each(|session| self.world.add_session(session));
        answers.take::<EventRules>()?.into_iter().for_each(|event| self.world.add_event(&event));
        Ok(())
    }

    /// People with all they have. The sessions that they book are there already.
    async fn people(&mut self, people: &BTreeSet<Whom>) -> Result<()> {
        if people.is_empty() {
            return Ok(());
        }
        let event_of = |whom: &Whom| self.world.session(whom.session()?).map(|session| session.event_id);
        let column = |pick: &dyn Fn(&Whom) -> Option<Uuid>| people.iter().map(pick).collect::<Vec<_>>();
        let input = Columns::new().ids(column(&Whom::attendee)).ids(column(&Whom::user)).ids(column(&event_of));
        let attendees = if self.lock { ATTENDEES_LOCKED } else { ATTENDEES };
        let attendees: Vec<AttendeeState> = self.tx.batch(attendees, input).await?;
        let mut held: BTreeMap<Uuid, Vec<Uuid>> = attendees.iter().map(|attendee| (attendee.id, Vec::new())).collect();
        attendees.into_iter().for_each(|attendee| self.world.add_attendee(attendee));
        let rows: Vec<Held> = self.tx.batch(HELD, Columns::new().ids(held.keys().copied())).await?;
        for registration in rows.into_iter().map(Registration::from) {
            held.entry(registration.attendee_id).or_default().push(registration.id);
            self.world.add_registration(registration);
        }
        held.into_iter().for_each(|(attendee_id, ids)| self.world.has_all_of(attendee_id, ids));
        self.slots().await
    }

    /// The hours of the sessions that are held and not yet known.
    async fn slots(&mut self) -> Result<()> {
        let unknown: BTreeSet<Uuid> = self.world.without_slot().collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let slots: Vec<Slot> = self.tx.batch(SLOTS, Columns::new().ids(unknown)).await?;
        slots.iter().for_each(|slot| self.world.add_slot(slot));
        Ok(())
    }

    /// What turns up in the sessions: who has or awaits a seat, as many as the commands may concern.
    async fn found(&mut self, wanted: &Wanted, named: &[Registration], now: Timestamp) -> Result<()> {
        let due = self.world.sessions().filter(|session| session.is_due(now)).map(|session| session.id);
        let offers: Vec<Uuid> = wanted.offers.iter().copied().chain(due).collect();
        self.all(OFFERS, offers, World::has_offers_of).await?;
        let whole: Vec<Uuid> = wanted.whole.iter().copied().collect();
        self.all(WHOLE, whole, World::has_all_in).await?;
        let lines = wanted.heads(self.world.sessions(), named);
        self.lines(&lines).await
    }

    /// Registrations of sessions, all of a kind.
    async fn all(&mut self, which: BatchSelect, sessions: Vec<Uuid>, complete: fn(&mut World, Uuid)) -> Result<()> {
        if sessions.is_empty() {
            return Ok(());
        }
        for registration in self.tx.batch::<Registration>(which, Columns::new().ids(sessions.iter().copied())).await? {
            self.found.insert(registration.attendee_id);
            self.world.add_registration(registration);
        }
        sessions.into_iter().for_each(|session_id| complete(&mut self.world, session_id));
        Ok(())
    }

    /// Those who stand first. Where all are wanted is a statement of its own, so that elsewhere not all are read for it.
    async fn lines(&mut self, lines: &BTreeMap<Uuid, i64>) -> Result<()> {
        let (all, some): (Vec<_>, Vec<_>) = lines.iter().map(|(id, heads)| (*id, *heads)).partition(|(_, heads)| *heads == ALL_HEADS);
        for part in [all, some] {
            if let Some(most) = part.iter().map(|(_, heads)| *heads).max() {
                self.heads(part.into_iter().map(|(id, _)| id).collect(), most).await?;
            }
        }
        Ok(())
    }

    async fn heads(&mut self, sessions: Vec<Uuid>, most: i64) -> Result<()> {
        let mut heads: HashMap<Uuid, Vec<Registration>> = HashMap::new();
        for registration in self.tx.batch_up_to::<Registration>(LINES, Columns::new().ids(sessions.iter().copied()), most).await? {
            self.found.insert(registration.attendee_id);
            heads.entry(registration.session_id).or_default().push(registration);
        }
        for session_id in sessions {
            let mut heads = heads.remove(&session_id).unwrap_or_default();
            heads.sort_by_key(Registration::place);
            let whole = (heads.len() as i64) < most;
            self.world.add_line(session_id, heads, whole);
        }
        Ok(())
    }

    /// What has been given out of the pools that still hold seats.
    async fn pools(&mut self, now: Timestamp) -> Result<()> {
        let held = self.world.sessions().flat_map(|session| session.held_pools(now).map(|pool| (session.id, pool.category.clone())));
        let (sessions, categories): (Vec<Uuid>, Vec<String>) = held.unzip();
        if sessions.is_empty() {
            return Ok(());
        }
        let input = Columns::new().ids(sessions).texts(categories.into_iter().map(Some));
        let counted: Vec<CategorySeats> = self.tx.batch(CATEGORY_SEATS, input).await?;
        counted.into_iter().for_each(|seats| self.world.add_category_seats(seats));
        Ok(())
    }
}
