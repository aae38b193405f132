//! What was loaded for a batch. Deciding moves it on from command to command.

use crate::{
    clock::Timestamp,
    db::JsonText,
    events::model::{Admission, EventStatus, OfferTimes, OnClash, Overlap, Zone},
    registrations::model::{Actor, Place, Registration, Status, Who},
    registrations::refusal::Refusal,
    sessions::model::{Pool, SessionStatus, WaitlistMode},
};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// The rules of an event. Field order is that of the engine's statement.
#[derive(Clone, Debug, Deserialize, sqlx::FromRow)]
pub struct EventRules {
    /// The event.
    pub id: Uuid,
    /// Its status.
    pub status: EventStatus,
    /// Its clocks, which say what a day is.
    #[sqlx(try_from = "String")]
    pub time_zone: Zone,
    /// When booking opens.
    pub opens_at: Option<Timestamp>,
    /// When booking closes.
    pub closes_at: Option<Timestamp>,
    /// Who is admitted.
    pub admission: Admission,
    /// Whether somebody may have seats at the same hours.
    pub overlap: Overlap,
    /// Minutes that must lie between two seats in different rooms.
    pub overlap_buffer_minutes: i64,
    /// What happens to who is next in line and has a seat at the same hours.
    pub on_promotion_clash: OnClash,
    /// Whether who gets a seat stops waiting for others at the same hours.
    pub leave_overlapping_waitlists: bool,
    /// How many sessions somebody may have.
    pub max_sessions: Option<i64>,
    /// How many on one day.
    pub max_sessions_per_day: Option<i64>,
    /// How long seats are offered: see [`OfferTimes`].
    pub offer_ttl_minutes: i64,
    /// The same in the last day.
    pub offer_last_day_ttl_minutes: i64,
    /// In so many minutes before the start they are given at once.
    pub offer_automatic_minutes: i64,
}

impl EventRules {
    /// How long seats are offered.
    pub fn offers(&self) -> OfferTimes {
        OfferTimes {
            ttl_minutes: self.offer_ttl_minutes,
            last_day_ttl_minutes: self.offer_last_day_ttl_minutes,
            automatic_minutes: self.offer_automatic_minutes,
        }
    }
}

/// A session, its rules and its seats. Field order is that of the engine's statement.
#[derive(Clone, Debug, Deserialize, sqlx::FromRow)]
pub struct SessionState {
    /// The session.
    pub id: Uuid,
    /// Its event.
    pub event_id: Uuid,
    /// Its code.
    pub code: String,
    /// Its status.
    pub status: SessionStatus,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Where it is held.
    pub room_id: Option<Uuid>,
    /// When booking opens, if not with its event's.
    pub opens_at: Option<Timestamp>,
    /// When booking closes, likewise.
    pub closes_at: Option<Timestamp>,
    /// What it does when it is full.
    pub waitlist_mode: WaitlistMode,
    /// How many may wait.
    pub waitlist_limit: Option<i64>,
    /// Whose attendees may book it; all, if it is empty.
    pub categories: JsonText<Vec<String>>,
    /// Seats held for some of them.
    pub pools: JsonText<Vec<Pool>>,
    /// What the programme says of its seats: its own capacity, else its room's.
    pub capacity: Option<i64>,
    /// Seats there are; `None` is unlimited.
    pub seats_limit: Option<i64>,
    /// Seats taken, held ones included.
    pub seats_taken: i64,
    /// Seats beyond the limit that somebody allowed.
    pub seats_over: i64,
    /// How many wait.
    pub waitlisted: i64,
    /// The last `seq` given.
    pub last_seq: i64,
    /// The last `change` written.
    pub last_change: i64,
    /// Not later than the next moment at which something is due by itself.
    pub due_at: Option<Timestamp>,
}

impl SessionState {
    /// Whether it has begun.
    pub fn started(&self, now: Timestamp) -> bool {
        now >= self.starts_at
    }

