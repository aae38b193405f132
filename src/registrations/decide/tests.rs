//! The decision function against a naive model of the same rules, over random worlds and batches.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const NOW: i64 = 1_000_000_000;
const START: i64 = 2_000_000_000;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn session(number: u128, limit: Option<i64>, waitlist_mode: WaitlistMode) -> SessionState {
    SessionState {
        id: uuid(number),
        event_id: uuid(1),
        event_status: EventStatus::Published,
        status: SessionStatus::Published,
        starts_at: at(START),
        opens_at: None,
        closes_at: None,
        admission: Admission::Open,
        waitlist_mode,
        seats_limit: limit,
        seats_taken: 0,
        seats_over: 0,
        waitlisted: 0,
        last_seq: 0,
        last_change: 0,
    }
}

/// What the database would hold.
#[derive(Clone, Default)]
struct Tables {
    sessions: HashMap<Uuid, SessionState>,
    attendees: Vec<AttendeeState>,
    registrations: HashMap<Uuid, Registration>,
    journal: Vec<Change>,
}

impl Tables {
    fn with(sessions: impl IntoIterator<Item = SessionState>) -> Self {
        Self { sessions: sessions.into_iter().map(|session| (session.id, session)).collect(), ..Self::default() }
    }

    /// Loads as the engine does, but only `heads` of each waitlist.
    fn load(&self, heads: usize) -> World {
        let mut world = World::default();
        self.sessions.values().for_each(|session| world.add_session(session.clone()));
        self.attendees.iter().for_each(|attendee| world.add_attendee(attendee.clone()));
        self.registrations.values().for_each(|registration| world.add_registration(registration.clone()));
        for session in self.sessions.values().filter(|session| session.waitlisted > 0) {
            let mut waiting = self.waiting(session.id);
            waiting.truncate(heads);
            let whole = waiting.len() < heads;
            world.add_line(session.id, waiting, whole);
        }
        world
    }

    fn waiting(&self, session_id: Uuid) -> Vec<Registration> {
        let all = self.registrations.values().filter(|row| row.session_id == session_id && row.status == Status::Waitlisted);
        let mut waiting: Vec<Registration> = all.cloned().collect();
        waiting.sort_by_key(|row| row.seq);
        waiting
    }

    fn run(&mut self, commands: &[Command], now: Timestamp) -> Vec<Result<Outcome, Refusal>> {
        let mut heads = 1;
        loop {
            match decide(self.load(heads), commands, now) {
                Ok(decided) => {
                    self.apply(decided.changes);
                    return decided.outcomes;
                }
                Err(Needs(_)) => heads *= 2,
            }
            assert!(heads < 1 << 20, "deciding never has enough");
        }
    }

    fn apply(&mut self, changes: Changes) {
        for (id, event_id, user_id) in changes.attendees {
            self.attendees.push(AttendeeState { id, event_id, user_id: Some(user_id) });
        }
        for registration in changes.inserted {
            assert!(self.registrations.insert(registration.id, registration).is_none(), "inserted twice");
        }
        for registration in changes.updated {
            assert!(self.registrations.insert(registration.id, registration).is_some(), "updated what is not there");
        }
        for session in changes.seats {
            self.sessions.insert(session.id, session);
        }
        self.journal.extend(changes.journal);
    }

    /// I1, I3, I5 and I6 of the design, and a journal without gaps.
    fn check(&self) {
        for session in self.sessions.values() {
            let rows: Vec<&Registration> = self.registrations.values().filter(|row| row.session_id == session.id).collect();
            let count = |status: Status| rows.iter().filter(|row| row.status == status).count() as i64;
            assert_eq!(session.seats_taken, count(Status::Confirmed), "seats taken are counted");
            assert_eq!(session.waitlisted, count(Status::Waitlisted), "who waits is counted");
            assert!(session.seats_limit.is_none_or(|limit| session.seats_taken <= limit + session.seats_over), "oversold");
            assert!(session.free() <= 0 || session.waitlisted == 0, "a free seat while somebody waits");
            let seqs: BTreeSet<i64> = rows.iter().map(|row| row.seq).collect();
            assert_eq!(seqs.len(), rows.len(), "seq is unique");
            assert_eq!(seqs.last().copied().unwrap_or(0), session.last_seq, "seq has no gap");
            let active: BTreeSet<Uuid> = rows.iter().filter(|row| row.status != Status::Cancelled).map(|row| row.attendee_id).collect();
            assert_eq!(active.len() as i64, session.seats_taken + session.waitlisted, "one active registration an attendee");
            let changes: Vec<i64> = self.journal.iter().filter(|row| row.session_id == session.id).map(|row| row.change).collect();
            assert!(changes.iter().copied().eq(1..=session.last_change), "the journal has no gap");
        }
    }
}

