//! Every rule of registration, once: what is there, what is asked and the time go in; outcomes and changes come out.
//! No I/O, no clock, no randomness, so it can be simulated by seed.

use super::model::{Actor, CancelReason, ChangeKind, Command, IfFull, Outcome, Refusal, Registration, Status, Who};
use crate::clock::Timestamp;
use crate::events::model::{Admission, EventStatus};
use crate::sessions::model::{SessionStatus, WaitlistMode};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// A session, its event's rules, and its seats. Field order is that of the engine's statement.
#[derive(Clone, Debug, Deserialize, sqlx::FromRow)]
pub struct SessionState {
    /// The session.
    pub id: Uuid,
    /// Its event.
    pub event_id: Uuid,
    /// The event's status.
    pub event_status: EventStatus,
    /// The session's status.
    pub status: SessionStatus,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When booking opens: the session's own time, else its event's.
    pub opens_at: Option<Timestamp>,
    /// When booking closes: likewise.
    pub closes_at: Option<Timestamp>,
    /// Who is admitted.
    pub admission: Admission,
    /// What it does when it is full.
    pub waitlist_mode: WaitlistMode,
    /// Seats there are; `None` is unlimited.
    pub seats_limit: Option<i64>,
    /// Seats taken.
    pub seats_taken: i64,
    /// Seats beyond the limit that somebody allowed.
    pub seats_over: i64,
    /// How many wait.
    pub waitlisted: i64,
    /// The last `seq` given.
    pub last_seq: i64,
    /// The last `change` written.
    pub last_change: i64,
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
}

/// What was loaded for a batch; deciding moves it on from command to command.
#[derive(Clone, Debug, Default)]
pub struct World {
    sessions: HashMap<Uuid, SessionState>,
    attendees: HashMap<Uuid, AttendeeState>,
    by_user: HashMap<(Uuid, Uuid), Uuid>,
    registrations: HashMap<Uuid, Held>,
    active: HashMap<(Uuid, Uuid), Uuid>,
    lines: HashMap<Uuid, Line>,
}

#[derive(Clone, Debug)]
struct Held {
    registration: Registration,
    origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Loaded,
    Changed,
    New,
}

/// The head of a session's waitlist, by `seq`.
#[derive(Clone, Debug, Default)]
struct Line {
    waiting: BTreeMap<i64, Uuid>,
    /// Whether everybody who waits is in it.
    whole: bool,
}

/// A journal row to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The session's event.
    pub event_id: Uuid,
    /// The session.
    pub session_id: Uuid,
    /// Its number within the session, without a gap.
    pub change: i64,
    /// What happened.
    pub kind: ChangeKind,
    /// To which registration.
    pub registration_id: Uuid,
    /// Of whom.
    pub attendee_id: Uuid,
    /// Who did it; nobody for what follows from the rules.
    pub actor_id: Option<Uuid>,
}

/// What a batch has to write.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// New attendees: `(id, event, user)`.
    pub attendees: Vec<(Uuid, Uuid, Uuid)>,
    /// New registrations as they are at the end of the batch.
    pub inserted: Vec<Registration>,
    /// Registrations that were there and changed.
    pub updated: Vec<Registration>,
    /// Seats rows that changed.
    pub seats: Vec<SessionState>,
    /// Journal rows, in order.
    pub journal: Vec<Change>,
}

impl Changes {
    /// Whether there is nothing to write: every change has a journal row.
    pub fn is_empty(&self) -> bool {
        self.journal.is_empty()
    }
}

/// A decision for each command, in order, and what to write for them.
#[derive(Debug)]
pub struct Decided {
    /// One a command.
    pub outcomes: Vec<Result<Outcome, Refusal>>,
    /// To be written in the same transaction.
    pub changes: Changes,
}

/// Deciding needs more of these waitlists: nothing was written, load more and decide again.
#[derive(Debug, PartialEq, Eq)]
pub struct Needs(pub BTreeSet<Uuid>);

