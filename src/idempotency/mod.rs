//! `Idempotency-Key` (IETF draft 07): a creation that is sent again with its key is done once and answered again.
//!
//! A key belongs to a principal and an operation. Its row is written in the transaction of the effect, so there is no
//! moment at which one is there without the other: who never got the answer, because the connection or the server broke,
//! asks again and is told. On several nodes the row's primary key decides who does it; the other waits for the row and
//! repeats what it says. A refusal rolls the row back with everything else, and is judged anew.

mod store;
mod sweep;

pub use store::{Stored, add_all, find_all, forget_about};
pub use sweep::{Sweeper, sweep};

use crate::{
    clock::Timestamp,
    contract::door::Admitted,
    db::Tx,
    error::{Code, Problem},
    random::sha256,
    reply::{Answer, Reply},
    state::State,
};
use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::{
        Method,
        header::{HeaderName, HeaderValue},
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use std::{
    collections::HashSet,
    future::{Ready, ready},
    sync::{Arc, Mutex, PoisonError},
};
use uuid::Uuid;

/// The request header. An operation takes it where the contract says so.
pub const HEADER: &str = "idempotency-key";
/// The answer's header that says it is a repetition.
pub const REPLAYED: &str = "idempotency-replayed";
/// How long a key is remembered, in seconds.
pub const KEPT_SECS: i64 = 24 * 60 * 60;

/// The key of a request and what it was sent with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    key: String,
    fingerprint: String,
}

impl Key {
    /// From the header's value, whose syntax the contract has checked. A key in quotes (RFC 8941) and a bare one are the same.
    pub fn new(value: &str, method: &Method, path: &str, body: &[u8]) -> Self {
        let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let key = quoted.map_or_else(|| value.to_owned(), unescape);
        let mut sent = format!("{method}\n{path}\n").into_bytes();
        sent.extend_from_slice(body);
        Self { key, fingerprint: URL_SAFE_NO_PAD.encode(sha256(&sent)) }
    }
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    plain
}

/// Whose key it is, and for what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// Who sent it.
    pub principal_id: Uuid,
    /// The operation's id.
    pub operation: String,
    /// What they chose.
    pub key: String,
}

/// An argument of every handler that creates: does its work at most once where the request carries a key, and costs
/// nothing where it carries none.
#[derive(Debug)]
pub struct Once(Option<(Scope, String)>);

impl FromRequest for Once {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let keyed = extensions.get::<Admitted>().and_then(|admitted| match (admitted.principal.id(), &admitted.key) {
            (Some(principal_id), Some(Key { key, fingerprint })) => {
                let operation = admitted.operation.id.clone();
                Some((Scope { principal_id, operation, key: key.clone() }, fingerprint.clone()))
            }
            _ => None,
        });
        ready(Ok(Self(keyed)))
    }
}

impl Once {
    /// Whether the caller sent a key.
    pub fn has_key(&self) -> bool {
        self.0.is_some()
    }

    /// Marks the key as under way on this node, until the claim is dropped. 409 if it is.
    ///
    /// Call it when the caller is known to be allowed what they ask, so that nobody is told what they no longer may know.
    pub fn claim(self, state: &State) -> Result<Option<Arc<Claim>>, Problem> {
        let Some((scope, fingerprint)) = self.0 else { return Ok(None) };
        let claim = state.in_flight.enter(scope, fingerprint).ok_or_else(|| {
            let detail = "A request with this idempotency key is under way. Repeat it in a moment to get its answer.";
            Problem::new(Code::IdempotencyInFlight, detail).retry_after(1)
        })?;
        Ok(Some(Arc::new(claim)))
    }

    /// Runs `work` in a write transaction (see [`crate::db::Db::write`]) and answers what it says, or what it said before.
    pub async fn write<W>(self, state: &State, work: W) -> Reply
    where
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<Answer, Problem>> + Send + 'static,
    {
        match self.claim(state)? {
            None => Ok(state.db.write(work).await?.into_response()),
            Some(claim) => claim.write(state, work).await,
        }
    }
}

