//! Who may do what, as types: the permission an operation needs stands in its handler's signature.
//!
//! A [`Guard<Place, Access>`] finds what the path names, the organisation it belongs to and the caller's role there,
//! in one query, and refuses before the handler runs. Roles are looked up at each request, so a removal works at once;
//! for a [`Reader`] what was found before does until it changes (see [`super::known`]).

use crate::{
    api_keys::model::Scope,
    contract::door::Principal,
    db::{Db, text_enum},
    error::Problem,
    events::model::EventStatus,
    extract::{principal, state},
    registrations::model::Actor,
};
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::{Either, LocalBoxFuture, Ready, ready};
use std::marker::PhantomData;
use uuid::Uuid;

text_enum! {
    /// What a member may do in an organisation.
    pub enum Role {
        /// Everything, members included.
        Owner = "owner",
        /// Programme, attendees, booking for others.
        Organiser = "organiser",
        /// Reads rosters without contacts, and drafts.
        Viewer = "viewer",
        /// Checks people in; reads rosters without contacts.
        Door = "door",
    }
}

impl Role {
    /// Owners and organisers: programme, capacities, attendees, booking for others, contacts.
    pub fn manages(self) -> bool {
        matches!(self, Self::Owner | Self::Organiser)
    }
}

/// What a path parameter names.
pub trait Place: 'static {
    /// The path parameter.
    const PARAM: &'static str;
    /// Answers `(id, event_id, organisation_id, status, role, own)` for `$1` = the id in the path, `$2` = the caller.
    const SQL: &'static str;
}

/// Declares the places below an event: the same query through another table, with what makes a row the caller's own.
macro_rules! places {
    ($($(#[$doc:meta])* $name:ident = $param:literal in $table:literal own $own:literal),+ $(,)?) => {
        $(
            $(#[$doc])*
            pub struct $name;
            impl Place for $name {
                const PARAM: &'static str = $param;
                const SQL: &'static str = concat!(
                    "SELECT x.id, e.id AS event_id, e.organisation_id, e.status, m.role, ", $own, " AS own FROM ", $table,
                    " x JOIN events e ON e.id = x.event_id",
                    " LEFT JOIN members m ON m.organisation_id = e.organisation_id AND m.user_id = $2 WHERE x.id = $1",
                );
            }
        )+
    };
}

places! {
    /// `{stream}`.
    OfStream = "stream" in "streams" own "FALSE",
    /// `{room}`.
    OfRoom = "room" in "rooms" own "FALSE",
    /// `{speaker}`.
    OfSpeaker = "speaker" in "speakers" own "FALSE",
    /// `{session}`.
    OfSession = "session" in "sessions" own "FALSE",
    /// `{attendee}`.
    OfAttendee = "attendee" in "attendees" own "COALESCE(x.user_id = $2, FALSE)",
}

/// `{event}`: an id or a slug.
pub struct OfEvent;

impl Place for OfEvent {
    const PARAM: &'static str = "event";
    const SQL: &'static str = "SELECT e.id, e.id AS event_id, e.organisation_id, e.status, m.role, FALSE AS own FROM events e \
        LEFT JOIN members m ON m.organisation_id = e.organisation_id AND m.user_id = $2 WHERE e.id = $1";
}

const EVENT_BY_SLUG: &str = "SELECT e.id, e.id AS event_id, e.organisation_id, e.status, m.role, FALSE AS own FROM events e \
    LEFT JOIN members m ON m.organisation_id = e.organisation_id AND m.user_id = $2 WHERE e.slug = $1";

/// Who may pass.
pub trait Access: 'static {
    /// Whether what was found before will do, as long as nothing has changed.
    const AS_KNOWN: bool = false;

    /// Refuses with 404 whom nothing here concerns, and with 403 members whose role does not suffice.
    fn check(found: &Found) -> Result<(), Problem>;
}

/// Everybody, once the event is published; members before.
pub struct Public;

impl Access for Public {
    fn check(found: &Found) -> Result<(), Problem> {
        let open = found.status != EventStatus::Draft;
        if open || found.role.is_some() { Ok(()) } else { Err(Problem::not_found()) }
    }
}

/// The same for reads of what is kept in memory too, which may follow a change on another node a moment later.
pub struct Reader;

impl Access for Reader {
    const AS_KNOWN: bool = true;

    fn check(found: &Found) -> Result<(), Problem> {
        Public::check(found)
    }
}

/// Members of any role.
pub struct Staff;

impl Access for Staff {
    fn check(found: &Found) -> Result<(), Problem> {
        found.role.map(|_| ()).ok_or_else(Problem::not_found)
    }
}

/// Owners and organisers.
pub struct Manage;

impl Access for Manage {
    fn check(found: &Found) -> Result<(), Problem> {
        match found.role {
            Some(role) if role.manages() => Ok(()),
            Some(_) => Err(Problem::forbidden()),
            None => Err(Problem::not_found()),
        }
    }
}

/// Owners and organisers, and whoever it is about. Other members get 403, strangers 404.
pub struct OwnOrManage;

impl Access for OwnOrManage {
    fn check(found: &Found) -> Result<(), Problem> {
        if found.own { Ok(()) } else { Manage::check(found) }
    }
}

/// What the query answers.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Found {
    /// The thing the path names.
    pub id: Uuid,
    /// Its event.
    pub event_id: Uuid,
    /// The event's organisation.
    pub organisation_id: Uuid,
    /// The event's status.
    pub status: EventStatus,
    /// The caller's role in the organisation, if they are a member.
    pub role: Option<Role>,
    /// Whether it is about the caller: the attendee they are.
    pub own: bool,
}