    /// Whether something may be due in it by itself.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due_at.is_some_and(|due| due <= now)
    }

    /// Gives a seat back: one beyond the limit melts first.
    pub(super) fn free_one(&mut self) {
        self.seats_taken -= 1;
        self.seats_over = (self.seats_over - 1).max(0);
    }

    /// How many seats are beyond the limit.
    pub(super) fn beyond_limit(&self) -> i64 {
        self.seats_limit.map_or(0, |limit| (self.seats_taken - limit).max(0))
    }

    /// The pools that still hold seats.
    pub fn held_pools(&self, now: Timestamp) -> impl Iterator<Item = &Pool> {
        self.pools.0.iter().filter(move |pool| pool.releases_at.is_none_or(|at| now < at))
    }
}

/// When and where a session is held. Field order is that of the engine's statement.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, sqlx::FromRow)]
pub struct Slot {
    /// The session.
    pub session_id: Uuid,
    /// Its code.
    pub code: String,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Its room.
    pub room_id: Option<Uuid>,
}

impl Slot {
    /// That of a session.
    pub fn of(session: &SessionState) -> Self {
        let SessionState { id, ref code, starts_at, ends_at, room_id, .. } = *session;
        Self { session_id: id, code: code.clone(), starts_at, ends_at, room_id }
    }
}

/// An attendee. Field order is that of the engine's statement.
#[derive(Clone, Debug, Deserialize, sqlx::FromRow)]
pub struct AttendeeState {
    /// The attendee.
    pub id: Uuid,
    /// Their event.
    pub event_id: Uuid,
    /// The user they are linked to.
    pub user_id: Option<Uuid>,
    /// Their category.
    pub category: Option<String>,
    /// Whether they were erased: nobody books for them any more.
    pub erased: bool,
}

/// How many seats of a session the attendees of a category have. Field order is that of the engine's statement.
#[derive(Clone, Debug, Deserialize, sqlx::FromRow)]
pub struct CategorySeats {
    /// The session.
    pub session_id: Uuid,
    /// The category.
    pub category: String,
    /// Their seats.
    pub taken: i64,
}

/// What was loaded for a batch.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub(super) events: HashMap<Uuid, EventRules>,
    pub(super) sessions: HashMap<Uuid, SessionState>,
    pub(super) slots: HashMap<Uuid, Slot>,
    pub(super) attendees: HashMap<Uuid, AttendeeState>,
    by_user: HashMap<(Uuid, Uuid), Uuid>,
    pub(super) registrations: HashMap<Uuid, Held>,
    /// The active registrations of those attendees all of whose are loaded.
    of_attendee: HashMap<Uuid, Vec<Uuid>>,
    active: HashMap<(Uuid, Uuid), Uuid>,
    pub(super) lines: HashMap<Uuid, Line>,
    category_seats: HashMap<(Uuid, String), i64>,
    /// Sessions whose offers are all loaded.
    pub(super) with_offers: HashSet<Uuid>,
    /// Sessions whose active registrations are all loaded.
    pub(super) whole: HashSet<Uuid>,
}

#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) registration: Registration,
    pub(super) origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Loaded,
    Changed,
    New,
}

/// The head of a session's waitlist.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) waiting: BTreeMap<Place, Uuid>,
    /// The last place that was loaded: behind it others may wait. `None` if everybody who waits is in `waiting`.
    pub(super) known_to: Option<Place>,
}

impl World {
    /// Adds the rules of an event.
    pub fn add_event(&mut self, event: &EventRules) {
        self.events.entry(event.id).or_insert_with(|| event.clone());
    }

    /// Adds a session.
    pub fn add_session(&mut self, session: SessionState) {
        if session.waitlisted == 0 {
            self.lines.insert(session.id, Line::default());
        }
        self.slots.insert(session.id, Slot::of(&session));
        self.sessions.insert(session.id, session);
    }

    /// Adds when and where a session is held whose seats are not touched.
    pub fn add_slot(&mut self, slot: &Slot) {
        self.slots.entry(slot.session_id).or_insert_with(|| slot.clone());
    }

    /// Adds an attendee.
    pub fn add_attendee(&mut self, attendee: AttendeeState) {
        if let Some(user_id) = attendee.user_id {
            self.by_user.insert((attendee.event_id, user_id), attendee.id);
        }
        self.attendees.insert(attendee.id, attendee);
    }

