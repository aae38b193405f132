//! A conference for the workload: made over HTTP, and known to the naive model.

use super::model::{Model, Session};
use crate::support::{AsId, Front, Timestamp, User, json};
use plenary::{
    events::model::{Admission, EventStatus, OnClash, Overlap, Zone},
    registrations::decide::{AttendeeState, EventRules},
    sessions::model::{Pool, SessionStatus, WaitlistMode},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use uuid::Uuid;

/// The category that a pool is for.
const EXPERT: &str = "expert";

/// Somebody on the list of attendees.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: Uuid,
    pub category: Option<String>,
    /// Of the user who is linked to them, if one is.
    pub token: Option<String>,
}

/// A conference that is open for booking.
pub struct Venue {
    pub rules: EventRules,
    pub sessions: Vec<Session>,
    pub people: Vec<Person>,
    /// The organiser.
    pub anna: User,
    /// An attendee of another organisation's event.
    pub stranger: AttendeeState,
}

/// How big it is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub people: usize,
    /// Of these, who have signed in themselves.
    pub users: usize,
}

fn uuid(value: impl AsId) -> Uuid {
    value.as_id().parse().expect("a UUID")
}

impl Venue {
    /// Makes one whose rules follow from the seed, run by Anna. Its first session begins two hours after `now`.
    pub async fn open(front: &Front, anna: &User, now: Timestamp, seed: u64, size: Size) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let anna = anna.clone();
        let rules = event(front, &anna, now, &mut random).await;
        let mut sessions = Vec::new();
        for plan in plans() {
            sessions.push(session(front, &anna, rules.id, now, plan).await);
        }
        let mut people = Vec::new();
        for number in 0..size.people {
            people.push(person(front, &anna, rules.id, number, number < size.users).await);
        }
        let stranger = stranger(front, &anna, &mut random).await;
        Self { rules, sessions, people, anna, stranger }
    }

    /// The same before anybody has booked.
    pub fn model(&self, now: Timestamp) -> Model {
        let mut model = Model::new(now);
        model.events.insert(self.rules.id, self.rules.clone());
        model.events.insert(self.stranger.event_id, EventRules { id: self.stranger.event_id, ..self.rules.clone() });
        model.sessions = self.sessions.iter().map(|session| (session.id, session.clone())).collect();
        let on_the_list = self.people.iter().map(|person| {
            let Person { id, ref category, .. } = *person;
            AttendeeState { id, event_id: self.rules.id, user_id: None, category: category.clone(), erased: false }
        });
        model.people = on_the_list.chain([self.stranger.clone()]).map(|person| (person.id, person)).collect();
        model
    }
}

async fn event(front: &Front, anna: &User, now: Timestamp, random: &mut StdRng) -> EventRules {
    let (swap, leave) = (random.random::<bool>(), random.random::<bool>());
    let rules = EventRules {
        id: Uuid::nil(),
        status: EventStatus::Published,
        time_zone: Zone::get("Europe/Oslo").expect("a zone"),
        opens_at: None,
        closes_at: None,
        admission: Admission::AttendeesOnly,
        overlap: Overlap::Reject,
        overlap_buffer_minutes: 15,
        on_promotion_clash: if swap { OnClash::Swap } else { OnClash::Skip },
        leave_overlapping_waitlists: leave,
        max_sessions: Some(4),
        max_sessions_per_day: None,
        offer_ttl_minutes: 60,
        offer_last_day_ttl_minutes: 20,
        offer_automatic_minutes: 30,
    };
    let day = |at: Timestamp| at.to_jiff().to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
    let booking = json!({
        "admission": rules.admission, "overlap": rules.overlap, "overlapBufferMinutes": rules.overlap_buffer_minutes,
        "onPromotionClash": rules.on_promotion_clash, "leaveOverlappingWaitlists": leave, "maxSessions": rules.max_sessions,
        "offers": { "ttlMinutes": 60, "lastDayTtlMinutes": 20, "automaticMinutes": 30 },
    });
    let body = json!({
        "startsOn": day(now), "endsOn": day(now.plus_secs(3 * 86_400)), "booking": booking,
        "slug": format!("forum-{:08x}", random.random::<u32>()),
    });
    EventRules { id: uuid(front.event(anna, body).await), ..rules }
}

