//! Every way a request can fail, on one page: code → status and title, written as problem+json (RFC 9457).

use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;

/// One line a code. The text is the contract: it never changes its meaning once released.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $status:literal $text:literal $title:literal),+ $(,)?) => {
        /// What went wrong, as a client's program tells it. The doc of each variant says when to use it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant),+ }

        impl Code {
            /// All codes, for the test that holds them against the contract.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable text of the code.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text),+ } }

            /// The HTTP status.
            pub const fn status(self) -> u16 { match self { $(Self::$variant => $status),+ } }

            /// A short title that is the same for every occurrence.
            pub const fn title(self) -> &'static str { match self { $(Self::$variant => $title),+ } }
        }
    };
}

codes! {
    /// The body is not well-formed JSON or YAML, not UTF-8, or nested too deeply.
    MalformedBody = 400 "malformed_body" "The body is not well-formed",
    /// An object in the body has the same key twice.
    DuplicateKey = 400 "duplicate_key" "A key is given twice",
    /// A path, query or header parameter is unknown, repeated or not what the contract allows.
    InvalidParameter = 400 "invalid_parameter" "A parameter is not valid",
    /// The cursor was not made by this server, or for another list or filter.
    InvalidCursor = 400 "invalid_cursor" "The cursor is not valid",
    /// No token, or one that is not valid any more. Never says which.
    Unauthenticated = 401 "unauthenticated" "Sign in first",
    /// Login with an unknown email or a wrong password. Never says which.
    InvalidCredentials = 401 "invalid_credentials" "The email or the password is wrong",
    /// The refresh token is unknown, expired, revoked or was used before.
    InvalidRefreshToken = 401 "invalid_refresh_token" "The refresh token is not valid",
    /// The caller is a member of the organisation, but their role may not do this; or an API key that may not.
    Forbidden = 403 "forbidden" "Your role does not allow this",
    /// The event admits only attendees on its list and the caller is not linked to one.
    NotAdmitted = 403 "not_admitted" "You are not admitted to this event",
    /// The session is for attendees of other categories.
    NotEntitled = 403 "not_entitled" "The session is for others",
    /// It does not exist, or the caller may not know that it does.
    NotFound = 404 "not_found" "Not found",
    /// The path exists, this method on it does not.
    MethodNotAllowed = 405 "method_not_allowed" "Method not allowed",
    /// None of the accepted media types can be given.
    NotAcceptable = 406 "not_acceptable" "Not acceptable",
    /// The body did not arrive in time.
    RequestTimeout = 408 "request_timeout" "The request took too long to arrive",
    /// The session has no seat free and the booking did not ask to wait, or nobody can.
    SessionFull = 409 "session_full" "The session is full",
    /// Nobody more can wait for the session.
    WaitlistFull = 409 "waitlist_full" "The waitlist is full",
    /// The attendee has a seat at the same hours; the problem names it.
    TimeConflict = 409 "time_conflict" "There is a seat at the same hours",
    /// The attendee has as many sessions as the event allows, or allows on that day.
    LimitReached = 409 "limit_reached" "A limit of the event is reached",
    /// The offer was not accepted in time.
    OfferExpired = 409 "offer_expired" "The offer has expired",
    /// There is no offer to accept or decline.
    NotOffered = 409 "not_offered" "No seat is offered",
    /// The attendee has been in the room.
    CheckedIn = 409 "checked_in" "The attendee has checked in",
    /// The registration ended before, for another reason than what is asked.
    RegistrationCancelled = 409 "registration_cancelled" "The registration has ended",
    /// The booking window has not opened; the problem carries when it does.
    BookingNotOpen = 409 "booking_not_open" "Booking has not opened",
    /// The booking window is over.
    BookingClosed = 409 "booking_closed" "Booking has closed",
    /// The session has begun.
    SessionStarted = 409 "session_started" "The session has started",
    /// The session was cancelled.
    SessionCancelled = 409 "session_cancelled" "The session is cancelled",
    /// The change would touch active registrations.
    HasRegistrations = 409 "has_registrations" "There are active registrations",
    /// Something else refers to it.
    InUse = 409 "in_use" "It is in use",
    /// Another event has this slug.
    SlugTaken = 409 "slug_taken" "The slug is taken",
    /// Another session of the event has this code.
    CodeTaken = 409 "code_taken" "The code is taken",
    /// Another stream, room or speaker of the event has this key.
    KeyTaken = 409 "key_taken" "The key is taken",
    /// Another account has this email.
    EmailTaken = 409 "email_taken" "The email is taken",
    /// Another attendee of the event has this external reference.
    ReferenceTaken = 409 "reference_taken" "The external reference is taken",
    /// The caller, or the attendee claimed, is linked already.
    AlreadyLinked = 409 "already_linked" "Already linked",
    /// The attendee was erased: nothing of a person is kept of them any more.
    AttendeeErased = 409 "attendee_erased" "The attendee was erased",
    /// The organisation would be left without an owner.
    LastOwner = 409 "last_owner" "The last owner",
    /// Who accepts the invitation is a member of the organisation.
    AlreadyMember = 409 "already_member" "Already a member",
    /// A request with the same idempotency key is still under way on this node.
    IdempotencyInFlight = 409 "idempotency_in_flight" "The same request is under way",
    /// If-Match names another version than the current one; the problem carries the current ETag.
    VersionMismatch = 412 "version_mismatch" "It was changed in the meantime",
    /// The body is larger than the operation allows.
    BodyTooLarge = 413 "body_too_large" "The body is too large",
    /// The body's media type or encoding is not one the operation takes.
    UnsupportedMediaType = 415 "unsupported_media_type" "Unsupported media type",
    /// The body is well-formed but breaks the contract; `errors` says where.
    InvalidBody = 422 "invalid_body" "The body is not valid",
    /// An id in the body names nothing the caller could refer to here.
    UnknownReference = 422 "unknown_reference" "A reference names nothing",
    /// Not a zone of the IANA database.
    InvalidTimeZone = 422 "invalid_time_zone" "Unknown time zone",
    /// An end that is not after its start, or a time outside what is allowed.
    InvalidRange = 422 "invalid_range" "The end must be after the start",
    /// Seats beyond a lower capacity should wait again, and the session has no waitlist.
    NoWaitlist = 422 "no_waitlist" "The session has no waitlist",
    /// The password is one of the most common ones.
    WeakPassword = 422 "weak_password" "The password is too common",
    /// The claim code is unknown or was used.
    InvalidClaimCode = 422 "invalid_claim_code" "The claim code is not valid",
    /// The token of the invitation is unknown, expired, revoked or was used by somebody else.
    InvalidInvitation = 422 "invalid_invitation" "The invitation is not valid",
    /// The idempotency key was used for another request.
    IdempotencyKeyReused = 422 "idempotency_key_reused" "The idempotency key was used before",
    /// PATCH, PUT or DELETE without If-Match.
    PreconditionRequired = 428 "precondition_required" "If-Match is required",
    /// A rate limit is used up; the answer says which one and when to come back.
    TooManyRequests = 429 "too_many_requests" "Too many requests",
    /// A defect of the server. The detail says nothing; the log does.
    Internal = 500 "internal_error" "Internal error",
    /// A bounded queue is full; nothing was done. Try again.
    QueueFull = 503 "queue_full" "Too busy",
    /// The database can't be reached in time, or the server is shutting down.
    Unavailable = 503 "unavailable" "Not available now",
}

