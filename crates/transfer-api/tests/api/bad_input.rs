//! Every endpoint, given what it must not accept: the answer is a clear 4xx, and nothing changes.

use crate::cloud::Reply;
use crate::stack::{Stack, volume_id};
use axum::body::Body;
use http::Request;
use serde_json::json;

/// A request that is wrong, and what is said of it.
struct Wrong {
    method: &'static str,
    /// `{other}`: the root with another project in it; `{id}`: an open offer; `{volume}`: on offer.
    path: &'static str,
    version: &'static str,
    body: Option<String>,
    status: u16,
    message: &'static str,
}

fn wrong(method: &'static str, path: &'static str, status: u16, message: &'static str) -> Wrong {
    Wrong { method, path, version: "3.71", body: None, status, message }
}

impl Wrong {
    fn body(self, body: impl Into<String>) -> Self {
        Self { body: Some(body.into()), ..self }
    }

    fn version(self, version: &'static str) -> Self {
        Self { version, ..self }
    }
}

const CREATE: &str = "/v3/volume-transfers";
const LEGACY: &str = "/v3/os-volume-transfer";
const ACCEPT: &str = "/v3/volume-transfers/{id}/accept";
const SHOW: &str = "/v3/volume-transfers/{id}";
const NOT_COMPLIANT: &str = "The server could not comply with the request";