/// The rules as one would tell them: no batches, no counters, everything counted afresh.
#[derive(Default)]
struct Naive {
    rows: Vec<(Uuid, Uuid, Uuid, Status)>,
}

impl Naive {
    fn book(&mut self, id: Uuid, session: &SessionState, attendee: Uuid, reject: bool) {
        let here = |row: &&(Uuid, Uuid, Uuid, Status)| row.1 == session.id;
        if self.rows.iter().filter(here).any(|row| row.2 == attendee && row.3 != Status::Cancelled) {
            return;
        }
        let taken = self.rows.iter().filter(here).filter(|row| row.3 == Status::Confirmed).count() as i64;
        let waits = self.rows.iter().filter(here).any(|row| row.3 == Status::Waitlisted);
        if session.seats_limit.is_none_or(|limit| taken < limit) && !waits {
            self.rows.push((id, session.id, attendee, Status::Confirmed));
        } else if session.waitlist_mode == WaitlistMode::Auto && !reject {
            self.rows.push((id, session.id, attendee, Status::Waitlisted));
        }
    }

    fn cancel(&mut self, id: Uuid) {
        let Some(row) = self.rows.iter_mut().find(|row| row.0 == id && row.3 != Status::Cancelled) else { return };
        let (session, freed) = (row.1, row.3 == Status::Confirmed);
        row.3 = Status::Cancelled;
        if freed && let Some(next) = self.rows.iter_mut().find(|row| row.1 == session && row.3 == Status::Waitlisted) {
            next.3 = Status::Confirmed;
        }
    }
}

fn actor(user: u128) -> Actor {
    Actor { user_id: uuid(user), organiser: false }
}

fn book(id: u128, session: u128, user: u128, if_full: Option<IfFull>) -> Command {
    let who = Who::Caller { new_attendee_id: uuid(5_000_000 + id) };
    Command::Book { registration_id: uuid(1_000_000 + id), session_id: uuid(session), who, if_full, actor: actor(user) }
}

fn cancel(id: u128) -> Command {
    Command::Cancel { registration_id: uuid(1_000_000 + id), own: true, actor: actor(1) }
}

