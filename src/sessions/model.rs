//! What a session is, and the rules that need no database.

use crate::{
    clock::Timestamp,
    db::{JsonText, text_enum},
    error::{Code, Detail, In, Problem},
    events::model::{BookingWindow, Zone},
};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use uuid::Uuid;

text_enum! {
    /// Who sees a session.
    pub enum SessionStatus {
        /// Members only.
        Draft = "draft",
        /// Everybody; bookable.
        Published = "published",
        /// Everybody; not bookable.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// What happens when a session is full.
    pub enum WaitlistMode {
        /// It refuses.
        None = "none",
        /// People can wait, and a freed seat goes to the first of them at once.
        Auto = "auto",
        /// People can wait, and a freed seat is held for the first of them until they take it.
        Offer = "offer",
    }
}

/// A session as its editors write it: what a create body gives, and what a merge patch is laid over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionForm {
    /// As printed, unique in the event.
    pub code: String,
    /// One line.
    pub title: String,
    /// Paragraphs.
    #[serde(default)]
    pub summary: Option<String>,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends, after its start.
    pub ends_at: Timestamp,
    /// A stream of the same event.
    #[serde(default)]
    pub stream_id: Option<Uuid>,
    /// A room of the same event.
    #[serde(default)]
    pub room_id: Option<Uuid>,
    /// Who chairs it, in the order printed.
    #[serde(default)]
    pub chairs: Vec<SpeakerReference>,
    /// Its parts in order.
    #[serde(default)]
    pub parts: Vec<PartForm>,
    /// Its own seats; the room's when `None`.
    #[serde(default)]
    pub capacity: Option<i64>,
    /// What happens when it is full.
    #[serde(default)]
    pub waitlist: Waitlist,
    /// Seats that are held for attendees of a category.
    #[serde(default)]
    pub pools: Vec<Pool>,
    /// When and by whom it can be booked.
    #[serde(default)]
    pub booking: SessionBooking,
    /// Who sees it.
    #[serde(default = "draft")]
    pub status: SessionStatus,
}

fn draft() -> SessionStatus {
    SessionStatus::Draft
}

/// A speaker of the same event.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerReference {
    /// Their id.
    pub speaker_id: Uuid,
}

/// A part as its editors write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartForm {
    /// One line.
    pub title: String,
    /// Paragraphs, separated by a blank line.
    #[serde(default)]
    pub r#abstract: Option<String>,
    /// For whom it is.
    #[serde(default)]
    pub audience: Option<String>,
    /// What participants will be able to do afterwards, in order.
    #[serde(default)]
    pub learning_outcomes: Vec<String>,
    /// Who speaks, in the order printed.
    #[serde(default)]
    pub speakers: Vec<SpeakerReference>,
}

/// The waitlist's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waitlist {
    /// Whether there is one, and how its seats are given.
    #[serde(default = "no_waitlist")]
    pub mode: WaitlistMode,
    /// How many may wait; `None`: as many as want.
    #[serde(default)]
    pub limit: Option<i64>,
}

fn no_waitlist() -> WaitlistMode {
    WaitlistMode::None
}

impl Default for Waitlist {
    fn default() -> Self {
        Self { mode: no_waitlist(), limit: None }
    }
}

/// Seats of a session that are held for the attendees of a category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pool {
    /// The category.
    pub category: String,
    /// How many.
    pub seats: i64,
    /// From when on they are open to all; `None`: never.
    #[serde(default)]
    pub releases_at: Option<Timestamp>,
}

/// When and by whom a session can be booked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionBooking {
    /// A window of its own, in place of the event's.
    #[serde(flatten)]
    pub window: BookingWindow,
    /// The categories whose attendees may book it; all, if it is empty.
    pub categories: Vec<String>,
}

/// One thing that is wrong with a session, at a pointer below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The code of the whole problem, if this is its first fault.
    pub code: Code,
    /// RFC 6901, below the session.
    pub pointer: String,
    /// The code of this detail.
    pub what: &'static str,
    /// A sentence for people.
    pub detail: &'static str,
}

