//! Who may ask how often, and what answers tell of it.

use crate::support::*;
use plenary::config::Config;
use reqwest::Method;

fn policies(answer: &Answer) -> Option<&str> {
    answer.header("ratelimit-policy")
}

fn standing(answer: &Answer) -> Option<&str> {
    answer.header("ratelimit")
}

/// Holds a refusal against its headers: who waits as long as it says comes back at the right time.
fn refused(answer: Answer, policy: &str, secs: u32) -> Answer {
    let answer = answer.problem(429, "too_many_requests");
    assert_eq!(answer.header("retry-after"), Some(&*secs.to_string()), "{}", answer.text);
    let last = standing(&answer).and_then(|standing| standing.split(", ").last());
    assert_eq!(last, Some(&*format!("\"{policy}\";r=0;t={secs}")));
    answer
}

fn registrations(session: &Value) -> String {
    format!("/v1/sessions/{}/registrations", session.as_id())
}

async fn log_in(app: &App, email: &str, password: &str, from: &str) -> Answer {
    app.post("/v1/auth/login").header("x-forwarded-for", from).json(&json!({ "email": email, "password": password })).send().await
}

async fn sign_up(app: &App, name: &str, from: &str) -> Answer {
    let body = json!({ "email": format!("{name}@example.org"), "password": PASSWORD, "name": name });
    app.post("/v1/auth/signup").header("x-forwarded-for", from).json(&body).send().await
}

fn behind_a_proxy(config: &mut Config) {
    config.trusted_proxies = vec!["127.0.0.1".into(), "10.0.0.0/8".into()];
}

