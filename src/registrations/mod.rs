//! Registrations: booking, cancelling, waiting, and the roster.

mod availability;
pub mod decide;
pub mod engine;
pub mod http;
pub mod model;
mod roster;
pub mod seats;
pub mod store;
