//! The columns that the lists of attendees and of their claim codes can have.

use crate::{
    db::Kind::{Id, Text, Time},
    exports::{Column, Table},
};

/// The attendees of an event. Only owners and organisers read it, so nothing is hidden.
pub const ATTENDEES: Table = Table {
    columns: &[&[
        Column::new("attendeeId", "Attendee", 38, Id, "a.id"),
        Column::new("eventId", "Event", 38, Id, "a.event_id"),
        Column::new("userId", "User", 38, Id, "a.user_id"),
        Column::new("name", "Name", 28, Text, "a.name"),
        Column::new("sortName", "Sort name", 28, Text, "a.sort_name"),
        Column::new("email", "Email", 30, Text, "a.email"),
        Column::new("affiliation", "Affiliation", 30, Text, "a.affiliation"),
        Column::new("country", "Country", 14, Text, "a.country"),
        Column::new("externalReference", "Reference", 16, Text, "a.external_reference"),
        Column::new("category", "Category", 16, Text, "a.category"),
        Column::new("erasedAt", "Erased at", 20, Time, "a.erased_at"),
        Column::new("createdAt", "Created at", 20, Time, "a.created_at"),
        Column::new("updatedAt", "Updated at", 20, Time, "a.updated_at"),
    ]],
    usual: &["attendeeId", "name", "sortName", "email", "affiliation", "country", "externalReference", "category", "userId", "createdAt"],
    item: &[
        ("id", "attendeeId"),
        ("eventId", "eventId"),
        ("userId", "userId"),
        ("name", "name"),
        ("sortName", "sortName"),
        ("email", "email"),
        ("affiliation", "affiliation"),
        ("country", "country"),
        ("externalReference", "externalReference"),
        ("category", "category"),
        ("erasedAt", "erasedAt"),
        ("createdAt", "createdAt"),
        ("updatedAt", "updatedAt"),
    ],
};

/// Claim codes that were issued together.
pub const CLAIM_CODES: Table = Table {
    columns: &[&[
        Column::held("attendeeId", "Attendee", 38, Id),
        Column::held("name", "Name", 28, Text),
        Column::held("email", "Email", 30, Text),
        Column::held("externalReference", "Reference", 16, Text),
        Column::held("claimCode", "Claim code", 48, Text),
        Column::held("claimLink", "Claim link", 80, Text),
    ]],
    usual: &["attendeeId", "name", "email", "externalReference", "claimCode", "claimLink"],
    item: &[
        ("attendeeId", "attendeeId"),
        ("name", "name"),
        ("email", "email"),
        ("externalReference", "externalReference"),
        ("claimCode", "claimCode"),
        ("claimLink", "claimLink"),
    ],
};

#[cfg(test)]
mod tests {
    #[test]
    fn every_id_names_a_column() {
        super::ATTENDEES.check();
        super::CLAIM_CODES.check();
    }
}
