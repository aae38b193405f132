//! What somebody may have.

use super::{Model, No, Session};
use plenary::{
    clock::Timestamp,
    events::model::{EventStatus, OnClash, Overlap},
    registrations::{
        decide::EventRules,
        model::{Registration, Status},
    },
    sessions::model::{SessionStatus, WaitlistMode},
};
use uuid::Uuid;

const MINUTE_SECS: i64 = 60;
const DAY_SECS: i64 = 24 * 60 * MINUTE_SECS;

impl Model {
    /// The rules that a session is under.
    pub fn rules(&self, session: Uuid) -> &EventRules {
        &self.events[&self.sessions[&session].event_id]
    }

    /// "visible and published".
    pub fn published(&self, session: Uuid) -> Result<(), No> {
        match (self.rules(session).status, self.sessions[&session].status) {
            (EventStatus::Draft, _) | (_, SessionStatus::Draft) => No::code("not_found"),
            (_, SessionStatus::Cancelled) => No::code("session_cancelled"),
            _ => Ok(()),
        }
    }

    /// Whether a session has begun.
    pub fn started(&self, session: Uuid) -> bool {
        self.sessions[&session].starts_at <= self.now
    }

    /// "A started session takes no bookings"; nor does an event that is over.
    pub fn begins_later(&self, session: Uuid) -> Result<(), No> {
        if self.started(session) {
            return No::code("session_started");
        }
        if self.rules(session).status == EventStatus::Archived { No::code("booking_closed") } else { Ok(()) }
    }

    /// "Booking window per event and per session".
    pub fn window(&self, session: Uuid) -> Result<(), No> {
        let (event, session) = (self.rules(session), &self.sessions[&session]);
        if session.opens_at.or(event.opens_at).is_some_and(|opens| self.now < opens) {
            return No::code("booking_not_open");
        }
        if session.closes_at.or(event.closes_at).is_some_and(|closes| self.now >= closes) { No::code("booking_closed") } else { Ok(()) }
    }

    /// "who may book which session by attendee category".
    pub fn entitled(&self, session: Uuid, person: Uuid) -> Result<(), No> {
        let wanted = &self.sessions[&session].categories;
        let entitled = wanted.is_empty() || self.category(person).is_some_and(|own| wanted.iter().any(|one| one == own));
        if entitled { Ok(()) } else { No::code("not_entitled") }
    }

    /// The seats a person keeps if they leave some: "an offer is not yet a seat".
    fn seats(&self, person: Uuid, leaving: &[Uuid]) -> Vec<&Registration> {
        self.of_person(person).into_iter().filter(|row| row.status == Status::Confirmed && !leaving.contains(&row.id)).collect()
    }

    /// "sessions per person per event and per day".
    pub fn limits(&self, session: Uuid, person: Uuid, leaving: &[Uuid]) -> Result<(), No> {
        let rules = self.rules(session);
        let day = |session: Uuid| rules.time_zone.as_jiff().to_datetime(self.sessions[&session].starts_at.to_jiff()).date();
        let others: Vec<_> = self.seats(person, leaving).into_iter().filter(|row| row.session_id != session).collect();
        let that_day = others.iter().filter(|row| day(row.session_id) == day(session)).count() as i64;
        let reached = |have: i64, most: Option<i64>| most.is_some_and(|most| have >= most);
        if reached(others.len() as i64, rules.max_sessions) || reached(that_day, rules.max_sessions_per_day) {
            return No::code("limit_reached");
        }
        Ok(())
    }

    /// The seats at the hours of a session, the earliest first: "half-open [start, end); an optional buffer in minutes
    /// applies between different rooms".
    pub fn clashes(&self, session: Uuid, person: Uuid, leaving: &[Uuid]) -> Vec<Uuid> {
        if self.rules(session).overlap == Overlap::Allow {
            return Vec::new();
        }
        let mut clashing: Vec<_> =
            self.seats(person, leaving).into_iter().filter(|row| self.at_the_hours(session, row.session_id)).collect();
        clashing.sort_by_key(|row| (self.sessions[&row.session_id].starts_at, row.id));
        clashing.into_iter().map(|row| row.id).collect()
    }

