//! Streams: what is their own beside `keyed`.

use crate::{
    keyed::{add, programme_version},
    support::*,
};

on_both! {
    async fn sessions_show_their_stream_and_keep_it(app: App) {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        let science = add(&app, &anna, &event, "streams", json!({ "name": "Science" })).await;
        let session = app.session(&anna, &event, json!({ "streamId": science["id"] })).await;
        let other = app.session(&anna, &event, json!({})).await;
        let session_path = format!("/v1/sessions/{}", session.as_id());
        let other_path = format!("/v1/sessions/{}", other.as_id());
        let path = format!("/v1/streams/{}", science.as_id());

        app.patch(&path).token(&anna.token).if_match("*").merge(&json!({ "key": "sci" })).send().await.expect(200);
        assert_eq!(app.get(&session_path).send().await.expect(200).etag(), "\"1\"", "a session doesn't show keys");
        app.patch(&path).token(&anna.token).if_match("*").merge(&json!({ "name": "Sciences" })).send().await.expect(200);
        let shown = app.get(&session_path).if_none_match("\"1\"").send().await.expect(200);
        assert_eq!((shown.etag(), &shown.json["stream"]["name"]), ("\"2\"".to_owned(), &json!("Sciences")));
        assert_eq!(app.get(&other_path).send().await.expect(200).etag(), "\"1\"");

        let version = programme_version(&app, &event).await;
        let refused = app.delete(&path).token(&anna.token).if_match("*").send().await.problem(409, "in_use");
        assert!(refused.json["detail"].as_str().unwrap().contains("stream: 1"), "{}", refused.text);
        assert_eq!((app.count("streams").await, programme_version(&app, &event).await), (1, version), "nothing was written");

        app.patch(&session_path).token(&anna.token).if_match("*").merge(&json!({ "streamId": null })).send().await.expect(200);
        app.delete(&path).token(&anna.token).if_match("*").send().await.expect(204);
    }
}
