//! What is done to a volume (cinder: `api/contrib/volume_actions.py`,
//! `api/contrib/admin_actions.py`).

use axum::body::Bytes;
use axum::extract::{Extension, State};
use cinder_db::Scope;
use http::StatusCode;
use serde_json::{Map, Value};
use transfer_core::VolumeId;

use super::fault::Fault;
use super::input::{self, Id};
use super::{Asked, Caller, actions, types, volumes};
use crate::Simulator;

const EXTEND: &str = "os-extend";
const FORCE_DELETE: &str = "os-force_delete";
const RETYPE: &str = "os-retype";

/// The statuses that an administrator may set (cinder: `objects/fields.py` VolumeStatus).
const STATUSES: &[&str] = &[
    "creating",
    "available",
    "deleting",
    "error",
    "error_deleting",
    "error_managing",
    "managing",
    "attaching",
    "in-use",
    "detaching",
    "maintenance",
    "restoring-backup",
    "error_restoring",
    "reserved",
    "awaiting-transfer",
    "backing-up",
    "error_backing-up",
    "error_extending",
    "downloading",
    "uploading",
    "retyping",
    "extending",
];

pub(super) async fn act(
    State(simulator): State<Simulator>,
    Extension(caller): Asked,
    Id(id): Id,
    body: Bytes,
) -> Result<StatusCode, Fault> {
    let known = [actions::RESET_STATUS, FORCE_DELETE, EXTEND, RETYPE];
    let (action, given) = actions::asked(&body, &known)?;
    match action {
        EXTEND => extend(&caller, &id, &given).await?,
        RETYPE => retype(&caller, &id, &given).await?,
        FORCE_DELETE => force_delete(&simulator, &caller, &id).await?,
        _ => reset_status(&caller, &id, &given).await?,
    }
    Ok(StatusCode::ACCEPTED)
}

async fn reset_status(caller: &Caller, id: &str, given: &Map<String, Value>) -> Result<(), Fault> {
    let Some(status) = input::text(given, "status")? else {
        return Err(Fault::bad(
            "Must specify 'status', 'attach_status' or 'migration_status' for update.",
        ));
    };
    let status = actions::known("Volume", &status, STATUSES)?;
    volumes::find(caller, id).await?;
    caller.must_be_admin("volume_extension:volume_admin_actions:reset_status")?;
    caller.store.set_volume_status(&Scope::All, &VolumeId::new(id), &status).await?;
    Ok(())
}

async fn force_delete(simulator: &Simulator, caller: &Caller, id: &str) -> Result<(), Fault> {
    volumes::find(caller, id).await?;
    caller.must_be_admin("volume_extension:volume_admin_actions:force_delete")?;
    let gone = caller.store.force_delete_volume(&VolumeId::new(id), &caller.limits).await?;
    volumes::give_key_back(simulator, caller, gone.key.as_ref());
    Ok(())
}

async fn extend(caller: &Caller, id: &str, given: &Map<String, Value>) -> Result<(), Fault> {
    input::only(given, EXTEND, &["new_size"])?;
    let missing = || {
        let whole = Value::Object(given.clone());
        input::invalid(EXTEND, &whole, "'new_size' is a required property")
    };
    let size = input::size(given, "new_size")?.ok_or_else(missing)?;
    volumes::find(caller, id).await?;
    caller.must_be_member("volume:extend")?;
    caller.store.extend_volume(&caller.scope(), &VolumeId::new(id), size, &caller.limits).await?;
    Ok(())
}

/// Nothing moves here: a migration is never asked for.
async fn retype(caller: &Caller, id: &str, given: &Map<String, Value>) -> Result<(), Fault> {
    input::only(given, RETYPE, &["new_type", "migration_policy"])?;
    let new_type = input::required(given, RETYPE, "new_type")?;
    volumes::find(caller, id).await?;
    caller.must_be_member("volume:retype")?;
    let new_type = types::named(caller, &new_type).await?.id;
    let (scope, id) = (caller.scope(), VolumeId::new(id));
    caller.store.retype_volume(&scope, &id, &new_type, &caller.limits).await?;
    Ok(())
}
