//! What every reply of the service keeps to, whatever was asked.

use crate::cloud::Reply;
use http::Method;
use serde_json::Value;

/// What was asked and what became of it.
pub(crate) struct Exchanged<'a> {
    pub(crate) method: &'a Method,
    pub(crate) reply: &'a Reply,
    /// Whether the world is another than before.
    pub(crate) changed: bool,
    /// Tokens and auth keys that the caller has not told itself, the token header aside.
    pub(crate) secrets: Vec<&'a str>,
}

/// Holds the reply against its promises.
pub(crate) fn check_exchanged(exchanged: &Exchanged<'_>) {
    let Exchanged { method, reply, changed, secrets } = exchanged;
    let status = reply.status;
    assert!(status < 500, "{status} where nothing fails: {reply:?}");
    check_request_id(reply);
    if *method == Method::HEAD {
        assert_eq!(reply.text, "", "a body in the reply to HEAD");
    } else if status >= 400 {
        check_fault(reply);
    } else {
        assert!(matches!(status, 200 | 202 | 300 | 302), "{status} is nobody's: {reply:?}");
    }
    let may_change = [Method::POST, Method::DELETE].contains(method) && status == 202;
    assert_eq!(*changed, may_change, "{method} answered {status}; whether it changed anything");
    for secret in secrets {
        assert!(!reply.text.contains(secret), "a secret is told: {reply:?}");
    }
}

fn check_request_id(reply: &Reply) {
    let id = |name| reply.headers.get(name).and_then(|id| id.to_str().ok());
    let given = id("x-openstack-request-id");
    let formed = given.and_then(|id| id.strip_prefix("req-")).is_some_and(|id| id.len() == 36);
    assert!(formed, "no request id: {reply:?}");
    assert_eq!(given, id("x-compute-request-id"), "two request ids");
}

/// An error is a fault of Cinder's, keystonemiddleware's 401, or what webob says in plain text
/// where no controller is asked.
fn check_fault(reply: &Reply) {
    let status = reply.status;
    let media_type = reply.headers.get("content-type").map(|value| value.as_bytes());
    if status == 401 {
        assert!(reply.headers.contains_key("www-authenticate"), "no word of where tokens are from");
    }
    if media_type != Some(b"application/json") {
        let plain = match status {
            404 => "404 Not Found\n\nThe resource could not be found.",
            413 => "413 Request Entity Too Large\n\nRequest is too large.",
            _ => panic!("no fault in JSON: {reply:?}"),
        };
        assert!(reply.text.starts_with(plain), "other words than webob's: {reply:?}");
        return;
    }
    let body: Value = serde_json::from_str(&reply.text).expect("a fault in JSON");
    let names: &[&str] = match status {
        400 => &["badRequest"],
        401 => &["error", "unauthorized"],
        403 => &["forbidden"],
        404 => &["itemNotFound"],
        413 => &["overLimit"],
        415 => &["badMediaType"],
        _ => &["computeFault"],
    };
    let members = body.as_object().expect("a fault is an object");
    let (name, fault) = members.iter().next().expect("a fault has a name");
    assert_eq!(members.len(), 1, "more than a fault: {body}");
    assert!(names.contains(&name.as_str()), "{status} is not called {name}");
    assert_eq!(fault["code"], status, "another code: {body}");
    assert!(fault["message"].as_str().is_some_and(|words| !words.is_empty()), "no words: {body}");
}

#[cfg(test)]
mod tests {
    use super::{Exchanged, Method, Reply, check_exchanged};
    use crate::objection::objection;

    const ID: &str = "req-11111111-1111-4111-8111-111111111111";
    const BAD: &str = r#"{"badRequest": {"code": 400, "message": "no"}}"#;

    fn reply(status: u16, headers: &[(&'static str, &str)], text: &str) -> Reply {
        let ids = [("x-openstack-request-id", ID), ("x-compute-request-id", ID)];
        let headers = ids.iter().chain(headers);
        let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Reply { status, headers: headers.collect(), text: text.to_owned() }
    }

    fn json(status: u16, text: &str) -> Reply {
        reply(status, &[("content-type", "application/json")], text)
    }

    fn check(method: &Method, reply: &Reply, changed: bool) {
        check_exchanged(&Exchanged { method, reply, changed, secrets: vec!["gAAAA"] });
    }

    #[test]
    fn a_service_that_breaks_a_promise_is_found() {
        let (get, post) = (&Method::GET, &Method::POST);
        let mut nameless = json(200, "{}");
        nameless.headers.remove("x-openstack-request-id");
        for (words, method, reply, changed) in [
            ("500 where nothing fails", get, json(500, BAD), false),
            ("no request id", get, nameless, false),
            ("changed anything", post, json(400, BAD), true),
            ("changed anything", post, json(202, "{}"), false),
            ("changed anything", get, json(200, "{}"), true),
            ("is nobody's", post, json(201, "{}"), true),
            ("is not called badRequest", post, json(404, BAD), false),
            ("another code", post, json(400, &BAD.replace("400", "404")), false),
            ("no words", post, json(400, &BAD.replace("no", "")), false),
            ("a fault in JSON", post, json(400, "bad"), false),
            ("no fault in JSON", post, reply(400, &[], BAD), false),
            ("other words", get, reply(404, &[], "nothing"), false),
            ("where tokens are from", get, json(401, BAD), false),
            ("more than a fault", get, json(400, r#"{"a": 1, "b": 2}"#), false),
            ("reply to HEAD", &Method::HEAD, json(400, BAD), false),
            ("a secret is told", get, json(200, r#"{"token": "gAAAA"}"#), false),
        ] {
            let objection = objection(|| check(method, &reply, changed));
            assert!(objection.contains(words), "{words}: {objection}");
        }
        check(post, &json(400, BAD), false);
        check(post, &json(202, "{}"), true);
    }
}
