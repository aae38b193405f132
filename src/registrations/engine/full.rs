//! Sessions that are full, remembered: in a rush most requests are for these, and the refusal needs no transaction.
//!
//! It only answers what the engine would: that there is no seat, to somebody who has nothing in the session and would not
//! wait. Whoever has something there is told so, however often they ask. What it remembers is written after COMMIT, and
//! good until something in the session is due. On Postgres other nodes change sessions too, so there it is good for a
//! moment only.

use crate::{
    clock::Timestamp,
    db::{Db, Dialect, Result},
    events::model::{Admission, EventStatus},
    registrations::{
        decide::{Changes, EventRules, SessionState, World},
        model::{Done, IfFull},
        refusal::Refusal,
    },
    sessions::model::{SessionStatus, WaitlistMode},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// How long it is good where other nodes may have changed the session.
const MOMENT: Duration = Duration::from_millis(250);
/// How many sessions are remembered, and how many people of one.
const MAX_SESSIONS: usize = 1_000;
const MAX_HOLDERS: i64 = 20_000;

/// Sessions that are full. Cheap to clone.
#[derive(Clone, Default)]
pub struct Full(Arc<RwLock<HashMap<Uuid, Entry>>>);

struct Entry {
    /// From when on, and until when, a booking would come to the question whether there is a seat.
    open: (Option<Timestamp>, Timestamp),
    waits: bool,
    /// The users who have or await a seat.
    holders: HashSet<Uuid>,
    since: Instant,
    forever: bool,
}

impl Full {
    /// Whether a user's booking for themselves would be refused because the session is full.
    pub fn refuses(&self, session_id: Uuid, user_id: Uuid, if_full: Option<IfFull>, now: Timestamp) -> bool {
        let sessions = self.read();
        let Some(entry) = sessions.get(&session_id) else { return false };
        let open = entry.open.0.is_none_or(|opens| opens <= now) && now < entry.open.1;
        let fresh = entry.forever || entry.since.elapsed() < MOMENT;
        let waits = entry.waits && if_full != Some(IfFull::Reject);
        open && fresh && !waits && !entry.holders.contains(&user_id)
    }

    /// Forgets all: an edit may have changed anything.
    pub fn forget(&self) {
        self.write().clear();
    }

    /// Follows what a batch has made durable, and remembers the sessions that it has found full.
    pub async fn follow(&self, db: &Db, world: &World, changes: &Changes, found: HashSet<Uuid>) {
        self.apply(db.dialect(), world, changes);
        for session_id in found {
            if self.is_known(session_id) {
                continue;
            }
            let Some(entry) = world.session(session_id).and_then(|session| Entry::of(session, world.event_of(session)?, db.dialect()))
            else {
                continue;
            };
            // What can't be read is asked of the engine again.
            if let Ok(Some(holders)) = holders(db, session_id).await {
                let mut sessions = self.write();
                if sessions.len() >= MAX_SESSIONS {
                    sessions.clear();
                }
                sessions.insert(session_id, Entry { holders, ..entry });
            }
        }
    }

    fn is_known(&self, session_id: Uuid) -> bool {
        self.read().get(&session_id).is_some_and(|entry| entry.forever || entry.since.elapsed() < MOMENT)
    }

    fn apply(&self, dialect: Dialect, world: &World, changes: &Changes) {
        if changes.seats.is_empty() || self.read().is_empty() {
            return;
        }
        let mut sessions = self.write();
        for session in &changes.seats {
            let Some(entry) = sessions.get_mut(&session.id) else { continue };
            match world.event_of(session).and_then(|rules| Entry::of(session, rules, dialect)) {
                Some(now) => entry.open = now.open,
                None => drop(sessions.remove(&session.id)),
            }
        }
        for registration in changes.inserted.iter().chain(&changes.updated) {
            let Some(entry) = sessions.get_mut(&registration.session_id) else { continue };
            match (world.user_of(registration.attendee_id), registration.is_active()) {
                (Some(user_id), true) => drop(entry.holders.insert(user_id)),
                (Some(user_id), false) => drop(entry.holders.remove(&user_id)),
                (None, _) => {}
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Uuid, Entry>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Uuid, Entry>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Only where nothing else could be answered first, to anybody: by admission, category or limit, or because a pool has
    /// seats for some.
    fn of(session: &SessionState, rules: &EventRules, dialect: Dialect) -> Option<Self> {
        let full = session.seats_limit.is_some_and(|limit| session.seats_taken >= limit);
        let published = session.status == SessionStatus::Published && rules.status == EventStatus::Published;
        let for_all = rules.admission == Admission::Open && session.categories.0.is_empty() && session.pools.0.is_empty();
        let unlimited = rules.max_sessions.is_none() && rules.max_sessions_per_day.is_none();
        if !(full && published && for_all && unlimited) {
            return None;
        }
        let ends = [session.closes_at.or(rules.closes_at), session.due_at];
        Some(Self {
            open: (session.opens_at.or(rules.opens_at), ends.into_iter().flatten().fold(session.starts_at, Timestamp::min)),
            waits: session.waitlist_mode != WaitlistMode::None,
            holders: HashSet::new(),
            since: Instant::now(),
            forever: dialect == Dialect::Sqlite,
        })
    }
}

/// The sessions that were found full.
pub fn found_full(outcomes: &[std::result::Result<Done, Refusal>]) -> HashSet<Uuid> {
    let full = |outcome: &std::result::Result<Done, Refusal>| match outcome {
        Err(Refusal::Full(session_id)) => Some(*session_id),
        _ => None,
    };
    outcomes.iter().filter_map(full).collect()
}

/// The users who have or await a seat; `None` if they are too many to be remembered.
async fn holders(db: &Db, session_id: Uuid) -> Result<Option<HashSet<Uuid>>> {
    const HOLDERS: &str = "SELECT a.user_id FROM registrations r JOIN attendees a ON a.id = r.attendee_id \
        WHERE r.session_id = $1 AND r.status <> 'cancelled' AND a.user_id IS NOT NULL LIMIT $2";
    let holders: Vec<(Uuid,)> = db.query(HOLDERS).bind(session_id).bind(MAX_HOLDERS).all().await?;
    Ok(((holders.len() as i64) < MAX_HOLDERS).then(|| holders.into_iter().map(|(user_id,)| user_id).collect()))
}
