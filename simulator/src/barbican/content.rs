//! Content types, encodings and `Accept`, as Barbican reads them.
//!
//! Source: barbican plugin/util/mime_types.py, plugin/util/translations.py.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};

use super::error::Refusal;
use crate::authtoken::header;

pub(super) const TEXT: &str = "text/plain";
pub(super) const OCTETS: &str = "application/octet-stream";
const PKCS8: &str = "application/pkcs8";

/// How a list of what is supported is printed.
pub(super) const SUPPORTED: &str = "['text/plain', 'text/plain;charset=utf-8', \
    'text/plain; charset=utf-8', 'application/octet-stream', 'application/pkcs8']";

/// The internal name of a supported content type.
pub(super) fn normalize(content_type: &str) -> Option<&'static str> {
    let mut parts = content_type.split(';').map(str::trim);
    let mime = parts.next().unwrap_or_default().to_lowercase();
    if let Some(parameter) = parts.next() {
        let (_, charset) = parameter.split_once('=')?;
        if charset.trim().to_lowercase() != "utf-8" {
            return None;
        }
    }
    [TEXT, OCTETS, PKCS8].into_iter().find(|known| *known == mime)
}

/// The content type of a request without its parameters.
pub(super) fn of_request(headers: &HeaderMap) -> &str {
    let given = header(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim()
}

/// Lets only a JSON body pass.
pub(super) fn expect_json(headers: &HeaderMap) -> Result<(), Refusal> {
    if of_request(headers) == "application/json" {
        return Ok(());
    }
    Err(Refusal::ContentType("'application/json'"))
}

/// Lets only a caller pass that takes JSON.
pub(super) fn accept_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(accept) = header(headers, ACCEPT.as_str()) else { return Ok(()) };
    let takes_json = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let mime = parts.next().unwrap_or_default();
        let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0"));
        !refused && matches!(mime, "" | "*/*" | "application/*" | "application/json")
    };
    // A header that cannot be read is as good as none.
    let is_read = |range: &str| {
        let mime = range.split(';').next().unwrap_or_default().trim();
        mime.is_empty() || mime.split('/').filter(|part| !part.is_empty()).count() == 2
    };
    if !accept.split(',').all(is_read) || accept.split(',').any(takes_json) {
        return Ok(());
    }
    Err(Refusal::NotAcceptable)
}

/// Python's `base64.b64decode` without validation: letters of no meaning are skipped, and what
/// follows a complete padding is ignored. `None` where it raises.
pub(super) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut quad, mut pads) = (0_u32, 0_u8, 0_u8);
    for &letter in text {
        if letter == b'=' {
            pads += 1;
            if quad >= 2 && quad + pads >= 4 {
                return Some(decoded);
            }
            continue;
        }
        let Some(value) = sextet(letter) else { continue };
        pads = 0;
        bits = (bits << 6) | u32::from(value);
        quad = (quad + 1) % 4;
        if quad != 1 {
            let shift = [0, 0, 4, 2][usize::from(quad)];
            decoded.push(u8::try_from((bits >> shift) & 0xff).unwrap_or_default());
        }
    }
    (quad == 0).then_some(decoded)
}

fn sextet(letter: u8) -> Option<u8> {
    match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{decode_base64, normalize};

    #[test]
    fn base64_is_decoded_as_leniently_as_in_python() {
        for (text, expected) in [
            ("aGVsbG8=", Some("hello")),
            ("aGVs bG8=\n", Some("hello")),
            ("aGVsbG8=trailing", Some("hello")),
            ("aGVsbG9v", Some("helloo")),
            ("aA==", Some("h")),
            ("****", Some("")),
            ("=", Some("")),
            ("A", None),
            ("aGVsbG8", None),
            ("aA=", None),
        ] {
            let expected = expected.map(|text| text.as_bytes().to_vec());
            assert_eq!(decode_base64(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn content_types_are_known_by_their_internal_name() {
        for (given, expected) in [
            ("text/plain", Some("text/plain")),
            ("TEXT/PLAIN", Some("text/plain")),
            ("text/plain;charset=UTF-8", Some("text/plain")),
            ("text/plain; charset=latin-1", None),
            ("text/plain; charset", None),
            ("application/octet-stream", Some("application/octet-stream")),
            ("application/pkcs8", Some("application/pkcs8")),
            ("application/octet-stream, text/plain", None),
            ("", None),
        ] {
            assert_eq!(normalize(given), expected, "{given}");
        }
    }
}
