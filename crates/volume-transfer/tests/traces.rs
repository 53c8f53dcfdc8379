//! Traces as a collector receives them from the program: one trace from the caller's span to what
//! Barbican and Keystone are asked, whole at a stop, and without anything that opens a volume.

#[path = "traces/collector.rs"]
mod collector;
#[path = "traces/passage.rs"]
mod passage;

use collector::{Collector, Received};
use passage::Passage;
use simulator::Service;
use simulator::faults::{Action, Rule};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use volume_transfer::ready::Ready;
use volume_transfer::stage::{Stage, User};

/// A trace that a caller has begun, and the span in which it asks.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A stage, and a service before whose peers somebody looks at what is sent.
struct Scene {
    stage: Stage,
    keystone: Passage,
    barbican: Passage,
    service: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn set(endpoint: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = format!("sqlite:///{}?mode=rwc", folder.path().join("c.sqlite").display());
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_volume-transfer"));
        let stage = Stage::set(binary.clone(), 7, Some(&database)).await.expect("a stage");
        let keystone = Passage::to(&stage.urls().identity, None).await;
        let barbican = Passage::to(&stage.urls().key_manager, None).await;
        let conf = folder.path().join("traces.conf");
        let endpoint = endpoint.map(|url| format!("otlp_endpoint = {url}\n"));
        let text = format!("[volume_transfer]\n{}", endpoint.unwrap_or_default());
        std::fs::write(&conf, text).expect("written");
        let ready = folder.path().join("ready.json");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let service = Command::new(binary)
            .args(["serve", "--log-format", "json", "--database", &database, "--listen"])
            .args(["127.0.0.1:0", "--auth-url", &format!("{}/v3", keystone.url)])
            .args(["--key-manager-url", &barbican.url, "--config-file"])
            .arg(&conf)
            .arg("--ready-file")
            .arg(&ready)
            .env("VOLUME_TRANSFER_PASSWORD", "secret")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let url = wait_for(&ready).await.block_storage;
        Self { stage, keystone, barbican, service, url, folder }
    }

    async fn user(&self, name: &str, project: &str) -> User {
        self.stage.log_in(name, project).await.expect("a token")
    }

    async fn volume(&self) -> String {
        let admin = self.user("admin", "admin").await;
        admin.create_encrypted_type("luks").await.expect("a type");
        let donor = self.user("x", "donor").await;
        donor.create_volume("v", Some("luks")).await.expect("a volume")
    }

    /// Stops the service, by which it sends what it still has; gives its log.
    async fn end(mut self) -> String {
        let pid = self.service.id().expect("it runs").to_string();
        let sent = Command::new("kill").arg(pid).status().await.expect("kill");
        assert!(sent.success());
        let status = self.service.wait().await.expect("an exit status");
        assert_eq!(status.code(), Some(0));
        let log = std::fs::read_to_string(self.folder.path().join("log")).expect("a log");
        self.stage.strike().await;
        log
    }
}

