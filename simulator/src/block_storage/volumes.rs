//! Volumes (cinder: `api/v3/volumes.py`, `volume/api.py`).

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use cinder_db::{Described, NewVolume, Volume, VolumeChange, VolumeType};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use transfer_core::{ProjectId, SecretId, VolumeId};

use super::fault::Fault;
use super::input::{self, Id};
use super::page::{Listed, Page, SortKey};
use super::sources::Source;
use super::types::{self, new_id};
use super::{Asked, Caller, views};
use crate::query::strict_bool;
use crate::{Simulator, barbican};

const KEY: &str = "volume";

/// The one availability zone.
const ZONE: &str = "nova";

/// What a new volume may be given, by the microversion from which on it may.
const CREATE: &[(u16, &str)] = &[
    (0, "name"),
    (0, "description"),
    (0, "display_name"),
    (0, "display_description"),
    (0, "volume_type"),
    (0, "metadata"),
    (0, "snapshot_id"),
    (0, "source_volid"),
    (0, "consistencygroup_id"),
    (0, "size"),
    (0, "availability_zone"),
    (0, "multiattach"),
    (0, "image_id"),
    (0, "imageRef"),
    (13, "group_id"),
    (47, "backup_id"),
];

impl Listed for Volume {
    const KIND: &'static str = "Volume";

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn sort_key(name: &str) -> Option<fn(&Self) -> SortKey> {
        let key: fn(&Self) -> SortKey = match name {
            "id" => |volume| SortKey::Text(Some(volume.id.to_string())),
            "name" | "display_name" => |volume| SortKey::Text(volume.name.clone()),
            "status" => |volume| SortKey::Text(Some(volume.status.clone())),
            "availability_zone" => |volume| SortKey::Text(volume.availability_zone.clone()),
            "bootable" => |volume| SortKey::Number(volume.bootable.into()),
            "size" => |volume| SortKey::Number(volume.size_gb),
            "created_at" => |volume| SortKey::Time(volume.created_at),
            "updated_at" => |volume| SortKey::Time(volume.updated_at),
            _ => return None,
        };
        Some(key)
    }
}

pub(super) async fn list(Extension(caller): Asked) -> Result<Json<Value>, Fault> {
    let page = visible(&caller).await?;
    let shown = page.items.iter().map(|volume| views::volume_summary(&caller, volume)).collect();
    Ok(Json(page.document(&caller, "volumes", "volumes_links", shown)))
}

pub(super) async fn detail(Extension(caller): Asked) -> Result<Json<Value>, Fault> {
    let page = visible(&caller).await?;
    let mut shown = Vec::new();
    for volume in &page.items {
        shown.push(view_in_full(&caller, volume).await?);
    }
    Ok(Json(page.document(&caller, "volumes", "volumes_links", shown)))
}

async fn visible(caller: &Caller) -> Result<Page<Volume>, Fault> {
    Page::of(caller, filtered(caller).await?)
}

/// The caller's volumes, or with `all_tenants` an administrator's view, as far as they are asked
/// for.
async fn filtered(caller: &Caller) -> Result<Vec<Volume>, Fault> {
    let mut volumes = caller.store.volumes(&caller.listed()).await?;
    let bootable = caller.query.get("bootable").and_then(strict_bool);
    volumes.retain(|volume| {
        caller.asks_for("name", volume.name.as_deref())
            && caller.asks_for("display_name", volume.name.as_deref())
            && caller.asks_for("status", Some(&volume.status))
            && caller.asks_for("availability_zone", volume.availability_zone.as_deref())
            && caller.asks_for("project_id", Some(volume.project.as_str()))
            && bootable.is_none_or(|bootable| volume.bootable == bootable)
    });
    let Some(wanted) = caller.query.get("metadata").and_then(python_texts) else {
        return Ok(volumes);
    };
    let mut described = Vec::new();
    for volume in volumes {
        let metadata = caller.store.metadata(&Described::Volume(volume.id.clone())).await?;
        if wanted.iter().all(|(key, value)| metadata.get(key) == Some(value)) {
            described.push(volume);
        }
    }
    Ok(described)
}

/// A dictionary of texts as Python writes it, `{'key': 'value'}`.
fn python_texts(text: &str) -> Option<BTreeMap<String, String>> {
    serde_json::from_str(&text.replace('\'', "\"")).ok()
}

/// How many there are, and how large they are together.
pub(super) async fn summary(Extension(caller): Asked) -> Result<Json<Value>, Fault> {
    if !caller.microversion.is_at_least(12) {
        return Err(Fault::not_found("Volume", "summary"));
    }
    let volumes = filtered(&caller).await?;
    let size: i64 = volumes.iter().map(|volume| volume.size_gb).sum();
    let mut summary = json!({"total_count": volumes.len(), "total_size": size});
    if caller.microversion.is_at_least(36) {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for volume in &volumes {
            let of = Described::Volume(volume.id.clone());
            for (key, value) in caller.store.metadata(&of).await? {
                all.entry(key).or_default().insert(value);
            }
        }
        summary["metadata"] = json!(all);
    }
    Ok(Json(json!({"volume-summary": summary})))
}

/// The zones that volumes may be in.
pub(super) async fn zones() -> Json<Value> {
    Json(json!({"availabilityZoneInfo": [{"zoneName": ZONE, "zoneState": {"available": true}}]}))
}

pub(super) async fn show(Extension(caller): Asked, Id(id): Id) -> Result<Json<Value>, Fault> {
    let volume = find(&caller, &id).await?;
    Ok(Json(json!({"volume": view_in_full(&caller, &volume).await?})))
}

