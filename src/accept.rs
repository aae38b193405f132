//! Which of several representations a request asks for (RFC 9110, section 12.5.1).

use crate::{
    error::{Code, Problem},
    extract::header_text,
};
use actix_web::{HttpRequest, http::header};

/// The media type to answer with: of those offered the one that `Accept` likes best, the first among equals, and the
/// first where there is no `Accept`. 406 where it likes none.
pub fn choose(request: &HttpRequest, offered: &[&'static str]) -> Result<&'static str, Problem> {
    let accept = header_text(request, header::ACCEPT);
    best(accept.as_deref(), offered)
        .ok_or_else(|| Problem::new(Code::NotAcceptable, format!("This can be had as {}.", offered.join(" or "))))
}

fn best(accept: Option<&str>, offered: &[&'static str]) -> Option<&'static str> {
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else { return offered.first().copied() };
    let ranges: Vec<Range<'_>> = accept.split(',').filter_map(Range::parse).collect();
    let mut best: Option<(u32, &'static str)> = None;
    for media in offered {
        // Of the ranges that fit, the most specific one says how much it is liked.
        let liked = ranges.iter().filter_map(|range| Some((range.specificity(media)?, range.weight))).max_by_key(|(fit, _)| *fit);
        let weight = liked.map_or(0, |(_, weight)| weight);
        if weight > best.map_or(0, |(weight, _)| weight) {
            best = Some((weight, media));
        }
    }
    best.map(|(_, media)| media)
}

struct Range<'a> {
    media: &'a str,
    /// Thousandths.
    weight: u32,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut pieces = text.split(';').map(str::trim);
        let media = pieces.next().filter(|media| media.contains('/'))?;
        Some(Self { media, weight: weight(pieces)? })
    }

    /// How closely it names `media`; `None` if it doesn't.
    fn specificity(&self, media: &str) -> Option<u8> {
        if self.media == "*/*" {
            return Some(0);
        }
        if let Some(family) = self.media.strip_suffix("/*") {
            return media.split('/').next().is_some_and(|own| own.eq_ignore_ascii_case(family)).then_some(1);
        }
        self.media.eq_ignore_ascii_case(media).then_some(2)
    }
}

/// The weight among the parameters of something that is accepted, in thousandths; `None` if it can't be read (RFC 9110,
/// section 12.4.2).
pub(crate) fn weight<'a>(mut parameters: impl Iterator<Item = &'a str>) -> Option<u32> {
    let weight = parameters.find_map(|piece| piece.strip_prefix("q=").or_else(|| piece.strip_prefix("Q=")));
    let weight = weight.map_or(Some(1.0), |weight| weight.trim().parse::<f64>().ok().filter(|q| (0.0..=1.0).contains(q)))?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
    Some((weight * 1000.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::best;

    const BOTH: &[&str] = &["application/json", "application/yaml"];

    #[test]
    fn the_best_liked_is_given() {
        for (accept, given) in [
            ("*/*", Some("application/json")),
            ("", Some("application/json")),
            ("application/yaml", Some("application/yaml")),
            ("Application/YAML; charset=utf-8", Some("application/yaml")),
            ("application/json;q=0.5, application/yaml", Some("application/yaml")),
            ("application/*;q=0.2, application/json;q=0.1", Some("application/yaml")),
            ("application/json;q=0, */*", Some("application/yaml")),
            ("text/html, application/xhtml+xml, */*;q=0.8", Some("application/json")),
            ("text/html", None),
            ("application/json;q=0", None),
            ("nonsense, application/yaml;q=7", None),
        ] {
            assert_eq!(best(Some(accept), BOTH), given, "{accept}");
        }
        assert_eq!(best(None, BOTH), Some("application/json"));
    }
}
