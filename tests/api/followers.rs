//! Several nodes on one Postgres: what one of them changes, the others show.

use crate::{
    caches::{conference, listening, showing},
    members::membership,
    support::*,
};

/// Ends the connections along which nodes hear of each other.
const DEAFEN: &str = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
    WHERE datname = current_database() AND application_name = 'plenary changes'";

async fn deafen(app: &App) -> i64 {
    app.db().query(DEAFEN).scalar().await.expect("a number")
}

/// Whether new connections to the database are taken, by its own superuser too.
async fn allow_connections(app: &App, allow: bool) {
    let mut tx = app.db().begin().await.expect("a transaction");
    let allowed = "UPDATE pg_database SET datallowconn = $1 WHERE datname = current_database()";
    tx.query(allowed).bind(allow).execute().await.expect("a superuser");
    tx.commit().await.expect("a commit");
}

/// Until a node has all the connections that it will ever need; bookings make do with one.
async fn open_all_connections(node: &App) {
    eventually("all are open", async || {
        join_all((0..16).map(|_| node.get("/v1/events/forum/availability").send())).await;
        node.db().pools().iter().all(|pool| pool.idle + pool.used == if pool.name == "bookings" { 1 } else { pool.most })
    })
    .await;
}

/// Changes the session's title through one node until the other one shows it.
async fn follows(node: &App, other: &App, session: &Value, owner: &User, title: &str) {
    let path = format!("/v1/sessions/{}", session.as_id());
    node.patch(&path).token(&owner.token).if_match("*").merge(&json!({ "title": title })).send().await.expect(200);
    eventually(title, async || other.get(&path).send().await.expect(200).json["title"] == title).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_edit_shows_on_the_other_node() {
    let Some(app) = App::on_postgres().await else { return };
    let (conference, other) = (conference(&app).await, app.another_node().await);
    for (index, (path, patch, old, new)) in conference.edits().into_iter().enumerate() {
        let (writer, reader) = if index % 2 == 0 { (&app, &other) } else { (&other, &app) };
        for user in [None, Some(&conference.owner)] {
            assert!(!showing(&conference.read(reader, user).await, old).is_empty());
        }
        conference.edit(writer, &path, &patch).await;
        for (user, coding) in [(None, "gzip"), (Some(&conference.owner), "br"), (None, "identity")] {
            eventually(new, async || {
                let texts = conference.read_in(reader, user, coding).await;
                showing(&texts, old).is_empty() && !showing(&texts, new).is_empty()
            })
            .await;
        }
    }
    app.delete(format!("/v1/events/{}", conference.event.as_id())).token(&conference.owner.token).if_match("*").send().await.expect(204);
    eventually("it is gone", async || other.get("/v1/events/forum/sessions").send().await.status == 404).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_who_is_removed_on_one_node_is_none_on_the_other() {
    let Some(app) = App::on_postgres().await else { return };
    let (conference, other, vera) = (conference(&app).await, app.another_node().await, app.user("vera").await);
    let organisation = conference.event["organisationId"].as_id();
    let sees = async || !showing(&conference.read_in(&other, Some(&vera), "gzip").await, "Secret").is_empty();
    assert!(!sees().await);
    app.member(&organisation, &vera, "viewer").await;
    eventually("she is a member", &sees).await;
    let path = membership(&app, &conference.owner, &organisation, &vera).await;
    app.delete(&path).token(&conference.owner.token).if_match("*").send().await.expect(204);
    eventually("she is none any more", async || !sees().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_loses_no_change() {
    let Some(app) = App::on_postgres().await else { return };
    let (conference, other) = (conference(&app).await, app.another_node().await);
    let (session, owner) = (&conference.session, &conference.owner);
    for round in 0..5 {
        listening(&app).await;
        follows(&app, &other, session, owner, &format!("Heard {round}")).await;
        assert!(deafen(&app).await > 0);
        follows(&app, &other, session, owner, &format!("Just deafened {round}")).await;
        follows(&other, &app, session, owner, &format!("The other way {round}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_can_not_hear_follow_all_the_same() {
    let Some(app) = App::on_postgres().await else { return };
    let (conference, other) = (conference(&app).await, app.another_node().await);
    let (session, owner) = (&conference.session, &conference.owner);
    listening(&app).await;
    follows(&app, &other, session, owner, "Heard").await;
    for node in [&app, &other] {
        open_all_connections(node).await;
    }
    allow_connections(&app, false).await;
    assert!(deafen(&app).await > 0);
    for round in 0..5 {
        follows(&app, &other, session, owner, &format!("Not heard {round}")).await;
    }
    assert_eq!(deafen(&app).await, 0, "none can listen");
    allow_connections(&app, true).await;
    listening(&app).await;
    follows(&app, &other, session, owner, "Heard again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_nobody_is_unavailable_and_no_failure() {
    const END_OTHERS: &str = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let Some(app) = App::on_postgres().await else { return };
    let owner = app.user("owner").await;
    let event = app.event(&owner, json!({ "slug": "forum" })).await;
    let session = app.session(&owner, &event, json!({})).await;
    let observer = app.another_node().await;
    let mut kept = observer.db().begin().await.expect("a transaction");
    allow_connections(&observer, false).await;
    // Each ends when it comes to it; a transaction sees who is there as it was before, until it is told to look again.
    while kept.query(END_OTHERS).scalar::<i64>().await.expect("a number") > 0 {
        kept.query("SELECT pg_stat_clear_snapshot()").execute().await.expect("a look");
    }
    app.get("/v1/events/forum/availability").send().await.problem(503, "unavailable");
    app.book(&session, &owner).await.problem(503, "unavailable");
    app.get("/readyz").send().await.problem(503, "unavailable");
    let allowed = "UPDATE pg_database SET datallowconn = TRUE WHERE datname = current_database()";
    kept.query(allowed).execute().await.expect("a superuser");
    kept.commit().await.expect("a commit");
    eventually("bookings are taken again", async || app.book(&session, &owner).await.status == 201).await;
}
