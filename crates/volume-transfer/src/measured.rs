//! Calls to the services beside this one, counted and timed on their way.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use openstack_http::{Broken, Exchange};
use std::sync::Arc;
use std::time::Instant;
use transfer_metrics::{PEER_DURATION, PEER_REQUESTS};

/// An exchange whose calls are counted under a peer's name.
pub struct Measured {
    peer: &'static str,
    exchange: Arc<dyn Exchange>,
}

impl Measured {
    /// Counts what goes through `exchange`.
    pub fn over(peer: &'static str, exchange: Arc<dyn Exchange>) -> Arc<dyn Exchange> {
        Arc::new(Self { peer, exchange })
    }
}

#[async_trait]
impl Exchange for Measured {
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Broken> {
        let method = request.method().as_str().to_owned();
        let begun = Instant::now();
        let outcome = self.exchange.exchange(request).await;
        PEER_DURATION.record([self.peer.to_owned(), method.clone()], begun.elapsed());
        let came = match &outcome {
            Ok(reply) => reply.status().as_str().to_owned(),
            Err(broken) => broken.name().to_owned(),
        };
        PEER_REQUESTS.add([self.peer.to_owned(), method, came], 1);
        outcome
    }
}
