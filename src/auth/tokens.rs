//! Access tokens: JWTs (RFC 9068, EdDSA) that live for minutes and carry only who the caller is. Roles are looked up.

use super::{
    SetupError,
    keys::{Jwk, Keys},
    verified::{Verified, Window},
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
use std::sync::Arc;
use uuid::Uuid;

/// What tells an access token from every other JWT (RFC 9068, section 2.1).
const TYP: &str = "at+jwt";
/// How far the clocks of two nodes may be apart, in seconds.
const LEEWAY_SECS: i64 = 5;

/// Signs and verifies tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    keys: Keys,
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
            keys,
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

    /// The user whose valid access token this is. Never says what is wrong with another one.
    pub fn verify_access(&self, token: &str) -> Option<Uuid> {
        let now = seconds(self.now());
        let hash = sha256(token.as_bytes());
        let known = self.0.verified.get(&hash);
        self.0.lookups.count(known.is_some());
        let window = match known {
            Some(window) => window,
            None => {
                let window = self.check(token)?;
                if window.holds(now) {
                    self.0.verified.remember(hash, window, now);
                }
                window
            }
        };
        window.holds(now).then_some(window.user)
    }

    /// All that doesn't depend on the time.
    fn check(&self, token: &str) -> Option<Window> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        if header.typ.as_deref() != Some(TYP) || header.crit.is_some() {
            return None;
        }
        let key = self.0.keys.verifying.get(header.kid.as_deref()?)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.0.validation).ok()?.claims;
        Some(Window {
            user: claims.sub,
            not_before: claims.nbf.max(claims.iat).saturating_sub(LEEWAY_SECS),
            until: claims.exp.saturating_add(LEEWAY_SECS),
        })
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
        header.kid = Some(self.0.keys.kid.clone());
        jsonwebtoken::encode(&header, &claims, &self.0.keys.signing).map_err(Problem::internal)
    }

    /// How often a token was known already.
    pub fn lookups(&self) -> &Lookups {
        &self.0.lookups
    }

    /// The public keys, for `/.well-known/jwks.json`.
    pub fn published_keys(&self) -> &[Jwk] {
        &self.0.keys.published
    }

    /// The time that tokens go by.
    pub(super) fn now(&self) -> Timestamp {
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
