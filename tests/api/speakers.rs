//! Speakers: their names, affiliations and countries, and the sessions they speak in or chair.

use crate::{
    keyed::{add, programme_version},
    support::*,
};

on_both! {
    async fn a_speaker_reads_back_as_printed(app: App) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        let body = json!({
            "name": "Patricia Ripoli Ros", "sortName": "Ripoli Ros, Patricia", "affiliation": "Fundacion VISIBLE", "country": "NO",
        });
        let speaker = add(&app, &anna, &event, "speakers", body.clone()).await;
        assert_eq!(speaker["key"], "patricia-ripoli-ros");
        for (member, value) in body.as_object().unwrap() {
            assert_eq!(speaker[member], *value);
        }
        let path = format!("/v1/speakers/{}", speaker.as_id());
        let patch = json!({ "sortName": null, "affiliation": null });
        let changed = app.patch(&path).token(&anna.token).if_match("\"1\"").merge(&patch).send().await.expect(200);
        assert_eq!((&changed.json["sortName"], &changed.json["affiliation"], &changed.json["country"]), (&Value::Null, &Value::Null, &json!("NO")));
        let patch = json!({ "country": null, "affiliation": "NHS" });
        let changed = app.patch(&path).token(&anna.token).if_match("\"2\"").merge(&patch).send().await.expect(200);
        assert_eq!((&changed.json["affiliation"], &changed.json["country"]), (&json!("NHS"), &Value::Null));
        assert_eq!(app.get(&path).send().await.expect(200).json, changed.json);
    }

    async fn speakers_are_sorted_and_found_by_all_they_have(app: App) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        for body in [
            json!({ "name": "Zoe Adams", "sortName": "Adams, Zoe", "affiliation": "NHS Lothian", "country": "UK" }),
            json!({ "name": "Amir Young", "sortName": "young, amir", "country": "Norway" }),
            json!({ "name": "Maria" }),
        ] {
            add(&app, &anna, &event, "speakers", body).await;
        }
        let list = format!("/v1/events/{}/speakers", event.as_id());
        let names = |query: &str| {
            let call = app.get(format!("{list}?{query}"));
            async move { call.send().await.expect(200).all("name") }
        };
        let by_name = ["Amir Young", "Maria", "Zoe Adams"];
        let by_sort_name = ["Zoe Adams", "Maria", "Amir Young"];
        let turned = |names: [&'static str; 3]| names.into_iter().rev().collect::<Vec<_>>();
        assert_eq!(names("").await, by_sort_name);
        assert_eq!(names("sort=sortName").await, by_sort_name);
        assert_eq!(names("sort=-sortName").await, turned(by_sort_name));
        assert_eq!(names("sort=name").await, by_name);
        assert_eq!(names("sort=-name").await, turned(by_name));
        for (sort, expected) in [("name", by_name), ("sortName", by_sort_name)] {
            let first = app.get(format!("{list}?sort={sort}&limit=1")).send().await.expect(200);
            let cursor = first.json["nextCursor"].as_str().unwrap();
            assert_eq!(names(&format!("sort={sort}&limit=1&cursor={cursor}")).await, [expected[1]]);
        }
        assert_eq!(names("q=lothian").await, ["Zoe Adams"]);
        assert_eq!(names("q=NORWAY").await, ["Amir Young"]);
        assert_eq!(names("q=adams,%20z").await, ["Zoe Adams"]);
        assert_eq!(names("q=mar").await, ["Maria"]);

        let path = format!("/v1/speakers/{}", app.get(format!("{list}?q=maria")).send().await.expect(200).ids()[0]);
        let patch = json!({ "name": "Maria Zorn", "affiliation": "Karolinska" });
        app.patch(&path).token(&anna.token).if_match("*").merge(&patch).send().await.expect(200);
        assert_eq!(names("q=karol").await, ["Maria Zorn"], "what is found follows changes");
        assert_eq!(names("sort=-name&limit=1").await, ["Zoe Adams"]);
    }

    async fn sessions_show_their_people_and_keep_them(app: App) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        let chair = add(&app, &anna, &event, "speakers", json!({ "name": "Chair" })).await;
        let speaker = add(&app, &anna, &event, "speakers", json!({ "name": "Speaker" })).await;
        let parts = json!([{ "title": "Part", "speakers": [{ "speakerId": speaker["id"] }, { "speakerId": chair["id"] }] }]);
        let session = app.session(&anna, &event, json!({ "chairs": [{ "speakerId": chair["id"] }], "parts": parts })).await;
        let other = app.session(&anna, &event, json!({})).await;
        let session_path = format!("/v1/sessions/{}", session.as_id());
        let etag = |path: String| {
            let call = app.get(path);
            async move { call.send().await.expect(200).etag() }
        };
        let patch = |speaker: &Value, patch: Value| {
            app.patch(format!("/v1/speakers/{}", speaker.as_id())).token(&anna.token).if_match("*").merge(&patch).send()
        };
        patch(&chair, json!({ "sortName": "Armchair", "key": "head" })).await.expect(200);
        assert_eq!(etag(session_path.clone()).await, "\"1\"", "a session shows neither");
        patch(&chair, json!({ "name": "Chairwoman", "affiliation": "NHS" })).await.expect(200);
        assert_eq!(etag(session_path.clone()).await, "\"2\"", "once, though she speaks and chairs");
        patch(&speaker, json!({ "country": "Spain" })).await.expect(200);
        let shown = app.get(&session_path).send().await.expect(200);
        assert_eq!(shown.etag(), "\"3\"");
        assert_eq!((&shown.json["chairs"][0]["affiliation"], &shown.json["parts"][0]["speakers"][0]["country"]), (&json!("NHS"), &json!("Spain")));
        assert_eq!(etag(format!("/v1/sessions/{}", other.as_id())).await, "\"1\"");

        let version = programme_version(&app, &event).await;
        for person in [&chair, &speaker] {
            let path = format!("/v1/speakers/{}", person.as_id());
            let refused = app.delete(&path).token(&anna.token).if_match("*").send().await.problem(409, "in_use");
            assert!(refused.json["detail"].as_str().unwrap().contains("speaker: 1"), "{}", refused.text);
        }
        assert_eq!((app.count("speakers").await, programme_version(&app, &event).await), (2, version), "nothing was written");
        let clear = json!({ "chairs": [], "parts": [] });
        app.patch(&session_path).token(&anna.token).if_match("*").merge(&clear).send().await.expect(200);
        for person in [&chair, &speaker] {
            app.delete(format!("/v1/speakers/{}", person.as_id())).token(&anna.token).if_match("*").send().await.expect(204);
        }
    }

    async fn bad_details_write_nothing(app: App) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        let list = format!("/v1/events/{}/speakers", event.as_id());
        for (member, limit) in [("sortName", 200), ("affiliation", 300), ("country", 100)] {
            for (value, code) in [
                (json!("x".repeat(limit + 1)), "too_long"),
                (json!(" "), "pattern"),
                (json!("a\u{7}"), "pattern"),
                (json!(false), "wrong_type"),
                (json!(["UK"]), "wrong_type"),
            ] {
                let body = json!({ "name": "Maria", member: value });
                let refused = app.post(&list).token(&anna.token).json(&body).send().await.problem(422, "invalid_body");
                assert_eq!(refused.errors(), [format!("/{member} {code}")], "{body}");
            }
            let refused = app.post(&list).token(&anna.token).json(&json!({ "name": "Maria", member: null })).send().await;
            assert_eq!(refused.problem(422, "invalid_body").errors(), [format!("/{member} wrong_type")], "null is for patches");
        }
        assert_eq!((app.count("speakers").await, programme_version(&app, &event).await), (0, 1), "nothing was written");
    }
}
