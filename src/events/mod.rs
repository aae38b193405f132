//! Conferences: their names, days, time zone and booking rules.

pub mod http;
pub mod model;
pub mod store;
