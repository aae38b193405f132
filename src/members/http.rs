//! Members. Their entity tags are made from the body, because it shows the user's name.

use super::{
    invitations,
    model::{Member, MemberForm},
    store,
};
use crate::{
    app::Registrar,
    auth::{
        Membership, Role,
        membership::{OfMember, Owner, OwnerOrSelf},
    },
    db::Tx,
    error::{Code, Problem},
    extract::{IfMatch, Patch},
    page::PageRequest,
    reply::{self, Reply},
    state::State,
};
use actix_web::{HttpRequest, HttpResponse};

/// Their routes, and those of invitations.
pub fn routes(registrar: &mut Registrar) {
    registrar.on("listMembers", list).on("getMember", get).on("updateMember", update).on("deleteMember", delete);
    invitations::routes(registrar);
}

async fn list(request: HttpRequest, state: State, member: Membership<Owner>, page: PageRequest) -> Reply {
    let rows = store::list(&state.db, member.organisation_id, page.after()?, page.fetch()).await?;
    page.reply(&request, rows, |row: &Member| (row.created_at, row.id), |row| row)
}

async fn get(request: HttpRequest, state: State, caller: Membership<OwnerOrSelf, OfMember>) -> Reply {
    let found = store::find(&state.db, caller.id).await?;
    reply::hashed(&request, &found.ok_or_else(Problem::not_found)?)
}

async fn update(state: State, caller: Membership<Owner, OfMember>, if_match: IfMatch, patch: Patch) -> Reply {
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            caller.lock(tx).await?;
            let mut member = store::find_in(tx, caller.id).await?.ok_or_else(Problem::not_found)?;
            if_match.check_tag(&reply::tag_of(&member)?)?;
            let form = patch.onto(&MemberForm { role: member.role })?;
            if form.role != member.role {
                keep_an_owner(tx, &member).await?;
                store::set_role(tx, &member, form.role).await?;
                member.role = form.role;
            }
            Ok(member)
        })
    });
    let member = write.await?;
    reply::tagged(HttpResponse::Ok(), &member)
}

/// Removes a member, or leaves.
async fn delete(state: State, caller: Membership<OwnerOrSelf, OfMember>, if_match: IfMatch) -> Reply {
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            caller.lock(tx).await?;
            let member = store::find_in(tx, caller.id).await?.ok_or_else(Problem::not_found)?;
            if_match.check_tag(&reply::tag_of(&member)?)?;
            keep_an_owner(tx, &member).await?;
            Ok(store::remove(tx, &member).await?)
        })
    });
    write.await?;
    reply::no_content()
}

/// Refuses what would leave the organisation, which is locked, without an owner.
async fn keep_an_owner(tx: &mut Tx, leaving: &Member) -> Result<(), Problem> {
    if leaving.role == Role::Owner && store::count_owners(tx, leaving.organisation_id).await? <= 1 {
        return Err(Problem::new(Code::LastOwner, "Make another member an owner first, or delete the organisation."));
    }
    Ok(())
}