impl Found {
    /// With the role of an API key, which the query doesn't know.
    pub(super) fn seen_by(self, principal: Principal) -> Self {
        Self { role: principal.role_in(self.organisation_id, self.role), ..self }
    }
}

/// Proof that the caller may do `A` at the place `P`.
pub struct Guard<P, A> {
    /// What was found.
    pub found: Found,
    /// The caller.
    pub principal: Principal,
    proof: PhantomData<(P, A)>,
}

impl<P, A> Guard<P, A> {
    /// The id of what the path names.
    pub fn id(&self) -> Uuid {
        self.found.id
    }

    /// The event it belongs to.
    pub fn event_id(&self) -> Uuid {
        self.found.event_id
    }

    /// The caller as the journal names them: a user or an API key; `None` if nobody is signed in.
    pub fn actor(&self) -> Option<Uuid> {
        self.principal.id()
    }

    /// The caller as an organiser who edits.
    pub fn acting(&self) -> Actor {
        Actor { user_id: self.actor().unwrap_or_default(), organiser: self.manages() }
    }

    /// Whether the caller is a member and so sees drafts.
    pub fn sees_drafts(&self) -> bool {
        self.found.role.is_some()
    }

    /// Whether the caller is an owner or organiser.
    pub fn manages(&self) -> bool {
        self.found.role.is_some_and(Role::manages)
    }

    /// Whether the caller sees how people can be reached: owners and organisers, and keys that may read attendees.
    pub fn sees_contacts(&self) -> bool {
        self.manages_with(Scope::AttendeesRead)
    }

    /// Whether the caller may read who is registered, where they manage.
    pub fn sees_registrations(&self) -> bool {
        self.manages_with(Scope::RegistrationsRead)
    }

    fn manages_with(&self, scope: Scope) -> bool {
        self.manages() && self.principal.key().is_none_or(|key| key.scopes.allow(scope))
    }
}

impl<P: Place, A: Access> Guard<P, A> {
    fn prove(found: Found, principal: Principal) -> Result<Self, Problem> {
        A::check(&found)?;
        Ok(Self { found, principal, proof: PhantomData })
    }
}

impl<P: Place, A: Access> FromRequest for Guard<P, A> {
    type Error = Problem;
    type Future = Either<Ready<Result<Self, Problem>>, LocalBoxFuture<'static, Result<Self, Problem>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (state, principal) = (state(request), principal(request));
        let named = request.match_info().get(P::PARAM).unwrap_or_default();
        if A::AS_KNOWN
            && let Some(found) = state.known.get::<P>(named, principal)
        {
            return Either::Left(ready(Self::prove(found, principal)));
        }
        let (state, named) = (state.clone(), named.to_owned());
        Either::Right(Box::pin(async move {
            let found = match A::AS_KNOWN {
                true => state.known.find::<P>(&named, principal).await?,
                false => find::<P>(&state.db, &named, principal).await?,
            };
            Self::prove(found.ok_or_else(Problem::not_found)?, principal)
        }))
    }
}

/// What stands at a place that a path names.
pub async fn find<P: Place>(db: &Db, named: &str, principal: Principal) -> Result<Option<Found>, Problem> {
    match (Uuid::try_parse(named), P::PARAM) {
        (Ok(id), _) => find_by_id::<P>(db, id, principal).await,
        (Err(_), "event") => {
            let found: Option<Found> = db.query(EVENT_BY_SLUG).bind(named.to_owned()).bind(principal.user()).optional().await?;
            Ok(found.map(|found| found.seen_by(principal)))
        }
        (Err(_), _) => Ok(None),
    }
}

/// What stands at a place, for handlers whose permission depends on the body.
pub async fn find_by_id<P: Place>(db: &Db, id: Uuid, principal: Principal) -> Result<Option<Found>, Problem> {
    let found: Option<Found> = db.query(P::SQL).bind(id).bind(principal.user()).optional().await?;
    Ok(found.map(|found| found.seen_by(principal)))
}

/// The caller's role in an organisation named in a body or query.
pub async fn role_in(db: &Db, organisation_id: Uuid, principal: Principal) -> Result<Option<Role>, Problem> {
    const ROLE: &str = "SELECT role FROM members WHERE organisation_id = $1 AND user_id = $2";
    match principal.user() {
        Some(user) => Ok(db.query(ROLE).bind(organisation_id).bind(user).optional_scalar().await?),
        None => Ok(principal.role_in(organisation_id, None)),
    }
}
