//! A member as their organisation's owners see them, and an invitation.

use crate::{auth::Role, clock::Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long an invitation is good for, in seconds: seven days.
pub const INVITATION_SECS: i64 = 7 * 24 * 60 * 60;

/// A user's membership of an organisation.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The membership's id.
    pub id: Uuid,
    /// Of what.
    pub organisation_id: Uuid,
    /// Whose.
    pub user_id: Uuid,
    /// The user's name.
    pub name: String,
    /// The user's address.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// When they joined.
    pub created_at: Timestamp,
}

/// What of a member can be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberForm {
    /// What they may do.
    pub role: Role,
}

/// An invitation that nobody has accepted yet, without its token.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// Its id.
    pub id: Uuid,
    /// To what.
    pub organisation_id: Uuid,
    /// For whom it was meant; a note that nothing is held against.
    pub email: Option<String>,
    /// What they will be.
    pub role: Role,
    /// The user who made it, unless they are gone.
    pub created_by: Option<Uuid>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// What of it can be chosen.
#[derive(Clone, Debug, Deserialize)]
pub struct InvitationForm {
    /// For whom it is meant.
    #[serde(default)]
    pub email: Option<String>,
    /// What they will be.
    pub role: Role,
}
