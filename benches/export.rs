//! The attendee list of a whole event as a file, against the database's own tool that writes the same join.
//!
//! ```text
//! cargo bench --bench export                                  on SQLite, against `sqlite3 -csv`
//! cargo bench --bench export -- --postgres                    on a throw-away cluster, against `psql` and COPY
//! DATABASE_URL=postgres://… cargo bench --bench export        in a database of its own there
//! ```

mod support;

use std::{process::Command, time::Duration};
use support::{
    Flags,
    client::{Client, processor_time, request},
    database::Database,
    lists::List,
    report::median,
    server::Server,
    start_with,
    transfer::{Buffer, Taken, ids_in_csv, ids_in_xlsx},
};

const MANUAL: &str = "\
Needs:
  sqlite3 (`apt-get install sqlite3`) on SQLite, psql on Postgres, and python3 to look
  into the spreadsheets. Some 2 GB of disk for a million rows.

What is measured:
  The seconds from the request, or from the start of the tool, to the last byte, both
  read the same way. `--rows` registrations as CSV with the usual columns, against the
  same join in the same order (without the place in the waitlist, which the tool is
  spared); a tenth of them as XLSX. Each
  alternation has a server of its own, whose peak memory is taken over a list of a
  hundredth of the rows, then over all. After each the ids are held against the
  database, in order.";

/// Of the columns that both write, the registration's id.
const ID_COLUMN: usize = 3;
const ID_LETTER: char = 'D';
const MIB: f64 = 1024.0 * 1024.0;

fn main() {
    let mut flags = start_with(MANUAL);
    let database = Database::make(flags.postgres);
    let (rows, rounds) = (flags.rows(), flags.rounds());
    flags.requests = Some(1);
    println!("export on {}: {rows} rows, {rounds} alternations", database.describe());
    let client = Client::new();
    let seeding = Server::start(&flags, &database.url);
    let [short, sheet, long] = [rows.div_ceil(100), rows.div_ceil(10), rows].map(|rows| seeding.list(&client, rows));
    seeding.analyze(&client);
    // What was made in it would hide what an export takes.
    drop(seeding);
    let mut bench = Bench { flags, tool: Tool::of(&database, &long), database, client, buffer: Buffer::default(), rounds: Vec::new() };
    // Once unmeasured: the files are in the system's memory, the buffer is as large as it will be.
    bench.round(0, [short, sheet, long]);
    bench.rounds.clear();
    for number in 1..=rounds {
        bench.round(number, [short, sheet, long]);
    }
    bench.print();
}

struct Bench {
    flags: Flags,
    database: Database,
    tool: Tool,
    client: Client,
    buffer: Buffer,
    rounds: Vec<Round>,
}

/// What was measured in an alternation.
#[derive(Default)]
struct Round {
    csv: Measured,
    tool: Measured,
    xlsx: Measured,
    /// By how much the server's peak memory is higher over the long list than over the short one, in bytes.
    csv_growth: f64,
    /// By how much it is higher over the spreadsheet than before it.
    xlsx_growth: f64,
}

#[derive(Default)]
struct Measured {
    took: Duration,
    bytes: usize,
    processor: Duration,
}

impl Bench {
    fn round(&mut self, number: usize, [short, sheet, long]: [List; 3]) {
        let server = Server::start(&self.flags, &self.database.url);
        let mut round = Round::default();
        let (_, peak_short) = self.download(&server, &short, "csv");
        if number.is_multiple_of(2) {
            round.tool = self.run_tool(&long);
        }
        let peak_long;
        (round.csv, peak_long) = self.download(&server, &long, "csv");
        if !number.is_multiple_of(2) {
            round.tool = self.run_tool(&long);
        }
        round.csv_growth = peak_long - peak_short;
        let before = memory(server.process(), "VmRSS");
        let peak_sheet;
        (round.xlsx, peak_sheet) = self.download(&server, &sheet, "xlsx");
        round.xlsx_growth = peak_sheet - before;
        self.rounds.push(round);
    }

    /// A list from the server, and the server's peak memory meanwhile.
    fn download(&mut self, server: &Server, list: &List, format: &str) -> (Measured, f64) {
        let token = server.token_of(&self.client, list.owner);
        let path = format!("/v1/events/{}/registrations?format={format}", list.event);
        let get = request("GET", &path, Some(&token), &["connection: close"], None);
        forget_peak(server.process());
        let before = processor_time(server.process());
        let Taken { took, bytes } = self.buffer.download(server.address, &get);
        let processor = processor_time(server.process()).zip(before).map(|(after, before)| after - before);
        let peak = memory(server.process(), "VmHWM");
        let ids = if format == "xlsx" { ids_in_xlsx(bytes, ID_LETTER) } else { ids_in_csv(bytes, ID_COLUMN) };
        assert_eq!(ids, list.ids, "the {format} has not the rows that are in the database");
        (Measured { took, bytes: bytes.len(), processor: processor.unwrap_or_default() }, peak)
    }

