//! Speakers over HTTP.

use super::model::Speaker;
use crate::{app::Registrar, keyed::handlers};

/// Their routes.
pub fn routes(registrar: &mut Registrar) {
    registrar
        .on("listSpeakers", handlers::list::<Speaker>)
        .on("createSpeaker", handlers::create::<Speaker>)
        .on("getSpeaker", handlers::get::<Speaker>)
        .on("updateSpeaker", handlers::update::<Speaker>)
        .on("deleteSpeaker", handlers::delete::<Speaker>);
}
