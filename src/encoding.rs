//! Content codings (RFC 9110, sections 8.4 and 12.5.3): which one a request asks for, and the bytes in it.

use crate::{
    accept::weight,
    error::{Code, Problem},
};
use actix_web::{HttpRequest, http::header};
use std::io::{self, Write};

/// How the bytes of a representation are coded, in the order in which they are liked less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
    /// As they are.
    Identity,
}

/// Of a programme of 600 kB the next qualities take away a hundredth more, each in half as much time again; the last
/// ones a tenth, in seconds.
const BROTLI_QUALITY: i32 = 6;
/// A window of 4 MiB: more than any of our bodies.
const BROTLI_WINDOW_BITS: i32 = 22;
const GZIP_LEVEL: u32 = 6;

impl Encoding {
    const ALL: [Self; 3] = [Self::Brotli, Self::Gzip, Self::Identity];

    /// What `Content-Encoding` says; nothing of what is not coded.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }

    /// The entity tag of this coding of what has that tag: a strong tag is of bytes (RFC 9110, section 8.8.3).
    pub fn tag(self, tag: &str) -> String {
        match (self.name(), tag.strip_suffix('"')) {
            (Some(name), Some(open)) => format!("{open}-{name}\""),
            _ => tag.to_owned(),
        }
    }

    /// The bytes in this coding.
    pub fn encode(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Brotli => {
                let params = brotli::enc::BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    lgwin: BROTLI_WINDOW_BITS,
                    size_hint: bytes.len(),
                    ..Default::default()
                };
                let mut encoded = Vec::with_capacity(bytes.len() / 8);
                brotli::BrotliCompress(&mut &bytes[..], &mut encoded, &params)?;
                Ok(encoded)
            }
            Self::Gzip => {
                let into = Vec::with_capacity(bytes.len() / 8);
                let mut encoder = flate2::write::GzEncoder::new(into, flate2::Compression::new(GZIP_LEVEL));
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Self::Identity => Ok(bytes.to_vec()),
        }
    }
}

/// Whether `tag` is that of some coding of what has the tag `plain`.
pub fn is_tag_of(tag: &str, plain: &str) -> bool {
    let Some(rest) = plain.strip_suffix('"').and_then(|open| tag.strip_prefix(open)) else { return false };
    rest == "\""
        || Encoding::ALL.iter().filter_map(|encoding| encoding.name()).any(|name| rest.strip_prefix('-') == Some(&[name, "\""].concat()))
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// What it likes best.
    pub encoding: Encoding,
    /// Whether it takes nothing uncoded, even where coding is of no use.
    pub strictly: bool,
}

impl Wanted {
    /// Nothing coded.
    pub const PLAIN: Self = Self { encoding: Encoding::Identity, strictly: false };
}

/// The coding to answer with: what `Accept-Encoding` likes best, the smallest among equals. 406 where it likes none.
pub fn wanted(request: &HttpRequest) -> Result<Wanted, Problem> {
    let mut lines = request.headers().get_all(header::ACCEPT_ENCODING).map(|line| line.to_str().unwrap_or_default()).peekable();
    if lines.peek().is_none() {
        return Ok(Wanted::PLAIN);
    }
    best(lines).ok_or_else(|| Problem::new(Code::NotAcceptable, "This can be had in the codings br, gzip and identity."))
}