    /// Adds a registration that was loaded.
    pub fn add_registration(&mut self, registration: Registration) {
        if registration.is_active() {
            self.active.insert((registration.attendee_id, registration.session_id), registration.id);
        }
        self.registrations.entry(registration.id).or_insert(Held { registration, origin: Origin::Loaded });
    }

    /// Says that all active registrations of an attendee have been added.
    pub fn has_all_of(&mut self, attendee_id: Uuid, active: Vec<Uuid>) {
        self.of_attendee.insert(attendee_id, active);
    }

    /// Adds the head of a session's waitlist, in order; `whole` if nobody else waits.
    pub fn add_line(&mut self, session_id: Uuid, heads: Vec<Registration>, whole: bool) {
        let known_to = heads.last().filter(|_| !whole).map(Registration::place);
        let waiting = heads.iter().map(|registration| (registration.place(), registration.id)).collect();
        heads.into_iter().for_each(|registration| self.add_registration(registration));
        self.lines.insert(session_id, Line { waiting, known_to });
    }

    /// Adds how many seats the attendees of a category have.
    pub fn add_category_seats(&mut self, seats: CategorySeats) {
        self.category_seats.insert((seats.session_id, seats.category), seats.taken);
    }

    /// Says that all offers of a session have been added.
    pub fn has_offers_of(&mut self, session_id: Uuid) {
        self.with_offers.insert(session_id);
    }

    /// Says that all active registrations of a session have been added.
    pub fn has_all_in(&mut self, session_id: Uuid) {
        self.with_offers.insert(session_id);
        self.whole.insert(session_id);
    }

    /// The sessions loaded.
    pub fn sessions(&self) -> impl Iterator<Item = &SessionState> {
        self.sessions.values()
    }

    /// A session that was loaded.
    pub fn session(&self, id: Uuid) -> Option<&SessionState> {
        self.sessions.get(&id)
    }

    /// The rules of a session's event, if they were loaded.
    pub fn event_of(&self, session: &SessionState) -> Option<&EventRules> {
        self.events.get(&session.event_id)
    }

    /// When and where a session is held.
    pub fn slot(&self, session_id: Uuid) -> Option<&Slot> {
        self.slots.get(&session_id)
    }

    /// Sessions of registrations that were loaded, whose hours were not; some more than once.
    pub fn without_slot(&self) -> impl Iterator<Item = Uuid> {
        self.registrations.values().map(|held| held.registration.session_id).filter(|id| !self.slots.contains_key(id))
    }

    /// The attendees all of whose active registrations were loaded, with these.
    pub fn people(&self) -> impl Iterator<Item = (&AttendeeState, Vec<&Registration>)> {
        self.of_attendee.iter().filter_map(|(attendee_id, ids)| {
            let attendee = self.attendees.get(attendee_id)?;
            Some((attendee, ids.iter().filter_map(|id| self.registration(*id)).collect()))
        })
    }

    /// The user an attendee is linked to.
    pub fn user_of(&self, attendee_id: Uuid) -> Option<Uuid> {
        self.attendees.get(&attendee_id)?.user_id
    }

    /// The rules of a session's event.
    pub(super) fn rules(&self, session: &SessionState) -> Result<&EventRules, Refusal> {
        self.events.get(&session.event_id).ok_or(Refusal::NotFound)
    }

    /// A registration that was loaded or made.
    pub fn registration(&self, id: Uuid) -> Option<&Registration> {
        self.registrations.get(&id).map(|held| &held.registration)
    }

    /// The attendee a booking is for, if they are one already.
    pub(super) fn attendee(&self, session: &SessionState, who: Who, actor: Actor) -> Result<Option<Uuid>, Refusal> {
        match who {
            Who::Caller { .. } => Ok(self.by_user.get(&(session.event_id, actor.user_id)).copied()),
            Who::Attendee(id) => match self.attendees.get(&id) {
                Some(attendee) if attendee.event_id == session.event_id && !attendee.erased => Ok(Some(id)),
                _ => Err(Refusal::UnknownAttendee),
            },
        }
    }

