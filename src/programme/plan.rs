//! What a document changes: the difference between it and the programme there is. Pure: no database, no clock; new ids
//! come from the caller.

use super::{
    document::{Document, EventDocument, RoomDocument, SessionDocument, SpeakerDocument, StreamDocument, WindowDocument},
    store::Current,
    times,
};
use crate::{
    error::{Code, Problem},
    events::model::{BookingWindow, Event, EventBooking, EventForm, ValidEvent, Zone},
    keyed::{Form, Keyed},
    registrations::seats::Occupancy,
    rooms::model::{Room, RoomForm},
    sessions::model::{Fault, PartForm, Session, SessionForm, SessionStatus, SpeakerReference, Waitlist, WaitlistMode, refuse},
    speakers::model::{Speaker, SpeakerForm},
    streams::model::{Stream, StreamForm},
};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// Everything that has to be written to make the programme what the document says.
pub struct Plan {
    /// The event's own fields, if they change.
    pub event: Option<(Event, ValidEvent)>,
    /// Streams.
    pub streams: Diff<Stream>,
    /// Rooms.
    pub rooms: Diff<Room>,
    /// Speakers.
    pub speakers: Diff<Speaker>,
    /// Sessions.
    pub sessions: SessionDiff,
}

/// What becomes of the streams, rooms or speakers.
pub struct Diff<K: Keyed> {
    /// New ones with their ids.
    pub added: Vec<(Uuid, K::Form)>,
    /// What they were and what they become.
    pub changed: Vec<(K, K::Form)>,
    /// Those that the document doesn't have.
    pub removed: Vec<K>,
    /// How many stay as they are.
    pub unchanged: usize,
}

/// What becomes of the sessions.
#[derive(Default)]
pub struct SessionDiff {
    /// New ones with their ids.
    pub added: Vec<(Uuid, SessionForm)>,
    /// What they were and what they become.
    pub changed: Vec<(Session, SessionForm)>,
    /// Those that the document doesn't have.
    pub removed: Vec<Session>,
    /// How many stay as they are.
    pub unchanged: usize,
    /// Sessions there are whose seats would change: nobody may have or await one.
    touched: HashSet<Uuid>,
    /// Sessions there are whose waitlist would change: nobody may wait.
    touched_if_waiting: HashSet<Uuid>,
}

impl Plan {
    /// Compares a document with the programme there is. All that is wrong with the document is one problem.
    pub fn new(current: Current, document: Document, mut new_id: impl FnMut() -> Uuid) -> Result<Self, Problem> {
        let Current { event, streams, rooms, speakers, sessions } = current;
        let zone = Zone::get(&document.event.time_zone)
            .ok_or_else(|| Problem::invalid(Code::InvalidTimeZone, "/event/timeZone", "This is no time zone of the IANA database."))?;
        let zone = zone.as_jiff();
        let event = plan_event(event, document.event, zone)?;
        let (streams, stream_ids) = diff(streams, document.streams, &mut new_id);
        let (rooms, room_ids) = diff(rooms, document.rooms, &mut new_id);
        let (speakers, speaker_ids) = diff(speakers, document.speakers, &mut new_id);
        let resized = rooms.changed.iter().filter(|(before, after)| before.capacity != after.capacity);
        let names = Names {
            zone,
            resized_rooms: resized.map(|(room, _)| room.common.id).collect(),
            streams: stream_ids,
            rooms: room_ids,
            speakers: speaker_ids,
        };
        let sessions = plan_sessions(sessions, document.sessions, &names, &mut new_id)?;
        Ok(Self { event, streams, rooms, speakers, sessions })
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        let Self { event, streams, rooms, speakers, sessions } = self;
        let no_sessions = sessions.added.is_empty() && sessions.changed.is_empty() && sessions.removed.is_empty();
        event.is_none() && no_sessions && streams.is_empty() && rooms.is_empty() && speakers.is_empty()
    }