fn best<'r>(lines: impl Iterator<Item = &'r str>) -> Option<Wanted> {
    let (mut weights, mut others) = ([None; 3], None);
    for (name, weight) in lines.flat_map(|line| line.split(',')).filter_map(weighed) {
        let known = Encoding::ALL.iter().position(|encoding| {
            let own = encoding.name().unwrap_or("identity");
            // An old name that means the same (RFC 9110, section 8.4.1.3).
            name.eq_ignore_ascii_case(own) || (*encoding == Encoding::Gzip && name.eq_ignore_ascii_case("x-gzip"))
        });
        match known {
            Some(index) => weights[index] = Some(weight),
            None if name == "*" => others = Some(weight),
            None => {}
        }
    }
    let of = |index: usize| weights[index].or(others);
    let plain = of(2) != Some(0);
    let liked = (0..3).filter(|index| of(*index).is_some_and(|weight| weight > 0));
    // The first of the best: `max_by_key` would give the last.
    let best = liked.rev().max_by_key(|index| of(*index)).map(|index| Encoding::ALL[index]);
    // What is not coded is accepted though nobody says so.
    let encoding = best.or(plain.then_some(Encoding::Identity))?;
    Some(Wanted { encoding, strictly: !plain })
}

/// A coding with its weight. What can't be read is not said.
fn weighed(item: &str) -> Option<(&str, u32)> {
    let mut pieces = item.split(';').map(str::trim);
    Some((pieces.next()?, weight(pieces)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn the_best_liked_is_given() {
        use Encoding::{Brotli, Gzip, Identity};
        for (accept, given) in [
            ("gzip, deflate, br, zstd", Some((Brotli, false))),
            ("gzip", Some((Gzip, false))),
            ("x-gzip", Some((Gzip, false))),
            ("GZIP;Q=0.5", Some((Gzip, false))),
            ("br;q=0.5, gzip", Some((Gzip, false))),
            ("br;q=0.001, gzip;q=0.002", Some((Gzip, false))),
            ("*", Some((Brotli, false))),
            ("br;q=0, *", Some((Gzip, false))),
            ("*;q=0.1, gzip;q=0.2", Some((Gzip, false))),
            ("gzip;q=0.5, identity", Some((Identity, false))),
            ("identity", Some((Identity, false))),
            ("", Some((Identity, false))),
            ("deflate", Some((Identity, false))),
            ("gzip;q=0, br;q=0", Some((Identity, false))),
            ("gzip, identity;q=0", Some((Gzip, true))),
            ("gzip, *;q=0", Some((Gzip, true))),
            ("*;q=0, identity", Some((Identity, false))),
            ("br;q=0, identity;q=0", None),
            ("identity;q=0", None),
            ("*;q=0", None),
            ("gzip;q=nonsense, br;q=2", Some((Identity, false))),
        ] {
            let wanted = best([accept].into_iter());
            assert_eq!(wanted.map(|wanted| (wanted.encoding, wanted.strictly)), given, "{accept}");
        }
        let lines = best(["identity;q=0", "gzip"].into_iter());
        assert_eq!(lines, Some(Wanted { encoding: Gzip, strictly: true }), "several lines are one list");
    }

    #[test]
    fn each_coding_has_its_tag() {
        assert_eq!(Encoding::Gzip.tag("\"7\""), "\"7-gzip\"");
        assert_eq!(Encoding::Identity.tag("\"7\""), "\"7\"");
        for tag in ["\"7\"", "\"7-gzip\"", "\"7-br\""] {
            assert!(is_tag_of(tag, "\"7\""), "{tag}");
        }
        for tag in ["\"77\"", "\"7-zip\"", "\"7-gzip", "\"7gzip\"", "7", "W/\"7\"", "\"7-gzip-br\"", ""] {
            assert!(!is_tag_of(tag, "\"7\""), "{tag}");
        }
    }

    #[test]
    fn what_is_encoded_can_be_decoded() {
        let text = "Co-production for improvement. ".repeat(1_000).into_bytes();
        let mut decoded = Vec::new();
        let gzip = Encoding::Gzip.encode(&text).unwrap();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut decoded).unwrap();
        assert!(decoded == text && gzip.len() < text.len() / 10);
        decoded.clear();
        let br = Encoding::Brotli.encode(&text).unwrap();
        brotli::Decompressor::new(&br[..], 4096).read_to_end(&mut decoded).unwrap();
        assert!(decoded == text && br.len() < text.len() / 10);
    }
}
