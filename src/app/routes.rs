//! Which handler answers which `operationId`. Method and path come from the contract.

use crate::contract::{
    Contract,
    door::{self, PathOperations},
};
use actix_web::{FromRequest, Handler, Responder, Route, middleware::from_fn, web};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Collects the handlers by `operationId`.
#[derive(Default)]
pub struct Registrar {
    routes: HashMap<&'static str, Route>,
    repeated: Vec<&'static str>,
}

impl Registrar {
    /// Says which handler answers an operation.
    pub fn on<F, Args>(&mut self, operation_id: &'static str, handler: F) -> &mut Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        if self.routes.insert(operation_id, web::to(handler)).is_some() {
            self.repeated.push(operation_id);
        }
        self
    }
}

fn registrar() -> Registrar {
    let mut registrar = Registrar::default();
    crate::health::routes(&mut registrar);
    crate::auth::http::routes(&mut registrar);
    crate::accounts::http::routes(&mut registrar);
    crate::organisations::http::routes(&mut registrar);
    crate::events::http::routes(&mut registrar);
    crate::streams::http::routes(&mut registrar);
    crate::rooms::http::routes(&mut registrar);
    crate::speakers::http::routes(&mut registrar);
    crate::sessions::http::routes(&mut registrar);
    crate::attendees::http::routes(&mut registrar);
    crate::registrations::http::routes(&mut registrar);
    crate::programme::http::routes(&mut registrar);
    registrar
}

/// Holds handlers and contract against each other: an unknown id, a repeated one, or one without a handler.
pub fn check(contract: &Contract) -> Result<(), String> {
    let registrar = registrar();
    let mut wrong: Vec<String> = registrar.repeated.iter().map(|id| format!("{id} has two handlers")).collect();
    wrong.extend(registrar.routes.keys().filter(|id| contract.operation(id).is_none()).map(|id| format!("{id} is not in the contract")));
    let unanswered = contract.operations().filter(|operation| !registrar.routes.contains_key(operation.id.as_str()));
    // UNFINISHED: made an error when the last handler is in.
    for operation in unanswered {
        tracing::warn!("{} has no handler", operation.id);
    }
    wrong.sort();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// Registers every path of the contract: one scope per first segment below `/v1`, because actix tries routes one
/// after the other; the busiest come first.
pub fn configure(app: &mut web::ServiceConfig, paths: &BTreeMap<String, PathOperations>) {
    let mut routes = registrar().routes;
    let mut scopes: BTreeMap<(usize, String), Vec<(String, PathOperations)>> = BTreeMap::new();
    for (path, operations) in paths {
        match path.strip_prefix("/v1/") {
            None => {
                app.service(resource(path, operations, &mut routes));
            }
            Some(rest) => {
                let (segment, tail) = rest.split_once('/').map_or((rest, String::new()), |(segment, tail)| (segment, format!("/{tail}")));
                let rank = BUSIEST.iter().position(|busy| *busy == segment).unwrap_or(BUSIEST.len());
                scopes.entry((rank, segment.to_owned())).or_default().push((tail, Arc::clone(operations)));
            }
        }
    }
    for ((_, segment), tails) in scopes {
        let mut scope = web::scope(&format!("/v1/{segment}"));
        for (tail, operations) in tails {
            scope = scope.service(resource(&tail, &operations, &mut routes));
        }
        app.service(scope);
    }
}

const BUSIEST: &[&str] = &["sessions", "events", "registrations", "me"];

fn resource(
    path: &str,
    operations: &PathOperations,
    routes: &mut HashMap<&'static str, Route>,
) -> impl actix_web::dev::HttpServiceFactory + use<> {
    let mut resource = web::resource(path);
    for operation in operations.iter() {
        if let Some(route) = routes.remove(operation.id.as_str()) {
            resource = resource.route(route.method(operation.method.clone()));
        }
    }
    let operations = Arc::clone(operations);
    resource.wrap(from_fn(move |request, next| door::pass(Arc::clone(&operations), request, next)))
}
