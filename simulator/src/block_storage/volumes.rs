//! Volumes (cinder: `api/v3/volumes.py`, `volume/api.py`).

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, RawQuery, State};
use cinder_db::{NewVolume, Scope, Volume, VolumeChange, VolumeType};
use http::StatusCode;
use serde_json::{Map, Value, json};
use transfer_core::{ProjectId, SecretId, VolumeId};

use super::fault::Fault;
use super::input::{self, Id};
use super::types::{names, new_id};
use super::{Asked, Caller, views};
use crate::query::{Query, strict_bool};
use crate::{Simulator, barbican};

pub(super) async fn list(
    State(simulator): State<Simulator>,
    Extension(caller): Asked,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Fault> {
    let volumes = visible(&caller, &Query::parse(query.as_deref())).await?;
    let shown: Vec<Value> =
        volumes.iter().map(|volume| views::volume_summary(&simulator, &caller, volume)).collect();
    Ok(Json(json!({ "volumes": shown })))
}

pub(super) async fn detail(
    State(simulator): State<Simulator>,
    Extension(caller): Asked,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Fault> {
    let mut shown = Vec::new();
    for volume in visible(&caller, &Query::parse(query.as_deref())).await? {
        shown.push(view(&simulator, &caller, &volume).await?);
    }
    Ok(Json(json!({ "volumes": shown })))
}

/// The caller's volumes, or with `all_tenants` an administrator's view; by name and status.
async fn visible(caller: &Caller, query: &Query) -> Result<Vec<Volume>, Fault> {
    let everybody = query.get("all_tenants").and_then(strict_bool).unwrap_or(false);
    let scope = if everybody { caller.scope() } else { caller.own() };
    let mut volumes = caller.store.volumes(&scope).await?;
    let fits = |wanted: Option<&str>, found: Option<&str>| wanted.is_none_or(|w| found == Some(w));
    volumes.retain(|volume| {
        fits(query.get("name"), volume.name.as_deref())
            && fits(query.get("status"), Some(&volume.status))
    });
    Ok(volumes)
}

pub(super) async fn show(
    State(simulator): State<Simulator>,
    Extension(caller): Asked,
    Id(id): Id,
) -> Result<Json<Value>, Fault> {
    let volume = find(&caller, &id).await?;
    Ok(Json(json!({"volume": view(&simulator, &caller, &volume).await?})))
}

pub(super) async fn create(
    State(simulator): State<Simulator>,
    Extension(caller): Asked,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Fault> {
    caller.must_be_member("volume:create")?;
    let given = input::body(&body, "volume")?;
    let mut new = wanted(&simulator, &caller, &given)?;
    let kind = match &new.volume_type {
        Some(name) => Some(usable_type(&caller, name).await?),
        None => None,
    };
    new.key = kind.as_ref().map(|kind| order_key(&simulator, &caller, kind)).transpose()?.flatten();
    let made = match caller.store.create_volume(&new, &caller.limits).await {
        Ok(made) => made,
        Err(error) => {
            give_key_back(&simulator, &caller, new.key.as_ref());
            return Err(error.into());
        }
    };
    let shown = view(&simulator, &caller, &made).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "volume": shown }))))
}

fn wanted(
    simulator: &Simulator,
    caller: &Caller,
    given: &Map<String, Value>,
) -> Result<NewVolume, Fault> {
    for unsupported in ["snapshot_id", "source_volid", "imageRef", "backup_id"] {
        if given.get(unsupported).is_some_and(|value| !value.is_null()) {
            return Err(Fault::bad(format!("{unsupported} is not supported here")));
        }
    }
    Ok(NewVolume {
        id: VolumeId::new(new_id(simulator)?),
        project: ProjectId::new(caller.project.id.as_str()),
        user: caller.user(),
        size_gb: input::size(given, "size")?
            .ok_or_else(|| Fault::bad("size must be an integer and greater than 0"))?,
        status: "available".to_owned(),
        name: input::text(given, "name")?,
        description: input::text(given, "description")?,
        volume_type: input::text(given, "volume_type")?,
        key: None,
        snapshot_id: None,
        source_volume_id: None,
        availability_zone: Some(
            input::text(given, "availability_zone")?.unwrap_or_else(|| "nova".to_owned()),
        ),
        metadata: input::metadata(given, "metadata")?,
    })
}

