//! What keystonemiddleware's `auth_token` does in front of a service: who is it that asks?
//!
//! It asks the same state as Keystone, so a revoked token is refused at once (a real middleware may
//! go on for the 300 seconds of its cache). An expired token is let through beside a service token.

use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::Simulator;
use crate::identity::{Party, Standing, TokenFault};
use crate::state::State;

/// Whoever holds a token.
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    pub(crate) user: Party,
    pub(crate) project: Option<Party>,
    pub(crate) roles: Vec<String>,
}

impl From<&Standing<'_>> for Bearer {
    fn from(standing: &Standing<'_>) -> Self {
        Self {
            user: standing.user.into(),
            project: standing.project.map(Party::from),
            roles: standing.roles.iter().map(|role| role.name().to_owned()).collect(),
        }
    }
}

impl Bearer {
    /// Reads a token's holder from the state as it is now.
    pub(crate) fn of(
        state: &State,
        text: &str,
        now: time::OffsetDateTime,
        allow_expired: bool,
    ) -> Result<Self, TokenFault> {
        state.identity.standing(text, now, allow_expired).map(|standing| Self::from(&standing))
    }

    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held == role)
    }
}

/// A header as text; `None` when it is absent or not ASCII.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The holder of the request's token; whoever gets none answers with [`unauthorized`].
pub(crate) fn authenticate(simulator: &Simulator, headers: &HeaderMap) -> Option<Bearer> {
    let now = simulator.clock().now();
    let service_token = header(headers, "x-service-token").filter(|text| !text.is_empty());
    simulator.read(|state| {
        let service = service_token.map(|text| Bearer::of(state, text, now, false)).transpose();
        let is_service = service.ok()?.is_some_and(|bearer| bearer.has_role("service"));
        let text = header(headers, "x-auth-token")?;
        let standing = state.identity.standing(text, now, is_service).ok()?;
        // A service that is not told of which type it is takes no token with access rules.
        let is_free = !state.identity.has_access_rules(standing.token);
        is_free.then(|| Bearer::from(&standing))
    })
}

/// The middleware's 401.
pub(crate) fn unauthorized(simulator: &Simulator) -> Response {
    let body = json!({"error": {
        "code": 401,
        "title": "Unauthorized",
        "message": "The request you have made requires authentication.",
    }});
    let headers =
        [(CONTENT_TYPE, "application/json".to_owned()), (WWW_AUTHENTICATE, challenge(simulator))];
    (StatusCode::UNAUTHORIZED, headers, body.to_string()).into_response()
}

/// The value of `WWW-Authenticate`.
pub(crate) fn challenge(simulator: &Simulator) -> String {
    format!("Keystone uri=\"{}/v3\"", simulator.urls().identity)
}
