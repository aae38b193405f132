//! Who belongs to an organisation, how they come and how they go.

use crate::{accounts::without_instance, support::*};

pub async fn invite(app: &App, owner: &User, organisation: &str, role: &str) -> Value {
    let path = format!("/v1/organisations/{organisation}/invitations");
    let answer = app.post(path).token(&owner.token).json(&json!({ "role": role })).send().await.expect(201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.json
}

pub async fn accept(app: &App, user: &User, token: impl AsRef<str>) -> Answer {
    app.post("/v1/invitations/accept").token(&user.token).json(&json!({ "token": token.as_ref() })).send().await
}

pub fn token(invitation: &Value) -> String {
    invitation["token"].as_str().expect("a token").to_owned()
}

async fn members(app: &App, owner: &User, organisation: &str) -> Vec<Value> {
    let page = app.get(format!("/v1/organisations/{organisation}/members")).token(&owner.token).send().await.expect(200);
    page.json["items"].as_array().expect("members").clone()
}

/// The path of a user's membership.
pub async fn membership(app: &App, owner: &User, organisation: &str, user: &User) -> String {
    let members = members(app, owner, organisation).await;
    let member = members.iter().find(|member| member["userId"] == *user.id).expect("a member");
    format!("/v1/members/{}", member.as_id())
}

async fn count_owners(app: &App, organisation: &str) -> i64 {
    let id: uuid::Uuid = organisation.parse().expect("a UUID");
    let count = "SELECT COUNT(*) FROM members WHERE role = 'owner' AND organisation_id = $1";
    app.db().query(count).bind(id).scalar().await.expect("a number")
}

on_both! {
    async fn an_invitation_makes_a_member_once(app: App) {
        let (anna, bea, cleo) = (app.user("anna").await, app.user("bea").await, app.user("cleo").await);
        let organisation = app.organisation(&anna).await;
        let path = format!("/v1/organisations/{organisation}/invitations");
        let body = json!({ "role": "organiser", "email": "bea@work.example" });
        let invitation = app.post(&path).token(&anna.token).json(&body).send().await.expect(201).json;
        assert_eq!([&invitation["email"], &invitation["role"]], ["bea@work.example", "organiser"]);
        assert_eq!([&invitation["createdBy"], &invitation["expiresAt"]], [&*anna.id, "2026-03-09T08:00:00Z"]);
        let kept: i64 = app.db().query("SELECT COUNT(*) FROM invitations WHERE token_hash = $1")
            .bind(token(&invitation).into_bytes()).scalar().await.unwrap();
        assert_eq!(kept, 0, "only a hash is kept");
        let list = app.get(&path).token(&anna.token).send().await.expect(200);
        assert_eq!(list.ids(), [invitation.as_id()]);
        assert!(list.json["items"][0].get("token").is_none());

        app.advance_secs(60);
        let member = accept(&app, &bea, token(&invitation)).await.expect(200);
        assert_eq!([&member.json["userId"], &member.json["name"], &member.json["email"]], [&*bea.id, "bea", "bea@example.org"]);
        assert_eq!([&member.json["role"], &member.json["organisationId"]], ["organiser", &*organisation]);
        assert_eq!(member.json["createdAt"], "2026-03-02T08:01:00Z");
        let seen = app.get(format!("/v1/organisations/{organisation}")).token(&bea.token).send().await.expect(200);
        assert_eq!(seen.json["role"], "organiser");
        assert_eq!(app.get(&path).token(&anna.token).send().await.expect(200).ids(), [""; 0]);

        // The answer was lost: the same user is answered again, anybody else as if the token were made up.
        let again = accept(&app, &bea, token(&invitation)).await.expect(200);
        assert_eq!((&again.json, again.etag()), (&member.json, member.etag()));
        let used = accept(&app, &cleo, token(&invitation)).await.problem(422, "invalid_invitation");
        assert_eq!(used.pointer(), "/token");
        let unknown = accept(&app, &cleo, "A".repeat(43)).await.problem(422, "invalid_invitation");
        assert_eq!(without_instance(&used), without_instance(&unknown));
        assert_eq!(app.count("members").await, 2);

        let path = format!("/v1/members/{}", member.json.as_id());
        app.delete(&path).token(&anna.token).send().await.expect(204);
        accept(&app, &bea, token(&invitation)).await.problem(422, "invalid_invitation");
        app.delete(format!("/v1/invitations/{}", invitation.as_id())).token(&anna.token).send().await.problem(404, "not_found");
        assert_eq!(app.count("members").await, 1);
    }

    async fn an_invitation_expires_and_is_forgotten(app: App) {
        let (anna, bea) = (app.user("anna").await, app.user("bea").await);
        let organisation = app.organisation(&anna).await;
        let path = format!("/v1/organisations/{organisation}/invitations");
        let invitation = invite(&app, &anna, &organisation, "door").await;
        app.clock.set(at("2026-03-09T07:59:59Z"));
        assert_eq!(app.get(&path).token(&anna.token).send().await.expect(200).ids(), [invitation.as_id()]);
        app.clock.set(at("2026-03-09T08:00:00Z"));
        accept(&app, &bea, token(&invitation)).await.problem(422, "invalid_invitation");
        assert_eq!(app.get(&path).token(&anna.token).send().await.expect(200).ids(), [""; 0]);
        let next = invite(&app, &anna, &organisation, "door").await;
        assert_eq!(app.count("invitations").await, 1);
        accept(&app, &bea, token(&next)).await.expect(200);
    }

    async fn an_invitation_can_be_taken_back(app: App) {
        let (anna, bea) = (app.user("anna").await, app.user("bea").await);
        let organisation = app.organisation(&anna).await;
        let invitation = invite(&app, &anna, &organisation, "owner").await;
        let path = format!("/v1/invitations/{}", invitation.as_id());
        app.delete(&path).token(&bea.token).send().await.problem(404, "not_found");
        app.delete(&path).token(&anna.token).send().await.expect(204);
        app.delete(&path).token(&anna.token).send().await.problem(404, "not_found");
        accept(&app, &bea, token(&invitation)).await.problem(422, "invalid_invitation");
        assert_eq!(app.count("members").await, 1);
    }

    async fn who_is_a_member_keeps_their_role_and_the_invitation_stays_good(app: App) {
        let (anna, bea) = (app.user("anna").await, app.user("bea").await);
        let organisation = app.organisation(&anna).await;
        let invitation = invite(&app, &anna, &organisation, "door").await;
        accept(&app, &anna, token(&invitation)).await.problem(409, "already_member");
        assert_eq!(members(&app, &anna, &organisation).await[0]["role"], "owner");
        accept(&app, &bea, token(&invitation)).await.expect(200);
    }

    async fn of_many_who_hold_one_link_one_joins(app: App) {
        let anna = app.user("anna").await;
        let organisation = app.organisation(&anna).await;
        let guests = join_all(["bea", "cleo", "dora", "eve"].map(|name| app.user(name))).await;
        let invitation = token(&invite(&app, &anna, &organisation, "viewer").await);
        let answers = join_all(guests.iter().map(|guest| accept(&app, guest, &invitation))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        answers.into_iter().filter(|answer| answer.status != 200).for_each(|answer| drop(answer.problem(422, "invalid_invitation")));
        assert_eq!(app.count("members").await, 2);
    }

    async fn members_come_in_pages_by_when_they_joined(app: App) {
        let anna = app.user("anna").await;
        let organisation = app.organisation(&anna).await;
        for (name, role) in [("zoe", "door"), ("bea", "viewer"), ("mia", "organiser")] {
            app.advance_secs(1);
            app.member(&organisation, &app.user(name).await, role).await;
        }
        let path = format!("/v1/organisations/{organisation}/members");
        let whole = app.get(&path).token(&anna.token).send().await.expect(200);
        assert_eq!(whole.all("name"), ["anna", "zoe", "bea", "mia"]);
        app.get(&path).token(&anna.token).if_none_match(&whole.etag()).send().await.expect(304);
        let first = app.get(format!("{path}?limit=3")).token(&anna.token).send().await.expect(200);
        let cursor = first.json["nextCursor"].as_str().expect("a second page");
        let second = app.get(format!("{path}?limit=3&cursor={cursor}")).token(&anna.token).send().await.expect(200);
        assert_eq!((first.all("name"), second.all("name")), (vec!["anna".into(), "zoe".into(), "bea".into()], vec!["mia".to_owned()]));
        app.get(format!("{path}?sort=name")).token(&anna.token).send().await.problem(400, "invalid_parameter");
    }

    async fn a_role_counts_from_the_next_request(app: App) {
        let (anna, bea) = (app.user("anna").await, app.user("bea").await);
        let organisation = app.organisation(&anna).await;
        app.member(&organisation, &bea, "viewer").await;
        let path = membership(&app, &anna, &organisation, &bea).await;
        let settings = format!("/v1/organisations/{organisation}");
        let rename = |name: &str| app.patch(&settings).token(&bea.token).merge(&json!({ "name": name })).send();
        rename("B").await.problem(403, "forbidden");
        app.patch(&path).token(&bea.token).merge(&json!({ "role": "owner" })).send().await.problem(403, "forbidden");

        let before = app.get(&path).token(&bea.token).send().await.expect(200);
        let promoted = app.patch(&path).token(&anna.token).if_match(&before.etag()).merge(&json!({ "role": "owner" })).send().await.expect(200);
        assert_eq!(promoted.json["role"], "owner");
        let stale = app.patch(&path).token(&anna.token).if_match(&before.etag()).merge(&json!({ "role": "door" })).send().await;
        assert_eq!(stale.problem(412, "version_mismatch").json["currentETag"], json!(promoted.etag()));
        assert_eq!(app.patch(&path).token(&anna.token).merge(&json!({})).send().await.expect(200).etag(), promoted.etag());
        assert_eq!(app.get(&path).token(&anna.token).send().await.expect(200).etag(), promoted.etag());
        rename("B").await.expect(200);

        app.delete(&path).token(&anna.token).if_match(&before.etag()).send().await.problem(412, "version_mismatch");
        app.delete(&path).token(&anna.token).if_match(&promoted.etag()).send().await.expect(204);
        rename("C").await.problem(404, "not_found");
        app.get(&path).token(&anna.token).send().await.problem(404, "not_found");
        assert_eq!(app.get("/v1/organisations").token(&bea.token).send().await.expect(200).ids(), [""; 0]);
    }

    async fn a_member_sees_themselves_and_may_leave(app: App) {
        let (anna, bea, cleo) = (app.user("anna").await, app.user("bea").await, app.user("cleo").await);
        let organisation = app.organisation(&anna).await;
        app.member(&organisation, &bea, "door").await;
        app.member(&organisation, &cleo, "organiser").await;
        let path = membership(&app, &anna, &organisation, &bea).await;
        let own = app.get(&path).token(&bea.token).send().await.expect(200);
        app.get(&path).token(&bea.token).if_none_match(&own.etag()).send().await.expect(304);
        app.get(&path).token(&cleo.token).send().await.problem(403, "forbidden");
        app.delete(&path).token(&cleo.token).send().await.problem(403, "forbidden");
        app.delete(&path).token(&bea.token).send().await.expect(204);
        app.delete(&path).token(&bea.token).send().await.problem(404, "not_found");
        app.get(format!("/v1/organisations/{organisation}")).token(&bea.token).send().await.problem(404, "not_found");
    }

    async fn the_last_owner_stays(app: App) {
        let (anna, bea) = (app.user("anna").await, app.user("bea").await);
        let organisation = app.organisation(&anna).await;
        app.member(&organisation, &bea, "organiser").await;
        let (own, other) = (membership(&app, &anna, &organisation, &anna).await, membership(&app, &anna, &organisation, &bea).await);
        for role in ["organiser", "viewer", "door"] {
            app.patch(&own).token(&anna.token).merge(&json!({ "role": role })).send().await.problem(409, "last_owner");
        }
        app.delete(&own).token(&anna.token).send().await.problem(409, "last_owner");
        app.patch(&own).token(&anna.token).merge(&json!({ "role": "owner" })).send().await.expect(200);
        assert_eq!(count_owners(&app, &organisation).await, 1);

        app.patch(&other).token(&anna.token).merge(&json!({ "role": "owner" })).send().await.expect(200);
        app.patch(&own).token(&anna.token).merge(&json!({ "role": "door" })).send().await.expect(200);
        app.delete(&other).token(&bea.token).send().await.problem(409, "last_owner");
        app.delete(&own).token(&bea.token).send().await.expect(204);
        assert_eq!(count_owners(&app, &organisation).await, 1);
    }

    async fn an_organisation_without_events_can_be_deleted(app: App) {
        let (anna, bea) = (app.user("anna").await, app.user("bea").await);
        let organisation = app.organisation(&anna).await;
        let path = format!("/v1/organisations/{organisation}");
        let event = app.event(&anna, json!({ "organisationId": organisation })).await;
        app.member(&organisation, &bea, "organiser").await;
        invite(&app, &anna, &organisation, "door").await;
        let key = json!({ "name": "Badges", "scopes": ["attendees:read"] });
        app.post(format!("{path}/api-keys")).token(&anna.token).json(&key).send().await.expect(201);

        app.delete(&path).token(&bea.token).send().await.problem(403, "forbidden");
        app.delete(&path).token(&anna.token).send().await.problem(409, "in_use");
        app.delete(format!("/v1/events/{}", event.as_id())).token(&anna.token).if_match("*").send().await.expect(204);
        app.delete(&path).token(&anna.token).if_match("\"stale\"").send().await.problem(412, "version_mismatch");
        let seen = app.get(&path).token(&anna.token).send().await.expect(200);
        app.delete(&path).token(&anna.token).if_match(&seen.etag()).send().await.expect(204);
        app.delete(&path).token(&anna.token).send().await.problem(404, "not_found");
        for table in ["organisations", "members", "invitations", "api_keys"] {
            assert_eq!(app.count(table).await, 0, "{table}");
        }
    }

    async fn what_is_wrong_is_refused_with_its_place_and_writes_nothing(app: App) {
        let anna = app.user("anna").await;
        let organisation = app.organisation(&anna).await;
        let invitations = format!("/v1/organisations/{organisation}/invitations");
        let own = membership(&app, &anna, &organisation, &anna).await;
        for (body, wrong) in [
            (json!({}), "/role required"),
            (json!({ "role": "admin" }), "/role enum"),
            (json!({ "role": null }), "/role wrong_type"),
            (json!({ "role": "door", "email": "nobody" }), "/email format"),
            (json!({ "role": "door", "userId": anna.id }), "/userId unknown_field"),
        ] {
            let answer = app.post(&invitations).token(&anna.token).json(&body).send().await.problem(422, "invalid_body");
            assert!(answer.errors().contains(&wrong.to_owned()), "{wrong}: {:?}", answer.errors());
        }
        for (body, wrong) in [(json!({ "role": "admin" }), "/role enum"), (json!({ "name": "X" }), "/name unknown_field"), (json!({ "role": null }), "/role wrong_type")] {
            let answer = app.patch(&own).token(&anna.token).merge(&body).send().await.problem(422, "invalid_body");
            assert!(answer.errors().contains(&wrong.to_owned()), "{wrong}: {:?}", answer.errors());
        }
        for (body, wrong) in [(json!({}), "/token required"), (json!({ "token": "short" }), "/token too_short"), (json!({ "token": "*".repeat(43) }), "/token pattern")] {
            let answer = app.post("/v1/invitations/accept").token(&anna.token).json(&body).send().await.problem(422, "invalid_body");
            assert!(answer.errors().contains(&wrong.to_owned()), "{wrong}: {:?}", answer.errors());
        }
        app.post(&invitations).token(&anna.token).json(&json!({ "role": "door", "email": null })).send().await.expect(201);
        assert_eq!((app.count("invitations").await, app.count("members").await), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_never_leave_an_organisation_without_an_owner() {
    let Some(app) = App::on_postgres().await else { return };
    let other = app.another_node().await;
    for round in 0..8 {
        let (anna, bea) = (app.user(&format!("anna{round}")).await, app.user(&format!("bea{round}")).await);
        let organisation = app.organisation(&anna).await;
        app.member(&organisation, &bea, "owner").await;
        let (annas, beas) = (membership(&app, &anna, &organisation, &anna).await, membership(&app, &anna, &organisation, &bea).await);
        let demote = json!({ "role": "viewer" });
        let (one, two) = match round % 2 {
            // Each demotes the other: whoever comes second is no owner any more.
            0 => tokio::join!(
                app.patch(&beas).token(&anna.token).merge(&demote).send(),
                other.patch(&annas).token(&bea.token).merge(&demote).send(),
            ),
            // Both leave.
            _ => tokio::join!(app.delete(&annas).token(&anna.token).send(), other.delete(&beas).token(&bea.token).send()),
        };
        let mut statuses = [one.status, two.status];
        statuses.sort();
        assert!(matches!(statuses, [200, 403] | [204, 409]), "{} {}", one.text, two.text);
        assert_eq!(count_owners(&app, &organisation).await, 1);
    }
}
