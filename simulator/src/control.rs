//! `/_simulator`: faults, time, log and checkpoints over HTTP, for tests in any language.
//!
//! | request | does |
//! |---|---|
//! | `GET /_simulator` | the time, and how much there is of everything |
//! | `POST /_simulator/faults` | adds a rule ([`faults`](crate::faults)); 201 with its `id` |
//! | `GET /_simulator/faults` | the rules in force, and how often each was met |
//! | `POST /_simulator/faults/{id}/release` | lets one request go that the rule holds |
//! | `DELETE /_simulator/faults/{id}` | takes a rule away; held requests go on |
//! | `DELETE /_simulator/faults` | takes all of them away |
//! | `GET /_simulator/events?after=N` | what was asked for since, by whom, and what it came to |
//! | `GET /_simulator/secrets` | who owns which secret; never the bytes |
//! | `POST /_simulator/clock` `{"advance_seconds": N}` | moves the time on |
//! | `POST /_simulator/checkpoints` | remembers everything as it is; 201 with its `id` |
//! | `POST /_simulator/checkpoints/{id}/restore` | goes back there |
//! | `POST /_simulator/reset` | as at the start: state, rules and log; not the time |
//!
//! There is no authentication: whoever reaches it may do all of that. It is served only where
//! [`Config::control`](crate::Config) asks for it, and is no part of the simulated services: no
//! rule strikes it, and the log does not tell of it.

mod rules;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::faults::Fault;
use crate::{Checkpoint, Simulator};
use rules::RuleDocument;

/// Where it stands.
pub(crate) const PREFIX: &str = "/_simulator";

/// Checkpoints that are kept at once; each is as large as the cloud was.
const CHECKPOINTS: usize = 64;
/// Rules at once.
const RULES: usize = 1024;
/// Longest step of the clock: about 30 years.
const LONGEST_STEP: i64 = 1_000_000_000;

struct Control {
    simulator: Simulator,
    start: Checkpoint,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    last_id: u64,
    /// What was asked for, and the rule's handle.
    rules: BTreeMap<u64, (Value, Fault)>,
    checkpoints: BTreeMap<u64, Checkpoint>,
}

impl Kept {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

impl Control {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Shared = State<Arc<Control>>;

/// What was wrong with a request; nothing has changed.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

pub(crate) fn routes(simulator: &Simulator) -> Router {
    let control = Control {
        simulator: simulator.clone(),
        start: simulator.checkpoint(),
        kept: Mutex::default(),
    };
    let below = Router::new()
        .route("/", get(summary))
        .route("/faults", get(list).post(add).delete(clear))
        .route("/faults/{id}", delete(remove))
        .route("/faults/{id}/release", post(release))
        .route("/events", get(events))
        .route("/secrets", get(secrets))
        .route("/clock", post(advance))
        .route("/checkpoints", post(remember))
        .route("/checkpoints/{id}/restore", post(restore))
        .route("/reset", post(reset))
        .fallback(async || Refusal(StatusCode::NOT_FOUND, "there is no such thing".to_owned()))
        .with_state(Arc::new(control));
    Router::new().nest(PREFIX, below)
}

async fn summary(State(control): Shared) -> Json<Value> {
    let simulator = &control.simulator;
    let now = simulator.clock().now().format(&Rfc3339).unwrap_or_default();
    let kept = control.kept();
    Json(json!({
        "now": now,
        "secrets": simulator.secrets().len(),
        "events": simulator.events().len(),
        "faults": kept.rules.len(),
        "checkpoints": kept.checkpoints.len(),
    }))
}

async fn add(State(control): Shared, body: String) -> Result<(StatusCode, Json<Value>), Refusal> {
    let document: Value = read(&body)?;
    let rule: RuleDocument = read(&body)?;
    let rule = rule.rule().map_err(|why| Refusal(StatusCode::BAD_REQUEST, why))?;
    let mut kept = control.kept();
    if kept.rules.len() >= RULES {
        let why = format!("there are {RULES} rules already: take some away");
        return Err(Refusal(StatusCode::CONFLICT, why));
    }
    let id = kept.next_id();
    kept.rules.insert(id, (document, control.simulator.faults().add(rule)));
    Ok((StatusCode::CREATED, Json(json!({"id": id}))))
}

async fn list(State(control): Shared) -> Json<Value> {
    let faults = control.simulator.faults();
    let kept = control.kept();
    let rules = kept.rules.iter().map(|(id, (rule, fault))| {
        let (seen, struck) = faults.met(fault).unwrap_or_default();
        json!({"id": id, "rule": rule, "seen": seen, "struck": struck})
    });
    Json(json!({"faults": rules.collect::<Vec<_>>()}))
}

async fn clear(State(control): Shared) -> StatusCode {
    control.kept().rules.clear();
    control.simulator.faults().clear();
    StatusCode::NO_CONTENT
}

async fn remove(State(control): Shared, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let id = number(&id, "rule")?;
    let removed = control.kept().rules.remove(&id);
    let (_, fault) = removed.ok_or_else(|| unknown("rule", id))?;
    control.simulator.faults().remove(&fault);
    Ok(StatusCode::NO_CONTENT)
}

async fn release(State(control): Shared, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let id = number(&id, "rule")?;
    let kept = control.kept();
    let (_, fault) = kept.rules.get(&id).ok_or_else(|| unknown("rule", id))?;
    fault.release();
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    after: Option<String>,
}

async fn events(
    State(control): Shared,
    query: Result<Query<After>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    let Query(After { after }) =
        query.map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.body_text()))?;
    let after = after.map_or(Ok(0), |text| number(&text, "event"))?;
    let events = control.simulator.events().into_iter().filter(|event| event.seq > after);
    Ok(Json(json!({"events": events.collect::<Vec<_>>()})))
}