    /// Those of the occupied sessions that the plan would take seats or places from.
    pub fn hits(&self, occupied: Vec<Occupancy>) -> Vec<Occupancy> {
        let SessionDiff { touched, touched_if_waiting, .. } = &self.sessions;
        let hits = |seats: &Occupancy| {
            touched.contains(&seats.session_id) || (seats.waitlisted > 0 && touched_if_waiting.contains(&seats.session_id))
        };
        occupied.into_iter().filter(hits).collect()
    }

    /// What it changes, as the answer says it.
    pub fn changes(&self, dry_run: bool) -> ProgrammeChanges {
        let Self { streams, rooms, speakers, sessions, .. } = self;
        let set = |pick: fn(&ChangeLists) -> &Vec<String>| {
            let lists = [streams.lists(), rooms.lists(), speakers.lists(), sessions.lists()];
            let [streams, rooms, speakers, sessions] = lists.map(|lists| pick(&lists).clone());
            ChangeSet { streams, rooms, speakers, sessions }
        };
        ProgrammeChanges {
            dry_run,
            added: set(|lists| &lists.added),
            changed: set(|lists| &lists.changed),
            removed: set(|lists| &lists.removed),
            unchanged: streams.unchanged + rooms.unchanged + speakers.unchanged + sessions.unchanged,
        }
    }
}

/// What a document changes, or would change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgrammeChanges {
    /// Nothing was written.
    pub dry_run: bool,
    /// New.
    pub added: ChangeSet,
    /// Changed.
    pub changed: ChangeSet,
    /// Gone.
    pub removed: ChangeSet,
    /// How many streams, rooms, speakers and sessions stay as they are.
    pub unchanged: usize,
}

/// Keys and, of sessions, codes.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct ChangeSet {
    pub streams: Vec<String>,
    pub rooms: Vec<String>,
    pub speakers: Vec<String>,
    pub sessions: Vec<String>,
}

struct ChangeLists {
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
}

impl<K: Keyed> Diff<K> {
    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    fn lists(&self) -> ChangeLists {
        ChangeLists {
            added: self.added.iter().map(|(_, form)| form.key().unwrap_or_default().to_owned()).collect(),
            changed: self.changed.iter().map(|(before, _)| before.common().key.clone()).collect(),
            removed: self.removed.iter().map(|before| before.common().key.clone()).collect(),
        }
    }
}

impl SessionDiff {
    fn lists(&self) -> ChangeLists {
        ChangeLists {
            added: self.added.iter().map(|(_, form)| form.code.clone()).collect(),
            changed: self.changed.iter().map(|(_, form)| form.code.clone()).collect(),
            removed: self.removed.iter().map(|session| session.row.code.clone()).collect(),
        }
    }
}

fn plan_event(current: Event, document: EventDocument, zone: &TimeZone) -> Result<Option<(Event, ValidEvent)>, Problem> {
    if document.slug.is_some_and(|slug| slug != current.slug) {
        let detail = "This is the document of another event: its slug is not this event's, and a document never renames an event.";
        return Err(Problem::invalid(Code::InvalidBody, "/event/slug", detail));
    }
    let booking = match document.booking {
        None => current.booking,
        Some(given) => {
            let mut faults = Vec::new();
            let window = read_window(&given.window, "/event/booking", zone, &mut faults);
            refuse(faults)?;
            let BookingWindow { opens_at, closes_at } = window;
            EventBooking { opens_at, closes_at, admission: given.admission.unwrap_or(current.booking.admission) }
        }
    };
    let form = EventForm {
        name: document.name,
        time_zone: document.time_zone,
        starts_on: document.starts_on,
        ends_on: document.ends_on,
        status: document.status.unwrap_or(current.status),
        booking,
        ..current.form()
    };
    let next = form.validate("/event")?;
    Ok((*next != current.form()).then_some((current, next)))
}

/// How an entry of the document and a row of the database are the same thing.
trait Entry: Sized {
    type Row: Keyed;
    fn into_form(self, key: String) -> <Self::Row as Keyed>::Form;
}

impl Entry for StreamDocument {
    type Row = Stream;
    fn into_form(self, key: String) -> StreamForm {
        StreamForm { key: Some(key), name: self.name }
    }
}