pub(super) async fn create(
    State(simulator): State<Simulator>,
    Extension(caller): Asked,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Fault> {
    caller.must_be_member("volume:create")?;
    let given = input::body(&body, KEY)?;
    let source = Source::of(&caller, &given).await?;
    let mut new = wanted(&simulator, &caller, &given, source.as_ref())?;
    let kind = match &new.volume_type {
        Some(name) => Some(types::named(&caller, name).await?),
        None => None,
    };
    new.key = match (&source, &kind) {
        (Some(source), kind) => {
            source.apply(&caller, &mut new, kind.as_ref()).await?;
            source.key.as_ref().map(|key| copy_key(&simulator, &caller, key)).transpose()?
        }
        (None, Some(kind)) => order_key(&simulator, &caller, kind)?,
        (None, None) => None,
    };
    let made = match caller.store.create_volume(&new, &caller.limits).await {
        Ok(made) => made,
        Err(error) => {
            give_key_back(&simulator, &caller, new.key.as_ref());
            return Err(error.into());
        }
    };
    let shown = view(&caller, &made).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "volume": shown }))))
}

fn wanted(
    simulator: &Simulator,
    caller: &Caller,
    given: &Map<String, Value>,
    source: Option<&Source>,
) -> Result<NewVolume, Fault> {
    if caller.microversion.is_at_least(53) {
        let known = CREATE.iter().filter(|(since, _)| caller.microversion.is_at_least(*since));
        let known: Vec<&str> = known.map(|(_, name)| *name).collect();
        input::only(given, KEY, &known)?;
    }
    let zone = input::text(given, "availability_zone")?.unwrap_or_else(|| ZONE.to_owned());
    for unsupported in ["imageRef", "image_id", "backup_id", "consistencygroup_id", "group_id"] {
        if given.get(unsupported).is_some_and(|value| !value.is_null()) {
            return Err(Fault::bad(format!("{unsupported} is not supported here")));
        }
    }
    if zone != ZONE {
        return Err(Fault::bad(format!("Availability zone '{zone}' is invalid.")));
    }
    let size = input::size(given, "size")?;
    Ok(NewVolume {
        id: VolumeId::new(new_id(simulator)?),
        project: ProjectId::new(caller.project.id.as_str()),
        user: caller.user(),
        size_gb: match source {
            Some(source) => source.size(size)?,
            None => size.ok_or_else(Fault::malformed)?,
        },
        status: "available".to_owned(),
        name: input::text(given, "name")?,
        description: input::text(given, "description")?,
        volume_type: input::text(given, "volume_type")?,
        key: None,
        snapshot_id: None,
        source_volume_id: None,
        availability_zone: Some(zone),
        metadata: input::metadata(given, "metadata")?,
    })
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

/// A copy of a key for a volume that is made from another one
/// (cinder: `volume/volume_utils.py` clone_encryption_key).
fn copy_key(simulator: &Simulator, caller: &Caller, key: &SecretId) -> Result<SecretId, Fault> {
    let copied = barbican::copy_key(simulator, &caller.bearer, key.as_str())?;
    copied.map(SecretId::new).ok_or_else(|| Fault::bad("Key manager error"))
}

/// A refusal is logged and no more, as in Cinder: the volume is gone all the same.
pub(super) fn give_key_back(simulator: &Simulator, caller: &Caller, key: Option<&SecretId>) {
    if let Some(key) = key
        && !barbican::delete_key(simulator, &caller.bearer, key.as_str())
    {
        tracing::warn!(%key, "the key was not deleted");
    }
}

pub(super) async fn update(
    Extension(caller): Asked,
    Id(id): Id,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    caller.must_be_member("volume:update")?;
    let given = input::body(&body, KEY)?;
    if given.is_empty() && caller.microversion.is_at_least(53) {
        return Err(input::fits_no_schema(KEY, &Value::Object(given)));
    }
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
    Ok(Json(json!({"volume": view(&caller, &changed).await?})))
}

/// The key goes with the volume, as far as the caller may delete it.
pub(super) async fn delete(
    State(simulator): State<Simulator>,
    Extension(caller): Asked,
    Id(id): Id,
) -> Result<StatusCode, Fault> {
    caller.must_be_member("volume:delete")?;
    let cascade = caller.query.get("cascade").and_then(strict_bool).unwrap_or(false);
    let (scope, id) = (caller.scope(), VolumeId::new(id));
    let gone = if cascade {
        caller.store.delete_volume_and_snapshots(&scope, &id, &caller.limits).await?
    } else {
        caller.store.delete_volume(&scope, &id, &caller.limits).await?
    };
    give_key_back(&simulator, &caller, gone.key.as_ref());
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn find(caller: &Caller, id: &str) -> Result<Volume, Fault> {
    let found = caller.store.volume(&caller.scope(), &VolumeId::new(id)).await?;
    found.ok_or_else(|| Fault::not_found("Volume", id))
}

async fn view(caller: &Caller, volume: &Volume) -> Result<Value, Fault> {
    let types = types::names(caller).await?;
    let type_name = volume.volume_type_id.as_ref().and_then(|id| types.get(id));
    let metadata = caller.store.metadata(&Described::Volume(volume.id.clone())).await?;
    Ok(views::volume(caller, volume, type_name.map(String::as_str), &metadata))
}

async fn view_in_full(caller: &Caller, volume: &Volume) -> Result<Value, Fault> {
    let mut shown = view(caller, volume).await?;
    views::extend_volume(caller, volume, &mut shown);
    Ok(shown)
}
