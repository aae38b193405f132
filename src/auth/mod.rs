//! Signing in: passwords, tokens, and who may do what.

pub mod guard;
pub mod http;
mod keys;
mod known;
pub mod membership;
mod passwords;
mod refresh;
mod secrets;
mod tokens;
mod verified;
mod watch;

pub use guard::{Guard, Manage, OwnOrManage, Public, Reader, Role, Staff};
pub use keys::{Jwk, OVERLAP_SECS, Rotation, rotate_signing_key};
pub use known::Known;
pub use membership::Membership;
pub use passwords::{Password, Passwords};
pub use refresh::TokenPair;
pub use secrets::installation_secret;
pub use tokens::Tokens;

/// The server can't sign or verify; each is a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SetupError {
    #[error("the signing key file can't be used: {0}")]
    KeyFile(String),
    #[error("the verifying key file can't be used: {0}")]
    VerifyingKeyFile(String),
    #[error("the signing key can't be used: {0}")]
    Key(String),
    #[error("the database failed while loading keys: {0}")]
    Storage(#[from] crate::db::Error),
}
