//! The transitions, command by command.

use super::{Model, has_seat};
use plenary::{
    events::model::Admission,
    registrations::{
        decide::AttendeeState,
        model::{Actor, Booking, CancelReason, Command, IfFull, IfOverfull, Registration, Rule, Status, Who},
    },
    sessions::model::WaitlistMode,
};
use uuid::Uuid;

/// A refusal: the code that the contract gives it, and the ids that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct No {
    pub code: &'static str,
    pub names: Vec<Uuid>,
}

impl No {
    /// One that names nothing.
    pub fn code<T>(code: &'static str) -> Result<T, Self> {
        Err(Self { code, names: Vec::new() })
    }
}

/// What is told about a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub row: Registration,
    pub created: bool,
    /// The place in line of a new one.
    pub position: Option<i64>,
}

/// Where a booking leads.
enum Place {
    Seat,
    Line,
}

impl Model {
    /// Does what a command asks. One answer; as many as bookings for a list; none for what is about a session or a person.
    pub fn run(&mut self, command: &Command) -> Vec<Result<Told, No>> {
        match *command {
            Command::Book(ref booking) => vec![self.book(booking)],
            Command::BookAll(ref bookings) => bookings.iter().map(|booking| self.book(booking)).collect(),
            Command::Cancel { registration_id, actor } => vec![self.cancel(registration_id, actor)],
            Command::Move { registration_id, new_id, session_id, if_full, actor } => {
                vec![self.move_to(registration_id, new_id, session_id, if_full, actor)]
            }
            Command::Accept { registration_id, actor } => vec![self.accept(registration_id, actor)],
            Command::Decline { registration_id, actor } => vec![self.decline(registration_id, actor)],
            Command::Prioritise { registration_id, priority, .. } => vec![self.prioritise(registration_id, priority)],
            Command::Refit { session_id, if_overfull, .. } => self.refit(session_id, if_overfull).err().map(Err).into_iter().collect(),
            Command::EndSession { session_id, .. } => {
                // What was over before is not ended by this.
                self.expire(session_id);
                let inside: Vec<Uuid> = self.inside(session_id).map(|row| row.id).collect();
                inside.into_iter().for_each(|id| self.end(id, CancelReason::SessionCancelled));
                Vec::new()
            }
            Command::EndAttendee { attendee_id, .. } => {
                self.erase(attendee_id);
                Vec::new()
            }
            Command::Settle { session_id, .. } => {
                self.touch(session_id);
                Vec::new()
            }
            Command::Reconsider { .. } => Vec::new(),
        }
    }

    /// "every batch first expires what is due in the sessions it touches"; at rest no seat is free for who could have it.
    pub fn touch(&mut self, session: Uuid) {
        if !self.sessions.contains_key(&session) {
            return;
        }
        self.expire(session);
        self.promote(session);
    }

    /// Ends offers whose time is over.
    fn expire(&mut self, session: Uuid) {
        let mut over: Vec<_> = self.inside(session).filter(|row| row.offer_expires_at.is_some_and(|at| at <= self.now)).collect();
        over.sort_by_key(|row| (row.offer_expires_at, row.seq));
        let over: Vec<Uuid> = over.into_iter().map(|row| row.id).collect();
        over.into_iter().for_each(|id| self.end(id, CancelReason::OfferExpired));
    }

    fn promote(&mut self, session: Uuid) {
        while let Some(next) = self.next_eligible(session) {
            match self.offer_until(session) {
                Some(until) => self.change(next, |row| {
                    row.status = Status::Offered;
                    row.offer_expires_at = Some(until);
                }),
                None => self.seat(next),
            }
        }
    }

    fn change(&mut self, id: Uuid, change: impl FnOnce(&mut Registration)) {
        let row = self.rows.get_mut(&id).expect("a row to change");
        change(row);
        row.updated_at = self.now;
        let session = row.session_id;
        let beyond = self.beyond(session);
        let melting = &mut self.sessions.get_mut(&session).expect("its session").over;
        *melting = beyond.min(*melting);
    }

