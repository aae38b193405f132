//! Tokens that work, tokens that don't any more, and tokens that never should.

use crate::{accounts::without_instance, support::*};
use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use plenary::auth::Tokens;

/// The server's own key, in the hands of whoever wants to see what else it accepts.
struct Forger {
    key: Ed25519KeyPair,
    kid: String,
    header: Value,
    claims: Value,
}

impl Forger {
    /// Knows all that a good token of this user says.
    async fn of(app: &App, user: &User) -> Self {
        let (kid, seed): (String, Vec<u8>) = app.db().query("SELECT kid, private_key FROM signing_keys").one().await.expect("one key");
        let [header, claims] = [0, 1].map(|part| part_of(&user.token, part));
        Self { key: Ed25519KeyPair::from_seed_unchecked(&seed).expect("a key"), kid, header, claims }
    }

    fn signed(&self, header: Value, claims: Value) -> String {
        let message = encoded(&header, &claims);
        let signature = self.key.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn header_with(&self, overrides: Value) -> String {
        self.signed(overlay(self.header.clone(), overrides), self.claims.clone())
    }

    fn claims_with(&self, overrides: Value) -> String {
        self.signed(self.header.clone(), overlay(self.claims.clone(), overrides))
    }
}

fn encoded(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn part_of(token: &str, part: usize) -> Value {
    let text = token.split('.').nth(part).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).expect("base64url")).expect("JSON")
}

async fn refresh(app: &App, token: &str) -> Answer {
    app.post("/v1/auth/refresh").json(&json!({ "refreshToken": token })).send().await
}

async fn log_out(app: &App, token: &str) {
    app.post("/v1/auth/logout").json(&json!({ "refreshToken": token })).send().await.expect(204);
}

fn refresh_token(answer: &Answer) -> String {
    answer.json["refreshToken"].as_str().expect("a refresh token").to_owned()
}

