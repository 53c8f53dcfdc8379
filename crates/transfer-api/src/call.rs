//! A request as its handler sees it: where it was sent, who sent it, and what it holds.
//!
//! cinder: `api/openstack/wsgi.py` `Resource.__call__`, in its order: microversion (see
//! [`crate::layers::negotiate`]), content type, body, project of the URL.

use crate::Api;
use crate::body;
use crate::context::Context;
use crate::fault::{self, Fault};
use crate::links::Links;
use crate::microversion::Microversion;
use crate::python::Value;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use std::sync::Arc;
use transfer_core::TransferId;
use url::form_urlencoded;

const MEDIA_TYPES: [&str; 2] = ["application/json", "application/vnd.openstack.volume+json"];

/// A request that was authenticated and whose microversion is supported.
pub(crate) struct Call {
    pub(crate) context: Context,
    pub(crate) version: Microversion,
    pub(crate) links: Links,
    /// Whether it came through `os-volume-transfer`, which knows no later inventions.
    legacy: bool,
    id: Option<String>,
    query: Option<String>,
    body: Option<Value>,
}

impl Call {
    /// Whether this request may use what came with a microversion in `volume-transfers` only.
    pub(crate) fn reaches(&self, version: Microversion) -> bool {
        !self.legacy && self.version >= version
    }

    /// The transfer that the path names.
    pub(crate) fn transfer(&self) -> TransferId {
        TransferId::new(self.id.clone().unwrap_or_default())
    }

    /// The body of a request that has to have one. Cinder answers 500 where there is none.
    ///
    /// # Errors
    /// A 400.
    pub(crate) fn body(&self) -> Result<&Value, Fault> {
        self.body.as_ref().ok_or_else(|| Fault::bad_request("The request needs a JSON body."))
    }

    /// Checks that there is no body where none is read.
    ///
    /// # Errors
    /// A 400, Cinder's.
    pub(crate) fn without_body(&self) -> Result<(), Fault> {
        match self.body {
            None => Ok(()),
            Some(_) => Err(Fault::bad_request(fault::NOT_COMPLIANT)),
        }
    }

    /// The query's parameters in order.
    ///
    /// # Errors
    /// A 400, Cinder's, when they are not UTF-8 or hold a NUL, which no database takes.
    pub(crate) fn query(&self) -> Result<Vec<(String, String)>, Fault> {
        let query = self.query.as_deref().unwrap_or_default().as_bytes();
        let pairs = form_urlencoded::parse(query).into_owned();
        let pairs: Vec<(String, String)> = pairs.collect();
        if pairs.iter().all(|(name, value)| is_decoded(name) && is_decoded(value)) {
            Ok(pairs)
        } else {
            Err(Fault::bad_request(fault::NOT_DECODED))
        }
    }
}

/// Whether a lenient decoder found nothing to replace.
fn is_decoded(text: &str) -> bool {
    !text.contains([char::REPLACEMENT_CHARACTER, '\0'])
}

/// What a path holds besides its template.
#[derive(Default)]
pub(crate) struct PathParams {
    pub(crate) project: Option<String>,
    id: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for PathParams {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let not_decoded = || Fault::bad_request(fault::NOT_DECODED);
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_rejection| not_decoded())?;
        let mut path = Self::default();
        for (name, value) in &params {
            if !is_decoded(value) {
                return Err(not_decoded());
            }
            let part = if name == "project_id" { &mut path.project } else { &mut path.id };
            *part = Some(value.to_owned());
        }
        Ok(path)
    }
}

impl FromRequest<Arc<Api>> for Call {
    type Rejection = Response;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let path = PathParams::from_request_parts(&mut parts, api)
            .await
            .map_err(IntoResponse::into_response)?;
        // The layers in front put both there; a route without them is a mistake in this crate.
        let erred = || Fault::erred().into_response();
        let context = parts.extensions.remove::<Context>().ok_or_else(erred)?;
        let version = parts.extensions.get().copied().ok_or_else(erred)?;
        let body = body::read(body, api.config.max_body).await?;
        let body = parse(&parts.headers, &body).map_err(IntoResponse::into_response)?;
        if path
            .project
            .as_deref()
            .is_some_and(|named| context.project().is_none_or(|project| project.as_str() != named))
        {
            return Err(Fault::bad_request("Malformed request url").into_response());
        }
        if let Some(id) = path.id.as_deref().filter(|id| uuid::Uuid::try_parse(id).is_ok()) {
            tracing::Span::current().record("transfer", id);
        }
        let endpoint = api.config.public_endpoint.as_ref();
        Ok(Self {
            context,
            version,
            links: Links::new(endpoint, &parts.headers, path.project),
            legacy: parts.uri.path().split('/').any(|part| part == "os-volume-transfer"),
            id: path.id,
            query: parts.uri.query().map(str::to_owned),
            body,
        })
    }
}

fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Option<Value>, Fault> {
    if body.is_empty() {
        return Ok(None);
    }
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next()).map(str::trim);
    if !media_type.is_some_and(|given| MEDIA_TYPES.contains(&given)) {
        let unsupported = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Fault::new(unsupported, "Unsupported Content-Type"));
    }
    let parsed = serde_json::from_slice(body);
    parsed.map(Some).map_err(|_error| Fault::bad_request(fault::MALFORMED_BODY))
}