/// Decides a batch in the order of arrival.
pub fn decide(world: World, commands: &[Command], now: Timestamp) -> Result<Decided, Needs> {
    let mut batch = Batch { world, now, changed: BTreeSet::new(), changes: Changes::default(), needs: BTreeSet::new() };
    let outcomes: Vec<_> = commands.iter().map(|command| batch.run(command)).collect();
    if !batch.needs.is_empty() {
        return Err(Needs(batch.needs));
    }
    Ok(Decided { outcomes, changes: batch.finish() })
}

struct Batch {
    world: World,
    now: Timestamp,
    changed: BTreeSet<Uuid>,
    changes: Changes,
    needs: BTreeSet<Uuid>,
}

impl Batch {
    fn run(&mut self, command: &Command) -> Result<Outcome, Refusal> {
        match *command {
            Command::Book { registration_id, session_id, who, if_full, actor } => {
                self.book(registration_id, session_id, who, if_full, actor)
            }
            Command::Cancel { registration_id, own, actor } => self.cancel(registration_id, own, actor),
        }
    }

    fn book(&mut self, id: Uuid, session_id: Uuid, who: Who, if_full: Option<IfFull>, actor: Actor) -> Result<Outcome, Refusal> {
        let session = self.world.sessions.get(&session_id).ok_or(Refusal::NotFound)?.clone();
        let known = self.world.attendee(&session, who, actor);
        // Booking what one has is a success, whatever the rest says: a lost answer can be asked for again.
        if let Ok(Some(attendee)) = known
            && let Some(held) = self.world.active(attendee, session_id)
        {
            return Ok(self.outcome(held, false, None));
        }
        published(&session)?;
        let attendee = known?.map_or_else(|| admitted(&session, who), Ok)?;
        bookable(&session, self.now)?;
        // Who waits comes before who comes now.
        self.promote(session_id);
        let session = self.world.sessions.get(&session_id).ok_or(Refusal::NotFound)?.clone();
        let status = match (session.free() > 0 && session.waitlisted == 0, session.waitlist_mode, if_full) {
            (true, ..) => Status::Confirmed,
            (false, WaitlistMode::Auto, None | Some(IfFull::Waitlist)) => Status::Waitlisted,
            (false, ..) => return Err(Refusal::Full(session_id)),
        };
        if !self.world.attendees.contains_key(&attendee) {
            let (event_id, user_id) = (session.event_id, actor.user_id);
            self.world.add_attendee(AttendeeState { id: attendee, event_id, user_id: Some(user_id) });
            self.changes.attendees.push((attendee, event_id, user_id));
        }
        Ok(self.enter(id, session_id, attendee, status, actor))
    }

    fn enter(&mut self, id: Uuid, session_id: Uuid, attendee_id: Uuid, status: Status, actor: Actor) -> Outcome {
        let now = self.now;
        let session = self.touch(session_id);
        session.last_seq += 1;
        let seq = session.last_seq;
        let (kind, position) = match status {
            Status::Waitlisted => {
                session.waitlisted += 1;
                (ChangeKind::Waitlisted, Some(session.waitlisted))
            }
            _ => {
                session.seats_taken += 1;
                (ChangeKind::Confirmed, None)
            }
        };
        let registration = Registration {
            id,
            session_id,
            attendee_id,
            status,
            seq,
            cancel_reason: None,
            created_at: now,
            updated_at: now,
            cancelled_at: None,
        };
        if status == Status::Waitlisted {
            self.world.lines.entry(session_id).or_default().waiting.insert(seq, id);
        }
        self.world.active.insert((attendee_id, session_id), id);
        self.world.registrations.insert(id, Held { registration, origin: Origin::New });
        self.journal(id, kind, Some(actor.user_id));
        self.outcome(id, true, position)
    }