on_both! {
    async fn an_access_token_is_a_jwt_that_others_can_verify(app: App) {
        let anna = app.user("anna").await;
        let keys = app.get("/.well-known/jwks.json").send().await.expect(200);
        assert_eq!(keys.header("cache-control"), Some("public, max-age=300"));
        app.get("/.well-known/jwks.json").if_none_match(&keys.etag()).send().await.expect(304);
        let key = &keys.json["keys"][0];
        let named = [&key["kty"], &key["crv"], &key["alg"], &key["use"]];
        assert_eq!(named, ["OKP", "Ed25519", "EdDSA", "sig"]);

        assert_eq!(part_of(&anna.token, 0), json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": key["kid"] }));
        let claims = part_of(&anna.token, 1);
        let begun = app.clock.now().as_micros() / 1_000_000;
        assert_eq!([&claims["iss"], &claims["aud"], &claims["sub"]], ["http://localhost:8080", "http://localhost:8080", &*anna.id]);
        assert_eq!([&claims["iat"], &claims["nbf"], &claims["exp"]], [begun, begun, begun + 600]);
        assert!(claims["jti"].is_string());
        assert_eq!(claims.as_object().unwrap().len(), 7, "it carries only who it is");

        let x = URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap();
        let (message, signature) = anna.token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&ED25519, x).verify(message.as_bytes(), &signature).expect("a signature of the published key");
    }

    async fn every_bad_token_is_the_same_401(app: App) {
        let anna = app.user("anna").await;
        let forger = Forger::of(&app, &anna).await;
        let good = forger.signed(forger.header.clone(), forger.claims.clone());
        app.get("/v1/me").token(&good).send().await.expect(200);
        app.get("/v1/me").header("authorization", &format!("bEARER {good}")).send().await.expect(200);
        let nobody = app.get("/v1/me").send().await.problem(401, "unauthenticated");

        let public = forger.key.public_key().as_ref();
        let now = app.token_clock.now().as_micros() / 1_000_000;
        let unsigned = |alg: &str| format!("{}.", encoded(&overlay(forger.header.clone(), json!({ "alg": alg })), &forger.claims));
        let confused = |secret: &[u8]| {
            let message = encoded(&overlay(forger.header.clone(), json!({ "alg": "HS256" })), &forger.claims);
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
        };
        let own = Ed25519KeyPair::generate().unwrap();
        let own_jwk = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": URL_SAFE_NO_PAD.encode(own.public_key()) });
        let by_own_key = |overrides: Value| {
            let message = encoded(&overlay(forger.header.clone(), overrides), &forger.claims);
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(own.sign(message.as_bytes())))
        };
        let (body, signature) = good.rsplit_once('.').unwrap();
        let mut tampered = URL_SAFE_NO_PAD.decode(signature).unwrap();
        tampered[0] ^= 1;
        let other = overlay(forger.claims.clone(), json!({ "sub": "019bb16e-fe80-78e1-b80b-d70ae0784c78" }));

        let mut bad: Vec<(String, String)> = vec![
            ("no token at all".into(), " ".into()),
            ("a word".into(), "x".into()),
            ("two parts".into(), body.into()),
            ("four parts".into(), format!("{good}.x")),
            ("a refresh token".into(), anna.refresh_token.clone()),
            ("alg none".into(), unsigned("none")),
            ("alg None".into(), unsigned("None")),
            ("alg EdDSA, unsigned".into(), unsigned("EdDSA")),
            ("HS256 with the public key".into(), confused(public)),
            ("HS256 with the published text".into(), confused(URL_SAFE_NO_PAD.encode(public).as_bytes())),
            ("HS256 with nothing".into(), confused(b"")),
            ("a flipped bit".into(), format!("{body}.{}", URL_SAFE_NO_PAD.encode(&tampered))),
            ("somebody else's name".into(), format!("{}.{signature}", encoded(&forger.header, &other))),
            ("padding".into(), format!("{good}=")),
            ("a key of one's own".into(), by_own_key(json!({}))),
            ("a key of one's own in the header".into(), by_own_key(json!({ "jwk": own_jwk }))),
            ("a key of one's own to be fetched".into(), by_own_key(json!({ "jku": format!("{}/jwks.json", app.address) }))),
            ("critical extensions".into(), forger.header_with(json!({ "crit": ["b64"], "b64": false }))),
        ];
        for kid in [json!("../../etc/passwd"), json!("' OR 1=1 --"), json!(""), json!(null), json!(["x"]), json!(format!("{} ", forger.kid))] {
            bad.push((format!("kid {kid}"), forger.header_with(json!({ "kid": kid }))));
        }
        for typ in [json!("JWT"), json!("at+JWT "), json!("rt+jwt"), json!(null), json!(1)] {
            bad.push((format!("typ {typ}"), forger.header_with(json!({ "typ": typ }))));
        }
        for (claim, values) in [
            ("iss", vec![json!("https://evil.example"), json!(""), json!(["http://localhost:8080"]), json!(null)]),
            ("aud", vec![json!("https://evil.example"), json!([]), json!(["http://localhost:8080"]), json!(null)]),
            ("sub", vec![json!("anna"), json!(1), json!(""), json!(null)]),
            ("exp", vec![json!((now + 600).to_string()), json!(now - 5), json!(-1), json!(true), json!([now + 600]), json!(null)]),
            ("nbf", vec![json!(now.to_string()), json!(now + 6), json!(null)]),
            ("iat", vec![json!(now.to_string()), json!(now + 6), json!(null)]),
        ] {
            for value in values {
                bad.push((format!("{claim} {value}"), forger.claims_with(json!({ claim: value }))));
            }
        }
        for (what, token) in &bad {
            let answer = app.get("/v1/me").token(token).send().await;
            assert_eq!(answer.status, 401, "{what}");
            assert_eq!(without_instance(&answer), without_instance(&nobody), "{what}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{what}");
        }
        for scheme in ["Basic", "Token", ""] {
            app.get("/v1/me").header("authorization", &format!("{scheme} {good}")).send().await.problem(401, "unauthenticated");
        }
        // Where signing in is optional, a bad token is still refused.
        app.get("/v1/events").token(&unsigned("none")).send().await.problem(401, "unauthenticated");
        // Clocks may be a little apart.
        for claims in [json!({ "exp": now - 4 }), json!({ "nbf": now + 5, "iat": now + 5 })] {
            app.get("/v1/me").token(&forger.claims_with(claims)).send().await.expect(200);
        }
    }

    async fn an_access_token_ends_with_its_time_even_if_it_was_seen_before(app: App) {
        let anna = app.user("anna").await;
        let me = || app.get("/v1/me").token(&anna.token).send();
        let begun = app.token_clock.now();
        me().await.expect(200);
        app.clock.set(begun.plus_secs(86_400));
        me().await.expect(200);
        app.token_clock.set(begun.plus_secs(604));
        me().await.expect(200);
        app.token_clock.set(begun.plus_secs(605));
        me().await.problem(401, "unauthenticated");
        app.token_clock.set(begun.plus_secs(-6));
        me().await.problem(401, "unauthenticated");
    }

    async fn a_refresh_token_is_used_once(app: App) {
        let anna = app.user("anna").await;
        let first = refresh(&app, &anna.refresh_token).await.expect(200);
        assert_eq!(first.header("cache-control"), Some("no-store"));
        assert_ne!(refresh_token(&first), anna.refresh_token);
        app.get("/v1/me").token(first.json["accessToken"].as_str().unwrap()).send().await.expect(200);
        let second = refresh(&app, &refresh_token(&first)).await.expect(200);

        let reused = refresh(&app, &refresh_token(&first)).await.problem(401, "invalid_refresh_token");
        let unknown = refresh(&app, &"A".repeat(43)).await.problem(401, "invalid_refresh_token");
        let access = refresh(&app, &anna.token).await.problem(401, "invalid_refresh_token");
        let revoked = refresh(&app, &refresh_token(&second)).await.problem(401, "invalid_refresh_token");
        for answer in [&unknown, &access, &revoked] {
            assert_eq!(without_instance(answer), without_instance(&reused));
        }
        assert_eq!(reused.header("www-authenticate"), Some("Bearer"));

        let again = app.log_in(&anna.email, &anna.password).await.expect(200);
        refresh(&app, &refresh_token(&again)).await.expect(200);
        for secret in [&anna.refresh_token, &refresh_token(&second)] {
            let kept: i64 = app.db().query("SELECT COUNT(*) FROM refresh_tokens WHERE token_hash = $1")
                .bind(secret.clone().into_bytes()).scalar().await.unwrap();
            assert_eq!(kept, 0, "only hashes are kept");
        }
    }

    async fn of_two_who_bring_one_refresh_token_one_wins_and_the_family_ends(app: App) {
        for round in 0..5 {
            let anna = app.user(&format!("anna{round}")).await;
            let answers = join_all((0..4).map(|_| refresh(&app, &anna.refresh_token))).await;
            let won: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
            assert_eq!(won.len(), 1, "exactly one");
            assert!(answers.iter().all(|answer| answer.status == 200 || answer.json["code"] == "invalid_refresh_token"));
            refresh(&app, &refresh_token(won[0])).await.problem(401, "invalid_refresh_token");
        }
    }

    async fn no_token_outlives_the_revocation_of_its_family(app: App) {
        for round in 0..5 {
            let anna = app.user(&format!("anna{round}")).await;
            let next = refresh_token(&refresh(&app, &anna.refresh_token).await.expect(200));
            // The thief repeats the first while the owner uses the second.
            let (stolen, own) = tokio::join!(refresh(&app, &anna.refresh_token), refresh(&app, &next));
            stolen.problem(401, "invalid_refresh_token");
            if own.status == 200 {
                refresh(&app, &refresh_token(&own)).await.problem(401, "invalid_refresh_token");
            }
        }
    }

    async fn signing_out_ends_one_sign_in(app: App) {
        let anna = app.user("anna").await;
        let other = refresh_token(&app.log_in(&anna.email, &anna.password).await.expect(200));
        let next = refresh_token(&refresh(&app, &anna.refresh_token).await.expect(200));
        log_out(&app, &anna.refresh_token).await;
        refresh(&app, &next).await.problem(401, "invalid_refresh_token");
        log_out(&app, &next).await;
        log_out(&app, "nobody-knows-this").await;
        app.get("/v1/me").token(&anna.token).send().await.expect(200);
        refresh(&app, &other).await.expect(200);
        for (path, body, wrong) in [
            ("/v1/auth/logout", json!({}), "/refreshToken required"),
            ("/v1/auth/refresh", json!({}), "/refreshToken required"),
            ("/v1/auth/refresh", json!({ "refreshToken": "" }), "/refreshToken too_short"),
            ("/v1/auth/refresh", json!({ "refreshToken": other, "scope": "all" }), "/scope unknown_field"),
        ] {
            let answer = app.post(path).json(&body).send().await.problem(422, "invalid_body");
            assert!(answer.errors().contains(&wrong.to_owned()), "{:?}", answer.errors());
        }
    }

    async fn a_refresh_token_expires(app: App) {
        let anna = app.user("anna").await;
        let begun = app.token_clock.now();
        app.token_clock.set(begun.plus_secs(2_592_000 - 1));
        let next = refresh_token(&refresh(&app, &anna.refresh_token).await.expect(200));
        app.token_clock.set(begun.plus_secs(2 * 2_592_000 - 1));
        refresh(&app, &next).await.problem(401, "invalid_refresh_token");
        app.log_in(&anna.email, &anna.password).await.expect(200);
        assert_eq!(app.count("refresh_tokens").await, 1, "what has expired is forgotten");
    }

    async fn nodes_that_start_at_once_agree_on_one_key(app: App) {
        let anna = app.user("anna").await;
        let mut tx = app.db().begin().await.unwrap();
        tx.query("DELETE FROM signing_keys").execute().await.unwrap();
        tx.commit().await.unwrap();
        let state = app.state();
        let load = || Tokens::load(&state.db, &state.config, state.clock.clone(), state.random.clone());
        let nodes = join_all((0..4).map(|_| load())).await;
        let keys: Vec<String> = nodes.iter().map(|tokens| json!(tokens.as_ref().unwrap().published_keys()).to_string()).collect();
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        assert_eq!(app.count("signing_keys").await, 1);
        assert_eq!(nodes[0].as_ref().unwrap().verify_access(&anna.token), None, "another key's token");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_takes_anothers_tokens() {
    let Some(app) = App::on_postgres().await else { return };
    let other = app.another_node().await;
    let anna = app.user("anna").await;
    other.get("/v1/me").token(&anna.token).send().await.expect(200);
    let next = refresh_token(&refresh(&other, &anna.refresh_token).await.expect(200));
    refresh(&app, &anna.refresh_token).await.problem(401, "invalid_refresh_token");
    refresh(&other, &next).await.problem(401, "invalid_refresh_token");
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_key_file_signs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    let key = Ed25519KeyPair::generate().unwrap();
    let path = file.clone();
    std::fs::write(&file, pem(key.to_pkcs8v1().unwrap().as_ref())).unwrap();
    let app = App::on_sqlite_with(|config| config.signing_key_file = Some(path)).await;
    let anna = app.user("anna").await;
    app.get("/v1/me").token(&anna.token).send().await.expect(200);
    let keys = app.get("/.well-known/jwks.json").send().await.expect(200).json;
    assert_eq!(keys["keys"][0]["x"], json!(URL_SAFE_NO_PAD.encode(key.public_key())));
    assert_eq!(app.count("signing_keys").await, 0);

    let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let state = app.state();
    for (content, said) in [
        (None, "can't be read"),
        (Some(String::new()), "holds no Ed25519 private key"),
        (Some("not a key".to_owned()), "holds no Ed25519 private key"),
        (Some(pem(b"not DER")), "holds no Ed25519 private key"),
        (Some(pem(ec.as_ref())), "holds no Ed25519 private key"),
        (Some(pem(key.to_pkcs8v1().unwrap().as_ref()).replace("PRIVATE", "PUBLIC")), "holds no Ed25519 private key"),
    ] {
        match content {
            None => std::fs::remove_file(&file).unwrap(),
            Some(content) => std::fs::write(&file, content).unwrap(),
        }
        let loaded = Tokens::load(&state.db, &state.config, state.clock.clone(), state.random.clone()).await;
        let sentence = loaded.err().expect("a refusal").to_string();
        assert!(sentence.starts_with("the signing key file can't be used: ") && sentence.contains(said), "{sentence}");
        assert!(sentence.contains(&*file.display().to_string()), "{sentence}");
    }
}
