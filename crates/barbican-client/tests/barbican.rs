//! What is sent to `/v1/secrets`, and what its replies mean.

use barbican_client::{
    Attributes, Barbican, ContentType, FillFailure, KeyBytes, Metadata, SecretType,
};
use openstack_http::{Failure, Limits, Refusal, Tls, Token, Unknown, Wire};
use serde_json::{Value, json};
use std::sync::Arc;
use transfer_core::SecretId;
use wiremock::matchers::{any, header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const ID: &str = "cf6992e9-8941-4e09-8d62-a34388b75d94";

fn token() -> Token {
    Token::new("gAAAA-token")
}

fn id() -> SecretId {
    ID.into()
}

async fn server() -> (MockServer, Barbican) {
    let server = MockServer::start().await;
    let wire = Arc::new(Wire::new(&Tls::System, Limits::default()).expect("a client"));
    let barbican = Barbican::new(&server.uri().parse().expect("a url"), wire);
    (server, barbican)
}

async fn barbican(reply: ResponseTemplate) -> (MockServer, Barbican) {
    let (server, barbican) = server().await;
    Mock::given(any()).respond_with(reply).mount(&server).await;
    (server, barbican)
}

async fn sent(server: &MockServer) -> Vec<Request> {
    let requests = server.received_requests().await.expect("recorded requests");
    assert!(requests.iter().all(|request| request.headers["x-auth-token"] == "gAAAA-token"));
    requests
}

fn reply(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status)
}

fn html(status: u16) -> ResponseTemplate {
    reply(status).set_body_raw("<html><body>proxy</body></html>", "text/html")
}

fn error(status: u16, description: &str) -> ResponseTemplate {
    let body = json!({"code": status, "title": "t", "description": description});
    reply(status).set_body_json(body)
}

fn payload(bytes: &[u8], content_type: &str) -> ResponseTemplate {
    reply(200).set_body_raw(bytes, content_type)
}

fn refused(status: u16, message: &str) -> Failure {
    Refusal { status, message: message.into() }.into()
}

fn unknown(status: u16, message: &str) -> Failure {
    Unknown::Status { status, message: message.into(), retry_after: None }.into()
}

fn secret(id: &str, name: Option<&str>) -> Value {
    json!({
        "algorithm": "AES", "bit_length": 256, "mode": null, "expiration": null,
        "content_types": {"default": "application/octet-stream"},
        "created": "2026-11-24T03:55:05.177411", "updated": "2026-11-24T03:55:05.179086",
        "creator_id": "f3e688146f244b308b4bd0ba5d4703b3",
        "name": name, "secret_ref": format!("http://localhost:9311/v1/secrets/{id}"),
        "secret_type": "symmetric", "status": "ACTIVE",
    })
}

fn attributes() -> Attributes {
    Attributes {
        secret_type: SecretType::Symmetric,
        algorithm: Some("AES".into()),
        bit_length: Some(256),
        mode: None,
        expiration: None,
    }
}

#[tokio::test]
async fn metadata_is_read_whole() {
    let (server, barbican) = barbican(reply(200).set_body_json(secret(ID, None))).await;
    let expected = Metadata {
        id: id(),
        name: None,
        attributes: attributes(),
        content_type: Some(ContentType::OctetStream),
        status: "ACTIVE".into(),
        creator: Some("f3e688146f244b308b4bd0ba5d4703b3".into()),
    };
    assert_eq!(barbican.metadata(&token(), &id()).await, Ok(expected));
    let request = &sent(&server).await[0];
    assert_eq!(
        (request.method.as_str(), request.url.path()),
        ("GET", &*format!("/v1/secrets/{ID}"))
    );
    assert_eq!(request.headers["accept"], "*/*", "no type is asked for by name");
}

