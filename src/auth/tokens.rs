//! Access tokens: JWTs (RFC 9068, EdDSA) that live for minutes and carry only who the caller is. Roles are looked up.

use super::{
    SetupError,
    keys::{Jwk, Keys},
    verified::{Verified, Window},
    watch::Watch,
};
use crate::{
    clock::{Clock, Timestamp},
    config::Config,
    db::Db,
    error::Problem,
    metrics::Lookups,
    random::{Random, sha256},
};
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use uuid::Uuid;

/// What tells an access token from every other JWT (RFC 9068, section 2.1).
const TYP: &str = "at+jwt";
/// How far the clocks of two nodes may be apart, in seconds.
const LEEWAY_SECS: i64 = 5;

/// Signs and verifies tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

pub(super) struct Inner {
    keys: RwLock<Keys>,
    watch: Watch,
    clock: Clock,
    random: Random,
    /// Both issuer and audience: the server issues tokens for itself.
    address: String,
    access_secs: i64,
    refresh_secs: i64,
    validation: Validation,
    verified: Verified,
    lookups: Lookups,
}

/// Why a token is refused. Only the server itself is told.
enum Wrong {
    Token,
    UnknownKey,
}

/// Every claim is required, so none is an `Option`.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: Uuid,
}

impl Tokens {
    /// Loads the keys, and makes them at the first start. `clock` is the time that tokens go by.
    pub async fn load(db: &Db, config: &Config, clock: Clock, random: Random) -> Result<Self, SetupError> {
        let keys = Keys::load(db, config, &clock, &random).await?;
        Ok(Self(Arc::new(Inner {
            keys: RwLock::new(keys),
            watch: Watch::new(db.clone(), config.clone()),
            clock,
            random,
            address: config.public_url.clone(),
            access_secs: config.access_token_secs.into(),
            refresh_secs: config.refresh_token_secs.into(),
            validation: validation(&config.public_url),
            verified: Verified::default(),
            lookups: Lookups::default(),
        })))
    }

    /// The user whose valid access token this is. Never says what is wrong with another one. Looks for new keys first if
    /// it names one that isn't known: another node may have begun to sign with it.
    pub async fn verify(&self, token: &str) -> Option<Uuid> {
        match self.judge(token) {
            Err(Wrong::UnknownKey) => {
                // In a box: it is rare, large, and else a part of what every request moves about.
                Box::pin(self.look_for_unknown_key()).await;
                self.verify_access(token)
            }
            judged => judged.ok(),
        }
    }

    /// The same with the keys at hand.
    pub fn verify_access(&self, token: &str) -> Option<Uuid> {
        self.judge(token).ok()
    }

    fn judge(&self, token: &str) -> Result<Uuid, Wrong> {
        let now = seconds(self.now());
        let hash = sha256(token.as_bytes());
        let known = self.0.verified.get(&hash);
        self.0.lookups.count(known.is_some());
        let window = match known {
            Some(window) => window,
            None => {
                // Held until the token is remembered, so that none is of a key that was taken away meanwhile.
                let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
                let window = self.check(&keys, token)?;
                if window.holds(now) {
                    self.0.verified.remember(hash, window, now);
                }
                window
            }
        };
        if window.holds(now) { Ok(window.user) } else { Err(Wrong::Token) }
    }

    /// All that doesn't depend on the time.
    fn check(&self, keys: &Keys, token: &str) -> Result<Window, Wrong> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Wrong::Token)?;
        if header.typ.as_deref() != Some(TYP) || header.crit.is_some() || header.alg != Algorithm::EdDSA {
            return Err(Wrong::Token);
        }
        let key = keys.verifying.get(header.kid.as_deref().ok_or(Wrong::Token)?).ok_or(Wrong::UnknownKey)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.0.validation).map_err(|_| Wrong::Token)?.claims;
        Ok(Window {
            user: claims.sub,
            not_before: claims.nbf.max(claims.iat).saturating_sub(LEEWAY_SECS),
            until: claims.exp.saturating_add(LEEWAY_SECS),
        })
    }

    /// Reads the keys again and goes on with them. If they can't be read the ones at hand stay.
    pub async fn look_for_keys(&self) -> Result<(), SetupError> {
        let Watch { db, config, .. } = &self.0.watch;
        let keys = Keys::load(db, config, &self.0.clock, &self.0.random).await?;
        let mut held = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        if held.verifying.keys().any(|kid| !keys.verifying.contains_key(kid)) {
            self.0.verified.forget();
        }
        if held.kid != keys.kid {
            tracing::info!(kid = keys.kid, "another key signs access tokens from now on");
        }
        *held = keys;
        Ok(())
    }

    pub(super) fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.0)
    }

    pub(super) fn upgrade(inner: &Weak<Inner>) -> Option<Self> {
        inner.upgrade().map(Self)
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.0.watch
    }

    /// A new access token. Whoever calls this has made sure that it is the user who asks.
    pub fn sign_access(&self, user: Uuid) -> Result<String, Problem> {
        let at = self.now();
        let now = seconds(at);
        let claims = Claims {
            iss: self.0.address.clone(),
            aud: self.0.address.clone(),
            sub: user,
            iat: now,
            nbf: now,
            exp: now + self.0.access_secs,
            jti: self.0.random.id(at),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYP.to_owned());
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        header.kid = Some(keys.kid.clone());
        jsonwebtoken::encode(&header, &claims, &keys.signing).map_err(Problem::internal)
    }

    /// How often a token was known already.
    pub fn lookups(&self) -> &Lookups {
        &self.0.lookups
    }

    /// The public keys, for `/.well-known/jwks.json`.
    pub fn published_keys(&self) -> Vec<Jwk> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).published.clone()
    }

    /// The time that tokens and API keys go by.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(super) fn random(&self) -> &Random {
        &self.0.random
    }

    pub(super) fn access_secs(&self) -> i64 {
        self.0.access_secs
    }

    pub(super) fn refresh_secs(&self) -> i64 {
        self.0.refresh_secs
    }
}

/// jsonwebtoken asks the system's clock for `exp` and `nbf`, so those two are checked here, by ours.
fn validation(address: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[address]);
    validation.set_audience(&[address]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

fn seconds(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1_000_000)
}
