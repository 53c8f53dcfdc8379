//! Refusals from in front of the API, in the words and the form that webob gives them: a page, JSON
//! or text, by what the caller accepts.
//!
//! Source: webob `exc.py` WSGIHTTPException.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;

use crate::authtoken::header;

const HTML: &str = "text/html; charset=UTF-8";
const TEXT: &str = "text/plain; charset=UTF-8";

/// A status with its explanation and what is added to it.
#[derive(Debug)]
pub(super) struct Notice {
    status: StatusCode,
    explanation: String,
    detail: String,
    /// Blank lines behind the detail.
    end: &'static str,
}

impl Notice {
    pub(super) fn bad_request(detail: String) -> Self {
        let explanation = "The server could not comply with the request since it is either \
                           malformed or otherwise incorrect.";
        Self::new(StatusCode::BAD_REQUEST, explanation, detail)
    }

    pub(super) fn unauthorized() -> Self {
        let explanation = "This server could not verify that you are authorized to access the \
                           document you requested. Either you supplied the wrong credentials \
                           (e.g., bad password), or your browser does not understand how to \
                           supply the credentials required.";
        Self::new(StatusCode::UNAUTHORIZED, explanation, String::new())
    }

    pub(super) fn not_found() -> Self {
        let explanation = "The resource could not be found.";
        Self::new(StatusCode::NOT_FOUND, explanation, String::new())
    }

    pub(super) fn method_not_allowed(method: &Method) -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            explanation: format!("The method {method} is not allowed for this resource. "),
            detail: String::new(),
            end: "",
        }
    }

    /// The parenthesis is upstream's.
    pub(super) fn not_acceptable(headers: &HeaderMap, detail: String) -> Self {
        let accept = header(headers, ACCEPT.as_str()).unwrap_or("${HTTP_ACCEPT}");
        Self {
            status: StatusCode::NOT_ACCEPTABLE,
            explanation: format!(
                "The resource could not be generated that was acceptable to your browser\n\
                 (content of type {accept}. "
            ),
            detail,
            end: "",
        }
    }

    fn new(status: StatusCode, explanation: &str, detail: String) -> Self {
        Self { status, explanation: explanation.to_owned(), detail, end: "\n\n" }
    }

    pub(super) fn to(&self, method: &Method, headers: &HeaderMap) -> Response {
        let accept = header(headers, ACCEPT.as_str()).unwrap_or_default();
        let takes = |types: [&str; 3]| types.iter().any(|one| accept.contains(one));
        let title = self.status.canonical_reason().unwrap_or_default();
        let status = format!("{} {title}", self.status.as_u16());
        let body = |detail: &str| format!("{}<br /><br />\n{detail}{}", self.explanation, self.end);
        if *method == Method::HEAD {
            return (self.status, [(CONTENT_TYPE, HTML)]).into_response();
        }
        if takes(["text/html", "text/*", "*/*"]) {
            let body = body(&self.detail.replace('\'', "&#x27;"));
            let page = format!(
                "<html>\n <head>\n  <title>{status}</title>\n </head>\n <body>\n  \
                 <h1>{status}</h1>\n  {body}\n </body>\n</html>"
            );
            return (self.status, [(CONTENT_TYPE, HTML)], page).into_response();
        }
        if takes(["application/json", "application/*", "*/*"]) {
            let body = json!({"message": body(&self.detail), "code": status, "title": title});
            return (self.status, Json(body)).into_response();
        }
        let text = body(&self.detail).replace('\n', " ").replace("<br />", "\n");
        (self.status, [(CONTENT_TYPE, TEXT)], format!("{status}\n\n{text}")).into_response()
    }
}