#[tokio::test]
async fn every_kind_of_secret_and_payload_is_known() {
    for (spelled, secret_type) in [
        ("symmetric", SecretType::Symmetric),
        ("passphrase", SecretType::Passphrase),
        ("private", SecretType::Private),
        ("public", SecretType::Public),
        ("certificate", SecretType::Certificate),
        ("opaque", SecretType::Opaque),
    ] {
        for (default, content_type) in [
            (Some("application/octet-stream"), Some(ContentType::OctetStream)),
            (Some("text/plain"), Some(ContentType::TextPlain)),
            (Some("Text/Plain; charset=utf-8"), Some(ContentType::TextPlain)),
            (Some("application/pkcs8"), Some(ContentType::Pkcs8)),
            (None, None),
        ] {
            let mut document = secret(ID, Some("n"));
            document["secret_type"] = json!(spelled);
            match default {
                Some(default) => document["content_types"]["default"] = json!(default),
                None => drop(document.as_object_mut().unwrap().remove("content_types")),
            }
            let (_server, barbican) = barbican(reply(200).set_body_json(document)).await;
            let metadata = barbican.metadata(&token(), &id()).await.unwrap();
            assert_eq!(metadata.attributes.secret_type, secret_type);
            assert_eq!(metadata.content_type, content_type);
        }
    }
}

#[tokio::test]
async fn odd_metadata_is_unknown() {
    let with = |field: &str, value: Value| {
        let mut document = secret(ID, None);
        document[field] = value;
        reply(200).set_body_json(document)
    };
    let unreadable = || Failure::unreadable("a secret's metadata");
    let cases = [
        (with("secret_ref", json!("http://localhost:9311/v1/secrets/")), unreadable()),
        (
            with("secret_ref", json!(format!("http://h/v1/secrets/{}", ID.to_uppercase()))),
            unreadable(),
        ),
        (with("secret_ref", json!(7)), unreadable()),
        (with("bit_length", json!("256")), unreadable()),
        (with("bit_length", json!(-1)), unreadable()),
        (with("secret_type", json!("riddle")), unreadable()),
        (with("content_types", json!({"default": "application/aes"})), unreadable()),
        (with("status", json!(null)), unreadable()),
        (reply(200), unreadable()),
        (html(200), unreadable()),
        (html(502), unknown(502, "bad gateway")),
        (html(404), refused(404, "not found")),
        (
            error(403, "Secret retrieval attempt not allowed"),
            refused(403, "Secret retrieval attempt not allowed"),
        ),
        (error(404, "Secret not found."), refused(404, "Secret not found.")),
    ];
    for (reply, expected) in cases {
        let (_server, barbican) = barbican(reply).await;
        assert_eq!(barbican.metadata(&token(), &id()).await, Err(expected));
    }
}

#[tokio::test]
async fn a_payload_arrives_byte_for_byte_or_not_at_all() {
    let bytes: Vec<u8> = (0..=255).collect();
    let (server, barbican_) = barbican(payload(&bytes, "application/octet-stream")).await;
    let key = barbican_.payload(&token(), &id()).await.expect("a payload");
    assert_eq!(key.expose(), bytes);
    let request = &sent(&server).await[0];
    assert_eq!(request.url.path(), format!("/v1/secrets/{ID}/payload"));
    assert_eq!(request.headers["accept"], "", "the bytes as they are stored");

    let wrong_type = || Failure::unreadable("a payload of the wrong content type");
    let cases = [
        (payload(b"", "application/octet-stream"), Failure::unreadable("an empty payload")),
        (payload(b"key", "text/html"), wrong_type()),
        (payload(b"key", "text/plain"), wrong_type()),
        (reply(200).set_body_json(json!({"code": 200})), wrong_type()),
        (reply(200), wrong_type()),
        (reply(204), unknown(204, "no content")),
        (
            error(404, "Not Found. Sorry but your secret has no payload."),
            refused(404, "Not Found. Sorry but your secret has no payload."),
        ),
        (html(401), refused(401, "unauthorized")),
    ];
    for (reply, expected) in cases {
        let (_server, barbican) = barbican(reply).await;
        let found = barbican.payload(&token(), &id()).await.err();
        assert_eq!(found, Some(expected));
    }
}