impl Fault {
    /// A reference that names nothing.
    pub fn unknown_reference(pointer: impl Into<String>, detail: &'static str) -> Self {
        Self { code: Code::UnknownReference, pointer: pointer.into(), what: "unknown_reference", detail }
    }

    /// Something that is there twice.
    pub fn duplicate(pointer: impl Into<String>, detail: &'static str) -> Self {
        Self { code: Code::InvalidBody, pointer: pointer.into(), what: "duplicate", detail }
    }

    /// A time that is not where it must be.
    pub fn range(pointer: impl Into<String>, detail: &'static str) -> Self {
        Self { code: Code::InvalidRange, pointer: pointer.into(), what: "invalid_range", detail }
    }

    /// The same fault seen from above.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.pointer.insert_str(0, prefix);
        self
    }
}

/// At most this many details a problem (the contract's limit).
const MAX_DETAILS: usize = 100;

/// One problem out of all faults: its code is the first one's.
pub fn refuse(faults: Vec<Fault>) -> Result<(), Problem> {
    let Some(first) = faults.first() else { return Ok(()) };
    let sentence = match faults.len() {
        1 => format!("One place in the body is not as it should be: {}.", first.detail),
        many => format!("{many} places in the body are not as they should be; `errors` says which."),
    };
    let problem = Problem::new(first.code, sentence);
    Err(faults.into_iter().take(MAX_DETAILS).fold(problem, |problem, fault| {
        problem.with_detail(Detail {
            r#in: In::Body,
            pointer: Some(fault.pointer),
            name: None,
            code: fault.what.to_owned(),
            detail: fault.detail.to_owned(),
        })
    }))
}

impl SessionForm {
    /// The same with its texts as they are kept: see [`paragraphs`].
    #[must_use]
    pub fn tidy(mut self) -> Self {
        self.summary = self.summary.as_deref().and_then(paragraphs);
        for part in &mut self.parts {
            part.r#abstract = part.r#abstract.as_deref().and_then(paragraphs);
            part.audience = part.audience.as_deref().and_then(paragraphs);
        }
        self
    }

    /// What is wrong with it, as far as it says itself.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = self.time_faults();
        let lists = self.parts.iter().enumerate().map(|(index, part)| (format!("/parts/{index}/speakers"), &part.speakers));
        for (list, people) in std::iter::once(("/chairs".to_owned(), &self.chairs)).chain(lists) {
            let mut seen = HashSet::new();
            let again = people.iter().enumerate().filter(|(_, person)| !seen.insert(person.speaker_id));
            faults.extend(
                again.map(|(index, _)| Fault::duplicate(format!("{list}/{index}/speakerId"), "this person is in the list already")),
            );
        }
        faults.extend(self.pool_faults());
        faults
    }

    /// Two pools of one category.
    pub fn pool_faults(&self) -> Vec<Fault> {
        let mut seen = HashSet::new();
        let again = self.pools.iter().enumerate().filter(|(_, pool)| !seen.insert(pool.category.as_str()));
        again.map(|(index, _)| Fault::duplicate(format!("/pools/{index}/category"), "another pool is for this category")).collect()
    }

    /// Ends that are not after their starts.
    pub fn time_faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.starts_at < EARLIEST {
            faults.push(Fault::range("/startsAt", "must not be before the year 1970"));
        }
        if self.ends_at <= self.starts_at {
            faults.push(Fault::range("/endsAt", "must be after startsAt"));
        }
        if let (Some(opens), Some(closes)) = (self.booking.window.opens_at, self.booking.window.closes_at)
            && closes <= opens
        {
            faults.push(Fault::range("/booking/closesAt", "must be after opensAt"));
        }
        faults
    }

    /// Whether becoming `next` would leave those who have a seat or wait with nothing: a draft has no registrations, and
    /// nobody waits where there is no waitlist.
    pub fn ousts(&self, next: &Self, somebody_waits: bool) -> bool {
        let taken_back = self.status != SessionStatus::Draft && next.status == SessionStatus::Draft;
        taken_back || (somebody_waits && next.waitlist.mode == WaitlistMode::None && self.waitlist.mode != WaitlistMode::None)
    }

    /// Whether becoming `next` can change how many seats there are, for whom, or how long they are held.
    pub fn refits(&self, next: &Self) -> bool {
        self.capacity != next.capacity
            || self.starts_at != next.starts_at
            || self.room_id != next.room_id
            || self.pools != next.pools
            || self.waitlist.mode != next.waitlist.mode
    }

    /// Whether becoming `next` can make somebody eligible who waits here or elsewhere.
    pub fn affects_eligibility(&self, next: &Self) -> bool {
        (self.starts_at, self.ends_at, self.room_id, self.status) != (next.starts_at, next.ends_at, next.room_id, next.status)
            || self.booking.categories != next.booking.categories
    }

    /// The first moment at which a pool is released.
    pub fn next_release(&self) -> Option<Timestamp> {
        self.pools.iter().filter_map(|pool| pool.releases_at).min()
    }

    /// What `q` searches.
    pub fn search_text(&self) -> String {
        let titles = self.parts.iter().map(|part| part.title.as_str());
        let own = [self.code.as_str(), self.title.as_str(), self.summary.as_deref().unwrap_or_default()];
        crate::text::fold(&own.into_iter().chain(titles).collect::<Vec<_>>().join(" "))
    }

    /// All people named, with the pointer to each reference.
    pub fn people(&self) -> impl Iterator<Item = (String, Uuid)> {
        let chairs = self.chairs.iter().enumerate().map(|(index, person)| (format!("/chairs/{index}/speakerId"), person.speaker_id));
        let speakers = self.parts.iter().enumerate().flat_map(|(part, form)| {
            let people = form.speakers.iter().enumerate();
            people.map(move |(index, person)| (format!("/parts/{part}/speakers/{index}/speakerId"), person.speaker_id))
        });
        chairs.chain(speakers)
    }
}

