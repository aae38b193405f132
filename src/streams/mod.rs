//! Streams: the thematic tracks of an event. What they have like rooms and speakers is in [`crate::keyed`].

pub mod http;
pub mod model;
pub mod store;
