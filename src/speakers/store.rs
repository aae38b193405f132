//! Speakers in the database: what they add to [`crate::keyed::store`].

use super::model::{Speaker, SpeakerForm};
use crate::{
    auth::guard::OfSpeaker,
    db::Query,
    keyed::{self, Common, Form, Keyed, Order, Statements},
    text::fold,
};

impl Keyed for Speaker {
    type Form = SpeakerForm;
    type Place = OfSpeaker;
    const PATH: &'static str = "/v1/speakers";
    const NOUN: &'static str = "speaker";
    const DEFAULT_SORT: &'static str = "sortName";
    const SQL: Statements = keyed::statements!(
        "speakers",
        own: ["sort_name" = "$7", "affiliation" = "$8", "country" = "$9", "name_key" = "$10", "search_text" = "$11"],
        sessions: "id IN (SELECT session_id FROM session_chairs WHERE speaker_id = $1 \
                   UNION SELECT session_id FROM part_speakers WHERE speaker_id = $1)",
        search: "search_text"
    );

    fn common(&self) -> &Common {
        &self.common
    }

    fn form(&self) -> SpeakerForm {
        SpeakerForm {
            key: Some(self.common.key.clone()),
            name: self.common.name.clone(),
            sort_name: self.sort_name.clone(),
            affiliation: self.affiliation.clone(),
            country: self.country.clone(),
        }
    }

    fn order(sort: &str) -> Order<Self> {
        match sort {
            "name" => Order { column: "name_key", value: |speaker| &speaker.name_key },
            _ => Order { column: "sort_key", value: |speaker| &speaker.common.sort_key },
        }
    }
}

impl Form for SpeakerForm {
    fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn sort_name(&self) -> &str {
        self.sort_name.as_deref().unwrap_or(&self.name)
    }

    fn looks_like(&self, other: &Self) -> bool {
        (&self.name, &self.affiliation, &self.country) == (&other.name, &other.affiliation, &other.country)
    }

    fn bind_own<'q>(&self, query: Query<'q>) -> Query<'q> {
        query
            .bind(self.sort_name.clone())
            .bind(self.affiliation.clone())
            .bind(self.country.clone())
            .bind(fold(&self.name))
            .bind(self.search_text())
    }
}