    /// A confirmed seat; what clashes with it is swapped away, and waiting beside it ends where the event says so.
    fn seat(&mut self, id: Uuid) {
        let Registration { session_id: session, attendee_id: person, .. } = self.rows[&id];
        let given_up = self.may_take(session, person).unwrap_or_default();
        self.confirm(id);
        given_up.into_iter().for_each(|seat| self.end(seat, CancelReason::Swapped));
        self.leave_waitlists(id);
    }

    fn confirm(&mut self, id: Uuid) {
        self.change(id, |row| {
            row.status = Status::Confirmed;
            row.offer_expires_at = None;
        });
    }

    fn leave_waitlists(&mut self, gained: Uuid) {
        let Registration { session_id: session, attendee_id: person, .. } = self.rows[&gained];
        if !self.rules(session).leave_overlapping_waitlists {
            return;
        }
        let waits = self.of_person(person).into_iter().filter(|row| row.status == Status::Waitlisted);
        let beside: Vec<Uuid> = waits.filter(|row| self.at_the_hours(session, row.session_id)).map(|row| row.id).collect();
        beside.into_iter().for_each(|id| self.end(id, CancelReason::Withdrawn));
    }

    fn end(&mut self, id: Uuid, reason: CancelReason) {
        let now = self.now;
        self.change(id, |row| {
            row.status = Status::Cancelled;
            row.cancel_reason = Some(reason);
            row.cancelled_at = Some(now);
            row.offer_expires_at = None;
        });
    }

    fn told(&self, id: Uuid) -> Result<Told, No> {
        Ok(Told { row: self.rows[&id].clone(), created: false, position: None })
    }

    fn row(&self, id: Uuid) -> Result<&Registration, No> {
        self.rows.get(&id).map_or_else(|| No::code("not_found"), Ok)
    }

    /// "own …, or organiser": for everybody else it isn't there.
    fn acted_on(&self, id: Uuid, actor: Actor) -> Result<&Registration, No> {
        let row = self.row(id)?;
        if actor.organiser || self.is_own(row, actor) { Ok(row) } else { No::code("not_found") }
    }

    fn is_own(&self, row: &Registration, actor: Actor) -> bool {
        self.people[&row.attendee_id].user_id == Some(actor.user_id)
    }

    fn book(&mut self, booking: &Booking) -> Result<Told, No> {
        let session = booking.session_id;
        let event =
            self.sessions.get(&session).map(|session| session.event_id).filter(|own| booking.within.is_none_or(|event| event == *own));
        let Some(event) = event else { return No::code("not_found") };
        self.touch(session);
        let person = match booking.who {
            Who::Attendee(id) => self.people.get(&id).filter(|person| person.event_id == event),
            Who::Caller { .. } => {
                self.people.values().find(|person| person.event_id == event && person.user_id == Some(booking.actor.user_id))
            }
        };
        let person = person.map(|person| person.id);
        // "any active | book | checked before all others | unchanged"
        if let Some(held) = person.and_then(|person| self.held(session, person)).map(|row| row.id) {
            return if booking.passing.is_some() { self.confirm_held(held, booking) } else { self.told(held) };
        }
        self.published(session)?;
        let (person, is_new) = match (person, booking.who) {
            (Some(person), _) => (person, false),
            (None, Who::Attendee(_)) => return No::code("unknown_reference"),
            (None, Who::Caller { new_attendee_id }) if self.events[&event].admission == Admission::Open => (new_attendee_id, true),
            (None, Who::Caller { .. }) => return No::code("not_admitted"),
        };
        if is_new {
            let user_id = Some(booking.actor.user_id);
            self.people.insert(person, AttendeeState { id: person, event_id: event, user_id, category: None, erased: false });
        }
        let booked = self.book_for(person, booking);
        if is_new && booked.is_err() {
            self.people.remove(&person);
        }
        booked
    }

