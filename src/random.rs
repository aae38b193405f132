//! Where ids and secrets come from: the system's random source in production, a seeded one where a test asks.

use crate::clock::{Clock, Timestamp};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    fmt,
    sync::{Arc, Mutex},
};
use uuid::Uuid;

/// The random source.
#[derive(Clone)]
pub struct Random(Option<Arc<Mutex<StdRng>>>);

impl Random {
    /// The operating system's.
    pub fn system() -> Self {
        Self(None)
    }

    /// A source that always gives the same values. For tests only: its secrets are no secrets.
    pub fn seeded(seed: u64) -> Self {
        Self(Some(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))))
    }

    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            #[allow(clippy::disallowed_methods, reason = "the one place that reads the system's random source")]
            None => aws_lc_rs::rand::fill(bytes).expect("the operating system has a random source"),
            Some(seeded) => seeded.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill_bytes(bytes),
        }
    }

    /// A new id: UUID version 7 (RFC 9562), so that rows written together lie together.
    pub fn id(&self, at: Timestamp) -> Uuid {
        let mut bytes = [0; 10];
        match &self.0 {
            // No secrets: a generator in this thread, seeded by the system, is as good and much nearer.
            #[allow(clippy::disallowed_methods, reason = "the one place that reads a random source")]
            None => rand::rng().fill_bytes(&mut bytes),
            Some(_) => self.fill(&mut bytes),
        }
        let millis = u64::try_from(at.as_micros() / 1000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    /// A new id for now.
    pub fn id_now(&self, clock: &Clock) -> Uuid {
        self.id(clock.now())
    }

    /// A secret of 256 bits. None begins with a hyphen, at the cost of a fortieth of a bit: a spreadsheet would take it for a
    /// formula, a command line for an option.
    pub fn secret(&self) -> Secret {
        loop {
            let mut bytes = [0; 32];
            self.fill(&mut bytes);
            let text = URL_SAFE_NO_PAD.encode(bytes);
            if !text.starts_with('-') {
                return Secret(text);
            }
        }
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Random(seeded)" } else { "Random(system)" })
    }
}

/// A secret as it is handed out once (base64url, 43 characters); only its hash is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl Secret {
    /// What is kept of it: SHA-256. A slow hash is for passwords; 256 random bits can't be guessed.
    pub fn hash(&self) -> Vec<u8> {
        sha256(self.0.as_bytes()).to_vec()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// SHA-256 (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_begins_with_a_hyphen() {
        let random = Random::seeded(7);
        // One in 64 would.
        let secrets: Vec<Secret> = (0..2_000).map(|_| random.secret()).collect();
        assert!(secrets.iter().all(|secret| secret.0.len() == 43 && !secret.0.starts_with('-')));
        assert!(secrets.iter().any(|secret| secret.0.contains('-')), "within it one is harmless");
    }
}
