//! The door: every request passes here before its handler. In this order, so that answers are always the same:
//! method (405) → token or key (401; 403 for a key without the scope) → rate limit (429) → path, query, headers (400) → body (408,
//! 413, 415, 400, 422).
//! Who may do it (403, 404) and what the state forbids (409) is the handler's part.

use super::{Body, Kind, Limit, Operation, Parameter, Security, violation};
use crate::{
    api_keys::{self, model::KeyHolder},
    auth::Role,
    error::{Code, In, Problem},
    extract::header_text,
    idempotency::{self, Key},
    random::Secret,
    state::State,
    tickets::store::{self as tickets, Target},
};
use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderName},
    },
    middleware::Next,
    web,
};
use serde_json::{Map, Value};
use std::{borrow::Cow, sync::Arc};
use uuid::Uuid;

/// What the door found out about a request; handlers reach it through [`crate::extract`].
pub struct Admitted {
    /// The operation that was called.
    pub operation: Arc<Operation>,
    /// Who called it.
    pub principal: Principal,
    /// Path and query parameters by name, typed as the contract says.
    pub params: Map<String, Value>,
    /// The validated body.
    pub body: Option<Value>,
    /// The idempotency key, where the operation takes one and it was sent.
    pub key: Option<Key>,
}

/// The operation of a request that did not get through.
struct Refused(Arc<Operation>);

/// Tells which operation a request called, if any, whether it got through or not.
pub fn with_operation<T>(request: &HttpRequest, tell: impl FnOnce(Option<&Operation>) -> T) -> T {
    let extensions = request.extensions();
    let admitted = extensions.get::<Admitted>().map(|admitted| &*admitted.operation);
    tell(admitted.or_else(|| extensions.get::<Refused>().map(|refused| &*refused.0)))
}

/// Who is calling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Principal {
    /// Nobody signed in.
    #[default]
    Anonymous,
    /// The user of a valid access token.
    User(Uuid),
    /// A program with a good API key whose scopes cover the operation.
    Key(KeyHolder),
}

impl Principal {
    /// The user, if it is one.
    pub fn user(self) -> Option<Uuid> {
        match self {
            Self::User(id) => Some(id),
            Self::Key(_) | Self::Anonymous => None,
        }
    }

    /// The API key, if it is one.
    pub fn key(self) -> Option<KeyHolder> {
        match self {
            Self::Key(holder) => Some(holder),
            Self::User(_) | Self::Anonymous => None,
        }
    }

    /// The id of the user or of the key: whom the journal names.
    pub fn id(self) -> Option<Uuid> {
        self.user().or(self.key().map(|holder| holder.id))
    }

    /// What the caller is in an organisation, given what they are as a user. A key is an organiser of its own
    /// organisation, as far as its scopes let it in, and nothing elsewhere.
    pub fn role_in(self, organisation_id: Uuid, as_user: Option<Role>) -> Option<Role> {
        match self {
            Self::Key(holder) => (holder.organisation_id == organisation_id).then_some(Role::Organiser),
            Self::User(_) | Self::Anonymous => as_user,
        }
    }
}

/// The operations of one path.
pub type PathOperations = Arc<Vec<Arc<Operation>>>;

/// The middleware of every path of the contract. A refusal is an answer here and not an error, so that the outer
/// middleware gets it together with its request.
pub async fn pass<B: MessageBody + 'static>(
    operations: PathOperations,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    match admit(&operations, &mut request).await {
        Ok(admitted) => {
            request.extensions_mut().insert(admitted);
            next.call(request).await.map(ServiceResponse::map_into_left_body)
        }
        Err(problem) => {
            if let Ok(operation) = find(&operations, request.method()) {
                request.extensions_mut().insert(Refused(operation));
            }
            Ok(request.error_response(problem).map_into_right_body())
        }
    }
}

