//! What every test stands on. `on_both!` runs a test on both databases; [`App`] is the running server.
#![allow(dead_code, unused_imports, reason = "a kit: not every piece is needed at any time")]

mod app;
mod client;
mod cluster;
mod contract;
mod eventually;
mod fixtures;
mod postgres;
mod process;
mod registrations;
mod waiting;

pub use app::App;
pub use client::{Answer, Call, Front};
pub use contract::Document;
pub use eventually::eventually;
pub use fixtures::{AsId, PASSWORD, User, at, event_booking, overlay};
pub use futures_util::future::join_all;
pub use plenary::clock::Timestamp;
pub use process::{Served, plenary, run};
pub use registrations::{assert_rush, registrations};
pub use serde_json::{Value, json};
pub use waiting::{HeldBack, until};

/// Turns `async fn name(app: App) { … }` into the tests `name::sqlite` and `name::postgres`. With other settings:
/// `async fn name(app: App, |config| config.worker_threads = 2) { … }`.
macro_rules! on_both {
    (@set) => { |_| () };
    (@set $set:expr) => { $set };
    ($($(#[$meta:meta])* async fn $name:ident($app:ident: App $(, $set:expr)?) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn scenario($app: App) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                scenario(App::on_sqlite_with(on_both!(@set $($set)?)).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(app) = App::on_postgres_with(on_both!(@set $($set)?)).await {
                    scenario(app).await;
                }
            }
        }
    )+};
}
pub(crate) use on_both;
