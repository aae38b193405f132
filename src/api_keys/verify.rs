//! Whether a key that was presented is good. It is looked up at each request, so a revocation works at the next one.

use super::{
    model::{KeyHolder, MARK},
    store,
};
use crate::{error::Problem, random::Secret, state::State};
use uuid::Uuid;

/// The length of every key: the mark and 256 bits in base64url.
const LENGTH: usize = MARK.len() + 43;
/// How exactly the time of a key's last use is kept, in seconds: noting it is a write.
const USE_NOTED_EVERY_SECS: i64 = 3_600;

/// Who holds this key; `None` if it is unknown, expired or revoked.
pub async fn verify(state: &State, secret: &str) -> Result<Option<KeyHolder>, Problem> {
    if secret.len() != LENGTH {
        return Ok(None);
    }
    let now = state.tokens.now();
    let Some((holder, used_at)) = store::find_good(&state.db, &Secret(secret.to_owned()), now).await? else { return Ok(None) };
    if used_at.is_none_or(|at| at.plus_secs(USE_NOTED_EVERY_SECS) <= now) {
        note_use(state, holder.id).await;
    }
    Ok(Some(holder))
}

/// Not being able to note it is no reason to refuse the request.
async fn note_use(state: &State, id: Uuid) {
    let now = state.tokens.now();
    let noted = state.db.write(move |tx| Box::pin(async move { Ok(store::used(tx, id, now).await?) })).await;
    if let Err(problem) = noted {
        tracing::warn!(key = %id, %problem, "the use of an API key could not be noted");
    }
}
