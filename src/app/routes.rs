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
    crate::members::http::routes(&mut registrar);
    crate::api_keys::http::routes(&mut registrar);
    crate::events::http::routes(&mut registrar);
    crate::streams::http::routes(&mut registrar);
    crate::rooms::http::routes(&mut registrar);
    crate::speakers::http::routes(&mut registrar);
    crate::sessions::http::routes(&mut registrar);
    crate::attendees::http::routes(&mut registrar);
    crate::registrations::http::routes(&mut registrar);
    crate::journal::http::routes(&mut registrar);
    crate::programme::http::routes(&mut registrar);
    crate::tickets::http::routes(&mut registrar);
    registrar
}

/// Holds handlers and contract against each other: an unknown id, a repeated one, or one without a handler.
pub fn check(contract: &Contract) -> Result<(), String> {
    let registrar = registrar();
    let mut wrong: Vec<String> = registrar.repeated.iter().map(|id| format!("{id} has two handlers")).collect();
    wrong.extend(registrar.routes.keys().filter(|id| contract.operation(id).is_none()).map(|id| format!("{id} is not in the contract")));
    let unanswered = contract.operations().filter(|operation| !registrar.routes.contains_key(operation.id.as_str()));
    wrong.extend(unanswered.map(|operation| format!("{} has no handler", operation.id)));
    wrong.sort();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// Registers every path of the contract: one scope per first segment below `/v1`, because actix tries routes one
/// after the other; the busiest come first, among the scopes and in them.
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
    for ((_, segment), mut tails) in scopes {
        tails.sort_by_key(|(tail, _)| BUSIEST_BELOW.iter().position(|busy| busy == tail).unwrap_or(BUSIEST_BELOW.len()));
        let mut scope = web::scope(&format!("/v1/{segment}"));
        for (tail, operations) in tails {
            scope = scope.service(resource(&tail, &operations, &mut routes));
        }
        app.service(scope);
    }
}

const BUSIEST: &[&str] = &["sessions", "events", "registrations", "me"];
/// Only what nothing else could be taken for: a tail that is all parameter would stand before words.
const BUSIEST_BELOW: &[&str] = &["/{session}/registrations", "/{session}/availability", "/{event}/sessions", "/{event}/availability"];

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::docs;
    use actix_web::{App, introspection::IntrospectionTree, test, web::Data};
    use serde_json::Value;
    use std::collections::BTreeSet;

    /// What is served beside the contract.
    const BESIDE: &[&str] = &["GET /docs", "GET /docs/{file:.*}", "GET /openapi.json", "GET /openapi.yaml", "GET /routes-of-this-test"];

    #[actix_web::test]
    async fn actix_has_the_routes_of_the_contract_and_no_others() {
        let contract = Contract::load().expect("a contract");
        let paths = super::super::group_by_path(&contract);
        let app = App::new()
            .configure(|app| configure(app, &paths))
            .configure(docs::configure)
            .route("/routes-of-this-test", web::get().to(|tree: Data<IntrospectionTree>| async move { tree.report_as_json() }));
        let app = test::init_service(app).await;
        let report = test::call_and_read_body(&app, test::TestRequest::get().uri("/routes-of-this-test").to_request()).await;
        let report: Value = serde_json::from_slice(&report).expect("a report");
        let mut routed = BTreeSet::new();
        for route in report.as_array().expect("routes") {
            assert!(route["potentially_unreachable"].is_null(), "{route}");
            for method in route["methods"].as_array().expect("methods") {
                routed.insert(format!("{} {}", method.as_str().expect("a method"), route["full_path"].as_str().expect("a path")));
            }
        }
        let declared = contract.operations().map(|operation| format!("{} {}", operation.method, operation.path));
        let expected: BTreeSet<String> = declared.chain(BESIDE.iter().map(|route| (*route).to_owned())).collect();
        assert_eq!(routed, expected);
    }
}
