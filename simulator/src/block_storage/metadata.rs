//! Metadata of volumes and snapshots (cinder: `api/v3/volume_metadata.py`,
//! `api/v3/snapshot_metadata.py`).

use axum::Json;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::routing::{MethodRouter, get};
use cinder_db::Described;
use http::StatusCode;
use serde_json::{Value, json};
use transfer_core::{SnapshotId, VolumeId};

use super::fault::Fault;
use super::input::{self, Id, Item};
use super::{Asked, Caller, snapshots, volumes};
use crate::Simulator;
use crate::pyrepr::repr;

const ALL: &str = "metadata";
const ONE: &str = "meta";

/// What has it.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Volume,
    Snapshot,
}

/// All of a thing's metadata.
pub(super) fn all(of: Of) -> MethodRouter<Simulator> {
    get(move |caller: Asked, id: Id| list(of, caller, id))
        .post(move |caller: Asked, id: Id, body: Bytes| set(of, caller, id, body, Rest::Stays))
        .put(move |caller: Asked, id: Id, body: Bytes| set(of, caller, id, body, Rest::Goes))
}

/// One text of it.
pub(super) fn one(of: Of) -> MethodRouter<Simulator> {
    get(move |caller: Asked, item: Item| show(of, caller, item))
        .put(move |caller: Asked, item: Item, body: Bytes| set_one(of, caller, item, body))
        .delete(move |caller: Asked, item: Item| delete(of, caller, item))
}

/// What becomes of texts that a request does not name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Stays,
    Goes,
}

impl Of {
    fn noun(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Snapshot => "snapshot",
        }
    }

    fn may(self, caller: &Caller, verb: &str) -> Result<(), Fault> {
        caller.must_be_member(&format!("volume:{verb}_{}_metadata", self.noun()))
    }

    /// The thing, which the caller has to see.
    async fn find(self, caller: &Caller, id: &str) -> Result<Described, Fault> {
        Ok(match self {
            Self::Volume => {
                volumes::find(caller, id).await?;
                Described::Volume(VolumeId::new(id))
            }
            Self::Snapshot => {
                snapshots::find(caller, id).await?;
                Described::Snapshot(SnapshotId::new(id))
            }
        })
    }

    fn none_of(self, id: &str, key: &str) -> Fault {
        let kind = match self {
            Self::Volume => "Volume",
            Self::Snapshot => "Snapshot",
        };
        Fault::missing(format!("{kind} {id} has no metadata with key {key}."))
    }
}

async fn list(of: Of, Extension(caller): Asked, Id(id): Id) -> Result<Json<Value>, Fault> {
    let thing = of.find(&caller, &id).await?;
    Ok(Json(json!({ALL: caller.store.metadata(&thing).await?})))
}

async fn show(of: Of, Extension(caller): Asked, Item(id, key): Item) -> Result<Json<Value>, Fault> {
    let thing = of.find(&caller, &id).await?;
    let value = caller.store.metadata(&thing).await?.remove(&key);
    let value = value.ok_or_else(|| of.none_of(&id, &key))?;
    Ok(Json(json!({ONE: {key: value}})))
}

async fn set(
    of: Of,
    Extension(caller): Asked,
    Id(id): Id,
    body: Bytes,
    rest: Rest,
) -> Result<Json<Value>, Fault> {
    let given = input::texts(&input::body(&body, ALL)?)?;
    let thing = of.find(&caller, &id).await?;
    let creates_volumes = rest == Rest::Stays && matches!(of, Of::Volume);
    of.may(&caller, if creates_volumes { "create" } else { "update" })?;
    let scope = caller.scope();
    let all = caller.store.set_metadata(&scope, &thing, &given, rest == Rest::Goes).await?;
    Ok(Json(json!({ ALL: all })))
}

async fn set_one(
    of: Of,
    Extension(caller): Asked,
    Item(id, key): Item,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    let given = input::body(&body, ONE)?;
    let texts = input::texts(&given)?;
    if texts.len() != 1 {
        let complaint =
            if texts.is_empty() { "should be non-empty" } else { "has too many properties" };
        let given = Value::Object(given);
        return Err(input::invalid(ONE, &given, format!("{} {complaint}", repr(&given))));
    }
    if !texts.contains_key(&key) {
        return Err(Fault::bad("Request body and URI mismatch"));
    }
    let thing = of.find(&caller, &id).await?;
    of.may(&caller, "update")?;
    caller.store.set_metadata(&caller.scope(), &thing, &texts, false).await?;
    Ok(Json(json!({ONE: texts})))
}

async fn delete(
    of: Of,
    Extension(caller): Asked,
    Item(id, key): Item,
) -> Result<StatusCode, Fault> {
    let thing = of.find(&caller, &id).await?;
    of.may(&caller, "delete")?;
    let there = caller.store.delete_metadatum(&caller.scope(), &thing, &key).await?;
    if there { Ok(StatusCode::OK) } else { Err(of.none_of(&id, &key)) }
}
