//! What a speaker is.

use crate::{keyed::Common, text::fold};
use serde::{Deserialize, Serialize};

/// A person on the programme of an event.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub struct Speaker {
    /// Their id, event, key and name.
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub common: Common,
    /// The name lists are ordered by; `None` for the name itself.
    pub sort_name: Option<String>,
    /// The organisation they belong to, as printed.
    pub affiliation: Option<String>,
    /// Their country, as printed.
    pub country: Option<String>,
    /// The name itself as it is sorted.
    #[serde(skip)]
    pub name_key: String,
}

/// What a speaker is made of: the body of a create, and what a merge patch is applied to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "as in Speaker")]
pub struct SpeakerForm {
    pub key: Option<String>,
    pub name: String,
    pub sort_name: Option<String>,
    pub affiliation: Option<String>,
    pub country: Option<String>,
}

impl SpeakerForm {
    /// What `q` searches.
    pub fn search_text(&self) -> String {
        let texts = [Some(&self.name), self.sort_name.as_ref(), self.affiliation.as_ref(), self.country.as_ref()];
        fold(&texts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" "))
    }
}
