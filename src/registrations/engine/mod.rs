//! STUB
use crate::{clock::Clock, config::Config, db::Db};

/// The queue's sending end.
#[derive(Clone)]
pub struct Bookings;
/// The task.
pub struct Engine;
/// Limits.
pub struct Settings;
impl From<&Config> for Settings {
    fn from(_: &Config) -> Self {
        Self
    }
}
/// STUB
pub fn start(_db: Db, _clock: Clock, _settings: Settings) -> (Bookings, Engine) {
    (Bookings, Engine)
}
impl Engine {
    /// STUB
    pub async fn finish(self) {}
}
