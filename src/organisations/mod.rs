//! Organisations, the tenants: they own events, and users are their members with a role.

pub mod http;
pub mod model;
pub mod store;
