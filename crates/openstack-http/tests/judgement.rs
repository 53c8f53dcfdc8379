//! What a caller may conclude from a reply: every status, and every shape of error body.

use axum::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::Full;
use openstack_http::{Broken, Failure, InProcess, Limits, Refusal, Reply, Service, Token, Unknown};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Status, headers and body of a reply; the message and the wait that are read from it.
type Case = (u16, &'static [(&'static str, &'static str)], &'static str, &'static str, Option<u64>);

const HTML: &str = "<html><head><title>Error</title></head><body>go away</body></html>";

fn service(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> Service {
    let answer = tower::service_fn(move |_: Request<Full<Bytes>>| async move {
        let mut reply = Response::builder().status(status);
        for (name, value) in headers {
            reply = reply.header(*name, *value);
        }
        Ok::<_, Infallible>(
            reply.body(Full::new(Bytes::from_static(body.as_bytes()))).expect("a reply"),
        )
    });
    let exchange = Arc::new(InProcess::new(answer, Limits::default()));
    Service::new(&Url::parse("http://service.test").expect("a url"), "v1", exchange)
}

async fn failure(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> Failure {
    let service = service(status, headers, body);
    let call = service.call(http::Method::GET, "/thing").token(&Token::new("gAAAA-token"));
    call.send(&[StatusCode::OK]).await.err().expect("a failure")
}

fn refused(status: u16, message: &str) -> Failure {
    Failure::Refused(Refusal { status, message: message.to_owned() })
}

fn unknown(status: u16, message: &str, retry_after: Option<u64>) -> Failure {
    let message = message.to_owned();
    let retry_after = retry_after.map(Duration::from_secs);
    Failure::Unknown(Unknown::Status { status, message, retry_after })
}

#[tokio::test]
async fn a_refusal_carries_the_services_own_words() {
    let keystone = r#"{"error":{"code":401,"message":"requires authentication","title":"U"}}"#;
    let barbican = r#"{"code":403,"description":"Secret retrieval not allowed","title":"F"}"#;
    let silent = r#"{"code":406,"description":null,"title":"Not Acceptable"}"#;
    let cinder = r#"{"badRequest":{"code":400,"message":"Invalid volume"}}"#;
    let schema = r#"{"error":{"code":400,"message":"'identity' is required\n\nOn instance: {}"}}"#;
    let cases: &[(u16, &'static str, &str)] = &[
        (401, keystone, "requires authentication"),
        (403, barbican, "Secret retrieval not allowed"),
        (406, silent, "not acceptable"),
        (400, cinder, "Invalid volume"),
        (400, schema, "'identity' is required"),
        (401, HTML, "unauthorized"),
        (403, HTML, "forbidden"),
        (404, HTML, "not found"),
        (404, "", "not found"),
        (409, "[1]", "conflict"),
        (413, r#""text""#, "payload too large"),
        (418, r#"{"error":{"message":7}}"#, "i'm a teapot"),
        (422, r#"{"error":{"message":" \n "}}"#, "unprocessable entity"),
        (499, "", "no reason given"),
    ];
    for (status, body, message) in cases {
        assert_eq!(failure(*status, &[], body).await, refused(*status, message), "{body}");
    }
}

#[tokio::test]
async fn whatever_may_have_happened_is_unknown() {
    let json = r#"{"error":{"message":"try later"}}"#;
    let cases: &[Case] = &[
        (500, &[], HTML, "internal server error", None),
        (502, &[], HTML, "bad gateway", None),
        (503, &[("retry-after", "7")], HTML, "service unavailable", Some(7)),
        (504, &[], "", "gateway timeout", None),
        (408, &[], "", "request timeout", None),
        (425, &[], "", "too early", None),
        (429, &[("retry-after", " 30 ")], json, "try later", Some(30)),
        (429, &[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], json, "try later", None),
        (429, &[("retry-after", "-1")], json, "try later", None),
        (301, &[("location", "http://elsewhere.test/")], "", "moved permanently", None),
        (300, &[], "", "multiple choices", None),
        (202, &[], "", "accepted", None),
        (204, &[], "", "no content", None),
    ];
    for (status, headers, body, message, retry_after) in cases {
        let found = failure(*status, headers, body).await;
        assert_eq!(found, unknown(*status, message, *retry_after), "{status}");
    }
}

#[tokio::test]
async fn an_expected_status_with_other_content_is_unreadable() {
    for body in ["", "{", HTML, "[]", r#"{"count":"many"}"#, "null"] {
        let service = service(200, &[], body);
        let reply = service.call(http::Method::GET, "/thing").send(&[StatusCode::OK]);
        let count: Result<std::collections::BTreeMap<String, u8>, _> =
            reply.await.expect("a reply").json("a count");
        assert_eq!(count, Err(Failure::unreadable("a count")), "{body}");
    }
}

#[test]
fn a_document_is_utf8_even_where_nobody_reads_it() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Count {
        count: u8,
    }
    let answer = |letter: &[u8]| [br#"{"count":1,"name":""#, letter, br#""}"#].concat();
    for (letter, expected) in
        [(&b"\xc3\xa9"[..], Ok(Count { count: 1 })), (b"\xc3", Err(Failure::unreadable("a count")))]
    {
        let body = answer(letter).into();
        let reply = Reply { status: StatusCode::OK, headers: HeaderMap::new(), body };
        assert_eq!(reply.json::<Count>("a count"), expected, "{letter:?}");
    }
}

#[tokio::test]
async fn a_message_that_quotes_a_secret_is_dropped() {
    let body = r#"{"error":{"message":"Could not find token: gAAAA-token."}}"#;
    assert_eq!(failure(404, &[], body).await, refused(404, "not found"));
    let body = r#"{"error":{"message":"'pa55' is too short"}}"#;
    let service = service(400, &[], body);
    let call = service.call(http::Method::POST, "/thing");
    let found = call.secret(b"pa55").send(&[StatusCode::OK]).await.err();
    assert_eq!(found, Some(refused(400, "bad request")));
}

#[tokio::test]
async fn a_message_that_quotes_a_secret_with_escapes_is_dropped() {
    for body in [
        r#"{"error":{"message":"'pa\\'5\\\\5' is too short"}}"#,
        r#"{"error":{"message":"pa\u0007'5\\5 is too short"}}"#,
    ] {
        let service = service(400, &[], body);
        let call = service.call(http::Method::POST, "/thing");
        let found = call.secret(br"pa'5\5").send(&[StatusCode::OK]).await.err();
        assert_eq!(found, Some(refused(400, "bad request")), "{body}");
    }
}

#[tokio::test]
async fn a_long_message_is_cut() {
    let body = format!(r#"{{"description":"{}"}}"#, "ü".repeat(1000)).leak();
    assert_eq!(failure(400, &[], body).await, refused(400, &"ü".repeat(300)));
}

#[tokio::test]
async fn a_token_that_no_header_carries_is_refused_unsent() {
    let service = service(200, &[], "");
    let call = service.call(http::Method::GET, "/thing").token(&Token::new("two\nlines"));
    let found = call.send(&[StatusCode::OK]).await.err().expect("a failure");
    assert!(found.is_refusal(401), "{found}");
}

#[tokio::test]
async fn a_router_that_fails_is_a_broken_connection() {
    let drops = tower::service_fn(|_: Request<Full<Bytes>>| async {
        Err::<Response<Full<Bytes>>, _>(std::io::Error::other("dropped"))
    });
    let exchange = Arc::new(InProcess::new(drops, Limits::default()));
    let service = Service::new(&Url::parse("http://service.test").unwrap(), "v1", exchange);
    let found = service.call(http::Method::GET, "/thing").send(&[StatusCode::OK]).await.err();
    let broken = Broken::Closed("dropped".to_owned());
    assert_eq!(found, Some(Failure::Unknown(Unknown::Broken(broken))));
}

#[tokio::test(start_paused = true)]
async fn a_router_that_never_answers_runs_out_of_time() {
    let hangs = tower::service_fn(|_: Request<Full<Bytes>>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let limits = Limits::default();
    let exchange = Arc::new(InProcess::new(hangs, limits));
    let service = Service::new(&Url::parse("http://service.test").unwrap(), "v1", exchange);
    let found = service.call(http::Method::GET, "/thing").send(&[StatusCode::OK]).await.err();
    assert_eq!(found, Some(Failure::Unknown(Unknown::Broken(Broken::TimedOut(limits.total)))));
}

#[tokio::test]
async fn a_request_is_spelled_as_the_service_expects() {
    let echo = axum::Router::new().fallback(|request: Request<axum::body::Body>| async move {
        let header = |name: &str| {
            request.headers().get(name).map_or("-", |value| value.to_str().unwrap()).to_owned()
        };
        let id = header("x-openstack-request-id");
        format!("{} {} {}", request.uri(), header("x-auth-token"), id)
    });
    let exchange = Arc::new(InProcess::new(echo, Limits::default()));
    let id = "req-0f8fad5b-d9cb-469f-a165-70867728950e";
    for (endpoint, expected) in [
        ("http://h.test:9311", "http://h.test:9311/v1/a?q=x+%26%2F%25 t"),
        ("http://h.test/key-manager/", "http://h.test/key-manager/v1/a?q=x+%26%2F%25 t"),
        ("http://u:p@h.test/v1/?q=1#f", "http://h.test/v1/a?q=x+%26%2F%25 t"),
    ] {
        let endpoint = Url::parse(endpoint).unwrap();
        let service = Service::new(&endpoint, "v1", exchange.clone());
        for (under, id) in [(openstack_http::RequestId::parse(id), id), (None, "-")] {
            let asked = async {
                let call = service.call(http::Method::GET, "/a").query("q", "x &/%");
                call.token(&Token::new("t")).send(&[StatusCode::OK]).await
            };
            let reply = openstack_http::RequestId::during(under, asked).await.unwrap();
            assert_eq!(reply.body, format!("{expected} {id}"));
        }
    }
}

#[test]
fn only_req_and_a_uuid_is_a_request_id() {
    for text in ["", "req-", "0f8fad5b-d9cb-469f-a165-70867728950e", "req-0f8fad5b\n"] {
        assert_eq!(openstack_http::RequestId::parse(text), None, "{text}");
    }
    assert_eq!(openstack_http::RequestId::parse(&format!("req-{}", "a".repeat(36))), None);
    let upper = "req-0F8FAD5B-d9cb-469f-a165-70867728950e";
    assert_eq!(openstack_http::RequestId::parse(upper), None, "as oslo.middleware has it");
}

#[tokio::test]
async fn nothing_printed_holds_a_secret() {
    let token = Token::new("gAAAA-token");
    let password = openstack_http::Password::new("gAAAA-password");
    let body = r#"{"error":{"message":"bad gAAAA-token"}}"#;
    let found = failure(400, &[], body).await;
    let service = Service::new(
        &Url::parse("http://u:gAAAA@h.test/").unwrap(),
        "v1",
        Arc::new(InProcess::new(
            tower::service_fn(|_: Request<Full<Bytes>>| {
                std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
            }),
            Limits::default(),
        )),
    );
    let printed = format!("{token:?} {password:?} {found} {found:?} {service:?}");
    assert!(!printed.contains("gAAAA"), "{printed}");
    assert_eq!(format!("{token:?} {password:?}"), "Token(..) Password(..)");
}