    fn cancel(&mut self, id: Uuid, own: bool, actor: Actor) -> Result<Outcome, Refusal> {
        let registration = self.world.registrations.get(&id).ok_or(Refusal::NotFound)?.registration.clone();
        let session_id = registration.session_id;
        let session = self.world.sessions.get(&session_id).ok_or(Refusal::NotFound)?;
        if registration.status == Status::Cancelled {
            return Ok(self.outcome(id, false, None));
        }
        if !actor.organiser && session.started(self.now) {
            return Err(Refusal::SessionStarted);
        }
        let reason = if own { CancelReason::ByAttendee } else { CancelReason::ByOrganiser };
        let now = self.now;
        self.change(id, |registration| {
            registration.status = Status::Cancelled;
            registration.cancel_reason = Some(reason);
            registration.cancelled_at = Some(now);
        });
        self.world.active.remove(&(registration.attendee_id, session_id));
        let session = self.touch(session_id);
        match registration.status {
            Status::Waitlisted => {
                session.waitlisted -= 1;
                self.world.lines.entry(session_id).or_default().waiting.remove(&registration.seq);
            }
            _ => session.free_one(),
        }
        self.journal(id, ChangeKind::Cancelled, Some(actor.user_id));
        self.promote(session_id);
        Ok(self.outcome(id, false, None))
    }

    /// Gives free seats to who waits, in the order of `seq`.
    fn promote(&mut self, session_id: Uuid) {
        loop {
            let Some(session) = self.world.sessions.get(&session_id) else { return };
            if session.free() <= 0 || session.waitlisted == 0 || !session.promotes(self.now) {
                return;
            }
            let line = self.world.lines.get(&session_id);
            let first = line.and_then(|line| line.waiting.first_key_value()).map(|(seq, id)| (*seq, *id));
            let newcomer = |id: Uuid| self.world.registrations.get(&id).is_none_or(|held| held.origin == Origin::New);
            let (seq, id) = match first {
                Some((seq, id)) if line.is_some_and(|line| line.whole) || !newcomer(id) => (seq, id),
                // Those loaded are served; others who wait stand before the newcomers of this batch.
                _ => {
                    self.needs.insert(session_id);
                    return;
                }
            };
            if let Some(line) = self.world.lines.get_mut(&session_id) {
                line.waiting.remove(&seq);
            }
            let session = self.touch(session_id);
            session.waitlisted -= 1;
            session.seats_taken += 1;
            self.change(id, |registration| registration.status = Status::Confirmed);
            self.journal(id, ChangeKind::Promoted, None);
        }
    }

    fn touch(&mut self, session_id: Uuid) -> &mut SessionState {
        self.changed.insert(session_id);
        self.world.sessions.get_mut(&session_id).expect("a session that is changed was loaded")
    }

    fn change(&mut self, id: Uuid, change: impl FnOnce(&mut Registration)) {
        let now = self.now;
        if let Some(held) = self.world.registrations.get_mut(&id) {
            change(&mut held.registration);
            held.registration.updated_at = now;
            if held.origin == Origin::Loaded {
                held.origin = Origin::Changed;
            }
        }
    }

    fn journal(&mut self, id: Uuid, kind: ChangeKind, actor_id: Option<Uuid>) {
        let Some(Held { registration, .. }) = self.world.registrations.get(&id) else { return };
        let (session_id, attendee_id) = (registration.session_id, registration.attendee_id);
        let session = self.touch(session_id);
        session.last_change += 1;
        let (event_id, change) = (session.event_id, session.last_change);
        self.changes.journal.push(Change { event_id, session_id, change, kind, registration_id: id, attendee_id, actor_id });
    }

    fn outcome(&self, id: Uuid, created: bool, position: Option<i64>) -> Outcome {
        let registration = self.world.registrations[&id].registration.clone();
        let session = &self.world.sessions[&registration.session_id];
        Outcome { event_id: session.event_id, started: session.started(self.now), registration, created, position }
    }

    fn finish(self) -> Changes {
        let mut changes = self.changes;
        for held in self.world.registrations.into_values() {
            match held.origin {
                Origin::New => changes.inserted.push(held.registration),
                Origin::Changed => changes.updated.push(held.registration),
                Origin::Loaded => {}
            }
        }
        // Rows in one order, whatever the map's: the same batch writes the same, and rows lie together.
        changes.inserted.sort_by_key(|registration| registration.id);
        changes.updated.sort_by_key(|registration| registration.id);
        let mut sessions = self.world.sessions;
        changes.seats = self.changed.iter().filter_map(|id| sessions.remove(id)).collect();
        changes
    }
}

