//! An organisation as one of its members sees it.

use crate::{auth::Role, clock::Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An organisation, with the caller's role in it.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct Organisation {
    /// Its id.
    pub id: Uuid,
    /// As printed.
    pub name: String,
    /// What lists are ordered by.
    #[serde(skip)]
    pub sort_key: String,
    /// The caller's role in it.
    pub role: Role,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What of it can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganisationForm {
    /// As printed.
    pub name: String,
}
