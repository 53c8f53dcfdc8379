//! Simulated services on sockets.
//!
//! A service that answers [`Broken`] has its connection closed without a response, which a plain
//! axum server cannot do. Shutting down lets requests in progress end, for a limited time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::faults::Broken;
use crate::{Control, Simulator, Urls, console, control};

/// How long [`Running::stop`] lets requests in progress go on.
const GRACE: Duration = Duration::from_secs(5);

/// Serves `service` on `listener` until `shutdown` is cancelled; then requests in progress have
/// `grace` to end before their connections are closed. Failures to accept are logged and passed by.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    shutdown: CancellationToken,
    grace: Duration,
) where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Broken>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let connections = TaskTracker::new();
    let last = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (service, shutdown) = (service.clone(), shutdown.clone());
                let last = last.clone();
                connections.spawn(async move {
                    tokio::select! {
                        () = last.cancelled() => {}
                        () = connection(stream, service, shutdown) => {}
                    }
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: give the open connections a chance to end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(grace, connections.wait()).await.is_err() {
        last.cancel();
        connections.wait().await;
    }
}

async fn connection<S>(stream: TcpStream, service: S, shutdown: CancellationToken)
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Broken>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let each = service_fn(move |request: Request<Incoming>| {
        service.clone().oneshot(request.map(Body::new))
    });
    let served =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), each);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Keystone and Barbican on sockets of their own.
#[derive(Debug)]
pub struct Running {
    urls: Urls,
    shutdown: CancellationToken,
    servers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Binds both on free ports of loopback and tells the simulator where they are.
    ///
    /// # Errors
    /// The error of binding.
    pub async fn on_loopback(simulator: &Simulator) -> io::Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start(simulator, TcpListener::bind(any).await?, TcpListener::bind(any).await?)
    }

    /// Serves both on these sockets and tells the simulator where they are.
    ///
    /// # Errors
    /// When the address of a socket cannot be read, or is not one for [`Control::OnLoopback`].
    pub fn start(
        simulator: &Simulator,
        keystone: TcpListener,
        barbican: TcpListener,
    ) -> io::Result<Self> {
        let control = simulator.config().control;
        if control == Control::OnLoopback && !keystone.local_addr()?.ip().is_loopback() {
            let why = "the control of a simulator is open to whoever reaches it: on loopback only";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        let urls = Urls {
            identity: format!("http://{}", keystone.local_addr()?),
            key_manager: format!("http://{}", barbican.local_addr()?),
            ..simulator.urls()
        };
        simulator.set_urls(urls.clone());
        let shutdown = CancellationToken::new();
        let start =
            |listener, service| tokio::spawn(serve(listener, service, shutdown.clone(), GRACE));
        let barbican = start(barbican, simulator.barbican_service());
        let keystone = if control == Control::Off {
            start(keystone, simulator.keystone_service())
        } else {
            let (service, shutdown) = (controlled(simulator, &shutdown), shutdown.clone());
            tokio::spawn(serve(keystone, service, shutdown, GRACE))
        };
        let servers = vec![keystone, barbican];
        Ok(Self { urls, shutdown, servers })
    }

    /// Where the services are.
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// Stops both; requests in progress have five seconds to end, those that a rule holds as well.
    pub async fn stop(self) {
        self.shutdown.cancel();
        for server in self.servers {
            // A server that panicked has stopped, too.
            drop(server.await);
        }
    }
}

/// Keystone, and beside it what controls the simulator.
fn controlled(
    simulator: &Simulator,
    shutdown: &CancellationToken,
) -> impl tower::Service<Request<Body>, Response = Response<Body>, Error = Broken, Future: Send>
+ Clone
+ Send
+ 'static {
    let control = control::routes(simulator, shutdown.clone());
    let keystone = simulator.keystone_service();
    tower::service_fn(move |mut request: Request<Body>| {
        let (control, keystone) = (control.clone(), keystone.clone());
        if console::is_asked_for(&request) {
            *request.uri_mut() = http::Uri::from_static(console::PAGE);
        }
        async move {
            let below = request.uri().path().strip_prefix(control::PREFIX);
            if below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
                control.oneshot(request).await.map_err(|never| match never {})
            } else {
                keystone.oneshot(request).await
            }
        }
    })
}
