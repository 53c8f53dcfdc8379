//! Volume types (cinder: `api/v3/types.py`, `api/contrib/types_manage.py`).

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use cinder_db::{VolumeType, VolumeTypeChange, VolumeTypeError};
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

use super::fault::Fault;
use super::input::{self, Id};
use super::page::{Listed, Page, SortKey};
use super::{Asked, Caller, views};
use crate::query::strict_bool;
use crate::{Simulator, StateFileError};

const KEY: &str = "volume_type";
const IS_PUBLIC: &str = "os-volume-type-access:is_public";
const MANAGE: &str = "volume_extension:type_create";

/// What clients call the type that a volume gets when none is asked for.
const DEFAULT: (&str, &str) = ("default", "__DEFAULT__");

impl Listed for VolumeType {
    const KIND: &'static str = "Volume type";

    fn id(&self) -> &str {
        &self.id
    }

    fn sort_key(name: &str) -> Option<fn(&Self) -> SortKey> {
        let key: fn(&Self) -> SortKey = match name {
            "id" => |kind| SortKey::Text(Some(kind.id.clone())),
            "name" => |kind| SortKey::Text(Some(kind.name.clone())),
            "created_at" => |kind| SortKey::Time(kind.created_at),
            _ => return None,
        };
        Some(key)
    }
}

/// The types that the caller sees. An administrator is shown the public ones unless `is_public`
/// says otherwise, as in Cinder.
pub(super) async fn list(Extension(caller): Asked) -> Result<Json<Value>, Fault> {
    let mut types = caller.store.volume_types(&caller.scope()).await?;
    if caller.is_admin() {
        let wanted = wants_public(caller.query.get("is_public"))?;
        types.retain(|kind| wanted.is_none_or(|public| kind.is_public == public));
    }
    let page = Page::of(&caller, types)?;
    let shown = page.items.iter().map(|kind| views::volume_type_in_full(&caller, kind)).collect();
    Ok(Json(page.document(&caller, "volume_types", "volume_type_links", shown)))
}

/// `None` is both.
fn wants_public(asked: Option<&str>) -> Result<Option<bool>, Fault> {
    match asked {
        None => Ok(Some(true)),
        Some(none) if none.eq_ignore_ascii_case("none") => Ok(None),
        Some(text) => strict_bool(text)
            .map(Some)
            .ok_or_else(|| Fault::bad(format!("Invalid is_public filter [{text}]"))),
    }
}

pub(super) async fn show(Extension(caller): Asked, Id(id): Id) -> Result<Json<Value>, Fault> {
    let (alias, name) = DEFAULT;
    let kind = if id == alias { named(&caller, name).await? } else { find(&caller, &id).await? };
    Ok(Json(json!({"volume_type": views::volume_type_in_full(&caller, &kind)})))
}

pub(super) async fn create(
    State(simulator): State<Simulator>,
    Extension(caller): Asked,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    caller.must_be_admin(MANAGE)?;
    let given = input::body(&body, KEY)?;
    input::only(&given, KEY, &["name", "description", "extra_specs", IS_PUBLIC])?;
    let kind = VolumeType {
        id: new_id(&simulator)?,
        name: input::required_name(&given, KEY, "name")?,
        description: input::text(&given, "description")?,
        is_public: input::flag(&given, IS_PUBLIC)?.unwrap_or(true),
        extra_specs: input::metadata(&given, "extra_specs")?,
        projects: Vec::new(),
        encryption: None,
        created_at: None,
    };
    caller.store.create_volume_type(&kind).await?;
    let made = find(&caller, &kind.id).await?;
    Ok(Json(json!({"volume_type": views::volume_type(&caller, &made)})))
}

pub(super) async fn update(
    Extension(caller): Asked,
    Id(id): Id,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    let given = input::body(&body, KEY)?;
    input::only(&given, KEY, &["name", "description", "is_public"])?;
    let change = VolumeTypeChange {
        name: input::some_name(&given, "name")?,
        description: input::text(&given, "description")?,
        is_public: input::flag(&given, "is_public")?,
    };
    caller.must_be_admin("volume_extension:type_update")?;
    if change.name.as_ref().is_some_and(|name| name.trim().is_empty()) {
        return Err(Fault::bad("Volume type name can not be empty."));
    }
    if change == VolumeTypeChange::default() {
        return Err(Fault::bad(
            "Specify volume type name, description, is_public or a combination thereof.",
        ));
    }
    caller.store.update_volume_type(&id, &change).await?;
    let changed = find(&caller, &id).await?;
    Ok(Json(json!({"volume_type": views::volume_type_of(&caller, &changed)})))
}

pub(super) async fn delete(Extension(caller): Asked, Id(id): Id) -> Result<StatusCode, Fault> {
    caller.must_be_admin("volume_extension:type_delete")?;
    caller.store.delete_volume_type(&id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// A type that the caller sees, by its id alone.
pub(super) async fn find(caller: &Caller, id: &str) -> Result<VolumeType, Fault> {
    let found = caller.store.volume_type(&caller.scope(), id).await?;
    found.filter(|kind| kind.id == id).ok_or_else(|| Fault::not_found("Volume type", id))
}

/// A type that the caller's project may use, by its id or its name.
pub(super) async fn named(caller: &Caller, id_or_name: &str) -> Result<VolumeType, Fault> {
    let found = caller.store.volume_type(&caller.own(), id_or_name).await?;
    let kind =
        if Uuid::parse_str(id_or_name).is_ok() { "Volume type" } else { "Volume type with name" };
    found.ok_or_else(|| Fault::not_found(kind, id_or_name))
}

/// Why a type was not changed; `in_use` says it where volumes have it.
pub(super) fn refused(error: VolumeTypeError, in_use: &str) -> Fault {
    match error {
        VolumeTypeError::InUse(_) => Fault::bad(in_use),
        VolumeTypeError::NotFound(_) | VolumeTypeError::Exists(_) | VolumeTypeError::Db(_) => {
            error.into()
        }
    }
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
