//! What a session puts on the wire, keeps of the replies, and clears away, seen by a service that
//! tells what it was asked.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, body};
use peer_replay::{BlockStorage, Body, CaseFile, Endpoints, Outcome, Recording, Session};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const SECRET: &str = "3f0e31b5-7a52-4b0c-9b6e-94d1a9f2bb01";

/// A Keystone and a Barbican in one: it logs everybody in, makes secrets of POST, and answers
/// anything else with what it was asked.
#[derive(Clone, Default)]
struct Mirror {
    base: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Mirror {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mirror = Self { base, asked: Arc::default() };
        let router = Router::new().fallback(answer).with_state(mirror.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        mirror
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints {
            keystone: self.base.clone(),
            barbican: self.base.clone(),
            password: "open sesame".to_owned(),
            block_storage: None,
        }
    }

    async fn replay(&self, cases: &Value) -> Recording {
        self.replay_at(self.endpoints(), cases).await
    }

    async fn replay_at(&self, endpoints: Endpoints, cases: &Value) -> Recording {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mirror.json");
        std::fs::write(&path, cases.to_string()).unwrap();
        let mut session = Session::open(endpoints).await.unwrap();
        self.asked.lock().unwrap().clear();
        session.replay(&CaseFile::read(Path::new(&path)).unwrap()).await.unwrap()
    }
}

async fn answer(State(mirror): State<Mirror>, request: Request) -> Response {
    let (head, content) = request.into_parts();
    let content = body::to_bytes(content, usize::MAX).await.unwrap();
    let text = String::from_utf8(content.to_vec()).unwrap();
    mirror.asked.lock().unwrap().push(format!("{} {}", head.method, head.uri));
    if head.uri.path() == "/v3/auth/tokens" {
        let login: Value = serde_json::from_str(&text).unwrap();
        let user = login["auth"]["identity"]["password"]["user"]["name"].as_str().unwrap();
        let token = json!({"token": {"user": {"name": user, "id": format!("id of user {user}")}}});
        let header = [("x-subject-token", format!("token of {user}"))];
        return (StatusCode::CREATED, header, Json(token)).into_response();
    }
    if head.method == "POST" {
        let reference = format!("{}/v1/secrets/{SECRET}", mirror.base);
        let header = [("location", reference.clone())];
        let made = Json(json!({"secret_ref": reference, "asked": text}));
        return (StatusCode::CREATED, header, made).into_response();
    }
    let names = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))));
    let headers: serde_json::Map<_, _> = names.collect();
    Json(json!({"path": head.uri.to_string(), "headers": headers, "body": text})).into_response()
}

fn bodies(recording: &Recording) -> Vec<Value> {
    let answers = recording.scripts.iter().flat_map(|script| &script.answers);
    answers
        .map(|answer| match &answer.outcome {
            Outcome::Reply(reply) => match &reply.body {
                Some(Body::Json(json)) => json.clone(),
                other => json!(other),
            },
            Outcome::Unsent { lacks } => json!(format!("lacks {lacks}")),
        })
        .collect()
}

#[tokio::test]
async fn a_request_has_the_headers_that_its_case_names_and_no_other() {
    let mirror = Mirror::start().await;
    let cases = json!({"about": "", "scripts": [{
        "name": "headers", "service": "barbican", "who": "x/donor", "headers": {"A": "1"},
        "steps": [
            {"name": "bare", "request": "GET /a//b?c=%25&d", "who": "nobody"},
            {"name": "own", "request": "PUT /", "headers": {"a": "2"}, "body": {"text": "${x*3}"}},
            {"name": "json", "request": "PUT /", "body": {"json": {"of": "${user x}"}}},
            {"name": "bytes", "request": "PUT /", "body": {"base64": "aGk="}, "who": "y"},
        ],
    }]});
    let recording = mirror.replay(&cases).await;
    let mut bodies = bodies(&recording);
    for body in &mut bodies {
        let headers = body["headers"].as_object_mut().unwrap();
        assert!(headers.remove("host").is_some(), "{headers:?}");
    }
    assert_eq!(
        bodies,
        [
            json!({"path": "/a//b?c=%25&d", "headers": {"a": "1"}, "body": ""}),
            json!({"path": "/", "headers": {
                "a": "2", "x-auth-token": "${token x/donor}", "content-length": "3",
            }, "body": "xxx"}),
            json!({"path": "/", "headers": {
                "a": "1", "x-auth-token": "${token x/donor}", "content-type": "application/json",
                "content-length": "21",
            }, "body": "{\"of\":\"${user x}\"}"}),
            json!({"path": "/", "headers": {
                "a": "1", "x-auth-token": "${token y}", "content-length": "2",
            }, "body": "hi"}),
        ]
    );
}