on_both! {
    async fn answers_name_the_quota_they_count_towards(app: App, |config| {
        config.limit_requests_per_user_minute = 600;
        config.limit_requests_per_address_minute = 60;
        config.limit_bookings_per_user_minute = 6;
    }) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        let session = app.session(&anna, &event, json!({ "capacity": 0, "waitlist": null })).await;
        let read = app.get(format!("/v1/events/{}", event.as_id())).send().await.expect(200);
        assert_eq!((policies(&read), standing(&read)), (Some("\"address\";q=60;w=60"), Some("\"address\";r=59;t=1")));
        let read = app.get(format!("/v1/events/{}", event.as_id())).send().await.expect(200);
        assert_eq!(standing(&read), Some("\"address\";r=58;t=2"));
        let unmodified = app.get(format!("/v1/events/{}", event.as_id())).if_none_match(&read.etag()).send().await.expect(304);
        assert_eq!(standing(&unmodified), Some("\"address\";r=57;t=3"));
        let me = app.get("/v1/me").token(&anna.token).send().await.expect(200);
        assert_eq!((policies(&me), standing(&me)), (Some("\"user\";q=600;w=60"), Some("\"user\";r=596;t=1")));
        let book = app.post(registrations(&session)).token(&anna.token).send().await.problem(409, "session_full");
        assert_eq!((policies(&book), standing(&book)), (Some("\"booking\";q=6;w=60"), Some("\"booking\";r=5;t=10")));
        // Refusals tell it too.
        for (answer, status) in [
            (app.get("/v1/me").token("nobody's").send().await, 401),
            (app.get("/v1/events/nowhere").send().await, 404),
            (app.get("/v1/events?limit=0").send().await, 400),
            (app.post("/v1/auth/refresh").json(&json!({})).send().await, 422),
        ] {
            assert!(standing(&answer.expect(status)).expect("a standing").starts_with("\"address\";r="), "{status}");
        }
        for probe in ["/livez", "/readyz"] {
            assert_eq!(standing(&app.get(probe).send().await.expect(200)), None);
        }
    }

    async fn no_limit_tells_nothing(app: App, |config| {
        config.limit_requests_per_user_minute = 0;
        config.limit_requests_per_address_minute = 0;
    }) {
        let anna = app.user("anna").await;
        for answer in [app.get("/v1/events").send().await, app.get("/v1/me").token(&anna.token).send().await] {
            let answer = answer.expect(200);
            assert_eq!((policies(&answer), standing(&answer)), (None, None));
        }
    }

    async fn bookings_are_limited_by_user_and_never_by_address(app: App, |config| {
        config.limit_bookings_per_user_minute = 3;
        config.limit_requests_per_address_minute = 40;
    }) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        let session = app.session(&anna, &event, json!({ "capacity": 50 })).await;
        let book = |user: &User| app.post(registrations(&session)).token(&user.token).send();
        let seat = book(&anna).await.expect(201);
        book(&anna).await.expect(200);
        app.post(format!("/v1/registrations/{}/cancel", seat.json.as_id())).token(&anna.token).send().await.expect(200);
        let rows = app.count("registrations").await;
        refused(book(&anna).await, "booking", 20);
        app.post(format!("/v1/registrations/{}/cancel", seat.json.as_id())).token(&anna.token).send().await.problem(429, "too_many_requests");
        assert_eq!(app.count("registrations").await, rows);
        app.get("/v1/me").token(&anna.token).send().await.expect(200);
        // A whole venue is one address.
        for number in 0..5 {
            let somebody = app.user(&format!("somebody{number}")).await;
            for _ in 0..3 {
                assert!(book(&somebody).await.status < 300);
            }
        }
        app.advance_secs(19);
        refused(book(&anna).await, "booking", 1);
        app.advance_secs(1);
        book(&anna).await.expect(201);
    }

    async fn requests_are_limited_by_user_or_address(app: App, |config| {
        behind_a_proxy(config);
        config.limit_requests_per_user_minute = 2;
        config.limit_requests_per_address_minute = 3;
    }) {
        let (anna, bo) = (app.user("anna").await, app.user("bo").await);
        let me = |user: &User| app.get("/v1/me").token(&user.token).header("x-forwarded-for", "198.51.100.1").send();
        let events = |from: &str| app.get("/v1/events").header("x-forwarded-for", from).send();
        for _ in 0..2 {
            me(&anna).await.expect(200);
            me(&bo).await.expect(200);
        }
        refused(me(&anna).await, "user", 30);
        for _ in 0..3 {
            events("198.51.100.1").await.expect(200);
        }
        refused(events("198.51.100.1").await, "address", 20);
        events("198.51.100.2").await.expect(200);
        // One host has a /64 of its own.
        for host in 1..=3 {
            events(&format!("2001:db8::{host}")).await.expect(200);
        }
        refused(events("2001:db8::4").await, "address", 20);
        events("2001:db8:0:1::1").await.expect(200);
    }

    async fn guessed_tokens_count_too(app: App, |config| config.limit_requests_per_address_minute = 3) {
        for _ in 0..3 {
            app.get("/v1/me").token("guessed").send().await.problem(401, "unauthenticated");
        }
        refused(app.get("/v1/me").token("guessed").send().await, "address", 20);
        refused(app.get("/v1/me").send().await, "address", 20);
        app.user("anna").await;
    }

    async fn the_address_is_not_what_anybody_says(app: App, |config| config.limit_requests_per_address_minute = 2) {
        let events = |said: &str| app.get("/v1/events").header("x-forwarded-for", said).send();
        events("198.51.100.1").await.expect(200);
        events("198.51.100.2").await.expect(200);
        refused(events("198.51.100.3").await, "address", 30);
    }

    async fn trusted_proxies_say_the_address(app: App, |config| {
        behind_a_proxy(config);
        config.limit_requests_per_address_minute = 2;
    }) {
        let events = |said: &str| app.get("/v1/events").header("x-forwarded-for", said).send();
        for said in ["198.51.100.1", "203.0.113.7, 198.51.100.1, 10.0.0.9"] {
            events(said).await.expect(200);
        }
        // What the client wrote itself stands further left and is not read.
        refused(events("192.0.2.1, 198.51.100.1").await, "address", 30);
        refused(app.get("/v1/events").header("x-forwarded-for", "192.0.2.1").header("x-forwarded-for", "198.51.100.1").send().await, "address", 30);
        events("nonsense").await.expect(200);
        events("203.0.113.7").await.expect(200);
    }

    async fn guessing_a_password_is_slow(app: App, |config| {
        behind_a_proxy(config);
        config.limit_login_failures_per_hour = 3;
    }) {
        let (anna, bo) = (app.user("anna").await, app.user("bo").await);
        let (here, elsewhere) = ("198.51.100.1", "198.51.100.2");
        for email in [&anna.email, "nobody@example.org"] {
            for left in [2, 1, 0] {
                let wrong = log_in(&app, email, "wrong guess", here).await.problem(401, "invalid_credentials");
                let standing = standing(&wrong).expect("a standing").to_owned();
                assert!(standing.contains(&format!("\"login-failures\";r={left};")), "{standing}");
            }
            refused(log_in(&app, email, "wrong guess", here).await, "login-failures", 1200);
        }
        // Even the right one, or the last guess would tell.
        refused(log_in(&app, &anna.email.to_uppercase(), PASSWORD, here).await, "login-failures", 1200);
        log_in(&app, &anna.email, PASSWORD, elsewhere).await.expect(200);
        log_in(&app, &bo.email, PASSWORD, here).await.expect(200);
        app.advance_secs(1200);
        log_in(&app, &anna.email, PASSWORD, here).await.expect(200);
        for _ in 0..2 {
            log_in(&app, &anna.email, "wrong guess", here).await.problem(401, "invalid_credentials");
            log_in(&app, &anna.email, "wrong guess", here).await.problem(401, "invalid_credentials");
            log_in(&app, &anna.email, PASSWORD, here).await.expect(200);
        }
    }

    async fn an_account_is_not_closed_to_its_owner(app: App, |config| {
        behind_a_proxy(config);
        config.limit_logins_per_account_hour = 5;
    }) {
        let anna = app.user("anna").await;
        let home = "198.51.100.1";
        log_in(&app, &anna.email, PASSWORD, home).await.expect(200);
        for number in 0..3 {
            let guess = log_in(&app, &anna.email, "wrong guess", &format!("203.0.113.{number}")).await.problem(401, "invalid_credentials");
            assert!(!policies(&guess).expect("policies").contains("login-account"), "what others do is not told");
        }
        refused(log_in(&app, &anna.email, "wrong guess", "203.0.113.100").await, "login-account", 720);
        refused(log_in(&app, &anna.email, PASSWORD, "203.0.113.101").await, "login-account", 720);
        log_in(&app, &anna.email, PASSWORD, home).await.expect(200);
        app.post("/v1/auth/refresh").json(&json!({ "refreshToken": anna.refresh_token })).send().await.expect(200);
    }

    async fn sign_ins_are_limited_by_address(app: App, |config| {
        behind_a_proxy(config);
        config.limit_logins_per_address_minute = 2;
    }) {
        let here = "198.51.100.1";
        for number in 0..2 {
            log_in(&app, &format!("nobody{number}@example.org"), "wrong guess", here).await.problem(401, "invalid_credentials");
        }
        refused(log_in(&app, "nobody2@example.org", "wrong guess", here).await, "login-address", 30);
        log_in(&app, "nobody2@example.org", "wrong guess", "198.51.100.2").await.problem(401, "invalid_credentials");
        app.get("/v1/events").header("x-forwarded-for", here).send().await.expect(200);
    }

    async fn new_accounts_are_limited_by_address_and_account(app: App, |config| {
        behind_a_proxy(config);
        config.limit_signups_per_address_hour = 3;
        config.limit_signups_per_account_hour = 2;
    }) {
        sign_up(&app, "anna", "198.51.100.1").await.expect(201);
        sign_up(&app, "bo", "198.51.100.1").await.expect(201);
        sign_up(&app, "carla", "198.51.100.1").await.expect(201);
        refused(sign_up(&app, "dan", "198.51.100.1").await, "signup-address", 1200);
        sign_up(&app, "anna", "198.51.100.2").await.problem(409, "email_taken");
        refused(sign_up(&app, "anna", "198.51.100.3").await, "signup-account", 1800);
        refused(sign_up(&app, "ANNA", "198.51.100.4").await, "signup-account", 1800);
        sign_up(&app, "dan", "198.51.100.2").await.expect(201);
        assert_eq!(app.count("users").await, 4);
    }

    async fn browsers_may_send_the_key_and_read_the_limits(app: App, |config| {
        config.allowed_origins = vec!["https://app.example.org".into()];
        config.limit_requests_per_address_minute = 1;
    }) {
        let from = |call: Call| call.header("origin", "https://app.example.org");
        let asked = from(app.call(Method::OPTIONS, "/v1/organisations"))
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type,idempotency-key")
            .send()
            .await
            .expect(200);
        let allowed = asked.header("access-control-allow-headers").expect("headers").to_lowercase();
        assert!(["authorization", "content-type", "idempotency-key"].iter().all(|name| allowed.contains(name)), "{allowed}");
        let exposed = |answer: &Answer| {
            let exposed = answer.header("access-control-expose-headers").expect("headers").to_lowercase();
            let names: Vec<&str> = exposed.split(", ").flat_map(|names| names.split(',')).collect();
            for name in ["idempotency-replayed", "ratelimit", "ratelimit-policy", "retry-after"] {
                assert!(names.contains(&name), "{name} in {exposed}");
            }
        };
        exposed(&from(app.get("/v1/events")).send().await.expect(200));
        // A page must be able to read why it was refused.
        exposed(&refused(from(app.get("/v1/events")).send().await, "address", 60));
    }
}

#[test]
fn proxies_that_are_no_addresses_are_refused() {
    for wrong in ["proxy", "10.0.0.1/8", "10.0.0.0/33"] {
        let mut config = Config::for_database("sqlite:plenary.db");
        config.trusted_proxies = vec!["127.0.0.1".into(), wrong.into()];
        let sentence = config.check().expect_err(wrong).to_string();
        assert!(sentence.contains(wrong), "{sentence}");
    }
    let mut config = Config::for_database("sqlite:plenary.db");
    config.trusted_proxies = vec![String::new(), " 10.0.0.0/8".into(), "::1".into()];
    config.check().expect("addresses");
    assert_eq!(config.trusted_proxies().map(|network| network.to_string()).collect::<Vec<_>>(), ["10.0.0.0/8", "::1/128"]);
}
