//! Registrations: booking, cancelling, waiting, and the roster.

pub mod engine;
pub mod http;
pub mod seats;
