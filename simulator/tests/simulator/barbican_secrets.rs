//! Secrets: bodies, both ways of creation, payloads, limits, consumers, expiration.

use serde_json::{Value, json};
use time::Duration;

use crate::cloud::{CONTENT, Cloud, key, path_of};

#[tokio::test]
async fn a_stored_key_reads_back_with_its_attributes() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let created =
        cloud.barbican("POST", "/v1/secrets/").with("x-auth-token", &x).json(key("one")).await;
    assert_eq!(created.status, 201);
    let reference = created.json()["secret_ref"].as_str().unwrap().to_owned();
    assert_eq!(created.header("location"), Some(reference.as_str()));
    let path = path_of(&reference);
    let shown = cloud.barbican("GET", &path).with("x-auth-token", &x).empty().await;
    assert_eq!(shown.status, 200);
    assert_eq!(
        shown.json(),
        json!({
            "algorithm": "AES",
            "bit_length": 256,
            "content_types": {"default": "application/octet-stream"},
            "created": "2026-11-24T03:55:05",
            "creator_id": cloud.simulator.user_id("x"),
            "expiration": null,
            "mode": null,
            "name": "one",
            "secret_ref": reference,
            "secret_type": "symmetric",
            "status": "ACTIVE",
            "updated": "2026-11-24T03:55:05",
        })
    );
    let payload = cloud.barbican("GET", &format!("{path}/payload"));
    let payload = payload.with("x-auth-token", &x).with("accept", CONTENT).empty().await;
    assert_eq!(payload.header("content-type"), Some(CONTENT));
    assert_eq!(payload.body, [b'K'; 32].as_slice());
}

#[tokio::test]
async fn a_shell_is_filled_once() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let path = cloud.store(&x, json!({"name": "shell", "secret_type": "symmetric"})).await;
    let shown = cloud.barbican("GET", &path).with("x-auth-token", &x).empty().await.json();
    assert_eq!(shown.get("content_types"), None);
    assert_eq!(shown["status"], "ACTIVE");
    let payload = format!("{path}/payload");
    let read = || cloud.barbican("GET", &payload).with("x-auth-token", &x).with("accept", CONTENT);
    let empty = read().empty().await;
    assert_eq!(empty.status, 404);
    assert_eq!(empty.said(), "Not Found. Sorry but your secret has no payload.");
    assert!(!cloud.simulator.secrets()[0].filled);

    cloud.simulator.clock().advance(Duration::milliseconds(1));
    let fill = || cloud.barbican("PUT", &path).with("x-auth-token", &x);
    let unsupported = "Unexpected content type. Expected content types are: \
                       ['application/octet-stream', 'text/plain']";
    let large = vec![b'x'; 20_001];
    for (content_type, encoding, body, status, said) in [
        ("", "", b"x".as_slice(), 415, unsupported),
        ("application/json", "", b"{}", 415, unsupported),
        ("application/pkcs8", "", b"x", 415, unsupported),
        (CONTENT, "", b"", 400, "Secret update issue seen - No data supplied to process.."),
        (
            CONTENT,
            "",
            &large,
            413,
            "Secret update issue seen - Provided information too large to process.",
        ),
        (
            CONTENT,
            "gzip",
            b"x",
            400,
            "Secret update issue seen - Text-based binary secret payloads must specify a \
             content-encoding of 'base64'.",
        ),
    ] {
        let ask = fill().with("content-type", content_type).with("content-encoding", encoding);
        let reply = ask.body(body.to_vec()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.said().as_str()),
            (status, said),
            "{content_type}"
        );
    }
    let done = fill().with("content-type", CONTENT).body("K".repeat(32)).await;
    assert_eq!((done.status.as_u16(), done.body.len()), (204, 0));
    let again = fill().with("content-type", CONTENT).body("K".repeat(32)).await;
    assert_eq!(again.status, 409);
    assert_eq!(again.said(), "Secret already has data, cannot modify it.");
    assert_eq!(read().empty().await.body, [b'K'; 32].as_slice());
    let shown = cloud.barbican("GET", &path).with("x-auth-token", &x).empty().await.json();
    assert_eq!(shown["content_types"], json!({"default": CONTENT}));
    assert_eq!(shown["updated"], "2026-11-24T03:55:05.001000");

    // The same bytes of the same type have the same fingerprint, however they came in.
    cloud.store(&x, key("other")).await;
    let secrets = cloud.simulator.secrets();
    assert_eq!(secrets[0].fingerprint, secrets[1].fingerprint);
    assert_eq!(
        secrets[0].fingerprint.as_deref(),
        Some("1c70c80d0e9f86859e7095105f75cb521977f37bbbfd5ad270cf305e4820a645")
    );
}

