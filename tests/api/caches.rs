//! What everybody reads comes from memory: it is what was written, at once, and only what the reader may see.

use crate::{
    members::{accept, invite, membership, token},
    support::*,
};
use plenary::db::Dialect;
use std::{cell::Cell, collections::BTreeMap};

/// An event with one of everything, long enough to be compressed, and a draft.
pub struct Conference {
    pub owner: User,
    pub event: Value,
    pub session: Value,
    pub draft: Value,
    stream: Value,
    room: Value,
    chair: Value,
}

pub async fn conference(app: &App) -> Conference {
    let owner = app.user("olga").await;
    let event = app.event(&owner, json!({ "slug": "forum", "name": "Old Forum" })).await;
    let [stream, room, chair] = [("streams", "Old Science"), ("rooms", "Old Hall"), ("speakers", "Old Pat")].map(|(kind, name)| {
        let path = format!("/v1/events/{}/{kind}", event.as_id());
        app.post(path).token(&owner.token).json(&json!({ "name": name })).send()
    });
    let (stream, room, chair) = (stream.await.expect(201).json, room.await.expect(201).json, chair.await.expect(201).json);
    let parts: Vec<Value> = (1..=3)
        .map(|n| json!({ "title": format!("Old talk {n}"), "abstract": "What we did, and why. ".repeat(30), "speakers": [{ "speakerId": chair["id"] }] }))
        .collect();
    let body = json!({
        "code": "E6", "title": "Old title", "streamId": stream["id"], "roomId": room["id"], "chairs": [{ "speakerId": chair["id"] }],
        "parts": parts,
    });
    let session = app.session(&owner, &event, body).await;
    let draft = app.session(&owner, &event, json!({ "code": "DRAFT", "title": "Secret", "status": "draft" })).await;
    Conference { owner, event, session, draft, stream, room, chair }
}

pub const CODINGS: [&str; 3] = ["identity", "gzip", "br"];

impl Conference {
    /// Every kind of read that is kept.
    pub fn paths(&self) -> Vec<String> {
        let event = format!("/v1/events/{}", self.event.as_id());
        let below = [
            "",
            "/sessions",
            "/sessions?sort=-code&limit=1",
            "/sessions?code=E6",
            "/streams",
            "/rooms",
            "/speakers?sort=name",
            "/programme",
        ];
        let single = [("sessions", &self.session), ("streams", &self.stream), ("rooms", &self.room), ("speakers", &self.chair)];
        let mut paths: Vec<String> = below.iter().map(|below| format!("{event}{below}")).collect();
        paths.extend(single.map(|(kind, thing)| format!("/v1/{kind}/{}", thing.as_id())));
        paths.extend(["/v1/events/forum".to_owned(), "/v1/events/forum/sessions".to_owned()]);
        paths
    }

    /// What all of them answer to somebody, which is the same in every coding.
    pub async fn read(&self, app: &App, reader: Option<&User>) -> BTreeMap<String, String> {
        let [plain, gzip, br] = CODINGS.map(|coding| self.read_in(app, reader, coding));
        let plain = plain.await;
        assert_eq!([gzip.await, br.await], [plain.clone(), plain.clone()], "every coding is of the same");
        plain
    }

    /// The same in one coding.
    pub async fn read_in(&self, app: &App, reader: Option<&User>, coding: &str) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for path in self.paths() {
            let call = app.get(&path).header("accept-encoding", coding);
            let call = reader.map_or(call.clone(), |reader| call.token(&reader.token));
            texts.insert(path, call.send().await.expect(200).text);
        }
        texts
    }

    /// Edits that change one text for another wherever it shows: what is sent where, the old text and the new one.
    pub fn edits(&self) -> Vec<(String, Value, &'static str, &'static str)> {
        let at = |kind: &str, thing: &Value| format!("/v1/{kind}/{}", thing.as_id());
        vec![
            (at("sessions", &self.session), json!({ "title": "New title" }), "Old title", "New title"),
            (at("sessions", &self.session), json!({ "parts": [{ "title": "New talk" }] }), "Old talk", "New talk"),
            (at("rooms", &self.room), json!({ "name": "New Hall" }), "Old Hall", "New Hall"),
            (at("streams", &self.stream), json!({ "name": "New Science" }), "Old Science", "New Science"),
            (at("speakers", &self.chair), json!({ "name": "New Pat" }), "Old Pat", "New Pat"),
            (at("events", &self.event), json!({ "name": "New Forum" }), "Old Forum", "New Forum"),
            (at("events", &self.event), json!({ "timeZone": "Europe/London" }), "Europe/Oslo", "Europe/London"),
        ]
    }

    /// Makes one of these edits.
    pub async fn edit(&self, app: &App, path: &str, patch: &Value) {
        app.patch(path).token(&self.owner.token).if_match("*").merge(patch).send().await.expect(200);
    }
}

