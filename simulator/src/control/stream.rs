//! The log over HTTP: what has been, and what comes, for as long as somebody listens.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, response};
use futures::{Stream, StreamExt as _, stream};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{Control, Refusal, Shared, number};
use crate::console;
use crate::events::{Event, News};

const EVENT_STREAM: &str = "text/event-stream";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    after: Option<String>,
    #[serde(default)]
    follow: bool,
}

/// How what comes is written down.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// A JSON document in each line.
    Lines,
    /// As browsers read it.
    ServerSent,
    /// The same for the console: rows of its table.
    Rows,
}

pub(super) async fn events(
    State(control): Shared,
    headers: HeaderMap,
    query: Result<Query<Wanted>, QueryRejection>,
) -> response::Result<Response, Refusal> {
    let (after, follow) = begin(&headers, query)?;
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|kinds| kinds.contains(EVENT_STREAM)) {
        return Ok(streamed(control, after, Form::ServerSent));
    }
    if follow {
        return Ok(streamed(control, after, Form::Lines));
    }
    Ok(Json(json!({"events": control.simulator.log().after(after)})).into_response())
}

pub(super) async fn rows(
    State(control): Shared,
    headers: HeaderMap,
    query: Result<Query<Wanted>, QueryRejection>,
) -> response::Result<Response, Refusal> {
    let (after, _) = begin(&headers, query)?;
    Ok(streamed(control, after, Form::Rows))
}

/// The number of the last event that is known already, and whether to go on for ever.
fn begin(
    headers: &HeaderMap,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<(u64, bool), Refusal> {
    let Query(Wanted { after, follow }) =
        query.map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.body_text()))?;
    // A browser that has lost the connection says where it was.
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let after = last.map(str::to_owned).or(after);
    Ok((after.map_or(Ok(0), |text| number(&text, "event"))?, follow))
}

fn streamed(control: Arc<Control>, after: u64, form: Form) -> Response {
    let kind = match form {
        Form::Lines => "application/x-ndjson",
        Form::ServerSent | Form::Rows => EVENT_STREAM,
    };
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(follow_log(control, after, form))).into_response()
}

fn follow_log(
    control: Arc<Control>,
    after: u64,
    form: Form,
) -> impl Stream<Item = Result<String, Infallible>> {
    let (past, news) = control.simulator.log().follow(after);
    let past = stream::iter(past).map(move |event| form.event(&event));
    let end = control.shutdown.clone().cancelled_owned();
    let coming = stream::unfold(news, next).map(move |told| match told {
        Ok(News::Event(event)) => form.event(&event),
        Ok(News::Cleared) => form.cleared(),
        Err(missed) => form.notice("missed", missed.into()),
    });
    // Something to begin with, so that whoever listens knows that it does.
    let begin = stream::iter([form.begin()]);
    begin.chain(past).chain(coming.take_until(end)).map(Ok)
}

/// What comes next, or how much was missed; nothing when the simulator is gone.
async fn next(mut news: Receiver<News>) -> Option<(Result<News, u64>, Receiver<News>)> {
    match news.recv().await {
        Ok(told) => Some((Ok(told), news)),
        Err(RecvError::Lagged(missed)) => Some((Err(missed), news)),
        Err(RecvError::Closed) => None,
    }
}

impl Form {
    fn begin(self) -> String {
        match self {
            Self::Lines => String::new(),
            Self::ServerSent | Self::Rows => "retry: 1000\n\n".to_owned(),
        }
    }

    fn event(self, event: &Event) -> String {
        let seq = event.seq;
        match self {
            Self::Lines => format!("{}\n", json!(event)),
            Self::ServerSent => format!("id: {seq}\ndata: {}\n\n", json!(event)),
            Self::Rows => format!("id: {seq}\nevent: row\ndata: {}\n\n", console::row(event)),
        }
    }

    /// The number of the last event means nothing after a new beginning.
    fn cleared(self) -> String {
        let notice = self.notice("cleared", true.into());
        match self {
            Self::Lines => notice,
            Self::ServerSent | Self::Rows => format!("id: 0\n{notice}"),
        }
    }

    fn notice(self, name: &str, what: Value) -> String {
        match self {
            Self::Lines => format!("{}\n", json!({ name: what })),
            Self::ServerSent | Self::Rows => format!("event: {name}\ndata: {what}\n\n"),
        }
    }
}
