//! The journal of an event: every change of a registration or of a session's seats, and every export, written in the
//! transaction of what it tells. Registrations are written down by the engine, exports by [`crate::exports`]; here it is read.

pub mod http;
pub mod store;
