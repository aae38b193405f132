//! One quota for each key, and how answers tell of it.

use super::{POLICIES, STANDING, buckets::Buckets};
use crate::{
    clock::Clock,
    error::{Code, Problem},
};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use governor::{Quota, RateLimiter, clock::Clock as _, middleware::StateInformationMiddleware};
use std::{fmt::Write, num::NonZeroU32, time::Duration};

type Limiter = RateLimiter<u128, Buckets, Time, StateInformationMiddleware>;

/// The injected clock, as the limiter asks for it.
struct Time(Clock);

impl governor::clock::Clock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.now().as_micros()).unwrap_or_default())
    }
}

/// So many requests in so many seconds, for each key.
pub struct Policy {
    name: &'static str,
    /// What is limited, in the words of the refusal.
    what: &'static str,
    quota: NonZeroU32,
    window_secs: u32,
    limiter: Limiter,
    buckets: Buckets,
}

/// What is left to a key after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Requests that can be made at once.
    pub requests: u32,
    /// Within how many seconds no more than these should be made.
    pub secs: u32,
}

impl Policy {
    /// A quota of zero is no limit.
    pub fn new(name: &'static str, what: &'static str, quota: u32, window_secs: u32, clock: &Clock) -> Option<Self> {
        let quota = NonZeroU32::new(quota)?;
        let buckets = Buckets::default();
        let each = Duration::from_secs(window_secs.into()) / quota.get();
        let limiter = Limiter::new(Quota::with_period(each)?.allow_burst(quota), buckets.clone(), Time(clock.clone()));
        Some(Self { name, what, quota, window_secs, limiter, buckets })
    }

    /// Takes one request from a key's quota; or says after how many seconds there is one again.
    pub fn take(&self, key: u128) -> Result<Left, u32> {
        self.check(key)
            .or_else(|wait| {
                if wait <= self.each() {
                    return Err(wait);
                }
                // Nobody waits longer than for the next request, unless the clock went back.
                self.buckets.forget(key);
                self.check(key)
            })
            .map_err(|wait| u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(self.window_secs).max(1))
    }

    fn check(&self, key: u128) -> Result<Left, Duration> {
        match self.limiter.check_key(&key) {
            Ok(state) => Ok(self.left(state.remaining_burst_capacity())),
            Err(refused) => Err(refused.wait_time_from(self.limiter.clock().now())),
        }
    }

    /// How long it takes for one request to come back.
    fn each(&self) -> Duration {
        Duration::from_secs(self.window_secs.into()) / self.quota.get()
    }

    /// With something left, the time until the quota is whole; with nothing, until there is one again.
    fn left(&self, requests: u32) -> Left {
        let (quota, window) = (u64::from(self.quota.get()), u64::from(self.window_secs));
        let lacking = if requests == 0 { 1 } else { quota.saturating_sub(requests.into()) };
        let secs = (lacking * window).div_ceil(quota);
        Left { requests, secs: u32::try_from(secs).unwrap_or(self.window_secs) }
    }

    /// Gives one request back that turned out not to count.
    pub fn give_back(&self, key: u128) {
        self.buckets.give_back(key, self.each());
    }

    /// Makes a key's quota whole.
    pub fn forget(&self, key: u128) {
        self.buckets.forget(key);
    }

    /// The answer to who has used their quota up.
    pub fn refusal(&self, wait_secs: u32) -> Problem {
        let Self { what, quota, window_secs, .. } = self;
        let every = if *window_secs == 60 { "a minute" } else { "an hour" };
        let detail = format!("There can be {quota} {what} {every}. Nothing was done; try again in {wait_secs} s.");
        Problem::new(Code::TooManyRequests, detail).retry_after(wait_secs)
    }
}

/// How the quotas stand that a request took from, for its answer.
pub struct Standing {
    policies: String,
    limits: String,
}

impl Standing {
    /// With the first.
    pub fn new(policy: &Policy, left: u32, secs: u32) -> Self {
        let mut standing = Self { policies: String::with_capacity(48), limits: String::with_capacity(48) };
        standing.write(policy, left, secs);
        standing
    }

