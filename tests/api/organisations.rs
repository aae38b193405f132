//! Organisations: who sees them and who may change them.

use crate::{accounts::without_instance, support::*};

on_both! {
    async fn whoever_creates_an_organisation_owns_it(app: App) {
        let anna = app.user("anna").await;
        app.post("/v1/organisations").json(&json!({ "name": "X" })).send().await.problem(401, "unauthenticated");
        let created = app.post("/v1/organisations").token(&anna.token).json(&json!({ "name": "Forum Ås" })).send().await.expect(201);
        assert_eq!(created.json["name"], "Forum Ås");
        assert_eq!(created.json["role"], "owner");
        let path = created.header("location").unwrap().to_owned();
        let read = app.get(&path).token(&anna.token).send().await.expect(200);
        assert_eq!((&read.json, read.etag()), (&created.json, created.etag()));
        app.get(&path).token(&anna.token).if_none_match(&read.etag()).send().await.expect(304);
        app.get(&path).send().await.problem(401, "unauthenticated");
    }

    async fn only_an_owner_changes_it(app: App) {
        let anna = app.user("anna").await;
        let organisation = app.organisation(&anna).await;
        let path = format!("/v1/organisations/{organisation}");
        let rename = json!({ "name": "Renamed" });
        let before = app.get(&path).token(&anna.token).send().await.expect(200);
        for role in ["organiser", "viewer", "door"] {
            let member = app.user(role).await;
            app.member(&organisation, &member, role).await;
            assert_eq!(app.get(&path).token(&member.token).send().await.expect(200).json["role"], role);
            app.patch(&path).token(&member.token).merge(&rename).send().await.problem(403, "forbidden");
        }
        app.advance_secs(60);
        let empty = app.patch(&path).token(&anna.token).merge(&json!({})).send().await.expect(200);
        assert_eq!((&empty.json, empty.etag()), (&before.json, before.etag()));
        let changed = app.patch(&path).token(&anna.token).if_match(&before.etag()).merge(&rename).send().await.expect(200);
        assert_eq!(changed.json["name"], "Renamed");
        assert_eq!(changed.json["updatedAt"], "2026-03-02T08:01:00Z");
        let stale = app.patch(&path).token(&anna.token).if_match(&before.etag()).merge(&rename).send().await;
        assert_eq!(stale.problem(412, "version_mismatch").json["currentETag"], json!(changed.etag()));
        assert_eq!(app.get(&path).token(&anna.token).send().await.expect(200).etag(), changed.etag());
    }

    async fn strangers_learn_nothing(app: App) {
        let (anna, eve) = (app.user("anna").await, app.user("eve").await);
        let organisation = app.organisation(&anna).await;
        let (theirs, none) = (format!("/v1/organisations/{organisation}"), format!("/v1/organisations/{}", eve.id));
        let of_others = app.get(&theirs).token(&eve.token).send().await.problem(404, "not_found");
        let of_nobody = app.get(&none).token(&eve.token).send().await.problem(404, "not_found");
        assert_eq!(without_instance(&of_others), without_instance(&of_nobody));
        let rename = json!({ "name": "Mine now" });
        let of_others = app.patch(&theirs).token(&eve.token).merge(&rename).send().await.problem(404, "not_found");
        let of_nobody = app.patch(&none).token(&eve.token).merge(&rename).send().await.problem(404, "not_found");
        assert_eq!(without_instance(&of_others), without_instance(&of_nobody));
        app.get("/v1/organisations/not-a-uuid").token(&eve.token).send().await.problem(400, "invalid_parameter");
        assert_eq!(app.get("/v1/organisations").token(&eve.token).send().await.expect(200).ids(), [""; 0]);
        assert_ne!(app.get(&theirs).token(&anna.token).send().await.expect(200).json["name"], "Mine now");
    }

    async fn the_list_is_the_callers_own_by_name_and_in_pages(app: App) {
        let (anna, bea) = (app.user("anna").await, app.user("bea").await);
        for (owner, name) in [(&anna, "Ørsted"), (&anna, "beta"), (&bea, "Beta (Bea's)"), (&anna, "Alpha"), (&anna, "alpha"), (&anna, "Gamma")] {
            app.post("/v1/organisations").token(&owner.token).json(&json!({ "name": name })).send().await.expect(201);
        }
        let list = |query: String| app.get(format!("/v1/organisations?{query}")).token(&anna.token).send();
        let whole = list("limit=200".to_owned()).await.expect(200);
        let folded: Vec<String> = whole.all("name").iter().map(|name| name.to_lowercase()).collect();
        assert_eq!(folded, ["alpha", "alpha", "beta", "gamma", "ørsted"]);
        assert_eq!(whole.json["nextCursor"], Value::Null);
        assert!(whole.header("link").is_none());

        let mut names = Vec::new();
        let mut next = "limit=2".to_owned();
        for left in [3, 1, 0] {
            let page = list(next.clone()).await.expect(200);
            names.extend(page.all("name"));
            match page.json["nextCursor"].as_str() {
                None => assert_eq!(left, 0),
                Some(cursor) => {
                    assert_eq!(page.header("link"), Some(&*format!("</v1/organisations?limit=2&cursor={cursor}>; rel=\"next\"")));
                    next = format!("limit=2&cursor={cursor}");
                }
            }
        }
        assert_eq!(names, whole.all("name"));
        // A cursor is a place and no permission.
        let foreign = app.get(format!("/v1/organisations?{next}")).token(&bea.token).send().await.expect(200);
        assert_eq!(foreign.ids(), [""; 0]);

        let forged = next.replace("cursor=", "cursor=A");
        for (query, wrong) in [
            (forged.as_str(), "invalid_cursor"),
            ("cursor=AAAA", "invalid_cursor"),
            ("limit=0", "invalid_parameter"),
            ("limit=201", "invalid_parameter"),
            ("limit=two", "invalid_parameter"),
            ("limit=2&limit=2", "invalid_parameter"),
            ("sort=name", "invalid_parameter"),
            ("cursor=", "invalid_parameter"),
        ] {
            list(query.to_owned()).await.problem(400, wrong);
        }
    }

    async fn a_bad_organisation_is_refused_with_its_place_and_writes_nothing(app: App) {
        let anna = app.user("anna").await;
        let organisation = app.organisation(&anna).await;
        let path = format!("/v1/organisations/{organisation}");
        let before = app.get(&path).token(&anna.token).send().await.expect(200).text;
        let long = "x".repeat(201);
        for (body, wrong, patchable) in [
            (json!({}), "/name required", false),
            (json!({ "name": null }), "/name wrong_type", true),
            (json!({ "name": 1 }), "/name wrong_type", true),
            (json!({ "name": "" }), "/name too_short", true),
            (json!({ "name": long }), "/name too_long", true),
            (json!({ "name": "a\u{0}b" }), "/name null_character", true),
            (json!({ "name": "X", "role": "owner" }), "/role unknown_field", true),
        ] {
            let created = app.post("/v1/organisations").token(&anna.token).json(&body).send().await.problem(422, "invalid_body");
            assert!(created.errors().contains(&wrong.to_owned()), "{wrong}: {:?}", created.errors());
            if patchable {
                let patched = app.patch(&path).token(&anna.token).merge(&body).send().await.problem(422, "invalid_body");
                assert!(patched.errors().contains(&wrong.to_owned()), "{wrong}: {:?}", patched.errors());
            }
        }
        app.patch(&path).token(&anna.token).merge(&json!([])).send().await.problem(422, "invalid_body");
        assert_eq!(app.count("organisations").await, 1);
        assert_eq!(app.get(&path).token(&anna.token).send().await.expect(200).text, before);
    }
}
