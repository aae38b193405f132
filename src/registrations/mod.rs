//! Registrations: booking, waiting and cancelling, and their lists.

mod actions;
mod availability;
pub mod clashes;
mod columns;
pub mod decide;
pub mod edits;
pub mod engine;
mod explain;
pub mod http;
pub mod model;
mod plan;
pub mod refusal;
mod roster;
pub mod seats;
pub mod store;
