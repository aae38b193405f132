//! Events: their types, and what makes one valid.

use crate::{
    clock::Timestamp,
    db::text_enum,
    error::{Code, Problem},
    text::fold,
};
use serde::{Deserialize, Serialize, Serializer};
use std::{fmt, ops::Deref};
use uuid::Uuid;

text_enum! {
    /// Who sees an event.
    pub enum EventStatus {
        /// Members only.
        Draft = "draft",
        /// Everybody; bookable.
        Published = "published",
        /// Everybody; over.
        Archived = "archived",
    }
}

text_enum! {
    /// Who may book.
    pub enum Admission {
        /// Any signed-in user becomes an attendee by booking.
        Open = "open",
        /// Only users who are linked to an attendee of the event.
        AttendeesOnly = "attendees_only",
    }
}

text_enum! {
    /// Whether somebody may have two seats at the same hours.
    pub enum Overlap {
        /// No.
        Reject = "reject",
        /// Yes.
        Allow = "allow",
    }
}

text_enum! {
    /// What happens when who is next in line has a seat at the same hours.
    pub enum OnClash {
        /// They wait on, and the next gets it.
        Skip = "skip",
        /// They get it, and give the other up.
        Swap = "swap",
    }
}

/// An event as it is stored, and as it is shown.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its id.
    pub id: Uuid,
    /// Who owns it.
    pub organisation_id: Uuid,
    /// Its name in addresses, unique in the installation.
    pub slug: String,
    /// Its name as printed.
    pub name: String,
    /// What its name is sorted by.
    #[serde(skip)]
    pub sort_key: String,
    /// The zone that its days and hours are in.
    #[sqlx(try_from = "String")]
    pub time_zone: Zone,
    /// Its first day.
    #[sqlx(try_from = "String")]
    pub starts_on: CalendarDate,
    /// Its last day.
    #[sqlx(try_from = "String")]
    pub ends_on: CalendarDate,
    /// Who sees it.
    pub status: EventStatus,
    /// When and by whom its sessions can be booked.
    #[sqlx(flatten)]
    pub booking: EventBooking,
    /// The ETag of the programme document.
    #[serde(skip)]
    pub programme_version: i64,
    /// The ETag.
    #[serde(skip)]
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The booking rules of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase", default)]
pub struct EventBooking {
    /// When booking opens; `None`: it is open from the start.
    #[sqlx(rename = "booking_opens_at")]
    pub opens_at: Option<Timestamp>,
    /// When booking closes; `None`: each session takes bookings until it starts.
    #[sqlx(rename = "booking_closes_at")]
    pub closes_at: Option<Timestamp>,
    /// Who may book.
    pub admission: Admission,
    /// Whether somebody may have two seats at the same hours.
    pub overlap: Overlap,
    /// Minutes that must lie between two seats in different rooms.
    pub overlap_buffer_minutes: i64,
    /// What happens when who is next in line has a seat at the same hours.
    pub on_promotion_clash: OnClash,
    /// Whether who gets a seat stops waiting for others at the same hours.
    pub leave_overlapping_waitlists: bool,
    /// How many sessions somebody may have; `None`: as many as there are.
    pub max_sessions: Option<i64>,
    /// How many on one day, by the event's clocks.
    pub max_sessions_per_day: Option<i64>,
    /// How long freed seats are held for who is next.
    #[sqlx(flatten)]
    pub offers: OfferTimes,
}

/// How long a freed seat is held for who is next, where the session's waitlist makes offers: the nearer the start, the
/// shorter, and in the end the seat is given without asking. An offer ends with the start in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase", default)]
pub struct OfferTimes {
    /// Minutes, days before the session.
    #[sqlx(rename = "offer_ttl_minutes")]
    pub ttl_minutes: i64,
    /// Minutes, in the last 24 hours before it.
    #[sqlx(rename = "offer_last_day_ttl_minutes")]
    pub last_day_ttl_minutes: i64,
    /// In so many minutes before it seats are given at once.
    #[sqlx(rename = "offer_automatic_minutes")]
    pub automatic_minutes: i64,
}

impl Default for OfferTimes {
    fn default() -> Self {
        Self { ttl_minutes: 24 * 60, last_day_ttl_minutes: 120, automatic_minutes: 60 }
    }
}

impl OfferTimes {
    /// Until when a seat freed now is held; `None` where it is given at once.
    pub fn until(&self, now: Timestamp, starts_at: Timestamp) -> Option<Timestamp> {
        const MINUTE: i64 = 60;
        const DAY: i64 = 24 * 60 * MINUTE;
        if starts_at <= now.plus_secs(self.automatic_minutes * MINUTE) {
            return None;
        }
        let minutes = if starts_at <= now.plus_secs(DAY) { self.last_day_ttl_minutes } else { self.ttl_minutes };
        Some(now.plus_secs(minutes * MINUTE).min(starts_at))
    }
}

impl Default for EventBooking {
    fn default() -> Self {
        Self {
            opens_at: None,
            closes_at: None,
            admission: Admission::Open,
            overlap: Overlap::Reject,
            overlap_buffer_minutes: 0,
            on_promotion_clash: OnClash::Skip,
            leave_overlapping_waitlists: false,
            max_sessions: None,
            max_sessions_per_day: None,
            offers: OfferTimes::default(),
        }
    }
}

impl EventBooking {
    /// When booking is open.
    pub fn window(&self) -> BookingWindow {
        BookingWindow { opens_at: self.opens_at, closes_at: self.closes_at }
    }
}

