//! Exchanges over sockets: connections kept and reused, HTTP/2 where a TLS server offers it and
//! else HTTP/1.1, TLS verified by default.
//!
//! Follows no redirect (a token must not travel where a service points) and uses no proxy from
//! the environment (it would see tokens and keys).

use crate::exchange::{Broken, Exchange, Limits, reasons};
use crate::tls::{Tls, TlsError};
use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;

/// Below the five seconds after which Apache closes an idle connection, so that a request is
/// rarely written to one that the other side is just closing.
const IDLE: Duration = Duration::from_secs(4);

/// An [`Exchange`] over TCP. Clones share their connections.
#[derive(Clone)]
pub struct Wire {
    client: reqwest::Client,
    limits: Limits,
}

impl Wire {
    /// A client with a connection pool of its own; opens no connection yet.
    ///
    /// # Errors
    /// [`TlsError`] when the certificate authorities could not be read.
    pub fn new(tls: &Tls, limits: Limits) -> Result<Self, TlsError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.config()?)
            .connect_timeout(limits.connect)
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .build()
            .map_err(|error| TlsError::Refused(reasons(&error)))?;
        Ok(Self { client, limits })
    }

    async fn whole(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Broken> {
        let request = reqwest::Request::try_from(request.map(reqwest::Body::from))
            .map_err(|error| Broken::NotConnected(reasons(&error.without_url())))?;
        let reply = self.client.execute(request).await.map_err(broken)?;
        let (head, body) = http::Response::<reqwest::Body>::from(reply).into_parts();
        Ok(http::Response::from_parts(head, self.limits.read(body).await?))
    }
}

fn broken(error: reqwest::Error) -> Broken {
    let error = error.without_url();
    if error.is_connect() || error.is_builder() {
        Broken::NotConnected(reasons(&error))
    } else {
        Broken::Closed(reasons(&error))
    }
}

#[async_trait]
impl Exchange for Wire {
    async fn exchange(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, Broken> {
        self.limits.within(self.whole(request)).await
    }
}
