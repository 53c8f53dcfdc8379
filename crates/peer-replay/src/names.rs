//! Placeholders for what differs from run to run and from side to side.
//!
//! A value that a variable holds is shown as that variable, `${secret}`. Other ids, tokens and
//! hosts are numbered in the order in which a reply shows them, so that two that are equal stay
//! equal, and one too many changes nothing in the replies after it. Of a time near now the form
//! stays. What a case itself spells out, an id that is not there for instance, is left as it is.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value};
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime};

use crate::body::Body;
use crate::recording::Reply;
use crate::variables::Variables;
use crate::wire::Received;

/// The headers that mean something to a client.
const HEADERS: &[&str] = &[
    "allow",
    "content-type",
    "location",
    "openstack-api-version",
    "retry-after",
    "vary",
    "www-authenticate",
    "x-subject-token",
];
/// A shorter value could be part of any word.
const SHORTEST: usize = 8;
/// How far from now a time is taken for a moment of this run.
const NEAR: Duration = Duration::days(2);
/// Arrays without an order of their own, and the member that they are sorted by; words are sorted
/// by themselves.
const SETS: &[(&str, &str)] = &[
    ("catalog", "type"),
    ("endpoints", "interface"),
    ("methods", ""),
    ("projects", "name"),
    ("roles", "name"),
    ("secret_refs", "name"),
    ("users", "name"),
];

static CHANGING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        (?<token> gAAAAA[0-9A-Za-z_-]{20,}=*)
        | (?<date> \d{4}-\d\d-\d\d) (?<between> [T\x20]) \d\d:\d\d:\d\d (?<fraction> \.\d+)?
        | (?<uuid> \b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)
        | (?<hex> \b[0-9a-f]{32}\b)
        | (?<host> https?://(localhost|\d+\.\d+\.\d+\.\d+):\d+)",
    )
    .ok()
});

/// The reply with placeholders, for a script that spells this out and has got these variables.
pub(crate) fn name(spelled_out: &str, variables: &Variables, received: &Received) -> Reply {
    Names::new(spelled_out, variables).reply(received)
}

/// The placeholders of one reply.
struct Names<'a> {
    /// The script as its file has it.
    spelled_out: &'a str,
    /// The variables' values, longest first, and the placeholder of each.
    known: Vec<(String, String)>,
    numbered: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, usize>,
    today: Date,
}

impl<'a> Names<'a> {
    fn new(spelled_out: &'a str, variables: &Variables) -> Self {
        let mut known: Vec<_> = variables
            .iter()
            .filter(|(name, value)| *name != "password" && value.len() >= SHORTEST)
            .map(|(name, value)| (value.to_owned(), format!("${{{name}}}")))
            .collect();
        known.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        let today = OffsetDateTime::now_utc().date();
        Self { spelled_out, known, numbered: BTreeMap::new(), counts: BTreeMap::new(), today }
    }

    fn reply(mut self, received: &Received) -> Reply {
        let mut headers = BTreeMap::new();
        for name in HEADERS {
            if let Some(value) = received.header(name) {
                let value = if *name == "allow" { sorted(&value) } else { self.text(&value) };
                headers.insert((*name).to_owned(), value);
            }
        }
        let content_type = received.header("content-type");
        let body = match Body::received(content_type.as_deref(), &received.body) {
            Some(Body::Json(json)) => Some(Body::Json(self.json("", &json))),
            Some(Body::Text(text)) => Some(Body::Text(self.text(&text))),
            other => other,
        };
        Reply { status: received.status, headers, body }
    }