#[derive(Clone, Debug)]
enum Step {
    Book { session: u128, user: u128, reject: bool },
    Cancel { nth: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (10u128..13, 100u128..112, prop::bool::weighted(0.2)).prop_map(|(session, user, reject)| Step::Book { session, user, reject }),
        2 => (0usize..40).prop_map(|nth| Step::Cancel { nth }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_history_in_any_batches_is_that_of_the_naive_model(
        limits in prop::array::uniform3(prop::option::weighted(0.9, 0i64..5)),
        batches in prop::collection::vec(prop::collection::vec(step(), 1..12), 1..12),
    ) {
        let modes = [WaitlistMode::Auto, WaitlistMode::Auto, WaitlistMode::None];
        let sessions: Vec<SessionState> =
            (10u128..).zip(limits).zip(modes).map(|((number, limit), mode)| session(number, limit, mode)).collect();
        let mut tables = Tables::with(sessions.clone());
        let mut naive = Naive::default();
        let mut next = 0u128;
        let mut made: Vec<u128> = Vec::new();
        for steps in batches {
            let mut commands = Vec::new();
            // Only what was there before a batch can be cancelled in it: its id is not known earlier.
            let before = made.clone();
            for step in steps {
                match step {
                    Step::Book { session, user, reject } => {
                        next += 1;
                        commands.push(book(next, session, user, reject.then_some(IfFull::Reject)));
                        naive.book(uuid(1_000_000 + next), &sessions[(session - 10) as usize], uuid(user), reject);
                        made.push(next);
                    }
                    Step::Cancel { nth } if !before.is_empty() => {
                        let id = before[nth % before.len()];
                        commands.push(cancel(id));
                        naive.cancel(uuid(1_000_000 + id));
                    }
                    Step::Cancel { .. } => {}
                }
            }
            tables.run(&commands, at(NOW));
            tables.check();
            let got: BTreeSet<(Uuid, &str)> = tables.registrations.values().map(|row| (row.id, row.status.as_str())).collect();
            let expected: BTreeSet<(Uuid, &str)> = naive.rows.iter().map(|row| (row.0, row.3.as_str())).collect();
            prop_assert_eq!(got, expected);
        }
    }
}

#[test]
fn a_repeat_answers_with_what_is_there_even_after_the_start() {
    let mut tables = Tables::with([session(10, Some(1), WaitlistMode::None)]);
    let first = tables.run(&[book(1, 10, 100, None)], at(NOW)).remove(0).unwrap();
    assert!(first.created);
    let again = tables.run(&[book(2, 10, 100, None)], at(START)).remove(0).unwrap();
    assert!(!again.created);
    assert_eq!(again.registration, first.registration);
    assert_eq!(tables.run(&[book(3, 10, 101, None)], at(START)).remove(0), Err(Refusal::SessionStarted));
}

#[test]
fn the_window_is_half_open() {
    let mut windowed = session(10, None, WaitlistMode::None);
    (windowed.opens_at, windowed.closes_at) = (Some(at(100)), Some(at(200)));
    let mut tables = Tables::with([windowed]);
    assert_eq!(tables.run(&[book(1, 10, 100, None)], at(99)).remove(0), Err(Refusal::NotOpen(at(100))));
    assert!(tables.run(&[book(2, 10, 100, None)], at(100)).remove(0).is_ok());
    assert_eq!(tables.run(&[book(3, 10, 101, None)], at(200)).remove(0), Err(Refusal::Closed(Some(at(200)))));
    assert!(tables.run(&[book(4, 10, 101, None)], at(199)).remove(0).is_ok());
}

#[test]
fn nobody_is_promoted_after_the_start() {
    let mut tables = Tables::with([session(10, Some(1), WaitlistMode::Auto)]);
    tables.run(&[book(1, 10, 100, None), book(2, 10, 101, None)], at(NOW));
    let by_organiser = Command::Cancel { registration_id: uuid(1_000_001), own: false, actor: Actor { user_id: uuid(9), organiser: true } };
    assert_eq!(tables.run(&[cancel(1)], at(START)).remove(0), Err(Refusal::SessionStarted));
    assert!(tables.run(&[by_organiser], at(START)).remove(0).is_ok());
    assert_eq!(tables.waiting(uuid(10)).len(), 1);
}

#[test]
fn a_refusal_writes_nothing_and_takes_no_seq() {
    let mut tables = Tables::with([session(10, Some(1), WaitlistMode::None)]);
    let outcomes = tables.run(&[book(1, 10, 100, None), book(2, 10, 101, None), book(3, 99, 102, None)], at(NOW));
    assert_eq!(outcomes[1], Err(Refusal::Full(uuid(10))));
    assert_eq!(outcomes[2], Err(Refusal::NotFound));
    assert_eq!(tables.attendees.len(), 1, "who is refused becomes no attendee");
    assert_eq!(tables.sessions[&uuid(10)].last_seq, 1);
    assert_eq!(tables.journal.len(), 1);
}

#[test]
fn who_may_come_in() {
    let mut closed = session(10, None, WaitlistMode::None);
    closed.admission = Admission::AttendeesOnly;
    let mut tables = Tables::with([closed]);
    assert_eq!(tables.run(&[book(1, 10, 100, None)], at(NOW)).remove(0), Err(Refusal::NotAdmitted));
    tables.attendees.push(AttendeeState { id: uuid(7), event_id: uuid(1), user_id: Some(uuid(100)) });
    tables.attendees.push(AttendeeState { id: uuid(8), event_id: uuid(2), user_id: None });
    assert!(tables.run(&[book(2, 10, 100, None)], at(NOW)).remove(0).is_ok());
    let foreign = Command::Book {
        registration_id: uuid(3),
        session_id: uuid(10),
        who: Who::Attendee(uuid(8)),
        if_full: None,
        actor: Actor { user_id: uuid(9), organiser: true },
    };
    assert_eq!(tables.run(&[foreign], at(NOW)).remove(0), Err(Refusal::UnknownAttendee));
}

#[test]
fn what_is_not_published_is_not_there() {
    for (event_status, status, expected) in [
        (EventStatus::Draft, SessionStatus::Published, Refusal::NotFound),
        (EventStatus::Published, SessionStatus::Draft, Refusal::NotFound),
        (EventStatus::Published, SessionStatus::Cancelled, Refusal::SessionCancelled),
        (EventStatus::Archived, SessionStatus::Published, Refusal::Closed(None)),
    ] {
        let mut hidden = session(10, None, WaitlistMode::None);
        (hidden.event_status, hidden.status) = (event_status, status);
        assert_eq!(Tables::with([hidden]).run(&[book(1, 10, 100, None)], at(NOW)).remove(0), Err(expected));
    }
}
