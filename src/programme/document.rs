//! The format `plenary-programme/1`. What is empty is left out, people are referred to by key, and times are local to
//! the event where they can be.

use super::{store::Current, times};
use crate::{
    error::Problem,
    events::model::{Admission, BookingWindow, CalendarDate, EventBooking, EventStatus, OfferTimes, OnClash, Overlap},
    keyed::Keyed,
    rooms::model::Room,
    sessions::model::{Person, Pool, Session, SessionStatus, Waitlist, WaitlistMode},
    speakers::model::Speaker,
    streams::model::Stream,
};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// A whole programme.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    /// Its format.
    pub format: Format,
    /// The event's own fields.
    pub event: EventDocument,
    /// By key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub streams: BTreeMap<String, StreamDocument>,
    /// By key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rooms: BTreeMap<String, RoomDocument>,
    /// By key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub speakers: BTreeMap<String, SpeakerDocument>,
    /// Each code once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionDocument>,
}

/// The one format so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// The first.
    #[serde(rename = "plenary-programme/1")]
    V1,
}

/// The event's own fields.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventDocument {
    /// Must be the event's where it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// As printed.
    pub name: String,
    /// The zone of all times without an offset.
    pub time_zone: String,
    /// Its first day.
    pub starts_on: CalendarDate,
    /// Its last day.
    pub ends_on: CalendarDate,
    /// Stays as it is where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<EventStatus>,
    /// Stays as it is where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booking: Option<EventBookingDocument>,
}

/// The event's booking rules. A time or a maximum that is not given sets no bound; what else is not given stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventBookingDocument {
    /// When booking opens and closes.
    #[serde(flatten)]
    pub window: WindowDocument,
    /// Who may book.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<Admission>,
    /// Whether somebody may have two seats at the same hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// Minutes that must lie between two seats in different rooms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_buffer_minutes: Option<i64>,
    /// What happens when who is next in line has a seat at the same hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_promotion_clash: Option<OnClash>,
    /// Whether who gets a seat stops waiting for others at the same hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave_overlapping_waitlists: Option<bool>,
    /// How many sessions somebody may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_sessions: Option<i64>,
    /// How many on one day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_sessions_per_day: Option<i64>,
    /// How long freed seats are held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offers: Option<OfferTimes>,
}

impl EventBookingDocument {
    fn of(booking: EventBooking, zone: &TimeZone) -> Self {
        Self {
            window: WindowDocument::of(booking.window(), zone),
            admission: Some(booking.admission),
            overlap: Some(booking.overlap),
            overlap_buffer_minutes: Some(booking.overlap_buffer_minutes),
            on_promotion_clash: Some(booking.on_promotion_clash),
            leave_overlapping_waitlists: Some(booking.leave_overlapping_waitlists),
            max_sessions: booking.max_sessions,
            max_sessions_per_day: booking.max_sessions_per_day,
            offers: Some(booking.offers),
        }
    }

    /// The rules that come of it in a window that was read.
    pub fn rules(&self, window: BookingWindow, current: EventBooking) -> EventBooking {
        EventBooking {
            opens_at: window.opens_at,
            closes_at: window.closes_at,
            admission: self.admission.unwrap_or(current.admission),
            overlap: self.overlap.unwrap_or(current.overlap),
            overlap_buffer_minutes: self.overlap_buffer_minutes.unwrap_or(current.overlap_buffer_minutes),
            on_promotion_clash: self.on_promotion_clash.unwrap_or(current.on_promotion_clash),
            leave_overlapping_waitlists: self.leave_overlapping_waitlists.unwrap_or(current.leave_overlapping_waitlists),
            max_sessions: self.max_sessions,
            max_sessions_per_day: self.max_sessions_per_day,
            offers: self.offers.unwrap_or(current.offers),
        }
    }
}

/// When booking is open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowDocument {
    /// When it opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<String>,
    /// When it closes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<String>,
}

/// A stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamDocument {
    /// As printed.
    pub name: String,
}

/// A room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoomDocument {
    /// As printed.
    pub name: String,
    /// The seats of a session held in it that names no capacity of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<i64>,
}

