//! Taking in a file, from the server or from a database's own tool: both the same way, into one buffer that stays, and
//! looked at when the clock has stopped.

use super::lists::Ids;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// What is read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// A file that was taken in.
pub struct Taken<'b> {
    /// From before the request, or before the tool was started, to the last byte.
    pub took: Duration,
    pub bytes: &'b [u8],
}

/// Where files are taken in. Reused, so that its memory is there when the clock runs.
#[derive(Default)]
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// Sends a request that asks to close the connection, and takes the body of the answer.
    pub fn download(&mut self, address: SocketAddr, request: &[u8]) -> Taken<'_> {
        let began = Instant::now();
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.write_all(request).expect("the server takes the request");
        self.fill(stream);
        let took = began.elapsed();
        let end = self.0.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8_lossy(&self.0[..end]).to_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{}", String::from_utf8_lossy(&self.0[..self.0.len().min(2000)]));
        if head.contains("transfer-encoding: chunked") {
            self.join_chunks(end);
            return Taken { took, bytes: &self.0 };
        }
        Taken { took, bytes: &self.0[end..] }
    }

    /// Runs a program and takes what it writes.
    pub fn run(&mut self, command: &mut Command) -> Taken<'_> {
        let began = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        self.fill(child.stdout.take().expect("a pipe"));
        let ended = child.wait().expect("a program that ends");
        let took = began.elapsed();
        assert!(ended.success(), "{command:?}: {ended}");
        Taken { took, bytes: &self.0 }
    }

    fn fill(&mut self, mut source: impl Read) {
        let mut filled = 0;
        loop {
            if self.0.len() < filled + PIECE_BYTES {
                self.0.resize((filled + PIECE_BYTES).max(self.0.len() * 2).max(self.0.capacity()), 0);
            }
            match source.read(&mut self.0[filled..filled + PIECE_BYTES]).expect("a whole file") {
                0 => break,
                read => filled += read,
            }
        }
        self.0.truncate(filled);
    }

    /// Puts the chunks of a body (RFC 9112, section 7.1) that begins there one after the other, at the front.
    fn join_chunks(&mut self, mut at: usize) {
        let mut joined = 0;
        loop {
            let line = self.0[at..].windows(2).position(|window| window == b"\r\n").expect("the answer breaks off") + at;
            let size = std::str::from_utf8(&self.0[at..line]).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
            let (size, begin) = (size.expect("a chunk's size"), line + 2);
            if size == 0 {
                break;
            }
            self.0.copy_within(begin..begin + size, joined);
            (joined, at) = (joined + size, begin + size + 2);
        }
        self.0.truncate(joined);
    }
}

/// The ids in one column of a CSV, from 0.
pub fn ids_in_csv(bytes: &[u8], column: usize) -> Ids {
    let mut ids = Ids::default();
    let mut reader = csv::Reader::from_reader(bytes);
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).expect("CSV") {
        let id = std::str::from_utf8(&record[column]).ok().and_then(|text| Uuid::try_parse(text).ok());
        ids.add(id.unwrap_or_else(|| panic!("no id in line {}: {record:?}", ids.count() + 2)));
    }
    ids
}

/// The ids in one column of a spreadsheet, by its letter.
pub fn ids_in_xlsx(bytes: &[u8], column: char) -> Ids {
    const READ: &str = "import io, re, sys, zipfile\n\
        sheet = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read())).read('xl/worksheets/sheet1.xml').decode()\n\
        print('\\n'.join(re.findall('<c r=\"' + sys.argv[1] + r'\\d+\" t=\"inlineStr\"><is><t>([^<]*)<', sheet)))";
    let mut python = Command::new("python3");
    python.args(["-c", READ, &column.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().expect("python3, to look into the spreadsheet");
    child.stdin.take().expect("a pipe").write_all(bytes).expect("python3 reads");
    let output = child.wait_with_output().expect("python3 ends");
    assert!(output.status.success(), "the spreadsheet can't be read");
    let mut ids = Ids::default();
    // The heading is bold, which is written otherwise.
    String::from_utf8(output.stdout).expect("UTF-8").lines().for_each(|line| ids.add(line.parse().expect("an id")));
    ids
}