    /// The category of an attendee.
    pub fn category(&self, attendee_id: Uuid) -> Option<&str> {
        self.attendees.get(&attendee_id)?.category.as_deref()
    }

    /// The registration of a session that an attendee has.
    pub(super) fn active(&self, attendee_id: Uuid, session_id: Uuid) -> Option<Uuid> {
        self.active.get(&(attendee_id, session_id)).copied()
    }

    /// The active registrations of an attendee; `None` if they were not loaded.
    pub(super) fn all_of(&self, attendee_id: Uuid) -> Option<impl Iterator<Item = &Registration>> {
        let ids = self.of_attendee.get(&attendee_id)?;
        Some(ids.iter().filter_map(|id| self.registration(*id)))
    }

    /// The active registrations of a session that was loaded whole, by `seq`.
    pub(super) fn all_in(&self, session_id: Uuid) -> Vec<Registration> {
        let here = |held: &&Held| held.registration.session_id == session_id && held.registration.is_active();
        let mut all: Vec<Registration> = self.registrations.values().filter(here).map(|held| held.registration.clone()).collect();
        all.sort_by_key(|registration| registration.seq);
        all
    }

    /// Adds a registration that was just made.
    pub(super) fn enter(&mut self, registration: Registration) {
        let Registration { id, session_id, attendee_id, .. } = registration;
        self.active.insert((attendee_id, session_id), id);
        if let Some(all) = self.of_attendee.get_mut(&attendee_id) {
            all.push(id);
        }
        self.count(&registration, 1);
        self.queue(&registration);
        self.registrations.insert(id, Held { registration, origin: Origin::New });
    }

    /// Changes a registration, and what is known by its status.
    pub(super) fn change(&mut self, id: Uuid, now: Timestamp, change: impl FnOnce(&mut Registration)) {
        let Some(held) = self.registrations.get_mut(&id) else { return };
        let before = held.registration.clone();
        change(&mut held.registration);
        held.registration.updated_at = now;
        if held.origin == Origin::Loaded {
            held.origin = Origin::Changed;
        }
        let after = held.registration.clone();
        self.count(&before, -1);
        self.count(&after, 1);
        if before.status == Status::Waitlisted
            && let Some(line) = self.lines.get_mut(&before.session_id)
        {
            line.waiting.remove(&before.place());
        }
        self.queue(&after);
        if before.is_active() && !after.is_active() {
            self.active.remove(&(after.attendee_id, after.session_id));
            if let Some(all) = self.of_attendee.get_mut(&after.attendee_id) {
                all.retain(|other| *other != id);
            }
        }
    }

    /// Puts one who waits in line. A line that was not read stays unknown: others may stand before them.
    fn queue(&mut self, registration: &Registration) {
        if registration.status == Status::Waitlisted
            && let Some(line) = self.lines.get_mut(&registration.session_id)
        {
            line.waiting.insert(registration.place(), registration.id);
        }
    }

    /// Counts a seat towards its attendee's category.
    fn count(&mut self, registration: &Registration, seats: i64) {
        if registration.status.is_seated()
            && let Some(category) = self.category(registration.attendee_id).map(str::to_owned)
        {
            *self.category_seats.entry((registration.session_id, category)).or_default() += seats;
        }
    }

    /// How many seats are free for an attendee of a category: not those that pools hold for others. As good as endless
    /// without a limit. A pool that has given out more than it holds takes nothing from others.
    pub fn free_for(&self, session: &SessionState, category: Option<&str>, now: Timestamp) -> i64 {
        let Some(limit) = session.seats_limit else { return i64::MAX };
        let held = session.held_pools(now).filter(|pool| category != Some(pool.category.as_str()));
        let taken = |category: &String| self.category_seats.get(&(session.id, category.clone())).copied().unwrap_or(0);
        let held: i64 = held.map(|pool| (pool.seats - taken(&pool.category)).max(0)).sum();
        limit - session.seats_taken - held
    }

    /// How many seats the attendees of a category have.
    pub fn taken_by(&self, session_id: Uuid, category: &str) -> i64 {
        self.category_seats.get(&(session_id, category.to_owned())).copied().unwrap_or(0)
    }
}
