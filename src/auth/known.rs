//! What the guards of readers have found before: what a path names and where that belongs, and who is a member.
//! Each holds until the event or the members of the organisation change, on whichever node.

use super::{
    Role,
    guard::{self, Found, Place},
};
use crate::{
    contract::door::Principal,
    db::{Db, Remembered},
    error::Problem,
    metrics::Lookups,
};
use uuid::Uuid;

/// How many of each are known at the most, some 10 MiB in all.
const CAPACITY: usize = 20_000;

/// Places and roles that need no query.
pub struct Known {
    db: Db,
    /// By path parameter and id; without a role.
    by_id: Remembered<(&'static str, Uuid), Found>,
    /// Events by slug; without a role.
    by_slug: Remembered<String, Found>,
    /// By organisation and user.
    roles: Remembered<(Uuid, Uuid), Option<Role>>,
}

impl Known {
    /// Knows nothing yet.
    pub fn new(db: &Db) -> Self {
        let changes = || db.changes().clone();
        Self {
            db: db.clone(),
            by_id: Remembered::new(changes(), CAPACITY),
            by_slug: Remembered::new(changes(), CAPACITY),
            roles: Remembered::new(changes(), CAPACITY),
        }
    }

    /// What stands at a place, as [`guard::find`] answers it, if that is known without asking.
    pub fn get<P: Place>(&self, named: &str, principal: Principal) -> Option<Found> {
        let found = match Uuid::try_parse(named) {
            Ok(id) => self.by_id.get(&(P::PARAM, id)),
            Err(_) => self.by_slug.get(named),
        }?;
        let role = match principal.user() {
            Some(user) => self.roles.get(&(found.organisation_id, user))?,
            None => None,
        };
        Some(Found { role, ..found }.seen_by(principal))
    }

    /// The same, asking for what isn't known.
    pub async fn find<P: Place>(&self, named: &str, principal: Principal) -> Result<Option<Found>, Problem> {
        let since = self.db.changes().now();
        let Some(found) = guard::find::<P>(&self.db, named, principal).await? else { return Ok(None) };
        let (event, organisation) = (found.event_id, found.organisation_id);
        let anybodys = Found { role: None, own: false, ..found.clone() };
        match Uuid::try_parse(named) {
            Ok(id) => self.by_id.put((P::PARAM, id), anybodys, event, since),
            Err(_) => self.by_slug.put(named.to_owned(), anybodys, event, since),
        }
        if let Some(user) = principal.user() {
            self.roles.put((organisation, user), found.role, organisation, since);
        }
        Ok(Some(found))
    }

    /// How often places were known, and roles.
    pub fn lookups(&self) -> [(&'static str, &Lookups); 3] {
        [("places", self.by_id.lookups()), ("slugs", self.by_slug.lookups()), ("roles", self.roles.lookups())]
    }
}
