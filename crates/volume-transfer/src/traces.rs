//! Traces by OpenTelemetry, where `otlp_endpoint` says so: requests, the steps of operations, and
//! calls to Keystone and Barbican.
//!
//! A caller's `traceparent` is taken up, and the services that are asked get one. Attributes hold
//! methods, routes, paths, statuses and outcomes: no header, query or body, and nothing that opens
//! anything.
//!
//! Where nobody collects, no span is made, and none of this is in the way of a request.

use crate::service::wire;
use crate::settings::Settings;
use anyhow::Context as _;
use async_trait::async_trait;
use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use bytes::Bytes;
use openstack_http::{Broken, Exchange, Limits, Tls};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HeaderExtractor, HeaderInjector, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::{Instrument as _, Metadata, Span, Subscriber, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// What the service is called in traces.
const SERVICE: &str = "volume-transfer";
/// The targets of spans that are made for traces.
const TARGETS: [&str; 2] = [STEPS, "volume_transfer::traces"];
/// The target of those that log lines show, too, while there are traces.
pub(crate) const STEPS: &str = "transfer_engine::step";
/// How long a stop waits for what has not been sent yet.
const GRACE: Duration = Duration::from_secs(5);
const LIMITS: Limits =
    Limits { connect: Duration::from_secs(2), total: Duration::from_secs(10), body_bytes: 1 << 16 };

/// The collection of spans, until it is ended.
#[must_use = "what has not been sent yet is sent at the end"]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// None.
    pub fn off() -> Self {
        Self(None)
    }

    /// Begins to send spans where the settings say so.
    ///
    /// # Errors
    /// When the endpoint cannot be used.
    pub fn begin(settings: &Settings) -> anyhow::Result<Self> {
        let Some(endpoint) = settings.otlp_endpoint()? else { return Ok(Self::off()) };
        let sender = Sender { exchange: wire(&Tls::System, LIMITS)?, runtime: Handle::current() };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(sender)
            .with_endpoint(endpoint.as_str())
            .with_timeout(LIMITS.total)
            .build()
            .with_context(|| format!("traces cannot be sent to {endpoint}; see otlp_endpoint"))?;
        let resource = Resource::builder()
            .with_service_name(SERVICE)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource);
        Ok(Self(Some(provider.build())))
    }

    /// Whether spans are collected.
    pub(crate) fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// The layer that turns spans of this service into OpenTelemetry's.
    pub(crate) fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer = self.0.as_ref()?.tracer(SERVICE);
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        Some(layer.with_filter(filter_fn(is_traced)))
    }

    /// Sends what has not been sent yet.
    pub async fn end(self) {
        let Some(provider) = self.0 else { return };
        let ending = move || provider.shutdown_with_timeout(GRACE);
        match tokio::task::spawn_blocking(ending).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces not sent"),
            Err(error) => tracing::warn!(%error, "the last traces not sent"),
        }
    }
}

fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && TARGETS.contains(&metadata.target())
}

/// Sends batches by the connections that this program has for everything else. They come from a
/// thread that knows no runtime.
struct Sender {
    exchange: Arc<dyn Exchange>,
    runtime: Handle,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let exchange = self.exchange.clone();
        let sending = async move {
            let outcome = exchange.exchange(request).await;
            // Whoever asks for it makes nothing of a failure but to drop the batch.
            match &outcome {
                Ok(reply) if reply.status().is_success() => {}
                Ok(reply) => tracing::warn!(status = reply.status().as_u16(), "traces not sent"),
                Err(error) => tracing::warn!(%error, "traces not sent"),
            }
            outcome
        };
        Ok(self.runtime.spawn(sending).await??)
    }
}

/// A router whose requests are traced, below the span that their caller names.
pub(crate) fn traced(router: Router) -> Router {
    router.layer(from_fn(answer))
}

async fn answer(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let (method, caller) = (request.method(), extract(request.headers()));
    let span = {
        let _caller = caller.attach();
        tracing::trace_span!(
            "request",
            otel.kind = "server",
            otel.name = format!("{method} {route}").trim_end(),
            http.request.method = %method,
            http.route = route,
            http.response.status_code = field::Empty,
            request_id = field::Empty,
            otel.status_code = field::Empty,
        )
    };
    let response = next.run(request).instrument(span.clone()).await;
    let id = response.headers().get("x-openstack-request-id");
    if let Some(id) = id.and_then(|id| id.to_str().ok()) {
        span.record("request_id", id);
    }
    told(&span, response.status(), response.status().is_server_error());
    response
}

fn told(span: &Span, status: http::StatusCode, is_error: bool) {
    span.record("http.response.status_code", status.as_u16());
    if is_error {
        span.record("otel.status_code", "ERROR");
    }
}

/// The span that a caller names, if it names one (W3C: Trace Context).
fn extract(headers: &http::HeaderMap) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers))
}

/// An exchange whose calls are traced, and tell the service that is asked under which span.
pub(crate) struct Traced {
    peer: &'static str,
    exchange: Arc<dyn Exchange>,
}

impl Traced {
    /// Traces what goes through `exchange`.
    pub(crate) fn over(peer: &'static str, exchange: Arc<dyn Exchange>) -> Arc<dyn Exchange> {
        Arc::new(Self { peer, exchange })
    }
}

#[async_trait]
impl Exchange for Traced {
    async fn exchange(
        &self,
        mut request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, Broken> {
        let method = request.method().as_str();
        let span = tracing::trace_span!(
            "exchange",
            otel.kind = "client",
            otel.name = format!("{} {method}", self.peer),
            peer.service = self.peer,
            http.request.method = method,
            url.path = request.uri().path(),
            http.response.status_code = field::Empty,
            outcome = field::Empty,
            otel.status_code = field::Empty,
        );
        let headers = &mut HeaderInjector(request.headers_mut());
        TraceContextPropagator::new().inject_context(&span.context(), headers);
        let outcome = self.exchange.exchange(request).instrument(span.clone()).await;
        match &outcome {
            Ok(reply) => told(&span, reply.status(), !reply.status().is_success()),
            Err(broken) => {
                span.record("outcome", broken.name());
                span.record("otel.status_code", "ERROR");
            }
        }
        outcome
    }
}