#[tokio::test]
async fn an_encoded_filling_is_decoded() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    for (content_type, encoding, sent, read) in [
        (CONTENT, "base64", b"aGVsbG8=".as_slice(), b"hello".as_slice()),
        (CONTENT, "BASE64", b"aGVsbG8=", b"hello"),
        ("text/plain", "base64", b"aGVsbG8=", b"aGVsbG8="),
        ("text/plain; charset=latin-1", "", b"hello", b"hello"),
        (CONTENT, "base64", b"****", b""),
    ] {
        let path = cloud.store(&x, json!({})).await;
        let ask = cloud.barbican("PUT", &path).with("x-auth-token", &x);
        let ask = ask.with("content-type", content_type).with("content-encoding", encoding);
        assert_eq!(ask.body(sent).await.status, 204);
        let ask = cloud.barbican("GET", &format!("{path}/payload")).with("x-auth-token", &x);
        let reply = ask.with("accept", CONTENT).empty().await;
        assert_eq!(reply.body, read, "{content_type} {encoding}");
        assert_eq!(reply.status, if read.is_empty() { 204 } else { 200 });
    }
}

#[tokio::test]
async fn a_payload_is_given_in_the_type_that_is_asked_for() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let text = json!({"payload": "hello", "payload_content_type": "text/plain"});
    let bytes = json!({
        "payload": "/////w==",
        "payload_content_type": CONTENT,
        "payload_content_encoding": "base64",
    });
    let text = cloud.store(&x, text).await;
    let bytes = cloud.store(&x, bytes).await;
    let utf8 = "text/plain; charset=UTF-8";
    for (path, accept, expected) in [
        (&text, Some("text/plain"), Some(utf8)),
        (&text, Some(CONTENT), Some(CONTENT)),
        (&text, Some("*/*"), Some("*/*")),
        (&text, None, Some(CONTENT)),
        (&bytes, Some(CONTENT), Some(CONTENT)),
        (&bytes, Some("*/*"), Some("*/*")),
        (&bytes, Some(""), Some(CONTENT)),
        (&bytes, Some("application/pkcs8"), Some("application/pkcs8")),
        (&bytes, Some("text/plain"), None),
        (&bytes, Some("text/plain; charset=utf-8"), None),
        (&bytes, Some("application/octet-stream, text/plain"), None),
        (&bytes, Some("application/octet-stream;q=0.8"), None),
        (&bytes, Some("application/*"), None),
        (&bytes, Some("application/json"), None),
        (&bytes, Some("text/html"), None),
    ] {
        let ask = cloud.barbican("GET", &format!("{path}/payload")).with("x-auth-token", &x);
        let ask = match accept {
            Some(accept) => ask.with("accept", accept),
            None => ask,
        };
        let reply = ask.empty().await;
        if let Some(content_type) = expected {
            assert_eq!(reply.status, 200, "{accept:?}");
            assert_eq!(reply.header("content-type"), Some(content_type));
        } else {
            assert_eq!(reply.status, 406, "{accept:?}");
            assert_eq!(
                reply.said(),
                "Secret payload retrieval issue seen - Wrong payload content-type."
            );
        }
    }
    // Without `/payload` anything but JSON is the old way to the payload.
    let old = |accept: &'static str| {
        cloud.barbican("GET", &bytes).with("x-auth-token", &x).with("accept", accept)
    };
    assert_eq!(old(CONTENT).empty().await.body, [0xff; 4].as_slice());
    assert_eq!(old("").empty().await.body, [0xff; 4].as_slice());
    for accept in ["text/html", "application/json, text/plain", "application/json;q=1"] {
        let reply = old(accept).empty().await;
        assert_eq!(
            reply.said(),
            "Secret retrieval issue seen - Wrong payload content-type.",
            "{accept}"
        );
    }
}