async fn secrets(State(control): Shared) -> Json<Value> {
    Json(json!({"secrets": control.simulator.secrets()}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_seconds: i64,
}

async fn advance(State(control): Shared, body: String) -> Result<Json<Value>, Refusal> {
    let Advance { advance_seconds } = read(&body)?;
    if !(0..=LONGEST_STEP).contains(&advance_seconds) {
        let why = format!("advance_seconds: from 0 to {LONGEST_STEP}");
        return Err(Refusal(StatusCode::BAD_REQUEST, why));
    }
    let clock = control.simulator.clock();
    clock.advance(time::Duration::seconds(advance_seconds));
    Ok(Json(json!({"now": clock.now().format(&Rfc3339).unwrap_or_default()})))
}

async fn remember(State(control): Shared) -> Result<(StatusCode, Json<Value>), Refusal> {
    let mut kept = control.kept();
    if kept.checkpoints.len() >= CHECKPOINTS {
        let why = format!("there are {CHECKPOINTS} checkpoints already: reset forgets them");
        return Err(Refusal(StatusCode::CONFLICT, why));
    }
    let id = kept.next_id();
    kept.checkpoints.insert(id, control.simulator.checkpoint());
    Ok((StatusCode::CREATED, Json(json!({"id": id}))))
}

async fn restore(State(control): Shared, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let id = number(&id, "checkpoint")?;
    let kept = control.kept();
    let checkpoint = kept.checkpoints.get(&id).ok_or_else(|| unknown("checkpoint", id))?;
    control.simulator.restore(checkpoint);
    Ok(StatusCode::NO_CONTENT)
}

async fn reset(State(control): Shared) -> StatusCode {
    let mut kept = control.kept();
    kept.rules.clear();
    kept.checkpoints.clear();
    control.simulator.faults().restart();
    control.simulator.restore(&control.start);
    StatusCode::NO_CONTENT
}

fn read<T: serde::de::DeserializeOwned>(body: &str) -> Result<T, Refusal> {
    let wrong = |error: serde_json::Error| Refusal(StatusCode::BAD_REQUEST, error.to_string());
    serde_json::from_str(body).map_err(wrong)
}

fn number(text: &str, what: &str) -> Result<u64, Refusal> {
    let wrong = |_| Refusal(StatusCode::BAD_REQUEST, format!("{text} is no number of a {what}"));
    text.parse().map_err(wrong)
}

fn unknown(what: &str, id: u64) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("there is no {what} {id}"))
}
