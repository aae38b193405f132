//! Signing up, in and out, and the signed-in user.

use super::{
    model::{Email, MembershipOf, User, UserForm},
    store,
};
use crate::{
    app::Registrar,
    auth::{Password, TokenPair},
    db::is_unique_violation,
    error::{Code, Problem},
    extract::{Caller, IfMatch, Json, Patch},
    random::Secret,
    reply::{self, Answer, Reply},
    state::State,
};
use actix_web::{HttpRequest, HttpResponse, http::header};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Their routes.
pub fn routes(registrar: &mut Registrar) {
    registrar.on("signUp", sign_up).on("logIn", log_in).on("refreshTokens", refresh).on("logOut", log_out);
    registrar.on("getMe", get_me).on("updateMe", update_me);
}

// The bodies that carry secrets are not Debug.

#[derive(Deserialize)]
struct SignUp {
    email: Email,
    password: Password,
    name: String,
}

#[derive(Deserialize)]
struct LogIn {
    email: Email,
    password: Password,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Presented {
    refresh_token: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    expires_in: i64,
}

/// Its entity tag is made from the body, because organisations change without the user.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Me<'u> {
    id: Uuid,
    email: &'u str,
    name: &'u str,
    organisations: &'u [MembershipOf],
    created_at: crate::clock::Timestamp,
    updated_at: crate::clock::Timestamp,
}

impl<'u> Me<'u> {
    fn new(user: &'u User, organisations: &'u [MembershipOf]) -> Self {
        let User { id, email, name, created_at, updated_at } = user;
        Self { id: *id, email, name, organisations, created_at: *created_at, updated_at: *updated_at }
    }
}

async fn sign_up(request: HttpRequest, state: State, Json(SignUp { email, password, name }): Json<SignUp>) -> Reply {
    if password.is_weak(&[email.as_str(), email.local_part(), &name]) {
        return Err(Problem::invalid(Code::WeakPassword, "/password", "The password is too common, or is your own name or address."));
    }
    state.limits.sign_up(&request, email.as_str())?;
    let hash = state.passwords.hash(password).await?;
    let now = state.clock.now();
    let user = User { id: state.new_id(), email: email.as_str().to_owned(), name, created_at: now, updated_at: now };
    let added = user.clone();
    let write = state.db.write(|tx| {
        Box::pin(async move {
            store::add(tx, &added, hash).await.map_err(|error| match is_unique_violation(&error) {
                true => Problem::new(Code::EmailTaken, "There is an account with this email address.").at(
                    "/email",
                    Code::EmailTaken.as_str(),
                    "has an account already",
                ),
                false => error.into(),
            })
        })
    });
    write.await?;
    let tag = reply::tag_of(&Me::new(&user, &[]))?;
    Ok(Answer::created_with("/v1/me".to_owned(), tag, &user)?.into_response())
}

/// One answer, after the same time, for an address nobody has and for a wrong password.
async fn log_in(request: HttpRequest, state: State, Json(LogIn { email, password }): Json<LogIn>) -> Reply {
    let attempt = state.limits.log_in(&request, email.as_str())?;
    let credentials = store::credentials(&state.db, &email).await?;
    let (user, hash) = credentials.map_or((None, None), |found| (Some(found.id), Some(found.password_hash)));
    let right = match state.passwords.verify(password, hash).await {
        Ok(right) => right,
        Err(problem) => {
            attempt.untried();
            return Err(problem);
        }
    };
    let Some(user) = user.filter(|_| right) else {
        return Err(Problem::new(Code::InvalidCredentials, "No account has this email address and password."));
    };
    attempt.succeeded();
    let tokens = state.tokens.clone();
    signed_in(state.db.write(move |tx| Box::pin(async move { tokens.sign_in(tx, user).await })).await?)
}

async fn refresh(state: State, Json(Presented { refresh_token }): Json<Presented>) -> Reply {
    let (tokens, presented) = (state.tokens.clone(), Secret(refresh_token));
    let pair = state.db.write(move |tx| Box::pin(async move { tokens.rotate(tx, &presented).await })).await?;
    match pair {
        Some(pair) => signed_in(pair),
        None => Err(Problem::new(Code::InvalidRefreshToken, "The refresh token is unknown, expired, used or revoked. Sign in again.")),
    }
}

async fn log_out(state: State, Json(Presented { refresh_token }): Json<Presented>) -> Reply {
    let (tokens, presented) = (state.tokens.clone(), Secret(refresh_token));
    state.db.write(move |tx| Box::pin(async move { tokens.sign_out(tx, &presented).await })).await?;
    reply::no_content()
}

fn signed_in(pair: TokenPair) -> Reply {
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(Tokens {
        access_token: pair.access,
        refresh_token: pair.refresh.0,
        token_type: "Bearer",
        expires_in: pair.access_secs,
    }))
}

async fn get_me(request: HttpRequest, state: State, Caller(id): Caller) -> Reply {
    let user = store::read(&state.db, id).await?.ok_or_else(Problem::unauthenticated)?;
    let organisations = store::memberships(&state.db, id).await?;
    reply::hashed(&request, &Me::new(&user, &organisations))
}

async fn update_me(state: State, Caller(id): Caller, if_match: IfMatch, patch: Patch) -> Reply {
    let now = state.clock.now();
    let write = state.db.write(move |tx| {
        Box::pin(async move {
            let mut user = store::read_locked(tx, id).await?.ok_or_else(Problem::unauthenticated)?;
            let organisations = store::memberships_in(tx, id).await?;
            if_match.check_tag(&reply::tag_of(&Me::new(&user, &organisations))?)?;
            let current = UserForm { name: user.name.clone() };
            let form = patch.onto(&current)?;
            if form != current {
                store::rename(tx, id, form.name.clone(), now).await?;
                user.name = form.name;
                user.updated_at = now;
            }
            Ok((user, organisations))
        })
    });
    let (user, organisations) = write.await?;
    let me = Me::new(&user, &organisations);
    reply::tagged(HttpResponse::Ok(), &me)
}
