//! What a document changes in the sessions.

use super::{super::document::SessionDocument, ChangeLists, read_time, read_window};
use crate::{
    error::Problem,
    registrations::{
        edits,
        model::{Actor, Command, IfOverfull},
        seats::Occupancy,
    },
    sessions::model::{
        Fault, PartForm, Pool, Session, SessionBooking, SessionForm, SessionStatus, SpeakerReference, Waitlist, WaitlistMode, refuse,
    },
};
use jiff::tz::TimeZone;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

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
    /// Sessions there are that would be gone, for everybody or for whom they are meant: nobody may have or await a seat.
    ousting: HashSet<Uuid>,
    /// Sessions there are whose waitlist would end: nobody may wait.
    ousting_if_waiting: HashSet<Uuid>,
    /// Sessions there are that stay as they are in a room of another capacity.
    resized: Vec<Uuid>,
}

impl SessionDiff {
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    /// Whether it would take seats or places from whoever has them.
    pub(super) fn hits(&self, seats: &Occupancy) -> bool {
        self.ousting.contains(&seats.session_id) || (seats.waitlisted > 0 && self.ousting_if_waiting.contains(&seats.session_id))
    }

    /// What follows from it for those who are registered.
    pub(super) fn commands(&self, event_id: Uuid, if_overfull: IfOverfull, actor: Actor) -> Vec<Command> {
        let refit = |session_id: &Uuid| Command::Refit { session_id: *session_id, if_overfull, actor };
        let changed = self
            .changed
            .iter()
            .flat_map(|(before, after)| edits::of_session((before.row.id, event_id), &before.form(), after, if_overfull, actor));
        changed.chain(self.resized.iter().map(refit)).collect()
    }

    /// Those that are at other hours or in another room.
    pub fn moved(&self) -> impl Iterator<Item = Uuid> {
        let moved = self.changed.iter().filter(|(before, after)| before.form().affects_eligibility(after));
        moved.map(|(before, _)| before.row.id)
    }

    pub(super) fn lists(&self) -> ChangeLists {
        ChangeLists {
            added: self.added.iter().map(|(_, form)| form.code.clone()).collect(),
            changed: self.changed.iter().map(|(_, form)| form.code.clone()).collect(),
            removed: self.removed.iter().map(|session| session.row.code.clone()).collect(),
        }
    }
}

/// What the document's sessions refer to.
pub(super) struct Names<'z> {
    /// The event's, in which local times are read.
    pub zone: &'z TimeZone,
    /// Rooms whose capacity changes.
    pub resized_rooms: HashSet<Uuid>,
    /// Ids of the document's keys.
    pub streams: HashMap<String, Uuid>,
    pub rooms: HashMap<String, Uuid>,
    pub speakers: HashMap<String, Uuid>,
}

pub(super) fn plan_sessions(
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
    diff.ousting.extend(diff.removed.iter().map(|session| session.row.id));
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
        if form.ousts(&after, false) {
            self.ousting.insert(id);
        } else if form.ousts(&after, true) {
            self.ousting_if_waiting.insert(id);
        }
        if after.capacity.is_none() && after.room_id.is_some_and(|room| resized_rooms.contains(&room)) && !form.refits(&after) {
            self.resized.push(id);
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
        let booking = document.booking.map(|booking| SessionBooking {
            window: read_window(&booking.window, &format!("{at}/booking"), self.zone, faults),
            categories: booking.categories,
        });
        let pools = document.pools.into_iter().enumerate().map(|(index, pool)| Pool {
            category: pool.category,
            seats: pool.seats,
            releases_at: pool.releases_at.and_then(|text| read_time(&text, format!("{at}/pools/{index}/releasesAt"), self.zone, faults)),
        });
        let pools = pools.collect();
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
            waitlist: document.waitlist.map_or_else(Waitlist::default, |waitlist| Waitlist {
                mode: waitlist.mode.unwrap_or(WaitlistMode::None),
                limit: waitlist.limit,
            }),
            pools,
            booking: booking.unwrap_or_default(),
            status: document.status.unwrap_or(SessionStatus::Draft),
        };
        faults.extend(form.time_faults().into_iter().chain(form.pool_faults()).map(|fault| fault.under(at)));
        Some(form.tidy())
    }
}