/// Before this, times in a zone's local mean time can't be written in RFC 3339.
const EARLIEST: Timestamp = Timestamp::UNIX_EPOCH;

/// Text of several paragraphs as it is kept: lines end with a line feed, and white space around the whole is dropped,
/// so that `|` and `|-` in YAML and a textarea's line ends give the same. Nothing left is `None`.
pub fn paragraphs(text: &str) -> Option<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A session's own row, with the names of what it refers to.
#[derive(Clone, Debug, sqlx::FromRow)]
#[allow(missing_docs, reason = "the columns of `sessions`; what they mean is said in SessionForm")]
pub struct SessionRow {
    pub id: Uuid,
    pub event_id: Uuid,
    /// The event's.
    #[sqlx(try_from = "String")]
    pub time_zone: Zone,
    pub code: String,
    pub title: String,
    pub summary: Option<String>,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    pub stream_id: Option<Uuid>,
    pub stream_name: Option<String>,
    pub room_id: Option<Uuid>,
    pub room_name: Option<String>,
    pub capacity: Option<i64>,
    pub waitlist_mode: WaitlistMode,
    pub waitlist_limit: Option<i64>,
    pub pools: JsonText<Vec<Pool>>,
    #[sqlx(flatten)]
    pub window: BookingWindow,
    pub categories: JsonText<Vec<String>>,
    pub status: SessionStatus,
    /// Rises with every change; the ETag.
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl SessionRow {
    /// The waitlist's rules.
    pub fn waitlist(&self) -> Waitlist {
        Waitlist { mode: self.waitlist_mode, limit: self.waitlist_limit }
    }

    /// When and by whom it can be booked.
    pub fn booking(&self) -> SessionBooking {
        SessionBooking { window: self.window, categories: self.categories.0.clone() }
    }
}

/// A session whole.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its own row.
    pub row: SessionRow,
    /// Who chairs it, in the order printed.
    pub chairs: Vec<Person>,
    /// Its parts in order.
    pub parts: Vec<Part>,
}

/// A part of a session.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Its place, from 1.
    pub number: i64,
    /// One line.
    pub title: String,
    /// Paragraphs, separated by a blank line.
    pub r#abstract: Option<String>,
    /// For whom it is.
    pub audience: Option<String>,
    /// What participants will be able to do afterwards, in order.
    pub learning_outcomes: Vec<String>,
    /// Who speaks, in the order printed.
    pub speakers: Vec<Person>,
}

