//! Extra specs of a volume type (cinder: `api/contrib/types_extra_specs.py`).

use axum::Json;
use axum::body::Bytes;
use axum::extract::Extension;
use cinder_db::{VolumeType, VolumeTypeError};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

use super::fault::Fault;
use super::input::{self, Id, Item};
use super::{Asked, Caller, types};
use crate::pyrepr::repr;

const KEY: &str = "extra_specs";

/// What keys consist of, by upstream's schema.
const PATTERN: &str = "^[a-zA-Z0-9-_:.]{1,255}$";

/// What everybody sees (cinder: `policies/type_extra_specs.py`).
const VISIBLE: [&str; 3] = ["RESKEY:availability_zones", "multiattach", "replication_enabled"];

/// Of which a type may have one alone.
const EXCLUSIVE: [&str; 2] = ["multiattach", "cacheable"];

/// The extra specs that the caller sees.
pub(super) fn shown(caller: &Caller, kind: &VolumeType) -> BTreeMap<String, String> {
    let mut specs = kind.extra_specs.clone();
    specs.retain(|key, _| caller.is_admin() || VISIBLE.contains(&key.as_str()));
    specs
}

pub(super) async fn list(Extension(caller): Asked, Id(id): Id) -> Result<Json<Value>, Fault> {
    let kind = types::find(&caller, &id).await?;
    Ok(Json(json!({KEY: shown(&caller, &kind)})))
}

pub(super) async fn show(
    Extension(caller): Asked,
    Item(id, key): Item,
) -> Result<Json<Value>, Fault> {
    let kind = types::find(&caller, &id).await?;
    let value = shown(&caller, &kind).remove(&key).ok_or_else(|| none_of(&id, &key))?;
    Ok(Json(json!({key: value})))
}

pub(super) async fn create(
    Extension(caller): Asked,
    Id(id): Id,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    let given = input::body(&body, KEY)?;
    let complaint = |complaint| input::invalid(KEY, &Value::Object(given.clone()), complaint);
    let specs = read(&given, complaint)?;
    caller.must_be_admin("volume_extension:types_extra_specs:create")?;
    let kind = types::find(&caller, &id).await?;
    let is_on = |key: &str| {
        let set = specs.get(key).map(Option::as_deref);
        set.unwrap_or_else(|| kind.extra_specs.get(key).map(String::as_str)) == Some("<is> True")
    };
    if EXCLUSIVE.iter().any(|key| specs.contains_key(*key)) && EXCLUSIVE.into_iter().all(is_on) {
        return Err(Fault::bad("cacheable cannot be set with multiattach."));
    }
    caller.store.set_extra_specs(&id, &specs).await.map_err(refused)?;
    Ok(Json(json!({KEY: given})))
}

/// Sets the one that the path names.
pub(super) async fn update(
    Extension(caller): Asked,
    Item(id, key): Item,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    let given = input::object(&body)?;
    let specs = read(&given, Fault::bad)?;
    if specs.len() != 1 {
        let complaint =
            if specs.is_empty() { "should be non-empty" } else { "has too many properties" };
        return Err(Fault::bad(format!("{} {complaint}", repr(&Value::Object(given)))));
    }
    caller.must_be_admin("volume_extension:types_extra_specs:update")?;
    types::find(&caller, &id).await?;
    if !specs.contains_key(&key) {
        return Err(Fault::bad("Request body and URI mismatch"));
    }
    caller.store.set_extra_specs(&id, &specs).await.map_err(refused)?;
    Ok(Json(Value::Object(given)))
}

pub(super) async fn delete(
    Extension(caller): Asked,
    Item(id, key): Item,
) -> Result<StatusCode, Fault> {
    types::find(&caller, &id).await?;
    caller.must_be_admin("volume_extension:types_extra_specs:delete")?;
    if caller.store.delete_extra_spec(&id, &key).await.map_err(refused)? {
        Ok(StatusCode::ACCEPTED)
    } else {
        Err(none_of(&id, &key))
    }
}

/// Specs as the schema takes them: texts, or null.
fn read(
    given: &Map<String, Value>,
    complain: impl FnOnce(String) -> Fault,
) -> Result<BTreeMap<String, Option<String>>, Fault> {
    let fits = |key: &str| {
        let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.');
        (1..=255).contains(&key.len()) && key.chars().all(is_known)
    };
    let mut strange: Vec<&str> =
        given.keys().map(String::as_str).filter(|key| !fits(key)).collect();
    if !strange.is_empty() {
        strange.sort_unstable();
        let verb = if strange.len() == 1 { "does" } else { "do" };
        let strange: Vec<_> = strange.iter().map(|key| format!("'{key}'")).collect();
        let strange = strange.join(", ");
        return Err(complain(format!(
            "{strange} {verb} not match any of the regexes: '{PATTERN}'"
        )));
    }
    given.iter().map(|(key, value)| Ok((key.clone(), input::spec(key, value)?))).collect()
}

fn refused(error: VolumeTypeError) -> Fault {
    types::refused(error, "Volume Type is currently in use.")
}

fn none_of(id: &str, key: &str) -> Fault {
    Fault::missing(format!("Volume Type {id} has no extra specs with key {key}."))
}
