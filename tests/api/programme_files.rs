//! `plenary export` and `plenary import`: the programme as a file, from the command line.

use crate::{
    programme::{demo_event, everything, large, path_of, put, small},
    support::*,
};
use std::{fs, io::Write, process::Stdio, time::Instant};

/// What the command said: its exit status, standard output and standard error.
struct Said {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    #[track_caller]
    fn done(self) -> String {
        assert_eq!((self.status, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// Failed with that status, and said this.
    #[track_caller]
    fn refused(self, status: i32, lines: &[&str]) {
        assert_eq!((self.status, self.out.as_str()), (Some(status), ""), "{}", self.err);
        for line in lines {
            assert!(self.err.contains(line), "{line} is not in: {}", self.err);
        }
        assert!(self.err.starts_with("plenary: ") && !self.err.contains("panicked"), "{}", self.err);
    }
}

/// Runs the program on a database, with a document on standard input.
fn command(url: &str, arguments: &[&str], input: &str) -> Said {
    let mut command = plenary(arguments);
    command.env("DATABASE_URL", url).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // It may refuse before it reads.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().expect("the program");
    writer.join().expect("the input");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Imports a document. On Postgres a server serves meanwhile; on SQLite it makes room.
async fn import(app: App, slug: &str, document: &str) -> (Said, App) {
    let arguments = ["import", "--event", slug, "--from", "-"];
    if app.database_url().starts_with("postgres") {
        return (command(app.database_url(), &arguments, document), app);
    }
    let database = app.stop().await;
    let said = command(database.url(), &arguments, document);
    (said, database.start().await)
}

fn slug(event: &Value) -> String {
    event["slug"].as_str().expect("a slug").to_owned()
}

on_both! {
    async fn what_is_exported_and_imported_again_changes_nothing(app: App) {
        let owner = app.user("olga").await;
        let event = demo_event(&app, &owner).await;
        app.session(&owner, &event, json!({ "code": "DRAFT", "status": "draft", "startsAt": "2026-03-11T12:00:30.25Z" })).await;
        let before = everything(&app, &owner, &event).await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut app = app;
        for (format, file) in [("yaml", "programme.yaml"), ("json", "programme.json"), ("json", "programme.txt")] {
            let path = folder.path().join(file);
            let to = path.to_str().expect("UTF-8");
            let arguments = ["export", "--event", "quality-forum-2026", "--to", to, "--format", format];
            // Where the name says how it is written, nobody else needs to.
            let arguments = if file.ends_with(format) { &arguments[..5] } else { &arguments[..] };
            assert_eq!(command(app.database_url(), arguments, "").done(), "");
            let text = fs::read_to_string(&path).expect("a file");
            let printed = command(app.database_url(), &["export", "--event", "quality-forum-2026", "--format", format], "").done();
            assert_eq!(text, printed, "a file or standard output");
            let read: Value = if format == "json" { serde_json::from_str(&text).expect("JSON") } else { serde_saphyr::from_str(&text).expect("YAML") };
            assert_eq!(read, app.get(path_of(&event)).token(&owner.token).send().await.expect(200).json, "what members read over HTTP");
            let (said, after) = import(app, "quality-forum-2026", &text).await;
            app = after;
            let version = before[2].as_str().expect("a tag").trim_matches('"');
            assert_eq!(
                said.done(),
                format!("unchanged  63\nThe programme of quality-forum-2026 is what the document says already: nothing to change, version {version}.\n")
            );
            assert_eq!(everything(&app, &owner, &event).await, before);
            command(app.database_url(), arguments, "").refused(1, &[to, "exists already and is left as it is"]);
        }
    }

    async fn an_import_says_what_it_does_and_a_dry_run_what_it_would(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let slug = slug(&event);
        put(&app, &owner, &event, &small()).send().await.expect(200);
        let mut next = small();
        next["event"]["name"] = json!("Renamed");
        next["rooms"]["hall"]["name"] = json!("Great hall");
        next["speakers"] = json!({ "bob": { "name": "Bob" }, "cid": { "name": "Cid" }, "dee": { "name": "Dee" } });
        next["sessions"][0]["chairs"] = json!(["cid"]);
        next["sessions"][0]["parts"] = json!([]);
        next["sessions"].as_array_mut().expect("sessions").remove(1);
        let lines = "added      2 speakers: cid, dee\nchanged    the event's own fields\nchanged    1 room: hall\nchanged    1 speaker: bob\n\
            changed    1 session: A1\nremoved    1 speaker: ann\nremoved    1 session: A2\nunchanged  1\n";
        let before = everything(&app, &owner, &event).await;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("next");
        fs::write(&path, format!("\u{FEFF}  {next}")).expect("a file");
        let dry = command(app.database_url(), &["import", "--event", &event.as_id(), "--from", path.to_str().expect("UTF-8"), "--dry-run"], "");
        let last = format!("This was a dry run: nothing was written. The programme of {} still has version ", event.as_id());
        assert!(dry.done().starts_with(&format!("{lines}{last}")));
        assert_eq!(everything(&app, &owner, &event).await, before);

        let (said, app) = import(app, &slug, &next.to_string()).await;
        let read = app.get(path_of(&event)).token(&owner.token).send().await.expect(200);
        assert_eq!(said.done(), format!("{lines}The programme of {slug} has version {} now.\n", read.etag().trim_matches('"')));
        next["event"]["slug"] = event["slug"].clone();
        next["event"]["status"] = json!("published");
        next["event"]["booking"] = read.json["event"]["booking"].clone();
        next["sessions"][0].as_object_mut().expect("an object").remove("parts");
        assert_eq!(read.json, next);
    }

    async fn what_it_means_for_those_who_are_registered(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({ "startsOn": "2099-03-11", "endsOn": "2099-03-13" })).await;
        let slug = slug(&event);
        // Long after the real time, which the command goes by.
        let document = small().to_string().replace("2026-", "2099-");
        let with = |change: &dyn Fn(&mut Value)| {
            let mut document: Value = serde_json::from_str(&document).expect("JSON");
            document["sessions"][1]["waitlist"] = json!({ "mode": "auto" });
            change(&mut document["sessions"]);
            document
        };
        put(&app, &owner, &event, &with(&|_| ())).send().await.expect(200);
        let session = app.get(format!("/v1/events/{}/sessions?code=A2", event.as_id())).send().await.expect(200).ids()[0].clone();
        let seats = async |app: &App| {
            let seats = app.get(format!("/v1/sessions/{session}/availability")).send().await.expect(200).json;
            (seats["taken"].clone(), seats["waitlisted"].clone())
        };
        for attendee in app.attendees(&owner, &event, 3).await {
            let call = app.post(format!("/v1/sessions/{session}/registrations")).token(&owner.token).json(&json!({ "attendeeId": attendee }));
            call.send().await.expect(201);
        }
        assert_eq!(seats(&app).await, (json!(2), json!(1)));
        let before = everything(&app, &owner, &event).await;
        let lower = with(&|sessions| sessions[1]["capacity"] = json!(1)).to_string();
        let without = with(&|sessions| drop(sessions.as_array_mut().expect("sessions").pop())).to_string();
        let mut app = app;
        for document in [&lower, &without] {
            let dry = command(app.database_url(), &["import", "--event", &slug, "--from", "-", "--dry-run"], document);
            let (said, after) = import(app, &slug, document).await;
            app = after;
            for said in [dry, said] {
                said.refused(1, &["nothing was imported: ", " A2", "(has_registrations)"]);
            }
        }
        let keep = ["import", "--event", &slug, "--from", "-", "--dry-run", "--if-overfull", "keep"];
        let kept = command(app.database_url(), &keep, &lower).done();
        assert!(kept.contains("\nseats      A2: 2 of 1 taken, 1 waiting\n"), "{kept}");
        assert_eq!((everything(&app, &owner, &event).await, seats(&app).await), (before, (json!(2), json!(1))));

        let higher = with(&|sessions| sessions[1]["capacity"] = json!(3)).to_string();
        let (said, app) = import(app, &slug, &higher).await;
        let said = said.done();
        assert!(said.contains("\nseats      A2: 3 of 3 taken, 0 waiting\njournal    "), "{said}");
        assert_eq!(seats(&app).await, (json!(3), json!(0)));
    }

    async fn what_is_wrong_is_told_with_its_place(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let slug = slug(&event);
        let mut unknown = small();
        unknown["sessions"][0]["chairs"] = json!(["eve", "ann", "eva"]);
        unknown["sessions"][1]["endsAt"] = json!("2026-03-11T15:00");
        let mut invalid = small();
        invalid["sessions"][1]["seats"] = json!(1);
        invalid["event"]["startsOn"] = json!("in March");
        let mut foreign = small();
        foreign["event"]["slug"] = json!("another");
        let dry = |document: &str| command(app.database_url(), &["import", "--event", &slug, "--from", "-", "--dry-run"], document);
        dry(&unknown.to_string()).refused(2, &[
            "nothing was imported: the document is not a programme that can be imported",
            "\n  /sessions/0/chairs/0: the document has no speaker with this key (unknown_reference)\n  /sessions/0/chairs/2: ",
            "\n  /sessions/1/endsAt: ",
        ]);
        dry(&invalid.to_string()).refused(2, &["\n  /event/startsOn: ", "\n  /sessions/1/seats: is not a field here (unknown_field)"]);
        dry(&foreign.to_string()).refused(2, &["\n  /event/slug: This is the document of another event"]);
        dry("{").refused(2, &["is not JSON", "(malformed_body)"]);
        dry("format: [").refused(2, &["is not YAML", "line 1"]);
        dry("format: x\nformat: x\n").refused(2, &["(duplicate_key)"]);
        dry("").refused(2, &["the document is not a programme that can be imported"]);
        dry(&format!("# {}\n", "x".repeat(17_000_000))).refused(2, &["(body_too_large)"]);
        let as_json = ["import", "--event", &slug, "--from", "-", "--dry-run", "--format", "json"];
        command(app.database_url(), &as_json, "format: x").refused(2, &["is not JSON"]);
        for arguments in [&["export", "--event", "no-such-event"][..], &["import", "--event", "no-such-event", "--from", "-", "--dry-run"]] {
            command(app.database_url(), arguments, &small().to_string()).refused(1, &["there is no event no-such-event"]);
        }
        let missing = ["import", "--event", &slug, "--from", "/no/such/programme.yaml"];
        command(app.database_url(), &missing, "").refused(1, &["/no/such/programme.yaml: No such file"]);
        command(app.database_url(), &["export", "--event", &slug, "--to", "/no/such/folder/p.yaml"], "").refused(1, &["/no/such/folder/p.yaml: No such file"]);
        assert_eq!(app.count("sessions").await, 0);
    }

    async fn a_large_programme(app: App) {
        let owner = app.user("olga").await;
        let event = app.event(&owner, json!({})).await;
        let (slug, document) = (slug(&event), large().to_string());
        let began = Instant::now();
        let dry = command(app.database_url(), &["import", "--event", &slug, "--from", "-", "--dry-run"], &document).done();
        assert!(dry.starts_with("added      1 room: hall\nadded      800 speakers: person-0, ") && dry.contains("\nadded      500 sessions: S0, S1, "), "{dry}");
        let mut took = vec![began.elapsed()];
        let mut app = app;
        for lines in ["added      500 sessions: ", "unchanged  1301\n"] {
            let began = Instant::now();
            let (said, after) = import(app, &slug, &document).await;
            took.push(began.elapsed());
            app = after;
            let said = said.done();
            assert!(said.contains(lines), "{said}");
        }
        let began = Instant::now();
        let exported = command(app.database_url(), &["export", "--event", &slug], "").done();
        took.push(began.elapsed());
        let exported: Value = serde_saphyr::from_str(&exported).expect("YAML");
        assert_eq!(exported["sessions"].as_array().map(Vec::len), Some(500));
        assert_eq!(exported["speakers"], large()["speakers"]);
        println!("dry run, import, again, export: {took:.1?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_see_an_import() {
    let Some(app) = App::on_postgres().await else { return };
    let other = app.another_node().await;
    let owner = app.user("olga").await;
    let event = app.event(&owner, json!({})).await;
    put(&app, &owner, &event, &small()).send().await.expect(200);
    for node in [&app, &other] {
        node.get(path_of(&event)).send().await.expect(200);
    }
    let mut next = small();
    next["sessions"][0]["title"] = json!("Imported");
    command(app.database_url(), &["import", "--event", &slug(&event), "--from", "-"], &next.to_string()).done();
    for node in [&app, &other] {
        let title = async || node.get(path_of(&event)).send().await.expect(200).json["sessions"][0]["title"].clone();
        eventually("a node shows what was imported", async || title().await == "Imported").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_owns_the_file_is_asked_instead() {
    let app = App::on_sqlite().await;
    let owner = app.user("olga").await;
    let event = app.event(&owner, json!({})).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("programme of the forum");
    fs::write(&path, small().to_string()).expect("a file");
    let from = path.to_str().expect("UTF-8");
    let said = command(app.database_url(), &["import", "--event", &slug(&event), "--from", from, "--if-overfull", "waitlist_newest"], "");
    let told = said.err.clone();
    said.refused(1, &["another process already uses the SQLite file", "Stop that server first", "?ifOverfull=waitlist_newest"]);
    assert_eq!(app.count("sessions").await, 0);

    // The line it gives does the import.
    if std::process::Command::new("curl").arg("--version").output().is_err() {
        return eprintln!("SKIPPED: there is no curl to paste the line to");
    }
    let line = told[told.find("curl").expect("a line")..].replace("http://127.0.0.1:8080", &app.address);
    let pasted =
        std::process::Command::new("sh").arg("-c").arg(&line).env("TOKEN", &owner.token).env("no_proxy", "*").output().expect("a shell");
    assert!(String::from_utf8_lossy(&pasted.stdout).contains("\"added\""), "{line}: {pasted:?}");
    assert_eq!(app.count("sessions").await, 2);
}

#[test]
fn a_database_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("plenary.db").display());
    for arguments in [&["export", "--event", "forum"][..], &["import", "--event", "forum", "--from", "-"], &["keys", "rotate"]] {
        command(&url, arguments, &small().to_string()).refused(1, &["there is no SQLite file"]);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn their_help_is_a_manual() {
    let help = |arguments: &[&str]| String::from_utf8(run(&mut plenary(arguments)).stdout).expect("UTF-8");
    let import = help(&["import", "--help"]);
    for said in ["Document:", "Refusals:", "Servers:", "Examples:", "--dry-run", "--from <FILE>", "DATABASE_URL"] {
        assert!(import.contains(said), "{said} is missing");
    }
    let export = help(&["export", "--help"]);
    for said in ["drafts too", "Examples:", "--to <FILE>", "[possible values: yaml, json]"] {
        assert!(export.contains(said), "{said} is missing");
    }
    for wrong in [&["import", "--event", "x"][..], &["export"], &["export", "--event", "x", "--format", "xml"]] {
        let output = run(plenary(wrong).env("DATABASE_URL", "sqlite:x.db"));
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}
