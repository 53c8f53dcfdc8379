//! One HTTP exchange with an OpenStack service, judged: done, refused or unknown.
//!
//! Owns the HTTP client, TLS, the limits of a call and the reading of error bodies. A [`Service`]
//! builds a [`Call`]; sending it yields a [`Reply`] with an expected status, or a [`Failure`]:
//! *refused* when the service said no and nothing happened, *unknown* when the effect may or may
//! not have taken place. Bodies are wiped from memory when their last reader drops them.
//!
//! Invariants: no token, password or body is ever part of an error, a log line or a `Debug`
//! output, not even where a service's message quotes it; one call is one exchange (no retries, no
//! redirects, no proxies).
//!
//! Does not: know any service's API, hold credentials, or decide what to do about a failure.

mod exchange;
mod failure;
mod in_process;
mod request_id;
mod secret_text;
mod service;
mod tls;
mod wire;

pub use exchange::{Broken, Exchange, Limits};
pub use failure::{Failure, Refusal, Unknown};
pub use in_process::InProcess;
pub use request_id::RequestId;
pub use secret_text::{Password, Token};
pub use service::{Call, Reply, Service};
pub use tls::{Tls, TlsError};
pub use wire::Wire;
