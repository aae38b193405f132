//! Who belongs to an organisation, and the links that make somebody a member.

pub mod http;
pub mod invitations;
pub mod model;
pub mod store;
