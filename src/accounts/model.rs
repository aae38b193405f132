//! A user and their email address.

use crate::{auth::Role, clock::Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// An email address as accounts are found by: trimmed and in lower case, so that one person has one account however
/// the address is typed. (RFC 5321 lets the part before the @ tell cases apart; no mail service does.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// From an address as typed; its form has been checked at the door.
    pub fn new(typed: &str) -> Self {
        Self(typed.trim().to_lowercase())
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the @.
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or(self.0.as_str(), |(local, _)| local)
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|typed| Self::new(&typed))
    }
}

/// A user, without the hash of their password: that is read only where one signs in.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Its id.
    pub id: Uuid,
    /// The normalised address.
    pub email: String,
    /// As printed.
    pub name: String,
    /// When they signed up.
    pub created_at: Timestamp,
    /// When name or address last changed.
    pub updated_at: Timestamp,
}

/// What a user may change of themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserForm {
    /// As printed.
    pub name: String,
}

/// An organisation as its member sees it from their own page.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
pub struct MembershipOf {
    /// The organisation.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The user's role in it.
    pub role: Role,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_however_it_is_typed() {
        let email = Email::new(" Anna.Å@Example.ORG ");
        assert_eq!(email.as_str(), "anna.å@example.org");
        assert_eq!(email.local_part(), "anna.å");
    }
}
