//! Bad input at the door: a stable code, a pointer, and nothing written, on both databases.

use crate::support::*;
use reqwest::Method;

const SIGN_UP: &str = "/v1/auth/signup";

fn form() -> Value {
    json!({ "email": "anna@example.org", "password": "wooden horse by the fjord", "name": "Anna" })
}

/// Sends the body as it is and expects a problem with these errors; nobody may have signed up.
async fn refused(app: &App, body: impl Into<Vec<u8>>, status: u16, code: &str, errors: &[&str]) {
    let body = body.into();
    let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    let answer = app.post(SIGN_UP).body("application/json", body).send().await.problem(status, code);
    assert_eq!(answer.errors(), errors, "{shown}");
    assert_eq!(app.count("users").await, 0, "{shown}");
}

on_both! {
    async fn bodies_that_are_not_json(app: App) {
        let malformed = |text: &'static [u8]| text;
        for body in [
            malformed(b"{"),
            b"{\"email\": \"anna@example.org\",}",
            b"{} {}",
            b"{\"name\": NaN}",
            b"{'name': 'Anna'}",
            b"{\"name\": \"An\nna\"}",
            b"{\"name\": \"Ann\xff\"}",
            b"{\"name\": \"\xed\xa0\x80\"}",
            b"{\"name\": \"\\ud800\"}",
            b"{\"name\": \"\\x41\"}",
            b"\xef\xbb\xbf{}",
            b"\xfe\xff\x00{\x00}",
            b"{\"name\": 1e999}",
            b"\0",
            b"// comment\n{}",
        ] {
            refused(&app, body, 400, "malformed_body", &[" malformed_body"]).await;
        }
        refused(&app, "", 400, "malformed_body", &[" required"]).await;
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        refused(&app, deep, 400, "malformed_body", &[" malformed_body"]).await;
    }

    async fn keys_that_are_given_twice(app: App) {
        refused(&app, r#"{"name": "A", "email": "a@b.org", "name": "B"}"#, 400, "duplicate_key", &["/name duplicate_key"]).await;
        refused(&app, r#"{"a": [0, {"x~/y": 1, "x~\u002fy": 2}]}"#, 400, "duplicate_key", &["/a/1/x~0~1y duplicate_key"]).await;
        // Also where the value would be refused anyway, and where the second is the same.
        refused(&app, r#"{"more": 1, "more": 1}"#, 400, "duplicate_key", &["/more duplicate_key"]).await;
    }

    async fn bodies_that_break_the_schema(app: App) {
        let cases: &[(Value, &[&str])] = &[
            (json!([]), &[" wrong_type"]),
            (json!(null), &[" wrong_type"]),
            (json!("anna"), &[" wrong_type"]),
            (json!({}), &["/email required", "/name required", "/password required"]),
            (overlay(form(), json!({ "role": "owner", "a/b~c": 1 })), &["/a~1b~0c unknown_field", "/role unknown_field"]),
            (overlay(form(), json!({ "id": "019c1db0-01c0-73f7-bdf5-37c46724392c" })), &["/id unknown_field"]),
            (overlay(form(), json!({ "name": 7 })), &["/name wrong_type"]),
            (overlay(form(), json!({ "name": ["Anna"] })), &["/name wrong_type"]),
            (overlay(form(), json!({ "name": "" })), &["/name pattern", "/name too_short"]),
            (overlay(form(), json!({ "name": "   " })), &["/name pattern"]),
            (overlay(form(), json!({ "name": "A\u{0}nna" })), &["/name null_character"]),
            (overlay(form(), json!({ "name": "Anna\nEvil: header" })), &["/name pattern"]),
            (overlay(form(), json!({ "name": "n".repeat(201) })), &["/name too_long"]),
            (overlay(form(), json!({ "password": "1234567" })), &["/password too_short"]),
            (overlay(form(), json!({ "password": "p".repeat(257) })), &["/password too_long"]),
            (overlay(form(), json!({ "password": "\u{0}wooden horse" })), &["/password null_character"]),
            (overlay(form(), json!({ "email": "anna" })), &["/email format"]),
            (overlay(form(), json!({ "email": format!("{}@example.org", "a".repeat(300)) })), &["/email format", "/email too_long"]),
        ];
        for (body, errors) in cases {
            refused(&app, body.to_string(), 422, "invalid_body", errors).await;
        }
        // Characters are counted, not bytes; and what is right is taken.
        let longest = overlay(form(), json!({ "name": "Å".repeat(200), "password": "ø".repeat(256) }));
        app.post(SIGN_UP).json(&longest).send().await.expect(201);
    }

    async fn secrets_are_not_sent_back(app: App) {
        for password in [json!("geheim"), json!(123_456_789), json!({ "geheim": 1 }), json!("geheim\u{0}geheim")] {
            let answer = app.post(SIGN_UP).json(&overlay(form(), json!({ "password": password }))).send().await.problem(422, "invalid_body");
            assert!(!answer.text.contains("geheim") && !answer.text.contains("123456789"), "{}", answer.text);
        }
    }

    async fn answers_stay_small_whatever_was_sent(app: App) {
        let key = "k".repeat(30_000);
        app.post(SIGN_UP).json(&overlay(form(), json!({ key.clone(): 1 }))).send().await.problem(422, "invalid_body");
        app.post(SIGN_UP).body("application/json", format!(r#"{{"{key}": 1, "{key}": 2}}"#)).send().await.problem(400, "duplicate_key");
        let many: String = (0..3000).map(|number| format!(r#""k{number}": 1,"#)).collect();
        let answer = app.post(SIGN_UP).body("application/json", format!("{{{many} \"x\": 1}}")).send().await.problem(422, "invalid_body");
        assert!(answer.bytes.len() < 10_000, "{} bytes", answer.bytes.len());
        let unknown: Vec<String> = (0..500).map(|number| format!("p{number}=1")).collect();
        let answer = app.get(format!("/livez?{}", unknown.join("&"))).send().await.problem(400, "invalid_parameter");
        assert!(answer.bytes.len() < 20_000, "{} bytes", answer.bytes.len());
        for name in ["n".repeat(5000), "%00%0d%0a".to_owned()] {
            app.get(format!("/livez?{name}=1")).send().await.problem(400, "invalid_parameter");
        }
    }

    async fn bodies_that_are_too_large(app: App) {
        let large = overlay(form(), json!({ "name": "n".repeat(70_000) })).to_string();
        refused(&app, large.clone(), 413, "body_too_large", &[]).await;
        app.post(SIGN_UP).body("application/json", large).chunked().send().await.problem(413, "body_too_large");
        // To the byte: white space fills it up.
        let mut fits = form().to_string();
        fits.push_str(&" ".repeat(65_536 - fits.len()));
        refused(&app, format!("{fits} "), 413, "body_too_large", &[]).await;
        app.post(SIGN_UP).body("application/json", fits).chunked().send().await.expect(201);
    }

    async fn bodies_of_another_type(app: App) {
        let body = form().to_string();
        for content_type in
            ["text/plain", "text/json", "application/xml", "application/json, text/plain", "application/merge-patch+json",
             "application/json; charset=iso-8859-1", "application/x-www-form-urlencoded", "json", "", "é"]
        {
            app.post(SIGN_UP).body(content_type, body.clone()).send().await.problem(415, "unsupported_media_type");
        }
        for encoding in ["gzip", "br", "deflate, gzip", "x"] {
            let call = app.post(SIGN_UP).json(&form()).header("content-encoding", encoding);
            call.send().await.problem(415, "unsupported_media_type");
        }
        let anna = {
            let call = app.post(SIGN_UP).body("Application/JSON ; Charset=\"UTF-8\"", body).header("content-encoding", "identity");
            call.send().await.expect(201);
            app.log_in("anna@example.org", "wooden horse by the fjord").await.expect(200).json
        };
        let token = anna["accessToken"].as_str().expect("a token");
        let patch = app.patch("/v1/me").token(token).json(&json!({ "name": "Hanna" }));
        patch.send().await.problem(415, "unsupported_media_type");
        assert_eq!(app.get("/v1/me").token(token).send().await.expect(200).json["name"], "Anna");
    }

    async fn numbers_at_their_limits(app: App) {
        let anna = app.user("Anna").await;
        let event = app.event(&anna, json!({})).await;
        let path = format!("/v1/events/{}/rooms", event.as_id());
        let room = |capacity: &str| format!(r#"{{"name": "Hall", "capacity": {capacity}}}"#);
        let cases = [
            ("-1", "out_of_range"),
            ("1000001", "out_of_range"),
            ("2147483648", "out_of_range"),
            ("9223372036854775808", "out_of_range"),
            ("-9223372036854775809", "out_of_range"),
            ("1e300", "out_of_range"),
            ("1.5", "wrong_type"),
            ("0.1e-300", "wrong_type"),
            ("\"7\"", "wrong_type"),
            ("true", "wrong_type"),
            ("[]", "wrong_type"),
        ];
        for (capacity, code) in cases {
            let answer = app.post(&path).token(&anna.token).body("application/json", room(capacity)).send().await;
            assert_eq!(answer.problem(422, "invalid_body").errors(), [format!("/capacity {code}")], "{capacity}");
        }
        assert_eq!(app.count("rooms").await, 0);
        for capacity in ["0", "1000000"] {
            let answer = app.post(&path).token(&anna.token).body("application/json", room(capacity)).send().await.expect(201);
            assert_eq!(answer.json["capacity"].to_string(), capacity);
        }
    }

    async fn parameters_that_are_wrong(app: App) {
        let cases = [
            ("limit=0", "limit out_of_range"),
            ("limit=201", "limit out_of_range"),
            ("limit=-1", "limit out_of_range"),
            ("limit=99999999999999999999", "limit wrong_type"),
            ("limit=1.0", "limit wrong_type"),
            ("limit=", "limit wrong_type"),
            ("limit=ten", "limit wrong_type"),
            ("limit=%201", "limit wrong_type"),
            ("limit=1&limit=1", "limit duplicate"),
            ("q=a&q=b", "q duplicate"),
            ("Limit=1", "Limit unknown_parameter"),
            ("limit[]=1", "limit[] unknown_parameter"),
            ("offset=1", "offset unknown_parameter"),
            ("=1", " unknown_parameter"),
            ("q=", "q too_short"),
            ("q=%00", "q null_character"),
            ("q=a%0Ab", "q pattern"),
            ("sort=size", "sort enum"),
            ("sort=", "sort enum"),
            ("status=Published", "status enum"),
            ("organisationId=7", "organisationId too_short"),
            ("organisationId=019c1db0-01c0-73f7-bdf5-37c46724392x", "organisationId format"),
            ("cursor=a%20b", "cursor pattern"),
        ];
        for (query, wanted) in cases {
            let answer = app.get(format!("/v1/events?{query}")).send().await.problem(400, "invalid_parameter");
            assert!(answer.errors().iter().any(|error| error == wanted), "{query}: {:?}", answer.errors());
            assert!(answer.json["errors"].as_array().is_some_and(|errors| errors.iter().all(|error| error["in"] == "query")), "{query}");
        }
        for query in ["q=%FF", "q=%C3", "%FF=1", "q=%ED%A0%80", "limit=1%FF"] {
            app.get(format!("/v1/events?{query}")).send().await.problem(400, "invalid_parameter");
        }
        // The replacement sign itself may be looked for.
        app.get("/v1/events?q=%EF%BF%BD").send().await.expect(200);
        app.get("/v1/events?").send().await.expect(200);
        let both = app.get("/v1/events?limit=0&sort=x&more=1").send().await.problem(400, "invalid_parameter");
        assert_eq!(both.json["errors"].as_array().map(Vec::len), Some(3), "{}", both.text);
    }

    async fn paths_and_headers_that_are_wrong(app: App) {
        let anna = app.user("Anna").await;
        for id in ["7", "019c1db001c073f7bdf537c46724392c", "%7B019c1db0-01c0-73f7-bdf5-37c46724392c%7D", "a%20b", "%00", "'", "..%2F.."] {
            let answer = app.get(format!("/v1/sessions/{id}")).send().await.problem(400, "invalid_parameter");
            assert_eq!((&answer.json["errors"][0]["in"], &answer.json["errors"][0]["name"]), (&json!("path"), &json!("session")), "{id}");
        }
        app.get("/v1/sessions/%FF").send().await.problem(400, "invalid_parameter");
        // Unlike a slug of an event that isn't there.
        app.get("/v1/events/no-such-event").send().await.problem(404, "not_found");
        app.get("/v1/events/019C1DB0-01C0-73F7-BDF5-37C46724392C").send().await.problem(404, "not_found");
        for tag in ["v1", "\"v1", "\"a\" \"b\"", "v1, \"v1\""] {
            let answer = app.get("/v1/events").header("if-none-match", tag).send().await.problem(400, "invalid_parameter");
            assert_eq!((&answer.json["errors"][0]["in"], &answer.json["errors"][0]["name"]), (&json!("header"), &json!("If-None-Match")), "{tag}");
        }
        let event = app.event(&anna, json!({})).await;
        let patch = || app.patch(format!("/v1/events/{}", event.as_id())).token(&anna.token).merge(&json!({ "name": "Other" }));
        patch().send().await.problem(428, "precondition_required");
        patch().if_match("v1").send().await.problem(400, "invalid_parameter");
        patch().if_match("\"v2\"").send().await.problem(412, "version_mismatch");
        patch().if_match("W/\"v1\"").send().await.problem(412, "version_mismatch");
        let same = app.get(format!("/v1/events/{}", event.as_id())).send().await.expect(200);
        assert_eq!(same.json, event);
    }

    async fn paths_and_methods_that_do_not_exist(app: App) {
        for path in ["/", "/v1", "/v1/", "/v1/events/", "/v2/events", "/v1/events/x/y", "/v1/Events", "//livez", "/livez/", "/v1/sessions/%2e%2e/livez"] {
            app.get(path).send().await.problem(404, "not_found");
        }
        for (method, path, allow) in [
            (Method::DELETE, SIGN_UP, "POST"),
            (Method::GET, SIGN_UP, "POST"),
            (Method::POST, "/livez", "GET"),
            (Method::PUT, "/v1/events", "GET, POST"),
            (Method::TRACE, "/v1/events", "GET, POST"),
        ] {
            let answer = app.call(method, path).send().await.problem(405, "method_not_allowed");
            let mut allowed: Vec<&str> = answer.header("allow").expect("Allow").split(", ").collect();
            allowed.sort_unstable();
            assert_eq!(allowed.join(", "), allow, "{path}");
        }
    }

    async fn forged_tokens_have_one_answer(app: App) {
        let anna = app.user("Anna").await;
        let pieces: Vec<&str> = anna.token.split('.').collect();
        let [head, claims, seal] = pieces[..] else { panic!("a JWT has three parts") };
        let other = App::on_sqlite().await.user("Anna").await;
        // {"alg":"none","typ":"at+jwt"}, and the same with HS256.
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0";
        let hs256 = "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9";
        let turned: String = seal.chars().rev().collect();
        let authorizations = [
            String::new(),
            "Bearer".into(),
            "Bearer ".into(),
            "Bearer x".into(),
            "Bearer ..".into(),
            format!("Basic {}", anna.token),
            format!("Token {}", anna.token),
            anna.token.clone(),
            format!("Bearer {} {}", anna.token, anna.token),
            format!("Bearer {head}.{claims}."),
            format!("Bearer {head}.{claims}"),
            format!("Bearer {head}.{claims}.{turned}"),
            format!("Bearer {none}.{claims}."),
            format!("Bearer {none}.{claims}.{seal}"),
            format!("Bearer {hs256}.{claims}.{seal}"),
            format!("Bearer {}", anna.refresh_token),
            format!("Bearer {}", other.token),
            format!("Bearer {}", "a".repeat(8000)),
            format!("Bearer {}é", anna.token),
        ];
        let mut answers = Vec::new();
        for authorization in &authorizations {
            // Where signing in is needed, and where it is not.
            for path in ["/v1/me", "/v1/events"] {
                answers.push(app.get(path).header("authorization", authorization).send().await.problem(401, "unauthenticated"));
            }
        }
        answers.push(app.get("/v1/me").send().await.problem(401, "unauthenticated"));
        for answer in &mut answers {
            answer.json["instance"].take();
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
        assert!(answers.iter().all(|answer| answer.json == answers[0].json), "{:?}", answers.iter().map(|answer| &answer.text).collect::<Vec<_>>());
        app.get("/v1/me").header("authorization", &format!("bearer  {}", anna.token)).send().await.expect(200);
        app.token_clock.set(app.token_clock.now().plus_secs(600 + 6));
        app.get("/v1/me").token(&anna.token).send().await.problem(401, "unauthenticated");
    }

    async fn the_first_thing_that_is_wrong_answers(app: App) {
        let anna = app.user("Anna").await;
        // Method, then token, then parameters, then body.
        app.put("/v1/organisations?x=1").token("x").json(&json!({})).send().await.problem(405, "method_not_allowed");
        app.post("/v1/organisations?x=1").token("x").json(&json!({})).send().await.problem(401, "unauthenticated");
        app.post("/v1/organisations?x=1").token(&anna.token).json(&json!({})).send().await.problem(400, "invalid_parameter");
        app.post("/v1/organisations").token(&anna.token).body("text/plain", "{").send().await.problem(415, "unsupported_media_type");
        app.post("/v1/organisations").token(&anna.token).json(&json!({})).send().await.problem(422, "invalid_body");
        assert_eq!(app.count("organisations").await, 0);
    }
}

/// Sends what it is given over a bare connection; the answer, once the server has closed it.
fn raw(app: &App, pieces: &[&str]) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(app.address.trim_start_matches("http://")).expect("a connection");
    stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).expect("a timeout");
    for piece in pieces {
        stream.write_all(piece.as_bytes()).expect("a piece");
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer and its end");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_does_not_arrive_is_given_up() {
    let app = App::on_sqlite_with(|config| (config.head_timeout_secs, config.body_timeout_secs) = (1, 1)).await;
    let head = "POST /v1/auth/signup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n";
    let answer = raw(&app, &[head, "{\"name\":"]);
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"code\":\"request_timeout\""), "{answer}");
    let answer = raw(&app, &["GET /livez HTTP/1.1\r\nHost: x"]);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(app.count("users").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_that_is_too_large_is_refused_before_the_body() {
    let app = App::on_sqlite().await;
    let head = "POST /v1/auth/signup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000000000\r\n\r\n";
    let answer = raw(&app, &[head]);
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("\"code\":\"body_too_large\""), "{answer}");
}
