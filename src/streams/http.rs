//! Streams over HTTP.

use super::model::Stream;
use crate::{app::Registrar, keyed::handlers};

/// Their routes.
pub fn routes(registrar: &mut Registrar) {
    registrar
        .on("listStreams", handlers::list::<Stream>)
        .on("createStream", handlers::create::<Stream>)
        .on("getStream", handlers::get::<Stream>)
        .on("updateStream", handlers::update::<Stream>)
        .on("deleteStream", handlers::delete::<Stream>);
}
