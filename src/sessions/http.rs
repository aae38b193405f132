//! The operations on sessions.

use super::{
    model::{Part, Person, Pool, Session, SessionBooking, SessionForm, SessionStatus, Waitlist, refuse},
    store::{self, Known},
};
use crate::{
    app::Registrar,
    auth::{
        Guard, Manage, Reader,
        guard::{OfEvent, OfSession},
    },
    cache,
    clock::Timestamp,
    db::{Keyset, Tx, is_unique_violation},
    error::{Code, Problem},
    events::{
        model::Zone,
        store::{bump_programme, lock_programme},
    },
    extract::{IfMatch, Json, Params, Patch},
    idempotency::Once,
    page::PageRequest,
    registrations::{
        clashes::{self, Clash},
        edits::{self, Choices, EffectsView},
        engine::Edited,
        model::{Actor, Command, IfOverfull},
        seats,
    },
    reply::{self, Answer, Reply},
    representation::Representation,
    sessions::model::Fault,
    state::State,
    text,
};
use actix_web::HttpRequest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Their routes.
pub fn routes(registrar: &mut Registrar) {
    registrar
        .on("listSessions", list)
        .on("createSession", create)
        .on("getSession", get)
        .on("updateSession", update)
        .on("cancelSession", cancel)
        .on("deleteSession", delete);
}

/// A session as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionView {
    id: Uuid,
    event_id: Uuid,
    code: String,
    title: String,
    summary: Option<String>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    starts_at_local: String,
    ends_at_local: String,
    time_zone: Zone,
    stream: Option<Named>,
    room: Option<Named>,
    chairs: Vec<Person>,
    parts: Vec<Part>,
    capacity: Option<i64>,
    waitlist: Waitlist,
    pools: Vec<Pool>,
    booking: SessionBooking,
    status: SessionStatus,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize)]
struct Named {
    id: Uuid,
    name: String,
}

impl Named {
    fn of(id: Option<Uuid>, name: Option<String>) -> Option<Self> {
        Some(Self { id: id?, name: name? })
    }
}

