//! Puts the demo's conference and people into the database. What is there already stays as it is, so that the demo can
//! be started again and again, and what was tried in it is found again.

use super::{DemoError, PASSWORD};
use crate::{
    accounts::{
        self,
        model::{Email, User},
    },
    attendees::{
        self,
        model::{Attendee, AttendeeForm},
    },
    auth::{Password, Role, guard::role_in},
    contract,
    contract::door::Principal,
    error::Problem,
    events::{
        self,
        model::{EventBooking, EventForm, EventStatus},
    },
    organisations::{self, model::Organisation},
    programme::{
        document::Document,
        replace::{self, Put},
    },
    registrations::model::{Actor, IfOverfull},
    sessions::{self, model::SessionStatus},
    state::State,
    text::fold,
};
use uuid::Uuid;

/// The conference: one real session, the rest invented.
const PROGRAMME: &str = include_str!("programme.yaml");
/// The session that the guide books.
const EXAMPLE: &str = "E6";
const ORGANISATION: &str = "Quality Forum";

/// Somebody who can sign in.
pub(super) struct Account {
    pub name: &'static str,
    pub email: &'static str,
    pub what: &'static str,
}

pub(super) const ORGANISER: Account =
    Account { name: "Ola Organiser", email: "organiser@demo.example", what: "owns the organisation: programme, bookings, exports" };
pub(super) const DOOR: Account =
    Account { name: "Dora Door", email: "door@demo.example", what: "stands at the door: rosters without contacts" };

/// The attendees with their affiliations and countries.
pub(super) const ATTENDEES: [(Account, &str, &str); 3] = [
    (Account { name: "Anna Andersen", email: "anna@demo.example", what: "an attendee" }, "Nordvågen Hospital Trust", "Norway"),
    (Account { name: "Bo Bengtsson", email: "bo@demo.example", what: "an attendee" }, "Lindeboda County Council", "Sweden"),
    (Account { name: "Carla Cid", email: "carla@demo.example", what: "an attendee" }, "Hospital Vallelinda", "Spain"),
];

/// What the guide tells of.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The event.
    pub event_id: Uuid,
    /// Its slug.
    pub slug: String,
    /// A published session, E6 while there is one: its id and code.
    pub example: Option<(Uuid, String)>,
}

/// Loads the demo.
///
/// Accounts, organisation, memberships and attendees are made where they are missing. The programme is loaded into an
/// event without sessions, through the same door as `PUT /v1/events/{event}/programme`; one that has any was perhaps
/// changed, and stays.
pub async fn load(state: &State) -> Result<Loaded, DemoError> {
    let document: Document = contract::parse_yaml(PROGRAMME)
        .map_err(Problem::internal)
        .and_then(|value| serde_json::from_value(value).map_err(Problem::internal))?;
    let slug = document.event.slug.clone().unwrap_or_default();
    require_a_demo(state, &slug).await?;
    let organiser = account(state, &ORGANISER).await?;
    let door = account(state, &DOOR).await?;
    let organisation_id = organisation(state, organiser).await?;
    door_member(state, organisation_id, door).await?;
    let event_id = event(state, organisation_id, &slug, &document).await?;
    if sessions::store::of_event(&mut &state.db, event_id).await.map_err(Problem::from)?.is_empty() {
        let actor = Actor { user_id: organiser, organiser: true };
        let how = Put { event_id, dry_run: false, if_overfull: IfOverfull::Refuse, actor };
        replace::put(state, how, document, |_| Ok(())).await?;
    }
    for (person, affiliation, country) in &ATTENDEES {
        let user = account(state, person).await?;
        attendee(state, event_id, user, person, affiliation, country).await?;
    }
    let mut bookable = sessions::store::of_event(&mut &state.db, event_id).await.map_err(Problem::from)?;
    bookable.retain(|session| session.row.status == SessionStatus::Published);
    let example = bookable.iter().find(|session| session.row.code == EXAMPLE).or(bookable.first());
    Ok(Loaded { event_id, slug, example: example.map(|session| (session.row.id, session.row.code.clone())) })
}

/// Refuses a database that something else is in, before accounts with a known password get there.
async fn require_a_demo(state: &State, slug: &str) -> Result<(), DemoError> {
    const USERS: &str = "SELECT COUNT(*) FROM users";
    const OWNED: &str = "SELECT COUNT(*) FROM events e JOIN members m ON m.organisation_id = e.organisation_id AND m.role = 'owner' \
        WHERE e.slug = $1 AND m.user_id = $2";
    let organiser = accounts::store::credentials(&state.db, &Email::new(ORGANISER.email)).await.map_err(Problem::from)?;
    let Some(organiser) = organiser else {
        let users: i64 = state.db.query(USERS).scalar().await.map_err(Problem::from)?;
        return if users == 0 { Ok(()) } else { Err(DemoError::NotADemo("it has accounts, and none is the demo's organiser")) };
    };
    if find_event(state, slug).await?.is_some() {
        let owned: i64 = state.db.query(OWNED).bind(slug.to_owned()).bind(organiser.id).scalar().await.map_err(Problem::from)?;
        if owned == 0 {
            return Err(DemoError::NotADemo("somebody else owns the event with the slug of the demo's"));
        }
    }
    Ok(())
}

