//! Organisations. Their entity tags are made from the body, because it shows the caller's role.

use super::{
    model::{Organisation, OrganisationForm},
    store,
};
use crate::{
    app::Registrar,
    auth::{
        Membership, Role,
        membership::{Anyone, Owner},
    },
    db::is_foreign_key_violation,
    error::{Code, Problem},
    extract::{Caller, IfMatch, Json, Patch},
    idempotency::Once,
    page::PageRequest,
    reply::{self, Answer, Reply},
    state::State,
    text::fold,
};
use actix_web::{HttpRequest, HttpResponse};

/// Their routes.
pub fn routes(registrar: &mut Registrar) {
    registrar.on("listOrganisations", list).on("createOrganisation", create);
    registrar.on("getOrganisation", get).on("updateOrganisation", update).on("deleteOrganisation", delete);
}

async fn list(request: HttpRequest, state: State, Caller(user): Caller, page: PageRequest) -> Reply {
    let rows = store::list(&state.db, user, page.after()?, page.fetch()).await?;
    page.reply(&request, rows, |row: &Organisation| (row.sort_key.clone(), row.id), |row| row)
}

async fn create(state: State, Caller(user): Caller, once: Once, Json(OrganisationForm { name }): Json<OrganisationForm>) -> Reply {
    let now = state.clock.now();
    let (id, member_id) = (state.new_id(), state.new_id());
    let organisation = Organisation { id, sort_key: fold(&name), name, role: Role::Owner, created_at: now, updated_at: now };
    let answer = Answer::created_with(format!("/v1/organisations/{id}"), reply::tag_of(&organisation)?, &organisation)?;
    let write = once.write(&state, move |tx| {
        Box::pin(async move {
            store::add(tx, &organisation).await?;
            match store::add_member(tx, member_id, id, user, Role::Owner, now).await {
                Ok(()) => Ok(answer),
                // A token outlives its user by minutes.
                Err(error) if is_foreign_key_violation(&error) => Err(Problem::unauthenticated()),
                Err(error) => Err(error.into()),
            }
        })
    });
    write.await
}

async fn get(request: HttpRequest, state: State, member: Membership<Anyone>) -> Reply {
    let found = store::read(&state.db, member.organisation_id, member.user_id).await?;
    reply::hashed(&request, &found.ok_or_else(Problem::not_found)?)
}

async fn update(state: State, member: Membership<Owner>, if_match: IfMatch, patch: Patch) -> Reply {
    let now = state.clock.now();
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            let found = store::read_locked(tx, member.organisation_id, member.user_id).await?;
            let mut organisation = found.ok_or_else(Problem::not_found)?;
            if_match.check_tag(&reply::tag_of(&organisation)?)?;
            let current = OrganisationForm { name: organisation.name.clone() };
            let form = patch.onto(&current)?;
            if form != current {
                organisation.sort_key = fold(&form.name);
                organisation.name = form.name;
                organisation.updated_at = now;
                store::rename(tx, &organisation).await?;
            }
            Ok(organisation)
        })
    });
    let organisation = write.await?;
    reply::tagged(HttpResponse::Ok(), &organisation)
}

async fn delete(state: State, member: Membership<Owner>, if_match: IfMatch) -> Reply {
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            member.lock(tx).await?;
            let found = store::read_locked(tx, member.organisation_id, member.user_id).await?;
            if_match.check_tag(&reply::tag_of(&found.ok_or_else(Problem::not_found)?)?)?;
            store::delete(tx, member.organisation_id).await.map_err(|error| match is_foreign_key_violation(&error) {
                true => Problem::new(Code::InUse, "The organisation has events. Delete them first."),
                false => error.into(),
            })
        })
    });
    write.await?;
    reply::no_content()
}
