//! The end: SIGTERM drops no request that was begun, and SIGKILL loses nothing that was acknowledged.

use crate::support::*;
use plenary::{config::Config, db::Db};
use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// More than the password thread hashes before the signal comes.
const IN_THE_QUEUE: usize = 20;
const IN_THE_MIDDLE: usize = 10;

fn sign_up(number: usize) -> String {
    json!({ "email": format!("user{number}@example.org"), "password": "wooden horse by the fjord", "name": "Anna" }).to_string()
}

/// A request whose head the server has read: it asked for the body.
fn begun(address: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let length = body.len();
    let head = format!(
        "POST /v1/auth/signup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("a head");
    let mut wanted = [0; 25];
    stream.read_exact(&mut wanted).expect("an interim answer");
    assert_eq!(&wanted, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// What the server sends until it closes the connection.
fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer and its end");
    String::from_utf8(answer).expect("UTF-8")
}

async fn users(url: &str) -> BTreeSet<String> {
    let db = Db::connect(&Config::for_database(url).database_settings()).await.expect("the database");
    let rows = db.query("SELECT email FROM users").all::<(String,)>().await.expect("users");
    db.close().await;
    rows.into_iter().map(|(email,)| email).collect()
}

on_both! {
    async fn what_was_begun_gets_its_answer(app: App) {
        let database = app.stop().await;
        let server = Served::start(database.url(), |_| ());
        let address = server.authority.clone();
        let total = IN_THE_QUEUE + IN_THE_MIDDLE;
        let mut streams: Vec<TcpStream> = (0..total).map(|number| begun(&address, &sign_up(number))).collect();
        for (number, stream) in streams.iter_mut().enumerate() {
            let body = sign_up(number);
            let sent = if number < IN_THE_QUEUE { body.len() } else { body.len() / 2 };
            stream.write_all(&body.as_bytes()[..sent]).expect("a body");
        }
        let mut idle = TcpStream::connect(&address).expect("a connection");
        idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
        let mut first = [0; 15];
        idle.read_exact(&mut first).expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200 OK");

        server.signal("TERM");
        // Once nothing new is accepted, it drains.
        while TcpStream::connect(&address).is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
        server.signal("TERM");
        for (number, stream) in streams.iter_mut().enumerate().skip(IN_THE_QUEUE) {
            let body = sign_up(number);
            stream.write_all(&body.as_bytes()[body.len() / 2..]).expect("the rest of a body");
        }
        for (number, stream) in streams.into_iter().enumerate() {
            let answer = rest(stream);
            assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{number}: {answer:?}");
        }
        let (status, log) = server.ended();
        assert_eq!(status.code(), Some(0), "{log}");
        assert_eq!(users(database.url()).await.len(), total);
    }

    async fn what_was_acknowledged_survives_a_kill(app: App) {
        let database = app.stop().await;
        let server = Served::start(database.url(), |_| ());
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let acknowledged = std::sync::Mutex::new(BTreeSet::new());
        let sign_up_many = async |worker: usize| {
            for number in 0.. {
                let request = http.post(format!("{}/v1/auth/signup", server.address)).header("content-type", "application/json");
                match request.body(sign_up(worker * 10_000 + number)).send().await {
                    Ok(answer) => {
                        assert_eq!(answer.status(), 201);
                        acknowledged.lock().expect("a set").insert(format!("user{}@example.org", worker * 10_000 + number));
                    }
                    Err(_) => return,
                }
                if acknowledged.lock().expect("a set").len() >= 12 {
                    server.signal("KILL");
                }
            }
        };
        futures_util::future::join_all((0..8).map(sign_up_many)).await;
        let (status, _) = server.ended();
        assert_eq!(status.code(), None, "it was killed");
        let (acknowledged, stored) = (acknowledged.into_inner().expect("a set"), users(database.url()).await);
        assert!(acknowledged.len() >= 12 && acknowledged.is_subset(&stored), "{acknowledged:?} but {stored:?}");
    }
}
