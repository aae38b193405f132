//! Lists as files: which formats and columns there are, how a request chooses, and the answer.
//!
//! A list declares its [`Table`]; [`Wanted`] is what the request says; the [`Layout`] they give says which fields to read
//! and how to write them; [`Export`] is answered as a stream, whatever the number of rows. A list that is not in the
//! database goes out the same way, as a [`Download`].

mod answer;
mod csv;
mod layout;
mod ndjson;
mod store;
mod xlsx;

pub use answer::{Download, Export, Slots};
pub use layout::{Column, Format, Layout, Table, Wanted, negotiated};
pub use store::{Exported, record};
