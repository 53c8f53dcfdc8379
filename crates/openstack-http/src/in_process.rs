//! Exchanges with a router in this process: no sockets, the same limits.
//!
//! A service that answers with an error stands for a broken connection. Does not keep the handler
//! running when the time limit ends a call: whoever simulates late effects spawns them.

use crate::exchange::{Broken, Exchange, Limits, reasons};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Full;
use std::error::Error;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

type Boxed = Box<dyn Error + Send + Sync>;

/// An [`Exchange`] with anything that serves HTTP requests, an axum router for one.
#[derive(Clone)]
pub struct InProcess {
    service: BoxCloneSyncService<http::Request<Full<Bytes>>, http::Response<Bytes>, Broken>,
    limits: Limits,
}

impl InProcess {
    /// Calls `service` once per exchange; its errors are [`Broken::Closed`].
    pub fn new<S, B>(service: S, limits: Limits) -> Self
    where
        S: Service<http::Request<Full<Bytes>>, Response = http::Response<B>>,
        S: Clone + Send + Sync + 'static,
        S::Error: Into<Boxed>,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Error,
    {
        let whole = service.map_err(closed).and_then(move |reply: http::Response<B>| async move {
            let (head, body) = reply.into_parts();
            let body = limits.read(Box::pin(body)).await?;
            Ok(http::Response::from_parts(head, body))
        });
        Self { service: BoxCloneSyncService::new(whole), limits }
    }
}

fn closed(error: impl Into<Boxed>) -> Broken {
    Broken::Closed(reasons(error.into().as_ref()))
}

#[async_trait]
impl Exchange for InProcess {
    async fn exchange(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, Broken> {
        let service = self.service.clone();
        self.limits.within(service.oneshot(request.map(Full::new))).await
    }
}