/// When booking is open: from `opens_at` on, until before `closes_at`; `None` sets no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase", default)]
pub struct BookingWindow {
    /// When it opens.
    #[sqlx(rename = "booking_opens_at")]
    pub opens_at: Option<Timestamp>,
    /// When it closes.
    #[sqlx(rename = "booking_closes_at")]
    pub closes_at: Option<Timestamp>,
}

impl BookingWindow {
    /// Refuses a window that never opens. `at` points to the object with `opensAt` and `closesAt` in the body.
    pub fn check(&self, at: &str) -> Result<(), Problem> {
        match (self.opens_at, self.closes_at) {
            (Some(opens), Some(closes)) if closes <= opens => {
                Err(Problem::invalid(Code::InvalidRange, format!("{at}/closesAt"), "Booking must close after it opens."))
            }
            _ => Ok(()),
        }
    }
}

/// What an event is made of: the body of a create. A merge patch is applied to it too; the contract keeps
/// `organisationId` out of a patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "as in Event")]
pub struct EventForm {
    pub organisation_id: Uuid,
    pub slug: String,
    pub name: String,
    pub time_zone: String,
    pub starts_on: CalendarDate,
    pub ends_on: CalendarDate,
    #[serde(default = "draft")]
    pub status: EventStatus,
    #[serde(default)]
    pub booking: EventBooking,
}

fn draft() -> EventStatus {
    EventStatus::Draft
}

/// A form that has passed [`EventForm::validate`].
#[derive(Clone, Debug)]
pub struct ValidEvent(EventForm);

impl Deref for ValidEvent {
    type Target = EventForm;
    fn deref(&self) -> &EventForm {
        &self.0
    }
}

impl ValidEvent {
    /// What its name is sorted and searched by.
    pub fn sort_key(&self) -> String {
        fold(&self.name)
    }
}

impl EventForm {
    /// Whether becoming `next` hides the event from those who are registered. One that is over stays readable.
    pub fn is_taken_back(&self, next: &Self) -> bool {
        self.status != EventStatus::Draft && next.status == EventStatus::Draft
    }

    /// Whether by the rules of `next` somebody may have what they may not have now.
    pub fn rules_differ(&self, next: &Self) -> bool {
        (self.status, self.booking, &self.time_zone) != (next.status, next.booking, &next.time_zone)
    }

    /// Refuses what the contract's schema can't: a slug that reads as an id, an unknown zone, an end before its start.
    /// `at` points to the event in the body: nothing where the event is the body.
    pub fn validate(mut self, at: &str) -> Result<ValidEvent, Problem> {
        // An address with such a slug would be taken for one with an id.
        if Uuid::try_parse(&self.slug).is_ok() {
            return Err(Problem::new(Code::InvalidBody, "The slug must not look like a UUID.").at(
                format!("{at}/slug"),
                "pattern",
                "must not look like a UUID",
            ));
        }
        let zone = Zone::get(&self.time_zone).ok_or_else(|| {
            Problem::invalid(Code::InvalidTimeZone, format!("{at}/timeZone"), "This is no time zone of the IANA database.")
        })?;
        self.time_zone = zone.to_string();
        if self.ends_on < self.starts_on {
            let detail = "The last day must not be before the first.";
            return Err(Problem::invalid(Code::InvalidRange, format!("{at}/endsOn"), detail));
        }
        self.booking.window().check(&format!("{at}/booking"))?;
        Ok(ValidEvent(self))
    }
}

impl Event {
    /// Its editable form, for a merge patch.
    pub fn form(&self) -> EventForm {
        EventForm {
            organisation_id: self.organisation_id,
            slug: self.slug.clone(),
            name: self.name.clone(),
            time_zone: self.time_zone.to_string(),
            starts_on: self.starts_on,
            ends_on: self.ends_on,
            status: self.status,
            booking: self.booking,
        }
    }
}

/// A time zone of the IANA database.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Zone(jiff::tz::TimeZone);

impl Zone {
    /// The zone of that name in any case, or `None` if there is none. Its links to other names stay as they are.
    pub fn get(name: &str) -> Option<Self> {
        let zone = jiff::tz::TimeZone::get(name).ok()?;
        zone.iana_name().is_some().then_some(Self(zone))
    }

    /// The zone as jiff's type.
    pub fn as_jiff(&self) -> &jiff::tz::TimeZone {
        &self.0
    }
}

impl fmt::Display for Zone {
    /// Its name as the database spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl TryFrom<String> for Zone {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Self::get(&name).ok_or_else(|| format!("no such time zone: {name}"))
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A day of the calendar, in the event's time zone: `YYYY-MM-DD` everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CalendarDate(jiff::civil::Date);

impl fmt::Display for CalendarDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for CalendarDate {
    type Error = jiff::Error;
    fn try_from(text: String) -> Result<Self, jiff::Error> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_micros(minutes * 60_000_000).expect("a time")
    }

    #[test]
    fn offers_shrink_towards_the_start() {
        let offers = OfferTimes::default();
        let start = at(10_000);
        assert_eq!(offers.until(at(0), start), Some(at(1_440)));
        assert_eq!(offers.until(at(8_559), start), Some(at(9_999)), "more than a day before");
        assert_eq!(offers.until(at(8_560), start), Some(at(8_680)), "in the last day");
        assert_eq!(offers.until(at(9_939), start), Some(start), "an offer ends with the start");
        assert_eq!(offers.until(at(9_940), start), None, "in the last hour seats are given");
        assert_eq!(OfferTimes { automatic_minutes: 0, ..offers }.until(at(9_999), start), Some(start));
    }
}
