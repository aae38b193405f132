//! Rate limits, and what answers say of them (`RateLimit-Policy` and `RateLimit`, IETF draft 11).
//!
//! Each node counts for itself, in memory: a quota that trickles back (GCRA) a key, and a bounded number of keys. One
//! request takes from one quota: its user's, or its address's where nobody is signed in. Booking has a quota of its own,
//! for each user and never for an address, because a whole venue is one. Signing in is counted by address, strictly by
//! account and address, and loosely by account; the last leaves addresses alone from which its owner has signed in, so
//! that who guesses from elsewhere can't lock them out.

mod address;
mod buckets;
mod policy;

pub use address::Network;
pub use policy::Standing;

use crate::{
    clock::Clock,
    config::Config,
    contract::{Limit, door::Principal},
    error::Problem,
    random::sha256,
};
use actix_web::{HttpMessage, HttpRequest};
use buckets::Buckets;
use policy::Policy;

/// The answer's header that names the limits a request counts towards.
pub const POLICIES: &str = "ratelimit-policy";
/// The answer's header that says what is left of them.
pub const STANDING: &str = "ratelimit";

/// All limits of this node.
pub struct Limits {
    user: Option<Policy>,
    address: Option<Policy>,
    booking: Option<Policy>,
    login_address: Option<Policy>,
    login_failures: Option<Policy>,
    login_account: Option<Policy>,
    signup_address: Option<Policy>,
    signup_account: Option<Policy>,
    /// From where which accounts have been signed in to.
    known: Buckets,
    trusted: Vec<Network>,
}

const MINUTE: u32 = 60;
const HOUR: u32 = 3_600;

impl Limits {
    /// The limits that the operator chose.
    pub fn new(config: &Config, clock: &Clock) -> Self {
        let policy = |name, what, quota, window| Policy::new(name, what, quota, window, clock);
        Self {
            user: policy("user", "requests", config.limit_requests_per_user_minute, MINUTE),
            address: policy("address", "requests from your address", config.limit_requests_per_address_minute, MINUTE),
            booking: policy("booking", "bookings", config.limit_bookings_per_user_minute, MINUTE),
            login_address: policy("login-address", "sign-ins from your address", config.limit_logins_per_address_minute, MINUTE),
            login_failures: policy("login-failures", "failed sign-ins", config.limit_login_failures_per_hour, HOUR),
            login_account: policy("login-account", "sign-ins to this account", config.limit_logins_per_account_hour, HOUR),
            signup_address: policy("signup-address", "new accounts from your address", config.limit_signups_per_address_hour, HOUR),
            signup_account: policy("signup-account", "tries to make this account", config.limit_signups_per_account_hour, HOUR),
            known: Buckets::default(),
            trusted: config.trusted_proxies().collect(),
        }
    }

    /// Counts a request at the door. What is left goes into its answer.
    pub fn admit(&self, request: &HttpRequest, limit: Limit, principal: Principal) -> Result<(), Problem> {
        let (policy, key) = match (limit, principal) {
            (Limit::None, _) => return Ok(()),
            (Limit::Booking, Principal::User(user)) => (&self.booking, user.as_u128()),
            (Limit::LogIn, _) => (&self.login_address, self.address_of(request)),
            (Limit::SignUp, _) => (&self.signup_address, self.address_of(request)),
            (Limit::General, Principal::User(user)) => (&self.user, user.as_u128()),
            // A program books for many, so its bookings are requests like others.
            (Limit::General | Limit::Booking, Principal::Key(holder)) => (&self.user, holder.id.as_u128()),
            (Limit::General | Limit::Booking, Principal::Anonymous) => (&self.address, self.address_of(request)),
        };
        take(request, policy, key, Shown::Yes)
    }

    /// Counts an attempt to sign in to an account. Tell it of a success.
    pub fn log_in(&self, request: &HttpRequest, email: &str) -> Result<Attempt<'_>, Problem> {
        let account = key_of(email.as_bytes());
        let here = key_of(&[&account.to_be_bytes()[..], &self.address_of(request).to_be_bytes()].concat());
        take(request, &self.login_failures, here, Shown::Yes)?;
        if !self.known.contains(here) {
            // What others do to an account is not told to whoever asks.
            take(request, &self.login_account, account, Shown::No)?;
        }
        Ok(Attempt { limits: self, here })
    }

    /// Counts an attempt to make an account.
    pub fn sign_up(&self, request: &HttpRequest, email: &str) -> Result<(), Problem> {
        take(request, &self.signup_account, key_of(email.as_bytes()), Shown::No)
    }

    fn address_of(&self, request: &HttpRequest) -> u128 {
        address::key(address::of(request, &self.trusted))
    }
}

/// An attempt to sign in, counted as a failure until it is known better.
pub struct Attempt<'l> {
    limits: &'l Limits,
    here: u128,
}

impl Attempt<'_> {
    /// The password was not looked at: the attempt doesn't count. Else who tries again while all are busy is shut out.
    pub fn untried(self) {
        if let Some(failures) = &self.limits.login_failures {
            failures.give_back(self.here);
        }
    }

    /// The password was right: forgets the failures from here, and remembers that this address is the owner's.
    pub fn succeeded(self) {
        if let Some(failures) = &self.limits.login_failures {
            failures.forget(self.here);
        }
        self.limits.known.put(self.here);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Yes,
    No,
}

fn take(request: &HttpRequest, policy: &Option<Policy>, key: u128, shown: Shown) -> Result<(), Problem> {
    let Some(policy) = policy else { return Ok(()) };
    let taken = policy.take(key);
    if shown == Shown::Yes || taken.is_err() {
        let mut extensions = request.extensions_mut();
        let (left, secs) = taken.map_or_else(|wait_secs| (0, wait_secs), |left| (left.requests, left.secs));
        match extensions.get_mut::<Standing>() {
            Some(standing) => standing.add(policy, left, secs),
            None => drop(extensions.insert(Standing::new(policy, left, secs))),
        }
    }
    taken.map(|_| ()).map_err(|wait_secs| policy.refusal(wait_secs))
}

/// A key that gives nothing away.
fn key_of(bytes: &[u8]) -> u128 {
    let hash = sha256(bytes);
    u128::from_be_bytes(hash[..16].try_into().expect("half of SHA-256 is 16 bytes"))
}
