//! What has to be read before commands can be decided.

use crate::registrations::{
    decide::{Needs, SessionState},
    model::{Command, Registration, Who},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// Heads of a waitlist that are read beyond the seats that may become free: some can't have one.
const SPARE_HEADS: i64 = 4;
/// By how much more is read when that was too little.
const MORE_HEADS: i64 = 8;
/// As many as there are.
pub(super) const ALL_HEADS: i64 = 1 << 40;

/// What has to be read before commands can be decided.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Registrations that are named.
    pub registrations: BTreeSet<Uuid>,
    /// Sessions whose seats may change.
    pub sessions: BTreeSet<Uuid>,
    /// Users who book for themselves, with the session they book: who are they at its event?
    pub callers: BTreeSet<(Uuid, Uuid)>,
    /// Attendees, with all of theirs.
    pub attendees: BTreeSet<Uuid>,
    /// Sessions with at least so many of those who wait.
    pub lines: BTreeMap<Uuid, i64>,
    /// Sessions with all who wait, if there is a seat for any of them.
    pub settled: BTreeSet<Uuid>,
    /// Sessions with all their offers.
    pub offers: BTreeSet<Uuid>,
    /// Sessions with all their registrations.
    pub whole: BTreeSet<Uuid>,
    /// Registrations that may give a seat back.
    leaving: Vec<Uuid>,
    /// Sessions whose number of seats may rise.
    refitted: BTreeSet<Uuid>,
}

/// Whom a row of the input means: an attendee, or who a user is at the event of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whom {
    Attendee(Uuid),
    Caller { user_id: Uuid, session_id: Uuid },
}

impl Whom {
    pub(super) fn attendee(&self) -> Option<Uuid> {
        match self {
            Self::Attendee(id) => Some(*id),
            Self::Caller { .. } => None,
        }
    }

    pub(super) fn user(&self) -> Option<Uuid> {
        match self {
            Self::Attendee(_) => None,
            Self::Caller { user_id, .. } => Some(*user_id),
        }
    }

    pub(super) fn session(&self) -> Option<Uuid> {
        match self {
            Self::Attendee(_) => None,
            Self::Caller { session_id, .. } => Some(*session_id),
        }
    }
}

impl Wanted {
    /// What these commands are about.
    pub fn of<'c>(commands: impl IntoIterator<Item = &'c Command>) -> Self {
        let mut wanted = Self::default();
        commands.into_iter().for_each(|command| wanted.add(command));
        wanted
    }

    /// A session with all its registrations.
    pub fn all_in(session_id: Uuid) -> Self {
        Self { sessions: [session_id].into(), whole: [session_id].into(), ..Self::default() }
    }

    /// A session, and perhaps an attendee with all of theirs.
    pub fn of_person(session_id: Uuid, attendee_id: Option<Uuid>) -> Self {
        Self { sessions: [session_id].into(), attendees: attendee_id.into_iter().collect(), ..Self::default() }
    }

    /// Whether nothing but the sessions, registrations and people of commands is wanted, and the lines of [`Wanted::heads`].
    pub(super) fn is_plain(&self) -> bool {
        let Self { registrations: _, sessions: _, callers: _, attendees: _, lines, settled: _, offers, whole, leaving: _, refitted } = self;
        lines.is_empty() && offers.is_empty() && whole.is_empty() && refitted.is_empty()
    }

    fn add(&mut self, command: &Command) {
        match *command {
            Command::Book(ref booking) => self.add_booking(booking.session_id, booking.who, booking.actor.user_id),
            Command::BookAll(ref bookings) => {
                for booking in bookings {
                    self.add_booking(booking.session_id, booking.who, booking.actor.user_id);
                }
            }
            Command::Cancel { registration_id, .. } | Command::Decline { registration_id, .. } => self.leave(registration_id),
            Command::Move { registration_id, session_id, .. } => {
                self.sessions.insert(session_id);
                self.leave(registration_id);
            }
            Command::Accept { registration_id, .. } | Command::Prioritise { registration_id, .. } => {
                self.registrations.insert(registration_id);
            }
            Command::Refit { session_id, .. } => {
                self.sessions.insert(session_id);
                self.offers.insert(session_id);
                self.refitted.insert(session_id);
            }
            Command::EndSession { session_id, .. } => {
                self.sessions.insert(session_id);
                self.whole.insert(session_id);
            }
            Command::EndAttendee { attendee_id, .. } => {
                self.attendees.insert(attendee_id);
            }
            Command::Reconsider { .. } => {}
            Command::Settle { session_id, .. } => {
                self.sessions.insert(session_id);
                self.settled.insert(session_id);
            }
        }
    }

    fn add_booking(&mut self, session_id: Uuid, who: Who, user_id: Uuid) {
        self.sessions.insert(session_id);
        match who {
            Who::Caller { .. } => {
                self.callers.insert((user_id, session_id));
            }
            Who::Attendee(id) => {
                self.attendees.insert(id);
            }
        }
    }

    fn leave(&mut self, registration_id: Uuid) {
        self.registrations.insert(registration_id);
        self.leaving.push(registration_id);
    }

    /// Whose registrations matter, as far as is known beforehand. `named` are the registrations that were named.
    pub(super) fn people(&self, named: &[Registration]) -> BTreeSet<Whom> {
        let attendees = self.attendees.iter().copied().chain(named.iter().map(|named| named.attendee_id)).map(Whom::Attendee);
        let callers = self.callers.iter().map(|(user_id, session_id)| Whom::Caller { user_id: *user_id, session_id: *session_id });
        attendees.chain(callers).collect()
    }

    /// Adds what deciding found missing.
    pub fn extend(&mut self, needs: Needs) {
        let Needs { sessions, attendees, lines, offers, whole } = needs;
        self.sessions.extend(sessions);
        self.attendees.extend(attendees);
        self.offers.extend(offers);
        self.whole.extend(whole);
        for session_id in lines {
            let heads = self.lines.entry(session_id).or_insert(SPARE_HEADS);
            *heads = if self.settled.contains(&session_id) { ALL_HEADS } else { heads.saturating_mul(MORE_HEADS) };
        }
    }

    /// The waitlists that seats may go to, and how many of each have to be read: as many as seats can become free, and
    /// some more. `named` are the registrations that were named.
    pub fn heads<'s>(&self, sessions: impl Iterator<Item = &'s SessionState>, named: &[Registration]) -> BTreeMap<Uuid, i64> {
        let session_of: HashMap<Uuid, Uuid> = named.iter().map(|registration| (registration.id, registration.session_id)).collect();
        let mut freed: HashMap<Uuid, i64> = HashMap::new();
        for session_id in self.leaving.iter().filter_map(|id| session_of.get(id)) {
            *freed.entry(*session_id).or_default() += 1;
        }
        let mut lines = BTreeMap::new();
        for session in sessions.filter(|session| session.waitlisted > 0) {
            let limit = if self.refitted.contains(&session.id) { session.capacity } else { session.seats_limit };
            let free = limit.map_or(session.waitlisted, |limit| (limit - session.seats_taken).max(0));
            let free = freed.get(&session.id).copied().unwrap_or(0) + free;
            let usual = match free {
                0 => 0,
                _ if self.settled.contains(&session.id) => ALL_HEADS,
                _ => free + SPARE_HEADS,
            };
            let heads = usual.max(self.lines.get(&session.id).copied().unwrap_or(0));
            if heads > 0 {
                lines.insert(session.id, heads);
            }
        }
        lines
    }
}
