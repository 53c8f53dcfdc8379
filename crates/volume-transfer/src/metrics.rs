//! `GET /metrics` for Prometheus, on a listener of its own: the API's port is public.
//!
//! What happens in this process is counted as it happens; what stands in the database is looked up
//! for each scrape, and every replica tells the same.

use crate::listening::serve_until;
use crate::settings::Settings;
use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use cinder_db::{Ages, Standing, Store};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use transfer_metrics::{
    BUCKETS, BUILD, CLAIMS, DATABASE_UP, DEBTS, EXPIRED_OFFERS, NO_LABELS, OLDEST_DEBT, OPEN_OFFERS,
};

/// The ages that debts are counted by.
const AGES: [(&str, Duration); 4] = [
    ("0s", Duration::ZERO),
    ("1h", Duration::from_secs(3_600)),
    ("1d", Duration::from_secs(86_400)),
    ("1w", Duration::from_secs(604_800)),
];

/// How long a scrape waits for the database: Prometheus itself gives up after 10 seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often samples that nobody asks for are put into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// Begins to record and to serve, where the settings say so; gives the address.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn begin(
    settings: &Settings,
    store: &Store,
    stop: &CancellationToken,
) -> anyhow::Result<Option<SocketAddr>> {
    let Some(address) = settings.metrics_listen()? else { return Ok(None) };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; see [volume_transfer] metrics_listen")
    })?;
    let address = listener.local_addr()?;
    let recorder = PrometheusBuilder::new().set_buckets(BUCKETS)?.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    transfer_metrics::describe();
    BUILD.set([env!("CARGO_PKG_VERSION")], 1.0);
    let router = Router::new()
        .route("/metrics", get(scrape))
        .with_state(Scraped { handle: handle.clone(), store: store.clone() });
    tokio::spawn(keep_up(handle, stop.clone()));
    tokio::spawn(serve_until(listener, router, stop.clone(), Duration::ZERO));
    tracing::info!(url = format!("http://{address}/metrics"), "metrics");
    Ok(Some(address))
}

#[derive(Clone)]
struct Scraped {
    handle: PrometheusHandle,
    store: Store,
}

async fn scrape(State(Scraped { handle, store }): State<Scraped>) -> impl IntoResponse {
    let ages = AGES.map(|(_, age)| age);
    let standing = tokio::time::timeout(PATIENCE, store.standing(&ages)).await;
    match standing {
        Ok(Ok(standing)) => tell(&standing),
        Ok(Err(error)) => not_known(&error.to_string()),
        Err(_late) => not_known("no answer in time"),
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render())
}

fn tell(standing: &Standing) {
    let Standing { open_offers, expired_offers, counts, service_debts, project_debts } = standing;
    DATABASE_UP.set(NO_LABELS, 1.0);
    OPEN_OFFERS.set(NO_LABELS, number(*open_offers));
    EXPIRED_OFFERS.set(NO_LABELS, number(*expired_offers));
    CLAIMS.set(["live"], number(counts.claims - counts.expired_claims));
    CLAIMS.set(["over"], number(counts.expired_claims));
    for (owed_by, Ages { at_least, oldest }) in
        [("service", service_debts), ("project", project_debts)]
    {
        OLDEST_DEBT.set([owed_by], oldest.as_secs_f64());
        for ((age, _), debts) in AGES.iter().zip(at_least) {
            DEBTS.set([owed_by, age], number(*debts));
        }
    }
}

/// What is not known is not a number: an old value would look like a fresh one.
fn not_known(why: &str) {
    tracing::warn!(why, "the database could not be scraped");
    DATABASE_UP.set(NO_LABELS, 0.0);
    OPEN_OFFERS.set(NO_LABELS, f64::NAN);
    EXPIRED_OFFERS.set(NO_LABELS, f64::NAN);
    for lease in ["live", "over"] {
        CLAIMS.set([lease], f64::NAN);
    }
    for owed_by in ["service", "project"] {
        OLDEST_DEBT.set([owed_by], f64::NAN);
        for (age, _) in AGES {
            DEBTS.set([owed_by, age], f64::NAN);
        }
    }
}

/// Counts of rows are far below the 2^32 up to which this is exact.
fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

async fn keep_up(handle: PrometheusHandle, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            _ = ticks.tick() => handle.run_upkeep(),
            () = stop.cancelled() => return,
        }
    }
}
