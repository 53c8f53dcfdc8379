//! The one seam between the clients and a network: a request goes in, a whole reply comes out.
//!
//! Implemented by [`crate::Wire`] (sockets) and [`crate::InProcess`] (a router in this process),
//! both under the same [`Limits`]. Does not judge: a reply of any status is a reply.

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt;
use std::error::Error;
use std::fmt::Write;
use std::future::Future;
use std::time::Duration;
use zeroize::Zeroizing;

/// Carries one request to a service and brings its whole reply back.
#[async_trait]
pub trait Exchange: Send + Sync {
    /// One exchange, within the limits that the implementation was given.
    ///
    /// # Errors
    /// [`Broken`] when no whole reply arrived. The service may or may not have acted.
    async fn exchange(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, Broken>;
}

/// Why no whole reply arrived.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The time for the whole call ran out.
    #[error("no whole reply within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// No connection came about: refused, unreachable, no such host, or TLS not agreed.
    #[error("not connected: {0}")]
    NotConnected(String),
    /// The connection ended or spoke nonsense before the reply was whole.
    #[error("connection broken: {0}")]
    Closed(String),
    /// The reply's body is longer than the limit, in bytes.
    #[error("reply longer than {0} bytes")]
    TooLong(usize),
}

impl Broken {
    /// In one word, for metrics and traces.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TimedOut(_) => "timed_out",
            Self::NotConnected(_) => "not_connected",
            Self::Closed(_) => "closed",
            Self::TooLong(_) => "too_long",
        }
    }
}

/// What one call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time to connect, TLS included.
    pub connect: Duration,
    /// Time for the whole call, from the first byte sent to the last one received.
    pub total: Duration,
    /// Longest body of a reply, in bytes.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(30),
            body_bytes: 1 << 20,
        }
    }
}

impl Limits {
    /// Runs `call` for no longer than the total limit.
    pub(crate) async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, Broken>>,
    ) -> Result<T, Broken> {
        tokio::time::timeout(self.total, call)
            .await
            .unwrap_or_else(|_| Err(Broken::TimedOut(self.total)))
    }

    /// Reads a body to its end into memory that is wiped when the last reader drops it.
    pub(crate) async fn read<B>(&self, mut body: B) -> Result<Bytes, Broken>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
        B::Error: Error,
    {
        let known = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        // One allocation where the length is known: growing would leave unwiped copies behind.
        let mut whole = Zeroizing::new(Vec::with_capacity(known.min(self.body_bytes)));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Broken::Closed(reasons(&error)))?;
            let Ok(data) = frame.into_data() else { continue };
            if whole.len() + data.len() > self.body_bytes {
                return Err(Broken::TooLong(self.body_bytes));
            }
            whole.extend_from_slice(&data);
        }
        Ok(Bytes::from_owner(whole))
    }
}

/// An error and its causes in one line. Transport errors name addresses and reasons, no content.
pub(crate) fn reasons(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a `String` cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
