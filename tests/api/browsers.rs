//! Pages of other origins: only those that the operator names may call, and no origin is ever just reflected.

use crate::support::*;
use reqwest::Method;

const APP: &str = "https://app.example.org";

async fn server() -> App {
    App::on_sqlite_with(|config| config.allowed_origins = vec![APP.to_owned(), "http://localhost:5173".to_owned()]).await
}

fn list(answer: &Answer, header: &str) -> Vec<String> {
    let mut names: Vec<String> = answer.header(header).unwrap_or_default().split(',').map(|name| name.trim().to_lowercase()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_origin_may_call() {
    let app = server().await;
    for origin in [APP, "http://localhost:5173"] {
        let answer = app.get("/v1/events").header("origin", origin).send().await.expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert!(answer.header("vary").is_some_and(|vary| vary.to_lowercase().contains("origin")));
        let exposed = list(&answer, "access-control-expose-headers");
        for header in ["content-disposition", "etag", "link", "location", "retry-after", "x-request-id"] {
            assert!(exposed.contains(&header.to_owned()), "{header} is not exposed: {exposed:?}");
        }
        // Refusals too, or a page could not tell why.
        let refused = app.get("/v1/me").header("origin", origin).send().await.problem(401, "unauthenticated");
        assert_eq!(refused.header("access-control-allow-origin"), Some(origin));
        // Tokens come in a header and never from a cookie.
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_origin_may_ask_first() {
    let app = server().await;
    let headers = "authorization,content-type,if-match,if-none-match,accept";
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        let call = app.call(Method::OPTIONS, "/v1/events/x").header("origin", APP).header("access-control-request-method", method);
        let answer = call.header("access-control-request-headers", headers).send().await.expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
        assert!(list(&answer, "access-control-allow-methods").contains(&method.to_lowercase()));
        let allowed = list(&answer, "access-control-allow-headers");
        assert!(headers.split(',').all(|header| allowed.contains(&header.to_owned())), "{allowed:?}");
    }
    let call = app.call(Method::OPTIONS, "/v1/events/x").header("origin", APP).header("access-control-request-method", "GET");
    let refused = call.header("access-control-request-headers", "x-evil").send().await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (400, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_origins_are_not_let_in() {
    for app in [server().await, App::on_sqlite().await] {
        for origin in [
            "https://evil.example",
            "null",
            "http://app.example.org",
            "https://app.example.org.evil.example",
            "https://xapp.example.org",
            "https://app.example.org:8443",
            "https://APP.example.org",
        ] {
            let answer = app.get("/livez").header("origin", origin).send().await;
            assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
            let call = app.call(Method::OPTIONS, "/v1/events").header("origin", origin).header("access-control-request-method", "POST");
            assert_eq!(call.send().await.header("access-control-allow-origin"), None, "{origin}");
        }
        // Whoever is no page is not concerned.
        app.get("/livez").send().await.expect(200);
    }
}