/// The contract's limits of a problem.
const MAX_DETAILS: usize = 100;
const MAX_TEXT: usize = 2000;
const MAX_NAME: usize = 200;

/// The first characters of a text.
fn clip(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}

/// The same without control characters.
fn printable(text: &str, characters: usize) -> String {
    clip(text, characters).replace(|character: char| character.is_control(), "\u{FFFD}")
}

/// Where in the request a detail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum In {
    /// The body: `pointer` is set.
    Body,
    /// The query string: `name` is set.
    Query,
    /// The path: `name` is set.
    Path,
    /// A header: `name` is set.
    Header,
}

/// One thing that is wrong with the request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detail {
    /// Where it is.
    pub r#in: In,
    /// RFC 6901 pointer into the body.
    pub pointer: Option<String>,
    /// The parameter's name.
    pub name: Option<String>,
    /// What is wrong, for programs: `required`, `unknown_field`, `wrong_type`, …
    pub code: String,
    /// What is wrong, for people.
    pub detail: String,
}

/// A failed request. Built with [`Problem::new`] and the methods that add to it.
#[derive(Clone, Debug)]
pub struct Problem(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    code: Code,
    detail: String,
    errors: Vec<Detail>,
    members: Map<String, Value>,
    retry_after_secs: Option<u32>,
    allow: Option<String>,
    /// For the log only.
    cause: Option<String>,
    /// Whether the same might go well the next time.
    transient: bool,
}

