//! Secret stores and transport keys.
//!
//! Source: barbican 23, `api/controllers/secretstores.py`, `transportkeys.py`. There is one secret
//! store (`[secretstore] enable_multiple_secret_stores = false`), so that none is listed; transport
//! keys are kept and wrap nothing.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Value, json};

use super::asked::Asked;
use super::error::Refusal;
use super::like::unquote;
use super::page::Page;
use super::policy;
use super::schema::{Kind, Schema, Shape};
use super::secrets::{href, is_canonical, isoformat};
use super::validate::{ANY_TEXT, invalid};
use crate::Simulator;
use crate::key_manager::TransportKey;

const ONE_STORE: Refusal = Refusal::not_found(
    "Not Found. Multiple backends support is not enabled in service configuration.",
);
const NO_KEY: Refusal = Refusal::not_found("Not Found. Transport Key not found.");
const INVALID_ID: Refusal = Refusal::not_found("Not Found. Provided transport key id is invalid.");

const KEY: &[(&str, Kind)] = &[("plugin_name", ANY_TEXT), ("transport_key", ANY_TEXT)];
const TRANSPORT_KEY: Schema = Schema {
    name: "Transport Key",
    shape: Shape { fields: KEY, required: &[], closed: false },
    draft_3: false,
};

/// The list of stores, the default one, the preferred one.
pub(super) async fn stores(asked: Asked) -> Refusal {
    asked.admit_role(&policy::BACKENDS_GET).err().unwrap_or(ONE_STORE)
}

/// What a store is asked about comes before who asks.
pub(super) async fn store() -> Refusal {
    ONE_STORE
}

pub(super) async fn list_keys(
    State(simulator): State<Simulator>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    asked.admit_role(&policy::BACKENDS_GET)?;
    asked.once(&["limit", "offset", "plugin_name"])?;
    let plugin = asked.query.get("plugin_name").map(unquote);
    simulator.read(|state| {
        let mut found: Vec<_> = state.key_manager.transport_keys.iter().collect();
        found.retain(|(_, key)| plugin.as_ref().is_none_or(|name| *name == key.plugin_name));
        found.sort_by_key(|(_, key)| key.seq);
        let shown = found.into_iter().map(|(id, _)| href(&simulator, PATH, id).into()).collect();
        Ok(Json(Page::of(&asked.query).body(&simulator, PATH, PATH, shown, "")))
    })
}

pub(super) async fn add_key(
    State(simulator): State<Simulator>,
    asked: Asked,
) -> Result<Response, Refusal> {
    asked.admit_role(&policy::TRANSPORT_KEYS_CHANGE)?;
    let body = asked.json(&TRANSPORT_KEY)?;
    let text = |name: &'static str| {
        let given = body.fields().get(name).and_then(Value::as_str).unwrap_or_default();
        let missing = || invalid(TRANSPORT_KEY.name, format!("{name} must be provided"), name);
        Some(given.to_owned()).filter(|given| !given.is_empty()).ok_or_else(missing)
    };
    let (plugin_name, transport_key) = (text("plugin_name")?, text("transport_key")?);
    let created = simulator.clock().now();
    let id = simulator.change::<_, Refusal>(|state| {
        let id = state.draws.uuid().to_string();
        let seq = state.key_manager.next_seq();
        let key = TransportKey { seq, plugin_name, transport_key, created };
        state.key_manager.transport_keys.insert(id.clone(), key);
        Ok(id)
    })?;
    let link = href(&simulator, PATH, &id);
    let body = Json(json!({"transport_key_ref": link}));
    Ok((StatusCode::CREATED, [(LOCATION, link)], body).into_response())
}

/// Unlike everything else a transport key is shown as the database holds it.
pub(super) async fn show_key(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    if !is_canonical(&id) {
        return Err(INVALID_ID);
    }
    asked.admit_role(&policy::BACKENDS_GET)?;
    simulator.read(|state| {
        let key = state.key_manager.transport_keys.get(&id);
        // Upstream looks for it in a way that fails.
        let key = key.ok_or(Refusal::Failure(asked.caller.operation))?;
        let created = isoformat(key.created).replace('T', " ");
        Ok(Json(json!({
            "id": id,
            "created_at": created,
            "updated_at": created,
            "deleted_at": null,
            "deleted": false,
            "status": "ACTIVE",
            "plugin_name": key.plugin_name,
            "transport_key": key.transport_key,
        })))
    })
}

pub(super) async fn delete_key(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<StatusCode, Refusal> {
    if !is_canonical(&id) {
        return Err(INVALID_ID);
    }
    asked.caller.check_role(&policy::TRANSPORT_KEYS_CHANGE)?;
    simulator.change(|state| {
        let gone = state.key_manager.transport_keys.remove(&id);
        gone.map(|_| StatusCode::NO_CONTENT).ok_or(NO_KEY)
    })
}

const PATH: &str = "transport_keys";