/// What is not published is not there for anybody; what is cancelled says so.
fn published(session: &SessionState) -> Result<(), Refusal> {
    match (session.event_status, session.status) {
        (EventStatus::Draft, _) | (_, SessionStatus::Draft) => Err(Refusal::NotFound),
        (_, SessionStatus::Cancelled) => Err(Refusal::SessionCancelled),
        (EventStatus::Published | EventStatus::Archived, SessionStatus::Published) => Ok(()),
    }
}

/// The id under which somebody who is no attendee yet becomes one by booking.
fn admitted(session: &SessionState, who: Who) -> Result<Uuid, Refusal> {
    match (who, session.admission) {
        (Who::Caller { new_attendee_id }, Admission::Open) => Ok(new_attendee_id),
        _ => Err(Refusal::NotAdmitted),
    }
}

fn bookable(session: &SessionState, now: Timestamp) -> Result<(), Refusal> {
    if session.started(now) {
        return Err(Refusal::SessionStarted);
    }
    if session.event_status == EventStatus::Archived {
        return Err(Refusal::Closed(None));
    }
    if let Some(opens_at) = session.opens_at.filter(|opens_at| now < *opens_at) {
        return Err(Refusal::NotOpen(opens_at));
    }
    match session.closes_at.filter(|closes_at| now >= *closes_at) {
        Some(closes_at) => Err(Refusal::Closed(Some(closes_at))),
        None => Ok(()),
    }
}

impl SessionState {
    /// Seats that are free; as good as endless without a limit.
    fn free(&self) -> i64 {
        self.seats_limit.map_or(i64::MAX, |limit| limit - self.seats_taken)
    }

    fn started(&self, now: Timestamp) -> bool {
        now >= self.starts_at
    }

    /// Promotion goes on after booking has closed, until the session begins.
    fn promotes(&self, now: Timestamp) -> bool {
        !self.started(now) && self.status == SessionStatus::Published && self.event_status == EventStatus::Published
    }

    /// Gives a seat back: one beyond the limit melts first.
    fn free_one(&mut self) {
        self.seats_taken -= 1;
        self.seats_over = (self.seats_over - 1).max(0);
    }
}

impl World {
    /// Adds a session.
    pub fn add_session(&mut self, session: SessionState) {
        if session.waitlisted == 0 {
            self.lines.insert(session.id, Line { waiting: BTreeMap::new(), whole: true });
        }
        self.sessions.insert(session.id, session);
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
        if registration.status != Status::Cancelled {
            self.active.insert((registration.attendee_id, registration.session_id), registration.id);
        }
        self.registrations.entry(registration.id).or_insert(Held { registration, origin: Origin::Loaded });
    }

    /// Adds the head of a session's waitlist; `whole` if nobody else waits.
    pub fn add_line(&mut self, session_id: Uuid, heads: Vec<Registration>, whole: bool) {
        let waiting = heads.iter().map(|registration| (registration.seq, registration.id)).collect();
        heads.into_iter().for_each(|registration| self.add_registration(registration));
        self.lines.insert(session_id, Line { waiting, whole });
    }

    /// The sessions loaded.
    pub fn sessions(&self) -> impl Iterator<Item = &SessionState> {
        self.sessions.values()
    }

    /// The attendee a command is for, if they are one already.
    fn attendee(&self, session: &SessionState, who: Who, actor: Actor) -> Result<Option<Uuid>, Refusal> {
        match who {
            Who::Caller { .. } => Ok(self.by_user.get(&(session.event_id, actor.user_id)).copied()),
            Who::Attendee(id) => match self.attendees.get(&id) {
                Some(attendee) if attendee.event_id == session.event_id => Ok(Some(id)),
                _ => Err(Refusal::UnknownAttendee),
            },
        }
    }

    fn active(&self, attendee_id: Uuid, session_id: Uuid) -> Option<Uuid> {
        self.active.get(&(attendee_id, session_id)).copied()
    }
}

#[cfg(test)]
mod tests;
