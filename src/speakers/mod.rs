//! Speakers: the people on a programme, those who chair included. What they have like streams and rooms is in
//! [`crate::keyed`].

pub mod http;
pub mod model;
pub mod store;