/// The keys under way on this node.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<Mutex<HashSet<Scope>>>);

impl InFlight {
    fn enter(&self, scope: Scope, fingerprint: String) -> Option<Claim> {
        let entered = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(scope.clone());
        entered.then(|| Claim { scope, fingerprint, in_flight: self.clone() })
    }
}

/// A key under way. Whoever does its work holds it until that is committed, though the client may be gone.
#[derive(Debug)]
pub struct Claim {
    /// Whose key it is.
    pub scope: Scope,
    /// A hash of what it was sent with.
    pub fingerprint: String,
    in_flight: InFlight,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.in_flight.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.scope);
    }
}

enum Done {
    Now(Answer),
    Before(Stored),
}

impl Claim {
    /// See [`Once::write`].
    pub async fn write<W>(self: Arc<Self>, state: &State, work: W) -> Reply
    where
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<Answer, Problem>> + Send + 'static,
    {
        let (claim, now) = (Arc::clone(&self), state.clock.now());
        let write = state.db.write(move |tx| {
            Box::pin(async move {
                let done = run(tx, &claim, now, work).await?;
                // Handed out, so that the claim outlives the commit.
                Ok((done, claim))
            })
        });
        match write.await?.0 {
            Done::Now(answer) => Ok(answer.into_response()),
            Done::Before(stored) => self.replay(stored),
        }
    }

    /// The answer that was given before, if it was given to this request.
    pub fn replay(&self, stored: Stored) -> Reply {
        if stored.fingerprint != self.fingerprint {
            return Err(Problem::new(
                Code::IdempotencyKeyReused,
                "The idempotency key was used for another path or body. Choose a new one for each thing you create.",
            ));
        }
        let mut response = stored.answer.into_response();
        response.headers_mut().insert(HeaderName::from_static(REPLAYED), HeaderValue::from_static("true"));
        Ok(response)
    }
}

/// The row comes first: on another node it waits there, before it could stumble over what this one has made.
async fn run<W>(tx: &mut Tx, claim: &Claim, now: Timestamp, work: W) -> Result<Done, Problem>
where
    W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<Answer, Problem>>,
{
    if !store::claim(tx, claim, now).await? {
        let stored = store::find(tx, &claim.scope).await?;
        return stored.map(Done::Before).ok_or_else(|| Problem::internal("an idempotency key is neither free nor used"));
    }
    let answer = work(tx).await?;
    store::keep(tx, &claim.scope, &answer).await?;
    Ok(Done::Now(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: &str) -> String {
        Key::new(value, &Method::POST, "/v1/events", b"{}").key
    }

    #[test]
    fn quotes_make_no_difference() {
        assert_eq!(key("8e03978e-40d5"), key("\"8e03978e-40d5\""));
        assert_eq!(key(r#""a \"b\" \\c""#), r#"a "b" \c"#);
    }

    #[test]
    fn the_fingerprint_is_of_method_path_and_body() {
        let one = Key::new("k", &Method::POST, "/v1/events", b"{}");
        assert_eq!(one, Key::new("\"k\"", &Method::POST, "/v1/events", b"{}"));
        for other in [
            Key::new("k", &Method::PUT, "/v1/events", b"{}"),
            Key::new("k", &Method::POST, "/v1/event", b"{}"),
            Key::new("k", &Method::POST, "/v1/events", b"{ }"),
        ] {
            assert_ne!(one.fingerprint, other.fingerprint);
        }
    }

    #[test]
    fn a_key_is_under_way_until_its_claim_is_dropped() {
        let in_flight = InFlight::default();
        let scope = Scope { principal_id: Uuid::nil(), operation: "createEvent".into(), key: "k".into() };
        let claim = in_flight.enter(scope.clone(), String::new()).expect("free");
        assert!(in_flight.enter(scope.clone(), String::new()).is_none());
        assert!(in_flight.enter(Scope { operation: "createRoom".into(), ..scope.clone() }, String::new()).is_some());
        drop(claim);
        assert!(in_flight.enter(scope, String::new()).is_some());
    }
}