#[tokio::test]
async fn a_shell_is_told_what_is_known_and_no_null() {
    let full = Attributes {
        mode: Some("cbc".into()),
        expiration: Some("2031-01-01T00:00:00.500000".into()),
        ..attributes()
    };
    let bare = Attributes {
        secret_type: SecretType::Opaque,
        algorithm: None,
        bit_length: None,
        mode: None,
        expiration: None,
    };
    let cases = [
        (
            full,
            json!({"name": "h-1", "secret_type": "symmetric", "algorithm": "AES",
                "bit_length": 256, "mode": "cbc", "expiration": "2031-01-01T00:00:00.500000"}),
        ),
        (bare, json!({"name": "h-1", "secret_type": "opaque"})),
    ];
    for (attributes, expected) in cases {
        let body = json!({"secret_ref": format!("https://elsewhere.test:1/x/v1/secrets/{ID}")});
        let (server, barbican) = barbican(reply(201).set_body_json(body)).await;
        assert_eq!(barbican.create_shell(&token(), "h-1", &attributes).await, Ok(id()));
        let request = &sent(&server).await[0];
        assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/v1/secrets"));
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers["content-length"], request.body.len().to_string());
        assert_eq!(request.body_json::<Value>().unwrap(), expected);
    }
}

#[tokio::test]
async fn a_shell_whose_reference_is_garbage_is_unknown() {
    let refs = ["", "/", "garbage", "http://h/v1/secrets/..", "http://h/v1/secrets/1234"];
    let dashless = format!("http://h/v1/secrets/{}", ID.replace('-', ""));
    let replies = refs
        .iter()
        .copied()
        .chain([dashless.as_str()])
        .map(|secret_ref| reply(201).set_body_json(json!({"secret_ref": secret_ref})));
    let unreadable = || Failure::unreadable("a created secret's reference");
    let mut cases: Vec<_> = replies.map(|reply| (reply, unreadable())).collect();
    cases.extend([
        (reply(201), unreadable()),
        (reply(201).set_body_json(json!({"secret_ref": null})), unreadable()),
        (reply(200), unknown(200, "ok")),
        (error(403, "a quota has been reached"), refused(403, "a quota has been reached")),
        (html(503), unknown(503, "service unavailable")),
    ]);
    for (reply, expected) in cases {
        let (_server, barbican) = barbican(reply).await;
        assert_eq!(barbican.create_shell(&token(), "h-1", &attributes()).await, Err(expected));
    }
}

#[tokio::test]
async fn a_fill_sends_exactly_the_bytes() {
    let bytes: Vec<u8> = (0..=255).collect();
    for (content_type, header) in [
        (ContentType::OctetStream, "application/octet-stream"),
        (ContentType::TextPlain, "text/plain"),
        (ContentType::Pkcs8, "application/octet-stream"),
    ] {
        let (server, barbican) = barbican(reply(204)).await;
        let key = KeyBytes::new(bytes.clone());
        assert_eq!(barbican.fill(&token(), &id(), content_type, &key).await, Ok(()));
        let request = &sent(&server).await[0];
        assert_eq!(request.method.as_str(), "PUT");
        assert_eq!(request.url.path(), format!("/v1/secrets/{ID}"));
        assert_eq!(request.headers["content-type"], header);
        assert_eq!(request.headers["content-length"], "256");
        assert!(!request.headers.contains_key("content-encoding"));
        assert_eq!(request.body, bytes);
    }
}

#[tokio::test]
async fn a_fill_that_finds_a_payload_says_so() {
    let conflict = "Secret already has data, cannot modify it.";
    let too_long = "Provided information too large to process.";
    let cases = [
        (error(409, conflict), FillFailure::AlreadyFilled),
        (error(404, "Secret not found."), refused(404, "Secret not found.").into()),
        (error(413, too_long), refused(413, too_long).into()),
        (error(400, "bad payload hunter2!"), refused(400, "bad request").into()),
        (reply(200), unknown(200, "ok").into()),
        (html(500), unknown(500, "internal server error").into()),
        (html(403), refused(403, "forbidden").into()),
    ];
    for (reply, expected) in cases {
        let (_server, barbican) = barbican(reply).await;
        let key = KeyBytes::new(b"hunter2".to_vec());
        let found = barbican.fill(&token(), &id(), ContentType::TextPlain, &key).await;
        assert_eq!(found, Err(expected));
        let printed = format!("{found:?} {}", found.as_ref().unwrap_err());
        assert!(!printed.contains("hunter2") && !printed.contains("gAAAA"), "{printed}");
    }
}

