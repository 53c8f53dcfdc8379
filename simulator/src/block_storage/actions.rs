//! Actions, which the body names (cinder: `api/openstack/wsgi.py`, `api/contrib/admin_actions.py`).

use axum::body::Bytes;
use serde_json::{Map, Value};

use super::fault::Fault;
use super::input;
use crate::pyrepr::repr;

pub(super) const RESET_STATUS: &str = "os-reset_status";

/// Which of the actions is asked for, and what it is given.
pub(super) fn asked<'a>(
    body: &Bytes,
    known: &[&'a str],
) -> Result<(&'a str, Map<String, Value>), Fault> {
    let document = input::json(body)?;
    if let Some(action) = known.iter().find(|action| document.get(action).is_some()) {
        return Ok((action, input::body(body, action)?));
    }
    let named = document.as_object().and_then(|actions| actions.keys().next());
    Err(named.map_or_else(
        || Fault::bad("Malformed request body"),
        |action| {
            Fault::bad(format!(
                "There is no such action: {action}. Verify the request body and Content-Type \
                 header and try again."
            ))
        },
    ))
}

/// One of the statuses that there are, in lower case.
pub(super) fn known(kind: &str, status: &str, all: &[&str]) -> Result<String, Fault> {
    let lower = status.to_lowercase();
    if all.contains(&lower.as_str()) {
        return Ok(lower);
    }
    let valid: Vec<String> = all.iter().map(|status| repr(&Value::from(*status))).collect();
    Err(Fault::bad(format!(
        "{kind} status: {status} is invalid, valid statuses are: ({}).",
        valid.join(", ")
    )))
}