    fn json(&mut self, of: &str, json: &Value) -> Value {
        match json {
            Value::String(text) if of == "audit_ids" => {
                Value::String(self.number("audit id", text))
            }
            Value::String(text) if of == "auth_key" && !self.is_known(text) => {
                Value::String(self.number("auth key", text))
            }
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => {
                let mut items: Vec<_> = items.iter().collect();
                if let Some((_, member)) = SETS.iter().find(|(name, _)| *name == of) {
                    items.sort_by_key(|item| item.as_str().or(item[member].as_str()));
                }
                Value::Array(items.into_iter().map(|item| self.json(of, item)).collect())
            }
            Value::Object(members) => {
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_by_key(|(name, _)| *name);
                let named = sorted
                    .into_iter()
                    .map(|(name, value)| (self.text(name), self.json(name, value)))
                    .collect::<Map<_, _>>();
                Value::Object(named)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => json.clone(),
        }
    }

    fn is_known(&self, text: &str) -> bool {
        self.known.iter().any(|(value, _)| value == text)
    }

    fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (value, placeholder) in &self.known {
            text = text.replace(value, placeholder);
        }
        match &*CHANGING {
            Some(changing) => {
                changing.replace_all(&text, |found: &Captures<'_>| self.placeholder(found)).into()
            }
            None => text,
        }
    }

    fn placeholder(&mut self, found: &Captures<'_>) -> String {
        let whole = &found[0];
        if self.spelled_out.contains(whole) {
            return whole.to_owned();
        }
        if let Some(date) = found.name("date") {
            return if self.is_near(date.as_str()) { form(found) } else { whole.to_owned() };
        }
        let kinds = ["token", "uuid", "hex", "host"];
        match kinds.into_iter().find(|kind| found.name(kind).is_some()) {
            Some(kind) => self.number(kind, whole),
            None => whole.to_owned(),
        }
    }

    fn number(&mut self, kind: &'static str, value: &str) -> String {
        if let Some(placeholder) = self.numbered.get(value) {
            return placeholder.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let placeholder = format!("${{{kind} {count}}}");
        self.numbered.insert(value.to_owned(), placeholder.clone());
        placeholder
    }

    fn is_near(&self, date: &str) -> bool {
        let date = Date::parse(date, format_description!("[year]-[month]-[day]"));
        date.is_ok_and(|date| (date - self.today).abs() <= NEAR)
    }
}

/// A time without its figures: whether it has a T, and how many digits behind the second. Those
/// digits stay when they are zeros.
fn form(found: &Captures<'_>) -> String {
    let fraction = found.name("fraction").map_or("", |fraction| fraction.as_str());
    let zeros = fraction.chars().all(|digit| digit == '.' || digit == '0');
    let fraction =
        if zeros { fraction.to_owned() } else { format!(".{}", "#".repeat(fraction.len() - 1)) };
    format!("${{date}}{}${{time}}{fraction}", &found["between"])
}

/// A list of methods in an order of its own.
fn sorted(methods: &str) -> String {
    let mut methods: Vec<_> = methods.split(',').map(str::trim).collect();
    methods.sort_unstable();
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;
    use serde_json::json;

    use super::*;

    const ABSENT: &str = "00000000-0000-4000-8000-000000000000";

    fn shown(script: &str, body: &Value) -> Value {
        let mut variables = Variables::default();
        variables.set("secret", "3f0e31b5-7a52-4b0c-9b6e-94d1a9f2bb01");
        variables.set("total", "1");
        variables.set("password", "description");
        let headers = [("content-type", "application/json")].into_iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        });
        let received = Received {
            status: 200,
            headers: headers.collect::<HeaderMap>(),
            body: Bytes::from(body.to_string()),
        };
        match name(script, &variables, &received).body {
            Some(Body::Json(json)) => json,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_changes_is_named_by_its_variable_or_numbered() {
        let (one, other) = ("0".repeat(32), "a".repeat(32));
        let body = json!({
            "a": "http://127.0.0.1:9/v1/secrets/3f0e31b5-7a52-4b0c-9b6e-94d1a9f2bb01",
            "b": [one, other, one],
            "c": ABSENT,
            "d": "11111111-1111-4111-8111-111111111111",
            "e": format!("token gAAAAA{}==.", "x".repeat(30)),
            "roles": [{"name": "member"}, {"name": "admin"}],
            "methods": ["token", "password"],
            "audit_ids": ["second", "first"],
            "auth_key": "0123456789abcdef",
            "total": 1,
            "description": "1 secret",
        });
        let expected = json!({
            "a": "${host 1}/v1/secrets/${secret}",
            "b": ["${hex 1}", "${hex 2}", "${hex 1}"],
            "c": ABSENT,
            "d": "${uuid 1}",
            "e": "token ${token 1}.",
            "roles": [{"name": "admin"}, {"name": "member"}],
            "methods": ["password", "token"],
            "audit_ids": ["${audit id 1}", "${audit id 2}"],
            "auth_key": "${auth key 1}",
            "total": 1,
            "description": "1 secret",
        });
        assert_eq!(shown(ABSENT, &body), expected);
    }

    #[test]
    fn a_time_near_now_keeps_its_form_only() {
        let today = OffsetDateTime::now_utc().date();
        for (time, expected) in [
            (format!("{today}T03:55:05.000000Z"), "${date}T${time}.000000Z"),
            (format!("{today}T03:55:05.123456"), "${date}T${time}.######"),
            (format!("{today} 03:55:05"), "${date} ${time}"),
            ("2099-01-01T00:00:00".to_owned(), "2099-01-01T00:00:00"),
        ] {
            assert_eq!(shown("", &json!({"at": time}))["at"], expected);
        }
    }
}
