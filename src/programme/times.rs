//! Times in the document: local in the event's zone, or with an offset.

use crate::clock::Timestamp;
use jiff::{
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};

/// Why a time in the document is no instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFault {
    /// No such day or hour in any zone (30 February).
    Invalid,
    /// Skipped in this zone, because clocks go forward.
    Skipped,
    /// There twice in this zone, because clocks go back.
    Twice,
}

impl TimeFault {
    /// The code of the detail in a problem.
    pub fn code(self) -> &'static str {
        match self {
            Self::Invalid => "format",
            Self::Skipped => "skipped_time",
            Self::Twice => "ambiguous_time",
        }
    }

    /// A sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Invalid => "is not a time that exists",
            Self::Skipped => "does not exist in the event's time zone: clocks go forward over it",
            Self::Twice => "is there twice in the event's time zone, since clocks go back: give it with its offset",
        }
    }
}

/// The instant that a time in the document means.
pub fn read(text: &str, zone: &TimeZone) -> Result<Timestamp, TimeFault> {
    let has_offset = text.split_once('T').is_some_and(|(_, time)| time.contains(['Z', '+', '-']));
    if has_offset {
        return text.parse::<jiff::Timestamp>().map(Timestamp::from).map_err(|_| TimeFault::Invalid);
    }
    let local: DateTime = text.parse().map_err(|_| TimeFault::Invalid)?;
    let ambiguous = zone.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => ambiguous.unambiguous().map(Timestamp::from).map_err(|_| TimeFault::Invalid),
        AmbiguousOffset::Gap { .. } => Err(TimeFault::Skipped),
        AmbiguousOffset::Fold { .. } => Err(TimeFault::Twice),
    }
}

/// An instant as the document writes it: local and as short as it can be, with the offset where that alone says which
/// of two it is.
pub fn write(instant: Timestamp, zone: &TimeZone) -> String {
    let local = zone.to_datetime(instant.to_jiff());
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { .. } if local.second() == 0 && local.subsec_nanosecond() == 0 => {
            local.strftime("%Y-%m-%dT%H:%M").to_string()
        }
        AmbiguousOffset::Unambiguous { .. } => local.to_string(),
        _ => instant.in_zone(zone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oslo() -> TimeZone {
        TimeZone::get("Europe/Oslo").expect("the zone is in the bundle")
    }

    fn instant(text: &str) -> Timestamp {
        text.parse::<jiff::Timestamp>().expect("an instant").into()
    }

    #[test]
    fn a_local_time_is_read_in_the_zone_and_an_offset_is_taken_as_it_is() {
        assert_eq!(read("2026-03-11T13:00", &oslo()), Ok(instant("2026-03-11T12:00:00Z")));
        assert_eq!(read("2026-07-11T13:00:30", &oslo()), Ok(instant("2026-07-11T11:00:30Z")));
        assert_eq!(read("2026-03-11T13:00Z", &oslo()), Ok(instant("2026-03-11T13:00:00Z")));
        assert_eq!(read("2026-03-11T13:00-05:00", &oslo()), Ok(instant("2026-03-11T18:00:00Z")));
    }

    #[test]
    fn times_that_do_not_exist_or_exist_twice_are_refused() {
        assert_eq!(read("2026-02-30T13:00", &oslo()), Err(TimeFault::Invalid));
        assert_eq!(read("2026-02-20T25:00", &oslo()), Err(TimeFault::Invalid));
        assert_eq!(read("2026-03-29T02:30", &oslo()), Err(TimeFault::Skipped));
        assert_eq!(read("2026-10-25T02:30", &oslo()), Err(TimeFault::Twice));
        assert_eq!(read("2026-10-25T02:30+01:00", &oslo()), Ok(instant("2026-10-25T01:30:00Z")));
    }

    #[test]
    fn what_is_written_reads_back() {
        let written = [
            ("2026-03-11T12:00:00Z", "2026-03-11T13:00"),
            ("2026-03-11T12:00:05Z", "2026-03-11T13:00:05"),
            ("2026-03-11T12:00:00.25Z", "2026-03-11T13:00:00.25"),
            ("2026-10-25T00:30:00Z", "2026-10-25T02:30:00+02:00"),
            ("2026-10-25T01:30:00Z", "2026-10-25T02:30:00+01:00"),
        ];
        for (utc, local) in written {
            assert_eq!(write(instant(utc), &oslo()), local);
            assert_eq!(read(local, &oslo()), Ok(instant(utc)));
        }
    }
}
