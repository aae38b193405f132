//! Events.

use crate::db::text_enum;

text_enum! {
    /// Who sees an event.
    pub enum EventStatus {
        /// Members only.
        Draft = "draft",
        /// Everybody; bookable.
        Published = "published",
        /// Everybody; over.
        Archived = "archived",
    }
}