/// Where a text shows.
pub fn showing<'t>(texts: &'t BTreeMap<String, String>, text: &str) -> Vec<&'t str> {
    texts.iter().filter(|(_, body)| body.contains(text)).map(|(path, _)| path.as_str()).collect()
}

/// Until a node hears the others nothing is kept for long: waits for that.
pub async fn listening(app: &App) {
    const LISTENERS: &str = "SELECT COUNT(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'plenary changes' AND query = 'SELECT 1'";
    if app.db().dialect() == Dialect::Postgres {
        eventually("it listens", async || app.db().query(LISTENERS).scalar::<i64>().await.is_ok_and(|count| count > 0)).await;
    }
}

on_both! {
    async fn what_is_kept_needs_no_database(app: App) {
        let conference = conference(&app).await;
        let readers = [None, Some(&conference.owner), Some(&app.user("sten").await)];
        listening(&app).await;
        let mut read = Vec::new();
        for reader in readers {
            read.push(conference.read(&app, reader).await);
        }
        assert!(read[0] == read[2] && read[0] != read[1], "members read drafts, nobody else");
        app.db().close().await;
        for (reader, before) in readers.into_iter().zip(&read) {
            assert_eq!(conference.read(&app, reader).await, *before);
        }
        // How many seats are left is asked each time.
        app.get("/v1/events/forum/availability").send().await.problem(503, "unavailable");
        app.get("/v1/events/forum/sessions?q=never-asked-before").send().await.problem(503, "unavailable");
    }

    async fn every_edit_shows_at_once(app: App) {
        let conference = conference(&app).await;
        for (path, patch, old, new) in conference.edits() {
            let before = [conference.read(&app, None).await, conference.read(&app, Some(&conference.owner)).await];
            conference.edit(&app, &path, &patch).await;
            let after = [conference.read(&app, None).await, conference.read(&app, Some(&conference.owner)).await];
            for (before, after) in before.iter().zip(&after) {
                assert!(!showing(before, old).is_empty() && showing(before, new).is_empty(), "{patch}");
                assert_eq!(showing(after, new), showing(before, old), "{patch}");
                assert!(showing(after, old).is_empty(), "{patch}");
            }
        }
    }

    async fn what_comes_and_goes_shows_at_once(app: App) {
        let conference = conference(&app).await;
        let (owner, list) = (&conference.owner, format!("/v1/events/{}/sessions", conference.event.as_id()));
        let codes = async || app.get(&list).send().await.expect(200).all("code");
        assert_eq!(codes().await, ["E6"]);
        let added = app.session(owner, &conference.event, json!({ "code": "F1" })).await;
        assert_eq!(codes().await.len(), 2);
        let path = format!("/v1/sessions/{}", added.as_id());
        app.get(&path).send().await.expect(200);
        app.delete(&path).token(&owner.token).if_match("*").send().await.expect(204);
        assert_eq!(codes().await, ["E6"]);
        app.get(&path).send().await.problem(404, "not_found");
        // A draft that is published, and taken back.
        let draft = format!("/v1/sessions/{}", conference.draft.as_id());
        app.get(&draft).send().await.problem(404, "not_found");
        conference.edit(&app, &draft, &json!({ "status": "published" })).await;
        assert_eq!([app.get(&draft).send().await.status as usize, codes().await.len()], [200, 2]);
        conference.edit(&app, &draft, &json!({ "status": "draft" })).await;
        assert_eq!([app.get(&draft).send().await.status as usize, codes().await.len()], [404, 1]);
        // The whole document.
        let programme = format!("/v1/events/{}/programme", conference.event.as_id());
        let mut document = app.get(&programme).token(&owner.token).send().await.expect(200).json;
        document["sessions"].as_array_mut().expect("sessions").retain(|session| session["code"] != "E6");
        app.put(&programme).token(&owner.token).if_match("*").json(&document).send().await.expect(200);
        assert!(codes().await.is_empty());
        app.get(format!("/v1/sessions/{}", conference.session.as_id())).send().await.problem(404, "not_found");
    }

    async fn a_slug_leads_to_whose_it_is(app: App) {
        let conference = conference(&app).await;
        let (owner, event) = (&conference.owner, format!("/v1/events/{}", conference.event.as_id()));
        let other = app.event(owner, json!({ "slug": "other" })).await;
        let leads_to = async |slug: &str| app.get(format!("/v1/events/{slug}")).send().await.json["id"].clone();
        assert_eq!([leads_to("forum").await, leads_to("other").await], [conference.event["id"].clone(), other["id"].clone()]);
        conference.edit(&app, &event, &json!({ "slug": "forum-2026" })).await;
        assert_eq!([leads_to("forum").await, leads_to("forum-2026").await], [Value::Null, conference.event["id"].clone()]);
        let made = app.event(owner, json!({ "slug": "forum" })).await;
        assert_eq!(leads_to("forum").await, made["id"]);
        assert!(app.get("/v1/events/forum/sessions").send().await.expect(200).ids().is_empty());
        app.delete(format!("/v1/events/{}", made.as_id())).token(&owner.token).if_match("*").send().await.expect(204);
        assert_eq!(leads_to("forum").await, Value::Null);
        app.get("/v1/events/forum/sessions").send().await.problem(404, "not_found");
    }

    async fn drafts_are_for_members_whoever_asks_first(app: App) {
        let conference = conference(&app).await;
        let (sten, vera) = (app.user("sten").await, app.user("vera").await);
        app.member(&conference.event["organisationId"], &vera, "viewer").await;
        let strangers = [None, Some(&sten)];
        for members_first in [true, false] {
            let mut readers = vec![Some(&conference.owner), Some(&vera), None, Some(&sten)];
            if !members_first {
                readers.reverse();
            }
            for reader in readers.into_iter().chain(strangers) {
                let seen = showing(&conference.read(&app, reader).await, "Secret").len();
                assert_eq!(seen > 0, strangers.iter().all(|stranger| stranger.map(|user| &user.id) != reader.map(|user| &user.id)));
            }
            conference.edit(&app, &format!("/v1/sessions/{}", conference.draft.as_id()), &json!({ "summary": "Changed" })).await;
        }
        // A draft of an event is nobody else's business.
        let event = format!("/v1/events/{}", conference.event.as_id());
        conference.edit(&app, &event, &json!({ "status": "draft" })).await;
        for path in conference.paths() {
            app.get(&path).send().await.problem(404, "not_found");
            app.get(&path).token(&sten.token).send().await.problem(404, "not_found");
            app.get(&path).token(&vera.token).send().await.expect(200);
            app.get(&path).send().await.problem(404, "not_found");
        }
    }

    async fn members_come_and_go_at_once(app: App) {
        let conference = conference(&app).await;
        let (owner, organisation) = (&conference.owner, conference.event["organisationId"].as_id());
        let vera = app.user("vera").await;
        let sees = async || !showing(&conference.read(&app, Some(&vera)).await, "Secret").is_empty();
        assert!(!sees().await);
        let invitation = invite(&app, owner, &organisation, "viewer").await;
        accept(&app, &vera, token(&invitation)).await.expect(200);
        assert!(sees().await);
        let path = membership(&app, owner, &organisation, &vera).await;
        app.delete(&path).token(&owner.token).if_match("*").send().await.expect(204);
        assert!(!sees().await);
    }

    async fn who_has_seen_the_answer_reads_the_change(app: App) {
        const CHANGES: u64 = 40;
        let conference = conference(&app).await;
        let session = format!("/v1/sessions/{}", conference.session.as_id());
        let list = format!("/v1/events/{}/sessions?code=E6", conference.event.as_id());
        let done = Cell::new(false);
        let number = |title: &Value| title.as_str().and_then(|title| title.rsplit_once(' ')?.1.parse().ok()).unwrap_or(0_u64);
        let title = async |coding: &str| {
            let answer = app.get(&list).header("accept-encoding", coding).send().await.expect(200);
            number(&answer.json["items"][0]["title"])
        };
        let writer = async {
            for change in 1..=CHANGES {
                conference.edit(&app, &session, &json!({ "title": format!("Change {change}") })).await;
                assert_eq!(title(CODINGS[change as usize % 3]).await, change);
                assert_eq!(number(&app.get(&session).send().await.expect(200).json["title"]), change);
            }
            done.set(true);
        };
        // Many load while it changes, and what they have loaded never comes back.
        let reader = async |coding: &str| {
            let mut seen = 0;
            while !done.get() {
                let now = title(coding).await;
                assert!(now >= seen, "{now} after {seen}");
                seen = now;
            }
            assert_eq!(title(coding).await, CHANGES);
        };
        tokio::join!(writer, join_all(CODINGS.into_iter().cycle().take(9).map(reader)));
    }
}