    fn run_tool(&mut self, list: &List) -> Measured {
        let Taken { took, bytes } = self.buffer.run(&mut self.tool.command());
        assert_eq!(ids_in_csv(bytes, ID_COLUMN), list.ids, "the tool has not written the rows that are in the database");
        Measured { took, bytes: bytes.len(), processor: Duration::ZERO }
    }

    fn print(&self) {
        println!("{:<14} {:>9} {:>12} {:>9} {:>9} {:>13}", "", "seconds", "rows/s", "MB", "MB/s", "server CPU s");
        let rows = self.flags.rows();
        self.line("csv", rows, |round| &round.csv);
        self.line(self.tool.name(), rows, |round| &round.tool);
        self.line("xlsx", rows.div_ceil(10), |round| &round.xlsx);
        let of = |figure: fn(&Round) -> f64| median(self.rounds.iter().map(figure).collect());
        println!("RESULT csv_speed {:.3}", of(|round| round.tool.took.as_secs_f64() / round.csv.took.as_secs_f64()));
        println!("RESULT csv_rss_growth_mib {:.1}", of(|round| round.csv_growth / MIB));
        println!("RESULT xlsx_seconds {:.2}", of(|round| round.xlsx.took.as_secs_f64()));
        println!("RESULT xlsx_file_mib {:.1}", of(|round| round.xlsx.bytes as f64 / MIB));
        println!("RESULT xlsx_rss_growth_mib {:.1}", of(|round| round.xlsx_growth / MIB));
    }

    fn line(&self, name: &str, rows: usize, of: fn(&Round) -> &Measured) {
        let median_of = |figure: fn(&Measured) -> f64| median(self.rounds.iter().map(|round| figure(of(round))).collect());
        let (took, megabytes) = (median_of(|measured| measured.took.as_secs_f64()), median_of(|measured| measured.bytes as f64 / 1e6));
        let processor = median_of(|measured| measured.processor.as_secs_f64());
        println!("{name:<14} {took:>9.2} {:>12.0} {megabytes:>9.1} {:>9.1} {processor:>13.2}", rows as f64 / took, megabytes / took);
    }
}

/// What the database gives its users for this.
enum Tool {
    Sqlite3 { file: String, statement: String },
    Psql { url: String, statement: String },
}

impl Tool {
    fn of(database: &Database, list: &List) -> Self {
        match database.url.strip_prefix("sqlite:") {
            Some(file) => {
                // Ids as text, or nobody could read them.
                let statement = statement(&format!("x'{}'", list.event.simple()), "hex(r.id)", "hex(a.id)");
                Self::Sqlite3 { file: file.to_owned(), statement }
            }
            None => {
                let statement = statement(&format!("'{}'", list.event), "r.id", "a.id");
                Self::Psql { url: database.url.clone(), statement: format!("COPY ({statement}) TO STDOUT WITH (FORMAT csv, HEADER)") }
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Sqlite3 { .. } => "sqlite3 -csv",
            Self::Psql { .. } => "psql COPY",
        }
    }

    fn command(&self) -> Command {
        match self {
            Self::Sqlite3 { file, statement } => {
                let mut command = Command::new("sqlite3");
                command.args(["-batch", "-readonly", "-csv", "-header", file, statement]);
                command
            }
            Self::Psql { url, statement } => {
                let mut command = Command::new("psql");
                command.args(["--no-psqlrc", "--quiet", "--command", statement, url]);
                command
            }
        }
    }
}

/// The join of the product with its usual columns in its order, but for the place in the waitlist: that one is counted
/// in a join of its own, for which SQLite's tool would need minutes.
fn statement(event: &str, id: &str, attendee: &str) -> String {
    format!(
        "SELECT s.code, s.title, s.starts_at, {id}, r.seq, r.status, {attendee}, a.name, a.email, a.affiliation, a.country, \
         a.external_reference, r.created_at, r.cancelled_at, r.cancel_reason \
         FROM registrations r JOIN sessions s ON s.id = r.session_id JOIN attendees a ON a.id = r.attendee_id \
         WHERE s.event_id = {event} ORDER BY s.starts_at, s.code, r.seq"
    )
}

/// A figure of a process's memory, in bytes: `VmRSS` now, `VmHWM` its peak.
fn memory(process: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux tells of a process's memory");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kibibytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
    kibibytes.expect("a number") * 1024.0
}

/// Lets the peak begin anew.
fn forget_peak(process: u32) {
    std::fs::write(format!("/proc/{process}/clear_refs"), "5").expect("Linux forgets a peak");
}
