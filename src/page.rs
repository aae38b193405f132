//! Pages by keyset: stable under writes, no counting. A cursor is opaque, sealed, and bound to its list and filter.

use crate::{
    contract::door::Admitted,
    error::{Code, Problem},
    extract::state,
    random::sha256,
    reply::Reply,
    representation::Representation,
};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::future::{Ready, ready};
use uuid::Uuid;

/// How many items a page has if nobody says.
pub const DEFAULT_LIMIT: i64 = 50;
/// Bytes of the seal: forging one in 2^128 tries is enough.
const SEAL_BYTES: usize = 16;

/// Seals and opens cursors with a secret that all nodes share.
#[derive(Clone)]
pub struct Cursors(hmac::Key);

impl Cursors {
    /// With the installation's secret.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    fn seal(&self, text: &[u8]) -> String {
        let mut sealed = hmac::sign(&self.0, text).as_ref()[..SEAL_BYTES].to_vec();
        sealed.extend_from_slice(text);
        URL_SAFE_NO_PAD.encode(sealed)
    }

    fn open(&self, cursor: &str) -> Option<Vec<u8>> {
        let sealed = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (seal, text) = sealed.split_at_checked(SEAL_BYTES)?;
        let expected = hmac::sign(&self.0, text);
        aws_lc_rs::constant_time::verify_slices_are_equal(seal, &expected.as_ref()[..SEAL_BYTES]).ok()?;
        Some(text.to_vec())
    }
}

#[derive(Serialize, Deserialize)]
struct Position<K> {
    /// The list and its filter.
    f: String,
    /// The sort key of the last row.
    k: K,
    /// Its id.
    i: Uuid,
}

/// The page that a request asks for.
pub struct PageRequest {
    /// How many items at the most.
    pub limit: i64,
    /// `sort` as given.
    pub sort: Option<String>,
    cursor: Option<String>,
    /// What the cursor is bound to.
    filter: String,
    /// The request's path and query without the cursor, for the `Link` header.
    address: String,
    cursors: Cursors,
}

/// One page of a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

impl FromRequest for PageRequest {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

impl PageRequest {
    /// The page that this request asks for.
    pub fn of(request: &HttpRequest) -> Self {
        let extensions = request.extensions();
        let admitted = extensions.get::<Admitted>();
        let mut params = admitted.map(|admitted| admitted.params.clone()).unwrap_or_default();
        let operation = admitted.map_or("", |admitted| admitted.operation.id.as_str());
        let limit = params.remove("limit").and_then(|limit| limit.as_i64()).unwrap_or(DEFAULT_LIMIT);
        let cursor = params.remove("cursor").and_then(|cursor| cursor.as_str().map(str::to_owned));
        let sort = params.get("sort").and_then(|sort| sort.as_str().map(str::to_owned));
        Self {
            limit,
            sort,
            cursor,
            filter: fingerprint(operation, &params),
            address: address(request),
            cursors: state(request).cursors.clone(),
        }
    }

    /// Whether `sort` (or `default`) runs from high to low, and the name it sorts by.
    pub fn order<'s>(&'s self, default: &'s str) -> (&'s str, bool) {
        let sort = self.sort.as_deref().unwrap_or(default);
        sort.strip_prefix('-').map_or((sort, false), |name| (name, true))
    }

    /// The last row of the page before, or `None` on the first page.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<(K, Uuid)>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let position = self.cursors.open(cursor).and_then(|text| serde_json::from_slice::<Position<K>>(&text).ok());
        match position {
            Some(position) if position.f == self.filter => Ok(Some((position.k, position.i))),
            _ => Err(Problem::new(Code::InvalidCursor, "The cursor was not given for this list with these filters.").parameter(
                crate::error::In::Query,
                "cursor",
                "invalid_cursor",
                "was not given for this list",
            )),
        }
    }

    /// How many rows to ask the database for: one more than the page holds shows whether another page follows.
    pub fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// Cuts the rows to the page and answers it, with `key` giving a row's place and `view` what is shown of it.
    pub fn reply<R, K: Serialize, T: Serialize>(
        &self,
        request: &HttpRequest,
        rows: Vec<R>,
        key: impl Fn(&R) -> (K, Uuid),
        view: impl Fn(R) -> T,
    ) -> Reply {
        Ok(self.representation(rows, key, view)?.answer(request))
    }

    /// The same to be kept.
    pub fn representation<R, K: Serialize, T: Serialize>(
        &self,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> (K, Uuid),
        view: impl Fn(R) -> T,
    ) -> Result<Representation, Problem> {
        let limit = usize::try_from(self.limit).unwrap_or(0);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|row| {
            let (k, i) = key(row);
            let text = serde_json::to_vec(&Position { f: self.filter.clone(), k, i }).unwrap_or_default();
            self.cursors.seal(&text)
        });
        let link = next_cursor.as_ref().map(|cursor| {
            let joint = if self.address.contains('?') { '&' } else { '?' };
            format!("<{}{joint}cursor={cursor}>; rel=\"next\"", self.address)
        });
        Representation::hashed(&Page { items: rows.into_iter().map(view).collect(), next_cursor })?.linked(link)
    }
}

/// The same for the same list and filter, whatever the order of the parameters.
fn fingerprint(operation: &str, params: &Map<String, Value>) -> String {
    let mut pairs: Vec<(&String, &Value)> = params.iter().collect();
    pairs.sort_by_key(|(name, _)| *name);
    let text = serde_json::json!([operation, pairs]).to_string();
    URL_SAFE_NO_PAD.encode(&sha256(text.as_bytes())[..9])
}

fn address(request: &HttpRequest) -> String {
    // A ticket is used up by now.
    let passing = |pair: &&str| pair.is_empty() || pair.starts_with("cursor=") || pair.starts_with("ticket=");
    let kept: Vec<&str> = request.query_string().split('&').filter(|pair| !passing(pair)).collect();
    match kept.as_slice() {
        [] => request.path().to_owned(),
        pairs => format!("{}?{}", request.path(), pairs.join("&")),
    }
}
