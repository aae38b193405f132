//! Registrations: booking, cancelling, waiting, and their lists.

mod availability;
mod columns;
pub mod decide;
pub mod engine;
pub mod http;
pub mod model;
mod roster;
pub mod seats;
pub mod store;
