//! Cinder's volume-transfer API on axum.
//!
//! Owns HTTP towards callers: routes, microversions, schemas, policy, views, error bodies and the
//! check of tokens. Statuses and words are those of Cinder 29 (`api/v3/volume_transfer.py`,
//! `api/contrib/volume_transfer.py`, `api/openstack/wsgi.py`); the places where this API knowingly
//! differs from it say so: mostly where Cinder answers 500 to a caller's mistake.
//!
//! Invariants: nothing is done for a request before its token is validated, beyond telling
//! versions; an error reply holds no internal details; tokens and auth keys are never logged; an
//! error reply that does not say otherwise means that nothing has changed.
//!
//! Does not: touch keys, know tables, or drive a transfer. That is `transfer-engine`.

mod body;
mod call;
mod context;
mod errors;
mod fault;
mod layers;
mod links;
mod listing;
mod microversion;
mod policy;
mod python;
mod routes;
mod schema;
mod versions;
mod views;

pub use policy::default_rules;
pub use routes::router;

use keystone_client::Validator;
use oslo_policy::Enforcer;
use std::sync::Arc;
use transfer_engine::Engine;
use url::Url;

/// What the API stands on.
#[derive(Clone)]
pub struct Api {
    /// Does what is asked for.
    pub engine: Engine,
    /// Tells whose tokens are.
    pub validator: Arc<Validator>,
    /// What a deployment chooses.
    pub config: ApiConfig,
}

/// What a deployment chooses. The names are those of `cinder.conf`.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// `public_endpoint`: what links start with, in front of `/v3`. Without it they start with
    /// the host that the request names.
    pub public_endpoint: Option<Url>,
    /// `[keystone_authtoken] www_authenticate_uri`: where 401 sends callers.
    pub www_authenticate_uri: String,
    /// `[oslo_middleware] max_request_body_size`, in bytes.
    pub max_body: usize,
    /// `osapi_max_limit`: most transfers in one reply.
    pub page_limit: u32,
    /// Enforces [`default_rules`], and what policy files say instead.
    pub policy: Arc<Enforcer>,
}

impl Default for ApiConfig {
    /// Cinder's defaults, with the Keystone of a development machine.
    fn default() -> Self {
        Self {
            public_endpoint: None,
            www_authenticate_uri: "http://127.0.0.1:5000/v3".to_owned(),
            max_body: 114_688,
            page_limit: 1000,
            policy: Arc::new(Enforcer::of_defaults(default_rules())),
        }
    }
}