    fn book_for(&mut self, person: Uuid, booking: &Booking) -> Result<Told, No> {
        let session = booking.session_id;
        self.guards(person, &[], booking)?;
        let place = match self.place(session, person, booking.if_full) {
            // "override … only the named rules are passed | confirmed"
            Ok(Place::Line) | Err(_) if booking.passes(Rule::Capacity) => Place::Seat,
            place => place?,
        };
        if matches!(place, Place::Seat) && !booking.passes(Rule::Overlap) {
            self.without_clash(session, person, &[])?;
        }
        let told = self.enter(booking.registration_id, session, person, &place, booking.priority);
        self.allow_beyond(booking, session);
        Ok(told)
    }

    /// "admitted, entitled; not started; window; limits", unless they are passed over.
    fn guards(&self, person: Uuid, leaving: &[Uuid], booking: &Booking) -> Result<(), No> {
        let session = booking.session_id;
        if !booking.passes(Rule::Entitlement) {
            self.entitled(session, person)?;
        }
        self.begins_later(session)?;
        if !booking.passes(Rule::Window) {
            self.window(session)?;
        }
        if !booking.passes(Rule::Entitlement) { self.limits(session, person, leaving) } else { Ok(()) }
    }

    /// A free seat, else a place in line. Whoever could have the seat has it already: the session was touched.
    fn place(&self, session: Uuid, person: Uuid, if_full: Option<IfFull>) -> Result<Place, No> {
        if self.free_for(session, person) > 0 {
            return Ok(Place::Seat);
        }
        let own = &self.sessions[&session];
        if own.waitlist_mode == WaitlistMode::None || if_full == Some(IfFull::Reject) {
            return No::code("session_full");
        }
        let full = own.waitlist_limit.is_some_and(|limit| self.line(session).len() as i64 >= limit);
        if full { No::code("waitlist_full") } else { Ok(Place::Line) }
    }

    fn enter(&mut self, id: Uuid, session: Uuid, person: Uuid, place: &Place, priority: i64) -> Told {
        let row = Registration {
            id,
            session_id: session,
            attendee_id: person,
            status: if matches!(place, Place::Seat) { Status::Confirmed } else { Status::Waitlisted },
            seq: self.next_seq(session),
            priority,
            offer_expires_at: None,
            checked_in_at: None,
            cancel_reason: None,
            moved_to: None,
            created_at: self.now,
            updated_at: self.now,
            cancelled_at: None,
        };
        self.rows.insert(id, row);
        if matches!(place, Place::Seat) {
            self.leave_waitlists(id);
        }
        // Before whom somebody with a priority came is only told when asked.
        let position = self.line(session).iter().position(|row| row.id == id && priority == 0).map(|index| index as i64 + 1);
        Told { row: self.rows[&id].clone(), created: true, position }
    }

    /// "seats_over = max(0, taken − limit)", where an organiser passed the capacity over.
    fn allow_beyond(&mut self, booking: &Booking, session: Uuid) {
        if booking.passes(Rule::Capacity) {
            let beyond = self.beyond(session);
            let own = self.sessions.get_mut(&session).expect("a session");
            own.over = own.over.max(beyond);
        }
    }

    /// "it also confirms somebody who waits", who keeps their seq.
    fn confirm_held(&mut self, held: Uuid, booking: &Booking) -> Result<Told, No> {
        let Registration { session_id: session, attendee_id: person, status, .. } = self.rows[&held];
        if status == Status::Confirmed {
            return self.told(held);
        }
        self.published(session)?;
        self.guards(person, &[held], booking)?;
        if status == Status::Waitlisted && !booking.passes(Rule::Capacity) {
            self.place(session, person, Some(IfFull::Reject))?;
        }
        if !booking.passes(Rule::Overlap) {
            self.without_clash(session, person, &[])?;
        }
        self.confirm(held);
        self.allow_beyond(booking, session);
        self.leave_waitlists(held);
        self.told(held)
    }

