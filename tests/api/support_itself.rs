//! The kit can fail: what it waves through is worth nothing otherwise.

use crate::support::*;
use reqwest::{Method, header::HeaderMap};

const LIVEZ: (Method, &str) = (Method::GET, "/livez");
const EVENT: (Method, &str) = (Method::GET, "/v1/events/x");
const REQUEST: &str = "019c1db0-01c0-73f7-bdf5-37c46724392c";

/// An answer that nobody sent, checked.
fn breach(asked: (Method, &str), status: u16, headers: &[(&'static str, &str)], body: &str) -> String {
    let mut map = HeaderMap::new();
    map.insert("x-request-id", REQUEST.parse().expect("a header"));
    for (name, value) in headers {
        map.append(*name, value.parse().expect("a header"));
    }
    let answer = Answer {
        request: String::new(),
        status,
        headers: map,
        json: serde_json::from_str(body).unwrap_or_default(),
        text: body.to_owned(),
        bytes: body.into(),
    };
    Document::shared().check(&asked.0, asked.1, &answer).err().unwrap_or_default()
}

fn problem(status: u16, code: &str) -> String {
    let body = json!({
        "type": format!("urn:problem-type:plenary:{code}"), "code": code, "status": status, "title": "No", "detail": "No.",
        "instance": format!("urn:uuid:{REQUEST}"), "errors": [],
    });
    body.to_string()
}

#[test]
fn answers_that_the_contract_declares_pass() {
    let json = ("content-type", "application/json");
    let trouble = ("content-type", "application/problem+json");
    assert_eq!(breach(LIVEZ, 200, &[json], r#"{"status":"ok"}"#), "");
    assert_eq!(breach(EVENT, 404, &[trouble], &problem(404, "not_found")), "");
    assert_eq!(breach((Method::GET, "/nowhere"), 404, &[trouble], &problem(404, "not_found")), "");
    assert_eq!(breach((Method::PUT, "/livez"), 405, &[trouble, ("allow", "GET")], &problem(405, "method_not_allowed")), "");
    assert_eq!(breach(EVENT, 304, &[("etag", "\"v1\"")], ""), "");
}

#[test]
fn answers_that_it_does_not_declare_fail() {
    let json = ("content-type", "application/json");
    let trouble = ("content-type", "application/problem+json");
    let cases = [
        (breach(LIVEZ, 202, &[json], r#"{"status":"ok"}"#), "has no response 202"),
        (breach(LIVEZ, 200, &[json], r#"{"status":"ok","more":1}"#), "more"),
        (breach(LIVEZ, 200, &[json], r#"{"status":"fine"}"#), "/status"),
        (breach(LIVEZ, 200, &[json], "{}"), "required"),
        (breach(LIVEZ, 200, &[("content-type", "text/html")], "ok"), "the media type text/html is not declared"),
        (breach(LIVEZ, 200, &[], r#"{"status":"ok"}"#), "no Content-Type"),
        (breach(LIVEZ, 200, &[json, ("x-powered-by", "x")], r#"{"status":"ok"}"#), "the header x-powered-by is not declared"),
        (breach(EVENT, 304, &[], ""), "the header ETag is missing"),
        (breach(EVENT, 304, &[("etag", "v1")], ""), "the header ETag: "),
        (breach(EVENT, 304, &[("etag", "\"v1\""), ("etag", "\"v1\"")], ""), "the header ETag is there twice"),
        (breach(EVENT, 304, &[("etag", "\"v1\"")], "x"), "a body where none is declared"),
        (breach(EVENT, 404, &[trouble], &problem(404, "forbidden")), "does not name `forbidden`"),
        (breach(EVENT, 404, &[trouble], &problem(400, "not_found")), "contradict each other"),
        (breach(EVENT, 404, &[json], &problem(404, "not_found")), "the media type application/json is not declared"),
        (breach((Method::GET, "/nowhere"), 200, &[json], "{}"), "not in the contract"),
        (breach((Method::GET, "/v1/events/x/y/z"), 200, &[json], "{}"), "not in the contract"),
        (breach((Method::PUT, "/livez"), 405, &[trouble], &problem(405, "method_not_allowed")), "405 without Allow"),
    ];
    for (found, wanted) in cases {
        assert!(found.contains(wanted), "{found:?} instead of {wanted:?}");
    }
}

on_both! {
    async fn each_test_has_a_server_and_a_database_of_its_own(app: App) {
        assert_eq!(app.get("/livez").send().await.expect(200).json["status"], "ok");
        assert_eq!(app.count("users").await, 0);
        let anna = app.user("Anna").await;
        let organisation = app.organisation(&anna).await;
        let event = app.event(&anna, json!({ "organisationId": organisation })).await;
        let session = app.session(&anna, &event, json!({ "capacity": null })).await;
        assert_eq!((&session["eventId"], &session["capacity"]), (&event["id"], &Value::Null));
        let ben = app.user("Ben").await;
        app.member(&organisation, &ben, "door").await;
        assert_eq!(app.get("/v1/organisations").token(&ben.token).send().await.expect(200).json["items"][0]["role"], "door");
        assert_eq!(app.count("users").await, 2);
    }
}