impl From<Session> for SessionView {
    fn from(session: Session) -> Self {
        let Session { row, chairs, parts } = session;
        let (zone, waitlist, booking) = (row.time_zone.as_jiff(), row.waitlist(), row.booking());
        Self {
            id: row.id,
            event_id: row.event_id,
            code: row.code,
            title: row.title,
            summary: row.summary,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            starts_at_local: row.starts_at.in_zone(zone),
            ends_at_local: row.ends_at.in_zone(zone),
            time_zone: row.time_zone,
            stream: Named::of(row.stream_id, row.stream_name),
            room: Named::of(row.room_id, row.room_name),
            chairs,
            parts,
            capacity: row.capacity,
            waitlist,
            pools: row.pools.0,
            booking,
            status: row.status,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// What a list can be narrowed by.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    q: Option<String>,
    code: Option<String>,
    stream_id: Option<Uuid>,
    room_id: Option<Uuid>,
    speaker_id: Option<Uuid>,
    status: Option<SessionStatus>,
    starts_from: Option<Timestamp>,
    starts_before: Option<Timestamp>,
}

async fn list(request: HttpRequest, guard: Guard<OfEvent, Reader>) -> Reply {
    cache::read(&request, &guard, async |state| page(&request, state, &guard).await).await
}

async fn page(request: &HttpRequest, state: &State, guard: &Guard<OfEvent, Reader>) -> Result<Representation, Problem> {
    let (Params(filter), page) = (Params::<Filter>::of(request)?, PageRequest::of(request));
    let mut db = &state.db;
    let (sort, descending) = page.order("startsAt");
    let select = store::select(db.dialect())
        .and("s.event_id = {}", guard.event_id())
        .and_if(!guard.sees_drafts(), "s.status <> 'draft'")
        .and_some("s.status = {}", filter.status)
        .and_some("s.code = {}", filter.code)
        .and_some("s.stream_id = {}", filter.stream_id)
        .and_some("s.room_id = {}", filter.room_id)
        .and_some(
            "(EXISTS (SELECT 1 FROM session_chairs c WHERE c.session_id = s.id AND c.speaker_id = {}) \
             OR EXISTS (SELECT 1 FROM part_speakers x WHERE x.session_id = s.id AND x.speaker_id = {}))",
            filter.speaker_id,
        )
        .and_some("s.starts_at >= {}", filter.starts_from)
        .and_some("s.starts_at < {}", filter.starts_before)
        .and_some("s.search_text LIKE {} ESCAPE '\\'", filter.q.as_deref().map(text::contains));
    let limit = page.fetch();
    if sort == "code" {
        let after = page.after::<String>()?;
        let rows = select.page(Keyset { columns: ("s.code", "s.id"), descending, after, limit }).all(db).await?;
        let sessions = store::whole(&mut db, rows).await?;
        page.representation(sessions, |session| (session.row.code.clone(), session.row.id), SessionView::from)
    } else {
        let after = page.after::<Timestamp>()?;
        let rows = select.page(Keyset { columns: ("s.starts_at", "s.id"), descending, after, limit }).all(db).await?;
        let sessions = store::whole(&mut db, rows).await?;
        page.representation(sessions, |session| (session.row.starts_at, session.row.id), SessionView::from)
    }
}

async fn get(request: HttpRequest, guard: Guard<OfSession, Reader>) -> Reply {
    let read = cache::read(&request, &guard, async |state| {
        let session = store::find(&mut &state.db, guard.id()).await?;
        let session = session.filter(|session| !store::is_hidden(session, guard.sees_drafts())).ok_or_else(Problem::not_found)?;
        Representation::versioned(session.row.version, &SessionView::from(session))
    });
    read.await
}

async fn create(state: State, guard: Guard<OfEvent, Manage>, once: Once, Json(form): Json<SessionForm>) -> Reply {
    let form = form.tidy();
    refuse(form.faults())?;
    let (id, event_id, now) = (state.new_id(), guard.event_id(), state.clock.now());
    let write = once.write(&state, move |tx| {
        Box::pin(async move {
            let session = insert(tx, event_id, id, form, now).await?;
            Answer::created(format!("/v1/sessions/{id}"), session.row.version, &SessionView::from(session))
        })
    });
    write.await
}

async fn insert(tx: &mut Tx, event_id: Uuid, id: Uuid, form: SessionForm, now: Timestamp) -> Result<Session, Problem> {
    bump_programme(tx, event_id).await?;
    let known = store::known(tx, event_id, &form).await?;
    refuse(unknown_references(&form, &known))?;
    store::insert(tx, event_id, id, &form, now).await.map_err(code_taken)?;
    store::insert_lists(tx, &[(id, &form)]).await?;
    seats::create(tx, &[(id, form.next_release())]).await?;
    written(tx, id).await
}

async fn update(state: State, guard: Guard<OfSession, Manage>, if_match: IfMatch, Params(choices): Params<Choices>, patch: Patch) -> Reply {
    let change = Change { session_id: guard.id(), event_id: guard.event_id(), choices, actor: guard.acting(), now: state.clock.now() };
    let sees_registrations = guard.sees_registrations();
    let edit = state.bookings.edit_or_preview(choices.preview, move |tx| {
        let (change, if_match, patch) = (change.clone(), if_match.clone(), patch.clone());
        Box::pin(async move { change.run(tx, Some(&if_match), move |current| patch.onto(current)).await })
    });
    let Edited { value: Changed { session, clashes }, effects } = edit.await?;
    match choices.preview {
        true => reply::changed(session.row.version, &EffectsView::of(effects, clashes).seen_by(sees_registrations)),
        false => reply::changed(session.row.version, &SessionView::from(session)),
    }
}

/// Its registrations end with it. A repeat changes nothing.
async fn cancel(state: State, guard: Guard<OfSession, Manage>) -> Reply {
    let choices = Choices { preview: false, if_overfull: IfOverfull::Refuse };
    let change = Change { session_id: guard.id(), event_id: guard.event_id(), choices, actor: guard.acting(), now: state.clock.now() };
    let edit = state.bookings.edit(move |tx| {
        let change = change.clone();
        Box::pin(
            async move { change.run(tx, None, |current| Ok(SessionForm { status: SessionStatus::Cancelled, ..current.clone() })).await },
        )
    });
    let session = edit.await?.session;
    reply::changed(session.row.version, &SessionView::from(session))
}

/// A change of a session, with what it means for those who are registered.
#[derive(Clone)]
struct Change {
    session_id: Uuid,
    event_id: Uuid,
    choices: Choices,
    actor: Actor,
    now: Timestamp,
}

/// A session that was changed, and who has another seat at its hours, if those are new.
struct Changed {
    session: Session,
    clashes: Vec<Clash>,
}

impl Change {
    async fn run(
        self,
        tx: &mut Tx,
        if_match: Option<&IfMatch>,
        next: impl FnOnce(&SessionForm) -> Result<SessionForm, Problem>,
    ) -> Result<(Changed, Vec<Command>), Problem> {
        let Self { session_id: id, event_id, choices, actor, now } = self;
        let occupied = seats::lock(tx, event_id).await?;
        lock_programme(tx, event_id).await?.ok_or_else(Problem::not_found)?;
        let session = store::find(tx, id).await?.ok_or_else(Problem::not_found)?;
        if let Some(if_match) = if_match {
            if_match.require(session.row.version)?;
        }
        let current = session.form();
        let next = next(&current)?.tidy();
        if next == current {
            return Ok((Changed { session, clashes: Vec::new() }, Vec::new()));
        }
        refuse(next.faults())?;
        let known = store::known(tx, event_id, &next).await?;
        refuse(unknown_references(&next, &known))?;
        let occupied = seats::of_session(occupied, id);
        if current.ousts(&next, occupied.as_ref().is_some_and(|seats| seats.waitlisted > 0)) {
            seats::require_none(&occupied)?;
        }
        let updated = store::update(tx, id, session.row.version, &next, now).await.map_err(code_taken)?;
        updated.ok_or_else(Problem::not_found)?;
        if next.chairs != current.chairs || next.parts != current.parts {
            store::clear_lists(tx, &[id]).await?;
            store::insert_lists(tx, &[(id, &next)]).await?;
        }
        bump_programme(tx, event_id).await?;
        let moved = current.affects_eligibility(&next) && choices.preview;
        let clashes = if moved { clashes::of_session(tx, id, now).await? } else { Vec::new() };
        let commands = edits::of_session((id, event_id), &current, &next, choices.if_overfull, actor);
        Ok((Changed { session: written(tx, id).await?, clashes }, commands))
    }
}

async fn delete(state: State, guard: Guard<OfSession, Manage>, if_match: IfMatch) -> Reply {
    let (id, event_id) = (guard.id(), guard.event_id());
    let edit = state.bookings.edit(move |tx| Box::pin(remove(tx, event_id, id, if_match.clone())));
    edit.await?;
    reply::no_content()
}

async fn remove(tx: &mut Tx, event_id: Uuid, id: Uuid, if_match: IfMatch) -> Result<((), Vec<Command>), Problem> {
    let occupied = seats::lock(tx, event_id).await?;
    bump_programme(tx, event_id).await?;
    let version = store::version(tx, id).await?.ok_or_else(Problem::not_found)?;
    if_match.require(version)?;
    seats::require_none(&seats::of_session(occupied, id))?;
    store::delete(tx, id, version).await?.ok_or_else(Problem::not_found)?;
    Ok(((), Vec::new()))
}

/// What was written, as it reads now.
async fn written(tx: &mut Tx, id: Uuid) -> Result<Session, Problem> {
    store::find(tx, id).await?.ok_or_else(|| Problem::internal("a session that was just written is not there"))
}

fn unknown_references(form: &SessionForm, known: &Known) -> Vec<Fault> {
    let stream = form.stream_id.filter(|id| !known.streams.contains(id));
    let room = form.room_id.filter(|id| !known.rooms.contains_key(id));
    let people = form.people().filter(|(_, id)| !known.speakers.contains(id));
    let stream = stream.map(|_| Fault::unknown_reference("/streamId", "is no stream of this event"));
    let room = room.map(|_| Fault::unknown_reference("/roomId", "is no room of this event"));
    stream.into_iter().chain(room).chain(people.map(|(at, _)| Fault::unknown_reference(at, "is no speaker of this event"))).collect()
}

fn code_taken(error: crate::db::Error) -> Problem {
    if is_unique_violation(&error) {
        return Problem::invalid(Code::CodeTaken, "/code", "Another session of this event has this code.");
    }
    error.into()
}
