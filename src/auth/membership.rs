//! The same as [`super::guard`] for an organisation itself: the role an operation needs stands in its signature.

use super::{Role, guard::role_in};
use crate::{
    contract::door::Principal,
    error::Problem,
    extract::{principal, state},
};
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::LocalBoxFuture;
use std::marker::PhantomData;
use uuid::Uuid;

/// Which members may pass.
pub trait Rank: 'static {
    /// Whether this role suffices.
    fn admits(role: Role) -> bool;
}

/// Members of any role.
pub struct Anyone;

impl Rank for Anyone {
    fn admits(_: Role) -> bool {
        true
    }
}

/// Owners.
pub struct Owner;

impl Rank for Owner {
    fn admits(role: Role) -> bool {
        role == Role::Owner
    }
}

/// Proof that the caller is a member of rank `R` of the organisation in the path. Refuses strangers with 404 and
/// members of another rank with 403.
pub struct Membership<R> {
    /// The organisation.
    pub organisation_id: Uuid,
    /// The caller.
    pub user_id: Uuid,
    /// The caller's role in it.
    pub role: Role,
    proof: PhantomData<R>,
}

impl<R: Rank> FromRequest for Membership<R> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = principal(request);
        let db = state(request).db.clone();
        let named = Uuid::try_parse(request.match_info().get("organisation").unwrap_or_default());
        Box::pin(async move {
            let Principal::User(user_id) = caller else { return Err(Problem::unauthenticated()) };
            let organisation_id = named.map_err(|_| Problem::not_found())?;
            let role = role_in(&db, organisation_id, user_id).await?.ok_or_else(Problem::not_found)?;
            if R::admits(role) { Ok(Self { organisation_id, user_id, role, proof: PhantomData }) } else { Err(Problem::forbidden()) }
        })
    }
}