impl Entry for RoomDocument {
    type Row = Room;
    fn into_form(self, key: String) -> RoomForm {
        RoomForm { key: Some(key), name: self.name, capacity: self.capacity }
    }
}

impl Entry for SpeakerDocument {
    type Row = Speaker;
    fn into_form(self, key: String) -> SpeakerForm {
        let Self { name, sort_name, affiliation, country } = self;
        SpeakerForm { key: Some(key), name, sort_name, affiliation, country }
    }
}

/// Matches by key. Answers the difference, and the ids of the document's keys.
fn diff<E: Entry>(
    rows: Vec<E::Row>,
    mut wanted: BTreeMap<String, E>,
    new_id: &mut impl FnMut() -> Uuid,
) -> (Diff<E::Row>, HashMap<String, Uuid>)
where
    <E::Row as Keyed>::Form: PartialEq,
{
    let mut diff = Diff { added: Vec::new(), changed: Vec::new(), removed: Vec::new(), unchanged: 0 };
    let mut ids = HashMap::new();
    for row in rows {
        let Some((key, entry)) = wanted.remove_entry(&row.common().key) else {
            diff.removed.push(row);
            continue;
        };
        ids.insert(key.clone(), row.common().id);
        let form = entry.into_form(key);
        if form == row.form() {
            diff.unchanged += 1;
        } else {
            diff.changed.push((row, form));
        }
    }
    for (key, entry) in wanted {
        let id = new_id();
        ids.insert(key.clone(), id);
        diff.added.push((id, entry.into_form(key)));
    }
    (diff, ids)
}

/// What the document's sessions refer to.
struct Names<'z> {
    zone: &'z TimeZone,
    resized_rooms: HashSet<Uuid>,
    streams: HashMap<String, Uuid>,
    rooms: HashMap<String, Uuid>,
    speakers: HashMap<String, Uuid>,
}

fn plan_sessions(
    sessions: Vec<Session>,
    documents: Vec<SessionDocument>,
    names: &Names<'_>,
    new_id: &mut impl FnMut() -> Uuid,
) -> Result<SessionDiff, Problem> {
    let mut faults = Vec::new();
    let mut matches = match_sessions(&sessions, &documents, &mut faults);
    let mut known: HashMap<Uuid, Session> = sessions.into_iter().map(|session| (session.row.id, session)).collect();
    let mut diff = SessionDiff::default();
    for (index, document) in documents.into_iter().enumerate() {
        let Some(form) = names.session(document, &format!("/sessions/{index}"), &mut faults) else { continue };
        match matches[index].take().and_then(|id| known.remove(&id)) {
            None => diff.added.push((new_id(), form)),
            Some(before) => diff.keep(before, form, &names.resized_rooms),
        }
    }
    refuse(faults)?;
    diff.removed = known.into_values().collect();
    diff.removed.sort_by(|a, b| (a.row.starts_at, &a.row.code).cmp(&(b.row.starts_at, &b.row.code)));
    diff.touched.extend(diff.removed.iter().map(|session| session.row.id));
    Ok(diff)
}

/// Which existing session each of the document's is: by id where it has one, else by code among those that are left.
fn match_sessions(sessions: &[Session], documents: &[SessionDocument], faults: &mut Vec<Fault>) -> Vec<Option<Uuid>> {
    let ids: HashSet<Uuid> = sessions.iter().map(|session| session.row.id).collect();
    let mut claimed = HashSet::new();
    for (index, id) in documents.iter().enumerate().filter_map(|(index, document)| Some((index, document.id?))) {
        if !ids.contains(&id) {
            faults.push(Fault::unknown_reference(format!("/sessions/{index}/id"), "is no session of this event"));
        } else if !claimed.insert(id) {
            faults.push(Fault::duplicate(format!("/sessions/{index}/id"), "another session in the document has this id"));
        }
    }
    let left = sessions.iter().filter(|session| !claimed.contains(&session.row.id));
    let by_code: HashMap<&str, Uuid> = left.map(|session| (session.row.code.as_str(), session.row.id)).collect();
    let mut codes = HashSet::new();
    let mut found = Vec::with_capacity(documents.len());
    for (index, document) in documents.iter().enumerate() {
        if !codes.insert(document.code.as_str()) {
            faults.push(Fault::duplicate(format!("/sessions/{index}/code"), "another session in the document has this code"));
        }
        found.push(document.id.or_else(|| by_code.get(document.code.as_str()).copied()));
    }
    found
}

