//! Worlds and commands out of numbers. Zero is the plainest of everything, so that a history that shrinks towards zero
//! shrinks towards what is easy to read.

use super::store::Store;
use plenary::{
    clock::Timestamp,
    db::JsonText,
    events::model::{Admission, EventStatus, OnClash, Overlap, Zone},
    registrations::{
        decide::{AttendeeState, EventRules, SessionState},
        model::{Actor, Booking, Command, IfFull, IfOverfull, Override, Rule, Who},
    },
    sessions::model::{Pool, SessionStatus, WaitlistMode},
};
use uuid::Uuid;

/// A step of a history. The last two say whether it joins the batch before it, and how often more may be read for that.
pub type Step = [u16; 16];

/// Numbers that are read one after the other; zeros at their end.
pub struct Numbers<'n>(std::slice::Iter<'n, u16>);

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const CATEGORIES: [&str; 2] = ["expert", "student"];

impl<'n> Numbers<'n> {
    pub fn new(numbers: &'n [u16]) -> Self {
        Self(numbers.iter())
    }

    fn below(&mut self, end: usize) -> usize {
        self.0.next().map_or(0, |number| usize::from(*number) % end)
    }

    /// One of these; the first is the plainest.
    fn of<T: Clone>(&mut self, these: &[T]) -> T {
        these[self.below(these.len())].clone()
    }

    /// True once in so many times.
    fn rarely(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }
}