#[tokio::test]
async fn a_deleted_secret_is_gone_however_often_it_is_deleted() {
    let consumers = "Secret deletion issue seen - Secret cannot be deleted as it has consumers..";
    let not_barbican = || Failure::unreadable("a 404 that is not barbican's");
    let cases = [
        (reply(204), Ok(())),
        (error(404, "Secret not found."), Ok(())),
        (html(404), Err(not_barbican())),
        (reply(404), Err(not_barbican())),
        (reply(404).set_body_json(json!({"code": 404, "description": null})), Err(not_barbican())),
        (error(400, consumers), Err(refused(400, consumers))),
        (error(403, "not allowed"), Err(refused(403, "not allowed"))),
        (html(401), Err(refused(401, "unauthorized"))),
        (reply(200), Err(unknown(200, "ok"))),
        (html(502), Err(unknown(502, "bad gateway"))),
    ];
    for (reply, expected) in cases {
        let (server, barbican) = barbican(reply).await;
        assert_eq!(barbican.delete(&token(), &id()).await, expected);
        let requests = sent(&server).await;
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].method.as_str(), "DELETE");
        assert_eq!(requests[0].headers["openstack-api-version"], "key-manager 1.2");
        assert_eq!(requests[0].url.query(), None, "never by force");
    }
}

#[tokio::test]
async fn an_older_barbican_is_asked_for_consumers_before_a_delete() {
    let consumer = json!({"service": "nova", "resource_type": "server", "resource_id": "1"});
    let with = |consumers: Value| {
        let mut document = secret(ID, None);
        document["consumers"] = consumers;
        reply(200).set_body_json(document)
    };
    let kept = refused(400, "secret cannot be deleted as it has consumers");
    let cases = [
        (with(json!([])), Ok(()), 3),
        (with(json!([consumer])), Err(kept), 2),
        (error(404, "Secret not found."), Ok(()), 2),
        (html(200), Err(Failure::unreadable("a secret's consumers")), 2),
        (html(503), Err(unknown(503, "service unavailable")), 2),
    ];
    for (metadata, expected, calls) in cases {
        let (server, barbican) = server().await;
        let given = |verb: &str, version: &str| {
            Mock::given(method(verb)).and(header("openstack-api-version", version))
        };
        given("DELETE", "key-manager 1.2").respond_with(html(406)).mount(&server).await;
        given("GET", "key-manager 1.1").respond_with(metadata).mount(&server).await;
        given("DELETE", "key-manager 1.1").respond_with(reply(204)).mount(&server).await;
        assert_eq!(barbican.delete(&token(), &id()).await, expected);
        assert_eq!(sent(&server).await.len(), calls);
    }
}

#[tokio::test]
async fn consumers_that_are_not_shown_are_not_none() {
    let (server, barbican) = server().await;
    Mock::given(method("DELETE")).respond_with(html(406)).mount(&server).await;
    let hidden = reply(200).set_body_json(secret(ID, None));
    Mock::given(method("GET")).respond_with(hidden).mount(&server).await;
    let unreadable = Failure::unreadable("a secret's consumers");
    assert_eq!(barbican.delete(&token(), &id()).await, Err(unreadable));
}

#[tokio::test]
async fn what_is_no_id_of_a_secret_is_never_sent() {
    let (server, barbican) = barbican(reply(500)).await;
    let upper = ID.to_uppercase();
    for odd in ["", "..", "a/b?c", "1234", upper.as_str(), &format!("{{{ID}}}")] {
        let odd = SecretId::from(odd);
        let gone = refused(404, "not the id of a secret");
        let key = KeyBytes::new(vec![1]);
        assert_eq!(barbican.metadata(&token(), &odd).await, Err(gone.clone()));
        assert_eq!(barbican.payload(&token(), &odd).await.err(), Some(gone.clone()));
        let filled = barbican.fill(&token(), &odd, ContentType::OctetStream, &key).await;
        assert_eq!(filled, Err(FillFailure::Failed(gone)));
        assert_eq!(barbican.delete(&token(), &odd).await, Ok(()));
    }
    assert!(sent(&server).await.is_empty());
}