impl Problem {
    /// A problem with a sentence for people.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let retry_after_secs = (code.status() == 503).then_some(1);
        Self(Box::new(Inner {
            code,
            detail: printable(&detail.into(), MAX_TEXT),
            errors: Vec::new(),
            members: Map::new(),
            retry_after_secs,
            allow: None,
            cause: None,
            transient: false,
        }))
    }

    /// A defect: the cause goes to the log, never to the client.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let mut problem = Self::new(Code::Internal, "The server failed. The request id helps to find out why.");
        problem.0.cause = Some(cause.to_string());
        problem
    }

    /// The one answer for a token that is missing, or not valid for whatever reason.
    pub fn unauthenticated() -> Self {
        Self::new(Code::Unauthenticated, "A valid access token is needed.")
    }

    /// The one answer for what does not exist and for what the caller may not know of.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "There is nothing here that you may see.")
    }

    /// An API key that may not do this: its scopes don't cover it, or only a user can.
    pub fn key_forbidden(detail: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, detail)
    }

    /// A member whose role does not suffice.
    pub fn forbidden() -> Self {
        Self::new(Code::Forbidden, "Your role in this organisation does not allow this.")
    }

    /// An id in the body that names nothing here.
    pub fn unknown_reference(pointer: impl Into<String>) -> Self {
        Self::new(Code::UnknownReference, "A reference in the body names nothing that exists here.").at(
            pointer,
            "unknown_reference",
            "names nothing that exists here",
        )
    }

    /// An id in the query that names nothing here.
    pub fn unknown_parameter(name: &str) -> Self {
        let problem = Self::new(Code::InvalidParameter, "A parameter names nothing that exists here.");
        problem.parameter(In::Query, name, "unknown_reference", "names nothing that exists here")
    }

    /// A body that is well-formed but not valid at `pointer`.
    pub fn invalid(code: Code, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::new(code, detail.clone()).at(pointer, code.as_str(), detail)
    }

    /// Adds a detail about the body.
    #[must_use]
    pub fn at(self, pointer: impl Into<String>, code: impl Into<String>, detail: impl Into<String>) -> Self {
        self.with_detail(Detail { r#in: In::Body, pointer: Some(pointer.into()), name: None, code: code.into(), detail: detail.into() })
    }

    /// Adds a detail about a parameter.
    #[must_use]
    pub fn parameter(self, place: In, name: impl Into<String>, code: impl Into<String>, detail: impl Into<String>) -> Self {
        self.with_detail(Detail { r#in: place, pointer: None, name: Some(name.into()), code: code.into(), detail: detail.into() })
    }

    /// Adds a detail, up to as many and as long as the contract lets them be: names and pointers come from the request.
    #[must_use]
    pub fn with_detail(mut self, mut detail: Detail) -> Self {
        if self.0.errors.len() < MAX_DETAILS {
            detail.pointer = detail.pointer.map(|pointer| clip(&pointer, MAX_TEXT).trim_end_matches('~').to_owned());
            detail.name = detail.name.map(|name| printable(&name, MAX_NAME));
            detail.detail = printable(&detail.detail, MAX_TEXT);
            self.0.errors.push(detail);
        }
        self
    }

    /// Adds a member of its own that the contract names for this code.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Serialize) -> Self {
        self.0.members.insert(member.to_owned(), serde_json::json!(value));
        self
    }

    /// Names the methods that are allowed (RFC 9110 requires it beside 405).
    #[must_use]
    pub fn allowing(mut self, methods: String) -> Self {
        self.0.allow = Some(methods);
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, secs: u32) -> Self {
        self.0.retry_after_secs = Some(secs);
        self
    }

    /// Which code this is.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The sentence for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What only the log may say.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// Whether it met another transaction, and would go well if it were done again.
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// The details added so far.
    pub fn details(&self) -> &[Detail] {
        &self.0.errors
    }

    /// What it says as one of several things in an answer: no request is to blame.
    pub fn item(&self) -> Value {
        let inner = &self.0;
        let mut body = Map::new();
        body.insert("code".into(), inner.code.as_str().into());
        body.insert("title".into(), inner.code.title().into());
        body.insert("detail".into(), inner.detail.clone().into());
        body.extend(inner.members.clone());
        Value::Object(body)
    }

    /// The answer, naming the request it belongs to.
    pub fn to_response(&self, request_id: uuid::Uuid) -> HttpResponse {
        let inner = &self.0;
        let mut response = HttpResponse::build(self.status_code());
        response.content_type("application/problem+json");
        if let Some(secs) = inner.retry_after_secs {
            response.insert_header((header::RETRY_AFTER, secs));
        }
        if let Some(methods) = &inner.allow {
            response.insert_header((header::ALLOW, methods.as_str()));
        }
        if inner.code.status() == 401 {
            response.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        match serde_json::to_string(&Written::of(inner, request_id)) {
            Ok(body) => response.body(body),
            Err(_) => response.finish(),
        }
    }
}

/// A problem as it is written.
#[derive(Serialize)]
struct Written<'a> {
    r#type: String,
    code: &'static str,
    status: u16,
    title: &'static str,
    detail: &'a str,
    instance: uuid::fmt::Urn,
    errors: &'a [Detail],
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

impl<'a> Written<'a> {
    fn of(inner: &'a Inner, request_id: uuid::Uuid) -> Self {
        Self {
            r#type: format!("urn:problem-type:plenary:{}", inner.code.as_str()),
            code: inner.code.as_str(),
            status: inner.code.status(),
            title: inner.code.title(),
            detail: &inner.detail,
            instance: request_id.urn(),
            errors: &inner.errors,
            members: &inner.members,
        }
    }
}

impl fmt::Display for Problem {
    /// Code and cause only: details may hold personal data and this text is logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code.as_str())?;
        match &self.0.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Empty: what stands around all handlers writes it, and knows the request's id.
    fn error_response(&self) -> HttpResponse<BoxBody> {
        HttpResponse::new(self.status_code())
    }
}

impl From<crate::db::Error> for Problem {
    fn from(error: crate::db::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&crate::db::Error> for Problem {
    fn from(error: &crate::db::Error) -> Self {
        match error {
            _ if crate::db::is_unavailable(error) => {
                let mut problem = Self::new(Code::Unavailable, "The database does not answer in time. Nothing was changed; try again.");
                problem.0.cause = Some(error.to_string());
                problem
            }
            _ if crate::db::is_transient(error) => {
                let mut problem = Self::new(Code::Unavailable, "The change met another one. Nothing was changed; try again.");
                problem.0.transient = true;
                problem
            }
            _ => Self::internal(error),
        }
    }
}
