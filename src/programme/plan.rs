//! What a document changes: the difference between it and the programme there is. Pure: no database, no clock; new ids
//! come from the caller.

mod sessions;

pub use sessions::SessionDiff;

use super::{
    document::{Document, EventDocument, RoomDocument, SpeakerDocument, StreamDocument, WindowDocument},
    store::Current,
    times,
};
use crate::{
    error::{Code, Problem},
    events::model::{BookingWindow, Event, EventForm, ValidEvent, Zone},
    keyed::{Form, Keyed},
    registrations::{
        edits::EffectsView,
        model::{Actor, Command, IfOverfull},
        seats::Occupancy,
    },
    rooms::model::{Room, RoomForm},
    sessions::model::{Fault, refuse},
    speakers::model::{Speaker, SpeakerForm},
    streams::model::{Stream, StreamForm},
};
use jiff::tz::TimeZone;
use serde::Serialize;
use sessions::{Names, plan_sessions};
use std::collections::{BTreeMap, HashMap};
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
        event.is_none() && sessions.is_empty() && streams.is_empty() && rooms.is_empty() && speakers.is_empty()
    }

    /// Those of the occupied sessions that the plan would take from those who are there: all, if it takes the event back
    /// from the public.
    pub fn hits(&self, occupied: Vec<Occupancy>) -> Vec<Occupancy> {
        let taken_back = self.event.as_ref().is_some_and(|(before, after)| before.form().is_taken_back(after));
        let hits = |seats: &Occupancy| taken_back || self.sessions.hits(seats);
        occupied.into_iter().filter(hits).collect()
    }

    /// What follows from it for those who are registered.
    pub fn commands(&self, event_id: Uuid, if_overfull: IfOverfull, actor: Actor) -> Vec<Command> {
        let mut commands = self.sessions.commands(event_id, if_overfull, actor);
        if self.event.as_ref().is_some_and(|(before, after)| before.form().rules_differ(after)) {
            commands.push(Command::Reconsider { event_id });
        }
        commands
    }

    /// What it changes, as the answer says it.
    pub fn changes(&self, dry_run: bool) -> ProgrammeChanges {
        let Self { event, streams, rooms, speakers, sessions } = self;
        let set = |pick: fn(&ChangeLists) -> &Vec<String>| {
            let lists = [streams.lists(), rooms.lists(), speakers.lists(), sessions.lists()];
            let [streams, rooms, speakers, sessions] = lists.map(|lists| pick(&lists).clone());
            ChangeSet { streams, rooms, speakers, sessions }
        };
        ProgrammeChanges {
            dry_run,
            event_changed: event.is_some(),
            added: set(|lists| &lists.added),
            changed: set(|lists| &lists.changed),
            removed: set(|lists| &lists.removed),
            unchanged: streams.unchanged + rooms.unchanged + speakers.unchanged + sessions.unchanged,
            effects: EffectsView::default(),
        }
    }
}

/// What a document changes, or would change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgrammeChanges {
    /// Nothing was written.
    pub dry_run: bool,
    /// Whether the event's own fields change.
    pub event_changed: bool,
    /// New.
    pub added: ChangeSet,
    /// Changed.
    pub changed: ChangeSet,
    /// Gone.
    pub removed: ChangeSet,
    /// How many streams, rooms, speakers and sessions stay as they are.
    pub unchanged: usize,
    /// What that means for those who are registered.
    pub effects: EffectsView,
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
            given.rules(window, current.booking)
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

#[cfg(test)]
mod tests;
