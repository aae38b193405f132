//! What handlers take out of a request. The door ([`crate::contract::door`]) has checked it against the contract
//! before; here it only gets its type.

use crate::{
    contract::{
        door::{Admitted, Principal},
        escape,
    },
    encoding,
    error::{Code, In, Problem},
    state::State,
};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header, web};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use serde_path_to_error::Segment;
use std::future::{Ready, ready};
use uuid::Uuid;

/// The server's parts.
pub fn state(request: &HttpRequest) -> &State {
    request.app_data::<web::Data<State>>().expect("the app carries its state").get_ref()
}

/// Implements `FromRequest` for an extractor that has all it needs already.
macro_rules! extract {
    (for $name:ty $(, $generic:ident: $bound:path)? => $from:expr) => {
        impl$(<$generic: $bound>)? FromRequest for $name {
            type Error = Problem;
            type Future = Ready<Result<Self, Problem>>;
            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                let from: fn(&HttpRequest) -> Result<Self, Problem> = $from;
                ready(from(request))
            }
        }
    };
}

impl FromRequest for State {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(state(request).clone()))
    }
}

/// The signed-in user. API keys are refused: what asks for this is a user's own affair.
#[derive(Clone, Copy, Debug)]
pub struct Caller(pub Uuid);

extract!(for Caller => |request| match principal(request) {
    Principal::User(id) => Ok(Self(id)),
    Principal::Key(_) => Err(Problem::key_forbidden("An API key can't do this, only a user.")),
    Principal::Anonymous => Err(Problem::unauthenticated()),
});

/// Whoever is signed in: a user, or a program with an API key.
#[derive(Clone, Copy, Debug)]
pub struct SignedIn {
    /// The id of the user or the key, for the journal.
    pub id: Uuid,
    /// Who it is.
    pub principal: Principal,
}

extract!(for SignedIn => |request| {
    let principal = principal(request);
    principal.id().map(|id| Self { id, principal }).ok_or_else(Problem::unauthenticated)
});

/// Who is calling, signed in or not.
pub fn principal(request: &HttpRequest) -> Principal {
    request.extensions().get::<Admitted>().map_or(Principal::Anonymous, |admitted| admitted.principal)
}

/// Path and query parameters together, by their names in the contract.
#[derive(Debug)]
pub struct Params<T>(pub T);

extract!(for Params<T>, T: DeserializeOwned => Self::of);

impl<T: DeserializeOwned> Params<T> {
    /// Those of this request.
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let extensions = request.extensions();
        let params = extensions.get::<Admitted>().map(|admitted| admitted.params.clone()).unwrap_or_default();
        serde_path_to_error::deserialize(Value::Object(params)).map(Self).map_err(|error| {
            let (name, why) = (error.path().to_string(), error.inner().to_string());
            Problem::new(Code::InvalidParameter, "A parameter is not valid.").parameter(In::Query, name, "wrong_type", why)
        })
    }
}

/// The body, or `{}` where it may be left out and was.
#[derive(Debug)]
pub struct Json<T>(pub T);

extract!(for Json<T>, T: DeserializeOwned => |request| typed(body(request)).map(Self));

/// A merge patch (RFC 7396), to be applied with [`Patch::onto`].
#[derive(Clone, Debug)]
pub struct Patch(Value);

extract!(for Patch => |request| Ok(Self(body(request))));

impl Patch {
    /// Whether it says something of a field.
    pub fn names(&self, field: &str) -> bool {
        self.0.get(field).is_some()
    }

    /// The thing as it would be after the patch: `current` is its editable form, as a create body would give it.
    pub fn onto<T: Serialize + DeserializeOwned>(self, current: &T) -> Result<T, Problem> {
        let mut merged = serde_json::to_value(current).map_err(Problem::internal)?;
        merge(&mut merged, self.0);
        typed(merged)
    }
}

fn body(request: &HttpRequest) -> Value {
    let mut extensions = request.extensions_mut();
    let body = extensions.get_mut::<Admitted>().and_then(|admitted| admitted.body.take());
    body.unwrap_or_else(|| Value::Object(serde_json::Map::new()))
}

/// Gives a validated value its type. What the schema lets pass and the type doesn't (`1.0` for an integer) is 422.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        // An index prints as `[1]`.
        let segments = error.path().iter().map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            other => format!("/{}", escape(&other.to_string())),
        });
        let pointer: String = segments.collect();
        Problem::new(Code::InvalidBody, "The body breaks the contract; `errors` says where.").at(pointer, "wrong_type", "has a wrong type")
    })
}

/// RFC 7396, section 2.
fn merge(target: &mut Value, patch: Value) {
    match patch {
        Value::Object(members) => {
            if !target.is_object() {
                *target = Value::Object(serde_json::Map::new());
            }
            let Value::Object(object) = target else { return };
            for (name, value) in members {
                if value.is_null() {
                    object.insert(name, Value::Null);
                } else {
                    merge(object.entry(name).or_insert(Value::Null), value);
                }
            }
        }
        other => *target = other,
    }
}

/// The versions that the caller says they have seen.
#[derive(Clone, Debug)]
pub struct IfMatch(Option<String>);

extract!(for IfMatch => |request| Ok(Self(header_text(request, header::IF_MATCH))));

impl IfMatch {
    /// Refuses a stale version; a missing one too (RFC 6585, 428).
    pub fn require(&self, version: i64) -> Result<(), Problem> {
        match &self.0 {
            None => {
                Err(Problem::new(Code::PreconditionRequired, "Send If-Match with the ETag you have seen, so that nobody's change is lost."))
            }
            Some(_) => self.check(version),
        }
    }

    /// Refuses a stale version if one is given.
    pub fn check(&self, version: i64) -> Result<(), Problem> {
        self.check_tag(&crate::reply::etag(version))
    }

    /// The same for what has no version of its own but a tag made from its body.
    pub fn check_tag(&self, current: &str) -> Result<(), Problem> {
        self.check_tags(&[current])
    }

    /// The same for what has a tag for each of its representations. The problem names the first.
    pub fn check_tags(&self, current: &[&str]) -> Result<(), Problem> {
        let Some(given) = &self.0 else { return Ok(()) };
        if current.iter().any(|tag| matching(given, tag, Comparison::Strong).is_some()) {
            return Ok(());
        }
        Err(Problem::new(Code::VersionMismatch, "It was changed since you read it. Read it again, then repeat.")
            .with("currentETag", current.first()))
    }
}

/// How entity tags are compared (RFC 9110, section 8.8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Strong,
    /// Whether they are weak or not.
    Weak,
}

/// The tag in a list that is this one, of itself or of what it is the tag of in some coding (RFC 9110, section 13.1).
pub(crate) fn matching<'l>(list: &'l str, etag: &str, comparison: Comparison) -> Option<&'l str> {
    let tags = list.split(',').map(str::trim).map(|tag| match comparison {
        Comparison::Strong => tag,
        Comparison::Weak => tag.strip_prefix("W/").unwrap_or(tag),
    });
    tags.into_iter().find(|tag| *tag == "*" || encoding::is_tag_of(tag, etag))
}

/// A header as text, all its lines joined.
pub(crate) fn header_text(request: &HttpRequest, name: header::HeaderName) -> Option<String> {
    let lines: Vec<&str> = request.headers().get_all(name).filter_map(|value| value.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}