    fn cancel(&mut self, id: Uuid, actor: Actor) -> Result<Told, No> {
        self.touch(self.acted_on(id, actor)?.session_id);
        let row = self.row(id)?;
        if row.status == Status::Cancelled {
            return self.told(id);
        }
        self.may_leave(row, actor)?;
        let (session, own) = (row.session_id, self.is_own(row, actor));
        self.end(id, if own { CancelReason::ByAttendee } else { CancelReason::ByOrganiser });
        self.promote(session);
        self.told(id)
    }

    /// "attendees until the start, organisers at any time, nobody once checked in".
    fn may_leave(&self, row: &Registration, actor: Actor) -> Result<(), No> {
        if row.checked_in_at.is_some() {
            return No::code("checked_in");
        }
        if !actor.organiser && self.started(row.session_id) { No::code("session_started") } else { Ok(()) }
    }

    /// Why there is no offer to take or leave.
    fn no_offer<T>(row: &Registration) -> Result<T, No> {
        match row.cancel_reason {
            Some(CancelReason::OfferExpired) => No::code("offer_expired"),
            Some(_) => No::code("registration_cancelled"),
            None => No::code("not_offered"),
        }
    }

    fn accept(&mut self, id: Uuid, actor: Actor) -> Result<Told, No> {
        self.touch(self.acted_on(id, actor)?.session_id);
        let row = self.row(id)?;
        match row.status {
            Status::Confirmed => return self.told(id),
            Status::Offered => {}
            _ => return Self::no_offer(row),
        }
        self.may_take(row.session_id, row.attendee_id)?;
        self.seat(id);
        self.told(id)
    }

    fn decline(&mut self, id: Uuid, actor: Actor) -> Result<Told, No> {
        self.touch(self.acted_on(id, actor)?.session_id);
        let row = self.row(id)?;
        if row.status == Status::Offered {
            let session = row.session_id;
            self.end(id, CancelReason::Declined);
            self.promote(session);
        } else if row.cancel_reason != Some(CancelReason::Declined) {
            return Self::no_offer(row);
        }
        self.told(id)
    }

    fn prioritise(&mut self, id: Uuid, priority: i64) -> Result<Told, No> {
        self.touch(self.row(id)?.session_id);
        let row = self.row(id)?;
        if row.status == Status::Cancelled {
            return No::code("registration_cancelled");
        }
        if row.priority != priority {
            self.change(id, |row| row.priority = priority);
        }
        self.told(id)
    }

    /// "book(B) passes with A left out of overlap and limits … else A untouched".
    fn move_to(&mut self, id: Uuid, new_id: Uuid, to: Uuid, if_full: Option<IfFull>, actor: Actor) -> Result<Told, No> {
        let from = self.acted_on(id, actor)?.session_id;
        if self.sessions.get(&to).is_none_or(|target| target.event_id != self.sessions[&from].event_id) {
            return No::code("unknown_reference");
        }
        self.touch(from);
        self.touch(to);
        let row = self.row(id)?;
        if row.status == Status::Cancelled {
            // "a repeated move: 200 with the target"
            let target = row.moved_to.filter(|target| self.rows[target].session_id == to);
            return target.map_or_else(|| No::code("registration_cancelled"), |target| self.told(target));
        }
        if from == to {
            return self.told(id);
        }
        self.may_leave(row, actor)?;
        let person = row.attendee_id;
        let there = self.held(to, person).map(|row| (row.id, row.status));
        let place = self.place_there(id, person, to, there.map(|(_, status)| status), if_full)?;
        let target = there.map_or(new_id, |(held, _)| held);
        self.end(id, CancelReason::Moved);
        self.change(id, |row| row.moved_to = Some(target));
        let told = match (there, &place) {
            (None, _) => self.enter(new_id, to, person, &place, 0),
            (Some((held, Status::Waitlisted | Status::Offered)), Place::Seat) => {
                self.confirm(held);
                self.leave_waitlists(held);
                self.told(held)?
            }
            (Some((held, _)), _) => self.told(held)?,
        };
        self.promote(from);
        Ok(told)
    }

