//! Tickets: how a link, which can't send a token, opens one download once.

pub mod http;
pub mod store;
