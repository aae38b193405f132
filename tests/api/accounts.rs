//! Signing up and in, and the signed-in user.

use crate::support::*;

/// A body without what differs from request to request.
pub fn without_instance(answer: &Answer) -> Value {
    let mut body = answer.json.clone();
    body.as_object_mut().expect("a problem").remove("instance").expect("a problem names its request");
    body
}

fn sign_up(email: &str) -> Value {
    json!({ "email": email, "password": "wooden horse by the fjord", "name": "Anna Ås" })
}

async fn stored(app: &App, column: &'static str, email: &str) -> Option<String> {
    let statement: &'static str = format!("SELECT {column} FROM users WHERE email = $1").leak();
    app.db().query(statement).bind(email.to_owned()).optional_scalar().await.expect("a statement that runs")
}

on_both! {
    async fn a_user_signs_up_and_in_whatever_the_case_of_the_address(app: App) {
        let created = app.post("/v1/auth/signup").json(&sign_up("Anna.Smith@Example.ORG")).send().await.expect(201);
        assert_eq!(created.json["email"], "anna.smith@example.org");
        assert_eq!(created.json["name"], "Anna Ås");
        assert_eq!(created.json["createdAt"], "2026-03-02T08:00:00Z");
        assert_eq!(created.header("location"), Some("/v1/me"));
        assert!(!created.text.contains("wooden"));

        let hash = stored(&app, "password_hash", "anna.smith@example.org").await.expect("a user under the normalised address");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");

        let tokens = app.log_in("ANNA.smith@example.org", PASSWORD).await.expect(200);
        assert_eq!(tokens.header("cache-control"), Some("no-store"));
        assert_eq!(tokens.json["tokenType"], "Bearer");
        assert_eq!(tokens.json["expiresIn"], 600);
        let token = tokens.json["accessToken"].as_str().unwrap();
        let me = app.get("/v1/me").token(token).send().await.expect(200);
        assert_eq!(me.json["id"], created.json["id"]);
        assert_eq!(me.json["organisations"], json!([]));
        assert_eq!(me.etag(), created.etag(), "the tag of a create is good for the first change");
    }

    async fn an_address_has_one_account(app: App) {
        app.post("/v1/auth/signup").json(&sign_up("anna@example.org")).send().await.expect(201);
        for again in ["anna@example.org", "Anna@EXAMPLE.org"] {
            let taken = app.post("/v1/auth/signup").json(&sign_up(again)).send().await.problem(409, "email_taken");
            assert_eq!(taken.pointer(), "/email");
        }
        assert_eq!(app.count("users").await, 1);
        let at_once = (0..4).map(|_| app.post("/v1/auth/signup").json(&sign_up("bea@example.org")).send());
        let mut statuses: Vec<u16> = join_all(at_once).await.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409]);
    }

    async fn a_bad_sign_up_is_refused_with_its_place_and_writes_nothing(app: App) {
        let long = "x".repeat(257);
        let long_name = "x".repeat(201);
        let nul = "nul\u{0}nul nul";
        let cases: &[(&str, Value, &str)] = &[
            ("password", Value::Null, "/password required"),
            ("email", Value::Null, "/email required"),
            ("name", Value::Null, "/name required"),
            ("password", json!("7 chars"), "/password too_short"),
            ("password", json!(long), "/password too_long"),
            ("password", json!(12_345_678), "/password wrong_type"),
            ("email", json!("anna"), "/email format"),
            ("email", json!("anna@"), "/email format"),
            ("email", json!(" anna@example.org"), "/email format"),
            ("email", json!(["anna@example.org"]), "/email wrong_type"),
            ("name", json!(""), "/name too_short"),
            ("name", json!("   "), "/name pattern"),
            ("name", json!(long_name), "/name too_long"),
            ("name", json!("two\nlines"), "/name pattern"),
            ("role", json!("owner"), "/role unknown_field"),
            ("id", json!("019bb16e-fe80-78e1-b80b-d70ae0784c78"), "/id unknown_field"),
        ];
        for (member, value, wrong) in cases {
            let body = overlay(sign_up("anna@example.org"), json!({ *member: value }));
            let answer = app.post("/v1/auth/signup").json(&body).send().await.problem(422, "invalid_body");
            assert!(answer.errors().contains(&(*wrong).to_owned()), "{member}: {:?}", answer.errors());
            assert!(!answer.text.contains("7 chars"), "a password is never sent back");
        }
        for member in ["email", "name", "password"] {
            let body = overlay(sign_up("anna@example.org"), json!({ member: nul }));
            let answer = app.post("/v1/auth/signup").json(&body).send().await.problem(422, "invalid_body");
            assert_eq!(answer.pointer(), format!("/{member}"), "{}", answer.text);
        }
        let post = |content_type: &'static str, bytes: &[u8]| app.post("/v1/auth/signup").body(content_type, bytes).send();
        post("application/json", b"{\"email\": \"anna@example.org\"").await.problem(400, "malformed_body");
        post("application/json", b"{\"name\": \"\xFF\"}").await.problem(400, "malformed_body");
        let twice = post("application/json", b"{\"name\": \"a\", \"name\": \"b\"}").await.problem(400, "duplicate_key");
        assert_eq!(twice.pointer(), "/name");
        post("text/plain", b"{}").await.problem(415, "unsupported_media_type");
        post("application/json", &vec![b' '; 70_000]).await.problem(413, "body_too_large");
        assert_eq!(app.count("users").await, 0);
    }

    async fn a_common_password_or_ones_own_name_is_refused(app: App) {
        for (email, name, password) in [
            ("anna@example.org", "Anna", "Password1"),
            ("anna@example.org", "Anna", "qwertyuiop"),
            ("anna.smith@example.org", "Anna", "Anna.Smith@Example.org"),
            ("anna.smith@example.org", "Anna", "ANNA.smith"),
            ("anna@example.org", "Anna Smith", "anna smith"),
        ] {
            let body = json!({ "email": email, "name": name, "password": password });
            let weak = app.post("/v1/auth/signup").json(&body).send().await.problem(422, "weak_password");
            assert_eq!(weak.pointer(), "/password");
        }
        assert_eq!(app.count("users").await, 0);
    }

    async fn a_wrong_password_and_an_unknown_address_are_one_answer(app: App) {
        let anna = app.user("anna").await;
        let tokens = app.count("refresh_tokens").await;
        let wrong = app.log_in(&anna.email, "wooden horse by the Fjord").await.problem(401, "invalid_credentials");
        let unknown = app.log_in("nobody@example.org", PASSWORD).await.problem(401, "invalid_credentials");
        assert_eq!(without_instance(&wrong), without_instance(&unknown));
        assert_eq!(wrong.header("www-authenticate"), Some("Bearer"));
        for (body, wrong) in [
            (json!({ "email": anna.email }), "/password required"),
            (json!({ "email": anna.email, "password": "" }), "/password too_short"),
            (json!({ "email": "x", "password": "y" }), "/email format"),
            (json!({ "email": anna.email, "password": "y", "remember": true }), "/remember unknown_field"),
        ] {
            let answer = app.post("/v1/auth/login").json(&body).send().await.problem(422, "invalid_body");
            assert_eq!(answer.errors(), [wrong]);
        }
        assert_eq!(app.count("refresh_tokens").await, tokens, "no token was given");
    }

    async fn the_user_changes_their_name_and_nothing_else(app: App) {
        let anna = app.user("anna").await;
        let me = || app.get("/v1/me").token(&anna.token);
        let patch = |body: Value| app.patch("/v1/me").token(&anna.token).merge(&body);
        app.get("/v1/me").send().await.problem(401, "unauthenticated");
        app.patch("/v1/me").merge(&json!({ "name": "X" })).send().await.problem(401, "unauthenticated");

        let before = me().send().await.expect(200);
        me().if_none_match(&before.etag()).send().await.expect(304);
        app.advance_secs(60);
        assert_eq!(patch(json!({})).send().await.expect(200).json, before.json, "an empty patch changes nothing");

        let changed = patch(json!({ "name": "Anna Ås" })).if_match(&before.etag()).send().await.expect(200);
        assert_eq!(changed.json["name"], "Anna Ås");
        assert_eq!(changed.json["updatedAt"], "2026-03-02T08:01:00Z");
        assert_eq!(changed.json["createdAt"], before.json["createdAt"]);
        let after = me().send().await.expect(200);
        assert_eq!((&after.json, after.etag()), (&changed.json, changed.etag()));

        let stale = patch(json!({ "name": "Late" })).if_match(&before.etag()).send().await.problem(412, "version_mismatch");
        assert_eq!(stale.json["currentETag"], json!(after.etag()));
        for (body, wrong) in [
            (json!({ "email": "eve@example.org" }), "/email unknown_field"),
            (json!({ "name": null }), "/name wrong_type"),
            (json!({ "name": "" }), "/name too_short"),
            (json!({ "organisations": [] }), "/organisations unknown_field"),
        ] {
            let answer = patch(body).send().await.problem(422, "invalid_body");
            assert!(answer.errors().contains(&wrong.to_owned()), "{:?}", answer.errors());
        }
        app.patch("/v1/me").token(&anna.token).json(&json!({ "name": "X" })).send().await.problem(415, "unsupported_media_type");
        assert_eq!(me().send().await.expect(200).json, after.json);
    }

    async fn the_users_organisations_are_part_of_their_tag(app: App) {
        let anna = app.user("anna").await;
        let me = || app.get("/v1/me").token(&anna.token);
        let first = me().send().await.expect(200).etag();
        let organisation = app.organisation(&anna).await;
        let second = me().if_none_match(&first).send().await.expect(200);
        assert_eq!(second.json["organisations"][0]["id"], json!(organisation));
        assert_eq!(second.json["organisations"][0]["role"], "owner");
        let path = format!("/v1/organisations/{organisation}");
        app.patch(path).token(&anna.token).merge(&json!({ "name": "Renamed" })).send().await.expect(200);
        let third = me().if_none_match(&second.etag()).send().await.expect(200);
        assert_eq!(third.json["organisations"][0]["name"], "Renamed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_past_the_queue_are_refused_at_once() {
    let app = App::on_sqlite_with(|config| config.password_queue = 1).await;
    let anna = app.user("anna").await;
    let answers = join_all((0..12).map(|_| app.log_in(&anna.email, PASSWORD))).await;
    let (mut let_in, mut refused) = (0, 0);
    for answer in answers {
        match answer.status {
            200 => let_in += 1,
            _ => {
                assert_eq!(answer.header("retry-after"), Some("1"));
                answer.problem(503, "queue_full");
                refused += 1;
            }
        }
    }
    assert!(let_in >= 1 && refused >= 1, "{let_in} let in, {refused} refused");
    app.log_in(&anna.email, PASSWORD).await.expect(200);
}