    /// With one more.
    pub fn add(&mut self, policy: &Policy, left: u32, secs: u32) {
        self.policies.push_str(", ");
        self.limits.push_str(", ");
        self.write(policy, left, secs);
    }

    fn write(&mut self, Policy { name, quota, window_secs, .. }: &Policy, left: u32, secs: u32) {
        // Writing to a String can't fail.
        let _ = write!(self.policies, "\"{name}\";q={quota};w={window_secs}");
        let _ = write!(self.limits, "\"{name}\";r={left};t={secs}");
    }

    /// Writes `RateLimit-Policy` and `RateLimit`.
    pub fn tell(&self, headers: &mut HeaderMap) {
        for (name, text) in [(POLICIES, &self.policies), (STANDING, &self.limits)] {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn policy(quota: u32, window_secs: u32) -> (Policy, Clock) {
        let clock = Clock::manual(Timestamp::from_micros(1_772_000_000_000_000).unwrap());
        (Policy::new("test", "requests", quota, window_secs, &clock).unwrap(), clock)
    }

    #[test]
    fn a_quota_is_used_up_and_trickles_back() {
        let (policy, clock) = policy(3, 60);
        assert_eq!(policy.take(1), Ok(Left { requests: 2, secs: 20 }));
        assert_eq!(policy.take(1), Ok(Left { requests: 1, secs: 40 }));
        assert_eq!(policy.take(1), Ok(Left { requests: 0, secs: 20 }));
        assert_eq!(policy.take(1), Err(20));
        assert_eq!(policy.take(2), Ok(Left { requests: 2, secs: 20 }), "another key has its own");
        clock.set(clock.now().plus_secs(19));
        assert_eq!(policy.take(1), Err(1));
        clock.set(clock.now().plus_secs(1));
        assert_eq!(policy.take(1), Ok(Left { requests: 0, secs: 20 }));
        clock.set(clock.now().plus_secs(3_600));
        assert_eq!(policy.take(1), Ok(Left { requests: 2, secs: 20 }), "no more than the quota");
        policy.forget(1);
        assert_eq!(policy.take(1), Ok(Left { requests: 2, secs: 20 }));
        assert_eq!(policy.take(1), Ok(Left { requests: 1, secs: 40 }));
        policy.give_back(1);
        assert_eq!(policy.take(1), Ok(Left { requests: 1, secs: 40 }));
    }

    #[test]
    fn quotas_are_large_or_none() {
        let (policy, _) = policy(1_000_000, 60);
        assert_eq!(policy.take(1), Ok(Left { requests: 999_999, secs: 1 }));
        assert!(Policy::new("test", "requests", 0, 60, &Clock::system()).is_none());
    }

    #[test]
    fn a_clock_that_goes_back_shuts_nobody_out() {
        let (policy, clock) = policy(2, 60);
        clock.set(clock.now().plus_secs(86_400));
        assert_eq!(policy.take(1), Ok(Left { requests: 1, secs: 30 }));
        clock.set(clock.now().plus_secs(-3_600));
        assert_eq!(policy.take(1), Ok(Left { requests: 1, secs: 30 }));
        assert_eq!(policy.take(1), Ok(Left { requests: 0, secs: 30 }));
        assert_eq!(policy.take(1), Err(30));
    }

    #[test]
    fn answers_name_each_quota() {
        let (policy, _) = policy(3, 60);
        let mut standing = Standing::new(&policy, 2, 20);
        standing.add(&policy, 0, 5);
        let mut headers = HeaderMap::new();
        standing.tell(&mut headers);
        assert_eq!(headers.get("ratelimit-policy").unwrap(), "\"test\";q=3;w=60, \"test\";q=3;w=60");
        assert_eq!(headers.get("ratelimit").unwrap(), "\"test\";r=2;t=20, \"test\";r=0;t=5");
    }
}
