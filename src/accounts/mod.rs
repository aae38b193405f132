//! Users: signing up and in, and what they may change of themselves.

pub mod http;
pub mod model;
pub mod store;
