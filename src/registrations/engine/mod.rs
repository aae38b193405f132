//! STUB
use crate::{
    clock::Clock,
    config::Config,
    db::{Db, Tx},
    error::Problem,
};
use futures_util::future::BoxFuture;

/// The queue's sending end.
#[derive(Clone)]
pub struct Bookings(Db);
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
pub fn start(db: Db, _clock: Clock, _settings: Settings) -> (Bookings, Engine) {
    (Bookings(db), Engine)
}
impl Bookings {
    /// Runs an edit of the programme that can change seats or eligibility, in order with the bookings, in a
    /// transaction of its own: commits on `Ok`, rolls back on `Err`.
    pub async fn edit<T, W>(&self, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, Problem>> + Send + 'static,
    {
        self.0.write(work).await
    }
}
impl Engine {
    /// STUB
    pub async fn finish(self) {}
}