/// Body, reason and property of what the schema refuses; `@` stands for a content type of octets.
const MISFITS: &[(&str, &str, &str)] = &[
    (r#"{"name": 5}"#, "5 is not of type 'string', 'null'", "name"),
    (r#"{"mode": null}"#, "None is not of type 'string'", "mode"),
    (r#"{"algorithm": 5}"#, "5 is not of type 'string'", "algorithm"),
    (r#"{"bit_length": 0}"#, "0 is less than the minimum of 1", "bit_length"),
    (r#"{"bit_length": 40000}"#, "40000 is greater than the maximum of 32767", "bit_length"),
    (r#"{"bit_length": "a"}"#, "'a' is not of type 'integer'", "bit_length"),
    (r#"{"bit_length": 1.5}"#, "1.5 is not of type 'integer'", "bit_length"),
    (r#"{"bit_length": true}"#, "True is not of type 'integer'", "bit_length"),
    (
        r#"{"secret_type": "foo"}"#,
        "'foo' is not one of ['symmetric', 'passphrase', 'private', 'public', 'certificate', \
         'opaque']",
        "secret_type",
    ),
    (r#"{"name": 5, "bit_length": 0}"#, "5 is not of type 'string', 'null'", "name"),
    (r#"{"expiration": "foo"}"#, "Invalid date for 'expiration'", "expiration"),
    (r#"{"expiration": "2014-02-28"}"#, "'expiration' is before current time", "expiration"),
    (r#"{"payload": 5}"#, "5 is not of type 'string'", "payload"),
    (
        r#"{"payload_content_type": "text/plain"}"#,
        "payload must be provided when payload_content_type is specified",
        "payload",
    ),
    (
        r#"{"payload": "x"}"#,
        "If 'payload' is supplied, 'payload_content_type' must also be supplied.",
        "payload_content_type",
    ),
    (
        r#"{"payload": "x", "payload_content_type": "application/foo"}"#,
        "payload_content_type is not one of ['text/plain', 'text/plain;charset=utf-8', \
         'text/plain; charset=utf-8', 'application/octet-stream', 'application/pkcs8']",
        "payload_content_type",
    ),
    (
        r#"{"payload": "x", "payload_content_type": "text/plain",
            "payload_content_encoding": "base64"}"#,
        "payload_content_encoding is not one of None",
        "payload_content_encoding",
    ),
    (
        r#"{"payload": "x", @}"#,
        "payload_content_encoding is not one of ['base64', 'binary']",
        "payload_content_encoding",
    ),
    (
        r#"{"payload": "x", @, "payload_content_encoding": "gzip"}"#,
        "'gzip' is not one of ['base64']",
        "payload_content_encoding",
    ),
    (
        r#"{"payload": "A", @, "payload_content_encoding": "base64"}"#,
        "Invalid payload for payload_content_encoding",
        "payload",
    ),
    (
        r#"{"payload": "  ", "payload_content_type": "text/plain"}"#,
        "If 'payload' specified, must be non empty",
        "payload",
    ),
    ("[]", "[] is not of type 'object'", "None"),
    ("\"str\"", "'str' is not of type 'object'", "None"),
    ("null", "None is not of type 'object'", "None"),
];

#[tokio::test]
async fn a_secret_that_does_not_fit_the_schema_is_refused_in_barbicans_words() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let long = "n".repeat(256);
    let named = format!("{{\"name\": \"{long}\"}}");
    let too_long = format!("'{long}' is too long");
    let octets = "\"payload_content_type\": \"application/octet-stream\"";
    let misfits = MISFITS.iter().copied().chain([(named.as_str(), too_long.as_str(), "name")]);
    for (body, reason, property) in misfits {
        let ask = cloud.barbican("POST", "/v1/secrets").with("x-auth-token", &x);
        let ask = ask.with("content-type", "application/json");
        let reply = ask.body(body.replace('@', octets)).await;
        let expected = format!(
            "Provided object does not match schema 'Secret': {reason}. \
             Invalid property: '{property}'"
        );
        assert_eq!((reply.status.as_u16(), reply.said()), (400, expected), "{body}");
    }
    assert!(cloud.simulator.secrets().is_empty());
}

#[tokio::test]
async fn a_request_that_is_no_secret_at_all_is_refused() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let text = |length: usize| {
        json!({"payload": "x".repeat(length), "payload_content_type": "text/plain"}).to_string()
    };
    let json_only = "Unexpected content type. Expected content types are: ['application/json']";
    for (content_type, accept, body, status, said) in [
        ("text/plain", "*/*", "{}".to_owned(), 415, json_only),
        ("", "*/*", "{}".to_owned(), 415, json_only),
        ("application/json", "text/plain", "{}".to_owned(), 406, "(null)"),
        ("application/json", "*/*", "{".to_owned(), 400, "Malformed JSON"),
        ("application/json", "*/*", String::new(), 400, "Malformed JSON"),
        ("application/json", "*/*", "{} x".to_owned(), 400, "Malformed JSON"),
        ("application/json", "*/*", text(20_001), 413, "Provided information too large to process"),
        ("application/json", "*/*", text(25_000), 400, "Malformed JSON"),
        ("application/json", "*/*", text(1_000_000), 400, "Malformed JSON"),
    ] {
        let ask = cloud.barbican("POST", "/v1/secrets").with("x-auth-token", &x);
        let reply = ask.with("content-type", content_type).with("accept", accept).body(body).await;
        assert_eq!((reply.status.as_u16(), reply.said().as_str()), (status, said));
    }
    let ask = cloud.barbican("POST", "/v1/secrets").with("x-auth-token", &x);
    let reply =
        ask.with("content-type", "application/json; charset=utf-8").body(text(20_000)).await;
    assert_eq!(reply.status, 201);
}

#[tokio::test]
async fn what_a_new_secret_is_given_is_tidied() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    for (body, field, expected) in [
        (json!({"name": " a b "}), "name", json!("a b")),
        (json!({"name": null, "unknown": 1}), "name", Value::Null),
        (json!({}), "secret_type", json!("opaque")),
        (json!({"expiration": ""}), "expiration", Value::Null),
        (json!({"expiration": "2030-01-01"}), "expiration", json!("2030-01-01T00:00:00")),
        (json!({"expiration": "2030-01-01T00:00:00"}), "expiration", json!("2030-01-01T00:00:00")),
        (json!({"expiration": "2030-01-01T00:00:00Z"}), "expiration", json!("2030-01-01T00:00:00")),
        (
            json!({"expiration": "2030-01-01T00:00:00+02:00"}),
            "expiration",
            json!("2029-12-31T22:00:00"),
        ),
        (
            json!({"payload": " x ", "payload_content_type": "TEXT/PLAIN"}),
            "content_types",
            json!({"default": "text/plain"}),
        ),
    ] {
        let path = cloud.store(&x, body.clone()).await;
        let shown = cloud.barbican("GET", &path).with("x-auth-token", &x).empty().await.json();
        assert_eq!(shown[field], expected, "{body}");
    }
}

#[tokio::test]
async fn methods_that_barbican_lacks_are_named_in_the_answer() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let secret = cloud.store(&x, json!({})).await;
    let payload = format!("{secret}/payload");
    let consumers = format!("{secret}/consumers");
    for (method, path, allow) in [
        ("PATCH", secret.as_str(), Some("DELETE, GET, PUT")),
        ("POST", secret.as_str(), Some("DELETE, GET, PUT")),
        ("HEAD", secret.as_str(), Some("DELETE, GET, PUT")),
        ("POST", payload.as_str(), None),
        ("PUT", consumers.as_str(), Some("DELETE, GET, POST")),
        ("PUT", "/v1/secrets", Some("GET, POST")),
        ("HEAD", "/v1/secrets", Some("GET, POST")),
        ("DELETE", "/v1/orders", Some("GET, POST, PUT")),
        ("POST", "/v1", Some("GET")),
    ] {
        let reply = cloud.barbican(method, path).with("x-auth-token", &x).empty().await;
        assert_eq!(reply.status, 405, "{method} {path}");
        assert_eq!(reply.header("allow"), allow, "{method} {path}");
        if method != "HEAD" {
            assert_eq!(
                reply.json(),
                json!({"code": 405, "title": "Method Not Allowed", "description": ""})
            );
        }
    }
}

#[tokio::test]
async fn an_expired_secret_is_not_there() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let mut body = key("brief");
    body["expiration"] = json!("2026-11-24T04:00:00");
    let path = cloud.store(&x, body).await;
    cloud.simulator.clock().advance(Duration::seconds(294));
    assert_eq!(cloud.barbican("GET", &path).with("x-auth-token", &x).empty().await.status, 200);
    cloud.simulator.clock().advance(Duration::seconds(1));
    for (method, path) in
        [("GET", path.clone()), ("GET", format!("{path}/payload")), ("DELETE", path)]
    {
        let reply = cloud.barbican(method, &path).with("x-auth-token", &x).empty().await;
        assert_eq!((reply.status.as_u16(), reply.said().as_str()), (404, "Secret not found."));
    }
    let list = cloud.barbican("GET", "/v1/secrets").with("x-auth-token", &x).empty().await;
    assert_eq!(list.json(), json!({"secrets": [], "total": 0}));
    assert_eq!(cloud.simulator.secrets().len(), 1);
}
