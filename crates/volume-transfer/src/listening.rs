//! Serving a router on a socket, and stopping it in time.

use anyhow::Context as _;
use axum::Router;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves until `stop`; then takes no more connections and gives requests in progress `grace`.
///
/// # Errors
/// When the socket fails.
pub async fn serve_until(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    grace: Duration,
) -> anyhow::Result<()> {
    let stopping = stop.clone();
    let server = axum::serve(listener, router)
        .with_graceful_shutdown(async move { stopping.cancelled().await });
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        served = server => served.context("the listening socket failed"),
        () = late => {
            tracing::warn!("connections still open after the grace period; closing them");
            Ok(())
        }
    }
}

/// A token that is cancelled by SIGINT or SIGTERM.
///
/// # Errors
/// When the signals cannot be listened to.
pub fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        told.cancel();
    });
    Ok(stop)
}
