//! Around every request: its id, how its rate limits stand, a log line, what is counted, and errors as problems that
//! carry the id.

use crate::{
    contract::door,
    error::{Code, Problem},
    extract::state,
    limits::Standing,
};
use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        ConnectionType,
        header::{HeaderName, HeaderValue},
    },
    middleware::Next,
};
use std::time::Instant;
use uuid::Uuid;

/// The header that names a request in the logs.
pub const REQUEST_ID: &str = "x-request-id";

/// The outermost middleware but for CORS.
pub async fn frame<B: MessageBody + 'static>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<BoxBody>, Error> {
    let state = state(request.request()).clone();
    let id = state.new_id();
    let began = Instant::now();
    let _under_way = state.metrics.begin();
    // Nothing below answers with an error instead of a response: the door, handlers and extractors all make responses.
    let mut response = next.call(request).await?.map_into_boxed_body();
    if let Some(problem) = response.response().error().map(|error| written(error, id)) {
        response = response.into_response(problem);
    }
    let standing = response.request().extensions_mut().remove::<Standing>();
    if let Some(standing) = standing {
        standing.tell(response.headers_mut());
    }
    if let Ok(value) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer())) {
        response.headers_mut().insert(HeaderName::from_static(REQUEST_ID), value);
    }
    if state.is_draining() {
        // The proxy, or whoever keeps this connection, asks elsewhere next time.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let (status, took) = (response.status().as_u16(), began.elapsed());
    door::with_operation(response.request(), |operation| {
        state.metrics.answered(operation.map(|operation| operation.number), status, took);
        // The operation and not the path: ids of people and what they look for stay out of the log.
        let (operation, micros) = (operation.map_or("none", |operation| operation.id.as_str()), took.as_micros() as u64);
        if state.config.log_requests {
            tracing::info!(%id, operation, status, micros, "request");
        } else {
            tracing::debug!(%id, operation, status, micros, "request");
        }
    });
    Ok(response)
}

/// An error as the problem that it is, or stands for.
fn written(error: &Error, id: Uuid) -> HttpResponse {
    let foreign;
    let problem = match error.as_error::<Problem>() {
        Some(problem) => problem,
        None => {
            foreign = problem_of(error);
            &foreign
        }
    };
    if let Some(cause) = problem.cause() {
        tracing::error!(%id, code = problem.code().as_str(), cause, "request failed");
    }
    problem.to_response(id)
}

/// What stands for an error that isn't ours.
fn problem_of(error: &Error) -> Problem {
    match error.as_response_error().status_code().as_u16() {
        404 => Problem::not_found(),
        status @ 400..=499 => Problem::new(Code::InvalidParameter, format!("The request can't be read ({status}).")),
        _ => Problem::internal(error),
    }
}

/// What answers where no route does.
pub async fn nothing_here(_: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::not_found())
}
