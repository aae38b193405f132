//! Owners make, list and revoke keys.

use super::{
    model::{ApiKey, ApiKeyForm, MARK, SHOWN_CHARACTERS},
    store,
};
use crate::{
    app::Registrar,
    auth::{
        Membership,
        membership::{OfApiKey, Owner},
    },
    error::Problem,
    extract::Json,
    page::PageRequest,
    random::Secret,
    reply::{self, Reply},
    state::State,
};
use actix_web::{HttpRequest, HttpResponse, http::header};
use serde::Serialize;

/// Their routes.
pub fn routes(registrar: &mut Registrar) {
    registrar.on("listApiKeys", list).on("createApiKey", create).on("deleteApiKey", delete);
}

/// The only answer that has the secret in it.
#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    key: ApiKey,
    secret: String,
}

async fn list(request: HttpRequest, state: State, member: Membership<Owner>, page: PageRequest) -> Reply {
    let rows = store::list(&state.db, member.organisation_id, page.after()?, page.fetch()).await?;
    page.reply(&request, rows, |row: &ApiKey| (row.created_at, row.id), |row| row)
}

/// A key lives by the time that tokens go by: who calls with it has no other.
async fn create(state: State, member: Membership<Owner>, Json(form): Json<ApiKeyForm>) -> Reply {
    let now = state.tokens.now();
    form.check(now)?;
    let secret = Secret(format!("{MARK}{}", state.random.secret().0));
    let key = ApiKey {
        id: state.new_id(),
        organisation_id: member.organisation_id,
        name: form.name,
        prefix: secret.0.chars().take(SHOWN_CHARACTERS).collect(),
        scopes: form.scopes,
        created_by: Some(member.user_id),
        created_at: now,
        expires_at: form.expires_at,
        last_used_at: None,
    };
    let (added, kept) = (key.clone(), secret.clone());
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            member.lock(tx).await?;
            Ok(store::add(tx, &added, &kept).await?)
        })
    });
    write.await?;
    Ok(HttpResponse::Created().insert_header((header::CACHE_CONTROL, "no-store")).json(Created { key, secret: secret.0 }))
}

async fn delete(state: State, member: Membership<Owner, OfApiKey>) -> Reply {
    let now = state.tokens.now();
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            member.lock(tx).await?;
            match store::revoke(tx, member.id, now).await? {
                0 => Err(Problem::not_found()),
                _ => Ok(()),
            }
        })
    });
    write.await?;
    reply::no_content()
}
