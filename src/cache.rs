//! Copies of what everybody reads: the programme and its parts, as they are sent, compressed where that was asked for.
//!
//! ```text
//! request ── guard: may they? (auth/known) ── edition of the event (db/changes) ── copy ──► bytes
//!                                                                                   └─ none: read, keep ──► bytes
//! ```
//!
//! A copy belongs to an edition of its event: from one change to the next, as this node knows of them. With the next
//! edition nobody asks for it any more, whatever was loaded meanwhile. Members read drafts, so theirs are copies of their
//! own, and who is one was settled before. How many seats are left is never part of a copy.

use crate::{
    accept,
    auth::{Guard, Reader, guard::Place},
    db::Moment,
    encoding::{self, Encoding, Wanted},
    error::Problem,
    extract::state,
    metrics::Lookups,
    reply::Reply,
    representation::Representation,
    state::State,
};
use actix_web::HttpRequest;
use moka::{Equivalent, future::Cache as Kept, policy::EvictionPolicy};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// What a compressed body would not be much smaller than, in bytes.
const SMALL: usize = 1_024;
/// What is kept beside a copy's bytes, about.
const OVERHEAD: usize = 512;
/// Copies that nobody asks for, those of past editions among them, go after this time.
const IDLE: Duration = Duration::from_secs(600);

/// The copies of a node. Bounded in bytes: the least recently used go first.
pub struct Cache {
    kept: Kept<Key, Arc<Representation>>,
    lookups: Lookups,
}

/// What a copy is of, and in which edition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct KeyOf<T> {
    event: Uuid,
    edition: Moment,
    sees_drafts: bool,
    media: &'static str,
    wanted: Wanted,
    /// Path and query as they were sent.
    target: T,
}

type Key = KeyOf<Box<str>>;

impl Equivalent<Key> for KeyOf<&str> {
    fn equivalent(&self, key: &Key) -> bool {
        let KeyOf { event, edition, sees_drafts, media, wanted, target } = key;
        (self.event, self.edition, self.sees_drafts, self.media, self.wanted, self.target)
            == (*event, *edition, *sees_drafts, *media, *wanted, target)
    }
}

impl KeyOf<&str> {
    fn to_owned(&self, wanted: Wanted) -> Key {
        let Self { event, edition, sees_drafts, media, target, .. } = *self;
        Key { event, edition, sees_drafts, media, wanted, target: target.into() }
    }
}

/// Answers a read of what belongs to an event out of memory, or reads it and keeps it. What `build` gives may depend on the
/// address, on whether drafts are seen, and on nothing else of who asks or when. What it refuses is not kept.
pub async fn read<P: Place>(
    request: &HttpRequest,
    guard: &Guard<P, Reader>,
    build: impl AsyncFnOnce(&State) -> Result<Representation, Problem>,
) -> Reply {
    const VARY: &str = "Accept-Encoding, Authorization";
    answer(request, guard, "", async |state| Ok(build(state).await?.varying(VARY))).await
}

/// The same of what can be had as several media types.
pub async fn read_as<P: Place>(
    request: &HttpRequest,
    guard: &Guard<P, Reader>,
    offered: &[&'static str],
    build: impl AsyncFnOnce(&State, &'static str) -> Result<Representation, Problem>,
) -> Reply {
    const VARY: &str = "Accept, Accept-Encoding, Authorization";
    let media = accept::choose(request, offered)?;
    answer(request, guard, media, async |state| Ok(build(state, media).await?.varying(VARY))).await
}

async fn answer<P: Place>(
    request: &HttpRequest,
    guard: &Guard<P, Reader>,
    media: &'static str,
    build: impl AsyncFnOnce(&State) -> Result<Representation, Problem>,
) -> Reply {
    let state = state(request);
    let (event, sees_drafts, wanted) = (guard.event_id(), guard.sees_drafts(), encoding::wanted(request)?);
    let edition = state.db.changes().of(event);
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let key = KeyOf { event, edition, sees_drafts, media, wanted, target };
    let copy = match state.cache.get(&key).await {
        Some(copy) => copy,
        // In a box: what reads the database is large, and would be moved about with every request that needs it not.
        None => Box::pin(state.cache.make(&key, build(state))).await?,
    };
    Ok(copy.answer(request))
}

impl Cache {
    /// With room for so many bytes; with none nothing is kept.
    pub fn new(bytes: u64) -> Self {
        let weigh =
            |key: &Key, copy: &Arc<Representation>| u32::try_from(copy.body().len() + key.target.len() + OVERHEAD).unwrap_or(u32::MAX);
        let kept = Kept::builder().max_capacity(bytes).weigher(weigh).eviction_policy(EvictionPolicy::lru()).time_to_idle(IDLE);
        Self { kept: kept.build(), lookups: Lookups::default() }
    }

    async fn get(&self, key: &KeyOf<&str>) -> Option<Arc<Representation>> {
        let kept = self.kept.get(key).await;
        self.lookups.count(kept.is_some());
        kept
    }

    /// Makes a copy that isn't there. Who asks for one that somebody else is making waits for it.
    async fn make(
        &self,
        key: &KeyOf<&str>,
        build: impl Future<Output = Result<Representation, Problem>>,
    ) -> Result<Arc<Representation>, Problem> {
        let build = async { build.await.map(Arc::new) };
        let plain = self.kept.try_get_with(key.to_owned(Wanted::PLAIN), build).await.map_err(Arc::unwrap_or_clone)?;
        if key.wanted == Wanted::PLAIN {
            return Ok(plain);
        }
        let encoded = self.kept.try_get_with(key.to_owned(key.wanted), encode(plain, key.wanted));
        encoded.await.map_err(Arc::unwrap_or_clone)
    }

    /// How often a copy was there.
    pub fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    /// How many copies there are, and how many bytes they take.
    pub fn size(&self) -> (u64, u64) {
        (self.kept.entry_count(), self.kept.weighted_size())
    }
}

/// The copy in another coding, or itself where that is of no use.
async fn encode(plain: Arc<Representation>, Wanted { encoding, strictly }: Wanted) -> Result<Arc<Representation>, Problem> {
    if encoding == Encoding::Identity || plain.body().len() < SMALL && !strictly {
        return Ok(plain);
    }
    let bytes = plain.body().clone();
    let encoded = tokio::task::spawn_blocking(move || encoding.encode(&bytes)).await.map_err(Problem::internal)?;
    let encoded = encoded.map_err(Problem::internal)?;
    if encoded.len() >= plain.body().len() && !strictly {
        return Ok(plain);
    }
    plain.encoded(encoding, encoded).map(Arc::new)
}
