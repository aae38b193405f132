//! Time: one type for instants, and the clock that everything asks instead of the system's.

use jiff::{SignedDuration, Unit};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

/// The first instant of the year 0000, before which RFC 3339 can't be written: an offset can lead there.
const YEAR_0_MICROS: i64 = -62_167_219_200_000_000;

/// An instant in UTC, rounded to microseconds so that both databases keep it unchanged. Written as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// From microseconds since 1970, or `None` outside the years −9999 to 9999.
    pub fn from_micros(micros: i64) -> Option<Self> {
        jiff::Timestamp::from_microsecond(micros).ok().map(Self)
    }

    /// Microseconds since 1970.
    pub fn as_micros(self) -> i64 {
        self.0.as_microsecond()
    }

    /// The instant as jiff's type, for calendars and zones.
    pub fn to_jiff(self) -> jiff::Timestamp {
        self.0
    }

    /// This instant so many seconds later (saturating at the end of time).
    #[must_use]
    pub fn plus_secs(self, secs: i64) -> Self {
        self.0.saturating_add(SignedDuration::from_secs(secs)).map_or(self, Self)
    }

    /// The same instant as people read it in `zone`: RFC 3339 with the zone's offset.
    pub fn in_zone(self, zone: &jiff::tz::TimeZone) -> String {
        self.0.display_with_offset(zone.to_offset(self.0)).to_string()
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(instant: jiff::Timestamp) -> Self {
        Self(instant.round(Unit::Microsecond).unwrap_or(instant))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    /// From an RFC 3339 text (with any offset), or from a number of microseconds (as SQLite keeps it).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 instant with an offset")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                let instant = text.parse::<jiff::Timestamp>().map_err(|error| E::custom(format!("not an instant: {error}")))?;
                if instant.as_microsecond() < YEAR_0_MICROS {
                    return Err(E::custom("before the year 0000"));
                }
                Ok(instant.into())
            }
            fn visit_i64<E: de::Error>(self, micros: i64) -> Result<Timestamp, E> {
                Timestamp::from_micros(micros).ok_or_else(|| E::custom("out of the range of times"))
            }
            fn visit_u64<E: de::Error>(self, micros: u64) -> Result<Timestamp, E> {
                i64::try_from(micros).map_err(E::custom).and_then(|micros| self.visit_i64(micros))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Tells the time. In production the system's, in the demo a shifted one, in tests one that only moves when told.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { ahead: SignedDuration },
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Source::System { ahead: SignedDuration::ZERO })
    }

    /// The system's clock moved so that it shows `start` now and runs on from there.
    pub fn starting_at(start: Timestamp) -> Self {
        let now = Self::system().now();
        Self(Source::System { ahead: start.0.duration_since(now.0) })
    }

    /// A clock that stands at `start` until [`Clock::set`]; its clones show the same time.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.as_micros()))))
    }

    /// Moves a manual clock. Returns `false` for a running one, which stays as it is.
    pub fn set(&self, to: Timestamp) -> bool {
        match &self.0 {
            Source::System { .. } => false,
            Source::Manual(micros) => {
                micros.store(to.as_micros(), Ordering::SeqCst);
                true
            }
        }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[allow(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
            Source::System { ahead } => jiff::Timestamp::now().saturating_add(*ahead).unwrap_or_else(|_| jiff::Timestamp::now()).into(),
            Source::Manual(micros) => {
                Timestamp::from_micros(micros.load(Ordering::SeqCst)).unwrap_or(Timestamp(jiff::Timestamp::UNIX_EPOCH))
            }
        }
    }
}