/// A speaker as printed on the programme.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
pub struct Person {
    /// The speaker's id.
    pub id: Uuid,
    /// As printed.
    pub name: String,
    /// As printed.
    pub affiliation: Option<String>,
    /// As printed.
    pub country: Option<String>,
}

impl Session {
    /// Its editable form.
    pub fn form(&self) -> SessionForm {
        let row = &self.row;
        let references = |people: &[Person]| people.iter().map(|person| SpeakerReference { speaker_id: person.id }).collect();
        let part = |part: &Part| PartForm {
            title: part.title.clone(),
            r#abstract: part.r#abstract.clone(),
            audience: part.audience.clone(),
            learning_outcomes: part.learning_outcomes.clone(),
            speakers: references(&part.speakers),
        };
        SessionForm {
            code: row.code.clone(),
            title: row.title.clone(),
            summary: row.summary.clone(),
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            stream_id: row.stream_id,
            room_id: row.room_id,
            chairs: references(&self.chairs),
            parts: self.parts.iter().map(part).collect(),
            capacity: row.capacity,
            waitlist: row.waitlist(),
            pools: row.pools.0.clone(),
            booking: row.booking(),
            status: row.status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> SessionForm {
        serde_json::from_value(serde_json::json!({
            "code": "E6", "title": "Co-production", "startsAt": "2026-03-11T12:00:00Z", "endsAt": "2026-03-11T13:00:00Z",
        }))
        .expect("the required fields suffice")
    }

    #[test]
    fn paragraphs_are_kept_without_what_editors_add() {
        assert_eq!(paragraphs("One.\r\n\r\nTwo.\n").as_deref(), Some("One.\n\nTwo."));
        assert_eq!(paragraphs("\n \r\n"), None);
    }

    #[test]
    fn an_end_must_follow_its_start() {
        let mut session = form();
        session.ends_at = session.starts_at;
        session.booking.window = BookingWindow { opens_at: Some(session.starts_at), closes_at: Some(session.starts_at) };
        let pointers: Vec<String> = session.faults().into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(pointers, ["/endsAt", "/booking/closesAt"]);
    }

    #[test]
    fn the_same_person_twice_in_a_list_is_found_and_in_two_lists_is_fine() {
        let person = SpeakerReference { speaker_id: Uuid::from_u128(1) };
        let part = |speakers| PartForm { title: "Part".into(), r#abstract: None, audience: None, learning_outcomes: vec![], speakers };
        let mut session = form();
        session.chairs = vec![person];
        session.parts = vec![part(vec![person]), part(vec![person, person])];
        let faults = session.faults();
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].pointer, "/parts/1/speakers/1/speakerId");
    }

    #[test]
    fn two_pools_of_one_category_are_found() {
        let pool = |category: &str| Pool { category: category.to_owned(), seats: 1, releases_at: None };
        let mut session = form();
        session.pools = vec![pool("expert"), pool("student"), pool("expert")];
        assert_eq!(session.faults()[0].pointer, "/pools/2/category");
    }

    #[test]
    fn what_an_edit_means_for_those_who_are_there() {
        let session = form();
        let with = |change: fn(&mut SessionForm)| {
            let mut next = form();
            change(&mut next);
            next
        };
        let titled = with(|next| next.title = "Other".into());
        assert!(!session.ousts(&titled, true) && !session.refits(&titled) && !session.affects_eligibility(&titled));
        let waiting = with(|next| next.waitlist.mode = WaitlistMode::Auto);
        assert!(!session.ousts(&waiting, true), "nobody can have waited");
        assert!(waiting.ousts(&session, true) && !waiting.ousts(&session, false));
        let published = with(|next| next.status = SessionStatus::Published);
        assert!(published.ousts(&session, false));
        assert!(!published.ousts(&with(|next| next.status = SessionStatus::Cancelled), true), "they end with it");
        assert!(session.refits(&with(|next| next.capacity = Some(0))) && session.refits(&with(|next| next.room_id = Some(Uuid::nil()))));
        assert!(session.refits(&with(|next| next.starts_at = next.starts_at.plus_secs(1))));
        assert!(session.affects_eligibility(&with(|next| next.ends_at = next.ends_at.plus_secs(1))));
    }
}
