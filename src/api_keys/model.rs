//! A key as its organisation's owners see it, and what it may do.

use crate::{
    clock::Timestamp,
    db::text_enum,
    error::{Code, Problem},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What every key begins with, so that people and scanners for leaked secrets know one when they see it.
pub const MARK: &str = "plk_";
/// How many of a key's characters are kept and shown, the mark included: 48 bits of 256.
pub const SHOWN_CHARACTERS: usize = 12;

text_enum! {
    /// What a key may do. Writing includes reading.
    pub enum Scope {
        /// Reads events and their programmes, drafts too.
        ProgrammeRead = "programme:read",
        /// Changes events and their programmes.
        ProgrammeWrite = "programme:write",
        /// Reads attendees, and contacts on rosters.
        AttendeesRead = "attendees:read",
        /// Changes attendees and issues their claim codes.
        AttendeesWrite = "attendees:write",
        /// Reads registrations and rosters.
        RegistrationsRead = "registrations:read",
        /// Books for attendees, and cancels.
        RegistrationsWrite = "registrations:write",
    }
}

impl Scope {
    const ALL: [Self; 6] = [
        Self::ProgrammeRead,
        Self::ProgrammeWrite,
        Self::AttendeesRead,
        Self::AttendeesWrite,
        Self::RegistrationsRead,
        Self::RegistrationsWrite,
    ];

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The scopes that each suffice for it.
    const fn covered_by(self) -> u8 {
        let wider = match self {
            Self::ProgrammeRead => Self::ProgrammeWrite,
            Self::AttendeesRead => Self::AttendeesWrite,
            Self::RegistrationsRead => Self::RegistrationsWrite,
            Self::ProgrammeWrite | Self::AttendeesWrite | Self::RegistrationsWrite => self,
        };
        self.bit() | wider.bit()
    }
}

/// A set of scopes, written as a list of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Scope>", into = "Vec<Scope>")]
pub struct Scopes(u8);

impl Scopes {
    /// Whether one of them is this scope or includes it.
    pub fn allow(self, scope: Scope) -> bool {
        self.0 & scope.covered_by() != 0
    }

    /// As the database keeps them.
    pub fn to_text(self) -> String {
        Vec::from(self).iter().map(|scope: &Scope| scope.as_str()).collect::<Vec<_>>().join(" ")
    }
}

impl From<Vec<Scope>> for Scopes {
    fn from(scopes: Vec<Scope>) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope.bit()))
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        Scope::ALL.into_iter().filter(|scope| scopes.0 & scope.bit() != 0).collect()
    }
}

impl TryFrom<String> for Scopes {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.split_whitespace().map(str::parse).collect::<Result<Vec<Scope>, _>>().map(Self::from)
    }
}

/// Who calls with a key that is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    /// The key's id, which the journal names.
    pub id: Uuid,
    /// Where it acts.
    pub organisation_id: Uuid,
    /// What it may do there.
    pub scopes: Scopes,
}

/// A key, without its secret.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// Its id.
    pub id: Uuid,
    /// Where it acts.
    pub organisation_id: Uuid,
    /// What its owners call it.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// What it may do.
    #[sqlx(try_from = "String")]
    pub scopes: Scopes,
    /// The user who made it, unless they are gone.
    pub created_by: Option<Uuid>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the hour.
    pub last_used_at: Option<Timestamp>,
}

/// What of it can be chosen.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyForm {
    /// What its owners call it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// When it stops working; never if not said.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

impl ApiKeyForm {
    /// Refuses a key that would be born dead.
    pub fn check(&self, now: Timestamp) -> Result<(), Problem> {
        match self.expires_at {
            Some(at) if at <= now => Err(Problem::invalid(Code::InvalidRange, "/expiresAt", "The key would have expired already.")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_includes_reading_and_nothing_else() {
        for held in Scope::ALL {
            let scopes = Scopes::from(vec![held]);
            let allowed: Vec<Scope> = Scope::ALL.into_iter().filter(|scope| scopes.allow(*scope)).collect();
            let read: Scope = held.as_str().replace(":write", ":read").parse().expect("a scope");
            assert_eq!(allowed, if held == read { vec![held] } else { vec![read, held] });
        }
        assert!(Scope::ALL.into_iter().all(|scope| !Scopes::from(vec![]).allow(scope)));
    }

    #[test]
    fn a_set_reads_back_from_its_text_in_one_order() {
        let scopes = Scopes::from(vec![Scope::RegistrationsWrite, Scope::ProgrammeRead, Scope::ProgrammeRead]);
        assert_eq!(scopes.to_text(), "programme:read registrations:write");
        assert_eq!(Scopes::try_from(scopes.to_text()), Ok(scopes));
        assert!(Scopes::try_from("programme:rule".to_owned()).is_err());
    }
}