async fn admit(operations: &PathOperations, request: &mut ServiceRequest) -> Result<Admitted, Problem> {
    let operation = find(operations, request.method())?;
    let state = request.app_data::<web::Data<State>>().expect("the app carries its state").clone();
    let principal = match authorize(&operation, request, &state).await {
        Ok(principal) => principal,
        Err(refused) => {
            // Guessing tokens counts too.
            state.limits.admit(request.request(), Limit::General, Principal::Anonymous)?;
            return Err(refused);
        }
    };
    state.limits.admit(request.request(), operation.limit, principal)?;
    let params = parameters(&operation, request.request())?;
    let Body { bytes, value } = match &operation.body {
        None => Body::default(),
        Some(rule) => {
            let mut payload = request.take_payload();
            rule.read(request.headers(), &mut payload, state.config.body_timeout()).await?
        }
    };
    let sent = if operation.keyed { header_text(request.request(), HeaderName::from_static(idempotency::HEADER)) } else { None };
    let key = sent.map(|sent| Key::new(&sent, request.method(), request.path(), &bytes));
    Ok(Admitted { operation, principal, params, body: value, key })
}

fn find(operations: &PathOperations, method: &Method) -> Result<Arc<Operation>, Problem> {
    operations.iter().find(|operation| operation.method == *method).cloned().ok_or_else(|| {
        let allowed: Vec<&str> = operations.iter().map(|operation| operation.method.as_str()).collect();
        Problem::new(Code::MethodNotAllowed, format!("Allowed here: {}.", allowed.join(", "))).allowing(allowed.join(", "))
    })
}

/// By the ticket in the link, else by the token.
async fn authorize(operation: &Operation, request: &ServiceRequest, state: &State) -> Result<Principal, Problem> {
    match ticket(operation, request.request())? {
        // In a box: it is rare, large, and else a part of what every request moves about.
        Some((ticket, target)) => Box::pin(redeem(state, ticket, target)).await,
        None => authenticate(operation, request, state).await,
    }
}

async fn authenticate(operation: &Operation, request: &ServiceRequest, state: &State) -> Result<Principal, Problem> {
    let refused = Problem::unauthenticated;
    if operation.security == Security::None {
        return Ok(Principal::Anonymous);
    }
    let Some(header) = request.headers().get(header::AUTHORIZATION) else {
        return match operation.security {
            Security::Required => Err(refused()),
            _ => Ok(Principal::Anonymous),
        };
    };
    let (scheme, token) = header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused());
    }
    let token = token.trim();
    if token.starts_with(api_keys::model::MARK) {
        return with_key(operation, api_keys::verify(state, token).await?.ok_or_else(refused)?);
    }
    state.tokens.verify(token).await.map(Principal::User).ok_or_else(refused)
}

/// A key that lacks the scope sees what everybody sees, where that is anything.
fn with_key(operation: &Operation, holder: KeyHolder) -> Result<Principal, Problem> {
    match operation.scope {
        Some(scope) if holder.scopes.allow(scope) => Ok(Principal::Key(holder)),
        _ if operation.security == Security::Optional => Ok(Principal::Anonymous),
        Some(scope) => Err(Problem::key_forbidden(format!("The API key needs the scope {}.", scope.as_str()))),
        None => Err(Problem::key_forbidden("An API key can't do this, only a user.")),
    }
}

/// The ticket in a link and what it would have to be for. It counts before a token: who sends one means it.
fn ticket(operation: &Operation, request: &HttpRequest) -> Result<Option<(Secret, Target)>, Problem> {
    if !operation.tickets || !request.query_string().contains(tickets::PARAM) {
        return Ok(None);
    }
    let query = query_pairs(request.query_string())?;
    let mut given = query.iter().filter(|(name, _)| name == tickets::PARAM);
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some((_, ticket)), None) => Ok(Some((Secret(ticket.clone()), Target::new(request.path(), &query)))),
        (Some(_), Some(_)) => Err(Problem::unauthenticated()),
    }
}

async fn redeem(state: &State, ticket: Secret, target: Target) -> Result<Principal, Problem> {
    let now = state.clock.now();
    let redeemed = state.db.write(move |tx| Box::pin(async move { Ok(tickets::redeem(tx, &ticket, &target, now).await?) }));
    redeemed.await?.map(Principal::User).ok_or_else(Problem::unauthenticated)
}

fn parameters(operation: &Operation, request: &HttpRequest) -> Result<Map<String, Value>, Problem> {
    let query = query_pairs(request.query_string())?;
    check_parameters(operation, &query, |parameter| match parameter.place {
        In::Path => request.match_info().get(&parameter.name).map(Cow::Borrowed),
        In::Header => header_lines(request, &parameter.name).map(Cow::Owned),
        In::Query | In::Body => None,
    })
}