/// A session to be made: when it begins in minutes, how long it is, its room, and what else is said of it.
struct Plan {
    starts: i64,
    lasts: i64,
    capacity: Option<i64>,
    mode: WaitlistMode,
    limit: Option<i64>,
    pool: i64,
}

/// Sessions at the same hours, one after the other, small and without end; one that begins while people still book.
fn plans() -> Vec<Plan> {
    let plan = |starts, lasts, capacity, mode| Plan { starts, lasts, capacity, mode, limit: None, pool: 0 };
    vec![
        plan(360, 60, Some(30), WaitlistMode::Auto),
        plan(390, 60, Some(20), WaitlistMode::Auto),
        plan(300, 60, Some(5), WaitlistMode::Auto),
        plan(1_800, 60, Some(3), WaitlistMode::Offer),
        Plan { pool: 2, ..plan(480, 60, Some(6), WaitlistMode::Auto) },
        plan(120, 60, Some(3), WaitlistMode::Auto),
        Plan { limit: Some(3), ..plan(500, 60, Some(2), WaitlistMode::Auto) },
        plan(1_810, 30, Some(3), WaitlistMode::None),
        plan(2_000, 60, None, WaitlistMode::Auto),
        Plan { pool: 1, ..plan(600, 60, Some(3), WaitlistMode::Offer) },
    ]
}

async fn session(front: &Front, anna: &User, event_id: Uuid, now: Timestamp, plan: Plan) -> Session {
    let Plan { starts, lasts, capacity, mode, limit, pool } = plan;
    let (starts_at, ends_at) = (now.plus_secs(starts * 60), now.plus_secs((starts + lasts) * 60));
    let pools: Vec<Pool> = (pool > 0)
        .then(|| Pool { category: EXPERT.to_owned(), seats: pool, releases_at: Some(now.plus_secs(200 * 60)) })
        .into_iter()
        .collect();
    let waitlist = limit.map_or_else(|| json!({ "mode": mode }), |limit| json!({ "mode": mode, "limit": limit }));
    let body = json!({ "startsAt": starts_at, "endsAt": ends_at, "capacity": capacity, "waitlist": waitlist, "pools": pools });
    let id = uuid(front.session(anna, event_id, body).await);
    Session {
        id,
        event_id,
        status: SessionStatus::Published,
        starts_at,
        ends_at,
        room_id: None,
        opens_at: None,
        closes_at: None,
        waitlist_mode: mode,
        waitlist_limit: limit,
        categories: Vec::new(),
        pools,
        capacity,
        limit: capacity,
        over: 0,
        changes: 0,
    }
}

async fn person(front: &Front, anna: &User, event_id: Uuid, number: usize, signs_in: bool) -> Person {
    let category = number.is_multiple_of(3).then(|| EXPERT.to_owned());
    let mut body = json!({ "name": format!("Person {number}") });
    if let Some(category) = &category {
        body["category"] = json!(category);
    }
    let path = format!("/v1/events/{event_id}/attendees");
    let id = uuid(front.post(path).token(&anna.token).json(&body).send().await.expect(201).json);
    let token = if signs_in { Some(link(front, anna, id).await) } else { None };
    Person { id, category, token }
}

/// Makes a user who is linked to an attendee; their token.
async fn link(front: &Front, anna: &User, attendee: Uuid) -> String {
    let user = front.user(&format!("User {}", front.number())).await;
    let issued = front.post(format!("/v1/attendees/{attendee}/claim-code")).token(&anna.token).send().await.expect(201).json;
    let claim = json!({ "claimCode": issued["claimCode"] });
    front.post("/v1/me/attendees").token(&user.token).json(&claim).send().await.expect(200);
    user.token
}

/// Anna runs another organisation too.
async fn stranger(front: &Front, anna: &User, random: &mut StdRng) -> AttendeeState {
    let event_id = uuid(front.event(anna, json!({ "slug": format!("elsewhere-{:08x}", random.random::<u32>()) })).await);
    let path = format!("/v1/events/{event_id}/attendees");
    let id = uuid(front.post(path).token(&anna.token).json(&json!({ "name": "Stranger" })).send().await.expect(201).json);
    AttendeeState { id, event_id, user_id: None, category: None, erased: false }
}