async fn wait_for(ready: &Path) -> Ready {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Ok(text) = std::fs::read_to_string(ready) {
            return serde_json::from_str(&text).expect("URLs");
        }
        assert!(Instant::now() < deadline, "no ready file");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_hand_over_is_one_trace_below_the_callers_span() {
    let collector = Collector::open().await;
    let scene = Scene::set(Some(&collector.url)).await;
    let volume = scene.volume().await;
    let (donor, recipient) = (scene.user("x", "donor").await, scene.user("y", "recipient").await);
    let caller = Passage::to(&scene.url, Some(format!("00-{TRACE}-{CALLER}-01"))).await;
    // The old secret is still there when the donor has the answer.
    let delete = Rule::on(Service::Barbican, Action::HoldBefore).method("DELETE");
    let held = scene.stage.simulator.faults().add(delete.template("/v1/secrets/{id}"));
    let offer = donor.offer(&caller.url, &volume).await.expect("a reply").expect(202);
    let offer = offer.expect("an offer");
    held.reached().await;
    held.release();
    let (id, key) = (offer.text("/transfer/id"), offer.text("/transfer/auth_key"));
    let (id, key) = (id.expect("an id"), key.expect("a key"));
    let wrong = recipient.accept(&scene.url, &id, "wrong").await.expect("a reply");
    wrong.expect(400).expect("refused");
    recipient.accept(&scene.url, &id, &key).await.expect("a reply").expect(202).expect("accepted");
    scene.stage.rest().await.expect("a world");
    let asked = [scene.keystone.seen(), scene.barbican.seen()].concat();
    let log = scene.end().await;

    let received = collector.received();
    assert_eq!(received.service.as_deref(), Some("volume-transfer"));
    offered(&received, &log);
    accepted(&received, &id);
    every_call_has_its_span(&received, &asked);
    let everything = format!("{:?}", received.spans);
    for secret in [key.as_str(), "wrong", "gAAAAA", "\"secret\""] {
        assert!(!everything.contains(secret), "a trace holds {secret}");
    }
}

/// The offer's request stands below the caller's span, and all that it took below the request.
fn offered(received: &Received, log: &str) {
    let request = received.one(|span| span.name.starts_with("POST") && span.trace == TRACE);
    assert_eq!(request.parent, CALLER);
    assert_eq!(request.name, "POST /v3/{project_id}/volume-transfers");
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/v3/{project_id}/volume-transfers"),
        ("http.response.status_code", "202"),
    ] {
        assert_eq!(request.text(name), value, "{name}");
    }
    let operation = received.one(|span| span.name == "initiate");
    assert_eq!((operation.trace.as_str(), operation.text("outcome")), (TRACE, "done".to_owned()));
    assert_eq!(operation.parent, request.id);
    assert!(!operation.is_error);
    for step in ["claim", "create_shell", "fill", "commit", "settle"] {
        let step = received.one(|span| span.name == step && span.trace == TRACE);
        assert_eq!(step.parent, operation.id, "{step:?}");
    }
    let settle = received.one(|span| span.name == "settle" && span.trace == TRACE);
    let payment = received.one(|span| span.name == "payment" && span.trace == TRACE);
    assert_eq!((&payment.parent, payment.text("outcome")), (&settle.id, "paid".to_owned()));
    // What is paid later is not on the caller's time.
    assert!(operation.end <= payment.end && request.end <= payment.end, "{payment:?}");
    let in_fill = received.one(|span| span.name == "fill" && span.trace == TRACE).id.clone();
    let put = received.one(|span| span.name == "barbican PUT" && span.trace == TRACE);
    assert_eq!((&put.parent, put.text("http.response.status_code")), (&in_fill, "204".to_owned()));
    // Log lines that belong to a step are still known by their request.
    let id = request.text("request_id");
    let ended = log.lines().find(|line| line.contains("hand-over ended") && line.contains(&id));
    assert!(ended.is_some(), "{id}: {log}");
}

/// An accept that nobody traces begins a trace; one that is rejected says so.
fn accepted(received: &Received, transfer: &str) {
    let accepts: Vec<_> = received.spans.iter().filter(|span| span.name == "accept").collect();
    let outcomes: BTreeSet<_> =
        accepts.iter().map(|span| (span.text("outcome"), span.is_error)).collect();
    assert_eq!(outcomes, [("done".to_owned(), false), ("rejected".to_owned(), true)].into());
    for accept in accepts {
        assert_ne!(accept.trace, TRACE);
        let request = received.one(|span| span.id == accept.parent);
        assert_eq!(request.parent, "", "it is nobody's child");
        let name = "POST /v3/{project_id}/volume-transfers/{id}/accept";
        assert_eq!(request.name, name, "{transfer} is no part of it");
    }
}

/// Keystone and Barbican were told of the very spans that stand for what they were asked.
fn every_call_has_its_span(received: &Received, asked: &[passage::Seen]) {
    assert!(asked.len() >= 12, "too few calls to judge by: {asked:?}");
    for call in asked.iter().filter(|call| call.path != "/") {
        let traceparent = call.traceparent.as_deref().unwrap_or_else(|| panic!("{call:?}"));
        let parts: Vec<_> = traceparent.split('-').collect();
        let [_version, trace, id, _flags] = parts[..] else { panic!("{traceparent}") };
        let span = received.one(|span| span.id == id);
        assert_eq!(span.trace, trace);
        assert_eq!(span.text("http.request.method"), call.method);
        assert_eq!(span.text("url.path"), call.path);
        assert!(span.is_client, "{span:?}");
    }
}

#[tokio::test]
async fn without_an_endpoint_nothing_is_traced_and_nobody_is_told_of_a_trace() {
    let scene = Scene::set(None).await;
    let volume = scene.volume().await;
    let donor = scene.user("x", "donor").await;
    let caller = Passage::to(&scene.url, Some(format!("00-{TRACE}-{CALLER}-01"))).await;
    donor.offer(&caller.url, &volume).await.expect("a reply").expect(202).expect("an offer");
    scene.stage.rest().await.expect("a world");
    let asked = [scene.keystone.seen(), scene.barbican.seen()].concat();
    assert!(asked.len() >= 5, "{asked:?}");
    assert!(asked.iter().all(|call| call.traceparent.is_none()), "{asked:?}");
    let log = scene.end().await;
    assert!(log.contains("hand-over ended") && !log.contains("otel."), "{log}");
}

#[tokio::test]
async fn a_collector_that_is_gone_does_no_harm() {
    let scene = Scene::set(Some("http://127.0.0.1:1")).await;
    let volume = scene.volume().await;
    let donor = scene.user("x", "donor").await;
    donor.offer(&scene.url, &volume).await.expect("a reply").expect(202).expect("an offer");
    let log = scene.end().await;
    assert!(log.contains("traces not sent"), "{log}");
}
