//! `/_simulator`: what tests in other languages do with it.

use std::net::IpAddr;

use serde_json::{Value, json};
use simulator::faults::{Action, Rule};
use simulator::server::Running;
use simulator::{Clock, Config, Control, Service, Simulator};
use time::macros::datetime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::cloud::{Cloud, PASSWORD};

async fn start(control: Control) -> (Simulator, Running) {
    let clock = Clock::frozen(datetime!(2026-01-01 0:00 UTC));
    let simulator = Simulator::new(Config { control, clock, ..Config::new(PASSWORD) }).unwrap();
    let running = Running::on_loopback(&simulator).await.unwrap();
    (simulator, running)
}

/// One request on a connection of its own; nothing when it is closed without a reply.
pub(crate) async fn ask(url: &str, line: &str, body: &str) -> Option<(u16, Value)> {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let (head, body) = reply.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

#[tokio::test]
async fn a_rule_strikes_is_told_and_taken_away() {
    let (_simulator, running) = start(Control::OnLoopback).await;
    let (identity, barbican) = (&running.urls().identity, &running.urls().key_manager);
    let rule = json!({"service": "barbican", "method": "GET", "template": "/", "standing": true,
        "action": {"answer": {"status": 503, "retry_after": 2}}});
    let (status, made) = ask(identity, "POST /_simulator/faults", &rule.to_string()).await.unwrap();
    assert_eq!((status, &made), (201, &json!({"id": 1})));
    assert_eq!(ask(barbican, "GET /", "").await.unwrap().0, 503);
    let (_, rules) = ask(identity, "GET /_simulator/faults", "").await.unwrap();
    let expected =
        json!({"faults": [{"id": 1, "rule": rule, "seen": 1, "struck": true, "held": 0}]});
    assert_eq!(rules, expected);
    assert_eq!(ask(identity, "DELETE /_simulator/faults/1", "").await.unwrap().0, 204);
    assert_eq!(ask(barbican, "GET /", "").await.unwrap().0, 300);
    for action in ["drop_before", "drop_after"] {
        let rule = json!({"service": "barbican", "action": action}).to_string();
        ask(identity, "POST /_simulator/faults", &rule).await.unwrap();
        assert_eq!(ask(barbican, "GET /", "").await, None, "{action}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_held_request_goes_on_when_it_is_released_and_when_its_rule_is_taken_away() {
    let (simulator, running) = start(Control::OnLoopback).await;
    let (identity, barbican) = (&running.urls().identity, &running.urls().key_manager);
    let rule = r#"{"service": "barbican", "action": "hold_before"}"#;
    for (end, id) in [("POST /_simulator/faults/1/release", 1), ("DELETE /_simulator/faults", 2)] {
        let (_, made) = ask(identity, "POST /_simulator/faults", rule).await.unwrap();
        assert_eq!(made["id"], id);
        let ended = async {
            while simulator.events().len() < id {
                tokio::task::yield_now().await;
            }
            ask(identity, end, "").await.unwrap().0
        };
        let (held, ended) = tokio::join!(ask(barbican, "GET /", ""), ended);
        assert_eq!((held.unwrap().0, ended), (300, 204));
    }
    running.stop().await;
}

#[tokio::test]
async fn time_log_and_checkpoints_are_the_simulators() {
    let (simulator, running) = start(Control::OnLoopback).await;
    let (identity, barbican) = (&running.urls().identity, &running.urls().key_manager);
    let (status, clock) =
        ask(identity, "POST /_simulator/clock", r#"{"advance_seconds": 90}"#).await.unwrap();
    assert_eq!((status, &clock["now"]), (200, &json!("2026-01-01T00:01:30Z")));
    let token = Cloud::from(simulator.clone()).token("x", "donor").await;
    let (_, kept) = ask(identity, "POST /_simulator/checkpoints", "").await.unwrap();
    let before = simulator.secrets().len();
    ask(barbican, "GET /", "").await.unwrap();
    let store = format!("POST /v1/secrets HTTP/1.1\r\nx-auth-token: {token}\r\nx:");
    ask(barbican, &store, r#"{"payload": "s", "payload_content_type": "text/plain"}"#)
        .await
        .unwrap();
    let (_, seen) = ask(identity, "GET /_simulator/events?after=2", "").await.unwrap();
    let events = seen["events"].as_array().unwrap();
    assert_eq!(events.len(), 1, "{seen}");
    assert_eq!(events[0]["path"], "/v1/secrets");
    let (_, secrets) = ask(identity, "GET /_simulator/secrets", "").await.unwrap();
    assert_eq!(secrets["secrets"].as_array().unwrap().len(), before + 1);
    ask(identity, "POST /_simulator/clock", r#"{"advance_seconds": 7200}"#).await.unwrap();
    let back = format!("POST /_simulator/checkpoints/{}/restore", kept["id"]);
    assert_eq!(ask(identity, &back, "").await.unwrap().0, 204);
    assert_eq!(simulator.secrets().len(), before);
    let (_, summary) = ask(identity, "GET /_simulator", "").await.unwrap();
    assert_eq!(summary["now"], "2026-01-01T00:01:30Z");
    assert_eq!(ask(identity, "POST /_simulator/reset", "").await.unwrap().0, 204);
    let (_, summary) = ask(identity, "GET /_simulator", "").await.unwrap();
    assert_eq!(summary["now"], "2026-01-01T00:00:00Z");
    assert_eq!((&summary["events"], &summary["checkpoints"]), (&json!(0), &json!(0)));
    running.stop().await;
}

#[tokio::test]
async fn time_goes_on_up_to_its_end_and_no_further() {
    let (simulator, running) = start(Control::OnLoopback).await;
    let identity = &running.urls().identity;
    let on = r#"{"advance_seconds": 1000000000}"#;
    let mut steps = 0;
    let refused = loop {
        match ask(identity, "POST /_simulator/clock", on).await.unwrap() {
            (200, _) => steps += 1,
            (status, said) => break (status, said),
        }
    };
    assert_eq!((steps, refused.0), (220, 400));
    assert!(refused.1["error"].as_str().unwrap().contains("no further than 9000-01-01"));
    let x = Cloud::from(simulator).own_token("x").await;
    assert!(!x.is_empty(), "a token can be had, and its end be told");
    running.stop().await;
}

#[tokio::test]
async fn the_seed_decides_which_requests_a_rule_with_a_probability_strikes() {
    let (_simulator, running) = start(Control::OnLoopback).await;
    let (identity, barbican) = (&running.urls().identity, &running.urls().key_manager);
    let rule = json!({"service": "barbican", "standing": true, "probability": 0.25,
        "action": {"answer": {"status": 503}}});
    let mut runs = Vec::new();
    for _ in 0..2 {
        ask(identity, "POST /_simulator/faults", &rule.to_string()).await.unwrap();
        let mut statuses = Vec::new();
        for _ in 0..64 {
            statuses.push(ask(barbican, "GET /", "").await.unwrap().0);
        }
        runs.push(statuses);
        assert_eq!(ask(identity, "POST /_simulator/reset", "").await.unwrap().0, 204);
    }
    assert_eq!(runs[0], runs[1]);
    running.stop().await;
}

#[tokio::test]
async fn bad_requests_are_refused_with_the_reason_and_change_nothing() {
    let (_simulator, running) = start(Control::OnLoopback).await;
    let identity = &running.urls().identity;
    for (line, body, status, words) in [
        ("POST /_simulator/faults", "", 400, "EOF"),
        ("POST /_simulator/faults", r#"{"service": "nova", "action": "cut"}"#, 400, "nova"),
        ("POST /_simulator/faults", r#"{"service": "barbican"}"#, 400, "action"),
        (
            "POST /_simulator/faults",
            r#"{"service": "barbican", "action": "cut", "x": 1}"#,
            400,
            "x",
        ),
        (
            "POST /_simulator/faults",
            r#"{"service": "barbican", "action": {"answer": {"status": 200}}}"#,
            400,
            "no error",
        ),
        (
            "POST /_simulator/faults",
            r#"{"service": "barbican", "action": "cut", "nth": 0}"#,
            400,
            "from 1",
        ),
        (
            "POST /_simulator/faults",
            r#"{"service": "barbican", "action": "cut", "probability": 1.5}"#,
            400,
            "between 0 and 1",
        ),
        ("DELETE /_simulator/faults/7", "", 404, "no rule 7"),
        ("DELETE /_simulator/faults/x", "", 400, "x is not a number"),
        ("POST /_simulator/faults", r#"{"line": 5}"#, 400, "expected a string"),
        ("POST /_simulator/faults", r#"{"line": "barbican FETCH cut"}"#, 400, "FETCH is none of"),
        (
            "POST /_simulator/faults",
            r#"{"service": "barbican", "action": "cut", "template": "v1"}"#,
            400,
            "a slash",
        ),
        (
            "POST /_simulator/faults",
            r#"{"service": "barbican", "action": {"delay": {"from_ms": 18446744073709551615}}}"#,
            400,
            "at most 3600000 ms",
        ),
        ("GET /_simulator/clock", "", 405, "not asked for in that way"),
        ("POST /_simulator/faults/7/release", "", 404, "no rule 7"),
        ("POST /_simulator/clock", r#"{"advance_seconds": -1}"#, 400, "from 0"),
        ("POST /_simulator/checkpoints/3/restore", "", 404, "no checkpoint 3"),
        ("GET /_simulator/events?after=x", "", 400, "x is not a number"),
        ("GET /_simulator/events?before=1", "", 400, "before"),
        ("GET /_simulator/nothing", "", 404, "no such thing"),
    ] {
        let (found, said) = ask(identity, line, body).await.unwrap();
        let said = said["error"].as_str().unwrap_or_default();
        assert_eq!(found, status, "{line} {body}: {said}");
        assert!(said.contains(words), "{line} {body}: {said}");
    }
    let (_, summary) = ask(identity, "GET /_simulator", "").await.unwrap();
    assert_eq!((&summary["faults"], &summary["now"]), (&json!(0), &json!("2026-01-01T00:00:00Z")));
    running.stop().await;
}

/// The whole reply to a request with these headers.
pub(crate) async fn whole(url: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let request = format!("{head}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}

/// An open request.
async fn open(url: &str, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
    stream
}

/// What is told to a request that does not end until all of `words` have come in this order.
pub(crate) async fn until(url: &str, head: &str, words: &[&str]) -> String {
    read_until(&mut open(url, head).await, words).await
}

#[tokio::test]
async fn a_page_of_somebody_else_changes_nothing_and_reads_nothing() {
    let (simulator, running) = start(Control::OnLoopback).await;
    let identity = &running.urls().identity;
    let address = identity.strip_prefix("http://").unwrap();
    simulator.faults().add(Rule::on(Service::Barbican, Action::Cut));
    let form = "application/x-www-form-urlencoded\r\ncontent-length: 2\r\n\r\n{}";
    for (request, status) in [
        (format!("POST /_simulator/reset HTTP/1.1\r\nhost: {address}"), 204),
        (format!("POST /_simulator/reset HTTP/1.1\r\nhost: {address}\r\norigin: {identity}"), 204),
        (
            format!(
                "POST /_simulator/reset HTTP/1.1\r\nhost: {address}\r\norigin: http://evil.example"
            ),
            403,
        ),
        (format!("DELETE /_simulator/faults HTTP/1.1\r\nhost: {address}\r\norigin: null"), 403),
        ("POST /_simulator/reset HTTP/1.1\r\nhost: evil.example".to_owned(), 403),
        ("GET /_simulator/secrets HTTP/1.1\r\nhost: evil.example:80".to_owned(), 403),
        ("GET /_simulator HTTP/1.1\r\nhost: localhost:80".to_owned(), 200),
        (
            format!("POST /_simulator/clock HTTP/1.1\r\nhost: {address}\r\ncontent-type: {form}"),
            415,
        ),
        ("POST /_simulator/clock HTTP/1.1\r\ncontent-length: 2\r\nx: y\r\n\r\n{}".to_owned(), 415),
    ] {
        let told = whole(identity, &request).await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {told}");
    }
    running.stop().await;
}

#[tokio::test]
async fn it_is_on_loopback_alone_unless_it_is_asked_for_anywhere() {
    for (control, starts) in
        [(Control::OnLoopback, false), (Control::Anywhere, true), (Control::Off, true)]
    {
        let simulator = Simulator::new(Config { control, ..Config::new(PASSWORD) }).unwrap();
        let bind = async |ip: [u8; 4]| TcpListener::bind((IpAddr::from(ip), 0)).await.unwrap();
        let (everywhere, here) = (bind([0, 0, 0, 0]).await, bind([127, 0, 0, 1]).await);
        let started = Running::start(&simulator, everywhere, here);
        assert_eq!(started.is_ok(), starts, "{control:?}");
        if let Ok(running) = started {
            running.stop().await;
        }
    }
}

/// Reads until all of `words` have come in this order.
async fn read_until(stream: &mut TcpStream, words: &[&str]) -> String {
    let mut text = String::new();
    loop {
        let mut rest = Some(text.as_str());
        for word in words {
            rest = rest.and_then(|text| text.split_once(word)).map(|(_, rest)| rest);
        }
        if rest.is_some() {
            return text;
        }
        let mut part = [0; 4096];
        let length = stream.read(&mut part).await.unwrap();
        assert!(length > 0, "ended: {text}");
        text.push_str(std::str::from_utf8(&part[..length]).unwrap());
    }
}

#[tokio::test]
async fn the_log_can_be_followed_as_lines_and_as_a_browser_does_until_the_simulator_stops() {
    let (simulator, running) = start(Control::OnLoopback).await;
    let (identity, barbican) = (&running.urls().identity, &running.urls().key_manager);
    let address = identity.strip_prefix("http://").unwrap();
    ask(barbican, "GET /", "").await.unwrap();
    ask(barbican, "GET /v1", "").await.unwrap();
    let lines = format!("GET /_simulator/events?after=1&follow=true HTTP/1.1\r\nhost: {address}");
    let mut lines = open(identity, &lines).await;
    let browser = "accept: text/event-stream\r\nlast-event-id: 1";
    let browser = format!("GET /_simulator/events HTTP/1.1\r\nhost: {address}\r\n{browser}");
    let mut browser = open(identity, &browser).await;
    let past = read_until(&mut lines, &["application/x-ndjson", "\"seq\":2"]).await;
    assert!(!past.contains("\"seq\":1"), "{past}");
    read_until(&mut browser, &["text/event-stream", "id: 2\ndata: {", "\"/v1\"", "\n\n"]).await;
    simulator.faults().add(Rule::on(Service::Barbican, Action::DropAfter));
    assert_eq!(ask(barbican, "GET /", "").await, None);
    let news = ["\"fault\":\"drop_after\"", "\"seq\":3", "\"status\":null"];
    read_until(&mut lines, &news).await;
    read_until(&mut browser, &["id: 3\ndata: "]).await;
    ask(identity, "POST /_simulator/reset", "").await.unwrap();
    read_until(&mut lines, &["{\"cleared\":true}\n"]).await;
    read_until(&mut browser, &["id: 0\nevent: cleared\n"]).await;
    // Whoever listens does not keep it from stopping at once.
    tokio::time::timeout(std::time::Duration::from_secs(4), running.stop()).await.unwrap();
}

#[tokio::test]
async fn nothing_of_it_is_there_unless_it_is_asked_for() {
    let (_simulator, running) = start(Control::Off).await;
    for line in ["GET /_simulator", "DELETE /_simulator/faults", "POST /_simulator/reset"] {
        assert_eq!(ask(&running.urls().identity, line, "").await.unwrap().0, 404, "{line}");
    }
    running.stop().await;
}
