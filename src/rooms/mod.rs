//! Rooms: places with a capacity, the default of the sessions held in them. What they have like streams and speakers
//! is in [`crate::keyed`].

pub mod http;
pub mod model;
pub mod store;
