//! The programme of an event as one document, in the project's own format (`plenary-programme/1`), JSON or YAML.
//!
//! [`document`] is the format, [`plan`] the difference between a document and what there is (pure), [`store`] reads
//! what there is and writes the difference. [`replace`] is the one way in, for [`http`] and, with [`file`], for the
//! command line.

pub mod document;
pub mod file;
pub mod http;
pub mod plan;
pub mod replace;
pub mod store;
pub mod times;
