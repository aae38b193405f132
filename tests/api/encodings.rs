//! Compressed answers: who asks for them gets them, and their tags do wherever the plain ones do.

use crate::{
    caches::{CODINGS, conference},
    support::*,
};

/// Asks for a path in these codings; what is sent, in bytes, and the answer.
async fn ask(app: &App, path: &str, accept: &str) -> (usize, Answer) {
    let answer = app.get(path).header("accept-encoding", accept).send().await;
    let length = answer.header("content-length").and_then(|length| length.parse().ok()).expect("a length");
    (length, answer)
}

on_both! {
    async fn each_gets_what_they_ask_for(app: App) {
        conference(&app).await;
        let path = "/v1/events/forum/sessions";
        let (plain, answer) = ask(&app, path, "identity").await;
        let (etag, text) = (answer.expect(200).etag(), app.get(path).send().await.expect(200).text);
        let marked = |mark: &str| etag.replacen(r#"""#, "", 1).replace('"', mark);
        for (accept, coding) in [
            ("gzip, deflate, br, zstd", Some("br")),
            ("gzip", Some("gzip")),
            ("x-gzip", Some("gzip")),
            ("br;q=0.5, gzip;q=0.8", Some("gzip")),
            ("gzip;q=0, *", Some("br")),
            ("br;q=0, gzip;q=0", None),
            ("identity, gzip;q=0.5", None),
            ("deflate, zstd", None),
            ("", None),
            ("gzip, identity;q=0", Some("gzip")),
        ] {
            let (length, answer) = ask(&app, path, accept).await;
            let answer = answer.expect(200);
            assert_eq!(answer.header("content-encoding"), coding, "{accept}");
            assert_eq!(answer.text, text, "{accept}");
            assert_eq!(answer.header("vary").map(|vary| vary.starts_with("Accept-Encoding, Authorization")), Some(true));
            assert_eq!(answer.header("content-type"), Some("application/json"));
            match coding {
                Some(name) => assert!(length < plain / 2 && answer.etag() == format!("\"{}", marked(&format!("-{name}\""))), "{accept}"),
                None => assert!(length == plain && answer.etag() == etag, "{accept}"),
            }
        }
        for accept in ["br;q=0, identity;q=0", "identity;q=0", "*;q=0", "deflate, *;q=0"] {
            app.get(path).header("accept-encoding", accept).send().await.problem(406, "not_acceptable");
        }
    }

    async fn what_is_short_stays_as_it_is(app: App) {
        conference(&app).await;
        let (plain, answer) = ask(&app, "/v1/events/forum", "identity").await;
        for accept in ["br", "gzip", "br, gzip, identity;q=0.1"] {
            let (length, short) = ask(&app, "/v1/events/forum", accept).await;
            assert_eq!((short.header("content-encoding"), length, short.etag()), (None, plain, answer.etag()), "{accept}");
        }
        let (_, insisted) = ask(&app, "/v1/events/forum", "gzip, identity;q=0").await;
        assert_eq!((insisted.header("content-encoding"), &insisted.text), (Some("gzip"), &answer.text));
    }

    async fn the_programme_in_both_formats(app: App) {
        let conference = conference(&app).await;
        let path = "/v1/events/forum/programme";
        let mut tags = std::collections::BTreeSet::new();
        for media in ["application/json", "application/yaml"] {
            let texts = join_all(CODINGS.map(|coding| app.get(path).header("accept", media).header("accept-encoding", coding).send())).await;
            for answer in &texts {
                assert_eq!((answer.status, answer.media_type().as_deref()), (200, Some(media)));
                assert_eq!(answer.header("vary").map(|vary| vary.starts_with("Accept, Accept-Encoding, Authorization")), Some(true));
                assert_eq!(answer.text, texts[0].text);
                tags.insert(answer.etag());
            }
        }
        assert_eq!(tags.len(), 6, "each has its tag: {tags:?}");
        // The tag of a compressed document that a member has read does for putting it back.
        let read = app.get(path).token(&conference.owner.token).header("accept-encoding", "br").send().await.expect(200);
        let put = |tag: &str| app.put(path).token(&conference.owner.token).if_match(tag).json(&read.json).send();
        assert!(read.etag().ends_with("-br\""));
        put(&read.etag()).await.expect(200);
        let public = app.get(path).header("accept-encoding", "br").send().await.expect(200).etag();
        put(&public).await.problem(412, "version_mismatch");
    }

    async fn a_tag_is_good_in_every_coding(app: App) {
        let conference = conference(&app).await;
        let session = format!("/v1/sessions/{}", conference.session.as_id());
        for path in [session.as_str(), "/v1/events/forum/sessions", "/v1/events/forum/programme"] {
            for seen in CODINGS {
                let tag = app.get(path).header("accept-encoding", seen).send().await.expect(200).etag();
                for asked in CODINGS {
                    for given in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
                        let call = app.get(path).header("accept-encoding", asked).if_none_match(&given);
                        let answer = call.send().await.expect(304);
                        assert_eq!(answer.etag(), tag, "who has it learns that it is good");
                        assert!(answer.header("vary").is_some_and(|vary| vary.contains("Accept-Encoding, Authorization")));
                    }
                }
            }
            app.get(path).if_none_match("\"other\", \"0-br\"").send().await.expect(200);
            app.get(path).if_none_match("*").send().await.expect(304);
        }
        for coding in CODINGS {
            let tag = app.get(&session).header("accept-encoding", coding).send().await.expect(200).etag();
            let patch = |tag: &str| app.patch(&session).token(&conference.owner.token).if_match(tag).merge(&json!({ "summary": coding })).send();
            patch(&format!("W/{tag}")).await.problem(412, "version_mismatch");
            patch(&tag).await.expect(200);
            patch(&tag).await.problem(412, "version_mismatch");
            app.get(&session).header("accept-encoding", coding).if_none_match(&tag).send().await.expect(200);
        }
        let tag = app.get(&session).header("accept-encoding", "gzip").send().await.expect(200).etag();
        app.delete(&session).token(&conference.owner.token).if_match(&tag).send().await.expect(204);
    }
}
