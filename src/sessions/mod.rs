//! Sessions, what is booked: code, title, times, stream, room, chairs and parts.

pub mod http;
pub mod model;
pub mod store;