#[tokio::test]
async fn a_list_is_read_to_its_end_and_answered_exactly() {
    let (server, barbican) = server().await;
    let numbered = |n: usize| format!("00000000-0000-4000-8000-{n:012}");
    let name = "hand over_1";
    let page = |from: usize, to: usize, next: bool| {
        let named = |n: usize| if n.is_multiple_of(10) { "hand-over-1" } else { name };
        let secrets: Vec<_> = (from..to).map(|n| secret(&numbered(n), Some(named(n)))).collect();
        let mut page = json!({"secrets": secrets, "total": 250});
        if next {
            page["next"] = json!("http://localhost:9311/v1/secrets?limit=100&offset=100");
        }
        reply(200).set_body_json(page)
    };
    for (offset, page) in
        [("0", page(0, 100, true)), ("100", page(100, 200, true)), ("200", page(200, 250, false))]
    {
        Mock::given(path("/v1/secrets"))
            .and(query_param("name", "hand_over_1"))
            .and(query_param("limit", "100"))
            .and(query_param("offset", offset))
            .and(query_param("sort", "created:asc"))
            .respond_with(page)
            .mount(&server)
            .await;
    }
    let found = barbican.list_by_name(&token(), name).await.unwrap();
    let expected: Vec<_> = (0..250).filter(|n| n % 10 != 0).map(numbered).collect();
    let ids: Vec<_> = found.iter().map(|secret| secret.id.as_str()).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn a_list_that_breaks_off_yields_nothing() {
    let whole = json!({"secrets": [secret(ID, Some("n"))], "total": 200, "next": "more"});
    let mut odd = whole.clone();
    odd["secrets"][0]["secret_ref"] = json!("garbage");
    let unreadable = || Failure::unreadable("a list of secrets");
    let cases = [
        (html(503), unknown(503, "service unavailable")),
        (html(200), unreadable()),
        (reply(200).set_body_json(json!({"secrets": null})), unreadable()),
        (reply(200).set_body_json(odd), unreadable()),
    ];
    for (second, expected) in cases {
        let (server, barbican) = server().await;
        let first = reply(200).set_body_json(whole.clone());
        Mock::given(query_param("offset", "0")).respond_with(first).mount(&server).await;
        Mock::given(query_param("offset", "100")).respond_with(second).mount(&server).await;
        assert_eq!(barbican.list_by_name(&token(), "n").await, Err(expected));
    }
}

#[tokio::test]
async fn older_secrets_are_listed_a_page_at_a_time() {
    for (next, is_last) in [(json!("more"), false), (Value::Null, true)] {
        let body = json!({"secrets": [secret(ID, None)], "total": 2, "next": next});
        let (server, barbican) = barbican(reply(200).set_body_json(body)).await;
        let page = barbican.list_older(&token(), "2026-11-24T00:00:00", 2).await.unwrap();
        assert_eq!((page.secrets.len(), page.is_last), (1, is_last));
        let query: Vec<_> = sent(&server).await[0].url.query_pairs().into_owned().collect();
        for (name, value) in [("created", "lt:2026-11-24T00:00:00"), ("offset", "200")] {
            assert!(query.contains(&(name.to_owned(), value.to_owned())), "{query:?}");
        }
    }
}

#[tokio::test]
async fn a_secrets_access_list_is_shown_to_its_own_project_alone() {
    let access = json!({"read": {"project-access": true}});
    for (answer, expected) in [
        (reply(200).set_body_json(access), Ok(true)),
        (error(403, "no"), Ok(false)),
        (error(404, "gone"), Err(refused(404, "gone"))),
        (error(401, "who?"), Err(refused(401, "who?"))),
        (html(503), Err(unknown(503, "service unavailable"))),
    ] {
        let (server, barbican) = barbican(answer).await;
        assert_eq!(barbican.is_own(&token(), &id()).await, expected);
        assert_eq!(sent(&server).await[0].url.path(), format!("/v1/secrets/{ID}/acl"));
    }
}

#[tokio::test]
async fn an_empty_list_is_no_secret() {
    let body = json!({"secrets": [], "total": 0});
    let (_server, barbican) = barbican(reply(200).set_body_json(body)).await;
    assert_eq!(barbican.list_by_name(&token(), "n").await, Ok(vec![]));
}

#[test]
fn keys_are_equal_when_all_their_bytes_are() {
    for (one, other, equal) in [
        (&b"abc"[..], &b"abc"[..], true),
        (b"abc", b"abd", false),
        (b"abc", b"ab", false),
        (b"", b"", true),
    ] {
        let (one, other) = (KeyBytes::new(one.to_vec()), KeyBytes::new(other.to_vec()));
        assert_eq!(one.ct_eq(&other), equal);
    }
}