/// The `n`-th id of a kind. In no order, as real ones of one moment.
pub fn id(kind: u64, n: u64) -> Uuid {
    Uuid::from_u64_pair(kind, (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// A told history with short names in place of ids, and without what is not there.
pub fn brief(told: &str) -> String {
    let mut brief = String::new();
    let mut rest = told;
    while let Some(at) = rest.find("00000000-0000-000") {
        let (before, from) = rest.split_at(at);
        let (text, after) = from.split_at(from.len().min(36));
        brief += before;
        brief += &text.parse().map_or_else(|_| text.to_owned(), short);
        rest = after;
    }
    brief += rest;
    let mut words: Vec<&str> = brief.split_inclusive(", ").collect();
    words.retain(|word| !word.ends_with(": None, "));
    words.concat().replace("Timestamp(", "(")
}

/// A letter and a number for an id of ours.
fn short(given: Uuid) -> String {
    let kind = given.as_u64_pair().0;
    let letter = ["?", "E", "S", "P", "U", "R", "O"][kind as usize % 7];
    (0..2_000).find(|n| id(kind, *n) == given).map_or_else(|| given.to_string(), |n| format!("{letter}{n}"))
}

pub const EVENTS: u64 = 1;
pub const SESSIONS: u64 = 2;
pub const PEOPLE: u64 = 3;
pub const USERS: u64 = 4;
pub const REGISTRATIONS: u64 = 5;
pub const ROOMS: u64 = 6;

/// When a history begins: a day before the clocks of its zone change.
pub fn beginning() -> Timestamp {
    crate::support::at("2026-03-28T08:00:00Z")
}

/// A conference without registrations.
pub fn world(numbers: &[u16]) -> Store {
    let mut numbers = Numbers::new(numbers);
    let mut store = Store::default();
    let sessions = 2 + numbers.below(4) as u64;
    let people = 3 + numbers.below(6) as u64;
    let events = if numbers.rarely(8) { 2 } else { 1 };
    for n in 0..events {
        let event = event(id(EVENTS, n), &mut numbers);
        store.events.insert(event.id, event);
    }
    for n in 0..sessions {
        let of = id(EVENTS, n % events);
        let session = session(n, of, &mut numbers);
        store.sessions.insert(session.id, session);
    }
    for n in 0..people {
        let category = numbers.of(&[None, Some(CATEGORIES[0]), None, Some(CATEGORIES[1])]).map(str::to_owned);
        let user_id = (!numbers.rarely(4)).then(|| id(USERS, n));
        let event_id = id(EVENTS, n % events);
        store.attendees.insert(id(PEOPLE, n), AttendeeState { id: id(PEOPLE, n), event_id, user_id, category, erased: false });
    }
    store
}

fn event(id: Uuid, numbers: &mut Numbers) -> EventRules {
    let mut event = EventRules {
        id,
        status: EventStatus::Published,
        time_zone: Zone::get("Europe/Oslo").expect("a zone"),
        opens_at: None,
        closes_at: None,
        admission: numbers.of(&[Admission::Open, Admission::AttendeesOnly]),
        overlap: Overlap::Reject,
        overlap_buffer_minutes: 0,
        on_promotion_clash: OnClash::Skip,
        leave_overlapping_waitlists: false,
        max_sessions: None,
        max_sessions_per_day: None,
        offer_ttl_minutes: 1440,
        offer_last_day_ttl_minutes: 120,
        offer_automatic_minutes: 60,
    };
    (0..RULES).for_each(|which| rule(&mut event, which, numbers));
    event
}

/// How many rules an event has that can be changed.
const RULES: usize = 11;

/// Changes a rule of an event.
pub fn rule(event: &mut EventRules, which: usize, numbers: &mut Numbers) {
    let at = |hours: i64| Some(beginning().plus_secs(hours * HOUR));
    match which {
        0 => event.overlap = numbers.of(&[Overlap::Reject, Overlap::Reject, Overlap::Reject, Overlap::Allow]),
        1 => event.on_promotion_clash = numbers.of(&[OnClash::Skip, OnClash::Swap]),
        2 => event.leave_overlapping_waitlists = numbers.rarely(3),
        3 => event.max_sessions = numbers.of(&[None, None, Some(1), Some(2), Some(3)]),
        4 => event.max_sessions_per_day = numbers.of(&[None, None, Some(1), Some(2)]),
        5 => event.overlap_buffer_minutes = numbers.of(&[0, 0, 15, 30]),
        6 => event.offer_ttl_minutes = numbers.of(&[1440, 30]),
        7 => event.offer_last_day_ttl_minutes = numbers.of(&[120, 10, 600]),
        8 => event.offer_automatic_minutes = numbers.of(&[60, 0, 300]),
        9 => event.opens_at = if numbers.rarely(16) { at(1) } else { None },
        _ => event.closes_at = if numbers.rarely(16) { at(3) } else { None },
    }
}

/// Changes one or another.
pub fn any_rule(event: &mut EventRules, numbers: &mut Numbers) {
    let which = numbers.below(RULES + 1);
    if which == RULES {
        event.status = if event.status == EventStatus::Archived { EventStatus::Published } else { EventStatus::Archived };
    } else {
        rule(event, which, numbers);
    }
}

fn session(n: u64, event_id: Uuid, numbers: &mut Numbers) -> SessionState {
    let mut session = SessionState {
        id: id(SESSIONS, n),
        event_id,
        code: format!("S{n}"),
        status: SessionStatus::Published,
        starts_at: beginning(),
        ends_at: beginning(),
        room_id: None,
        opens_at: None,
        closes_at: None,
        waitlist_mode: WaitlistMode::Auto,
        waitlist_limit: None,
        categories: JsonText(Vec::new()),
        pools: JsonText(Vec::new()),
        capacity: None,
        seats_limit: None,
        seats_taken: 0,
        seats_over: 0,
        waitlisted: 0,
        last_seq: 0,
        last_change: 0,
        due_at: None,
    };
    for which in [Part::Hours, Part::Waitlist, Part::Pools, Part::Window, Part::Capacity] {
        change(&mut session, which, numbers);
    }
    session.seats_limit = session.capacity;
    session.due_at = session.pools.0.iter().filter_map(|pool| pool.releases_at).min();
    session
}

/// What can be changed of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Capacity,
    Hours,
    Waitlist,
    Pools,
    Window,
    Status,
}

/// Changes a part of a session.
pub fn change(session: &mut SessionState, part: Part, numbers: &mut Numbers) {
    let at = |minutes: i64| beginning().plus_secs(minutes * MINUTE);
    match part {
        Part::Capacity => session.capacity = numbers.of(&[Some(1), Some(2), Some(3), Some(1), Some(0), None]),
        Part::Hours => {
            // In the last hour before midnight in Oslo, and in the next day, as well.
            let start = numbers.of(&[240, 240, 240, 240, 240, 270, 270, 300, 870, 900, 930, 1680]);
            session.starts_at = at(start);
            session.ends_at = at(start + numbers.of(&[60, 30, 90]));
            session.room_id = numbers.of(&[None, Some(0), Some(1), Some(0)]).map(|n| id(ROOMS, n));
        }
        Part::Waitlist => {
            session.waitlist_mode =
                numbers.of(&[WaitlistMode::Auto, WaitlistMode::Auto, WaitlistMode::Offer, WaitlistMode::Offer, WaitlistMode::None]);
            session.waitlist_limit = numbers.of(&[None, None, None, Some(1), Some(2), Some(0)]);
        }
        Part::Pools => {
            let mut pool = |category: &str| {
                let seats = numbers.of(&[0, 0, 1, 2]);
                let releases_at = numbers.of(&[None, Some(at(60)), Some(at(230)), Some(at(2000))]);
                (seats > 0).then(|| Pool { category: category.to_owned(), seats, releases_at })
            };
            session.pools = JsonText(CATEGORIES.iter().filter_map(|category| pool(category)).collect());
        }
        Part::Window => {
            session.opens_at = numbers.rarely(16).then(|| at(30));
            session.closes_at = numbers.rarely(16).then(|| at(120));
            let for_some = numbers.rarely(12).then_some(CATEGORIES[0]);
            session.categories = JsonText(for_some.into_iter().map(str::to_owned).collect());
        }
        Part::Status => {
            let published = session.status == SessionStatus::Published;
            let others = [SessionStatus::Cancelled, SessionStatus::Cancelled, SessionStatus::Draft];
            session.status = if published { numbers.of(&others) } else { SessionStatus::Published };
        }
    }
}

/// What a step does.
pub enum Act {
    /// Ask the engine.
    Ask(Command),
    /// Let so many seconds pass.
    Wait(i64),
    /// Let time pass until something happens by itself.
    WaitUntil(Timestamp),
    /// Do what is due.
    Watch,
    /// Change a session.
    Edit(Uuid, Part, IfOverfull),
    /// Change the rules of an event.
    Rules(Uuid),
    /// Make somebody one of another category.
    Categorise(Uuid, Option<&'static str>),
    /// Somebody comes through the door.
    CheckIn(Uuid),
    /// Erase somebody.
    Erase(Uuid),
}

/// What a step does in the world as it is. `made` are the registrations that were made, or may be made by the batch under
/// way, in order; the next one is the `n`-th.
pub fn act(numbers: &mut Numbers, store: &Store, made: &[Uuid], now: Timestamp, n: u64) -> Act {
    let kind = numbers.below(64);
    let sessions: Vec<Uuid> = store.sessions.keys().copied().collect();
    let session = numbers.of(&sessions);
    let event = store.sessions[&session].event_id;
    // Of another event only now and then.
    let wanted = numbers.below(1 << 12);
    let near = |person: &&AttendeeState| person.event_id == event || wanted % 32 == 31;
    let people: Vec<Uuid> = store.attendees.values().filter(near).map(|person| person.id).collect();
    let person = people[wanted / 32 % people.len()];
    let offered = registration(numbers, store, made, (42..49).contains(&kind));
    let mut actor = Actor { user_id: id(USERS, numbers.below(12) as u64), organiser: !numbers.rarely(3) };
    let owner = offered.and_then(|row| store.attendees[&store.registrations.get(&row)?.attendee_id].user_id);
    if let Some(owner) = owner.filter(|_| !actor.organiser && !numbers.rarely(8)) {
        actor.user_id = owner;
    }
    let if_full = numbers.of(&[None, None, None, Some(IfFull::Reject), Some(IfFull::Waitlist)]);
    match (kind, offered) {
        (25..36, Some(row)) => Act::Ask(Command::Cancel { registration_id: row, actor }),
        (36..42, Some(row)) => {
            Act::Ask(Command::Move { registration_id: row, new_id: id(REGISTRATIONS, n), session_id: session, if_full, actor })
        }
        (42..46, Some(row)) => Act::Ask(Command::Accept { registration_id: row, actor }),
        (46..48, Some(row)) => Act::Ask(Command::Decline { registration_id: row, actor }),
        (48, Some(row)) if numbers.rarely(4) => Act::CheckIn(row),
        (48..50, Some(row)) => Act::Ask(Command::Prioritise { registration_id: row, priority: numbers.below(3) as i64, actor }),
        (50..52, _) => Act::Watch,
        (52, _) => Act::Wait(MINUTE * numbers.of(&[1, 10, 30, 60])),
        (53, _) => moments(store, now).first().map_or(Act::Watch, |at| Act::WaitUntil(*at)),
        (54..60, _) => {
            let part = match numbers.below(16) {
                0..8 => Part::Capacity,
                8..10 => Part::Hours,
                10..12 => Part::Waitlist,
                12..14 => Part::Pools,
                14 => Part::Window,
                _ => Part::Status,
            };
            Act::Edit(session, part, numbers.of(&[IfOverfull::Refuse, IfOverfull::Keep, IfOverfull::WaitlistNewest]))
        }
        (60, _) => Act::Rules(event),
        (61, _) if numbers.rarely(4) => Act::Erase(person),
        (61, _) => Act::Categorise(person, numbers.of(&[None, Some(CATEGORIES[0]), Some(CATEGORIES[1])])),
        (62..64, _) => {
            let booking = |k: u64| booking(id(REGISTRATIONS, n + k), sessions[k as usize % sessions.len()], Who::Attendee(person), actor);
            Act::Ask(Command::BookAll((0..3).map(booking).collect()))
        }
        _ => Act::Ask(Command::Book(book(numbers, n, session, person, if_full, actor))),
    }
}

fn booking(registration_id: Uuid, session_id: Uuid, who: Who, actor: Actor) -> Booking {
    Booking { registration_id, session_id, within: None, who, if_full: None, passing: None, priority: 0, actor }
}

fn book(numbers: &mut Numbers, n: u64, session: Uuid, person: Uuid, if_full: Option<IfFull>, actor: Actor) -> Booking {
    let who = if numbers.rarely(12) { Who::Caller { new_attendee_id: id(PEOPLE, 1_000 + n) } } else { Who::Attendee(person) };
    let mut booking = Booking { if_full, ..booking(id(REGISTRATIONS, n), session, who, actor) };
    let rules = numbers.below(256);
    if rules >= 208 && actor.organiser {
        let all = [Rule::Capacity, Rule::Window, Rule::Overlap, Rule::Entitlement];
        let rules = all.into_iter().enumerate().filter(|(bit, _)| rules & (1 << bit) != 0).map(|(_, rule)| rule).collect();
        booking.passing = Some(Box::new(Override { rules, reason: "asked".to_owned() }));
    }
    booking.priority = numbers.of(&[0, 0, 0, 0, 0, 1, 2]);
    booking
}

/// A registration, mostly an active one, and one that is offered if such is wanted. Zero is the newest, whatever was before.
fn registration(numbers: &mut Numbers, store: &Store, made: &[Uuid], offered: bool) -> Option<Uuid> {
    let wanted = numbers.below(1 << 12);
    let ended = wanted % 16 == 15;
    let there = |id: &&Uuid| store.registrations.get(id).map_or(wanted % 16 > 12, |row| ended || row.is_active());
    let mut all: Vec<&Uuid> = made.iter().rev().filter(there).collect();
    if offered && !ended {
        let is_offered = |id: &&&Uuid| store.registrations.get(id).is_some_and(|row| row.offer_expires_at.is_some());
        all = Some(all.iter().copied().filter(|id| is_offered(&id)).collect())
            .filter(|offers: &Vec<&Uuid>| !offers.is_empty())
            .unwrap_or(all);
    }
    (!all.is_empty()).then(|| *all[wanted / 16 % all.len()])
}

/// The moments that are to come at which something happens by itself, or just before.
fn moments(store: &Store, now: Timestamp) -> Vec<Timestamp> {
    let offers = store.registrations.values().filter_map(|row| row.offer_expires_at);
    let starts = store.sessions.values().map(|session| session.starts_at);
    let releases = store.sessions.values().flat_map(|session| session.pools.0.iter().filter_map(|pool| pool.releases_at));
    let mut moments: Vec<Timestamp> = offers.chain(starts).chain(releases).filter(|at| *at > now).collect();
    moments.sort();
    moments
}