#[tokio::test]
async fn what_a_reply_gives_goes_into_the_next_request_and_what_was_made_is_deleted() {
    let mirror = Mirror::start().await;
    let cases = json!({"about": "", "scripts": [{
        "name": "saving", "service": "barbican", "who": "x/donor",
        "steps": [
            {"name": "make", "request": "POST /v1/secrets", "body": {"text": ""},
             "save": {"ref": "body /secret_ref", "place": "header location", "none": "id /none"}},
            {"name": "make another", "request": "POST /v1/secrets",
             "save": {"secret": "id /secret_ref"}},
            {"name": "whole", "request": "GET ${ref}"},
            {"name": "id", "request": "GET /v1/secrets/${secret}/payload"},
            {"name": "random", "request": "GET ${place}", "random": true},
            {"name": "nothing", "request": "GET /v1/secrets/${none}"},
        ],
    }]});
    let recording = mirror.replay(&cases).await;
    assert_eq!(recording.unsent().as_deref(), Some("saving / nothing: nothing gave ${none}"));
    let bodies = bodies(&recording);
    assert_eq!(bodies[1]["secret_ref"], "${place}");
    assert_eq!(bodies[3]["path"], "/v1/secrets/${secret}/payload");
    assert!(bodies[4]["text"].as_str().unwrap().ends_with(" random bytes"), "{}", bodies[4]);
    assert_eq!(bodies[5], "lacks none");
    let secret = format!("/v1/secrets/{SECRET}");
    let expected = [
        "POST /v1/secrets".to_owned(),
        "POST /v1/secrets".to_owned(),
        format!("GET {secret}"),
        format!("GET {secret}/payload"),
        format!("GET {secret}"),
        format!("DELETE {secret}"),
        format!("DELETE {secret}"),
    ];
    assert_eq!(*mirror.asked.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_script_finds_the_rows_cleared_and_what_it_leaves_is_recorded() {
    let mirror = Mirror::start().await;
    let base = || mirror.base.clone();
    let block_storage = Some(BlockStorage { cinder: base(), neighbour: base(), rows: base() });
    let endpoints = Endpoints { block_storage, ..mirror.endpoints() };
    let step = json!({"name": "ask", "request": "PUT /a"});
    let cases = json!({"about": "", "scripts": [
        {"name": "one", "service": "cinder", "steps": [step]},
        {"name": "two", "service": "neighbour", "steps": [step]},
    ]});
    let recording = mirror.replay_at(endpoints, &cases).await;
    let names = recording.scripts.iter().flat_map(|script| &script.answers);
    let names: Vec<_> = names.map(|answer| answer.name.as_str()).collect();
    assert_eq!(names, ["ask", "rows afterwards", "ask", "rows afterwards"]);
    let once = ["DELETE /", "PUT /a", "GET /rest", "GET /"];
    assert_eq!(*mirror.asked.lock().unwrap(), [once, once].concat());
}

#[tokio::test]
async fn a_side_that_is_not_there_is_an_error_that_says_whom_it_was_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let endpoints = Endpoints {
        keystone: base.clone(),
        barbican: base,
        password: "open sesame".to_owned(),
        block_storage: None,
    };
    let error = Session::open(endpoints).await.err().unwrap().to_string();
    assert!(error.starts_with("log in / admin/admin: "), "{error}");
    assert!(!error.contains("sesame"), "{error}");
}
