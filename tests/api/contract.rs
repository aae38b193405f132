//! `openapi.yaml` as a document: served as it stands, complete, and in step with the server.

use crate::support::*;
use plenary::{contract::OPENAPI_YAML, error::Code};
use reqwest::Method;
use std::collections::{BTreeMap, BTreeSet};

/// Everything in the document with its pointer.
fn walk<'v>(value: &'v Value, pointer: String, see: &mut impl FnMut(&str, &'v Value)) {
    see(&pointer, value);
    let escape = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| walk(member, format!("{pointer}/{}", escape(name)), see)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| walk(item, format!("{pointer}/{index}"), see)),
        _ => {}
    }
}

fn follow(value: &'static Value) -> &'static Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => Document::shared().open.pointer(reference.trim_start_matches('#')).expect("a reference that leads somewhere"),
        None => value,
    }
}

#[test]
fn the_codes_are_those_of_the_error_table() {
    let named = &Document::shared().open["components"]["schemas"]["ProblemCode"]["enum"];
    let named: BTreeSet<&str> = named.as_array().expect("an enum").iter().filter_map(Value::as_str).collect();
    let known: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(named, known);
}

#[test]
fn each_code_is_named_by_an_answer_of_its_status() {
    let mut named = BTreeSet::new();
    for (_, _, operation) in Document::shared().operations() {
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let description = follow(response)["description"].as_str().expect("a description");
            let codes = Code::ALL.iter().filter(|code| description.contains(&format!("`{}`", code.as_str())));
            for code in codes.filter(|_| status.starts_with(['4', '5'])) {
                assert_eq!(*status, code.status().to_string(), "{} in {}", code.as_str(), operation["operationId"]);
                named.insert(code.as_str());
            }
        }
    }
    // Any path answers these two where no operation does.
    named.extend(["method_not_allowed"]);
    let silent: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).filter(|code| !named.contains(code)).collect();
    assert!(silent.is_empty(), "no operation names {silent:?}");
}

#[test]
fn every_example_is_valid() {
    let document = Document::shared();
    let mut media = Vec::new();
    walk(&document.open, String::new(), &mut |pointer, value| {
        if value.get("schema").is_some() && value.get("examples").is_some() {
            media.push((pointer.to_owned(), value));
        }
    });
    assert!(media.len() > 100, "only {} places with examples", media.len());
    for (pointer, place) in media {
        for (name, example) in place["examples"].as_object().expect("named examples") {
            let value = &follow(example)["value"];
            document.validate(&format!("{pointer}/schema"), value).unwrap_or_else(|error| panic!("{pointer}: {name}: {error}"));
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_nothing_lies_about_unused() {
    let document = &Document::shared().open;
    let mut used = BTreeSet::new();
    walk(document, String::new(), &mut |pointer, value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').unwrap_or_else(|| panic!("{pointer} leads out of the document"));
            assert!(document.pointer(target).is_some(), "{pointer} leads nowhere: {reference}");
            used.insert(target.to_owned());
        }
    });
    for (kind, members) in document["components"].as_object().expect("components") {
        for name in members.as_object().expect("members").keys().filter(|_| kind != "securitySchemes") {
            assert!(used.contains(&format!("/components/{kind}/{name}")), "nothing uses the {kind} {name}");
        }
    }
}

#[test]
fn it_names_no_other_host() {
    let mut urls = Vec::new();
    walk(&Document::shared().open, String::new(), &mut |pointer, value| {
        // A page of the organiser's own, which nobody has (RFC 2606).
        if let Some(text) = value.as_str().filter(|text| text.replace("://forum.example.org/", "").contains("://")) {
            urls.push(format!("{pointer}: {text}"));
        }
    });
    assert!(urls.is_empty(), "{urls:?}");
}

on_both! {
    async fn it_is_served_as_it_stands(app: App) {
        let yaml = app.get("/openapi.yaml").send().await.expect(200);
        assert_eq!((yaml.text.as_str(), yaml.media_type().as_deref()), (OPENAPI_YAML, Some("application/yaml")));
        let json = app.get("/openapi.json").send().await.expect(200);
        assert_eq!((&json.json, json.media_type().as_deref()), (&Document::shared().open, Some("application/json")));
    }

    async fn each_path_answers_its_methods_and_no_others(app: App) {
        let mut paths: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (method, path, _) in Document::shared().operations() {
            paths.entry(path).or_default().insert(method.to_string());
        }
        let id = app.state().new_id().to_string();
        for (template, methods) in paths {
            let path: Vec<&str> = template.split('/').map(|piece| if piece.starts_with('{') { &id } else { piece }).collect();
            let unheard_of = Method::from_bytes(b"REPORT").expect("a method");
            let refused = app.call(unheard_of, path.join("/")).send().await.problem(405, "method_not_allowed");
            let allowed: BTreeSet<String> = refused.header("allow").expect("Allow").split(", ").map(str::to_owned).collect();
            assert_eq!(allowed, methods, "{template}");
        }
    }

    async fn the_page_that_shows_it_needs_no_network(app: App) {
        assert_eq!(app.get("/docs").send().await.expect(308).header("location"), Some("/docs/"));
        let page = app.get("/docs/").send().await.expect(200);
        assert_eq!(page.media_type().as_deref(), Some("text/html"));
        let policy = page.header("content-security-policy").expect("a policy that forbids other hosts");
        assert!(policy.starts_with("default-src 'self'") && !policy.contains("http") && !policy.contains('*'), "{policy}");
        let mut assets = 0;
        for attribute in ["src=\"", "href=\""] {
            for piece in page.text.split(attribute).skip(1) {
                let address = piece.split('"').next().expect("a quote");
                assert!(!address.contains("//"), "the page loads {address}");
                let asset = app.get(format!("/docs/{}", address.trim_start_matches("./"))).send().await.expect(200);
                assert!(!asset.text.contains("@import") && !asset.text.contains("url(http"), "{address} loads more");
                assets += 1;
            }
        }
        assert!(assets >= 4, "only {assets} assets in {}", page.text);
        assert!(app.get("/docs/swagger-initializer.js").send().await.expect(200).text.contains("/openapi.json"));
        app.get("/docs/nothing.js").send().await.expect(404);
        app.get("/docs/../Cargo.toml").send().await.expect(404);
    }
}
