//! Claim codes for many attendees of an event at once, as JSON or as a file for a mail merge.

use super::{columns::CLAIM_CODES, model::Claimable, store};
use crate::{
    auth::{Guard, Manage, guard::OfEvent},
    clock::Timestamp,
    error::Problem,
    events,
    exports::{self, Download, Exported, Format, Wanted, negotiated},
    extract::{Json, Params},
    random::{Random, Secret},
    reply::Reply,
    sessions::model::{Fault, refuse},
    state::State,
};
use actix_web::{HttpRequest, HttpResponse, http::header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};
use uuid::Uuid;

/// What stands for the code in a link.
const PLACEHOLDER: &str = "{claimCode}";

/// Who gets a code.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IssueForm {
    /// Only these; without, all of the event.
    attendee_ids: Option<Vec<Uuid>>,
    /// Whether who has an unused code gets another one.
    replace: bool,
    /// The address of a page that takes the code, with [`PLACEHOLDER`] in it.
    link: Option<String>,
}

/// A code and whom it is for. The members are the columns of [`CLAIM_CODES`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Issued {
    attendee_id: Uuid,
    name: String,
    email: Option<String>,
    external_reference: Option<String>,
    claim_code: String,
    claim_link: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClaimCodes {
    items: Vec<Issued>,
    created_at: Timestamp,
}

/// `issueClaimCodes`.
pub async fn issue(
    request: HttpRequest,
    state: State,
    guard: Guard<OfEvent, Manage>,
    Params(wanted): Params<Wanted>,
    Json(form): Json<IssueForm>,
) -> Reply {
    // All that can be refused is refused before: codes that nobody gets to see are of no use.
    let layout = Arc::new(wanted.whole(&request, &CLAIM_CODES)?);
    let _slot = state.exports.take()?;
    let (event_id, now) = (guard.event_id(), state.clock.now());
    let event = events::store::find(&state.db, event_id).await?.ok_or_else(Problem::not_found)?;
    let exported = Exported { event_id, actor_id: guard.actor(), list: "claim_codes", session_id: None, filter: form.filter() };
    let (random, recorded) = (state.random.clone(), Arc::clone(&layout));
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            let found = store::claimable_locked(tx, event_id, form.ids().as_ref()).await?;
            form.require_known(&found)?;
            let (issued, hashes) = form.issue(found, &random);
            store::set_claims(tx, issued.iter().map(|issued| issued.attendee_id).collect(), hashes).await?;
            exports::record(tx, &exported, &recorded, now).await?;
            Ok(issued)
        })
    });
    let items = write.await?;
    if layout.format == Format::Json {
        let mut response = HttpResponse::Created();
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        return negotiated(Ok(response.json(ClaimCodes { items, created_at: now })));
    }
    let name = format!("{}-claim-codes", event.slug);
    Download { layout, name, zone: event.time_zone.as_jiff().clone() }.created(items, now).await
}

impl IssueForm {
    /// For the journal: whom it was asked for.
    fn filter(&self) -> Map<String, Value> {
        let mut filter = Map::from_iter([("replace".to_owned(), json!(self.replace))]);
        if let Some(ids) = &self.attendee_ids {
            filter.insert("attendeeIds".to_owned(), json!(ids));
        }
        filter
    }

    /// Each once: the contract compares texts, and an id can be written in two ways.
    fn ids(&self) -> Option<BTreeSet<Uuid>> {
        self.attendee_ids.as_ref().map(|ids| ids.iter().copied().collect())
    }

    fn require_known(&self, found: &[Claimable]) -> Result<(), Problem> {
        let known: HashSet<Uuid> = found.iter().map(|attendee| attendee.id).collect();
        let named = self.attendee_ids.iter().flatten().enumerate();
        let unknown = named.filter(|(_, id)| !known.contains(id)).map(|(index, _)| format!("/attendeeIds/{index}"));
        refuse(unknown.map(|pointer| Fault::unknown_reference(pointer, "is no attendee of this event")).collect())
    }

    /// A new code for each who is to get one, by name, and what is kept of it.
    fn issue(&self, mut found: Vec<Claimable>, random: &Random) -> (Vec<Issued>, Vec<Vec<u8>>) {
        found.retain(|attendee| attendee.open && (self.replace || !attendee.has_code));
        found.sort_unstable_by(|one, other| (&one.sort_key, one.id).cmp(&(&other.sort_key, other.id)));
        let issued = found.into_iter().map(|attendee| {
            let secret = random.secret();
            let hash = secret.hash();
            (self.issued(attendee, secret), hash)
        });
        issued.unzip()
    }

    fn issued(&self, attendee: Claimable, Secret(claim_code): Secret) -> Issued {
        let Claimable { id: attendee_id, name, email, external_reference, .. } = attendee;
        let claim_link = self.link.as_ref().map(|link| link.replace(PLACEHOLDER, &claim_code));
        Issued { attendee_id, name, email, external_reference, claim_code, claim_link }
    }
}
