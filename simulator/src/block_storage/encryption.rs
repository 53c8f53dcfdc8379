//! How a volume type encrypts (cinder: `api/contrib/volume_type_encryption.py`).

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use cinder_db::{Encryption, EncryptionChange, VolumeTypeError};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::input::{self, Id, Item};
use super::{Asked, types, views};
use crate::Simulator;

const KEY: &str = "encryption";
const POLICY: &str = "volume_extension:volume_type_encryption";

/// The encryption of a type, an empty object when it has none.
pub(super) async fn show(Extension(caller): Asked, Id(id): Id) -> Result<Json<Value>, Fault> {
    caller.must_be_admin(&format!("{POLICY}:get"))?;
    let kind = types::find(&caller, &id).await?;
    let shown = kind.encryption.as_ref().map(|found| views::encryption(&kind, found));
    Ok(Json(shown.unwrap_or_else(|| json!({}))))
}

/// One attribute of it.
pub(super) async fn show_one(
    Extension(caller): Asked,
    Item(id, key): Item,
) -> Result<Json<Value>, Fault> {
    let Json(mut shown) = show(Extension(caller), Id(id.clone())).await?;
    let value = shown.get_mut(&key).map(Value::take).ok_or_else(|| none_of(&id))?;
    Ok(Json(json!({key: value})))
}

pub(super) async fn create(
    State(simulator): State<Simulator>,
    Extension(caller): Asked,
    Id(id): Id,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    let mut given = input::body(&body, KEY)?;
    for name in ["provider", "control_location"] {
        input::required(&given, KEY, name)?;
    }
    let change = read(&given)?;
    caller.must_be_admin(&format!("{POLICY}:create"))?;
    let encryption = Encryption {
        id: types::new_id(&simulator)?,
        provider: change.provider.unwrap_or_default(),
        cipher: change.cipher.flatten(),
        key_size: change.key_size.flatten(),
        control_location: change.control_location,
    };
    let made = caller.store.create_encryption(&id, &encryption).await;
    made.map_err(|error| match error {
        VolumeTypeError::Exists(_) => {
            Fault::bad(format!("Volume type encryption for type {id} already exists."))
        }
        VolumeTypeError::NotFound(_) | VolumeTypeError::InUse(_) | VolumeTypeError::Db(_) => {
            refused(error, "create")
        }
    })?;
    settle(&mut given, change.key_size);
    given.insert("volume_type_id".to_owned(), id.into());
    given.insert("encryption_id".to_owned(), encryption.id.into());
    Ok(Json(json!({KEY: given})))
}

/// Whatever id of an encryption the path has: a type has one.
pub(super) async fn update(
    Extension(caller): Asked,
    Item(id, _): Item,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    let mut given = input::body(&body, KEY)?;
    let change = read(&given)?;
    caller.must_be_admin(&format!("{POLICY}:update"))?;
    types::find(&caller, &id).await?;
    let there = caller.store.update_encryption(&id, &change).await;
    if !there.map_err(|error| refused(error, "update"))? {
        return Err(none_of(&id));
    }
    settle(&mut given, change.key_size);
    Ok(Json(json!({KEY: given})))
}

pub(super) async fn delete(
    Extension(caller): Asked,
    Item(id, _): Item,
) -> Result<StatusCode, Fault> {
    caller.must_be_admin(&format!("{POLICY}:delete"))?;
    let there = match caller.store.delete_encryption(&id).await {
        // of a type that is not there upstream says the same as of one that does not encrypt
        Err(VolumeTypeError::NotFound(_)) => false,
        other => other.map_err(|error| refused(error, "delete"))?,
    };
    if there { Ok(StatusCode::ACCEPTED) } else { Err(none_of(&id)) }
}

fn read(given: &Map<String, Value>) -> Result<EncryptionChange, Fault> {
    let control_location = input::text(given, "control_location")?;
    if let Some(other) = &control_location
        && !["front-end", "back-end"].contains(&other.as_str())
    {
        let complaint = format!("'{other}' is not one of ['front-end', 'back-end']");
        return Err(input::invalid("control_location", &json!(other), complaint));
    }
    let has = |name: &str| given.contains_key(name);
    let cipher = has("cipher").then(|| input::text(given, "cipher")).transpose()?;
    let key_size = has("key_size").then(|| input::size(given, "key_size")).transpose()?;
    Ok(EncryptionChange {
        provider: input::text(given, "provider")?,
        cipher,
        key_size,
        control_location,
    })
}

/// A size that came as a text is shown as the number that it is.
fn settle(given: &mut Map<String, Value>, key_size: Option<Option<i64>>) {
    if let Some(size) = key_size {
        given.insert("key_size".to_owned(), size.into());
    }
}

fn refused(error: VolumeTypeError, verb: &str) -> Fault {
    types::refused(error, &format!("Cannot {verb} encryption specs. Volume type in use."))
}

fn none_of(id: &str) -> Fault {
    Fault::missing(format!("Volume type encryption for type {id} does not exist."))
}
