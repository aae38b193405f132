//! An attendee and what of them can be chosen.

use crate::{clock::Timestamp, text::fold};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What an erased attendee is called.
const ERASED: &str = "Erased attendee";

/// A person admitted to an event.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct Attendee {
    /// Their id.
    pub id: Uuid,
    /// The event.
    pub event_id: Uuid,
    /// The user who is this attendee, once linked.
    pub user_id: Option<Uuid>,
    /// As printed.
    pub name: String,
    /// What lists are ordered by, if not the name.
    pub sort_name: Option<String>,
    /// `sort_name` or `name` as the database orders it.
    #[serde(skip)]
    pub sort_key: String,
    /// Where to write to them, as given. It links nobody.
    pub email: Option<String>,
    /// As printed.
    pub affiliation: Option<String>,
    /// As printed.
    pub country: Option<String>,
    /// Their number in another system, unique in the event.
    pub external_reference: Option<String>,
    /// Their category: sessions and seats may be kept for it.
    pub category: Option<String>,
    /// When they were erased; nothing of the person is left since.
    pub erased_at: Option<Timestamp>,
    /// The row's version.
    #[serde(skip)]
    pub version: i64,
    /// When they were admitted.
    pub created_at: Timestamp,
    /// When something of this last changed.
    pub updated_at: Timestamp,
}

/// An attendee of whom a claim code may be wanted. The fields stand as the statement has them.
#[derive(Clone, Debug, Deserialize, sqlx::FromRow)]
pub struct Claimable {
    /// Their id.
    pub id: Uuid,
    /// As printed.
    pub name: String,
    /// Where to write to them.
    pub email: Option<String>,
    /// Their number in another system.
    pub external_reference: Option<String>,
    /// The name as the database orders it.
    pub sort_key: String,
    /// Whether a user can be linked: nobody is, and they weren't erased.
    pub open: bool,
    /// Whether they have a claim code, used or not.
    pub has_code: bool,
}

/// What can be chosen of an attendee, as a create body gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttendeeForm {
    /// As printed.
    pub name: String,
    /// What lists are ordered by, if not the name.
    pub sort_name: Option<String>,
    /// Where to write to them.
    pub email: Option<String>,
    /// As printed.
    pub affiliation: Option<String>,
    /// As printed.
    pub country: Option<String>,
    /// Their number in another system.
    pub external_reference: Option<String>,
    /// Their category.
    pub category: Option<String>,
}

impl AttendeeForm {
    /// What the database orders by.
    pub fn sort_key(&self) -> String {
        fold(self.sort_name.as_deref().unwrap_or(&self.name))
    }

    /// What `q` looks in. One field a line, and no query has a line break: nothing is found across two fields.
    pub fn search_text(&self) -> String {
        let fields = [Some(&self.name), self.sort_name.as_ref(), self.email.as_ref(), self.external_reference.as_ref()];
        fields.into_iter().flatten().map(|field| fold(field)).collect::<Vec<_>>().join("\n")
    }
}

impl Attendee {
    /// A new attendee, linked to `user_id` or to nobody yet.
    pub fn new(id: Uuid, event_id: Uuid, user_id: Option<Uuid>, form: AttendeeForm, at: Timestamp) -> Self {
        let sort_key = form.sort_key();
        let AttendeeForm { name, sort_name, email, affiliation, country, external_reference, category } = form;
        Self {
            id,
            event_id,
            user_id,
            name,
            sort_name,
            sort_key,
            email,
            affiliation,
            country,
            external_reference,
            category,
            erased_at: None,
            version: 1,
            created_at: at,
            updated_at: at,
        }
    }

    /// What can be chosen, as it is now.
    pub fn form(&self) -> AttendeeForm {
        AttendeeForm {
            name: self.name.clone(),
            sort_name: self.sort_name.clone(),
            email: self.email.clone(),
            affiliation: self.affiliation.clone(),
            country: self.country.clone(),
            external_reference: self.external_reference.clone(),
            category: self.category.clone(),
        }
    }

    /// The same attendee with what was chosen anew, as the next version.
    #[must_use]
    pub fn changed(self, form: AttendeeForm, at: Timestamp) -> Self {
        let new = Self::new(self.id, self.event_id, self.user_id, form, at);
        Self { version: self.version + 1, created_at: self.created_at, erased_at: self.erased_at, ..new }
    }

    /// The same attendee without the person: what they had and did stays, who they were is gone.
    #[must_use]
    pub fn erased(self, at: Timestamp) -> Self {
        let form = AttendeeForm { name: ERASED.to_owned(), category: self.category.clone(), ..AttendeeForm::default() };
        Self { user_id: None, erased_at: Some(at), ..self.changed(form, at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_and_sorted_is_folded() {
        let form = AttendeeForm {
            name: "Björn  ÅS".to_owned(),
            sort_name: Some("Ås, Björn".to_owned()),
            email: Some("Bjorn@Example.org".to_owned()),
            affiliation: Some("Not searched".to_owned()),
            external_reference: Some("T-1".to_owned()),
            ..AttendeeForm::default()
        };
        assert_eq!(form.sort_key(), "ås, björn");
        assert_eq!(form.search_text(), "björn ås\nås, björn\nbjorn@example.org\nt-1");
    }
}
