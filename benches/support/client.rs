//! A closed-loop load client: so many connections, each sends its next request when it has the answer to the last.
//! Requests are bytes that were made before; one thread does it all, since it shares the cores with the server.

use super::report::Measured;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    task::LocalSet,
};

/// What a connection reads at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// A request as it goes over the wire.
pub type Wire = Vec<u8>;

/// Makes a request. `token` signs it in; `extra` are whole header lines.
pub fn request(method: &str, path: &str, token: Option<&str>, extra: &[&str], body: Option<&str>) -> Wire {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    if let Some(token) = token {
        head.push_str(&format!("authorization: Bearer {token}\r\n"));
    }
    for line in extra {
        head.push_str(&format!("{line}\r\n"));
    }
    if let Some(body) = body {
        if !extra.iter().any(|line| line.starts_with("content-type")) {
            head.push_str("content-type: application/json\r\n");
        }
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    head.push_str(body.unwrap_or_default());
    head.into_bytes()
}

/// An answer, for requests that are not measured.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body, of an answer with that status.
    pub fn expect(self, status: u16) -> Vec<u8> {
        assert_eq!(self.status, status, "{}{}", self.head, String::from_utf8_lossy(&self.body));
        self.body
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name)))
            .map(|(_, value)| value)
    }
}

/// Where requests go, by turns, each with the process whose processor time is taken.
pub type Targets<'t> = &'t [(SocketAddr, u32)];

/// The client.
pub struct Client {
    runtime: Runtime,
}

/// What the connections of a measurement share.
struct Work {
    requests: Vec<Wire>,
    count: usize,
    next: Cell<usize>,
    statuses: RefCell<BTreeMap<u16, usize>>,
    micros: RefCell<Vec<u32>>,
}

impl Client {
    pub fn new() -> Self {
        Self { runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime") }
    }

    /// One request and its answer.
    pub fn ask(&self, address: SocketAddr, request: &[u8]) -> Answer {
        self.runtime.block_on(async {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.write_all(request).await.expect("the server takes the request");
            let mut bytes = Vec::new();
            loop {
                if let Some(head) = Head::find(&bytes)
                    && bytes.len() >= head.length + head.body
                {
                    let text = String::from_utf8_lossy(&bytes[..head.length]).into_owned();
                    return Answer { status: head.status, head: text, body: bytes[head.length..].to_vec() };
                }
                let read = stream.read_buf(&mut bytes).await.expect("the server answers");
                assert!(read > 0, "the server hung up: {}", String::from_utf8_lossy(&bytes));
            }
        })
    }

    /// Sends `count` requests over so many connections, from the first on, over again where there are fewer.
    pub fn load(&self, targets: Targets, connections: usize, requests: Vec<Wire>, count: usize) -> Measured {
        let work = Rc::new(Work {
            requests,
            count,
            next: Cell::new(0),
            statuses: RefCell::default(),
            micros: RefCell::new(Vec::with_capacity(count)),
        });
        let processor_time = || targets.iter().map(|(_, process)| processor_time(*process)).sum::<Option<Duration>>();
        let before = processor_time();
        let took = LocalSet::new().block_on(&self.runtime, async {
            let mut streams = Vec::with_capacity(connections);
            for (address, _) in targets.iter().cycle().take(connections) {
                let stream = TcpStream::connect(address).await.expect("a connection");
                stream.set_nodelay(true).expect("a connected socket");
                streams.push(stream);
            }
            let began = Instant::now();
            let tasks: Vec<_> = streams.into_iter().map(|stream| tokio::task::spawn_local(drive(stream, Rc::clone(&work)))).collect();
            for task in tasks {
                task.await.expect("a connection that works");
            }
            began.elapsed()
        });
        let processor = processor_time().zip(before).map(|(after, before)| after - before);
        let work = Rc::into_inner(work).expect("all connections are done");
        Measured::new(took, work.statuses.into_inner(), work.micros.into_inner(), processor)
    }
}

async fn drive(mut stream: TcpStream, work: Rc<Work>) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let number = work.next.get();
        if number >= work.count {
            return;
        }
        work.next.set(number + 1);
        let began = Instant::now();
        stream.write_all(&work.requests[number % work.requests.len()]).await.expect("the server takes the request");
        let status = read_answer(&mut stream, &mut buffer).await;
        work.micros.borrow_mut().push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
        *work.statuses.borrow_mut().entry(status).or_default() += 1;
    }
}

/// Reads one answer and drops its body.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> u16 {
    let mut filled = 0;
    let head = loop {
        let read = stream.read(&mut buffer[filled..]).await.expect("the server answers");
        assert!(read > 0, "the server hung up: {}", String::from_utf8_lossy(&buffer[..filled]));
        filled += read;
        if let Some(head) = Head::find(&buffer[..filled]) {
            break head;
        }
    };
    let mut missing = (head.length + head.body).checked_sub(filled).expect("one answer a request");
    while missing > 0 {
        let read = stream.read(buffer).await.expect("the server answers");
        assert!(read > 0, "the server hung up in a body");
        missing = missing.checked_sub(read).expect("one answer a request");
    }
    head.status
}

/// As much of HTTP/1.1 as the server speaks to this client: a status, and a body of a declared length or none.
struct Head {
    status: u16,
    length: usize,
    body: usize,
}

impl Head {
    fn find(bytes: &[u8]) -> Option<Self> {
        const LENGTH: &[u8] = b"content-length: ";
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let status = std::str::from_utf8(&bytes[9..12]).ok()?.parse().expect("a status");
        let mut body = 0;
        for line in bytes[..end].split(|byte| *byte == b'\n') {
            assert!(!line.starts_with(b"transfer-encoding"), "the client reads no chunks");
            if line.len() > LENGTH.len() && line[..LENGTH.len()].eq_ignore_ascii_case(LENGTH) {
                body = std::str::from_utf8(&line[LENGTH.len()..]).expect("digits").trim().parse().expect("a length");
            }
        }
        Some(Self { status, length: end + 4, body })
    }
}

/// How long a process has run on processors, user and system; `None` where the system doesn't say.
pub fn processor_time(process: u32) -> Option<Duration> {
    /// What Linux counts in for user space, whatever its own clock.
    const TICKS_A_SECOND: u64 = 100;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in brackets, may have spaces in it; user and system time are the 14th and 15th field.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
}