    /// Whether nobody can be in both. Where no room is named they may be far apart.
    pub fn at_the_hours(&self, one: Uuid, other: Uuid) -> bool {
        let buffer = self.rules(one).overlap_buffer_minutes * MINUTE_SECS;
        let (one, other) = (&self.sessions[&one], &self.sessions[&other]);
        let walk = if one.room_id.is_some() && one.room_id == other.room_id { 0 } else { buffer };
        let before = |first: &Session, second: &Session| first.ends_at.plus_secs(walk) <= second.starts_at;
        one.id != other.id && !before(one, other) && !before(other, one)
    }

    /// "time_conflict names the session that clashes".
    pub fn without_clash(&self, session: Uuid, person: Uuid, leaving: &[Uuid]) -> Result<(), No> {
        match self.clashes(session, person, leaving).first() {
            None => Ok(()),
            Some(seat) => Err(No { code: "time_conflict", names: vec![self.rows[seat].session_id, *seat] }),
        }
    }

    /// "free for a person of category c = limit − taken − Σ over unreleased pools p ≠ c of max(0, p.seats − taken by p's
    /// category)".
    pub fn free_for(&self, session: Uuid, person: Uuid) -> i64 {
        let own = self.category(person);
        let Session { limit, pools, .. } = &self.sessions[&session];
        let Some(limit) = limit else { return i64::MAX };
        let unreleased = pools.iter().filter(|pool| pool.releases_at.is_none_or(|at| self.now < at));
        let of_others = unreleased.filter(|pool| Some(pool.category.as_str()) != own);
        let held: i64 = of_others.map(|pool| (pool.seats - self.taken_by(session, &pool.category)).max(0)).sum();
        limit - self.taken(session) - held
    }

    /// Whether a seat may be given to who waits, by entitlement, overlap and limits; answers the seats they give up for it
    /// where the event says `swap`: never one whose session has begun or where they have checked in.
    pub fn may_take(&self, session: Uuid, person: Uuid) -> Result<Vec<Uuid>, No> {
        self.entitled(session, person)?;
        let mut given_up = Vec::new();
        if self.rules(session).on_promotion_clash == OnClash::Swap {
            given_up = self.clashes(session, person, &[]);
            if given_up.iter().any(|seat| self.rows[seat].checked_in_at.is_some() || self.started(self.rows[seat].session_id)) {
                given_up.clear();
            }
        }
        self.without_clash(session, person, &given_up)?;
        self.limits(session, person, &given_up)?;
        Ok(given_up)
    }

    /// "eligible = would be confirmed if they booked now, opening of the window aside".
    pub fn eligible(&self, session: Uuid, person: Uuid) -> bool {
        let open = self.published(session).is_ok() && self.begins_later(session).is_ok();
        open && self.free_for(session, person) > 0 && self.may_take(session, person).is_ok()
    }

    /// The first in line who could have a seat now.
    pub fn next_eligible(&self, session: Uuid) -> Option<Uuid> {
        self.line(session).into_iter().find(|row| self.eligible(session, row.attendee_id)).map(|row| row.id)
    }

    /// Until when a seat that is freed now is held for who is next: "min(now + ttl, start)", and nothing in the last hour.
    pub fn offer_until(&self, session: Uuid) -> Option<Timestamp> {
        let (rules, session) = (self.rules(session), &self.sessions[&session]);
        if session.waitlist_mode != WaitlistMode::Offer {
            return None;
        }
        let left_secs = (session.starts_at.as_micros() - self.now.as_micros()) as f64 / 1e6;
        let within = |secs: i64| left_secs <= secs as f64;
        if within(rules.offer_automatic_minutes * MINUTE_SECS) {
            return None;
        }
        let minutes = if within(DAY_SECS) { rules.offer_last_day_ttl_minutes } else { rules.offer_ttl_minutes };
        Some(self.now.plus_secs(minutes * MINUTE_SECS).min(session.starts_at))
    }
}
