//! API keys: what a program signs in with, instead of a user. A key acts in its organisation only and does what its
//! scopes say; the contract names the scope of each operation that keys may call.

pub mod http;
pub mod model;
pub mod store;
mod verify;

pub use verify::verify;