/// A speaker or chair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerDocument {
    /// As printed.
    pub name: String,
    /// What lists are ordered by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_name: Option<String>,
    /// As printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affiliation: Option<String>,
    /// As printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// A session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionDocument {
    /// Only to give a session another code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// As printed.
    pub code: String,
    /// One line.
    pub title: String,
    /// Paragraphs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// When it begins.
    pub starts_at: String,
    /// When it ends.
    pub ends_at: String,
    /// A key of `streams`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// A key of `rooms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Keys of `speakers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chairs: Vec<String>,
    /// Its own seats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<i64>,
    /// None where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waitlist: Option<WaitlistDocument>,
    /// Seats that are held for attendees of a category.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<PoolDocument>,
    /// When and by whom it can be booked, if not as the event says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booking: Option<SessionBookingDocument>,
    /// A draft where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<SessionStatus>,
    /// In order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartDocument>,
}

/// What happens when a session is full.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct WaitlistDocument {
    /// None where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<WaitlistMode>,
    /// How many may wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

/// Seats that are held for attendees of a category.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolDocument {
    /// The category.
    pub category: String,
    /// How many.
    pub seats: i64,
    /// From when on they are open to all; never, where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub releases_at: Option<String>,
}

/// When and by whom a session can be booked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionBookingDocument {
    /// A window of its own.
    #[serde(flatten)]
    pub window: WindowDocument,
    /// The categories whose attendees may book it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
}

/// A part of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartDocument {
    /// One line.
    pub title: String,
    /// Paragraphs, separated by a blank line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#abstract: Option<String>,
    /// For whom it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// In order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub learning_outcomes: Vec<String>,
    /// Keys of `speakers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub speakers: Vec<String>,
}

impl WindowDocument {
    fn of(window: BookingWindow, zone: &TimeZone) -> Self {
        let text = |instant| times::write(instant, zone);
        Self { opens_at: window.opens_at.map(text), closes_at: window.closes_at.map(text) }
    }
}

impl Document {
    /// The document as YAML that people like to read: long texts are blocks.
    pub fn to_yaml(&self) -> Result<String, Problem> {
        serde_saphyr::to_string(self).map_err(Problem::internal)
    }

    /// The document of a programme. Put back as it is, it changes nothing.
    pub fn of(current: Current, sees_drafts: bool) -> Self {
        let Current { event, streams, rooms, speakers, sessions } = current;
        let zone = event.time_zone.as_jiff();
        let names = Names { streams: keys(&streams), rooms: keys(&rooms), speakers: keys(&speakers) };
        let visible = sessions.into_iter().filter(|session| sees_drafts || session.row.status != SessionStatus::Draft);
        Self {
            format: Format::V1,
            sessions: visible.map(|session| names.session(session, zone)).collect(),
            event: EventDocument {
                slug: Some(event.slug),
                name: event.name,
                time_zone: event.time_zone.to_string(),
                starts_on: event.starts_on,
                ends_on: event.ends_on,
                status: Some(event.status),
                booking: Some(EventBookingDocument::of(event.booking, zone)),
            },
            streams: streams.into_iter().map(|Stream { common }| (common.key, StreamDocument { name: common.name })).collect(),
            rooms: rooms.into_iter().map(|Room { common, capacity }| (common.key, RoomDocument { name: common.name, capacity })).collect(),
            speakers: speakers.into_iter().map(SpeakerDocument::of).collect(),
        }
    }
}

impl SpeakerDocument {
    fn of(speaker: Speaker) -> (String, Self) {
        let Speaker { common, sort_name, affiliation, country, .. } = speaker;
        (common.key, Self { name: common.name, sort_name, affiliation, country })
    }
}

fn keys<K: Keyed>(rows: &[K]) -> HashMap<Uuid, String> {
    rows.iter().map(|row| (row.common().id, row.common().key.clone())).collect()
}

/// What ids are called in the document.
struct Names {
    streams: HashMap<Uuid, String>,
    rooms: HashMap<Uuid, String>,
    speakers: HashMap<Uuid, String>,
}

