//! Plenary, the registration backend for conference sessions.
//!
//! One picture of the crate:
//!
//! ```text
//! HTTP (actix-web) ── contract/door ── feature/http.rs ── feature/model.rs (rules, no I/O) ── feature/store.rs (SQL) ── db ── SQLite | Postgres
//!                                           │ bookings                                             │ same transaction
//!                                           └────────► registrations/engine (group commit) ────────┴──► journal
//! ```
//!
//! By feature, then the same few files in each: `http.rs` (handlers and what they take and give), `model.rs` (types
//! and pure rules), `store.rs` (SQL). Imports run one way: http → model, store; store → model, db.

#![warn(missing_docs)]

pub mod accept;
pub mod accounts;
pub mod api_keys;
pub mod app;
pub mod attendees;
pub mod auth;
pub mod cache;
pub mod clock;
pub mod config;
pub mod contract;
pub mod db;
pub mod demo;
pub mod encoding;
pub mod error;
pub mod events;
pub mod exports;
pub mod extract;
pub mod health;
pub mod idempotency;
pub mod journal;
pub mod keyed;
pub mod limits;
pub mod members;
pub mod metrics;
pub mod organisations;
pub mod page;
pub mod programme;
pub mod random;
pub mod registrations;
pub mod reply;
pub mod representation;
pub mod rooms;
pub mod sessions;
pub mod speakers;
pub mod state;
pub mod streams;
pub mod text;
pub mod tickets;
