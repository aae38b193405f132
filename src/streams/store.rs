//! Streams in the database: what they add to [`crate::keyed::store`].

use super::model::{Stream, StreamForm};
use crate::{
    auth::guard::OfStream,
    keyed::{self, Common, Form, Keyed, Statements},
};

impl Keyed for Stream {
    type Form = StreamForm;
    type Place = OfStream;
    const PATH: &'static str = "/v1/streams";
    const NOUN: &'static str = "stream";
    const SQL: Statements = keyed::statements!("streams", own: [], sessions: "stream_id = $1", search: "sort_key");

    fn common(&self) -> &Common {
        &self.common
    }

    fn form(&self) -> StreamForm {
        StreamForm { key: Some(self.common.key.clone()), name: self.common.name.clone() }
    }
}

impl Form for StreamForm {
    fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    fn name(&self) -> &str {
        &self.name
    }
}
