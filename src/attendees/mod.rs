//! Attendees: people admitted to an event, and how a user becomes one of them.

mod claim_codes;
mod columns;
pub mod http;
pub mod model;
pub mod store;
