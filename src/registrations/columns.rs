//! The columns that lists of registrations can have.

use crate::{
    db::Kind::{Id, Integer, Text, Time},
    exports::{Column, Table},
};

const REGISTRATION: &[Column] = &[
    Column::new("registrationId", "Registration", 38, Id, "r.id"),
    Column::new("seq", "Seq", 6, Integer, "r.seq"),
    Column::new("status", "Status", 11, Text, "r.status"),
    Column::new("position", "Position", 8, Integer, "w.rank"),
    Column::new("priority", "Priority", 8, Integer, "r.priority"),
    Column::new("offerExpiresAt", "Offered until", 20, Time, "r.offer_expires_at"),
    Column::new("createdAt", "Created at", 20, Time, "r.created_at"),
    Column::new("updatedAt", "Updated at", 20, Time, "r.updated_at"),
    Column::new("cancelledAt", "Cancelled at", 20, Time, "r.cancelled_at"),
    Column::new("cancelReason", "Cancel reason", 14, Text, "r.cancel_reason"),
    Column::new("movedTo", "Moved to", 38, Id, "r.moved_to"),
];
const ATTENDEE: &[Column] = &[
    Column::new("attendeeId", "Attendee", 38, Id, "a.id"),
    Column::new("name", "Name", 28, Text, "a.name"),
    Column::new("sortName", "Sort name", 28, Text, "a.sort_name"),
    Column::contact("email", "Email", 30, Text, "a.email"),
    Column::new("affiliation", "Affiliation", 30, Text, "a.affiliation"),
    Column::new("country", "Country", 14, Text, "a.country"),
    Column::contact("externalReference", "Reference", 16, Text, "a.external_reference"),
    Column::new("category", "Category", 16, Text, "a.category"),
];
const SESSION: &[Column] = &[
    Column::new("eventId", "Event", 38, Id, "s.event_id"),
    Column::new("sessionId", "Session id", 38, Id, "s.id"),
    Column::new("sessionCode", "Session", 10, Text, "s.code"),
    Column::new("sessionTitle", "Title", 40, Text, "s.title"),
    Column::new("startsAt", "Starts at", 20, Time, "s.starts_at"),
    Column::new("endsAt", "Ends at", 20, Time, "s.ends_at"),
];

/// The roster of a session.
pub const OF_SESSION: Table = Table {
    columns: &[REGISTRATION, ATTENDEE, SESSION],
    usual: &[
        "registrationId",
        "seq",
        "status",
        "position",
        "attendeeId",
        "name",
        "email",
        "affiliation",
        "country",
        "externalReference",
        "createdAt",
        "cancelledAt",
        "cancelReason",
    ],
    item: &[
        ("id", "registrationId"),
        ("eventId", "eventId"),
        ("sessionId", "sessionId"),
        ("attendeeId", "attendeeId"),
        ("status", "status"),
        ("seq", "seq"),
        ("priority", "priority"),
        ("position", "position"),
        ("offerExpiresAt", "offerExpiresAt"),
        ("cancelReason", "cancelReason"),
        ("cancelledAt", "cancelledAt"),
        ("movedTo", "movedTo"),
        ("createdAt", "createdAt"),
        ("updatedAt", "updatedAt"),
        ("attendee.id", "attendeeId"),
        ("attendee.name", "name"),
        ("attendee.email", "email"),
        ("attendee.affiliation", "affiliation"),
        ("attendee.country", "country"),
        ("attendee.externalReference", "externalReference"),
        ("attendee.category", "category"),
    ],
};

/// The attendee list of an event.
pub const OF_EVENT: Table = Table {
    columns: &[REGISTRATION, ATTENDEE, SESSION],
    usual: &[
        "sessionCode",
        "sessionTitle",
        "startsAt",
        "registrationId",
        "seq",
        "status",
        "position",
        "attendeeId",
        "name",
        "email",
        "affiliation",
        "country",
        "externalReference",
        "createdAt",
        "cancelledAt",
        "cancelReason",
    ],
    item: &[
        ("id", "registrationId"),
        ("eventId", "eventId"),
        ("sessionId", "sessionId"),
        ("attendeeId", "attendeeId"),
        ("status", "status"),
        ("seq", "seq"),
        ("priority", "priority"),
        ("position", "position"),
        ("offerExpiresAt", "offerExpiresAt"),
        ("cancelReason", "cancelReason"),
        ("cancelledAt", "cancelledAt"),
        ("movedTo", "movedTo"),
        ("createdAt", "createdAt"),
        ("updatedAt", "updatedAt"),
        ("attendee.id", "attendeeId"),
        ("attendee.name", "name"),
        ("attendee.email", "email"),
        ("attendee.affiliation", "affiliation"),
        ("attendee.country", "country"),
        ("attendee.externalReference", "externalReference"),
        ("attendee.category", "category"),
        ("session.id", "sessionId"),
        ("session.code", "sessionCode"),
        ("session.title", "sessionTitle"),
        ("session.startsAt", "startsAt"),
        ("session.endsAt", "endsAt"),
    ],
};

#[cfg(test)]
mod tests {
    #[test]
    fn every_id_names_a_column() {
        super::OF_SESSION.check();
        super::OF_EVENT.check();
    }
}