on_both! {
    async fn copies_are_bounded(app: App, |config| config.programme_cache_mib = 1) {
        let conference = conference(&app).await;
        let read = async |number: usize| {
            let path = format!("/v1/events/forum/sessions?q=talk&limit={number}");
            app.get(&path).token(&conference.owner.token).send().await
        };
        for number in 0..20 {
            app.session(&conference.owner, &conference.event, json!({ "title": format!("A talk {number}"), "summary": "Long. ".repeat(300) })).await;
        }
        for number in 1..=100 {
            read(number).await.expect(200);
        }
        eventually("it fits", async || {
            read(100).await.expect(200);
            app.state().cache.size().1 <= 1 << 20
        }).await;
        assert!(app.state().cache.size().0 >= 5, "{:?}", app.state().cache.size());
    }

    async fn with_no_room_nothing_is_kept(app: App, |config| config.programme_cache_mib = 0) {
        let conference = conference(&app).await;
        let read = conference.read(&app, None).await;
        assert_eq!(conference.read(&app, None).await, read);
        let (hits, misses) = app.state().cache.lookups().read();
        assert!(hits < misses / 2, "{hits} of {misses}");
        app.db().close().await;
        app.get("/v1/events/forum/sessions").send().await.problem(503, "unavailable");
    }
}

