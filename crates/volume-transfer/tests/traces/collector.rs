//! A collector of traces: takes what is sent by OTLP over HTTP, and decodes it.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use prost::Message as _;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// A span as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) is_client: bool,
    pub(crate) is_error: bool,
    /// In nanoseconds.
    pub(crate) end: u64,
    attributes: BTreeMap<String, String>,
}

impl Span {
    pub(crate) fn text(&self, attribute: &str) -> String {
        self.attributes.get(attribute).cloned().unwrap_or_else(|| panic!("{attribute}: {self:?}"))
    }
}

/// What has arrived.
#[derive(Clone, Default)]
pub(crate) struct Received {
    pub(crate) service: Option<String>,
    pub(crate) spans: Vec<Span>,
}

impl Received {
    /// The only span that fits.
    pub(crate) fn one(&self, fits: impl Fn(&Span) -> bool) -> &Span {
        let found: Vec<_> = self.spans.iter().filter(|span| fits(span)).collect();
        match found[..] {
            [span] => span,
            _ => panic!("{} spans fit: {found:?} of {:?}", found.len(), self.spans),
        }
    }
}

pub(crate) struct Collector {
    pub(crate) url: String,
    received: Arc<Mutex<Received>>,
}

impl Collector {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let received = Arc::default();
        let router =
            Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&received));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, received }
    }

    pub(crate) fn received(&self) -> Received {
        self.received.lock().expect("whole").clone()
    }
}

async fn take(
    State(received): State<Arc<Mutex<Received>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body).expect("protobuf");
    let mut received = received.lock().expect("whole");
    for resource in request.resource_spans {
        let about = resource.resource.map_or(Vec::new(), |resource| resource.attributes);
        received.service = attributes(about).remove("service.name");
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        received.spans.extend(spans.map(|span| Span {
            trace: hexadecimal(&span.trace_id),
            id: hexadecimal(&span.span_id),
            parent: hexadecimal(&span.parent_span_id),
            is_client: span.kind() == SpanKind::Client,
            is_error: span.status.is_some_and(|status| status.code() == SpanStatus::Error),
            end: span.end_time_unix_nano,
            attributes: attributes(span.attributes),
            name: span.name,
        }));
    }
    StatusCode::OK
}

fn attributes(all: Vec<KeyValue>) -> BTreeMap<String, String> {
    all.into_iter().map(|one| (one.key, text(one.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