fn creations() -> Vec<Wrong> {
    let post = |status, message, body: &str| wrong("POST", CREATE, status, message).body(body);
    let with = |member: &str| format!(r#"{{"transfer": {{"volume_id": "{{volume}}"{member}}}}}"#);
    let long = "x".repeat(256);
    let invalid = "is not valid under any of the given schemas";
    vec![
        wrong("POST", CREATE, 400, "The request needs a JSON body."),
        post(400, "Malformed request body", "{"),
        post(400, "Malformed request body", "{} x"),
        post(400, "Malformed request body", r#"{"transfer": NaN}"#),
        post(400, "[] is not of type 'object'", "[]"),
        post(400, "'transfer' is a required property", "{}"),
        post(400, "'volume_id' is a required property", r#"{"transfer": {}}"#),
        post(400, "5 is not of type 'string'", r#"{"transfer": {"volume_id": 5}}"#),
        post(400, "'v' is not a 'uuid'", r#"{"transfer": {"volume_id": "v"}}"#),
        post(400, invalid, &with(r#", "name": 5"#)),
        post(400, invalid, &with(r#", "name": " ""#)),
        post(400, invalid, &with(&format!(r#", "name": "{long}""#))),
        post(400, "None is not of type 'boolean', 'string'", &with(r#", "no_snapshots": null"#)),
        post(400, "'maybe' is not one of [True, 'True'", &with(r#", "no_snapshots": "maybe""#)),
        post(400, "('extra' was unexpected)", &with(r#", "extra": 1"#)),
        post(400, "('no_snapshots' was unexpected)", &with(r#", "no_snapshots": true"#))
            .version("3.54"),
        wrong("POST", LEGACY, 400, "('no_snapshots' was unexpected)")
            .body(with(r#", "no_snapshots": true"#)),
        post(
            404,
            "Volume 22222222-1111-4111-8111-111111111111 could not be found.",
            r#"{"transfer": {"volume_id": "22222222-1111-4111-8111-111111111111"}}"#,
        ),
        post(400, "Invalid volume: status must be available", &with("")),
        wrong("POST", "{other}/volume-transfers", 400, "Malformed request url").body(with("")),
        wrong("POST", "{other}/volume-transfers", 400, "Malformed request body").body("{"),
        post(406, "Version 3.99 is not supported by the API.", &with("")).version("3.99"),
        post(400, "API Version String x is of invalid format.", &with("")).version("x"),
    ]
}

fn others() -> Vec<Wrong> {
    let accept = |status, message, body: &str| wrong("POST", ACCEPT, status, message).body(body);
    let key = r#"{"accept": {"auth_key": "wrong"}}"#;
    let invalid_key = "Invalid auth key: Attempt to transfer";
    vec![
        wrong("POST", ACCEPT, 400, "The request needs a JSON body."),
        accept(400, "Malformed request body", "{"),
        accept(400, "None is not of type 'object'", "null"),
        accept(400, "'accept' is a required property", "{}"),
        accept(400, "'auth_key' is a required property", r#"{"accept": {}}"#),
        accept(400, "True is not of type 'string', 'integer'", r#"{"accept": {"auth_key": true}}"#),
        accept(400, "('b' was unexpected)", r#"{"accept": {"auth_key": "k"}, "b": 1}"#),
        accept(400, invalid_key, key),
        accept(400, invalid_key, r#"{"accept": {"auth_key": ""}}"#),
        accept(400, invalid_key, r#"{"accept": {"auth_key": 1234567890123456}}"#),
        accept(406, "Version 3.99 is not supported", key).version("3.99"),
        wrong("POST", "/v3/volume-transfers/nope/accept", 404, "Transfer nope could not be found.")
            .body(key),
        wrong("POST", "{other}/os-volume-transfer/{id}/accept", 400, "Malformed request url")
            .body(key),
        wrong("GET", SHOW, 400, NOT_COMPLIANT).body("{}"),
        wrong("GET", SHOW, 400, "Malformed request body").body("{"),
        wrong("GET", SHOW, 406, "Version 4.0 is not supported").version("4.0"),
        wrong("GET", "/v3/volume-transfers/nope", 404, "Transfer nope could not be found."),
        wrong("GET", "{other}/volume-transfers/{id}", 400, "Malformed request url"),
        wrong("DELETE", SHOW, 400, NOT_COMPLIANT).body("{}"),
        wrong("DELETE", SHOW, 400, "Malformed request body").body("{"),
        wrong("DELETE", SHOW, 406, "Version 2.0 is not supported").version("2.0"),
        wrong("DELETE", "/v3/volume-transfers/nope", 404, "Transfer nope could not be found."),
        wrong("DELETE", "{other}/volume-transfers/{id}", 400, "Malformed request url"),
        wrong("PUT", SHOW, 404, "The resource could not be found.").body("{}"),
        wrong("GET", CREATE, 400, NOT_COMPLIANT).body("{}"),
        wrong("GET", "/v3/volume-transfers/detail", 400, NOT_COMPLIANT).body("{}"),
        wrong("GET", "{other}/volume-transfers", 400, "Malformed request url"),
        wrong("GET", "{other}/os-volume-transfer/detail", 400, "Malformed request url"),
        wrong("GET", "/v3/volume-transfers?limit=x", 400, "limit param must be an integer"),
        wrong("GET", "/v3/volume-transfers?limit=-1", 400, "limit param must be positive"),
        wrong("GET", "/v3/os-volume-transfer?offset=x", 400, "offset must be an integer"),
        wrong("GET", "/v3/volume-transfers?sort=salt", 400, "Invalid input received: Invalid sort"),
        wrong("GET", "/v3/volume-transfers?marker=nope", 404, "Transfer nope could not be found."),
        wrong("GET", "/v3/volume-transfers?name=%ff", 400, "could not be decoded by Cinder."),
        wrong(
            "GET",
            "/v3/volume-transfers/detail?name=%00",
            400,
            "could not be decoded by Cinder.",
        ),
    ]
}

fn message(reply: &Reply) -> String {
    let name = match reply.status {
        400 => "badRequest",
        404 => "itemNotFound",
        _ => "computeFault",
    };
    reply.fault(name)
}

#[tokio::test]
async fn what_is_wrong_is_refused_in_words_and_changes_nothing() {
    let stack = Stack::new().await;
    let volume = stack.encrypted_volume(&volume_id(1)).await;
    let (id, auth_key) = stack.offer(&volume).await;
    let token = stack.token("x", "donor").await;
    let before = stack.everything().await;
    for wrong in creations().into_iter().chain(others()) {
        let fill = |text: &str| {
            text.replace("{other}", &format!("/v3/{}", stack.project("recipient")))
                .replace("{id}", &id)
                .replace("{volume}", volume.as_str())
        };
        let path = fill(wrong.path);
        let mut ask = stack.ask(wrong.method, &path).version(wrong.version).token(&token);
        if let Some(body) = &wrong.body {
            ask = ask.body("application/json", fill(body));
        }
        let reply = ask.send().await;
        let what = format!("{} {path} {:?}", wrong.method, wrong.body);
        assert_eq!(reply.status, wrong.status, "{what}: {reply:?}");
        assert!(message(&reply).contains(wrong.message), "{what}: {reply:?}");
        assert!(!reply.text.contains(&auth_key), "{what}: {reply:?}");
    }
    assert_eq!(stack.everything().await, before);
}

#[tokio::test]
async fn bodies_that_are_not_json_are_an_unsupported_media_type() {
    let stack = Stack::new().await;
    let token = stack.token("x", "donor").await;
    let body = json!({"transfer": {"volume_id": volume_id(1)}}).to_string();
    for (content_type, status) in [
        ("text/plain", 415),
        ("application/xml", 415),
        ("", 415),
        ("application/json; charset=utf-8", 404),
        ("application/vnd.openstack.volume+json", 404),
    ] {
        let ask = stack.ask("POST", CREATE).token(&token).body(content_type, body.clone());
        let reply = ask.send().await;
        assert_eq!(reply.status, status, "{content_type}: {reply:?}");
        if status == 415 {
            assert_eq!(reply.fault("badMediaType"), "Unsupported Content-Type");
        }
    }
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_announced_or_not() {
    let stack = Stack::new().await;
    let token = stack.token("x", "donor").await;
    let limit = 114_688;
    let text = "413 Request Entity Too Large\n\n\
                Request is too large. Larger than max_request_body_size (114688).\n\n   ";
    for path in [CREATE, LEGACY, "/v3/volume-transfers/nope/accept"] {
        // Nobody has to authenticate to be told so.
        let announced = stack.ask("POST", path).body("application/json", "x".repeat(limit + 1));
        let announced = announced.send().await;
        let unannounced = Request::post(path)
            .header("x-auth-token", &token)
            .header("content-type", "application/json")
            .body(Body::from("x".repeat(limit + 1)))
            .unwrap();
        let unannounced = stack.send(unannounced).await;
        for reply in [announced, unannounced] {
            assert_eq!((reply.status, reply.text.as_str()), (413, text), "{path}");
        }
        let at_the_limit = "x".repeat(limit);
        let ask = stack.ask("POST", path).token(&token).body("application/json", at_the_limit);
        assert_eq!(ask.send().await.fault("badRequest"), "Malformed request body", "{path}");
    }
}