on_both! {
    async fn metrics_tell_of_it(app: App, |config| config.metrics_bind = Some(([127, 0, 0, 1], 0).into())) {
        let conference = conference(&app).await;
        listening(&app).await;
        conference.read(&app, None).await;
        conference.read(&app, None).await;
        let address = app.metrics.expect("an address");
        let text = reqwest::get(format!("http://{address}/metrics")).await.expect("an answer").text().await.expect("text");
        let value = |sample: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(sample)).unwrap_or_else(|| panic!("no {sample} in {text}"));
            line.trim().parse().expect("a number")
        };
        let outcomes = ["hit", "miss"].map(|outcome| {
            value(&format!("plenary_cache_lookups_total{{cache=\"programme\",outcome=\"{outcome}\"}}"))
        });
        let reads = (conference.paths().len() * CODINGS.len()) as u64;
        assert!(outcomes[0] >= reads && outcomes[1] <= reads, "{outcomes:?} of twice {reads}");
        assert!(value("plenary_cache_lookups_total{cache=\"places\",outcome=\"hit\"}") > 0);
        assert_eq!(value("plenary_programme_cache_bytes_max"), 64 << 20);
        assert!(value("plenary_programme_cache_bytes ") <= 64 << 20);
        eventually("the copies are counted", async || {
            conference.read(&app, None).await;
            app.state().cache.size() >= (reads / 2, 10_000)
        }).await;
    }
}
