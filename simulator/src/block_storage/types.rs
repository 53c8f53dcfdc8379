//! Volume types and their encryption (cinder: `api/v3/types.py`,
//! `api/contrib/volume_type_encryption.py`).

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use cinder_db::{Encryption, VolumeType};
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::fault::Fault;
use super::input::{self, Id};
use super::{Asked, Caller, views};
use crate::{Simulator, StateFileError};

const MANAGE: &str = "volume_extension:type_create";
const ENCRYPT: &str = "volume_extension:volume_type_encryption:create";

pub(super) async fn list(Extension(caller): Asked) -> Result<Json<Value>, Fault> {
    let types = caller.store.volume_types(&caller.scope()).await?;
    let shown: Vec<Value> = types.iter().map(|kind| views::volume_type(&caller, kind)).collect();
    Ok(Json(json!({ "volume_types": shown })))
}

pub(super) async fn show(Extension(caller): Asked, Id(id): Id) -> Result<Json<Value>, Fault> {
    let kind = find(&caller, &id).await?;
    Ok(Json(json!({"volume_type": views::volume_type(&caller, &kind)})))
}

pub(super) async fn extra_specs(
    Extension(caller): Asked,
    Id(id): Id,
) -> Result<Json<Value>, Fault> {
    let kind = find(&caller, &id).await?;
    Ok(Json(json!({"extra_specs": kind.extra_specs})))
}

pub(super) async fn create(
    State(simulator): State<Simulator>,
    Extension(caller): Asked,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    caller.must_be_admin(MANAGE)?;
    let given = input::body(&body, "volume_type")?;
    let kind = VolumeType {
        id: new_id(&simulator)?,
        name: input::required(&given, "name")?,
        description: input::text(&given, "description")?,
        is_public: input::flag(&given, "os-volume-type-access:is_public", true)?,
        extra_specs: input::metadata(&given, "extra_specs")?,
        projects: Vec::new(),
        encryption: None,
        created_at: None,
    };
    caller.store.create_volume_type(&kind).await?;
    let made = find(&caller, &kind.id).await?;
    Ok(Json(json!({"volume_type": views::volume_type(&caller, &made)})))
}

pub(super) async fn delete(Extension(caller): Asked, Id(id): Id) -> Result<StatusCode, Fault> {
    caller.must_be_admin("volume_extension:type_delete")?;
    caller.store.delete_volume_type(&id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// The encryption of a type, an empty object when it has none.
pub(super) async fn show_encryption(
    Extension(caller): Asked,
    Id(id): Id,
) -> Result<Json<Value>, Fault> {
    caller.must_be_admin("volume_extension:volume_type_encryption:get")?;
    let kind = find(&caller, &id).await?;
    let shown = kind.encryption.as_ref().map(|found| views::encryption(&kind, found));
    Ok(Json(shown.unwrap_or_else(|| json!({}))))
}

pub(super) async fn encrypt(
    State(simulator): State<Simulator>,
    Extension(caller): Asked,
    Id(id): Id,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    caller.must_be_admin(ENCRYPT)?;
    let given = input::body(&body, "encryption")?;
    let control_location = input::required(&given, "control_location")?;
    if !["front-end", "back-end"].contains(&control_location.as_str()) {
        return Err(Fault::bad(format!(
            "Invalid input for field/attribute control_location. Value: {control_location}. \
             '{control_location}' is not one of ['front-end', 'back-end']"
        )));
    }
    let encryption = Encryption {
        id: new_id(&simulator)?,
        provider: input::required(&given, "provider")?,
        cipher: input::text(&given, "cipher")?,
        key_size: input::size(&given, "key_size")?,
        control_location: Some(control_location),
    };
    caller.store.create_encryption(&id, &encryption).await?;
    Ok(Json(json!({"encryption": {
        "volume_type_id": id,
        "encryption_id": encryption.id,
        "provider": encryption.provider,
        "cipher": encryption.cipher,
        "key_size": encryption.key_size,
        "control_location": encryption.control_location,
    }})))
}

async fn find(caller: &Caller, id: &str) -> Result<VolumeType, Fault> {
    let found = caller.store.volume_type(&caller.scope(), id).await?;
    found.ok_or_else(|| Fault::missing(format!("Volume type {id} could not be found.")))
}

pub(super) fn new_id(simulator: &Simulator) -> Result<String, Fault> {
    let id = simulator.change::<_, StateFileError>(|state| Ok(state.draws.uuid().to_string()));
    Ok(id?)
}

/// Names of all types, by id: a volume shows the name of its type to whoever sees the volume.
pub(super) async fn names(caller: &Caller) -> Result<BTreeMap<String, String>, Fault> {
    let types = caller.store.volume_types(&cinder_db::Scope::All).await?;
    Ok(types.into_iter().map(|kind| (kind.id, kind.name)).collect())
}
