//! The same as [`super::guard`] for an organisation itself and what its owners look after: the role an operation needs
//! stands in its signature. Only users come through here, no API keys.

use super::Role;
use crate::{
    db::Tx,
    error::Problem,
    extract::{Caller, state},
    organisations,
};
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::LocalBoxFuture;
use std::marker::PhantomData;
use uuid::Uuid;

/// Which members may pass.
pub trait Rank: 'static {
    /// Whether this role suffices; `own` says that it is about the caller's own membership.
    fn admits(role: Role, own: bool) -> bool;
}

/// Members of any role.
pub struct Anyone;

impl Rank for Anyone {
    fn admits(_: Role, _: bool) -> bool {
        true
    }
}

/// Owners.
pub struct Owner;

impl Rank for Owner {
    fn admits(role: Role, _: bool) -> bool {
        role == Role::Owner
    }
}

/// Owners, and whoever it is about.
pub struct OwnerOrSelf;

impl Rank for OwnerOrSelf {
    fn admits(role: Role, own: bool) -> bool {
        role == Role::Owner || own
    }
}

/// What a path parameter names.
pub trait Held: 'static {
    /// The path parameter.
    const PARAM: &'static str;
    /// Answers `(organisation_id, role, own)` for `$1` = the id in the path, `$2` = the caller; nothing if the caller
    /// is no member.
    const SQL: &'static str;
}

/// `{organisation}`.
pub struct OfOrganisation;

impl Held for OfOrganisation {
    const PARAM: &'static str = "organisation";
    const SQL: &'static str = "SELECT organisation_id, role, FALSE AS own FROM members WHERE organisation_id = $1 AND user_id = $2";
}

/// Declares what an organisation holds: its table, and what makes a row the caller's own.
macro_rules! held {
    ($($(#[$doc:meta])* $name:ident = $param:literal in $table:literal own $own:literal),+ $(,)?) => {
        $(
            $(#[$doc])*
            pub struct $name;
            impl Held for $name {
                const PARAM: &'static str = $param;
                const SQL: &'static str = concat!(
                    "SELECT m.organisation_id, m.role, ", $own, " AS own FROM ", $table,
                    " x JOIN members m ON m.organisation_id = x.organisation_id AND m.user_id = $2 WHERE x.id = $1",
                );
            }
        )+
    };
}

held! {
    /// `{member}`.
    OfMember = "member" in "members" own "x.user_id = $2",
    /// `{invitation}`.
    OfInvitation = "invitation" in "invitations" own "FALSE",
    /// `{apiKey}`.
    OfApiKey = "apiKey" in "api_keys" own "FALSE",
}

#[derive(sqlx::FromRow)]
struct Found {
    organisation_id: Uuid,
    role: Role,
    own: bool,
}

/// Proof that the caller is a member of rank `R` of the organisation that holds what the path names. Refuses strangers
/// with 404 and members of another rank with 403.
pub struct Membership<R, P = OfOrganisation> {
    /// What the path names.
    pub id: Uuid,
    /// The organisation.
    pub organisation_id: Uuid,
    /// The caller.
    pub user_id: Uuid,
    /// The caller's role in it.
    pub role: Role,
    own: bool,
    proof: PhantomData<(R, P)>,
}

impl<R: Rank, P: Held> FromRequest for Membership<R, P> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload);
        let db = state(request).db.clone();
        let named = Uuid::try_parse(request.match_info().get(P::PARAM).unwrap_or_default());
        Box::pin(async move {
            let Caller(user_id) = caller.await?;
            let id = named.map_err(|_| Problem::not_found())?;
            let found: Option<Found> = db.query(P::SQL).bind(id).bind(user_id).optional().await?;
            let Found { organisation_id, role, own } = found.ok_or_else(Problem::not_found)?;
            if !R::admits(role, own) {
                return Err(Problem::forbidden());
            }
            Ok(Self { id, organisation_id, user_id, role, own, proof: PhantomData })
        })
    }
}

impl<R: Rank, P: Held> Membership<R, P> {
    /// Locks the organisation, so that changes of its members run one after the other, and checks the caller's rank as
    /// it is then: somebody else may have changed it since the request began.
    pub async fn lock(&self, tx: &mut Tx) -> Result<(), Problem> {
        organisations::store::lock(tx, self.organisation_id).await?;
        match organisations::store::role(tx, self.organisation_id, self.user_id).await? {
            Some(role) if R::admits(role, self.own) => Ok(()),
            Some(_) => Err(Problem::forbidden()),
            None => Err(Problem::not_found()),
        }
    }
}
