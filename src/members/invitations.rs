//! Invitations: links that make whoever holds one a member, once.

use super::{
    model::{INVITATION_SECS, Invitation, InvitationForm, Member},
    store,
};
use crate::{
    app::Registrar,
    auth::{
        Membership,
        membership::{OfInvitation, Owner},
    },
    clock::Timestamp,
    db::{Tx, is_foreign_key_violation, is_unique_violation},
    error::{Code, Problem},
    extract::{Caller, Json},
    organisations,
    page::PageRequest,
    random::Secret,
    reply::{self, Reply},
    state::State,
};
use actix_web::{HttpRequest, HttpResponse, http::header};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Their routes.
pub fn routes(registrar: &mut Registrar) {
    registrar.on("listInvitations", list).on("createInvitation", create);
    registrar.on("deleteInvitation", delete).on("acceptInvitation", accept);
}

async fn list(request: HttpRequest, state: State, member: Membership<Owner>, page: PageRequest) -> Reply {
    let rows = store::pending(&state.db, member.organisation_id, state.clock.now(), page.after()?, page.fetch()).await?;
    page.reply(&request, rows, |row: &Invitation| (row.created_at, row.id), |row| row)
}

/// The only answer that has the token in it.
#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    invitation: Invitation,
    token: String,
}

async fn create(state: State, member: Membership<Owner>, Json(form): Json<InvitationForm>) -> Reply {
    let now = state.clock.now();
    let token = state.random.secret();
    let invitation = Invitation {
        id: state.new_id(),
        organisation_id: member.organisation_id,
        email: form.email,
        role: form.role,
        created_by: Some(member.user_id),
        created_at: now,
        expires_at: now.plus_secs(INVITATION_SECS),
    };
    let (added, kept) = (invitation.clone(), token.clone());
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            member.lock(tx).await?;
            Ok(store::invite(tx, &added, &kept).await?)
        })
    });
    write.await?;
    Ok(HttpResponse::Created().insert_header((header::CACHE_CONTROL, "no-store")).json(Created { invitation, token: token.0 }))
}

async fn delete(state: State, member: Membership<Owner, OfInvitation>) -> Reply {
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            member.lock(tx).await?;
            match store::revoke(tx, member.id).await? {
                0 => Err(Problem::not_found()),
                _ => Ok(()),
            }
        })
    });
    write.await?;
    reply::no_content()
}

#[derive(Deserialize)]
struct Accept {
    token: String,
}

async fn accept(state: State, Caller(user): Caller, Json(Accept { token }): Json<Accept>) -> Reply {
    let (token, member_id, now) = (Secret(token), state.new_id(), state.clock.now());
    let write = state.db.write(move |tx| Box::pin(async move { join(tx, &token, member_id, user, now).await }));
    let member = write.await?;
    reply::tagged(HttpResponse::Ok(), &member)
}

/// Makes the user a member. Who accepted it and is still a member is answered the same again.
async fn join(tx: &mut Tx, token: &Secret, member_id: Uuid, user: Uuid, now: Timestamp) -> Result<Member, Problem> {
    let unlocked = store::presented(tx, token, now).await?.ok_or_else(invalid)?;
    organisations::store::lock(tx, unlocked.organisation_id).await?;
    // Again, now that nobody else can accept or revoke it.
    let invitation = store::presented(tx, token, now).await?.ok_or_else(invalid)?;
    let organisation_id = invitation.organisation_id;
    if !invitation.accepted {
        let joined = organisations::store::add_member(tx, member_id, organisation_id, user, invitation.role, now).await;
        joined.map_err(|error| match error {
            error if is_unique_violation(&error) => {
                Problem::new(Code::AlreadyMember, "You are a member of this organisation. The invitation was not used.")
            }
            // A token outlives its user by minutes.
            error if is_foreign_key_violation(&error) => Problem::unauthenticated(),
            error => error.into(),
        })?;
        store::accepted(tx, invitation.id, user, now).await?;
    } else if invitation.accepted_by != Some(user) {
        return Err(invalid());
    }
    store::find_of_user(tx, organisation_id, user).await?.ok_or_else(invalid)
}

/// The one answer for every token that is good for nothing.
fn invalid() -> Problem {
    Problem::invalid(Code::InvalidInvitation, "/token", "Nobody is invited by it: it is wrong, has expired, was taken back, or was used.")
}
