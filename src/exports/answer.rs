//! The answer: a list as a file, streamed out of the database or from memory.

use super::{
    Format, Layout,
    store::{self, Exported},
    xlsx,
};
use crate::{
    clock::Timestamp,
    config::Config,
    db::{Listing, Part, Parts},
    error::{Code, Problem},
    reply::Reply,
    state::State,
};
use actix_web::{
    HttpResponse, HttpResponseBuilder,
    body::SizedStream,
    http::header,
    web::{self, Bytes},
};
use futures_util::{Stream, StreamExt, stream};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::{fs::File, io::Read, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of a finished file that are sent at once.
const PIECE_BYTES: u64 = 64 * 1024;

/// How many files may be made at once, each of which holds a connection to the database.
#[derive(Clone, Debug)]
pub struct Slots(Arc<Semaphore>);

impl Slots {
    /// As many as the operator allows, and one fewer than there are connections, so that the rest can go on.
    pub fn new(config: &Config) -> Self {
        let slots = config.concurrent_exports.min(config.database_connections.saturating_sub(1)).max(1);
        Self(Arc::new(Semaphore::new(slots as usize)))
    }

    /// One of them, free again when it is dropped; `queue_full` when all are taken.
    pub fn take(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let taken = Arc::clone(&self.0).try_acquire_owned();
        taken.map_err(|_| Problem::new(Code::QueueFull, "Too many files are being made. Try again in a moment."))
    }
}

/// A list to be given out as a file.
pub struct Export {
    /// Its columns and format.
    pub layout: Layout,
    /// What to read, with the layout's fields.
    pub listing: Listing,
    /// The file's name without its extension.
    pub name: String,
    /// The clocks that a spreadsheet shows times by.
    pub zone: TimeZone,
    /// For the journal.
    pub exported: Exported,
}

impl Export {
    /// Writes the journal, then answers. A text is streamed as it is read and breaks off if the database fails; what
    /// fails before its first part, or before a spreadsheet is whole, is a problem.
    pub async fn answer(self, state: &State) -> Reply {
        let Self { layout, listing, name, zone, exported } = self;
        let slot = state.exports.take()?;
        let (layout, now) = (Arc::new(layout), state.clock.now());
        let recorded = Arc::clone(&layout);
        let record = state.db.write(move |tx| Box::pin(async move { Ok(store::record(tx, &exported, &recorded, now).await?) }));
        record.await?;
        let parts = state.db.list(listing, state.config.export_patience(), slot);
        Download { layout, name, zone }.answer(HttpResponse::Ok(), parts, now).await
    }
}

/// How a list is given out as a file.
pub struct Download {
    /// Its columns and format.
    pub layout: Arc<Layout>,
    /// The file's name without its extension.
    pub name: String,
    /// The clocks that a spreadsheet shows times by.
    pub zone: TimeZone,
}

impl Download {
    /// Answers 201 with what was made and is in memory: items whose members are called like the columns. Who made them has
    /// written the journal ([`store::record`]).
    pub async fn created<T: Serialize + Send + 'static>(self, items: Vec<T>, now: Timestamp) -> Reply {
        let layout = Arc::clone(&self.layout);
        let parts = web::block(move || layout.parts(&items)).await.map_err(Problem::internal)?;
        self.answer(HttpResponse::Created(), parts.map_err(Problem::internal)?, now).await
    }

    async fn answer(self, response: HttpResponseBuilder, mut parts: Parts, now: Timestamp) -> Reply {
        let Self { layout, name, zone } = self;
        let mut response = headed(response, layout.format, &name);
        if layout.format == Format::Xlsx {
            let columns = Arc::clone(&layout);
            let file = web::block(move || xlsx::write(&columns.columns, zone, now, &mut parts)).await.map_err(Problem::internal)??;
            let bytes = file.metadata().map_err(Problem::internal)?.len();
            return Ok(response.body(SizedStream::new(bytes, pieces(file))));
        }
        let heading = layout.heading().map_err(Problem::internal)?;
        let first = parts.next().await?;
        // An empty piece would end the body.
        let heading = stream::iter((!heading.is_empty()).then(|| Ok(Bytes::from(heading))));
        Ok(response.streaming(heading.chain(lines(layout, parts, first))))
    }
}

fn headed(mut response: HttpResponseBuilder, format: Format, name: &str) -> HttpResponseBuilder {
    let content_type = match format {
        Format::Csv => "text/csv; charset=utf-8; header=present",
        Format::Json | Format::Ndjson | Format::Xlsx => format.media(),
    };
    response
        .content_type(content_type)
        .insert_header((header::CONTENT_DISPOSITION, disposition(&format!("{name}.{}", format.extension()))))
        .insert_header((header::VARY, "Accept"))
        // It is full of personal data.
        .insert_header((header::CACHE_CONTROL, "no-store"));
    response
}

/// The parts as text. Making it is left to a thread that may take its time.
fn lines(layout: Arc<Layout>, parts: Parts, first: Option<Part>) -> impl Stream<Item = Result<Bytes, Problem>> {
    stream::try_unfold((layout, parts, first), |(layout, mut parts, first)| async move {
        let part = match first {
            Some(part) => Some(part),
            None => parts.next().await.map_err(broken_off)?,
        };
        let Some(part) = part else { return Ok(None) };
        let making = Arc::clone(&layout);
        let text = web::block(move || making.text(&part)).await.map_err(broken_off)?.map_err(broken_off)?;
        Ok(Some((Bytes::from(text), (layout, parts, None))))
    })
}

/// The answer has begun: all that is left is not to end it, so that nobody takes it for whole.
fn broken_off(cause: impl std::fmt::Display) -> Problem {
    tracing::error!(%cause, "an export broke off");
    Problem::internal(cause)
}

fn pieces(file: File) -> impl Stream<Item = Result<Bytes, Problem>> {
    stream::try_unfold(file, |mut file| async move {
        let read = web::block(move || {
            let mut piece = Vec::new();
            file.by_ref().take(PIECE_BYTES).read_to_end(&mut piece).map(|_| (piece, file))
        });
        let (piece, file) = read.await.map_err(broken_off)?.map_err(broken_off)?;
        Ok((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
    })
}

/// `Content-Disposition` of a download (RFC 6266): for old clients in ASCII, for others as it is (RFC 8187). What could
/// be a path, end a header or turn the direction of writing is no part of a name.
fn disposition(name: &str) -> String {
    let sound = |c: char| !c.is_control() && !"/\\:*?\"<>|%;\u{061C}".contains(c) && !('\u{200B}'..='\u{206F}').contains(&c);
    let name: String = name.trim_start_matches('.').chars().map(|c| if sound(c) { c } else { '_' }).collect();
    let ascii: String = name.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '_' }).collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn names_are_harmless() {
        for (name, ascii, encoded) in [
            ("forum-E6.csv", "forum-E6.csv", "forum-E6.csv"),
            ("på norsk.csv", "p_ norsk.csv", "p%C3%A5%20norsk.csv"),
            ("../a\"\r\nX: y.csv", "_a___X_ y.csv", "_a___X_%20y.csv"),
            ("a\u{202E}vsc.exe", "a_vsc.exe", "a_vsc.exe"),
        ] {
            assert_eq!(disposition(name), format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}"));
        }
    }
}