async fn find_event(state: &State, slug: &str) -> Result<Option<Uuid>, Problem> {
    const BY_SLUG: &str = "SELECT id FROM events WHERE slug = $1";
    Ok(state.db.query(BY_SLUG).bind(slug.to_owned()).optional_scalar().await?)
}

/// The user with that address; made if there is none. One there is keeps the password it has.
async fn account(state: &State, account: &Account) -> Result<Uuid, Problem> {
    let email = Email::new(account.email);
    if let Some(found) = accounts::store::credentials(&state.db, &email).await? {
        return Ok(found.id);
    }
    let hash = state.passwords.hash(Password::new(PASSWORD)).await?;
    let (id, now) = (state.new_id(), state.clock.now());
    let user = User { id, email: email.as_str().to_owned(), name: account.name.to_owned(), created_at: now, updated_at: now };
    state.db.write(move |tx| Box::pin(async move { Ok(accounts::store::add(tx, &user, hash).await?) })).await?;
    Ok(id)
}

/// The organisation that the organiser owns; made if there is none.
async fn organisation(state: &State, organiser: Uuid) -> Result<Uuid, Problem> {
    let memberships = accounts::store::memberships(&state.db, organiser).await?;
    if let Some(owned) = memberships.iter().find(|membership| membership.role == Role::Owner) {
        return Ok(owned.id);
    }
    let (id, member_id, now) = (state.new_id(), state.new_id(), state.clock.now());
    let organisation = Organisation {
        id,
        name: ORGANISATION.to_owned(),
        sort_key: fold(ORGANISATION),
        role: Role::Owner,
        created_at: now,
        updated_at: now,
    };
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            organisations::store::add(tx, &organisation).await?;
            Ok(organisations::store::add_member(tx, member_id, id, organiser, Role::Owner, now).await?)
        })
    });
    write.await?;
    Ok(id)
}

/// Makes the door user a member where they are none.
async fn door_member(state: &State, organisation_id: Uuid, door: Uuid) -> Result<(), Problem> {
    if role_in(&state.db, organisation_id, Principal::User(door)).await?.is_some() {
        return Ok(());
    }
    let (id, now) = (state.new_id(), state.clock.now());
    let write = state.db.write(move |tx| {
        Box::pin(async move { Ok(organisations::store::add_member(tx, id, organisation_id, door, Role::Door, now).await?) })
    });
    write.await
}

/// The event with the document's slug; made, still empty, if there is none.
async fn event(state: &State, organisation_id: Uuid, slug: &str, document: &Document) -> Result<Uuid, Problem> {
    if let Some(found) = find_event(state, slug).await? {
        return Ok(found);
    }
    let form = EventForm {
        organisation_id,
        slug: slug.to_owned(),
        name: document.event.name.clone(),
        time_zone: document.event.time_zone.clone(),
        starts_on: document.event.starts_on,
        ends_on: document.event.ends_on,
        // Published by the document, with its sessions.
        status: EventStatus::Draft,
        booking: EventBooking::default(),
    };
    let form = form.validate("/event")?;
    let (id, now) = (state.new_id(), state.clock.now());
    let write = state.db.write(move |tx| Box::pin(async move { Ok(events::store::insert(tx, id, &form, now).await?) }));
    write.await?;
    Ok(id)
}

async fn attendee(state: &State, event_id: Uuid, user: Uuid, person: &Account, affiliation: &str, country: &str) -> Result<(), Problem> {
    const LINKED: &str = "SELECT id FROM attendees WHERE user_id = $1 AND event_id = $2";
    let linked: Option<(Uuid,)> = state.db.query(LINKED).bind(user).bind(event_id).optional().await?;
    if linked.is_some() {
        return Ok(());
    }
    let form = AttendeeForm {
        name: person.name.to_owned(),
        email: Some(person.email.to_owned()),
        affiliation: Some(affiliation.to_owned()),
        country: Some(country.to_owned()),
        ..AttendeeForm::default()
    };
    let attendee = Attendee::new(state.new_id(), event_id, Some(user), form, state.clock.now());
    state.db.write(move |tx| Box::pin(async move { Ok(attendees::store::add(tx, &attendee).await?) })).await
}
