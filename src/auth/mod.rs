//! Signing in: passwords, tokens, and who may do what.

pub mod guard;
mod passwords;
mod secrets;
mod tokens;

pub use guard::{Guard, Manage, Public, Role, Staff};
pub use passwords::Passwords;
pub use secrets::installation_secret;
pub use tokens::Tokens;

/// The server can't sign or verify; each is a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SetupError {
    #[error("the signing key file can't be used: {0}")]
    KeyFile(String),
    #[error("the database failed while loading keys: {0}")]
    Storage(#[from] crate::db::Error),
}
