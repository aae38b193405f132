//! The server as its clients see it: every test starts the real one, on a database of its own, on SQLite and on
//! Postgres, and every answer is held against `openapi.yaml`.

mod support;

mod access;
mod accounts;
mod api_keys;
mod attendees;
mod booking;
mod browsers;
mod caches;
mod claim_codes;
mod cli;
mod contract;
mod databases;
mod demo;
mod door;
mod encodings;
mod events;
mod exports;
mod followers;
mod idempotency;
mod keyed;
mod limits;
mod members;
mod nodes;
mod organisations;
mod programme;
mod programme_files;
mod rig;
mod rooms;
mod roster;
mod rules;
mod sessions;
mod shutdown;
mod signing_keys;
mod speakers;
mod streams;
mod support_itself;
mod tokens;
