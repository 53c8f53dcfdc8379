//! Inputs as texts like HTTP's: a first line, headers, an empty line, and a body of any bytes.
//!
//! The reading is lenient: a line that is no header is passed over, and a text that ends early is a
//! message without the rest. Words in braces stand for what an input cannot know, `{token}` for
//! one, so that no corpus holds it.

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

/// What stands between two messages of one input.
const BETWEEN: &[u8] = b"\n%%\n";

/// One request or reply of an input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    /// What stands in front of the headers.
    pub(crate) first: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Reads one message.
    pub(crate) fn read(text: &[u8]) -> Self {
        let (first, mut rest) = line(text);
        let mut headers = HeaderMap::new();
        while !rest.is_empty() {
            let (header, after) = line(rest);
            rest = after;
            if header.is_empty() {
                break;
            }
            let Some(colon) = header.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = header.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            if let Ok(name) = HeaderName::from_bytes(name)
                && let Ok(value) = HeaderValue::from_bytes(value)
            {
                headers.append(name, value);
            }
        }
        let first = String::from_utf8_lossy(first).into_owned();
        Self { first, headers, body: rest.to_vec() }
    }

    /// The request, if it could come over a connection.
    pub(crate) fn request(&self) -> Option<Request<Body>> {
        let (method, target) = self.first.split_once(' ')?;
        let mut request = Request::new(Body::from(self.body.clone()));
        *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
        *request.uri_mut() = target.trim().parse::<Uri>().ok()?;
        *request.headers_mut() = self.headers.clone();
        Some(request)
    }
}

/// The input with every placeholder replaced by what it stands for.
pub(crate) fn filled(input: &[u8], words: &[(&str, &[u8])]) -> Vec<u8> {
    let mut filled = Vec::new();
    let mut rest = input;
    while let Some((byte, after)) = rest.split_first() {
        match words.iter().find(|(word, _)| rest.starts_with(word.as_bytes())) {
            Some((word, meaning)) => {
                filled.extend_from_slice(meaning);
                rest = rest.get(word.len()..).unwrap_or_default();
            }
            None => {
                filled.push(*byte);
                rest = after;
            }
        }
    }
    filled
}

/// The messages of an input, which stand between lines of `%%`.
pub(crate) fn parts(input: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        let (part, after) = rest.split_at(at);
        parts.push(part);
        rest = after.get(BETWEEN.len()..).unwrap_or_default();
    }
    parts.push(rest);
    parts
}

/// The first line, and what comes after it.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let (line, rest) = text.split_at(end);
            (line, rest.get(1..).unwrap_or_default())
        }
        None => (text, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::{Message, filled, parts};

    #[test]
    fn messages_are_read_leniently() {
        for (text, first, headers, body) in [
            ("200\na: b\n\n{}\n", "200", vec![("a", "b")], "{}\n"),
            ("200\na: b\nnothing\nA:c\n\n\nx", "200", vec![("a", "b"), ("a", "c")], "\nx"),
            ("200\na b: c\n: d\n\n", "200", vec![], ""),
            ("200", "200", vec![], ""),
            ("", "", vec![], ""),
        ] {
            let message = Message::read(text.as_bytes());
            let read = message.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap()));
            assert_eq!(read.collect::<Vec<_>>(), headers, "{text:?}");
            assert_eq!((message.first.as_str(), message.body), (first, body.into()), "{text:?}");
        }
    }

    #[test]
    fn placeholders_are_replaced_once() {
        let words: &[(&str, &[u8])] = &[("{a}", b"{b}"), ("{b}", b"B")];
        assert_eq!(filled(b"{a}{b}{c}{a", words), b"{b}B{c}{a");
    }

    #[test]
    fn an_input_falls_into_its_messages() {
        assert_eq!(parts(b"a\n%%\nb\n%%\n"), [&b"a"[..], b"b", b""]);
        assert_eq!(parts(b"a%%\n"), [b"a%%\n"]);
    }
}
