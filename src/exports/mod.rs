//! Formats that lists are exported in.

pub mod csv;
