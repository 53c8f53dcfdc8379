//! `/_simulator`: faults, time, log and checkpoints over HTTP, for tests in any language.
//!
//! | request | does |
//! |---|---|
//! | `GET /_simulator` | the time, and how much there is of everything |
//! | `POST /_simulator/faults` | adds a rule ([`faults`](crate::faults)); 201 with its `id` |
//! | `POST /_simulator/faults` `{"line": "…"}` | the same, as on the command line |
//! | `GET /_simulator/faults` | the rules in force, and how often each was met |
//! | `POST /_simulator/faults/{id}/release` | lets one request go that the rule holds |
//! | `DELETE /_simulator/faults/{id}` | takes a rule away; held requests go on |
//! | `DELETE /_simulator/faults` | takes all of them away |
//! | `GET /_simulator/events?after=N` | what was asked for since, by whom, and what came of it |
//! | `GET /_simulator/events?follow=true` | the same as it happens, in lines of JSON |
//! | the same, accepting `text/event-stream` | in server-sent events |
//! | `GET /_simulator/secrets` | who owns which secret; never the bytes |
//! | `POST /_simulator/clock` `{"advance_seconds": N}` | moves the time on |
//! | `POST /_simulator/checkpoints` | remembers state and time as they are; 201 with its `id` |
//! | `POST /_simulator/checkpoints/{id}/restore` | goes back there |
//! | `POST /_simulator/reset` | as at the start: state, time, rules, scenario, log |
//! | `POST /_simulator/volumes` `{"project": ID}` | makes a volume as one of its users |
//! | `POST /_simulator/offers` `{"volume": ID}` | offers it as one of its owner's users |
//! | `POST /_simulator/offers/{id}/accept` `{"auth_key": KEY, "project": ID}` | accepts |
//! | `GET /_simulator/console` | all of that for eyes; a browser gets it at `/`, too |
//!
//! There is no authentication: whoever reaches it may do all of that, except through a page of
//! somebody else in a browser (`guard`). It is served only where
//! [`Config::control`](crate::Config) asks for it, and is no part of the simulated services: no
//! rule strikes it, and the log does not tell of it.

mod guard;
mod stage;
mod stream;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use tokio_util::sync::CancellationToken;

use crate::faults::{Fault, LONGEST_STEP, Rule, RuleError};
use crate::{Checkpoint, Clock, Simulator, console};

/// Where it stands.
pub(crate) const PREFIX: &str = "/_simulator";

/// Checkpoints that are kept at once; each is as large as the cloud was.
const CHECKPOINTS: usize = 64;
/// Rules at once.
const RULES: usize = 1024;

pub(crate) struct Control {
    simulator: Simulator,
    start: Checkpoint,
    kept: Mutex<Kept>,
    /// Ends what would go on for ever.
    shutdown: CancellationToken,
}

#[derive(Default)]
struct Kept {
    last_id: u64,
    checkpoints: BTreeMap<u64, Checkpoint>,
}

impl Kept {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

impl Control {
    pub(crate) fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    fn rule(&self, id: &str) -> Result<Fault, Refusal> {
        let id = number(id, "rule")?;
        self.simulator.faults().get(id).ok_or_else(|| unknown("rule", id))
    }

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

pub(crate) fn routes(simulator: &Simulator, shutdown: CancellationToken) -> Router {
    let any_host = simulator.config().control == crate::Control::Anywhere;
    let control = Control {
        shutdown,
        simulator: simulator.clone(),
        start: simulator.checkpoint(),
        kept: Mutex::default(),
    };
    let below = Router::new()
        .route("/", get(summary))
        .route("/faults", get(list).post(add).delete(clear))
        .route("/faults/{id}", delete(remove))
        .route("/faults/{id}/release", post(release))
        .route("/events", get(stream::events))
        .route("/console/events", get(stream::rows))
        .route("/secrets", get(secrets))
        .route("/clock", post(advance))
        .route("/checkpoints", post(remember))
        .route("/checkpoints/{id}/restore", post(restore))
        .route("/reset", post(reset))
        .route("/volumes", post(stage::make))
        .route("/offers", post(stage::offer))
        .route("/offers/{id}/accept", post(stage::accept))
        .merge(console::routes())
        .method_not_allowed_fallback(async || {
            Refusal(StatusCode::METHOD_NOT_ALLOWED, "this is not asked for in that way".to_owned())
        })
        .fallback(async || Refusal(StatusCode::NOT_FOUND, "there is no such thing".to_owned()))
        .with_state(Arc::new(control));
    Router::new().nest(PREFIX, below).layer(from_fn_with_state(any_host, guard::check))
}

async fn summary(State(control): Shared) -> Json<Value> {
    let simulator = &control.simulator;
    let now = simulator.clock().now().format(&Rfc3339).unwrap_or_default();
    let faults = simulator.faults().list();
    Json(json!({
        "now": now,
        "secrets": simulator.secrets().len(),
        "events": simulator.log().last(),
        "faults": faults.len(),
        "held": faults.iter().map(|rule| rule.held).sum::<usize>(),
        "checkpoints": control.kept().checkpoints.len(),
    }))
}

/// A rule as a line, for those who write it by hand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    line: String,
}

async fn add(State(control): Shared, body: String) -> Result<(StatusCode, Json<Value>), Refusal> {
    let document: Value = read(&body)?;
    let rule: Rule = if document.get("line").is_some() {
        let Line { line } = read(&body)?;
        let wrong = |error: RuleError| Refusal(StatusCode::BAD_REQUEST, error.to_string());
        line.parse().map_err(wrong)?
    } else {
        read(&body)?
    };
    let faults = control.simulator.faults();
    if faults.list().len() >= RULES {
        let why = format!("there are {RULES} rules already: take some away");
        return Err(Refusal(StatusCode::CONFLICT, why));
    }
    Ok((StatusCode::CREATED, Json(json!({"id": faults.add(rule).id()}))))
}

async fn list(State(control): Shared) -> Json<Value> {
    Json(json!({"faults": control.simulator.faults().list()}))
}

async fn clear(State(control): Shared) -> StatusCode {
    control.simulator.faults().clear();
    StatusCode::NO_CONTENT
}

async fn remove(State(control): Shared, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let fault = control.rule(&id)?;
    control.simulator.faults().remove(&fault);
    Ok(StatusCode::NO_CONTENT)
}

async fn release(State(control): Shared, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    control.rule(&id)?.release();
    Ok(StatusCode::NO_CONTENT)
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
    let by = time::Duration::seconds(advance_seconds);
    if clock.now().checked_add(by).is_none_or(|then| then > Clock::END) {
        let why = format!("advance_seconds: the clock goes no further than {}", Clock::END.date());
        return Err(Refusal(StatusCode::BAD_REQUEST, why));
    }
    clock.advance(by);
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
    kept.checkpoints.clear();
    control.simulator.restore(&control.start);
    control.simulator.faults().restart();
    StatusCode::NO_CONTENT
}

fn read<T: serde::de::DeserializeOwned>(body: &str) -> Result<T, Refusal> {
    let wrong = |error: serde_json::Error| Refusal(StatusCode::BAD_REQUEST, error.to_string());
    serde_json::from_str(body).map_err(wrong)
}

fn number(text: &str, what: &str) -> Result<u64, Refusal> {
    let wrong = |_| Refusal(StatusCode::BAD_REQUEST, format!("{what}: {text} is not a number"));
    text.parse().map_err(wrong)
}

fn unknown(what: &str, id: u64) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("there is no {what} {id}"))
}