async fn usable_type(caller: &Caller, name: &str) -> Result<VolumeType, Fault> {
    let found = caller.store.volume_type(&caller.own(), name).await?;
    found.ok_or_else(|| Fault::missing(format!("Volume type {name} could not be found.")))
}

/// A key for a volume of an encrypted type, under the caller's own authority
/// (cinder: `volume/volume_utils.py` create_encryption_key).
fn order_key(
    simulator: &Simulator,
    caller: &Caller,
    kind: &VolumeType,
) -> Result<Option<SecretId>, Fault> {
    let Some(encryption) = &kind.encryption else { return Ok(None) };
    let cipher = encryption.cipher.as_deref().unwrap_or("aes-xts-plain64");
    let algorithm = cipher.split('-').next().unwrap_or(cipher);
    let bits = encryption.key_size.unwrap_or(256);
    let ordered = barbican::order_key(simulator, &caller.bearer, algorithm, bits)?;
    // Cinder is purposefully terse here.
    ordered.map(|id| Some(SecretId::new(id))).ok_or_else(|| Fault::bad("Key manager error"))
}

/// A refusal is logged and no more, as in Cinder: the volume is gone all the same.
fn give_key_back(simulator: &Simulator, caller: &Caller, key: Option<&SecretId>) {
    if let Some(key) = key
        && !barbican::delete_key(simulator, &caller.bearer, key.as_str())
    {
        tracing::warn!(%key, "the key was not deleted");
    }
}

pub(super) async fn update(
    State(simulator): State<Simulator>,
    Extension(caller): Asked,
    Id(id): Id,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    caller.must_be_member("volume:update")?;
    let given = input::body(&body, "volume")?;
    let change = VolumeChange {
        name: input::text(&given, "name")?,
        description: input::text(&given, "description")?,
        metadata: given
            .contains_key("metadata")
            .then(|| input::metadata(&given, "metadata"))
            .transpose()?,
    };
    let id = VolumeId::new(id);
    let changed = caller.store.update_volume(&caller.scope(), &id, &change).await?;
    Ok(Json(json!({"volume": view(&simulator, &caller, &changed).await?})))
}

/// The key goes with the volume, as far as the caller may delete it.
pub(super) async fn delete(
    State(simulator): State<Simulator>,
    Extension(caller): Asked,
    Id(id): Id,
) -> Result<StatusCode, Fault> {
    caller.must_be_member("volume:delete")?;
    let id = VolumeId::new(id);
    let gone = caller.store.delete_volume(&caller.scope(), &id, &caller.limits).await?;
    give_key_back(&simulator, &caller, gone.key.as_ref());
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn act(
    Extension(caller): Asked,
    Id(id): Id,
    body: Bytes,
) -> Result<StatusCode, Fault> {
    let status =
        reset_status(&caller, &body, "volume_extension:volume_admin_actions:reset_status")?;
    caller.store.set_volume_status(&Scope::All, &VolumeId::new(id), &status).await?;
    Ok(StatusCode::ACCEPTED)
}

/// The status that `os-reset_status` asks for; there is no other action here.
pub(super) fn reset_status(caller: &Caller, body: &Bytes, policy: &str) -> Result<String, Fault> {
    let document: Value =
        serde_json::from_slice(body).map_err(|_| Fault::bad("Malformed request body"))?;
    if document.get("os-reset_status").is_none() {
        let action = document.as_object().and_then(|actions| actions.keys().next());
        let action = action.map_or("", String::as_str);
        return Err(Fault::bad(format!("There is no such action: {action}")));
    }
    caller.must_be_admin(policy)?;
    input::required(&input::body(body, "os-reset_status")?, "status")
}

async fn find(caller: &Caller, id: &str) -> Result<Volume, Fault> {
    let found = caller.store.volume(&caller.scope(), &VolumeId::new(id)).await?;
    found.ok_or_else(|| Fault::missing(format!("Volume {id} could not be found.")))
}

async fn view(simulator: &Simulator, caller: &Caller, volume: &Volume) -> Result<Value, Fault> {
    let types = names(caller).await?;
    let type_name = volume.volume_type_id.as_ref().and_then(|id| types.get(id));
    let metadata = caller.store.volume_metadata(&volume.id).await?;
    Ok(views::volume(simulator, caller, volume, type_name.map(String::as_str), &metadata))
}
