//! The server as its clients see it: every test starts the real one, on a database of its own, on SQLite and on
//! Postgres, and every answer is held against `openapi.yaml`.

mod support;

mod booking;
mod contract;
mod databases;
mod door;
mod support_itself;
