//! What an engine says of its work: enough to follow it, and nothing that opens a volume.
//!
//! The log is that of the whole process, so that it is searched for what the other tests let slip,
//! too; all of them use the same keys.

use crate::bench::{KEYS, PASSWORD};
use crate::scene::{Ask, COPYING, OPERATIONS, Scene};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use simulator::faults::Action;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::format::FmtSpan;
use transfer_core::Operation;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// For traces a step tells how it ended, and its status says whether that was well.
#[tokio::test]
async fn how_a_step_ended_is_told_by_its_span() {
    let forbidden = Action::Answer { status: 403, retry_after: None };
    for action in [None, Some(forbidden)] {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_span_events(FmtSpan::CLOSE)
            .with_writer(move || writer.clone())
            .finish();
        let _until_the_end = tracing::subscriber::set_default(subscriber);
        let scene = Scene::new(Operation::Accept).await;
        if let Some(action) = action {
            scene.fault(Ask::Fill, action);
        }
        assert_eq!(scene.run().await.is_ok(), action.is_none());
        let said = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
        let ends: Vec<_> = said
            .lines()
            .filter_map(|line| line.split_once("}: transfer_engine::step: close"))
            .filter_map(|(spans, _)| {
                spans.rsplit("step{otel.name=").next()?.split_once(" outcome=")
            })
            .collect();
        let error = r#" otel.status_code="ERROR""#;
        for (step, end) in &ends {
            let well = [r#""done""#, r#""paid""#].contains(end);
            assert!(well != end.ends_with(error), "{step} {end}");
        }
        let failed = ends.iter().any(|(step, end)| *step == r#""fill""# && end.ends_with(error));
        assert_eq!(failed, action.is_some(), "{ends:?}");
    }
}

#[tokio::test]
async fn nothing_that_is_said_contains_keys_tokens_or_auth_keys() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let mut said = String::new();
    let mut auth_keys = Vec::new();
    for operation in OPERATIONS {
        for ask in COPYING.into_iter().chain([Ask::Delete]) {
            for action in [
                Action::DropAfter,
                Action::Garbage,
                Action::Cut,
                Action::Answer { status: 403, retry_after: None },
                Action::Answer { status: 401, retry_after: None },
            ] {
                let scene = Scene::new(operation).await;
                scene.fault(ask, action);
                let outcome = scene.run().await;
                if let Err(error) = &outcome {
                    said += &format!("{error} {error:?}\n");
                }
                said += &format!("{:?} {:?}\n", scene.bench.x, scene.offer());
                assert!(scene.bench.engine.shut_down(crate::bench::SOON).await);
                let debts = scene.bench.store.debts().await.unwrap();
                said += &format!("{debts:?} {:?}\n", scene.bench.world().await);
                auth_keys.extend(scene.offer().map(|offer| offer.auth_key.reveal().to_owned()));
            }
        }
    }
    said += &String::from_utf8_lossy(&log.0.lock().unwrap());
    for words in [
        "hand-over ended",
        "phase=\"committed\"",
        "phase=\"aborted\"",
        "outcome unknown",
        "debt refused",
        "exchange",
    ] {
        assert!(said.contains(words), "{words} is to be said");
    }
    let searched = said.to_lowercase();
    let mut found = Vec::new();
    for (number, key) in KEYS.into_iter().enumerate() {
        let bytes = STANDARD.decode(key).unwrap();
        // Any half of a key is too much.
        for half in bytes.chunks(16) {
            let listed = format!("{half:?}");
            let spelt = [hex::encode(half), listed.trim_matches(['[', ']']).to_owned()];
            found.extend(spelt.iter().any(|text| searched.contains(text)).then_some(number));
        }
        found.extend(said.contains(key.trim_end_matches('=')).then_some(number));
        let raw = said.as_bytes().windows(16).any(|window| window == &bytes[..16]);
        found.extend(raw.then_some(number));
    }
    assert!(found.is_empty(), "keys number {found:?}");
    // Every token of the simulator begins so.
    assert!(!said.contains("gAAAAA"), "a token");
    assert!(!said.contains(PASSWORD), "a password");
    assert!(!auth_keys.is_empty(), "{}", Operation::Accept);
    assert!(!auth_keys.iter().any(|key| said.contains(key)), "an auth key");
}