impl Names {
    fn session(&self, session: Session, zone: &TimeZone) -> SessionDocument {
        let Session { row, chairs, parts } = session;
        let (waitlist, booking) = (row.waitlist(), row.booking());
        let booking = SessionBookingDocument { window: WindowDocument::of(booking.window, zone), categories: booking.categories };
        let pool = |pool: Pool| PoolDocument {
            category: pool.category,
            seats: pool.seats,
            releases_at: pool.releases_at.map(|at| times::write(at, zone)),
        };
        SessionDocument {
            id: None,
            code: row.code,
            title: row.title,
            summary: row.summary,
            starts_at: times::write(row.starts_at, zone),
            ends_at: times::write(row.ends_at, zone),
            stream: row.stream_id.and_then(|id| self.streams.get(&id).cloned()),
            room: row.room_id.and_then(|id| self.rooms.get(&id).cloned()),
            chairs: self.people(&chairs),
            capacity: row.capacity,
            waitlist: (waitlist != Waitlist::default()).then_some(WaitlistDocument { mode: Some(waitlist.mode), limit: waitlist.limit }),
            pools: row.pools.0.into_iter().map(pool).collect(),
            booking: (booking != SessionBookingDocument::default()).then_some(booking),
            status: Some(row.status),
            parts: parts
                .into_iter()
                .map(|part| PartDocument {
                    title: part.title,
                    r#abstract: part.r#abstract,
                    audience: part.audience,
                    learning_outcomes: part.learning_outcomes,
                    speakers: self.people(&part.speakers),
                })
                .collect(),
        }
    }

    fn people(&self, people: &[Person]) -> Vec<String> {
        people.iter().filter_map(|person| self.speakers.get(&person.id).cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn document(text: &str, lines: &str) -> Document {
        let session = serde_json::json!({
            "code": "E6", "title": text, "startsAt": "2026-03-11T13:00", "endsAt": "2026-03-11T14:00", "summary": lines,
            "parts": [{ "title": text, "abstract": lines, "audience": lines, "learningOutcomes": [text, text] }],
        });
        serde_json::from_value(serde_json::json!({
            "format": "plenary-programme/1",
            "event": { "name": text, "timeZone": "Europe/Oslo", "startsOn": "2026-03-11", "endsOn": "2026-03-13" },
            "streams": { "null": { "name": text }, "1": { "name": text }, "true": { "name": text } },
            "speakers": { "0x1f": { "name": text, "affiliation": text, "country": text } },
            "sessions": [session],
        }))
        .expect("a document")
    }

    fn reads_back(document: &Document) {
        let yaml = document.to_yaml().expect("YAML");
        let read = crate::contract::parse_yaml(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        assert_eq!(read, serde_json::to_value(document).expect("JSON"), "{yaml}");
    }

    #[test]
    fn yaml_keeps_texts_that_look_like_something_else() {
        for text in [
            "NO",
            "no",
            "~",
            "null",
            "12",
            "0x1f",
            "1e3",
            ".inf",
            "2026-03-11",
            "- a",
            "a: b",
            "a #b",
            "#",
            "'",
            "\"",
            "[x",
            "*a",
            "&a",
            "!x",
            "|",
            ">",
            "%",
            "@",
            "`",
            " lead",
            "trail ",
            "  ",
            ":",
            "?",
            "\u{a0}",
            "\u{85}x",
            "\u{2028}x",
            "\u{feff}x",
            "emoji 🎉",
            "<<",
            "=",
            "---",
            "...",
        ] {
            reads_back(&document(text, text));
            reads_back(&document("x", &format!("{text}\n\n{text}\n  indented\n{text}")));
            reads_back(&document("x", &format!("  {text}\nx\n\n\n")));
        }
    }

    proptest! {
        // The characters that the contract lets through, of one line and of several.
        #[test]
        fn yaml_reads_back(text in "[^\\x00-\\x1f\\x7f]{1,120}", lines in "(?s)([^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]|\n| |\t){1,300}") {
            reads_back(&document(&text, &lines));
        }
    }
}
