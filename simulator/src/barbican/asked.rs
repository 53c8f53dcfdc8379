//! A request as its handler gets it: who asks, and what was sent.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::HeaderMap;

use super::Caller;
use super::content;
use super::error::Refusal;
use super::policy::{Rule, Target};
use super::schema::{Body, Schema};
use crate::query::Query;

/// What a handler is asked.
pub(super) struct Asked {
    pub(super) caller: Caller,
    pub(super) headers: HeaderMap,
    pub(super) query: Query,
    pub(super) body: Bytes,
}

impl Asked {
    /// Lets a caller pass that takes JSON and may do that to the target.
    pub(super) fn admit<'a>(
        &self,
        rule: &Rule,
        target: impl Into<Target<'a>>,
    ) -> Result<(), Refusal> {
        content::accept_json(&self.headers)?;
        self.caller.check(rule, target)
    }

    /// The same where there is no target.
    pub(super) fn admit_role(&self, rule: &Rule) -> Result<(), Refusal> {
        content::accept_json(&self.headers)?;
        self.caller.check_role(rule)
    }

    /// Fails, as upstream does, when one of these parameters is given more than once.
    pub(super) fn once(&self, parameters: &[&str]) -> Result<(), Refusal> {
        let repeats = parameters.iter().any(|name| self.query.all(name).len() > 1);
        if repeats { Err(Refusal::Failure(self.caller.operation)) } else { Ok(()) }
    }

    /// The body of a request that was admitted.
    pub(super) fn json(&self, schema: &Schema) -> Result<Body, Refusal> {
        content::expect_json(&self.headers)?;
        self.unchecked_json(schema)
    }

    /// The same where the type of the content is not looked at.
    pub(super) fn unchecked_json(&self, schema: &Schema) -> Result<Body, Refusal> {
        let body = Body::read(&self.body)?;
        schema.check(&body)?;
        Ok(body)
    }
}

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        // The pipeline has put it there.
        let caller = request.extensions().get::<Caller>().cloned();
        let caller = caller.ok_or(Refusal::Failure("System"))?;
        let headers = request.headers().clone();
        let query = Query::parse(request.uri().query());
        let body = Bytes::from_request(request, state).await.map_err(|_| Refusal::TooLarge)?;
        Ok(Self { caller, headers, query, body })
    }
}
