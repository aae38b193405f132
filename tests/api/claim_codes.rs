//! Claim codes for all attendees of an event: who gets one, how they are given, and that nothing of them is kept.

use crate::support::*;
use plenary::{attendees, random::Secret};

const LINK: &str = "https://forum.example.org/join?event=7#code={claimCode}";

struct Stage<'a> {
    app: &'a App,
    anna: User,
    event: Value,
}

impl<'a> Stage<'a> {
    async fn set(app: &'a App) -> Self {
        let anna = app.user("anna").await;
        let event = app.event(&anna, json!({})).await;
        Self { app, anna, event }
    }

    async fn admit(&self, person: Value) -> String {
        let path = format!("/v1/events/{}/attendees", self.event.as_id());
        self.app.post(path).token(&self.anna.token).json(&person).send().await.expect(201).json.as_id()
    }

    /// Carla, Bo and Ada.
    async fn three(&self) -> [String; 3] {
        let carla = json!({ "name": "Carla", "email": "carla@example.org", "externalReference": "T-3" });
        [self.admit(carla).await, self.admit(json!({ "name": "Bo" })).await, self.admit(json!({ "name": "=Ada()" })).await]
    }

    /// The request without a body.
    fn call(&self, query: &str) -> Call {
        self.app.post(format!("/v1/events/{}/claim-codes{query}", self.event.as_id())).token(&self.anna.token)
    }

    async fn issue(&self, body: Value) -> Answer {
        self.call("").json(&body).send().await
    }

    async fn claim(&self, name: &str, code: &str) -> Answer {
        let user = self.app.user(name).await;
        self.app.post("/v1/me/attendees").token(&user.token).json(&json!({ "claimCode": code })).send().await
    }

    async fn exports(&self) -> Answer {
        let path = format!("/v1/events/{}/journal?kind=exported", self.event.as_id());
        self.app.get(path).token(&self.anna.token).send().await.expect(200)
    }

    /// How many attendees have something of a claim code.
    async fn kept(&self) -> i64 {
        self.app.count("attendees WHERE claim_hash IS NOT NULL").await
    }
}

/// The attendees who got a code.
fn issued_to(answer: &Answer) -> Vec<String> {
    answer.all("attendeeId")
}

/// The code of an attendee.
fn code_of(answer: &Answer, attendee: &str) -> String {
    let items = answer.json["items"].as_array().expect("items");
    let item = items.iter().find(|item| item["attendeeId"] == *attendee).expect("a code for them");
    item["claimCode"].as_str().expect("a code").to_owned()
}