    fn place_there(&self, id: Uuid, person: Uuid, to: Uuid, there: Option<Status>, if_full: Option<IfFull>) -> Result<Place, No> {
        if there == Some(Status::Confirmed) {
            return Ok(Place::Seat);
        }
        self.published(to).map_err(|no| if no.code == "not_found" { No { code: "unknown_reference", ..no } } else { no })?;
        let waits = if_full == Some(IfFull::Waitlist);
        if there.is_none() {
            self.entitled(to, person)?;
        }
        self.begins_later(to)?;
        let place = match there {
            Some(Status::Offered) => Place::Seat,
            Some(_) if self.free_for(to, person) > 0 => Place::Seat,
            Some(_) if waits => Place::Line,
            Some(_) => return No::code("session_full"),
            None => {
                self.window(to)?;
                self.limits(to, person, &[id])?;
                self.place(to, person, Some(if waits { IfFull::Waitlist } else { IfFull::Reject }))?
            }
        };
        if matches!(place, Place::Seat) {
            self.entitled(to, person)?;
            self.without_clash(to, person, &[id])?;
            self.limits(to, person, &[id])?;
        }
        Ok(place)
    }

    /// "Lowering capacity below the seats taken is refused with the number and whom it would hit, unless …".
    fn refit(&mut self, session: Uuid, if_overfull: IfOverfull) -> Result<(), No> {
        // "an offer ends with the start", also of a session that was brought forward
        let starts_at = self.sessions[&session].starts_at;
        let longer = |row: &&Registration| row.offer_expires_at.is_some_and(|until| starts_at < until);
        for id in self.inside(session).filter(longer).map(|row| row.id).collect::<Vec<_>>() {
            self.change(id, |row| row.offer_expires_at = Some(starts_at));
        }
        self.expire(session);
        let own = &self.sessions[&session];
        let (before, after) = (own.limit, own.capacity);
        let is_lower = after.is_some_and(|after| before.is_none_or(|before| after < before));
        let too_many = after.map_or(0, |after| self.taken(session) - after);
        if is_lower && too_many > 0 && if_overfull != IfOverfull::Keep {
            // "offers first, then highest seq, never the checked-in"
            let mut seated: Vec<_> = self.inside(session).filter(|row| has_seat(row) && row.checked_in_at.is_none()).collect();
            seated.sort_by_key(|row| (row.status != Status::Offered, std::cmp::Reverse(row.seq)));
            let newest: Vec<Uuid> = seated.into_iter().take(too_many as usize).map(|row| row.id).collect();
            if if_overfull == IfOverfull::Refuse {
                return Err(No { code: "has_registrations", names: newest });
            }
            if own.waitlist_mode == WaitlistMode::None {
                return No::code("no_waitlist");
            }
            for id in newest {
                self.change(id, |row| {
                    row.status = Status::Waitlisted;
                    row.offer_expires_at = None;
                });
            }
        }
        if before != after {
            self.sessions.get_mut(&session).expect("a session").limit = after;
            let beyond = self.beyond(session);
            self.sessions.get_mut(&session).expect("a session").over = beyond;
        }
        self.promote(session);
        Ok(())
    }

    /// All of theirs end before anybody moves up, else they would themselves.
    fn erase(&mut self, person: Uuid) {
        let held: Vec<(Uuid, Uuid)> = self.of_person(person).into_iter().map(|row| (row.id, row.session_id)).collect();
        for (id, session) in &held {
            self.expire(*session);
            if self.rows[id].status != Status::Cancelled {
                self.end(*id, CancelReason::Erased);
            }
        }
        held.into_iter().for_each(|(_, session)| self.promote(session));
    }
}