/// Parameters by name, typed as the contract says: those of the query out of `query`, those of the path and the headers
/// from `elsewhere`.
pub fn check_parameters<'r>(
    operation: &Operation,
    query: &[(String, String)],
    elsewhere: impl Fn(&Parameter) -> Option<Cow<'r, str>>,
) -> Result<Map<String, Value>, Problem> {
    let mut params = Map::new();
    let mut wrong = Vec::new();
    for (name, _) in query {
        let known = operation.parameters.iter().any(|parameter| parameter.place == In::Query && parameter.name == *name);
        let is_ticket = operation.tickets && name == tickets::PARAM;
        if !known && !is_ticket {
            wrong.push((In::Query, name.clone(), "unknown_parameter".to_owned(), "is not a parameter here".to_owned()));
        }
    }
    for parameter in &operation.parameters {
        let mut given: Vec<&str> = Vec::new();
        let other;
        match parameter.place {
            In::Path | In::Header => {
                other = elsewhere(parameter);
                given.extend(other.as_deref());
            }
            In::Query | In::Body => given.extend(query.iter().filter(|(name, _)| *name == parameter.name).map(|(_, value)| value.as_str())),
        }
        if given.is_empty() && parameter.required && parameter.name.eq_ignore_ascii_case("if-match") {
            return Err(Problem::new(
                Code::PreconditionRequired,
                "Send If-Match with the ETag you have seen, so that nobody's change is lost.",
            ));
        }
        match parameter.read(&given) {
            Ok(Some(value)) if parameter.place != In::Header => {
                params.insert(parameter.name.clone(), value);
            }
            Ok(_) => {}
            Err((code, detail)) => wrong.push((parameter.place, parameter.name.clone(), code, detail)),
        }
    }
    if wrong.is_empty() {
        return Ok(params);
    }
    let problem = Problem::new(Code::InvalidParameter, "A parameter is not valid; `errors` says which.");
    Err(wrong.into_iter().fold(problem, |problem, (place, name, code, detail)| problem.parameter(place, name, code, detail)))
}

/// Several lines of a header are one list (RFC 9110, section 5.3). What is not text stays in it, as a sign that no
/// pattern takes.
fn header_lines(request: &HttpRequest, name: &str) -> Option<String> {
    let mut lines = request.headers().get_all(name).map(|line| String::from_utf8_lossy(line.as_bytes()));
    let first = lines.next()?.into_owned();
    Some(lines.fold(first, |text, line| text + ", " + &line))
}

impl Parameter {
    fn read(&self, given: &[&str]) -> Result<Option<Value>, (String, String)> {
        let text = match given {
            [] if self.required => return Err(("required".into(), "is required".into())),
            [] => return Ok(None),
            [text] => *text,
            _ => return Err(("duplicate".into(), "is given more than once".into())),
        };
        let value = match self.kind {
            Kind::Text => Value::from(text),
            Kind::Integer => text.parse::<i64>().map_err(|_| ("wrong_type".into(), "is not an integer".into()))?.into(),
            Kind::Boolean => text.parse::<bool>().map_err(|_| ("wrong_type".into(), "is not true or false".into()))?.into(),
        };
        match violation::in_parameter(&self.validator, &value) {
            None => Ok(Some(value)),
            Some(wrong) => Err(wrong),
        }
    }
}

/// The pairs of a query, decoded.
pub fn query_pairs(query: &str) -> Result<Vec<(String, String)>, Problem> {
    let malformed = || Problem::new(Code::InvalidParameter, "The query string is not UTF-8 text in percent-encoding.");
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query).map_err(|_| malformed())?.into_inner();
    // The decoder replaces what is not UTF-8; unless the sign itself was sent, its presence says so.
    let replaced = pairs.iter().any(|(name, value)| name.contains('\u{FFFD}') || value.contains('\u{FFFD}'));
    if replaced && !query.to_ascii_uppercase().contains("%EF%BF%BD") {
        return Err(malformed());
    }
    Ok(pairs)
}