impl SessionDiff {
    /// An existing session that the document has.
    fn keep(&mut self, before: Session, after: SessionForm, resized_rooms: &HashSet<Uuid>) {
        let (id, form) = (before.row.id, before.form());
        let sized_by_room = form.capacity.is_none() && form.room_id.is_some_and(|room| resized_rooms.contains(&room));
        if form.touches_seats(&after, false) || sized_by_room {
            self.touched.insert(id);
        } else if form.touches_seats(&after, true) {
            self.touched_if_waiting.insert(id);
        }
        if form == after {
            self.unchanged += 1;
        } else {
            self.changed.push((before, after));
        }
    }
}

impl Names<'_> {
    /// The editable form of a session of the document; `None` if its times can't be read.
    fn session(&self, document: SessionDocument, at: &str, faults: &mut Vec<Fault>) -> Option<SessionForm> {
        let starts_at = read_time(&document.starts_at, format!("{at}/startsAt"), self.zone, faults);
        let ends_at = read_time(&document.ends_at, format!("{at}/endsAt"), self.zone, faults);
        let booking = document.booking.map(|window| read_window(&window, &format!("{at}/booking"), self.zone, faults));
        let mut find = |ids: &HashMap<String, Uuid>, key: Option<String>, field: &str, detail| {
            let id = ids.get(&key?).copied();
            if id.is_none() {
                faults.push(Fault::unknown_reference(format!("{at}/{field}"), detail));
            }
            id
        };
        let stream_id = find(&self.streams, document.stream, "stream", "the document has no stream with this key");
        let room_id = find(&self.rooms, document.room, "room", "the document has no room with this key");
        let mut people = |keys: Vec<String>, list: String| {
            let people = keys.into_iter().enumerate();
            let find =
                |(index, key)| find(&self.speakers, Some(key), &format!("{list}/{index}"), "the document has no speaker with this key");
            people.filter_map(find).map(|speaker_id| SpeakerReference { speaker_id }).collect()
        };
        let chairs = people(document.chairs, "chairs".to_owned());
        let parts = document.parts.into_iter().enumerate().map(|(index, part)| PartForm {
            title: part.title,
            r#abstract: part.r#abstract,
            audience: part.audience,
            learning_outcomes: part.learning_outcomes,
            speakers: people(part.speakers, format!("parts/{index}/speakers")),
        });
        let form = SessionForm {
            parts: parts.collect(),
            code: document.code,
            title: document.title,
            summary: document.summary,
            starts_at: starts_at?,
            ends_at: ends_at?,
            stream_id,
            room_id,
            chairs,
            capacity: document.capacity,
            waitlist: Waitlist { mode: document.waitlist.and_then(|waitlist| waitlist.mode).unwrap_or(WaitlistMode::None) },
            booking: booking.unwrap_or_default(),
            status: document.status.unwrap_or(SessionStatus::Draft),
        };
        faults.extend(form.time_faults().into_iter().map(|fault| fault.under(at)));
        Some(form.tidy())
    }
}

fn read_time(text: &str, at: String, zone: &TimeZone, faults: &mut Vec<Fault>) -> Option<crate::clock::Timestamp> {
    let fault = match times::read(text, zone) {
        Ok(instant) => return Some(instant),
        Err(fault) => fault,
    };
    faults.push(Fault { code: Code::InvalidBody, pointer: at, what: fault.code(), detail: fault.sentence() });
    None
}

fn read_window(window: &WindowDocument, at: &str, zone: &TimeZone, faults: &mut Vec<Fault>) -> BookingWindow {
    let mut read = |text: &Option<String>, field| text.as_ref().and_then(|text| read_time(text, format!("{at}/{field}"), zone, faults));
    BookingWindow { opens_at: read(&window.opens_at, "opensAt"), closes_at: read(&window.closes_at, "closesAt") }
}