on_both! {
    async fn everybody_gets_a_code_that_works_and_only_its_hash_is_kept(app: App) {
        let stage = Stage::set(&app).await;
        let [carla, bo, ada] = stage.three().await;
        let issued = stage.call("").send().await.expect(201);
        assert_eq!(issued.header("cache-control"), Some("no-store"));
        assert_eq!(issued.header("vary").map(|vary| vary.contains("Accept")), Some(true));
        assert_eq!(issued.json["createdAt"], "2026-03-02T08:00:00Z");
        assert_eq!(issued_to(&issued), [&*ada, &*bo, &*carla], "by name");
        let code = code_of(&issued, &carla);
        assert_eq!(
            issued.json["items"][2],
            json!({
                "attendeeId": carla, "name": "Carla", "email": "carla@example.org", "externalReference": "T-3", "claimCode": code,
                "claimLink": null
            })
        );
        for attendee in [&carla, &bo, &ada] {
            const KEPT: &str = "SELECT COUNT(*) FROM attendees WHERE claim_hash = $1";
            let code = code_of(&issued, attendee);
            let raw: i64 = app.db().query(KEPT).bind(code.clone().into_bytes()).scalar().await.unwrap();
            let hashed: i64 = app.db().query(KEPT).bind(Secret(code.clone()).hash()).scalar().await.unwrap();
            assert_eq!((raw, hashed), (0, 1));
            assert_eq!(stage.claim(attendee, &code).await.expect(200).json.as_id(), *attendee);
        }
    }

    async fn who_has_a_code_keeps_it_unless_it_is_replaced(app: App) {
        let stage = Stage::set(&app).await;
        let [carla, bo, ada] = stage.three().await;
        let one = app.post(format!("/v1/attendees/{carla}/claim-code")).token(&stage.anna.token).send().await.expect(201);
        let first = one.json["claimCode"].as_str().expect("a code").to_owned();
        let issued = stage.issue(json!({ "replace": false })).await.expect(201);
        assert_eq!(issued_to(&issued), [&*ada, &*bo]);
        assert_eq!(stage.issue(json!({})).await.expect(201).json["items"], json!([]));
        let replaced = stage.issue(json!({ "replace": true, "attendeeIds": [bo, carla.to_uppercase(), carla] })).await.expect(201);
        assert_eq!(issued_to(&replaced), [&*bo, &*carla], "each once, whatever their ids look like");

        for (name, old) in [("eve", &first), ("dan", &code_of(&issued, &bo))] {
            stage.claim(name, old).await.problem(422, "invalid_claim_code");
        }
        for (attendee, answer) in [(&carla, &replaced), (&bo, &replaced), (&ada, &issued)] {
            assert_eq!(stage.claim(attendee, &code_of(answer, attendee)).await.expect(200).json.as_id(), *attendee);
        }
    }

    async fn the_linked_and_the_erased_are_left_out(app: App) {
        let stage = Stage::set(&app).await;
        let [carla, bo, ada] = stage.three().await;
        let issued = stage.issue(json!({})).await.expect(201);
        let code = code_of(&issued, &carla);
        stage.claim("carla", &code).await.expect(200);
        app.post(format!("/v1/attendees/{bo}/erase")).token(&stage.anna.token).send().await.expect(200);
        for body in [json!({ "replace": true }), json!({ "replace": true, "attendeeIds": [carla, bo, ada] })] {
            assert_eq!(issued_to(&stage.issue(body).await.expect(201)), [&*ada]);
        }
        // The answer to the claim may have been lost: the same user may repeat it.
        let carla_again = app.log_in("carla@example.org", PASSWORD).await.expect(200).json;
        let again = app.post("/v1/me/attendees").token(carla_again["accessToken"].as_str().expect("a token"));
        again.json(&json!({ "claimCode": code })).send().await.expect(200);
    }

    async fn an_id_from_elsewhere_refuses_the_whole(app: App) {
        let stage = Stage::set(&app).await;
        let [carla, bo, _] = stage.three().await;
        let other = app.event(&stage.anna, json!({ "organisationId": stage.event["organisationId"] })).await;
        let stranger = app.attendees(&stage.anna, &other, 1).await.remove(0);
        let unknown = app.state().new_id();
        let refused = stage.issue(json!({ "attendeeIds": [carla, stranger, bo, unknown] })).await.problem(422, "unknown_reference");
        assert_eq!(refused.errors(), ["/attendeeIds/1 unknown_reference", "/attendeeIds/3 unknown_reference"]);
        for (ids, wrong) in [
            (json!([]), "/attendeeIds too_few"),
            (json!([carla, carla]), "/attendeeIds duplicate"),
            (json!([carla, 7]), "/attendeeIds/1 wrong_type"),
            (json!(vec![carla.clone(); 1_001]), "/attendeeIds too_many"),
            (Value::Null, "/attendeeIds wrong_type"),
        ] {
            let refused = stage.issue(json!({ "attendeeIds": ids })).await.problem(422, "invalid_body");
            assert!(refused.errors().contains(&wrong.to_owned()), "{wrong}: {:?}", refused.errors());
        }
        assert_eq!(stage.issue(json!({ "replaces": true })).await.problem(422, "invalid_body").pointer(), "/replaces");
        assert_eq!((stage.kept().await, stage.exports().await.ids().len()), (0, 0), "nothing was issued, and nothing is told of");
    }

    async fn a_link_is_made_of_the_template(app: App) {
        let stage = Stage::set(&app).await;
        let [carla, ..] = stage.three().await;
        let issued = stage.issue(json!({ "link": LINK, "attendeeIds": [carla] })).await.expect(201);
        let code = code_of(&issued, &carla);
        assert_eq!(issued.json["items"][0]["claimLink"], format!("https://forum.example.org/join?event=7#code={code}"));
        let twice = json!({ "link": "http://localhost:3000/{claimCode}?again={claimCode}", "replace": true, "attendeeIds": [carla] });
        let issued = stage.issue(twice).await.expect(201);
        let code = code_of(&issued, &carla);
        assert_eq!(issued.json["items"][0]["claimLink"], format!("http://localhost:3000/{code}?again={code}"));

        let hash: Vec<u8> = app.db().query("SELECT claim_hash FROM attendees WHERE claim_hash IS NOT NULL").scalar().await.unwrap();
        for (link, wrong) in [
            ("https://forum.example.org/join", "pattern"),
            ("https://forum.example.org/{code}", "pattern"),
            ("https://forum.example.org/{claimCode}/{name}", "pattern"),
            ("https://{claimCode}.example.org/", "pattern"),
            ("https:///{claimCode}", "pattern"),
            ("javascript:alert('{claimCode}')", "pattern"),
            ("ftp://forum.example.org/{claimCode}", "pattern"),
            ("/join/{claimCode}", "pattern"),
            ("https://forum.example.org/{claimCode} and more", "pattern"),
            ("https://forum.example.org/{claimCode}\r\nBcc: all", "pattern"),
            ("https://forum.example.org/\"{claimCode}\"", "pattern"),
            ("https://forum.example.org/{claimCode}\u{0}", "null_character"),
            (&format!("https://forum.example.org/{{claimCode}}{}", "x".repeat(500)), "too_long"),
        ] {
            let refused = stage.issue(json!({ "link": link, "replace": true })).await.problem(422, "invalid_body");
            assert_eq!(refused.errors(), [format!("/link {wrong}")], "{link}");
        }
        let after: Vec<u8> = app.db().query("SELECT claim_hash FROM attendees WHERE claim_hash IS NOT NULL").scalar().await.unwrap();
        assert_eq!(hash, after, "what was refused wrote nothing");
    }

    async fn they_come_as_files_with_a_link_column(app: App) {
        let stage = Stage::set(&app).await;
        let [carla, bo, ada] = stage.three().await;
        let body = json!({ "link": LINK, "replace": true });
        let csv = stage.call("").header("Accept", "text/csv").json(&body).send().await.expect(201);
        let name = format!("{}-claim-codes.csv", stage.event["slug"].as_str().expect("a slug"));
        assert_eq!(csv.headers["content-disposition"], format!("attachment; filename=\"{name}\"; filename*=UTF-8''{name}"));
        assert_eq!(csv.header("cache-control"), Some("no-store"));
        let text = csv.text.strip_prefix('\u{FEFF}').expect("a byte order mark");
        let rows: Vec<Vec<&str>> = text.split_terminator("\r\n").map(|line| line.split(',').collect()).collect();
        assert_eq!(rows[0], ["Attendee", "Name", "Email", "Reference", "Claim code", "Claim link"]);
        let people = [(&ada, "'=Ada()", "", ""), (&bo, "Bo", "", ""), (&carla, "Carla", "carla@example.org", "T-3")];
        assert_eq!(rows.len(), 1 + people.len());
        for (row, (id, name, email, reference)) in rows[1..].iter().zip(people) {
            let code = row[4];
            let link = LINK.replace("{claimCode}", code);
            assert_eq!(*row, [id, name, email, reference, code, &link]);
            assert_eq!(code.len(), 43);
        }
        stage.claim("carla", rows[3][4]).await.expect(200);

        let raw = stage.call("?format=csv&safe=false&columns=claimLink,name").json(&body).send().await.expect(201);
        let lines: Vec<&str> = raw.text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (3, "claimLink,name"), "Carla is linked");
        assert!(lines[1].starts_with("https://forum.example.org/join?event=7#code=") && lines[1].ends_with(",=Ada()"), "{}", lines[1]);

        let ndjson = stage.call("?format=ndjson").json(&body).send().await.expect(201);
        let items: Vec<Value> = ndjson.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(items.iter().map(|item| item["attendeeId"].as_id()).collect::<Vec<_>>(), [&*ada, &*bo]);
        let code = items[1]["claimCode"].as_str().expect("a code");
        let line = json!({
            "attendeeId": bo, "name": "Bo", "email": null, "externalReference": null, "claimCode": code,
            "claimLink": LINK.replace("{claimCode}", code)
        });
        assert_eq!(items[1], line, "a line is an item of the JSON");
        stage.claim("bo", code).await.expect(200);

        let xlsx = stage.call("?format=xlsx").json(&body).send().await.expect(201);
        assert!(xlsx.bytes.starts_with(b"PK"), "a spreadsheet is a ZIP archive");
        assert!(xlsx.header("content-disposition").is_some_and(|name| name.contains("-claim-codes.xlsx\"")));
    }

    async fn a_format_that_is_refused_issues_nothing(app: App) {
        let stage = Stage::set(&app).await;
        stage.three().await;
        for query in ["?format=pdf", "?format=csv&columns=claimHash", "?columns=name", "?safe=false", "?limit=5", "?format=csv&cursor=x"] {
            stage.call(query).send().await.problem(400, "invalid_parameter");
        }
        stage.call("").header("Accept", "image/png").send().await.problem(406, "not_acceptable");
        let taken: Vec<_> = std::iter::from_fn(|| app.state().exports.take().ok()).collect();
        stage.call("").send().await.problem(503, "queue_full");
        drop(taken);
        assert_eq!((stage.kept().await, stage.exports().await.ids().len()), (0, 0));
        stage.call("").send().await.expect(201);
    }

    async fn the_journal_tells_of_them_without_the_codes(app: App) {
        let stage = Stage::set(&app).await;
        let [carla, ..] = stage.three().await;
        let json = stage.issue(json!({ "attendeeIds": [carla], "link": LINK })).await.expect(201);
        let code = code_of(&json, &carla);
        let csv = stage.call("?format=csv&columns=name,claimCode").send().await.expect(201);
        let journal = stage.exports().await;
        let all = ["attendeeId", "name", "email", "externalReference", "claimCode", "claimLink"];
        let told = |format: &str, columns: &[&str], filter: Value| {
            json!({ "list": "claim_codes", "sessionId": null, "filter": filter, "format": format, "columns": columns })
        };
        let entries = journal.json["items"].as_array().expect("items");
        assert_eq!(
            entries.iter().map(|entry| entry["details"].clone()).collect::<Vec<_>>(),
            [
                told("json", &all, json!({ "replace": false, "attendeeIds": [carla] })),
                told("csv", &["name", "claimCode"], json!({ "replace": false }))
            ]
        );
        assert!(entries.iter().all(|entry| entry["actorId"] == stage.anna.id && entry["sessionId"].is_null()));
        assert_eq!(csv.text.lines().count(), 3);
        let codes = csv.text.lines().skip(1).filter_map(|line| line.split(',').nth(1)).chain([&*code]);
        assert!(codes.into_iter().all(|code| code.len() == 43 && !journal.text.contains(code)));
    }

    async fn two_requests_at_once_give_nobody_two_codes(app: App) {
        let stage = Stage::set(&app).await;
        let people = app.attendees(&stage.anna, &stage.event, 20).await;
        let answers = join_all([stage.call("").send(), stage.call("").send()]).await.into_iter().map(|answer| answer.expect(201));
        let mut issued: Vec<String> = answers.flat_map(|answer| issued_to(&answer)).collect();
        issued.sort();
        let mut people = people;
        people.sort();
        assert_eq!(issued, people);
    }

    async fn a_file_longer_than_one_read_is_whole(app: App) {
        const PEOPLE: usize = 4_001;
        let stage = Stage::set(&app).await;
        let event: uuid::Uuid = stage.event.as_id().parse().unwrap();
        let (state, now) = (app.state().clone(), app.clock.now());
        let admit = app.db().write(move |tx| {
            Box::pin(async move {
                for number in 0..PEOPLE {
                    let form = attendees::model::AttendeeForm { name: format!("Person {number:05}"), ..Default::default() };
                    attendees::store::add(tx, &attendees::model::Attendee::new(state.new_id(), event, None, form, now)).await?;
                }
                Ok(())
            })
        });
        admit.await.unwrap();
        let csv = stage.call("?format=csv&safe=false&columns=name,claimCode").send().await.expect(201);
        let rows: Vec<(&str, &str)> = csv.text.lines().skip(1).filter_map(|line| line.split_once(',')).collect();
        assert_eq!(rows.len(), PEOPLE);
        assert!(rows.iter().enumerate().all(|(number, (name, _))| *name == format!("Person {number:05}")), "every row once, in order");
        assert_eq!(stage.kept().await, i64::try_from(PEOPLE).unwrap());
        for (number, (name, code)) in rows.iter().enumerate().step_by(1_333) {
            assert_eq!(stage.claim(&format!("user {number}"), code).await.expect(200).json["name"], *name);
        }
    }
}
